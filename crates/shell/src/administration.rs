//! What the shell can have done: the calls of whoever administers the pool. The command line makes the same ones.
//!
//! The shell decides nothing about the pool. It reads a line, makes the one call that the line means, and shows what was told. Whether a step
//! may be done now, because the proof of the one before is there, is known behind this interface; a step that may not is a [`Refusal`]
//! with the reason and with what to do next.
//!
//! Every call that changes something takes `what_if`: then it says what it would do, with the same refusals, and changes nothing.

use crate::names::{Database, Fqdn, Identity, Share};
use crate::told::Told;
use async_trait::async_trait;

/// The pool, as somebody who may administer it sees it.
#[async_trait]
pub trait Administration: Send + Sync {
    /// Step 1: the backup instance stops receiving log and stops waiting for more of it. With it a failover begins, so that it needs to be known
    /// that the other site takes no messages: `fence` is the evidence, such as `attested:power is off`.
    async fn end_log_shipping(&self, database: Database, fence: Option<&str>, what_if: bool) -> Result<Told, Refusal>;

    /// Steps 2 and 3: copies what of the log is only on the share, verifies it, replays it to its end, and says what will be lost.
    async fn apply_log(&self, database: Database, what_if: bool) -> Result<Told, Refusal>;

    /// The connections to the instance that will be, or is, the primary.
    async fn sessions(&self) -> Result<Vec<Connection>, Refusal>;

    /// Ends a connection. One that is not there is no refusal: what was wanted is so.
    async fn kill_session(&self, id: u32, what_if: bool) -> Result<Told, Refusal>;

    /// Step 4: ends what is still connected, claims the epoch, which fences the other site, and opens the database for writing. Refused when more
    /// entries than `accept_loss` would be lost; `None`: more than were shown.
    async fn recover(&self, database: Database, accept_loss: Option<u64>, what_if: bool) -> Result<Told, Refusal>;

    /// The states of the pools; of that one alone whose identity is given.
    async fn pool_state(&self, pool: Option<&Identity>) -> Result<Vec<PoolView>, Refusal>;

    /// Step 5: the pool's state, which every server sees.
    async fn set_pool_state(&self, pool: &Identity, state: PoolState, what_if: bool) -> Result<Told, Refusal>;

    /// Step 6: clones, attaches and makes synchronous the mirror of an instance.
    async fn install_mirror(&self, mirror: &NewMirror, what_if: bool) -> Result<Told, Refusal>;

    /// Takes the mirror of an instance away: first it is no longer waited for, then it is stopped. `drop_data`: its data goes too.
    async fn uninstall_mirror(&self, primary: &Fqdn, drop_data: bool, what_if: bool) -> Result<Told, Refusal>;

    /// How the mirrors of a pool are.
    async fn mirror_state(&self, pool: &Fqdn) -> Result<Vec<MirrorView>, Refusal>;

    /// Exchanges the roles of primary and mirror within the site, so that `principal` is the primary.
    async fn switch_principal(&self, pool: &Fqdn, principal: Principal, what_if: bool) -> Result<Told, Refusal>;

    /// Step 7: which servers take clients. `far`: also such as are far from the database.
    async fn change_active_servers(
        &self,
        pool: Option<&Identity>,
        change: &ActiveServers,
        far: bool,
        what_if: bool,
    ) -> Result<Told, Refusal>;

    /// The servers of the pool.
    async fn servers(&self) -> Result<Vec<ServerView>, Refusal>;
}

/// Why a line was not carried out, and what to do next.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{reason}")]
pub struct Refusal {
    /// The kind, which decides the exit code.
    pub kind: RefusalKind,
    /// What is in the way: a sentence.
    pub reason: String,
    /// What to do next: a line to type, or a sentence.
    pub next: Option<String>,
}

impl Refusal {
    /// A refusal of a kind.
    pub fn new(kind: RefusalKind, reason: impl Into<String>) -> Refusal {
        Refusal { kind, reason: reason.into(), next: None }
    }

