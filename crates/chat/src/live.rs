//! A live connection: being in rooms, hearing what happens there, and catching up on what was missed.
//!
//! A connection that comes into a room says which entry it has last. What was committed since is read from the log and queued; only
//! when it holds everything that has been handed out is it put among those to whom new entries are handed. The hub checks that
//! under its lock, so nothing is missed and nothing comes twice.

use crate::caller::{Caller, Scope};
use crate::error::{ChatError, Result};
use crate::event::{Bye, Event, Shared, Wire};
use crate::hub::Connection;
use crate::pool::signal::Signal;
use crate::service::Chat;
use crate::view::{EntryView, Person};
use bytes::Bytes;
use holdfast_domain::rights::Action;
use holdfast_domain::{RoomId, Seq, Time};
use holdfast_store::log::From;
use holdfast_store::pool::{Condition, Preserved};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

/// Entries that are sent for having been missed; more are to be read from history.
const MOST_MISSED: i64 = 1_000;
/// Entries read at a time while catching up.
const PAGE: usize = 200;
/// Rooms of one request to join.
const ROOMS_AT_ONCE: usize = 1_000;
/// Writing in a room is told once in this time.
const TYPING_MS: i64 = 2_000;

/// Somebody's live connection; dropping it ends it.
pub struct Live {
    chat: Chat,
    connection: Arc<Connection>,
    person: Person,
    typed: Mutex<HashMap<RoomId, Time>>,
}

/// A room to come into.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Joining {
    /// The room.
    pub room: RoomId,
    /// The last entry that the connection has there; `None`: it begins with what is new.
    pub after: Option<Seq>,
    /// The epoch under which it got that entry; `None`: it does not know of epochs.
    pub epoch: Option<i64>,
}

impl std::convert::From<(RoomId, Option<Seq>)> for Joining {
    fn from((room, after): (RoomId, Option<Seq>)) -> Joining {
        Joining { room, after, epoch: None }
    }
}

/// Tells one connection something of its own door's. Outlives the connection, and then tells nobody.
#[derive(Clone)]
pub struct Teller(Arc<Connection>);

impl Teller {
    /// Puts something behind what waits for the connection already.
    pub fn tell(&self, bytes: Bytes) {
        self.0.outbox.push(&Shared::new(Event::Door { bytes, passing: false }));
    }

    /// Ends the connection.
    pub fn end(&self, bye: Bye) {
        self.0.outbox.close(bye);
    }
}

impl Chat {
    /// Tells all connections of a door that are in a room something in its own words. `passing`: who does not keep up may miss it.
    pub fn tell_door(&self, room: RoomId, wire: Wire, bytes: Bytes, passing: bool) {
        self.hub().tell_door(room, wire, &Shared::new(Event::Door { bytes, passing }), None);
    }

    /// Who is in a room by other doors than XMPP; nobody if the room is too large for a roster.
    pub fn others_in(&self, room: RoomId) -> Vec<Person> {
        self.hub().others(room)
    }

    /// Whether coming and going is not told in a room, because it is too large.
    pub fn is_crowded(&self, room: RoomId) -> bool {
        self.hub().is_limited(room)
    }

    /// Opens a live connection.
    ///
    /// # Errors
    /// When the caller may not use chat, has too many connections, the server is stopping, or another one is to be used.
    pub fn connect(&self, caller: &Caller) -> Result<Live> {
        self.connect_by(caller, Wire::Json)
    }

    /// As [`Chat::connect`], by one door or another.
    ///
    /// # Errors
    /// As [`Chat::connect`].
    pub fn connect_by(&self, caller: &Caller, wire: Wire) -> Result<Live> {
        caller.need(Scope::Read)?;
        if self.inner.stopping.is_cancelled() {
            return Err(ChatError::Unavailable("the server is stopping".into()));
        }
        self.admit(Some(caller))?;
        let person = {
            let directory = self.directory();
            self.allow_chat(&directory, caller)?;
            Person::of(&directory, caller.user)
        };
        let connection = self.hub().connect(caller.clone(), wire).ok_or(ChatError::TooMany { retry_after: 30 })?;
        Ok(Live { chat: self.clone(), connection, person, typed: Mutex::new(HashMap::new()) })
    }
}

impl Live {
    /// Who it is.
    pub fn person(&self) -> &Person {
        &self.person
    }

