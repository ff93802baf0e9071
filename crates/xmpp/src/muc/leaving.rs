//! Going out of a room: by oneself, by force, or because the server stops. And changing nick or presence while inside.

use super::entering::content;
use super::farewell::Farewell;
use super::occupants::Taken;
use super::presence::{Told, item, statuses};
use super::standing::{self, Role, Standing};
use crate::ns;
use crate::session::{Inside, Session};
use crate::stanza::StanzaError;
use crate::xml::{El, child_text};
use holdfast_domain::RoomId;
use minidom::Element;

impl Session {
    /// Goes out of a room, and those who stay are told how. `told`: whether the client is told itself.
    pub(crate) fn go(&mut self, room: RoomId, nick: &str, farewell: &Farewell, told: bool) {
        let left = self.door.occupants.leave(room, nick, self.key(), Some(farewell));
        self.inside.remove(&room);
        let (jid, standing) = match self.room_now(room) {
            Ok((jid, standing, _)) => (jid, standing),
            Err(_) => {
                let directory = self.door.chat.directory();
                (self.door.domains.of_room_id(&directory, room), Standing::NOTHING)
            }
        };
        let full = self.full.to_string();
        let me = Told { room: &jid, nick, user: self.user(), id: room, jid: &full, standing };
        // Others still see him while he is there by another connection.
        if left.is_some_and(|occupant| occupant.seats.is_empty()) {
            for presence in self.door.gone(room, &me, farewell) {
                self.announce(room, &presence);
            }
        }
        self.live.leave(room);
        if told {
            self.tell(me.gone(farewell, &[110]));
        }
    }

    /// Is put out of a room.
    pub(crate) fn put_out(&mut self, room: RoomId, reason: &str) {
        let Some(inside) = self.inside.get(&room).cloned() else { return };
        let gone = self.door.chat.directory().room(room).is_none();
        if gone {
            let destroy = El::new("destroy").field("reason", reason);
            self.door.occupants.leave(room, &inside.nick, self.key(), None);
            self.inside.remove(&room);
            self.live.leave(room);
            let full = self.full.to_string();
            let jid = inside.jid.clone();
            let me = Told {
                room: &jid,
                nick: &inside.nick,
                user: self.user(),
                id: room,
                jid: &full,
                standing: inside.standing,
            };
            let leaves = item(me.standing.affiliation, Role::None).attr("jid", me.jid);
            let x = El::of(ns::MUC_USER, "x").child(leaves).child(destroy).children(statuses(&[110]));
            let from = format_args!("{jid}/{}", inside.nick).to_string();
            return self.tell(El::new("presence").attr("from", from).attr("type", "unavailable").child(x));
        }
        let affiliation = {
            let directory = self.door.chat.directory();
            standing::of_id(&directory, self.user(), room).map_or(standing::Affiliation::None, |s| s.affiliation)
        };
        // Whom the category does not admit any more is banned, whoever is no member any more is not.
        let code = match affiliation {
            standing::Affiliation::Outcast => 301,
            _ if inside.standing.affiliation > standing::Affiliation::None => 321,
            _ => 322,
        };
        self.go(room, &inside.nick, &Farewell::put_out(affiliation, code, reason), true);
    }

    /// Is sent out by somebody who moderates the room (XEP-0045 section 8.2).
    pub(crate) fn kicked_out(&mut self, room: RoomId, by: &str, reason: &str) {
        let Some(inside) = self.inside.get(&room).cloned() else { return };
        self.go(room, &inside.nick, &Farewell::kicked(by, reason), true);
    }

    /// Leaves all rooms. `stopping`: because the server stops, not the client.
    pub(crate) async fn leave_all(&mut self, stopping: bool) {
        let farewell = Farewell::ended(stopping);
        let inside: Vec<(RoomId, Inside)> = self.inside.drain().collect();
        for (room, inside) in inside {
            self.go(room, &inside.nick, &farewell, stopping);
        }
    }

    /// Presence of somebody who is inside: another nick, or something new about him.
    pub(crate) async fn change_in_room(&mut self, room: RoomId, nick: &str, stanza: &Element) {
        let Some(inside) = self.inside.get(&room).cloned() else { return };
        if nick == inside.nick {
            return self.tell_change(room, &inside.nick, Some(stanza));
        }
        let wanted = match self.check_nick(nick) {
            Ok(wanted) => wanted,
            Err(error) => return self.refuse_with("presence", stanza, &error, Some(El::of(ns::MUC, "x"))),
        };
        let Ok((jid, standing, _)) = self.room_now(room) else { return };
        let seat = self.seat(content(stanza));
        let full = self.full.to_string();
        let names = (inside.nick.as_str(), wanted.as_str());
        if let Err(Taken) = self.door.occupants.move_over(room, names, (self.user(), standing), seat) {
            let error = StanzaError::cancel("conflict").because(format!("somebody else is `{wanted}` here"));
            return self.refuse_with("presence", stanza, &error, Some(El::of(ns::MUC, "x")));
        }
        let old = Told { room: &jid, nick: &inside.nick, user: self.user(), id: room, jid: &full, standing };
        self.announce(room, &old.renamed(&wanted, &[303]));
        self.tell(old.renamed(&wanted, &[303, 110]));
        let new = Told { nick: &wanted, ..old };
        let content = content(stanza);
        self.announce(room, &new.here(&content, &[]));
        self.tell(new.here(&content, &[110]));
        self.inside.insert(room, Inside { nick: wanted, ..inside });
    }

    /// Tells everybody in a room what this occupant is now.
    pub(crate) fn tell_change(&mut self, room: RoomId, nick: &str, stanza: Option<&Element>) {
        let Ok((jid, standing, _)) = self.room_now(room) else { return };
        let content = match stanza {
            Some(stanza) => {
                let content = content(stanza);
                let seat = self.seat(content.clone());
                if self.door.occupants.sit(room, nick, (self.user(), standing), seat).is_err() {
                    return;
                }
                content
            }
            None => {
                self.door.occupants.tell_standing(room, nick, self.key(), standing);
                self.door.occupants.named(room, nick).map(|o| o.presence()).unwrap_or_else(|| "".into())
            }
        };
        let full = self.full.to_string();
        let me = Told { room: &jid, nick, user: self.user(), id: room, jid: &full, standing };
        if !self.door.chat.is_crowded(room) {
            self.announce(room, &me.here(&content, &[]));
        }
        self.tell(me.here(&content, &[110]));
        if let Some(inside) = self.inside.get_mut(&room) {
            inside.standing = standing;
        }
    }

    /// Presence of type `unavailable` to a room.
    pub(crate) fn exit(&mut self, room: Option<RoomId>, stanza: &Element) {
        let inside = room.and_then(|room| Some((room, self.inside.get(&room)?.nick.clone())));
        if let Some((room, nick)) = inside {
            let said = child_text(stanza, "status", ns::CLIENT).unwrap_or_default();
            self.go(room, &nick, &Farewell::said(&said), true);
        }
    }
}
