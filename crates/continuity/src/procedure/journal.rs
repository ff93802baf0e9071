//! The journal of one operation: numbered files that are written once, each bearing the digest of the one before it.
//!
//! `ops/<operation>/0001.json`, `0002.json` ... in the agent's directory. A record is on disk, with its name, before what it announces is done.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// What a record says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The operation was begun.
    Opened,
    /// A step is about to act.
    Intent,
    /// A step's outcome was observed.
    Done,
    /// A step did not come to its outcome.
    Failed,
    /// A person answered what was asked.
    Answered,
    /// A step was undone.
    Undone,
    /// The operation was given up; everything undone.
    Aborted,
    /// The operation is over.
    Closed,
}

/// One record.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Record {
    /// 1, 2, 3 ... within the operation.
    pub number: u32,
    /// The operation.
    pub operation: String,
    /// The step; empty for what concerns the operation as a whole.
    pub step: String,
    /// What the record says.
    pub phase: Phase,
    /// When.
    pub at: Timestamp,
    /// Who asked for it.
    pub by: String,
    /// The instance whose agent wrote it.
    pub instance: String,
    /// In words: what was observed, or why it failed.
    pub told: String,
    /// Milliseconds that the step took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ms: Option<u64>,
    /// What later steps build on.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub evidence: Value,
    /// SHA-256 of the record before, in hexadecimal digits.
    pub previous: String,
}

/// A journal that cannot be written or believed.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The disk refused.
    #[error("the journal {path} cannot be written or read: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It was changed, or a record lacks.
    #[error("the journal {path} cannot be believed: {why}")]
    Broken {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

/// The journal of one operation.
#[derive(Debug)]
pub struct Journal {
    dir: PathBuf,
    records: Vec<Record>,
    last_digest: String,
}

impl Journal {
    /// Begins the journal of a new operation in `dir`, which must not be there.
    ///
    /// # Errors
    /// [`JournalError::Io`]
    pub fn create(dir: &Path) -> Result<Journal, JournalError> {
        let io = |source| JournalError::Io { path: dir.to_owned(), source };
        if let Some(parent) = dir.parent() {
            fs::create_dir_all(parent).map_err(io)?;
        }
        fs::create_dir(dir).map_err(io)?;
        sync_dir(dir.parent().unwrap_or(dir)).map_err(io)?;
        Ok(Journal { dir: dir.to_owned(), records: Vec::new(), last_digest: String::new() })
    }

    /// Reads a journal and checks its chain. What a crash left half-written (a file without its final name) is none of it.
    ///
    /// # Errors
    /// [`JournalError`]
    pub fn load(dir: &Path) -> Result<Journal, JournalError> {
        let mut journal = Journal { dir: dir.to_owned(), records: Vec::new(), last_digest: String::new() };
        loop {
            let path = journal.path(journal.next());
            let bytes = match fs::read(&path) {
                Ok(bytes) => bytes,
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(journal),
                Err(source) => return Err(JournalError::Io { path, source }),
            };
            let broken = |why: String| JournalError::Broken { path: path.clone(), why };
            let record: Record = serde_json::from_slice(&bytes).map_err(|e| broken(e.to_string()))?;
            if record.number != journal.next() {
                return Err(broken(format!("it says that it is number {}", record.number)));
            }
            if record.previous != journal.last_digest {
                return Err(broken("the record before it was changed".to_owned()));
            }
            journal.last_digest = digest(&bytes);
            journal.records.push(record);
        }
    }

    /// All records.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The last record of a step.
    pub fn last_of(&self, step: &str) -> Option<&Record> {
        self.records.iter().rfind(|r| r.step == step)
    }

    /// What a step left for later ones when it was done last, if it has not been undone since.
    pub fn evidence_of(&self, step: &str) -> Option<&Value> {
        let last = self.records.iter().rfind(|r| r.step == step && matches!(r.phase, Phase::Done | Phase::Undone))?;
        (last.phase == Phase::Done).then_some(&last.evidence)
    }

    /// Adds a record: numbered, chained, on disk when this returns. Answers its file's name and bytes, so that they can be copied elsewhere.
    ///
    /// # Errors
    /// [`JournalError::Io`]; the record does not count then.
    pub fn write(&mut self, mut record: Record) -> Result<(String, Vec<u8>), JournalError> {
        record.number = self.next();
        record.previous.clone_from(&self.last_digest);
        let path = self.path(record.number);
        let io = |source| JournalError::Io { path: path.clone(), source };
        let bytes = serde_json::to_vec_pretty(&record).map_err(|e| io(io::Error::other(e)))?;
        let half = self.dir.join(".half-written");
        let mut file = File::create(&half).map_err(io)?;
        file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(io)?;
        fs::rename(&half, &path).map_err(io)?;
        sync_dir(&self.dir).map_err(io)?;
        self.last_digest = digest(&bytes);
        self.records.push(record);
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok((name, bytes))
    }

    fn next(&self) -> u32 {
        u32::try_from(self.records.len()).unwrap_or(u32::MAX).saturating_add(1)
    }

    fn path(&self, number: u32) -> PathBuf {
        self.dir.join(format!("{number:04}.json"))
    }
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(step: &str, phase: Phase) -> Record {
        Record {
            number: 0,
            operation: "op".into(),
            step: step.into(),
            phase,
            at: Timestamp::UNIX_EPOCH,
            by: "ana".into(),
            instance: "b1".into(),
            told: String::new(),
            ms: None,
            evidence: Value::from(7),
            previous: String::new(),
        }
    }

    #[test]
    fn it_reads_what_it_wrote_and_notices_a_change() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("ops/op");
        let mut journal = Journal::create(&dir).unwrap();
        for phase in [Phase::Opened, Phase::Intent, Phase::Done, Phase::Intent] {
            journal.write(record("copy", phase)).unwrap();
        }
        let read = Journal::load(&dir).unwrap();
        assert_eq!(read.records(), journal.records());
        assert_eq!(read.evidence_of("copy"), Some(&Value::from(7)));
        assert_eq!(read.last_of("copy").unwrap().phase, Phase::Intent);
        let path = dir.join("0002.json");
        let text = fs::read_to_string(&path).unwrap().replace("ana", "bob");
        fs::write(&path, text).unwrap();
        assert!(matches!(Journal::load(&dir), Err(JournalError::Broken { .. })));
    }

    #[test]
    fn what_was_undone_leaves_nothing_for_later_steps() {
        let home = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(&home.path().join("op")).unwrap();
        journal.write(record("copy", Phase::Done)).unwrap();
        journal.write(record("copy", Phase::Undone)).unwrap();
        assert_eq!(journal.evidence_of("copy"), None);
    }
}
