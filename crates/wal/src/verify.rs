//! Proof of what lies on a share, before anybody relies on it, and its copy into the folder that a failover applies it from.
//!
//! `pg_promote()` never says no: it ends where the log that it is given ends, and a missing, cut or changed file is an end like any other. So before
//! a promotion each segment of the way is read and checked, by itself ([`content`](crate::content)) and all of them together, record by record, by
//! `pg_waldump`. What is copied ends before the first fault, and the fault is named.

use crate::content::{self, Fault, Of};
use crate::durable;
use crate::header::Header;
use crate::inventory::{Foreign, Found, FoundHistory, Inventory, Start};
use crate::lsn::Lsn;
use crate::manifest::{Manifest, sha256};
use crate::names::Pair;
use crate::segment::{Segment, WalFile};
use crate::share::{Share, ShareError};
use crate::staged::{self, Staged, StagedFile};
use crate::waldump::{self, Chain};
use rustix::fs::statvfs;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// How far it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Progress {
    /// Segments done.
    pub files: u64,
    /// Of so many.
    pub of_files: u64,
    /// Bytes done, decompressed.
    pub bytes: u64,
    /// Of so many.
    pub of_bytes: u64,
}

/// Where the verified log ends.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Target {
    /// Where its last whole record begins. Applied is all of it when the replayed position is *behind* this one: the end of the last segment is no
    /// position to wait for, since a record may run over it.
    pub record: Lsn,
    /// The end of the last segment.
    pub end: Lsn,
    /// The timeline of the last segment.
    pub timeline: u32,
    /// The last segment.
    pub segment: String,
    /// How many entries the database counted when that was shipped: there are not more before the end, and there may be fewer.
    pub entries: Option<u64>,
    /// When that was.
    pub shipped_at: jiff::Timestamp,
    /// What lies before the end for certain.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub surely: Option<Surely>,
}

/// Entries that the log has for certain.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Surely {
    /// How many.
    pub entries: u64,
    /// When they were counted.
    pub at: jiff::Timestamp,
}

impl Surely {
    /// The most that a manifest speaks for: one whose count was taken when the database was not beyond the end.
    fn of<'a>(manifests: impl IntoIterator<Item = &'a Manifest>, end: Lsn) -> Option<Surely> {
        let counted = manifests.into_iter().filter(|m| m.counted_at.is_some_and(|at| at <= end));
        let counted = counted.filter_map(|m| Some(Surely { entries: m.entries?, at: m.shipped_at }));
        counted.max_by_key(|surely| surely.entries)
    }
}

/// A file, and what was found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Checked {
    /// Its name.
    pub file: String,
    /// What is wrong with it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fault: Option<Fault>,
    /// Whether it can be applied: it holds, and so does everything before it.
    pub usable: bool,
}

/// What was found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Report {
    /// The share.
    pub share: String,
    /// From where on.
    pub start: Start,
    /// The segments of the way, in order, and the history files that are needed on it.
    pub files: Vec<Checked>,
    /// The last object, which was on its way when its shipper stopped; it does not count.
    pub in_flight: Option<String>,
    /// What lies there and does not count.
    pub foreign: Vec<Foreign>,
    /// How far all holds; `None` if nothing usable lies beyond the start.
    pub target: Option<Target>,
}

impl Report {
    /// The files with a fault.
    pub fn faults(&self) -> impl Iterator<Item = (&str, &Fault)> {
        self.files.iter().filter_map(|f| Some((f.file.as_str(), f.fault.as_ref()?)))
    }

    /// Whether there is no fault: all that lies on the share can be applied.
    pub fn holds(&self) -> bool {
        self.faults().next().is_none()
    }

    /// How many segments can be applied.
    pub fn usable(&self) -> usize {
        self.files.iter().filter(|f| f.usable && !f.file.ends_with(".history")).count()
    }

