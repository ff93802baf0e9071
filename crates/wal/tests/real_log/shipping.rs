//! Each object is written once, whatever happens to whoever writes it.

use crate::ground::{Ground, Instance, staged, until};
use holdfast_wal::{Lsn, ShipError, Shipped, Start};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

fn objects(ground: &Ground) -> Vec<(String, Vec<u8>)> {
    fn walk(dir: &std::path::Path, found: &mut Vec<(String, Vec<u8>)>) {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                walk(&entry.path(), found);
            } else {
                let name = entry.path().to_string_lossy().into_owned();
                found.push((name, std::fs::read(entry.path()).unwrap()));
            }
        }
    }
    let mut found = Vec::new();
    walk(&ground.bos.join("wal"), &mut found);
    // What a killed writer leaves under a name of its own is seen by no listing.
    found.retain(|(name, _)| !name.contains('#'));
    found.sort();
    found
}

/// F34: two instances write the same name with different content. F35: the same file once more.
#[tokio::test]
async fn f34_f35_the_same_again_is_done_and_something_else_is_refused() {
    let ground = Ground::new().await;
    let primary = Instance::first(&ground, &[]).await;
    primary.write();
    let name = primary.full()[0].1.clone();
    assert_eq!(primary.ship(&name).await.unwrap(), Shipped::Done);
    let before = objects(&ground);
    assert_eq!(before.len(), 2);
    assert_eq!(primary.ship(&name).await.unwrap(), Shipped::Already);
    assert_eq!(objects(&ground), before);
    // Somebody else's content: a whole segment with this name that differs behind its header.
    let other = ground.dir.path().join("other");
    let mut bytes = std::fs::read(primary.pg_wal.join(&name)).unwrap();
    bytes[500_000] ^= 1;
    std::fs::write(&other, &bytes).unwrap();
    let refused = holdfast_wal::ship(&primary.file, &other, &name).await.unwrap_err();
    assert!(matches!(refused, ShipError::Conflict { .. }) && refused.exit_code() == 3, "{refused}");
    assert!(refused.to_string().contains("atl-db-1") && refused.to_string().contains(&name), "{refused}");
    assert_eq!(objects(&ground), before, "the first is intact");
    // Also when the first had not got to its manifest.
    std::fs::remove_file(primary.object(&ground, &name, "json")).unwrap();
    let refused = holdfast_wal::ship(&primary.file, &other, &name).await.unwrap_err();
    assert!(matches!(refused, ShipError::Conflict { .. }), "{refused}");
    assert_eq!(primary.ship(&name).await.unwrap(), Shipped::Done);
    // A ruin without a manifest is nobody's: it is put aside.
    let second = primary.full()[1].1.clone();
    std::fs::write(primary.object(&ground, &second, "zst"), "half").unwrap();
    assert_eq!(primary.ship(&second).await.unwrap(), Shipped::Done);
    assert_eq!(std::fs::read_dir(ground.bos.join("quarantine/ruins")).unwrap().count(), 1);
}

/// F28: what was damaged on the share is replaced, as long as the primary has it.
#[tokio::test]
async fn f28_what_is_damaged_on_the_share_is_mended_from_here() {
    let ground = Ground::new().await;
    let primary = Instance::first(&ground, &[]).await;
    primary.write();
    let name = primary.full()[0].1.clone();
    primary.ship(&name).await.unwrap();
    let data = primary.object(&ground, &name, "zst");
    let good = std::fs::read(&data).unwrap();
    std::fs::write(&data, &good[..good.len() - 7]).unwrap();
    assert_eq!(primary.ship(&name).await.unwrap(), Shipped::Already, "shipping trusts what is there");
    holdfast_wal::ship::mend(&primary.file, &primary.pg_wal.join(&name), &name).await.unwrap();
    assert_eq!(std::fs::read(&data).unwrap(), good);
}

