//! Looking after the database.

use super::error::unavailable;
use super::{PostgresStore, load, read, rebuild};
use crate::maintenance::{Facts, Maintenance};
use crate::pool::Condition;
use crate::{Pool, Result, StoreError};
use async_trait::async_trait;
use futures_util::FutureExt as _;
use holdfast_domain::chain::Stored;
use std::path::Path;

#[async_trait]
impl Maintenance for PostgresStore {
    fn pool(&self) -> Option<&dyn Pool> {
        Some(self)
    }

    async fn facts(&self) -> Result<Facts> {
        const DOING: &str = "counting what is kept";
        const SQL: &str = "SELECT current_setting('server_version'), pg_database_size(current_database()),
            coalesce(sum(last_seq), 0)::bigint, coalesce(sum(messages), 0)::bigint FROM room_head";
        let row = self.inner.sessions.one(DOING, SQL, &[]).await?;
        let row = row.ok_or_else(|| super::error::corrupt("a sum without a row"))?;
        let version: String = read(row.try_get(0), DOING)?;
        let bytes: i64 = read(row.try_get(1), DOING)?;
        Ok(Facts {
            // Debian writes what it packaged behind the number.
            engine: format!("PostgreSQL {}", version.split(' ').next().unwrap_or_default()),
            location: self.inner.location.clone(),
            bytes: bytes.unsigned_abs(),
            entries: read(row.try_get(2), DOING)?,
            messages: read(row.try_get(3), DOING)?,
        })
    }

    async fn check_writable(&self) -> Result<()> {
        const DOING: &str = "checking whether writing works";
        let watched = &self.inner.watched;
        let outcome = self.inner.sessions.execute(DOING, "UPDATE probe SET n = n + 1", &[]).await;
        if matches!(outcome, Err(StoreError::Full)) {
            watched.note_refusal();
        }
        outcome?;
        // The row stays where it is, for which there is room on a full disk too; so it proves nothing against what posts have shown.
        if watched.condition() == Condition::Full { Err(StoreError::Full) } else { Ok(()) }
    }

    async fn backup(&self, _: &Path, _: Box<dyn Fn(u64, u64) + Send + Sync>) -> Result<u64> {
        Err(unavailable(
            "a PostgreSQL database is backed up with PostgreSQL's own tools, pg_basebackup or pg_dump; `holdfast export` writes an archive of the pool",
        ))
    }

    async fn load(&self, entries: Vec<Stored>) -> Result<()> {
        self.inner
            .sessions
            .write("loading entries", move |s| async move { load::load(s, &entries).await }.boxed())
            .await
    }

    async fn rebuild(&self) -> Result<()> {
        self.inner.sessions.write("making the projections anew", |s| rebuild::rebuild(s).boxed()).await
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await;
        Ok(())
    }
}
