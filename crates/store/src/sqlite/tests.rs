//! What only this engine does.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails should stop where it fails")]

use super::*;
use crate::log::{Draft, From, Remember};
use crate::search::{Order, Query, Words};
use crate::{RoomLog as _, Search as _};
use holdfast_domain::entry::{Message, Put};
use holdfast_domain::name::Name;
use holdfast_domain::room::Room;
use holdfast_domain::{CategoryId, ClientId, EntryBody, PrincipalId, RoomId, Time};
use std::time::Instant;

fn room(id: i64) -> EntryBody {
    EntryBody::Room(Put::new(Room {
        id: RoomId(id),
        category: CategoryId(1),
        name: Name::parse("name", &format!("Room {id}")).unwrap(),
        description: String::new(),
        subject: String::new(),
        room_type: Default::default(),
        privacy: Default::default(),
        invitations: Default::default(),
        add_in_url: None,
        disabled: false,
        created_at: Time::EPOCH,
    }))
}

fn draft(room: i64, n: u128, body: EntryBody) -> Draft {
    Draft {
        room: RoomId(room),
        author: PrincipalId(7 + (n % 50) as i64),
        client_id: ClientId(uuid::Uuid::from_u128(n.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835))),
        remember: Remember::ForEver,
        at: Time::from_millis(1_700_000_000_000 + n as i64),
        body,
    }
}

#[tokio::test]
#[ignore = "a measurement"]
async fn measure() {
    let dir = tempfile::tempdir_in("/tmp").unwrap();
    let store = SqliteStore::open(dir.path(), SqliteOptions::default()).unwrap();
    store.append((1..=2).map(|r| draft(r, r as u128, room(r))).collect()).await.unwrap();
    let vocabulary: Vec<String> = (0..5000u32).map(|i| format!("w{}", i * 7919 % 100_003)).collect();
    let mut x = 12345u64;
    let mut next = || { x ^= x << 13; x ^= x >> 7; x ^= x << 17; x };
    let started = Instant::now();
    let mut slowest = 0;
    for batch in 0..100u128 {
        let drafts = (0..2000u128).map(|i| {
            let n = 10 + batch * 2000 + i;
            let mut text = String::from("the ");
            while text.len() < 58 {
                let r = (next() % 10_000) as f64 / 10_000.0;
                text.push_str(&vocabulary[((r * r * r) * 5000.0) as usize]);
                text.push(' ');
            }
            text.truncate(58);
            draft(1, n, EntryBody::Message(Message { text, ..Message::default() }))
        }).collect();
        let t = Instant::now();
        store.append(drafts).await.unwrap();
        slowest = slowest.max(t.elapsed().as_millis());
    }
    let secs = started.elapsed().as_secs_f64();
    println!("import {:.0}/s, slowest batch {slowest} ms, db {} MB, wal {} MB", 200_000.0 / secs,
        std::fs::metadata(dir.path().join(FILE_NAME)).unwrap().len() >> 20,
        std::fs::metadata(dir.path().join("holdfast.db-wal")).unwrap().len() >> 20);
    for from in [From::Latest, From::Around(holdfast_domain::Seq(100_000)), From::At(Time::from_millis(1_700_000_100_000))] {
        let mut best = u128::MAX; let mut sum = 0;
        for _ in 0..50 { let t = Instant::now(); let p = store.page(RoomId(1), from, 50).await.unwrap(); assert_eq!(p.rows.len(), 50); let e = t.elapsed().as_micros(); best = best.min(e); sum += e; }
        println!("page {from:?}: best {best} us, mean {} us", sum / 50);
    }
    for (text, words, authors) in [("the", Words::All, vec![]), ("the w0", Words::All, vec![]), ("the", Words::All, vec![PrincipalId(9)]), ("w7919", Words::All, vec![]), ("the w7919", Words::Phrase, vec![]), ("", Words::All, vec![]), ("", Words::All, vec![PrincipalId(9)])] {
        for order in [Order::Newest, Order::Oldest] {
            let q = Query { text: text.into(), words, rooms: vec![RoomId(1), RoomId(2)], authors: authors.clone(), from: None, until: None, order, after: None, limit: 50 };
            let mut best = u128::MAX; let mut sum = 0; let mut n = 0;
            for _ in 0..20 { let t = Instant::now(); n = store.search(q.clone()).await.unwrap().found.len(); let e = t.elapsed().as_micros(); best = best.min(e); sum += e; }
            println!("search {text:?} {words:?} {order:?} authors {}: {n} hits, best {best} us, mean {} us", authors.len(), sum / 20);
        }
    }
    let mut lat = vec![];
    for i in 0..3000u128 {
        let t = Instant::now();
        store.append(vec![draft(2, 1_000_000 + i, EntryBody::Message(Message { text: "a message of ordinary length that somebody has typed".into(), ..Message::default() }))]).await.unwrap();
        lat.push(t.elapsed().as_micros());
    }
    lat.sort();
    println!("single posts: p50 {} us, p99 {} us, max {} us", lat[1500], lat[2970], lat[2999]);
    let t = Instant::now();
    store.append(vec![draft(1, 9_000_000, EntryBody::Purge { through: holdfast_domain::Seq(20_000) })]).await.unwrap();
    println!("purge of 20,000: {:?}", t.elapsed());
    let t = Instant::now();
    crate::Maintenance::rebuild(&store).await.unwrap();
    println!("rebuild: {:?}", t.elapsed());
    let t = Instant::now();
    let b = crate::Maintenance::backup(&store, &dir.path().join("b.db"), Box::new(|_, _| {})).await.unwrap();
    println!("backup {} MB: {:?}", b >> 20, t.elapsed());
    let t = Instant::now();
    crate::Maintenance::close(&store).await.unwrap();
    println!("close {:?}", t.elapsed());
}
