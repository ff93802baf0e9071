//! What a client has been sent and not acknowledged (XEP-0198).

use super::{End, Session};
use crate::limits::UNACKNOWLEDGED;
use crate::ns;
use crate::stream::error::StreamError;
use crate::stream::transport::Out;
use crate::xml::El;
use minidom::Element;
use std::collections::VecDeque;
use uuid::Uuid;

/// Stanzas after which the client is asked what has arrived.
const ASK_AFTER: usize = 50;

/// Stream management of one session. Counts are modulo 2^32.
pub(crate) struct Managed {
    /// The name by which the session can be taken up again, if the client wants that.
    pub(crate) id: Option<String>,
    /// Stanzas of the client's that have been dealt with: those that are to be durable are.
    pub(crate) handled: u32,
    sent: u32,
    waiting: VecDeque<Out>,
    since_asked: usize,
}

impl Managed {
    /// From now on, with a name if it can be taken up.
    pub(crate) fn new(id: Option<String>) -> Self {
        Self { id, handled: 0, sent: 0, waiting: VecDeque::new(), since_asked: 0 }
    }

    /// Keeps what is about to be sent, and asks for an acknowledgement now and then.
    ///
    /// # Errors
    /// When too much waits.
    pub(crate) fn note(&mut self, out: &mut Vec<Out>) -> Result<(), ()> {
        for stanza in out.iter().filter(|o| matches!(o, Out::Stanza(_))) {
            self.waiting.push_back(stanza.clone());
            self.sent = self.sent.wrapping_add(1);
            self.since_asked += 1;
        }
        if self.waiting.len() > UNACKNOWLEDGED {
            return Err(());
        }
        if self.since_asked >= ASK_AFTER {
            self.since_asked = 0;
            out.push(Out::element(El::of(ns::SM_3, "r")));
        }
        Ok(())
    }

    /// The client has got `h` stanzas in all.
    ///
    /// # Errors
    /// When it cannot have, since fewer were sent.
    pub(crate) fn settle(&mut self, h: u32) -> Result<(), StreamError> {
        let left = self.sent.wrapping_sub(h) as usize;
        if left > self.waiting.len() {
            return Err(StreamError::handled_too_high(h, self.sent));
        }
        let done = self.waiting.len() - left;
        self.waiting.drain(..done);
        Ok(())
    }

    /// What is to be sent again.
    pub(crate) fn waiting(&self) -> Vec<Out> {
        self.waiting.iter().cloned().collect()
    }
}

impl Session {
    /// Begins stream management.
    pub(super) fn enable(&mut self, element: &Element) {
        if self.managed.is_some() {
            let twice = El::of(ns::XMPP_STANZAS, "unexpected-request");
            return self.tell_element(El::of(ns::SM_3, "failed").child(twice));
        }
        let enabled = self.enabled(element);
        self.tell_element(enabled);
    }

    /// Begins it, and answers what the client is told of that.
    pub(super) fn enabled(&mut self, element: &Element) -> El {
        let resumable = matches!(element.attr("resume"), Some("true" | "1")) && self.door.options.resume_seconds > 0;
        let mut enabled = El::of(ns::SM_3, "enabled");
        let mut id = None;
        if resumable {
            let name = Uuid::new_v4().simple().to_string();
            self.door.parked.add(name.clone(), self.handle_for_resumption());
            let max = self.door.options.resume_seconds;
            enabled = enabled.attr("id", &name).attr("resume", "true").attr("max", max);
            id = Some(name);
        }
        self.managed = Some(Managed::new(id));
        enabled
    }

    /// Says how many stanzas have been dealt with.
    pub(super) fn acknowledge(&mut self) {
        if let Some(managed) = &self.managed {
            let h = managed.handled;
            self.tell_element(El::of(ns::SM_3, "a").attr("h", h));
        }
    }

    /// The client says how many have arrived.
    pub(super) fn acknowledged(&mut self, element: &Element) -> Result<(), End> {
        let Some(managed) = &mut self.managed else { return Ok(()) };
        match element.attr("h").and_then(|h| h.parse().ok()) {
            Some(h) => managed.settle(h).map_err(End::from),
            None => {
                Err(StreamError::new("bad-format", "an acknowledgement says `h`, a number (XEP-0198 section 4)").into())
            }
        }
    }

    /// A session goes on before another has begun, or not at all.
    pub(super) fn refuse_resumption(&mut self) {
        let late = El::of(ns::XMPP_STANZAS, "unexpected-request");
        self.tell_element(El::of(ns::SM_3, "failed").child(late));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_acknowledged_waits() {
        let mut managed = Managed::new(None);
        let mut out: Vec<Out> = (0..3).map(|i| Out::stanza(format!("<message id='{i}'/>"))).collect();
        out.push(Out::element("<a/>"));
        managed.note(&mut out).unwrap();
        assert_eq!(managed.waiting().len(), 3);
        assert!(managed.settle(2).is_ok());
        assert_eq!(managed.waiting().len(), 1);
        assert_eq!(managed.settle(4).unwrap_err().too_high, Some((4, 3)), "more than was sent");
        assert!(managed.settle(1).is_err(), "less than before");
        assert!(managed.settle(3).is_ok());
    }

    #[test]
    fn counts_run_over() {
        let mut managed = Managed::new(None);
        managed.sent = u32::MAX;
        managed.note(&mut vec![Out::stanza("<iq/>"), Out::stanza("<iq/>")]).unwrap();
        assert!(managed.settle(0).is_ok());
        assert_eq!(managed.waiting().len(), 1);
    }

    #[test]
    fn a_client_that_acknowledges_nothing_does_not_fill_the_memory() {
        let mut managed = Managed::new(None);
        let mut out = vec![Out::stanza("<iq/>"); UNACKNOWLEDGED + 1];
        assert!(managed.note(&mut out).is_err());
    }
}
