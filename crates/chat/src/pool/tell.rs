//! Telling the other servers: gathers what there is to tell and sends it a few times a second.

use super::signal::{Gathered, Signal};
use crate::service::Chat;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// What is to be told is gathered for this long.
const EVERY: Duration = Duration::from_millis(50);
/// Everything is told at most this often, however many ask.
const WHOLE_EVERY: Duration = Duration::from_millis(500);

/// What this server has to tell the others.
#[derive(Debug, Default)]
pub(crate) struct Teller {
    gathered: Mutex<Gathered>,
    some: Notify,
    /// Whether there is another server. One that comes asks for what it has missed.
    others: AtomicBool,
}

impl Teller {
    fn lock(&self) -> MutexGuard<'_, Gathered> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells all others, soon.
    pub(crate) fn tell(&self, signal: Signal) {
        self.lock().add(signal);
        self.some.notify_one();
    }

    /// The same of what a server that comes later asks for, or has no use for.
    pub(crate) fn tell_if_heard(&self, signal: Signal) {
        if self.has_others() {
            self.tell(signal);
        }
    }

    /// The same of several that belong together.
    pub(crate) fn tell_all_if_heard(&self, signals: impl IntoIterator<Item = Signal>) {
        if self.has_others() {
            let mut gathered = self.lock();
            signals.into_iter().for_each(|signal| gathered.add(signal));
            drop(gathered);
            self.some.notify_one();
        }
    }

    /// Tells everything, soon: somebody may have missed something.
    pub(crate) fn tell_all(&self) {
        self.lock().whole = true;
        self.some.notify_one();
    }

    /// Whether there is another server.
    pub(crate) fn has_others(&self) -> bool {
        self.others.load(Ordering::Relaxed)
    }

    /// Notes whether there is another server.
    pub(crate) fn set_others(&self, others: bool) {
        self.others.store(others, Ordering::Relaxed);
    }
}

impl Chat {
    /// Tells the other servers something, if there is a pool.
    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(pooled) = &self.inner.pooled {
            pooled.teller.tell(signal);
        }
    }

    /// Sends what is gathered now and then until the service stops.
    pub(crate) async fn tell_often(self) {
        let Some(pooled) = &self.inner.pooled else { return };
        let mut whole_at = Instant::now();
        loop {
            tokio::select! {
                () = pooled.teller.some.notified() => {}
                () = self.inner.stopping.cancelled() => return,
            }
            tokio::time::sleep(EVERY).await;
            let postponed = {
                let mut gathered = pooled.teller.lock();
                let postponed = gathered.whole && whole_at > Instant::now();
                gathered.whole &= !postponed;
                if gathered.whole {
                    whole_at = Instant::now() + WHOLE_EVERY;
                }
                postponed
            };
            self.tell_now();
            if postponed {
                pooled.teller.tell_all();
            }
        }
    }

    /// Sends what is gathered.
    pub(crate) fn tell_now(&self) {
        let (Some(pooled), Some(pool)) = (&self.inner.pooled, self.store().pool()) else { return };
        let gathered = std::mem::take(&mut *pooled.teller.lock());
        if gathered.is_empty() {
            return;
        }
        // Taken after what was gathered, so that no change falls between the two.
        let present = gathered.whole.then(|| self.hub().present_here());
        for message in gathered.messages(present) {
            pool.tell(message);
        }
    }
}
