//! The way of every change: a draft becomes the next entry of its log, and all that follows from it is brought in step.

use super::amend;
use super::directory;
use super::error::{Work, corrupt, missing};
use super::key::entry_id;
use super::row::load_entry;
use crate::chaining::{Chained, End};
use crate::log::{Appended, Draft, Head, Remember};
use holdfast_domain::chain::Digest;
use holdfast_domain::entry::{FileRef, Kind};
use holdfast_domain::{Entry, EntryBody, PrincipalId, RoomId, Seq, Time};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::HashMap;
use std::collections::hash_map;

/// Writes all drafts into the transaction that `conn` is in.
pub(super) fn append(conn: &Connection, drafts: Vec<Draft>) -> Work<Vec<Appended>> {
    let mut batch = Batch { conn, ends: HashMap::new() };
    let appended = drafts.into_iter().map(|draft| batch.write(draft)).collect::<Work<_>>()?;
    batch.finish()?;
    Ok(appended)
}

/// The end of a log, with what is known of its messages.
#[derive(Clone, Debug)]
pub(super) struct LogEnd {
    pub(super) end: End,
    /// Least and greatest shown time of its messages.
    pub(super) shown: Option<(Time, Time)>,
    /// Whether the messages' shown times never fall.
    pub(super) in_order: bool,
}

impl LogEnd {
    /// Of an empty log.
    pub(super) fn empty(room: RoomId) -> Self {
        Self { end: End::empty(room), shown: None, in_order: true }
    }

    /// As it was kept; `None` if the log has no entry.
    pub(super) fn load(conn: &Connection, room: RoomId) -> Work<Option<Self>> {
        const SQL: &str = "SELECT room, last_seq, last_hash, last_at, messages, last_message_at, earliest_message, latest_message, in_order
                           FROM room_head WHERE room = ?1";
        let mut statement = conn.prepare_cached(SQL)?;
        let mut rows = statement.query([room.0])?;
        rows.next()?.map(Self::read).transpose()
    }

    /// Of all logs.
    pub(super) fn load_all(conn: &Connection) -> Work<Vec<Self>> {
        const SQL: &str = "SELECT room, last_seq, last_hash, last_at, messages, last_message_at, earliest_message, latest_message, in_order
                           FROM room_head ORDER BY room";
        let mut statement = conn.prepare_cached(SQL)?;
        let mut rows = statement.query([])?;
        let mut ends = Vec::new();
        while let Some(r) = rows.next()? {
            ends.push(Self::read(r)?);
        }
        Ok(ends)
    }

    /// Keeps it.
    pub(super) fn save(&self, conn: &Connection) -> Work<()> {
        const SQL: &str = "INSERT OR REPLACE INTO room_head
            (room, last_seq, last_hash, last_at, messages, last_message_at, earliest_message, latest_message, in_order)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        conn.prepare_cached(SQL)?.execute(params![
            self.end.room.0,
            self.end.head.seq.0,
            self.end.head.hash.0,
            self.end.at.millis(),
            self.end.head.messages,
            self.end.head.last_message_at.map(Time::millis),
            self.shown.map(|(earliest, _)| earliest.millis()),
            self.shown.map(|(_, latest)| latest.millis()),
            self.in_order,
        ])?;
        Ok(())
    }

    /// Notes that the log goes on with a message that is shown at this time.
    pub(super) fn note_message(&mut self, shown: Time) {
        let (earliest, latest) = self.shown.unwrap_or((shown, shown));
        self.in_order &= latest <= shown;
        self.shown = Some((earliest.min(shown), latest.max(shown)));
    }

