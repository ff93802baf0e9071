//! PostgreSQL's processes: the postmaster, which is a child of this process, and its children.

use crate::place::{self, Owner, Programs};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// For starting (with what a crash left to recover) and stopping, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
const MOMENT: Duration = Duration::from_millis(2);

/// A postmaster that runs.
#[derive(Debug)]
pub(crate) struct Postmaster(Child);

impl Postmaster {
    /// Starts it and waits until it takes connections.
    ///
    /// # Errors
    /// What it logged instead.
    pub(crate) fn start(programs: &Programs, owner: Owner, data: &Path, log: &Path) -> Result<Self, String> {
        let opened = File::options().create(true).append(true).open(log).and_then(|out| Ok((out.try_clone()?, out)));
        let (out, err) = opened.map_err(|e| format!("{}: {e}", log.display()))?;
        let before = place::read(log).len();
        // What a killed one left there says nothing of this one.
        let _ = std::fs::remove_file(data.join("postmaster.opts"));
        let mut command = programs.command("postgres", owner, data);
        // A signal to the group of this process (Ctrl-C, a runner that ends a test) is the guard's affair.
        command.arg("-D").arg(data).stdout(out).stderr(err).process_group(0);
        let child = command.spawn().map_err(|e| format!("postgres: {e}"))?;
        let mut postmaster = Self(child);
        let deadline = Instant::now() + PATIENCE;
        while !postmaster.is_ready(data) {
            let over = !postmaster.is_running();
            if over || Instant::now() > deadline {
                postmaster.end_at_once();
                let text = place::read(log);
                return Err(text.get(before..).unwrap_or(&text).to_owned());
            }
            std::thread::park_timeout(MOMENT);
        }
        Ok(postmaster)
    }

    /// It writes its process id into the first line of its file, and how it is into the eighth.
    fn is_ready(&self, data: &Path) -> bool {
        let text = place::read(&data.join("postmaster.pid"));
        let mut lines = text.lines().map(str::trim);
        lines.next() == Some(&self.pid().to_string()) && matches!(lines.nth(6), Some("ready" | "standby"))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(None))
    }

    /// SIGKILL to all of its processes.
    pub(crate) fn kill(mut self) {
        // Stopped first, so that it makes no more of them.
        self.signal(Signal::STOP);
        let children = children_of(self.pid());
        let _ = self.0.kill();
        for child in &children {
            let _ = kill_process(*child, Signal::KILL);
        }
        let _ = self.0.wait();
        let deadline = Instant::now() + PATIENCE;
        while children.iter().any(|child| rustix::process::test_kill_process(*child).is_ok() && !is_dead(*child)) {
            assert!(Instant::now() < deadline, "PostgreSQL's processes do not end");
            std::thread::park_timeout(MOMENT);
        }
    }

    /// Ends connections, writes everything, and waits for the end.
    pub(crate) fn stop(mut self) {
        self.signal(Signal::INT);
        assert!(self.ended_within(PATIENCE), "PostgreSQL does not stop");
    }

    /// Ends it without writing anything.
    pub(crate) fn end_at_once(mut self) {
        self.signal(Signal::QUIT);
        // One that was stopped hears it only now.
        self.signal(Signal::CONT);
        if !self.ended_within(Duration::from_secs(10)) {
            self.kill();
        }
    }

    fn ended_within(&mut self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while self.is_running() {
            if Instant::now() > deadline {
                return false;
            }
            std::thread::park_timeout(MOMENT);
        }
        true
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.pid()).ok().and_then(Pid::from_raw) {
            // Only while it has not been waited for: its number is not another's yet.
            let _ = kill_process(pid, signal);
        }
    }
}

/// PostgreSQL keeps a small piece of System V shared memory, which stays when it is killed.
pub(crate) fn remove_shared_memory(data: &Path) {
    let text = place::read(&data.join("postmaster.pid"));
    if let Some(id) = text.lines().nth(6).and_then(|line| line.split_whitespace().nth(1)) {
        let _ = Command::new("ipcrm").args(["-m", id]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

fn children_of(parent: u32) -> Vec<Pid> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let children = numbers.filter(|number| stat(*number).is_some_and(|(_, of)| of == parent));
    children.filter_map(Pid::from_raw).collect()
}

fn is_dead(pid: Pid) -> bool {
    stat(pid.as_raw_nonzero().get()).is_none_or(|(state, _)| state == 'Z')
}

/// State and parent of a process. Its name stands in parentheses and may contain anything.
fn stat(number: i32) -> Option<(char, u32)> {
    let text = std::fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
    let mut fields = text.rsplit_once(") ")?.1.split(' ');
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}
