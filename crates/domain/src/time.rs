//! Moments, as the log keeps them: whole milliseconds since 1970, UTC.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// A moment in UTC, in milliseconds since 1970-01-01. Written as RFC 3339 with exactly three decimals.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Time(i64);

impl Time {
    /// 1970-01-01T00:00:00.000Z.
    pub const EPOCH: Time = Time(0);
    const MIN_MS: i64 = -62_135_596_800_000; // 0001-01-01
    const MAX_MS: i64 = 253_402_207_199_999; // 9999-12-30: what the calendar library can write

    /// From milliseconds since 1970; moments outside the years 1 to 9999 are moved to the nearest that RFC 3339 can write.
    pub fn from_millis(ms: i64) -> Time {
        Time(ms.clamp(Self::MIN_MS, Self::MAX_MS))
    }

    /// Milliseconds since 1970.
    pub fn millis(self) -> i64 {
        self.0
    }

    /// This moment moved by `ms` milliseconds.
    #[must_use]
    pub fn plus_millis(self, ms: i64) -> Time {
        Time::from_millis(self.0.saturating_add(ms))
    }

    /// Reads RFC 3339, with any number of decimals and any offset.
    ///
    /// # Errors
    /// Says what was expected when `text` is not such a moment.
    pub fn parse(text: &str) -> Result<Time, String> {
        let parsed: jiff::Timestamp =
            text.parse().map_err(|_| format!("`{text}` is not a moment such as 2026-05-12T09:31:00Z"))?;
        Ok(Time::from_millis(parsed.as_millisecond()))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(t) => write!(f, "{t:.3}"),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(d)?;
        Time::parse(&text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::Time;

    #[test]
    fn is_written_with_three_decimals_and_read_back() {
        for ms in [0, 1, 999, 1_100_520_000_000, -1] {
            let t = Time::from_millis(ms);
            assert_eq!(Time::parse(&t.to_string()), Ok(t));
        }
        assert_eq!(Time::from_millis(1_100_520_000_000).to_string(), "2004-11-15T12:00:00.000Z");
    }

    #[test]
    fn extremes_stay_writable() {
        assert!(Time::parse(&Time::from_millis(i64::MAX).to_string()).is_ok());
        assert!(Time::parse(&Time::from_millis(i64::MIN).to_string()).is_ok());
    }
}
