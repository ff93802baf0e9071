//! What is asked often is answered from an index, and statements are compiled once.

use super::*;
use crate::conformance::support::*;
use crate::sqlite::row::row_columns;
use rusqlite::StatementStatus;

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

/// Values differ from call to call. SQLite may compile a statement again for each, which costs several times the answer.
#[tokio::test]
async fn a_statement_is_compiled_once() {
    let (_dir, store) = open_new();
    make_rooms(&store, &[ROOM]).await;
    let compiled_again = store.threads.read("counting", |tx, _| {
        const SQL: &str = concat!("SELECT ", row_columns!(), " WHERE e.id = ?1");
        let mut again = 0;
        for id in 0..10 {
            let mut statement = tx.prepare_cached(SQL)?;
            statement.exists([id])?;
            again += statement.get_status(StatementStatus::RePrepare);
        }
        Ok(again)
    });
    assert_eq!(compiled_again.await.unwrap(), 0);
}
