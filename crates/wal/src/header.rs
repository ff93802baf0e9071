//! What the first page of a segment says of itself: which cluster, which place, which timeline.
//!
//! A segment can be whole and unchanged and still be the wrong one; only its header tells. The layout is `XLogLongPageHeaderData` of
//! PostgreSQL's `xlog_internal.h`, in the byte order of the machine that wrote it.

use crate::lsn::Lsn;
use crate::segment::{SegmentSize, SystemIdentifier};
use std::ops::RangeInclusive;

/// The first numbers of a page from PostgreSQL 15 (0xD110) to 18.
const MAGIC: RangeInclusive<u16> = 0xD110..=0xD11F;
/// Says that the page begins with the long header, as each segment's first does.
const LONG: u16 = 0x0002;
const LENGTH: usize = 40;

/// The header of a segment's first page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Differs between versions of PostgreSQL.
    pub magic: u16,
    /// The timeline of the first byte.
    pub timeline: u32,
    /// The position of the first byte.
    pub address: Lsn,
    /// The cluster.
    pub system: SystemIdentifier,
    /// The size of the cluster's segments, as it says.
    pub segment_size: u32,
}

/// What a segment's header must say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Expected {
    /// The cluster.
    pub system: SystemIdentifier,
    /// The size of its segments.
    pub size: SegmentSize,
    /// The number of the segment.
    pub number: u64,
    /// The timeline of the first byte; `None` if nobody knows.
    pub timeline: Option<u32>,
}

impl Header {
    /// Reads the header of a segment.
    ///
    /// # Errors
    /// Why it is none, as a phrase.
    pub fn read(segment: &[u8]) -> Result<Header, String> {
        if segment.len() < LENGTH {
            return Err(format!("it has {} bytes, fewer than a page's header", segment.len()));
        }
        let magic = u16::from_ne_bytes(part(segment, 0));
        if !MAGIC.contains(&magic) {
            return Err(format!("it begins with {magic:04X}, which no page of PostgreSQL 15 to 18 does"));
        }
        if u16::from_ne_bytes(part(segment, 2)) & LONG == 0 {
            return Err("its first page is not the first page of a segment".into());
        }
        Ok(Header {
            magic,
            timeline: u32::from_ne_bytes(part(segment, 4)),
            address: Lsn(u64::from_ne_bytes(part(segment, 8))),
            system: SystemIdentifier(u64::from_ne_bytes(part(segment, 24))),
            segment_size: u32::from_ne_bytes(part(segment, 32)),
        })
    }

    /// Whether it is what it must be.
    ///
    /// # Errors
    /// What differs, as a phrase.
    pub fn check(&self, expected: &Expected) -> Result<(), String> {
        if self.system != expected.system {
            return Err(format!("it is of cluster {}, not of {}", self.system, expected.system));
        }
        if u64::from(self.segment_size) != expected.size.bytes() {
            return Err(format!("it is of segments of {} bytes, not of {}", self.segment_size, expected.size.bytes()));
        }
        let start = expected.size.start_of(expected.number);
        if self.address != start {
            return Err(format!("it begins at {}, its name says {start}", self.address));
        }
        match expected.timeline {
            Some(timeline) if timeline != self.timeline => {
                Err(format!("it begins on timeline {}, the lineage says {timeline}", self.timeline))
            }
            _ => Ok(()),
        }
    }
}

fn part<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut part = [0; N];
    if let Some(found) = bytes.get(at..at + N) {
        part.copy_from_slice(found);
    }
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn page(magic: u16, timeline: u32, address: u64, system: u64, size: u32) -> Vec<u8> {
        let mut page = vec![0; 8192];
        page[0..2].copy_from_slice(&magic.to_ne_bytes());
        page[2..4].copy_from_slice(&LONG.to_ne_bytes());
        page[4..8].copy_from_slice(&timeline.to_ne_bytes());
        page[8..16].copy_from_slice(&address.to_ne_bytes());
        page[24..32].copy_from_slice(&system.to_ne_bytes());
        page[32..36].copy_from_slice(&size.to_ne_bytes());
        page
    }

    #[test]
    fn each_thing_that_may_differ_is_named() {
        let size = SegmentSize::try_from(1 << 20).unwrap();
        let expected = Expected { system: SystemIdentifier(77), size, number: 5, timeline: Some(2) };
        let check = |page: Vec<u8>| Header::read(&page).and_then(|h| h.check(&expected));
        assert_eq!(check(page(0xD110, 2, 5 << 20, 77, 1 << 20)), Ok(()));
        for (page, word) in [
            (page(0xD10D, 2, 5 << 20, 77, 1 << 20), "D10D"),
            (page(0xD110, 1, 5 << 20, 77, 1 << 20), "timeline 1"),
            (page(0xD110, 2, 6 << 20, 77, 1 << 20), "0/600000"),
            (page(0xD110, 2, 5 << 20, 78, 1 << 20), "cluster 78"),
            (page(0xD110, 2, 5 << 20, 77, 1 << 24), "16777216"),
            (vec![0; 8192], "0000"),
            (vec![], "0 bytes"),
        ] {
            let said = check(page).unwrap_err();
            assert!(said.contains(word), "{said}");
        }
    }
}
