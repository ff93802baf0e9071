//! Files that are whole whenever somebody reads them, also after a power cut.

use crate::error::{Result, file};
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Replaces a file's text at once, durably, for the owner alone.
pub(crate) fn replace(path: &Path, text: &str) -> Result<()> {
    let new = with_suffix(path, ".new");
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&new, path)
    };
    write().map_err(file("write", path))?;
    sync_parent(path)
}

/// As [`replace`], unless it says that already.
pub(crate) fn replace_if_other(path: &Path, text: &str) -> Result<bool> {
    if std::fs::read(path).is_ok_and(|now| now == text.as_bytes()) {
        return Ok(false);
    }
    replace(path, text).map(|()| true)
}

/// Renames, durably.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<()> {
    std::fs::rename(from, to).map_err(file("rename", from))?;
    sync_parent(from)?;
    sync_parent(to)
}

/// Makes a directory durable: what is in it, not the files' contents.
pub(crate) fn sync_dir(dir: &Path) -> Result<()> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(file("sync", dir))
}

pub(crate) fn sync_parent(path: &Path) -> Result<()> {
    path.parent().map_or(Ok(()), sync_dir)
}

/// A directory for the owner alone, with those above it.
pub(crate) fn private_dir(dir: &Path) -> Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(file("make", dir))?;
    std::fs::set_permissions(dir, Permissions::from_mode(0o700)).map_err(file("set the permissions of", dir))
}

/// The end of a file, at most this many bytes, from the position `from` on. Empty when there is none.
pub(crate) fn tail(path: &Path, from: u64, at_most: u64) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        // One that was begun anew is read from its beginning.
        let from = if from > length { 0 } else { from };
        file.seek(SeekFrom::Start(from.max(length.saturating_sub(at_most))))?;
        let mut bytes = Vec::new();
        file.take(at_most).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
}

pub(crate) fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |m| m.len())
}

pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_file_is_the_owners_and_says_the_new_text() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.conf");
        assert!(replace_if_other(&path, "one").unwrap());
        assert!(!replace_if_other(&path, "one").unwrap());
        assert!(replace_if_other(&path, "two").unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_tail_is_the_end_and_of_what_is_new() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        assert_eq!(tail(&path, 0, 10), "");
        std::fs::write(&path, "0123456789").unwrap();
        assert_eq!(tail(&path, 0, 4), "6789");
        assert_eq!(tail(&path, 8, 4), "89");
        assert_eq!(tail(&path, 80, 4), "6789");
    }
}
