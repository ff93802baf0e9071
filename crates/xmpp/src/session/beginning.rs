//! The first that a client is told of its session: that it has an address, by an iq or together with that it is signed in.

use super::Session;
use crate::ns;
use crate::sasl::profile::Success;
use crate::stream::inline::Wanted;
use crate::stream::negotiation::{Asked, features_inside};
use crate::xml::El;

impl Session {
    /// Tells the client that the session has begun.
    pub(super) async fn begin_with(&mut self, asked: Asked) {
        match asked {
            Asked::ByIq(id) => {
                let bind = El::of(ns::BIND, "bind").child(El::new("jid").text(&self.full));
                self.tell(El::new("iq").attr("type", "result").attr("id", id).child(bind));
            }
            Asked::Inline(wanted, success) => self.begin_as_wanted(&wanted, success).await,
        }
    }

    /// XEP-0386 section 3.2: the client reads the archive from where it knows it, and from now on gets all there is.
    async fn begin_as_wanted(&mut self, wanted: &Wanted, success: Success) {
        // Before the archive's end is told, so that nothing is passed over that is behind it.
        let waiting = self.what_waits().await;
        let mut bound = El::of(ns::BIND2, "bound");
        if let Ok(Some(metadata)) = self.own_archive_ends().await {
            bound = bound.child(metadata);
            self.pass_over(waiting).await;
        }
        if wanted.carbons {
            self.resource.change(|state| state.carbons = true);
        }
        self.inactive = wanted.inactive;
        if let Some(enable) = &wanted.enable {
            let enabled = self.enabled(enable);
            bound = bound.child(enabled);
        }
        let as_whom = self.full.to_string();
        self.tell_element(success.told(&as_whom, [bound]));
        self.tell_element(features_inside(self.door.options.stanza_bytes, self.managed.is_none()));
    }
}
