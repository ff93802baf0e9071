//! How far the log on the share has been proven, what of it does not hold, and what to read next.
//!
//! A damaged segment is noticed when it is needed, unless somebody reads it before. So the backup's agent reads what comes, and when it has read all it reads
//! everything again, since what was good may have rotted. What did not hold is read again and again: shipping may have mended it. A stretch begins with the
//! last segment of the one before, so that the records and the digests are one chain over all of them.

use holdfast_wal::verify::Checked;
use holdfast_wal::{Lineage, Lsn, SegmentSize, SystemIdentifier};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// New segments at once.
const NEW: u64 = 8;
/// Segments at once that were read before.
const OLD: u64 = 2;

/// What is told of it.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Verified {
    /// Everything before this position was read, as far as it is on the share; all of it holds but for what is in [`Verified::bad`].
    pub to: Option<Lsn>,
    /// When it was looked at last.
    pub at: Option<Timestamp>,
    /// What does not hold.
    pub bad: Vec<Bad>,
    /// Why it could not be looked at, if so.
    pub note: Option<String>,
}

/// A file on the share that does not hold.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Bad {
    /// Its name.
    pub file: String,
    /// The number of its segment; of a history file, that of the segment in which its timeline begins.
    pub number: u64,
    /// What is wrong with it; reads on after its name.
    pub why: String,
    /// When that was found.
    pub since: Timestamp,
}

/// What is remembered over a restart of the agent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Proven {
    /// Of which cluster.
    pub(super) system: SystemIdentifier,
    /// On which share.
    pub(super) share: String,
    /// The first segment that was not read yet.
    next: u64,
    /// The timeline of the one before it.
    timeline: Option<u32>,
    /// The first segment that is to be read once more.
    again: u64,
    /// When the share was looked at last.
    at: Option<Timestamp>,
    bad: Vec<Bad>,
    /// Of what this instance may need still: by what those segments are known that held when they were read, each in one chain with the one before.
    #[serde(default)]
    whole: Whole,
}

/// Segments that held, by their numbers, with the stamps of what was read.
pub(crate) type Whole = BTreeMap<u64, String>;

/// What lies on the share, by a listing: the numbers of the first segment and of the last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Extent {
    pub(super) first: u64,
    pub(super) last: u64,
}

/// Why a stretch is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum For {
    /// It has something new.
    New,
    /// Something in it did not hold.
    Bad,
    /// It is its turn once more.
    Again,
}

/// Segments to be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Stretch {
    pub(super) why: For,
    pub(super) first: u64,
    pub(super) count: u64,
}

impl Proven {
    pub(super) fn nothing(system: SystemIdentifier, share: &str) -> Proven {
        Proven {
            system,
            share: share.to_owned(),
            next: 0,
            timeline: None,
            again: 0,
            at: None,
            bad: Vec::new(),
            whole: Whole::new(),
        }
    }

    /// The segments that held when they were read last.
    pub(super) fn whole(&self) -> &Whole {
        &self.whole
    }

    /// Takes up where it was, on what lies there now. `redo`: the segment where this instance would begin if it were started again; what is gone from
    /// before it was let go, and is no hole.
    pub(super) fn take_up(&mut self, extent: Extent, redo: u64, lineage: &Lineage, size: SegmentSize) {
        let begin = extent.first.min(redo);
        let before = self.next.checked_sub(1);
        if before.is_some_and(|before| lineage.owner(before, size) != self.timeline) {
            // The history branched off before what was read: some of that counts no more.
            self.next = 0;
            self.whole.clear();
        }
        self.next = self.next.max(begin);
        if !(extent.first..self.next).contains(&self.again) {
            self.again = extent.first;
        }
        self.bad.retain(|b| b.number >= begin);
        // What is before was applied, and is needed only to begin anew from an older base backup.
        self.whole = self.whole.split_off(&redo);
    }

