//! As whom everything of a lab runs: PostgreSQL refuses to be root, and so do agents.

use anyhow::{Context as _, Result, bail};
use rustix::process::geteuid;
use serde::{Deserialize, Serialize};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// The user whose files and processes they are; `None`: the one who runs this.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Owner(Option<(u32, u32)>);

impl Owner {
    /// For root `postgres`, or else `nobody`; for everybody else himself.
    ///
    /// # Errors
    /// When root finds no such user.
    pub fn of_this_process() -> Result<Owner> {
        if !geteuid().is_root() {
            return Ok(Owner(None));
        }
        let users = std::fs::read_to_string("/etc/passwd").context("/etc/passwd")?;
        let ids = |name: &str| {
            let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
            let mut parts = line.split(':').skip(2);
            Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
        };
        match ids("postgres").or_else(|| ids("nobody")) {
            Some(ids) => Ok(Owner(Some(ids))),
            None => bail!(
                "PostgreSQL does not run as root, and there is no user `postgres` or `nobody`; run this as another user"
            ),
        }
    }

    /// The number of the user.
    pub(crate) fn number(self) -> u32 {
        self.0.map_or(geteuid().as_raw(), |(user, _)| user)
    }

    /// Makes a directory that is his alone.
    ///
    /// # Errors
    /// When it cannot be made, or is there.
    pub(crate) fn make_dir(self, path: &Path) -> Result<()> {
        std::fs::create_dir(path).with_context(|| path.display().to_string())?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))
            .with_context(|| path.display().to_string())?;
        self.give(path)
    }

    /// Makes a file that is his alone.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write(self, path: &Path, text: &str) -> Result<()> {
        std::fs::write(path, text).with_context(|| path.display().to_string())?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
            .with_context(|| path.display().to_string())?;
        self.give(path)
    }

    /// Gives him something.
    ///
    /// # Errors
    /// When that cannot be done.
    pub(crate) fn give(self, path: &Path) -> Result<()> {
        match self.0 {
            Some((user, group)) => chown(path, Some(user), Some(group)).with_context(|| path.display().to_string()),
            None => Ok(()),
        }
    }

    /// A program that he runs, in a group of its own (a Ctrl-C at this terminal is not meant for it), and that nothing of this process's surroundings
    /// reaches.
    pub(crate) fn command(self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LANG", "C.UTF-8").env("TZ", "UTC");
        for kept in ["HOLDFAST_PG_BIN", "RUST_BACKTRACE"] {
            if let Some(value) = std::env::var_os(kept) {
                command.env(kept, value);
            }
        }
        command.stdin(Stdio::null()).process_group(0);
        if let Some((user, group)) = self.0 {
            command.uid(user).gid(group);
        }
        command
    }

    /// Whether he can run a program while he stands in a directory.
    pub(crate) fn can_run(self, program: &Path, dir: &Path) -> bool {
        let mut command = self.command(program);
        command.arg("--version").current_dir(dir).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }
}
