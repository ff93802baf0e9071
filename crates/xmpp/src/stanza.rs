//! Stanzas that came, and answers to them.

use crate::ns;
use crate::xml::El;
use holdfast_chat::ChatError;
use jid::Jid;
use minidom::Element;

/// Why something was not done (RFC 6120 section 8.3).
#[derive(Debug)]
pub(crate) struct StanzaError {
    /// What the client can do about it: `cancel`, `modify`, `auth`, `wait`.
    pub(crate) kind: &'static str,
    /// The word for it.
    pub(crate) condition: &'static str,
    /// A sentence.
    pub(crate) text: Option<String>,
    /// What an extension adds.
    pub(crate) more: Option<El>,
}

impl StanzaError {
    /// It will never work like this.
    pub(crate) fn cancel(condition: &'static str) -> Self {
        Self { kind: "cancel", condition, text: None, more: None }
    }

    /// Something about it has to be changed.
    pub(crate) fn modify(condition: &'static str) -> Self {
        Self { kind: "modify", ..Self::cancel(condition) }
    }

    /// Somebody else may.
    pub(crate) fn auth(condition: &'static str) -> Self {
        Self { kind: "auth", ..Self::cancel(condition) }
    }

    /// Later.
    pub(crate) fn wait(condition: &'static str) -> Self {
        Self { kind: "wait", ..Self::cancel(condition) }
    }

    /// With a sentence.
    pub(crate) fn because(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into());
        self
    }

    /// With what an extension says.
    pub(crate) fn with(mut self, more: El) -> Self {
        self.more = Some(more);
        self
    }

    /// There is no such thing here.
    pub(crate) fn unavailable() -> Self {
        Self::cancel("service-unavailable")
    }

    /// What was sent cannot be understood.
    pub(crate) fn bad(text: impl Into<String>) -> Self {
        Self::modify("bad-request").because(text)
    }

    /// The element.
    pub(crate) fn element(&self) -> El {
        let mut error = El::new("error").attr("type", self.kind).child(El::of(ns::XMPP_STANZAS, self.condition));
        if let Some(text) = &self.text {
            error = error.child(El::of(ns::XMPP_STANZAS, "text").attr("xml:lang", "en").text(text));
        }
        match &self.more {
            Some(more) => error.child(more.clone()),
            None => error,
        }
    }
}

impl From<ChatError> for StanzaError {
    fn from(error: ChatError) -> Self {
        let text = error.to_string();
        let made = match error {
            ChatError::Invalid(_) => Self::modify("not-acceptable"),
            ChatError::Unknown(_) => Self::cancel("item-not-found"),
            ChatError::Forbidden(_) | ChatError::ChatNotAllowed => Self::auth("forbidden"),
            ChatError::BadCredentials | ChatError::NotSignedIn => Self::auth("not-authorized"),
            ChatError::LockedOut { .. } | ChatError::TooMany { .. } => Self::wait("resource-constraint"),
            ChatError::Conflict(_) => Self::cancel("conflict"),
            ChatError::TooLarge { .. } => Self::modify("not-acceptable"),
            ChatError::StorageFull => Self::wait("resource-constraint"),
            ChatError::Elsewhere { .. } => Self::cancel("gone"),
            // What is not known to have failed is told so: it may be sent again and comes once.
            ChatError::Unavailable(_) | ChatError::OutcomeUnknown => Self::wait("remote-server-timeout"),
            ChatError::Internal => Self::wait("internal-server-error"),
        };
        made.because(text)
    }
}

/// An iq that came.
pub(crate) struct Iq<'a> {
    /// Its id.
    pub(crate) id: &'a str,
    /// Whether it asks to change something.
    pub(crate) set: bool,
    /// To whom, as it was written.
    pub(crate) to: Option<Jid>,
    /// What it asks.
    pub(crate) payload: &'a Element,
}

impl Iq<'_> {
    /// Its answer.
    pub(crate) fn result(&self, payload: Option<El>) -> El {
        let iq = El::new("iq").attr("type", "result").attr("id", self.id).maybe("from", self.to.as_ref());
        iq.children(payload)
    }

    /// Its answer where it fails.
    pub(crate) fn error(&self, error: &StanzaError) -> El {
        let iq = El::new("iq").attr("type", "error").attr("id", self.id).maybe("from", self.to.as_ref());
        iq.child(error.element())
    }

    /// Whether it asks for this.
    pub(crate) fn asks(&self, name: &str, ns: &str) -> bool {
        self.payload.is(name, ns)
    }
}

/// The answer to a message or presence that fails.
pub(crate) fn refuse(name: &'static str, stanza: &Element, error: &StanzaError, more: Option<El>) -> El {
    El::new(name)
        .attr("type", "error")
        .maybe("id", stanza.attr("id"))
        .maybe("from", stanza.attr("to"))
        .children(more)
        .child(error.element())
}
