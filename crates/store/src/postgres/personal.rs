//! Followed rooms, reading positions, invitations, feeds, preferences.

use super::PostgresStore;
use super::error::{Fail, Work, corrupt};
use crate::Result;
use crate::personal::{Invitation, Personal, Reading};
use async_trait::async_trait;
use futures_util::FutureExt as _;
use holdfast_domain::feed::Feed;
use holdfast_domain::{PrincipalId, RoomId, Seq, Time};
use std::collections::BTreeMap;
use tokio_postgres::Row;

#[async_trait]
impl Personal for PostgresStore {
    async fn followed(&self, user: PrincipalId) -> Result<Vec<RoomId>> {
        const SQL: &str = "SELECT room FROM followed WHERE \"user\" = $1 ORDER BY position";
        Ok(self.ids("listing followed rooms", SQL, user.0).await?.into_iter().map(RoomId).collect())
    }

    async fn followers(&self, room: RoomId) -> Result<Vec<PrincipalId>> {
        const SQL: &str = "SELECT \"user\" FROM followed WHERE room = $1 ORDER BY \"user\"";
        Ok(self.ids("listing followers", SQL, room.0).await?.into_iter().map(PrincipalId).collect())
    }

    async fn follow(&self, user: PrincipalId, rooms: Vec<RoomId>) -> Result<()> {
        // What the user does on two devices at once must not give two rooms one place.
        const TURN: &str = "SELECT pg_advisory_xact_lock(hashtextextended('followed ' || $1::bigint, 0))";
        const FOLLOW: &str = "INSERT INTO followed (\"user\", room, position)
            SELECT $1, u.room, u.n + (SELECT coalesce(max(position), 0) FROM followed WHERE \"user\" = $1)
            FROM unnest($2::bigint[]) WITH ORDINALITY u (room, n) ON CONFLICT DO NOTHING";
        const READ_TO_THE_END: &str = "INSERT INTO reading (room, \"user\", seq)
            SELECT room, $1, last_seq FROM room_head WHERE room = ANY($2) ON CONFLICT DO NOTHING";
        let rooms: Vec<i64> = rooms.into_iter().map(|room| room.0).collect();
        self.inner
            .sessions
            .write("following rooms", move |s| {
                async move {
                    s.one(TURN, &[&user.0]).await?;
                    s.execute(FOLLOW, &[&user.0, &rooms]).await?;
                    s.execute(READ_TO_THE_END, &[&user.0, &rooms]).await?;
                    Ok(())
                }
                .boxed()
            })
            .await
    }

    async fn unfollow(&self, user: PrincipalId, rooms: Vec<RoomId>) -> Result<()> {
        const SQL: &str = "DELETE FROM followed WHERE \"user\" = $1 AND room = ANY($2)";
        let rooms: Vec<i64> = rooms.into_iter().map(|room| room.0).collect();
        self.inner.sessions.execute("ending following", SQL, &[&user.0, &rooms]).await?;
        Ok(())
    }

    /// The messages after a position are those of the whole log less those up to it; both are kept.
    async fn readings(&self, user: PrincipalId, rooms: Vec<RoomId>) -> Result<Vec<Reading>> {
        const DOING: &str = "reading positions";
        const SQL: &str = "SELECT u.room, coalesce(r.seq, 0), coalesce(h.messages, 0) - coalesce(e.ordinal, 0),
                (SELECT count(*) FROM mention m WHERE m.\"user\" = $1 AND m.room = u.room AND m.seq > coalesce(r.seq, 0))
            FROM unnest($2::bigint[]) WITH ORDINALITY u (room, n)
            LEFT JOIN reading r ON r.room = u.room AND r.\"user\" = $1
            LEFT JOIN room_head h ON h.room = u.room
            LEFT JOIN entry e ON e.room = u.room AND e.seq = r.seq
            ORDER BY u.n";
        let rooms: Vec<i64> = rooms.into_iter().map(|room| room.0).collect();
        let rows = self.inner.sessions.find(DOING, SQL, &[&user.0, &rooms]).await?;
        let read = |r: &Row| {
            Work::Ok(Reading {
                room: RoomId(r.try_get(0)?),
                read: Seq(r.try_get(1)?),
                unread: r.try_get(2)?,
                mentions: r.try_get(3)?,
            })
        };
        rows.iter().map(read).collect::<Work<_>>().map_err(|e| e.while_doing(DOING))
    }

    async fn mark_read(&self, marks: Vec<(PrincipalId, RoomId, Seq)>) -> Result<()> {
        const SQL: &str = "INSERT INTO reading (room, \"user\", seq)
            SELECT u.room, u.who, greatest(0, least(u.seq, h.last_seq))
            FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) u (room, who, seq) JOIN room_head h ON h.room = u.room
            ORDER BY u.room, u.who
            ON CONFLICT (room, \"user\") DO UPDATE SET seq = excluded.seq WHERE excluded.seq > reading.seq";
        // One statement changes a row once.
        let mut furthest: BTreeMap<(i64, i64), i64> = BTreeMap::new();
        for (user, room, seq) in marks {
            let mark = furthest.entry((room.0, user.0)).or_insert(seq.0);
            *mark = (*mark).max(seq.0);
        }
        let rooms: Vec<i64> = furthest.keys().map(|(room, _)| *room).collect();
        let users: Vec<i64> = furthest.keys().map(|(_, user)| *user).collect();
        let seqs: Vec<i64> = furthest.into_values().collect();
        if !rooms.is_empty() {
            self.inner.sessions.execute("moving reading positions", SQL, &[&rooms, &users, &seqs]).await?;
        }
        Ok(())
    }

    async fn invite(&self, invitations: Vec<Invitation>) -> Result<Vec<Invitation>> {
        const REPLACE: &str = "DELETE FROM invitation WHERE \"user\" = $1 AND room = $2";
        const SQL: &str =
            "INSERT INTO invitation (\"user\", room, by, at, seen) VALUES ($1, $2, $3, $4, $5) RETURNING id";
        self.inner
            .sessions
            .write("inviting", move |s| {
                async move {
                    let mut kept = Vec::with_capacity(invitations.len());
                    for i in invitations {
                        s.execute(REPLACE, &[&i.user.0, &i.room.0]).await?;
                        let row = s.one(SQL, &[&i.user.0, &i.room.0, &i.by.0, &i.at.millis(), &i.seen]).await?;
                        kept.push(Invitation { id: number(row)?, ..i });
                    }
                    Ok(kept)
                }
                .boxed()
            })
            .await
    }

    async fn invitations(&self, user: PrincipalId) -> Result<Vec<Invitation>> {
        const DOING: &str = "listing invitations";
        const SQL: &str =
            "SELECT id, \"user\", room, by, at, seen FROM invitation WHERE \"user\" = $1 ORDER BY id DESC";
        let rows = self.inner.sessions.find(DOING, SQL, &[&user.0]).await?;
        let read = |r: &Row| {
            Work::Ok(Invitation {
                id: r.try_get(0)?,
                user: PrincipalId(r.try_get(1)?),
                room: RoomId(r.try_get(2)?),
                by: PrincipalId(r.try_get(3)?),
                at: Time::from_millis(r.try_get(4)?),
                seen: r.try_get(5)?,
            })
        };
        rows.iter().map(read).collect::<Work<_>>().map_err(|e| e.while_doing(DOING))
    }

    async fn invitation_seen(&self, user: PrincipalId, id: i64) -> Result<bool> {
        const SQL: &str = "UPDATE invitation SET seen = true WHERE \"user\" = $1 AND id = $2";
        Ok(self.inner.sessions.execute("noting an invitation as seen", SQL, &[&user.0, &id]).await? > 0)
    }

    async fn end_invitation(&self, user: PrincipalId, id: i64) -> Result<bool> {
        const SQL: &str = "DELETE FROM invitation WHERE \"user\" = $1 AND id = $2";
        Ok(self.inner.sessions.execute("ending an invitation", SQL, &[&user.0, &id]).await? > 0)
    }

    async fn feeds(&self, user: PrincipalId) -> Result<Vec<Feed>> {
        const DOING: &str = "listing feeds";
        const SQL: &str = "SELECT \"user\", id, feed FROM feed WHERE \"user\" = $1 ORDER BY id";
        let rows = self.inner.sessions.find(DOING, SQL, &[&user.0]).await?;
        let feeds = rows.iter().map(read_feed).collect::<Work<Vec<_>>>().map_err(|e| e.while_doing(DOING))?;
        Ok(feeds.into_iter().map(|(_, feed)| feed).collect())
    }

    async fn announcing_feeds(&self) -> Result<Vec<(PrincipalId, Feed)>> {
        const DOING: &str = "listing feeds that announce";
        const SQL: &str = "SELECT \"user\", id, feed FROM feed WHERE notify ORDER BY id";
        let rows = self.inner.sessions.find(DOING, SQL, &[]).await?;
        rows.iter().map(read_feed).collect::<Work<_>>().map_err(|e| e.while_doing(DOING))
    }

    async fn put_feed(&self, user: PrincipalId, feed: Feed) -> Result<Option<i64>> {
        const DOING: &str = "keeping a feed";
        const ADD: &str = "INSERT INTO feed (\"user\", notify, feed) VALUES ($1, $2, $3) RETURNING id";
        const REPLACE: &str = "UPDATE feed SET notify = $3, feed = $4 WHERE \"user\" = $1 AND id = $2";
        let json = serde_json::to_string(&feed).map_err(|e| corrupt(format!("a feed: {e}")))?;
        if feed.id == 0 {
            let row = self.inner.sessions.write_one(DOING, ADD, &[&user.0, &feed.notify, &json]).await?;
            return row.and_then(number).map(Some).map_err(|e| e.while_doing(DOING));
        }
        let changed = self.inner.sessions.execute(DOING, REPLACE, &[&user.0, &feed.id, &feed.notify, &json]).await?;
        Ok((changed > 0).then_some(feed.id))
    }

    async fn end_feed(&self, user: PrincipalId, id: i64) -> Result<bool> {
        const SQL: &str = "DELETE FROM feed WHERE \"user\" = $1 AND id = $2";
        Ok(self.inner.sessions.execute("ending a feed", SQL, &[&user.0, &id]).await? > 0)
    }

    async fn preferences(&self, user: PrincipalId) -> Result<Option<String>> {
        const DOING: &str = "reading preferences";
        const SQL: &str = "SELECT json FROM preferences WHERE \"user\" = $1";
        let row = self.inner.sessions.find_one(DOING, SQL, &[&user.0]).await?;
        row.map(|r| r.try_get(0)).transpose().map_err(|e| Fail::Sql(e).while_doing(DOING))
    }

    async fn put_preferences(&self, user: PrincipalId, json: String) -> Result<()> {
        const SQL: &str = "INSERT INTO preferences (\"user\", json) VALUES ($1, $2)
                           ON CONFLICT (\"user\") DO UPDATE SET json = excluded.json";
        self.inner.sessions.execute("keeping preferences", SQL, &[&user.0, &json]).await?;
        Ok(())
    }
}

impl PostgresStore {
    async fn ids(&self, doing: &'static str, sql: &'static str, of: i64) -> Result<Vec<i64>> {
        let rows = self.inner.sessions.find(doing, sql, &[&of]).await?;
        let ids: Work<Vec<i64>> = rows.iter().map(|r| Ok(r.try_get(0)?)).collect();
        ids.map_err(|e| e.while_doing(doing))
    }
}

/// The number that an inserted row was given.
fn number(row: Option<Row>) -> Work<i64> {
    match row {
        Some(row) => Ok(row.try_get(0)?),
        None => Err(corrupt("a row that was inserted has no number").into()),
    }
}

fn read_feed(r: &Row) -> Work<(PrincipalId, Feed)> {
    let (user, id, json): (i64, i64, &str) = (r.try_get(0)?, r.try_get(1)?, r.try_get(2)?);
    let feed: Feed = serde_json::from_str(json).map_err(|e| corrupt(format!("feed {id}: {e}")))?;
    Ok((PrincipalId(user), Feed { id, ..feed }))
}
