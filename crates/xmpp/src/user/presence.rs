//! Presence: who may see it is told, and subscriptions are asked for, granted and ended (RFC 6121 sections 3 and 4).

use super::blocking::{BLOCKED, blocks, in_list};
use super::direct::WAITING;
use super::roster::{CONTACTS, Contact, REQUESTS, read_contacts};
use super::vcard::VCARD;
use crate::door::Door;
use crate::muc::entering::content;
use crate::ns;
use crate::resources::Resource;
use crate::session::Session;
use crate::session::events::headline;
use crate::stanza::StanzaError;
use crate::xml::{El, child_text};
use holdfast_chat::notices::sentence;
use holdfast_domain::PrincipalId;
use jid::{BareJid, Jid};
use minidom::Element;

/// What a presence says of which client is to get its owner's messages; 0 if nothing.
fn priority(presence: &Element) -> i8 {
    child_text(presence, "priority", ns::CLIENT).and_then(|p| p.trim().parse().ok()).unwrap_or(0)
}

impl Door {
    /// Shows a presence of a client to those clients at this server that see it: its owner's others, and those of his contacts, unless one
    /// of the two blocks the other. At other servers it is shown when they hear of the client.
    pub(crate) fn show_here(&self, of: &Resource, contacts: &[Contact], presence: &El) {
        for other in self.resources.here(of.user) {
            if other.key != of.key && other.is_available() {
                other.tell(presence.to_string().into());
            }
        }
        let blocks = of.state().blocks;
        let Ok(bare) = Jid::new(&of.jid).map(|jid| jid.to_bare()) else { return };
        for contact in contacts.iter().filter(|c| c.from && !in_list(&blocks, &c.jid)) {
            let who = self.domains.person(&self.chat.directory(), &contact.jid);
            for resource in who.into_iter().flat_map(|who| self.resources.here(who)) {
                let state = resource.state();
                if state.presence.is_some() && !in_list(&state.blocks, &bare) {
                    resource.tell(presence.to_string().into());
                }
            }
        }
    }

    /// Shows that a client is not available any more, unless it has come back by another connection under the same name.
    pub(crate) fn show_gone_here(&self, gone: &Resource, contacts: &[Contact], said: &str) {
        if !self.resources.available(gone.user).iter().any(|r| r.key != gone.key && r.name == gone.name) {
            let presence = El::new("presence").attr("from", &gone.jid).attr("type", "unavailable").raw(said);
            self.show_here(gone, contacts, &presence);
        }
    }
}

impl Session {
    /// The client is available, or says something new of itself.
    pub(crate) async fn available(&mut self, element: &Element) {
        if !self.resource.is_available() {
            return self.available_now(element).await;
        }
        let shown = self.with_own_picture(element).await;
        let (before, now) = (self.resource.state().priority, priority(element));
        self.note_presence(&shown, now);
        self.ask_capabilities(element);
        let contacts = self.contacts().await;
        self.show_presence(&contacts);
        if now >= 0 && before < 0 {
            self.give_what_waited().await;
        }
    }

    /// The client has become available.
    async fn available_now(&mut self, element: &Element) {
        // Before what is kept is read: from now on, whoever has something for this person gives it to this client.
        let priority = priority(element);
        self.resource.change(|state| (state.coming, state.priority) = (true, priority));
        let nodes = [VCARD, BLOCKED, CONTACTS, REQUESTS, WAITING];
        let [contacts, requests, waiting] = match self.door.chat.kept_in(self.user(), nodes).await {
            Ok([card, blocked, contacts, requests, waiting]) => {
                self.know_picture_in(&card);
                self.door.resources.know(self.user(), &blocks(blocked));
                [contacts, requests, waiting]
            }
            Err(error) => {
                tracing::warn!(%error, "what somebody's clients keep cannot be read now");
                Default::default()
            }
        };
        let shown = self.with_own_picture(element).await;
        self.note_presence(&shown, priority);
        self.ask_capabilities(element);
        let contacts = read_contacts(&contacts);
        self.show_presence(&contacts);
        if let Some(notice) = self.door.chat.outage() {
            self.tell(headline(&self.door.domains.people, &sentence(&notice)));
        }
        self.see_others(&contacts);
        self.tell_requests(requests);
        if priority >= 0 {
            self.give(waiting).await;
        }
    }

