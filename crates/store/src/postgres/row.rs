//! Rows of the logs, as they are stored and as the interface has them.

use super::amend::{PURGED, REMOVED, RETRACTED};
use super::error::{Work, corrupt};
use super::session::Session;
use super::words::Sieve;
use crate::StoreError;
use crate::log::{Edited, Gone, Removed, Row};
use holdfast_domain::chain::Digest;
use holdfast_domain::entry::Kind;
use holdfast_domain::{ClientId, Entry, EntryBody, PrincipalId, RoomId, Seq, Time};
use std::collections::{BTreeSet, HashMap};

/// The columns that [`entry`] reads, of table `e`.
macro_rules! entry_columns {
    () => {
        "e.room, e.seq, e.at, e.author, e.client_id, e.kind, e.hash, e.payload"
    };
}

/// The columns that [`Found`] reads: an entry and the numbers of the entries that amended it. In parts of the table `e` alone, so that
/// what amended it, which is rare, is read only where it is.
macro_rules! found_columns {
    () => {
        "e.room, e.seq, e.at, e.author, e.client_id, e.kind, e.hash, e.payload, a.edit, a.gone, a.how"
    };
}

pub(super) use {entry_columns, found_columns};

/// An entry with the numbers of those that amended it.
pub(super) struct Found {
    pub(super) entry: Entry,
    edit: Option<Seq>,
    gone: Option<(Seq, i16)>,
}

impl Found {
    /// From the columns of `found_columns`.
    pub(super) fn read(r: &tokio_postgres::Row) -> Work<Found> {
        let seq = |i: usize| r.try_get::<_, Option<i64>>(i).map(|n| n.map(Seq));
        let gone = seq(9)?.zip(r.try_get::<_, Option<i16>>(10)?);
        Ok(Found { entry: entry(r)?, edit: seq(8)?, gone })
    }

    /// Whether nothing has amended it, so that it reads as it was written.
    pub(super) fn is_as_written(&self) -> bool {
        self.edit.is_none() && self.gone.is_none()
    }

    /// Whether it is out of sight.
    pub(super) fn is_gone(&self) -> bool {
        self.gone.is_some() || self.entry.body.is_none()
    }
}

/// An entry, from the columns of `entry_columns`.
pub(super) fn entry(r: &tokio_postgres::Row) -> Work<Entry> {
    let (room, seq) = (RoomId(r.try_get(0)?), Seq(r.try_get(1)?));
    let code = kind_code(r.try_get(5)?);
    let kind = Kind::from_code(code).ok_or_else(|| damaged(room, seq, format!("kind {code} is unknown")))?;
    let payload: Option<&str> = r.try_get(7)?;
    let body = payload.map(|p| EntryBody::decode(code, p)).transpose().map_err(|e| damaged(room, seq, e))?;
    let hash = Digest::from_bytes(r.try_get(6)?).ok_or_else(|| damaged(room, seq, "a digest of another length"))?;
    Ok(Entry {
        room,
        seq,
        at: Time::from_millis(r.try_get(2)?),
        author: PrincipalId(r.try_get(3)?),
        client_id: ClientId(r.try_get(4)?),
        kind,
        body,
        hash,
    })
}

/// Brings what amended them to entries of any rooms. Keeps their order.
pub(super) async fn complete(session: &Session, found: Vec<Found>) -> Work<Vec<Row>> {
    let wanted: BTreeSet<(RoomId, Seq)> = found
        .iter()
        .flat_map(|f| [f.edit, f.gone.map(|(seq, _)| seq)].into_iter().flatten().map(|seq| (f.entry.room, seq)))
        .collect();
    let amending = load_entries(session, wanted).await?;
    Ok(found.into_iter().map(|f| row(f, &amending)).collect())
}

/// Entries by room and number; those that are not there are left out.
pub(super) async fn load_entries(
    session: &Session,
    wanted: BTreeSet<(RoomId, Seq)>,
) -> Work<HashMap<(RoomId, Seq), Entry>> {
    const SQL: &str = concat!(
        "SELECT ",
        entry_columns!(),
        " FROM unnest($1::bigint[], $2::bigint[]) u (room, seq) JOIN entry e ON e.room = u.room AND e.seq = u.seq"
    );
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let (rooms, seqs): (Vec<i64>, Vec<i64>) = wanted.into_iter().map(|(room, seq)| (room.0, seq.0)).unzip();
    let rows = session.query(SQL, &[&rooms, &seqs]).await?;
    rows.iter()
        .map(|r| {
            let entry = entry(r)?;
            Ok(((entry.room, entry.seq), entry))
        })
        .collect()
}

/// Entries of any rooms with what later entries made of them, ascending by room and number.
pub(super) async fn load_rows(session: &Session, wanted: &BTreeSet<(RoomId, Seq)>) -> Work<Vec<Row>> {
    const SQL: &str = concat!(
        "SELECT ",
        found_columns!(),
        " FROM unnest($1::bigint[], $2::bigint[]) u (room, seq)
          JOIN entry e ON e.room = u.room AND e.seq = u.seq
          LEFT JOIN amendment a ON a.room = e.room AND a.seq = e.seq
          ORDER BY e.room, e.seq"
    );
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let (rooms, seqs): (Vec<i64>, Vec<i64>) = wanted.iter().map(|(room, seq)| (room.0, seq.0)).unzip();
    let rows = session.query(SQL, &[&rooms, &seqs]).await?;
    complete(session, rows.iter().map(Found::read).collect::<Work<_>>()?).await
}

