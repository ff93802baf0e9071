//! Files that are whole or not there.

use crate::error::{PkiError, Result, odd};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Who may read a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Readers {
    /// Its owner.
    Owner,
    /// Whoever reaches it.
    Everybody,
}

/// Enough for any certificate or key of ours.
const MOST_BYTES: u64 = 1 << 20;

/// Reads a small file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    let failed = |source| PkiError::File { doing: "read", path: path.to_owned(), source };
    let bytes = std::fs::metadata(path).map_err(failed)?.len();
    if bytes > MOST_BYTES {
        return Err(odd(path, "it is far too large"));
    }
    std::fs::read(path).map_err(failed)
}

/// Refuses a key that others than its owner may read, by PostgreSQL's rule: if it is root's, a group may.
pub(crate) fn refuse_shared(path: &Path) -> Result<()> {
    let there =
        std::fs::metadata(path).map_err(|source| PkiError::File { doing: "read", path: path.to_owned(), source })?;
    let forbidden = if there.uid() == 0 { 0o037 } else { 0o077 };
    if there.mode() & forbidden == 0 {
        return Ok(());
    }
    Err(odd(path, format!("others may read it (mode {:03o}); `chmod 600` it", there.mode() & 0o777)))
}

/// Makes a directory, for its owner alone, if it is not there.
pub(crate) fn make_dir(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| PkiError::File { doing: "made", path: path.to_owned(), source })
}

/// Puts a file in place at once, on disk before this returns.
pub(crate) fn write(path: &Path, readers: Readers, text: &str) -> Result<()> {
    let failed = |source| PkiError::File { doing: "written", path: path.to_owned(), source };
    put(path, readers, text.as_bytes()).map_err(failed)
}

fn put(path: &Path, readers: Readers, bytes: &[u8]) -> io::Result<()> {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else { return Err(io::ErrorKind::NotFound.into()) };
    let new = dir.join(format!(".{}.new", name.to_string_lossy()));
    // Left by one that was killed, perhaps with other rights.
    match std::fs::remove_file(&new) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mode = if readers == Readers::Owner { 0o600 } else { 0o644 };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    File::open(dir)?.sync_all()
}