    /// What to read now. `turn` grows by one each time.
    pub(super) fn stretches(&self, extent: Extent, turn: usize) -> Vec<Stretch> {
        let from = |why, first: u64, count: u64| {
            // One that does not hold proves nothing of those behind it.
            let joined = first > extent.first && !self.is_bad(first - 1);
            let (first, count) = if joined { (first - 1, count + 1) } else { (first, count) };
            Stretch { why, first, count }
        };
        let mut wanted = Vec::new();
        if !self.bad.is_empty() {
            wanted.push(from(For::Bad, self.bad[turn % self.bad.len()].number, 2));
        }
        if self.next <= extent.last {
            wanted.push(from(For::New, self.next, NEW));
        }
        // A share to which something comes at every look must not keep what lies there from being read again.
        let behind = (extent.last + 1).saturating_sub(self.next);
        if behind < NEW && self.again < self.next {
            wanted.push(from(For::Again, self.again, OLD.min(self.next - self.again)));
        }
        wanted
    }

    fn is_bad(&self, number: u64) -> bool {
        self.bad.iter().any(|b| b.number == number)
    }

    /// Takes over what was found in a stretch. `segments`: of each its number and what was found, in order. `histories`: history files that do not hold,
    /// with the number of the segment from which on they are needed.
    pub(super) fn found(
        &mut self,
        stretch: Stretch,
        segments: &[(u64, Checked)],
        histories: &[(u64, Checked)],
        now: Timestamp,
    ) {
        // What lies behind a fault was read by itself, but not as a part of the whole.
        let sound = segments.iter().take_while(|(_, c)| c.usable).count();
        let fault = segments.get(sound).filter(|(_, c)| c.fault.is_some());
        let told = &segments[..sound + usize::from(fault.is_some())];
        let was = self.bad.clone();
        self.bad.retain(|b| !told.iter().any(|(number, _)| *number == b.number));
        for (number, checked) in fault.into_iter().chain(histories) {
            let Some(fault) = &checked.fault else { continue };
            let since = was.iter().find(|b| b.file == checked.file).map_or(now, |b| b.since);
            self.bad.retain(|b| b.file != checked.file);
            self.bad.push(Bad { file: checked.file.clone(), number: *number, why: fault.to_string(), since });
        }
        self.bad.sort_by(|a, b| (a.number, &a.file).cmp(&(b.number, &b.file)));
        let done = told.last().map(|(number, _)| number + 1);
        match (stretch.why, done) {
            (For::New, Some(done)) => self.next = self.next.max(done),
            (For::Again, done) => self.again = done.unwrap_or_default().max(self.again + 1),
            (For::New | For::Bad, _) => {}
        }
        self.at = Some(now);
    }

    /// Notes by what the segments of a stretch are known that held; of the others it is forgotten. The stamps were taken before they were read.
    pub(super) fn stamped(&mut self, segments: &[(u64, Checked)], stamps: &Whole) {
        let mut holds = true;
        for (number, checked) in segments {
            holds = holds && checked.usable;
            match stamps.get(number).filter(|_| holds) {
                Some(stamp) => drop(self.whole.insert(*number, stamp.clone())),
                None => drop(self.whole.remove(number)),
            }
        }
    }

    /// Notes the timeline of what was read last.
    pub(super) fn on(&mut self, lineage: &Lineage, size: SegmentSize) {
        self.timeline = self.next.checked_sub(1).and_then(|before| lineage.owner(before, size));
    }

    /// Whether something new lies there still.
    pub(super) fn is_behind(&self, extent: Extent) -> bool {
        self.next <= extent.last
    }

