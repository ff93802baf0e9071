//! Those who are in rooms by other servers of the pool, as this one hears of them: they sit among those who are here, and clients here are told of
//! their coming and going as of that of others.

use super::parcel::{Address, Parcel, Seated};
use crate::door::Door;
use crate::muc::farewell::Farewell;
use crate::muc::occupants::{Left, Line, News, Occupant, Seat};
use crate::muc::presence::Told;
use crate::muc::standing::{self, Standing};
use crate::session::orders::Order;
use crate::xml::El;
use holdfast_chat::view::Person;
use holdfast_domain::name::key;
use holdfast_domain::{PrincipalId, RoomId};
use uuid::Uuid;

impl Door {
    /// Who is `nick` in a room: by XMPP, or by the web.
    pub(crate) fn person_in(&self, room: RoomId, nick: &str) -> Option<PrincipalId> {
        let seated = self.occupants.named(room, nick).map(|occupant| occupant.user);
        let shown = || self.chat.others_in(room).into_iter().find(|p| key(&p.distinct_name()) == key(nick));
        seated.or_else(|| shown().map(|person| person.id))
    }

    /// Tells a connection in a room something, wherever it is.
    pub(crate) fn tell_seat(&self, seat: &Seat, stanza: &El) {
        match &seat.line {
            Line::Here(_, teller) => teller.tell(stanza.to_string().into()),
            Line::Elsewhere(to) => {
                self.post.send(&Parcel::Tell { to: *to, stanza: stanza.to_string(), waits: None });
            }
        }
    }

    /// Tells those who are in a room by other servers something of the moment.
    pub(crate) fn pass_on(&self, room: RoomId, stanza: &El) {
        if self.occupants.any_elsewhere(room) {
            self.post.send(&Parcel::Passing { room, stanza: stanza.to_string() });
        }
    }

    /// Sends an occupant out of a room.
    pub(crate) fn send_out(&self, room: RoomId, occupant: &Occupant, by: &str, reason: &str) {
        let (by, reason) = (by.to_owned(), reason.to_owned());
        for seat in &occupant.seats {
            match seat.line {
                Line::Here(connection, _) => {
                    if let Some(resource) = self.resources.keyed(occupant.user, connection) {
                        resource.order(Order::Kicked { room, by: by.clone(), reason: reason.clone() });
                    }
                }
                Line::Elsewhere(to) => {
                    self.post.send(&Parcel::Kick { to, room, by: by.clone(), reason: reason.clone() });
                }
            }
        }
    }

    /// Another server says that one of its clients sits in a room.
    pub(crate) fn seat_elsewhere(&self, run: Uuid, seated: Seated) {
        let Seated { key, user, room, nick, jid, presence, standing: said } = seated;
        // That server may know of rooms and people of which this one has not heard yet.
        let (login, address, here) = {
            let directory = self.chat.directory();
            let here = standing::of_id(&directory, user, room).unwrap_or(Standing::NOTHING);
            (Person::of(&directory, user).name, self.domains.of_room_id(&directory, room), here)
        };
        let whose = (Address { run, user, key }, jid.clone(), presence.as_str());
        let Some((occupant, news)) = self.occupants.sit_elsewhere(room, (&nick, &login), user, whose) else { return };
        let (nick, standing) = (&occupant.nick, said.unwrap_or(here));
        let told = Told { room: &address, nick, user, id: room, jid: &jid, standing };
        let tells = match news {
            News::Came | News::Said => !self.chat.is_crowded(room),
            News::Nothing => said.is_some() && !self.chat.is_crowded(room),
            News::Beside => false,
            News::Renamed(old) => {
                self.tell_room(room, &Told { nick: &old, ..told }.renamed(nick, &[303]), false);
                true
            }
        };
        if tells {
            self.tell_room(room, &told.here(&occupant.presence(), &[]), false);
        }
    }

    /// Another server says that one of its clients sits in a room no longer. `farewell`: what those who stay are told, if they are.
    pub(crate) fn unseat_elsewhere(&self, run: Uuid, key: u64, room: RoomId, farewell: Option<&Farewell>) {
        let Some(Left { occupant, seat }) = self.occupants.leave_elsewhere(room, run, key) else { return };
        let Some(farewell) = farewell.filter(|_| occupant.seats.is_empty()) else { return };
        let (address, standing) = {
            let directory = self.chat.directory();
            let standing = standing::of_id(&directory, occupant.user, room).unwrap_or(Standing::NOTHING);
            (self.domains.of_room_id(&directory, room), standing)
        };
        let (nick, user) = (occupant.nick.as_str(), occupant.user);
        let told = Told { room: &address, nick, user, id: room, jid: &seat.jid, standing };
        for presence in self.gone(room, &told, farewell) {
            self.tell_room(room, &presence, false);
        }
    }
}
