//! Starting what keeps running: agents, witness, chat servers.

use crate::Lab;
use crate::names;
use crate::processes::{self, MARK};
use crate::record::{Kind, Process};
use anyhow::{Context as _, Result, bail};
use holdfast_wal::reaches_shares;
use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// Of the log of a process that did not come up, so many lines are told.
const LINES: usize = 20;

impl Lab {
    /// Starts the witness.
    pub(crate) fn start_witness(&mut self) -> Result<()> {
        let dir = self.place.witness();
        let (data, identity) = (dir.join("data"), dir.join("identity"));
        let args = ["witness".into(), "--data".into(), data.into_os_string()];
        self.start(Kind::Witness, names::WITNESS, None, &dir, &args, &identity, None)
    }

    /// Starts the agent of an instance; to die at a failpoint, if one is named.
    pub(crate) fn start_agent(&mut self, site: &str, short: &str, failpoint: Option<&str>) -> Result<()> {
        let dir = self.place.machine(site, short);
        let args = ["agent".into(), "--instance".into(), names::full(short).into()];
        self.start(Kind::Agent, short, Some(site), &dir, &args, &dir.join("identity"), failpoint)
    }

    /// Starts a chat server.
    pub(crate) fn start_server(&mut self, site: &str, short: &str) -> Result<()> {
        let dir = self.place.machine(site, short);
        let settings = self.place.server_settings(site, short).into_os_string();
        let args = ["serve".into(), "--json".into(), "--config".into(), settings];
        self.start(Kind::Server, short, Some(site), &dir, &args, &dir.join("identity"), None)
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "one call of it each for what is started; a struct would be made for these three lines"
    )]
    fn start(
        &mut self,
        kind: Kind,
        name: &str,
        site: Option<&str>,
        dir: &Path,
        args: &[std::ffi::OsString],
        identity: &Path,
        failpoint: Option<&str>,
    ) -> Result<()> {
        let path = self.place.log(name);
        let log = File::options().create(true).append(true).open(&path);
        let log = log.with_context(|| path.display().to_string())?;
        self.record.owner.give(&path)?;
        let mut command = self.record.owner.command(&self.record.binary);
        command.args(args).current_dir(dir).env("HOME", dir);
        command.env("HOLDFAST_TOPOLOGY", self.place.topology()).env("HOLDFAST_IDENTITY", identity);
        command.env(MARK, site.map_or_else(|| dir.to_owned(), |site| self.place.site(site)));
        if kind == Kind::Agent && self.record.shares.is_some() {
            // How a bucket is reached, a key among it, is for those alone who read and write there.
            command.envs(std::env::vars_os().filter(|(name, _)| reaches_shares(name)));
        }
        if let Some(failpoint) = failpoint {
            command.env("HOLDFAST_FAILPOINTS", failpoint);
        }
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
        let child = command.spawn().with_context(|| format!("starting {name}"))?;
        let pid = i32::try_from(child.id()).context("a process number")?;
        // It goes on when this process ends, and is found again by what is noted here.
        let Some(started) = processes::started(pid) else { bail!("{name} ended at once: {}", self.said(name)) };
        self.record.note(Process { name: name.to_owned(), kind, site: site.map(str::to_owned), pid, started });
        self.record.save(&self.place)
    }

    /// Fails if a process that was started does not run any more, with what it said.
    pub(crate) fn check_runs(&self, name: &str) -> Result<()> {
        match self.record.processes.iter().find(|process| process.name == name) {
            Some(process) if process.is_running() => Ok(()),
            _ => bail!("{name} does not run: {}", self.said(name)),
        }
    }

    /// The end of the log of a process.
    pub(crate) fn said(&self, name: &str) -> String {
        let path: PathBuf = self.place.log(name);
        let text = std::fs::read(&path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        let lines: Vec<&str> = text.trim_end().lines().collect();
        if lines.is_empty() {
            return format!("{} is empty", path.display());
        }
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }
}
