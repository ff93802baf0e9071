//! Followed rooms, reading positions, invitations, feeds, preferences.

use super::SqliteStore;
use super::error::{Work, corrupt};
use super::key::entry_id;
use crate::Result;
use crate::personal::{Invitation, Personal, Reading};
use async_trait::async_trait;
use holdfast_domain::feed::Feed;
use holdfast_domain::{PrincipalId, RoomId, Seq, Time};
use rusqlite::{Connection, OptionalExtension, params};

macro_rules! invitation_columns {
    () => {
        "id, user, room, by, at, seen"
    };
}

#[async_trait]
impl Personal for SqliteStore {
    async fn followed(&self, user: PrincipalId) -> Result<Vec<RoomId>> {
        const SQL: &str = "SELECT room FROM followed WHERE user = ?1 ORDER BY position";
        self.threads
            .read("listing followed rooms", move |tx, _| Ok(ids(tx, SQL, user.0)?.into_iter().map(RoomId).collect()))
            .await
    }

    async fn followers(&self, room: RoomId) -> Result<Vec<PrincipalId>> {
        const SQL: &str = "SELECT user FROM followed WHERE room = ?1 ORDER BY user";
        self.threads
            .read("listing followers", move |tx, _| Ok(ids(tx, SQL, room.0)?.into_iter().map(PrincipalId).collect()))
            .await
    }

    async fn follow(&self, user: PrincipalId, rooms: Vec<RoomId>) -> Result<()> {
        const FOLLOW: &str = "INSERT OR IGNORE INTO followed (user, room, position)
            SELECT ?1, ?2, coalesce(max(position), 0) + 1 FROM followed WHERE user = ?1";
        const READ_TO_THE_END: &str = "INSERT OR IGNORE INTO reading (room, user, seq)
            SELECT room, ?1, last_seq FROM room_head WHERE room = ?2";
        self.threads
            .write("following rooms", move |tx| {
                for room in rooms {
                    tx.prepare_cached(FOLLOW)?.execute([user.0, room.0])?;
                    tx.prepare_cached(READ_TO_THE_END)?.execute([user.0, room.0])?;
                }
                Ok(())
            })
            .await
    }

    async fn unfollow(&self, user: PrincipalId, rooms: Vec<RoomId>) -> Result<()> {
        const SQL: &str = "DELETE FROM followed WHERE user = ?1 AND room = ?2";
        self.threads
            .write("ending following", move |tx| {
                for room in rooms {
                    tx.prepare_cached(SQL)?.execute([user.0, room.0])?;
                }
                Ok(())
            })
            .await
    }

    async fn readings(&self, user: PrincipalId, rooms: Vec<RoomId>) -> Result<Vec<Reading>> {
        self.threads
            .read("reading positions", move |tx, _| rooms.into_iter().map(|room| reading(tx, user, room)).collect())
            .await
    }

    async fn mark_read(&self, marks: Vec<(PrincipalId, RoomId, Seq)>) -> Result<()> {
        const SQL: &str = "INSERT INTO reading (room, user, seq)
            SELECT room, ?1, max(0, min(?3, last_seq)) FROM room_head WHERE room = ?2
            ON CONFLICT (room, user) DO UPDATE SET seq = excluded.seq WHERE excluded.seq > seq";
        self.threads
            .write("moving reading positions", move |tx| {
                let mut statement = tx.prepare_cached(SQL)?;
                for (user, room, seq) in marks {
                    statement.execute([user.0, room.0, seq.0])?;
                }
                Ok(())
            })
            .await
    }

    async fn invite(&self, invitations: Vec<Invitation>) -> Result<Vec<Invitation>> {
        const REPLACE: &str = "DELETE FROM invitation WHERE user = ?1 AND room = ?2";
        const SQL: &str = "INSERT INTO invitation (user, room, by, at, seen) VALUES (?1, ?2, ?3, ?4, ?5)";
        self.threads
            .write("inviting", move |tx| {
                let mut kept = Vec::with_capacity(invitations.len());
                for i in invitations {
                    tx.prepare_cached(REPLACE)?.execute([i.user.0, i.room.0])?;
                    let row = params![i.user.0, i.room.0, i.by.0, i.at.millis(), i.seen];
                    kept.push(Invitation { id: tx.prepare_cached(SQL)?.insert(row)?, ..i });
                }
                Ok(kept)
            })
            .await
    }

    async fn invitations(&self, user: PrincipalId) -> Result<Vec<Invitation>> {
        const SQL: &str =
            concat!("SELECT ", invitation_columns!(), " FROM invitation WHERE user = ?1 ORDER BY id DESC");
        self.threads
            .read("listing invitations", move |tx, _| {
                let mut statement = tx.prepare_cached(SQL)?;
                let rows = statement.query_map([user.0], |r| {
                    Ok(Invitation {
                        id: r.get(0)?,
                        user: PrincipalId(r.get(1)?),
                        room: RoomId(r.get(2)?),
                        by: PrincipalId(r.get(3)?),
                        at: Time::from_millis(r.get(4)?),
                        seen: r.get(5)?,
                    })
                })?;
                Ok(rows.collect::<rusqlite::Result<_>>()?)
            })
            .await
    }

