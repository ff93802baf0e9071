//! Many measurements in a few figures.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How measurements are spread.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Spread {
    /// How many there were.
    pub samples: usize,
    /// Half of them are at most this.
    pub p50: f64,
    /// All but one in a hundred are at most this.
    pub p99: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// Of measurements in any order.
    pub fn of(mut samples: Vec<f64>) -> Spread {
        samples.sort_by(f64::total_cmp);
        let Some(last) = samples.len().checked_sub(1) else { return Spread::default() };
        let at = |hundredths: usize| samples[(last * hundredths).div_ceil(100).min(last)];
        Spread { samples: samples.len(), p50: at(50), p99: at(99), max: samples[last] }
    }
}

/// Milliseconds, for reports.
pub(crate) fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_of_sorted_samples() {
        let spread = Spread::of((1..=100).rev().map(f64::from).collect());
        assert_eq!((spread.samples, spread.p50, spread.p99, spread.max), (100, 51.0, 100.0, 100.0));
        let one = Spread::of(vec![7.0]);
        assert_eq!((one.p50, one.p99, one.max), (7.0, 7.0, 7.0));
        assert_eq!(Spread::of(Vec::new()), Spread::default());
    }
}
