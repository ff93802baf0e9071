//! Making a standby: of the data that is here, or as a copy of another instance.

use crate::dynamic::Upstream;
use crate::error::{Error, Result, file};
use crate::files;
use crate::init::remove_unfinished;
use crate::instance::Instance;
use crate::programs::{finish, last_lines};
use crate::progress::Progress;
use holdfast_wal::WalFile;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::time::Instant;

/// How often a copy is begun whose connection breaks.
const ATTEMPTS: u32 = 3;

/// What became of cloning.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cloned {
    /// Where the data is that was here before.
    pub moved_aside: Option<PathBuf>,
}

impl Instance {
    /// Has the data that is here start as a standby the next time.
    ///
    /// # Errors
    /// [`Error::NoData`], or the file cannot be written.
    pub fn make_standby(&self) -> Result<()> {
        self.layout().has_data()?;
        files::replace(&self.standby_signal(), "")
    }

    /// Whether the data that is here starts as a standby.
    pub fn starts_as_standby(&self) -> bool {
        self.standby_signal().exists()
    }

    /// Copies another instance, which goes on meanwhile, and verifies the copy. It is a standby and does not run; whom it follows is said by
    /// [`Instance::set`]. Data that was here is moved aside, and only when the copy is whole. When the connection breaks, it is begun anew, a few times.
    ///
    /// # Errors
    /// [`Error::Running`]; PostgreSQL's programs fail; [`Error::TimedOut`], and the copying is given up.
    pub async fn base_backup_from(
        &self,
        upstream: &Upstream,
        within: Duration,
        progress: &(dyn Fn(Progress) + Send + std::marker::Sync),
    ) -> Result<Cloned> {
        let deadline = Instant::now() + within;
        let layout = self.layout();
        let (data, new) = (layout.pgdata(), layout.pgdata_new());
        self.clear_leftovers().await?;
        let mut attempt = 1;
        loop {
            remove_unfinished(&new)?;
            let mut command = self.command("pg_basebackup");
            command.arg("-D").arg(&new).args(["-X", "stream", "-c", "fast", "--progress", "--no-password"]);
            command.args(["-d", &upstream.conninfo_to_copy()]);
            match self.follow("pg_basebackup", &mut command, "copying", deadline, within, progress).await {
                Ok(_) => break,
                Err(Error::Program { said, .. }) if attempt < ATTEMPTS && broke_off(&said) => {
                    tracing::warn!(attempt, "the copying broke off and begins anew: {said}");
                    progress(Progress::says("the connection broke; copying anew"));
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
        progress(Progress::says("verifying the copy"));
        let mut command = self.command("pg_verifybackup");
        command.arg("--quiet").arg(&new);
        let verified = tokio::time::timeout_at(deadline, finish("pg_verifybackup", &mut command)).await;
        verified.map_err(|_| self.timed_out("verifying the copy", within, u64::MAX))??;
        files::replace(&new.join("standby.signal"), "")?;
        let moved_aside = data.symlink_metadata().is_ok().then(|| layout.pgdata_before());
        if let Some(aside) = &moved_aside {
            files::rename(&data, aside)?;
        }
        files::rename(&new, &data)?;
        self.is_whole()?;
        self.undo_alter_system()?;
        Ok(Cloned { moved_aside })
    }

    /// Moves files of the log that are off the pool's history out of the data directory, into `into`: PostgreSQL would apply them, whatever
    /// `restore_command` refuses. Answers their names. Not while it runs.
    ///
    /// # Errors
    /// [`Error::Running`]; files that cannot be moved.
    pub async fn move_wal_out(
        &self,
        is_off: &(dyn Fn(WalFile) -> bool + Send + std::marker::Sync),
        into: &Path,
    ) -> Result<Vec<String>> {
        if let Some(pid) = self.pid() {
            return Err(Error::Running(pid));
        }
        let size = self.control().await?.segment_size;
        let dir = self.layout().pg_wal();
        let entries = std::fs::read_dir(&dir).map_err(file("read", &dir))?;
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut off: Vec<String> = names.filter(|name| WalFile::parse(name, size).is_ok_and(is_off)).collect();
        off.sort_unstable();
        if !off.is_empty() {
            files::private_dir(into)?;
        }
        for name in &off {
            move_file(&dir.join(name), &free_name(into, name))?;
        }
        files::sync_dir(&dir)?;
        Ok(off)
    }

    fn standby_signal(&self) -> PathBuf {
        self.layout().pgdata().join("standby.signal")
    }

    /// Runs a program that says on its standard error how far it is, and answers what else it said there.
    pub(crate) async fn follow(
        &self,
        program: &'static str,
        command: &mut Command,
        what: &str,
        deadline: Instant,
        within: Duration,
        progress: &(dyn Fn(Progress) + Send + std::marker::Sync),
    ) -> Result<String> {
        let failed = |said: String| Error::Program { program, said };
        command.stdout(std::process::Stdio::null());
        let mut child = command.spawn().map_err(|e| failed(e.to_string()))?;
        let Some(said) = child.stderr.take() else { return Err(failed("it cannot be heard".to_owned())) };
        let work = async {
            let mut lines = BufReader::new(said).split(b'\n');
            let mut rest = String::new();
            let mut last = None;
            while let Some(line) = lines.next_segment().await.map_err(|e| failed(e.to_string()))? {
                let line = String::from_utf8_lossy(&line).into_owned();
                match counted(&line) {
                    Some(count) if Some(count) != last => {
                        last = Some(count);
                        progress(Progress { what: what.to_owned(), done: Some(count.0), total: Some(count.1) });
                    }
                    Some(_) => {}
                    None => rest.push_str(&format!("{line}\n")),
                }
            }
            let status = child.wait().await.map_err(|e| failed(e.to_string()))?;
            if status.success() { Ok(rest) } else { Err(failed(last_lines(&rest, 8))) }
        };
        // A program that is given up is killed, as nobody waits for it any more.
        tokio::time::timeout_at(deadline, work).await.map_err(|_| self.timed_out(program, within, u64::MAX))?
    }
}

/// Whether a program failed for want of its connection alone: it was made and broke, or was not made in time. Not when it was refused.
fn broke_off(said: &str) -> bool {
    const SIGNS: [&str; 9] = [
        "closed the connection unexpectedly",
        "connection has been closed unexpectedly",
        "SSL SYSCALL error",
        "could not receive data from WAL stream",
        "could not read COPY data",
        "unexpected termination of replication stream",
        "Connection timed out",
        "Connection reset",
        "timeout expired",
    ];
    SIGNS.iter().any(|sign| said.contains(sign))
}

/// `  12345/67890 kB (18%), 0/1 tablespace` of `pg_basebackup`, `12345/67890 kB (18%) copied` of `pg_rewind`: bytes done and in all.
fn counted(line: &str) -> Option<(u64, u64)> {
    let (numbers, _) = line.trim_start().split_once(" kB (")?;
    let (done, total) = numbers.split_once('/')?;
    Some((done.parse::<u64>().ok()?.saturating_mul(1_024), total.parse::<u64>().ok()?.saturating_mul(1_024)))
}

/// Nothing that was moved there before is overwritten.
fn free_name(dir: &Path, name: &str) -> PathBuf {
    let numbered = |n: u32| if n == 0 { dir.join(name) } else { dir.join(format!("{name}.{n}")) };
    (0..).map(numbered).find(|path| !path.exists()).unwrap_or_else(|| numbered(0))
}

/// Also to another file system.
fn move_file(from: &Path, to: &Path) -> Result<()> {
    if std::fs::rename(from, to).is_err() {
        let copied = std::fs::copy(from, to).and_then(|_| std::fs::File::open(to)?.sync_all());
        copied.map_err(file("write", to))?;
        std::fs::remove_file(from).map_err(file("remove", from))?;
    }
    files::sync_parent(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_a_program_is_stands_before_kb() {
        assert_eq!(counted("    2048/30720 kB (6%), 0/1 tablespace"), Some((2 << 20, 30 << 20)));
        assert_eq!(counted("30720/30720 kB (100%) copied"), Some((30 << 20, 30 << 20)));
        assert_eq!(counted("pg_basebackup: error: connection to server failed"), None);
    }

    #[test]
    fn a_copy_begins_anew_only_when_its_connection_broke() {
        assert!(broke_off("pg_basebackup: error: could not read COPY data: server closed the connection unexpectedly"));
        assert!(broke_off(
            "pg_basebackup: error: could not receive data from WAL stream: SSL SYSCALL error: EOF detected"
        ));
        assert!(!broke_off(
            "connection to server at \"127.0.0.1\" failed: FATAL:  no pg_hba.conf entry for replication"
        ));
        assert!(!broke_off("pg_basebackup: error: could not create directory: Permission denied"));
        assert!(!broke_off("pg_basebackup: error: could not write to file: No space left on device"));
    }

    #[test]
    fn what_was_moved_before_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (from, into) = (dir.path().join("a"), dir.path().join("into"));
        std::fs::create_dir(&into).unwrap();
        for text in ["one", "two"] {
            std::fs::write(&from, text).unwrap();
            move_file(&from, &free_name(&into, "a")).unwrap();
        }
        assert_eq!(std::fs::read_to_string(into.join("a")).unwrap(), "one");
        assert_eq!(std::fs::read_to_string(into.join("a.1")).unwrap(), "two");
    }
}
