//! Which timeline is the pool's history at which place: the only authority on what may be shipped and what may be replayed.
//!
//! A new timeline begins wherever somebody was promoted, also where nobody should have been. PostgreSQL follows whatever it finds; we follow
//! the lineage: for every change of the writable instance a [`Claim`], made before it, and an [`Opening`], made when the new timeline is there.

use crate::lsn::Lsn;
use crate::segment::{Segment, SegmentSize, WalFile};
use serde::{Deserialize, Serialize};

/// Somebody is about to become the writable instance. Whoever holds an older epoch must neither write nor ship from then on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Claim {
    /// The epoch; the highest counts.
    pub epoch: u64,
    /// The instance, by its name in the topology.
    pub holder: String,
    /// The procedure that made the claim, or `create`.
    pub by: String,
    /// When, for people.
    pub at: jiff::Timestamp,
}

/// The holder of an epoch has begun a timeline.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Opening {
    /// The epoch.
    pub epoch: u64,
    /// The instance.
    pub holder: String,
    /// The timeline that it writes.
    pub timeline: u32,
    /// Where the timeline branches off the one before it; 0/0 for the first.
    pub start: Lsn,
}

/// All claims and openings that are known, in the order of their epochs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Lineage {
    claims: Vec<Claim>,
    openings: Vec<Opening>,
}

impl Lineage {
    /// Puts together what was found, in any order.
    pub fn new(mut claims: Vec<Claim>, mut openings: Vec<Opening>) -> Lineage {
        claims.sort_by_key(|claim| claim.epoch);
        openings.sort_by_key(|opening| opening.epoch);
        Lineage { claims, openings }
    }

    /// The newest claim: who may write.
    pub fn newest_claim(&self) -> Option<&Claim> {
        self.claims.last()
    }

    /// The newest opening: the timeline that is being written.
    pub fn newest_opening(&self) -> Option<&Opening> {
        self.openings.last()
    }

    /// All openings, oldest first.
    pub fn openings(&self) -> &[Opening] {
        &self.openings
    }

    /// The timeline in the name of the file that counts for a segment: that of the last opening which begins in it or before it. A segment in
    /// which a timeline branches off is the new timeline's; it begins with a copy of the old one's bytes.
    pub fn owner(&self, number: u64, size: SegmentSize) -> Option<u32> {
        self.openings.iter().rfind(|o| size.number_of(o.start) <= number).map(|o| o.timeline)
    }

    /// The timeline of a segment's first byte, which is what its first page says.
    pub fn owner_of_first_byte(&self, number: u64, size: SegmentSize) -> Option<u32> {
        self.openings.iter().rfind(|o| o.start <= size.start_of(number)).map(|o| o.timeline)
    }

    /// Whether a file is the pool's history. Partial segments are not: their bytes are in the segment of the timeline that follows.
    pub fn has(&self, file: WalFile, size: SegmentSize) -> bool {
        match file {
            WalFile::Segment(Segment { timeline, number }) => self.owner(number, size) == Some(timeline),
            WalFile::History(timeline) => self.openings.iter().any(|o| o.timeline == timeline),
            WalFile::Backup(Segment { timeline, .. }, _) => self.openings.iter().any(|o| o.timeline == timeline),
            WalFile::Partial(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lineage() -> Lineage {
        let opening = |epoch, timeline, start| Opening { epoch, holder: "x".into(), timeline, start: Lsn(start) };
        let mib = 1 << 20;
        Lineage::new(vec![], vec![opening(1000, 7, 9 * mib), opening(1, 1, 0), opening(2, 2, 4 * mib + 300)])
    }

    #[test]
    fn each_segment_has_one_owner() {
        let size = SegmentSize::try_from(1 << 20).unwrap();
        let lineage = lineage();
        let owners: Vec<_> = (0..12).map(|n| lineage.owner(n, size).unwrap()).collect();
        assert_eq!(owners, [1, 1, 1, 1, 2, 2, 2, 2, 2, 7, 7, 7]);
        assert_eq!(lineage.owner_of_first_byte(4, size), Some(1), "the fork is behind it");
        assert_eq!(lineage.owner_of_first_byte(9, size), Some(7), "the fork is at it");
        assert!(lineage.has(WalFile::Segment(Segment { timeline: 2, number: 4 }), size));
        assert!(!lineage.has(WalFile::Segment(Segment { timeline: 1, number: 4 }), size), "past the fork");
        assert!(lineage.has(WalFile::History(7), size) && !lineage.has(WalFile::History(3), size));
        assert_eq!(Lineage::default().owner(3, size), None);
    }
}
