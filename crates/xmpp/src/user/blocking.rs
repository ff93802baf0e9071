//! People of whom somebody wants to hear nothing (XEP-0191).

use super::roster::Contact;
use crate::elsewhere::parcel::Common;
use crate::limits;
use crate::ns;
use crate::session::Session;
use crate::stanza::{Iq, StanzaError};
use crate::xml::El;
use holdfast_chat::keeping::Item;
use holdfast_domain::PrincipalId;
use jid::{BareJid, Jid};
use minidom::Element;
use std::collections::HashSet;

/// Where the list is kept.
pub(super) const BLOCKED: &str = "blocked";

impl Session {
    /// The list.
    pub(crate) async fn blocked(&mut self) -> Result<Option<El>, StanzaError> {
        let list = self.door.chat.kept_items(self.user(), BLOCKED).await?;
        Ok(Some(El::of(ns::BLOCK, "blocklist").children(list.iter().map(|i| El::new("item").attr("jid", &i.id)))))
    }

    /// Adds to it.
    pub(crate) async fn block(&mut self, iq: &Iq<'_>) -> Result<Option<El>, StanzaError> {
        let jids = jids(iq.payload)?;
        if jids.is_empty() {
            return Err(StanzaError::bad("say whom"));
        }
        let now = self.door.chat.now();
        let items = jids.iter().map(|jid| (jid.clone(), now, String::new())).collect();
        // Whoever is blocked sees this person go, and this person him (section 3.2); then neither hears of the other.
        let met = self.meeting(&jids).await;
        self.part(&met);
        self.door.chat.keep_items(self.user(), BLOCKED, items, limits::BLOCKED).await?;
        let blocks = self.blocks_now().await?;
        self.door.let_know(self.user(), blocks);
        self.tell_own(&El::of(ns::BLOCK, "block").children(jids.iter().map(|j| El::new("item").attr("jid", j))));
        Ok(None)
    }

    /// Takes from it; everybody, if nobody is named.
    pub(crate) async fn unblock(&mut self, iq: &Iq<'_>) -> Result<Option<El>, StanzaError> {
        let jids = jids(iq.payload)?;
        let were: Vec<String> = match jids.is_empty() {
            true => self.door.chat.kept_items(self.user(), BLOCKED).await?.into_iter().map(|item| item.id).collect(),
            false => jids.clone(),
        };
        if jids.is_empty() {
            self.door.chat.drop_node(self.user(), BLOCKED).await?;
        } else {
            self.door.chat.drop_items(self.user(), BLOCKED, jids.clone()).await?;
        }
        let blocks = self.blocks_now().await?;
        self.door.let_know(self.user(), blocks);
        let met = self.meeting(&were).await;
        self.meet_again(&met);
        self.tell_own(&El::of(ns::BLOCK, "unblock").children(jids.iter().map(|j| El::new("item").attr("jid", j))));
        Ok(None)
    }

    /// Whom this person blocks, for all his clients to know.
    pub(crate) async fn blocks_now(&mut self) -> Result<Common, StanzaError> {
        Ok(blocks(self.door.chat.kept_items(self.user(), BLOCKED).await?))
    }

    /// Contacts whom these addresses mean, and who they are.
    async fn meeting(&mut self, jids: &[String]) -> Vec<(Contact, PrincipalId)> {
        let meant = |contact: &Contact| {
            let domain = contact.jid.domain().as_str();
            jids.iter().any(|jid| jid == contact.jid.as_str() || jid == domain)
        };
        let contacts = self.contacts().await;
        let who = |contact: Contact| self.person_at(&contact.jid).map(|who| (contact, who));
        contacts.into_iter().filter(meant).filter_map(who).collect()
    }