    /// What is told of it.
    pub(super) fn told(&self, size: SegmentSize) -> Verified {
        let to = (self.at.is_some() && self.next > 0).then(|| size.start_of(self.next));
        Verified { to, at: self.at, bad: self.bad.clone(), note: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_wal::content::Fault;
    use holdfast_wal::{Claim, Opening};

    fn size() -> SegmentSize {
        SegmentSize::try_from(1 << 20).unwrap()
    }

    fn lineage(openings: &[(u32, u64)]) -> Lineage {
        let opening = |(epoch, (timeline, start)): (usize, &(u32, u64))| Opening {
            epoch: epoch as u64 + 1,
            holder: "a1".into(),
            timeline: *timeline,
            start: Lsn(*start),
        };
        Lineage::new(Vec::<Claim>::new(), openings.iter().enumerate().map(opening).collect())
    }

    fn proven() -> Proven {
        Proven::nothing(SystemIdentifier(7), "/srv/bos")
    }

    fn good(numbers: std::ops::Range<u64>) -> Vec<(u64, Checked)> {
        numbers.map(|n| (n, Checked { file: format!("F{n}"), fault: None, usable: true })).collect()
    }

    fn broken_at(numbers: std::ops::Range<u64>, at: u64) -> Vec<(u64, Checked)> {
        let mut all = good(numbers);
        for (number, checked) in &mut all {
            checked.usable = *number < at;
            checked.fault = (*number == at).then_some(Fault::HashDiffers);
        }
        all
    }

    fn now() -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn read(proven: &mut Proven, extent: Extent, turn: usize, bad: Option<u64>) -> Vec<For> {
        let line = lineage(&[(1, 0)]);
        proven.take_up(extent, 90, &line, size());
        let stretches = proven.stretches(extent, turn);
        for stretch in &stretches {
            let range = stretch.first..(stretch.first + stretch.count).min(extent.last + 1);
            let found = match bad.filter(|bad| range.contains(bad)) {
                Some(bad) => broken_at(range, bad),
                None => good(range),
            };
            proven.found(*stretch, &found, &[], now());
            proven.on(&line, size());
        }
        stretches.iter().map(|s| s.why).collect()
    }

    #[test]
    fn what_comes_is_read_in_one_chain_and_then_everything_once_more() {
        let (mut proven, extent) = (proven(), Extent { first: 3, last: 14 });
        proven.take_up(extent, 90, &lineage(&[(1, 0)]), size());
        assert_eq!(proven.stretches(extent, 0), vec![Stretch { why: For::New, first: 3, count: 8 }]);
        assert_eq!(read(&mut proven, extent, 0, None), vec![For::New]);
        assert_eq!(proven.stretches(extent, 1)[0], Stretch { why: For::New, first: 10, count: 9 }, "joined");
        assert_eq!(
            read(&mut proven, extent, 1, None),
            vec![For::New, For::Again],
            "little is new: what is old is read too"
        );
        assert_eq!(proven.told(size()).to, Some(Lsn(15 << 20)));
        assert!(!proven.is_behind(extent));
        let mut again = Vec::new();
        for turn in 0..7 {
            again.push(proven.again);
            assert_eq!(read(&mut proven, extent, turn, None), vec![For::Again]);
        }
        assert_eq!(again, vec![5, 7, 9, 11, 13, 15, 5], "and from the beginning");
    }

    #[test]
    fn what_does_not_hold_is_named_passed_and_read_again_until_it_holds() {
        let (mut proven, extent) = (proven(), Extent { first: 3, last: 7 });
        read(&mut proven, extent, 0, Some(5));
        assert_eq!((proven.next, proven.told(size()).bad[0].file.as_str()), (6, "F5"));
        assert!(proven.told(size()).bad[0].why.contains("SHA-256 differs"));
        // It goes on behind it, not joined to it, and looks at it again.
        let both = proven.stretches(extent, 0);
        assert_eq!(both[0], Stretch { why: For::Bad, first: 4, count: 3 });
        assert_eq!(both[1], Stretch { why: For::New, first: 6, count: 8 });
        read(&mut proven, extent, 0, Some(5));
        assert_eq!((proven.next, proven.bad.len()), (8, 1));
        assert_eq!(read(&mut proven, extent, 1, None), vec![For::Bad, For::Again]);
        assert!(proven.told(size()).bad.is_empty(), "mended");
    }

    #[test]
    fn what_was_good_and_rots_is_found_when_it_is_read_once_more() {
        let (mut proven, extent) = (proven(), Extent { first: 3, last: 7 });
        read(&mut proven, extent, 0, None);
        for turn in 0..3 {
            read(&mut proven, extent, turn, Some(4));
        }
        assert_eq!(proven.bad[0].number, 4);
    }

    #[test]
    fn what_was_let_go_is_no_hole_and_what_is_missing_behind_it_is() {
        let mut proven = proven();
        read(&mut proven, Extent { first: 3, last: 7 }, 0, Some(4));
        // All up to 20 was let go.
        proven.take_up(Extent { first: 21, last: 25 }, 40, &lineage(&[(1, 0)]), size());
        assert_eq!((proven.next, proven.again, proven.bad.len()), (21, 21, 0));
        // What is not there although this instance would need it is read, and found to be missing.
        let mut proven = super::tests::proven();
        proven.take_up(Extent { first: 21, last: 25 }, 15, &lineage(&[(1, 0)]), size());
        assert_eq!(proven.next, 15);
    }

    #[test]
    fn what_held_is_known_by_its_stamp_until_it_is_not_needed_or_does_not_hold() {
        let (mut proven, extent) = (proven(), Extent { first: 3, last: 7 });
        let stamps = |of: &str| (3..8).map(|n| (n, format!("{n} {of}"))).collect::<Whole>();
        let line = lineage(&[(1, 0)]);
        proven.take_up(extent, 3, &line, size());
        proven.on(&line, size());
        proven.stamped(&good(3..8), &stamps("a"));
        assert_eq!(proven.whole(), &stamps("a"));
        proven.stamped(&broken_at(5..8, 6), &stamps("b"));
        assert_eq!(proven.whole().keys().copied().collect::<Vec<_>>(), [3, 4, 5], "nothing behind a fault");
        assert_eq!(proven.whole()[&5], "5 b");
        // A store that does not say by what it knows its objects.
        proven.stamped(&good(3..4), &Whole::new());
        assert!(!proven.whole().contains_key(&3));
        proven.take_up(extent, 5, &line, size());
        assert_eq!(proven.whole().keys().copied().collect::<Vec<_>>(), [5], "applied long ago");
        proven.next = 8;
        proven.on(&line, size());
        proven.take_up(extent, 3, &lineage(&[(1, 0), (2, 6 << 20)]), size());
        assert!(proven.whole().is_empty(), "the history branched off before");
    }

    #[test]
    fn a_history_that_branches_off_before_what_was_read_is_read_from_the_beginning() {
        let (mut proven, extent) = (proven(), Extent { first: 3, last: 7 });
        read(&mut proven, extent, 0, None);
        assert_eq!(proven.next, 8);
        let mut behind = proven.clone();
        behind.take_up(extent, 90, &lineage(&[(1, 0), (2, 8 << 20)]), size());
        assert_eq!(behind.next, 8, "it branches off behind");
        proven.take_up(extent, 90, &lineage(&[(1, 0), (2, 6 << 20)]), size());
        assert_eq!(proven.next, 3);
    }

    #[test]
    fn a_broken_history_file_is_named_and_nothing_is_read_beyond_it() {
        let (mut proven, extent) = (proven(), Extent { first: 3, last: 7 });
        proven.take_up(extent, 90, &lineage(&[(1, 0)]), size());
        let stretch = proven.stretches(extent, 0)[0];
        let mut segments = good(3..8);
        segments[2..].iter_mut().for_each(|(_, c)| c.usable = false);
        let history = Checked { file: "00000002.history".into(), fault: Some(Fault::Missing), usable: false };
        proven.found(stretch, &segments, &[(5, history)], now());
        assert_eq!((proven.next, proven.bad[0].file.as_str()), (5, "00000002.history"));
        proven.found(stretch, &good(3..8), &[], now());
        assert_eq!((proven.next, proven.bad.len()), (8, 0));
    }
}
