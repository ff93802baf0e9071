//! A fork: the mirror was promoted, and the old primary comes back.

use crate::ground::{Ground, Instance, lineage_of, size, staged};
use holdfast_wal::content::{Fault, branches};
use holdfast_wal::local::{missing_before, pgwal_off_lineage};
use holdfast_wal::{FetchFrom, Lsn, Shipped, Start};

/// Promotes and answers the position of the fork.
fn promote(instance: &Instance, timeline: u32) -> Lsn {
    instance.postgres.promote();
    let history = std::fs::read(instance.pg_wal.join(format!("{timeline:08X}.history"))).unwrap();
    branches(&history).last().unwrap().1
}

/// F20, as far as the share goes: an old primary cannot ship; what a former one still has of the time behind the fork gets into quarantine;
/// whoever follows is never given it. F32 and F33: histories that are missing, foreign, or tell something else.
#[tokio::test]
async fn f20_f32_f33_behind_a_fork_only_the_new_timeline_counts() {
    let ground = Ground::new().await;
    let mut old = Instance::first(&ground, &[]).await;
    old.write();
    let mirror = old.postgres.standby();
    old.write();
    let shipped_by_old: Vec<_> = old.full();
    let start = Start { lsn: size().start_of(shipped_by_old[0].0.number), timeline: 1 };
    // The last of them was not shipped before the primary was lost.
    let (_, unshipped) = shipped_by_old.last().unwrap();
    for (_, name) in &shipped_by_old[..shipped_by_old.len() - 1] {
        old.ship(name).await.unwrap();
    }
    // A moment later both have a little more, within the segment that will hold the fork.
    old.postgres.psql("INSERT INTO entry VALUES (1000000, 'before the fork')");
    let at = old.position();
    crate::ground::until("the mirror has all", || {
        mirror.psql(&format!("SELECT pg_last_wal_replay_lsn() >= '{at}'")) == "t"
    });
    let mut new = Instance::new(&ground, "atl-db-2", mirror);
    ground.claim(2, "atl-db-2").await;
    let fork = promote(&new, 2);
    new.change(|s| s.epoch = 2);

    // Its history waits until the timeline is on record.
    assert_eq!(new.ship("00000002.history").await.unwrap_err().exit_code(), 1);
    ground.open(2, "atl-db-2", 2, fork).await;
    for sql in ["INSERT INTO entry VALUES (1000001, 'behind the fork')", "CHECKPOINT", "SELECT pg_switch_wal()"] {
        new.postgres.psql(sql);
    }
    new.ship("00000002.history").await.unwrap();

    // The segment that the dead primary had not shipped: nobody would ever ship it.
    let share = ground.share().await;
    let lineage = lineage_of(&share).await;
    let lacking =
        missing_before(&share, new.settings.system_identifier, size(), &lineage, &new.pg_wal, fork).await.unwrap();
    assert_eq!(lacking.here.iter().map(|(name, _)| name).collect::<Vec<_>>(), [unshipped]);
    assert!(lacking.nowhere.is_empty(), "{lacking:?}");
    for (name, path) in &lacking.here {
        holdfast_wal::ship(&new.file, path, name).await.unwrap();
    }
    let of_new: Vec<_> = new.full().into_iter().filter(|(s, _)| s.timeline == 2).collect();
    for (_, name) in &of_new {
        assert_eq!(new.ship(name).await.unwrap(), Shipped::Done);
    }

    // The old primary goes on alone, up to a whole segment behind the fork, and must not ship it.
    old.write();
    let late = old.full().into_iter().find(|(s, _)| s.number == size().number_of(fork)).unwrap().1;
    let refused = old.ship(&late).await.unwrap_err();
    assert!(refused.exit_code() == 4 && refused.to_string().contains("atl-db-2 holds epoch 2"), "{refused}");
    assert!(!old.object(&ground, &late, "zst").exists());
    // It is kept for whoever looks for the entries that only it has.
    let bos = ground.bos.to_str().unwrap();
    holdfast_wal::ship::quarantine(&old.file, bos, &old.pg_wal.join(&late), &late).await.unwrap();
    let kept = ground.bos.join("quarantine/atl-db-1").join(old.settings.system_identifier.to_string());
    assert!(kept.join("00000001").join(format!("{late}.zst")).exists());
    // And when it holds a newer epoch later on, its archiver gets over what is left of the old time.
    ground.claim(3, "atl-db-1").await;
    old.change(|s| s.epoch = 3);
    assert_eq!(old.ship(&late).await.unwrap(), Shipped::Quarantined);
    assert!(!old.object(&ground, &late, "zst").exists());
    // What lies in its own pg_wal has to go before it follows.
    let off = pgwal_off_lineage(&old.pg_wal, &lineage, size()).unwrap();
    assert!(off.contains(&old.pg_wal.join(&late)) && off.iter().all(|p| !p.ends_with(&shipped_by_old[0].1)), "{off:?}");

    // The whole way over the fork, record by record.
    let copy = ground.dir.path().join("copy");
    let report = staged(&share, &new, start, &copy).await;
    assert!(report.holds(), "{:?}", report.lines());
    let target = report.target.clone().unwrap();
    assert_eq!((target.timeline, report.usable()), (2, shipped_by_old.len() + of_new.len()));
    assert!(target.record > fork && copy.join("00000002.history").exists());

    // A foreign file of the old timeline, whole and vouched for, is reported and ignored. It was shipped while the pool ran without its mirror.
    let foreign = copy_as_log(&ground, &old, &late);
    let reported = staged(&share, &new, start, &copy).await;
    assert!(reported.holds() && reported.target == report.target);
    assert!(reported.foreign.iter().any(|f| f.object.ends_with(&foreign) && f.why.contains("timeline 2")));
    // Who follows is not given it, nor the history of a timeline that is not the pool's.
    let fetched = ground.dir.path().join("fetched");
    new.change(|s| s.epoch = 3);
    for name in [late.as_str(), "00000003.history", "00000009.history"] {
        let answer = holdfast_wal::fetch(&new.file, name, &fetched).await.unwrap_err();
        assert!(answer.exit_code() == 1 && !fetched.exists(), "{name}: {answer}");
    }
    for name in [of_new[0].1.as_str(), unshipped, "00000002.history"] {
        holdfast_wal::fetch(&new.file, name, &fetched).await.unwrap();
        assert_eq!(std::fs::read(&fetched).unwrap(), std::fs::read(new.pg_wal.join(name)).unwrap(), "{name}");
    }
    // From the copy folder: what was verified, and nothing else.
    new.change(|s| s.fetch = FetchFrom::Staging(copy.clone()));
    holdfast_wal::fetch(&new.file, "00000002.history", &fetched).await.unwrap();
    assert_eq!(holdfast_wal::fetch(&new.file, &late, &fetched).await.unwrap_err().exit_code(), 1);
    histories_that_are_wrong(&ground, &new, start, fork).await;
}

