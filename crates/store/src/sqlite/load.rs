//! Entries brought in exactly as they were in another database.

use super::append::LogEnd;
use super::error::Work;
use super::key::entry_id;
use holdfast_domain::Time;
use holdfast_domain::chain::{Payload, Stored};
use rusqlite::{Connection, params};

/// Writes `entries` of one log after those that are there. Projections follow with a rebuild.
pub(super) fn load(conn: &Connection, entries: &[Stored]) -> Work<()> {
    let Some(first) = entries.first() else { return Ok(()) };
    let room = first.header.room;
    let mut end = LogEnd::load(conn, room)?.unwrap_or_else(|| LogEnd::empty(room));
    for entry in entries {
        let messages = end.end.head.messages;
        let followed = end.end.follow(entry)?;
        if let Some(shown) = followed.message {
            end.note_message(shown);
        }
        insert(conn, entry, messages + i64::from(followed.message.is_some()), followed.said)?;
    }
    end.save(conn)
}

/// Writes one entry, up to which the log has so many messages.
fn insert(conn: &Connection, entry: &Stored, messages: i64, said: Option<Time>) -> Work<()> {
    const ENTRY: &str =
        "INSERT INTO entry (id, at, shown_at, author, kind, ordinal, client_id, hash, payload, payload_digest)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    const SENT: &str = "INSERT OR IGNORE INTO sent (room, author, client_id, seq, at) VALUES (?1, ?2, ?3, ?4, NULL)";
    let header = &entry.header;
    let (payload, digest) = match &entry.payload {
        Payload::Kept(text) => (Some(text.as_str()), None),
        Payload::Erased(digest) => (None, Some(digest.0)),
    };
    conn.prepare_cached(ENTRY)?.execute(params![
        entry_id(header.room, header.seq),
        header.at.millis(),
        said.unwrap_or(header.at).millis(),
        header.author.0,
        header.kind,
        messages,
        header.client_id.0.as_bytes(),
        entry.hash.0,
        payload,
        digest,
    ])?;
    // What was imported from elsewhere is known again for ever; see Remember::ForEver.
    if said.is_some() {
        let key = params![header.room.0, header.author.0, header.client_id.0.as_bytes(), header.seq.0];
        conn.prepare_cached(SENT)?.execute(key)?;
    }
    Ok(())
}
