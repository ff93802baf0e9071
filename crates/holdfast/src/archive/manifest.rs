//! The archive's first page: what is in it.

use holdfast_domain::chain::Digest;
use holdfast_domain::{RoomId, Seq, Time};
use serde::{Deserialize, Serialize};

/// The version of the format that is written; the only one that is read so far.
pub(crate) const VERSION: u32 = 1;

/// What is in an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// See [`VERSION`].
    pub(crate) version: u32,
    /// The release of Holdfast that wrote it.
    pub(crate) software: String,
    /// When.
    pub(crate) created_at: Time,
    /// The server's name.
    #[serde(default)]
    pub(crate) server: String,
    /// The end of every log.
    pub(crate) logs: Vec<LogEnd>,
    /// How many files are in it. Written when all else is.
    #[serde(default)]
    pub(crate) files: u64,
    /// Files that a message names but that the server did not have any more.
    #[serde(default)]
    pub(crate) files_missing: u64,
    /// How many accounts are in it.
    #[serde(default)]
    pub(crate) accounts: u64,
    /// How many messages from one to another are in it.
    #[serde(default)]
    pub(crate) direct: u64,
}

/// The end of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LogEnd {
    /// Whose.
    pub(crate) room: RoomId,
    /// Its name; the pool's log has none.
    #[serde(default)]
    pub(crate) name: Option<String>,
    /// The number of its last entry.
    pub(crate) seq: Seq,
    /// The hash of that.
    pub(crate) hash: Digest,
}