    /// A line for each fault and each thing that does not count, then one for the end.
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.faults().map(|(file, fault)| format!("{file} {fault}")).collect();
        lines.extend(self.foreign.iter().map(|f| format!("{} does not count: {}", f.object, f.why)));
        lines.extend(
            self.in_flight.iter().map(|f| format!("{f} has no manifest yet: it was on its way, and does not count")),
        );
        lines.push(match &self.target {
            Some(t) => format!("verified: {} segments, to {}, last record at {}", self.usable(), t.end, t.record),
            None => format!("nothing that can be applied lies beyond {}", self.start.lsn),
        });
        lines
    }
}

/// Why nothing can be said.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The share.
    #[error(transparent)]
    Share(#[from] ShareError),
    /// There is no room for the copy.
    #[error("{} has room for {available} bytes and needs {needed}: make room there and do this again; what was copied is used again", folder.display())]
    Full {
        /// The folder.
        folder: PathBuf,
        /// In bytes.
        needed: u64,
        /// In bytes.
        available: u64,
    },
    /// The copy cannot be written.
    #[error("{}: {why}", path.display())]
    Folder {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The records cannot be read.
    #[error("the records cannot be checked: {why}")]
    Waldump {
        /// Why.
        why: String,
    },
}

/// Verifies, in a folder of its own below `scratch` that is gone afterwards. `bin` is the folder of PostgreSQL's programs; else they are looked for.
///
/// # Errors
/// [`VerifyError`]: nothing is known then. A fault is no error.
pub async fn verify(
    share: &Share,
    inventory: &Inventory,
    scratch: &Path,
    bin: Option<&Path>,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Report, VerifyError> {
    let folder = scratch.join(format!(".verify-{}", uuid::Uuid::new_v4()));
    let report = stage(share, inventory, &folder, bin, progress).await;
    let _ = std::fs::remove_dir_all(&folder);
    report
}

/// Verifies, and leaves in `folder` the files that can be applied, decompressed and synced, with a list of them. Done again, it takes what is there
/// already.
///
/// # Errors
/// [`VerifyError`]: there is no list then, and nothing is applied. A fault is no error; the copy ends before it.
pub async fn stage(
    share: &Share,
    inventory: &Inventory,
    folder: &Path,
    bin: Option<&Path>,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Report, VerifyError> {
    let of = Of { system: inventory.system, size: inventory.size, lineage: &inventory.lineage };
    let mut staging = Staging { share, inventory, of, folder, listed: Vec::new(), magic: None };
    staging.prepare()?;
    let broken_histories = staging.histories().await?;
    let mut segments = staging.segments(progress, &broken_histories).await?;
    let target = staging.chain(&mut segments, bin).await?;
    staging.finish(target.as_ref())?;
    let mut files: Vec<Checked> = segments.into_iter().map(|s| s.checked).collect();
    files.extend(broken_histories.into_iter().map(|(_, checked)| checked));
    Ok(Report {
        share: share.location().to_owned(),
        start: inventory.start,
        files,
        in_flight: inventory.in_flight.clone(),
        foreign: inventory.foreign.clone(),
        target,
    })
}

struct Staging<'a> {
    share: &'a Share,
    inventory: &'a Inventory,
    of: Of<'a>,
    folder: &'a Path,
    listed: Vec<StagedFile>,
    /// Of the first page, which says the version of PostgreSQL.
    magic: Option<u16>,
}

/// A segment on its way through the checks.
struct Examined {
    segment: Segment,
    checked: Checked,
    manifest: Option<Manifest>,
}

impl Staging<'_> {
    fn prepare(&self) -> Result<(), VerifyError> {
        std::fs::create_dir_all(self.folder).map_err(|e| self.failed(self.folder, &e))?;
        staged::forget(self.folder).map_err(|e| self.failed(self.folder, &e))?;
        let copied: u64 = self.inventory.segments.iter().map(|f| size_of(&self.folder.join(&f.name))).sum();
        let needed = self.inventory.room().saturating_sub(copied);
        let room = statvfs(self.folder).map_err(|e| self.failed(self.folder, &e.into()))?;
        let available = room.f_bavail.saturating_mul(room.f_frsize);
        if available < needed {
            return Err(VerifyError::Full { folder: self.folder.to_owned(), needed, available });
        }
        Ok(())
    }

    /// Copies the history files, and the words "reserved" for the numbers that the pool passed over: PostgreSQL looks for timelines one by one.
    /// Answers those that are wrong.
    async fn histories(&mut self) -> Result<Vec<(FoundHistory, Checked)>, VerifyError> {
        let mut broken = Vec::new();
        let mut before = self.inventory.start.timeline;
        for history in &self.inventory.histories {
            match self.history(history).await? {
                Ok(bytes) => {
                    for reserved in before.saturating_add(1)..history.timeline {
                        let name = WalFile::History(reserved).name(self.of.size);
                        self.keep(&name, content::RESERVED.to_vec()).await?;
                    }
                    before = history.timeline;
                    self.keep(&history.name, bytes).await?;
                }
                Err(fault) => {
                    let checked = Checked { file: history.name.clone(), fault: Some(fault), usable: false };
                    broken.push((history.clone(), checked));
                }
            }
        }
        Ok(broken)
    }

    async fn history(&self, history: &FoundHistory) -> Result<Result<Vec<u8>, Fault>, VerifyError> {
        let read = self.read(WalFile::History(history.timeline), history.data, history.manifest).await?;
        Ok(read.and_then(|(packed, manifest)| {
            let bytes = content::check_file(&packed, &manifest)?;
            self.of.history(&bytes, history.timeline)?;
            Ok(bytes)
        }))
    }

    async fn segments(
        &mut self,
        progress: &(dyn Fn(Progress) + Send + Sync),
        broken_histories: &[(FoundHistory, Checked)],
    ) -> Result<Vec<Examined>, VerifyError> {
        let size = self.of.size;
        // Without its history file, PostgreSQL never gets onto a timeline.
        let passable = broken_histories.iter().map(|(h, _)| size.number_of(h.fork)).min().unwrap_or(u64::MAX);
        let count = self.inventory.segments.len() as u64;
        let mut done = Progress { of_files: count, of_bytes: self.inventory.room(), ..Progress::default() };
        let (mut examined, mut whole, mut previous) = (Vec::new(), true, None);
        for found in &self.inventory.segments {
            progress(done);
            let mut one = Examined {
                segment: found.segment,
                checked: Checked { file: found.name.clone(), fault: None, usable: false },
                manifest: None,
            };
            match self.segment(found, previous.as_deref()).await? {
                Ok((bytes, manifest)) => {
                    previous = Some(manifest.sha256.clone());
                    one.checked.usable = whole && found.segment.number < passable;
                    one.manifest = Some(manifest);
                    if self.magic.is_none() {
                        self.magic = Header::read(&bytes).ok().map(|h| h.magic);
                    }
                    if one.checked.usable {
                        self.keep(&found.name, bytes).await?;
                    }
                }
                Err(fault) => {
                    previous = None;
                    whole = false;
                    one.checked.fault = Some(fault);
                }
            }
            examined.push(one);
            done.files += 1;
            done.bytes += size.bytes();
        }
        progress(done);
        Ok(examined)
    }

    async fn segment(
        &self,
        found: &Found,
        previous: Option<&str>,
    ) -> Result<Result<(Vec<u8>, Manifest), Fault>, VerifyError> {
        let file = WalFile::Segment(found.segment);
        let read = self.read(file, found.data.is_some(), found.manifest).await?;
        Ok(read.and_then(|(packed, manifest)| {
            let bytes = self.of.segment(&packed, &manifest, found.segment)?;
            match (&manifest.previous_sha256, previous) {
                (Some(said), Some(is)) if said != is => Err(Fault::PreviousDiffers),
                _ => Ok((bytes, manifest)),
            }
        }))
    }

    /// Both objects of a file. The listing may be a moment old: what is gone since is missing.
    async fn read(
        &self,
        file: WalFile,
        data: bool,
        manifest: bool,
    ) -> Result<Result<(bytes::Bytes, Manifest), Fault>, VerifyError> {
        let pair = Pair::of(self.of.system, file, self.of.size);
        let vouched = if manifest { self.share.get(&pair.manifest()).await? } else { None };
        let packed = if data { self.share.get(&pair.data()).await? } else { None };
        let (vouched, packed) = match (vouched, packed) {
            (None, None) => return Ok(Err(Fault::Missing)),
            (None, Some(_)) => return Ok(Err(Fault::NoManifest)),
            (Some(_), None) => return Ok(Err(Fault::ManifestWithoutData)),
            (Some(vouched), Some(packed)) => (vouched, packed),
        };
        let manifest = self.of.manifest(&vouched, &file.name(self.of.size));
        Ok(manifest.map(|manifest| (packed, manifest)))
    }

    /// Writes a file into the folder, unless it is there from before.
    async fn keep(&mut self, name: &str, bytes: Vec<u8>) -> Result<(), VerifyError> {
        let listed = StagedFile { name: name.to_owned(), size: bytes.len() as u64, sha256: sha256(&bytes) };
        let path = self.folder.join(name);
        let to = path.clone();
        let writing = tokio::task::spawn_blocking(move || {
            if std::fs::read(&to).is_ok_and(|there| there == bytes) { Ok(()) } else { durable::write(&to, &bytes) }
        });
        let written = writing.await.map_err(|e| self.failed(&path, &std::io::Error::other(e)))?;
        written.map_err(|e| self.failed(&path, &e))?;
        self.listed.push(listed);
        Ok(())
    }

    /// Reads all records of what holds so far, and finds the last whole one.
    async fn chain(&mut self, segments: &mut [Examined], bin: Option<&Path>) -> Result<Option<Target>, VerifyError> {
        let waldump = |why: String| VerifyError::Waldump { why };
        let usable = segments.iter().take_while(|s| s.checked.usable).count();
        let Some(last) = usable.checked_sub(1) else { return Ok(None) };
        let (first_number, timeline) = (segments[0].segment.number, segments[last].segment.timeline);
        let program = waldump::find(bin, self.magic.unwrap_or_default()).map_err(waldump)?;
        // `pg_waldump` knows one timeline: in the view, all segments bear the name of the last one's.
        let view = View::new(self.folder).map_err(|e| self.failed(self.folder, &e))?;
        let chain = Chain { program: &program, folder: &view.0, timeline, size: self.of.size };
        for one in &segments[..usable] {
            let link = view.0.join(chain.name(one.segment.number));
            let target = Path::new("..").join(&one.checked.file);
            std::os::unix::fs::symlink(target, &link).map_err(|e| self.failed(&link, &e))?;
        }
        let mut end = last;
        // From the first segment's beginning on, so that there is a record even when the start is the last one's.
        let read = chain.read(first_number, segments[last].segment.number).await.map_err(waldump)?;
        if let Err(broken) = read {
            let number = self.of.size.number_of(broken.at).max(first_number);
            let at = segments[..usable].iter().position(|s| s.segment.number >= number).unwrap_or(last);
            segments[at].checked.fault = Some(Fault::RecordChain { at: broken.at, what: broken.what });
            for one in &mut segments[at..] {
                one.checked.usable = false;
                self.listed.retain(|listed| listed.name != one.checked.file);
                let _ = std::fs::remove_file(self.folder.join(&one.checked.file));
                // `pg_waldump` takes any name in the folder for a file that it can open.
                let _ = std::fs::remove_file(view.0.join(chain.name(one.segment.number)));
            }
            let Some(before) = at.checked_sub(1) else { return Ok(None) };
            end = before;
        }
        let last = &segments[end];
        let record = chain.last_record(first_number, last.segment.number).await.map_err(waldump)?;
        let (Some(record), Some(manifest)) = (record, &last.manifest) else { return Ok(None) };
        if record < self.inventory.start.lsn {
            return Ok(None);
        }
        let target_end = self.of.size.end_of(last.segment.number);
        Ok(Some(Target {
            record,
            end: target_end,
            timeline: last.segment.timeline,
            segment: last.checked.file.clone(),
            entries: manifest.entries,
            shipped_at: manifest.shipped_at,
            surely: Surely::of(segments[..=end].iter().filter_map(|s| s.manifest.as_ref()), target_end),
        }))
    }

    /// Removes what an earlier attempt left and this one did not want, and writes the list.
    fn finish(&self, target: Option<&Target>) -> Result<(), VerifyError> {
        let wanted: BTreeSet<&str> = self.listed.iter().map(|f| f.name.as_str()).collect();
        for entry in std::fs::read_dir(self.folder).map_err(|e| self.failed(self.folder, &e))?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if WalFile::parse(&name, self.of.size).is_ok() && !wanted.contains(name.as_str()) {
                std::fs::remove_file(entry.path()).map_err(|e| self.failed(&entry.path(), &e))?;
            }
        }
        let staged = Staged {
            system_identifier: self.of.system,
            share: self.share.location().to_owned(),
            verified_at: jiff::Timestamp::now(),
            target: target.cloned(),
            files: self.listed.clone(),
        };
        staged.save(self.folder).map_err(|e| self.failed(self.folder, &e))
    }

    fn failed(&self, path: &Path, error: &std::io::Error) -> VerifyError {
        if error.kind() == std::io::ErrorKind::StorageFull {
            let available = statvfs(self.folder).map_or(0, |room| room.f_bavail.saturating_mul(room.f_frsize));
            return VerifyError::Full { folder: self.folder.to_owned(), needed: self.inventory.room(), available };
        }
        VerifyError::Folder { path: path.to_owned(), why: error.to_string() }
    }
}

