//! What happens elsewhere, as the client is told of it.

use super::{End, Inside, Session};
use crate::muc::entry::{changed, stanzas, subject, typing};
use crate::muc::standing;
use crate::ns;
use crate::stream::error::StreamError;
use crate::stream::transport::Out;
use crate::xml::El;
use bytes::Bytes;
use holdfast_chat::event::{Bye, Event, Shared, Wire};
use holdfast_chat::notices::sentence;
use holdfast_chat::view::EntryView;
use holdfast_domain::RoomId;
use holdfast_domain::entry::EntryBody;
use std::sync::Arc;

impl Session {
    /// Tells the client what has happened.
    pub(super) fn hear(&mut self, events: Vec<Arc<Shared>>) -> Result<(), End> {
        for shared in events {
            match shared.event() {
                Event::Door { bytes, passing } => {
                    if !(*passing && self.inactive) {
                        self.push(Out::Stanza(bytes.clone()));
                    }
                }
                Event::Entry(view) => self.entry(&shared, view),
                Event::Others { room, came, went } => self.others(*room, came, went),
                // What happened while coming and going was not told is told now.
                Event::Presence { room, limited: false, .. } => self.tell_all_who_are_there(*room),
                Event::Presence { .. } => {}
                Event::Typing { room, person } => {
                    // Who writes over XMPP here is told of by his own client's words.
                    let (nick, here) = match self.door.occupants.nick_of(*room, person.id) {
                        Some(sits) => sits,
                        None => (person.distinct_name().into_owned(), false),
                    };
                    if let Some(inside) = self.inside.get(room).filter(|_| !self.inactive && !here) {
                        let jid = inside.jid.clone();
                        let bytes = shared.encoded(Wire::Xmpp, |_| typing(&jid, *room, person, &nick).into());
                        self.push(Out::Stanza(bytes));
                    }
                }
                Event::Announcement { text } => {
                    let from = self.door.domains.people.clone();
                    let bytes = shared.encoded(Wire::Xmpp, |_| headline(&from, text).into());
                    self.push(Out::Stanza(bytes));
                }
                Event::Outage { notice: Some(notice) } => {
                    let from = self.door.domains.people.clone();
                    let bytes = shared.encoded(Wire::Xmpp, |_| headline(&from, &sentence(notice)).into());
                    self.push(Out::Stanza(bytes));
                }
                Event::RoomChanged { room } => self.reassess(*room),
                Event::Kicked { room, reason } => self.put_out(*room, reason),
                Event::Invited { invitation, by, .. } => self.invited(invitation.room, &by.name),
                Event::Bye(bye) => return Err(self.farewell(bye)),
                Event::Joined { .. }
                | Event::Cut { .. }
                | Event::Gap { .. }
                | Event::Read { .. }
                | Event::RoomsChanged
                | Event::Outage { notice: None }
                | Event::Feed { .. } => {}
            }
        }
        Ok(())
    }

    /// An entry of a room's log. Its bytes are made once for all who are there.
    fn entry(&mut self, shared: &Shared, view: &EntryView) {
        let room = view.entry.room;
        let Some(Inside { jid, .. }) = self.inside.get(&room) else { return };
        match &view.entry.body {
            Some(EntryBody::Room(put)) => {
                let bytes = shared.encoded(Wire::Xmpp, |_| {
                    let about = put.changed.iter().any(|field| field == "subject");
                    let id = view.entry.client_id.to_string();
                    let from = format!("{jid}/{}", view.author.distinct_name());
                    match about {
                        true => subject(&from, Some(id), &put.now.subject).into(),
                        false => changed(jid, &[104]).into(),
                    }
                });
                self.push(Out::Stanza(bytes));
            }
            // A removal may be of many, and is rare.
            Some(EntryBody::Removal(_)) => {
                for stanza in stanzas(jid, self.door.files(), view) {
                    self.tell(stanza);
                }
            }
            _ => {
                let bytes = shared.encoded(Wire::Xmpp, |_| {
                    stanzas(jid, self.door.files(), view).into_iter().next().map_or_else(Bytes::new, Bytes::from)
                });
                if !bytes.is_empty() {
                    self.push(Out::Stanza(bytes));
                }
            }
        }
    }

    /// Tells the client of everybody in a room but itself.
    pub(crate) fn tell_all_who_are_there(&mut self, room: RoomId) {
        let Some(inside) = self.inside.get(&room).cloned() else { return };
        let door = self.door.clone();
        for presence in door.occupants_of(room, &inside.jid, &inside.nick) {
            self.tell(presence);
        }
        self.others(room, &door.others_in(room), &[]);
    }

    fn others(&mut self, room: RoomId, came: &[holdfast_chat::view::Person], went: &[holdfast_chat::view::Person]) {
        let Some(inside) = self.inside.get(&room).cloned() else { return };
        let door = self.door.clone();
        for (person, comes) in came.iter().map(|p| (p, true)).chain(went.iter().map(|p| (p, false))) {
            // Somebody who is there over XMPP under the same name is that occupant already, or still.
            let seated = door.occupants.sits(room, &person.distinct_name(), person.id);
            if !seated && let Some(presence) = door.other(room, &inside.jid, person, comes) {
                self.tell(presence);
            }
        }
    }

    /// A room's settings or lists changed: this person may be something else in it now.
    fn reassess(&mut self, room: RoomId) {
        let Some(inside) = self.inside.get(&room).cloned() else { return };
        let now = {
            let directory = self.door.chat.directory();
            standing::of_id(&directory, self.user(), room)
        };
        if now.is_some_and(|now| now != inside.standing && now.role > standing::Role::None) {
            self.tell_change(room, &inside.nick, None);
        }
    }

    /// Somebody put this person on a room's list of members.
    fn invited(&mut self, room: RoomId, by: &str) {
        let (jid, by) = {
            let directory = self.door.chat.directory();
            (self.door.domains.of_room_id(&directory, room), self.door.domains.of_person(by))
        };
        let invite = El::new("invite").attr("from", by);
        let message = El::new("message")
            .attr("from", &jid)
            .child(El::of(ns::MUC_USER, "x").child(invite))
            .child(El::of(ns::X_CONFERENCE, "x").attr("jid", &jid));
        self.tell(message);
    }

    fn farewell(&self, bye: &Bye) -> End {
        End::Error(match bye {
            Bye::ShuttingDown => StreamError::new("system-shutdown", "the server is stopping; come back in a moment"),
            Bye::TooSlow => {
                let why = "you did not keep up with what happens; what you missed is in the archive";
                StreamError::new("policy-violation", why)
            }
            Bye::SessionEnded => StreamError::new("conflict", "this sign-in was ended, or the same client came again"),
            Bye::Moved { servers } => self.door.elsewhere(servers),
        })
    }
}

/// Something that the server says to everybody.
pub(crate) fn headline(from: &str, text: &str) -> El {
    let message = El::new("message").attr("from", from).attr("type", "headline");
    message.attr("id", uuid::Uuid::new_v4()).field("body", text)
}