    fn read(r: &rusqlite::Row<'_>) -> Work<Self> {
        let room = RoomId(r.get(0)?);
        let hash = r.get_ref(2)?.as_blob().ok().and_then(Digest::from_bytes);
        let hash = hash.ok_or_else(|| corrupt(format!("the hash of the end of room {room}'s log")))?;
        let time = |i: usize| r.get::<_, Option<i64>>(i).map(|ms| ms.map(Time::from_millis));
        Ok(Self {
            end: End {
                room,
                head: Head { seq: Seq(r.get(1)?), hash, messages: r.get(4)?, last_message_at: time(5)? },
                at: Time::from_millis(r.get(3)?),
            },
            shown: time(6)?.zip(time(7)?),
            in_order: r.get(8)?,
        })
    }
}

/// Does to a log's projections what an entry of it says.
pub(super) fn project(conn: &Connection, entry: &Entry) -> Work<()> {
    let id = entry_id(entry.room, entry.seq);
    match &entry.body {
        Some(EntryBody::Message(message)) => amend::show(conn, id, entry.shown_at().millis(), entry.author, message),
        Some(EntryBody::Edit(edit)) => amend::edit(conn, entry.room, id, edit),
        Some(EntryBody::Retraction { of, .. }) => amend::retract(conn, entry.room, id, *of),
        Some(EntryBody::Removal(removal)) => amend::remove(conn, entry.room, id, removal),
        Some(EntryBody::Purge { through }) => amend::purge(conn, entry.room, id, *through),
        _ => Ok(()),
    }
}

struct Batch<'a> {
    conn: &'a Connection,
    ends: HashMap<RoomId, LogEnd>,
}

impl Batch<'_> {
    fn write(&mut self, draft: Draft) -> Work<Appended> {
        if let Some(entry) = find_sent(self.conn, draft.room, draft.author, draft.client_id.0)? {
            return Ok(Appended::Repeated(entry));
        }
        self.find_end(&draft)?;
        let remember = draft.remember;
        let Chained { entry, payload } = self.next_entry(draft)?;
        self.insert(&entry, &payload, remember)?;
        project(self.conn, &entry)?;
        if let Some(body) = &entry.body {
            directory::apply(self.conn, entry.room, body)?;
            if let EntryBody::RoomDeleted { id, .. } = body {
                self.ends.remove(id);
                amend::delete_room(self.conn, *id)?;
            }
        }
        take_files(self.conn, &entry)?;
        Ok(Appended::New(entry))
    }

    /// Makes sure that the draft's log is there or begins with it.
    fn find_end(&mut self, draft: &Draft) -> Work<()> {
        let room = draft.room;
        let hash_map::Entry::Vacant(vacant) = self.ends.entry(room) else { return Ok(()) };
        let end = match LogEnd::load(self.conn, room)? {
            Some(end) => end,
            None if room == RoomId::POOL => LogEnd::empty(room),
            None if matches!(draft.body, EntryBody::Room(_))
                && (1..=RoomId::MAX.0).contains(&room.0)
                && !directory::was_deleted(self.conn, room)? =>
            {
                LogEnd::empty(room)
            }
            None => return Err(missing(format!("room {room}")).into()),
        };
        vacant.insert(end);
        Ok(())
    }

    /// The draft as the next entry of its log, whose end moves to it.
    fn next_entry(&mut self, draft: Draft) -> Work<Chained> {
        let body = self.completed(draft.room, draft.body)?;
        let Some(end) = self.ends.get_mut(&draft.room) else {
            return Err(missing(format!("room {}", draft.room)).into());
        };
        let chained = end.end.chain(draft.author, draft.client_id, draft.at, body)?;
        if chained.entry.kind == Kind::Message {
            end.note_message(chained.entry.shown_at());
        }
        Ok(chained)
    }

    /// The body with what only the transaction can know filled in.
    fn completed(&self, room: RoomId, body: EntryBody) -> Work<EntryBody> {
        Ok(match body {
            EntryBody::Room(put) if put.now.id != room => {
                return Err(corrupt(format!("settings of room {} for the log of room {room}", put.now.id)).into());
            }
            EntryBody::Removal(mut removal) if removal.erased => {
                removal.of = amend::with_edits(self.conn, room, &removal.of)?;
                EntryBody::Removal(removal)
            }
            EntryBody::RoomDeleted { id, name, .. } => {
                let end = match self.ends.get(&id) {
                    Some(end) => Some(end.clone()),
                    None => LogEnd::load(self.conn, id)?,
                };
                let Some(end) = end.filter(|_| id != RoomId::POOL) else {
                    return Err(missing(format!("room {id}")).into());
                };
                EntryBody::RoomDeleted { id, name, last_seq: end.end.head.seq, last_hash: end.end.head.hash }
            }
            other => other,
        })
    }

    fn insert(&self, entry: &Entry, payload: &str, remember: Remember) -> Work<()> {
        const ENTRY: &str = "INSERT INTO entry (id, at, shown_at, author, kind, ordinal, client_id, hash, payload)
                             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        const SENT: &str = "INSERT INTO sent (room, author, client_id, seq, at) VALUES (?1, ?2, ?3, ?4, ?5)";
        let messages = self.ends.get(&entry.room).map_or(0, |end| end.end.head.messages);
        self.conn.prepare_cached(ENTRY)?.execute(params![
            entry_id(entry.room, entry.seq),
            entry.at.millis(),
            entry.shown_at().millis(),
            entry.author.0,
            entry.kind.code(),
            messages,
            entry.client_id.0.as_bytes(),
            entry.hash.0,
            payload,
        ])?;
        let at = match remember {
            Remember::UntilForgotten => Some(entry.at.millis()),
            Remember::ForEver => None,
        };
        self.conn.prepare_cached(SENT)?.execute(params![
            entry.room.0,
            entry.author.0,
            entry.client_id.0.as_bytes(),
            entry.seq.0,
            at,
        ])?;
        Ok(())
    }

    fn finish(self) -> Work<()> {
        self.ends.values().try_for_each(|end| end.save(self.conn))
    }
}