    /// The epoch of what the connection is handed.
    pub fn epoch(&self) -> i64 {
        self.connection.epoch
    }

    /// Comes into rooms, each with the last entry it has there. Takes as long as catching up takes; meanwhile [`Live::next`] must be drained.
    /// Answers the rooms that it may not come into.
    pub async fn join<J: Into<Joining>>(&self, rooms: Vec<J>) -> Vec<(RoomId, ChatError)> {
        let rooms: Vec<Joining> = rooms.into_iter().map(Into::into).collect();
        // What was handed out under the epoch that is handed out now is still so.
        let epoch = self.chat.epoch();
        let other = |j: &Joining| j.epoch.filter(|of| j.after.is_some() && *of != epoch);
        let read: Vec<(RoomId, i64)> =
            rooms.iter().take(ROOMS_AT_ONCE).filter_map(|j| Some((j.room, other(j)?))).collect();
        let mut kept = VecDeque::new();
        if !read.is_empty() {
            match self.chat.patiently(|| self.chat.preserved(&read)).await {
                Ok((_, of)) => kept = of.into(),
                Err(error) => {
                    // Nothing can be said of any of them.
                    let why = error.to_string();
                    return rooms.iter().map(|j| (j.room, ChatError::Unavailable(why.clone()))).collect();
                }
            }
        }
        let mut refused = Vec::new();
        for (i, joining) in rooms.into_iter().enumerate() {
            let Joining { room, after, .. } = joining;
            let joined = if i < ROOMS_AT_ONCE {
                let kept = other(&joining).and_then(|_| kept.pop_front());
                self.join_one(room, after, kept.unwrap_or(Preserved::All)).await
            } else {
                Err(ChatError::invalid("rooms", format!("at most {ROOMS_AT_ONCE} rooms can be joined at once")))
            };
            if let Err(error) = joined {
                refused.push((room, error));
            }
        }
        refused
    }

    /// What the connection has there as far as it is still so; says what is not.
    fn cut(&self, room: RoomId, after: Seq, kept: Preserved) -> Result<Option<Seq>> {
        let through = match kept {
            Preserved::Through(through) if through < after => Some(through),
            Preserved::All | Preserved::Through(_) => return Ok(Some(after)),
            Preserved::Unknown => None,
            Preserved::Behind => {
                let why = "you have seen a later state of this pool than the database of this server has; connect to another server";
                return Err(ChatError::Conflict(why.into()));
            }
        };
        self.push(Event::Cut { room, epoch: self.chat.epoch(), after, through });
        Ok(through)
    }

    async fn join_one(&self, room: RoomId, after: Option<Seq>, kept: Preserved) -> Result<()> {
        self.chat.allow(&self.connection.caller, room, Action::Join)?;
        let after = match after {
            Some(after) => self.cut(room, after, kept)?,
            None => None,
        };
        let hub = self.chat.hub();
        if let Some(after) = after {
            // Whoever comes from another server may have more than was handed out here.
            self.chat.patiently(|| self.chat.reach(room, after)).await?;
        }
        let head = hub.published(room);
        let mut roster = hub.roster(room);
        if !roster.limited && !roster.people.iter().any(|p| p.id == self.person.id) {
            roster.people.push(self.person.clone());
            roster.count += 1;
        }
        self.push(Event::Joined { room, epoch: self.epoch(), head, roster: roster.clone() });
        let mut cursor = after.unwrap_or(head);
        let reads_history = self.chat.allow(&self.connection.caller, room, Action::ReadHistory).is_ok();
        // An entry beyond the end was lost with a database that has been restored: what the reader holds is of no use.
        let impossible = cursor > head || cursor < Seq::ZERO;
        if impossible || head.0 - cursor.0 > MOST_MISSED || (cursor < head && !reads_history) {
            self.push(Event::Gap { room, epoch: self.epoch(), after: cursor, head });
            cursor = head;
        }
        while let Err(published) = hub.enter(room, &self.connection, &self.person, cursor, Some(&roster)) {
            if !reads_history {
                cursor = published;
                continue;
            }
            let page = || async {
                let page = self.chat.store().page(room, From::After(cursor), PAGE).await?;
                // Looked at after the page: what another database has does not follow what the connection has.
                self.chat.same_epoch().await.map(|()| page)
            };
            let page = self.chat.patiently(page).await?;
            // What the log has beyond that is handed out in a moment, to this connection too.
            let Some(last) = page.rows.last().map(|row| row.entry.seq.min(published)) else {
                if self.chat.database().condition != Condition::Ready {
                    let why = "what can be read of the database now does not have the newest entries yet";
                    return Err(ChatError::Unavailable(why.into()));
                }
                // The hub knows of entries that the log does not give: never, unless the store is damaged.
                tracing::error!(%room, %cursor, %published, "entries that were handed out are not in the log");
                return Err(ChatError::Internal);
            };
            for row in page.rows.into_iter().filter(|row| row.entry.seq <= last) {
                if !self.connection.outbox.has_space().await {
                    return Ok(());
                }
                let view = EntryView::of(&self.chat.directory(), row);
                self.push(Event::Entry(Box::new(view)));
            }
            cursor = last;
        }
        // The right may have gone while catching up; whoever took it saw nobody in the room to put out.
        if let Err(error) = self.chat.allow(&self.connection.caller, room, Action::Join) {
            hub.leave(room, &self.connection);
            return Err(error);
        }
        Ok(())
    }

