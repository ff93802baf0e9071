//! What later entries make of messages.

use super::support::*;
use crate::log::{From, Gone};
use crate::personal::Invitation;
use crate::search::{Order, Query, Words};
use crate::{Store, StoreError};
use holdfast_domain::chain::{Digest, Payload};
use holdfast_domain::entry::{Edit, Removal};
use holdfast_domain::{EntryBody, RoomId, Seq};
use std::sync::Arc;

pub(crate) async fn the_latest_edit_is_shown(store: Arc<dyn Store>) {
    make_rooms(&*store, &[ROOM]).await;
    let message = put(&*store, ROOM, ANA, say("first")).await;
    let untouched = put(&*store, ROOM, ANA, say("untouched")).await;
    let second = put(&*store, ROOM, ANA, edit(message, "second")).await;
    let body =
        Edit { of: message, text: "third".into(), title: Some("Title".into()), mentions: vec![BO], ..Edit::default() };
    let third = put(&*store, ROOM, ANA, EntryBody::Edit(body)).await;

    let row = row(&*store, ROOM, message).await;
    assert_eq!(row.entry.body, Some(say("first")));
    let edited = row.edited.unwrap();
    assert_eq!((edited.seq, edited.text.as_str(), edited.title.as_deref()), (third, "third", Some("Title")));
    assert_eq!(edited.mentions, [BO]);
    let page = store.page(ROOM, From::Latest, 10).await.unwrap();
    assert_eq!(page.rows.iter().filter(|r| r.edited.is_some()).count(), 1);
    let edits: Vec<Seq> = store.edits_of(ROOM, message).await.unwrap().iter().map(|e| e.seq).collect();
    assert_eq!(edits, [second, third]);
    assert!(store.edits_of(ROOM, untouched).await.unwrap().is_empty());
}

pub(crate) async fn a_purge_beats_a_removal_beats_a_retraction(store: Arc<dyn Store>) {
    make_rooms(&*store, &[ROOM]).await;
    let of = put(&*store, ROOM, ANA, say("x")).await;
    let how = async || row(&*store, ROOM, of).await.removed.map(|r| (r.how, r.seq));

    assert_eq!(how().await, None);
    let retraction = put(&*store, ROOM, ANA, EntryBody::Retraction { of, mark: None }).await;
    assert_eq!(how().await, Some((Gone::Retracted, retraction)));
    put(&*store, ROOM, BO, remove(&[of], false)).await;
    let removal = put(&*store, ROOM, BO, remove(&[of], false)).await;
    assert_eq!(how().await, Some((Gone::Removed, removal)));
    put(&*store, ROOM, ANA, EntryBody::Retraction { of, mark: None }).await;
    let removed = row(&*store, ROOM, of).await.removed.unwrap();
    assert_eq!((removed.how, removed.seq, removed.by), (Gone::Removed, removal, BO));
    assert_eq!(removed.reason.as_deref(), Some("a reason"));
    assert_eq!(removed.replacement.as_deref(), Some("This message was removed."));
    let purge = put(&*store, ROOM, BO, EntryBody::Purge { through: of }).await;
    put(&*store, ROOM, BO, remove(&[of], false)).await;
    assert_eq!(how().await, Some((Gone::Purged, purge)));
    let again = put(&*store, ROOM, BO, EntryBody::Purge { through: of }).await;
    assert_eq!(how().await, Some((Gone::Purged, again)));
    assert_eq!(faults(&*store, ROOM).await, []);
}

pub(crate) async fn what_is_no_earlier_message_is_not_amended(store: Arc<dyn Store>) {
    make_rooms(&*store, &[ROOM]).await;
    let of = Seq(20);
    for seq in [Seq(1), Seq(i64::MAX), Seq(-5), Seq::ZERO, of] {
        put(&*store, ROOM, ANA, edit(seq, "x")).await;
        put(&*store, ROOM, ANA, EntryBody::Retraction { of: seq, mark: None }).await;
        put(&*store, ROOM, ANA, remove(&[seq], true)).await;
    }
    put(&*store, ROOM, ANA, EntryBody::Purge { through: Seq::ZERO }).await;
    while store.head(ROOM).await.unwrap().seq < of {
        put(&*store, ROOM, ANA, say("later")).await;
    }
    assert!(
        rows(&*store, ROOM).await.iter().all(|r| r.edited.is_none() && r.removed.is_none() && r.entry.body.is_some())
    );
    assert_eq!(faults(&*store, ROOM).await, []);
}

