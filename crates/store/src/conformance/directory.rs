//! Rooms, lists, categories, users, groups.

use super::support::*;
use crate::projections::{Numbered, Snapshot};
use crate::{Store, StoreError};
use holdfast_domain::chain::Digest;
use holdfast_domain::room::Role;
use holdfast_domain::{CategoryId, Directory, EntryBody, PrincipalId, RoomId, Seq};
use std::sync::Arc;

pub(crate) async fn a_snapshot_is_what_a_replay_yields(store: Arc<dyn Store>) {
    assert!(store.snapshot().await.unwrap().rooms.is_empty());
    let pool = RoomId::POOL;
    let third = RoomId(3);
    let history = [
        (pool, category_named(1, "Desk")),
        (pool, category_named(2, "Floor")),
        (pool, user_named(10, "ana")),
        (pool, user_named(11, "bo")),
        (pool, group_named(12, "traders", &[10, 11])),
        (pool, group_named(13, "all", &[12])),
        (ROOM, room_named(ROOM, "Rates")),
        (ROOM, roles(Role::Member, &[ANA, BO, PrincipalId(12)], &[])),
        (ROOM, roles(Role::Manager, &[ANA], &[])),
        (OTHER, room_named(OTHER, "Équité")),
        (OTHER, roles(Role::Presenter, &[BO], &[])),
        (ROOM, roles(Role::Member, &[ANA], &[BO, ANA])),
        (ROOM, room_named(ROOM, "Bonds")),
        (third, room_named(third, "Rates")),
        (third, roles(Role::Member, &[ANA], &[])),
        (pool, category_named(2, "Floor two")),
        (pool, user_named(11, "bob")),
        (pool, user_named(14, "bo")),
        (pool, group_named(12, "dealers", &[11])),
        (pool, EntryBody::GroupDeleted { id: PrincipalId(13), name: "all".into() }),
        (pool, EntryBody::CategoryDeleted { id: CategoryId(1), name: "Desk".into() }),
        (
            pool,
            EntryBody::RoomDeleted { id: third, name: "Rates".into(), last_seq: Seq(2), last_hash: Digest([0; 32]) },
        ),
        (OTHER, room_named(OTHER, "Desk")),
    ];
    let mut directory = Directory::new();
    for (room, body) in history {
        directory.apply(room, &body);
        put(&*store, room, ANA, body).await;
        let snapshot = store.snapshot().await.unwrap();
        assert_eq!(format!("{snapshot:#?}"), format!("{:#?}", taken(&directory)));
    }
}

pub(crate) async fn names_are_unique(store: Arc<dyn Store>) {
    let pool = RoomId::POOL;
    put(&*store, pool, ANA, category_named(1, "Café")).await;
    put(&*store, pool, ANA, user_named(10, "ana")).await;
    put(&*store, pool, ANA, group_named(11, "desk", &[])).await;
    make_rooms(&*store, &[ROOM]).await;
    let refused = [
        (pool, category_named(2, "CAFE\u{301}")),
        (OTHER, room_named(OTHER, "café")),
        (OTHER, room_named(OTHER, "room 1")),
        (pool, category_named(2, "Room 1")),
        (pool, user_named(12, "ANA")),
        (pool, user_named(12, "Desk")),
        (pool, group_named(12, "Ana", &[])),
    ];
    for (room, body) in refused {
        let answer = store.append(vec![draft(room, ANA, body)]).await;
        assert!(matches!(&answer, Err(StoreError::Taken { what }) if what.contains("name")), "{answer:?}");
    }
    // A thing may keep its name, and give it another case.
    put(&*store, ROOM, ANA, room_named(ROOM, "ROOM 1")).await;
    put(&*store, pool, ANA, user_named(10, "Ana")).await;
    // A name that was given up is free, at once.
    let swap = vec![draft(ROOM, ANA, room_named(ROOM, "Second")), draft(OTHER, ANA, room_named(OTHER, "Room 1"))];
    write(&*store, swap).await;
}

pub(crate) async fn numbers_are_never_given_twice(store: Arc<dyn Store>) {
    assert_eq!(store.next_number(Numbered::Principal).await.unwrap(), PrincipalId::FIRST.0);
    assert_eq!(store.next_number(Numbered::Principal).await.unwrap(), PrincipalId::FIRST.0 + 1);
    assert_eq!(store.next_number(Numbered::Room).await.unwrap(), 1);
    assert_eq!(store.next_number(Numbered::Category).await.unwrap(), 1);
    // What is used without having been given is not given either.
    put(&*store, RoomId::POOL, ANA, group_named(1, "everyone", &[])).await;
    put(&*store, RoomId::POOL, ANA, user_named(10, "ana")).await;
    put(&*store, RoomId::POOL, ANA, category_named(5, "Desk")).await;
    make_rooms(&*store, &[RoomId(7)]).await;
    assert_eq!(store.next_number(Numbered::Principal).await.unwrap(), 11);
    assert_eq!(store.next_number(Numbered::Category).await.unwrap(), 6);
    assert_eq!(store.next_number(Numbered::Room).await.unwrap(), 8);
    // Not even when what had it is gone.
    let gone =
        EntryBody::RoomDeleted { id: RoomId(7), name: "Room 7".into(), last_seq: Seq(1), last_hash: Digest([0; 32]) };
    put(&*store, RoomId::POOL, ANA, gone).await;
    store.rebuild().await.unwrap();
    assert_eq!(store.next_number(Numbered::Room).await.unwrap(), 9);
}

fn taken(directory: &Directory) -> Snapshot {
    Snapshot {
        categories: directory.categories().cloned().collect(),
        rooms: directory.rooms().map(|r| (r.room.clone(), r.roles.clone())).collect(),
        users: directory.users().cloned().collect(),
        groups: directory.groups().cloned().collect(),
    }
}
