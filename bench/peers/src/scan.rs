//! Cuts a stream of XML into stanzas and finds in them what is counted, without building trees: the generator shares the machine with what it measures.
//!
//! What comes is XML that a server has written: no comments, no CDATA, `<` in text always escaped. A `>` in an attribute's value is allowed for.

use anyhow::{Result, bail};
use memchr::{memchr, memchr3, memmem};
use std::ops::Range;
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Read at once.
const CHUNK: usize = 4096;
/// An idle connection keeps no more than this.
const KEPT: usize = 64 * 1024;

/// What has come in, and how far it has been looked at.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    buffer: Vec<u8>,
    /// Where the item that is being looked at begins.
    start: usize,
    /// Up to where tags have been counted.
    at: usize,
    depth: usize,
}

impl Splitter {
    /// Reads more; false at the end of the stream.
    pub(crate) async fn fill(&mut self, from: &mut (impl AsyncRead + Unpin)) -> Result<usize> {
        if self.start == self.buffer.len() {
            self.buffer.clear();
            if self.buffer.capacity() > KEPT {
                self.buffer = Vec::new();
            }
        } else {
            self.buffer.drain(..self.start);
        }
        self.at -= self.start;
        self.start = 0;
        if self.buffer.capacity() - self.buffer.len() < CHUNK {
            // A flood is read in larger pieces.
            self.buffer.reserve(CHUNK.max(self.buffer.len()));
        }
        let read = from.read_buf(&mut self.buffer).await?;
        Ok(read)
    }

    /// The next stanza that is whole, or the head or the end of a stream, which are items of their own.
    pub(crate) fn cut(&mut self) -> Option<Range<usize>> {
        loop {
            let Some(ahead) = memchr(b'<', &self.buffer[self.at..]) else {
                self.at = self.buffer.len();
                if self.depth == 0 {
                    // Whitespace between stanzas keeps a connection alive, and means nothing.
                    self.start = self.at;
                }
                return None;
            };
            let open = self.at + ahead;
            if self.depth == 0 {
                self.start = open;
            }
            let Some(close) = end_of_tag(&self.buffer, open + 1) else {
                self.at = open;
                return None;
            };
            let tag = &self.buffer[open..=close];
            self.at = close + 1;
            if tag.starts_with(b"<?") || tag.starts_with(b"<stream:stream") || tag.starts_with(b"</stream:stream") {
                self.depth = 0;
                return Some(self.take());
            }
            if tag.starts_with(b"</") {
                self.depth = self.depth.saturating_sub(1);
            } else if !tag.ends_with(b"/>") {
                self.depth += 1;
            }
            if self.depth == 0 {
                return Some(self.take());
            }
        }
    }

    /// What [`Splitter::cut`] answered.
    pub(crate) fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.buffer[range]
    }

    fn take(&mut self) -> Range<usize> {
        let range = self.start..self.at;
        self.start = self.at;
        range
    }
}

/// Where the tag ends in which `from` is.
fn end_of_tag(bytes: &[u8], mut from: usize) -> Option<usize> {
    loop {
        let found = from + memchr3(b'>', b'"', b'\'', bytes.get(from..)?)?;
        if bytes[found] == b'>' {
            return Some(found);
        }
        from = found + 1 + memchr(bytes[found], bytes.get(found + 1..)?)? + 1;
    }
}

/// Whether `what` stands anywhere in a stanza.
pub(crate) fn has(stanza: &[u8], what: &str) -> bool {
    memmem::find(stanza, what.as_bytes()).is_some()
}

