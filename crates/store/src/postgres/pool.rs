//! The servers that share this database.

use super::error::{Work, away, corrupt};
use super::session::Session;
use super::sessions::Opener;
use super::{Inner, PostgresStore, read};
use crate::pool::{
    Beat, Beaten, Condition, Heard, MOST_ACTIVE, MOST_SERVERS, Pool, PoolPhase, PoolState, Preserved, Server, Turn,
};
use crate::{Result, StoreError};
use async_trait::async_trait;
use deadpool::managed::Object;
use futures_util::FutureExt as _;
use holdfast_domain::{RoomId, Seq, Time};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_postgres::Row;
use uuid::Uuid;

#[async_trait]
impl Pool for PostgresStore {
    fn run(&self) -> Uuid {
        self.inner.run
    }

    fn condition(&self) -> Condition {
        self.inner.watched.condition()
    }

    fn passed_over(&self) -> Vec<String> {
        self.inner.hosts.stale()
    }

    fn round_trip(&self) -> Option<Duration> {
        self.inner.watched.round_trip()
    }

    async fn state(&self) -> Result<(PoolState, Vec<Server>)> {
        self.inner.sessions.look("reading the state of the pool", |s| state_and_servers(s).boxed()).await
    }

    async fn beat(&self, beat: Beat, stale: Duration, may_join: bool) -> Result<Beaten> {
        self.inner
            .sessions
            .write("saying that this server is there", move |s| {
                async move { self::beat(s, &beat, stale, may_join).await }.boxed()
            })
            .await
    }

    async fn leave(&self, name: &str) -> Result<()> {
        const SQL: &str =
            "UPDATE server SET stopped = true, connections = 0, people = 0, seen = now() WHERE name = $1 AND run = $2";
        self.inner.sessions.execute("saying that this server stops", SQL, &[&name, &self.inner.run]).await?;
        Ok(())
    }

    async fn forget(&self, name: &str, stale: Duration) -> Result<bool> {
        const SQL: &str =
            "DELETE FROM server WHERE name = $1 AND (stopped OR seen < now() - $2 * interval '1 millisecond')
            AND NOT EXISTS (SELECT 1 FROM pool WHERE id = 1 AND $1 = ANY(active))";
        Ok(self.inner.sessions.execute("forgetting a server", SQL, &[&name, &millis(stale)]).await? > 0)
    }

    async fn set_active(&self, revision: i64, active: Vec<String>) -> Result<PoolState> {
        const SQL: &str = "UPDATE pool SET active = $2, chosen = true, revision = revision + 1
            WHERE id = 1 AND revision = $1 RETURNING epoch, revision, active, chosen, state, site, holder";
        const DOING: &str = "setting the active servers";
        let row = self.inner.sessions.write_one(DOING, SQL, &[&revision, &active]).await?;
        match row.map_err(|e| e.while_doing(DOING))? {
            Some(row) => read_state(&row).map_err(|e| e.while_doing(DOING)),
            None => Err(StoreError::Stale),
        }
    }

    async fn lease(&self, name: &str, length: Duration) -> Result<std::result::Result<(), Duration>> {
        self.inner.lease(name, length).await
    }

    async fn release(&self, name: &str) -> Result<()> {
        const SQL: &str = "DELETE FROM lease WHERE name = $1 AND run = $2";
        self.inner.sessions.execute("giving a lease back", SQL, &[&name, &self.inner.run]).await?;
        Ok(())
    }

    async fn turn(&self) -> Result<Turn> {
        const DOING: &str = "waiting for the right to change the directory";
        // The session waits for us while the change is decided and written through others.
        const BEGIN: &str = "BEGIN; SET LOCAL idle_in_transaction_session_timeout = '15s'";
        const LOCK: &str = "SELECT pg_advisory_xact_lock(x'486f6c64'::int, 2)";
        const REVISION: &str = "SELECT n FROM revision WHERE id = 1";
        let session = self.inner.sessions.get().await?;
        let held = Held(Some(session));
        let Some(session) = &held.0 else { return Err(away("no connection")) };
        let begun = async {
            session.batch(BEGIN).await?;
            session.one(LOCK, &[]).await?;
            let row = session.one(REVISION, &[]).await?;
            let row = row.ok_or_else(|| corrupt("the row of the revision is not there"))?;
            Work::Ok(row.try_get::<_, i64>(0)?)
        };
        let revision = begun.await.map_err(|e| e.while_doing(DOING))?;
        Ok(Turn { revision, held: Box::new(held) })
    }