    /// Comes into a room with nothing but what is new, for a door that reads what was before by itself. Answers the end of its log: what is
    /// handed out from now on follows that.
    ///
    /// # Errors
    /// When the caller may not.
    pub fn enter(&self, room: RoomId) -> Result<Seq> {
        let caller = &self.connection.caller;
        self.chat.allow_in(&self.chat.directory(), caller, room, Action::Join)?;
        let hub = self.chat.hub();
        let mut cursor = hub.published(room);
        while let Err(published) = hub.enter(room, &self.connection, &self.person, cursor, None) {
            cursor = published;
        }
        // As in `join_one`.
        let may = self.chat.allow_in(&self.chat.directory(), caller, room, Action::Join).map(|_| ());
        if may.is_err() {
            hub.leave(room, &self.connection);
        }
        may.map(|()| cursor)
    }

    /// Tells the other connections of its door that are in a room something in the door's own words.
    pub fn tell_door(&self, room: RoomId, bytes: Bytes, passing: bool) {
        let event = Shared::new(Event::Door { bytes, passing });
        self.chat.hub().tell_door(room, self.connection.wire, &event, Some(self.connection.id));
    }

    /// A way to tell this connection something from elsewhere.
    pub fn teller(&self) -> Teller {
        Teller(Arc::clone(&self.connection))
    }

    /// Leaves a room; nothing happens if it was not in it.
    pub fn leave(&self, room: RoomId) {
        self.chat.hub().leave(room, &self.connection);
    }

    /// Tells the others in a room that this person is writing. Told now and then, and only by those who are in the room and may post.
    pub fn typing(&self, room: RoomId) {
        let now = self.chat.now();
        {
            let mut typed = self.typed.lock().unwrap_or_else(PoisonError::into_inner);
            if typed.get(&room).is_some_and(|at| now.millis() - at.millis() < TYPING_MS) {
                return;
            }
            typed.retain(|_, at| now.millis() - at.millis() < TYPING_MS);
            typed.insert(room, now);
        }
        let hub = self.chat.hub();
        let may = self.chat.allow(&self.connection.caller, room, Action::Post).is_ok();
        if may && hub.is_in(room, &self.connection) {
            let event = Event::Typing { room, person: self.person.clone() };
            hub.tell_room(room, event, Some(self.connection.id));
            if let Some(pooled) = &self.chat.inner.pooled {
                pooled.teller.tell_if_heard(Signal::Typing(vec![(room, self.person.id)]));
            }
        }
    }

    /// Moves the reading position forward.
    ///
    /// # Errors
    /// As [`Chat::mark_read`].
    pub async fn mark_read(&self, room: RoomId, seq: Seq) -> Result<()> {
        self.chat.mark_read(&self.connection.caller, room, seq).await.map(|_| ())
    }

    /// Waits for events and takes up to `most`; none means that the connection has ended.
    pub async fn next(&self, most: usize) -> Vec<Arc<Shared>> {
        self.connection.outbox.take(most).await
    }

    fn push(&self, event: Event) {
        self.connection.outbox.push(&Shared::new(event));
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.chat.hub().disconnect(&self.connection);
    }
}
