//! Promotion, and where timelines branch off.
//!
//! PostgreSQL always says yes to a promotion, whatever is missing: whether it may be is decided before.

use crate::error::{Error, Result, file, sql};
use crate::files;
use crate::instance::Instance;
use crate::process::MOMENT;
use crate::status::TIMELINE;
use holdfast_wal::Lsn;
use serde::{Deserialize, Serialize};
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::ops::RangeInclusive;
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

/// What became of a promotion.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Promotion {
    /// It takes writes now.
    Promoted,
    /// It did already.
    WasPrimary,
}

/// Where a timeline branched off.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Fork {
    /// The timeline before.
    pub parent: u32,
    /// Up to where that holds.
    pub at: Lsn,
}

impl Instance {
    /// Makes a standby take writes, and waits until it does. One that does already is left alone, so that this may be said again after whatever came
    /// in between.
    ///
    /// # Errors
    /// It does not run, or does not answer; [`Error::TimedOut`], and it may still come about.
    pub async fn promote(&self, within: Duration) -> Result<Promotion> {
        const DOING: &str = "promoting";
        let log_from = files::length(&self.layout().log_file());
        let deadline = Instant::now() + within;
        let late = |_| self.timed_out("the promotion", within, log_from);
        let client = self.sql("postgres").await?;
        let in_recovery = async || -> Result<bool> {
            let row = timeout_at(deadline, client.query_one("SELECT pg_is_in_recovery()", &[])).await.map_err(late)?;
            row.and_then(|row| row.try_get(0)).map_err(sql(DOING))
        };
        if !in_recovery().await? {
            self.no_promotion_is_under_way()?;
            return Ok(Promotion::WasPrimary);
        }
        let from = self.timeline().await?;
        self.promotion_is_under_way(from)?;
        let told = timeout_at(deadline, client.execute("SELECT pg_promote(false)", &[])).await.map_err(late)?;
        if let Err(e) = told {
            // It may have been promoted since it was asked.
            if in_recovery().await? {
                return Err(sql(DOING)(e));
            }
            self.no_promotion_is_under_way()?;
            return Ok(Promotion::WasPrimary);
        }
        while in_recovery().await? {
            if Instant::now() > deadline {
                return Err(self.timed_out("the promotion", within, log_from));
            }
            sleep(MOMENT).await;
        }
        self.no_promotion_is_under_way()?;
        Ok(Promotion::Promoted)
    }

    /// Whether it is a standby, as it runs.
    ///
    /// # Errors
    /// It does not run, or does not answer.
    pub async fn in_recovery(&self) -> Result<bool> {
        let client = self.look("postgres").await?;
        let row = client.query_one("SELECT pg_is_in_recovery()", &[]).await;
        row.and_then(|row| row.try_get(0)).map_err(sql("asking whether it is a standby"))
    }

    /// The timeline it writes, or else the newest that it receives or has applied something of.
    ///
    /// # Errors
    /// It does not run, or does not answer.
    pub async fn timeline(&self) -> Result<u32> {
        let client = self.look("postgres").await?;
        let row = client.query_one(&format!("SELECT {TIMELINE}"), &[]).await;
        let number: i32 = row.and_then(|row| row.try_get(0)).map_err(sql("asking for its timeline"))?;
        Ok(number.cast_unsigned())
    }

    /// Where a timeline that is known here branched off. `None`: it is the first, or its number is only reserved.
    ///
    /// # Errors
    /// Its history is not here, or cannot be read.
    pub fn fork(&self, timeline: u32) -> Result<Option<Fork>> {
        if timeline <= 1 {
            return Ok(None);
        }
        let path = self.layout().pg_wal().join(history(timeline));
        let text = std::fs::read_to_string(&path).map_err(file("read", &path))?;
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let Some(last) = lines.next_back() else { return Ok(None) };
        let mut words = last.split_whitespace();
        let read = (|| Some(Fork { parent: words.next()?.parse().ok()?, at: words.next()?.parse().ok()? }))();
        read.map(Some).ok_or_else(|| Error::Refused(format!("{} has a line that is none: {last}", path.display())))
    }

    /// Keeps numbers of timelines for somebody else: a promotion here takes the next one after them. Numbers that are taken stay so. Answers how many
    /// were reserved now.
    ///
    /// The files lie in the log's own directory, since standbys of this server ask it for every history in between.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn reserve_timelines(&self, numbers: RangeInclusive<u32>) -> Result<usize> {
        self.layout().has_data()?;
        let mut reserved = 0;
        for number in numbers {
            let path = self.layout().pg_wal().join(history(number));
            let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
            let mut new = match opened {
                Err(e) if e.kind() == ErrorKind::AlreadyExists => continue,
                opened => opened.map_err(file("write", &path))?,
            };
            let written = new.write_all(b"# reserved for the other site\n").and_then(|()| new.sync_all());
            written.map_err(file("write", &path))?;
            reserved += 1;
        }
        files::sync_dir(&self.layout().pg_wal())?;
        Ok(reserved)
    }

    /// The timelines that are known here, from histories: of themselves, and of others.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn known_timelines(&self) -> Result<Vec<u32>> {
        let dir = self.layout().pg_wal();
        let entries = std::fs::read_dir(&dir).map_err(file("read", &dir))?;
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut found: Vec<u32> =
            names.filter_map(|name| u32::from_str_radix(name.strip_suffix(".history")?, 16).ok()).collect();
        found.sort_unstable();
        Ok(found)
    }
}

fn history(timeline: u32) -> String {
    format!("{timeline:08X}.history")
}
