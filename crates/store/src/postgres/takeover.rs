//! Another database begins to take writes: its epoch, and up to where each log is that of before.
//!
//! For whoever promotes a database, on a connection of his own: as superuser, before servers are let in. Nothing of this needs a running
//! server or an open store, so every table is named with its schema.
//!
//! **Invariant:** the epoch and the ends of all logs under it are written in one transaction that holds the row which every writer
//! holds too. So what is beyond such an end, in the hands of a client that knew the epoch before, was not preserved. One-to-one messages are
//! never numbered again: who holds one that was not preserved asks for what comes after it, and misses nothing.

use super::error::plain;
use crate::notice::{ID, NODE, Notice, OWNER};
use crate::pool::{MOST_ACTIVE, PoolPhase};
use holdfast_domain::Time;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

/// What is to be so from now on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TakeOver {
    /// The new epoch; greater than every one before.
    pub epoch: i64,
    /// What the pool is from now on.
    pub state: PoolPhase,
    /// The site in which the database is.
    pub site: Option<String>,
    /// The instance that takes the epoch.
    pub holder: String,
}

/// What a database holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tally {
    /// The epoch under which it was last written.
    pub epoch: i64,
    /// What the pool was then.
    pub state: PoolPhase,
    /// The site that had it then.
    pub site: Option<String>,
    /// The instance that took the epoch.
    pub holder: Option<String>,
    /// Entries of all logs, that of the pool among them. A deleted room's count no longer.
    pub entries: i64,
    /// When the last of them was taken in.
    pub newest_at: Option<Time>,
}

/// Why a database was not taken over, or not asked.
#[derive(Debug, thiserror::Error)]
pub enum TakeOverError {
    /// The database is at this epoch or a later one already.
    #[error(
        "the database is at epoch {there} already, taken by {}, and {wanted} is not later; claim a later epoch",
        .holder.as_deref().unwrap_or("nobody that is known")
    )]
    Behind {
        /// The epoch at which it is.
        there: i64,
        /// Who took that.
        holder: Option<String>,
        /// The epoch that was wanted.
        wanted: i64,
    },
    /// The database has no pool in it, or one of a version before there were sites.
    #[error(
        "the database holds no pool that knows of sites; start a chat server of this version on it once, which makes the tables"
    )]
    NoPool,
    /// The list of active servers would not do.
    #[error("at most {MOST_ACTIVE} servers are active, each named once; the list has {0}")]
    List(usize),
    /// PostgreSQL said so, or the connection broke; then it is not known whether the change was kept, and doing it again is right.
    #[error("while {doing}: {}", plain(.source))]
    Database {
        /// What we were doing.
        doing: &'static str,
        /// What PostgreSQL said.
        source: tokio_postgres::Error,
    },
}

type Result<T> = std::result::Result<T, TakeOverError>;

