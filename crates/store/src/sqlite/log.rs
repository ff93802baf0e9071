//! The logs: what is read of them. How they are written is in [`super::append`].

use super::append::{self, LogEnd};
use super::error::Work;
use super::key::{entry_id, seq as seq_of};
use super::row::{entry_columns, load_row, row, row_columns};
use super::{SqliteStore, amend};
use crate::Result;
use crate::log::{Appended, Draft, From, Head, Page, RoomLog, Row};
use crate::paging::window;
use async_trait::async_trait;
use holdfast_domain::chain::{Digest, Header, Payload, Stored};
use holdfast_domain::{ClientId, Entry, PrincipalId, RoomId, Seq, Time};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension};

/// Client ids that one transaction forgets: so many are done in a moment, and posts come in between.
const FORGET_AT_ONCE: i64 = 10_000;

#[async_trait]
impl RoomLog for SqliteStore {
    async fn append(&self, drafts: Vec<Draft>) -> Result<Vec<Appended>> {
        self.threads.write("writing to the logs", move |tx| append::append(tx, drafts)).await
    }

    async fn head(&self, room: RoomId) -> Result<Head> {
        self.threads.read("reading the end of a log", move |tx, _| Ok(end(tx, room)?.end.head)).await
    }

    async fn heads(&self) -> Result<Vec<(RoomId, Head)>> {
        self.threads
            .read("reading the ends of the logs", |tx, _| {
                Ok(LogEnd::load_all(tx)?.into_iter().map(|end| (end.end.room, end.end.head)).collect())
            })
            .await
    }

    async fn page(&self, room: RoomId, from: From, limit: usize) -> Result<Page> {
        self.threads.read("reading a page of a log", move |tx, _| page(tx, room, from, limit)).await
    }

    async fn rows(&self, room: RoomId, seqs: Vec<Seq>) -> Result<Vec<Row>> {
        self.threads
            .read("reading entries of a log", move |tx, _| {
                let mut seqs = seqs;
                seqs.sort_unstable();
                seqs.dedup();
                seqs.into_iter().filter_map(|seq| load_row(tx, entry_id(room, seq)).transpose()).collect()
            })
            .await
    }

    async fn edits_of(&self, room: RoomId, seq: Seq) -> Result<Vec<Entry>> {
        self.threads
            .read("reading the edits of a message", move |tx, _| {
                amend::edits_of(tx, entry_id(room, seq))?
                    .into_iter()
                    .filter_map(|id| super::row::load_entry(tx, room, seq_of(id)).transpose())
                    .collect()
            })
            .await
    }

    async fn find_sent(&self, room: RoomId, author: PrincipalId, client_id: ClientId) -> Result<Option<Entry>> {
        self.threads.read("looking up a client id", move |tx, _| append::find_sent(tx, room, author, client_id.0)).await
    }

    async fn stored(&self, room: RoomId, after: Seq, limit: usize) -> Result<Vec<Stored>> {
        self.threads.read("reading a log as it is stored", move |tx, _| stored(tx, room, after, limit)).await
    }

    async fn last_at(&self, room: RoomId, at: Time) -> Result<Option<Seq>> {
        self.threads.read("finding a date in a log", move |tx, _| last_at(tx, room, at)).await
    }

    async fn forget_client_ids(&self, before: Time) -> Result<u64> {
        const SQL: &str = "DELETE FROM sent WHERE (room, author, client_id) IN (
                               SELECT room, author, client_id FROM sent WHERE at < ?1 LIMIT ?2)";
        let mut forgotten = 0;
        loop {
            let n = self
                .threads
                .write("forgetting client ids", move |tx| {
                    Ok(tx.prepare_cached(SQL)?.execute([before.millis(), FORGET_AT_ONCE])? as u64)
                })
                .await?;
            forgotten += n;
            if n < FORGET_AT_ONCE.unsigned_abs() {
                return Ok(forgotten);
            }
        }
    }
}

fn end(conn: &Connection, room: RoomId) -> Work<LogEnd> {
    Ok(LogEnd::load(conn, room)?.unwrap_or_else(|| LogEnd::empty(room)))
}

/// A log has no gaps, so a page is known by its numbers before a row of it is read.
fn page(conn: &Connection, room: RoomId, from: From, limit: usize) -> Work<Page> {
    const SQL: &str = concat!("SELECT ", row_columns!(), " WHERE e.id BETWEEN ?1 AND ?2 ORDER BY e.id");
    let head = end(conn, room)?.end.head.seq;
    let focus = match from {
        From::Around(seq) if seq <= head => Some(seq),
        From::At(time) => first_shown(conn, room, time)?,
        _ => None,
    };
    let (first, last) = window(head, from, focus, limit);
    let mut rows = Vec::new();
    if first <= last {
        let mut statement = conn.prepare_cached(SQL)?;
        let mut found = statement.query([entry_id(room, first), entry_id(room, last)])?;
        while let Some(r) = found.next()? {
            rows.push(row(r)?);
        }
    }
    let focus = focus.filter(|seq| (first..=last).contains(seq));
    Ok(Page { rows, focus, more_before: first > Seq(1), more_after: last < head })
}

