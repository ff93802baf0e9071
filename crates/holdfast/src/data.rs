//! The data directory: who holds it, and where things are in it.
//!
//! Whoever works on the data holds an exclusive lock on `DIR/lock` for as long: one server, or one command while no server
//! runs. The kernel gives it back when the process ends, however it ends, so a lock can never be stale; the file's text, which
//! says who holds it, can, and is only shown. With a database that several servers share, the directory holds no data: only the lock, so that two
//! servers do not take one directory, the socket for commands, and the highest epoch that the server has heard of.

use crate::exit::{Exit, Failure, unavailable};
use anyhow::{Context as _, Result};
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// A data directory.
#[derive(Clone, Debug)]
pub(crate) struct DataDir(PathBuf);

/// Who holds the data.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Holder {
    /// The process.
    pub(crate) pid: u32,
    /// `server` or `command`.
    pub(crate) role: String,
    /// Where a server serves.
    pub(crate) http: Option<String>,
}

/// The exclusive right to work on the data, given back when dropped.
#[derive(Debug)]
pub(crate) struct DataLock(File);

impl DataDir {
    /// The directory at `path`, which need not be there.
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The database.
    pub(crate) fn database(&self) -> PathBuf {
        self.0.join("holdfast.db")
    }

    /// Where a running server listens for commands of this machine's operator.
    pub(crate) fn socket(&self) -> PathBuf {
        self.0.join("control.sock")
    }

    /// Where a server of a pool keeps the highest epoch that it has heard of.
    pub(crate) fn epoch(&self) -> PathBuf {
        self.0.join("epoch")
    }

    /// Whether there is an embedded database in it.
    pub(crate) fn holds_a_pool(&self) -> bool {
        self.database().exists()
    }

    /// Makes the directory, for its owner alone, if it is not there.
    pub(crate) fn create(&self) -> Result<()> {
        if self.0.is_dir() {
            return Ok(());
        }
        use std::os::unix::fs::DirBuilderExt as _;
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.0)
            .with_context(|| format!("making the data directory {}", self.0.display()))
    }

    /// Takes the lock, or says who has it.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub(crate) fn try_lock(&self, role: &str, http: Option<String>) -> Result<Result<DataLock, Option<Holder>>> {
        let path = self.0.join("lock");
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .with_context(|| format!("opening {}", path.display()))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut text = String::new();
                let _ = file.read_to_string(&mut text);
                return Ok(Err(serde_json::from_str(&text).ok()));
            }
            Err(e) => return Err(e).with_context(|| format!("locking {}", path.display())),
        }
        let holder = Holder { pid: std::process::id(), role: role.to_owned(), http };
        // Only shown to people, so a failure to write it (a full disk) takes nothing away.
        let _ = file.set_len(0);
        let _ = file.rewind();
        let _ = writeln!(file, "{}", serde_json::json!(holder));
        Ok(Ok(DataLock(file)))
    }

    /// Whether a server works here: it holds the lock. Makes nothing.
    pub(crate) fn is_locked_by_a_server(&self) -> bool {
        let Ok(mut file) = File::options().read(true).write(true).open(self.0.join("lock")) else { return false };
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            return false;
        }
        let mut text = String::new();
        let _ = file.read_to_string(&mut text);
        serde_json::from_str::<Holder>(&text).is_ok_and(|h| h.role == "server")
    }

    /// The path of `name` in the directory in a form short enough for a socket's address (108 bytes), with what keeps that
    /// form alive.
    pub(crate) fn short_path(&self, name: &str) -> Result<(PathBuf, Option<OwnedFd>)> {
        let whole = self.0.join(name);
        if whole.as_os_str().len() < 100 {
            return Ok((whole, None));
        }
        let dir = rustix::fs::open(&self.0, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .with_context(|| format!("opening {}", self.0.display()))?;
        use std::os::fd::AsRawFd as _;
        Ok((PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd())).join(name), Some(dir)))
    }
}

impl DataLock {
    /// Says for how long the lock is held: until this.
    pub(crate) fn release(self) {
        let _ = self.0.set_len(0);
    }
}

/// The data is held by somebody who does not answer.
pub(crate) fn in_use(dir: &DataDir, holder: Option<&Holder>) -> anyhow::Error {
    let dir = dir.path().display();
    match holder {
        Some(h) if h.role == "server" => Failure::new(
            Exit::Unavailable,
            format!(
                "a server (process {}) runs on {dir} but does not answer on its control socket; if it is just starting or stopping, try again",
                h.pid
            ),
        )
        .into(),
        Some(h) => unavailable(format!(
            "another holdfast command (process {}) works on {dir}; try again when it has ended",
            h.pid
        )),
        None => unavailable(format!("{dir} is in use by another process; try again when it has ended")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_holds_the_lock_and_the_other_learns_who() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = DataDir::new(tmp.path());
        let lock = dir.try_lock("server", Some("127.0.0.1:1".into())).unwrap().unwrap();
        let holder = dir.try_lock("command", None).unwrap().unwrap_err().unwrap();
        assert_eq!((holder.pid, holder.role.as_str()), (std::process::id(), "server"));
        assert!(dir.is_locked_by_a_server());
        lock.release();
        assert!(!dir.is_locked_by_a_server());
        assert!(dir.try_lock("command", None).unwrap().is_ok());
    }

    #[test]
    fn a_long_path_still_has_a_short_form() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = DataDir::new(tmp.path().join("x".repeat(120)));
        dir.create().unwrap();
        let (path, _keep) = dir.short_path("control.sock").unwrap();
        assert!(path.as_os_str().len() < 100);
        std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert!(dir.socket().exists());
    }
}
