//! People who are in a room by another server of the pool. They are known there by the names that they show, whatever nick they chose at
//! their own server.

use super::parcel::{ForOccupant, Parcel};
use crate::door::Door;
use crate::muc::occupants::Occupant;
use crate::session::orders::Order;
use crate::xml::El;
use holdfast_chat::view::Person;
use holdfast_domain::name::key;
use holdfast_domain::{PrincipalId, RoomId};

impl Door {
    /// Who is `nick` in a room: by XMPP here, by the web, or at another server.
    pub(crate) fn person_in(&self, room: RoomId, nick: &str) -> Option<PrincipalId> {
        let seated = self.occupants.named(room, nick).map(|occupant| occupant.user);
        let shown = || self.chat.others_in(room).into_iter().find(|p| key(&p.display_name) == key(nick));
        seated.or_else(|| shown().map(|person| person.id))
    }

    /// Who is shown as `nick` in a room and has clients at other servers.
    pub(crate) fn elsewhere_in(&self, room: RoomId, nick: &str) -> Option<Person> {
        self.all_elsewhere_in(room).into_iter().find(|person| key(&person.display_name) == key(nick))
    }

    /// Those in a room who have clients at other servers.
    pub(crate) fn all_elsewhere_in(&self, room: RoomId) -> Vec<Person> {
        if !self.post.goes_anywhere() {
            return Vec::new();
        }
        self.chat.others_in(room).into_iter().filter(|person| self.is_elsewhere(person.id)).collect()
    }

    fn is_elsewhere(&self, user: PrincipalId) -> bool {
        self.resources.of(user).iter().any(|resource| !resource.is_here())
    }

    /// Tells clients of somebody that are in a room by other servers: all, or one of each server.
    pub(crate) fn tell_elsewhere_in(&self, room: RoomId, user: PrincipalId, stanza: &El, all: bool) {
        let what = ForOccupant::Stanza { stanza: stanza.to_string(), all };
        self.post.send(&Parcel::Occupant { room, user, what });
    }

    /// Sends somebody out of a room at other servers.
    pub(crate) fn send_out_elsewhere(&self, room: RoomId, user: PrincipalId, by: &str, reason: &str) {
        let what = ForOccupant::Kicked { by: by.to_owned(), reason: reason.to_owned() };
        self.post.send(&Parcel::Occupant { room, user, what });
    }

    /// Gives somebody who is in a room at this server what another one sent.
    pub(crate) fn give_to_occupant(&self, room: RoomId, user: PrincipalId, what: &ForOccupant) {
        for occupant in self.occupants.all(room).iter().filter(|occupant| occupant.user == user) {
            match what {
                ForOccupant::Stanza { stanza, all } => {
                    // The one that spoke of itself last is at the end.
                    let seats = occupant.seats.iter().rev().take(if *all { usize::MAX } else { 1 });
                    seats.for_each(|seat| seat.teller.tell(stanza.clone().into()));
                }
                ForOccupant::Kicked { by, reason } => self.send_out(room, occupant, by, reason),
            }
        }
    }

    /// Sends an occupant out of a room at this server.
    pub(crate) fn send_out(&self, room: RoomId, occupant: &Occupant, by: &str, reason: &str) {
        for seat in &occupant.seats {
            if let Some(resource) = self.resources.keyed(occupant.user, seat.connection) {
                resource.order(Order::Kicked { room, by: by.to_owned(), reason: reason.to_owned() });
            }
        }
    }
}
