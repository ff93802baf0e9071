//! Uploaded files.

use super::direct::{CY, whisper};
use super::support::*;
use crate::direct::NewDirect;
use crate::files::NewFile;
use crate::{Store, StoreError};
use bytes::Bytes;
use holdfast_domain::chain::Digest;
use holdfast_domain::entry::{Edit, FileRef, Message};
use holdfast_domain::{EntryBody, FileId, RoomId, Seq};
use std::sync::Arc;
use uuid::Uuid;

pub(crate) async fn a_file_is_seen_when_it_is_complete(store: Arc<dyn Store>) {
    let file = reference(1);
    begin(&*store, file.id, ROOM, at(5)).await;
    let again = NewFile { id: file.id, room: ROOM, by: ANA, at: at(5), bytes: 1 };
    assert!(matches!(store.begin_file(again, u64::MAX).await, Err(StoreError::Taken { .. })));
    store.put_chunk(file.id, 1, Bytes::from_static(b"rest")).await.unwrap();
    assert!(store.file(file.id).await.unwrap().is_none());
    assert!(store.chunk(file.id, 1).await.unwrap().is_none());
    // A part of it is not there yet.
    assert!(matches!(store.finish_file(file.clone(), None).await, Err(StoreError::Missing { .. })));
    store.put_chunk(file.id, 0, Bytes::from_static(b"wrong, and again")).await.unwrap();
    store.put_chunk(file.id, 0, Bytes::from_static(b"begin-")).await.unwrap();
    store.finish_file(file.clone(), Some(Bytes::from_static(b"small"))).await.unwrap();

    let stored = store.file(file.id).await.unwrap().unwrap();
    assert_eq!(
        (stored.file, stored.room, stored.by, stored.at, stored.message),
        (file.clone(), ROOM, ANA, at(5), None)
    );
    assert_eq!(store.chunk(file.id, 0).await.unwrap().as_deref(), Some(&b"begin-"[..]));
    assert_eq!(store.chunk(file.id, 1).await.unwrap().as_deref(), Some(&b"rest"[..]));
    assert!(store.chunk(file.id, 2).await.unwrap().is_none());
    assert_eq!(store.thumbnail(file.id).await.unwrap().as_deref(), Some(&b"small"[..]));

    // Complete is complete.
    let late = store.put_chunk(file.id, 2, Bytes::from_static(b"late")).await;
    assert!(matches!(late, Err(StoreError::Missing { .. })), "{late:?}");
    store.abandon_file(file.id).await.unwrap();
    assert!(store.file(file.id).await.unwrap().is_some());

    let other = reference(2);
    assert!(matches!(store.put_chunk(other.id, 0, Bytes::new()).await, Err(StoreError::Missing { .. })));
    begin(&*store, other.id, ROOM, at(6)).await;
    store.abandon_file(other.id).await.unwrap();
    assert!(matches!(store.finish_file(other, None).await, Err(StoreError::Missing { .. })));
}

pub(crate) async fn a_message_takes_its_files(store: Arc<dyn Store>) {
    make_rooms(&*store, &[ROOM, OTHER]).await;
    for n in 1..=4 {
        upload(&*store, n, ROOM).await;
    }
    let with = |files: &[u128]| {
        let files = files.iter().map(|n| reference(*n)).collect();
        EntryBody::Message(Message { text: "see".into(), files, ..Message::default() })
    };
    let sent = draft(ROOM, ANA, with(&[1, 2]));
    let seq = write(&*store, vec![sent.clone()]).await[0].seq;
    assert_eq!(store.file(reference(1).id).await.unwrap().unwrap().message, Some(seq));
    // Sent again it takes nothing, and is no error.
    write(&*store, vec![sent]).await;

    let begun = reference(9);
    begin(&*store, begun.id, ROOM, at(0)).await;
    for (room, files) in [(ROOM, &[3, 1][..]), (OTHER, &[3]), (ROOM, &[9]), (ROOM, &[77]), (ROOM, &[3, 3])] {
        let refused = store.append(vec![draft(room, ANA, with(files))]).await;
        assert!(matches!(refused, Err(StoreError::Missing { .. })), "{refused:?}");
    }
    let last = put(&*store, ROOM, ANA, with(&[3])).await;
    let listed = async |before, limit| {
        let files = store.files_in(ROOM, before, limit).await.unwrap();
        files.iter().map(|f| f.file.id.0.as_u128()).collect::<Vec<_>>()
    };
    assert_eq!(listed(None, 10).await.len(), 3);
    assert_eq!(listed(None, 1).await, [3]);
    assert_eq!(listed(Some(last), 10).await.len(), 2);
    assert!(listed(Some(seq), 10).await.is_empty());
    assert!(store.files_in(OTHER, None, 10).await.unwrap().is_empty());
}

