//! Presence of occupants: who comes, who goes, and as what.

use super::farewell::Farewell;
use super::occupants::Occupant;
use super::standing::{Affiliation, Role, Standing};
use crate::door::Door;
use crate::ns;
use crate::xml::El;
use holdfast_chat::event::Wire;
use holdfast_chat::view::Person;
use holdfast_domain::name::key;
use holdfast_domain::{PrincipalId, RoomId};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

/// What is told of an occupant.
pub(crate) struct Told<'a> {
    /// The room's address.
    pub(crate) room: &'a str,
    /// His name there.
    pub(crate) nick: &'a str,
    /// Who.
    pub(crate) user: PrincipalId,
    /// In which room, by number.
    pub(crate) id: RoomId,
    /// His own address.
    pub(crate) jid: &'a str,
    /// What he is there.
    pub(crate) standing: Standing,
}

impl Told<'_> {
    /// He is there. `content`: what his client says of itself; `codes`: what the receiver is told besides.
    pub(crate) fn here(&self, content: &str, codes: &[u16]) -> El {
        let Standing { affiliation, role, .. } = self.standing;
        let item = item(affiliation, role).attr("jid", self.jid);
        self.presence(content, El::of(ns::MUC_USER, "x").child(item).children(statuses(codes)))
    }

    /// He is called otherwise from now on (XEP-0045 section 7.6).
    pub(crate) fn renamed(&self, nick: &str, codes: &[u16]) -> El {
        let Standing { affiliation, role, .. } = self.standing;
        let item = item(affiliation, role).attr("jid", self.jid).attr("nick", nick);
        self.presence("", El::of(ns::MUC_USER, "x").child(item).children(statuses(codes))).attr("type", "unavailable")
    }

    pub(super) fn presence(&self, content: &str, x: El) -> El {
        let presence = El::new("presence").attr("from", format_args!("{}/{}", self.room, self.nick)).raw(content);
        let presence = presence.child(x).child(occupant_id(self.id, self.user));
        match hats(self.standing) {
            Some(hats) => presence.child(hats),
            None => presence,
        }
    }
}

/// What he is.
pub(crate) fn item(affiliation: Affiliation, role: Role) -> El {
    El::new("item").attr("affiliation", affiliation.word()).attr("role", role.word())
}

/// Status codes (XEP-0045 section 15.6.2).
pub(crate) fn statuses(codes: &[u16]) -> impl Iterator<Item = El> + '_ {
    codes.iter().map(|code| El::new("status").attr("code", code))
}

/// The id by which an occupant is known whatever he is called (XEP-0421): the same for one person in one room for ever.
pub(crate) fn occupant_id(room: RoomId, user: PrincipalId) -> El {
    let digest = Sha256::digest(format!("occupant {user} of {room}"));
    let mut id = String::with_capacity(24);
    for byte in digest.iter().take(12) {
        let _ = write!(id, "{byte:02x}");
    }
    El::of(ns::OID, "occupant-id").attr("id", id)
}

/// Titles (XEP-0317).
fn hats(standing: Standing) -> Option<El> {
    let worn = [
        (standing.administrator, "Administrator", "administrator"),
        (standing.manager, "Manager", "manager"),
        (standing.presenter, "Presenter", "presenter"),
    ];
    let hat = |(_, title, uri): &(bool, &str, &str)| {
        El::new("hat").attr("title", title).attr("uri", format_args!("urn:holdfast:role:{uri}"))
    };
    let worn: Vec<El> = worn.iter().filter(|(wears, ..)| *wears).map(hat).collect();
    (!worn.is_empty()).then(|| El::of(ns::HATS, "hats").children(worn))
}

impl Door {
    /// Tells everybody in a room over XMPP.
    pub(crate) fn tell_room(&self, room: RoomId, stanza: &El, passing: bool) {
        self.tell_here(room, stanza.to_string(), passing);
    }

    /// As [`Self::tell_room`] a stanza that is written already.
    pub(crate) fn tell_here(&self, room: RoomId, stanza: String, passing: bool) {
        self.chat.tell_door(room, Wire::Xmpp, stanza.into(), passing);
    }

    /// The presences of all who are in a room over XMPP, but `but`, as a newcomer is told them.
    pub(crate) fn occupants_of(&self, room: RoomId, jid: &str, but: &str) -> Vec<El> {
        let occupants = self.occupants.all(room);
        let directory = self.chat.directory();
        let Some(state) = directory.room(room) else { return Vec::new() };
        let told = |occupant: Occupant| {
            let address = occupant.seats.last().map(|seat| seat.jid.clone()).unwrap_or_default();
            let told = Told {
                room: jid,
                nick: &occupant.nick,
                user: occupant.user,
                id: room,
                jid: &address,
                standing: super::standing::of(&directory, occupant.user, state),
            };
            told.here(&occupant.presence(), &[])
        };
        occupants.into_iter().filter(|o| o.nick != but).map(told).collect()
    }

    /// The presence of somebody who is in a room by the web.
    pub(crate) fn other(&self, room: RoomId, jid: &str, person: &Person, comes: bool) -> Option<El> {
        let standing = super::standing::of_id(&self.chat.directory(), person.id, room)?;
        let (address, nick) = (self.domains.of_person(&person.name), person.distinct_name());
        let told = Told { room: jid, nick: &nick, user: person.id, id: room, jid: &address, standing };
        Some(match comes {
            true => told.here("", &[]),
            false => told.gone(&Farewell::default(), &[]),
        })
    }

    /// Those who are in a room by the web and have no client under the name that they show there.
    pub(crate) fn others_in(&self, room: RoomId) -> Vec<Person> {
        let others = self.chat.others_in(room).into_iter();
        others.filter(|person| !self.occupants.sits(room, &person.distinct_name(), person.id)).collect()
    }

    /// What those who stay in a room are told of an occupant who has gone out of it: nothing of that, unless somebody else had him go, if he is still there by the
    /// web under the same name.
    pub(crate) fn gone(&self, room: RoomId, told: &Told<'_>, farewell: &Farewell) -> Vec<El> {
        let same = |person: &Person| person.id == told.user && key(&person.distinct_name()) == key(told.nick);
        let still = self.chat.others_in(room).into_iter().find(same);
        let still = still.and_then(|person| self.other(room, told.room, &person, true));
        match still {
            Some(still) if farewell.is_his_own() => vec![still],
            still => [told.gone(farewell, &[])].into_iter().chain(still).collect(),
        }
    }
}
