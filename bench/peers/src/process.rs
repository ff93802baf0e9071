//! A server's processes: started, counted, ended. Only processes that were started here, and their descendants, are ever touched.

use anyhow::{Context as _, Result, bail};
use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// `utime` and `stime` are in these.
const TICKS_PER_SECOND: f64 = 100.0;

/// A process of ours with all that it started; killed when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
}

/// On these processors; all, when empty.
pub(crate) fn on(cpus: &str, program: impl AsRef<std::ffi::OsStr>) -> Command {
    // Should this process be killed, the kernel kills that one.
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]);
    if !cpus.is_empty() {
        command.args(["taskset", "-c", cpus]);
    }
    command.arg(program);
    command
}

/// Puts a running process, and what it starts from now on, on these processors.
pub(crate) fn pin(cpus: &str, pid: u32) -> Result<()> {
    if cpus.is_empty() {
        return Ok(());
    }
    let done = Command::new("taskset").args(["-apc", cpus, &pid.to_string()]).stdout(Stdio::null()).status()?;
    if done.success() { Ok(()) } else { bail!("taskset does not take the processors `{cpus}`") }
}

impl Process {
    /// Starts it; what it prints goes to the end of `log`. Must be called on the thread that outlives it: the kernel watches that.
    pub(crate) fn start(mut command: Command, log: &Path) -> Result<Self> {
        let out = File::options().create(true).append(true).open(log)?;
        // A Ctrl-C is for the generator, which then ends its servers.
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out).process_group(0);
        let child = command.spawn().with_context(|| format!("starting {command:?}"))?;
        Ok(Self { child })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// SIGKILL to all of it.
    pub(crate) fn kill(&mut self) {
        let pids = if self.is_running() { tree(self.pid()) } else { Vec::new() };
        let _ = self.child.kill();
        for pid in pids.iter().filter(|pid| **pid != self.child.id()) {
            signal("-KILL", *pid);
        }
        let _ = self.child.wait();
        let deadline = Instant::now() + Duration::from_secs(10);
        while pids.iter().any(|pid| is_alive(*pid)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Asks it to end, and kills it when it does not.
    pub(crate) fn stop(mut self) {
        if self.is_running() {
            signal("-TERM", self.pid());
        }
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.is_running() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn signal(which: &str, pid: u32) {
    let _ = Command::new("kill").args([which, &pid.to_string()]).stderr(Stdio::null()).status();
}

/// Fields of `/proc/PID/stat` after the name, which stands in parentheses and may contain anything.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(text.rsplit_once(") ")?.1.split(' ').map(str::to_owned).collect())
}

fn is_alive(pid: u32) -> bool {
    stat(pid).is_some_and(|fields| fields.first().is_some_and(|state| state != "Z"))
}

/// A process and all that descend from it.
pub(crate) fn tree(root: u32) -> Vec<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    for pid in entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()) {
        if let Some(parent) = stat(pid).and_then(|fields| fields.get(1)?.parse().ok()) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = vec![root];
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        found.extend(children.get(pid).into_iter().flatten());
        next += 1;
    }
    found
}

/// CPU time of a process and all that descend from it, those that have ended included.
pub(crate) fn cpu(root: u32) -> Duration {
    // utime, stime, and both of children that were waited for.
    let ticks: f64 = tree(root).into_iter().filter_map(|pid| ticks(pid, 11..15)).sum();
    Duration::from_secs_f64(ticks / TICKS_PER_SECOND)
}

/// CPU time of this process itself.
pub(crate) fn own_cpu() -> Duration {
    Duration::from_secs_f64(ticks(std::process::id(), 11..13).unwrap_or_default() / TICKS_PER_SECOND)
}

fn ticks(pid: u32, fields: Range<usize>) -> Option<f64> {
    stat(pid)?.get(fields)?.iter().map(|field| field.parse::<f64>().ok()).sum()
}

/// Memory of a process and all that descend from it, in KiB: resident, with shared pages counted once.
pub(crate) fn memory(root: u32) -> u64 {
    let of = |pid: u32| -> Option<u64> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let line = text.lines().find(|line| line.starts_with("Pss:"))?;
        line.split_whitespace().nth(1)?.parse().ok()
    };
    tree(root).into_iter().filter_map(of).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_of_processes_is_seen_and_killed() {
        let log = tempfile::NamedTempFile::new().unwrap();
        let mut command = on("", "sh");
        command.args(["-c", "sleep 1000 & sleep 1000"]);
        let mut process = Process::start(command, log.path()).unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while tree(process.pid()).len() < 3 {
            assert!(Instant::now() < deadline);
            std::thread::sleep(Duration::from_millis(5));
        }
        let pids = tree(process.pid());
        assert!(process.is_running() && memory(process.pid()) > 0);
        process.kill();
        assert!(!pids.into_iter().any(is_alive));
    }
}
