mod azure;
mod google;
mod s3;

use super::calls::MOST_UNANSWERED;
use super::*;

const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(20);

async fn share_in(dir: &std::path::Path) -> Share {
    Share::init(dir.to_str().unwrap(), "chat.litwareinc.com", "bos", LONG).await.unwrap()
}

#[tokio::test]
async fn a_folder_keeps_what_is_written_once() {
    let dir = tempfile::tempdir().unwrap();
    keeps_what_is_written_once(&share_in(dir.path()).await).await;
}

/// What every share does, whatever it lies on.
async fn keeps_what_is_written_once(share: &Share) {
    assert_eq!(share.put_once("wal/7/00000001/x.zst", "a".into()).await, Ok(Put::Created));
    assert_eq!(share.put_once("wal/7/00000001/x.zst", "a".into()).await, Ok(Put::SameAlready));
    let other = share.put_once("wal/7/00000001/x.zst", "b".into()).await.unwrap_err();
    assert!(matches!(other, ShareError::Conflict { .. }) && other.to_string().contains("x.zst"), "{other}");
    assert_eq!(share.get("wal/7/00000001/x.zst").await.unwrap().unwrap(), "a");
    assert_eq!(share.size_of("wal/7/00000001/x.zst").await, Ok(Some(1)));
    assert_eq!((share.get("wal/none").await, share.size_of("wal/none").await), (Ok(None), Ok(None)));
    let listed = share.list("wal").await.unwrap();
    assert_eq!((listed.len(), listed[0].name.as_str(), listed[0].size), (1, "wal/7/00000001/x.zst", 1));
    let age = jiff::Timestamp::now().duration_since(listed[0].modified);
    assert!(age.as_secs().abs() < 60, "{age:?}");
    assert!(share.list("ops").await.unwrap().is_empty());
    assert!(share.probe().await.is_ok());
    assert!(share.list("probe").await.unwrap().is_empty(), "it leaves nothing");
    // Of many who write at once, one does.
    let writers = (0..8).map(|n| {
        let share = share.clone();
        tokio::spawn(async move { share.put_once("lineage/000000000001.claim", format!("writer {n}").into()).await })
    });
    let mut created = 0;
    for writer in writers.collect::<Vec<_>>() {
        match writer.await.unwrap() {
            Ok(put) => created += usize::from(put == Put::Created),
            Err(said) => assert!(matches!(said, ShareError::Conflict { .. }), "{said}"),
        }
    }
    assert_eq!(created, 1);
    // What a shipping that was killed had left is put aside.
    assert_eq!(share.set_aside("wal/7/00000001/x.zst", "quarantine/a/x.zst").await, Ok(()));
    assert_eq!(share.get("wal/7/00000001/x.zst").await, Ok(None));
    assert_eq!(share.get("quarantine/a/x.zst").await.unwrap().unwrap(), "a");
    share.put_once("wal/7/00000001/x.zst", "b".into()).await.unwrap();
    let taken = share.set_aside("wal/7/00000001/x.zst", "quarantine/a/x.zst").await.unwrap_err();
    assert!(matches!(taken, ShareError::Conflict { .. }), "{taken}");
    assert_eq!(share.delete("wal/7/00000001/x.zst").await, Ok(()));
    assert_eq!(share.delete("wal/7/00000001/x.zst").await, Ok(()), "that it is gone is well");
    assert!(share.list("wal").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_folder_is_a_share_of_one_pool_and_site() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().to_str().unwrap();
    share_in(dir.path()).await;
    share_in(dir.path()).await;
    let other = Share::init(at, "chat.litwareinc.com", "atl", LONG).await.unwrap_err();
    assert!(other.to_string().contains("site bos"), "{other}");
    assert!(matches!(Share::open_of("other.example", at, LONG).await, Err(ShareError::NotOurs { .. })));
    assert!(Share::open_of("chat.litwareinc.com", &format!("file://{at}"), LONG).await.is_ok());
    assert!(matches!(Share::open("relative/path", LONG).await, Err(ShareError::Unsuitable { .. })));
    assert!(matches!(Share::open("https://bucket/x", LONG).await, Err(ShareError::Unsuitable { .. })));
}

/// F26: a share that is not there must never look like an empty one.
#[tokio::test]
async fn f26_absent_is_said_only_of_a_share_that_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let mounted = dir.path().join("mounted");
    std::fs::create_dir(&mounted).unwrap();
    let share = share_in(&mounted).await;
    assert_eq!(share.get("nothing").await, Ok(None));
    assert_eq!(share.list("wal").await, Ok(vec![]));
    // Unmounted: an empty folder is in its place.
    std::fs::rename(&mounted, dir.path().join("elsewhere")).unwrap();
    std::fs::create_dir(&mounted).unwrap();
    for said in [
        share.get("nothing").await.unwrap_err(),
        share.list("wal").await.unwrap_err(),
        share.put_once("wal/x", "a".into()).await.unwrap_err(),
        Share::open(mounted.to_str().unwrap(), LONG).await.unwrap_err(),
    ] {
        assert!(matches!(said, ShareError::Unreachable { .. }), "{said}");
    }
    assert!(!mounted.join("wal").exists(), "nothing was written where nothing is mounted");
    // Another share in its place.
    Share::init(mounted.to_str().unwrap(), "chat.litwareinc.com", "atl", LONG).await.unwrap();
    assert!(matches!(share.get("nothing").await, Err(ShareError::NotOurs { .. })));
    std::fs::remove_dir_all(&mounted).unwrap();
    assert!(matches!(share.get("nothing").await, Err(ShareError::Unreachable { .. })));
}

/// F27: a share that hangs, as a network mount does whose server is gone.
#[tokio::test]
async fn f27_a_share_that_hangs_is_unreachable_after_the_deadline() {
    let dir = tempfile::tempdir().unwrap();
    let share = share_in(dir.path()).await;
    let share = Share { calls: Calls::new(share.location(), SHORT), ..share };
    // Opening a FIFO that nobody writes to is never answered.
    let fifo = dir.path().join("stuck");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    for _ in 0..MOST_UNANSWERED {
        let share = share.clone();
        // They stay behind, each with a thread, as they would on a real mount.
        tokio::spawn(async move { share.get("stuck").await });
    }
    let begun = Instant::now();
    let said = loop {
        let said = share.get("stuck").await.unwrap_err().to_string();
        if said.contains("calls are without an answer") {
            break said;
        }
        assert!(said.contains("no answer within 0.3 s"), "{said}");
        assert!(begun.elapsed() < LONG);
    };
    assert!(said.contains("32"), "{said}");
    // Somebody writes at last: all of them are answered, and the share is there again.
    let writer = std::fs::OpenOptions::new().write(true).open(&fifo).unwrap();
    drop(writer);
    while share.list("wal").await.is_err() {
        // A reader that came later waits for a writer of its own.
        drop(std::fs::OpenOptions::new().read(true).write(true).open(&fifo).unwrap());
        assert!(begun.elapsed() < LONG, "it never recovered");
        tokio::task::yield_now().await;
    }
}
