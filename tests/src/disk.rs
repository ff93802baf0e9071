//! A small disk, to be filled.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system of its own, small; unmounted when dropped.
#[derive(Debug)]
pub struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    /// Mounts one at an empty directory, for all users. `None` where this process may not mount.
    pub fn mount(at: &Path, megabytes: u32) -> Option<Self> {
        let size = format!("size={megabytes}m,mode=755");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "holdfast-test"]).arg(at).output();
        mounted.is_ok_and(|m| m.status.success()).then(|| Self { at: at.to_owned() })
    }

    /// Takes all room that is left, as something else does in life.
    ///
    /// # Panics
    /// When the file that takes it cannot be made.
    pub fn fill(&self) {
        let path = self.filler();
        let opened = File::options().create(true).append(true).open(&path);
        let mut file = opened.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        // The last bytes too: what is left after large pieces is taken by small ones.
        for piece in [1 << 20, 4096] {
            while file.write_all(&vec![0; piece]).is_ok() {}
        }
    }

    /// Gives back what [`SmallDisk::fill`] took.
    ///
    /// # Panics
    /// When it took nothing.
    pub fn make_room(&self) {
        std::fs::remove_file(self.filler()).unwrap_or_else(|e| panic!("{}: {e}", self.at.display()));
    }

    fn filler(&self) -> PathBuf {
        self.at.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.at).status();
    }
}
