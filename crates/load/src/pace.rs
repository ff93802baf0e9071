//! How fast all writers together go.

use crate::shared::lock;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tokio::time::sleep_until;

/// What could not be sent for so long is made up for afterwards; more is not, or every silence would be followed by a flood.
const MADE_UP: Duration = Duration::from_millis(200);

/// Gives turns, evenly spread.
#[derive(Debug)]
pub(crate) struct Pace {
    every: Option<Duration>,
    next: Mutex<Instant>,
}

impl Pace {
    pub(crate) fn of(rate: Option<f64>) -> Self {
        let every = rate.filter(|rate| *rate > 0.0).and_then(|rate| Duration::try_from_secs_f64(1.0 / rate).ok());
        Self { every, next: Mutex::new(Instant::now()) }
    }

    /// Waits for a turn.
    pub(crate) async fn turn(&self) {
        if let Some(at) = self.take(Instant::now()) {
            sleep_until(at.into()).await;
        }
    }

    fn take(&self, now: Instant) -> Option<Instant> {
        let every = self.every?;
        let mut next = lock(&self.next);
        let at = (*next).max(now.checked_sub(MADE_UP).unwrap_or(now));
        *next = at + every;
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_evenly_spread_and_a_silence_is_not_made_up_for() {
        let pace = Pace::of(Some(100.0));
        let begin = Instant::now();
        let first = pace.take(begin).unwrap();
        let tenth = (0..10).filter_map(|_| pace.take(begin)).last().unwrap();
        assert_eq!(tenth - first, Duration::from_millis(100));
        let later = begin + Duration::from_secs(60);
        assert_eq!(pace.take(later), Some(later - MADE_UP));
        assert_eq!(Pace::of(None).take(begin), None);
        assert_eq!(Pace::of(Some(0.0)).take(begin), None);
    }
}
