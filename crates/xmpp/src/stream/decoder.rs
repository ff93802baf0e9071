//! From bytes to stanzas, within bounds that are kept before any tree is built: nesting alone could otherwise end the process.
//!
//! The lexer knows no entities but the five of XML, no DTD, no processing instructions and nothing external.

use super::error::StreamError;
use crate::ns;
use minidom::Element;
use rxml::error::EndOrError;
use rxml::parser::{Options, WithOptions as _};
use rxml::{AttrMap, Event, Namespace, Parse as _, Parser};

/// What a stranger may send at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Bytes of one stanza.
    pub(crate) bytes: usize,
    /// How deep elements may stand in each other, the stanza itself being the first.
    pub(crate) depth: usize,
    /// Elements of one stanza.
    pub(crate) elements: usize,
    /// Attributes of one element.
    pub(crate) attributes: usize,
}

impl Bounds {
    /// Of somebody who has not signed in.
    pub(crate) const STRANGER: Bounds = Bounds { bytes: 10 * 1024, depth: 8, elements: 64, attributes: 16 };
}

/// Bytes of one name or attribute.
const TOKEN_BYTES: usize = 8 * 1024;

/// Something that came.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Unit {
    /// The stream begins.
    Open(Opening),
    /// A stanza, or another element at the stream's top.
    Stanza(Element),
    /// The stream ends.
    Close,
}

/// The beginning of a stream (RFC 6120 section 4.7, RFC 7395 section 3.4).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Opening {
    /// The domain that the client wants.
    pub(crate) to: Option<String>,
    /// Its version of XMPP.
    pub(crate) version: Option<String>,
}

/// How elements stand in the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// One document that lasts as long as the connection (RFC 6120).
    Stream,
    /// A document for each message of a WebSocket (RFC 7395).
    Documents,
}

/// Reads one stream.
#[derive(Debug)]
pub(crate) struct Decoder {
    framing: Framing,
    bounds: Bounds,
    parser: Parser,
    /// Whether the parser has been given anything.
    fresh: bool,
    /// Whether the stream has begun.
    open: bool,
    /// The elements that have begun and not ended, the stanza first.
    stack: Vec<Element>,
    /// Bytes and elements of what is being read.
    bytes: usize,
    elements: usize,
}

impl Decoder {
    /// A decoder at the beginning of a stream.
    pub(crate) fn new(framing: Framing, bounds: Bounds) -> Self {
        Self { framing, bounds, parser: parser(), fresh: true, open: false, stack: Vec::new(), bytes: 0, elements: 0 }
    }

    /// Begins anew: after TLS was begun, after signing in.
    pub(crate) fn restart(&mut self) {
        *self = Self::new(self.framing, self.bounds);
    }

    /// Changes the bounds, once the client is known.
    pub(crate) fn set_bounds(&mut self, bounds: Bounds) {
        self.bounds = bounds;
    }

    /// Takes from `bytes` what makes the next unit; `None` when more bytes are needed.
    ///
    /// # Errors
    /// What ends the stream: bytes that are no XML, that XMPP does not allow, or that go beyond a bound.
    pub(crate) fn next(&mut self, bytes: &mut &[u8]) -> Result<Option<Unit>, StreamError> {
        // The end of a line behind what was said before signing in belongs to no document; some clients write one.
        if self.fresh && self.framing == Framing::Stream {
            let spaces = bytes.iter().take_while(|b| b.is_ascii_whitespace()).count();
            self.bytes += spaces;
            *bytes = &bytes[spaces..];
            if self.bytes > self.bounds.bytes {
                return Err(StreamError::new("policy-violation", "a stream begins with its header"));
            }
            if bytes.is_empty() {
                return Ok(None);
            }
            self.fresh = false;
        }
        // Without bytes too: of those that were taken, not all has been told.
        loop {
            let before = bytes.len();
            // No more than the bound lets pass is looked at, so that what goes beyond it is never kept.
            let left = (self.bounds.bytes + 1).saturating_sub(self.bytes);
            let (mut portion, _) = bytes.split_at(before.min(left));
            let parsed = self.parser.parse(&mut portion, false);
            let taken = before.min(left) - portion.len();
            *bytes = &bytes[taken..];
            self.bytes += taken;
            if self.bytes > self.bounds.bytes {
                let why = format!("a stanza has at most {} bytes", self.bounds.bytes);
                return Err(StreamError::new("policy-violation", why));
            }
            match parsed {
                Ok(Some(event)) => {
                    if let Some(unit) = self.take(event)? {
                        return Ok(Some(unit));
                    }
                }
                Ok(None) => return Err(StreamError::new("not-well-formed", "the document ended")),
                Err(EndOrError::NeedMoreData) if taken == 0 => {
                    // A parser makes room for the longest token before it sees that nothing came: that is not for an idle client to keep.
                    self.parser.release_temporaries();
                    return Ok(None);
                }
                Err(EndOrError::NeedMoreData) => {}
                Err(EndOrError::Error(error)) => return Err(unreadable(error)),
            }
        }
    }