#[tokio::test]
async fn what_cannot_be_shipped_now_says_why_and_stays() {
    let ground = Ground::new().await;
    let mut primary = Instance::first(&ground, &[]).await;
    primary.write();
    let name = primary.full()[0].1.clone();
    // F26: the share is away. Nothing is written where it would be.
    let away = ground.dir.path().join("away");
    std::fs::rename(&ground.bos, &away).unwrap();
    std::fs::create_dir(&ground.bos).unwrap();
    let error = primary.ship(&name).await.unwrap_err();
    assert!(error.exit_code() == 1 && error.to_string().contains("mounted"), "{error}");
    assert_eq!(std::fs::read_dir(&ground.bos).unwrap().count(), 0);
    std::fs::remove_dir(&ground.bos).unwrap();
    std::fs::rename(&away, &ground.bos).unwrap();
    // One of two shares is away: the other one gets it, and it counts as not shipped.
    primary.change(|s| s.shares_to_ship.insert(0, "/nowhere".into()));
    assert_eq!(primary.ship(&name).await.unwrap_err().exit_code(), 1);
    assert_eq!(objects(&ground).len(), 2);
    primary.change(|s| drop(s.shares_to_ship.remove(0)));
    // A timeline that is not on record yet.
    let error = holdfast_wal::ship(&primary.file, &primary.pg_wal.join(&name), "00000002.history").await.unwrap_err();
    assert!(error.exit_code() == 1 && error.to_string().contains("not on record yet"), "{error}");
    // Not the holder, and an epoch that the share does not know of yet.
    primary.change(|s| s.holder = false);
    assert_eq!(primary.ship(&name).await.unwrap_err().exit_code(), 4);
    primary.change(|s| (s.holder, s.epoch) = (true, 2));
    assert!(primary.ship(&name).await.unwrap_err().to_string().contains("not claimed"));
    // F33: a file of another cluster.
    primary.change(|s| (s.epoch, s.system_identifier.0) = (1, 7));
    let error = primary.ship(&primary.full()[1].1).await.unwrap_err();
    assert!(error.exit_code() == 5 && error.to_string().contains("cluster"), "{error}");
    // Never above 125, which would end PostgreSQL's archiver without its counting a failure.
    let error = holdfast_wal::ship(&ground.dir.path().join("none"), &primary.pg_wal, &name).await.unwrap_err();
    assert!(error.exit_code() <= 125, "{error}");
}

/// F35 and F30: the shipper is killed at any moment, also between the data and the manifest; PostgreSQL runs it again.
#[tokio::test]
async fn f35_a_shipper_that_is_killed_is_run_again_and_all_is_well() {
    let ground = Ground::new().await;
    let primary = Instance::first(&ground, &[]).await;
    for _ in 0..4 {
        primary.write();
    }
    let full = primary.full();
    let mut killed = 0;
    for (i, (_, name)) in full.iter().enumerate() {
        // How long one takes is known from those before it; each is killed a little later than the one before.
        let mut shipper = shipper(&primary, name);
        let pause = Duration::from_millis(4 * i as u64 + 4);
        std::thread::park_timeout(pause);
        let _ = shipper.kill();
        killed += i32::from(shipper.wait().unwrap().signal() == Some(9));
        assert!(matches!(primary.ship(name).await.unwrap(), Shipped::Done | Shipped::Already));
        assert_eq!(objects(&ground).len(), 2 * (i + 1), "one data, one manifest");
    }
    assert!(killed > 0);
    // Certainly between the two.
    let last = &full.last().unwrap().1;
    std::fs::remove_file(primary.object(&ground, last, "json")).unwrap();
    let data = std::fs::read(primary.object(&ground, last, "zst")).unwrap();
    let mut again = shipper(&primary, last);
    assert_eq!(again.wait().unwrap().code(), Some(0));
    assert_eq!(std::fs::read(primary.object(&ground, last, "zst")).unwrap(), data);
    let start = Start { lsn: Lsn(full[0].0.number << 20), timeline: 1 };
    let report = staged(&ground.share().await, &primary, start, &ground.dir.path().join("copy")).await;
    assert!(report.holds() && report.usable() == full.len(), "{:?}", report.lines());
}

/// A shipper in a process of its own.
fn shipper(primary: &Instance, name: &str) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "shipping::only_ship", "--ignored", "--nocapture"])
        .env("SETTINGS", &primary.file)
        .env("FROM", primary.pg_wal.join(name))
        .env("NAME", name)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// What `holdfast wal ship` does, for tests that run it as a program.
#[tokio::test]
#[ignore = "only run by other tests"]
async fn only_ship() {
    let of = |name: &str| std::env::var(name).unwrap();
    match holdfast_wal::ship(&PathBuf::from(of("SETTINGS")), &PathBuf::from(of("FROM")), &of("NAME")).await {
        Ok(_) => std::process::exit(0),
        Err(error) => {
            println!("ship {}: {error}", of("NAME"));
            std::process::exit(error.exit_code().into());
        }
    }
}

/// F27: a share that hangs keeps nobody longer than the deadline.
#[tokio::test]
async fn f27_a_share_that_hangs_is_given_up() {
    let ground = Ground::new().await;
    let mut primary = Instance::first(&ground, &[]).await;
    primary.write();
    let name = primary.full()[0].1.clone();
    primary.change(|s| s.deadlines.share_seconds = 1);
    // Opening a FIFO is never answered, like a file of a network mount whose server is gone.
    let claim = ground.bos.join("lineage/000000000001.claim");
    std::fs::remove_file(&claim).unwrap();
    assert!(Command::new("mkfifo").arg(&claim).status().unwrap().success());
    let mut ship = shipper(&primary, &name);
    let mut code = None;
    until("the shipper has given up", || {
        code = ship.try_wait().unwrap().map(|status| status.code());
        code.is_some()
    });
    assert_eq!(code.flatten(), Some(1));
}
