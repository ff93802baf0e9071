//! The logs: writing and reading them.

use super::support::*;
use crate::log::{Appended, Draft, From, Page, Remember};
use crate::{Store, StoreError};
use holdfast_domain::chain::{Digest, Payload, genesis};
use holdfast_domain::{RoomId, Seq, Time};
use std::sync::Arc;

pub(crate) async fn logs_are_numbered_and_chained_whatever_is_written_at_once(store: Arc<dyn Store>) {
    let rooms: Vec<RoomId> = (1..=5).map(RoomId).collect();
    make_rooms(&*store, &rooms).await;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..8 {
        let (store, rooms) = (Arc::clone(&store), rooms.clone());
        writers.spawn(async move {
            for batch in 0..10 {
                let drafts = rooms.iter().map(|room| draft(*room, ANA, say(&format!("{writer} {batch}")))).collect();
                let appended = store.append(drafts).await.unwrap();
                assert!(appended.iter().zip(&rooms).all(|(a, room)| a.entry().room == *room));
            }
        });
    }
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
    for room in rooms {
        let seqs: Vec<i64> = rows(&*store, room).await.iter().map(|r| r.entry.seq.0).collect();
        assert_eq!(seqs, (1..=81).collect::<Vec<_>>());
        assert_eq!(faults(&*store, room).await, []);
    }
}

pub(crate) async fn a_repeated_draft_yields_its_entry(store: Arc<dyn Store>) {
    make_rooms(&*store, &[ROOM, OTHER]).await;
    let first = draft(ROOM, ANA, say("once"));
    let again = Draft { at: at(999_999), body: say("twice"), ..first.clone() };

    let appended = store.append(vec![first.clone(), draft(ROOM, ANA, say("between")), again.clone()]).await.unwrap();
    let [Appended::New(written), Appended::New(_), Appended::Repeated(repeated)] = &appended[..] else {
        panic!("{appended:?}")
    };
    assert_eq!(written, repeated);

    let later = store.append(vec![again]).await.unwrap();
    assert!(matches!(&later[..], [Appended::Repeated(entry)] if entry == written));
    assert_eq!(store.find_sent(ROOM, ANA, first.client_id).await.unwrap().as_ref(), Some(written));
    assert_eq!(store.head(ROOM).await.unwrap().seq, Seq(3));

    // The id is its author's, in its room.
    let others = vec![Draft { author: BO, ..first.clone() }, Draft { room: OTHER, ..first }];
    assert!(store.append(others).await.unwrap().iter().all(|a| matches!(a, Appended::New(_))));
}

pub(crate) async fn client_ids_are_remembered_as_long_as_asked(store: Arc<dyn Store>) {
    make_rooms(&*store, &[ROOM]).await;
    let old = Draft { at: at(1_000_000), ..draft(ROOM, ANA, say("old")) };
    let imported = Draft { remember: Remember::ForEver, ..draft(ROOM, ANA, say("imported")) };
    let young = Draft { at: at(2_000_000), ..draft(ROOM, ANA, say("young")) };
    write(&*store, vec![old.clone(), imported.clone(), young.clone()]).await;

    // The first is the entry that made the room, the second is `old`.
    assert_eq!(store.forget_client_ids(at(2_000_000)).await.unwrap(), 2);
    let appended = store.append(vec![old, imported, young]).await.unwrap();
    assert!(matches!(appended[..], [Appended::New(_), Appended::Repeated(_), Appended::Repeated(_)]));
}

pub(crate) async fn a_batch_is_written_whole_or_not_at_all(store: Arc<dyn Store>) {
    make_rooms(&*store, &[ROOM]).await;
    let before = everything(&*store).await;
    let good = draft(ROOM, ANA, naming("good", &[BO]));
    let missing = store.append(vec![good.clone(), draft(RoomId(99), ANA, say("nowhere"))]).await;
    assert!(matches!(missing, Err(StoreError::Missing { .. })), "{missing:?}");
    let taken = store.append(vec![good.clone(), draft(OTHER, ANA, room_named(OTHER, "ROOM 1"))]).await;
    assert!(matches!(taken, Err(StoreError::Taken { .. })), "{taken:?}");
    assert_eq!(everything(&*store).await, before);
    assert!(store.find_sent(ROOM, ANA, good.client_id).await.unwrap().is_none());
    assert!(matches!(store.append(vec![good]).await.unwrap()[..], [Appended::New(_)]));
    assert!(store.append(Vec::new()).await.unwrap().is_empty());
}

pub(crate) async fn times_never_run_back(store: Arc<dyn Store>) {
    make_rooms(&*store, &[ROOM]).await;
    let dated = |ms| Draft { at: at(ms), ..draft(ROOM, ANA, say("x")) };
    let entries = write(&*store, vec![dated(90_000_000), dated(50_000_000)]).await;
    let later = write(&*store, vec![dated(70_000_000), dated(95_000_000)]).await;
    let times: Vec<Time> = entries.iter().chain(&later).map(|e| e.at).collect();
    assert_eq!(times, [at(90_000_000), at(90_000_000), at(90_000_000), at(95_000_000)]);
    assert_eq!(faults(&*store, ROOM).await, []);
}