    fn take(&mut self, event: Event) -> Result<Option<Unit>, StreamError> {
        match event {
            Event::XmlDeclaration(..) => Ok(None),
            Event::StartElement(_, (namespace, name), attributes) => self.begin(&namespace, name.as_str(), attributes),
            Event::EndElement(_) => self.end(),
            Event::Text(_, text) => match self.stack.last_mut() {
                Some(element) => {
                    element.append_text(text);
                    Ok(None)
                }
                None if text.trim().is_empty() => {
                    // Whitespace keeps a connection alive (RFC 6120 section 4.6.1).
                    self.bytes = 0;
                    Ok(None)
                }
                None => Err(StreamError::new("bad-format", "there is text between stanzas")),
            },
        }
    }

    fn begin(
        &mut self,
        namespace: &Namespace<'static>,
        name: &str,
        attributes: AttrMap,
    ) -> Result<Option<Unit>, StreamError> {
        if self.framing == Framing::Stream && !self.open {
            return self.begin_stream(namespace.as_str(), name, &attributes).map(Some);
        }
        self.elements += 1;
        let beyond = |what: &str, most: usize| Err(StreamError::new("policy-violation", format!("{what} {most}")));
        if self.stack.len() >= self.bounds.depth {
            return beyond("elements stand in each other deeper than", self.bounds.depth);
        }
        if self.elements > self.bounds.elements {
            return beyond("a stanza has more elements than", self.bounds.elements);
        }
        if attributes.len() > self.bounds.attributes {
            return beyond("an element has more attributes than", self.bounds.attributes);
        }
        let mut element = Element::bare(name, namespace.as_str());
        *element.attrs_mut() = attributes;
        self.stack.push(element);
        Ok(None)
    }

    fn begin_stream(&mut self, ns: &str, name: &str, attributes: &AttrMap) -> Result<Unit, StreamError> {
        if ns != ns::XMPP_STREAM {
            return Err(StreamError::new("invalid-namespace", "a stream's namespace is that of RFC 6120"));
        }
        if name != "stream" {
            return Err(StreamError::new("bad-format", "a stream begins with `stream`"));
        }
        (self.open, self.bytes) = (true, 0);
        Ok(Unit::Open(opening(attributes)))
    }

    fn end(&mut self) -> Result<Option<Unit>, StreamError> {
        let Some(element) = self.stack.pop() else { return Ok(Some(Unit::Close)) };
        if let Some(around) = self.stack.last_mut() {
            around.append_child(element);
            return Ok(None);
        }
        (self.bytes, self.elements) = (0, 0);
        if self.framing == Framing::Documents {
            self.parser = parser();
        }
        Ok(Some(match self.framing {
            Framing::Documents if element.is("open", ns::FRAMING) => Unit::Open(opening(element.attrs())),
            Framing::Documents if element.is("close", ns::FRAMING) => Unit::Close,
            Framing::Documents | Framing::Stream => Unit::Stanza(element),
        }))
    }
}

fn parser() -> Parser {
    Parser::with_options(Options { max_token_length: TOKEN_BYTES, ..Options::default() })
}

fn opening(attributes: &AttrMap) -> Opening {
    let value = |name: &str| attributes.get(&Namespace::NONE, name).cloned();
    Opening { to: value("to"), version: value("version") }
}

