//! Log that the other site has not applied: what it has to catch up with when it takes over.
//!
//! The backup's replay is stopped as if its machine were too slow, while the primary writes; it goes on at the moment of the failover.

use crate::commands::reports;
use crate::processes::send;
use crate::{Lab, Watcher, names, processes, stage};
use anyhow::{Context as _, Result, ensure};
use holdfast_continuity::topology::Role;
use holdfast_instance::Programs;
use rustix::process::Signal;
use std::fmt::Write as _;

/// Bytes that one statement writes, roughly.
const AT_ONCE: u64 = 16 << 20;
/// Bytes of log that one row makes, roughly.
const A_ROW: u64 = 1_100;
/// The database for it, beside the chat's.
const DATABASE: &str = "lab_backlog";

/// A replay that is stopped.
#[derive(Debug)]
pub(crate) struct Held(Option<i32>);

impl Held {
    /// Lets it go on.
    pub(crate) fn release(mut self) {
        self.let_go();
    }

    fn let_go(&mut self) {
        if let Some(pid) = self.0.take() {
            send(pid, Signal::CONT);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.let_go();
    }
}

impl Lab {
    /// Has the primary write so much log that the backup does not apply.
    pub(crate) async fn hold_back(&self, bytes: u64, watcher: Watcher<'_>) -> Result<Held> {
        if bytes == 0 {
            return Ok(Held(None));
        }
        let agents = self.agents()?;
        let known = reports(&agents).await;
        let with = |role: Role| {
            let found = known.iter().flatten().find(|report| report.role == Some(role));
            let found = found.with_context(|| format!("no agent says that its instance is the {}", role.word()))?;
            anyhow::Ok((found.site.clone(), names::short(&found.instance).to_owned()))
        };
        let (primary, backup) = (with(Role::Primary)?, with(Role::Backup)?);
        self.psql(&primary, "postgres", &format!("CREATE DATABASE {DATABASE}")).await?;
        self.psql(&primary, DATABASE, "CREATE TABLE backlog (n bigint, text text)").await?;
        let replay = self.postgres_called(&backup.1, "startup");
        let replay = replay.with_context(|| format!("{} applies nothing: no process of it does", backup.1))?;
        send(replay, Signal::STOP);
        let held = Held(Some(replay));
        stage(watcher, &format!("{} MiB of log that {} does not apply", bytes >> 20, backup.1), async {
            let begin = self.psql(&primary, DATABASE, "SELECT pg_current_wal_insert_lsn()").await?;
            loop {
                let sql = format!("SELECT (pg_current_wal_insert_lsn() - '{begin}')::bigint");
                let written: u64 = self.psql(&primary, DATABASE, &sql).await?.parse()?;
                if written >= bytes {
                    return Ok(());
                }
                let rows = ((bytes - written).min(AT_ONCE) / A_ROW).max(1);
                let row = "n, repeat(md5(n::text), 32)";
                let sql = format!("INSERT INTO backlog SELECT {row} FROM generate_series(1, {rows}) AS n");
                self.psql(&primary, DATABASE, &sql).await?;
            }
        })
        .await?;
        Ok(held)
    }

    /// Asks an instance something on its socket, as its agent could.
    pub(crate) async fn psql(&self, (site, short): &(String, String), database: &str, sql: &str) -> Result<String> {
        let programs = Programs::find()?;
        let mut command = self.record.owner.command(&programs.dir().join("psql"));
        command.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database, "-h"]);
        command.arg(self.place.socket(site, short)).args(["-p", &self.record.ports.of(short).to_string(), "-c", sql]);
        command.current_dir(self.place.dir()).env(processes::MARK, self.place.operator());
        let output = tokio::process::Command::from(command).kill_on_drop(true).output().await.context("psql")?;
        let mut said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if !output.status.success() {
            let _ = write!(said, "{}", String::from_utf8_lossy(&output.stderr).trim());
        }
        ensure!(output.status.success(), "{sql}: {said}");
        Ok(said)
    }
}
