//! What is asked often is answered from an index, and statements are compiled once.

use super::*;
use crate::RoomLog as _;
use crate::Search as _;
use crate::conformance::support::*;
use crate::search::{Order, Query, Words};
use std::time::{Duration, Instant};

#[tokio::test]
async fn frequent_questions_walk_no_table() {
    let (dir, store) = open_new();
    make_rooms(&store, &[ROOM]).await;
    let conn = raw(&dir);
    let plan = |sql: &str| -> String {
        let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let lines = statement.query_map([], |r| r.get::<_, String>(3)).unwrap();
        lines.map(|l| l.unwrap()).collect::<Vec<_>>().join("\n")
    };
    for sql in [
        "SELECT id FROM entry WHERE id >> 36 = 1 AND kind = 1 AND shown_at >= 5 ORDER BY shown_at, id LIMIT 1",
        "SELECT id FROM entry WHERE id >> 36 = 1 AND kind = 1 AND shown_at <= 5 ORDER BY shown_at DESC, id DESC LIMIT 1",
        "SELECT shown_at, room, seq FROM mention WHERE user = 1 AND (shown_at, room, seq) < (2, 3, 4)
         ORDER BY shown_at DESC, room DESC, seq DESC",
        "SELECT count(*) FROM mention WHERE user = 1 AND room = 2 AND seq > 3",
        "SELECT no FROM file WHERE seq IS NULL AND at < 1 LIMIT 10",
        "SELECT room, author, client_id FROM sent WHERE at < 1 LIMIT 10",
    ] {
        let plan = plan(sql);
        assert!(!plan.contains("SCAN") && !plan.contains("TEMP B-TREE"), "{sql}\n{plan}");
    }
}

/// Rooms, authors and words differ from call to call; a plan that is made anew for each costs several times the answer.
#[tokio::test]
async fn a_page_of_a_large_log_costs_as_much_as_of_a_small_one() {
    let (_dir, store) = open_new();
    make_rooms(&store, &[ROOM, OTHER]).await;
    for _ in 0..10 {
        write(&store, (0..2_000).map(|n| draft(ROOM, ANA, say(&format!("common {n}")))).collect()).await;
    }
    write(&store, (0..60).map(|n| draft(OTHER, ANA, say(&format!("common {n}")))).collect()).await;
    let query = |room| Query {
        text: "common".into(),
        words: Words::All,
        rooms: vec![room],
        authors: Vec::new(),
        from: None,
        until: None,
        order: Order::Newest,
        after: None,
        limit: 50,
    };
    let best = async |room| {
        let mut best = Duration::MAX;
        for _ in 0..20 {
            let started = Instant::now();
            assert_eq!(store.search(query(room)).await.unwrap().found.len(), 50);
            assert_eq!(store.page(room, crate::log::From::Latest, 50).await.unwrap().rows.len(), 50);
            best = best.min(started.elapsed());
        }
        best
    };
    let (small, large) = (best(OTHER).await, best(ROOM).await);
    assert!(large < small * 20 + Duration::from_millis(20), "{large:?} against {small:?}");
}