/// The entry that a client id was written as.
pub(super) fn find_sent(
    conn: &Connection,
    room: RoomId,
    author: PrincipalId,
    client_id: uuid::Uuid,
) -> Work<Option<Entry>> {
    const SQL: &str = "SELECT seq FROM sent WHERE room = ?1 AND author = ?2 AND client_id = ?3";
    let mut statement = conn.prepare_cached(SQL)?;
    let seq: Option<i64> =
        statement.query_row(params![room.0, author.0, client_id.as_bytes()], |r| r.get(0)).optional()?;
    match seq {
        Some(seq) => load_entry(conn, room, Seq(seq)),
        None => Ok(None),
    }
}

/// Gives a message the files that an entry names for it. An edit names again what the message has already.
fn take_files(conn: &Connection, entry: &Entry) -> Work<()> {
    const SQL: &str =
        "UPDATE file SET seq = ?3, room = ?2 WHERE id = ?1 AND room IN (?2, 0) AND seq IS NULL AND ref IS NOT NULL";
    let Some((message, files)) = entry.files() else { return Ok(()) };
    for file in files {
        let taken = conn.prepare_cached(SQL)?.execute(params![file.id.0.as_bytes(), entry.room.0, message.0])?;
        if taken != 1 && !(message < entry.seq && has_file(conn, entry.room, message, file)?) {
            return Err(missing(format!("the file “{}”", file.name)).into());
        }
    }
    Ok(())
}

/// Whether a file is a message's, or was when that was posted: its content may be lost.
fn has_file(conn: &Connection, room: RoomId, message: Seq, file: &FileRef) -> Work<bool> {
    const SQL: &str = "SELECT 1 FROM file WHERE id = ?1 AND room = ?2 AND seq = ?3";
    if conn.prepare_cached(SQL)?.exists(params![file.id.0.as_bytes(), room.0, message.0])? {
        return Ok(true);
    }
    Ok(load_entry(conn, room, message)?.is_some_and(|posted| posted.names_file(file.id)))
}
