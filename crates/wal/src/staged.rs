//! A copy folder: what a failover has copied from the share and verified, and the list that says so.
//!
//! While a site fails over, PostgreSQL is given files from there and from nowhere else. The list is written last and whole: without it nothing is
//! given, and a file that is not as it says ends the recovery.

use crate::durable;
use crate::segment::SystemIdentifier;
use crate::verify::Target;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The name of the list.
pub const LIST: &str = "staged.json";

/// What lies in a copy folder.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Staged {
    /// The cluster.
    pub system_identifier: SystemIdentifier,
    /// From which share.
    pub share: String,
    /// When it was verified.
    pub verified_at: jiff::Timestamp,
    /// How far it leads; `None` if there is nothing beyond what was replayed before.
    pub target: Option<Target>,
    /// The files.
    pub files: Vec<StagedFile>,
}

/// A file in a copy folder.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StagedFile {
    /// Its name.
    pub name: String,
    /// Its size.
    pub size: u64,
    /// SHA-256 of its bytes.
    pub sha256: String,
}

impl Staged {
    /// Reads the list of a folder; `None` if there is none.
    ///
    /// # Errors
    /// Why it cannot be read, as a sentence.
    pub fn load(folder: &Path) -> Result<Option<Staged>, String> {
        let path = folder.join(LIST);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(format!("{}: {e}", path.display())),
        };
        serde_json::from_slice(&text).map(Some).map_err(|e| format!("{}: {e}", path.display()))
    }

    pub(crate) fn save(&self, folder: &Path) -> std::io::Result<()> {
        let text = serde_json::to_vec_pretty(self).map_err(std::io::Error::other)?;
        durable::write(&folder.join(LIST), &text)
    }

    /// The entry of a file.
    pub fn file(&self, name: &str) -> Option<&StagedFile> {
        self.files.iter().find(|f| f.name == name)
    }
}

/// Takes the list away: nothing is given from the folder from then on.
///
/// # Errors
/// What the operating system said.
pub fn forget(folder: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(folder.join(LIST)) {
        Ok(()) => durable::sync_folder_of(&folder.join(LIST)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
    }
}