    async fn invitation_seen(&self, user: PrincipalId, id: i64) -> Result<bool> {
        const SQL: &str = "UPDATE invitation SET seen = 1 WHERE user = ?1 AND id = ?2";
        self.threads.write("noting an invitation as seen", move |tx| Ok(tx.execute(SQL, [user.0, id])? > 0)).await
    }

    async fn end_invitation(&self, user: PrincipalId, id: i64) -> Result<bool> {
        const SQL: &str = "DELETE FROM invitation WHERE user = ?1 AND id = ?2";
        self.threads.write("ending an invitation", move |tx| Ok(tx.execute(SQL, [user.0, id])? > 0)).await
    }

    async fn feeds(&self, user: PrincipalId) -> Result<Vec<Feed>> {
        const SQL: &str = "SELECT user, id, feed FROM feed WHERE user = ?1 ORDER BY id";
        self.threads
            .read("listing feeds", move |tx, _| {
                Ok(feeds(tx, SQL, [user.0])?.into_iter().map(|(_, feed)| feed).collect())
            })
            .await
    }

    async fn announcing_feeds(&self) -> Result<Vec<(PrincipalId, Feed)>> {
        const SQL: &str = "SELECT user, id, feed FROM feed WHERE notify = 1 ORDER BY id";
        self.threads.read("listing feeds that announce", |tx, _| feeds(tx, SQL, [])).await
    }

    async fn put_feed(&self, user: PrincipalId, feed: Feed) -> Result<Option<i64>> {
        const ADD: &str = "INSERT INTO feed (user, notify, feed) VALUES (?1, ?2, ?3)";
        const REPLACE: &str = "UPDATE feed SET notify = ?3, feed = ?4 WHERE user = ?1 AND id = ?2";
        self.threads
            .write("keeping a feed", move |tx| {
                let json = serde_json::to_string(&feed).map_err(|e| corrupt(format!("a feed: {e}")))?;
                if feed.id == 0 {
                    return Ok(Some(tx.prepare_cached(ADD)?.insert(params![user.0, feed.notify, json])?));
                }
                let there = tx.prepare_cached(REPLACE)?.execute(params![user.0, feed.id, feed.notify, json])? > 0;
                Ok(there.then_some(feed.id))
            })
            .await
    }

    async fn end_feed(&self, user: PrincipalId, id: i64) -> Result<bool> {
        const SQL: &str = "DELETE FROM feed WHERE user = ?1 AND id = ?2";
        self.threads.write("ending a feed", move |tx| Ok(tx.execute(SQL, [user.0, id])? > 0)).await
    }

    async fn preferences(&self, user: PrincipalId) -> Result<Option<String>> {
        const SQL: &str = "SELECT json FROM preferences WHERE user = ?1";
        self.threads
            .read("reading preferences", move |tx, _| {
                Ok(tx.prepare_cached(SQL)?.query_row([user.0], |r| r.get(0)).optional()?)
            })
            .await
    }

    async fn put_preferences(&self, user: PrincipalId, json: String) -> Result<()> {
        const SQL: &str = "INSERT OR REPLACE INTO preferences (user, json) VALUES (?1, ?2)";
        self.threads
            .write("keeping preferences", move |tx| {
                tx.prepare_cached(SQL)?.execute(params![user.0, json])?;
                Ok(())
            })
            .await
    }
}

/// The messages after a position are those of the whole log less those up to it; both are kept.
fn reading(conn: &Connection, user: PrincipalId, room: RoomId) -> Work<Reading> {
    const POSITION: &str = "SELECT seq FROM reading WHERE room = ?1 AND user = ?2";
    const MESSAGES: &str = "SELECT messages FROM room_head WHERE room = ?1";
    const UP_TO: &str = "SELECT ordinal FROM entry WHERE id = ?1";
    const MENTIONS: &str = "SELECT count(*) FROM mention WHERE user = ?1 AND room = ?2 AND seq > ?3";
    let number = |sql: &str, params: &[i64]| -> Work<i64> {
        let mut statement = conn.prepare_cached(sql)?;
        let found = statement.query_row(rusqlite::params_from_iter(params), |r| r.get(0)).optional()?;
        Ok(found.unwrap_or(0))
    };
    let read = Seq(number(POSITION, &[room.0, user.0])?);
    let unread = number(MESSAGES, &[room.0])? - number(UP_TO, &[entry_id(room, read)])?;
    Ok(Reading { room, read, unread, mentions: number(MENTIONS, &[user.0, room.0, read.0])? })
}

fn ids(conn: &Connection, sql: &str, of: i64) -> Work<Vec<i64>> {
    Ok(conn.prepare_cached(sql)?.query_map([of], |r| r.get(0))?.collect::<rusqlite::Result<_>>()?)
}

fn feeds(conn: &Connection, sql: &str, params: impl rusqlite::Params) -> Work<Vec<(PrincipalId, Feed)>> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut found = Vec::new();
    while let Some(r) = rows.next()? {
        let (user, id, json): (i64, i64, String) = (r.get(0)?, r.get(1)?, r.get(2)?);
        let feed: Feed = serde_json::from_str(&json).map_err(|e| corrupt(format!("feed {id}: {e}")))?;
        found.push((PrincipalId(user), Feed { id, ..feed }));
    }
    Ok(found)
}
