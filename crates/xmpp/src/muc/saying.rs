//! What somebody says in a room: messages, corrections, retractions, reactions, what is only of the moment, and the subject.

use super::entry::parse_stanza_id;
use super::presence::occupant_id;
use crate::limits::ELEMENTS_BYTES;
use crate::ns;
use crate::session::Session;
use crate::stanza::{StanzaError, refuse};
use crate::stream::transport::Out;
use crate::xml::{El, child_text, text_within};
use futures_util::future::BoxFuture;
use holdfast_chat::posting::{NewEdit, NewMessage};
use holdfast_chat::rooms::RoomChange;
use holdfast_chat::{Caller, Chat, ChatError, Mode};
use holdfast_domain::entry::Stanza;
use holdfast_domain::{ClientId, RoomId, Seq};
use minidom::Element;
use std::sync::Arc;
use uuid::Uuid;

/// Names that clients make up are turned into client ids under this one.
const IDS: Uuid = Uuid::from_u128(0x7d0a_3c35_51f2_4f0e_9c7b_2f4c_6a1e_90d4);

/// What a room message comes to.
enum Wanted {
    Post(NewMessage),
    /// A new text for the message that was sent under this id.
    Correct(ClientId, NewEdit),
    Retract(String, ClientId),
    Annotate(ClientId, Stanza),
    /// Nothing that is kept.
    Pass,
}

