//! The files of the write-ahead log and their names.
//!
//! A segment's name is its timeline and its number, 24 hexadecimal digits (PostgreSQL manual, section 30.6; `XLogFileName` in its source).

use crate::lsn::Lsn;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The size of a cluster's segments, set when it is made: a power of two from 1 MiB to 1 GiB.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct SegmentSize(u64);

impl SegmentSize {
    /// What `initdb` makes unless told otherwise.
    pub const USUAL: SegmentSize = SegmentSize(16 << 20);

    /// In bytes.
    pub fn bytes(self) -> u64 {
        self.0
    }

    /// The number of the segment that holds a position.
    pub fn number_of(self, at: Lsn) -> u64 {
        at.0 / self.0
    }

    /// Where a segment begins.
    pub fn start_of(self, number: u64) -> Lsn {
        Lsn(number.saturating_mul(self.0))
    }

    /// Where it ends: the position of the first byte that is not in it.
    pub fn end_of(self, number: u64) -> Lsn {
        Lsn(number.saturating_add(1).saturating_mul(self.0))
    }

    fn per_high_half(self) -> u64 {
        0x1_0000_0000 / self.0
    }
}

/// A number that is no size of segments.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0} bytes is no size of segments: it is a power of two from 1 MiB to 1 GiB")]
pub struct NotASegmentSize(u64);

impl TryFrom<u64> for SegmentSize {
    type Error = NotASegmentSize;

    fn try_from(bytes: u64) -> Result<Self, NotASegmentSize> {
        let right = bytes.is_power_of_two() && (1 << 20..=1 << 30).contains(&bytes);
        right.then_some(SegmentSize(bytes)).ok_or(NotASegmentSize(bytes))
    }
}

impl From<SegmentSize> for u64 {
    fn from(size: SegmentSize) -> u64 {
        size.0
    }
}

/// Which cluster a file is of: the number that `initdb` drew. Written as text, since most readers of JSON cannot hold it as a number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SystemIdentifier(pub u64);

impl fmt::Display for SystemIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for SystemIdentifier {
    type Err = NotASystemIdentifier;

    fn from_str(text: &str) -> Result<Self, NotASystemIdentifier> {
        let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| text.parse().ok()).flatten().map(Self).ok_or_else(|| NotASystemIdentifier(text.to_owned()))
    }
}

impl TryFrom<String> for SystemIdentifier {
    type Error = NotASystemIdentifier;

    fn try_from(text: String) -> Result<Self, NotASystemIdentifier> {
        text.parse()
    }
}

impl From<SystemIdentifier> for String {
    fn from(system: SystemIdentifier) -> String {
        system.to_string()
    }
}

/// A text that identifies no cluster.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0:?} is no system identifier; `pg_controldata` prints a cluster's")]
pub struct NotASystemIdentifier(String);

/// One segment of one timeline.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Segment {
    /// The timeline in its name. Its first page may be of the one before it.
    pub timeline: u32,
    /// Its number: where it begins, divided by the size of segments.
    pub number: u64,
}

impl Segment {
    /// Its name, of a cluster whose segments have this size.
    pub fn name(self, size: SegmentSize) -> String {
        let per = size.per_high_half();
        format!("{:08X}{:08X}{:08X}", self.timeline, self.number / per, self.number % per)
    }
}

/// A file that PostgreSQL archives, or asks for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum WalFile {
    /// A whole segment.
    Segment(Segment),
    /// The last segment of a timeline that ended in its middle: archived by whoever was promoted.
    Partial(Segment),
    /// Where a timeline branched off: `00000002.history`.
    History(u32),
    /// Where a base backup began: a note for people.
    Backup(Segment, u32),
}

/// A name that no file of the write-ahead log has.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0:?} is no file of the write-ahead log")]
pub struct NotAWalFile(String);

impl WalFile {
    /// Reads a name, of a cluster whose segments have this size.
    ///
    /// # Errors
    /// [`NotAWalFile`]
    pub fn parse(name: &str, size: SegmentSize) -> Result<WalFile, NotAWalFile> {
        let error = || NotAWalFile(name.to_owned());
        let (stem, rest) = name.split_once('.').map_or((name, None), |(stem, rest)| (stem, Some(rest)));
        if let (8, Some("history")) = (stem.len(), rest) {
            return Ok(WalFile::History(hex(stem).ok_or_else(error)?));
        }
        let segment = segment(stem, size).ok_or_else(error)?;
        match rest {
            None => Ok(WalFile::Segment(segment)),
            Some("partial") => Ok(WalFile::Partial(segment)),
            Some(rest) => {
                let at = rest.strip_suffix(".backup").filter(|at| at.len() == 8).and_then(hex);
                Ok(WalFile::Backup(segment, at.ok_or_else(error)?))
            }
        }
    }

