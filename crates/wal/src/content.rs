//! Whether the bytes of a file are what its manifest and its name say: size, SHA-256, header. Each finds what the others do not.

use crate::header::{Expected, Header};
use crate::lineage::Lineage;
use crate::lsn::Lsn;
use crate::manifest::{Manifest, sha256};
use crate::segment::{Segment, SegmentSize, SystemIdentifier};
use serde::{Deserialize, Serialize};
use std::io::Read as _;

/// What is wrong with a file of the log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// Neither bytes nor manifest.
    #[error("is missing")]
    Missing,
    /// Bytes that nobody vouches for, with later segments behind them.
    #[error("has no manifest: whoever shipped it did not finish")]
    NoManifest,
    /// A manifest whose bytes are gone.
    #[error("has a manifest and no data")]
    ManifestWithoutData,
    /// A manifest that cannot be read, or is of another file.
    #[error("has a manifest that is none: {why}")]
    ManifestUnreadable {
        /// Why.
        why: String,
    },
    /// No bytes at all.
    #[error("is empty")]
    Empty,
    /// Cut or changed where it lies.
    #[error("does not decompress: it was cut or changed where it lies")]
    DoesNotDecompress,
    /// Not the size that it was.
    #[error("has {found} bytes instead of {expected}")]
    WrongSize {
        /// In bytes.
        found: u64,
        /// In bytes.
        expected: u64,
    },
    /// Not the bytes that were shipped.
    #[error("has other content than its manifest says (SHA-256 differs)")]
    HashDiffers,
    /// A whole segment, but not this one.
    #[error("is not what its name says: {what}")]
    Header {
        /// What differs.
        what: String,
    },
    /// A whole segment of another cluster: this is the wrong share, or somebody has mixed two.
    #[error("is of cluster {found}, not of {expected}")]
    OtherCluster {
        /// What it says.
        found: SystemIdentifier,
        /// What it should say.
        expected: SystemIdentifier,
    },
    /// The segment before it is not the one that it was shipped after.
    #[error("was shipped after another segment than the one before it (SHA-256 differs): one of the two was exchanged")]
    PreviousDiffers,
    /// What `pg_waldump` says, which reads every record.
    #[error("has a record at {at} that cannot be read: {what}")]
    RecordChain {
        /// Where.
        at: Lsn,
        /// What PostgreSQL says.
        what: String,
    },
    /// A history file that tells something else than the lineage.
    #[error("tells another history than the lineage: {what}")]
    History {
        /// What differs.
        what: String,
    },
}

/// The history of a timeline whose number the pool passed over, because the other site might have taken it. PostgreSQL looks for timelines one by
/// one, and would never get past a number of which there is nothing.
pub const RESERVED: &[u8] = b"# reserved: no timeline of this pool has this number\n";

/// Compresses a file as it lies on a share. `zstd -d` reads it, and notices a changed bit.
///
/// # Errors
/// Only for want of memory.
pub fn pack(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut packer = zstd::bulk::Compressor::new(1)?;
    packer.include_checksum(true)?;
    packer.include_contentsize(true)?;
    packer.compress(bytes)
}

/// Decompresses a file that has at most `most` bytes.
///
/// # Errors
/// [`Fault::Empty`], [`Fault::DoesNotDecompress`], [`Fault::WrongSize`]
pub fn unpack(packed: &[u8], most: u64) -> Result<Vec<u8>, Fault> {
    if packed.is_empty() {
        return Err(Fault::Empty);
    }
    let decoder = zstd::stream::read::Decoder::new(packed).map_err(|_| Fault::DoesNotDecompress)?;
    let mut bytes = Vec::new();
    decoder.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(|_| Fault::DoesNotDecompress)?;
    let found = bytes.len() as u64;
    if found > most { Err(Fault::WrongSize { found, expected: most }) } else { Ok(bytes) }
}

/// Decompresses any file and checks it against its manifest.
///
/// # Errors
/// [`Fault`]
pub fn check_file(packed: &[u8], manifest: &Manifest) -> Result<Vec<u8>, Fault> {
    let bytes = unpack(packed, manifest.size)?;
    let found = bytes.len() as u64;
    if found != manifest.size {
        return Err(Fault::WrongSize { found, expected: manifest.size });
    }
    if sha256(&bytes) != manifest.sha256 {
        return Err(Fault::HashDiffers);
    }
    Ok(bytes)
}

/// What a segment must be, by the lineage.
#[derive(Clone, Copy, Debug)]
pub struct Of<'a> {
    /// The cluster.
    pub system: SystemIdentifier,
    /// The size of its segments.
    pub size: SegmentSize,
    /// The lineage.
    pub lineage: &'a Lineage,
}

