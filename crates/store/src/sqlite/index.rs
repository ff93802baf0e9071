//! The index of words. It keeps no text, so what is taken out must be given as it was put in.

use super::error::Work;
use holdfast_domain::PrincipalId;
use rusqlite::{Connection, params};

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

/// Takes everything out.
pub(super) fn clear(conn: &Connection) -> Work<()> {
    conn.execute("INSERT INTO search (search) VALUES ('delete-all')", [])?;
    Ok(())
}
