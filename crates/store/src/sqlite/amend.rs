//! What later entries do to messages: edits, retractions, removals, purges, and the end of a whole room.
//!
//! Everything here is called both when an entry is written and when the projections are made anew; the second time the erased content is
//! gone already, and what is left to do is less.

use super::error::Work;
use super::index::{self, Indexed};
use super::key::{entry_id, room_and_seq, seq};
use super::row::{load_body, unreadable};
use holdfast_domain::chain::Digest;
use holdfast_domain::entry::{Edit, Kind, Message, Removal};
use holdfast_domain::{EntryBody, PrincipalId, RoomId, Seq};
use rusqlite::{Connection, OptionalExtension, params};

/// Ways out of sight, as they are stored. A greater one beats a lesser one.
pub(super) const RETRACTED: i64 = 1;
pub(super) const REMOVED: i64 = 2;
pub(super) const PURGED: i64 = 3;

/// A message in sight, as it reads now.
struct Current {
    id: i64,
    shown_at: i64,
    author: PrincipalId,
    title: Option<String>,
    text: String,
    mentions: Vec<PrincipalId>,
}

/// Makes a new message found by its words and by those whom it names.
pub(super) fn show(conn: &Connection, id: i64, shown_at: i64, author: PrincipalId, message: &Message) -> Work<()> {
    index::put(conn, id, &Indexed { title: message.title.as_deref(), text: &message.text, author })?;
    put_mentions(conn, id, shown_at, &message.mentions)
}

/// Entry `by` gives a message a new text.
pub(super) fn edit(conn: &Connection, room: RoomId, by: i64, edit: &Edit) -> Work<()> {
    const NOTE: &str = "INSERT OR IGNORE INTO edit (of, id) VALUES (?1, ?2)";
    const OVERLAY: &str = "INSERT INTO amendment (id, edit) VALUES (?1, ?2)
                           ON CONFLICT (id) DO UPDATE SET edit = excluded.edit";
    let id = entry_id(room, edit.of);
    if !is_earlier_message(conn, id, by)? {
        return Ok(());
    }
    if let Some(old) = current(conn, id)? {
        old.hide(conn)?;
        let new = Indexed { title: edit.title.as_deref(), text: &edit.text, author: old.author };
        index::put(conn, id, &new)?;
        put_mentions(conn, id, old.shown_at, &edit.mentions)?;
    }
    conn.prepare_cached(NOTE)?.execute([id, by])?;
    conn.prepare_cached(OVERLAY)?.execute([id, by])?;
    Ok(())
}

/// Entry `by` takes a message back.
pub(super) fn retract(conn: &Connection, room: RoomId, by: i64, of: Seq) -> Work<()> {
    put_out_of_sight(conn, entry_id(room, of), by, RETRACTED)
}

/// Entry `by` removes messages.
pub(super) fn remove(conn: &Connection, room: RoomId, by: i64, removal: &Removal) -> Work<()> {
    for of in &removal.of {
        let id = entry_id(room, *of);
        put_out_of_sight(conn, id, by, REMOVED)?;
        if removal.erased && id < by {
            erase(conn, id)?;
            delete_files(conn, room, *of, *of)?;
        }
    }
    Ok(())
}

