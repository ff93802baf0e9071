//! Coming into a room (XEP-0045 section 7.2): it may be made by that, and the newcomer is told in this order who is there, that he is, what was said, and
//! what it is about.

use super::entry::{stanzas, subject};
use super::farewell::Farewell;
use super::occupants::{Line, Seat, Taken};
use super::presence::Told;
use super::standing::{self, Standing};
use crate::addresses::name_for;
use crate::limits::{HISTORY_ON_ENTRY, NICK_CHARS, ROOMS};
use crate::ns;
use crate::session::{Inside, Session};
use crate::stanza::StanzaError;
use crate::xml::{El, text_within};
use holdfast_chat::rooms::NewRoom;
use holdfast_chat::{ChatError, Mode, Outcome};
use holdfast_domain::name::{DisplayName, key};
use holdfast_domain::principal::User;
use holdfast_domain::room::{Invitations, Privacy, RoomType};
use holdfast_domain::{RoomId, Seq, Time};
use holdfast_store::log::From;
use minidom::Element;
use std::sync::Arc;

/// Rows read at a time for somebody who enters.
const PAGE: usize = 100;

impl Session {
    /// Presence to a room under a nick.
    pub(crate) async fn enter(&mut self, room: Option<RoomId>, node: &str, nick: &str, stanza: &Element) {
        let x = stanza.get_child("x", ns::MUC).cloned();
        match room {
            // Said again by whoever is inside: a change of nick or of presence, unless the client says that it begins anew.
            Some(room) if self.inside.contains_key(&room) && x.is_none() => {
                self.change_in_room(room, nick, stanza).await;
            }
            room => {
                let entered = self.enter_anew(room, node, nick, stanza, x.as_ref()).await;
                if let Err(error) = entered {
                    let more = El::of(ns::MUC, "x");
                    self.refuse_with("presence", stanza, &error, Some(more));
                }
            }
        }
    }

    async fn enter_anew(
        &mut self,
        room: Option<RoomId>,
        node: &str,
        nick: &str,
        stanza: &Element,
        x: Option<&Element>,
    ) -> Result<(), StanzaError> {
        if self.inside.len() >= ROOMS {
            return Err(
                StanzaError::wait("resource-constraint").because(format!("one connection is in at most {ROOMS} rooms"))
            );
        }
        let wanted = self.check_nick(nick)?;
        let (room, created) = match room {
            Some(room) => (room, false),
            None => self.make_room(node).await?,
        };
        // Whoever enters again has perhaps missed that he was still there.
        let again = self.inside.get(&room).map(|inside| inside.nick.clone());
        if let Some(old) = again.filter(|old| key(old) != key(&wanted)) {
            self.go(room, &old, &Farewell::default(), false);
        }
        let end = self.live.enter(room).map_err(|error| self.no_entry(room, error))?;
        let (jid, standing, about) = self.room_now(room)?;
        let (nick, occupant) = match self.sit(room, &wanted, standing, stanza) {
            Ok(occupant) => (wanted.clone(), occupant),
            Err(Taken) => {
                if !self.inside.contains_key(&room) {
                    self.live.leave(room);
                }
                return Err(StanzaError::cancel("conflict").because(format!("somebody else is `{wanted}` here")));
            }
        };
        let codes = {
            let mut codes = vec![100, 110, 170];
            codes.extend(created.then_some(201));
            codes.extend((nick != *stanza_nick(stanza)).then_some(210));
            codes
        };
        let door = self.door.clone();
        if !door.chat.is_crowded(room) {
            for presence in door.occupants_of(room, &jid, &nick) {
                self.tell(presence);
            }
            for person in door.others_in(room).iter().filter(|p| key(&p.distinct_name()) != key(&nick)) {
                if let Some(presence) = door.other(room, &jid, person, true) {
                    self.tell(presence);
                }
            }
        }
        let full = self.full.to_string();
        let told = Told { room: &jid, nick: &nick, user: self.user(), id: room, jid: &full, standing };
        let content = occupant.presence();
        let first = occupant.seats.len() == 1 && !self.inside.contains_key(&room);
        if first && !door.chat.is_crowded(room) {
            self.announce(room, &told.here(&content, &[]));
        }
        self.tell(told.here(&content, &codes));
        self.inside.insert(room, Inside { nick: nick.clone(), jid: jid.clone(), standing });
        self.tell_history(room, &jid, end, x).await;
        self.tell(subject(&jid, None, &about));
        Ok(())
    }

