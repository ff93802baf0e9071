//! The suite that every engine passes, and what only this one can do wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails should stop where it fails")]

use super::*;
use crate::conformance::{Made, conformance};
use std::sync::Arc;

async fn make() -> Made {
    let dir = tempfile::tempdir().unwrap();
    let options = SqliteOptions { durable: false, readers: 2 };
    let store = SqliteStore::open(dir.path(), options).unwrap();
    Made { store: Arc::new(store), keep: Box::new(dir) }
}

conformance!(make);
