//! What the checker found.

use crate::record::Message;
use std::collections::BTreeMap;
use std::fmt;
use uuid::Uuid;

/// Faults of a kind that are printed at most.
const SHOWN: usize = 20;

/// A kind of fault.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// Acknowledged, and not in the log.
    Lost,
    /// Lost with an epoch, though something of it that came later was kept.
    LostBefore,
    /// More was lost with an epoch than had been announced.
    LostMore,
    /// Acknowledged at another number than the one that it has.
    Moved,
    /// In the log more than once.
    Doubled,
    /// In the log, and nobody sent it.
    Invented,
    /// Reported as failed, and in the log.
    Risen,
    /// In the log with another author or text than it was sent with.
    Altered,
    /// Before a message of the same client that had been acknowledged when this one was sent.
    OutOfTurn,
    /// Before a message of another client that had been acknowledged when this one was sent.
    OutOfTime,
    /// A number is missing from the log, or there twice.
    Hole,
    /// Two servers give different logs.
    Disagreement,
    /// There is no log of a room in which something was acknowledged or seen.
    NoLog,
    /// A stretch that was seen leaves out, repeats or reorders numbers.
    SeenHole,
    /// Seen otherwise than it is in the log.
    SeenOtherwise,
    /// A number that was seen with two contents.
    SeenTwoWays,
    /// Seen, and not in the log.
    SeenGone,
    /// An observer went on elsewhere than where he had said that he stopped.
    LostPlace,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 18] = [
        Kind::Lost,
        Kind::LostBefore,
        Kind::LostMore,
        Kind::Moved,
        Kind::Doubled,
        Kind::Invented,
        Kind::Risen,
        Kind::Altered,
        Kind::OutOfTurn,
        Kind::OutOfTime,
        Kind::Hole,
        Kind::Disagreement,
        Kind::NoLog,
        Kind::SeenHole,
        Kind::SeenOtherwise,
        Kind::SeenTwoWays,
        Kind::SeenGone,
        Kind::LostPlace,
    ];

    /// What it means, for a heading.
    pub fn meaning(self) -> &'static str {
        match self {
            Kind::Lost => "acknowledged, and not in the log",
            Kind::LostBefore => "lost, though what came later was kept",
            Kind::LostMore => "more was lost than was announced",
            Kind::Moved => "acknowledged at another number",
            Kind::Doubled => "in the log more than once",
            Kind::Invented => "in the log, and nobody sent it",
            Kind::Risen => "reported as failed, and in the log",
            Kind::Altered => "in the log with another author or text",
            Kind::OutOfTurn => "not in its sender's order",
            Kind::OutOfTime => "before what was acknowledged before it was sent",
            Kind::Hole => "the log's numbers are not 1, 2, 3 ...",
            Kind::Disagreement => "two servers give different logs",
            Kind::NoLog => "there is no log of the room",
            Kind::SeenHole => "what was seen leaves out, repeats or reorders numbers",
            Kind::SeenOtherwise => "seen otherwise than it is in the log",
            Kind::SeenTwoWays => "seen with two contents",
            Kind::SeenGone => "seen, and not in the log",
            Kind::LostPlace => "an observer did not go on where he had stopped",
        }
    }
}

/// Something that cannot be so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// Which kind.
    pub kind: Kind,
    /// The room.
    pub room: i64,
    /// Which message, number, observer.
    pub what: String,
}

/// How much of what there was.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Messages sent.
    pub sent: usize,
    /// Of them acknowledged.
    pub acknowledged: usize,
    /// Of those, lost with an epoch, as was allowed, and not sent again.
    pub lost: usize,
    /// Of those, lost with an epoch and sent again, so that they are there all the same.
    pub sent_again: usize,
    /// Entries that were lost with an epoch, as far as anybody was told of them or saw them: the two above, and what only observers know of.
    pub vanished: usize,
    /// Unknown, and in the log.
    pub unknown_found: usize,
    /// Unknown, and not in the log.
    pub unknown_absent: usize,
    /// Reported as failed.
    pub failed: usize,
    /// Entries that observers saw, each as often as it was seen.
    pub seen: usize,
    /// Connections and readings of history.
    pub views: usize,
    /// Rooms whose logs were looked at.
    pub rooms: usize,
    /// Entries in these.
    pub logged: usize,
}

/// What [`crate::check()`] found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// How much of what there was.
    pub counts: Counts,
    /// What cannot be so, in the order in which it was found.
    pub faults: Vec<Fault>,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn holds(&self) -> bool {
        self.faults.is_empty()
    }

    /// Itself, when nothing is wrong.
    ///
    /// # Panics
    /// When something is; the text is the report.
    #[track_caller]
    pub fn hold(self) -> Self {
        assert!(self.holds(), "the history cannot be so\n{self}");
        self
    }

    /// Whether a fault of that kind was found.
    pub fn has(&self, kind: Kind) -> bool {
        self.faults.iter().any(|fault| fault.kind == kind)
    }

    pub(crate) fn add(&mut self, kind: Kind, room: i64, what: String) {
        self.faults.push(Fault { kind, room, what });
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let c = self.counts;
        writeln!(
            f,
            "{} sent: {} acknowledged, {} unknown and found, {} unknown and absent, {} failed; {} seen in {} views; {} entries in {} rooms",
            c.sent, c.acknowledged, c.unknown_found, c.unknown_absent, c.failed, c.seen, c.views, c.logged, c.rooms
        )?;
        if c.vanished > 0 {
            writeln!(
                f,
                "lost with an epoch: {} entries that somebody knew of; {} acknowledged messages are lost, {} were sent again",
                c.vanished, c.lost, c.sent_again
            )?;
        }
        let mut kinds: BTreeMap<Kind, Vec<&Fault>> = BTreeMap::new();
        for fault in &self.faults {
            kinds.entry(fault.kind).or_default().push(fault);
        }
        if kinds.is_empty() {
            return writeln!(f, "no faults");
        }
        for (kind, faults) in kinds {
            writeln!(f, "{} ({}):", kind.meaning(), faults.len())?;
            for fault in faults.iter().take(SHOWN) {
                writeln!(f, "  room {}: {}", fault.room, fault.what)?;
            }
            if faults.len() > SHOWN {
                writeln!(f, "  ... and {} more", faults.len() - SHOWN)?;
            }
        }
        Ok(())
    }
}

/// A message, for a fault.
pub(crate) fn named(message: &Message) -> String {
    format!("{} of {} ({:?})", short(message.client_id), message.author, message.fate)
}

/// Enough of a client id to find it.
pub(crate) fn short(id: Uuid) -> String {
    let mut text = id.simple().to_string();
    text.truncate(12);
    text
}
