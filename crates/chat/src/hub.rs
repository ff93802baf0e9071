//! Who is connected and in which rooms, and the handing out of committed entries to them in order.
//!
//! For each room the hub knows the last entry it handed out. An entry that does not follow it directly means that others were
//! committed that this server has not seen; [`Hub::publish`] says so, and the caller reads them from the log first.

use crate::caller::{Caller, Means};
use crate::event::{Bye, Event, Roster, Shared};
use crate::outbox::Outbox;
use crate::view::{EntryView, Person};
use holdfast_domain::roster::is_limited;
use holdfast_domain::{PrincipalId, RoomId, Seq};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Connections of one user at most; the oldest is not pushed out, the newest is refused.
pub(crate) const CONNECTIONS_PER_USER: usize = 50;

/// A live connection as the hub knows it.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: u64,
    pub(crate) caller: Caller,
    pub(crate) outbox: Outbox,
}

#[derive(Debug, Default)]
struct LiveRoom {
    connections: HashMap<u64, Arc<Connection>>,
    /// Person -> how many connections.
    people: BTreeMap<PrincipalId, (Person, usize)>,
    limited: bool,
}

#[derive(Debug, Default)]
struct State {
    next_id: u64,
    connections: HashMap<u64, Arc<Connection>>,
    by_user: HashMap<PrincipalId, HashSet<u64>>,
    rooms: HashMap<RoomId, LiveRoom>,
    /// The last entry of each log that was handed out.
    published: HashMap<RoomId, Seq>,
}

/// What became of an attempt to hand out an entry.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Published {
    /// Everybody in the room has it.
    Done,
    /// It had been handed out before.
    Before,
    /// Entries after this one were not handed out yet and must come first.
    MissingAfter(Seq),
    /// Somebody is in the room, so it has to be given as readers see it.
    NeedsView,
}

/// All live connections of this server.
#[derive(Debug)]
pub(crate) struct Hub {
    roster_limit: usize,
    state: Mutex<State>,
}

