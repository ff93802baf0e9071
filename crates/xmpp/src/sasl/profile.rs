//! The two ways in which a stream carries a sign-in: RFC 6120's (section 6), and XEP-0388's, which needs no new stream and has room for what a client
//! wants besides.

use super::Failure;
use crate::ns;
use crate::xml::El;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minidom::Element;

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// That of RFC 6120.
    Core,
    /// That of XEP-0388.
    Extensible,
}

impl Profile {
    /// The one whose namespace it is.
    pub(crate) fn of(ns: &str) -> Option<Profile> {
        match ns {
            ns::SASL => Some(Profile::Core),
            ns::SASL2 => Some(Profile::Extensible),
            _ => None,
        }
    }

    fn ns(self) -> &'static str {
        match self {
            Profile::Core => ns::SASL,
            Profile::Extensible => ns::SASL2,
        }
    }

    /// The client's first words; `None` if they are not readable.
    pub(crate) fn first_words(self, element: &Element) -> Option<Vec<u8>> {
        match self {
            Profile::Core => decoded(element),
            Profile::Extensible => match element.get_child("initial-response", ns::SASL2) {
                Some(words) => decoded(words),
                None => Some(Vec::new()),
            },
        }
    }

    /// What the client is to answer.
    pub(crate) fn challenge(self, words: &[u8]) -> El {
        El::of(self.ns(), "challenge").text(STANDARD.encode(words))
    }

    /// That somebody is signed in, with the mechanism's last words; of XEP-0388 see [`Success`].
    pub(crate) fn success(self, words: &[u8]) -> El {
        El::of(self.ns(), "success").text(STANDARD.encode(words))
    }

    /// That somebody is not signed in, and why.
    pub(crate) fn failure(self, failure: Failure) -> El {
        let condition = match self {
            Profile::Core => El::new(failure.condition),
            Profile::Extensible => El::of(ns::SASL, failure.condition),
        };
        let element = El::of(self.ns(), "failure").child(condition);
        match failure.why {
            Some(why) => element.child(El::new("text").attr("xml:lang", "en").text(why)),
            None => element,
        }
    }
}

/// What SASL says in an element; `None` if it is no Base 64.
pub(crate) fn decoded(element: &Element) -> Option<Vec<u8>> {
    match element.text().trim() {
        "" | "=" => Some(Vec::new()),
        text => STANDARD.decode(text).ok(),
    }
}

/// That a client is signed in, as XEP-0388 tells it: held back until what it asked for besides is done.
#[derive(Debug, Default)]
pub(crate) struct Success {
    words: Vec<u8>,
    /// Why the session that it wanted to go on with does not (XEP-0198 section 5).
    not_resumed: Option<&'static str>,
}

impl Success {
    /// With the mechanism's last words.
    pub(crate) fn new(words: Vec<u8>) -> Self {
        Self { words, not_resumed: None }
    }

    /// Its session does not go on.
    pub(crate) fn without_session(self, why: &'static str) -> Self {
        Self { not_resumed: Some(why), ..self }
    }

    /// As the client is told it. `as_whom`: its address, as far as it has one. `more`: what came of what it asked for.
    pub(crate) fn told(self, as_whom: &str, more: impl IntoIterator<Item = El>) -> El {
        let mut element = El::of(ns::SASL2, "success");
        if !self.words.is_empty() {
            element = element.field("additional-data", STANDARD.encode(self.words));
        }
        element = element.field("authorization-identifier", as_whom);
        if let Some(why) = self.not_resumed {
            element = element.child(El::of(ns::SM_3, "failed").child(El::of(ns::XMPP_STANZAS, why)));
        }
        element.children(more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_said_in_the_words_of_its_profile() {
        let failure = || Failure { condition: "not-authorized", why: Some("no".into()) };
        let said = Profile::Extensible.failure(failure()).to_string();
        let word = "<not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";
        assert!(said.starts_with(&format!("<failure xmlns='urn:xmpp:sasl:2'>{word}<text")), "{said}");
        let said = Profile::Core.failure(failure()).to_string();
        assert!(said.starts_with("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/><text"), "{said}");
    }

    #[test]
    fn success_holds_what_came_of_all_that_was_asked() {
        let success = Success::new(b"v=x".to_vec()).without_session("item-not-found");
        let said = success.told("a@b/c", [El::of(ns::BIND2, "bound")]).to_string();
        assert_eq!(
            said,
            "<success xmlns='urn:xmpp:sasl:2'><additional-data>dj14</additional-data>\
             <authorization-identifier>a@b/c</authorization-identifier><failed xmlns='urn:xmpp:sm:3'>\
             <item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed><bound xmlns='urn:xmpp:bind:0'/></success>"
        );
    }
}
