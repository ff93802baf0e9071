//! The servers that share one store: who they are, which of them take clients, and how they wake each other.
//!
//! The servers of a pool share nothing but the store. What one of them writes, the others read from the logs; that there is something
//! to read they learn by a hint, which may be lost. What is in no log because it lasts only for a moment (who is in a room, who
//! is writing, that a sign-in ended) goes as a signal, which may be lost too.

use crate::Result;
use async_trait::async_trait;
use holdfast_domain::{RoomId, Seq, Time};
use std::time::Duration;
use tokio::sync::mpsc;
use uuid::Uuid;

/// Servers of a pool at most.
pub const MOST_SERVERS: usize = 8;
/// Of them, those that take clients at most.
pub const MOST_ACTIVE: usize = 4;
/// Bytes of a signal at most.
pub const MOST_SIGNAL_BYTES: usize = 7_000;

/// What a pool is: as it was set up, or going on where it usually does not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum PoolPhase {
    /// Its usual site has it.
    #[default]
    Normal,
    /// The other site has taken it over.
    FailedOver,
}

impl PoolPhase {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            PoolPhase::Normal => "normal",
            PoolPhase::FailedOver => "failed-over",
        }
    }

    /// What a word stands for; one that is not known is [`PoolPhase::Normal`].
    pub(crate) fn from_word(word: &str) -> PoolPhase {
        if word == PoolPhase::FailedOver.word() { PoolPhase::FailedOver } else { PoolPhase::Normal }
    }
}

/// What a pool agrees upon.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PoolState {
    /// Grows whenever another database begins to take writes. Who holds an older one must not write.
    pub epoch: i64,
    /// Grows with every change of the list of active servers.
    pub revision: i64,
    /// The servers that take clients, by name, in the order in which they were put on the list.
    pub active: Vec<String>,
    /// Whether a person has set the list. Until then servers put themselves on it as they come, up to [`MOST_ACTIVE`].
    pub chosen: bool,
    /// Whether it goes on in its usual site.
    pub state: PoolPhase,
    /// The site in which the database is that takes writes; `None` where there are no sites.
    pub site: Option<String>,
    /// The instance that took the epoch.
    pub holder: Option<String>,
}

/// What of a log is still so for somebody who has read it under an older epoch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Preserved {
    /// All of it: the epoch is still the same.
    All,
    /// What is beyond this number was not preserved, and the numbers may have been given again.
    Through(Seq),
    /// It is not known: nobody has written down where the present epoch began.
    Unknown,
    /// The reader has heard of a later epoch than this database is at. It is not the one that takes the pool's writes.
    Behind,
}

/// What a server says of itself at every beat.
#[derive(Clone, PartialEq, Debug)]
pub struct Beat {
    /// Its name, unique in the pool.
    pub name: String,
    /// This run of it.
    pub run: Uuid,
    /// Where clients reach it, such as `https://chat-1.example.org`.
    pub address: String,
    /// Its version.
    pub version: String,
    /// When this run started.
    pub started_at: Time,
    /// Live connections.
    pub connections: u32,
    /// Users with a live connection.
    pub people: u32,
    /// How long the database takes to answer it, in microseconds: the least of the last measurements.
    pub round_trip_us: u32,
}

/// A server as the pool knows it.
#[derive(Clone, PartialEq, Debug)]
pub struct Server {
    /// What it said last.
    pub beat: Beat,
    /// How long ago it said so, by the database's clock.
    pub seen_ago: Duration,
    /// Whether it said that it stops.
    pub stopped: bool,
}

/// What came of a beat.
#[derive(Clone, PartialEq, Debug)]
pub enum Beaten {
    /// It counts. The state of the pool, and all its servers, itself among them.
    In(PoolState, Vec<Server>),
    /// Another run under the same name has been heard of within the time given.
    NameInUse(Box<Server>),
    /// [`MOST_SERVERS`] others are known already.
    Full,
}

/// What a server hears from the others.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Heard {
    /// The logs of these rooms reach at least this far.
    Entries(Vec<(RoomId, Seq)>),
    /// What another server told all: which run of it, its running number (1, 2, 3 ... of that run), and the text. One's own are not heard.
    Signal(Uuid, u64, String),
    /// Listening began or began anew: anything may have been missed before this.
    Listening,
    /// Listening broke off; it will begin anew by itself.
    Deaf,
}

