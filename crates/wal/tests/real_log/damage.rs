//! Each way in which the log on a share can be wrong is found and named, by file and reason; what comes before it can be applied.

use crate::ground::{Ground, Instance, copy_tree, inventory, open, size, staged};
use holdfast_wal::content::{Fault, pack, unpack};
use holdfast_wal::manifest::{Manifest, sha256};
use holdfast_wal::{Lsn, Start};
use std::path::{Path, PathBuf};

/// The objects of one segment on a copy of the share.
struct Victim {
    data: PathBuf,
    manifest: PathBuf,
}

impl Victim {
    fn bytes(&self) -> Vec<u8> {
        unpack(&std::fs::read(&self.data).unwrap(), 1 << 30).unwrap()
    }

    /// Another content, with a manifest that vouches for it: as if it had been damaged before it was hashed.
    fn vouch_for(&self, bytes: &[u8]) {
        let mut manifest = Manifest::parse(&std::fs::read(&self.manifest).unwrap()).unwrap();
        manifest.size = bytes.len() as u64;
        manifest.sha256 = sha256(bytes);
        std::fs::write(&self.data, pack(bytes).unwrap()).unwrap();
        std::fs::write(&self.manifest, manifest.to_bytes()).unwrap();
    }

    fn change(&self, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = self.bytes();
        change(&mut bytes);
        self.vouch_for(&bytes);
    }
}

type Harm = fn(&Victim, &Victim);
type Is = fn(&Fault) -> bool;

const DAMAGES: [(&str, Harm, Is); 14] = [
    ("f28: a bit flipped where it lies", |v, _| flip(&v.data), |f| *f == Fault::DoesNotDecompress),
    ("f29: cut where it lies", |v, _| cut(&v.data, 2), |f| *f == Fault::DoesNotDecompress),
    (
        "f28: a bit flipped before it was hashed: only the records tell",
        |v, _| v.change(|bytes| bytes[400_000] ^= 4),
        |f| matches!(f, Fault::RecordChain { .. }),
    ),
    (
        "f29: cut before it was hashed: only the size tells",
        |v, _| v.change(|bytes| bytes.truncate(600_000)),
        |f| *f == Fault::WrongSize { found: 600_000, expected: 1 << 20 },
    ),
    ("f31: missing", |v, _| remove(&[&v.data, &v.manifest]), |f| *f == Fault::Missing),
    ("f30: a manifest without data", |v, _| remove(&[&v.data]), |f| *f == Fault::ManifestWithoutData),
    ("f29: empty", |v, _| std::fs::write(&v.data, "").unwrap(), |f| *f == Fault::Empty),
    ("f30: data without a manifest, and more behind it", |v, _| remove(&[&v.manifest]), |f| *f == Fault::NoManifest),
    (
        "f29: half of it zeros before it was hashed: only the records tell",
        |v, _| v.change(|bytes| bytes[500_000..].fill(0)),
        |f| matches!(f, Fault::RecordChain { .. }),
    ),
    (
        "another segment's content: only the header tells",
        |v, next| v.vouch_for(&next.bytes()),
        |f| matches!(f, Fault::Header { what } if what.contains("its name says")),
    ),
    (
        "the right place on another timeline: only the header tells",
        |v, _| v.change(|bytes| bytes[4] = 9),
        |f| matches!(f, Fault::Header { what } if what.contains("timeline 9")),
    ),
    (
        "f33: of another cluster: only the header tells",
        |v, _| v.change(|bytes| bytes[24] ^= 1),
        |f| matches!(f, Fault::OtherCluster { .. }),
    ),
    (
        "other bytes than its manifest says",
        |v, next| std::fs::copy(&next.data, &v.data).map(drop).unwrap(),
        |f| *f == Fault::HashDiffers,
    ),
    (
        "a manifest that is none",
        |v, _| std::fs::write(&v.manifest, "{}").unwrap(),
        |f| matches!(f, Fault::ManifestUnreadable { .. }),
    ),
];

fn flip(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    std::fs::write(path, bytes).unwrap();
}

fn cut(path: &Path, by: usize) {
    let bytes = std::fs::read(path).unwrap();
    std::fs::write(path, &bytes[..bytes.len() / by]).unwrap();
}

fn remove(paths: &[&PathBuf]) {
    for path in paths {
        std::fs::remove_file(path).unwrap();
    }
}