impl Of<'_> {
    /// Reads and checks a manifest.
    ///
    /// # Errors
    /// [`Fault::ManifestUnreadable`]
    pub fn manifest(&self, bytes: &[u8], name: &str) -> Result<Manifest, Fault> {
        let none = |why: String| Fault::ManifestUnreadable { why };
        let manifest = Manifest::parse(bytes).map_err(none)?;
        if manifest.file != name {
            return Err(none(format!("it is of {}", manifest.file)));
        }
        if manifest.system_identifier != self.system {
            return Err(none(format!("it is of cluster {}, not of {}", manifest.system_identifier, self.system)));
        }
        Ok(manifest)
    }

    /// Decompresses a segment and checks it against its manifest, its name and the lineage.
    ///
    /// # Errors
    /// [`Fault`]
    pub fn segment(&self, packed: &[u8], manifest: &Manifest, segment: Segment) -> Result<Vec<u8>, Fault> {
        let most = self.size.bytes().max(manifest.size);
        let bytes = unpack(packed, most)?;
        // Whatever the manifest says: PostgreSQL passes over a segment that is short, without a word.
        let (found, expected) = (bytes.len() as u64, self.size.bytes());
        if found != expected {
            return Err(Fault::WrongSize { found, expected });
        }
        if sha256(&bytes) != manifest.sha256 {
            return Err(Fault::HashDiffers);
        }
        self.header(&bytes, segment)?;
        Ok(bytes)
    }

    /// Checks a segment's first page.
    ///
    /// # Errors
    /// [`Fault::Header`], [`Fault::OtherCluster`]
    pub fn header(&self, bytes: &[u8], segment: Segment) -> Result<(), Fault> {
        let expected = Expected {
            system: self.system,
            size: self.size,
            number: segment.number,
            timeline: self.lineage.owner_of_first_byte(segment.number, self.size),
        };
        let wrong = |what| Fault::Header { what };
        let header = Header::read(bytes).map_err(wrong)?;
        if header.system != self.system {
            return Err(Fault::OtherCluster { found: header.system, expected: self.system });
        }
        header.check(&expected).map_err(wrong)
    }

    /// Checks that a history file tells what the lineage tells.
    ///
    /// # Errors
    /// [`Fault::History`]
    pub fn history(&self, bytes: &[u8], timeline: u32) -> Result<(), Fault> {
        let path = self.lineage.path();
        let wrong = |what: String| Err(Fault::History { what });
        let Some(at) = path.iter().position(|o| o.timeline == timeline) else {
            return wrong(format!("timeline {timeline} is not the pool's"));
        };
        let Some(before) = at.checked_sub(1).and_then(|i| path.get(i)) else { return Ok(()) };
        let start = path.get(at).map(|o| o.start).unwrap_or_default();
        match branches(bytes).last() {
            Some((parent, fork)) if (*parent, *fork) == (before.timeline, start) => Ok(()),
            Some((parent, fork)) => wrong(format!(
                "it says that timeline {timeline} branches off timeline {parent} at {fork}, the lineage says off {} at {start}",
                before.timeline
            )),
            None => wrong("it names no timeline before it".into()),
        }
    }
}

/// The timelines before one, and where each was left, as its history file tells.
pub fn branches(history: &[u8]) -> Vec<(u32, Lsn)> {
    let text = String::from_utf8_lossy(history);
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let read = lines.filter_map(|line| {
        let mut words = line.split_whitespace();
        Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
    });
    read.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lineage::Opening;

    #[test]
    fn what_was_packed_is_unpacked_and_a_changed_or_cut_one_is_not() {
        let bytes: Vec<u8> = (0..100_000u32).flat_map(|n| (n / 3).to_le_bytes()).collect();
        let packed = pack(&bytes).unwrap();
        assert!(packed.len() < bytes.len());
        assert_eq!(unpack(&packed, bytes.len() as u64).unwrap(), bytes);
        for at in [0, 20, packed.len() / 2, packed.len() - 1] {
            let mut flipped = packed.clone();
            flipped[at] ^= 0x10;
            assert!(unpack(&flipped, bytes.len() as u64).is_err(), "{at}");
        }
        assert_eq!(unpack(&packed[..packed.len() - 5], u64::MAX - 1), Err(Fault::DoesNotDecompress));
        assert_eq!(unpack(&[], 10), Err(Fault::Empty));
        assert!(matches!(unpack(&packed, 100), Err(Fault::WrongSize { .. })));
    }

    #[test]
    fn a_history_is_held_against_the_lineage() {
        let opening = |epoch, timeline, start| Opening { epoch, holder: "x".into(), timeline, start: Lsn(start) };
        let lineage = Lineage::new(vec![], vec![opening(1, 1, 0), opening(2, 2, 0x300_0148)]);
        let of = Of { system: SystemIdentifier(1), size: SegmentSize::USUAL, lineage: &lineage };
        assert_eq!(of.history(b"1\t0/3000148\tno recovery target specified\n", 2), Ok(()));
        let other = of.history(b"# reserved\n1\t0/3000150\tno recovery target specified\n", 2).unwrap_err().to_string();
        assert!(other.contains("0/3000150") && other.contains("0/3000148"), "{other}");
        assert!(of.history(b"1\t0/3000148\tx\n", 3).is_err() && of.history(b"# reserved\n", 2).is_err());
    }
}