impl Session {
    /// A message to a room. Answers the writing of it, if something is to be written: what it ends with is told to the sender.
    pub(crate) async fn say(&mut self, room: Option<RoomId>, element: Element) -> Option<BoxFuture<'static, Vec<Out>>> {
        let inside = room.and_then(|room| Some((room, self.inside.get(&room)?.nick.clone())));
        let Some((room, nick)) = inside else {
            let why = "enter the room before you speak in it";
            self.refuse("message", &element, &StanzaError::modify("not-acceptable").because(why));
            return None;
        };
        if let (Some(subject), false) =
            (child_text(&element, "subject", ns::CLIENT), element.has_child("body", ns::CLIENT))
        {
            self.finish_posting().await;
            self.change_subject(room, subject, &element).await;
            return None;
        }
        match self.wanted(room, &nick, &element) {
            Ok(Wanted::Pass) => {
                self.pass(room, &nick, &element);
                None
            }
            Ok(wanted) => {
                let (chat, caller) = (self.door.chat.clone(), Arc::clone(&self.caller));
                Some(Box::pin(async move {
                    match write(&chat, &caller, room, wanted).await {
                        Ok(()) => Vec::new(),
                        Err(error) => vec![Out::stanza(refuse("message", &element, &error, None))],
                    }
                }))
            }
            Err(error) => {
                self.refuse("message", &element, &error);
                None
            }
        }
    }

    fn wanted(&mut self, room: RoomId, nick: &str, element: &Element) -> Result<Wanted, StanzaError> {
        let id = element.attr("id").filter(|id| !id.is_empty());
        let client_id = client_id(id, element.get_child("origin-id", ns::SID).and_then(|o| o.attr("id")));
        let retract = element.get_child("retract", ns::MESSAGE_RETRACT).and_then(|r| r.attr("id"));
        if let Some(of) = retract.or_else(|| retracted_as_before(element)) {
            return Ok(Wanted::Retract(of.to_owned(), client_id));
        }
        let elements = elements(element)?;
        let nick = Some(nick.to_owned()).filter(|nick| *nick != self.shown);
        let sent_id = id.filter(|id| *id != client_id.to_string()).map(str::to_owned);
        let stanza = Stanza { id: sent_id, nick, elements };
        let body = child_text(element, "body", ns::CLIENT);
        let corrected = element.get_child("replace", ns::MESSAGE_CORRECT).and_then(|r| r.attr("id"));
        if let Some(body) = body {
            let stanza = Some(stanza).filter(|s| !s.is_empty());
            let (text, action) = match body.strip_prefix("/me ") {
                Some(rest) if !rest.trim().is_empty() => (rest.to_owned(), true),
                _ => (body, false),
            };
            if let Some(corrected) = corrected {
                let of = self.sent_lately(room, corrected).unwrap_or_else(|| self::client_id(Some(corrected), None));
                // It takes the place of all that was said (XEP-0308 section 3), and the client was told of the files by their addresses.
                let keeps_files = self.door.files_base().is_none();
                let new = NewEdit { client_id, text, title: None, action: Some(action), keeps_files, stanza };
                return Ok(Wanted::Correct(of, new));
            }
            if let Some(id) = id {
                self.note_sent(room, id, client_id);
            }
            let alert = element.children().any(|c| c.is("attention", ns::ATTENTION));
            let new = NewMessage { client_id, text, title: None, alert, action, files: Vec::new(), stanza };
            return Ok(Wanted::Post(new));
        }
        // Without a text: reactions stay, and what asks to stay; typing and the like is of the moment.
        let hinted = |name: &str| element.has_child(name, ns::MESSAGE_HINTS);
        let lasting = element.has_child("reactions", ns::MESSAGE_REACTIONS)
            || element.children().any(|c| c.ns() == ns::CHAT_MARKERS_0 && c.name() != "markable");
        if !stanza.elements.is_empty()
            && (lasting || hinted("store"))
            && !hinted("no-store")
            && !hinted("no-permanent-store")
        {
            return Ok(Wanted::Annotate(client_id, stanza));
        }
        Ok(Wanted::Pass)
    }

    /// Shows something to those who are there now, and to nobody later.
    fn pass(&mut self, room: RoomId, nick: &str, element: &Element) {
        let speaks = self.inside.get(&room).is_some_and(|i| i.standing.role >= super::standing::Role::Participant);
        if !speaks {
            let why = "you may not speak in this room";
            return self.refuse("message", element, &StanzaError::auth("forbidden").because(why));
        }
        let elements = match elements(element) {
            Ok(elements) => elements,
            Err(error) => return self.refuse("message", element, &error),
        };
        let Ok((jid, ..)) = self.room_now(room) else { return };
        let message = El::new("message")
            .attr("from", format_args!("{jid}/{nick}"))
            .attr("type", "groupchat")
            .maybe("id", element.attr("id"))
            .raw(&elements)
            .child(occupant_id(room, self.user()));
        self.door.tell_room(room, &message, true);
        // That somebody is writing is told to the web too, and by that to everybody at the other servers.
        if element.has_child("composing", ns::CHAT_STATES) {
            self.live.typing(room);
        } else {
            self.door.pass_on(room, &message);
        }
    }

    async fn change_subject(&mut self, room: RoomId, subject: String, element: &Element) {
        let subject = subject.replace(['\r', '\n'], " ");
        let change = RoomChange { subject: Some(subject), ..RoomChange::default() };
        if let Err(error) = self.door.chat.change_room(&self.caller, room, change, Mode::Do).await {
            self.refuse("message", element, &error.into());
        }
    }

    /// Notes under which client id a message was sent, for one that corrects it.
    fn note_sent(&mut self, room: RoomId, id: &str, client_id: ClientId) {
        const KEPT: usize = 16;
        // What the id itself tells need not be remembered.
        if self::client_id(Some(id), None) == client_id {
            return;
        }
        if self.sent.len() >= KEPT {
            self.sent.pop_front();
        }
        self.sent.push_back((room, id.to_owned(), client_id));
    }

    fn sent_lately(&self, room: RoomId, id: &str) -> Option<ClientId> {
        self.sent.iter().rev().find(|(r, i, _)| *r == room && i == id).map(|(_, _, client_id)| *client_id)
    }
}

async fn write(chat: &Chat, caller: &Caller, room: RoomId, wanted: Wanted) -> Result<(), StanzaError> {
    match wanted {
        Wanted::Post(new) => chat.post(caller, room, new).await.map(drop)?,
        Wanted::Correct(of, edit) => {
            let seq = chat.sent_as(caller, room, of).await?;
            let seq = seq.ok_or_else(|| {
                StanzaError::cancel("item-not-found")
                    .because("the message that is to be corrected is not known, or not yours")
            })?;
            chat.edit(caller, room, seq, edit).await.map(drop)?;
        }
        Wanted::Retract(id, client_id) => {
            let seq = find(chat, caller, room, &id).await?;
            chat.retract_or_remove(caller, room, seq, client_id, None).await.map(drop)?;
        }
        Wanted::Annotate(client_id, stanza) => chat.annotate(caller, room, client_id, stanza).await.map(drop)?,
        Wanted::Pass => {}
    }
    Ok(())
}

