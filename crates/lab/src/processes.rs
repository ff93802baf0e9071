//! The processes of a lab, found by what they are rather than by what anybody noted: whoever was started by one of them, and however that one ended.
//!
//! Whatever the lab starts has a mark in its environment, which its children inherit: the directory that it belongs to. PostgreSQL writes its titles over
//! its environment, so its processes are known by where they work as well: in a data directory of the lab. A shell that somebody has opened there is
//! neither.

use crate::place::Place;
use anyhow::{Result, bail};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The mark: the directory to which a process belongs.
pub(crate) const MARK: &str = "HOLDFAST_LAB";
/// For killed processes to be gone, on a busy machine.
const GOING: Duration = Duration::from_secs(20);
const MOMENT: Duration = Duration::from_millis(5);

/// When a process was started, in ticks since the machine was; `None` when there is none of that number, or what is left of it only waits to be noticed.
pub(crate) fn started(pid: i32) -> Option<u64> {
    let fields = stat(pid)?;
    if fields.state == 'Z' { None } else { Some(fields.started) }
}

struct Stat {
    state: char,
    parent: i32,
    started: u64,
}

/// The name of a process stands in parentheses and may contain anything.
fn stat(pid: i32) -> Option<Stat> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = text.rsplit_once(") ")?.1.split(' ').collect();
    Some(Stat {
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
    })
}

/// The processes of a lab that belong to a directory of it: those with the mark, PostgreSQL's that work there, and whatever these have started.
pub(crate) fn below(place: &Place, dir: &Path) -> BTreeSet<i32> {
    let me = i32::try_from(std::process::id()).unwrap_or(0);
    let mut parents: BTreeMap<i32, i32> = BTreeMap::new();
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let Some(stat) = stat(pid).filter(|stat| stat.state != 'Z') else { continue };
        parents.insert(pid, stat.parent);
        if is_marked(pid, dir) || is_postgres_in(pid, place, dir) {
            found.insert(pid);
        }
    }
    loop {
        let more: Vec<i32> = parents
            .iter()
            .filter(|(pid, parent)| found.contains(parent) && !found.contains(pid))
            .map(|(pid, _)| *pid)
            .collect();
        if more.is_empty() {
            break;
        }
        found.extend(more);
    }
    found.remove(&me);
    found
}

fn is_marked(pid: i32, dir: &Path) -> bool {
    let Ok(environment) = std::fs::read(format!("/proc/{pid}/environ")) else { return false };
    let prefix = [MARK.as_bytes(), b"="].concat();
    environment
        .split(|byte| *byte == 0)
        .filter_map(|variable| variable.strip_prefix(&prefix[..]))
        .any(|of| Path::new(OsStr::from_bytes(of)).starts_with(dir))
}

fn is_postgres_in(pid: i32, place: &Place, dir: &Path) -> bool {
    let is_postgres = || {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        matches!(name.trim_end(), "postgres" | "postmaster" | "pg_rewind" | "pg_basebackup")
    };
    let works_in: Option<PathBuf> = std::fs::read_link(format!("/proc/{pid}/cwd")).ok();
    works_in.is_some_and(|works_in| works_in.starts_with(dir) && works_in.starts_with(place.dir())) && is_postgres()
}

/// Ends all processes that belong to a directory, at once: they are stopped first, so that none of them notices that another is gone. Answers how many
/// they were.
///
/// # Errors
/// When they do not go.
pub(crate) fn kill(place: &Place, dir: &Path) -> Result<usize> {
    let mut stopped = BTreeSet::new();
    loop {
        let new: Vec<i32> = below(place, dir).difference(&stopped).copied().collect();
        if new.is_empty() {
            break;
        }
        new.iter().for_each(|pid| send(*pid, Signal::STOP));
        stopped.extend(new);
    }
    stopped.iter().for_each(|pid| send(*pid, Signal::KILL));
    let deadline = Instant::now() + GOING;
    while stopped.iter().any(|pid| is_there(*pid)) {
        if Instant::now() > deadline {
            let left: Vec<String> = stopped.iter().filter(|pid| is_there(**pid)).map(ToString::to_string).collect();
            bail!("processes do not end after SIGKILL: {}", left.join(", "));
        }
        std::thread::sleep(MOMENT);
    }
    Ok(stopped.len())
}

/// The processes that one has started, and that have not ended.
pub(crate) fn children_of(parent: i32) -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    numbers.filter(|pid| stat(*pid).is_some_and(|stat| stat.parent == parent && stat.state != 'Z')).collect()
}

/// Sends a signal to one process.
pub(crate) fn send(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        // One that has ended meanwhile needs none.
        let _ = kill_process(pid, signal);
    }
}

/// Whether it runs; one of our own that has ended is taken note of.
fn is_there(pid: i32) -> bool {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = waitpid(Some(pid), WaitOptions::NOHANG);
    }
    started(pid).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    /// A shell with a child, which says when it is there.
    fn family(mark: Option<&Path>, works_in: &Path) -> std::process::Child {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "sleep 300 & echo there; wait"]).current_dir(works_in);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).env_remove(MARK);
        if let Some(mark) = mark {
            command.env(MARK, mark);
        }
        let mut child = command.spawn().unwrap();
        let mut line = [0; 6];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut line).unwrap();
        child
    }

    #[test]
    fn whoever_has_the_mark_is_found_with_what_he_started_and_nobody_else() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::of(dir.path()).unwrap();
        let (atl, bos) = (place.site("atl"), place.site("bos"));
        [&atl, &bos].iter().for_each(|dir| std::fs::create_dir(dir).unwrap());
        let (mut ours, mut theirs) = (family(Some(&atl), &atl), family(Some(&bos), &bos));
        // Somebody looks around in the lab.
        let mut visitor = family(None, &atl);
        assert_eq!(below(&place, &atl).len(), 2);
        assert_eq!(below(&place, place.dir()).len(), 4);
        assert_eq!(kill(&place, &atl).unwrap(), 2);
        assert!(below(&place, &atl).is_empty());
        assert!(visitor.try_wait().unwrap().is_none() && theirs.try_wait().unwrap().is_none());
        assert_eq!(kill(&place, place.dir()).unwrap(), 2);
        let visitors = i32::try_from(visitor.id()).unwrap();
        for pid in std::iter::once(visitors).chain(children_of(visitors)) {
            send(pid, Signal::KILL);
        }
        for mut child in [ours.try_wait().map(|_| ours), theirs.try_wait().map(|_| theirs)].into_iter().flatten() {
            let _ = child.wait();
        }
        visitor.wait().unwrap();
    }

    #[test]
    fn a_number_means_the_process_that_was_started_then() {
        let me = i32::try_from(std::process::id()).unwrap();
        assert!(started(me).is_some());
        let mut child = Command::new("/bin/true").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        child.wait().unwrap();
        assert_eq!(started(pid), None);
        assert_eq!(started(0), None);
    }
}