impl Hub {
    /// With the ends of all logs as they are now.
    pub(crate) fn new(roster_limit: usize, heads: impl IntoIterator<Item = (RoomId, Seq)>) -> Self {
        let state = State { published: heads.into_iter().collect(), ..State::default() };
        Self { roster_limit, state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing below panics while it holds the lock with the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a connection; `None` if its user has too many.
    pub(crate) fn connect(&self, caller: Caller) -> Option<Arc<Connection>> {
        let mut state = self.lock();
        let user = caller.user;
        let own = state.by_user.entry(user).or_default();
        if own.len() >= CONNECTIONS_PER_USER {
            return None;
        }
        state.next_id += 1;
        let id = state.next_id;
        state.by_user.entry(user).or_default().insert(id);
        let connection = Arc::new(Connection { id, caller, outbox: Outbox::default() });
        state.connections.insert(id, Arc::clone(&connection));
        Some(connection)
    }

    /// Forgets a connection and takes it out of its rooms.
    pub(crate) fn disconnect(&self, connection: &Connection) {
        let mut state = self.lock();
        state.connections.remove(&connection.id);
        if let Some(own) = state.by_user.get_mut(&connection.caller.user) {
            own.remove(&connection.id);
            if own.is_empty() {
                state.by_user.remove(&connection.caller.user);
            }
        }
        let rooms: Vec<RoomId> =
            state.rooms.iter().filter(|(_, r)| r.connections.contains_key(&connection.id)).map(|(id, _)| *id).collect();
        for room in rooms {
            self.leave_locked(&mut state, room, connection);
        }
    }

    /// The last entry of a log that was handed out.
    pub(crate) fn published(&self, room: RoomId) -> Seq {
        self.lock().published.get(&room).copied().unwrap_or(Seq::ZERO)
    }

    /// Puts a connection that holds everything up to `cursor` into a room, unless newer entries were handed out meanwhile:
    /// then it answers their end, and the connection has to catch up first.
    pub(crate) fn enter(
        &self,
        room: RoomId,
        connection: &Arc<Connection>,
        person: &Person,
        cursor: Seq,
    ) -> Result<(), Seq> {
        let mut state = self.lock();
        let published = state.published.get(&room).copied().unwrap_or(Seq::ZERO);
        if published > cursor {
            return Err(published);
        }
        if !state.connections.contains_key(&connection.id) {
            return Ok(());
        }
        let live = state.rooms.entry(room).or_default();
        if live.connections.insert(connection.id, Arc::clone(connection)).is_some() {
            return Ok(());
        }
        let entry = live.people.entry(person.id).or_insert_with(|| (person.clone(), 0));
        entry.1 += 1;
        if entry.1 == 1 {
            self.tell_presence(room, live, vec![person.clone()], Vec::new(), Some(connection.id));
        }
        Ok(())
    }

    /// Takes a connection out of a room.
    pub(crate) fn leave(&self, room: RoomId, connection: &Connection) {
        self.leave_locked(&mut self.lock(), room, connection);
    }

    fn leave_locked(&self, state: &mut State, room: RoomId, connection: &Connection) {
        let Some(live) = state.rooms.get_mut(&room) else { return };
        if live.connections.remove(&connection.id).is_none() {
            return;
        }
        let user = connection.caller.user;
        if let Some((_, connections)) = live.people.get_mut(&user) {
            *connections -= 1;
            if *connections == 0
                && let Some((person, _)) = live.people.remove(&user)
            {
                self.tell_presence(room, live, Vec::new(), vec![person], None);
            }
        }
        if live.connections.is_empty() {
            state.rooms.remove(&room);
        }
    }

    /// Tells who came or went, unless the room is too large; when it becomes or ceases to be so, that is told.
    fn tell_presence(
        &self,
        room: RoomId,
        live: &mut LiveRoom,
        joined: Vec<Person>,
        left: Vec<Person>,
        but: Option<u64>,
    ) {
        let count = live.people.len();
        let limited = is_limited(live.limited, count, self.roster_limit);
        let changed = limited != live.limited;
        live.limited = limited;
        if limited && !changed {
            return;
        }
        // When telling begins again, the whole roster is told, since what happened meanwhile was not.
        let joined = if changed && !limited { live.people.values().map(|(p, _)| p.clone()).collect() } else { joined };
        let event = Shared::new(Event::Presence { room, joined, left, count, limited });
        for connection in live.connections.values().filter(|c| Some(c.id) != but) {
            connection.outbox.push(&event);
        }
    }

    /// Who is in a room.
    pub(crate) fn roster(&self, room: RoomId) -> Roster {
        let state = self.lock();
        let Some(live) = state.rooms.get(&room) else { return Roster::default() };
        let people =
            if live.limited { Vec::new() } else { live.people.values().map(|(person, _)| person.clone()).collect() };
        Roster { count: live.people.len(), limited: live.limited, people }
    }

    /// How many people are in a room.
    pub(crate) fn present(&self, room: RoomId) -> usize {
        self.lock().rooms.get(&room).map_or(0, |r| r.people.len())
    }

    /// Hands a committed entry to everybody in its room, if it is the next. Where nobody is, no view of it is needed: an
    /// import costs no more than its writing.
    pub(crate) fn publish(&self, room: RoomId, seq: Seq, view: Option<EntryView>) -> Published {
        let mut state = self.lock();
        let state = &mut *state;
        let last = state.published.entry(room).or_insert(Seq::ZERO);
        if seq <= *last {
            return Published::Before;
        }
        if seq != last.next() {
            return Published::MissingAfter(*last);
        }
        if let Some(live) = state.rooms.get(&room) {
            let Some(view) = view else { return Published::NeedsView };
            let event = Shared::new(Event::Entry(Box::new(view)));
            for connection in live.connections.values() {
                connection.outbox.push(&event);
            }
        }
        *last = seq;
        Published::Done
    }

    /// Tells everybody in a room.
    pub(crate) fn tell_room(&self, room: RoomId, event: Event, but: Option<u64>) {
        let state = self.lock();
        if let Some(live) = state.rooms.get(&room) {
            let event = Shared::new(event);
            for connection in live.connections.values().filter(|c| Some(c.id) != but) {
                connection.outbox.push(&event);
            }
        }
    }

    /// Tells all connections of a user.
    pub(crate) fn tell_user(&self, user: PrincipalId, event: Event) {
        let state = self.lock();
        let Some(own) = state.by_user.get(&user) else { return };
        let event = Shared::new(event);
        for connection in own.iter().filter_map(|id| state.connections.get(id)) {
            connection.outbox.push(&event);
        }
    }

    /// Whether a connection is in a room.
    pub(crate) fn is_in(&self, room: RoomId, connection: &Connection) -> bool {
        self.lock().rooms.get(&room).is_some_and(|r| r.connections.contains_key(&connection.id))
    }

    /// Ends the connections that `of_user` made by `means`; all of them if `means` is `None`, but never the one by `but`.
    pub(crate) fn end(&self, of_user: PrincipalId, means: Option<Means>, but: Option<Means>) {
        let state = self.lock();
        let own = state.by_user.get(&of_user).into_iter().flatten().filter_map(|id| state.connections.get(id));
        for connection in own {
            let by = connection.caller.by;
            if means.is_none_or(|m| m == by) && but != Some(by) {
                connection.outbox.close(Bye::SessionEnded);
            }
        }
    }

    /// Ends all connections.
    pub(crate) fn end_all(&self, bye: &Bye) {
        for connection in self.lock().connections.values() {
            connection.outbox.close(bye.clone());
        }
    }

    /// Users who are in `room`, and through which connections.
    pub(crate) fn connections_in(&self, room: RoomId) -> Vec<Arc<Connection>> {
        self.lock().rooms.get(&room).map(|r| r.connections.values().cloned().collect()).unwrap_or_default()
    }

    /// The rooms that somebody is in.
    pub(crate) fn occupied(&self) -> Vec<RoomId> {
        self.lock().rooms.keys().copied().collect()
    }

    /// Users with a connection.
    pub(crate) fn connected_users(&self) -> Vec<PrincipalId> {
        self.lock().by_user.keys().copied().collect()
    }

    /// How many connections there are.
    pub(crate) fn connections(&self) -> usize {
        self.lock().connections.len()
    }

    /// Forgets a room that was deleted.
    pub(crate) fn forget(&self, room: RoomId) {
        let mut state = self.lock();
        state.rooms.remove(&room);
        state.published.remove(&room);
    }
}
