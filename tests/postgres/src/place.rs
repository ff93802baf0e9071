//! What the machine offers: PostgreSQL's programs, and a user as whom they may run.

use rustix::fs::{Access, access, statvfs};
use rustix::process::geteuid;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The oldest PostgreSQL that Holdfast works with.
const OLDEST: u32 = 15;

/// The directory of PostgreSQL's programs.
#[derive(Clone, Debug)]
pub(crate) struct Programs(PathBuf);

impl Programs {
    /// `$HOLDFAST_PG_BIN`; else Debian's newest; else what PATH has.
    pub(crate) fn find() -> Self {
        if let Some(named) = std::env::var_os("HOLDFAST_PG_BIN").map(PathBuf::from) {
            assert!(named.join("postgres").exists(), "HOLDFAST_PG_BIN: there is no postgres in {}", named.display());
            return Self(named);
        }
        let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let newest = debian
            .filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path().join("bin"))))
            .filter(|(version, bin)| *version >= OLDEST && bin.join("postgres").exists())
            .max();
        let path = std::env::var_os("PATH").unwrap_or_default();
        newest
            .map(|(_, bin)| bin)
            .or_else(|| std::env::split_paths(&path).find(|dir| dir.join("initdb").exists() && dir.join("postgres").exists()))
            .map(Self)
            .unwrap_or_else(|| {
                panic!("there is no PostgreSQL {OLDEST} or later: run `packaging/install.sh postgres`, or set HOLDFAST_PG_BIN")
            })
    }

    /// A program, run as `owner` in `dir`, that nothing of this process's surroundings reaches.
    pub(crate) fn command(&self, program: &str, owner: Owner, dir: &Path) -> Command {
        let mut command = Command::new(self.0.join(program));
        command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C").env("TZ", "UTC");
        command.current_dir(dir).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Some((uid, gid)) = owner.0 {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Differs whenever the programs do.
    pub(crate) fn mark(&self) -> String {
        let path = self.0.join("postgres");
        let metadata = std::fs::metadata(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let dir = self.0.to_string_lossy().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        format!("{}-{}-{}", dir.trim_matches('-'), metadata.len(), metadata.mtime())
    }
}

/// Whose files and processes they are. `None`: those of this process's own user.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner(Option<(u32, u32)>);

impl Owner {
    pub(crate) fn of_this_process() -> Self {
        if !geteuid().is_root() {
            return Self(None);
        }
        let users = read(Path::new("/etc/passwd"));
        let ids = |name: &str| {
            let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
            let mut parts = line.split(':').skip(2);
            Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
        };
        let found = ids("postgres").or_else(|| ids("nobody"));
        Self(Some(
            found.unwrap_or_else(|| panic!("PostgreSQL does not run as root, and there is no user postgres or nobody")),
        ))
    }

    /// User and group; `None`: this process's own.
    pub(crate) fn ids(self) -> Option<(u32, u32)> {
        self.0
    }

    /// A number for names of files: the user's, as the process is.
    pub(crate) fn number(self) -> u32 {
        self.0.map_or(geteuid().as_raw(), |(uid, _)| uid)
    }

    pub(crate) fn make_dir(self, path: &Path) {
        std::fs::create_dir(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let private = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(path, private).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        self.give(path);
    }

    pub(crate) fn give(self, path: &Path) {
        if let Some((uid, gid)) = self.0 {
            chown(path, Some(uid), Some(gid)).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        }
    }
}

/// Where clusters are made: in memory if there is plenty and nobody wants them on a disk, because copying a thousand small files takes a disk long.
pub(crate) fn for_clusters(durable: bool) -> PathBuf {
    const PLENTY: u64 = 2 << 30;
    let memory = Path::new("/dev/shm");
    let free = statvfs(memory).map_or(0, |fs| fs.f_bavail.saturating_mul(fs.f_frsize));
    let roomy = free >= PLENTY && access(memory, Access::WRITE_OK).is_ok();
    if roomy && !durable { memory.to_owned() } else { std::env::temp_dir() }
}

/// Runs a command to its end.
///
/// # Errors
/// What it said, on both outputs.
pub(crate) fn finish(command: &mut Command) -> Result<String, String> {
    let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output();
    let output = output.map_err(|e| format!("{:?}: {e}", command.get_program()))?;
    let text = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
    if output.status.success() { Ok(text) } else { Err(text + &String::from_utf8_lossy(&output.stderr)) }
}

/// A file's text; empty when there is none.
pub(crate) fn read(path: &Path) -> String {
    std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

pub(crate) fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}