/// The messages of stretches of logs (room, first and last number), and the edits in them: the columns of `found_columns`, and as twelfth when it is
/// shown.
pub(super) async fn messages_and_edits(
    session: &Session,
    stretches: impl Iterator<Item = (i64, i64, i64)>,
) -> Work<Vec<tokio_postgres::Row>> {
    const SQL: &str = concat!(
        "SELECT ",
        found_columns!(),
        ", coalesce(e.said, e.at) FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) u (room, first, last)
         JOIN entry e ON e.room = u.room AND e.seq BETWEEN u.first AND u.last AND e.kind IN (1, 2)
         LEFT JOIN amendment a ON a.room = e.room AND a.seq = e.seq"
    );
    let (rooms, firsts, lasts) = columns(stretches);
    session.query(SQL, &[&rooms, &firsts, &lasts]).await
}

/// As [`messages_and_edits`], without messages that the sieve passes over. Most of a stretch stays in the database by this. A message that was edited
/// may come twice.
pub(super) async fn messages_that_may_have(
    session: &Session,
    stretches: impl Iterator<Item = (i64, i64, i64)>,
    sieve: &Sieve,
) -> Work<Vec<tokio_postgres::Row>> {
    // Kind 1 is a message, and without an edit it reads as it was written; kind 2 is an edit.
    macro_rules! sifted {
        ($quantity:literal) => {
            concat!(
                "SELECT ",
                found_columns!(),
                ", coalesce(e.said, e.at) FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) u (room, first, last)
                 JOIN entry e ON e.room = u.room AND e.seq BETWEEN u.first AND u.last AND (e.kind = 2 OR e.kind = 1
                    AND (lower(e.payload COLLATE \"C\") LIKE ",
                $quantity,
                " ($4::text[]) OR octet_length(e.payload) <> char_length(e.payload)))
                 LEFT JOIN amendment a ON a.room = e.room AND a.seq = e.seq
                 UNION ALL SELECT ",
                found_columns!(),
                ", coalesce(e.said, e.at) FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) u (room, first, last)
                 JOIN amendment a ON a.room = u.room AND a.seq BETWEEN u.first AND u.last AND a.edit IS NOT NULL
                 JOIN entry e ON e.room = a.room AND e.seq = a.seq AND e.kind = 1"
            )
        };
    }
    const ALL: &str = sifted!("ALL");
    const ANY: &str = sifted!("ANY");
    let (rooms, firsts, lasts) = columns(stretches);
    session.query(if sieve.all { ALL } else { ANY }, &[&rooms, &firsts, &lasts, &sieve.patterns]).await
}

fn columns(stretches: impl Iterator<Item = (i64, i64, i64)>) -> (Vec<i64>, Vec<i64>, Vec<i64>) {
    let (mut rooms, mut firsts, mut lasts) = (Vec::new(), Vec::new(), Vec::new());
    for (room, first, last) in stretches {
        rooms.push(room);
        firsts.push(first);
        lasts.push(last);
    }
    (rooms, firsts, lasts)
}

/// Something that cannot be right in an entry.
pub(super) fn damaged(room: RoomId, seq: Seq, what: impl std::fmt::Display) -> StoreError {
    corrupt(format!("entry {seq} of room {room}: {what}"))
}

/// A stored kind; a number that none has becomes one that none will have.
pub(super) fn kind_code(stored: i16) -> u16 {
    u16::try_from(stored).unwrap_or(u16::MAX)
}

/// A kind as it is stored.
pub(super) fn stored_kind(code: u16) -> i16 {
    i16::try_from(code).unwrap_or(i16::MAX)
}

fn row(found: Found, amending: &HashMap<(RoomId, Seq), Entry>) -> Row {
    let Found { entry, edit, gone } = found;
    let of = |seq: Seq| amending.get(&(entry.room, seq));
    let removed = gone.and_then(|(seq, how)| Some(removed(of(seq)?, how)));
    // Of a message whose content is gone for good, a later edit tells no more than the message itself.
    let erased = entry.body.is_none() || removed.as_ref().is_some_and(|r| r.how == Gone::Purged);
    let edited = edit.filter(|_| !erased).and_then(of).and_then(edited);
    Row { entry, edited, removed }
}

fn edited(by: &Entry) -> Option<Edited> {
    let Some(EntryBody::Edit(edit)) = &by.body else { return None };
    Some(Edited {
        seq: by.seq,
        at: by.at,
        text: edit.text.clone(),
        title: edit.title.clone(),
        mentions: edit.mentions.clone(),
        files: edit.files.clone(),
        action: edit.action,
    })
}

fn removed(by: &Entry, how: i16) -> Removed {
    let how = match how {
        RETRACTED => Gone::Retracted,
        REMOVED => Gone::Removed,
        // The strongest also for what is none of ours: what may be erased is not shown.
        PURGED => Gone::Purged,
        _ => Gone::Purged,
    };
    let (reason, replacement) = match &by.body {
        Some(EntryBody::Removal(removal)) => (Some(removal.reason.clone()), removal.replacement.clone()),
        _ => (None, None),
    };
    Removed { seq: by.seq, at: by.at, by: by.author, how, reason, replacement }
}
