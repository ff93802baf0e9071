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
    /// Of more stanzas than were sent was said that they had arrived (XEP-0198 section 4): how many were said, and how many were sent.
    pub(crate) too_high: Option<(u32, u32)>,
}

impl StreamError {
    /// An end of this kind.
    pub(crate) fn new(condition: &'static str, why: impl Into<String>) -> Self {
        Self { condition, why: why.into(), other_host: None, too_high: None }
    }

    /// Another server takes the client.
    pub(crate) fn see_other_host(host: String) -> Self {
        let why = "another server of the pool goes on".to_owned();
        Self { other_host: Some(host), ..Self::new("see-other-host", why) }
    }

    /// The client says that more stanzas arrived than it was sent (XEP-0198 section 4).
    pub(crate) fn handled_too_high(h: u32, sent: u32) -> Self {
        let why = format!("{h} stanzas were acknowledged, and {sent} were sent");
        Self { too_high: Some((h, sent)), ..Self::new("undefined-condition", why) }
    }

    /// The element.
    pub(crate) fn element(&self) -> El {
        let condition = El::of(ns::XMPP_STREAMS, self.condition);
        let condition = match &self.other_host {
            Some(host) => condition.text(host),
            None => condition,
        };
        let text = El::of(ns::XMPP_STREAMS, "text").attr("xml:lang", "en").text(&self.why);
        let too_high = self
            .too_high
            .map(|(h, sent)| El::of(ns::SM_3, "handled-count-too-high").attr("h", h).attr("send-count", sent));
        El::new("stream:error").child(condition).child(text).children(too_high)
    }
}
