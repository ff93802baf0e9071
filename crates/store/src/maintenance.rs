//! Looking after the store itself.

use crate::{Pool, Result};
use async_trait::async_trait;
use holdfast_domain::chain::Stored;
use std::path::Path;

/// What a store says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The engine and its version, such as `SQLite 3.54.1`.
    pub engine: String,
    /// Where the data is.
    pub location: String,
    /// Bytes on disk.
    pub bytes: u64,
    /// Entries of all logs.
    pub entries: i64,
    /// Messages of all logs.
    pub messages: i64,
}

/// Looking after the store.
#[async_trait]
pub trait Maintenance: Send + Sync {
    /// The pool of servers that share this store; `None` if only one can use it.
    fn pool(&self) -> Option<&dyn Pool> {
        None
    }
    /// What the store says of itself.
    async fn facts(&self) -> Result<Facts>;
    /// Makes sure that a write would be kept now: what readiness asks. Cheap.
    async fn check_writable(&self) -> Result<()>;
    /// Copies everything, consistent as of one moment and while the store is used, to a new file. `progress` hears of parts
    /// done and parts in all. Refuses to overwrite ([`crate::StoreError::Taken`]). Answers its bytes.
    async fn backup(&self, to: &Path, progress: Box<dyn Fn(u64, u64) + Send + Sync>) -> Result<u64>;
    /// Writes entries of one log exactly as they are given after those that are there, in one transaction: for bringing in a pool from
    /// an archive. Each must follow the one before it in number, time and hash, else it is [`crate::StoreError::Corrupt`] and nothing
    /// is written. Projections are not brought in step; [`Maintenance::rebuild`] is to be called when all is loaded.
    async fn load(&self, entries: Vec<Stored>) -> Result<()>;
    /// Makes every projection anew from the logs, in one transaction.
    async fn rebuild(&self) -> Result<()>;
    /// Finishes what is being written and closes the store; every call after it is [`crate::StoreError::Unavailable`].
    async fn close(&self) -> Result<()>;
}