    /// Notes what the client says of itself.
    fn note_presence(&self, element: &Element, priority: i8) {
        let content = content(element);
        self.resource.change(|state| {
            (state.coming, state.presence, state.priority) = (false, Some(content), priority);
        });
    }

    fn show_presence(&self, contacts: &[Contact]) {
        if let Some(content) = self.resource.state().presence {
            let presence = El::new("presence").attr("from", &self.full).raw(&content);
            self.door.show_here(&self.resource, contacts, &presence);
        }
    }

    /// The client is not available any more. `said`: what it says at that.
    pub(crate) async fn unavailable_everywhere(&mut self, said: Option<&Element>) {
        if said.is_some() {
            self.leave_all(false).await;
        }
        if !self.resource.is_available() {
            return;
        }
        self.resource.change(|state| (state.coming, state.presence) = (false, None));
        let content = said.map(content).unwrap_or_else(|| "".into());
        let contacts = self.contacts().await;
        self.door.show_gone_here(&self.resource, &contacts, &content);
    }

    /// Tells this client who of those that it sees is there.
    fn see_others(&mut self, contacts: &[Contact]) {
        let blocks = self.resource.state().blocks;
        let seen = contacts.iter().filter(|c| c.to && !in_list(&blocks, &c.jid));
        let seen: Vec<PrincipalId> = seen.filter_map(|c| self.person_at(&c.jid)).collect();
        for who in seen.into_iter().chain([self.user()]) {
            for resource in self.door.resources.available(who) {
                if resource.key == self.key() {
                    continue;
                }
                let state = resource.state();
                if let Some(content) = state.presence.filter(|_| !in_list(&state.blocks, &self.bare)) {
                    self.tell(El::new("presence").attr("from", &resource.jid).raw(&content));
                }
            }
        }
    }

    /// Whose an address is.
    pub(crate) fn person_at(&self, jid: &BareJid) -> Option<PrincipalId> {
        self.door.domains.person(&self.door.chat.directory(), jid)
    }

    /// A presence to somebody: about subscriptions, or directed to one who sees it only now.
    pub(crate) async fn presence_to(
        &mut self,
        who: PrincipalId,
        resource: Option<&str>,
        kind: Option<&str>,
        element: &Element,
    ) {
        let done = match kind {
            Some("subscribe") => self.ask_to_see(who).await,
            Some("subscribed") => self.let_see(who, true).await,
            Some("unsubscribed") => self.let_see(who, false).await,
            Some("unsubscribe") => self.see_no_more(who).await,
            Some("probe") => Ok(()),
            None | Some("unavailable") => self.show_to(who, resource, kind, element).await,
            Some(_) => Err(StanzaError::bad("there is no such type of presence")),
        };
        if let Err(error) = done {
            self.refuse("presence", element, &error);
        }
    }

    /// Directed presence (RFC 6121 section 4.6).
    async fn show_to(
        &mut self,
        who: PrincipalId,
        resource: Option<&str>,
        kind: Option<&str>,
        element: &Element,
    ) -> Result<(), StanzaError> {
        self.check_blocked(who).await?;
        let presence = El::new("presence").attr("from", &self.full).maybe("type", kind).raw(&content(element));
        match resource {
            Some(name) => {
                if let Some(found) = self.door.resources.named(who, name) {
                    found.tell(presence.to_string().into());
                }
            }
            None => self.deliver_to_all(who, &presence),
        }
        Ok(())
    }

