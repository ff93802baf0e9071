//! Messages between two people: kept in both archives before anybody sees them, and given to all clients of the other that take messages.

use super::carbons::{Way, copy};
use crate::door::Door;
use crate::elsewhere::parcel::Parcel;
use crate::limits::ELEMENTS_BYTES;
use crate::ns;
use crate::resources::Resource;
use crate::session::Session;
use crate::session::orders::Order;
use crate::stanza::StanzaError;
use crate::stream::transport::Out;
use crate::xml::{El, child_text, text_within};
use bytes::Bytes;
use holdfast_chat::direct::Sent;
use holdfast_chat::keeping::Item;
use holdfast_domain::{ClientId, PrincipalId};
use minidom::Element;
use std::sync::Arc;
use uuid::Uuid;

/// Where messages wait for somebody who has no client that takes them.
pub(crate) const WAITING: &str = "offline";
/// Messages that wait at most; older ones are in the archive.
const WAITING_MOST: usize = 500;

impl Door {
    /// Gives a stanza to all available clients of somebody at this server.
    pub(crate) fn tell_all_here(&self, user: PrincipalId, stanza: &str) {
        for resource in self.resources.here(user).iter().filter(|r| r.is_available()) {
            resource.tell(stanza.to_owned().into());
        }
    }

    /// Has the clients of somebody at this server read what waits for him, if they take messages.
    pub(crate) fn give_what_waits(&self, user: PrincipalId) {
        for resource in self.resources.here(user).iter().filter(|r| r.state().takes_messages()) {
            resource.order(Order::GiveWhatWaits);
        }
    }
}

impl Session {
    /// A message to a person, perhaps to one client of his.
    pub(crate) async fn speak_to(&mut self, who: PrincipalId, resource: Option<&str>, element: &Element) {
        if let Err(error) = self.speak(who, resource, element).await {
            self.refuse("message", element, &error);
        }
    }

    async fn speak(&mut self, who: PrincipalId, resource: Option<&str>, element: &Element) -> Result<(), StanzaError> {
        self.check_blocked(who).await?;
        let kind = element.attr("type").unwrap_or("normal");
        if kind == "groupchat" {
            return Err(StanzaError::bad("a message to a person is not of type `groupchat`"));
        }
        let content: String = element
            .children()
            .filter(|c| !c.is("stanza-id", ns::SID) && !c.is("delay", ns::DELAY))
            .map(|c| text_within(ns::CLIENT, c))
            .collect();
        if content.len() > ELEMENTS_BYTES * 2 {
            return Err(StanzaError::modify("not-acceptable").because("the message is too large"));
        }
        let to = match resource {
            Some(resource) => format!("{}/{resource}", self.address_of(who)),
            None => self.address_of(who),
        };
        let message = El::new("message")
            .attr("to", &to)
            .attr("from", &self.full)
            .attr("type", kind)
            .maybe("id", element.attr("id"))
            .raw(&content);
        let kept = match is_kept(kind, element) {
            true => Some(self.keep(who, element, &message).await?),
            false => None,
        };
        if let Some(Sent { repeated: true, .. }) = kept {
            // It came before, and was given out then.
            return Ok(());
        }
        let (own, other) = (self.bare.to_string(), self.address_of(who));
        let id = kept.as_ref().map(|kept| kept.message.id);
        let with_id = |by: &str| match id {
            Some(id) => message.clone().child(El::of(ns::SID, "stanza-id").attr("by", by).attr("id", id)),
            None => message.clone(),
        };
        let takers = self.takers(who, resource);
        // What goes to another server may be lost on the way there, and waits until it is given out.
        let waits = id.filter(|_| !takers.iter().any(|taker| taker.is_here()));
        if let Some(id) = waits {
            let now = self.door.chat.now();
            self.door.chat.keep_items(who, WAITING, vec![(id.to_string(), now, String::new())], WAITING_MOST).await?;
        }
        let bytes = || Bytes::from(with_id(&other).to_string());
        for taker in &takers {
            match waits {
                Some(id) => taker.tell_waiting(bytes(), id),
                None => taker.tell(bytes()),
            }
        }
        if waits.is_some() && takers.is_empty() {
            // A client may have come meanwhile, here or at another server.
            self.door.give_what_waits(who);
            self.door.post.send(&Parcel::Waiting(who));
        }
        let takes: Vec<u64> = takers.iter().map(|taker| taker.key).collect();
        let hinted = |name| element.has_child(name, ns::MESSAGE_HINTS);
        let copied =
            matches!(kind, "chat" | "normal") && !element.has_child("private", ns::CARBONS_2) && !hinted("no-copy");
        if copied {
            let door = &self.door;
            copy(&door.resources.of(who), &takes, &other, Way::Received, &with_id(&other));
            if who != self.user() {
                copy(&door.resources.of(self.user()), &[self.key()], &own, Way::Sent, &with_id(&own));
            }
        }
        if takes.is_empty() && id.is_none() && resource.is_some() {
            return Err(StanzaError::unavailable());
        }
        Ok(())
    }

    /// Those clients that take a message.
    fn takers(&self, who: PrincipalId, resource: Option<&str>) -> Vec<Arc<Resource>> {
        match resource.and_then(|name| self.door.resources.named(who, name)) {
            Some(named) => vec![named],
            None => self.door.resources.of(who).into_iter().filter(|r| r.state().takes_messages()).collect(),
        }
    }

