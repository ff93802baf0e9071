//! The state that follows from the logs, for those who ask for it.

use super::{PostgresStore, directory, read};
use crate::Result;
use crate::directory_words::number_word;
use crate::projections::{Numbered, Projections, Snapshot};
use async_trait::async_trait;
use futures_util::FutureExt as _;

#[async_trait]
impl Projections for PostgresStore {
    async fn snapshot(&self) -> Result<Snapshot> {
        self.inner.sessions.read("reading the directory", |s| directory::snapshot(s).boxed()).await
    }

    async fn next_numbers(&self, what: Numbered, count: u32) -> Result<i64> {
        const DOING: &str = "giving numbers";
        let values: super::session::Params<'_> = &[&number_word(what), &i64::from(count)];
        let row = self.inner.sessions.write_one(DOING, directory::NEXT_NUMBERS, values).await?;
        let row = row.map_err(|e| e.while_doing(DOING))?;
        let row = row.ok_or_else(|| super::error::corrupt("the row of a number is not there"))?;
        directory::check_numbers(what, read(row.try_get(0), DOING)?, count)
    }
}
