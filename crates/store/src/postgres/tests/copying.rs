//! Moving a pool from the embedded store.

use super::{new_database, open};
use crate::accounts::{ScramKeys, Sha1Keys, SignIn, Token, Webhook};
use crate::conformance::direct::{all_of, whisper};
use crate::conformance::support::*;
use crate::copy::{Progress, copy};
use crate::items::Item;
use crate::log::From;
use crate::personal::Invitation;
use crate::projections::Numbered;
use crate::sqlite::{SqliteOptions, SqliteStore};
use crate::{
    DirectMessages as _, Files as _, Maintenance as _, Personal as _, Projections as _, RoomLog as _, Store, StoreError,
};
use bytes::Bytes;
use holdfast_domain::chain::Digest;
use holdfast_domain::entry::{FileRef, Message};
use holdfast_domain::room::Role;
use holdfast_domain::{EntryBody, FileId, RoomId, Seq};
use std::sync::Mutex;

const FILE: FileId = FileId(uuid::Uuid::from_u128(77));

#[tokio::test]
async fn a_copy_holds_everything_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let from = SqliteStore::open(dir.path(), SqliteOptions { durable: false, readers: 1 }).unwrap();
    fill(&from).await;
    let to = open(&new_database().await).await;

    let told: Mutex<Vec<Progress>> = Mutex::default();
    let copied = copy(&from, &to, &|p| told.lock().unwrap().push(p)).await.unwrap();
    assert_eq!((copied.logs, copied.there_before), (3, 0));
    assert!(told.lock().unwrap().iter().any(|p| p.what == "entries" && p.done == p.all && p.all == copied.entries));
    assert_eq!(to.is_being_filled().await.unwrap(), None);

    assert_eq!(everything(&to).await, everything(&from).await);
    for room in [RoomId::POOL, ROOM, OTHER] {
        assert_eq!(faults(&to, room).await, []);
    }
    assert_eq!(beside_the_logs(&to).await, beside_the_logs(&from).await);
    assert_eq!(to.chunk(FILE, 0).await.unwrap().unwrap(), Bytes::from_static(b"abc"));
    // What comes next is numbered on.
    let next = from.next_number(Numbered::Room).await.unwrap();
    assert_eq!(to.next_number(Numbered::Room).await.unwrap(), next);
    let own = to.invite(vec![invitation(OTHER)]).await.unwrap();
    assert!(own[0].id > 1);
    put(&to, ROOM, ANA, say("goes on")).await;
    let last = all_of(&to, ANA).await.pop().unwrap();
    let next = to.add_direct(vec![whisper(ANA, BO, "goes on", -9)]).await.unwrap().remove(0);
    assert_eq!((next.direct().id, next.direct().at), (last.id + 1, last.at));

    let again = copy(&from, &to, &|_| {}).await;
    assert!(matches!(again, Err(StoreError::Taken { .. })), "{again:?}");
}

#[tokio::test]
async fn a_copy_that_broke_off_goes_on_where_it_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let from = SqliteStore::open(dir.path(), SqliteOptions { durable: false, readers: 1 }).unwrap();
    fill(&from).await;
    let to = open(&new_database().await).await;
    // So much was there when it broke off.
    to.begin_filling(&from.facts().await.unwrap().location).await.unwrap();
    to.load(from.stored(RoomId::POOL, Seq::ZERO, 100).await.unwrap()).await.unwrap();
    to.load(from.stored(ROOM, Seq::ZERO, 2).await.unwrap()).await.unwrap();
    assert!(to.is_being_filled().await.unwrap().is_some());

    let copied = copy(&from, &to, &|_| {}).await.unwrap();
    assert!(copied.there_before > 2);
    assert_eq!(everything(&to).await, everything(&from).await);
    assert_eq!(beside_the_logs(&to).await, beside_the_logs(&from).await);
}

#[tokio::test]
async fn a_damaged_source_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let from = SqliteStore::open(dir.path(), SqliteOptions { durable: false, readers: 1 }).unwrap();
    fill(&from).await;
    let raw = rusqlite::Connection::open(dir.path().join("holdfast.db")).unwrap();
    raw.execute("UPDATE entry SET payload = '{\"text\":\"changed\"}' WHERE id = (1 << 36) + 2", []).unwrap();
    let to = open(&new_database().await).await;
    let refused = copy(&from, &to, &|_| {}).await.unwrap_err();
    assert!(matches!(&refused, StoreError::Corrupt { what } if what.contains("entry 2 of room 1")), "{refused}");
    assert!(to.is_being_filled().await.unwrap().is_some());
}