    /// Neither sees the other any more, as far as they did.
    fn part(&self, met: &[(Contact, PrincipalId)]) {
        let gone = |jid: &str| El::new("presence").attr("from", jid).attr("type", "unavailable");
        for (contact, who) in met {
            if contact.from {
                for own in self.door.resources.available(self.user()) {
                    self.show(*who, &gone(&own.jid));
                }
            }
            if contact.to {
                for theirs in self.door.resources.available(*who) {
                    self.deliver_to_all(self.user(), &gone(&theirs.jid));
                }
            }
        }
    }

    /// They see each other again, as far as they did, unless the other blocks this one.
    fn meet_again(&self, met: &[(Contact, PrincipalId)]) {
        for (contact, who) in met {
            for own in self.door.resources.available(self.user()).into_iter().filter(|_| contact.from) {
                if let Some(content) = own.state().presence {
                    self.show(*who, &El::new("presence").attr("from", &own.jid).raw(&content));
                }
            }
            for theirs in self.door.resources.available(*who).into_iter().filter(|_| contact.to) {
                let state = theirs.state();
                if let Some(content) = state.presence.filter(|_| !in_list(&state.blocks, &self.bare)) {
                    self.deliver_to_all(self.user(), &El::new("presence").attr("from", &theirs.jid).raw(&content));
                }
            }
        }
    }

    /// Shows a presence of this person to all clients of somebody, unless one of the two blocks the other.
    pub(crate) fn show(&self, who: PrincipalId, presence: &El) {
        let own = self.resource.state().blocks;
        if self.bare_of(who).is_ok_and(|them| in_list(&own, &them)) {
            return;
        }
        for resource in self.door.resources.available(who) {
            if !in_list(&resource.state().blocks, &self.bare) {
                resource.tell(presence.to_string().into());
            }
        }
    }

    fn tell_own(&self, payload: &El) {
        for resource in self.door.resources.of(self.user()) {
            let id = format!("block-{}", uuid::Uuid::new_v4().simple());
            let push = El::new("iq").attr("to", &resource.jid).attr("type", "set").attr("id", id);
            resource.tell(push.child(payload.clone()).to_string().into());
        }
    }

    /// Refuses what one of the two does not want.
    pub(crate) async fn check_blocked(&mut self, who: PrincipalId) -> Result<(), StanzaError> {
        if who == self.user() {
            return Ok(());
        }
        let own = self.bare.to_string();
        if self.blocks(who, &own).await? {
            // As if nobody were there (XEP-0191 section 3.3).
            return Err(StanzaError::unavailable());
        }
        let them = self.address_of(who);
        if self.blocks(self.user(), &them).await? {
            let why = format!("you have blocked {them}");
            return Err(StanzaError::cancel("not-acceptable").because(why).with(El::of(ns::BLOCK_ERRORS, "blocked")));
        }
        Ok(())
    }

    async fn blocks(&mut self, who: PrincipalId, jid: &str) -> Result<bool, StanzaError> {
        let list = self.door.chat.kept_items(who, BLOCKED).await?;
        let domain = jid.split_once('@').map_or(jid, |(_, domain)| domain);
        Ok(list.iter().any(|item| item.id == jid || item.id == domain))
    }
}

/// The list, for all clients of its owner to know.
pub(super) fn blocks(list: Vec<Item>) -> Common {
    Common::Blocks(list.into_iter().map(|item| item.id).collect())
}

/// Whether a list holds an address or its domain.
pub(crate) fn in_list(list: &HashSet<String>, jid: &BareJid) -> bool {
    !list.is_empty() && (list.contains(jid.as_str()) || list.contains(jid.domain().as_str()))
}

fn jids(payload: &Element) -> Result<Vec<String>, StanzaError> {
    let items = payload.children().filter(|c| c.is("item", ns::BLOCK));
    let jid = |item: &Element| {
        let jid = item.attr("jid").and_then(|jid| Jid::new(jid).ok());
        jid.map(|jid| jid.to_bare().to_string()).ok_or_else(|| StanzaError::modify("jid-malformed"))
    };
    items.map(jid).take(limits::BLOCKED).collect()
}
