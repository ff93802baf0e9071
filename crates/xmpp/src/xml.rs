//! Writing elements, and reading what came.
//!
//! What goes out is written as text at once rather than as a tree: a stanza for a thousand people is made once and its bytes are shared.

use bytes::Bytes;
use minidom::Element;
use std::fmt::{self, Write as _};

/// An element being written.
#[derive(Clone, Debug)]
pub(crate) struct El {
    name: &'static str,
    /// All but its end. A `>` stands at `head` once there is something in it.
    text: String,
    /// Where its attributes end.
    head: usize,
}

/// Bytes that most elements have room in.
const ROOM: usize = 128;

impl El {
    /// An element in the namespace of the one around it.
    pub(crate) fn new(name: &'static str) -> Self {
        let mut text = String::with_capacity(ROOM);
        text.push('<');
        text.push_str(name);
        let head = text.len();
        Self { name, text, head }
    }

    /// An element of a namespace.
    pub(crate) fn of(ns: &str, name: &'static str) -> Self {
        Self::new(name).attr("xmlns", ns)
    }

    /// With an attribute.
    pub(crate) fn attr(mut self, name: &str, value: impl fmt::Display) -> Self {
        // What is in it already stands behind the attribute.
        let content = self.text.split_off(self.head);
        self.text.push(' ');
        self.text.push_str(name);
        self.text.push_str("='");
        let _ = write!(Escape(&mut self.text), "{value}");
        self.text.push('\'');
        self.head = self.text.len();
        self.text.push_str(&content);
        self
    }

    /// With an attribute, if there is a value for it.
    pub(crate) fn maybe(self, name: &str, value: Option<impl fmt::Display>) -> Self {
        match value {
            Some(value) => self.attr(name, value),
            None => self,
        }
    }

    /// With text after what is in it.
    pub(crate) fn text(self, text: impl fmt::Display) -> Self {
        self.with(|out| {
            let _ = write!(Escape(out), "{text}");
        })
    }

    /// With an element after what is in it.
    #[allow(clippy::needless_pass_by_value, reason = "it is written here and done with")]
    pub(crate) fn child(self, child: El) -> Self {
        self.with(|out| {
            out.reserve(child.text.len() + child.name.len() + ROOM);
            out.push_str(&child.text);
            out.extend(child.end());
        })
    }

    /// With elements after what is in it.
    pub(crate) fn children(self, children: impl IntoIterator<Item = El>) -> Self {
        children.into_iter().fold(self, El::child)
    }

    /// With an element that holds nothing but text.
    pub(crate) fn field(self, name: &'static str, text: impl fmt::Display) -> Self {
        self.child(El::new(name).text(text))
    }

    /// With what is XML already.
    pub(crate) fn raw(self, xml: &str) -> Self {
        self.with(|out| out.push_str(xml))
    }

    /// With what `write` puts behind what is in it.
    fn with(mut self, write: impl FnOnce(&mut String)) -> Self {
        let before = self.text.len();
        let empty = before == self.head;
        if empty {
            self.text.push('>');
        }
        write(&mut self.text);
        if empty && self.text.len() == before + 1 {
            self.text.truncate(before);
        }
        self
    }

    /// What ends it.
    fn end(&self) -> [&'static str; 3] {
        if self.text.len() == self.head { ["/>", "", ""] } else { ["</", self.name, ">"] }
    }
}

impl fmt::Display for El {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        self.end().into_iter().try_for_each(|part| f.write_str(part))
    }
}

impl From<El> for Bytes {
    fn from(el: El) -> Bytes {
        let end = el.end();
        let mut text = el.text;
        text.extend(end);
        Bytes::from(text)
    }
}

/// Writes text so that it means itself in an attribute and between elements. What XML cannot say at all is replaced.
struct Escape<'a>(&'a mut String);

