//! Running a test as somebody who is not root, because what it tests refuses root.

use crate::place::Owner;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// Whether the test named `test`, as the runner calls it, is to go on in this process. For root it is not: it has been run, in a process of its own, by
/// the user `postgres`, or `nobody`.
///
/// # Panics
/// When it failed there.
#[must_use]
pub fn unprivileged(test: &str) -> bool {
    let Some((uid, gid)) = Owner::of_this_process().ids() else { return true };
    // Itself by this name, because that user may not be allowed into the directory in which the program lies.
    let mut command = Command::new("/proc/self/exe");
    command.args(["--exact", test, "--include-ignored", "--nocapture"]).uid(uid).gid(gid).current_dir("/");
    command.env("HOME", "/nonexistent").env_remove("XDG_RUNTIME_DIR");
    let status = command.status().unwrap_or_else(|e| panic!("running {test} as another user: {e}"));
    assert!(status.success(), "{test} failed as user {uid}: {status}");
    false
}
