//! The state that follows from the logs, for those who ask for it.

use super::{SqliteStore, directory};
use crate::Result;
use crate::projections::{Numbered, Projections, Snapshot};
use async_trait::async_trait;

#[async_trait]
impl Projections for SqliteStore {
    async fn snapshot(&self) -> Result<Snapshot> {
        self.threads.read("reading the directory", |tx, _| directory::snapshot(tx)).await
    }

    async fn next_numbers(&self, what: Numbered, count: u32) -> Result<i64> {
        self.threads.write("giving numbers", move |tx| directory::next_numbers(tx, what, count)).await
    }
}