    /// The timeline in its name.
    pub fn timeline(self) -> u32 {
        match self {
            WalFile::Segment(s) | WalFile::Partial(s) | WalFile::Backup(s, _) => s.timeline,
            WalFile::History(timeline) => timeline,
        }
    }

    /// Its name, of a cluster whose segments have this size.
    pub fn name(self, size: SegmentSize) -> String {
        match self {
            WalFile::Segment(s) => s.name(size),
            WalFile::Partial(s) => s.name(size) + ".partial",
            WalFile::History(timeline) => format!("{timeline:08X}.history"),
            WalFile::Backup(s, at) => format!("{}.{at:08X}.backup", s.name(size)),
        }
    }
}

fn segment(name: &str, size: SegmentSize) -> Option<Segment> {
    if name.len() != 24 || !name.is_ascii() {
        return None;
    }
    let (timeline, high, low) = (hex(&name[..8])?, hex(&name[8..16])?, hex(&name[16..])?);
    let per = size.per_high_half();
    (timeline > 0 && u64::from(low) < per).then(|| Segment { timeline, number: u64::from(high) * per + u64::from(low) })
}

/// PostgreSQL writes these digits in capitals.
fn hex(digits: &str) -> Option<u32> {
    let right = digits.bytes().all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b));
    right.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_postgresql_gives() {
        let size = SegmentSize::USUAL;
        let segment = Segment { timeline: 2, number: size.number_of("16/B374D848".parse().unwrap()) };
        assert_eq!(segment.name(size), "0000000200000016000000B3");
        let small = SegmentSize::try_from(1 << 20).unwrap();
        assert_eq!(Segment { timeline: 1, number: 4_097 }.name(small), "000000010000000100000001");
        for name in [
            "0000000200000016000000B3",
            "0000000200000016000000B3.partial",
            "0000000A.history",
            "0000000200000016000000B3.00000028.backup",
        ] {
            assert_eq!(WalFile::parse(name, size).unwrap().name(size), name);
        }
    }

    #[test]
    fn other_names_are_refused() {
        for odd in [
            "",
            "0000000200000016000000B",
            "0000000200000016000000b3",
            "000000020000001600000100", // the last part goes up to FF with segments of 16 MiB
            "0000000000000016000000B3", // there is no timeline 0
            "0000000200000016000000B3.ready",
            "0000000200000016000000B3.28.backup",
            "../00000200000016000000B3",
            "2.history",
            "é000000200000016000000B",
        ] {
            assert!(WalFile::parse(odd, SegmentSize::USUAL).is_err(), "{odd:?}");
        }
    }

    #[test]
    fn a_size_is_a_power_of_two_in_bounds() {
        assert!(SegmentSize::try_from(1 << 20).is_ok() && SegmentSize::try_from(1 << 30).is_ok());
        for odd in [0, 1, 1 << 19, 1 << 31, (16 << 20) + 1] {
            assert!(SegmentSize::try_from(odd).is_err(), "{odd}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_name_is_read_as_it_was_given(timeline in 1u32.., number in 0u64..1 << 40, at: u32, mib in 0u32..=10) {
            let size = SegmentSize::try_from(1u64 << (20 + mib)).unwrap();
            let segment = Segment { timeline, number: number % (size.per_high_half() << 32) };
            for file in [
                WalFile::Segment(segment),
                WalFile::Partial(segment),
                WalFile::History(timeline),
                WalFile::Backup(segment, at),
            ] {
                proptest::prop_assert_eq!(WalFile::parse(&file.name(size), size), Ok(file));
            }
        }

        #[test]
        fn no_text_is_read_as_another_name_than_its_own(text in "[0-9A-F]{8,24}(\\.[0-9A-F]{8})?(\\.(history|partial|backup))?|.{0,30}") {
            if let Ok(file) = WalFile::parse(&text, SegmentSize::USUAL) {
                proptest::prop_assert_eq!(file.name(SegmentSize::USUAL), text);
            }
        }
    }
}
