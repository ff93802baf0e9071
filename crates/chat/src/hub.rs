//! Who is connected and in which rooms, and the handing out of committed entries to them in order.
//!
//! For each room the hub knows the last entry it handed out. An entry that does not follow it directly means that others were
//! committed that this server has not seen; [`Hub::publish`] says so, and the caller reads them from the log first.
//!
//! Who is in a room is so for the whole pool: another server counts as one more connection of each user whom it has there.

mod elsewhere;

use crate::caller::{Caller, Means};
use crate::event::{Bye, Event, Roster, Shared, Wire};
use crate::outbox::Outbox;
use crate::pool::signal::{How, Signal};
use crate::pool::tell::Teller;
use crate::view::{EntryView, Person};
use holdfast_domain::roster::is_limited;
use holdfast_domain::{PrincipalId, RoomId, Seq};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use uuid::Uuid;

/// Connections of one user at most; the oldest is not pushed out, the newest is refused.
pub(crate) const CONNECTIONS_PER_USER: usize = 50;

/// A live connection as the hub knows it.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: u64,
    pub(crate) caller: Caller,
    pub(crate) outbox: Outbox,
    /// The epoch of what it is handed.
    pub(crate) epoch: i64,
    /// The door that it came by.
    pub(crate) wire: Wire,
}

#[derive(Debug, Default)]
struct LiveRoom {
    /// Those of this server.
    connections: HashMap<u64, Arc<Connection>>,
    people: BTreeMap<PrincipalId, Present>,
    limited: bool,
}

/// Somebody who is in a room.
#[derive(Debug)]
struct Present {
    person: Person,
    /// By how many connections of this server.
    here: usize,
    /// By how many of them over XMPP, where that door tells of him.
    over_xmpp: usize,
    /// On how many other servers.
    elsewhere: usize,
    /// On how many of them by XMPP alone.
    elsewhere_over_xmpp: usize,
}

#[derive(Debug, Default)]
struct State {
    next_id: u64,
    connections: HashMap<u64, Arc<Connection>>,
    by_user: HashMap<PrincipalId, HashSet<u64>>,
    rooms: HashMap<RoomId, LiveRoom>,
    /// The rooms that connections are in, so that one that ends need not be looked for in all.
    inside: HashMap<u64, Vec<RoomId>>,
    /// Who is in which room on the other servers, by their runs.
    elsewhere: HashMap<Uuid, HashMap<RoomId, BTreeMap<PrincipalId, How>>>,
    /// The last entry of each log that was handed out.
    published: HashMap<RoomId, Seq>,
    /// The epoch under which they were read; 0 where there is no pool.
    epoch: i64,
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
    /// Hears who comes and goes here, in a pool.
    teller: Option<Arc<Teller>>,
    state: Mutex<State>,
}