/// F28 to F31 and F33: the damages of one run of the whole chain, each named with file and reason.
#[tokio::test]
async fn f28_f29_f30_f31_f33_every_damage_is_named_with_file_and_reason() {
    let ground = Ground::new().await;
    let primary = Instance::first(&ground, &[]).await;
    for _ in 0..3 {
        primary.write();
    }
    let names = primary.ship_all().await;
    let full = primary.full();
    assert!(names.len() >= 5, "{names:?}");
    let start = Start { lsn: size().start_of(full[0].0.number), timeline: 1 };
    let dir = ground.dir.path();

    let good = staged(&ground.share().await, &primary, start, &dir.join("good")).await;
    assert!(good.holds(), "{:?}", good.lines());
    let target = good.target.clone().unwrap();
    let last = full.last().unwrap();
    assert_eq!((target.end, target.timeline, &target.segment), (size().end_of(last.0.number), 1, &last.1));
    assert!(target.record < target.end && size().number_of(target.record) >= last.0.number - 1);
    assert_eq!(target.entries, Some(4_500));
    assert_eq!(good.usable(), names.len());
    for name in &names {
        assert_eq!(
            std::fs::read(dir.join("good").join(name)).unwrap(),
            std::fs::read(primary.pg_wal.join(name)).unwrap()
        );
    }

    // In the middle of something, not in the emptiness behind the end of a segment that was ended early.
    let middle = 2;
    for (i, (what, harm, is)) in DAMAGES.iter().enumerate() {
        let share = dir.join(format!("damaged-{i}"));
        copy_tree(&ground.bos, &share);
        let of = |name: &str| Victim {
            data: primary.object_on(&share, name, "zst"),
            manifest: primary.object_on(&share, name, "json"),
        };
        harm(&of(&names[middle]), &of(&names[middle + 1]));
        let into = dir.join(format!("copy-{i}"));
        let report = staged(&open(&share).await, &primary, start, &into).await;
        let found = report.faults().find(|(file, _)| *file == names[middle]);
        let (_, fault) = found.unwrap_or_else(|| panic!("{what}: nothing was found: {:?}", report.lines()));
        assert!(is(fault), "{what}: {fault:?}");
        assert!(report.lines().iter().any(|line| line.contains(&names[middle]) && line.contains(&fault.to_string())));
        // Applied may be what lies before it, and nothing else.
        assert_eq!(report.usable(), middle, "{what}: {:?}", report.lines());
        let there = |name: &String| into.join(name).exists();
        assert!(names[..middle].iter().all(there) && !names[middle..].iter().any(there), "{what}");
        assert_eq!(report.target.map(|t| t.segment).as_ref(), Some(&names[middle - 1]), "{what}");
    }
}

/// F30: what was on its way when its shipper died does not count, and is no fault; but only as the very last.
#[tokio::test]
async fn f30_the_last_object_without_a_manifest_was_on_its_way() {
    let ground = Ground::new().await;
    let primary = Instance::first(&ground, &[]).await;
    primary.write();
    primary.write();
    let names = primary.ship_all().await;
    let start = Start { lsn: Lsn(0), timeline: 1 };
    let first = size().start_of(primary.full()[0].0.number);
    let start = Start { lsn: first, ..start };
    let last = names.last().unwrap();
    std::fs::remove_file(primary.object(&ground, last, "json")).unwrap();
    let share = ground.share().await;
    let inventory = inventory(&share, &primary, start).await;
    let report = holdfast_wal::verify(&share, &inventory, ground.dir.path(), None, &|_| {}).await.unwrap();
    assert!(report.holds() && report.in_flight.as_ref() == Some(last), "{:?}", report.lines());
    assert_eq!(report.usable(), names.len() - 1);
    let left = std::fs::read_dir(ground.dir.path()).unwrap();
    assert!(!left.flatten().any(|e| e.file_name().to_string_lossy().starts_with(".verify")), "it leaves nothing");
    // Its data has no manifest: shipping it again completes it.
    primary.ship(last).await.unwrap();
    assert!(staged(&share, &primary, start, &ground.dir.path().join("copy")).await.in_flight.is_none());
}

/// A standby that has applied everything waits in the middle of a record that runs over the end of the last segment. That is no fault, and nothing
/// to apply.
#[tokio::test]
async fn nothing_new_is_nothing_and_no_fault() {
    let ground = Ground::new().await;
    let primary = Instance::first(&ground, &[]).await;
    primary.write();
    primary.ship_all().await;
    let share = ground.share().await;
    let at = Start { lsn: size().start_of(primary.full()[0].0.number), timeline: 1 };
    let target = staged(&share, &primary, at, &ground.dir.path().join("copy")).await.target.unwrap();
    for lsn in [Lsn(target.record.0 + 8), target.end, Lsn(target.end.0 + 999)] {
        let report = staged(&share, &primary, Start { lsn, timeline: 1 }, &ground.dir.path().join("copy")).await;
        assert!(report.holds() && report.target.is_none(), "{lsn}: {:?}", report.lines());
    }
}
