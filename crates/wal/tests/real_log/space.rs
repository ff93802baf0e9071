//! No room for the copy.

use crate::ground::{Ground, Instance, inventory, size};
use holdfast_wal::Start;
use holdfast_wal::staged::Staged;
use holdfast_wal::verify::VerifyError;
use std::path::Path;
use std::process::Command;

/// A small file system in memory, gone when dropped; only root can make one.
struct Small(std::path::PathBuf);

impl Small {
    fn new(at: &Path, bytes: u64) -> Option<Small> {
        std::fs::create_dir(at).unwrap();
        let options = format!("size={bytes}");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(at).output();
        mount.is_ok_and(|m| m.status.success()).then(|| Small(at.to_owned()))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

/// F37, in the copy folder: it stops before anything is decided, says how much room is wanted, and goes on where it was.
#[tokio::test]
async fn f37_a_full_copy_folder_stops_and_goes_on() {
    let ground = Ground::new().await;
    let primary = Instance::first(&ground, &[]).await;
    primary.write();
    primary.write();
    primary.write();
    let names = primary.ship_all().await;
    let start = Start { lsn: size().start_of(primary.full()[0].0.number), timeline: 1 };
    let share = ground.share().await;
    let all = inventory(&share, &primary, start).await;
    assert_eq!(all.room(), (names.len() as u64) << 20);
    let folder = ground.dir.path().join("small");
    let Some(small) = Small::new(&folder, 3 << 20) else {
        println!("not root: no small file system can be made here");
        return;
    };
    let full = holdfast_wal::stage(&share, &all, &folder, None, &|_| {}).await.unwrap_err();
    assert!(matches!(full, VerifyError::Full { .. }) && full.to_string().contains("make room"), "{full}");
    assert_eq!(Staged::load(&folder).unwrap(), None, "nothing is applied");
    let grow = Command::new("mount").args(["-o", "remount,size=64m"]).arg(&folder).status().unwrap();
    assert!(grow.success());
    let report = holdfast_wal::stage(&share, &all, &folder, None, &|_| {}).await.unwrap();
    assert!(report.holds() && report.usable() == names.len(), "{:?}", report.lines());
    drop(small);
}
