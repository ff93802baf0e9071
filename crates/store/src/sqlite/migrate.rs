//! Brings a database's schema up to date, or says why it cannot.
//!
//! Each migration is a file with a number; what was applied is kept with its SHA-256. A program meets three databases that it
//! must not touch: another program's, a newer Holdfast's, and one whose migration was changed after it had run.

use super::connection::APPLICATION_ID;
use super::error::{Work, unavailable};
use holdfast_domain::chain::Digest;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

/// A step of the schema.
#[derive(Clone, Copy, Debug)]
pub(super) struct Migration {
    pub(super) number: i64,
    pub(super) name: &'static str,
    pub(super) sql: &'static str,
}

/// All of them, in order. Never change one that was released: add another.
pub(super) const MIGRATIONS: &[Migration] = &[
    Migration { number: 1, name: "first", sql: include_str!("migrations/0001_first.sql") },
    Migration { number: 2, name: "direct", sql: include_str!("migrations/0002_direct.sql") },
    Migration { number: 3, name: "uploads", sql: include_str!("migrations/0003_uploads.sql") },
    Migration { number: 4, name: "sha1", sql: include_str!("migrations/0004_sha1.sql") },
];

/// Refuses a database that is neither ours nor empty, before anything in it is touched.
pub(super) fn refuse_foreign(conn: &Connection) -> Work<()> {
    let id = application_id(conn)?;
    if id == APPLICATION_ID {
        return Ok(());
    }
    let table: Option<String> =
        conn.query_row("SELECT name FROM sqlite_schema LIMIT 1", [], |r| r.get(0)).optional()?;
    if id != 0 || table.is_some() {
        return Err(unavailable("the file is a database of another program").into());
    }
    Ok(())
}

/// Applies what is missing, all in one transaction.
pub(super) fn migrate(conn: &mut Connection, migrations: &[Migration]) -> Work<()> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Exclusive)?;
    claim(&tx)?;
    let applied = applied(&tx)?;
    check(&applied, migrations)?;
    for migration in migrations.iter().skip(applied.len()) {
        tx.execute_batch(migration.sql)?;
        tx.execute(
            "INSERT INTO migration (number, name, sha256, applied_at) VALUES (?1, ?2, ?3, unixepoch())",
            params![migration.number, migration.name, digest(migration)],
        )?;
    }
    tx.commit()?;
    Ok(())
}

/// Marks an empty database as ours.
fn claim(tx: &Transaction<'_>) -> Work<()> {
    if application_id(tx)? != APPLICATION_ID {
        tx.execute_batch(&format!(
            "PRAGMA application_id = {APPLICATION_ID};
             CREATE TABLE migration (
                 number     INTEGER PRIMARY KEY,
                 name       TEXT NOT NULL,
                 sha256     TEXT NOT NULL,
                 applied_at INTEGER NOT NULL
             ) STRICT;"
        ))?;
    }
    Ok(())
}

fn application_id(conn: &Connection) -> Work<i32> {
    Ok(conn.query_row("PRAGMA application_id", [], |r| r.get(0))?)
}

/// Number, name and digest of what was applied, in order.
fn applied(tx: &Transaction<'_>) -> Work<Vec<(i64, String, String)>> {
    let mut statement = tx.prepare("SELECT number, name, sha256 FROM migration ORDER BY number")?;
    let rows = statement.query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn check(applied: &[(i64, String, String)], migrations: &[Migration]) -> Work<()> {
    for (i, (number, name, sha256)) in applied.iter().enumerate() {
        let Some(known) = migrations.get(i) else {
            return Err(unavailable(format!(
                "a newer Holdfast has changed it (migration {number} {name}); start that version, or restore a backup from before"
            ))
            .into());
        };
        if known.number != *number || digest(known) != *sha256 {
            return Err(unavailable(format!(
                "its migration {number} {name} is not the one that this version knows as {} {}; start the version that made it",
                known.number, known.name
            ))
            .into());
        }
    }
    Ok(())
}

fn digest(migration: &Migration) -> String {
    Digest::of(migration.sql.as_bytes()).to_string()
}
