//! Where a stanza of the client's goes: to the server, to rooms, to people.

use super::Session;
use crate::addresses::Target;
use crate::elsewhere::parcel::too_large_for_elsewhere;
use crate::limits::{PRESENCE_BYTES, STANZA_ELSEWHERE_BYTES};
use crate::muc::entering::content;
use crate::ns;
use crate::stanza::{Iq, StanzaError};
use crate::stream::transport::Out;
use crate::xml::{El, payload, text_of, text_within};
use futures_util::future::BoxFuture;
use jid::Jid;
use minidom::Element;

impl Session {
    /// Whom a stanza is for; nobody named means the client's own account.
    fn target(&self, element: &Element) -> Result<Target, StanzaError> {
        let jid = match element.attr("to") {
            Some(to) => Jid::new(to).map_err(|e| StanzaError::modify("jid-malformed").because(e.to_string()))?,
            None => Jid::from(self.bare.clone()),
        };
        Ok(self.door.domains.target(&self.door.chat.directory(), &jid))
    }

    /// A message. Answers the writing of it, if it is for a room.
    pub(super) async fn message(&mut self, element: Element) -> Option<BoxFuture<'static, Vec<Out>>> {
        let target = match self.target(&element) {
            Ok(target) => target,
            Err(error) => {
                self.refuse("message", &element, &error);
                return None;
            }
        };
        if let (Target::Room(room, _, None), Some("groupchat")) = (&target, element.attr("type")) {
            return self.say(*room, element).await;
        }
        self.finish_posting().await;
        if element.attr("type") == Some("error") {
            // A client that cannot deal with what it got: nobody is to be told.
            return None;
        }
        match target {
            Target::Room(room, _, Some(nick)) => self.whisper(room, &nick, &element),
            Target::Room(room, _, None) => self.aside(room, &element).await,
            Target::Person(Some(who), resource) => self.speak_to(who, resource.as_deref(), &element).await,
            Target::Person(None, _) => self.refuse("message", &element, &StanzaError::unavailable()),
            Target::Server | Target::Rooms | Target::Uploads => {
                self.refuse("message", &element, &StanzaError::unavailable());
            }
            Target::Elsewhere => {
                let why = "this server speaks to no others";
                self.refuse("message", &element, &StanzaError::cancel("remote-server-not-found").because(why));
            }
        }
        None
    }

    /// A presence.
    pub(super) async fn presence(&mut self, element: &Element) {
        let kind = element.attr("type");
        if content(element).len() > PRESENCE_BYTES {
            let why = format!("a presence has at most {PRESENCE_BYTES} bytes");
            return self.refuse("presence", element, &StanzaError::modify("not-acceptable").because(why));
        }
        if element.attr("to").is_none() {
            return match kind {
                None => self.available(element).await,
                Some("unavailable") => self.unavailable_everywhere(Some(element)).await,
                Some(_) => {}
            };
        }
        let shown;
        let element = match kind {
            None => {
                shown = self.with_own_picture(element).await;
                &shown
            }
            Some(_) => element,
        };
        let target = match self.target(element) {
            Ok(target) => target,
            Err(error) => return self.refuse("presence", element, &error),
        };
        match (target, kind) {
            (Target::Room(room, node, Some(nick)), None) => self.enter(room, &node, &nick, element).await,
            (Target::Room(room, _, _), Some("unavailable")) => self.exit(room, element),
            (Target::Room(_, _, None), None) => {
                let error = StanzaError::modify("jid-malformed").because("enter a room under a nick: room@domain/nick");
                self.refuse_with("presence", element, &error, Some(El::of(ns::MUC, "x")));
            }
            (Target::Person(Some(who), resource), kind) => {
                self.presence_to(who, resource.as_deref(), kind, element).await;
            }
            (Target::Elsewhere, Some("subscribe")) => {
                self.refuse("presence", element, &StanzaError::cancel("remote-server-not-found"));
            }
            (Target::Person(None, _), Some("subscribe")) => {
                self.refuse("presence", element, &StanzaError::cancel("item-not-found"));
            }
            _ => {}
        }
    }

    /// An iq.
    pub(super) async fn iq(&mut self, element: &Element) {
        let kind = element.attr("type");
        let (id, kind) = match (element.attr("id"), kind) {
            (Some(id), Some(kind @ ("get" | "set"))) => (id, kind),
            (Some(_), Some("result" | "error")) => return self.answered(element).await,
            _ => {
                let error = StanzaError::bad("an iq has an id, and is of type get, set, result or error");
                return self.refuse("iq", element, &error);
            }
        };
        let Some(payload) = payload(element).filter(|_| element.children().count() == 1) else {
            let error = StanzaError::bad("an iq that asks has exactly one element in it");
            return self.refuse("iq", element, &error);
        };
        let to = match element.attr("to").map(Jid::new).transpose() {
            Ok(to) => to,
            Err(error) => {
                let error = StanzaError::modify("jid-malformed").because(error.to_string());
                return self.refuse("iq", element, &error);
            }
        };
        let iq = Iq { id, set: kind == "set", to, payload };
        let answer = match self.target(element) {
            Ok(Target::Server) => self.ask_server(&iq).await,
            Ok(Target::Rooms) => self.ask_rooms(&iq).await,
            Ok(Target::Uploads) => self.ask_uploads(&iq).await,
            Ok(Target::Room(room, _, None)) => self.ask_room(room, &iq).await,
            Ok(Target::Room(Some(room), _, Some(nick)))
                if !iq.set && iq.asks("vCard", ns::VCARD_TEMP) && self.inside.contains_key(&room) =>
            {
                // Of who he is, not of the client that he is there by (XEP-0045 section 17.4).
                match self.door.person_in(room, &nick) {
                    Some(user) => self.vcard_of(user).await,
                    None => Err(StanzaError::cancel("item-not-found")),
                }
            }
            Ok(Target::Room(room, _, Some(nick))) => match self.ask_occupant(room, &nick, &iq, element) {
                Some(answer) => answer,
                None => return,
            },
            Ok(Target::Person(Some(who), None)) if who == self.user() => self.ask_account(&iq).await,
            Ok(Target::Person(Some(who), None)) => self.ask_person(who, &iq).await,
            Ok(Target::Person(Some(who), Some(resource))) => {
                // To another client, which answers itself.
                match self.door.resources.named(who, &resource) {
                    Some(found) => {
                        let asks = El::new("iq").attr("to", &found.jid).attr("from", &self.full).attr("type", kind);
                        let asks = asks.attr("id", id).raw(&text_of(payload)).to_string();
                        match found.is_here() || asks.len() <= STANZA_ELSEWHERE_BYTES {
                            true => return found.tell(asks.into()),
                            false => Err(too_large_for_elsewhere()),
                        }
                    }
                    None => Err(StanzaError::unavailable()),
                }
            }
            Ok(Target::Person(None, _)) => Err(StanzaError::unavailable()),
            Ok(Target::Elsewhere) => {
                Err(StanzaError::cancel("remote-server-not-found").because("this server speaks to no others"))
            }
            Err(error) => Err(error),
        };
        match answer {
            Ok(payload) => self.tell(iq.result(payload)),
            Err(error) => self.tell(iq.error(&error)),
        }
    }

    /// A client's answer to what another, or the server, asked it.
    async fn answered(&mut self, element: &Element) {
        if self.learn_capabilities(element) {
            return self.tell_news().await;
        }
        let content: String = element.children().map(|child| text_within(ns::CLIENT, child)).collect();
        let answer = |to: &str, from: &str| {
            El::new("iq")
                .attr("to", to)
                .attr("from", from)
                .maybe("type", element.attr("type"))
                .maybe("id", element.attr("id"))
                .raw(&content)
        };
        match self.target(element) {
            Ok(Target::Person(Some(who), Some(resource))) => {
                if let Some(found) = self.door.resources.named(who, &resource) {
                    found.tell(answer(&found.jid, self.full.as_str()).to_string().into());
                }
            }
            // To an occupant who asked this one through the room.
            Ok(Target::Room(Some(room), _, Some(nick))) => {
                let Some(inside) = self.inside.get(&room).cloned() else { return };
                let asker = self.door.occupants.named(room, &nick);
                if let Some(seat) = asker.and_then(|o| o.seats.last().cloned()) {
                    let from = format!("{}/{}", inside.jid, inside.nick);
                    self.door.tell_seat(&seat, &answer(&seat.jid, &from));
                }
            }
            _ => {}
        }
    }

    /// What is asked of an occupant: by himself, whether he is still there (XEP-0410); by another, through the room.
    fn ask_occupant(
        &mut self,
        room: Option<holdfast_domain::RoomId>,
        nick: &str,
        iq: &Iq<'_>,
        element: &Element,
    ) -> Option<Result<Option<El>, StanzaError>> {
        let me = room.and_then(|room| Some((room, self.inside.get(&room)?.clone())));
        let Some((room, inside)) = me else {
            let why = "you are not in this room";
            return Some(Err(StanzaError::cancel("not-acceptable").because(why)));
        };
        if holdfast_domain::name::key(nick) == holdfast_domain::name::key(&inside.nick) {
            return Some(match iq.asks("ping", ns::PING) {
                true => Ok(None),
                false => Err(StanzaError::cancel("feature-not-implemented")),
            });
        }
        let Some(seat) = self.door.occupants.named(room, nick).and_then(|o| o.seats.last().cloned()) else {
            let why = format!("nobody here is `{nick}` over XMPP");
            return Some(Err(StanzaError::cancel("item-not-found").because(why)));
        };
        let asks = El::new("iq")
            .attr("to", &seat.jid)
            .attr("from", format_args!("{}/{}", inside.jid, inside.nick))
            .maybe("type", element.attr("type"))
            .attr("id", iq.id)
            .raw(&text_of(iq.payload));
        if !seat.is_here() && asks.to_string().len() > STANZA_ELSEWHERE_BYTES {
            return Some(Err(too_large_for_elsewhere()));
        }
        self.door.tell_seat(&seat, &asks);
        None
    }
}
