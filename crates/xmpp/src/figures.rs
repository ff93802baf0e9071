//! What this door counts for monitoring.

use crate::door::Door;
use std::sync::atomic::{AtomicU64, Ordering};

/// The numbers of the door, as they are now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Connections to this server, those that have not signed in included.
    pub connections: u64,
    /// Clients that are signed in here. One whose connection broke counts for as long as it may take its session up again (XEP-0198).
    pub clients: u64,
    /// Places in rooms that they have.
    pub places: u64,
    /// Sign-ins since the start.
    pub sign_ins: u64,
    /// Attempts to sign in that were refused.
    pub refused: u64,
    /// Sessions that were taken up again by a new connection.
    pub resumed: u64,
    /// Stanzas that clients sent.
    pub received: u64,
    /// Stanzas that clients were sent.
    pub sent: u64,
}

/// What is counted since the start.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) sign_ins: Counter,
    pub(crate) refused: Counter,
    pub(crate) resumed: Counter,
    pub(crate) received: Counter,
    pub(crate) sent: Counter,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, number: usize) {
        self.0.fetch_add(number as u64, Ordering::Relaxed);
    }

    fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Door {
    /// The numbers of this door.
    pub fn figures(&self) -> Figures {
        let Counters { sign_ins, refused, resumed, received, sent } = &self.counters;
        Figures {
            connections: self.connections() as u64,
            clients: self.resources.count() as u64,
            places: self.occupants.count() as u64,
            sign_ins: sign_ins.read(),
            refused: refused.read(),
            resumed: resumed.read(),
            received: received.read(),
            sent: sent.read(),
        }
    }
}
