//! What is asked of one room is answered from one part of the entries.

use super::{new_database, open};
use crate::RoomLog as _;
use crate::conformance::support::*;
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

/// The parts of the entries that a plan reads.
fn parts(plan: &str) -> BTreeSet<String> {
    let number = |rest: &str| rest.chars().take_while(char::is_ascii_digit).collect::<String>();
    plan.split("entry_").skip(1).map(number).filter(|n| !n.is_empty()).collect()
}