impl fmt::Write for Escape<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        // Most text needs nothing, and goes on in one piece.
        while let Some(at) = rest.bytes().position(may_need_escape) {
            let (plain, after) = rest.split_at(at);
            self.0.push_str(plain);
            let mut chars = after.chars();
            match chars.next() {
                Some('<') => self.0.push_str("&lt;"),
                Some('>') => self.0.push_str("&gt;"),
                Some('&') => self.0.push_str("&amp;"),
                Some('\'') => self.0.push_str("&apos;"),
                Some('"') => self.0.push_str("&quot;"),
                Some('\r') => self.0.push_str("&#13;"),
                Some('\u{FFFE}' | '\u{FFFF}') => self.0.push(char::REPLACEMENT_CHARACTER),
                Some(c) if c < ' ' => self.0.push(char::REPLACEMENT_CHARACTER),
                Some(c) => self.0.push(c),
                None => {}
            }
            rest = chars.as_str();
        }
        self.0.push_str(rest);
        Ok(())
    }
}

/// Whether what begins with a byte may not stand as it is. U+FFFE and U+FFFF begin with EF.
fn may_need_escape(byte: u8) -> bool {
    match byte {
        b'\n' | b'\t' => false,
        b'<' | b'>' | b'&' | b'\'' | b'"' | 0xEF => true,
        byte => byte < b' ',
    }
}

/// An element as text, with its namespace.
pub(crate) fn text_of(element: &Element) -> String {
    let mut out = Vec::new();
    // What was parsed can be written.
    let _ = element.write_to(&mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// An element as text where `ns` is the namespace around it: what stands in it keeps its own.
pub(crate) fn text_within(ns: &str, element: &Element) -> String {
    let text = text_of(element);
    let begin = format!("<{}", element.name());
    match text.strip_prefix(&format!("{begin} xmlns='{ns}'")) {
        Some(rest) => format!("{begin}{rest}"),
        None => text,
    }
}

/// The text of a child.
pub(crate) fn child_text(element: &Element, name: &str, ns: &str) -> Option<String> {
    element.get_child(name, ns).map(Element::text)
}

/// The first child element of whatever kind: the payload of an iq.
pub(crate) fn payload(element: &Element) -> Option<&Element> {
    element.children().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_namespace_around_it_is_left_out() {
        let forwarded: Element =
            "<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'><body>b</body></message></forwarded>"
                .parse()
                .unwrap();
        assert_eq!(text_within("jabber:client", &forwarded).parse::<Element>().unwrap(), forwarded);
        let thread: Element = "<thread xmlns='jabber:client' parent='p'>t</thread>".parse().unwrap();
        assert_eq!(text_within("jabber:client", &thread), "<thread parent='p'>t</thread>");
    }

    #[test]
    fn elements_are_written_in_any_order() {
        let inner = El::new("b").text("").raw("").children([]);
        assert_eq!(inner.to_string(), "<b/>", "nothing is in it");
        let el = El::new("a").child(inner).attr("c", 1).text("é\u{FFFF}\u{FFFD}&").attr("d", "'").field("e", "");
        let text = "<a c='1' d='&apos;'><b/>é\u{FFFD}\u{FFFD}&amp;<e/></a>";
        assert_eq!(el.to_string(), text);
        assert_eq!(Bytes::from(el), text);
    }

    #[test]
    fn what_people_type_cannot_leave_its_place() {
        let el = El::of("a:b", "x").attr("y", "'/><z>&\"").text("</x>\u{1}\n").child(El::new("c"));
        let text = el.to_string();
        assert_eq!(text, "<x xmlns='a:b' y='&apos;/&gt;&lt;z&gt;&amp;&quot;'>&lt;/x&gt;\u{FFFD}\n<c/></x>");
        let read: Element = text.parse().unwrap();
        assert_eq!(read.attr("y"), Some("'/><z>&\""));
        assert_eq!(text_of(&read).parse::<Element>().unwrap(), read);
    }
}
