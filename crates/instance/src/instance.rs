//! An instance: where it lies, what it is configured by, and whether it runs.

use crate::access::Access;
use crate::connect::Kept;
use crate::dynamic::{Dynamic, Sync};
use crate::error::{Error, Result, file, sql};
use crate::files;
use crate::layout::Layout;
use crate::process::{self, MOMENT};
use crate::programs::Programs;
use crate::settings::Settings;
use rustix::process::{Signal, geteuid};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::process::Command;
use tokio::time::Instant;

/// One PostgreSQL server. Cheap to clone; all clones are the same one.
#[derive(Clone, Debug)]
pub struct Instance {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    programs: Programs,
    layout: Layout,
    settings: RwLock<Settings>,
    /// Held by whoever changes what changes while it runs.
    turn: tokio::sync::Mutex<()>,
    /// The agent's connections for looking.
    kept: Kept,
}

impl Instance {
    /// Makes the directories, writes the settings, and what else is missing: follows nobody, acknowledges nothing, lets nobody in. Starts nothing,
    /// and leaves alone what runs.
    ///
    /// # Errors
    /// [`Error::AsRoot`]; a setting that cannot be; a file that cannot be written.
    pub fn open(programs: Programs, layout: Layout, settings: Settings) -> Result<Instance> {
        if geteuid().is_root() {
            return Err(Error::AsRoot);
        }
        layout.create()?;
        settings.write(&layout)?;
        let turn = tokio::sync::Mutex::new(());
        let (settings, kept) = (RwLock::new(settings), Kept::default());
        let instance = Instance { inner: Arc::new(Inner { programs, layout, settings, turn, kept }) };
        if !instance.layout().pg_hba_conf().exists() {
            files::replace(&instance.layout().pg_hba_conf(), &Access::Closed.pg_hba_conf())?;
        }
        if !instance.layout().dynamic_conf().exists() {
            files::replace(&instance.layout().dynamic_conf(), &Dynamic::fenced().conf(1)?)?;
        }
        Ok(instance)
    }

    pub(crate) fn kept(&self) -> &Kept {
        &self.inner.kept
    }

    /// What lies where.
    pub fn layout(&self) -> &Layout {
        &self.inner.layout
    }

    /// PostgreSQL's programs.
    pub fn programs(&self) -> &Programs {
        &self.inner.programs
    }

    /// The settings.
    pub fn settings(&self) -> Settings {
        self.inner.settings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Other settings. What runs takes over what it can without a restart.
    ///
    /// # Errors
    /// A setting that cannot be; as [`Instance::set`].
    pub async fn configure(&self, settings: Settings, within: Duration) -> Result<()> {
        let news = settings.write(self.layout())?;
        *self.inner.settings.write().unwrap_or_else(PoisonError::into_inner) = settings;
        if news { self.change(None, None, within).await } else { Ok(()) }
    }

    /// Whether a postmaster runs on the data directory.
    pub fn is_running(&self) -> bool {
        self.pid().is_some()
    }

    /// The postmaster's process id.
    pub fn pid(&self) -> Option<u32> {
        process::postmaster(&self.layout().pgdata()).map(|file| file.pid)
    }

    /// Whom it follows and for whom it waits, as it was last told.
    ///
    /// # Errors
    /// The file cannot be read, or is not the agent's.
    pub fn dynamic(&self) -> Result<Dynamic> {
        self.read_dynamic().map(|(dynamic, _)| dynamic)
    }

    /// How far the door is open, as it was last told.
    ///
    /// # Errors
    /// The file cannot be read, or is not the agent's.
    pub fn access(&self) -> Result<Access> {
        let path = self.layout().pg_hba_conf();
        let text = std::fs::read_to_string(&path).map_err(file("read", &path))?;
        Access::read(&text).ok_or_else(|| Error::Refused(format!("{} was changed by somebody else", path.display())))
    }

    /// Changes whom it follows and for whom it waits. If it runs, this is done only when it is in force: what commits from then on waits.
    ///
    /// # Errors
    /// A name that cannot be; a file that cannot be written; [`Error::TimedOut`].
    pub async fn set(&self, dynamic: &Dynamic, within: Duration) -> Result<()> {
        self.change(Some(dynamic), None, within).await
    }

    /// Opens or closes the door. If it runs, whoever connects from then on meets the new one; sessions that are there stay.
    ///
    /// # Errors
    /// A file that cannot be written; [`Error::TimedOut`].
    pub async fn set_access(&self, access: Access, within: Duration) -> Result<()> {
        self.change(None, Some(access), within).await
    }

    /// Has the files read anew, and waits until they are.
    ///
    /// # Errors
    /// [`Error::TimedOut`]
    pub async fn reload(&self, within: Duration) -> Result<()> {
        self.change(None, None, within).await
    }

    /// A program of PostgreSQL's, marked as this instance's.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = self.programs().command(program);
        command.env(process::MARK, self.layout().pgdata());
        command
    }