/// Gives the database its new epoch. Waits for writers that are at work and, as any commit, for the synchronous standby if there is one. The same
/// epoch for the same holder again changes nothing but the state and the site, and waits as well: so what was broken off can be repeated.
///
/// # Errors
/// [`TakeOverError::Behind`] when the database is at that epoch or a later one, [`TakeOverError::NoPool`] when there is nothing to be taken
/// over, and [`TakeOverError::Database`].
pub async fn take_over(client: &Client, wanted: &TakeOver) -> Result<()> {
    const DOING: &str = "taking the database over";
    const BEGIN: &str = "BEGIN; SET LOCAL synchronous_commit = on";
    const THERE: &str = "SELECT epoch, holder FROM holdfast.pool WHERE id = 1 FOR UPDATE";
    const ENDS: &str = "INSERT INTO holdfast.room_epoch (room, epoch, after_seq)
        SELECT room, $1::bigint, last_seq FROM holdfast.room_head
        UNION ALL SELECT 0, $1::bigint, 0 WHERE NOT EXISTS (SELECT 1 FROM holdfast.room_head WHERE room = 0)";
    // Servers of a version before it may be at work.
    const HAS_DIRECT: &str = "SELECT to_regclass('holdfast.direct_head') IS NOT NULL";
    /// More than can have been lost.
    const SKIP: &str = "UPDATE holdfast.direct_head SET last_id = last_id + 4294967296 WHERE id = 1";
    const TAKE: &str = "UPDATE holdfast.pool SET epoch = $1, state = $2, site = $3, holder = $4 WHERE id = 1";
    if !knows_sites(client).await? {
        return Err(TakeOverError::NoPool);
    }
    let fail = failing(DOING);
    client.batch_execute(BEGIN).await.map_err(fail)?;
    let work = async {
        let row = client.query_opt(THERE, &[]).await.map_err(fail)?.ok_or(TakeOverError::NoPool)?;
        let there: i64 = row.try_get(0).map_err(fail)?;
        let holder: Option<String> = row.try_get(1).map_err(fail)?;
        let repeated = there == wanted.epoch && holder.as_deref() == Some(&wanted.holder);
        if there >= wanted.epoch && !repeated {
            return Err(TakeOverError::Behind { there, holder, wanted: wanted.epoch });
        }
        if !repeated {
            client.execute(ENDS, &[&wanted.epoch]).await.map_err(fail)?;
            if client.query_one(HAS_DIRECT, &[]).await.and_then(|row| row.try_get(0)).map_err(fail)? {
                client.execute(SKIP, &[]).await.map_err(fail)?;
            }
        }
        client
            .execute(TAKE, &[&wanted.epoch, &wanted.state.word(), &wanted.site, &wanted.holder])
            .await
            .map_err(fail)?;
        client.batch_execute("COMMIT").await.map_err(fail)
    };
    let done = work.await;
    if done.is_err() && !client.is_closed() {
        // The failure that is told is the first one.
        let _ = client.batch_execute("ROLLBACK").await;
    }
    done
}

/// What the database holds; of a standby, as far as it has been replayed. `None` of a database without a pool.
///
/// # Errors
/// When it cannot be asked.
pub async fn tally(client: &Client) -> Result<Option<Tally>> {
    const DOING: &str = "counting what the database holds";
    const NEW: &str = "SELECT p.epoch, p.state, p.site, p.holder, h.entries, h.newest FROM holdfast.pool p,
        (SELECT coalesce(sum(last_seq), 0)::bigint AS entries, max(last_at) AS newest FROM holdfast.room_head) h WHERE p.id = 1";
    // Of a version before there were sites.
    const OLD: &str = "SELECT p.epoch, 'normal', NULL::text, NULL::text, h.entries, h.newest FROM holdfast.pool p,
        (SELECT coalesce(sum(last_seq), 0)::bigint AS entries, max(last_at) AS newest FROM holdfast.room_head) h WHERE p.id = 1";
    let fail = failing(DOING);
    let sql = if knows_sites(client).await? { NEW } else { OLD };
    let row = match client.query_opt(sql, &[]).await {
        Ok(Some(row)) => row,
        Ok(None) => return Ok(None),
        // No schema of ours, or one that is being made.
        Err(e) if [Some(&SqlState::UNDEFINED_TABLE), Some(&SqlState::INVALID_SCHEMA_NAME)].contains(&e.code()) => {
            return Ok(None);
        }
        Err(e) => return Err(fail(e)),
    };
    Ok(Some(Tally {
        epoch: row.try_get(0).map_err(fail)?,
        state: PoolPhase::from_word(row.try_get(1).map_err(fail)?),
        site: row.try_get(2).map_err(fail)?,
        holder: row.try_get(3).map_err(fail)?,
        entries: row.try_get(4).map_err(fail)?,
        newest_at: row.try_get::<_, Option<i64>>(5).map_err(fail)?.map(Time::from_millis),
    }))
}

