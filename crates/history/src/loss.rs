//! A loss that was announced: the end of an epoch, and nothing else.
//!
//! Whoever takes over from a lost site has a beginning of what it had. So what is missing is an end in every room, and in time too: whatever was
//! acknowledged before something else was sent cannot be lost while the other is kept. Numbers of what was lost are given anew, to whatever comes next; a
//! message that was lost and sent again has another one, or the same by chance.

use crate::record::{Fate, Logged, Message, Seen, Told};
use crate::report::{Kind, Report, named, short};
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

/// What may be missing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Loss {
    /// The last epoch of what was lost: what was told and seen in this one and in earlier ones may be missing.
    pub epoch: i64,
    /// Entries at most, whether their senders were told or others saw them.
    pub at_most: usize,
}

impl Loss {
    /// Nothing may be missing.
    pub const NONE: Loss = Loss { epoch: i64::MIN, at_most: 0 };

    pub(crate) fn covers(&self, epoch: i64) -> bool {
        epoch <= self.epoch
    }
}

/// How an acknowledged message stands to the loss.
pub(crate) enum Standing {
    /// It is where every answer said.
    Kept,
    /// It was lost; it is there all the same if it was sent again.
    Lost,
    /// Not even a loss explains it: this answer does not fit.
    Wrong(Told),
}

/// What was found missing with an epoch, and what was kept of it.
pub(crate) struct Losses<'a> {
    loss: Loss,
    /// The numbers of what is missing, by room.
    missing: HashMap<i64, BTreeSet<i64>>,
    /// The acknowledged messages among them whose senders were told first.
    first: Option<(Duration, &'a Message)>,
    /// Acknowledged before the loss and then no more, and there: these were certainly kept, with their numbers.
    kept: Vec<(&'a Message, i64)>,
}

impl<'a> Losses<'a> {
    pub(crate) fn new(loss: Loss) -> Self {
        Self { loss, missing: HashMap::new(), first: None, kept: Vec::new() }
    }

    /// Whether what was told or seen in that epoch may be missing.
    pub(crate) fn covers(&self, epoch: i64) -> bool {
        self.loss.covers(epoch)
    }

    /// Takes in an acknowledged message and where it was found.
    pub(crate) fn take(&mut self, message: &'a Message, told: &[Told], found: &[&Logged]) -> Standing {
        let is_there = |told: &&Told| found.iter().any(|entry| entry.seq == told.seq);
        let (before, after): (Vec<&Told>, Vec<&Told>) = told.iter().partition(|told| self.covers(told.epoch));
        if let Some(wrong) = after.iter().find(|told| !is_there(told)) {
            return Standing::Wrong(**wrong);
        }
        let (there, gone): (Vec<&Told>, Vec<&Told>) = before.iter().copied().partition(|told| is_there(told));
        match (there.first(), gone.first()) {
            (_, None) => {
                if let (Some(told), true) = (there.first(), after.is_empty()) {
                    self.kept.push((message, told.seq));
                }
                Standing::Kept
            }
            // One answer is right and another is not: that is no loss.
            (Some(_), Some(wrong)) => Standing::Wrong(**wrong),
            (None, Some(first)) => {
                let numbers = self.missing.entry(message.room).or_default();
                numbers.extend(gone.iter().map(|told| told.seq));
                if self.first.is_none_or(|(at, _)| first.at < at) {
                    self.first = Some((first.at, message));
                }
                Standing::Lost
            }
        }
    }

    /// Takes in an entry that was seen before the loss and is not there any more; answers what is wrong with that.
    pub(crate) fn take_seen(&mut self, room: i64, seen: &Seen, sent: Option<&Message>) -> Option<(Kind, String)> {
        let what = |how: &str| format!("{} {} was seen {how}", seen.seq, short(seen.client_id));
        let Some(message) = sent else { return Some((Kind::Invented, what("and was lost, and nobody sent it"))) };
        if message.content != seen.content {
            return Some((Kind::Altered, what("with another text than it was sent with")));
        }
        if matches!(message.fate, Fate::Failed(_)) {
            return Some((Kind::Risen, what("though its sender was told that it failed")));
        }
        self.missing.entry(room).or_default().insert(seen.seq);
        None
    }

    /// The first number of a room that is known to be missing.
    pub(crate) fn fork(&self, room: i64) -> Option<i64> {
        self.missing.get(&room)?.first().copied()
    }

    /// Asks whether all that is missing is an end, and no more than was announced.
    pub(crate) fn judge(&self, report: &mut Report) {
        for (message, seq) in &self.kept {
            if let Some(fork) = self.fork(message.room).filter(|fork| fork <= seq) {
                let what = format!("{fork} is missing, and {seq} is there: {}", named(message));
                report.add(Kind::LostBefore, message.room, what);
            } else if let Some((_, lost)) = self.first.filter(|(at, _)| *at < message.begun) {
                let what =
                    format!("{} in room {}, known before this was sent: {}", named(lost), lost.room, named(message));
                report.add(Kind::LostBefore, message.room, what);
            }
        }
        report.counts.vanished = self.missing.values().map(BTreeSet::len).sum();
        if report.counts.vanished > self.loss.at_most {
            let rooms: Vec<String> = {
                let mut rooms: Vec<_> = self.missing.iter().collect();
                rooms.sort_unstable_by_key(|(room, _)| **room);
                rooms.iter().map(|(room, numbers)| format!("{} in room {room}", numbers.len())).collect()
            };
            let room = self.missing.keys().min().copied().unwrap_or_default();
            let what = format!(
                "{} entries, announced were {}: {}",
                report.counts.vanished,
                self.loss.at_most,
                rooms.join(", ")
            );
            report.add(Kind::LostMore, room, what);
        }
    }
}
