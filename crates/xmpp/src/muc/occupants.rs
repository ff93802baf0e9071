//! Who is in which room over XMPP, by nick, at this server or another of the pool. One person may sit there with several connections under one nick
//! (XEP-0045 section 7.2, multi-session nicks).
//!
//! The other servers are told of the seats taken here while the lock is held, so that they hear of them in the order in which it is so.

use super::farewell::Farewell;
use super::standing::Standing;
use crate::elsewhere::parcel::{Address, Parcel, Seated};
use crate::elsewhere::post::Post;
use holdfast_chat::Teller;
use holdfast_domain::name::key;
use holdfast_domain::{PrincipalId, RoomId};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use uuid::Uuid;

/// Seats in one parcel.
const IN_ONE: usize = 50;

/// How a connection in a room is reached.
#[derive(Clone)]
pub(crate) enum Line {
    /// It is to this server, by its number.
    Here(u64, Teller),
    /// It is to another.
    Elsewhere(Address),
}

/// One connection in a room.
#[derive(Clone)]
pub(crate) struct Seat {
    pub(crate) line: Line,
    /// Its full address.
    pub(crate) jid: String,
    /// What its presence says.
    pub(crate) presence: Arc<str>,
}

impl Seat {
    /// Whether it is to this server.
    pub(crate) fn is_here(&self) -> bool {
        matches!(self.line, Line::Here(..))
    }

    /// Whether both are the same connection's.
    fn is_of(&self, line: &Line) -> bool {
        match (&self.line, line) {
            (Line::Here(one, _), Line::Here(other, _)) => one == other,
            (Line::Elsewhere(one), Line::Elsewhere(other)) => one == other,
            _ => false,
        }
    }

    fn is_number(&self, connection: u64) -> bool {
        matches!(self.line, Line::Here(number, _) if number == connection)
    }
}

/// Somebody in a room.
#[derive(Clone)]
pub(crate) struct Occupant {
    /// Under this name.
    pub(crate) nick: String,
    /// Who it is.
    pub(crate) user: PrincipalId,
    /// By these connections, the one that spoke of itself last at the end.
    pub(crate) seats: Vec<Seat>,
}

impl Occupant {
    /// What the others are told: what its newest connection says.
    pub(crate) fn presence(&self) -> Arc<str> {
        self.seats.last().map_or_else(|| Arc::from(""), |seat| Arc::clone(&seat.presence))
    }

    /// Whether one of its connections is to another server.
    pub(crate) fn is_elsewhere(&self) -> bool {
        !self.seats.iter().all(Seat::is_here)
    }
}

/// Somebody else has the nick.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Taken;

/// What has changed by what another server says of a seat.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// Somebody has come.
    Came,
    /// Somebody who is there has one connection more there.
    Beside,
    /// His presence says something else.
    Said,
    /// He was called this before.
    Renamed(String),
    /// Nothing.
    Nothing,
}

/// The seat that a connection to another server has left, and whose it was, with the seats that are left.
pub(crate) struct Left {
    pub(crate) occupant: Occupant,
    pub(crate) seat: Seat,
}

#[derive(Default)]
struct State {
    rooms: HashMap<RoomId, HashMap<String, Occupant>>,
    /// Under which nick, by its key, each connection to another server sits: by the run of that server, its number there, and the room.
    elsewhere: HashMap<Uuid, HashMap<(u64, RoomId), String>>,
}

/// All occupants, and the way to the other servers.
pub(crate) struct Occupants {
    state: Mutex<State>,
    post: Arc<Post>,
}

