//! What PostgreSQL is told when it asks for a file. Its reading of an exit code is rough; so each case has one.

use crate::ground::{Ground, Instance, open, staged};
use holdfast_wal::{FetchError, FetchFrom, Lsn, Start};
use std::path::Path;

async fn code(instance: &Instance, name: &str, to: &Path) -> u8 {
    let _ = std::fs::remove_file(to);
    match holdfast_wal::fetch(&instance.file, name, to).await {
        Ok(()) => 0,
        Err(error) => {
            assert!(!to.exists(), "half a file: {error}");
            error.exit_code()
        }
    }
}

/// F26, F28, F33: absent, unreachable, damaged, of another cluster: while a standby follows, and while a failover goes on.
#[tokio::test]
async fn f26_f28_f33_each_answer_has_its_exit_code() {
    let ground = Ground::new().await;
    let mut primary = Instance::first(&ground, &[]).await;
    primary.write();
    let names = primary.ship_all().await;
    let to = ground.dir.path().join("RECOVERYXLOG");
    let name = names[0].as_str();
    let next = format!("{:024X}", 1u128 << 64 | 0xFF);

    assert_eq!(code(&primary, name, &to).await, 0);
    assert_eq!(std::fs::read(&to).unwrap(), std::fs::read(primary.pg_wal.join(name)).unwrap());
    assert_eq!(code(&primary, &next, &to).await, 1);
    let quiet = holdfast_wal::fetch(&primary.file, &next, &to).await.unwrap_err();
    assert!(matches!(quiet, FetchError::NotThere { .. }) && !quiet.is_worth_a_line(), "{quiet}");
    // Data without a manifest is still on its way.
    let manifest = primary.object(&ground, name, "json");
    let kept = std::fs::read(&manifest).unwrap();
    std::fs::remove_file(&manifest).unwrap();
    assert!(matches!(holdfast_wal::fetch(&primary.file, name, &to).await, Err(FetchError::NotThere { .. })));
    std::fs::write(&manifest, &kept).unwrap();

    // Damaged: not now, with a line; from another share, if that has it whole.
    let data = primary.object(&ground, name, "zst");
    let good = std::fs::read(&data).unwrap();
    std::fs::write(&data, &good[..good.len() / 2]).unwrap();
    let damaged = holdfast_wal::fetch(&primary.file, name, &to).await.unwrap_err();
    assert!(damaged.exit_code() == 1 && damaged.is_worth_a_line(), "{damaged}");
    assert!(damaged.to_string().contains(name) && damaged.to_string().contains("does not decompress"), "{damaged}");
    crate::ground::copy_tree(&ground.bos.join("wal"), &ground.atl.join("wal"));
    crate::ground::copy_tree(&ground.bos.join("lineage"), &ground.atl.join("lineage"));
    std::fs::write(primary.object_on(&ground.atl, name, "zst"), &good).unwrap();
    primary.change(|s| s.shares_to_fetch.push(ground.atl.to_str().unwrap().into()));
    assert_eq!(code(&primary, name, &to).await, 0, "the second share has it");
    std::fs::write(&data, &good).unwrap();

    // The agent knows of an epoch that the shares do not: what they hold may be the pool's no more.
    primary.change(|s| s.epoch = 1000);
    assert_eq!(code(&primary, name, &to).await, 1);
    primary.change(|s| s.epoch = 1);
    // Unreachable is not absent.
    primary.change(|s| s.shares_to_fetch = vec!["/nowhere/at/all".into()]);
    let away = holdfast_wal::fetch(&primary.file, &next, &to).await.unwrap_err();
    assert!(away.exit_code() == 1 && away.is_worth_a_line() && away.to_string().contains("reached"), "{away}");
    primary.change(|s| s.shares_to_fetch = vec![ground.bos.to_str().unwrap().into()]);
    // Closed.
    primary.change(|s| s.fetch = FetchFrom::Closed);
    assert_eq!(code(&primary, name, &to).await, 1);

    // A failover's copy folder: before it is complete, nothing; then what was verified; and what was changed since ends the recovery.
    let copy = ground.dir.path().join("copy");
    primary.change(|s| s.fetch = FetchFrom::Staging(copy.clone()));
    assert_eq!(code(&primary, name, &to).await, 1);
    let start = Start { lsn: Lsn(primary.full()[0].0.number << 20), timeline: 1 };
    staged(&open(&ground.bos).await, &primary, start, &copy).await;
    assert_eq!(code(&primary, name, &to).await, 0);
    assert_eq!(code(&primary, &next, &to).await, 1);
    std::fs::write(copy.join(name), "x").unwrap();
    assert_eq!(code(&primary, name, &to).await, 126);

    // Of another cluster, also where all hashes agree.
    primary.change(|s| (s.fetch, s.system_identifier.0) = (FetchFrom::Staging(copy), 7));
    assert_eq!(code(&primary, name, &to).await, 126);
}

/// The pool passes over timelines that the other site may have taken. PostgreSQL looks for one after the other, and must get past them.
#[tokio::test]
async fn a_reserved_timeline_is_passed_over() {
    let ground = Ground::new().await;
    let mut primary = Instance::first(&ground, &[]).await;
    let to = ground.dir.path().join("RECOVERYHISTORY");
    ground.claim(1000, "bos-db-1").await;
    ground.open(1000, "bos-db-1", 16, Lsn(7 << 20)).await;
    primary.change(|s| s.epoch = 1000);
    assert_eq!(code(&primary, "00000002.history", &to).await, 0);
    assert!(std::fs::read_to_string(&to).unwrap().starts_with("# reserved"));
    assert_eq!(code(&primary, "00000010.history", &to).await, 1, "that one is awaited");
    assert_eq!(code(&primary, "00000011.history", &to).await, 1, "and there is none behind it");
}
