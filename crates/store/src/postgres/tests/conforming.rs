//! The suite of all engines.

use crate::conformance::{Made, conformance};
use crate::postgres::{PostgresOptions, PostgresStore};
use holdfast_private_postgres::Postgres;
use std::sync::{Arc, LazyLock};

/// One for all cases that run in this process, each in a database of its own.
static POSTGRES: LazyLock<Postgres> = LazyLock::new(Postgres::start);

async fn make() -> Made {
    let url = tokio::task::spawn_blocking(|| POSTGRES.new_database()).await.unwrap();
    let store = PostgresStore::open(PostgresOptions { url, ..PostgresOptions::default() }).await.unwrap();
    Made { store: Arc::new(store), keep: Box::new(()) }
}

conformance!(make);
