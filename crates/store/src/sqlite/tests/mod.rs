//! The suite that every engine passes, and what only this one can do wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails should stop where it fails")]

mod backup;
mod erasure;
mod failure;
mod migrations;
mod plans;
mod words;

use super::*;
use crate::conformance::{Made, conformance};
use std::sync::Arc;
use tempfile::TempDir;

async fn make() -> Made {
    let (dir, store) = open_new();
    Made { store: Arc::new(store), keep: Box::new(dir) }
}

conformance!(make);

fn open_new() -> (TempDir, SqliteStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    (dir, store)
}

fn open(dir: &TempDir) -> SqliteStore {
    SqliteStore::open(dir.path(), SqliteOptions { durable: false, readers: 2 }).unwrap()
}

/// A connection of a test's own, with which it does what nobody else may.
fn raw(dir: &TempDir) -> rusqlite::Connection {
    rusqlite::Connection::open(dir.path().join(FILE_NAME)).unwrap()
}