/// The message that is shown first among those shown at `time` or later.
fn first_shown(conn: &Connection, room: RoomId, time: Time) -> Work<Option<Seq>> {
    const SQL: &str =
        "SELECT id FROM entry WHERE id >> 36 = ?1 AND kind = 1 AND shown_at >= ?2 ORDER BY shown_at, id LIMIT 1";
    let id: Option<i64> = conn.prepare_cached(SQL)?.query_row([room.0, time.millis()], |r| r.get(0)).optional()?;
    Ok(id.map(seq_of))
}

fn stored(conn: &Connection, room: RoomId, after: Seq, limit: usize) -> Work<Vec<Stored>> {
    const SQL: &str = concat!(
        "SELECT ",
        entry_columns!(),
        ", e.payload_digest FROM entry e WHERE e.id BETWEEN ?1 AND ?2 ORDER BY e.id LIMIT ?3"
    );
    let first = entry_id(room, Seq(after.0.clamp(0, Seq::MAX.0 - 1)).next());
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = conn.prepare_cached(SQL)?;
    let mut rows = statement.query([first, entry_id(room, Seq::MAX), limit])?;
    let mut found = Vec::new();
    while let Some(r) = rows.next()? {
        found.push(as_stored(room, r)?);
    }
    Ok(found)
}

/// A row exactly as it is stored, even where it cannot be right: whoever verifies a log must get to see every entry of it. What
/// cannot be read is given as something that cannot match the chain, which then names the entry.
fn as_stored(room: RoomId, r: &rusqlite::Row<'_>) -> Work<Stored> {
    let number = |column| r.get_ref(column).ok().and_then(|v| v.as_i64().ok()).unwrap_or(i64::MIN);
    let digest =
        |column| r.get_ref(column).ok().and_then(|v| Digest::from_bytes(v.as_blob().ok()?)).unwrap_or(Digest([0; 32]));
    let client_id = r.get_ref(4)?.as_blob().ok().and_then(|b| uuid::Uuid::from_slice(b).ok()).unwrap_or_default();
    let payload = match r.get_ref(6)? {
        ValueRef::Null => Payload::Erased(digest(7)),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Payload::Kept(String::from_utf8_lossy(bytes).into_owned()),
        ValueRef::Integer(n) => Payload::Kept(n.to_string()),
        ValueRef::Real(n) => Payload::Kept(n.to_string()),
    };
    let header = Header {
        room,
        seq: seq_of(r.get(0)?),
        at: Time::from_millis(number(1)),
        author: PrincipalId(number(2)),
        client_id: ClientId(client_id),
        kind: u16::try_from(number(3)).unwrap_or(u16::MAX),
    };
    Ok(Stored { header, payload, hash: digest(5) })
}

/// Times never fall along a log, so the entries of its own time end at a place that can be found by halving; imported messages
/// after it may be shown earlier, and the index of shown times knows them.
fn last_at(conn: &Connection, room: RoomId, at: Time) -> Work<Option<Seq>> {
    const AT: &str = "SELECT at FROM entry WHERE id = ?1";
    const SHOWN: &str = "SELECT max(id) FROM entry WHERE id BETWEEN ?1 AND ?2 AND shown_at <= ?3";
    const IMPORTED: &str = "SELECT id FROM entry WHERE id >> 36 = ?1 AND kind = 1 AND shown_at <= ?2 ORDER BY shown_at DESC, id DESC LIMIT 1";
    const IMPORTED_UNORDERED: &str = "SELECT max(id) FROM entry WHERE id >> 36 = ?1 AND kind = 1 AND shown_at <= ?2";
    let Some(end) = LogEnd::load(conn, room)? else { return Ok(None) };

    let (mut known, mut beyond) = (0, end.end.head.seq.0 + 1);
    let mut time_of = conn.prepare_cached(AT)?;
    while beyond - known > 1 {
        let middle = known + (beyond - known) / 2;
        let time: Option<i64> = time_of.query_row([entry_id(room, Seq(middle))], |r| r.get(0)).optional()?;
        if time.is_some_and(|t| t <= at.millis()) {
            known = middle;
        } else {
            beyond = middle;
        }
    }
    // `said` may lie after `at` if whoever imported it says so; then the place is before.
    let own: Option<i64> = conn
        .prepare_cached(SHOWN)?
        .query_row([entry_id(room, Seq(1)), entry_id(room, Seq(known)), at.millis()], |r| r.get(0))?;
    let sql = if end.in_order { IMPORTED } else { IMPORTED_UNORDERED };
    let message: Option<i64> = conn
        .prepare_cached(sql)?
        .query_row([room.0, at.millis()], |r| r.get::<_, Option<i64>>(0))
        .optional()?
        .flatten();
    Ok(own.max(message).map(seq_of))
}