pub(crate) async fn an_edit_gives_and_takes_files(store: Arc<dyn Store>) {
    make_rooms(&*store, &[ROOM]).await;
    for n in 1..=4 {
        upload(&*store, n, ROOM).await;
    }
    let named = |files: &[u128]| files.iter().map(|n| reference(*n)).collect::<Vec<_>>();
    let with =
        |files: &[u128]| EntryBody::Message(Message { text: "see".into(), files: named(files), ..Message::default() });
    let (seq, other) = (put(&*store, ROOM, ANA, with(&[1])).await, put(&*store, ROOM, ANA, with(&[4])).await);
    let edit = |files: Option<&[u128]>| {
        EntryBody::Edit(Edit { of: seq, text: "seen".into(), files: files.map(named), ..Edit::default() })
    };
    let now = async || {
        let row = store.rows(ROOM, vec![seq]).await.unwrap().remove(0);
        row.files_now().iter().map(|f| f.id.0.as_u128()).collect::<Vec<_>>()
    };
    let whose = async |n| store.file(reference(n).id).await.unwrap().unwrap().message;

    put(&*store, ROOM, ANA, edit(None)).await;
    assert_eq!(now().await, [1]);
    put(&*store, ROOM, ANA, edit(Some(&[1, 2]))).await;
    assert_eq!((now().await, whose(2).await), (vec![1, 2], Some(seq)));
    // What it takes away stays in the records, and may come back.
    put(&*store, ROOM, ANA, edit(Some(&[2]))).await;
    assert_eq!((now().await, whose(1).await), (vec![2], Some(seq)));
    put(&*store, ROOM, ANA, edit(Some(&[]))).await;
    assert!(now().await.is_empty());
    put(&*store, ROOM, ANA, edit(Some(&[2, 1]))).await;
    for taken in [4, 77] {
        let refused = store.append(vec![draft(ROOM, ANA, edit(Some(&[taken])))]).await;
        assert!(matches!(refused, Err(StoreError::Missing { .. })), "{refused:?}");
    }
    store.rebuild().await.unwrap();
    assert_eq!((now().await, whose(1).await, whose(2).await), (vec![2, 1], Some(seq), Some(seq)));
    assert_eq!((whose(3).await, whose(4).await), (None, Some(other)));
    assert_eq!(store.files_in(ROOM, None, 10).await.unwrap().len(), 3);

    put(&*store, ROOM, ANA, remove(&[seq], true)).await;
    assert!(
        store.file(reference(1).id).await.unwrap().is_none() && store.file(reference(2).id).await.unwrap().is_none()
    );
}

pub(crate) async fn files_go_with_what_is_erased(store: Arc<dyn Store>) {
    make_rooms(&*store, &[ROOM]).await;
    let mut seqs = Vec::new();
    for n in 1..=4 {
        upload(&*store, n, ROOM).await;
        let message = Message { text: "see".into(), files: vec![reference(n)], ..Message::default() };
        seqs.push(put(&*store, ROOM, ANA, EntryBody::Message(message)).await);
    }
    let there = async |n| store.file(reference(n).id).await.unwrap().is_some();
    let listed = async || store.files_in(ROOM, None, 10).await.unwrap().len();

    put(&*store, ROOM, ANA, EntryBody::Retraction { of: seqs[3], mark: None }).await;
    put(&*store, ROOM, ANA, remove(&[seqs[2]], false)).await;
    assert!(there(4).await && there(3).await);
    assert_eq!(listed().await, 2);
    put(&*store, ROOM, ANA, remove(&[seqs[2]], true)).await;
    assert!(!there(3).await);
    put(&*store, ROOM, ANA, EntryBody::Purge { through: seqs[0] }).await;
    assert!(!there(1).await && there(2).await);
    assert!(store.chunk(reference(1).id, 0).await.unwrap().is_none());
    assert_eq!(listed().await, 1);

    let gone = EntryBody::RoomDeleted { id: ROOM, name: "Room 1".into(), last_seq: Seq(1), last_hash: Digest([0; 32]) };
    put(&*store, RoomId::POOL, ANA, gone).await;
    assert!(!there(2).await && !there(4).await);
}

pub(crate) async fn loose_files_are_swept(store: Arc<dyn Store>) {
    make_rooms(&*store, &[ROOM]).await;
    for n in 1..=25 {
        upload(&*store, n, ROOM).await;
    }
    let begun = reference(99);
    begin(&*store, begun.id, ROOM, at(99)).await;
    store.put_chunk(begun.id, 0, Bytes::from_static(b"x")).await.unwrap();
    let message = Message { text: "see".into(), files: vec![reference(2)], ..Message::default() };
    put(&*store, ROOM, ANA, EntryBody::Message(message)).await;

    assert_eq!(store.sweep_files(at(2), at(0)).await.unwrap(), 1);
    assert_eq!(store.sweep_files(at(1000), at(0)).await.unwrap(), 24);
    assert_eq!(store.sweep_files(at(1000), at(0)).await.unwrap(), 0);
    assert!(store.file(reference(2).id).await.unwrap().is_some());
    assert!(store.thumbnail(reference(3).id).await.unwrap().is_none());
}

