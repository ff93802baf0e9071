//! Makes every projection anew from the logs.

use super::append::{LogEnd, project};
use super::error::Work;
use super::key::entry_id;
use super::row::{entry, entry_columns};
use super::{directory, index};
use holdfast_domain::entry::Kind;
use holdfast_domain::{Directory, Entry, EntryBody, RoomId, Time};
use rusqlite::{Connection, Transaction, params};
use std::collections::BTreeSet;

/// Entries that are read before they are worked on: what is being walked over must not change meanwhile.
const PORTION: i64 = 1_000;

/// Walks all logs from their first entries on. Client ids and what belongs to one person do not follow from the logs and stay.
pub(super) fn rebuild(tx: &Transaction<'_>) -> Work<()> {
    index::clear(tx)?;
    index::rewriting(tx, || walk_all(tx))
}

fn walk_all(tx: &Transaction<'_>) -> Work<()> {
    directory::clear(tx)?;
    tx.execute_batch(
        "DELETE FROM room_head; DELETE FROM amendment; DELETE FROM edit; DELETE FROM mention; UPDATE file SET seq = NULL WHERE room <> 0;",
    )?;
    let mut walk = Walk { conn: tx, directory: Directory::new(), deleted: BTreeSet::new(), end: None };
    let mut after = -1;
    loop {
        let portion = read_portion(tx, after)?;
        let Some((last, ..)) = portion.last() else { break };
        after = entry_id(last.room, last.seq);
        for (entry, shown_at, ordinal) in portion {
            walk.take(&entry, shown_at, ordinal)?;
        }
    }
    walk.finish()
}

/// The state between two entries.
struct Walk<'a> {
    conn: &'a Connection,
    /// In memory until the end: a name that has changed hands is taken twice on the way, because logs are walked one by one.
    directory: Directory,
    deleted: BTreeSet<RoomId>,
    end: Option<LogEnd>,
}

impl Walk<'_> {
    fn take(&mut self, entry: &Entry, shown_at: Time, ordinal: i64) -> Work<()> {
        const ORDINAL: &str = "UPDATE entry SET ordinal = ?2 WHERE id = ?1";
        const FILE: &str = "UPDATE file SET seq = ?3 WHERE id = ?1 AND room = ?2";
        let message = (entry.kind == Kind::Message).then_some(shown_at);
        let end = match self.end.take() {
            Some(end) if end.end.room == entry.room => end,
            other => {
                if let Some(end) = other {
                    end.save(self.conn)?;
                }
                LogEnd::empty(entry.room)
            }
        };
        let end = self.end.insert(end);
        end.end.advance(entry);
        if let Some(shown) = message {
            // Of an erased message only the column knows when it is shown.
            end.end.head.last_message_at = message;
            end.note_message(shown);
        }
        if end.end.head.messages != ordinal {
            let id = entry_id(entry.room, entry.seq);
            self.conn.prepare_cached(ORDINAL)?.execute([id, end.end.head.messages])?;
        }
        project(self.conn, entry)?;
        if let Some((message, files)) = entry.files() {
            for file in files {
                let row = params![file.id.0.as_bytes(), entry.room.0, message.0];
                self.conn.prepare_cached(FILE)?.execute(row)?;
            }
        }
        if let Some(body) = &entry.body {
            if let EntryBody::RoomDeleted { id, .. } = body {
                self.deleted.insert(*id);
            }
            self.directory.apply(entry.room, body);
        }
        Ok(())
    }

    fn finish(self) -> Work<()> {
        if let Some(end) = &self.end {
            end.save(self.conn)?;
        }
        let (conn, directory) = (self.conn, &self.directory);
        directory.categories().try_for_each(|category| directory::put_category(conn, category))?;
        directory.users().try_for_each(|user| directory::put_user(conn, user))?;
        directory.groups().try_for_each(|group| directory::put_group(conn, group))?;
        for state in directory.rooms() {
            directory::put_room(conn, &state.room)?;
            directory::put_roles(conn, state.room.id, &state.roles)?;
        }
        self.deleted.iter().try_for_each(|room| directory::note_deleted(conn, *room))
    }
}

fn read_portion(conn: &Connection, after: i64) -> Work<Vec<(Entry, Time, i64)>> {
    const SQL: &str = concat!(
        "SELECT ",
        entry_columns!(),
        ", e.shown_at, e.ordinal FROM entry e WHERE e.id > ?1 ORDER BY e.id LIMIT ?2"
    );
    let mut statement = conn.prepare_cached(SQL)?;
    let mut rows = statement.query([after, PORTION])?;
    let mut portion = Vec::new();
    while let Some(r) = rows.next()? {
        portion.push((entry(r)?, Time::from_millis(r.get(7)?), r.get(8)?));
    }
    Ok(portion)
}
