//! The archive of one-to-one messages. Only one thread writes, so numbers are in the order of commits by themselves.

use super::SqliteStore;
use super::error::{Work, corrupt};
use super::files::{of_directs, take_said};
use crate::Result;
use crate::direct::{Direct, DirectAppended, DirectMessages, DirectPage, DirectQuery, NewDirect, StoredDirect};
use crate::numbering::{End, NewRow, give_files};
use async_trait::async_trait;
use holdfast_domain::{ClientId, PrincipalId, Time};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::collections::HashMap;
use uuid::Uuid;

/// The columns that [`direct`] reads.
macro_rules! direct_columns {
    () => {
        "SELECT id, sender, recipient, at, payload FROM direct "
    };
}

/// A page of a whole archive: what one has written and what one was written, each from an index in the order of numbers, merged. Of messages to
/// oneself the second half knows nothing, since they are in the first.
macro_rules! page {
    ($order:literal) => {
        concat!(
            direct_columns!(),
            "WHERE sender = ?1 AND id > ?2 AND id < ?3 UNION ALL ",
            direct_columns!(),
            "WHERE recipient = ?1 AND sender <> recipient AND id > ?2 AND id < ?3 ORDER BY id ",
            $order,
            " LIMIT ?4"
        )
    };
}

/// A page of what two people have written to each other.
macro_rules! page_of_two {
    ($order:literal) => {
        concat!(
            direct_columns!(),
            "WHERE low = ?1 AND high = ?5 AND id > ?2 AND id < ?3 ORDER BY id ",
            $order,
            " LIMIT ?4"
        )
    };
}

pub(super) const OLDEST: &str = page!("ASC");
pub(super) const NEWEST: &str = page!("DESC");
pub(super) const OLDEST_OF_TWO: &str = page_of_two!("ASC");
pub(super) const NEWEST_OF_TWO: &str = page_of_two!("DESC");
pub(super) const FIRST_AT: &str = "SELECT id FROM direct WHERE at >= ?1 ORDER BY at, id LIMIT 1";
pub(super) const BEFORE: &str = concat!(direct_columns!(), "WHERE sender = ?1 AND recipient = ?2 AND client_id = ?3");
/// From one partner the index is asked for the next, so that it costs nothing how much they wrote.
pub(super) const PARTNERS: &str = "
    WITH RECURSIVE
        higher (partner) AS (
            SELECT (SELECT min(high) FROM direct WHERE low = ?1)
            UNION ALL
            SELECT (SELECT min(high) FROM direct WHERE low = ?1 AND high > higher.partner)
            FROM higher WHERE partner IS NOT NULL),
        lower (partner) AS (
            SELECT (SELECT max(low) FROM direct WHERE high = ?1 AND low < ?1)
            UNION ALL
            SELECT (SELECT max(low) FROM direct WHERE high = ?1 AND low < lower.partner)
            FROM lower WHERE partner IS NOT NULL)
    SELECT partner, (SELECT max(id) FROM direct WHERE low = ?1 AND high = partner) AS last
    FROM higher WHERE partner IS NOT NULL
    UNION ALL
    SELECT partner, (SELECT max(id) FROM direct WHERE low = partner AND high = ?1)
    FROM lower WHERE partner IS NOT NULL
    ORDER BY last DESC";

#[async_trait]
impl DirectMessages for SqliteStore {
    async fn add_direct(&self, new: Vec<NewDirect>) -> Result<Vec<DirectAppended>> {
        if new.is_empty() {
            return Ok(Vec::new());
        }
        self.threads.write("keeping messages", move |tx| add(tx, new)).await
    }

    async fn direct_page(&self, query: DirectQuery) -> Result<DirectPage> {
        self.threads.read("reading a page of messages", move |tx, _| page(tx, &query)).await
    }

    async fn direct(&self, of: PrincipalId, mut ids: Vec<i64>) -> Result<Vec<Direct>> {
        const SQL: &str = concat!(direct_columns!(), "WHERE id = ?1 AND (sender = ?2 OR recipient = ?2)");
        ids.sort_unstable();
        ids.dedup();
        self.threads
            .read("reading messages", move |tx, _| {
                let mut statement = tx.prepare_cached(SQL)?;
                let found = ids.into_iter().map(|id| statement.query_row([id, of.0], direct).optional().transpose());
                Ok(found.flatten().collect::<rusqlite::Result<_>>()?)
            })
            .await
    }

