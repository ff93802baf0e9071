//! Looking after the database.

use super::{SqliteStore, backup, load, rebuild};
use crate::maintenance::{Facts, Maintenance};
use crate::{Result, StoreError};
use async_trait::async_trait;
use holdfast_domain::chain::Stored;
use std::path::Path;
use std::sync::Arc;

#[async_trait]
impl Maintenance for SqliteStore {
    async fn facts(&self) -> Result<Facts> {
        const SQL: &str = "SELECT coalesce(sum(last_seq), 0), coalesce(sum(messages), 0) FROM room_head";
        let path = self.connections.path().to_owned();
        self.threads
            .read("counting what is kept", move |tx, _| {
                let (entries, messages) = tx.query_row(SQL, [], |r| Ok((r.get(0)?, r.get(1)?)))?;
                // A file that is not there has no size.
                let size = |suffix: &str| {
                    let mut name = path.clone().into_os_string();
                    name.push(suffix);
                    std::fs::metadata(name).map_or(0, |m| m.len())
                };
                Ok(Facts {
                    engine: format!("SQLite {}", rusqlite::version()),
                    location: path.display().to_string(),
                    bytes: size("") + size("-wal") + size("-shm"),
                    entries,
                    messages,
                })
            })
            .await
    }

    async fn check_writable(&self) -> Result<()> {
        self.threads
            .write("checking whether writing works", |tx| {
                tx.prepare_cached("UPDATE probe SET n = n + 1")?.execute([])?;
                Ok(())
            })
            .await
    }

    async fn backup(&self, to: &Path, progress: Box<dyn Fn(u64, u64) + Send + Sync>) -> Result<u64> {
        let (connections, to) = (self.connections.clone(), to.to_owned());
        // Not on a reader's thread: it takes minutes, and readers are few.
        blocking("backing up", move || backup::backup(&connections, &to, &*progress)).await
    }

    async fn load(&self, entries: Vec<Stored>) -> Result<()> {
        self.threads.write("loading entries", move |tx| load::load(tx, &entries)).await
    }

    async fn rebuild(&self) -> Result<()> {
        self.threads.write("making the projections anew", rebuild::rebuild).await
    }

    async fn close(&self) -> Result<()> {
        let threads = Arc::clone(&self.threads);
        blocking("closing", move || {
            threads.close();
            Ok(())
        })
        .await
    }
}

async fn blocking<T: Send + 'static>(
    doing: &'static str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|e| StoreError::Engine { doing, source: Box::new(e) })?
}
