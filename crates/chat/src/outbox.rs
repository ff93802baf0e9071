//! The bounded queue between the rooms and one connection. Filling it never waits, so that a reader who is too slow hurts
//! nobody but himself: he is disconnected and comes back through history.

use crate::event::{Bye, Event, Shared};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// Events that may wait for one connection.
pub(crate) const CAPACITY: usize = 2_048;
/// From this many on, what is only of the moment (typing, presence) is dropped.
const CROWDED: usize = CAPACITY / 2;

/// Events waiting for one connection.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    state: Mutex<State>,
    changed: Notify,
    drained: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Arc<Shared>>,
    closed: bool,
}

impl Outbox {
    /// Adds an event, or closes the outbox with [`Bye::TooSlow`] if it is full.
    pub(crate) fn push(&self, event: &Arc<Shared>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return;
        }
        let waiting = state.waiting.len();
        if waiting >= CROWDED && is_passing(event.event()) {
            return;
        }
        if waiting >= CAPACITY {
            // What waits would reach the reader too late to be of use; history has it.
            state.waiting.clear();
            state.waiting.push_back(Shared::new(Event::Bye(Bye::TooSlow)));
            state.closed = true;
        } else {
            state.waiting.push_back(Arc::clone(event));
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Adds a last event and takes no more.
    pub(crate) fn close(&self, bye: Bye) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.closed {
            state.waiting.push_back(Shared::new(Event::Bye(bye)));
            state.closed = true;
        }
        drop(state);
        self.changed.notify_one();
        self.drained.notify_one();
    }

    /// Waits until there is something and takes up to `most`; empty once closed and drained.
    pub(crate) async fn take(&self, most: usize) -> Vec<Arc<Shared>> {
        loop {
            let changed = self.changed.notified();
            {
                let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                if !state.waiting.is_empty() {
                    let n = most.min(state.waiting.len());
                    let taken = state.waiting.drain(..n).collect();
                    self.drained.notify_one();
                    return taken;
                }
                if state.closed {
                    return Vec::new();
                }
            }
            changed.await;
        }
    }

    /// Waits until at most half of the queue is taken, so that catching up does not itself overflow it. Whether it is still open.
    pub(crate) async fn has_space(&self) -> bool {
        loop {
            let drained = self.drained.notified();
            {
                let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                if state.closed {
                    return false;
                }
                if state.waiting.len() < CROWDED {
                    return true;
                }
            }
            drained.await;
        }
    }
}

/// Whether an event is only of the moment.
fn is_passing(event: &Event) -> bool {
    matches!(event, Event::Typing { .. } | Event::Presence { .. } | Event::Door { passing: true, .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_slow_reader_is_told_so_and_gets_nothing_else() {
        let outbox = Outbox::default();
        for _ in 0..=CAPACITY {
            outbox.push(&Shared::new(Event::RoomsChanged));
        }
        let taken = outbox.take(10).await;
        assert_eq!(taken.len(), 1);
        assert!(matches!(taken[0].event(), Event::Bye(Bye::TooSlow)));
        assert!(outbox.take(10).await.is_empty());
    }
}
