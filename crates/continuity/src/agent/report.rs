//! What an agent tells of its instance.

use super::alarms::Alarm;
use super::retain::Retained;
use super::state::Place;
use super::verified::Verified;
use crate::procedure::OperationView;
use crate::register::Protection;
use crate::topology::Role;
use holdfast_instance::Status;
use holdfast_wal::{Claim, Lsn, Opening};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// An instance as its agent sees it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Report {
    /// Its name.
    pub instance: String,
    /// Its site.
    pub site: String,
    /// What it is now, by the newest claim.
    pub role: Option<Role>,
    /// What it is to be.
    pub place: Place,
    /// PostgreSQL.
    pub status: Status,
    /// What its database holds, if it can be asked.
    pub holds: Option<Holds>,
    /// All claims that it knows, oldest first.
    pub claims: Vec<Claim>,
    /// All openings that it knows, oldest first.
    pub openings: Vec<Opening>,
    /// How the pool is protected; it counts from the primary.
    pub protection: Protection,
    /// Whether clients are let in.
    pub open: bool,
    /// When its data was copied from another instance; `None`: it never was.
    #[serde(default)]
    pub copied_at: Option<Timestamp>,
    /// What it waits for, or what is wrong, in words; empty when all is well.
    pub note: String,
    /// What is carried out here, or was last.
    pub operation: Option<OperationView>,
    /// How the share looks from here.
    pub share: Option<ShareReport>,
    /// What a person should know before it becomes worse.
    #[serde(default)]
    pub alarms: Vec<Alarm>,
    /// What became of the last attempt to let old log go by itself; only the primary's agent makes one.
    #[serde(default)]
    pub retention: Option<Retained>,
}

/// What a database holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Holds {
    /// The epoch under which it was last written.
    pub epoch: i64,
    /// The pool's state in it: `normal` or `failed-over`.
    pub state: String,
    /// Entries of all logs.
    pub entries: i64,
    /// When the last of them was taken in.
    pub newest_at: Option<Timestamp>,
    /// The servers that take clients.
    pub active: Vec<String>,
}

/// How a share looks.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ShareReport {
    /// Where it is.
    pub share: String,
    /// Whether it answered, and why not.
    pub trouble: Option<String>,
    /// Where the log on it ends.
    pub end: Option<Lsn>,
    /// When the last object came.
    pub newest_at: Option<Timestamp>,
    /// What the database held when the last segment was shipped.
    pub entries: Option<i64>,
    /// What the backup's agent has proven of it; `None`: it proves nothing here.
    #[serde(default)]
    pub verified: Option<Verified>,
}

impl Report {
    /// The newest epoch that it knows.
    pub fn epoch(&self) -> u64 {
        self.claims.last().map_or(0, |c| c.epoch)
    }

    /// Whether PostgreSQL answers.
    pub fn is_up(&self) -> bool {
        self.status.server.is_some()
    }

    /// Where it is: flushed of a primary; the further of received and replayed of a standby.
    pub fn position(&self) -> Option<Lsn> {
        let server = self.status.server.as_ref()?;
        match (&server.primary, &server.standby) {
            (Some(primary), _) => Some(primary.flushed),
            (_, Some(standby)) => standby.received.max(standby.replayed),
            _ => None,
        }
    }

    /// Whether it takes writes of clients.
    pub fn serves(&self) -> bool {
        self.place == Place::Primary && self.open && self.status.server.as_ref().is_some_and(|s| s.primary.is_some())
    }
}
