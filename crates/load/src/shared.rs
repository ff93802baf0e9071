//! What all clients of a load share.

use crate::pace::Pace;
use crate::plan::Plan;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// For a connection to be made, and for one that is silent.
pub(crate) const REACH: Duration = Duration::from_secs(3);
/// Between two attempts.
pub(crate) const BREATH: Duration = Duration::from_millis(50);
/// Surprises that are kept.
const SURPRISES: usize = 50;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) plan: Plan,
    pub(crate) rooms: Vec<i64>,
    pub(crate) origin: Instant,
    pub(crate) pace: Pace,
    /// The writers are to finish what they do.
    pub(crate) enough: AtomicBool,
    /// The listeners are to finish.
    pub(crate) seen_all: AtomicBool,
    /// When each acknowledged message was acknowledged first, in that order.
    pub(crate) acknowledged: Mutex<Vec<Duration>>,
    /// Whatever is told from now on is of this epoch or a later one, as far as an answer does not say it itself.
    pub(crate) epoch: AtomicI64,
    /// How far each listener has seen each room, and under which epoch.
    pub(crate) ends: Mutex<HashMap<(usize, i64), End>>,
    /// How often listeners had to connect anew.
    pub(crate) reconnects: AtomicUsize,
    /// What no client should be told whatever happens.
    pub(crate) surprises: Mutex<Vec<String>>,
}

/// How far a listener has seen a room.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    pub(crate) epoch: i64,
    pub(crate) seq: i64,
}

impl Shared {
    pub(crate) fn new(plan: Plan, rooms: Vec<i64>) -> Self {
        Self {
            pace: Pace::of(plan.rate),
            plan,
            rooms,
            origin: Instant::now(),
            enough: AtomicBool::new(false),
            seen_all: AtomicBool::new(false),
            acknowledged: Mutex::default(),
            epoch: AtomicI64::new(0),
            ends: Mutex::default(),
            reconnects: AtomicUsize::new(0),
            surprises: Mutex::default(),
        }
    }

    pub(crate) fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    pub(crate) fn surprise(&self, what: String) {
        let mut surprises = lock(&self.surprises);
        if surprises.len() < SURPRISES {
            surprises.push(what);
        }
    }

    pub(crate) fn is_enough(&self) -> bool {
        self.enough.load(Ordering::Acquire)
    }
}

/// Takes a lock also where somebody panicked who had it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
