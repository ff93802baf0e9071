//! Writing elements, and reading what came.
//!
//! What goes out is written as text at once rather than as a tree: a stanza for a thousand people is made once and its bytes are shared.

use minidom::Element;
use std::fmt::{self, Write as _};

/// An element being written.
#[derive(Clone, Debug)]
pub(crate) struct El {
    name: &'static str,
    attributes: String,
    content: String,
}

impl El {
    /// An element in the namespace of the one around it.
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, attributes: String::new(), content: String::new() }
    }

    /// An element of a namespace.
    pub(crate) fn of(ns: &str, name: &'static str) -> Self {
        Self::new(name).attr("xmlns", ns)
    }

    /// With an attribute.
    pub(crate) fn attr(mut self, name: &str, value: impl fmt::Display) -> Self {
        let _ = write!(self.attributes, " {name}='");
        let _ = write!(Escape(&mut self.attributes), "{value}");
        self.attributes.push('\'');
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
    pub(crate) fn text(mut self, text: impl fmt::Display) -> Self {
        let _ = write!(Escape(&mut self.content), "{text}");
        self
    }

    /// With an element after what is in it.
    #[allow(clippy::needless_pass_by_value, reason = "it is written here and done with")]
    pub(crate) fn child(mut self, child: El) -> Self {
        child.write_to(&mut self.content);
        self
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
    pub(crate) fn raw(mut self, xml: &str) -> Self {
        self.content.push_str(xml);
        self
    }

    fn write_to(&self, out: &mut String) {
        let Self { name, attributes, content } = self;
        let _ = match content.is_empty() {
            true => write!(out, "<{name}{attributes}/>"),
            false => write!(out, "<{name}{attributes}>{content}</{name}>"),
        };
    }
}

impl fmt::Display for El {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::with_capacity(self.attributes.len() + self.content.len() + 32);
        self.write_to(&mut out);
        f.write_str(&out)
    }
}

/// Writes text so that it means itself in an attribute and between elements. What XML cannot say at all is replaced.
struct Escape<'a>(&'a mut String);

impl fmt::Write for Escape<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match c {
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '&' => self.0.push_str("&amp;"),
                '\'' => self.0.push_str("&apos;"),
                '"' => self.0.push_str("&quot;"),
                '\n' | '\t' => self.0.push(c),
                '\r' => self.0.push_str("&#13;"),
                '\u{FFFE}' | '\u{FFFF}' => self.0.push(char::REPLACEMENT_CHARACTER),
                c if c < ' ' => self.0.push(char::REPLACEMENT_CHARACTER),
                c => self.0.push(c),
            }
        }
        Ok(())
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
    fn what_people_type_cannot_leave_its_place() {
        let el = El::of("a:b", "x").attr("y", "'/><z>&\"").text("</x>\u{1}\n").child(El::new("c"));
        let text = el.to_string();
        assert_eq!(text, "<x xmlns='a:b' y='&apos;/&gt;&lt;z&gt;&amp;&quot;'>&lt;/x&gt;\u{FFFD}\n<c/></x>");
        let read: Element = text.parse().unwrap();
        assert_eq!(read.attr("y"), Some("'/><z>&\""));
        assert_eq!(text_of(&read).parse::<Element>().unwrap(), read);
    }
}