    async fn adopt_epoch(&self) -> Result<i64> {
        const DOING: &str = "reading the epoch";
        let session = self.inner.sessions.get().await?;
        let row = session.one("SELECT epoch FROM pool WHERE id = 1", &[]).await.map_err(|e| e.while_doing(DOING))?;
        let row = row.ok_or_else(|| corrupt("the row of the pool is not there"))?;
        let epoch: i64 = read(row.try_get(0), DOING)?;
        session.host().note_epoch(epoch);
        let before = self.inner.watched.epoch.fetch_max(epoch, Ordering::AcqRel);
        if epoch < before {
            return Err(away(format!(
                "it is at epoch {epoch}, and the one before was at {before}: it is not the one that takes the pool's writes"
            )));
        }
        if self.inner.watched.condition() == Condition::OtherEpoch {
            self.inner.watched.note(Condition::Ready);
        }
        // What this server changed before may not be there any more.
        *self.inner.own_changes.lock().unwrap_or_else(PoisonError::into_inner) = (0, 0);
        if before != epoch {
            tracing::warn!(before, epoch, "writing under another epoch from now on");
        }
        Ok(epoch)
    }

    async fn preserved(&self, read: Vec<(RoomId, i64)>) -> Result<(i64, Vec<Preserved>)> {
        const DOING: &str = "reading what was preserved";
        // Of several epochs in between the smallest end counts. A log without an end of an epoch was not there when that began.
        const SQL: &str = "SELECT p.epoch, p.epoch - u.epoch,
                EXISTS (SELECT 1 FROM room_epoch r WHERE r.room = 0 AND r.epoch = p.epoch),
                (SELECT min(coalesce(own.after_seq, 0))
                 FROM room_epoch r LEFT JOIN room_epoch own ON own.room = u.room AND own.epoch = r.epoch
                 WHERE r.room = 0 AND r.epoch > u.epoch AND r.epoch <= p.epoch)
            FROM pool p LEFT JOIN unnest($1::bigint[], $2::bigint[]) WITH ORDINALITY u (room, epoch, n) ON true
            WHERE p.id = 1 ORDER BY u.n";
        let (rooms, epochs): (Vec<i64>, Vec<i64>) = read.iter().map(|(room, epoch)| (room.0, *epoch)).unzip();
        let rows = self.inner.sessions.query(DOING, SQL, &[&rooms, &epochs]).await?;
        let first = rows.first().ok_or_else(|| corrupt("the row of the pool is not there"))?;
        let epoch: i64 = self::read(first.try_get(0), DOING)?;
        if read.is_empty() {
            return Ok((epoch, Vec::new()));
        }
        let of = |row: &Row| {
            let past: i64 = self::read(row.try_get(1), DOING)?;
            let known: bool = self::read(row.try_get(2), DOING)?;
            let through: Option<i64> = self::read(row.try_get(3), DOING)?;
            Ok(match (past, known, through) {
                (0, ..) => Preserved::All,
                (..0, ..) => Preserved::Behind,
                (_, true, Some(through)) => Preserved::Through(Seq(through)),
                _ => Preserved::Unknown,
            })
        };
        Ok((epoch, rows.iter().map(of).collect::<Result<_>>()?))
    }

    fn listen(&self) -> mpsc::Receiver<Heard> {
        let heard = self.inner.heard.lock().unwrap_or_else(PoisonError::into_inner).take();
        heard.unwrap_or_else(|| mpsc::channel(1).1)
    }

    fn tell(&self, text: String) {
        self.inner.told.signal(text);
    }
}

impl Inner {
    /// See [`Pool::lease`].
    pub(super) async fn lease(&self, name: &str, length: Duration) -> Result<std::result::Result<(), Duration>> {
        const DOING: &str = "taking a lease";
        const TAKE: &str =
            "INSERT INTO lease AS l (name, run, until) VALUES ($1, $2, now() + $3 * interval '1 millisecond')
            ON CONFLICT (name) DO UPDATE SET run = excluded.run, until = excluded.until
            WHERE l.run = excluded.run OR l.until < now() RETURNING 1";
        const LEFT: &str = "SELECT (extract(epoch FROM until - now()) * 1000)::bigint FROM lease WHERE name = $1";
        let taken = self.sessions.write_one(DOING, TAKE, &[&name, &self.run, &millis(length)]).await?;
        if taken.map_err(|e| e.while_doing(DOING))?.is_some() {
            return Ok(Ok(()));
        }
        let left = self.sessions.one(DOING, LEFT, &[&name]).await?;
        let left: i64 = left.map(|r| read(r.try_get(0), DOING)).transpose()?.unwrap_or(0);
        Ok(Err(Duration::from_millis(left.max(0).unsigned_abs())))
    }
}

/// A session whose transaction holds a lock.
struct Held(Option<Object<Opener>>);

