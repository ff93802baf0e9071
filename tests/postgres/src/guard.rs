//! Cleans up after a process that was killed and could not do it itself.
//!
//! A shell waits for the end of its input, which comes when this process ends, in whatever way. It does nothing if the directory is gone by then.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The process id is believed only if that process works on our directory: numbers are given anew. A process that ends at once does so
/// within moments; after 10 s it is killed.
const SCRIPT: &str = r#"
read -r _
home=$1
[ -d "$home" ] || exit 0
ours() { [ -n "$pid" ] && [ "$(readlink "/proc/$pid/cwd")" = "$home/data" ]; }
pid=$(head -n 1 "$home/data/postmaster.pid" 2>/dev/null)
ours && kill -CONT "$pid" && kill -QUIT "$pid"
tries=0
while ours; do
  tries=$((tries + 1))
  [ $tries -lt 200 ] || kill -KILL "$pid"
  sleep 0.05
done
shm=$(sed -n 7p "$home/data/postmaster.pid" 2>/dev/null | awk '{ print $2 }')
[ -z "$shm" ] || ipcrm -m "$shm"
rm -rf "$home"
# The directory around it, if it was made for this alone.
case "$(basename "$(dirname "$home")")" in holdfast-postgres-*) rmdir "$(dirname "$home")" ;; esac
"#;

/// A shell that waits.
#[derive(Debug)]
pub(crate) struct Guard(Child);

impl Guard {
    /// Watches over the directory of a cluster.
    pub(crate) fn over(home: &Path) -> Self {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", SCRIPT, "holdfast-postgres-guard"]).arg(home).process_group(0).current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap_or_else(|e| panic!("/bin/sh: {e}")))
    }

    /// Nothing is left to clean up.
    pub(crate) fn dismiss(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
