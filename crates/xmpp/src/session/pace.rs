//! How often a client is written to. Each write goes through the kernel by itself, which costs several times what all else of a delivery does: where
//! much is said, what comes within a moment is written at once.

use std::time::Duration;
use tokio::time::Instant;

/// The time between two writes where one follows the other without end. Nobody sees it.
const EVERY: Duration = Duration::from_millis(10);
/// Writes so much ahead of that are let go without waiting, so that only rooms that never pause are slowed down.
const AHEAD: Duration = Duration::from_millis(40);

/// When the next write is due.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    due: Instant,
}

impl Pace {
    /// At the beginning.
    pub(crate) fn new(now: Instant) -> Self {
        Self { due: now }
    }

    /// Until when what has happened is gathered; `None` if it is written now.
    pub(crate) fn held(&self, now: Instant) -> Option<Instant> {
        let from = self.due.checked_sub(AHEAD)?;
        (from > now).then_some(from)
    }

    /// Something is written.
    pub(crate) fn written(&mut self, now: Instant) {
        self.due = self.due.max(now) + EVERY;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_writes_go_at_once_and_a_flood_is_gathered() {
        let begun = Instant::now() + Duration::from_secs(60);
        let mut pace = Pace::new(begun);
        let mut writes = 0;
        for ms in 0..1_000 {
            let now = begun + Duration::from_millis(ms);
            if pace.held(now).is_none() {
                pace.written(now);
                writes += 1;
            }
        }
        assert!((100..=105).contains(&writes), "{writes} in a second");
        let later = begun + Duration::from_secs(2);
        for _ in 0..5 {
            assert_eq!(pace.held(later), None, "a pause, and all is well again");
            pace.written(later);
        }
        assert_eq!(pace.held(later), Some(later + EVERY));
    }

    #[test]
    fn what_is_said_now_and_then_is_never_held_up() {
        let begun = Instant::now() + Duration::from_secs(60);
        let mut pace = Pace::new(begun);
        for n in 0..1_000 {
            let now = begun + EVERY * n;
            assert_eq!(pace.held(now), None);
            pace.written(now);
        }
    }
}