/// A folder of links, gone when dropped.
struct View(PathBuf);

impl View {
    fn new(below: &Path) -> std::io::Result<View> {
        let folder = below.join(format!(".view-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&folder)?;
        Ok(View(folder))
    }
}

impl Drop for View {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn size_of(path: &Path) -> u64 {
    path.metadata().map_or(0, |m| m.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(entries: Option<u64>, counted_at: Option<u64>) -> Manifest {
        Manifest {
            file: "000000010000000000000003".into(),
            size: 1 << 20,
            sha256: String::new(),
            system_identifier: crate::SystemIdentifier(7),
            epoch: 1,
            node: "a1".into(),
            timeline: 1,
            start: None,
            end: None,
            previous_sha256: None,
            shipped_at: jiff::Timestamp::UNIX_EPOCH,
            entries,
            counted_at: counted_at.map(Lsn),
        }
    }

    #[test]
    fn only_what_was_counted_before_the_end_is_there_for_certain() {
        let surely = |all: &[Manifest]| Surely::of(all, Lsn(500)).map(|s| s.entries);
        assert_eq!(surely(&[]), None);
        // The last one is always counted behind its end.
        let steady = [manifest(Some(10), Some(210)), manifest(Some(20), Some(330)), manifest(Some(30), Some(520))];
        assert_eq!(surely(&steady), Some(20));
        // Shipping was far behind: whatever was counted may lie in what was not shipped.
        assert_eq!(surely(&[manifest(Some(90), Some(9_000)), manifest(Some(91), Some(9_100))]), None);
        // Of a primary that could not be asked, or of one that noted no position.
        assert_eq!(
            surely(&[manifest(None, Some(100)), manifest(Some(20), None), manifest(Some(5), Some(500))]),
            Some(5)
        );
    }
}
