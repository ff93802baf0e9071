//! The processes of a data directory: which there are, and how to be sure of it.
//!
//! A number in a file proves nothing, since numbers are given anew. A process is PostgreSQL's of this data directory if it works in it (every one
//! of them does), or if it carries our mark in its environment: what PostgreSQL runs for us, and our own tools. Nobody else's is ever signalled.

use crate::error::{Error, Result};
use rustix::process::{Pid, Signal, getpid, kill_process};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;

/// The environment variable with the data directory, given to everything that is started for it.
pub(crate) const MARK: &str = "HOLDFAST_INSTANCE";

pub(crate) const MOMENT: Duration = Duration::from_millis(10);

/// What a postmaster writes into its file, as far as it has come.
#[derive(Debug)]
pub(crate) struct PidFile {
    pub(crate) pid: u32,
    /// `starting`, `stopping`, `ready` or `standby`.
    pub(crate) status: String,
}

impl PidFile {
    pub(crate) fn read(pgdata: &Path) -> Option<PidFile> {
        let text = std::fs::read_to_string(pgdata.join("postmaster.pid")).ok()?;
        let mut lines = text.lines().map(str::trim);
        let pid = lines.next()?.parse().ok()?;
        Some(PidFile { pid, status: lines.nth(6).unwrap_or("starting").to_owned() })
    }
}

/// The postmaster that runs on a data directory.
pub(crate) fn postmaster(pgdata: &Path) -> Option<PidFile> {
    PidFile::read(pgdata).filter(|file| works_in(file.pid, &canonical(pgdata)))
}

/// All processes of a data directory, whether a postmaster is among them or not.
pub(crate) fn all_of(pgdata: &Path) -> Vec<u32> {
    let home = canonical(pgdata);
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let own = u32::try_from(getpid().as_raw_nonzero().get()).unwrap_or_default();
    numbers.filter(|pid| *pid != own && (works_in(*pid, &home) || is_marked(*pid, pgdata))).collect()
}

/// The children of a process.
pub(crate) fn children_of(parent: u32) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    numbers.filter(|pid| stat(*pid).is_some_and(|(_, of)| of == parent)).collect()
}

/// What a process calls itself: PostgreSQL's say what they do.
pub(crate) fn title(pid: u32) -> String {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ").trim_end().to_owned()
}

/// Whether every SIGHUP that was sent to a process has come to it, and it rests again.
pub(crate) fn has_heard(pid: u32) -> bool {
    let line = |name: &str| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(|value| value.trim().to_owned())
    };
    let pending =
        |name: &str| line(name).and_then(|mask| u64::from_str_radix(&mask, 16).ok()).is_none_or(|mask| mask & 1 == 1);
    // In this order: it is woken before the signal is taken from it.
    !pending("SigPnd") && !pending("ShdPnd") && line("State").is_some_and(|state| state.starts_with('S'))
}

pub(crate) fn is_alive(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| !matches!(state, 'Z' | 'X'))
}

pub(crate) fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // One that has just ended needs no signal.
        let _ = kill_process(pid, signal);
    }
}

/// Ends every process of a data directory by SIGKILL and waits until none is left. The postmaster first stops, so that it makes no more.
pub(crate) async fn kill_all(pgdata: &Path, within: Duration) -> Result<Vec<u32>> {
    if let Some(file) = postmaster(pgdata) {
        signal(file.pid, Signal::STOP);
    }
    let deadline = Instant::now() + within;
    let mut ended = Vec::new();
    loop {
        let left = all_of(pgdata);
        let Some(first) = left.first() else { return Ok(ended) };
        if Instant::now() > deadline {
            return Err(Error::Unkillable(*first));
        }
        for pid in left {
            signal(pid, Signal::KILL);
            if !ended.contains(&pid) {
                ended.push(pid);
            }
        }
        tokio::time::sleep(MOMENT).await;
    }
}

fn canonical(pgdata: &Path) -> PathBuf {
    pgdata.canonicalize().unwrap_or_else(|_| pgdata.to_owned())
}

/// Whether it is PostgreSQL and in that directory. Of others' processes the system does not tell.
fn works_in(pid: u32, home: &Path) -> bool {
    let is_postgres = || {
        // One that is just ending has let go of its program, and not yet of the memory that it shared, which hinders the next postmaster.
        let Ok(program) = std::fs::read_link(format!("/proc/{pid}/exe")) else { return true };
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // After an upgrade it is one that is gone from the disk.
        matches!(name.trim_end_matches(" (deleted)"), "postgres" | "postmaster")
    };
    std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == home) && is_alive(pid) && is_postgres()
}

fn is_marked(pid: u32, pgdata: &Path) -> bool {
    let Ok(environment) = std::fs::read(format!("/proc/{pid}/environ")) else { return false };
    let mark = format!("{MARK}={}", pgdata.display());
    environment.split(|b| *b == 0).any(|entry| entry == mark.as_bytes()) && is_alive(pid)
}

/// State and parent of a process. Its name stands in parentheses and may contain anything.
fn stat(pid: u32) -> Option<(char, u32)> {
    let bytes = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let mut fields = text.rsplit_once(") ")?.1.split(' ');
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}
