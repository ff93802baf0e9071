//! The suite that every engine passes, and what only this one can do wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails should stop where it fails")]

mod commits;
mod conforming;
mod copying;
mod direct;
mod encrypted;
mod indexed;
mod languages;
mod plans;
mod replaced;
mod stale;
mod takeover;

use super::{PostgresOptions, PostgresStore};
use crate::conformance::Made;
use holdfast_private_postgres::Postgres;
use std::sync::{Arc, LazyLock};

/// Connections of a store that puts everything into the search index before each search.
pub(super) const EAGER: usize = 7;

/// One for all tests that run in this process, each in a database of its own.
static POSTGRES: LazyLock<Postgres> = LazyLock::new(Postgres::start);

async fn new_database() -> String {
    tokio::task::spawn_blocking(|| POSTGRES.new_database()).await.unwrap()
}

fn options(url: String) -> PostgresOptions {
    PostgresOptions { url, ..PostgresOptions::default() }
}

async fn open(url: &str) -> PostgresStore {
    PostgresStore::open(options(url.to_owned())).await.unwrap()
}

async fn make() -> Made {
    let store = open(&new_database().await).await;
    Made { store: Arc::new(store), keep: Box::new(()) }
}

async fn make_eager() -> Made {
    let options = PostgresOptions { connections: EAGER, background: false, ..options(new_database().await) };
    let store = PostgresStore::open(options).await.unwrap();
    Made { store: Arc::new(store), keep: Box::new(()) }
}
