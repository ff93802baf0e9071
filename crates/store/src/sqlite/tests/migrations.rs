//! Which databases are opened, and which are left alone.

use super::*;
use crate::StoreError;
use crate::sqlite::migrate::{MIGRATIONS, Migration, migrate};
use rusqlite::Connection;

#[test]
fn another_programs_database_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    raw(&dir).execute_batch("CREATE TABLE precious (x); INSERT INTO precious VALUES (1);").unwrap();
    let before = std::fs::read(dir.path().join(FILE_NAME)).unwrap();
    assert!(refusal(&dir).contains("another program"));
    assert_eq!(std::fs::read(dir.path().join(FILE_NAME)).unwrap(), before);
}

#[test]
fn what_is_no_database_is_said_to_be_none() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join(FILE_NAME),
        "a letter to my grandmother, long enough to be no empty file".repeat(100),
    )
    .unwrap();
    let refused = SqliteStore::open(dir.path(), SqliteOptions::default());
    assert!(matches!(refused, Err(StoreError::Corrupt { .. })));
}

#[test]
fn a_newer_version_is_refused() {
    let (dir, store) = open_new();
    drop(store);
    raw(&dir).execute("INSERT INTO migration VALUES (99, 'later', 'x', 0)", []).unwrap();
    assert!(refusal(&dir).contains("a newer Holdfast has changed it (migration 99 later)"));
}

#[test]
fn a_changed_migration_is_refused() {
    let (dir, store) = open_new();
    drop(store);
    raw(&dir).execute("UPDATE migration SET sha256 = 'x' WHERE number = 1", []).unwrap();
    assert!(refusal(&dir).contains("is not the one that this version knows"));
}

#[test]
fn what_is_missing_is_applied_once_and_whole() {
    let mut conn = Connection::open_in_memory().unwrap();
    let second = Migration { number: 2, name: "second", sql: "CREATE TABLE second (x) STRICT;" };
    let good = Migration { sql: "CREATE TABLE second (x INTEGER) STRICT;", ..second };
    let third = Migration { number: 3, name: "third", sql: "CREATE TABLE third (x INTEGER) STRICT; nonsense;" };
    let tables = |conn: &Connection| -> i64 {
        let sql = "SELECT count(*) FROM sqlite_schema WHERE name IN ('second', 'third')";
        conn.query_row(sql, [], |r| r.get(0)).unwrap()
    };

    migrate(&mut conn, &MIGRATIONS[..1]).unwrap();
    migrate(&mut conn, &[MIGRATIONS[0], second]).unwrap_err();
    migrate(&mut conn, &[MIGRATIONS[0], good, third]).unwrap_err();
    assert_eq!(tables(&conn), 0);
    migrate(&mut conn, &[MIGRATIONS[0], good]).unwrap();
    migrate(&mut conn, &[MIGRATIONS[0], good]).unwrap();
    assert_eq!(tables(&conn), 1);
    migrate(&mut conn, MIGRATIONS).unwrap_err();
}

fn refusal(dir: &TempDir) -> String {
    match SqliteStore::open(dir.path(), SqliteOptions::default()) {
        Err(e @ StoreError::Unavailable { .. }) => e.to_string(),
        Err(e) => panic!("{e:?}"),
        Ok(_) => panic!("it was opened"),
    }
}
