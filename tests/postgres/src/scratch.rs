//! A directory in which a test runs PostgreSQLs of its own making, gone with all of them when the test is over, also when it was killed.

use crate::place;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Ends, at the end of its input, whatever works in the directory, until nothing does.
const SCRIPT: &str = r#"
read -r _
home=$1
[ -d "$home" ] || exit 0
memory=$(find "$home" -name postmaster.pid -exec sed -n 7p {} \; | awk '{ print $2 }')
tries=0
while [ $tries -lt 200 ]; do
  ours=$(find /proc -maxdepth 2 -name cwd -lname "$home/*" 2>/dev/null | cut -d/ -f3)
  [ -n "$ours" ] || break
  kill -KILL $ours 2>/dev/null
  tries=$((tries + 1))
  sleep 0.02
done
for id in $memory; do ipcrm -m "$id" 2>/dev/null; done
rm -rf "$home"
"#;

/// A directory of a test's own, which its user alone may enter; in memory, if there is plenty.
#[derive(Debug)]
pub struct Scratch {
    dir: PathBuf,
    guard: Child,
}

impl Scratch {
    /// Makes one. Its path is short enough for sockets in it.
    ///
    /// # Panics
    /// When it cannot be made.
    #[allow(clippy::new_without_default, reason = "it makes a directory and starts a process")]
    pub fn new() -> Self {
        let made = tempfile::Builder::new().prefix("holdfast-").tempdir_in(place::for_clusters(false));
        let dir = made.unwrap_or_else(|e| panic!("no temporary directory: {e}")).keep();
        let private = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(&dir, private).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
        let mut command = Command::new("/bin/sh");
        command.args(["-c", SCRIPT, "holdfast-scratch-guard"]).arg(&dir).process_group(0).current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let guard = command.spawn().unwrap_or_else(|e| panic!("/bin/sh: {e}"));
        Self { dir, guard }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.dir
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}
