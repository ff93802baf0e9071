//! What goes between a primary and its standbys, and waiting for it.

use crate::dynamic::{Dynamic, Sync};
use crate::error::{Error, Result, sql};
use crate::files;
use crate::instance::Instance;
use crate::process::{self, MOMENT};
use crate::status::lsn;
use holdfast_wal::Lsn;
use rustix::process::Signal;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

/// For a receiver to end by itself.
const BY_ITSELF: Duration = Duration::from_millis(500);

/// What became of a barrier.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Barrier {
    /// The standby that commits wait for has everything up to here on disk: all that was committed before.
    Acknowledged(Lsn),
    /// It does not have everything up to here yet.
    NotAcknowledged(Lsn),
    /// Commits wait for nobody. Everything up to here is on this server's own disk.
    Exposed(Lsn),
}

impl Barrier {
    /// Whether the mirror has everything.
    pub fn is_acknowledged(self) -> bool {
        matches!(self, Barrier::Acknowledged(_))
    }
}

impl Instance {
    /// Writes something and waits until the standby that commits wait for has it on disk. The log is one sequence: then it has all before it, too.
    ///
    /// The writing itself does not wait and is never cancelled; whether the standby has it is asked by position. So nothing is left behind when it is
    /// not acknowledged in time.
    ///
    /// # Errors
    /// It does not run, is a standby, or does not answer.
    pub async fn barrier(&self, within: Duration) -> Result<Barrier> {
        const DOING: &str = "writing a barrier";
        const HAS: &str = "SELECT EXISTS (SELECT FROM pg_stat_replication
            WHERE sync_state IN ('sync', 'quorum') AND lower(application_name) = lower($1) AND flush_lsn >= $2::text::pg_lsn)";
        let deadline = Instant::now() + within;
        let client = self.sql("postgres").await?;
        client.batch_execute("SET synchronous_commit = local").await.map_err(sql(DOING))?;
        let row = client.query_one("SELECT pg_logical_emit_message(true, 'barrier', '')::text", &[]).await;
        let at = lsn(&row.map_err(sql(DOING))?, 0).map_err(sql(DOING))?;
        let at = at.ok_or_else(|| Error::Refused("a barrier was written nowhere".to_owned()))?;
        let name = match self.dynamic()?.sync {
            Sync::None => return Ok(Barrier::Exposed(at)),
            Sync::Named(name) => name,
            Sync::Fenced => crate::dynamic::NOBODY.to_owned(),
        };
        let text = at.to_string();
        match until(&client, HAS, &[&name, &text], deadline, DOING).await? {
            true => Ok(Barrier::Acknowledged(at)),
            false => Ok(Barrier::NotAcknowledged(at)),
        }
    }

    /// Makes a checkpoint. On a standby: as far as it can.
    ///
    /// # Errors
    /// It does not run, or does not answer; [`Error::TimedOut`], and it is still made.
    pub async fn checkpoint(&self, within: Duration) -> Result<()> {
        let client = self.sql("postgres").await?;
        let done = timeout_at(Instant::now() + within, client.batch_execute("CHECKPOINT")).await;
        done.map_err(|_| self.timed_out("a checkpoint", within, u64::MAX))?.map_err(sql("making a checkpoint"))
    }

    /// Ends the segment that is being written, so that it is archived, and answers where that was.
    ///
    /// # Errors
    /// It does not run, is a standby, or does not answer.
    pub async fn switch_wal(&self) -> Result<Lsn> {
        const DOING: &str = "ending a segment";
        let client = self.sql("postgres").await?;
        let row = client.query_one("SELECT pg_switch_wal()::text", &[]).await.map_err(sql(DOING))?;
        let at = lsn(&row, 0).map_err(sql(DOING))?;
        at.ok_or_else(|| Error::Refused("a segment was ended nowhere".to_owned()))
    }

    /// Has a standby follow nobody any more, and waits until it receives nothing: what it has received stands still then.
    ///
    /// # Errors
    /// It does not run, or does not answer; [`Error::TimedOut`].
    pub async fn receiver_off(&self, within: Duration) -> Result<()> {
        const OFF: &str = "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'walreceiver')";
        const WHO: &str = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'walreceiver'";
        const WHAT: &str = "the end of the stream";
        let log_from = files::length(&self.layout().log_file());
        let deadline = Instant::now() + within;
        let now = self.dynamic()?;
        self.set(&Dynamic { upstream: None, ..now }, within).await?;
        let client = self.sql("postgres").await?;
        // PostgreSQL ends the receiver by itself while the stream is its source. While it reads from the archive it leaves one that waits at the end of
        // a timeline, which would go on by the connection that it has when it is told to follow somebody else.
        while !until(&client, OFF, &[], deadline.min(Instant::now() + BY_ITSELF), WHAT).await? {
            if Instant::now() > deadline {
                return Err(self.timed_out(WHAT, within, log_from));
            }
            for row in client.query(WHO, &[]).await.map_err(sql(WHAT))? {
                let pid: i32 = row.try_get(0).map_err(sql(WHAT))?;
                process::signal(pid.unsigned_abs(), Signal::TERM);
            }
        }
        Ok(())
    }

    /// Waits until a standby has applied something beyond a position: the record that begins there, for one.
    ///
    /// # Errors
    /// It does not run, or does not answer; [`Error::TimedOut`].
    pub async fn wait_replayed_past(&self, at: Lsn, within: Duration) -> Result<()> {
        const PAST: &str = "SELECT coalesce(pg_last_wal_replay_lsn() > $1::text::pg_lsn, false)";
        let what = format!("applying the log beyond {at}");
        self.wait_for(&what, PAST, &[&at.to_string()], Instant::now() + within, within).await
    }

    /// Waits until a standby has applied everything before a position.
    ///
    /// # Errors
    /// As [`Instance::wait_replayed_past`].
    pub async fn wait_replayed(&self, to: Lsn, within: Duration) -> Result<()> {
        const TO: &str = "SELECT coalesce(pg_last_wal_replay_lsn() >= $1::text::pg_lsn, false)";
        self.wait_for(&format!("applying the log up to {to}"), TO, &[&to.to_string()], Instant::now() + within, within)
            .await
    }

    /// Waits until a standby receives a stream.
    ///
    /// # Errors
    /// As [`Instance::wait_replayed_past`].
    pub async fn wait_streaming(&self, within: Duration) -> Result<()> {
        const STREAMS: &str = "SELECT EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming')";
        self.wait_for("receiving a stream", STREAMS, &[], Instant::now() + within, within).await
    }

    /// Waits until somebody of this name follows, and has caught up.
    ///
    /// # Errors
    /// As [`Instance::wait_replayed_past`].
    pub async fn wait_followed_by(&self, name: &str, within: Duration) -> Result<()> {
        const FOLLOWED: &str =
            "SELECT EXISTS (SELECT FROM pg_stat_replication WHERE application_name = $1 AND state = 'streaming')";
        let what = format!("{name} following this instance");
        self.wait_for(&what, FOLLOWED, &[&name], Instant::now() + within, within).await
    }

    async fn wait_for(
        &self,
        what: &str,
        question: &str,
        parameters: &[&(dyn ToSql + std::marker::Sync)],
        deadline: Instant,
        within: Duration,
    ) -> Result<()> {
        const DOING: &str = "asking how far it is";
        let log_from = files::length(&self.layout().log_file());
        let client = self.sql("postgres").await?;
        match until(&client, question, parameters, deadline, DOING).await? {
            true => Ok(()),
            false => Err(self.timed_out(what, within, log_from)),
        }
    }
}

/// Asks until the answer is yes; whether it was before the deadline.
async fn until(
    client: &Client,
    question: &str,
    parameters: &[&(dyn ToSql + std::marker::Sync)],
    deadline: Instant,
    doing: &'static str,
) -> Result<bool> {
    let statement = match timeout_at(deadline, client.prepare(question)).await {
        Ok(prepared) => prepared.map_err(sql(doing))?,
        Err(_) => return Ok(false),
    };
    loop {
        let Ok(row) = timeout_at(deadline, client.query_one(&statement, parameters)).await else { return Ok(false) };
        if row.and_then(|row| row.try_get::<_, bool>(0)).map_err(sql(doing))? {
            return Ok(true);
        }
        if Instant::now() > deadline {
            return Ok(false);
        }
        sleep(MOMENT).await;
    }
}
