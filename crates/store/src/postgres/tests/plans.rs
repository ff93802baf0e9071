//! What is asked of one room is answered from one part of the entries.

use super::{new_database, open};
use crate::RoomLog as _;
use crate::conformance::support::*;
use crate::postgres::index::fill_some;
use holdfast_domain::RoomId;
use std::collections::BTreeSet;

#[tokio::test]
async fn a_page_reads_one_part() {
    let store = open(&new_database().await).await;
    let rooms: Vec<RoomId> = (1..=40).map(RoomId).collect();
    make_rooms(&store, &rooms).await;
    for _ in 0..20 {
        store.append(rooms.iter().map(|room| draft(*room, ANA, say("x"))).collect()).await.unwrap();
    }
    let session = store.inner.sessions.get().await.unwrap();
    session.batch("ANALYZE entry; ANALYZE amendment").await.unwrap();
    let plan = |sql: &'static str| {
        let session = &session;
        async move {
            let rows = session.unprepared(&format!("EXPLAIN (COSTS off) {sql}"), &[]).await.unwrap();
            rows.iter().map(|r| r.get::<_, String>(0)).collect::<Vec<_>>().join("\n")
        }
    };
    let page = plan(
        "SELECT * FROM entry e LEFT JOIN amendment a ON a.room = e.room AND a.seq = e.seq
                     WHERE e.room = 7 AND e.seq BETWEEN 5 AND 9 ORDER BY e.seq",
    )
    .await;
    assert!(page.contains("Index") && parts(&page).len() == 1, "{page}");
    let said = plan("SELECT said, seq FROM entry WHERE room = 7 AND said >= 5 ORDER BY said, seq LIMIT 1").await;
    assert_eq!(parts(&said).len(), 1, "{said}");
}

/// Only the ends of the logs are read as a whole: of a room of ten million entries every few thousand would take seconds.
#[tokio::test]
async fn filling_the_search_index_reads_no_part_as_a_whole() {
    let store = open(&new_database().await).await;
    make_rooms(&store, &[ROOM]).await;
    store.append((0..1_000).map(|_| draft(ROOM, ANA, say("x"))).collect()).await.unwrap();
    let session = store.inner.sessions.get().await.unwrap();
    session.batch("ANALYZE entry; BEGIN").await.unwrap();
    let read = async || {
        // Of this session, and what making the schema did may not have been reported yet.
        let sql =
            "SELECT coalesce(sum(seq_scan), 0)::bigint FROM pg_stat_xact_user_tables WHERE relname LIKE 'entry_%'";
        session.unprepared(sql, &[]).await.unwrap()[0].get::<_, i64>(0)
    };
    let before = read().await;
    let filled = fill_some(&session, &store.inner.lexicon, -1_000_000_000_000_000).await.unwrap();
    assert!(filled >= 1_000, "{filled}");
    assert_eq!(read().await - before, 0);
    session.batch("ROLLBACK").await.unwrap();
}

/// The parts of the entries that a plan reads.
fn parts(plan: &str) -> BTreeSet<String> {
    let number = |rest: &str| rest.chars().take_while(char::is_ascii_digit).collect::<String>();
    plan.split("entry_").skip(1).map(number).filter(|n| !n.is_empty()).collect()
}