impl Drop for Held {
    fn drop(&mut self) {
        let Some(session) = self.0.take() else { return };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => {
                runtime.spawn(async move {
                    if session.batch("ROLLBACK").await.is_err() {
                        drop(Object::take(session));
                    }
                });
            }
            // Closed, the session gives the lock back as well.
            Err(_) => drop(Object::take(session)),
        }
    }
}

async fn beat(s: &Session, beat: &Beat, stale: Duration, may_join: bool) -> Work<Beaten> {
    const TURN: &str = "SELECT pg_advisory_xact_lock(x'486f6c64'::int, 3)";
    const PUT: &str = "INSERT INTO server AS s
            (name, run, address, version, started_at, connections, people, round_trip_us, seen, stopped)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now(), false)
        ON CONFLICT (name) DO UPDATE SET run = excluded.run, address = excluded.address, version = excluded.version,
            started_at = excluded.started_at, connections = excluded.connections, people = excluded.people,
            round_trip_us = excluded.round_trip_us, seen = excluded.seen, stopped = false";
    const JOIN: &str = "UPDATE pool SET active = array_append(active, $1), revision = revision + 1
        WHERE id = 1 AND NOT chosen AND NOT $1 = ANY(active) AND cardinality(active) < $2";
    // A beat that is lost is followed by the next.
    s.batch("SET LOCAL synchronous_commit = off").await?;
    let (state, servers) = state_and_servers(s).await?;
    let known = servers.iter().find(|server| server.beat.name == beat.name);
    if known.is_none_or(|known| known.beat.run != beat.run) {
        s.one(TURN, &[]).await?;
        let (_, servers) = state_and_servers(s).await?;
        match servers.iter().find(|server| server.beat.name == beat.name) {
            Some(other) if other.beat.run != beat.run && !other.stopped && other.seen_ago < stale => {
                return Ok(Beaten::NameInUse(Box::new(other.clone())));
            }
            None if servers.len() >= MOST_SERVERS => return Ok(Beaten::Full),
            _ => {}
        }
    }
    s.execute(
        PUT,
        &[
            &beat.name,
            &beat.run,
            &beat.address,
            &beat.version,
            &beat.started_at.millis(),
            &i64::from(beat.connections),
            &i64::from(beat.people),
            &i64::from(beat.round_trip_us),
        ],
    )
    .await?;
    let room = !state.chosen && state.active.len() < MOST_ACTIVE && !state.active.contains(&beat.name);
    if may_join && room {
        let most = i32::try_from(MOST_ACTIVE).unwrap_or(i32::MAX);
        s.execute(JOIN, &[&beat.name, &most]).await?;
    }
    let (state, servers) = state_and_servers(s).await?;
    Ok(Beaten::In(state, servers))
}

async fn state_and_servers(s: &Session) -> Work<(PoolState, Vec<Server>)> {
    const STATE: &str = "SELECT epoch, revision, active, chosen, state, site, holder FROM pool WHERE id = 1";
    const SERVERS: &str = "SELECT name, run, address, version, started_at, connections, people, round_trip_us,
            greatest(0, extract(epoch FROM clock_timestamp() - seen) * 1000)::bigint, stopped
        FROM server ORDER BY name";
    let state = s.one(STATE, &[]).await?.ok_or_else(|| corrupt("the row of the pool is not there"))?;
    let servers = s.query(SERVERS, &[]).await?.iter().map(read_server).collect::<Work<_>>()?;
    Ok((read_state(&state)?, servers))
}

fn read_state(r: &Row) -> Work<PoolState> {
    Ok(PoolState {
        epoch: r.try_get(0)?,
        revision: r.try_get(1)?,
        active: r.try_get(2)?,
        chosen: r.try_get(3)?,
        state: PoolPhase::from_word(r.try_get(4)?),
        site: r.try_get(5)?,
        holder: r.try_get(6)?,
    })
}

fn read_server(r: &Row) -> Work<Server> {
    let small = |i: usize| r.try_get::<_, i64>(i).map(|n| u32::try_from(n).unwrap_or(u32::MAX));
    Ok(Server {
        beat: Beat {
            name: r.try_get(0)?,
            run: r.try_get(1)?,
            address: r.try_get(2)?,
            version: r.try_get(3)?,
            started_at: Time::from_millis(r.try_get(4)?),
            connections: small(5)?,
            people: small(6)?,
            round_trip_us: small(7)?,
        },
        seen_ago: Duration::from_millis(r.try_get::<_, i64>(8)?.unsigned_abs()),
        stopped: r.try_get(9)?,
    })
}

#[allow(clippy::cast_precision_loss, reason = "PostgreSQL multiplies an interval by a float; these are seconds")]
fn millis(length: Duration) -> f64 {
    length.as_millis() as f64
}
