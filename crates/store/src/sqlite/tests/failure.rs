//! Crashes, damage, full disks, and faults of ours.

use super::*;
use crate::conformance::support::*;
use crate::log::From;
use crate::{Accounts as _, Files as _, Maintenance as _, RoomLog as _, StoreError};
use bytes::Bytes;
use holdfast_domain::{FileId, Seq};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What a crash leaves: the file and its write-ahead log as they are at some moment, with no one to tidy up.
#[tokio::test]
async fn what_was_answered_survives_a_crash() {
    let (dir, store) = open_new();
    make_rooms(&store, &[ROOM]).await;
    for n in 0..50 {
        let last = put(&store, ROOM, ANA, say(&format!("message {n}"))).await;
        if n % 10 == 0 {
            let crashed = tempfile::tempdir().unwrap();
            for name in [FILE_NAME, "holdfast.db-wal"] {
                std::fs::copy(dir.path().join(name), crashed.path().join(name)).unwrap();
            }
            let again = open(&crashed);
            assert_eq!(again.head(ROOM).await.unwrap().seq, last);
            assert_eq!(faults(&again, ROOM).await, []);
            put(&again, ROOM, ANA, say("goes on")).await;
        }
    }
}

#[tokio::test]
async fn closing_leaves_one_file() {
    let (dir, store) = open_new();
    make_rooms(&store, &[ROOM]).await;
    store.close().await.unwrap();
    let names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, [FILE_NAME]);
    assert_eq!(open(&dir).head(ROOM).await.unwrap().seq, Seq(1));
}

#[tokio::test]
async fn a_backup_under_load_is_whole() {
    let (dir, store) = open_new();
    let store = Arc::new(store);
    make_rooms(&*store, &[ROOM, OTHER]).await;
    // Enough for several steps of the copy.
    fill(&store, 30).await;
    let stop = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (store, stop) = (Arc::clone(&store), Arc::clone(&stop));
        async move {
            while !stop.load(Ordering::Relaxed) {
                write(&*store, vec![draft(ROOM, ANA, say("load")), draft(OTHER, ANA, say("load"))]).await;
            }
        }
    });
    let before = store.head(ROOM).await.unwrap().seq;
    let to = dir.path().join("copy.db");
    let told = Arc::new(AtomicU64::new(0));
    let telling = Arc::clone(&told);
    let bytes = store
        .backup(
            &to,
            Box::new(move |_, _| {
                telling.fetch_add(1, Ordering::Relaxed);
            }),
        )
        .await
        .unwrap();
    let after = store.head(ROOM).await.unwrap().seq;
    stop.store(true, Ordering::Relaxed);
    writer.await.unwrap();

    assert!(told.load(Ordering::Relaxed) > 1);
    assert_eq!(bytes, std::fs::metadata(&to).unwrap().len());
    let copy = SqliteStore::open(&to, SqliteOptions::default()).unwrap();
    let (one, other) = (copy.head(ROOM).await.unwrap(), copy.head(OTHER).await.unwrap());
    assert!(before <= one.seq && one.seq <= after);
    // One moment: both logs were always written together.
    assert_eq!(one.seq, other.seq);
    assert_eq!(faults(&copy, ROOM).await, []);
    assert_eq!(faults(&copy, OTHER).await, []);
}

#[tokio::test]
async fn a_changed_byte_is_found() {
    let (dir, store) = open_new();
    make_rooms(&store, &[ROOM]).await;
    for n in 0..20 {
        put(&store, ROOM, ANA, say(&format!("message number {n}"))).await;
    }
    store.close().await.unwrap();
    patch(&dir.path().join(FILE_NAME), b"message number 7", b"massage number 7");
    let store = open(&dir);
    let faults = faults(&store, ROOM).await;
    assert_eq!(faults.iter().map(|f| f.seq).collect::<Vec<_>>(), [Seq(9)]);
}

#[tokio::test]
async fn what_cannot_be_read_is_named() {
    let (dir, store) = open_new();
    make_rooms(&store, &[ROOM]).await;
    put(&store, ROOM, ANA, say("x")).await;
    for (sql, where_) in [
        ("UPDATE entry SET payload = '{' WHERE kind = 1", "entry 2 of room 1"),
        ("UPDATE entry SET kind = 999 WHERE payload = '{'", "kind 999"),
        ("UPDATE entry SET hash = x'00'", "entry"),
    ] {
        raw(&dir).execute_batch(sql).unwrap();
        let answer = store.page(ROOM, From::Latest, 10).await;
        assert!(matches!(&answer, Err(StoreError::Corrupt { what }) if what.contains(where_)), "{answer:?}");
    }
}