pub(crate) async fn pages_are_found_in_all_ways(store: Arc<dyn Store>) {
    make_rooms(&*store, &[ROOM, OTHER]).await;
    for n in 2..=10 {
        put(&*store, ROOM, ANA, say(&format!("message {n}"))).await;
    }
    let page = async |from, limit| seen(&store.page(ROOM, from, limit).await.unwrap());

    assert_eq!(page(From::Latest, 3).await, (vec![8, 9, 10], None, true, false));
    assert_eq!(page(From::Latest, 10).await, ((1..=10).collect(), None, false, false));
    assert_eq!(page(From::Latest, usize::MAX).await, ((1..=10).collect(), None, false, false));
    assert_eq!(page(From::Before(Seq(4)), 2).await, (vec![2, 3], None, true, true));
    assert_eq!(page(From::Before(Seq(3)), 5).await, (vec![1, 2], None, false, true));
    assert_eq!(page(From::Before(Seq(1)), 5).await, (vec![], None, false, true));
    assert_eq!(page(From::Before(Seq(99)), 2).await, (vec![9, 10], None, true, false));
    assert_eq!(page(From::After(Seq::ZERO), 2).await, (vec![1, 2], None, false, true));
    assert_eq!(page(From::After(Seq(8)), 5).await, (vec![9, 10], None, true, false));
    assert_eq!(page(From::After(Seq(10)), 5).await, (vec![], None, true, false));
    assert_eq!(page(From::After(Seq(99)), 5).await, (vec![], None, true, false));
    assert_eq!(page(From::Around(Seq(5)), 4).await, (vec![3, 4, 5, 6], Some(5), true, true));
    assert_eq!(page(From::Around(Seq(1)), 4).await, (vec![1, 2, 3, 4], Some(1), false, true));
    assert_eq!(page(From::Around(Seq(10)), 4).await, (vec![8, 9, 10], Some(10), true, false));
    assert_eq!(page(From::Around(Seq(99)), 2).await, (vec![9, 10], None, true, false));
    for odd in [From::Before(Seq(i64::MIN)), From::After(Seq(i64::MAX)), From::Around(Seq(i64::MIN))] {
        assert!(page(odd, 2).await.0.len() <= 2);
    }
}

pub(crate) async fn a_page_is_found_by_date(store: Arc<dyn Store>) {
    // An import begins with an entry of today and goes on with messages of old; what came before it in the log was said later.
    let bodies =
        [room_named(ROOM, "Room"), say("live"), said("a", at(-900)), said("b", at(-800)), said("b2", at(-800))];
    write(&*store, bodies.into_iter().map(|b| draft(ROOM, ANA, b)).collect()).await;
    let live = row(&*store, ROOM, Seq(2)).await.entry.at;
    let page = async |time, limit| seen(&store.page(ROOM, From::At(time), limit).await.unwrap());

    assert_eq!(page(at(-1000), 2).await, (vec![2, 3], Some(3), true, true));
    assert_eq!(page(at(-850), 1).await, (vec![4], Some(4), true, true));
    assert_eq!(page(at(-800), 1).await, (vec![4], Some(4), true, true));
    assert_eq!(page(at(-799), 2).await, (vec![1, 2], Some(2), false, true));
    assert_eq!(page(live.plus_millis(1), 2).await, (vec![4, 5], None, true, false));
}

pub(crate) async fn rows_are_found_by_number(store: Arc<dyn Store>) {
    make_rooms(&*store, &[ROOM]).await;
    put(&*store, ROOM, ANA, say("two")).await;
    let seqs = [2, 9, 1, 2, 0, -1, i64::MAX].map(Seq).to_vec();
    let found: Vec<i64> = store.rows(ROOM, seqs).await.unwrap().iter().map(|r| r.entry.seq.0).collect();
    assert_eq!(found, [1, 2]);
}

pub(crate) async fn a_room_that_is_not_there_has_an_empty_log(store: Arc<dyn Store>) {
    put(&*store, RoomId::POOL, ANA, user_named(10, "ana")).await;
    for room in [RoomId(7), RoomId(-1), RoomId(i64::MAX), RoomId::MAX] {
        let head = store.head(room).await.unwrap();
        assert_eq!((head.seq, head.hash, head.messages), (Seq::ZERO, genesis(room), 0));
        let page = store.page(room, From::Latest, 10).await.unwrap();
        assert_eq!(seen(&page), (vec![], None, false, false));
        assert!(store.rows(room, vec![Seq(1)]).await.unwrap().is_empty());
        assert!(store.stored(room, Seq::ZERO, 10).await.unwrap().is_empty());
        assert_eq!(store.last_at(room, at(0)).await.unwrap(), None);
        assert!(store.edits_of(room, Seq(1)).await.unwrap().is_empty());
        assert!(store.files_in(room, None, 10).await.unwrap().is_empty());
        let reading = store.readings(ANA, vec![room]).await.unwrap()[0];
        assert_eq!((reading.read, reading.unread, reading.mentions), (Seq::ZERO, 0, 0));
    }
}