pub(crate) async fn a_file_of_no_room_goes_with_the_first_message_that_says_it(store: Arc<dyn Store>) {
    make_rooms(&*store, &[ROOM, OTHER]).await;
    for n in 1..=5 {
        upload(&*store, n, RoomId::POOL).await;
    }
    let with = |n| EntryBody::Message(Message { text: "see".into(), files: vec![reference(n)], ..Message::default() });
    let whose = async |n| {
        let stored = store.file(reference(n).id).await.unwrap().unwrap();
        (stored.room, stored.message.map(|seq| seq.0))
    };
    // In a room it is the room's from then on.
    let seq = put(&*store, ROOM, ANA, with(1)).await;
    assert_eq!(whose(1).await, (ROOM, Some(seq.0)));
    assert_eq!(store.files_in(ROOM, None, 10).await.unwrap().len(), 1);
    assert!(matches!(store.append(vec![draft(OTHER, ANA, with(1))]).await, Err(StoreError::Missing { .. })));

    // Between two it is theirs, if its author says it and it is nobody's yet.
    let saying = |from, files: &[u128]| {
        let files = files.iter().map(|n| reference(*n).id).collect();
        NewDirect { files, ..whisper(from, BO, "see", 1) }
    };
    let kept = store.add_direct(vec![saying(CY, &[2]), saying(ANA, &[1, 2, 3, 77])]).await.unwrap();
    let id = kept[1].direct().id;
    assert_eq!([whose(1).await, whose(2).await], [(ROOM, Some(seq.0)), (RoomId::POOL, Some(id))]);
    store.add_direct(vec![saying(ANA, &[2])]).await.unwrap();
    assert_eq!(whose(2).await.1, Some(id), "the first that said it has it");
    assert!(matches!(store.append(vec![draft(ROOM, ANA, with(2))]).await, Err(StoreError::Missing { .. })));
    assert!(store.files_in(RoomId::POOL, None, 10).await.unwrap().is_empty());
    store.rebuild().await.unwrap();
    assert_eq!([whose(1).await, whose(2).await], [(ROOM, Some(seq.0)), (RoomId::POOL, Some(id))]);

    // What nobody said goes later than what was meant for a room.
    upload(&*store, 9, ROOM).await;
    begin(&*store, reference(10).id, RoomId::POOL, at(10)).await;
    assert_eq!(store.sweep_files(at(1000), at(5)).await.unwrap(), 3);
    assert_eq!(whose(5).await, (RoomId::POOL, None));
    assert!(store.file(reference(4).id).await.unwrap().is_none());
    assert_eq!(store.sweep_files(at(1000), at(6)).await.unwrap(), 1);
    assert!(store.file(reference(2).id).await.unwrap().is_some());
}

pub(crate) async fn unsent_files_are_bounded(store: Arc<dyn Store>) {
    make_rooms(&*store, &[ROOM]).await;
    let begin = async |n, by, room, bytes, most| {
        store.begin_file(NewFile { id: reference(n).id, room, by, at: at(0), bytes }, most).await.unwrap()
    };
    assert!(begin(1, ANA, ROOM, 60, 100).await);
    assert!(!begin(2, ANA, RoomId::POOL, 41, 100).await);
    assert!(begin(3, ANA, RoomId::POOL, 40, 100).await && begin(4, BO, ROOM, 100, 100).await);
    assert!(!begin(5, BO, ROOM, 1, 100).await && !begin(5, CY, ROOM, 101, 100).await);
    assert_eq!(store.unsent_bytes(ANA).await.unwrap(), 100);
    // A complete file is as large as it is, and one that went with a message is no concern of this.
    store.put_chunk(reference(1).id, 0, Bytes::from_static(b"begin-rest")).await.unwrap();
    store.finish_file(reference(1), None).await.unwrap();
    assert_eq!(store.unsent_bytes(ANA).await.unwrap(), 50);
    put(&*store, ROOM, ANA, EntryBody::Message(Message { files: vec![reference(1)], ..Message::default() })).await;
    assert_eq!(store.unsent_bytes(ANA).await.unwrap(), 40);
    assert_eq!(store.unsent_bytes(CY).await.unwrap(), 0);
}

pub(crate) async fn addresses_have_a_key(store: Arc<dyn Store>) {
    let key = store.address_key().await.unwrap();
    assert_eq!(store.address_key().await.unwrap(), key);
    assert!(key.iter().filter(|byte| **byte == 0).count() < 8, "{key:?}");
    store.put_address_key([7; 32]).await.unwrap();
    assert_eq!(store.address_key().await.unwrap(), [7; 32]);
}

pub(super) fn reference(n: u128) -> FileRef {
    FileRef {
        id: FileId(Uuid::from_u128(n)),
        name: format!("file {n}.txt"),
        bytes: 10,
        media_type: "text/plain".into(),
        sha256: Digest::of(b"begin-rest"),
        width: None,
        height: None,
        thumbnail: false,
    }
}

/// A complete file, uploaded `n` milliseconds after the start.
pub(super) async fn upload(store: &dyn Store, n: u128, room: RoomId) {
    let file = reference(n);
    begin(store, file.id, room, at(i64::try_from(n).unwrap())).await;
    store.put_chunk(file.id, 0, Bytes::from_static(b"begin-rest")).await.unwrap();
    store.finish_file(file, Some(Bytes::from_static(b"small"))).await.unwrap();
}