fn unreadable(error: rxml::Error) -> StreamError {
    match error {
        rxml::Error::RestrictedXml(what) => StreamError::new("restricted-xml", format!("{what} has no place in XMPP")),
        rxml::Error::UndeclaredEntity => StreamError::new("restricted-xml", "there are no entities but those of XML"),
        rxml::Error::InvalidUtf8Byte(_) => StreamError::new("unsupported-encoding", "a stream is UTF-8"),
        other => StreamError::new("not-well-formed", other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: &str = "<?xml version='1.0'?><stream:stream to='example.org' version='1.0' xmlns='jabber:client' \
                        xmlns:stream='http://etherx.jabber.org/streams'>";

    /// Everything in `text`, fed in portions of `size` bytes.
    fn read(text: &str, size: usize, framing: Framing) -> Result<Vec<Unit>, StreamError> {
        let mut decoder = Decoder::new(framing, Bounds::STRANGER);
        let mut units = Vec::new();
        let mut waiting: Vec<u8> = Vec::new();
        for portion in text.as_bytes().chunks(size) {
            waiting.extend_from_slice(portion);
            let mut rest = waiting.as_slice();
            while let Some(unit) = decoder.next(&mut rest)? {
                units.push(unit);
            }
            waiting = rest.to_vec();
        }
        Ok(units)
    }

    #[test]
    fn a_stream_is_the_same_however_it_is_cut() {
        let text = format!("{OPEN} <message to='a'><body>x &amp; y</body></message>\n<presence/></stream:stream>");
        let whole = read(&text, usize::MAX, Framing::Stream).unwrap();
        assert_eq!(whole.len(), 4);
        assert!(matches!(&whole[0], Unit::Open(o) if o.to.as_deref() == Some("example.org")));
        assert!(matches!(&whole[1], Unit::Stanza(m) if m.get_child("body", ns::CLIENT).unwrap().text() == "x & y"));
        assert_eq!(whole[3], Unit::Close);
        for size in [1, 2, 3, 7, 64] {
            assert_eq!(read(&text, size, Framing::Stream).unwrap(), whole, "in portions of {size}");
        }
    }

    #[test]
    fn an_element_that_ends_where_it_begins_is_there_at_once() {
        let units = read(&format!("{OPEN}<presence/>"), usize::MAX, Framing::Stream).unwrap();
        assert!(matches!(&units[1], Unit::Stanza(p) if p.name() == "presence"));
    }

    #[test]
    fn the_end_of_a_line_before_a_stream_is_passed_over() {
        let text = format!("\r\n {OPEN}<presence/>");
        for size in [1, 3, usize::MAX] {
            assert_eq!(read(&text, size, Framing::Stream).unwrap().len(), 2, "in portions of {size}");
        }
        assert_eq!(read(&" ".repeat(20_000), 1000, Framing::Stream).unwrap_err().condition, "policy-violation");
    }

    #[test]
    fn a_websocket_brings_documents() {
        let text = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='example.org' version='1.0'/>\
                    <presence xmlns='jabber:client'/><close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>";
        let units = read(text, 5, Framing::Documents).unwrap();
        assert!(matches!(&units[0], Unit::Open(_)));
        assert!(matches!(&units[1], Unit::Stanza(p) if p.is("presence", ns::CLIENT)));
        assert_eq!(units[2], Unit::Close);
    }

    #[test]
    fn what_goes_too_far_ends_the_stream_and_not_the_process() {
        let ends = |inner: &str| read(&format!("{OPEN}{inner}"), 1000, Framing::Stream).unwrap_err().condition;
        assert_eq!(ends(&"<a>".repeat(5_000)), "policy-violation");
        assert_eq!(ends(&format!("<a>{}</a>", "<b/>".repeat(100))), "policy-violation");
        assert_eq!(ends(&format!("<a>{}", "x".repeat(11_000))), "policy-violation");
        let many: String = (0..40).map(|i| format!(" a{i}='1'")).collect();
        assert_eq!(ends(&format!("<a{many}/>")), "policy-violation");
        assert_eq!(ends("<a>&b;</a>"), "restricted-xml");
        for external in ["<!DOCTYPE a [<!ENTITY b 'c'>]>", "<!-- a -->", "<?a b?>"] {
            assert!(["restricted-xml", "not-well-formed"].contains(&ends(external)), "{external}");
        }
        assert_eq!(ends("<a></b>"), "not-well-formed");
        assert_eq!(ends("<a b='1' b='2'/>"), "not-well-formed");
        assert_eq!(ends("<x:a/>"), "not-well-formed");
        assert_eq!(ends("hello<a/>"), "bad-format");
        assert!(read("GET / HTTP/1.1\r\n\r\n<a>", 9, Framing::Stream).is_err());
        assert_eq!(read("<a xmlns='b'>", 9, Framing::Stream).unwrap_err().condition, "invalid-namespace");
    }
}
