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

    /// All claims, oldest first.
    pub fn claims(&self) -> &[Claim] {
        &self.claims
    }

    /// The openings that led to the newest one, oldest first. An isolated site may have opened timelines that the others never followed: such a
    /// one begins behind the place where the winner branched off.
    pub fn path(&self) -> Vec<&Opening> {
        let mut path: Vec<&Opening> = Vec::new();
        for opening in self.openings.iter().rev() {
            if path.last().is_none_or(|later| opening.start < later.start) {
                path.push(opening);
            }
        }
        path.reverse();
        path
    }

    /// The opening that begins a timeline, if the timeline is the pool's history.
    pub fn opening_of(&self, timeline: u32) -> Option<&Opening> {
        self.path().into_iter().find(|o| o.timeline == timeline)
    }

    /// The timeline in the name of the file that counts for a segment: that of the last opening which begins in it or before it. A segment in
    /// which a timeline branches off is the new timeline's; it begins with a copy of the old one's bytes.
    pub fn owner(&self, number: u64, size: SegmentSize) -> Option<u32> {
        self.path().into_iter().rfind(|o| size.number_of(o.start) <= number).map(|o| o.timeline)
    }

    /// The timeline of a segment's first byte, which is what its first page says.
    pub fn owner_of_first_byte(&self, number: u64, size: SegmentSize) -> Option<u32> {
        self.path().into_iter().rfind(|o| o.start <= size.start_of(number)).map(|o| o.timeline)
    }

    /// Whether a file is the pool's history. Partial segments are not: their bytes are in the segment of the timeline that follows.
    pub fn has(&self, file: WalFile, size: SegmentSize) -> bool {
        match file {
            WalFile::Segment(Segment { timeline, number }) => self.owner(number, size) == Some(timeline),
            WalFile::History(timeline) => self.opening_of(timeline).is_some(),
            WalFile::Backup(Segment { timeline, .. }, _) => self.opening_of(timeline).is_some(),
            WalFile::Partial(_) => false,
        }
    }

    /// What two places know, together.
    ///
    /// # Errors
    /// [`TwoHistories`] when they tell one epoch in two ways.
    pub fn merged(&self, other: &Lineage) -> Result<Lineage, TwoHistories> {
        let mut merged = self.clone();
        for claim in &other.claims {
            match self.claims.iter().find(|c| c.epoch == claim.epoch) {
                None => merged.claims.push(claim.clone()),
                Some(known) if known.holder == claim.holder && known.by == claim.by => {}
                Some(_) => return Err(TwoHistories { epoch: claim.epoch }),
            }
        }
        for opening in &other.openings {
            match self.openings.iter().find(|o| o.epoch == opening.epoch) {
                None => merged.openings.push(opening.clone()),
                Some(known) if known == opening => {}
                Some(_) => return Err(TwoHistories { epoch: opening.epoch }),
            }
        }
        Ok(Lineage::new(merged.claims, merged.openings))
    }
}

/// Two places tell one epoch in two ways; nobody can say which is right without a person.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("two shares tell epoch {epoch} in two ways: compare their lineage/{epoch:012}.* and keep everything as it is")]
pub struct TwoHistories {
    /// The epoch.
    pub epoch: u64,
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

    #[test]
    fn what_an_isolated_site_opened_behind_the_fork_is_not_on_the_path() {
        let size = SegmentSize::try_from(1 << 20).unwrap();
        let late = Opening { epoch: 3, holder: "x".into(), timeline: 3, start: Lsn((9 << 20) + 77) };
        let lineage = Lineage::new(vec![], [lineage().openings(), &[late]].concat());
        assert_eq!(lineage.path().iter().map(|o| o.timeline).collect::<Vec<_>>(), [1, 2, 7]);
        assert!(!lineage.has(WalFile::History(3), size), "nobody else ever followed it");
        assert!(!lineage.has(WalFile::Segment(Segment { timeline: 3, number: 9 }), size));
    }

    #[test]
    fn two_places_are_put_together_unless_they_disagree() {
        let claim = |epoch, holder: &str| Claim {
            epoch,
            holder: holder.into(),
            by: "x".into(),
            at: jiff::Timestamp::UNIX_EPOCH,
        };
        let one = Lineage::new(vec![claim(1, "a")], vec![]);
        let other = Lineage::new(vec![claim(1, "a"), claim(1000, "b")], vec![]);
        assert_eq!(one.merged(&other).unwrap(), other);
        let odd = Lineage::new(vec![claim(1000, "c")], vec![]);
        assert_eq!(odd.merged(&other).unwrap_err().epoch, 1000);
    }
}
