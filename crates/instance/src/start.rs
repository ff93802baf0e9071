//! Starting it: closed or not, after whatever happened to it, and finding one that runs already.
//!
//! The postmaster is in a process group of its own and logs to a file of its own: it outlives the agent that started it, and the next one adopts it.

use crate::access::Access;
use crate::dynamic::Dynamic;
use crate::error::{Error, Result, file};
use crate::files;
use crate::instance::Instance;
use crate::process::{self, MOMENT, PidFile};
use crate::progress::Progress;
use serde::{Deserialize, Serialize};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::Stdio;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How long killed processes may take to be gone.
const GONE: Duration = Duration::from_secs(10);

/// A log that is longer is put aside when the server starts.
const LONG_LOG: u64 = 64 << 20;

/// As what it is started.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Boot {
    /// For its agent alone: it listens on no address, lets nobody in, acknowledges no commit, archives nothing, follows nobody. What it was told before
    /// about that is forgotten.
    Fenced,
    /// As [`Boot::Fenced`], and it restores no files either: to be stopped in order, as what it is.
    Alone,
    /// As it was told: see [`Instance::set`] and [`Instance::set_access`].
    Serving,
}

/// A server that takes connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Started {
    /// The postmaster.
    pub pid: u32,
    /// Whether it ran already. Then it is as it was started, not as was asked for now.
    pub adopted: bool,
    /// As what it runs; `None`: somebody else started it.
    pub boot: Option<Boot>,
}

