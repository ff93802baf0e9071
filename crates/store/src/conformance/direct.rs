//! One-to-one messages.

use super::files::{reference, upload};
use super::support::*;
use crate::direct::{Direct, DirectAppended, DirectPage, DirectQuery, NewDirect, StoredDirect};
use crate::items::Item;
use crate::{Store, StoreError};
use holdfast_domain::{ClientId, PrincipalId, RoomId, Seq};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use uuid::Uuid;

pub(crate) const CY: PrincipalId = PrincipalId(12);

/// A message with a client id of its own.
pub(crate) fn whisper(from: PrincipalId, to: PrincipalId, text: &str, ms: i64) -> NewDirect {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let client_id = ClientId(Uuid::from_u128(NEXT.fetch_add(1, Ordering::Relaxed).into()));
    let payload = format!("<message><body>{text}</body></message>");
    NewDirect { from, to, client_id, at: at(ms), text: text.into(), payload, files: Vec::new() }
}

/// Keeps messages that are new.
async fn keep(store: &dyn Store, new: Vec<NewDirect>) -> Vec<Direct> {
    let added = store.add_direct(new).await.unwrap();
    assert!(added.iter().all(|a| matches!(a, DirectAppended::New(_))));
    added.into_iter().map(|a| a.direct().clone()).collect()
}

pub(crate) async fn all_of(store: &dyn Store, of: PrincipalId) -> Vec<Direct> {
    let page = store.direct_page(DirectQuery::all(of, 1_000_000)).await.unwrap();
    assert!(!page.more);
    page.rows
}

pub(crate) async fn a_message_is_there_once_and_read_by_both(store: Arc<dyn Store>) {
    assert_eq!(store.add_direct(vec![]).await.unwrap(), []);
    assert_eq!(all_of(&*store, ANA).await, []);
    let sent = vec![
        whisper(ANA, BO, "one", 1),
        whisper(BO, ANA, "two", 2),
        whisper(ANA, ANA, "a note", 3),
        whisper(ANA, CY, "", 4),
        whisper(BO, CY, "of no concern", 5),
    ];
    let kept = keep(&*store, sent.clone()).await;
    for (new, kept) in sent.iter().zip(&kept) {
        assert_eq!((kept.from, kept.to, kept.at, &kept.payload), (new.from, new.to, new.at, &new.payload));
    }
    assert!(kept[0].id > 0 && kept.is_sorted_by(|a, b| a.id < b.id));
    assert_eq!(all_of(&*store, ANA).await, kept[..4]);
    assert_eq!(all_of(&*store, BO).await, [kept[0].clone(), kept[1].clone(), kept[4].clone()]);
    assert_eq!(all_of(&*store, CY).await, kept[3..]);

    let ids: Vec<i64> = kept.iter().rev().map(|d| d.id).chain([kept[0].id, 0, -1, i64::MAX]).collect();
    assert_eq!(store.direct(ANA, ids.clone()).await.unwrap(), kept[..4]);
    assert_eq!(store.direct(CY, ids).await.unwrap(), kept[3..]);
    assert_eq!(store.direct(CY, vec![]).await.unwrap(), []);
}

/// What an archive takes out comes in again as it was, numbers and all.
pub(crate) async fn messages_come_from_an_archive_as_they_were(store: Arc<dyn Store>) {
    for n in 1..=2 {
        upload(&*store, n, RoomId::POOL).await;
    }
    let mut sent = vec![whisper(ANA, BO, "one", 10), whisper(BO, ANA, "two", 20), whisper(CY, CY, "a note", 30)];
    sent[0].files = vec![reference(1).id];
    let given: Vec<StoredDirect> = [(3, 10), (4, 20), (9, 20)]
        .into_iter()
        .zip(sent.clone())
        .map(|((id, ms), new)| {
            let NewDirect { from, to, client_id, text, payload, files, .. } = new;
            let files = files.iter().map(|_| reference(1)).collect();
            StoredDirect { direct: Direct { id, from, to, at: at(ms), payload }, client_id, text, files }
        })
        .collect();
    store.load_direct(vec![]).await.unwrap();
    store.load_direct(given[..2].to_vec()).await.unwrap();
    store.load_direct(given[2..].to_vec()).await.unwrap();
    assert_eq!(store.direct_stored(0, 100).await.unwrap(), given);
    assert_eq!(store.direct_stored(3, 1).await.unwrap(), given[1..2]);
    assert_eq!(store.direct_stored(9, 100).await.unwrap(), []);
    assert_eq!(store.file(reference(1).id).await.unwrap().unwrap().message, Some(Seq(3)));
    assert_eq!(store.file(reference(2).id).await.unwrap().unwrap().message, None);

    // What does not follow is not taken in, nor is what comes with it.
    let next = |id, ms| {
        let mut next = given[0].clone();
        (next.direct.id, next.direct.at, next.client_id) = (id, at(ms), ClientId(Uuid::from_u128(u128::MAX)));
        next.files.clear();
        next
    };
    for wrong in [next(9, 30), next(10, 19)] {
        let refused = store.load_direct(vec![next(10, 20), wrong]).await;
        assert!(matches!(refused, Err(StoreError::Corrupt { .. })), "{refused:?}");
    }
    assert_eq!(store.direct_stored(0, 100).await.unwrap().len(), 3);
    // New ones follow on, and one that is sent again is known.
    let added = store.add_direct(vec![sent[0].clone(), whisper(ANA, BO, "three", 5)]).await.unwrap();
    assert_eq!(added[0], DirectAppended::Repeated(given[0].direct.clone()));
    assert_eq!((added[1].direct().id, added[1].direct().at), (10, at(20)));
}