/// Puts a segment of the old primary under `wal/`, as it would lie there had it been shipped.
fn copy_as_log(ground: &Ground, old: &Instance, name: &str) -> String {
    let kept = ground.bos.join("quarantine/atl-db-1").join(old.settings.system_identifier.to_string()).join("00000001");
    for ending in ["zst", "json"] {
        std::fs::copy(kept.join(format!("{name}.{ending}")), old.object(ground, name, ending)).unwrap();
    }
    format!("{name}.zst")
}

async fn histories_that_are_wrong(ground: &Ground, new: &Instance, start: Start, fork: Lsn) {
    let share = ground.share().await;
    let dir = ground.dir.path();
    // A history of nobody's timeline: named, and ignored.
    let folder = new.object(ground, "00000007.history", "zst");
    std::fs::create_dir_all(folder.parent().unwrap()).unwrap();
    std::fs::write(&folder, "x").unwrap();
    let report = staged(&share, new, start, &dir.join("copy")).await;
    assert!(report.holds() && report.foreign.iter().any(|f| f.object.contains("00000007.history")));
    // One that tells another history, and one that is gone: nothing behind the fork can be reached.
    let data = new.object(ground, "00000002.history", "zst");
    let manifest = new.object(ground, "00000002.history", "json");
    let (was, vouched) = (std::fs::read(&data).unwrap(), std::fs::read(&manifest).unwrap());
    let other = b"1\t0/300\tsomebody else's\n";
    std::fs::write(&data, holdfast_wal::content::pack(other).unwrap()).unwrap();
    let mut told = holdfast_wal::Manifest::parse(&vouched).unwrap();
    (told.size, told.sha256) = (other.len() as u64, holdfast_wal::manifest::sha256(other));
    std::fs::write(&manifest, told.to_bytes()).unwrap();
    for gone in [false, true] {
        if gone {
            std::fs::remove_file(&data).unwrap();
            std::fs::remove_file(&manifest).unwrap();
        }
        let report = staged(&share, new, start, &dir.join("copy")).await;
        let (file, fault) = report.faults().next().unwrap();
        assert_eq!(file, "00000002.history");
        assert!(if gone { *fault == Fault::Missing } else { matches!(fault, Fault::History { .. }) }, "{fault}");
        let target = report.target.clone().unwrap();
        assert_eq!((target.timeline, target.end), (1, size().start_of(size().number_of(fork))));
        assert!(!dir.join("copy/00000002.history").exists());
    }
    std::fs::write(&data, was).unwrap();
    std::fs::write(&manifest, vouched).unwrap();
    assert!(staged(&share, new, start, &dir.join("copy")).await.holds());
}
