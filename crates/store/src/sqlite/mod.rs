//! SQLite: one file, one server, no set-up.
//!
//! **Invariants:** one thread writes, and each of its jobs is one transaction; `synchronous = FULL`, so that what was committed survives
//! the loss of power. Readers see whole transactions. Erased content leaves no trace in the file (`secure_delete`).
//!
//! Reading order: `threads` and `connection` are the machinery, `migrations` are the schema, `append` is the way of
//! every change, `amend` what a change does to messages before it, `log` and `search` are what is asked most.

mod accounts;
mod amend;
mod append;
mod backup;
mod connection;
mod direct;
mod directory;
mod error;
mod files;
mod index;
mod items;
mod kept;
mod key;
mod load;
mod log;
mod maintenance;
mod migrate;
mod personal;
mod projections;
mod rebuild;
mod row;
mod search;
mod threads;
mod words;

#[cfg(test)]
mod tests;

use crate::Result;
use connection::Connections;
use std::path::{Path, PathBuf};
use threads::Threads;

/// The database's name in a data directory.
pub const FILE_NAME: &str = "holdfast.db";

/// How a database is opened.
#[derive(Clone, Copy, Debug)]
pub struct SqliteOptions {
    /// Threads that read.
    pub readers: usize,
    /// Whether a commit waits for the disk. Without it the last commits are lost with the power, though nothing is damaged: for tests
    /// and for imports that can be run again.
    pub durable: bool,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self { readers: 3, durable: true }
    }
}

/// Everything in one SQLite database. Dropped, it finishes what is queued in the background; see [`crate::Maintenance::close`].
pub struct SqliteStore {
    threads: std::sync::Arc<Threads>,
    connections: Connections,
}

impl SqliteStore {
    /// Opens the database in a directory ([`FILE_NAME`]), or the file itself, makes it if there is none, and brings its schema up to date.
    /// Blocks.
    ///
    /// # Errors
    /// [`crate::StoreError::Unavailable`] if the file is of another program or of a newer version, and what the disk says.
    pub fn open(dir_or_file: impl AsRef<Path>, options: SqliteOptions) -> Result<SqliteStore> {
        let path = database_path(dir_or_file.as_ref());
        let connections = Connections::new(path, if options.durable { "FULL" } else { "NORMAL" });
        let mut first = connections.writing()?;
        migrate::migrate(&mut first, migrate::MIGRATIONS)
            .map_err(|e| e.while_doing("bringing the schema up to date"))?;
        let threads = Threads::start(&connections, first, options.readers)?;
        Ok(SqliteStore { threads: std::sync::Arc::new(threads), connections })
    }
}

fn database_path(dir_or_file: &Path) -> PathBuf {
    if dir_or_file.is_dir() { dir_or_file.join(FILE_NAME) } else { dir_or_file.to_owned() }
}
