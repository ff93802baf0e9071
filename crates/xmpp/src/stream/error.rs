//! Why a stream ends (RFC 6120 section 4.9).

use crate::ns;
use crate::xml::El;

/// Why a stream ends, with a sentence for whoever looks into his client's log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{condition}: {why}")]
pub(crate) struct StreamError {
    /// The word for it.
    pub(crate) condition: &'static str,
    /// A sentence.
    pub(crate) why: String,
    /// Of `see-other-host`: where to go.
    pub(crate) other_host: Option<String>,
}

impl StreamError {
    /// An end of this kind.
    pub(crate) fn new(condition: &'static str, why: impl Into<String>) -> Self {
        Self { condition, why: why.into(), other_host: None }
    }

    /// Another server takes the client.
    pub(crate) fn see_other_host(host: String) -> Self {
        let why = "another server of the pool goes on".to_owned();
        Self { condition: "see-other-host", why, other_host: Some(host) }
    }

    /// The element.
    pub(crate) fn element(&self) -> El {
        let condition = El::of(ns::XMPP_STREAMS, self.condition);
        let condition = match &self.other_host {
            Some(host) => condition.text(host),
            None => condition,
        };
        let text = El::of(ns::XMPP_STREAMS, "text").attr("xml:lang", "en").text(&self.why);
        El::new("stream:error").child(condition).child(text)
    }
}