impl Occupants {
    pub(crate) fn new(post: Arc<Post>) -> Self {
        Self { state: Mutex::default(), post }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Seats a connection to this server, or notes its new presence. Answers the occupant as it is now. `standing`: what he is in the room.
    ///
    /// # Errors
    /// When somebody else has the nick.
    pub(crate) fn sit(
        &self,
        room: RoomId,
        nick: &str,
        (user, standing): (PrincipalId, Standing),
        seat: Seat,
    ) -> Result<Occupant, Taken> {
        let mut state = self.lock();
        let occupant = state.sit(room, nick, user, seat)?;
        self.tell_of(room, &occupant, occupant.seats.last(), Some(standing));
        Ok(occupant)
    }

    /// The same under another nick than before.
    ///
    /// # Errors
    /// When somebody else has the new one: then it sits where it did.
    pub(crate) fn move_over(
        &self,
        room: RoomId,
        (old, new): (&str, &str),
        (user, standing): (PrincipalId, Standing),
        seat: Seat,
    ) -> Result<(), Taken> {
        let mut state = self.lock();
        if state.has_another(room, new, user) {
            return Err(Taken);
        }
        state.leave(room, &key(old), |s| s.is_of(&seat.line));
        let occupant = state.sit(room, new, user, seat)?;
        self.tell_of(room, &occupant, occupant.seats.last(), Some(standing));
        Ok(())
    }

    /// Tells the other servers that somebody who sits here by `connection` is something else in the room now.
    pub(crate) fn tell_standing(&self, room: RoomId, nick: &str, connection: u64, standing: Standing) {
        let state = self.lock();
        if let Some(occupant) = state.named(room, nick) {
            let seat = occupant.seats.iter().find(|s| s.is_number(connection));
            self.tell_of(room, occupant, seat, Some(standing));
        }
    }

    /// A connection to this server leaves its seat. The occupant with those who are left, none if it was the last. `farewell`: what is said of it at
    /// the other servers; none where they see themselves why.
    pub(crate) fn leave(
        &self,
        room: RoomId,
        nick: &str,
        connection: u64,
        farewell: Option<&Farewell>,
    ) -> Option<Occupant> {
        let mut state = self.lock();
        let (left, _) = state.leave(room, &key(nick), |s| s.is_number(connection))?;
        if self.post.goes_anywhere() {
            self.post.send(&Parcel::Unseat { key: connection, room, farewell: farewell.cloned() });
        }
        Some(left)
    }

    /// Another server says that a connection to it has a seat, with this presence. Whom somebody else's nick was given to at the same moment sits under the other of
    /// the two names, which nobody else can have.
    pub(crate) fn sit_elsewhere(
        &self,
        room: RoomId,
        (nick, or): (&str, &str),
        user: PrincipalId,
        (at, jid, presence): (Address, String, &str),
    ) -> Option<(Occupant, News)> {
        let mut state = self.lock();
        let nick = if state.has_another(room, nick, user) { or } else { nick };
        let line = Line::Elsewhere(at);
        let before = state.seat_elsewhere(at.run, at.key, room);
        let mut news = None;
        if let Some(before) = before {
            let occupant = state.occupant(room, &before)?;
            let said = occupant.seats.iter().find(|s| s.is_of(&line)).map(|s| Arc::clone(&s.presence));
            if occupant.nick != nick {
                let old = occupant.nick.clone();
                state.leave(room, &before, |s| s.is_of(&line));
                news = Some(News::Renamed(old));
            } else if said.as_deref() == Some(presence) {
                return Some((occupant.clone(), News::Nothing));
            } else {
                news = Some(News::Said);
            }
        }
        let seat = Seat { line, jid, presence: presence.into() };
        let occupant = state.sit(room, nick, user, seat).ok()?;
        state.elsewhere.entry(at.run).or_default().insert((at.key, room), key(nick));
        let first = if occupant.seats.len() == 1 { News::Came } else { News::Beside };
        Some((occupant, news.unwrap_or(first)))
    }

    /// Another server says that a connection to it has left its seat.
    pub(crate) fn leave_elsewhere(&self, room: RoomId, run: Uuid, connection: u64) -> Option<Left> {
        let mut state = self.lock();
        let nick = state.elsewhere.get_mut(&run)?.remove(&(connection, room))?;
        let is_it = |s: &Seat| matches!(s.line, Line::Elsewhere(at) if at.run == run && at.key == connection);
        let (occupant, seat) = state.leave(room, &nick, is_it)?;
        Some(Left { occupant, seat })
    }

    /// Where connections to another server sit, by their numbers.
    pub(crate) fn all_of(&self, run: Uuid) -> HashSet<(u64, RoomId)> {
        self.lock().elsewhere.get(&run).map(|seats| seats.keys().copied().collect()).unwrap_or_default()
    }

    /// Forgets another server that has no seats any more.
    pub(crate) fn forget(&self, run: Uuid) {
        self.lock().elsewhere.remove(&run);
    }

    /// Tells the other servers of all seats here, a room at a time.
    pub(crate) fn tell_of_all(&self) {
        self.post.send(&Parcel::Seats { first: true, last: false, some: Vec::new() });
        let rooms: Vec<RoomId> = self.lock().rooms.keys().copied().collect();
        for room in rooms {
            let state = self.lock();
            let occupants = state.rooms.get(&room).into_iter().flat_map(HashMap::values);
            let seats = occupants.flat_map(|o| o.seats.iter().filter_map(move |seat| seated(room, o, seat, None)));
            let seats: Vec<Seated> = seats.collect();
            for some in seats.chunks(IN_ONE) {
                self.post.send(&Parcel::Seats { first: false, last: false, some: some.to_vec() });
            }
        }
        self.post.send(&Parcel::Seats { first: false, last: true, some: Vec::new() });
    }

    fn tell_of(&self, room: RoomId, occupant: &Occupant, seat: Option<&Seat>, standing: Option<Standing>) {
        if self.post.goes_anywhere()
            && let Some(seated) = seat.and_then(|seat| seated(room, occupant, seat, standing))
        {
            self.post.send(&Parcel::Seat(seated));
        }
    }

    /// Everybody in a room.
    pub(crate) fn all(&self, room: RoomId) -> Vec<Occupant> {
        self.lock().rooms.get(&room).map(|there| there.values().cloned().collect()).unwrap_or_default()
    }

    /// Who has a nick.
    pub(crate) fn named(&self, room: RoomId, nick: &str) -> Option<Occupant> {
        self.lock().named(room, nick).cloned()
    }

    /// Whether somebody sits under a nick.
    pub(crate) fn sits(&self, room: RoomId, nick: &str, user: PrincipalId) -> bool {
        self.lock().named(room, nick).is_some_and(|occupant| occupant.user == user)
    }

    /// Under which nick somebody sits in a room, and whether at this server.
    pub(crate) fn nick_of(&self, room: RoomId, user: PrincipalId) -> Option<(String, bool)> {
        let state = self.lock();
        let mut his = state.rooms.get(&room)?.values().filter(|occupant| occupant.user == user);
        let first = his.next()?;
        let here = |occupant: &Occupant| occupant.seats.iter().any(Seat::is_here);
        Some((first.nick.clone(), here(first) || his.any(here)))
    }

    /// Whether somebody sits in a room by another server.
    pub(crate) fn any_elsewhere(&self, room: RoomId) -> bool {
        self.lock().rooms.get(&room).is_some_and(|there| there.values().any(Occupant::is_elsewhere))
    }

    /// How many occupants a room has.
    pub(crate) fn len(&self, room: RoomId) -> usize {
        self.lock().rooms.get(&room).map_or(0, HashMap::len)
    }

    /// How many seats are taken in all rooms at this server.
    pub(crate) fn count(&self) -> usize {
        let state = self.lock();
        let occupants = state.rooms.values().flat_map(HashMap::values);
        occupants.map(|occupant| occupant.seats.iter().filter(|seat| seat.is_here()).count()).sum()
    }
}

impl State {
    fn named(&self, room: RoomId, nick: &str) -> Option<&Occupant> {
        self.occupant(room, &key(nick))
    }

