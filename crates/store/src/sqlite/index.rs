//! The index of words. It keeps no text, so what is taken out must be given as it was put in.

use super::error::Work;
use holdfast_domain::PrincipalId;
use rusqlite::{Connection, params};

/// Messages that are written anew in the time in which one is cut out. Measured: some microseconds against some hundred.
const WRITTEN_ANEW_FOR_ONE_CUT: i64 = 50;

/// What the index holds of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Indexed<'a> {
    pub(super) title: Option<&'a str>,
    pub(super) text: &'a str,
    pub(super) author: PrincipalId,
}

/// Puts the words of message `id` in.
pub(super) fn put(conn: &Connection, id: i64, message: &Indexed<'_>) -> Work<()> {
    const SQL: &str = "INSERT INTO search (rowid, title, text, author) VALUES (?1, ?2, ?3, ?4)";
    conn.prepare_cached(SQL)?.execute(params![id, message.title, message.text, message.author.0])?;
    Ok(())
}

/// Takes the words of message `id` out.
pub(super) fn take(conn: &Connection, id: i64, message: &Indexed<'_>) -> Work<()> {
    const SQL: &str = "INSERT INTO search (search, rowid, title, text, author) VALUES ('delete', ?1, ?2, ?3, ?4)";
    conn.prepare_cached(SQL)?.execute(params![id, message.title, message.text, message.author.0])?;
    Ok(())
}

/// Does `work`, which takes `n` messages out, in the cheaper of two ways that leave no trace of them.
///
/// Usually the index cuts every word out of its pages at once (`secure-delete`), which is quick for some messages and slow for many. Then
/// it is cheaper to note down what is gone and to write the whole index anew without it.
pub(super) fn taking_out(conn: &Connection, n: i64, work: impl FnOnce() -> Work<()>) -> Work<()> {
    const MESSAGES: &str = "SELECT coalesce(sum(messages), 0) FROM room_head";
    let in_all: i64 = conn.query_row(MESSAGES, [], |r| r.get(0))?;
    if n.saturating_mul(WRITTEN_ANEW_FOR_ONE_CUT) < in_all {
        return work();
    }
    rewriting(conn, work)
}

/// Does `work`, which may take anything out, and writes the index anew.
pub(super) fn rewriting(conn: &Connection, work: impl FnOnce() -> Work<()>) -> Work<()> {
    conn.execute("INSERT INTO search (search, rank) VALUES ('secure-delete', 0)", [])?;
    work()?;
    conn.execute("INSERT INTO search (search) VALUES ('optimize')", [])?;
    conn.execute("INSERT INTO search (search, rank) VALUES ('secure-delete', 1)", [])?;
    Ok(())
}

/// Takes everything out.
pub(super) fn clear(conn: &Connection) -> Work<()> {
    conn.execute("INSERT INTO search (search) VALUES ('delete-all')", [])?;
    Ok(())
}