#[tokio::test]
async fn a_full_disk_stops_writing_and_nothing_else() {
    let (_dir, store) = open_new();
    make_rooms(&store, &[ROOM]).await;
    let most = |pages: u32| async move { format!("PRAGMA max_page_count = {pages}") };
    let limit = async |pages| {
        let sql = most(pages).await;
        store.threads.write("limiting", move |tx| Ok(tx.query_row(&sql, [], |_| Ok(()))?)).await.unwrap();
    };
    // No page more than there is.
    limit(1).await;
    let large = say(&"a long message ".repeat(5_000));
    let sent = draft(ROOM, ANA, large);
    for _ in 0..3 {
        let refused = store.append(vec![sent.clone()]).await;
        assert!(matches!(refused, Err(StoreError::Full)), "{refused:?}");
        assert_eq!(rows(&store, ROOM).await.len(), 1);
    }
    limit(u32::MAX - 1).await;
    assert_eq!(write(&store, vec![sent]).await[0].seq, Seq(2));
    assert_eq!(faults(&store, ROOM).await, []);
}

#[tokio::test]
async fn a_job_that_panics_is_rolled_back_and_the_thread_goes_on() {
    let (_dir, store) = open_new();
    make_rooms(&store, &[ROOM]).await;
    let write = store.threads.write("panicking", |tx| -> crate::sqlite::error::Work<()> {
        tx.execute("DELETE FROM entry", [])?;
        panic!("on purpose")
    });
    assert!(matches!(write.await, Err(StoreError::Engine { doing: "panicking", .. })));
    for _ in 0..4 {
        let read = store.threads.read("panicking", |_, _| -> crate::sqlite::error::Work<()> { panic!("on purpose") });
        assert!(matches!(read.await, Err(StoreError::Engine { .. })));
    }
    assert_eq!(rows(&store, ROOM).await.len(), 1);
    put(&store, ROOM, ANA, say("goes on")).await;
}

#[tokio::test]
async fn what_is_queued_is_finished_on_closing() {
    let (dir, store) = open_new();
    let store = Arc::new(store);
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..100 {
        let store = Arc::clone(&store);
        calls.spawn(async move { store.note_sign_in(holdfast_domain::PrincipalId(n), 1, None, None).await.is_ok() });
    }
    tokio::task::yield_now().await;
    store.close().await.unwrap();
    let mut kept: i64 = 0;
    while let Some(done) = calls.join_next().await {
        kept += i64::from(done.unwrap());
    }
    let rows: i64 = raw(&dir).query_row("SELECT count(*) FROM account", [], |r| r.get(0)).unwrap();
    assert_eq!(rows, kept);
}

/// The write-ahead log is moved while the writer does not rest, and begins again from its start.
#[tokio::test]
async fn the_write_ahead_log_does_not_grow_without_end() {
    let (dir, store) = open_new();
    fill(&store, 200).await;
    let wal = std::fs::metadata(dir.path().join("holdfast.db-wal")).unwrap().len();
    let all = std::fs::metadata(dir.path().join(FILE_NAME)).unwrap().len();
    assert!(all > 150 << 20 && wal < 110 << 20, "{all} {wal}");
}

/// Keeps so many megabytes of a file.
async fn fill(store: &SqliteStore, megabytes: u32) {
    let id = FileId(uuid::Uuid::from_u128(1));
    begin(store, id, ROOM, at(0)).await;
    for i in 0..megabytes {
        store.put_chunk(id, i, Bytes::from(vec![7; 1 << 20])).await.unwrap();
    }
}

/// Writes other bytes of the same length in place of some that occur once.
fn patch(file: &Path, old: &[u8], new: &[u8]) {
    let mut bytes = std::fs::read(file).unwrap();
    let places: Vec<usize> = (0..bytes.len() - old.len()).filter(|i| bytes[*i..].starts_with(old)).collect();
    assert_eq!(places.len(), 1);
    bytes[places[0]..places[0] + new.len()].copy_from_slice(new);
    std::fs::write(file, bytes).unwrap();
}
