//! The archive of one-to-one messages.
//!
//! Whoever writes holds the row with the last number until his transaction is committed. So a reader who sees a number sees all that are smaller: those
//! of the same person, of whichever partner, and those of everybody. It makes the writers of the whole pool take turns, each for one commit, which is
//! why many messages are written at once.

use super::append::{EPOCH, barrier};
use super::error::{Work, corrupt};
use super::files::{of_directs, take_said};
use super::session::{Params, Session};
use super::{Inner, PostgresStore};
use crate::direct::{Direct, DirectAppended, DirectMessages, DirectPage, DirectQuery, NewDirect, StoredDirect};
use crate::numbering::{End, NewRow, give_files};
use crate::{Result, StoreError};
use async_trait::async_trait;
use futures_util::FutureExt as _;
use holdfast_domain::{ClientId, PrincipalId, Time};
use std::collections::HashMap;
use std::sync::Arc;
use tokio_postgres::Row;
use uuid::Uuid;

/// The columns that [`direct`] reads.
macro_rules! direct_columns {
    () => {
        "SELECT d.id, d.sender, d.recipient, d.at, d.payload FROM direct d "
    };
}

/// A page of a whole archive: what one has written and what one was written, of each so much as a page has, from an index in the order of numbers. Of
/// messages to oneself the second half knows nothing, since they are in the first. Without a limit of its own a half is sorted as a whole when the
/// planner takes it for small.
macro_rules! page {
    ($order:literal) => {
        concat!(
            "(",
            direct_columns!(),
            "WHERE d.sender = $1 AND d.id > $2 AND d.id < $3 ORDER BY d.id ",
            $order,
            " LIMIT $4) UNION ALL (",
            direct_columns!(),
            "WHERE d.recipient = $1 AND d.sender <> d.recipient AND d.id > $2 AND d.id < $3 ORDER BY d.id ",
            $order,
            " LIMIT $4) ORDER BY id ",
            $order,
            " LIMIT $4"
        )
    };
}

/// A page of what two people have written to each other.
macro_rules! page_of_two {
    ($order:literal) => {
        concat!(
            direct_columns!(),
            "WHERE d.low = $1 AND d.high = $5 AND d.id > $2 AND d.id < $3 ORDER BY d.id ",
            $order,
            " LIMIT $4"
        )
    };
}

pub(super) const OLDEST: &str = page!("ASC");
pub(super) const NEWEST: &str = page!("DESC");
pub(super) const OLDEST_OF_TWO: &str = page_of_two!("ASC");
pub(super) const NEWEST_OF_TWO: &str = page_of_two!("DESC");
pub(super) const FIRST_AT: &str = "SELECT id FROM direct WHERE at >= $1 ORDER BY at, id LIMIT 1";
const SOME: &str =
    concat!(direct_columns!(), "WHERE d.id = ANY($2) AND (d.sender = $1 OR d.recipient = $1) ORDER BY d.id");
/// From one partner the index is asked for the next, so that it costs nothing how much they wrote.
pub(super) const PARTNERS: &str = "
    WITH RECURSIVE
        higher (partner) AS (
            SELECT (SELECT min(high) FROM direct WHERE low = $1)
            UNION ALL
            SELECT (SELECT min(high) FROM direct WHERE low = $1 AND high > higher.partner)
            FROM higher WHERE partner IS NOT NULL),
        lower (partner) AS (
            SELECT (SELECT max(low) FROM direct WHERE high = $1 AND low < $1)
            UNION ALL
            SELECT (SELECT max(low) FROM direct WHERE high = $1 AND low < lower.partner)
            FROM lower WHERE partner IS NOT NULL)
    SELECT partner, (SELECT max(id) FROM direct WHERE low = $1 AND high = partner) AS last
    FROM higher WHERE partner IS NOT NULL
    UNION ALL
    SELECT partner, (SELECT max(id) FROM direct WHERE low = partner AND high = $1)
    FROM lower WHERE partner IS NOT NULL
    ORDER BY last DESC";