    /// It may not be done, or not yet.
    pub fn refused(reason: impl Into<String>) -> Refusal {
        Refusal::new(RefusalKind::Refused, reason)
    }

    /// It cannot be done now: somebody does not answer.
    pub fn unavailable(reason: impl Into<String>) -> Refusal {
        Refusal::new(RefusalKind::Unavailable, reason)
    }

    /// What was named is not there.
    pub fn missing(reason: impl Into<String>) -> Refusal {
        Refusal::new(RefusalKind::Missing, reason)
    }

    /// With what to do next.
    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Refusal {
        self.next = Some(next.into());
        self
    }
}

/// Kinds of refusals.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RefusalKind {
    /// It may not be done, or not yet: the proof of the step before is missing, or a value is wrong.
    Refused,
    /// It cannot be done now: somebody does not answer.
    Unavailable,
    /// What was named is not there.
    Missing,
    /// It is not known whether it was done.
    Unknown,
}

/// A connection to the database.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Connection {
    /// Its number, for `kill`.
    pub id: u32,
    /// What it does: `active`, `idle`, ...
    pub status: String,
    /// Who.
    pub login: String,
    /// From which host.
    pub host: String,
    /// The number of the connection that it waits for.
    pub blocked_by: Option<u32>,
    /// The database; empty for what belongs to none.
    pub database: String,
    /// What it runs, shortened.
    pub command: String,
    /// What it calls itself.
    pub program: String,
}

/// The two states of a pool.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PoolState {
    /// It lives in its first site.
    Normal,
    /// It lives in its second site.
    FailedOver,
}

impl PoolState {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            PoolState::Normal => "Normal",
            PoolState::FailedOver => "FailedOver",
        }
    }
}

/// A pool and its state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PoolView {
    /// The pool's name.
    pub pool: Fqdn,
    /// Its state.
    pub state: PoolState,
    /// The site whose instance takes writes.
    pub live_site: String,
    /// The instance that takes writes, if one does.
    pub primary: Option<String>,
    /// The epoch.
    pub epoch: u64,
}

/// What is to become a mirror.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewMirror {
    /// The instance that gets a mirror. Which instance becomes it, the topology says.
    pub primary: Fqdn,
    /// The share that was named. The clone comes from the instance itself, so that it is only told.
    pub share: Share,
    /// Whether data that the mirror already has may be replaced.
    pub replace: bool,
}

/// How a mirror is, in Lync's fields.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MirrorView {
    /// The database.
    pub database: String,
    /// `Principal`, or what is so instead.
    pub state_on_primary: String,
    /// `Mirror`, or what is so instead.
    pub state_on_mirror: String,
    /// `synchronized`, `exposed`, `synchronizing`, `disconnected`, ... as the primary sees it.
    pub status_on_primary: String,
    /// The same, as the mirror sees it.
    pub status_on_mirror: String,
    /// The instance that takes writes.
    pub primary: String,
    /// Its mirror, if it has one.
    pub mirror: Option<String>,
    /// How far the mirror is behind, in bytes.
    pub lag_bytes: Option<u64>,
}

/// Which of the two instances of a site is to be the primary.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Principal {
    /// The one that the topology names primary.
    Primary,
    /// The one that the topology names mirror.
    Mirror,
}

/// A change of the list of servers that take clients.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ActiveServers {
    /// Exactly these.
    Set(Vec<Fqdn>),
    /// These more, and these no longer.
    Change {
        /// More.
        add: Vec<Fqdn>,
        /// No longer.
        remove: Vec<Fqdn>,
    },
    /// None.
    Clear,
    /// Those that are not on it, in the place of those that are.
    Swap,
}

/// A server of the pool.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServerView {
    /// The pool's name.
    pub pool: Fqdn,
    /// The server's name.
    pub server: String,
    /// Its site.
    pub site: String,
    /// Whether it is on the list of active servers.
    pub active: bool,
    /// What it does: `active`, `standby`, `draining`, `silent`, ...
    pub standing: String,
}
