//! Waiting for a condition.

use std::time::{Duration, Instant};

/// Asks `condition` until it has an answer, at most for `limit`.
///
/// # Panics
/// When the time is over; `what` says what did not come.
pub fn until<T>(what: &str, limit: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {limit:?} for {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}