    /// Asks somebody to be let see his presence.
    async fn ask_to_see(&mut self, who: PrincipalId) -> Result<(), StanzaError> {
        self.check_blocked(who).await?;
        let them = self.bare_of(who)?;
        let mut mine = self.contact(&them).await?;
        if mine.to {
            return Ok(());
        }
        mine.ask = true;
        self.keep_contact(self.user(), mine).await?;
        let own = self.bare.clone();
        let mut theirs = self.contact_of(who, &own).await?;
        if theirs.approved {
            // He has said yes before.
            (theirs.from, theirs.approved) = (true, false);
            self.keep_contact(who, theirs).await?;
            return self.granted(who).await;
        }
        self.note_request(who, &own).await?;
        let asks = El::new("presence").attr("to", &them).attr("from", &own).attr("type", "subscribe");
        self.deliver_to_all(who, &asks);
        Ok(())
    }

    /// This person's own side of a subscription that somebody has just granted.
    async fn granted(&mut self, by: PrincipalId) -> Result<(), StanzaError> {
        let them = self.bare_of(by)?;
        let mut mine = self.contact(&them).await?;
        (mine.to, mine.ask) = (true, false);
        self.keep_contact(self.user(), mine).await?;
        let told = El::new("presence").attr("to", &self.bare).attr("from", &them).attr("type", "subscribed");
        self.deliver_to_all(self.user(), &told);
        for resource in self.door.resources.available(by) {
            if let Some(content) = resource.state().presence {
                let presence = El::new("presence").attr("from", &resource.jid).raw(&content);
                self.deliver_to_all(self.user(), &presence);
            }
        }
        Ok(())
    }

    /// Lets somebody see this person's presence, or no longer.
    async fn let_see(&mut self, who: PrincipalId, yes: bool) -> Result<(), StanzaError> {
        let them = self.bare_of(who)?;
        let own = self.bare.clone();
        let asked = self.forget_request(self.user(), &them).await?;
        let mut mine = self.contact(&them).await?;
        let had = mine.from;
        if yes && !asked && !had {
            // Said before it is asked (RFC 6121 section 3.4).
            mine.approved = true;
            return self.keep_contact(self.user(), mine).await;
        }
        if yes == had && !asked {
            return Ok(());
        }
        mine.from = yes;
        mine.approved = false;
        self.keep_contact(self.user(), mine).await?;
        let mut theirs = self.contact_of(who, &own).await?;
        (theirs.to, theirs.ask) = (yes, false);
        self.keep_contact(who, theirs).await?;
        let kind = if yes { "subscribed" } else { "unsubscribed" };
        let told = El::new("presence").attr("to", &them).attr("from", &own).attr("type", kind);
        self.deliver_to_all(who, &told);
        for resource in self.door.resources.available(self.user()) {
            let Some(content) = resource.state().presence else { continue };
            let presence = El::new("presence").attr("from", &resource.jid);
            let presence = if yes { presence.raw(&content) } else { presence.attr("type", "unavailable") };
            self.deliver_to_all(who, &presence);
        }
        Ok(())
    }

    /// Sees somebody's presence no longer.
    async fn see_no_more(&mut self, who: PrincipalId) -> Result<(), StanzaError> {
        let them = self.bare_of(who)?;
        let own = self.bare.clone();
        let mut mine = self.contact(&them).await?;
        (mine.to, mine.ask) = (false, false);
        self.keep_contact(self.user(), mine).await?;
        self.forget_request(who, &own).await?;
        let mut theirs = self.contact_of(who, &own).await?;
        if theirs.from {
            theirs.from = false;
            self.keep_contact(who, theirs).await?;
        }
        let told = El::new("presence").attr("to", &them).attr("from", &own).attr("type", "unsubscribe");
        self.deliver_to_all(who, &told);
        Ok(())
    }

    /// The bare address of somebody.
    pub(crate) fn bare_of(&self, who: PrincipalId) -> Result<BareJid, StanzaError> {
        BareJid::new(&self.address_of(who))
            .map_err(|e| StanzaError::wait("internal-server-error").because(e.to_string()))
    }
}