impl Instance {
    /// Starts it and waits until it takes connections on its socket; one that runs already is left as it is and waited for. What a kill left behind
    /// is cleared away first.
    ///
    /// # Errors
    /// [`Error::NoData`]; [`Error::NotStarted`] with the end of the log; [`Error::TimedOut`], and it goes on starting.
    pub async fn start(
        &self,
        boot: Boot,
        within: Duration,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Started> {
        let deadline = Instant::now() + within;
        let log = self.layout().log_file();
        if let Some(PidFile { pid, .. }) = process::postmaster(&self.layout().pgdata()) {
            self.ready(pid, None, files::length(&log), deadline, within, progress).await?;
            return Ok(Started { pid, adopted: true, boot: self.boot().await });
        }
        self.layout().has_data()?;
        self.clear_leftovers().await?;
        self.mend().await?;
        if boot != Boot::Serving {
            self.change(Some(&Dynamic::fenced()), Some(Access::Closed), within).await?;
        }
        self.settings().write(self.layout())?;
        self.undo_alter_system()?;
        self.put_log_aside()?;
        let log_from = files::length(&log);
        let (pid, ended) = self.spawn(boot)?;
        self.ready(pid, Some(ended), log_from, deadline, within, progress).await?;
        Ok(Started { pid, adopted: false, boot: Some(boot) })
    }

    /// As what it runs; `None`: it does not run, does not answer, or somebody else started it.
    pub async fn boot(&self) -> Option<Boot> {
        let client = self.look("postgres").await.ok()?;
        let row = client.query_one("SELECT current_setting('holdfast.boot', true)", &[]).await.ok()?;
        Boot::read(&row.try_get::<_, Option<String>>(0).ok()??)
    }

    /// Ends what a killed postmaster left, and removes the files that would hinder a new one. Not while one runs.
    pub(crate) async fn clear_leftovers(&self) -> Result<()> {
        let data = self.layout().pgdata();
        if let Some(pid) = self.pid() {
            return Err(Error::Running(pid));
        }
        // They work on memory that they shared with a process that is gone: there is nothing they could still do in order.
        let ended = process::kill_all(&data, GONE).await?;
        if !ended.is_empty() {
            tracing::warn!("ended {} process(es) of {} that a killed PostgreSQL left", ended.len(), data.display());
        }
        // PostgreSQL itself clears these away, unless the number in them has become that of another process of the same user. Shared memory
        // it clears away in any case, and knows better than we which is its own.
        let port = self.settings().port;
        let run = self.layout().run();
        for path in [
            data.join("postmaster.pid"),
            run.join(format!(".s.PGSQL.{port}")),
            run.join(format!(".s.PGSQL.{port}.lock")),
        ] {
            match std::fs::remove_file(&path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(file("remove", &path)(e)),
                _ => {}
            }
        }
        Ok(())
    }

    /// What somebody said by `ALTER SYSTEM`, here or where this data directory was copied from, would win over our files.
    pub(crate) fn undo_alter_system(&self) -> Result<()> {
        let path = self.layout().pgdata().join("postgresql.auto.conf");
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let settings: Vec<&str> =
            text.lines().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#')).collect();
        if !settings.is_empty() {
            tracing::warn!(
                "undone, because the agent's files say how PostgreSQL is to run: ALTER SYSTEM {}",
                settings.join("; ")
            );
            files::replace(&path, "# ALTER SYSTEM is undone at every start: see the agent's configuration.\n")?;
        }
        Ok(())
    }

    fn put_log_aside(&self) -> Result<()> {
        let log = self.layout().log_file();
        if files::length(&log) > LONG_LOG { files::rename(&log, &files::with_suffix(&log, ".1")) } else { Ok(()) }
    }

    fn spawn(&self, boot: Boot) -> Result<(u32, watch::Receiver<bool>)> {
        let failed = |e: std::io::Error| Error::Program { program: "postgres", said: e.to_string() };
        let path = self.layout().log_file();
        let log = OpenOptions::new().create(true).append(true).mode(0o600).open(&path).map_err(file("open", &path))?;
        let mut command = self.command_that_reaches_shares("postgres");
        command.arg("-D").arg(self.layout().pgdata());
        command.arg("-c").arg(format!("config_file={}", self.layout().postgresql_conf().display()));
        command.arg("-c").arg(format!("holdfast.boot={}", boot.word()));
        let without: &[&str] = match boot {
            Boot::Serving => &[],
            Boot::Fenced => &["listen_addresses=", "archive_command=", "ssl=off"],
            Boot::Alone => &["listen_addresses=", "archive_command=", "ssl=off", "restore_command="],
        };
        for setting in without {
            command.args(["-c", setting]);
        }
        command.stdout(Stdio::from(log.try_clone().map_err(failed)?)).stderr(Stdio::from(log));
        command.process_group(0).kill_on_drop(false);
        let mut child = command.spawn().map_err(failed)?;
        let pid = child.id().ok_or_else(|| failed(std::io::Error::other("it ended at once")))?;
        let (tell, ended) = watch::channel(false);
        // Waited for as long as this process lives, so that it does not stay as a zombie.
        tokio::spawn(async move {
            let status = child.wait().await;
            tracing::info!("the postmaster, process {pid}, ended: {status:?}");
            let _ = tell.send(true);
        });
        Ok((pid, ended))
    }

    /// Waits until it takes connections.
    async fn ready(
        &self,
        pid: u32,
        ended: Option<watch::Receiver<bool>>,
        log_from: u64,
        deadline: Instant,
        within: Duration,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<()> {
        let data = self.layout().pgdata();
        let mut shown = String::new();
        loop {
            let file = PidFile::read(&data).filter(|file| file.pid == pid);
            if file.is_some_and(|file| matches!(file.status.as_str(), "ready" | "standby")) {
                return Ok(());
            }
            let is_over = ended.as_ref().map_or_else(|| !process::is_alive(pid), |ended| *ended.borrow());
            if is_over {
                return Err(Error::NotStarted { log: self.log_since(log_from) });
            }
            if Instant::now() > deadline {
                return Err(self.timed_out("PostgreSQL taking connections", within, log_from));
            }
            let said = says(&files::tail(&self.layout().log_file(), log_from, 4 << 10));
            if !said.is_empty() && said != shown {
                shown.clone_from(&said);
                progress(Progress::says(said));
            }
            tokio::time::sleep(MOMENT).await;
        }
    }
}

impl Boot {
    fn word(self) -> &'static str {
        match self {
            Boot::Fenced => "fenced",
            Boot::Alone => "alone",
            Boot::Serving => "serving",
        }
    }

    pub(crate) fn read(word: &str) -> Option<Boot> {
        [Boot::Fenced, Boot::Alone, Boot::Serving].into_iter().find(|boot| boot.word() == word)
    }
}

/// The last thing in a log that is for people: the text after `LOG:`.
fn says(log: &str) -> String {
    let text = log.lines().rev().find_map(|line| line.split_once("LOG:").map(|(_, text)| text.trim().to_owned()));
    text.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_the_last_line_of_the_log_without_its_head() {
        let log = "2026-11-26 16:00:00 UTC [7] startup LOG:  redo starts at 0/3000028\n\
            2026-11-26 16:00:02 UTC [7] startup LOG:  redo in progress, elapsed time: 2.00 s, current LSN: 0/1A3F2210\n\
            2026-11-26 16:00:02 UTC [7] startup DETAIL:  more\n";
        assert_eq!(says(log), "redo in progress, elapsed time: 2.00 s, current LSN: 0/1A3F2210");
    }
}
