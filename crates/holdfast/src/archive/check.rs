//! Verifying an archive whole, before a byte of it is taken in: every chain to its end, every file against its digest.

use super::direct::DirectLine;
use super::entry::{EntryLine, Files};
use super::manifest::Manifest;
use super::read::Reader;
use crate::progress::Progress;
use anyhow::Result;
use holdfast_domain::Time;
use holdfast_domain::chain::{Digest, Verifier};
use holdfast_domain::entry::FileRef;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// Faults that are reported one by one.
const REPORTED: usize = 1_000;

/// What is in an archive, and what of it does not hold.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Checked {
    /// Logs.
    pub(crate) logs: usize,
    /// Entries of them.
    pub(crate) entries: u64,
    /// Files.
    pub(crate) files: u64,
    /// Accounts.
    pub(crate) accounts: u64,
    /// Messages from one to another.
    pub(crate) direct: u64,
    /// What does not hold: one sentence each.
    pub(crate) faults: Vec<String>,
}

/// Verifies the archive.
///
/// # Errors
/// When it cannot be read at all; what does not hold is in the answer.
pub(crate) fn check(reader: &mut Reader, manifest: &Manifest, quiet: bool) -> Result<Checked> {
    let mut checked = Checked { logs: manifest.logs.len(), accounts: manifest.accounts, ..Checked::default() };
    let total = manifest.logs.iter().map(|l| u64::try_from(l.seq.0).unwrap_or(0)).sum();
    let mut progress = Progress::new("entries verified", total, quiet);
    let mut files = Vec::new();
    let mut named = Files::default();
    for log in &manifest.logs {
        let part = format!("logs/{}.jsonl", log.room);
        let mut verifier = Verifier::new(log.room);
        let mut faults = Vec::new();
        reader.lines(&part, |_, line: EntryLine| {
            let seq = line.seq();
            match line.stored() {
                Ok(stored) => {
                    faults.extend(
                        verifier.check(&stored).into_iter().map(|f| format!("{part}: entry {}: {}", f.seq, f.what)),
                    );
                    let whose = || format!("entry {seq} of room {}", log.room);
                    files.extend(named.named_by(&stored).into_iter().map(|f| (f, whose())));
                }
                Err(what) => faults.push(format!("{part}: {what}")),
            }
            checked.entries += 1;
            progress.set(checked.entries);
            Ok(())
        })?;
        faults.extend(
            verifier.finish(log.seq, log.hash).into_iter().map(|f| format!("{part}: entry {}: {}", f.seq, f.what)),
        );
        checked.add(faults);
    }
    progress.finish();

    files.extend(check_direct(reader, manifest, &mut checked)?);

    let mut progress = Progress::new("files verified", files.len() as u64, quiet);
    let mut missing = 0;
    for (file, whose) in &files {
        let part = format!("files/{}", file.id);
        let mut hasher = Sha256::new();
        let there = reader.bytes(&part, 1 << 20, |piece| {
            hasher.update(piece);
            Ok(())
        })?;
        if !there {
            missing += 1;
        } else if Digest(hasher.finalize().into()) != file.sha256 {
            checked.add(vec![format!("{part}: is not the file that {whose} names: its digest differs")]);
        } else {
            checked.files += 1;
        }
        progress.add(1);
    }
    progress.finish();
    if missing != manifest.files_missing {
        checked.add(vec![format!(
            "{missing} files that messages name are not in it; {} were missing when it was made",
            manifest.files_missing
        )]);
    }
    Ok(checked)
}

/// Verifies that one-to-one messages follow on each other and that all are there. Answers the files that they name, and which message names each.
fn check_direct(reader: &mut Reader, manifest: &Manifest, checked: &mut Checked) -> Result<Vec<(FileRef, String)>> {
    let mut last = (0, Time::from_millis(i64::MIN));
    let (mut files, mut faults) = (Vec::new(), Vec::new());
    reader.lines("direct.jsonl", |number, line: DirectLine| {
        if line.id <= last.0 || line.at < last.1 {
            faults.push(format!("direct.jsonl: line {number}: message {} does not follow on {}", line.id, last.0));
        }
        last = (line.id, line.at);
        files.extend(line.files.into_iter().map(|f| (f, format!("one-to-one message {}", line.id))));
        checked.direct += 1;
        Ok(())
    })?;
    checked.add(faults);
    if checked.direct != manifest.direct {
        checked.add(vec![format!(
            "{} one-to-one messages are in it; there were {} when it was made",
            checked.direct, manifest.direct
        )]);
    }
    Ok(files)
}

impl Checked {
    fn add(&mut self, faults: Vec<String>) {
        let room = REPORTED.saturating_sub(self.faults.len());
        self.faults.extend(faults.into_iter().take(room));
    }
}
