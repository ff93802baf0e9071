//! Copies for a person's other clients of what one of them sends and gets (XEP-0280).

use crate::ns;
use crate::resources::Resource;
use crate::session::Session;
use crate::stanza::StanzaError;
use crate::xml::El;
use std::sync::Arc;

/// Which way the message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Sent,
    Received,
}

impl Session {
    /// Turns copies for this client on or off.
    pub(crate) fn carbons(&mut self, on: bool) -> Result<Option<El>, StanzaError> {
        self.resource.change(|state| state.carbons = on);
        Ok(None)
    }
}

/// Gives copies of a message to those of `resources` who want them, but `but`. `bare`: whose they are.
pub(crate) fn copy(resources: &[Arc<Resource>], but: &[u64], bare: &str, way: Way, message: &El) {
    let wanting = resources.iter().filter(|r| !but.contains(&r.key) && r.state().carbons);
    let name = match way {
        Way::Sent => "sent",
        Way::Received => "received",
    };
    for resource in wanting {
        let forwarded = El::of(ns::FORWARD, "forwarded").child(message.clone().attr("xmlns", ns::CLIENT));
        let copy = El::new("message")
            .attr("to", &resource.jid)
            .attr("from", bare)
            .attr("type", "chat")
            .child(El::of(ns::CARBONS_2, name).child(forwarded));
        resource.tell(copy.to_string().into());
    }
}