    /// Gives a stanza to all available clients of somebody, whatever they say of themselves; it is not kept.
    pub(crate) fn deliver_to_all(&self, who: PrincipalId, stanza: &El) {
        let stanza = stanza.to_string();
        self.door.tell_all_here(who, &stanza);
        self.door.post.send(&Parcel::All { user: who, stanza });
    }

    /// The address of somebody.
    pub(crate) fn address_of(&self, who: PrincipalId) -> String {
        self.door.domains.of(&self.door.chat.directory(), who)
    }

    async fn keep(&mut self, who: PrincipalId, element: &Element, message: &El) -> Result<Sent, StanzaError> {
        let origin = element.get_child("origin-id", ns::SID).and_then(|o| o.attr("id"));
        let unique = origin.or(element.attr("id")).and_then(|id| Uuid::parse_str(id).ok());
        let client_id = ClientId(unique.unwrap_or_else(Uuid::new_v4));
        let text = child_text(element, "body", ns::CLIENT).unwrap_or_default();
        Ok(self.door.chat.send_direct(&self.caller, who, client_id, text, message.to_string()).await?)
    }

    /// Has what this client was given and never acknowledged wait for another, unless another has got it too.
    pub(crate) async fn give_back(&mut self) {
        let Some(managed) = &self.managed else { return };
        let mark = format!("<stanza-id xmlns='{}' by='{}' id='", ns::SID, self.bare);
        let id_of = |out: Out| {
            let Out::Stanza(bytes) = out else { return None };
            let text = std::str::from_utf8(&bytes).ok()?;
            let rest = &text[text.find(&mark)? + mark.len()..];
            // A copy of what another client was given is told by its frame.
            (!text.contains(ns::CARBONS_2)).then(|| rest.split('\'').next().map(str::to_owned))?
        };
        let ids: Vec<String> = managed.waiting().into_iter().filter_map(id_of).collect();
        let others = self
            .door
            .resources
            .available(self.user())
            .iter()
            .any(|r| r.key != self.key() && r.state().takes_messages());
        if ids.is_empty() || others {
            return;
        }
        let now = self.door.chat.now();
        let items = ids.into_iter().map(|id| (id, now, String::new())).collect();
        if let Err(error) = self.door.chat.keep_items(self.user(), WAITING, items, WAITING_MOST).await {
            tracing::debug!(%error, "what a lost client did not get is in the archive alone");
        }
    }

    /// What waits for this person.
    pub(crate) async fn what_waits(&mut self) -> Vec<Item> {
        self.door.chat.kept_items(self.user(), WAITING).await.unwrap_or_default()
    }

    /// Gives what waits for this person to this client.
    pub(crate) async fn give_what_waited(&mut self) {
        let waiting = self.what_waits().await;
        self.give(waiting).await;
    }

    /// Gives this client what waited, and notes that it waits no more.
    pub(crate) async fn give(&mut self, waiting: Vec<Item>) {
        if waiting.is_empty() {
            return;
        }
        let chat = self.door.chat.clone();
        let ids: Vec<i64> = waiting.iter().filter_map(|item| item.id.parse().ok()).collect();
        let Ok(messages) = chat.direct_by_ids(&self.caller, ids).await else { return };
        let own = self.bare.to_string();
        for message in messages {
            let delay = El::of(ns::DELAY, "delay").attr("from", &self.door.domains.people).attr("stamp", message.at);
            let id = El::of(ns::SID, "stanza-id").attr("by", &own).attr("id", message.id);
            if !self.resource.note_given(message.id) {
                // It came from another server while this was read.
                continue;
            }
            if let Some(stanza) = with_more(&message.payload, &[id, delay]) {
                self.push(Out::Stanza(stanza.into()));
            }
        }
        self.pass_over(waiting).await;
    }

    /// Notes that something waits no more: it was given, or is read from the archive.
    pub(crate) async fn pass_over(&mut self, waiting: Vec<Item>) {
        let given: Vec<String> = waiting.into_iter().map(|item| item.id).collect();
        if given.is_empty() {
            return;
        }
        if let Err(error) = self.door.chat.drop_items(self.user(), WAITING, given).await {
            tracing::debug!(%error, "what waited will be given again");
        }
    }
}

/// A kept message with more in it.
fn with_more(payload: &str, more: &[El]) -> Option<String> {
    let more: String = more.iter().map(El::to_string).collect();
    if let Some(open) = payload.strip_suffix("</message>") {
        return Some(format!("{open}{more}</message>"));
    }
    payload.strip_suffix("/>").map(|open| format!("{open}>{more}</message>"))
}

/// Whether a message is for the archive (XEP-0313 section 5.1.2, XEP-0334).
fn is_kept(kind: &str, element: &Element) -> bool {
    let hinted = |name: &str| element.has_child(name, ns::MESSAGE_HINTS);
    if hinted("no-store") || hinted("no-permanent-store") || !matches!(kind, "chat" | "normal") {
        return false;
    }
    let says = element.has_child("body", ns::CLIENT);
    let lasting = element.has_child("reactions", ns::MESSAGE_REACTIONS)
        || element.has_child("retract", ns::MESSAGE_RETRACT)
        || element.has_child("received", "urn:xmpp:receipts")
        || element.has_child("encrypted", "eu.siacs.conversations.axolotl")
        || element.children().any(|c| c.ns() == ns::CHAT_MARKERS_0 && c.name() != "markable");
    says || lasting || hinted("store")
}