pub(crate) async fn a_repeated_message_yields_the_one_that_is_there(store: Arc<dyn Store>) {
    let (first, second) = (whisper(ANA, BO, "one", 1), whisper(ANA, BO, "two", 2));
    let kept = keep(&*store, vec![first.clone()]).await;
    let again = NewDirect { at: at(50), text: "other".into(), payload: "<other/>".into(), ..first.clone() };
    let added = store.add_direct(vec![again.clone(), second.clone(), second.clone(), again]).await.unwrap();
    let two = added[1].direct().clone();
    assert_eq!(two.id, kept[0].id + 1);
    let repeated = |direct: &Direct| DirectAppended::Repeated(direct.clone());
    assert_eq!(added, [repeated(&kept[0]), DirectAppended::New(two.clone()), repeated(&two), repeated(&kept[0])]);
    assert_eq!(store.add_direct(vec![second]).await.unwrap(), [repeated(&two)]);
    // The name is the author's, for this addressee.
    let others = vec![NewDirect { to: CY, ..first.clone() }, NewDirect { from: CY, ..first.clone() }];
    keep(&*store, others).await;
    keep(&*store, vec![NewDirect { from: BO, to: ANA, ..first }]).await;
    assert_eq!(all_of(&*store, ANA).await.len(), 4);
}

pub(crate) async fn pages_of_messages_are_found_in_all_ways(store: Arc<dyn Store>) {
    let pairs = [(ANA, BO), (BO, ANA), (ANA, CY), (BO, CY), (ANA, ANA), (CY, ANA), (BO, ANA), (ANA, BO), (ANA, ANA)];
    // Some share a time.
    let sent =
        pairs.iter().enumerate().map(|(i, (from, to))| whisper(*from, *to, "x", i64::try_from(i).unwrap() / 2 * 10));
    let kept = keep(&*store, sent.collect()).await;
    let (first, last) = (kept[0].id, kept[kept.len() - 1].id);
    let places = [None, Some(i64::MIN), Some(0), Some(first), Some(first + 4), Some(last), Some(i64::MAX)];
    let times = [None, Some(at(-1)), Some(at(0)), Some(at(10)), Some(at(15)), Some(at(40)), Some(at(41))];
    let partners = [None, Some(ANA), Some(BO), Some(CY), Some(PrincipalId(99))];
    let mut asked = 0;
    for (n, with) in partners.into_iter().enumerate() {
        for (after, before) in places.into_iter().flat_map(|a| places.map(|b| (a, b))) {
            for (since, until) in times.into_iter().flat_map(|s| times.map(|u| (s, u))) {
                // Not all of all, which would take long and find nothing more.
                asked += 1;
                if (asked + n) % 3 != 0 && with.is_some() {
                    continue;
                }
                let newest = asked % 2 == 0;
                let limit = [0, 1, 2, 3, 100, usize::MAX][asked / 2 % 6];
                let query = DirectQuery { of: ANA, with, since, until, after, before, newest, limit };
                assert_eq!(store.direct_page(query).await.unwrap(), expected(&kept, &query), "{query:?}");
            }
        }
    }
    // And on and on, in both directions.
    for newest in [false, true] {
        let (mut query, mut read) = (DirectQuery { newest, ..DirectQuery::all(ANA, 3) }, Vec::new());
        loop {
            let page = store.direct_page(query).await.unwrap();
            (query.after, query.before) = match newest {
                false => (page.rows.last().map(|d| d.id), None),
                true => (None, page.rows.first().map(|d| d.id)),
            };
            let at = if newest { 0 } else { read.len() };
            read.splice(at..at, page.rows);
            if !page.more {
                break;
            }
        }
        assert_eq!(read, all_of(&*store, ANA).await);
    }
}

/// What a page must be.
fn expected(kept: &[Direct], query: &DirectQuery) -> DirectPage {
    let is_of = |d: &Direct, who: PrincipalId| d.from == who || d.to == who;
    let between =
        |d: &Direct, with: PrincipalId| (d.from, d.to) == (query.of, with) || (d.from, d.to) == (with, query.of);
    let mut rows: Vec<Direct> = kept
        .iter()
        .filter(|d| is_of(d, query.of) && query.with.is_none_or(|with| between(d, with)))
        .filter(|d| query.since.is_none_or(|at| d.at >= at) && query.until.is_none_or(|at| d.at <= at))
        .filter(|d| query.after.is_none_or(|id| d.id > id) && query.before.is_none_or(|id| d.id < id))
        .cloned()
        .collect();
    let more = rows.len() > query.limit;
    if more && query.newest {
        rows.drain(..rows.len() - query.limit);
    }
    rows.truncate(query.limit);
    DirectPage { rows, more }
}