impl Hub {
    /// With the ends of all logs as they are now, and the epoch under which they were read.
    pub(crate) fn new(
        roster_limit: usize,
        teller: Option<Arc<Teller>>,
        heads: impl IntoIterator<Item = (RoomId, Seq)>,
        epoch: i64,
    ) -> Self {
        let state = State { published: heads.into_iter().collect(), epoch, ..State::default() };
        Self { roster_limit, teller, state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing below panics while it holds the lock with the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a connection; `None` if its user has too many.
    pub(crate) fn connect(&self, caller: Caller, wire: Wire) -> Option<Arc<Connection>> {
        let mut state = self.lock();
        let user = caller.user;
        let own = state.by_user.entry(user).or_default();
        if own.len() >= CONNECTIONS_PER_USER {
            return None;
        }
        state.next_id += 1;
        let id = state.next_id;
        state.by_user.entry(user).or_default().insert(id);
        let connection = Arc::new(Connection { id, caller, outbox: Outbox::default(), epoch: state.epoch, wire });
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
        for room in state.inside.remove(&connection.id).unwrap_or_default() {
            self.leave_locked(&mut state, room, connection);
        }
    }

    /// The epoch of what is handed out.
    pub(crate) fn epoch(&self) -> i64 {
        self.lock().epoch
    }

    /// The last entry of a log that was handed out.
    pub(crate) fn published(&self, room: RoomId) -> Seq {
        self.lock().published.get(&room).copied().unwrap_or(Seq::ZERO)
    }

    /// Puts a connection that holds everything up to `cursor` into a room, unless newer entries were handed out meanwhile:
    /// then it answers their end, and the connection has to catch up first. Who came and went since the roster that it was
    /// told, if it was told one, is told now: catching up takes its time.
    pub(crate) fn enter(
        &self,
        room: RoomId,
        connection: &Arc<Connection>,
        person: &Person,
        cursor: Seq,
        told: Option<&Roster>,
    ) -> Result<(), Seq> {
        let mut state = self.lock();
        let state = &mut *state;
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
        state.inside.entry(connection.id).or_default().push(room);
        let present = live.present(person);
        let (plain, how) = (present.plain(), present.how_here());
        present.here += 1;
        present.over_xmpp += usize::from(connection.wire == Wire::Xmpp);
        let comes = plain == 0 && present.plain() > 0;
        let first = present.here == 1 && present.elsewhere == 0;
        self.tell_how(room, person.id, how, present.how_here());
        if comes {
            live.tell_others(room, vec![person.clone()], Vec::new());
        }
        if first {
            self.tell_presence(room, live, vec![person.clone()], Vec::new(), Some(connection.id));
        }
        if let Some(event) = told.and_then(|told| live.since(room, told)) {
            connection.outbox.push(&Shared::new(event));
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
        no_longer_in(&mut state.inside, connection.id, room);
        let user = connection.caller.user;
        if let Some(present) = live.people.get_mut(&user) {
            let (plain, how) = (present.plain(), present.how_here());
            present.here -= 1;
            present.over_xmpp -= usize::from(connection.wire == Wire::Xmpp);
            let goes = plain > 0 && present.plain() == 0;
            let person = present.person.clone();
            self.tell_how(room, user, how, present.how_here());
            if goes {
                live.tell_others(room, Vec::new(), vec![person]);
            }
            if let Some(person) = live.gone(user) {
                self.tell_presence(room, live, Vec::new(), vec![person], None);
            }
        }
        if live.is_empty() {
            state.rooms.remove(&room);
        }
    }

    /// Tells the other servers how somebody is in a room here now, if he was so otherwise before.
    fn tell_how(&self, room: RoomId, user: PrincipalId, before: Option<How>, now: Option<How>) {
        if let Some(teller) = self.teller.as_ref().filter(|_| before != now) {
            teller.tell_if_heard(Signal::presence(room, user, now));
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
        let joined =
            if changed && !limited { live.people.values().map(|p| p.person.clone()).collect() } else { joined };
        let event = Shared::new(Event::Presence { room, joined, left, count, limited });
        for connection in live.connections.values().filter(|c| (c.wire == Wire::Json || changed) && Some(c.id) != but) {
            connection.outbox.push(&event);
        }
    }

    /// Who is in a room.
    pub(crate) fn roster(&self, room: RoomId) -> Roster {
        self.lock().rooms.get(&room).map_or_else(Roster::default, LiveRoom::roster)
    }

    /// Who is in a room by other doors than XMPP, here or on other servers; nobody if the room is too large for a roster.
    pub(crate) fn others(&self, room: RoomId) -> Vec<Person> {
        let state = self.lock();
        let Some(live) = state.rooms.get(&room).filter(|live| !live.limited) else { return Vec::new() };
        live.people.values().filter(|p| p.plain() > 0).map(|p| p.person.clone()).collect()
    }

    /// Whether coming and going is not told in a room, because it is too large.
    pub(crate) fn is_limited(&self, room: RoomId) -> bool {
        self.lock().rooms.get(&room).is_some_and(|live| live.limited)
    }

    /// Tells all connections of one door in a room, but `but`.
    pub(crate) fn tell_door(&self, room: RoomId, wire: Wire, event: &Arc<Shared>, but: Option<u64>) {
        let state = self.lock();
        let Some(live) = state.rooms.get(&room) else { return };
        for connection in live.connections.values().filter(|c| c.wire == wire && Some(c.id) != but) {
            connection.outbox.push(event);
        }
    }

    /// Tells all connections, of every door.
    pub(crate) fn tell_everybody(&self, event: Event) {
        let event = Shared::new(event);
        for connection in self.lock().connections.values() {
            connection.outbox.push(&event);
        }
    }

    /// Who is connected to this server, or in a room on another.
    pub(crate) fn online(&self) -> BTreeSet<PrincipalId> {
        let state = self.lock();
        let elsewhere = state.elsewhere.values().flat_map(HashMap::values).flat_map(BTreeMap::keys);
        state.by_user.keys().chain(elsewhere).copied().filter(|user| *user != PrincipalId::SYSTEM).collect()
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
        if let Some(live) = state.rooms.get(&room).filter(|live| !live.connections.is_empty()) {
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

    /// Ends all connections but those of the operator of this machine, who means this very server.
    pub(crate) fn send_away(&self, bye: &Bye) {
        for connection in self.lock().connections.values().filter(|c| c.caller.by != Means::Operator) {
            connection.outbox.close(bye.clone());
        }
    }

    /// Whether anybody but the operator of this machine is connected.
    pub(crate) fn has_guests(&self) -> bool {
        self.lock().connections.values().any(|c| c.caller.by != Means::Operator)
    }

    /// Users who are in `room`, and through which connections.
    pub(crate) fn connections_in(&self, room: RoomId) -> Vec<Arc<Connection>> {
        self.lock().rooms.get(&room).map(|r| r.connections.values().cloned().collect()).unwrap_or_default()
    }

    /// The rooms that somebody is in by a connection of this server.
    pub(crate) fn occupied(&self) -> Vec<RoomId> {
        self.lock().rooms.iter().filter(|(_, live)| !live.connections.is_empty()).map(|(room, _)| *room).collect()
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
        let live = state.rooms.remove(&room).unwrap_or_default();
        live.connections.keys().for_each(|id| no_longer_in(&mut state.inside, *id, room));
        state.published.remove(&room);
        state.elsewhere.values_mut().for_each(|rooms| drop(rooms.remove(&room)));
    }

    /// Whether somebody has a connection.
    pub(crate) fn is_connected(&self, user: PrincipalId) -> bool {
        self.lock().by_user.contains_key(&user)
    }

    /// Who is connected, and by which means.
    pub(crate) fn means(&self) -> HashMap<PrincipalId, Vec<Means>> {
        let mut means: HashMap<PrincipalId, Vec<Means>> = HashMap::new();
        for connection in self.lock().connections.values() {
            means.entry(connection.caller.user).or_default().push(connection.caller.by);
        }
        means
    }

    /// The rooms of which more is in the log than was handed out, the pool's own log first; and those of which less is there than that.
    pub(crate) fn compare(&self, heads: &[(RoomId, Seq)]) -> (Vec<RoomId>, Vec<RoomId>) {
        let state = self.lock();
        let (mut behind, mut ahead) = (Vec::new(), Vec::new());
        let mut met = 0;
        for (room, head) in heads {
            let published = state.published.get(room).copied().unwrap_or(Seq::ZERO);
            met += usize::from(published > Seq::ZERO);
            match published.cmp(head) {
                std::cmp::Ordering::Less => behind.push(*room),
                std::cmp::Ordering::Equal => {}
                std::cmp::Ordering::Greater => ahead.push(*room),
            }
        }
        if met < state.published.len() {
            let there: HashSet<RoomId> = heads.iter().map(|(room, _)| *room).collect();
            ahead.extend(state.published.keys().filter(|room| !there.contains(room)));
        }
        behind.sort_unstable();
        (behind, ahead)
    }

    /// Begins anew with other ends of all logs: what was handed out is not what is there. All connections end.
    pub(crate) fn begin_anew(&self, heads: impl IntoIterator<Item = (RoomId, Seq)>, epoch: i64, bye: &Bye) {
        let mut state = self.lock();
        state.published = heads.into_iter().collect();
        state.epoch = epoch;
        for connection in state.connections.values() {
            connection.outbox.close(bye.clone());
        }
    }
}

fn no_longer_in(inside: &mut HashMap<u64, Vec<RoomId>>, connection: u64, room: RoomId) {
    if let Some(rooms) = inside.get_mut(&connection) {
        rooms.retain(|inside| *inside != room);
    }
}

impl Present {
    /// By how many connections whose door does not tell of him itself; another server counts as one.
    fn plain(&self) -> usize {
        self.here - self.over_xmpp + self.elsewhere - self.elsewhere_over_xmpp
    }

    /// How he is in the room on this server, if he is.
    fn how_here(&self) -> Option<How> {
        let how = if self.here == self.over_xmpp { How::OverXmpp } else { How::Plainly };
        (self.here > 0).then_some(how)
    }
}

impl LiveRoom {
    /// Tells those who are here over XMPP who came and went otherwise, unless the room is too large.
    fn tell_others(&self, room: RoomId, came: Vec<Person>, went: Vec<Person>) {
        if self.limited || !self.connections.values().any(|c| c.wire == Wire::Xmpp) {
            return;
        }
        let event = Shared::new(Event::Others { room, came, went });
        for connection in self.connections.values().filter(|c| c.wire == Wire::Xmpp) {
            connection.outbox.push(&event);
        }
    }

    fn present(&mut self, person: &Person) -> &mut Present {
        self.people.entry(person.id).or_insert_with(|| Present {
            person: person.clone(),
            here: 0,
            over_xmpp: 0,
            elsewhere: 0,
            elsewhere_over_xmpp: 0,
        })
    }

    fn roster(&self) -> Roster {
        let people = if self.limited { Vec::new() } else { self.people.values().map(|p| p.person.clone()).collect() };
        Roster { count: self.people.len(), limited: self.limited, people }
    }

    /// What changed since a roster; nothing to tell if nothing did, or if the room is too large for one and was.
    fn since(&self, room: RoomId, told: &Roster) -> Option<Event> {
        let Roster { count, limited, people } = self.roster();
        let missing = |of: &[Person], from: &[Person]| -> Vec<Person> {
            from.iter().filter(|p| !of.iter().any(|o| o.id == p.id)).cloned().collect()
        };
        let (joined, left) = (missing(&told.people, &people), missing(&people, &told.people));
        // A list that is no longer kept is not told as people who left.
        let left = if limited { Vec::new() } else { left };
        let changed = limited != told.limited || !joined.is_empty() || !left.is_empty();
        changed.then_some(Event::Presence { room, joined, left, count, limited })
    }

    /// Takes somebody off the roster who is in the room neither here nor elsewhere.
    fn gone(&mut self, user: PrincipalId) -> Option<Person> {
        self.people.get(&user).filter(|p| p.here == 0 && p.elsewhere == 0)?;
        self.people.remove(&user).map(|p| p.person)
    }

    fn is_empty(&self) -> bool {
        self.connections.is_empty() && self.people.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_behind_and_what_is_ahead_is_told_apart() {
        let heads = |list: &[(i64, i64)]| list.iter().map(|(r, s)| (RoomId(*r), Seq(*s))).collect::<Vec<_>>();
        let hub = Hub::new(100, None, heads(&[(0, 5), (1, 5), (2, 5), (3, 5)]), 0);
        assert_eq!(hub.compare(&heads(&[(0, 5), (1, 5), (2, 5), (3, 5)])), (vec![], vec![]));
        let (behind, ahead) = hub.compare(&heads(&[(4, 1), (2, 4), (1, 6), (0, 6)]));
        assert_eq!(behind, [RoomId(0), RoomId(1), RoomId(4)]);
        assert_eq!(ahead, [RoomId(2), RoomId(3)]);
    }
}
