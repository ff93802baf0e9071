//! How often signing in may be tried: a bucket of attempts for each address, refilled over a minute.

use holdfast_domain::Time;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Addresses remembered at most; when there are more, those longest idle are forgotten, which refills them.
const REMEMBERED: usize = 10_000;

/// Counts attempts by address.
#[derive(Debug)]
pub(crate) struct Guard {
    per_minute: u32,
    buckets: Mutex<HashMap<String, Bucket>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    at: Time,
}

impl Guard {
    /// Allows `per_minute` attempts a minute from one address.
    pub(crate) fn new(per_minute: u32) -> Self {
        Self { per_minute, buckets: Mutex::new(HashMap::new()) }
    }

    /// Counts an attempt; `Err` with the seconds to wait if there have been too many.
    pub(crate) fn attempt(&self, address: &str, now: Time) -> Result<(), u64> {
        let full = f64::from(self.per_minute.max(1));
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= REMEMBERED && !buckets.contains_key(address) {
            buckets.retain(|_, b| now.millis() - b.at.millis() < 60_000);
        }
        let bucket = buckets.entry(address.to_owned()).or_insert(Bucket { left: full, at: now });
        #[allow(clippy::cast_precision_loss, reason = "a few minutes in milliseconds are exact in an f64")]
        let passed = (now.millis() - bucket.at.millis()).max(0) as f64 / 60_000.0;
        bucket.left = (bucket.left + passed * full).min(full);
        bucket.at = now;
        if bucket.left < 1.0 {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 60")]
            return Err(((1.0 - bucket.left) * 60.0 / full).ceil().max(1.0) as u64);
        }
        bucket.left -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_tries_too_often_has_to_wait_and_others_do_not() {
        let guard = Guard::new(3);
        let at = Time::from_millis;
        for _ in 0..3 {
            assert!(guard.attempt("a", at(0)).is_ok());
        }
        assert_eq!(guard.attempt("a", at(0)), Err(20));
        assert!(guard.attempt("b", at(0)).is_ok());
        assert!(guard.attempt("a", at(21_000)).is_ok());
        assert!(guard.attempt("a", at(20_000)).is_err(), "a clock that runs backwards gives nothing away");
    }
}
