//! Rows of the logs, as they are stored and as the interface has them.

use super::amend::{PURGED, REMOVED, RETRACTED};
use super::error::{Work, corrupt};
use super::key::{entry_id, room_and_seq, seq};
use crate::StoreError;
use crate::log::{Edited, Gone, Removed, Row};
use holdfast_domain::chain::Digest;
use holdfast_domain::entry::{Kind, Unreadable};
use holdfast_domain::{ClientId, Entry, EntryBody, PrincipalId, RoomId, Seq, Time};
use rusqlite::{Connection, OptionalExtension};

/// The columns that [`entry`] reads, of table `e`.
macro_rules! entry_columns {
    () => {
        "e.id, e.at, e.author, e.kind, e.client_id, e.hash, e.payload"
    };
}

/// The columns that [`row`] reads, and where they come from: an entry, the latest edit, and what took it out of sight.
macro_rules! row_columns {
    () => {
        "e.id, e.at, e.author, e.kind, e.client_id, e.hash, e.payload,
         x.id, x.at, x.kind, x.payload, g.id, g.at, g.kind, g.payload, g.author, a.how
         FROM entry e
         LEFT JOIN amendment a ON a.id = e.id
         LEFT JOIN entry x ON x.id = a.edit
         LEFT JOIN entry g ON g.id = a.gone"
    };
}

pub(super) use {entry_columns, row_columns};

/// An entry with what later entries made of it, from the columns of `row_columns`.
pub(super) fn row(r: &rusqlite::Row<'_>) -> Work<Row> {
    let entry = entry(r)?;
    let removed = removed(r)?;
    // Of a message whose content is gone for good, a later edit tells no more than the message itself.
    let erased = entry.body.is_none() || removed.as_ref().is_some_and(|r| r.how == Gone::Purged);
    let edited = if erased { None } else { edited(r)? };
    Ok(Row { entry, edited, removed })
}

/// An entry, from the columns of `entry_columns`.
pub(super) fn entry(r: &rusqlite::Row<'_>) -> Work<Entry> {
    let id: i64 = r.get(0)?;
    let (room, seq) = room_and_seq(id);
    let code: u16 = r.get(3)?;
    let kind = Kind::from_code(code).ok_or_else(|| damaged(id, format!("kind {code} is unknown")))?;
    Ok(Entry {
        room,
        seq,
        at: Time::from_millis(r.get(1)?),
        author: PrincipalId(r.get(2)?),
        client_id: ClientId(client_id(id, r.get_ref(4)?)?),
        kind,
        body: body(id, code, r.get_ref(6)?)?,
        hash: digest(id, r.get_ref(5)?)?,
    })
}

/// One entry with what later entries made of it.
pub(super) fn load_row(conn: &Connection, id: i64) -> Work<Option<Row>> {
    const SQL: &str = concat!("SELECT ", row_columns!(), " WHERE e.id = ?1");
    let mut statement = conn.prepare_cached(SQL)?;
    let mut rows = statement.query([id])?;
    rows.next()?.map(row).transpose()
}

/// One entry.
pub(super) fn load_entry(conn: &Connection, room: RoomId, seq: Seq) -> Work<Option<Entry>> {
    const SQL: &str = concat!("SELECT ", entry_columns!(), " FROM entry e WHERE e.id = ?1");
    let mut statement = conn.prepare_cached(SQL)?;
    let mut rows = statement.query([entry_id(room, seq)])?;
    rows.next()?.map(entry).transpose()
}

/// The kind and body of an entry; the body is `None` when it was erased.
pub(super) fn load_body(conn: &Connection, id: i64) -> Work<Option<(u16, Option<EntryBody>)>> {
    const SQL: &str = "SELECT kind, payload FROM entry WHERE id = ?1";
    let mut statement = conn.prepare_cached(SQL)?;
    let found: Option<(u16, Option<String>)> = statement.query_row([id], |r| Ok((r.get(0)?, r.get(1)?))).optional()?;
    let Some((kind, payload)) = found else { return Ok(None) };
    let body = payload.map(|p| EntryBody::decode(kind, &p)).transpose().map_err(|e| unreadable(id, &e))?;
    Ok(Some((kind, body)))
}

/// 32 bytes of entry `id`.
pub(super) fn digest(id: i64, value: rusqlite::types::ValueRef<'_>) -> Work<Digest> {
    let bytes = value.as_blob().map_err(|e| damaged(id, e))?;
    Digest::from_bytes(bytes).ok_or_else(|| damaged(id, format!("a digest has {} bytes", bytes.len())).into())
}

/// 16 bytes of entry `id`.
pub(super) fn client_id(id: i64, value: rusqlite::types::ValueRef<'_>) -> Work<uuid::Uuid> {
    let bytes = value.as_blob().map_err(|e| damaged(id, e))?;
    uuid::Uuid::from_slice(bytes).map_err(|e| damaged(id, e).into())
}

/// Something that cannot be right in entry `id`.
pub(super) fn damaged(id: i64, what: impl std::fmt::Display) -> StoreError {
    let (room, seq) = room_and_seq(id);
    corrupt(format!("entry {seq} of room {room}: {what}"))
}

pub(super) fn unreadable(id: i64, e: &Unreadable) -> StoreError {
    damaged(id, e)
}

fn body(id: i64, kind: u16, payload: rusqlite::types::ValueRef<'_>) -> Work<Option<EntryBody>> {
    let Some(payload) = payload.as_str_or_null().map_err(|e| damaged(id, e))? else { return Ok(None) };
    Ok(Some(EntryBody::decode(kind, payload).map_err(|e| unreadable(id, &e))?))
}

fn edited(r: &rusqlite::Row<'_>) -> Work<Option<Edited>> {
    let Some(id) = r.get::<_, Option<i64>>(7)? else { return Ok(None) };
    let Some(EntryBody::Edit(edit)) = body(id, r.get(9)?, r.get_ref(10)?)? else { return Ok(None) };
    Ok(Some(Edited {
        seq: seq(id),
        at: Time::from_millis(r.get(8)?),
        text: edit.text,
        title: edit.title,
        mentions: edit.mentions,
        files: edit.files,
        action: edit.action,
    }))
}

fn removed(r: &rusqlite::Row<'_>) -> Work<Option<Removed>> {
    let Some(id) = r.get::<_, Option<i64>>(11)? else { return Ok(None) };
    let how = match r.get::<_, i64>(16)? {
        RETRACTED => Gone::Retracted,
        REMOVED => Gone::Removed,
        PURGED => Gone::Purged,
        other => return Err(damaged(id, format!("{other} is no way to go out of sight")).into()),
    };
    let (reason, replacement) = match body(id, r.get(13)?, r.get_ref(14)?)? {
        Some(EntryBody::Removal(removal)) => (Some(removal.reason), removal.replacement),
        _ => (None, None),
    };
    Ok(Some(Removed {
        seq: seq(id),
        at: Time::from_millis(r.get(12)?),
        by: PrincipalId(r.get(15)?),
        how,
        reason,
        replacement,
    }))
}