pub(crate) async fn a_purge_erases_and_the_chain_holds(store: Arc<dyn Store>) {
    make_rooms(&*store, &[ROOM]).await;
    let first = put(&*store, ROOM, ANA, naming("secret one", &[BO])).await;
    put(&*store, ROOM, ANA, edit(first, "secret two")).await;
    let removal = put(&*store, ROOM, ANA, remove(&[first], false)).await;
    let last = put(&*store, ROOM, ANA, say("secret three")).await;
    let kept = put(&*store, ROOM, ANA, say("kept")).await;
    let late = put(&*store, ROOM, ANA, edit(last, "secret four")).await;
    let before = store.head(ROOM).await.unwrap();
    let purge = put(&*store, ROOM, BO, EntryBody::Purge { through: last }).await;

    let all = rows(&*store, ROOM).await;
    let erased: Vec<i64> = all.iter().filter(|r| r.entry.body.is_none()).map(|r| r.entry.seq.0).collect();
    assert_eq!(erased, (first.0..=last.0).collect::<Vec<_>>());
    assert!(all.iter().all(|r| r.edited.is_none()));
    let removed: Vec<(Seq, Seq)> = all.iter().filter_map(|r| Some((r.entry.seq, r.removed.as_ref()?.seq))).collect();
    assert_eq!(removed, [(first, purge), (last, purge)]);
    assert!(row(&*store, ROOM, kept).await.entry.body.is_some());
    assert!(row(&*store, ROOM, late).await.entry.body.is_some());
    assert!(row(&*store, ROOM, removal).await.entry.body.is_none());
    assert!(store.edits_of(ROOM, first).await.unwrap().is_empty());

    let stored = store.stored(ROOM, Seq(first.0 - 1), 1).await.unwrap().remove(0);
    assert_eq!(stored.payload, Payload::Erased(Digest::of(naming("secret one", &[BO]).encode().as_bytes())));
    assert_eq!(faults(&*store, ROOM).await, []);
    let after = store.head(ROOM).await.unwrap();
    assert_eq!((after.messages, after.last_message_at), (before.messages, before.last_message_at));
    assert!(store.mentions(BO, vec![ROOM], None, 10).await.unwrap().found.is_empty());
    assert_eq!(found(&*store, "secret").await, []);
    assert_eq!(found(&*store, "kept").await, [kept]);
}

pub(crate) async fn an_erasing_removal_takes_the_edits_along(store: Arc<dyn Store>) {
    make_rooms(&*store, &[ROOM]).await;
    let of = put(&*store, ROOM, ANA, say("password")).await;
    let other = put(&*store, ROOM, ANA, say("other")).await;
    let one = put(&*store, ROOM, ANA, edit(of, "pass word")).await;
    let theirs = put(&*store, ROOM, ANA, edit(other, "others")).await;
    let two = put(&*store, ROOM, ANA, edit(of, "pass")).await;
    let removal = put(&*store, ROOM, BO, remove(&[of], true)).await;

    // The log says which edits went, so that their going can be explained.
    let Some(EntryBody::Removal(Removal { of: gone, .. })) = row(&*store, ROOM, removal).await.entry.body else {
        panic!("the removal is there")
    };
    assert_eq!(gone, [of, one, two]);
    let erased: Vec<Seq> =
        rows(&*store, ROOM).await.iter().filter(|r| r.entry.body.is_none()).map(|r| r.entry.seq).collect();
    assert_eq!(erased, [of, one, two]);
    let row = row(&*store, ROOM, of).await;
    assert!(row.edited.is_none());
    assert_eq!(row.removed.unwrap().how, Gone::Removed);
    assert_eq!(store.edits_of(ROOM, other).await.unwrap()[0].seq, theirs);
    assert_eq!(faults(&*store, ROOM).await, []);
}

