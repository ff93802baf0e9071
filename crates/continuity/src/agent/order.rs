//! What an agent can be told to do with its instance.

use super::state::Fetch;
use crate::register::Protection;
use holdfast_instance::Access;
use holdfast_store::notice::Notice;
use holdfast_wal::{Claim, Opening};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One order. Each comes to the same when it is given again.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "order")]
pub enum Order {
    /// Make the pool's first primary here.
    Create {
        /// The size of segments in MiB.
        segment_mib: u32,
    },
    /// Copy the data of another instance, to follow it.
    Clone {
        /// Whose.
        from: String,
        /// Whom to follow afterwards.
        upstream: Option<String>,
        /// From where else log comes.
        fetch: Fetch,
    },
    /// Follow somebody else from now on, or nobody.
    Follow {
        /// Whom.
        upstream: Option<String>,
        /// From where else log comes.
        fetch: Fetch,
    },
    /// Let in whom.
    Access {
        /// Whom.
        to: Access,
    },
    /// End all sessions of clients.
    EndSessions,
    /// End one session.
    EndSession {
        /// Its process.
        pid: i32,
    },
    /// Stop it, in order.
    Stop,
    /// Start it again as what it was.
    Start,
    /// Make a checkpoint.
    Checkpoint,
    /// Set the servers that take clients.
    Servers {
        /// By name, in the order in which clients try them.
        active: Vec<String>,
        /// Also one that is in another site than the database.
        far: bool,
    },
    /// Tell users of an outage that is coming, or of none any more. What a person said stays.
    Notice {
        /// Of which.
        notice: Option<Notice>,
    },
    /// Hear of a claim, and of where a timeline was opened.
    Hear {
        /// The claims.
        claims: Vec<Claim>,
        /// The openings.
        openings: Vec<Opening>,
        /// How the pool is protected, if whoever says so knows.
        protection: Option<Protection>,
    },
}

/// What became of an order.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Obeyed {
    /// In words: what was observed.
    pub told: String,
    /// For programs.
    #[serde(default)]
    pub details: Value,
}

impl Obeyed {
    /// In words alone.
    pub fn says(told: impl Into<String>) -> Obeyed {
        Obeyed { told: told.into(), details: Value::Null }
    }
}
