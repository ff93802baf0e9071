//! Looking after the store.

use super::support::*;
use crate::log::{Draft, From, Remember};
use crate::projections::Numbered;
use crate::{Store, StoreError};
use holdfast_domain::chain::Digest;
use holdfast_domain::room::Role;
use holdfast_domain::{EntryBody, RoomId, Seq};
use std::sync::Arc;

pub(crate) async fn facts_are_told(store: Arc<dyn Store>) {
    make_rooms(&*store, &[ROOM, OTHER]).await;
    put(&*store, ROOM, ANA, say("x")).await;
    let facts = store.facts().await.unwrap();
    assert_eq!((facts.entries, facts.messages), (3, 1));
    assert!(facts.bytes > 0 && !facts.engine.is_empty() && !facts.location.is_empty());
    store.check_writable().await.unwrap();
    assert_eq!(store.facts().await.unwrap().entries, 3);
}

pub(crate) async fn a_rebuild_changes_nothing(store: Arc<dyn Store>) {
    let pool = RoomId::POOL;
    store.rebuild().await.unwrap();
    make_rooms(&*store, &[ROOM, OTHER, RoomId(3)]).await;
    let history = [
        (pool, user_named(10, "ana")),
        (pool, group_named(12, "desk", &[10])),
        (pool, category_named(1, "Desk")),
        (ROOM, roles(Role::Member, &[ANA, BO], &[])),
        (ROOM, said("of old", at(-100))),
        (ROOM, naming("two", &[BO])),
        (ROOM, say("three")),
        (ROOM, edit(Seq(4), "two again")),
        (ROOM, say("four")),
        (ROOM, say("five")),
        (ROOM, EntryBody::Retraction { of: Seq(5), mark: None }),
        (ROOM, edit(Seq(7), "four again")),
        (ROOM, remove(&[Seq(7)], true)),
        (ROOM, remove(&[Seq(8)], false)),
        (ROOM, naming("nine", &[ANA])),
        (OTHER, naming("one", &[ANA])),
        (OTHER, say("two")),
        (OTHER, EntryBody::Purge { through: Seq(2) }),
        (OTHER, edit(Seq(2), "late")),
        (
            pool,
            EntryBody::RoomDeleted {
                id: RoomId(3),
                name: "Room 3".into(),
                last_seq: Seq(1),
                last_hash: Digest([0; 32]),
            },
        ),
        // Walked log by log, these names meet; one by one, they did not.
        (ROOM, room_named(ROOM, "Room 3")),
        (OTHER, room_named(OTHER, "Room 1")),
    ];
    for (room, body) in history {
        put(&*store, room, ANA, body).await;
    }
    store.mark_read(vec![(BO, ROOM, Seq(3)), (ANA, OTHER, Seq(1))]).await.unwrap();
    let sent = Draft { remember: Remember::ForEver, ..draft(ROOM, ANA, say("sent")) };
    write(&*store, vec![sent.clone()]).await;
    let next = store.next_number(Numbered::Room).await.unwrap();

    let before = everything(&*store).await;
    store.rebuild().await.unwrap();
    assert_eq!(everything(&*store).await, before);
    for room in [pool, ROOM, OTHER] {
        assert_eq!(faults(&*store, room).await, []);
    }
    assert_eq!(store.next_number(Numbered::Room).await.unwrap(), next + 1);
    assert!(store.find_sent(ROOM, ANA, sent.client_id).await.unwrap().is_some());
    let refused = store.append(vec![draft(RoomId(3), ANA, room_named(RoomId(3), "New"))]).await;
    assert!(matches!(refused, Err(StoreError::Missing { .. })));
}

pub(crate) async fn a_closed_store_says_so(store: Arc<dyn Store>) {
    make_rooms(&*store, &[ROOM]).await;
    store.close().await.unwrap();
    let read = store.page(ROOM, From::Latest, 1).await;
    assert!(matches!(read, Err(StoreError::Unavailable { .. })), "{read:?}");
    let written = store.append(vec![draft(ROOM, ANA, say("x"))]).await;
    assert!(matches!(written, Err(StoreError::Unavailable { .. })), "{written:?}");
    assert!(matches!(store.check_writable().await, Err(StoreError::Unavailable { .. })));
    assert!(matches!(store.close().await, Ok(()) | Err(StoreError::Unavailable { .. })));
}
