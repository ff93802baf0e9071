//! The room logs.

use crate::Result;
use async_trait::async_trait;
use holdfast_domain::chain::{Digest, Stored};
use holdfast_domain::entry::FileRef;
use holdfast_domain::{ClientId, Entry, EntryBody, PrincipalId, RoomId, Seq, Time};

/// Something to be written to a log.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Whose log.
    pub room: RoomId,
    /// Who does it.
    pub author: PrincipalId,
    /// The author's own name for it; a draft whose room, author and client id were seen before yields the entry that is
    /// there, and changes nothing.
    pub client_id: ClientId,
    /// For how long the client id is remembered.
    pub remember: Remember,
    /// Of a change that was decided on the directory as it was: which, see [`crate::pool::Turn`]. Not looked at by a store that only
    /// one server uses.
    pub decided_on: Option<i64>,
    /// The time now. The entry gets this or, if that is later, the time of the entry before it.
    pub at: Time,
    /// What happened.
    pub body: EntryBody,
}

/// For how long a client id is remembered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Remember {
    /// Until [`RoomLog::forget_client_ids`] with a later time: drafts of clients, which resend soon or never.
    UntilForgotten,
    /// For ever: imports, which may be run again years later.
    ForEver,
}

/// What became of a draft.
#[derive(Clone, Debug)]
pub enum Appended {
    /// It is a new entry.
    New(Entry),
    /// The draft had been written before; this is its entry.
    Repeated(Entry),
}

impl Appended {
    /// The entry, new or not.
    pub fn entry(&self) -> &Entry {
        match self {
            Appended::New(entry) | Appended::Repeated(entry) => entry,
        }
    }
}

/// The end of a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    /// The number of the last entry; [`Seq::ZERO`] of an empty log.
    pub seq: Seq,
    /// Its hash; the genesis of an empty log.
    pub hash: Digest,
    /// How many messages there are in it, removed ones included.
    pub messages: i64,
    /// The shown time of the last message.
    pub last_message_at: Option<Time>,
}

/// Which entries of a log are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum From {
    /// The newest.
    Latest,
    /// Those right before this one.
    Before(Seq),
    /// Those right after this one.
    After(Seq),
    /// This one with half of the page before it, less where the log begins. The latest page if it is beyond the end.
    Around(Seq),
    /// As [`From::Around`] the message that is shown first among those shown at this time or later; the latest page if there
    /// is none.
    At(Time),
}

/// Entries of one log, in ascending order, each with what later entries made of it.
#[derive(Clone, Debug)]
pub struct Page {
    /// The entries.
    pub rows: Vec<Row>,
    /// Of [`From::Around`] and [`From::At`]: the entry that the page is around, if it is in it.
    pub focus: Option<Seq>,
    /// Whether there are earlier entries.
    pub more_before: bool,
    /// Whether there are later entries.
    pub more_after: bool,
}

/// An entry with what later entries made of it.
#[derive(Clone, Debug)]
pub struct Row {
    /// As it was written.
    pub entry: Entry,
    /// The latest edit of this message: the edit's entry number, time, and content. `None` once the message was purged or erased.
    pub edited: Option<Edited>,
    /// The retraction, removal or purge of this message.
    pub removed: Option<Removed>,
}

impl Row {
    /// The files of a message as it is now, in sight or not.
    pub fn files_now(&self) -> &[FileRef] {
        let edited = self.edited.as_ref().and_then(|edit| edit.files.as_deref());
        edited.or_else(|| self.entry.files().map(|(_, files)| files)).unwrap_or_default()
    }

    /// Title and text of a message as it reads now, if it is in sight.
    pub fn reads_now(&self) -> Option<(Option<&str>, &str)> {
        if self.removed.is_some() {
            return None;
        }
        match (&self.edited, &self.entry.body) {
            (Some(edited), _) => Some((edited.title.as_deref(), &edited.text)),
            (None, Some(EntryBody::Message(m))) => Some((m.title.as_deref(), &m.text)),
            _ => None,
        }
    }
}