pub(crate) async fn drafts_for_a_room_that_is_not_there_are_refused(store: Arc<dyn Store>) {
    for room in [RoomId(7), RoomId(-1), RoomId(RoomId::MAX.0 + 1)] {
        let refused = store.append(vec![draft(room, ANA, say("x"))]).await;
        assert!(matches!(refused, Err(StoreError::Missing { .. })), "{refused:?}");
    }
    // The pool is there from the first; a room is from its first entry on, in the same batch as well.
    put(&*store, RoomId::POOL, ANA, user_named(10, "ana")).await;
    let entries = write(&*store, vec![draft(ROOM, ANA, room_named(ROOM, "R")), draft(ROOM, ANA, say("x"))]).await;
    assert_eq!(entries[1].seq, Seq(2));
}

pub(crate) async fn heads_tell_the_ends_of_all_logs(store: Arc<dyn Store>) {
    assert!(store.heads().await.unwrap().is_empty());
    make_rooms(&*store, &[ROOM, OTHER]).await;
    put(&*store, RoomId::POOL, ANA, user_named(10, "ana")).await;
    let entries =
        write(&*store, vec![draft(ROOM, ANA, said("x", at(-5))), draft(ROOM, ANA, room_named(ROOM, "R"))]).await;
    let heads = store.heads().await.unwrap();
    assert_eq!(heads.iter().map(|(room, head)| (room.0, head.seq.0)).collect::<Vec<_>>(), [(0, 1), (1, 3), (2, 1)]);
    let head = store.head(ROOM).await.unwrap();
    assert_eq!(head, heads[1].1);
    assert_eq!((head.hash, head.messages, head.last_message_at), (entries[1].hash, 1, Some(at(-5))));
    assert_eq!(store.head(OTHER).await.unwrap().last_message_at, None);
}

pub(crate) async fn the_end_of_a_clearing_by_date_is_found(store: Arc<dyn Store>) {
    let dated = |ms, body| Draft { at: at(ms), ..draft(ROOM, ANA, body) };
    write(
        &*store,
        vec![
            dated(100, room_named(ROOM, "R")),
            dated(200, say("a")),
            dated(200, say("b")),
            dated(300, room_named(ROOM, "S")),
            dated(400, said("of old", at(-500))),
            dated(500, say("c")),
        ],
    )
    .await;
    let last = async |ms| store.last_at(ROOM, at(ms)).await.unwrap().map(|s| s.0);
    assert_eq!(last(-501).await, None);
    assert_eq!(last(-500).await, Some(5));
    assert_eq!(last(99).await, Some(5));
    assert_eq!(last(200).await, Some(5));
    assert_eq!(last(499).await, Some(5));
    assert_eq!(last(500).await, Some(6));
    assert_eq!(last(i64::MAX / 2).await, Some(6));

    write(&*store, vec![Draft { at: at(100), ..draft(OTHER, ANA, room_named(OTHER, "O")) }]).await;
    for ms in [200, 200, 300] {
        write(&*store, vec![Draft { at: at(ms), ..draft(OTHER, ANA, say("x")) }]).await;
    }
    let last = async |ms| store.last_at(OTHER, at(ms)).await.unwrap().map(|s| s.0);
    assert_eq!(last(99).await, None);
    assert_eq!(last(199).await, Some(1));
    assert_eq!(last(200).await, Some(3));
    assert_eq!(last(300).await, Some(4));
}

pub(crate) async fn what_is_stored_is_what_was_hashed(store: Arc<dyn Store>) {
    make_rooms(&*store, &[ROOM]).await;
    let text = "quotes \" ' , signs \\ \u{0} \u{1F389}, and\nlines";
    let entry = write(&*store, vec![draft(ROOM, BO, say(text))]).await.remove(0);
    assert_eq!(entry, row(&*store, ROOM, entry.seq).await.entry);
    let stored = store.stored(ROOM, Seq(1), 10).await.unwrap().remove(0);
    assert_eq!(stored.payload, Payload::Kept(say(text).encode()));
    assert_eq!(stored.payload.digest(), Digest::of(say(text).encode().as_bytes()));
    assert_eq!((stored.header.author, stored.header.client_id, stored.hash), (BO, entry.client_id, entry.hash));
    assert_eq!(faults(&*store, ROOM).await, []);
}

/// Numbers, focus, more before, more after.
fn seen(page: &Page) -> (Vec<i64>, Option<i64>, bool, bool) {
    let seqs = page.rows.iter().map(|r| r.entry.seq.0).collect();
    (seqs, page.focus.map(|s| s.0), page.more_before, page.more_after)
}