    fn occupant(&self, room: RoomId, key: &str) -> Option<&Occupant> {
        self.rooms.get(&room)?.get(key)
    }

    fn has_another(&self, room: RoomId, nick: &str, user: PrincipalId) -> bool {
        self.named(room, nick).is_some_and(|occupant| occupant.user != user)
    }

    fn seat_elsewhere(&self, run: Uuid, connection: u64, room: RoomId) -> Option<String> {
        self.elsewhere.get(&run)?.get(&(connection, room)).cloned()
    }

    fn sit(&mut self, room: RoomId, nick: &str, user: PrincipalId, seat: Seat) -> Result<Occupant, Taken> {
        let there = self.rooms.entry(room).or_default();
        let new = || Occupant { nick: nick.to_owned(), user, seats: Vec::new() };
        let occupant = there.entry(key(nick)).or_insert_with(new);
        if occupant.user != user {
            return Err(Taken);
        }
        occupant.seats.retain(|s| !s.is_of(&seat.line));
        occupant.seats.push(seat);
        Ok(occupant.clone())
    }

    /// Takes a seat away. Whose it was, with those that are left, and the seat.
    fn leave(&mut self, room: RoomId, key: &str, is_it: impl Fn(&Seat) -> bool) -> Option<(Occupant, Seat)> {
        let there = self.rooms.get_mut(&room)?;
        let occupant = there.get_mut(key)?;
        let at = occupant.seats.iter().position(is_it)?;
        let seat = occupant.seats.remove(at);
        let left = occupant.clone();
        if left.seats.is_empty() {
            there.remove(key);
            if there.is_empty() {
                self.rooms.remove(&room);
            }
        }
        Some((left, seat))
    }
}

/// What the other servers are told of a seat here.
fn seated(room: RoomId, occupant: &Occupant, seat: &Seat, standing: Option<Standing>) -> Option<Seated> {
    let Line::Here(key, _) = seat.line else { return None };
    let (nick, user) = (occupant.nick.clone(), occupant.user);
    Some(Seated { key, user, room, nick, jid: seat.jid.clone(), presence: seat.presence.to_string(), standing })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: RoomId = RoomId(4);
    const RUN: Uuid = Uuid::from_u128(7);

    fn sits(occupants: &Occupants, nick: &str, user: i64, key: u64, presence: &str) -> (String, News) {
        let user = PrincipalId(user);
        let whose = (Address { run: RUN, user, key }, format!("u{user}@example.com/x"), presence);
        let (occupant, news) = occupants.sit_elsewhere(ROOM, (nick, &format!("u{user}")), user, whose).unwrap();
        (occupant.nick, news)
    }

    #[test]
    fn who_sits_at_another_server_comes_once_moves_and_goes_with_his_last_connection() {
        let occupants = Occupants::new(Arc::new(Post::nowhere()));
        assert_eq!(sits(&occupants, "Ana", 10, 1, "a"), ("Ana".into(), News::Came));
        assert_eq!(sits(&occupants, "Ana", 10, 1, "a"), ("Ana".into(), News::Nothing), "said again, as after a hole");
        assert_eq!(sits(&occupants, "Ana", 10, 1, "b"), ("Ana".into(), News::Said));
        assert_eq!(sits(&occupants, "Ana", 10, 2, "c"), ("Ana".into(), News::Beside));
        assert_eq!(sits(&occupants, "Anna", 10, 1, "b"), ("Anna".into(), News::Renamed("Ana".into())));
        assert_eq!(sits(&occupants, "ANNA", 10, 1, "b"), ("ANNA".into(), News::Renamed("Anna".into())));
        assert_eq!(sits(&occupants, "Ana", 10, 1, "b"), ("Ana".into(), News::Renamed("ANNA".into())));
        assert_eq!((occupants.len(ROOM), occupants.count()), (1, 0), "none of them is here");
        assert_eq!(occupants.nick_of(ROOM, PrincipalId(10)), Some(("Ana".into(), false)));
        let left = occupants.leave_elsewhere(ROOM, RUN, 1).unwrap();
        assert_eq!((left.occupant.nick.as_str(), left.occupant.seats.len()), ("Ana", 1));
        assert!(occupants.leave_elsewhere(ROOM, RUN, 1).is_none());
        assert_eq!(occupants.all_of(RUN), HashSet::from([(2, ROOM)]));
        assert!(occupants.leave_elsewhere(ROOM, RUN, 2).unwrap().occupant.seats.is_empty());
        assert!(occupants.lock().rooms.is_empty());
    }

    #[test]
    fn of_two_who_take_one_nick_at_one_moment_the_other_is_known_by_his_own_name() {
        let occupants = Occupants::new(Arc::new(Post::nowhere()));
        assert_eq!(sits(&occupants, "tea", 10, 1, ""), ("tea".into(), News::Came));
        assert_eq!(sits(&occupants, "TEA", 11, 2, ""), ("u11".into(), News::Came));
        assert_eq!(sits(&occupants, "TEA", 11, 2, ""), ("u11".into(), News::Nothing));
        assert_eq!(occupants.leave_elsewhere(ROOM, RUN, 2).unwrap().occupant.nick, "u11");
        assert_eq!(occupants.named(ROOM, "tea").unwrap().user, PrincipalId(10));
    }
}
