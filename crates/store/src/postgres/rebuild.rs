//! Makes every projection anew from the logs.

use super::append::{Heads, insert_mentions, project};
use super::directory::{self, Puts};
use super::error::Work;
use super::index::ERASING;
use super::row::{entry, entry_columns};
use super::session::Session;
use crate::chaining::End;
use holdfast_domain::entry::{Kind, Put};
use holdfast_domain::{Directory, Entry, EntryBody, RoomId, Time};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Entries that are read before they are worked on.
const PORTION: i64 = 2_000;

/// Walks all logs from their first entries on. Client ids and what belongs to one person do not follow from the logs and stay. The search index is
/// emptied, and filled again behind the logs.
pub(super) async fn rebuild(s: &Session) -> Work<()> {
    const ROOMS: &str = "SELECT room FROM room_head ORDER BY room";
    s.batch(
        "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0;
         SET LOCAL enable_seqscan = on; SET LOCAL enable_hashjoin = on;",
    )
    .await?;
    // Who fills the search index takes what is emptied here in another order.
    s.one(ERASING, &[]).await?;
    s.batch(
        "DELETE FROM amendment; DELETE FROM edit; DELETE FROM mention; UPDATE file SET seq = NULL WHERE room <> 0;
         DELETE FROM search_block; DELETE FROM search_through; DELETE FROM search_again;",
    )
    .await?;
    directory::clear(s).await?;
    let mut rooms = Vec::new();
    for row in s.query(ROOMS, &[]).await? {
        rooms.push(RoomId(row.try_get(0)?));
    }
    let mut walk = Walk { session: s, directory: Directory::new(), deleted: BTreeSet::new() };
    for room in rooms {
        walk.log(room).await?;
    }
    walk.finish().await
}

/// The state between two entries.
struct Walk<'a> {
    session: &'a Session,
    /// In memory until the end: a name that has changed hands is taken twice on the way, because logs are walked one by one.
    directory: Directory,
    deleted: BTreeSet<RoomId>,
}

impl Walk<'_> {
    async fn log(&mut self, room: RoomId) -> Work<()> {
        const SQL: &str = concat!(
            "SELECT ",
            entry_columns!(),
            ", coalesce(e.said, e.at), e.ordinal FROM entry e WHERE e.room = $1 AND e.seq > $2 ORDER BY e.seq LIMIT $3"
        );
        let mut end = End::empty(room);
        loop {
            let rows = self.session.query(SQL, &[&room.0, &end.head.seq.0, &PORTION]).await?;
            if rows.is_empty() {
                break;
            }
            let mut portion = Vec::with_capacity(rows.len());
            for row in &rows {
                portion.push((entry(row)?, Time::from_millis(row.try_get(8)?), row.try_get(9)?));
            }
            self.portion(&mut end, &portion).await?;
        }
        Heads::of(&[&end]).put(self.session).await
    }

    async fn portion(&mut self, end: &mut End, portion: &[(Entry, Time, i64)]) -> Work<()> {
        const ORDINAL: &str =
            "UPDATE entry SET ordinal = u.ordinal FROM unnest($2::bigint[], $3::bigint[]) u (seq, ordinal)
                               WHERE entry.room = $1 AND entry.seq = u.seq";
        const FILES: &str = "UPDATE file SET seq = u.seq FROM unnest($2::uuid[], $3::bigint[]) u (id, seq)
                             WHERE file.id = u.id AND file.room = $1";
        let mut ordinals: (Vec<i64>, Vec<i64>) = Default::default();
        let mut files: (Vec<Uuid>, Vec<i64>) = Default::default();
        let mut mentions = Vec::new();
        for (entry, shown_at, ordinal) in portion {
            end.advance(entry);
            if entry.kind == Kind::Message {
                // Of an erased message only the column knows when it is shown.
                end.head.last_message_at = Some(*shown_at);
            }
            if end.head.messages != *ordinal {
                ordinals.0.push(entry.seq.0);
                ordinals.1.push(end.head.messages);
            }
            match &entry.body {
                Some(EntryBody::Message(message)) => {
                    let (room, seq, shown) = (entry.room.0, entry.seq.0, shown_at.millis());
                    mentions.extend(message.mentions.iter().map(|user| (user.0, room, seq, shown)));
                }
                Some(body) => {
                    insert_mentions(self.session, &std::mem::take(&mut mentions)).await?;
                    put_files(self.session, end.room, FILES, &mut files).await?;
                    self.follow(entry, body).await?;
                }
                None => {}
            }
            if let Some((message, named)) = entry.files() {
                files.0.extend(named.iter().map(|f| f.id.0));
                files.1.extend(named.iter().map(|_| message.0));
            }
        }
        insert_mentions(self.session, &mentions).await?;
        put_files(self.session, end.room, FILES, &mut files).await?;
        if !ordinals.0.is_empty() {
            self.session.execute(ORDINAL, &[&end.room.0, &ordinals.0, &ordinals.1]).await?;
        }
        Ok(())
    }

    /// What an entry other than a message says.
    async fn follow(&mut self, entry: &Entry, body: &EntryBody) -> Work<()> {
        match body {
            EntryBody::Edit(_) | EntryBody::Retraction { .. } | EntryBody::Removal(_) | EntryBody::Purge { .. } => {
                project(self.session, entry, body).await?;
            }
            EntryBody::RoomDeleted { id, .. } => {
                self.deleted.insert(*id);
            }
            _ => {}
        }
        self.directory.apply(entry.room, body);
        Ok(())
    }

    async fn finish(self) -> Work<()> {
        let (s, directory) = (self.session, &self.directory);
        let mut puts = Puts::default();
        for category in directory.categories() {
            puts.add(&EntryBody::Category(Put::new(category.clone())))?;
        }
        for user in directory.users() {
            puts.add(&EntryBody::User(Put::new(user.clone())))?;
        }
        for group in directory.groups() {
            puts.add(&EntryBody::Group(Put::new(group.clone())))?;
        }
        for state in directory.rooms() {
            puts.add(&EntryBody::Room(Put::new(state.room.clone())))?;
            directory::put_roles(s, state.room.id, &state.roles).await?;
        }
        puts.write(s).await?;
        for room in &self.deleted {
            directory::note_deleted(s, *room).await?;
        }
        Ok(())
    }
}

async fn put_files(s: &Session, room: RoomId, sql: &'static str, files: &mut (Vec<Uuid>, Vec<i64>)) -> Work<()> {
    if !files.0.is_empty() {
        s.execute(sql, &[&room.0, &files.0, &files.1]).await?;
        files.0.clear();
        files.1.clear();
    }
    Ok(())
}
