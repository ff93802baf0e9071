//! What is said of a file on a share, in an object beside it. Written after the bytes: bytes without it do not count.

use crate::lsn::Lsn;
use crate::segment::SystemIdentifier;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// What a file was when it was shipped.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// Its name, as PostgreSQL gave it.
    pub file: String,
    /// Its size before compression.
    pub size: u64,
    /// SHA-256 of its bytes before compression, 64 hexadecimal digits. `zstd -dc FILE.zst | sha256sum` prints the same.
    pub sha256: String,
    /// The cluster.
    pub system_identifier: SystemIdentifier,
    /// The epoch in which it was shipped.
    pub epoch: u64,
    /// The instance that shipped it.
    pub node: String,
    /// The timeline in its name.
    pub timeline: u32,
    /// A segment's first position.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub start: Option<Lsn>,
    /// The first position behind it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub end: Option<Lsn>,
    /// SHA-256 of the segment before it on the lineage, if that was there: a segment exchanged later shows.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub previous_sha256: Option<String>,
    /// When it was shipped, for people.
    pub shipped_at: jiff::Timestamp,
    /// How many entries the database counted then. The last of them may be in later segments.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub entries: Option<u64>,
    /// A position before which all of them lie: log up to there has them for certain.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub counted_at: Option<Lsn>,
}

impl Manifest {
    /// Reads one.
    ///
    /// # Errors
    /// Why it is none.
    pub fn parse(bytes: &[u8]) -> Result<Manifest, String> {
        serde_json::from_slice(bytes).map_err(|e| e.to_string())
    }

    /// As it lies on a share: one line.
    pub fn to_bytes(&self) -> Vec<u8> {
        // A struct of texts and numbers can always be written.
        let mut text = serde_json::to_vec(self).unwrap_or_default();
        text.push(b'\n');
        text
    }
}

/// SHA-256 as 64 hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}