/// How the store is, for whoever operates it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Condition {
    /// It takes writes.
    Ready,
    /// It cannot be reached.
    Gone,
    /// It answers, but takes no writes: a standby, or set so by an administrator.
    ReadOnly,
    /// It is at another epoch than this server knows: see [`Pool::adopt_epoch`].
    OtherEpoch,
    /// Its disk is full.
    Full,
}

impl Condition {
    /// All of them.
    pub const ALL: [Condition; 5] =
        [Condition::Ready, Condition::Gone, Condition::ReadOnly, Condition::OtherEpoch, Condition::Full];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Condition::Ready => "ready",
            Condition::Gone => "gone",
            Condition::ReadOnly => "read-only",
            Condition::OtherEpoch => "other-epoch",
            Condition::Full => "full",
        }
    }
}

/// The exclusive right of this server to change the directory (rooms, lists, categories, users, groups), until dropped or until the store takes it
/// away because its holder has been silent for too long.
pub struct Turn {
    /// How many changes the directory has seen. Drafts that carry it ([`crate::log::Draft::decided_on`]) are refused with
    /// [`crate::StoreError::Stale`] when another server has changed the directory since.
    pub revision: i64,
    /// Gives the right back when dropped.
    pub held: Box<dyn std::any::Any + Send + Sync>,
}

/// What a store offers to several servers that share it.
#[async_trait]
pub trait Pool: Send + Sync {
    /// This run of this server.
    fn run(&self) -> Uuid;

    /// How the store is, as of the last second or so. Never waits.
    fn condition(&self) -> Condition;

    /// Hosts that take writes but must not, since another database has taken their place: each with why, as a sentence. Never waits.
    fn passed_over(&self) -> Vec<String>;

    /// How long the database takes to answer: the least of the last measurements, of which there are some from the start.
    fn round_trip(&self) -> Option<Duration>;

    /// What the pool agrees upon, and all servers that it knows, in the order of their names.
    async fn state(&self) -> Result<(PoolState, Vec<Server>)>;

    /// Says that this server is there. A run that has not been heard of for `stale` may be replaced by another of the same name. As long as no
    /// person has chosen the active servers, a server with `may_join` puts itself on the list if there is room.
    async fn beat(&self, beat: Beat, stale: Duration, may_join: bool) -> Result<Beaten>;

    /// Says that this run stops.
    async fn leave(&self, name: &str) -> Result<()>;

    /// Forgets a server that is not on the list of active ones and has been silent for `stale`; whether it did.
    async fn forget(&self, name: &str, stale: Duration) -> Result<bool>;

    /// Sets the active servers, if the list is still that of `revision`; else [`crate::StoreError::Stale`].
    async fn set_active(&self, revision: i64, active: Vec<String>) -> Result<PoolState>;

    /// Takes or renews the lease called `name` for this run and that long, by the database's clock. `None` if another run holds it: then for
    /// how long still.
    async fn lease(&self, name: &str, length: Duration) -> Result<std::result::Result<(), Duration>>;

    /// Gives a lease back.
    async fn release(&self, name: &str) -> Result<()>;

    /// Waits for the right to change the directory. [`crate::StoreError::Away`] if it does not come within some seconds.
    async fn turn(&self) -> Result<Turn>;

    /// Makes this server write under the pool's present epoch. To be called only when all that is known of the logs has been read anew, since
    /// what the database before this one had taken last may not be there. [`crate::StoreError::Away`] for an earlier epoch than the one that this
    /// server has: a database that was left behind is not gone back to.
    async fn adopt_epoch(&self) -> Result<i64>;

    /// The pool's present epoch, and for each log with the epoch under which somebody has read it, what of that is still so.
    async fn preserved(&self, read: Vec<(RoomId, i64)>) -> Result<(i64, Vec<Preserved>)>;

    /// What the others say, from now on. To be called once; a second caller gets a closed one.
    fn listen(&self) -> mpsc::Receiver<Heard>;

    /// Tells all others something of at most [`MOST_SIGNAL_BYTES`]. Returns at once; it may be lost, which the running number shows.
    fn tell(&self, text: String);
}