/// What an erasing removal erases: its messages, and their edits so far.
pub(super) fn with_edits(conn: &Connection, room: RoomId, of: &[Seq]) -> Work<Vec<Seq>> {
    let mut all = of.to_vec();
    for seq in of {
        all.extend(edits_of(conn, entry_id(room, *seq))?.into_iter().map(super::key::seq));
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

/// The ids of all edits of a message, ascending.
pub(super) fn edits_of(conn: &Connection, id: i64) -> Work<Vec<i64>> {
    let mut statement = conn.prepare_cached("SELECT id FROM edit WHERE of = ?1 ORDER BY id")?;
    let ids = statement.query_map([id], |r| r.get(0))?.collect::<rusqlite::Result<_>>()?;
    Ok(ids)
}

/// Entry `by` clears everything up to `through`.
pub(super) fn purge(conn: &Connection, room: RoomId, by: i64, through: Seq) -> Work<()> {
    const OVERLAY: &str = "INSERT INTO amendment (id, gone, how)
                           SELECT id, ?3, ?4 FROM entry WHERE id BETWEEN ?1 AND ?2 AND kind = ?5
                           ON CONFLICT (id) DO UPDATE SET gone = excluded.gone, how = excluded.how";
    let through = Seq(through.0.min(seq(by).0 - 1));
    if through < Seq(1) {
        return Ok(());
    }
    let (first, last) = (entry_id(room, Seq(1)), entry_id(room, through));
    hide_all(conn, first, last)?;
    erase_all(conn, first, last)?;
    conn.execute(OVERLAY, params![first, last, by, PURGED, Kind::Message.code()])?;
    delete_files(conn, room, Seq(1), through)
}

/// Deletes a room's log and all that hangs on it.
pub(super) fn delete_room(conn: &Connection, room: RoomId) -> Work<()> {
    let (first, last) = (entry_id(room, Seq::ZERO), entry_id(room, Seq::MAX));
    hide_all(conn, first, last)?;
    for sql in [
        "DELETE FROM edit WHERE of BETWEEN ?1 AND ?2",
        "DELETE FROM amendment WHERE id BETWEEN ?1 AND ?2",
        "DELETE FROM entry WHERE id BETWEEN ?1 AND ?2",
    ] {
        conn.execute(sql, [first, last])?;
    }
    for sql in [
        "DELETE FROM file WHERE room = ?1",
        "DELETE FROM sent WHERE room = ?1",
        "DELETE FROM room_head WHERE room = ?1",
        "DELETE FROM followed WHERE room = ?1",
        "DELETE FROM reading WHERE room = ?1",
        "DELETE FROM invitation WHERE room = ?1",
        "DELETE FROM webhook WHERE room = ?1",
    ] {
        conn.execute(sql, [room.0])?;
    }
    Ok(())
}

impl Current {
    /// Makes it no longer found.
    fn hide(&self, conn: &Connection) -> Work<()> {
        const UNMENTION: &str = "DELETE FROM mention WHERE user = ?1 AND room = ?2 AND seq = ?3";
        let indexed = Indexed { title: self.title.as_deref(), text: &self.text, author: self.author };
        index::take(conn, self.id, &indexed)?;
        let (room, seq) = room_and_seq(self.id);
        for user in &self.mentions {
            conn.prepare_cached(UNMENTION)?.execute([user.0, room.0, seq.0])?;
        }
        Ok(())
    }
}

fn put_mentions(conn: &Connection, id: i64, shown_at: i64, users: &[PrincipalId]) -> Work<()> {
    const SQL: &str = "INSERT OR IGNORE INTO mention (user, room, seq, shown_at) VALUES (?1, ?2, ?3, ?4)";
    let (room, seq) = room_and_seq(id);
    for user in users {
        conn.prepare_cached(SQL)?.execute([user.0, room.0, seq.0, shown_at])?;
    }
    Ok(())
}

/// Message `id` as it reads now, if it is in sight.
fn current(conn: &Connection, id: i64) -> Work<Option<Current>> {
    const SQL: &str = "SELECT e.shown_at, e.author, e.payload, a.edit, a.gone
                       FROM entry e LEFT JOIN amendment a ON a.id = e.id WHERE e.id = ?1 AND e.kind = 1";
    let mut statement = conn.prepare_cached(SQL)?;
    let found = statement
        .query_row([id], |r| {
            let payload: Option<String> = r.get(2)?;
            let gone: Option<i64> = r.get(4)?;
            Ok((r.get(0)?, PrincipalId(r.get(1)?), payload.filter(|_| gone.is_none()), r.get(3)?))
        })
        .optional()?;
    let Some((shown_at, author, Some(payload), edit)) = found else { return Ok(None) };
    let edited = match edit {
        Some(edit) => load_body(conn, edit)?.and_then(|(_, body)| body),
        None => None,
    };
    Ok(Some(match edited {
        Some(EntryBody::Edit(edit)) => {
            Current { id, shown_at, author, title: edit.title, text: edit.text, mentions: edit.mentions }
        }
        _ => match EntryBody::decode(Kind::Message.code(), &payload).map_err(|e| unreadable(id, &e))? {
            EntryBody::Message(m) => {
                Current { id, shown_at, author, title: m.title, text: m.text, mentions: m.mentions }
            }
            _ => return Ok(None),
        },
    }))
}

fn is_earlier_message(conn: &Connection, id: i64, than: i64) -> Work<bool> {
    const SQL: &str = "SELECT 1 FROM entry WHERE id = ?1 AND kind = 1";
    Ok(id < than && conn.prepare_cached(SQL)?.exists([id])?)
}

fn put_out_of_sight(conn: &Connection, id: i64, by: i64, how: i64) -> Work<()> {
    const OVERLAY: &str = "INSERT INTO amendment (id, gone, how) VALUES (?1, ?2, ?3)
                           ON CONFLICT (id) DO UPDATE SET gone = excluded.gone, how = excluded.how
                           WHERE how IS NULL OR how <= excluded.how";
    if !is_earlier_message(conn, id, by)? {
        return Ok(());
    }
    if let Some(message) = current(conn, id)? {
        message.hide(conn)?;
    }
    conn.prepare_cached(OVERLAY)?.execute([id, by, how])?;
    Ok(())
}

/// Makes all messages of a range no longer found.
fn hide_all(conn: &Connection, first: i64, last: i64) -> Work<()> {
    const SQL: &str = "SELECT e.id FROM entry e LEFT JOIN amendment a ON a.id = e.id
                       WHERE e.id BETWEEN ?1 AND ?2 AND e.kind = 1 AND e.payload IS NOT NULL AND a.gone IS NULL";
    let ids: Vec<i64> =
        conn.prepare_cached(SQL)?.query_map([first, last], |r| r.get(0))?.collect::<rusqlite::Result<_>>()?;
    index::taking_out(conn, i64::try_from(ids.len()).unwrap_or(i64::MAX), || {
        for id in ids {
            if let Some(message) = current(conn, id)? {
                message.hide(conn)?;
            }
        }
        Ok(())
    })
}

/// Erases the payloads of all content entries of a range.
fn erase_all(conn: &Connection, first: i64, last: i64) -> Work<()> {
    const NEXT: &str =
        "SELECT id, kind FROM entry WHERE id BETWEEN ?1 AND ?2 AND payload IS NOT NULL ORDER BY id LIMIT 1000";
    let mut from = first;
    loop {
        // In portions, because what is being walked over must not change meanwhile.
        let mut statement = conn.prepare_cached(NEXT)?;
        let portion: Vec<(i64, u16)> =
            statement.query_map([from, last], |r| Ok((r.get(0)?, r.get(1)?)))?.collect::<rusqlite::Result<_>>()?;
        let Some((end, _)) = portion.last() else { return Ok(()) };
        from = end + 1;
        for (id, kind) in portion {
            if Kind::from_code(kind).is_some_and(Kind::is_content) {
                erase(conn, id)?;
            }
        }
    }
}

/// Erases the payload of a content entry and keeps its digest. What an erased edit was an edit of is no longer known.
fn erase(conn: &Connection, id: i64) -> Work<()> {
    const READ: &str = "SELECT kind, payload FROM entry WHERE id = ?1 AND payload IS NOT NULL";
    const UNNOTE: &str = "DELETE FROM edit WHERE of = ?1 AND id = ?2";
    const UNCOVER: &str = "UPDATE amendment SET edit = NULL WHERE id = ?1 AND edit = ?2";
    const ERASE: &str = "UPDATE entry SET payload = NULL, payload_digest = ?2 WHERE id = ?1";
    let found: Option<(u16, String)> =
        conn.prepare_cached(READ)?.query_row([id], |r| Ok((r.get(0)?, r.get(1)?))).optional()?;
    if let Some((kind, payload)) = found
        && Kind::from_code(kind).is_some_and(Kind::is_content)
    {
        if let Ok(EntryBody::Edit(edit)) = EntryBody::decode(kind, &payload) {
            let of = entry_id(room_and_seq(id).0, edit.of);
            conn.prepare_cached(UNNOTE)?.execute([of, id])?;
            conn.prepare_cached(UNCOVER)?.execute([of, id])?;
        }
        conn.prepare_cached(ERASE)?.execute(params![id, Digest::of(payload.as_bytes()).0])?;
    }
    Ok(())
}

/// Deletes the files of the messages from `first` to `last`.
fn delete_files(conn: &Connection, room: RoomId, first: Seq, last: Seq) -> Work<()> {
    const SQL: &str = "DELETE FROM file WHERE room = ?1 AND seq BETWEEN ?2 AND ?3";
    conn.prepare_cached(SQL)?.execute([room.0, first.0, last.0])?;
    Ok(())
}
