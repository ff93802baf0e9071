//! The log in an instance's own `pg_wal`: what of it is not the pool's history, and what of it the share still lacks.

use crate::lineage::Lineage;
use crate::lsn::Lsn;
use crate::names::Pair;
use crate::segment::{Segment, SegmentSize, SystemIdentifier, WalFile};
use crate::share::{Share, ShareError};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The segments and partial segments in `pg_wal` that are not the pool's history, preallocated ones included. PostgreSQL replays whatever it finds there,
/// whatever `restore_command` refuses; so they have to be moved away before it starts.
///
/// # Errors
/// What the operating system said.
pub fn pgwal_off_lineage(pg_wal: &Path, lineage: &Lineage, size: SegmentSize) -> std::io::Result<Vec<PathBuf>> {
    let off = files(pg_wal, size)?.into_iter().filter(|(file, _)| match file {
        WalFile::Segment(_) => !lineage.has(*file, size),
        WalFile::Partial(_) => true,
        WalFile::History(_) | WalFile::Backup(..) => false,
    });
    Ok(off.map(|(_, path)| path).collect())
}

/// What a share lacks.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Lacking {
    /// What `pg_wal` has of it, in order: to be [shipped](crate::ship()).
    pub here: Vec<(String, PathBuf)>,
    /// The names of what it has not: a hole in the share that nobody here can fill.
    pub nowhere: Vec<String>,
}

/// The segments of the lineage before the one in which `fork` lies that a share lacks. Who is promoted has them marked as shipped, because it received
/// them by streaming, so that PostgreSQL will never ship them.
///
/// # Errors
/// [`LackingError`]
pub async fn missing_before(
    share: &Share,
    system: SystemIdentifier,
    size: SegmentSize,
    lineage: &Lineage,
    pg_wal: &Path,
    fork: Lsn,
) -> Result<Lacking, LackingError> {
    let folder = format!("{}/{system}", crate::names::WAL);
    let there: BTreeSet<String> = share.list(&folder).await?.into_iter().map(|l| l.name).collect();
    let whole = |segment: Segment| {
        let pair = Pair::of(system, WalFile::Segment(segment), size);
        there.contains(&pair.manifest()) && there.contains(&pair.data())
    };
    let before = size.number_of(fork);
    let here: BTreeSet<(u64, PathBuf)> = files(pg_wal, size)
        .map_err(|e| LackingError::Local { why: format!("{}: {e}", pg_wal.display()) })?
        .into_iter()
        .filter_map(|(file, path)| match file {
            WalFile::Segment(s) if s.number < before && lineage.has(file, size) => Some((s.number, path)),
            _ => None,
        })
        .collect();
    let shipped = there.iter().filter(|name| name.ends_with(".json")).filter_map(|name| {
        let name = name.rsplit('/').next()?.strip_suffix(".json")?;
        match WalFile::parse(name, size).ok()? {
            WalFile::Segment(s) if s.number < before && lineage.has(WalFile::Segment(s), size) => Some(s.number),
            _ => None,
        }
    });
    let Some(first) = shipped.min().or_else(|| here.first().map(|(number, _)| *number)) else {
        return Ok(Lacking::default());
    };
    let mut lacking = Lacking::default();
    for number in first..before {
        let Some(timeline) = lineage.owner(number, size) else { continue };
        let segment = Segment { timeline, number };
        if whole(segment) {
            continue;
        }
        match here.iter().find(|(n, _)| *n == number) {
            Some((_, path)) => lacking.here.push((segment.name(size), path.clone())),
            None => lacking.nowhere.push(segment.name(size)),
        }
    }
    Ok(lacking)
}

/// What a share lacks is not known.
#[derive(Debug, thiserror::Error)]
pub enum LackingError {
    /// The share.
    #[error(transparent)]
    Share(#[from] ShareError),
    /// `pg_wal`.
    #[error("{why}")]
    Local {
        /// A sentence.
        why: String,
    },
}

/// The files of the log in a folder, in the order of their names.
fn files(folder: &Path, size: SegmentSize) -> std::io::Result<Vec<(WalFile, PathBuf)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if let Ok(file) = WalFile::parse(&entry.file_name().to_string_lossy(), size) {
            found.push((file, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lineage::Opening;
    use bytes::Bytes;
    use std::time::Duration;

    fn lineage() -> Lineage {
        let opening = |epoch, timeline, start| Opening { epoch, holder: "x".into(), timeline, start: Lsn(start) };
        Lineage::new(vec![], vec![opening(1, 1, 0), opening(2, 2, (4 << 20) + 300)])
    }

    fn pg_wal(names: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("archive_status")).unwrap();
        for name in names {
            std::fs::write(dir.path().join(name), name).unwrap();
        }
        dir
    }

    fn names(paths: &[PathBuf]) -> Vec<String> {
        paths.iter().map(|p| p.file_name().unwrap().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn what_lies_past_the_fork_is_off_the_lineage_preallocated_or_not() {
        let dir = pg_wal(&[
            "000000010000000000000003",
            "000000010000000000000004",
            "000000010000000000000007",
            "000000010000000000000004.partial",
            "000000020000000000000004",
            "000000020000000000000005",
            "00000002.history",
            "notes",
        ]);
        let size = SegmentSize::try_from(1 << 20).unwrap();
        let off = pgwal_off_lineage(dir.path(), &lineage(), size).unwrap();
        let expected = ["000000010000000000000004", "000000010000000000000007", "000000010000000000000004.partial"];
        assert_eq!(names(&off), expected);
    }

    #[tokio::test]
    async fn what_the_dead_primary_had_not_shipped_is_found() {
        let dir = pg_wal(&["000000010000000000000002", "000000010000000000000003", "000000020000000000000004"]);
        let size = SegmentSize::try_from(1 << 20).unwrap();
        let system = SystemIdentifier(7);
        let on_share = tempfile::tempdir().unwrap();
        let share = Share::init(on_share.path().to_str().unwrap(), "p", "b", Duration::from_secs(20)).await.unwrap();
        for object in ["000000010000000000000000.json", "000000010000000000000000.zst", "000000010000000000000003.zst"]
        {
            share.put_once(&format!("wal/7/00000001/{object}"), Bytes::from_static(b"x")).await.unwrap();
        }
        let fork = Lsn((4 << 20) + 300);
        let lacking = missing_before(&share, system, size, &lineage(), dir.path(), fork).await.unwrap();
        let here: Vec<&str> = lacking.here.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(here, ["000000010000000000000002", "000000010000000000000003"]);
        assert_eq!(
            lacking.nowhere,
            ["000000010000000000000001"],
            "before the fork's own segment, which is shipped as usual"
        );
    }
}