    /// Checks a nick: somebody else's name is not for taking.
    pub(crate) fn check_nick(&self, nick: &str) -> Result<String, StanzaError> {
        let unfit = |why: String| StanzaError::modify("not-acceptable").because(why);
        let good = DisplayName::parse("nick", nick).map_err(|error| unfit(error.to_string()))?;
        if good.as_str().chars().count() > NICK_CHARS {
            return Err(unfit(format!("a nick has at most {NICK_CHARS} characters")));
        }
        let wanted = key(good.as_str());
        if wanted == key(&self.login) || wanted == key(&self.shown) {
            return Ok(good.as_str().to_owned());
        }
        let directory = self.door.chat.directory();
        let shown_so: Vec<&User> = directory.users_shown_as(good.as_str()).collect();
        if shown_so.iter().any(|user| user.id == self.user()) {
            // Others are shown under his name too.
            return Ok(self.shown.clone());
        }
        if directory.principal_named(good.as_str()).is_some() || shown_so.iter().any(|user| !user.disabled) {
            return Err(StanzaError::cancel("conflict").because(format!("`{}` is somebody else's name", good.as_str())));
        }
        Ok(good.as_str().to_owned())
    }

    /// This connection's seat, with what its presence says.
    pub(crate) fn seat(&self, presence: Arc<str>) -> Seat {
        Seat { line: Line::Here(self.key(), self.live.teller()), jid: self.full.to_string(), presence }
    }

    fn sit(
        &self,
        room: RoomId,
        nick: &str,
        standing: Standing,
        stanza: &Element,
    ) -> Result<super::occupants::Occupant, Taken> {
        let seat = self.seat(content(stanza));
        self.door.occupants.sit(room, nick, (self.user(), standing), seat)
    }

    /// A room of the name that its address stands for, in the category for such rooms; and whether it was made by this.
    async fn make_room(&mut self, node: &str) -> Result<(RoomId, bool), StanzaError> {
        let Some(category) = self.door.category() else {
            return Err(
                StanzaError::cancel("item-not-found").because("there is no such room, and none can be made this way")
            );
        };
        let new = NewRoom {
            category,
            name: name_for(node),
            description: String::new(),
            subject: String::new(),
            room_type: RoomType::Normal,
            privacy: Privacy::Open,
            invitations: Invitations::Inherit,
            add_in_url: None,
            members: Vec::new(),
            managers: Vec::new(),
            presenters: Vec::new(),
        };
        match self.door.chat.add_room(&self.caller, new, Mode::Do).await {
            Ok(Outcome::Done(view)) => Ok((view.room.id, true)),
            Ok(Outcome::Would(_)) => Err(StanzaError::wait("internal-server-error")),
            // Somebody else made it in this moment; or there is one that this person must not know of.
            Err(ChatError::Conflict(why)) => {
                let there = self.door.chat.directory().room_addressed(node).map(|state| state.room.id);
                let mine = there.filter(|id| {
                    let directory = self.door.chat.directory();
                    standing::of_id(&directory, self.user(), *id).is_some_and(|s| s.role != standing::Role::None)
                });
                mine.map(|id| (id, false)).ok_or_else(|| StanzaError::auth("registration-required").because(why))
            }
            Err(ChatError::Unknown(_) | ChatError::Forbidden(_)) => {
                let why = "there is no such room, and you may not make one";
                Err(StanzaError::cancel("not-allowed").because(why))
            }
            Err(other) => Err(other.into()),
        }
    }

    /// Why somebody cannot come in, in XEP-0045's words.
    fn no_entry(&self, room: RoomId, error: ChatError) -> StanzaError {
        let admitted = {
            let directory = self.door.chat.directory();
            standing::of_id(&directory, self.user(), room)
                .is_some_and(|s| s.affiliation != standing::Affiliation::Outcast)
        };
        let text = error.to_string();
        match error {
            ChatError::Forbidden(_) if admitted => StanzaError::auth("registration-required").because(text),
            ChatError::Forbidden(_) => StanzaError::auth("forbidden").because(text),
            // A secret room is answered as one that may not be made.
            ChatError::Unknown(_) => {
                StanzaError::cancel("not-allowed").because("there is no such room, and you may not make one")
            }
            other => other.into(),
        }
    }