pub(crate) async fn times_of_messages_never_run_back(store: Arc<dyn Store>) {
    let sent = [5, 3, 9, 7].map(|ms| whisper(ANA, BO, "x", ms));
    let kept = keep(&*store, sent.to_vec()).await;
    assert_eq!(kept.iter().map(|d| d.at).collect::<Vec<_>>(), [5, 5, 9, 9].map(at));
    let late = keep(&*store, vec![whisper(BO, ANA, "x", 1), whisper(BO, ANA, "x", 10)]).await;
    assert_eq!(late.iter().map(|d| d.at).collect::<Vec<_>>(), [9, 10].map(at));
    assert_eq!(all_of(&*store, ANA).await, [kept, late].concat());
}

pub(crate) async fn who_reads_on_misses_nothing_that_is_written_at_once(store: Arc<dyn Store>) {
    misses_nothing(vec![store]).await;
}

/// Several write by several servers to the same person, and he reads on all the time behind the last that he has seen.
pub(crate) async fn misses_nothing(stores: Vec<Arc<dyn Store>>) {
    const WRITERS: usize = 6;
    const EACH: usize = 15;
    let mut writing = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let store = Arc::clone(&stores[writer % stores.len()]);
        let who = PrincipalId(20 + i64::try_from(writer).unwrap());
        writing.spawn(async move {
            for n in 0..EACH {
                let ms = i64::try_from(n).unwrap();
                let new = vec![whisper(who, ANA, "x", ms), whisper(ANA, who, "y", ms), whisper(who, BO, "z", ms)];
                keep(&*store, new).await;
            }
        });
    }
    let mut read: Vec<Direct> = Vec::new();
    loop {
        // Asked before reading: then nothing is left to come.
        let over = writing.is_empty();
        let after = read.last().map(|d| d.id);
        let page =
            stores[read.len() % stores.len()].direct_page(DirectQuery { after, ..DirectQuery::all(ANA, 7) }).await;
        let page = page.unwrap();
        let more = page.more;
        read.extend(page.rows);
        while let Some(done) = writing.try_join_next() {
            done.unwrap();
        }
        if over && !more {
            break;
        }
    }
    assert_eq!(read.len(), WRITERS * EACH * 2);
    assert!(read.is_sorted_by(|a, b| a.id < b.id && a.at <= b.at));
    assert_eq!(read, all_of(&*stores[0], ANA).await);
    let ids: BTreeSet<i64> = all_of(&*stores[0], BO).await.into_iter().map(|d| d.id).collect();
    assert_eq!(ids.len(), WRITERS * EACH);
}

pub(crate) async fn partners_are_listed_by_their_last_message(store: Arc<dyn Store>) {
    assert_eq!(store.direct_partners(ANA).await.unwrap(), []);
    let pairs = [(ANA, BO), (CY, ANA), (BO, CY), (BO, ANA), (ANA, CY), (ANA, ANA), (ANA, BO), (CY, BO)];
    let kept = keep(&*store, pairs.iter().map(|(from, to)| whisper(*from, *to, "x", 1)).collect()).await;
    let id = |n: usize| kept[n].id;
    assert_eq!(store.direct_partners(ANA).await.unwrap(), [(BO, id(6)), (ANA, id(5)), (CY, id(4))]);
    assert_eq!(store.direct_partners(BO).await.unwrap(), [(CY, id(7)), (ANA, id(6))]);
    assert_eq!(store.direct_partners(CY).await.unwrap(), [(BO, id(7)), (ANA, id(4))]);
    assert_eq!(store.direct_partners(PrincipalId(99)).await.unwrap(), []);
}

pub(crate) async fn messages_and_items_survive_a_rebuild(store: Arc<dyn Store>) {
    make_rooms(&*store, &[ROOM]).await;
    let sent = whisper(ANA, BO, "one", 1);
    let kept = keep(&*store, vec![sent.clone()]).await;
    let item = Item { id: "a".into(), at: at(1), payload: "<a/>".into() };
    store.put_items(ANA, "node".into(), vec![item.clone()], 9).await.unwrap();
    store.rebuild().await.unwrap();
    assert_eq!(all_of(&*store, BO).await, kept);
    assert_eq!(store.add_direct(vec![sent]).await.unwrap(), [DirectAppended::Repeated(kept[0].clone())]);
    assert!(keep(&*store, vec![whisper(ANA, BO, "two", 2)]).await[0].id > kept[0].id);
    assert_eq!(store.items(ANA, "node").await.unwrap(), [item]);
}
