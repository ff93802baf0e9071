//! What the pool is shown as: its servers, the state of its database, and the changes that can be asked for.

use holdfast_domain::Time;
use holdfast_store::pool::{Condition, PoolPhase};
use std::time::Duration;

/// What a server is to the pool just now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// There is no pool: this server has the store for itself.
    Alone,
    /// It takes clients.
    Active,
    /// It stands by and takes none.
    Standby,
    /// It was active: those who are connected to it go on for a while, nobody else gets in.
    Draining,
}

impl Standing {
    /// All of them.
    pub const ALL: [Standing; 4] = [Standing::Alone, Standing::Active, Standing::Standby, Standing::Draining];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Standing::Alone => "alone",
            Standing::Active => "active",
            Standing::Standby => "standby",
            Standing::Draining => "draining",
        }
    }
}

/// How the database is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DatabaseView {
    /// Whether it takes writes, or what is wrong.
    pub condition: Condition,
    /// How long it takes to answer: the least of the last measurements. `None` of an embedded one, and before the first.
    pub round_trip: Option<Duration>,
}

/// Where a pool goes on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// Whether it is where it usually is.
    pub state: PoolPhase,
    /// The site; `None` where there are no sites.
    pub site: Option<String>,
}

/// The pool.
#[derive(Clone, Debug)]
pub struct PoolView {
    /// Grows whenever another database begins to take writes.
    pub epoch: i64,
    /// Whether it goes on in its usual site.
    pub state: PoolPhase,
    /// The site in which the database is that takes writes; `None` where there are no sites.
    pub site: Option<String>,
    /// The instance that took the epoch.
    pub holder: Option<String>,
    /// Whether a person has set the list of active servers; until then servers put themselves on it.
    pub chosen: bool,
    /// Its servers, the active ones first, in the order of the list; then the others by name.
    pub servers: Vec<ServerView>,
    /// How the database is, as this server sees it.
    pub condition: Condition,
}

/// A server of the pool.
#[derive(Clone, Debug)]
pub struct ServerView {
    /// Its name.
    pub name: String,
    /// Where clients reach it.
    pub address: String,
    /// `active`, `standby`, `draining`, `stopped` or `silent`.
    pub standing: &'static str,
    /// Whether it is on the list of active servers.
    pub on_list: bool,
    /// Whether it is this one.
    pub this: bool,
    /// Its version.
    pub version: String,
    /// When it started.
    pub started_at: Time,
    /// How long ago it was heard of.
    pub seen_ms_ago: u64,
    /// Live connections.
    pub connections: u32,
    /// Users with a live connection.
    pub people: u32,
    /// How long the database takes to answer it.
    pub round_trip_us: u32,
}

/// A change of the list of active servers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ActiveChange {
    /// Exactly these, in this order.
    Set(Vec<String>),
    /// These as well.
    Add(Vec<String>),
    /// These no longer.
    Remove(Vec<String>),
    /// One in the place of another.
    Swap {
        /// Who goes.
        out: String,
        /// Who comes.
        in_: String,
    },
}
