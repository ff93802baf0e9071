//! Entries brought in exactly as they were in another database.

use super::append::LogEnd;
use super::error::{Work, corrupt};
use super::key::entry_id;
use holdfast_domain::EntryBody;
use holdfast_domain::chain::{Payload, Stored, link};
use holdfast_domain::entry::{Kind, Message};
use rusqlite::{Connection, params};

/// Writes `entries` of one log after those that are there. Projections follow with a rebuild.
pub(super) fn load(conn: &Connection, entries: &[Stored]) -> Work<()> {
    let Some(first) = entries.first() else { return Ok(()) };
    let room = first.header.room;
    let mut end = LogEnd::load(conn, room)?.unwrap_or_else(|| LogEnd::empty(room));
    for entry in entries {
        let header = &entry.header;
        let wrong = |what: &str| corrupt(format!("entry {} of room {} {what}", header.seq, header.room));
        if header.room != room {
            return Err(wrong("came among those of another room").into());
        }
        if header.seq != end.head.seq.next() {
            return Err(wrong("does not follow the one before it").into());
        }
        if header.at < end.at {
            return Err(wrong("is older than the one before it").into());
        }
        if link(end.head.hash, header, entry.payload.digest()) != entry.hash {
            return Err(wrong("has a hash that does not follow from its content and the entry before").into());
        }
        let message = insert(conn, entry, end.head.messages)?;
        let shown = message.as_ref().map(|m| m.said.unwrap_or(header.at));
        let counts = Kind::from_code(header.kind) == Some(Kind::Message);
        end.advance(header.seq, entry.hash, header.at, if counts { shown.or(Some(header.at)) } else { None });
    }
    end.save(conn)
}

/// Writes one entry; answers the message if it is one that was kept.
fn insert(conn: &Connection, entry: &Stored, messages: i64) -> Work<Option<Message>> {
    const ENTRY: &str =
        "INSERT INTO entry (id, at, shown_at, author, kind, ordinal, client_id, hash, payload, payload_digest)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    const SENT: &str = "INSERT OR IGNORE INTO sent (room, author, client_id, seq, at) VALUES (?1, ?2, ?3, ?4, NULL)";
    let header = &entry.header;
    let (payload, digest) = match &entry.payload {
        Payload::Kept(text) => (Some(text.as_str()), None),
        Payload::Erased(digest) => (None, Some(digest.0)),
    };
    let message = match payload.map(|text| EntryBody::decode(header.kind, text)) {
        Some(Ok(EntryBody::Message(message))) => Some(message),
        _ => None,
    };
    let said = message.as_ref().and_then(|m| m.said);
    conn.prepare_cached(ENTRY)?.execute(params![
        entry_id(header.room, header.seq),
        header.at.millis(),
        said.unwrap_or(header.at).millis(),
        header.author.0,
        header.kind,
        messages + i64::from(Kind::from_code(header.kind) == Some(Kind::Message)),
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
    Ok(message)
}
