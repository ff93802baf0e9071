//! Taking a lab down: nothing of it stays.

use crate::place::Place;
use crate::{Lab, names, processes};
use anyhow::{Context as _, Result};
use std::path::Path;
use std::process::{Command, Stdio};

impl Lab {
    /// Ends everything that a lab has started, and removes its directory. It is meant to be thrown away: nothing is stopped in order.
    ///
    /// # Errors
    /// When there is no lab, or something of it cannot be removed.
    pub fn down(dir: &Path) -> Result<()> {
        let lab = Lab::open(dir)?;
        lab.remove()
    }

    pub(crate) fn remove(self) -> Result<()> {
        processes::kill(&self.place, self.place.dir())?;
        remove_shared_memory(&self.place);
        std::fs::remove_dir_all(self.place.dir()).with_context(|| self.place.dir().display().to_string())
    }
}

/// PostgreSQL keeps a small piece of System V shared memory, which stays when it is killed. Its number is in the seventh line of the file that it leaves as
/// well, and may have been given to somebody else since: only one that the same process made and nobody uses is removed.
fn remove_shared_memory(place: &Place) {
    let there = std::fs::read_to_string("/proc/sysvipc/shm").unwrap_or_default();
    for (site, short) in names::instances() {
        let file = place.cluster(site, &short).join("postmaster.pid");
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let mut lines = text.lines().map(str::trim);
        let (Some(maker), Some(id)) = (lines.next(), lines.nth(5).and_then(|line| line.split_whitespace().nth(1)))
        else {
            continue;
        };
        if is_left_over(&there, id, maker) {
            let _ = Command::new("ipcrm").args(["-m", id]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
    }
}

/// Whether a piece of shared memory, by the kernel's table, was made by that process and is used by none.
fn is_left_over(table: &str, id: &str, maker: &str) -> bool {
    table.lines().any(|line| {
        // key shmid perms size cpid lpid nattch ...
        let fields: Vec<&str> = line.split_whitespace().collect();
        matches!(fields[..], [_, shmid, _, _, cpid, _, nattch, ..] if shmid == id && cpid == maker && nattch == "0")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_same_process_made_and_nobody_uses_is_left_over() {
        let table = "       key      shmid perms                  size  cpid  lpid nattch   uid\n\
                     1297678       7   600                    56  4242  4250      0   106\n\
                     1297679       8   600                    56  4243  4251      3   106\n";
        assert!(is_left_over(table, "7", "4242"));
        assert!(!is_left_over(table, "7", "4243"), "another's");
        assert!(!is_left_over(table, "8", "4243"), "in use");
        assert!(!is_left_over(table, "9", "4242"));
    }
}