/// An attribute of the first element called `element`.
pub(crate) fn attribute<'a>(stanza: &'a [u8], element: &str, name: &str) -> Option<&'a str> {
    let mut from = 0;
    let open = loop {
        let open = from + memmem::find(&stanza[from..], element.as_bytes())?;
        let end = open + element.len();
        let whole = matches!(stanza.get(end), Some(b' ' | b'>' | b'/' | b'\n'));
        if open > 0 && stanza[open - 1] == b'<' && whole {
            break end;
        }
        from = end;
    };
    let close = end_of_tag(stanza, open)?;
    let mut rest = &stanza[open..close];
    loop {
        let equals = memchr(b'=', rest)?;
        let key = rest[..equals].trim_ascii();
        let quote = *rest.get(equals + 1)?;
        let value = rest.get(equals + 2..)?;
        let end = memchr(quote, value)?;
        if key == name.as_bytes() {
            return std::str::from_utf8(&value[..end]).ok();
        }
        rest = &value[end + 1..];
    }
}

/// The text of the first element called `element`, as it is written.
pub(crate) fn text<'a>(stanza: &'a [u8], element: &str) -> Option<&'a str> {
    let open = memmem::find(stanza, format!("<{element}").as_bytes())?;
    let begin = end_of_tag(stanza, open + 1)? + 1;
    let length = memchr(b'<', &stanza[begin..])?;
    std::str::from_utf8(&stanza[begin..begin + length]).ok()
}

/// What a text of ours begins with; the number of the message follows.
const MARK: &[u8] = b">hf ";

/// The text of message `number`, as long as a line of real chat is.
pub(crate) fn body(number: usize) -> String {
    format!("hf {number} lorem ipsum dolor sit amet, consectetur adipiscing elit")
}

/// Which message of ours this is.
pub(crate) fn number(stanza: &[u8]) -> Option<usize> {
    let begin = memmem::find(stanza, MARK)? + MARK.len();
    let digits = stanza[begin..].iter().take_while(|b| b.is_ascii_digit());
    digits.map(|b| usize::from(b - b'0')).reduce(|number, digit| number.wrapping_mul(10).wrapping_add(digit))
}

/// Refuses a stanza that says that the stream is over.
pub(crate) fn refuse_end(stanza: &[u8]) -> Result<()> {
    if stanza.starts_with(b"<stream:error") || stanza.starts_with(b"</stream:stream") {
        bail!("the server ended the stream: {}", String::from_utf8_lossy(stanza));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str, piece: usize) -> Vec<String> {
        let mut splitter = Splitter::default();
        let mut found = Vec::new();
        for part in text.as_bytes().chunks(piece) {
            splitter.buffer.extend_from_slice(part);
            while let Some(range) = splitter.cut() {
                found.push(String::from_utf8(splitter.bytes(range).to_vec()).unwrap());
            }
        }
        found
    }

    #[test]
    fn a_stream_is_cut_into_stanzas_wherever_it_was_broken() {
        let stanzas = [
            "<?xml version='1.0'?>",
            "<stream:stream xmlns='jabber:client' id='a>b'>",
            "<stream:features><a/><b><c/></b></stream:features>",
            "<presence from=\"r/it's\"/>",
            "<message a='\"<>'><body>x &gt; y</body><e></e></message>",
            "</stream:stream>",
        ];
        let text = stanzas.join("\n ");
        for piece in 1..40 {
            assert_eq!(cut(&text, piece), stanzas, "in pieces of {piece}");
        }
    }

    #[test]
    fn what_is_counted_is_found() {
        let stanza = format!(
            "<message from='r@x/n' to=\"me\"><stanza-id by='r@x' id='17'/><result id=\"8\" queryid='q'/><body xml:lang='en'>{}</body></message>",
            body(1_207)
        );
        let stanza = stanza.as_bytes();
        assert_eq!(number(stanza), Some(1_207));
        assert_eq!(attribute(stanza, "stanza-id", "id"), Some("17"));
        assert_eq!(attribute(stanza, "result", "id"), Some("8"));
        assert_eq!(attribute(stanza, "message", "to"), Some("me"));
        assert_eq!(attribute(stanza, "message", "type"), None);
        assert_eq!(attribute(stanza, "mess", "to"), None);
        assert!(text(stanza, "body").unwrap().starts_with("hf 1207 "));
        assert_eq!(number(b"<message><body>hello</body></message>"), None);
    }
}
