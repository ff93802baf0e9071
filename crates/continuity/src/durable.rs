//! Small files of JSON that are on disk, whole, when a write returns.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

/// Reads one; `None` if there is none.
///
/// # Errors
/// It is there and cannot be read or understood: nothing is assumed in its place.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {e}", path.display()))),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(io::Error::new(e.kind(), format!("{}: {e}", path.display()))),
    }
}

/// Replaces one.
///
/// # Errors
/// The disk refused; the old one is still there.
pub(crate) fn write(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let said = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", path.display()));
    let bytes = serde_json::to_vec_pretty(value).map_err(io::Error::other)?;
    let half = path.with_extension("half-written");
    let mut file = File::create(&half).map_err(said)?;
    file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(said)?;
    fs::rename(&half, path).map_err(said)?;
    let dir = path.parent().unwrap_or(path);
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(said)
}
