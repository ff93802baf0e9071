//! What the objects on a share are called. Plain names, so that a person finds everything with `ls` and reads it with `zstd -d` and `cat`.
//!
//! ```text
//! holdfast-share.json                                              whose share it is
//! lineage/000000000001.claim  lineage/000000000001.open            who may write, and which timeline he writes
//! wal/<system identifier>/<timeline>/<file>.zst  and  <file>.json  the log, and what is said of it
//! quarantine/<instance>/<system identifier>/<timeline>/...         what is not the pool's history, kept for looking at
//! ops/ACTIVE  ops/<operation>/0001.json                            a procedure that runs, and the journals of all
//! ```

use crate::segment::{SegmentSize, SystemIdentifier, WalFile};

/// The object that makes a folder a share.
pub const MARKER: &str = "holdfast-share.json";
/// The folder of claims and openings.
pub const LINEAGE: &str = "lineage";
/// The folder of the log.
pub const WAL: &str = "wal";
/// The folder of what is not the pool's history.
pub const QUARANTINE: &str = "quarantine";
/// While it is there, a procedure runs and nothing may be deleted.
pub const ACTIVE: &str = "ops/ACTIVE";

/// The name of an epoch's claim.
pub fn claim(epoch: u64) -> String {
    format!("{LINEAGE}/{epoch:012}.claim")
}

/// The name of an epoch's opening.
pub fn opening(epoch: u64) -> String {
    format!("{LINEAGE}/{epoch:012}.open")
}

/// The two objects of one file of the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pair {
    stem: String,
}

impl Pair {
    /// Where a file of the pool's history lies.
    pub fn of(system: SystemIdentifier, file: WalFile, size: SegmentSize) -> Pair {
        Pair { stem: format!("{WAL}/{system}/{:08X}/{}", file.timeline(), file.name(size)) }
    }

    /// Where one that is not lies.
    pub fn in_quarantine(instance: &str, system: SystemIdentifier, file: WalFile, size: SegmentSize) -> Pair {
        Pair { stem: format!("{QUARANTINE}/{instance}/{system}/{:08X}/{}", file.timeline(), file.name(size)) }
    }

    /// The same with something behind the name.
    pub fn with_suffix(&self, suffix: &str) -> Pair {
        Pair { stem: format!("{}-{suffix}", self.stem) }
    }

    /// The object with the bytes, compressed.
    pub fn data(&self) -> String {
        format!("{}.zst", self.stem)
    }

    /// The object that says what the bytes must be.
    pub fn manifest(&self) -> String {
        format!("{}.json", self.stem)
    }
}