async fn fill(store: &dyn Store) {
    put(store, RoomId::POOL, ANA, user_named(10, "ana")).await;
    put(store, RoomId::POOL, ANA, category_named(1, "Desk")).await;
    make_rooms(store, &[ROOM, OTHER]).await;
    put(store, ROOM, ANA, roles(Role::Member, &[ANA, BO], &[])).await;
    let of = put(store, ROOM, ANA, naming("two", &[BO])).await;
    put(store, ROOM, ANA, edit(of, "two again")).await;
    put(store, ROOM, ANA, said("of old", at(-100))).await;
    let gone = put(store, ROOM, ANA, say("secret")).await;
    put(store, ROOM, ANA, remove(&[gone], true)).await;
    let file = file_ref();
    begin(store, FILE, ROOM, at(1)).await;
    store.put_chunk(FILE, 0, Bytes::from_static(b"abc")).await.unwrap();
    store.finish_file(file.clone(), Some(Bytes::from_static(b"small"))).await.unwrap();
    put(store, ROOM, ANA, EntryBody::Message(Message { files: vec![file], ..Message::default() })).await;
    store.follow(BO, vec![ROOM, OTHER]).await.unwrap();
    store.mark_read(vec![(ANA, ROOM, Seq(3))]).await.unwrap();
    store.invite(vec![invitation(ROOM)]).await.unwrap();
    store.put_preferences(ANA, "{\"theme\":\"dark\"}".into()).await.unwrap();
    let items = ["b", "a"].map(|id| Item { id: id.into(), at: at(1), payload: "<a/>".into() });
    store.put_items(ANA, "node".into(), items.to_vec(), 9).await.unwrap();
    store.add_direct((1..=3).map(|n| whisper(ANA, BO, &format!("message {n}"), n)).collect()).await.unwrap();
    let keys = ScramKeys { salt: vec![1, 2], iterations: 9, stored_key: [3; 32], server_key: [4; 32] };
    store.set_password(ANA, Some(keys)).await.unwrap();
    let old = Sha1Keys { salt: vec![1], iterations: 9, stored_key: [5; 20], server_key: [6; 20] };
    store.put_sha1_keys(ANA, [3; 32], old).await.unwrap();
    store.add_sign_in(sign_in()).await.unwrap();
    store
        .add_token(Token {
            id: 0,
            secret: Digest([8; 32]),
            user: BO,
            label: "t".into(),
            scopes: vec!["read".into()],
            created_at: at(1),
            expires_at: None,
            last_used_at: None,
        })
        .await
        .unwrap();
    store
        .add_webhook(Webhook {
            id: 0,
            secret: Digest([9; 32]),
            room: ROOM,
            author: BO,
            label: "w".into(),
            created_at: at(1),
        })
        .await
        .unwrap();
}

fn invitation(room: RoomId) -> Invitation {
    Invitation { id: 0, user: BO, room, by: ANA, at: at(5), seen: false }
}

fn sign_in() -> SignIn {
    SignIn {
        id: 0,
        secret: Digest([7; 32]),
        user: ANA,
        created_at: at(1),
        last_seen_at: at(2),
        expires_at: at(9_999),
        agent: "browser".into(),
        address: "::1".into(),
    }
}

async fn beside_the_logs(store: &dyn Store) -> String {
    let credentials = store.credentials(ANA).await.unwrap();
    let scram = credentials.scram.unwrap();
    format!(
        "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        (scram.salt, scram.iterations, scram.stored_key, scram.server_key),
        store.sign_ins(ANA, at(3)).await.unwrap(),
        store.tokens(BO).await.unwrap(),
        store.webhooks(ROOM).await.unwrap(),
        store.followed(BO).await.unwrap(),
        store.readings(BO, vec![ROOM, OTHER]).await.unwrap(),
        store.invitations(BO).await.unwrap(),
        store.preferences(ANA).await.unwrap(),
        store.items_everywhere("node").await.unwrap(),
        all_of(store, BO).await,
        store.file(FILE).await.unwrap(),
        store.thumbnail(FILE).await.unwrap(),
        store.page(ROOM, From::Latest, 100).await.unwrap().rows.len(),
    )
}

fn file_ref() -> FileRef {
    FileRef {
        id: FILE,
        name: "a.txt".into(),
        bytes: 3,
        media_type: "text/plain".into(),
        sha256: Digest::of(b"abc"),
        width: None,
        height: None,
        thumbnail: true,
    }
}