/// The entry of a stanza id, if it is that very one.
pub(crate) async fn find(chat: &Chat, caller: &Caller, room: RoomId, id: &str) -> Result<Seq, StanzaError> {
    let (seq, mark) = parse_stanza_id(id).ok_or_else(|| unknown(id))?;
    match chat.entry(caller, room, seq).await {
        Ok((view, _)) if view.entry.mark() == mark => Ok(seq),
        Ok(_) | Err(ChatError::Unknown(_)) => Err(unknown(id)),
        Err(other) => Err(other.into()),
    }
}

/// There is no such entry, or another one under its number.
pub(crate) fn unknown(id: &str) -> StanzaError {
    StanzaError::cancel("item-not-found").because(format!("there is no message `{id}`"))
}

/// A message's client id. Ids that are unique for ever (UUIDs, and those that say so, XEP-0359) yield the same one, so that a message that is sent
/// again comes once; others are unique in a stream at best, and are taken for new each time.
fn client_id(id: Option<&str>, origin: Option<&str>) -> ClientId {
    if let Some(origin) = origin.filter(|o| !o.is_empty()) {
        return ClientId(Uuid::parse_str(origin).unwrap_or_else(|_| Uuid::new_v5(&IDS, origin.as_bytes())));
    }
    ClientId(id.and_then(|id| Uuid::parse_str(id).ok()).unwrap_or_else(Uuid::new_v4))
}

/// A retraction as it was before XEP-0424 0.4.
fn retracted_as_before(element: &Element) -> Option<&str> {
    let apply = element.get_child("apply-to", ns::FASTEN)?;
    apply.get_child("retract", ns::MESSAGE_RETRACT_OLD)?;
    apply.attr("id")
}

/// What is kept of a message besides its text: everything but what is ours to say.
fn elements(element: &Element) -> Result<String, StanzaError> {
    let mut kept = String::new();
    let says = element.has_child("body", ns::CLIENT);
    for child in element.children() {
        let ours = match (child.name(), child.ns().as_str()) {
            ("body" | "subject" | "thread" | "error", ns::CLIENT) => child.name() != "thread",
            ("stanza-id", ns::SID) | ("occupant-id", ns::OID) | ("x", ns::MUC_USER) | ("delay", ns::DELAY) => true,
            ("replace", ns::MESSAGE_CORRECT) => true,
            // With a text it makes an alert of it, which is told as such.
            ("attention", ns::ATTENTION) => says,
            _ => false,
        };
        if !ours {
            kept.push_str(&text_within(ns::CLIENT, child));
        }
    }
    if kept.len() > ELEMENTS_BYTES {
        let why = format!("what goes along with a message has at most {ELEMENTS_BYTES} bytes");
        return Err(StanzaError::modify("not-acceptable").because(why));
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ids_that_are_unique_for_ever_stand_for_the_same_message() {
        let uuid = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6";
        assert_eq!(client_id(Some(uuid), None), client_id(Some(uuid), None));
        assert_eq!(client_id(None, Some(uuid)).to_string(), uuid);
        assert_eq!(client_id(Some("7"), Some("abc")), client_id(Some("8"), Some("abc")));
        assert_ne!(client_id(Some("7"), None), client_id(Some("7"), None), "a counter begins again in every stream");
    }

    #[test]
    fn what_is_ours_to_say_is_taken_off() {
        let message: Element =
            "<message xmlns='jabber:client'><body>b</body><stanza-id xmlns='urn:xmpp:sid:0' id='1' by='x'/>\
                                <thread>t</thread><store xmlns='urn:xmpp:hints'/><attention xmlns='urn:xmpp:attention:0'/></message>"
                .parse()
                .unwrap();
        assert_eq!(elements(&message).unwrap(), "<thread>t</thread><store xmlns='urn:xmpp:hints'/>");
    }
}