/// Says what the pool is, under the epoch that it has. Waits as [`take_over`] does.
///
/// # Errors
/// [`TakeOverError::NoPool`] and [`TakeOverError::Database`].
pub async fn set_phase(client: &Client, state: PoolPhase) -> Result<()> {
    const SQL: &str = "UPDATE holdfast.pool SET state = $1 WHERE id = 1";
    if !knows_sites(client).await? {
        return Err(TakeOverError::NoPool);
    }
    let changed = client.execute(SQL, &[&state.word()]).await.map_err(failing("saying what the pool is"))?;
    if changed == 1 { Ok(()) } else { Err(TakeOverError::NoPool) }
}

/// Sets the list of the servers that take clients, by name, in this order. Servers no longer put themselves on it then. Waits as
/// [`take_over`] does.
///
/// # Errors
/// [`TakeOverError::List`] when there are too many or one is named twice, [`TakeOverError::NoPool`] and [`TakeOverError::Database`].
pub async fn set_active(client: &Client, names: &[String]) -> Result<()> {
    const SQL: &str = "UPDATE holdfast.pool SET active = $1, chosen = true, revision = revision + 1 WHERE id = 1";
    let twice = names.iter().enumerate().any(|(i, name)| names[..i].contains(name));
    if names.len() > MOST_ACTIVE || twice {
        return Err(TakeOverError::List(names.len()));
    }
    if !knows_sites(client).await? {
        return Err(TakeOverError::NoPool);
    }
    let changed = client.execute(SQL, &[&names]).await.map_err(failing("setting the active servers"))?;
    if changed == 1 { Ok(()) } else { Err(TakeOverError::NoPool) }
}

/// The servers that take clients, by name, in the order of the list.
///
/// # Errors
/// [`TakeOverError::NoPool`] and [`TakeOverError::Database`].
pub async fn active(client: &Client) -> Result<Vec<String>> {
    const SQL: &str = "SELECT active FROM holdfast.pool WHERE id = 1";
    let fail = failing("reading the active servers");
    if !knows_sites(client).await? {
        return Err(TakeOverError::NoPool);
    }
    let row = client.query_opt(SQL, &[]).await.map_err(fail)?.ok_or(TakeOverError::NoPool)?;
    row.try_get(0).map_err(fail)
}

/// Says what users are told of an outage, or takes away what was said so; a person's notice stays. Nothing happens where the tables are of a version
/// before there were notices.
///
/// # Errors
/// [`TakeOverError::Database`].
pub async fn put_notice(client: &Client, notice: Option<&Notice>) -> Result<()> {
    const DOING: &str = "telling users of an outage";
    const HAS_ITEMS: &str = "SELECT to_regclass('holdfast.item') IS NOT NULL";
    const PUT: &str =
        "INSERT INTO holdfast.item (owner, node, id, at, payload, position) VALUES ($1, $2, $3, $4, $5, 1)
        ON CONFLICT (owner, node, id) DO UPDATE SET at = excluded.at, payload = excluded.payload
        WHERE (item.payload::jsonb ->> 'own')::boolean";
    const TAKE: &str =
        "DELETE FROM holdfast.item WHERE owner = $1 AND node = $2 AND id = $3 AND (payload::jsonb ->> 'own')::boolean";
    let fail = failing(DOING);
    if !client.query_one(HAS_ITEMS, &[]).await.and_then(|row| row.try_get(0)).map_err(fail)? {
        return Ok(());
    }
    let done = match notice {
        Some(notice) => {
            let at = notice.beginning.millis();
            client.execute(PUT, &[&OWNER.0, &NODE, &ID, &at, &notice.kept()]).await
        }
        None => client.execute(TAKE, &[&OWNER.0, &NODE, &ID]).await,
    };
    done.map(drop).map_err(fail)
}

/// Whether the tables are there that this needs.
async fn knows_sites(client: &Client) -> Result<bool> {
    const SQL: &str = "SELECT to_regclass('holdfast.room_epoch') IS NOT NULL";
    let fail = failing("looking at the tables");
    let row = client.query_one(SQL, &[]).await.map_err(fail)?;
    row.try_get(0).map_err(fail)
}

fn failing(doing: &'static str) -> impl Fn(tokio_postgres::Error) -> TakeOverError + Copy {
    move |source| TakeOverError::Database { doing, source }
}
