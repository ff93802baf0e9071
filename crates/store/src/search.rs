//! Full text search over messages as they read now: edited text, nothing that is out of sight.

use crate::Result;
use crate::log::Row;
use async_trait::async_trait;
use holdfast_domain::{PrincipalId, RoomId, Seq, Time};

/// How the words of a query combine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Words {
    /// All of them, anywhere.
    All,
    /// At least one of them.
    Any,
    /// One after the other.
    Phrase,
}

/// In which order hits come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// Latest shown first.
    Newest,
    /// Earliest shown first.
    Oldest,
}

/// A question. Every part must hold.
#[derive(Clone, Debug)]
pub struct Query {
    /// What to look for: free text, of which only letters and digits count, and not more than some dozens of words. Without any:
    /// anything, by the other parts.
    pub text: String,
    /// How its words combine.
    pub words: Words,
    /// Among the messages of these rooms.
    pub rooms: Vec<RoomId>,
    /// By one of these authors; empty: anybody.
    pub authors: Vec<PrincipalId>,
    /// Shown at this time or later.
    pub from: Option<Time>,
    /// Shown before this time.
    pub until: Option<Time>,
    /// In which order.
    pub order: Order,
    /// Only hits that come after this one in the order: the last hit of the page before.
    pub after: Option<(Time, RoomId, Seq)>,
    /// How many at most.
    pub limit: usize,
}

/// A message that answers a query.
#[derive(Clone, Debug)]
pub struct Found {
    /// The message.
    pub row: Row,
    /// The stretches of its text as it reads now that the query's words stand at: byte ranges, ascending, apart. Empty where they stand
    /// in the title only.
    pub marks: Vec<(usize, usize)>,
}

/// A page of answers.
#[derive(Clone, Debug, Default)]
pub struct Hits {
    /// At most `limit` of them.
    pub found: Vec<Found>,
    /// Whether there are more after the last.
    pub more: bool,
}

/// Full text search.
#[async_trait]
pub trait Search: Send + Sync {
    /// Answers a query. What [`crate::RoomLog::append`] has returned is found. Words are compared without regard to case and accents.
    async fn search(&self, query: Query) -> Result<Hits>;

    /// The messages that name a user, in those rooms, newest first: at most `limit` after the one named.
    async fn mentions(
        &self,
        user: PrincipalId,
        rooms: Vec<RoomId>,
        after: Option<(Time, RoomId, Seq)>,
        limit: usize,
    ) -> Result<Hits>;
}
