//! The archive of one-to-one messages between people of the pool.
//!
//! They are no entries of a room's log: only two people may read them, nobody moderates them, and nothing chains them. Each is kept once,
//! however many read it.
//!
//! **Invariant:** numbers ascend in the order of commits, over the whole archive. Who has read all up to a number and asks for what comes after
//! it misses nothing, whichever servers write meanwhile. Times never run back along the numbers either, so a window of time is one of numbers.

use crate::Result;
use async_trait::async_trait;
use holdfast_domain::entry::FileRef;
use holdfast_domain::{ClientId, FileId, PrincipalId, Time};

/// A message to be kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewDirect {
    /// Who wrote it.
    pub from: PrincipalId,
    /// To whom; may be the same.
    pub to: PrincipalId,
    /// The author's own name for it; one whose author, addressee and client id were seen before yields the message that is there, and changes
    /// nothing. Remembered for ever.
    pub client_id: ClientId,
    /// The time now. The message gets this or, if that is later, the time of the message before it.
    pub at: Time,
    /// What a person reads of it, for search and export; may be empty.
    pub text: String,
    /// The XML of the whole stanza.
    pub payload: String,
    /// Files of no room that it says the addresses of. Those of its author that no message has yet go with it; others are passed over.
    pub files: Vec<FileId>,
}

/// A message that is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Direct {
    /// Its number, from 1 on. There may be gaps.
    pub id: i64,
    /// Who wrote it.
    pub from: PrincipalId,
    /// To whom.
    pub to: PrincipalId,
    /// When it was taken in.
    pub at: Time,
    /// The XML of the whole stanza.
    pub payload: String,
}

/// A message with all that is kept of it: what an archive of the pool holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredDirect {
    /// The message.
    pub direct: Direct,
    /// Its author's own name for it.
    pub client_id: ClientId,
    /// What a person reads of it.
    pub text: String,
    /// The files that went with it.
    pub files: Vec<FileRef>,
}

/// What became of a new message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DirectAppended {
    /// It is kept now.
    New(Direct),
    /// It had been kept before; this is how.
    Repeated(Direct),
}

impl DirectAppended {
    /// The message, new or not.
    pub fn direct(&self) -> &Direct {
        match self {
            DirectAppended::New(direct) | DirectAppended::Repeated(direct) => direct,
        }
    }
}

/// Which messages are wanted. All conditions hold together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DirectQuery {
    /// Whose archive: messages that he wrote or was written.
    pub of: PrincipalId,
    /// Only those that he exchanged with this one; with himself, those to himself.
    pub with: Option<PrincipalId>,
    /// Only those of this time or later.
    pub since: Option<Time>,
    /// Only those of this time or earlier.
    pub until: Option<Time>,
    /// Only those behind this number, whether it is there or not.
    pub after: Option<i64>,
    /// Only those before this number, whether it is there or not.
    pub before: Option<i64>,
    /// Whether the last of all these are wanted, rather than the first.
    pub newest: bool,
    /// So many at most.
    pub limit: usize,
}

impl DirectQuery {
    /// Everything in somebody's archive, from its beginning.
    pub fn all(of: PrincipalId, limit: usize) -> DirectQuery {
        DirectQuery { of, with: None, since: None, until: None, after: None, before: None, newest: false, limit }
    }

    /// The numbers between which the page lies, without both. `since`: the first number in the archive that is of the time `since` or later, and
    /// `later` the first that is later than `until`; each only if it was asked for and there is one.
    pub(crate) fn between(&self, since: Option<i64>, later: Option<i64>) -> (i64, i64) {
        let since = match (self.since, since) {
            (None, _) => 0,
            (Some(_), Some(first)) => first - 1,
            (Some(_), None) => i64::MAX,
        };
        (since.max(self.after.unwrap_or(0)), later.unwrap_or(i64::MAX).min(self.before.unwrap_or(i64::MAX)))
    }

    /// So many rows are read: by one too many it shows that there are more.
    pub(crate) fn rows_to_read(&self) -> i64 {
        i64::try_from(self.limit.saturating_add(1)).unwrap_or(i64::MAX)
    }

    /// The page of the rows that were read, which are in the direction of paging.
    pub(crate) fn page(&self, mut rows: Vec<Direct>) -> DirectPage {
        let more = rows.len() > self.limit;
        rows.truncate(self.limit);
        if self.newest {
            rows.reverse();
        }
        DirectPage { rows, more }
    }
}

/// Messages, in ascending order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DirectPage {
    /// The messages.
    pub rows: Vec<Direct>,
    /// Whether there are more of those asked for: before the page if the newest were, behind it otherwise.
    pub more: bool,
}

/// The archive of one-to-one messages.
#[async_trait]
pub trait DirectMessages: Send + Sync {
    /// Keeps all messages, or none, in one durable transaction, and answers in their order. One that is repeated within the batch counts as repeated.
    ///
    /// After [`crate::StoreError::Unknown`] the same call tells what became of them.
    async fn add_direct(&self, new: Vec<NewDirect>) -> Result<Vec<DirectAppended>>;
    /// A page of somebody's archive. A message to oneself is there once.
    async fn direct_page(&self, query: DirectQuery) -> Result<DirectPage>;
    /// Some messages by their numbers, ascending; those that `of` neither wrote nor was written are left out, as numbers that were never given.
    async fn direct(&self, of: PrincipalId, ids: Vec<i64>) -> Result<Vec<Direct>>;
    /// Everybody with whom somebody has exchanged messages, and the number of the last of them, which the list descends by. Costs
    /// something for each of them, however many messages there are.
    async fn direct_partners(&self, of: PrincipalId) -> Result<Vec<(PrincipalId, i64)>>;
    /// Everybody's messages behind a number, ascending, at most `limit`, with all that is kept of each.
    async fn direct_stored(&self, after: i64, limit: usize) -> Result<Vec<StoredDirect>>;
    /// Writes messages exactly as they are given behind those that are there, in one transaction: for bringing in a pool from an archive. Numbers
    /// must ascend and times not run back, else it is [`crate::StoreError::Corrupt`] and nothing is written. Their files go with them as with new ones.
    async fn load_direct(&self, messages: Vec<StoredDirect>) -> Result<()>;
}