    /// Address, one's own standing, and subject of a room.
    pub(crate) fn room_now(&self, room: RoomId) -> Result<(String, Standing, String), StanzaError> {
        let directory = self.door.chat.directory();
        let state = directory.room(room).ok_or_else(|| StanzaError::cancel("item-not-found"))?;
        let standing = standing::of(&directory, self.user(), state);
        Ok((self.door.domains.of_room(&directory, &state.room), standing, state.room.subject.clone()))
    }

    /// Tells all others in a room of this occupant; those who are the same occupant by other connections are told that it is themselves.
    pub(crate) fn announce(&self, room: RoomId, presence: &El) {
        self.live.tell_door(room, presence.to_string().into(), false);
    }

    /// What was said before, as much as the client wants.
    async fn tell_history(&mut self, room: RoomId, jid: &str, end: Seq, x: Option<&Element>) {
        let wish = Wish::read(x, self.door.chat.now());
        let mut found: Vec<El> = Vec::new();
        let mut before = end.next();
        let mut chars = 0;
        while found.len() < wish.stanzas {
            let page = self.door.chat.history(&self.caller, room, From::Before(before), PAGE).await;
            let Ok(page) = page else { break };
            let Some(first) = page.entries.first().map(|view| view.entry.seq) else { break };
            let mut enough = !page.more_before;
            for view in page.entries.iter().rev() {
                let at = view.entry.shown_at();
                if wish.since.is_some_and(|since| at < since) {
                    enough = true;
                    break;
                }
                for stanza in stanzas(jid, self.door.files(), view).into_iter().rev() {
                    let delay = El::of(ns::DELAY, "delay").attr("from", jid).attr("stamp", at);
                    let stanza = stanza.child(delay);
                    chars += stanza.to_string().chars().count();
                    if found.len() >= wish.stanzas || wish.chars.is_some_and(|most| chars > most) {
                        enough = true;
                        break;
                    }
                    found.push(stanza);
                }
                if enough && found.len() >= wish.stanzas {
                    break;
                }
            }
            if enough {
                break;
            }
            before = first;
        }
        for stanza in found.into_iter().rev() {
            self.tell(stanza);
        }
    }
}

/// How much history a client wants (XEP-0045 section 7.2.13).
struct Wish {
    stanzas: usize,
    chars: Option<usize>,
    since: Option<Time>,
}

impl Wish {
    fn read(x: Option<&Element>, now: Time) -> Wish {
        let history = x.and_then(|x| x.get_child("history", ns::MUC));
        let number = |name: &str| history.and_then(|h| h.attr(name)?.parse::<usize>().ok());
        let seconds = number("seconds").map(|s| {
            let ago = i64::try_from(s).unwrap_or(i64::MAX / 2_000).saturating_mul(1_000);
            now.plus_millis(-ago)
        });
        let since = history.and_then(|h| Time::parse(h.attr("since")?).ok());
        let chars = number("maxchars");
        let stanzas = match (number("maxstanzas"), chars) {
            (_, Some(0)) => 0,
            (Some(most), _) => most.min(500),
            (None, _) if since.is_some() || seconds.is_some() => 500,
            (None, _) => HISTORY_ON_ENTRY,
        };
        Wish { stanzas, chars, since: since.max(seconds) }
    }
}

/// What a client's presence says of itself, without what is for the room or ours to say.
pub(crate) fn content(stanza: &Element) -> Arc<str> {
    let ours = [ns::MUC, ns::MUC_USER, ns::OID, ns::HATS, ns::DELAY];
    let kept = stanza.children().filter(|child| !ours.contains(&child.ns().as_str()));
    kept.map(|child| text_within(ns::CLIENT, child)).collect::<String>().into()
}

/// The nick that a presence asks for.
fn stanza_nick(stanza: &Element) -> &str {
    stanza.attr("to").and_then(|to| to.split_once('/')).map_or("", |(_, nick)| nick)
}
