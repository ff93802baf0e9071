//! Who is connected, and ending that.

use crate::connect::AGENT;
use crate::error::{Error, Result, sql};
use crate::files;
use crate::instance::Instance;
use crate::process;
use crate::status::time;
use jiff::Timestamp;
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;

/// A session of somebody else than the agent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Session {
    /// Its process.
    pub pid: i32,
    /// The role.
    pub user: String,
    /// The database.
    pub database: String,
    /// What it calls itself.
    pub application: String,
    /// Where from; `None`: the socket.
    pub address: Option<String>,
    /// `active`, `idle`, `idle in transaction`, ...
    pub state: String,
    /// What it waits for, such as `SyncRep` for the mirror.
    pub waits_for: Option<String>,
    /// Since when it is in that state.
    pub since: Option<Timestamp>,
}

const CLIENTS: &str = "SELECT pid, coalesce(usename, ''), coalesce(datname, ''), application_name, client_addr::text,
    coalesce(state, ''), CASE WHEN wait_event_type <> 'Client' THEN wait_event END, (extract(epoch FROM state_change) * 1000000)::bigint
    FROM pg_stat_activity WHERE backend_type = 'client backend' AND application_name <> $1 ORDER BY pid";

impl Instance {
    /// Sessions of others than the agent; what streams is not among them.
    ///
    /// # Errors
    /// It does not run, or does not answer.
    pub async fn client_sessions(&self) -> Result<Vec<Session>> {
        let client = self.sql("postgres").await?;
        let read = async {
            let mut sessions = Vec::new();
            for row in client.query(CLIENTS, &[&AGENT]).await? {
                sessions.push(Session {
                    pid: row.try_get(0)?,
                    user: row.try_get(1)?,
                    database: row.try_get(2)?,
                    application: row.try_get(3)?,
                    address: row.try_get(4)?,
                    state: row.try_get(5)?,
                    waits_for: row.try_get(6)?,
                    since: time(row.try_get(7)?),
                });
            }
            Ok(sessions)
        };
        read.await.map_err(sql("reading who is connected"))
    }

    /// Ends one session and waits until it is gone; whether there was one. A commit of it that waited is unknown to whoever made it.
    ///
    /// # Errors
    /// It does not run, or does not answer; [`Error::TimedOut`].
    pub async fn terminate(&self, pid: i32, within: Duration) -> Result<bool> {
        const END: &str = "SELECT pg_terminate_backend(pid, $2) FROM pg_stat_activity
            WHERE pid = $1 AND backend_type IN ('client backend', 'walsender') AND application_name <> $3";
        let client = self.sql("postgres").await?;
        let patience = i64::try_from(within.as_millis()).unwrap_or(i64::MAX).max(1);
        let row = client.query_opt(END, &[&pid, &patience, &AGENT]).await.map_err(sql("ending a session"))?;
        match row.map(|row| row.try_get::<_, bool>(0)).transpose().map_err(sql("ending a session"))? {
            None => Ok(false),
            Some(true) => Ok(true),
            Some(false) => Err(self.timed_out(format!("the end of session {pid}"), within, u64::MAX)),
        }
    }

    /// Ends the sessions of all others than the agent, until there are none, and answers how many there were. Close the door before. Connections that
    /// were made before that, and have not said yet who they are, are ended too: they were judged by the rules that held when they were made.
    ///
    /// # Errors
    /// It does not run, or does not answer; [`Error::TimedOut`].
    pub async fn terminate_clients(&self, within: Duration) -> Result<usize> {
        const END: &str = "SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE backend_type = 'client backend' AND application_name <> $1";
        const BETWEEN: Duration = Duration::from_millis(30);
        let log_from = files::length(&self.layout().log_file());
        let client = self.sql("postgres").await?;
        let deadline = Instant::now() + within;
        let mut ended = BTreeSet::new();
        let mut coming = BTreeSet::new();
        loop {
            let rows = client.query(END, &[&AGENT]).await.map_err(sql("ending sessions"))?;
            ended.extend(rows.iter().filter_map(|row| row.try_get::<_, i32>(0).ok()));
            // Seen twice: our own, of which there may be one at any moment, are in within less.
            let now: BTreeSet<u32> = self.not_in_yet().into_iter().collect();
            for pid in now.intersection(&coming) {
                process::signal(*pid, Signal::TERM);
            }
            let quiet = rows.is_empty() && now.is_disjoint(&coming);
            coming = now;
            if quiet && coming.is_empty() {
                return Ok(ended.len());
            }
            if Instant::now() > deadline {
                let left = rows.len() + coming.len();
                return Err(self.timed_out(format!("the end of {left} session(s)"), within, log_from));
            }
            tokio::time::sleep(BETWEEN).await;
        }
    }

    /// Processes for connections that are not sessions yet: those that are called as the postmaster is, and those that say so.
    fn not_in_yet(&self) -> Vec<u32> {
        let Some(postmaster) = self.pid() else { return Vec::new() };
        let parent = process::title(postmaster);
        let children = process::children_of(postmaster).into_iter();
        let coming = children.filter(|pid| {
            let title = process::title(*pid);
            let waits = [" authentication", " initializing"].iter().any(|word| title.ends_with(word));
            !title.is_empty() && (title == parent || waits) && !title.contains("[local]")
        });
        coming.collect()
    }

    /// Fails unless nobody but the agent is connected.
    ///
    /// # Errors
    /// Somebody is; it does not run, or does not answer.
    pub async fn nobody_is_connected(&self) -> Result<()> {
        let sessions = self.client_sessions().await?;
        let Some(first) = sessions.first() else { return Ok(()) };
        let text = format!(
            "{} session(s) are still connected, the first as {} ({}): end them first",
            sessions.len(),
            first.user,
            first.application
        );
        Err(Error::Refused(text))
    }
}
