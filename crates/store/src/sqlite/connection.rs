//! How connections are opened.

use super::error::{Fail, Work};
use super::migrate;
use crate::Result;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Marks the file as ours (`PRAGMA application_id`): "Hold".
pub(super) const APPLICATION_ID: i32 = 0x486F_6C64;

/// Another process, such as a shell, may hold the write lock for a moment.
const BUSY: Duration = Duration::from_secs(5);

/// The write-ahead log is cut to this when it begins again.
const WAL_KEPT: i64 = 64 << 20;

/// Statements that stay compiled.
const STATEMENTS: usize = 128;

/// Opens connections to one database.
#[derive(Clone, Debug)]
pub(super) struct Connections {
    path: PathBuf,
    synchronous: &'static str,
}

impl Connections {
    pub(super) fn new(path: PathBuf, synchronous: &'static str) -> Self {
        Self { path, synchronous }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A connection that may write. Makes the database if there is none.
    pub(super) fn writing(&self) -> Result<Connection> {
        self.open_writing().map_err(|e| e.while_doing("opening the database"))
    }

    /// A connection that cannot write.
    pub(super) fn reading(&self) -> Result<Connection> {
        self.open_reading().map_err(|e| e.while_doing("opening the database for reading"))
    }

    fn open_writing(&self) -> Work<Connection> {
        let conn = self.open(OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
        migrate::refuse_foreign(&conn)?;
        let mode: String = conn.query_row("PRAGMA journal_mode = WAL", [], |r| r.get(0))?;
        if mode != "wal" {
            return Err(super::error::unavailable("its disk does not allow a write-ahead log").into());
        }
        conn.execute_batch(&format!(
            "PRAGMA synchronous = {};
             PRAGMA wal_autocheckpoint = 0;
             PRAGMA journal_size_limit = {WAL_KEPT};
             PRAGMA foreign_keys = ON;
             PRAGMA secure_delete = ON;
             PRAGMA cache_size = -65536;",
            self.synchronous
        ))?;
        Ok(conn)
    }

    fn open_reading(&self) -> Work<Connection> {
        let conn = self.open(OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        conn.execute_batch(
            // Not mapped into memory: pages of a mapped file count as the process's own, and a disk that fails to give one ends it.
            "PRAGMA query_only = ON;
             PRAGMA cache_size = -16384;",
        )?;
        Ok(conn)
    }

    fn open(&self, flags: OpenFlags) -> Work<Connection> {
        let conn =
            Connection::open_with_flags(&self.path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(Fail::from)?;
        conn.busy_timeout(BUSY)?;
        conn.set_prepared_statement_cache_capacity(STATEMENTS);
        // Without this guarantee SQLite compiles a statement again whenever it is bound to other values.
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        // Whoever can write to the file must not make us run code by a schema that it put there.
        conn.execute_batch("PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY;")?;
        Ok(conn)
    }
}
