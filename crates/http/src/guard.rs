//! How often something may be done: so many a second, averaged over ten.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const WINDOW: f64 = 10.0;
/// Buckets that are kept before those that are full again, and so say nothing, are forgotten.
const KEPT: usize = 10_000;

/// Counts what one source does.
#[derive(Debug)]
pub(crate) struct Bucket {
    /// How many may be done now.
    left: f64,
    at: Instant,
}

impl Bucket {
    /// A source that has done nothing yet.
    pub(crate) fn new(per_second: u32, now: Instant) -> Self {
        Self { left: f64::from(per_second) * WINDOW, at: now }
    }

    /// Takes one, or says how long to wait for it.
    pub(crate) fn take(&mut self, per_second: u32, now: Instant) -> Result<(), Duration> {
        let rate = f64::from(per_second.max(1));
        let earned = now.saturating_duration_since(self.at).as_secs_f64() * rate;
        self.left = (self.left + earned).min(rate * WINDOW);
        self.at = now;
        if self.left >= 1.0 {
            self.left -= 1.0;
            Ok(())
        } else {
            Err(Duration::from_secs_f64((1.0 - self.left) / rate))
        }
    }
}

/// Counts what many sources do, each by itself.
#[derive(Debug)]
pub(crate) struct Buckets<K> {
    per_second: u32,
    kept: Mutex<HashMap<K, Bucket>>,
}

impl<K: Eq + Hash> Buckets<K> {
    /// So many a second for each source.
    pub(crate) fn new(per_second: u32) -> Self {
        Self { per_second, kept: Mutex::new(HashMap::new()) }
    }

    /// Takes one for `source`, or says how long to wait for it.
    pub(crate) fn take(&self, source: K, now: Instant) -> Result<(), Duration> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.retain(|_, bucket| now.saturating_duration_since(bucket.at).as_secs_f64() < WINDOW);
        }
        kept.entry(source).or_insert_with(|| Bucket::new(self.per_second, now)).take(self.per_second, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_granted_and_then_the_rate() {
        let start = Instant::now();
        let buckets = Buckets::new(2);
        for _ in 0..20 {
            assert!(buckets.take("a", start).is_ok());
        }
        assert_eq!(buckets.take("a", start), Err(Duration::from_millis(500)));
        assert!(buckets.take("b", start).is_ok());
        assert!(buckets.take("a", start + Duration::from_secs(1)).is_ok());
    }
}