pub(crate) async fn an_erasure_without_reason_is_found(store: Arc<dyn Store>) {
    make_rooms(&*store, &[ROOM]).await;
    let of = put(&*store, ROOM, ANA, say("x")).await;
    put(&*store, ROOM, ANA, remove(&[of], true)).await;
    // Seen without the removal that explains it, the erasure is a fault.
    let mut verifier = holdfast_domain::chain::Verifier::new(ROOM);
    let stored = store.stored(ROOM, Seq::ZERO, 2).await.unwrap();
    assert!(stored.iter().flat_map(|s| verifier.check(s)).next().is_none());
    let faults = verifier.finish(of, stored[1].hash);
    assert_eq!(faults.iter().map(|f| f.seq).collect::<Vec<_>>(), [of]);
}

pub(crate) async fn a_deleted_room_leaves_nothing(store: Arc<dyn Store>) {
    make_rooms(&*store, &[ROOM, OTHER]).await;
    put(&*store, OTHER, ANA, naming("kept", &[BO])).await;
    let untouched = format!("{:?}", rows(&*store, OTHER).await);
    let sent = draft(ROOM, ANA, naming("gone", &[BO]));
    write(&*store, vec![sent.clone()]).await;
    put(&*store, ROOM, ANA, edit(Seq(2), "gone for good")).await;
    store.follow(BO, vec![ROOM, OTHER]).await.unwrap();
    let invitation = Invitation { id: 0, user: BO, room: ROOM, by: ANA, at: at(0), seen: false };
    store.invite(vec![invitation]).await.unwrap();
    let end = store.head(ROOM).await.unwrap();

    let body =
        EntryBody::RoomDeleted { id: ROOM, name: "Room 1".into(), last_seq: Seq::ZERO, last_hash: Digest([0; 32]) };
    let record = put(&*store, RoomId::POOL, ANA, body.clone()).await;
    // The store fills in the end that the log really had.
    let Some(EntryBody::RoomDeleted { last_seq, last_hash, .. }) = row(&*store, RoomId::POOL, record).await.entry.body
    else {
        panic!("the record is there")
    };
    assert_eq!((last_seq, last_hash), (end.seq, end.hash));

    assert_eq!(store.head(ROOM).await.unwrap().seq, Seq::ZERO);
    assert!(store.heads().await.unwrap().iter().all(|(room, _)| *room != ROOM));
    assert!(rows(&*store, ROOM).await.is_empty());
    assert!(store.find_sent(ROOM, ANA, sent.client_id).await.unwrap().is_none());
    assert_eq!(store.followed(BO).await.unwrap(), [OTHER]);
    assert!(store.followers(ROOM).await.unwrap().is_empty());
    assert!(store.invitations(BO).await.unwrap().is_empty());
    assert!(store.snapshot().await.unwrap().rooms.iter().all(|(room, _)| room.id != ROOM));
    let mentions = store.mentions(BO, vec![ROOM, OTHER], None, 10).await.unwrap();
    assert_eq!(mentions.found.len(), 1);
    assert_eq!(found(&*store, "gone").await, []);
    assert_eq!(format!("{:?}", rows(&*store, OTHER).await), untouched);

    // It is over: neither goes it on, nor does it begin again, nor is it deleted twice. Its name is free.
    for (room, body) in [(ROOM, say("x")), (ROOM, room_named(ROOM, "Room 1")), (RoomId::POOL, body)] {
        let refused = store.append(vec![draft(room, ANA, body)]).await;
        assert!(matches!(refused, Err(StoreError::Missing { .. })), "{refused:?}");
    }
    put(&*store, RoomId(3), ANA, room_named(RoomId(3), "Room 1")).await;
    assert_eq!(faults(&*store, RoomId::POOL).await, []);
}

async fn found(store: &dyn Store, text: &str) -> Vec<Seq> {
    let query = Query {
        text: text.into(),
        words: Words::All,
        rooms: vec![ROOM, OTHER],
        authors: Vec::new(),
        from: None,
        until: None,
        order: Order::Oldest,
        after: None,
        limit: 100,
    };
    store.search(query).await.unwrap().found.iter().map(|f| f.row.entry.seq).collect()
}