    /// A program of PostgreSQL's that ships log, or fetches it: what it runs for that has to reach the shares as this process does.
    pub(crate) fn command_that_reaches_shares(&self, program: &str) -> Command {
        let mut command = self.command(program);
        command.envs(std::env::vars_os().filter(|(name, _)| holdfast_wal::reaches_shares(name)));
        command
    }

    /// Writes what is to be otherwise; if it runs, makes it known and waits until it is so.
    ///
    /// Each writing has a number, which a new connection shows once the postmaster has read all of its files: it reads them in one go, this one and
    /// `pg_hba.conf`, and makes new connections only after that.
    pub(crate) async fn change(
        &self,
        dynamic: Option<&Dynamic>,
        access: Option<Access>,
        within: Duration,
    ) -> Result<()> {
        let _turn = self.inner.turn.lock().await;
        let (now, revision) = self.read_dynamic()?;
        let (dynamic, revision) = (dynamic.unwrap_or(&now), revision + 1);
        // Closed first, opened last.
        let text = dynamic.conf(revision)?;
        if let Some(access) = access {
            files::replace(&self.layout().pg_hba_conf(), &access.pg_hba_conf())?;
        }
        files::replace(&self.layout().dynamic_conf(), &text)?;
        let Some(pid) = self.pid() else { return Ok(()) };
        process::signal(pid, Signal::HUP);
        let deadline = Instant::now() + within;
        let log_from = files::length(&self.layout().log_file());
        while self.is_running() && !self.shows(dynamic, revision).await {
            if Instant::now() > deadline {
                let what = "taking over the new settings";
                return Err(self.timed_out(what, within, log_from));
            }
            tokio::time::sleep(MOMENT).await;
        }
        if now.sync != dynamic.sync && dynamic.sync != Sync::None && self.is_running() {
            let left = deadline.saturating_duration_since(Instant::now());
            self.commits_wait(left.max(Duration::from_secs(1))).await?;
        }
        Ok(())
    }

    async fn shows(&self, dynamic: &Dynamic, revision: u64) -> bool {
        const SHOWN: &str = "SELECT current_setting('holdfast.revision', true) IS NOT DISTINCT FROM $1
            AND current_setting('synchronous_standby_names') = $2 AND current_setting('primary_conninfo') = $3";
        let Ok(client) = self.sql("postgres").await else { return false };
        let (names, conninfo) = (dynamic.sync.standby_names(), dynamic.conninfo());
        let row = client.query_one(SHOWN, &[&revision.to_string(), &names, &conninfo]).await;
        row.is_ok_and(|row| row.try_get(0).unwrap_or(false))
    }

    /// Whether a commit waits at all is a flag in shared memory that the checkpointer sets, when it comes to it; until then commits pass, whatever
    /// the setting says. It has come to it when it has heard the signal and rests again. If it does not rest, for want of an end of its checkpoint, it
    /// comes to it before it begins another one, which is asked for then.
    async fn commits_wait(&self, within: Duration) -> Result<()> {
        const DOING: &str = "making commits wait";
        const RESTS: &str = "SELECT pid, wait_event IS NOT DISTINCT FROM 'CheckpointerMain' FROM pg_stat_activity
            WHERE backend_type = 'checkpointer'";
        const SOON: Duration = Duration::from_millis(300);
        let client = self.sql("postgres").await?;
        let begun = Instant::now();
        let mut pid = None;
        while begun.elapsed() < SOON.min(within) {
            let heard = pid.is_some_and(process::has_heard);
            let row = client.query_opt(RESTS, &[]).await.map_err(sql(DOING))?;
            let rests = row.as_ref().is_some_and(|row| row.try_get(1).unwrap_or(false));
            if heard && rests {
                return Ok(());
            }
            pid = row.and_then(|row| row.try_get::<_, i32>(0).ok()).and_then(|pid| u32::try_from(pid).ok());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let done = tokio::time::timeout(within, client.batch_execute("CHECKPOINT")).await;
        done.map_err(|_| self.timed_out("a checkpoint", within, u64::MAX))?.map_err(sql(DOING))
    }

    fn read_dynamic(&self) -> Result<(Dynamic, u64)> {
        let path = self.layout().dynamic_conf();
        let text = std::fs::read_to_string(&path).map_err(file("read", &path))?;
        Dynamic::read(&text).ok_or_else(|| Error::Refused(format!("{} was changed by somebody else", path.display())))
    }

    /// With the end of what was logged since the log was this long.
    pub(crate) fn timed_out(&self, what: impl Into<String>, within: Duration, log_from: u64) -> Error {
        let log = if log_from == u64::MAX { String::new() } else { self.log_since(log_from) };
        Error::TimedOut { what: what.into(), within, log }
    }

    pub(crate) fn log_since(&self, from: u64) -> String {
        crate::programs::last_lines(&files::tail(&self.layout().log_file(), from, 8 << 10), 12)
    }
}