const HEAD: &str = "SELECT last_id, last_at FROM direct_head WHERE id = 1 FOR UPDATE";
/// Those of some client ids that are there, which come last.
pub(super) const BEFORE: &str = "SELECT d.id, d.sender, d.recipient, d.at, d.payload, d.client_id
    FROM unnest($1::bigint[], $2::bigint[], $3::uuid[]) u (sender, recipient, client_id)
    JOIN direct d ON d.sender = u.sender AND d.recipient = u.recipient AND d.client_id = u.client_id";
const ADD: &str = "WITH written AS (INSERT INTO direct (id, sender, recipient, client_id, at, text, payload)
        SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::uuid[], $5::bigint[], $6::text[], $7::text[]))
    UPDATE direct_head SET last_id = $8, last_at = $9 WHERE id = 1";

#[async_trait]
impl DirectMessages for PostgresStore {
    async fn add_direct(&self, new: Vec<NewDirect>) -> Result<Vec<DirectAppended>> {
        if new.is_empty() {
            return Ok(Vec::new());
        }
        let inner = Arc::clone(&self.inner);
        let write =
            self.inner.sessions.write("keeping messages", move |s| async move { add(&inner, s, new).await }.boxed());
        let outcome = write.await;
        match &outcome {
            Ok(added) if added.iter().any(|a| matches!(a, DirectAppended::New(_))) => self.inner.watched.note_post(),
            Err(StoreError::Full) => self.inner.watched.note_refusal(),
            _ => {}
        }
        outcome
    }

    async fn direct_page(&self, query: DirectQuery) -> Result<DirectPage> {
        self.inner
            .sessions
            .look("reading a page of messages", move |s| async move { page(s, &query).await }.boxed())
            .await
    }

    async fn direct(&self, of: PrincipalId, ids: Vec<i64>) -> Result<Vec<Direct>> {
        const DOING: &str = "reading messages";
        let rows = self.inner.sessions.find(DOING, SOME, &[&of.0, &ids]).await?;
        rows.iter().map(direct).collect::<Work<_>>().map_err(|e| e.while_doing(DOING))
    }

    async fn direct_stored(&self, after: i64, limit: usize) -> Result<Vec<StoredDirect>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.inner
            .sessions
            .look("reading messages", move |s| async move { stored(s, after, limit).await }.boxed())
            .await
    }

    async fn load_direct(&self, messages: Vec<StoredDirect>) -> Result<()> {
        let inner = Arc::clone(&self.inner);
        self.inner
            .sessions
            .write("taking in messages", move |s| async move { load(&inner, s, messages).await }.boxed())
            .await
    }

    async fn direct_partners(&self, of: PrincipalId) -> Result<Vec<(PrincipalId, i64)>> {
        const DOING: &str = "listing who exchanged messages";
        let rows = self.inner.sessions.find(DOING, PARTNERS, &[&of.0]).await?;
        let read = |r: &Row| Work::Ok((PrincipalId(r.try_get(0)?), r.try_get(1)?));
        rows.iter().map(read).collect::<Work<_>>().map_err(|e| e.while_doing(DOING))
    }
}

async fn add(inner: &Inner, session: &Session, new: Vec<NewDirect>) -> Work<Vec<DirectAppended>> {
    let senders: Vec<i64> = new.iter().map(|n| n.from.0).collect();
    let recipients: Vec<i64> = new.iter().map(|n| n.to.0).collect();
    let ids: Vec<Uuid> = new.iter().map(|n| n.client_id.0).collect();
    session.prepare(&[EPOCH, HEAD, BEFORE, ADD]).await?;
    let keys: Params<'_> = &[&senders, &recipients, &ids];
    // Sent in one go, done in this order: what is looked up is looked up with the turn in hand.
    let (epoch, head, sent) =
        futures_util::join!(inner.hold_epoch(session), session.one(HEAD, &[]), session.query(BEFORE, keys));
    epoch?;
    let mut end = read_end(head?)?;
    let mut before = HashMap::new();
    for row in sent? {
        let there = direct(&row)?;
        before.insert((there.from, there.to, ClientId(row.try_get(5)?)), there);
    }
    let (answers, rows) = end.number(new, before);
    if rows.is_empty() {
        // What is there already may not be on the mirror yet.
        barrier(session).await?;
        return Ok(answers);
    }
    insert(session, rows, end).await?;
    Ok(answers)
}

