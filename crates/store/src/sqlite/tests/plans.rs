//! What is asked often is answered from an index, and statements are compiled once.

use super::*;
use crate::conformance::support::*;
use crate::sqlite::row::row_columns;
use crate::sqlite::{direct, files};
use rusqlite::StatementStatus;

#[tokio::test]
async fn frequent_questions_walk_no_table() {
    let (dir, store) = open_new();
    make_rooms(&store, &[ROOM]).await;
    let conn = raw(&dir);
    for sql in [
        "SELECT id FROM entry WHERE id >> 36 = 1 AND kind = 1 AND shown_at >= 5 ORDER BY shown_at, id LIMIT 1",
        "SELECT id FROM entry WHERE id >> 36 = 1 AND kind = 1 AND shown_at <= 5 ORDER BY shown_at DESC, id DESC LIMIT 1",
        "SELECT shown_at, room, seq FROM mention WHERE user = 1 AND (shown_at, room, seq) < (2, 3, 4)
         ORDER BY shown_at DESC, room DESC, seq DESC",
        "SELECT count(*) FROM mention WHERE user = 1 AND room = 2 AND seq > 3",
        "SELECT no FROM file WHERE seq IS NULL AND at < 1 AND (room <> 0 OR ref IS NULL OR at < 2) LIMIT 10",
        files::UNSENT,
        "SELECT room, author, client_id FROM sent WHERE at < 1 LIMIT 10",
        "SELECT id FROM item WHERE node = 'x' AND owner = 1 ORDER BY position",
        "SELECT owner, id FROM item WHERE node = 'x' ORDER BY owner, position",
        "SELECT DISTINCT node FROM item WHERE owner = 1 ORDER BY node",
        direct::OLDEST,
        direct::NEWEST,
        direct::OLDEST_OF_TWO,
        direct::NEWEST_OF_TWO,
        direct::FIRST_AT,
        direct::BEFORE,
    ] {
        let plan = plan(&conn, sql);
        assert!(!plan.contains("SCAN") && !plan.contains("TEMP B-TREE"), "{sql}\n{plan}");
    }
}

/// Both ends of a window of numbers are places in the index, and so is each partner.
#[tokio::test]
async fn an_archive_of_messages_is_read_from_its_indexes() {
    let (dir, _store) = open_new();
    let conn = raw(&dir);
    let whole = plan(&conn, direct::NEWEST);
    for half in ["direct_sender (sender=?", "direct_recipient (recipient=?"] {
        assert!(whole.contains(&format!("{half} AND rowid>? AND rowid<?)")), "{whole}");
    }
    let of_two = plan(&conn, direct::NEWEST_OF_TWO);
    let pair = ["direct_pair (low=? AND high=?", "direct_turned (high=? AND low=?"];
    assert!(pair.iter().any(|p| of_two.contains(&format!("{p} AND rowid>? AND rowid<?)"))), "{of_two}");
    let before = plan(&conn, direct::BEFORE);
    assert!(before.contains("(sender=? AND recipient=? AND client_id=?)"), "{before}");
    // What is scanned and sorted there is the list of partners, no table.
    let partners = plan(&conn, direct::PARTNERS);
    assert!(!partners.contains("SCAN direct") && partners.matches("SEARCH direct").count() == 6, "{partners}");
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

/// How a statement is carried out; values do not count.
fn plan(conn: &rusqlite::Connection, sql: &str) -> String {
    let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let lines = statement.raw_query().mapped(|r| r.get::<_, String>(3));
    lines.map(|l| l.unwrap()).collect::<Vec<_>>().join("\n")
}
