//! Who is in which room over XMPP, by nick. One person may sit there with several connections under one nick (XEP-0045 section 7.2, multi-session nicks).

use holdfast_chat::Teller;
use holdfast_domain::name::key;
use holdfast_domain::{PrincipalId, RoomId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One connection in a room.
#[derive(Clone)]
pub(crate) struct Seat {
    /// Its number.
    pub(crate) connection: u64,
    /// Its full address.
    pub(crate) jid: String,
    /// What its presence says.
    pub(crate) presence: Arc<str>,
    /// Tells it something.
    pub(crate) teller: Teller,
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
}

/// Somebody else has the nick.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Taken;

type Rooms = HashMap<RoomId, HashMap<String, Occupant>>;

/// All occupants of this server.
#[derive(Default)]
pub(crate) struct Occupants(Mutex<Rooms>);

impl Occupants {
    fn lock(&self) -> MutexGuard<'_, Rooms> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Seats a connection, or notes its new presence. Answers the occupant as it is now.
    ///
    /// # Errors
    /// When somebody else has the nick.
    pub(crate) fn sit(&self, room: RoomId, nick: &str, user: PrincipalId, seat: Seat) -> Result<Occupant, Taken> {
        let mut rooms = self.lock();
        let occupant = rooms.entry(room).or_default().entry(key(nick)).or_insert_with(|| Occupant {
            nick: nick.to_owned(),
            user,
            seats: Vec::new(),
        });
        if occupant.user != user {
            return Err(Taken);
        }
        occupant.seats.retain(|s| s.connection != seat.connection);
        occupant.seats.push(seat);
        Ok(occupant.clone())
    }

    /// A connection leaves its seat. The occupant with those who are left, none if it was the last.
    pub(crate) fn leave(&self, room: RoomId, nick: &str, connection: u64) -> Option<Occupant> {
        let mut rooms = self.lock();
        let there = rooms.get_mut(&room)?;
        let occupant = there.get_mut(&key(nick))?;
        let before = occupant.seats.len();
        occupant.seats.retain(|s| s.connection != connection);
        if occupant.seats.len() == before {
            return None;
        }
        let left = occupant.clone();
        if left.seats.is_empty() {
            there.remove(&key(nick));
            if there.is_empty() {
                rooms.remove(&room);
            }
        }
        Some(left)
    }

    /// Everybody in a room.
    pub(crate) fn all(&self, room: RoomId) -> Vec<Occupant> {
        self.lock().get(&room).map(|there| there.values().cloned().collect()).unwrap_or_default()
    }

    /// Who has a nick.
    pub(crate) fn named(&self, room: RoomId, nick: &str) -> Option<Occupant> {
        self.lock().get(&room)?.get(&key(nick)).cloned()
    }

    /// How many seats are taken in all rooms.
    pub(crate) fn count(&self) -> usize {
        self.lock().values().flat_map(HashMap::values).map(|o| o.seats.len()).sum()
    }
}