async fn load(inner: &Inner, session: &Session, messages: Vec<StoredDirect>) -> Work<()> {
    inner.hold_epoch(session).await?;
    let mut end = read_end(session.one(HEAD, &[]).await?)?;
    let rows = end.follow(messages).map_err(corrupt)?;
    if rows.is_empty() { Ok(()) } else { insert(session, rows, end).await }
}

fn read_end(head: Option<Row>) -> Work<End> {
    let head = head.ok_or_else(|| corrupt("the row with the last number of a message is not there"))?;
    Ok(End { id: head.try_get(0)?, at: Time::from_millis(head.try_get(1)?) })
}

async fn insert(session: &Session, rows: Vec<NewRow>, end: End) -> Work<()> {
    let numbers = |of: fn(&Direct) -> i64| rows.iter().map(|row| of(&row.direct)).collect::<Vec<i64>>();
    let (ids, ats, last_at) = (numbers(|d| d.id), numbers(|d| d.at.millis()), end.at.millis());
    let (senders, recipients) = (numbers(|d| d.from.0), numbers(|d| d.to.0));
    let client_ids: Vec<Uuid> = rows.iter().map(|row| row.client_id.0).collect();
    let texts: Vec<&str> = rows.iter().map(|NewRow { text, .. }| text.as_str()).collect();
    let payloads: Vec<&str> = rows.iter().map(|row| row.direct.payload.as_str()).collect();
    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 9] =
        [&ids, &senders, &recipients, &client_ids, &ats, &texts, &payloads, &end.id, &last_at];
    session.execute(ADD, &values).await?;
    take_said(session, &rows).await
}

async fn stored(session: &Session, after: i64, limit: i64) -> Work<Vec<StoredDirect>> {
    const SQL: &str = "SELECT d.id, d.sender, d.recipient, d.at, d.payload, d.client_id, d.text FROM direct d
        WHERE d.id > $1 ORDER BY d.id LIMIT $2";
    let mut messages = Vec::new();
    for row in session.query(SQL, &[&after, &limit]).await? {
        let (client_id, text) = (ClientId(row.try_get(5)?), row.try_get(6)?);
        messages.push(StoredDirect { direct: direct(&row)?, client_id, text, files: Vec::new() });
    }
    let last = messages.last().map_or(after, |m| m.direct.id);
    give_files(&mut messages, of_directs(session, after + 1, last).await?);
    Ok(messages)
}

async fn page(session: &Session, query: &DirectQuery) -> Work<DirectPage> {
    let since = match query.since {
        Some(at) => first_at(session, at.millis()).await?,
        None => None,
    };
    let later = match query.until {
        Some(at) => first_at(session, at.millis() + 1).await?,
        None => None,
    };
    let (after, before) = query.between(since, later);
    let (of, limit) = (query.of.0, query.rows_to_read());
    let rows = match query.with {
        None => {
            let sql = if query.newest { NEWEST } else { OLDEST };
            session.query(sql, &[&of, &after, &before, &limit]).await?
        }
        Some(with) => {
            let sql = if query.newest { NEWEST_OF_TWO } else { OLDEST_OF_TWO };
            let (low, high) = (of.min(with.0), of.max(with.0));
            session.query(sql, &[&low, &after, &before, &limit, &high]).await?
        }
    };
    Ok(query.page(rows.iter().map(direct).collect::<Work<_>>()?))
}

/// The first number of this time or later.
async fn first_at(session: &Session, ms: i64) -> Work<Option<i64>> {
    let row = session.one(FIRST_AT, &[&ms]).await?;
    Ok(row.map(|r| r.try_get(0)).transpose()?)
}

/// A message, from the columns of `direct_columns`.
fn direct(r: &Row) -> Work<Direct> {
    Ok(Direct {
        id: r.try_get(0)?,
        from: PrincipalId(r.try_get(1)?),
        to: PrincipalId(r.try_get(2)?),
        at: Time::from_millis(r.try_get(3)?),
        payload: r.try_get(4)?,
    })
}
