//! What clients record.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::time::Duration;
use uuid::Uuid;

/// What a text, or several things together, is known by. The same within one run of a program; not to be kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Digest(pub u64);

impl Digest {
    /// Of a text.
    pub fn of(text: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        Self(hasher.finish())
    }
}

/// What became of a message, as its sender was told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It was taken: what each answer said, first and repeated. At least one.
    Acknowledged(Vec<Told>),
    /// Every attempt was refused, the last of them in these words.
    Failed(String),
    /// An answer was lost, or was that nobody knows.
    Unknown,
}

/// An answer that a message was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Told {
    /// The number that it was given.
    pub seq: i64,
    /// Of the pool's database at that time, as far as the client can know it. It only matters where a loss is allowed.
    pub epoch: i64,
    /// When it came, since the moment from which all is measured.
    pub at: Duration,
}

/// A message that a client sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// The room.
    pub room: i64,
    /// By what name its sender is in the log.
    pub author: String,
    /// The sender's own name for it.
    pub client_id: Uuid,
    /// What it says.
    pub content: Digest,
    /// When it was first sent, since any moment that is the same for all clients.
    pub begun: Duration,
    /// When its sender had the last word on it.
    pub ended: Duration,
    /// What became of it.
    pub fate: Fate,
}

/// An entry that was seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seen {
    /// Its number.
    pub seq: i64,
    /// Its author's own name for it.
    pub client_id: Uuid,
    /// What it says.
    pub content: Digest,
}

/// One stretch of a room as one connection, or one reading of history, showed it to an observer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct View {
    /// Who.
    pub observer: String,
    /// On which server.
    pub server: String,
    /// Of the pool's database, as that server said. It only matters where a loss is allowed.
    pub epoch: i64,
    /// The room.
    pub room: i64,
    /// What comes first follows this number: the one that the observer said he had, or the last one of the room when he came.
    pub after: i64,
    /// Whether `after` is where this observer's stretch before this one ended: he said so, and has to be given all that follows.
    pub continues: bool,
    /// What he saw, in the order in which he saw it.
    pub entries: Vec<Seen>,
}

impl View {
    /// The last number that it has.
    pub fn end(&self) -> i64 {
        self.entries.last().map_or(self.after, |seen| seen.seq)
    }
}

/// Everything that was recorded.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct History {
    /// What each client sent, one message after the other: none began before the one before it had ended.
    pub clients: Vec<Vec<Message>>,
    /// What was seen. Of one observer and room, in the order in which he saw it.
    pub views: Vec<View>,
}

/// An entry of a room's log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Logged {
    /// Its number.
    pub seq: i64,
    /// Whether it is a message: of other entries only the numbers are checked, and that all see the same.
    pub is_message: bool,
    /// By what name its author is in the log.
    pub author: String,
    /// Its author's own name for it.
    pub client_id: Uuid,
    /// What it says.
    pub content: Digest,
}

/// A room's whole log, as one server gave it when all was over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FinalLog {
    /// Which server.
    pub server: String,
    /// The room.
    pub room: i64,
    /// From the first entry to the last.
    pub entries: Vec<Logged>,
}