/// The latest edit of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edited {
    /// The edit's own entry.
    pub seq: Seq,
    /// When.
    pub at: Time,
    /// The text now.
    pub text: String,
    /// The title now.
    pub title: Option<String>,
    /// Who is named in it now.
    pub mentions: Vec<PrincipalId>,
    /// The files that it has now; `None`: those that it came with.
    pub files: Option<Vec<FileRef>>,
    /// Whether it tells now what its author does; `None`: as it did.
    pub action: Option<bool>,
}

/// How a message went out of sight. A purge beats a removal, a removal beats a retraction, and the later beats the earlier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// The entry that did it.
    pub seq: Seq,
    /// When.
    pub at: Time,
    /// Who did it.
    pub by: PrincipalId,
    /// How.
    pub how: Gone,
    /// The moderator's reason.
    pub reason: Option<String>,
    /// What is shown instead.
    pub replacement: Option<String>,
}

/// The ways in which a message goes out of sight.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Gone {
    /// By its author.
    Retracted,
    /// By a moderator.
    Removed,
    /// With all before it, when the room was cleared.
    Purged,
}

/// The append-only logs and what can be read of them.
#[async_trait]
pub trait RoomLog: Send + Sync {
    /// Writes all drafts, or none, in one durable transaction, even if its caller goes away meanwhile: numbers and chains them in the given order (each room's in
    /// its own log), remembers client ids, and brings every projection in step: rooms, lists, categories, users, groups, amendments,
    /// counts, mentions, search. Answers in the order of the drafts. A draft repeated within one batch counts as repeated.
    ///
    /// A message that names files takes those that were uploaded to the same room and completed; the others are [`crate::StoreError::Missing`].
    ///
    /// What only the transaction can know is filled in, whatever the draft says: a removal with `erased` also names the edits of its
    /// messages, and [`EntryBody::RoomDeleted`] the end of the room's log. So read an entry's body from the answer.
    ///
    /// A [`EntryBody::Purge`] erases the payloads of the content entries (see `Kind::is_content`) up to its `through`, and a removal
    /// with `erased` those of its messages and of their edits; their digests stay. [`EntryBody::RoomDeleted`] deletes the room's log,
    /// files and all that hangs on it; it cannot begin again. A draft for the log of a room that exists neither already nor by an earlier draft of the batch
    /// (`EntryBody::Room` begins a room's log) is [`crate::StoreError::Missing`].
    async fn append(&self, drafts: Vec<Draft>) -> Result<Vec<Appended>>;

    /// The end of a log; of a room that does not exist, that of an empty log. While nothing can be written it may be some moments old.
    async fn head(&self, room: RoomId) -> Result<Head>;

    /// The ends of all logs that have an entry, the pool's included. Never old.
    async fn heads(&self) -> Result<Vec<(RoomId, Head)>>;

    /// At most `limit` entries of a log.
    async fn page(&self, room: RoomId, from: From, limit: usize) -> Result<Page>;

    /// Some entries of a log by their numbers, ascending; numbers that are not there are left out.
    async fn rows(&self, room: RoomId, seqs: Vec<Seq>) -> Result<Vec<Row>>;

    /// The edits of a message, ascending: the entries themselves. Erased ones are left out.
    async fn edits_of(&self, room: RoomId, seq: Seq) -> Result<Vec<Entry>>;

    /// The entry that a client id was written as, if it is remembered.
    async fn find_sent(&self, room: RoomId, author: PrincipalId, client_id: ClientId) -> Result<Option<Entry>>;

    /// At most `limit` entries after `after` exactly as they are stored, ascending: for verification and export.
    async fn stored(&self, room: RoomId, after: Seq, limit: usize) -> Result<Vec<Stored>>;

    /// The last entry whose shown time is at or before `at` (of all kinds): where a clearing by date ends. `None` if there is none.
    async fn last_at(&self, room: RoomId, at: Time) -> Result<Option<Seq>>;

    /// Forgets the client ids remembered [`Remember::UntilForgotten`] of entries older than `before`; answers how many.
    async fn forget_client_ids(&self, before: Time) -> Result<u64>;
}