    async fn direct_stored(&self, after: i64, limit: usize) -> Result<Vec<StoredDirect>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.threads.read("reading messages", move |tx, _| stored(tx, after, limit)).await
    }

    async fn load_direct(&self, messages: Vec<StoredDirect>) -> Result<()> {
        self.threads.write("taking in messages", move |tx| load(tx, messages)).await
    }

    async fn direct_partners(&self, of: PrincipalId) -> Result<Vec<(PrincipalId, i64)>> {
        self.threads
            .read("listing who exchanged messages", move |tx, _| {
                let mut statement = tx.prepare_cached(PARTNERS)?;
                let rows = statement.query_map([of.0], |r| Ok((PrincipalId(r.get(0)?), r.get(1)?)))?;
                Ok(rows.collect::<rusqlite::Result<_>>()?)
            })
            .await
    }
}

fn add(conn: &Connection, new: Vec<NewDirect>) -> Work<Vec<DirectAppended>> {
    let mut end = read_end(conn)?;
    let mut before = HashMap::new();
    let mut look_up = conn.prepare_cached(BEFORE)?;
    for n in &new {
        let key = params![n.from.0, n.to.0, &n.client_id.0.as_bytes()[..]];
        if let Some(there) = look_up.query_row(key, direct).optional()? {
            before.insert(n.key(), there);
        }
    }
    let (answers, rows) = end.number(new, before);
    insert(conn, rows, end)?;
    Ok(answers)
}

fn load(conn: &Connection, messages: Vec<StoredDirect>) -> Work<()> {
    let mut end = read_end(conn)?;
    let rows = end.follow(messages).map_err(corrupt)?;
    insert(conn, rows, end)
}

fn read_end(conn: &Connection) -> Work<End> {
    const HEAD: &str = "SELECT last_id, last_at FROM direct_head WHERE id = 1";
    let read = |r: &Row<'_>| Ok(End { id: r.get(0)?, at: Time::from_millis(r.get(1)?) });
    Ok(conn.prepare_cached(HEAD)?.query_row([], read)?)
}

fn insert(conn: &Connection, rows: Vec<NewRow>, end: End) -> Work<()> {
    const ADD: &str = "INSERT INTO direct (id, sender, recipient, client_id, at, text, payload)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    const MOVE_HEAD: &str = "UPDATE direct_head SET last_id = ?1, last_at = ?2 WHERE id = 1";
    let mut insert = conn.prepare_cached(ADD)?;
    for NewRow { direct: d, client_id, text, files } in rows {
        let client_id = &client_id.0.as_bytes()[..];
        insert.execute(params![d.id, d.from.0, d.to.0, client_id, d.at.millis(), text, d.payload])?;
        take_said(conn, d.from, d.id, &files)?;
    }
    conn.prepare_cached(MOVE_HEAD)?.execute([end.id, end.at.millis()])?;
    Ok(())
}

fn stored(conn: &Connection, after: i64, limit: i64) -> Work<Vec<StoredDirect>> {
    const SQL: &str = "SELECT id, sender, recipient, at, payload, client_id, text FROM direct
        WHERE id > ?1 ORDER BY id LIMIT ?2";
    let mut statement = conn.prepare_cached(SQL)?;
    let read = |r: &Row<'_>| {
        let client_id = ClientId(Uuid::from_bytes(r.get(5)?));
        Ok(StoredDirect { direct: direct(r)?, client_id, text: r.get(6)?, files: Vec::new() })
    };
    let mut messages = statement.query_map([after, limit], read)?.collect::<rusqlite::Result<Vec<_>>>()?;
    let last = messages.last().map_or(after, |m| m.direct.id);
    give_files(&mut messages, of_directs(conn, after + 1, last)?);
    Ok(messages)
}

fn page(conn: &Connection, query: &DirectQuery) -> Work<DirectPage> {
    let first_at = |ms: i64| conn.prepare_cached(FIRST_AT)?.query_row([ms], |r| r.get(0)).optional();
    let since = query.since.map(|at| first_at(at.millis())).transpose()?.flatten();
    let later = query.until.map(|at| first_at(at.millis() + 1)).transpose()?.flatten();
    let (after, before) = query.between(since, later);
    let limit = query.rows_to_read();
    let rows = match query.with {
        None => {
            let sql = if query.newest { NEWEST } else { OLDEST };
            directs(conn, sql, &[query.of.0, after, before, limit])
        }
        Some(with) => {
            let sql = if query.newest { NEWEST_OF_TWO } else { OLDEST_OF_TWO };
            directs(conn, sql, &[query.of.min(with).0, after, before, limit, query.of.max(with).0])
        }
    };
    Ok(query.page(rows?))
}

fn directs(conn: &Connection, sql: &str, values: &[i64]) -> Work<Vec<Direct>> {
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map(rusqlite::params_from_iter(values), direct)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// A message, from the columns of `direct_columns`.
fn direct(r: &Row<'_>) -> rusqlite::Result<Direct> {
    Ok(Direct {
        id: r.get(0)?,
        from: PrincipalId(r.get(1)?),
        to: PrincipalId(r.get(2)?),
        at: Time::from_millis(r.get(3)?),
        payload: r.get(4)?,
    })
}
