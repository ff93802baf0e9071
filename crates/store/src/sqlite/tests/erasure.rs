//! What is erased is gone from the file.

use super::*;
use crate::conformance::support::*;
use crate::{Files as _, Maintenance as _};
use bytes::Bytes;
use holdfast_domain::chain::Digest;
use holdfast_domain::entry::{FileRef, Message};
use holdfast_domain::{EntryBody, FileId, RoomId, Seq};

const SECRET: &str = "Zugangswort";

#[tokio::test]
async fn a_removal_leaves_no_trace() {
    let (dir, store) = open_new();
    let of = tell(&store, 1).await;
    put(&store, ROOM, BO, remove(&[of], true)).await;
    assert_no_trace(&dir, store).await;
}

#[tokio::test]
async fn a_purge_of_little_leaves_no_trace() {
    let (dir, store) = open_new();
    let of = tell(&store, 400).await;
    put(&store, ROOM, BO, EntryBody::Purge { through: of }).await;
    assert_no_trace(&dir, store).await;
}

#[tokio::test]
async fn a_purge_of_much_leaves_no_trace() {
    let (dir, store) = open_new();
    tell(&store, 400).await;
    put(&store, ROOM, BO, EntryBody::Purge { through: Seq(300) }).await;
    assert_no_trace(&dir, store).await;
}

#[tokio::test]
async fn a_deleted_room_leaves_no_trace() {
    let (dir, store) = open_new();
    tell(&store, 400).await;
    let gone = EntryBody::RoomDeleted { id: ROOM, name: "Room 1".into(), last_seq: Seq(1), last_hash: Digest([0; 32]) };
    put(&store, RoomId::POOL, ANA, gone).await;
    assert_no_trace(&dir, store).await;
}

/// An edit takes the old words out of the index; the log keeps them.
#[tokio::test]
async fn the_index_is_consistent_after_all_kinds_of_changes() {
    let (dir, store) = open_new();
    let of = tell(&store, 100).await;
    put(&store, ROOM, ANA, edit(of, "something else")).await;
    put(&store, ROOM, ANA, EntryBody::Retraction { of: Seq(of.0 + 1), mark: None }).await;
    put(&store, ROOM, ANA, EntryBody::Purge { through: Seq(50) }).await;
    let words = |dir: &TempDir| -> Vec<(String, i64)> {
        let conn = raw(dir);
        conn.execute_batch("INSERT INTO search (search) VALUES ('integrity-check')").unwrap();
        conn.execute_batch("CREATE VIRTUAL TABLE temp.word USING fts5vocab ('main', 'search', 'row')").unwrap();
        let mut statement = conn.prepare("SELECT term, doc FROM temp.word").unwrap();
        statement.query_map([], |r| Ok((r.get(0)?, r.get(1)?))).unwrap().collect::<rusqlite::Result<_>>().unwrap()
    };
    let before = words(&dir);
    assert!(before.iter().any(|(word, _)| word == "message") && before.iter().all(|(word, _)| word != "zugangswort"));
    store.rebuild().await.unwrap();
    assert_eq!(words(&dir), before);
}

/// Writes some messages, one of which says the secret in its text and in a file, and answers which.
async fn tell(store: &SqliteStore, messages: usize) -> Seq {
    make_rooms(store, &[ROOM]).await;
    let file = FileRef {
        id: FileId(uuid::Uuid::from_u128(1)),
        name: "secret.txt".into(),
        bytes: SECRET.len() as u64 * 1000,
        media_type: "text/plain".into(),
        sha256: Digest([0; 32]),
        width: None,
        height: None,
        thumbnail: false,
    };
    begin(store, file.id, ROOM, at(0)).await;
    store.put_chunk(file.id, 0, Bytes::from(SECRET.repeat(1000))).await.unwrap();
    store.finish_file(file.clone(), None).await.unwrap();
    let text = format!("it is {SECRET}");
    let of = put(store, ROOM, ANA, EntryBody::Message(Message { text, files: vec![file], ..Message::default() })).await;
    put(store, ROOM, ANA, edit(of, &format!("it is {SECRET}, of course"))).await;
    put(store, ROOM, ANA, edit(of, &format!("It was {SECRET}"))).await;
    for n in 0..messages {
        put(store, ROOM, ANA, say(&format!("message {n}"))).await;
    }
    if messages < 100 {
        return of;
    }
    // So far on that a purge reaches the edits too.
    Seq(of.0 + 2)
}

async fn assert_no_trace(dir: &TempDir, store: SqliteStore) {
    store.close().await.unwrap();
    let bytes = std::fs::read(dir.path().join(FILE_NAME)).unwrap().to_ascii_lowercase();
    // The index writes a word without the letters that it has in common with the one before.
    for part in ["ugangswort", "gangswort"] {
        assert!(!bytes.windows(part.len()).any(|w| w == part.as_bytes()), "{part} is still there");
    }
}
