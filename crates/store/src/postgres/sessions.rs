//! The connections of one server: a bounded number of them, opened when needed, and how transactions run on them.
//!
//! All are to the server that takes writes. While none does, what people ask for is read from any that can be reached and is of no older epoch
//! than this server knows; it may be some moments behind, so nothing that servers conclude something from is read there.

use super::error::{Fail, Work, away, unavailable};
use super::hosts::Hosts;
use super::session::{Params, Session, ends_session};
use crate::{Result, StoreError};
use deadpool::managed::{self, Manager, Metrics, Object, PoolError, RecycleError, RecycleResult};
use futures_util::future::BoxFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio_postgres::Row;

/// For how long a free connection is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often another server is tried where one is read only.
const TRIED: usize = 8;

/// All connections for reading and writing. Cheap to clone.
#[derive(Clone)]
pub(super) struct Sessions {
    pool: managed::Pool<Opener>,
    /// To any server. Empty unless none takes writes.
    readers: managed::Pool<Opener>,
    /// Whether none takes writes, but one can be read.
    read_only: Arc<AtomicBool>,
    hosts: Arc<Hosts>,
    closed: Arc<AtomicBool>,
}

/// Opens connections.
pub(super) struct Opener {
    hosts: Arc<Hosts>,
    /// To any that can be read, rather than to the one that takes writes.
    read_only: bool,
}

impl Manager for Opener {
    type Type = Session;
    type Error = StoreError;

    async fn create(&self) -> Result<Session> {
        if self.read_only { self.hosts.open_readable().await } else { self.hosts.open(&None).await }
    }

    async fn recycle(&self, session: &mut Session, _: &Metrics) -> RecycleResult<StoreError> {
        if session.is_usable() { Ok(()) } else { Err(RecycleError::message("closed")) }
    }
}

/// How a transaction begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Begin {
    Write,
    Read,
}

impl Begin {
    fn sql(self) -> &'static str {
        match self {
            Begin::Write => "BEGIN",
            Begin::Read => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        }
    }
}

impl Sessions {
    /// At most `most` connections to whichever of the hosts is the database.
    pub(super) fn new(hosts: Arc<Hosts>, most: usize) -> Result<Sessions> {
        let pool = pool(Opener { hosts: Arc::clone(&hosts), read_only: false }, most)?;
        let readers = self::pool(Opener { hosts: Arc::clone(&hosts), read_only: true }, most)?;
        Ok(Sessions { pool, readers, read_only: Arc::default(), hosts, closed: Arc::default() })
    }

    /// A connection for some statements.
    pub(super) async fn get(&self) -> Result<Object<Opener>> {
        if self.closed.load(Ordering::Acquire) {
            return Err(unavailable("it is closed"));
        }
        free(&self.pool).await
    }

    /// A connection for finding what somebody asked for.
    pub(super) async fn reader(&self) -> Result<Object<Opener>> {
        const EPOCH: &str = "SELECT epoch FROM pool WHERE id = 1";
        if !self.read_only.load(Ordering::Acquire) {
            return self.get().await;
        }
        for _ in 0..TRIED {
            let session = free(&self.readers).await?;
            let row = session.one(EPOCH, &[]).await.map_err(|e| e.while_doing("reading the epoch"))?;
            if row.is_some_and(|row| row.try_get(0).is_ok_and(|there: i64| there >= self.hosts.epochs().highest())) {
                return Ok(session);
            }
            drop(Object::take(session));
        }
        Err(away("it takes no writes, and what can be read is of an older epoch than this server knows"))
    }

    /// Notes whether no server takes writes, but one can be read.
    pub(super) fn note_read_only(&self, read_only: bool) {
        if self.read_only.swap(read_only, Ordering::AcqRel) && !read_only {
            self.readers.retain(|_, _| false);
        }
    }

    /// Lets go of every connection that is not in use; those in use go when they are given back broken.
    pub(super) fn forget_idle(&self) {
        self.pool.retain(|_, _| false);
    }

    /// Gives no more connections.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.pool.close();
        self.readers.close();
    }

    /// One statement that reads.
    pub(super) async fn query(&self, doing: &'static str, sql: &'static str, params: Params<'_>) -> Result<Vec<Row>> {
        let session = self.get().await?;
        session.query(sql, params).await.map_err(|e| e.while_doing(doing))
    }

    /// One statement that reads at most one row.
    pub(super) async fn one(&self, doing: &'static str, sql: &'static str, params: Params<'_>) -> Result<Option<Row>> {
        let session = self.get().await?;
        session.one(sql, params).await.map_err(|e| e.while_doing(doing))
    }

    /// One statement that finds what somebody asked for, also while nothing can be written.
    pub(super) async fn find(&self, doing: &'static str, sql: &'static str, params: Params<'_>) -> Result<Vec<Row>> {
        let session = self.reader().await?;
        session.query(sql, params).await.map_err(|e| e.while_doing(doing))
    }

    /// As [`Sessions::find`], of at most one row.
    pub(super) async fn find_one(
        &self,
        doing: &'static str,
        sql: &'static str,
        params: Params<'_>,
    ) -> Result<Option<Row>> {
        let session = self.reader().await?;
        session.one(sql, params).await.map_err(|e| e.while_doing(doing))
    }

    /// One statement that writes, and is a transaction by itself. Once sent it is done even if the caller goes away.
    pub(super) async fn execute(&self, doing: &'static str, sql: &'static str, params: Params<'_>) -> Result<u64> {
        let session = self.get().await?;
        session.prepare(&[sql]).await.map_err(|e| e.while_doing(doing))?;
        let changed = session.execute(sql, params).await.map_err(|e| e.at_commit(doing))?;
        known(&session, doing)?;
        Ok(changed)
    }

    /// One statement that writes, is a transaction by itself, and answers at most one row.
    pub(super) async fn write_one(
        &self,
        doing: &'static str,
        sql: &'static str,
        params: Params<'_>,
    ) -> Result<std::result::Result<Option<Row>, Fail>> {
        let session = self.get().await?;
        session.prepare(&[sql]).await.map_err(|e| e.while_doing(doing))?;
        match session.one(sql, params).await {
            Ok(row) => {
                known(&session, doing)?;
                Ok(Ok(row))
            }
            Err(e) if e.is_taken() => Ok(Err(e)),
            Err(e) => Err(e.at_commit(doing)),
        }
    }

    /// Runs `work` in a transaction and commits it. Once begun it is finished even if the caller goes away; nobody but PostgreSQL
    /// ends a commit.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl for<'s> FnOnce(&'s Session) -> BoxFuture<'s, Work<T>> + Send + 'static,
    ) -> Result<T> {
        self.transact(self.get().await?, Begin::Write, doing, work).await
    }

    /// Runs `work` on one snapshot.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl for<'s> FnOnce(&'s Session) -> BoxFuture<'s, Work<T>> + Send + 'static,
    ) -> Result<T> {
        self.transact(self.get().await?, Begin::Read, doing, work).await
    }

    /// Runs `work`, which finds what somebody asked for, on one snapshot, also while nothing can be written.
    pub(super) async fn look<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl for<'s> FnOnce(&'s Session) -> BoxFuture<'s, Work<T>> + Send + 'static,
    ) -> Result<T> {
        self.transact(self.reader().await?, Begin::Read, doing, work).await
    }

    async fn transact<T: Send + 'static>(
        &self,
        session: Object<Opener>,
        begin: Begin,
        doing: &'static str,
        work: impl for<'s> FnOnce(&'s Session) -> BoxFuture<'s, Work<T>> + Send + 'static,
    ) -> Result<T> {
        // A task of its own: a future that is dropped in the middle would leave its transaction to the next user of the connection.
        let done = tokio::spawn(async move {
            let result = run(&session, begin, doing, work).await;
            if !matches!(result, Ok(_) | Err((_, true))) {
                // What state it is in is not known.
                drop(Object::take(session));
            }
            result.map_err(|(e, _)| e)
        });
        done.await.map_err(|e| StoreError::Engine { doing, source: Box::new(e) })?
    }
}

fn pool(opener: Opener, most: usize) -> Result<managed::Pool<Opener>> {
    managed::Pool::builder(opener)
        .max_size(most.max(2))
        .wait_timeout(Some(PATIENCE))
        .create_timeout(Some(PATIENCE))
        .runtime(deadpool::Runtime::Tokio1)
        .build()
        .map_err(|e| unavailable(e.to_string()))
}

async fn free(pool: &managed::Pool<Opener>) -> Result<Object<Opener>> {
    pool.get().await.map_err(|e| match e {
        PoolError::Backend(e) => e,
        PoolError::Timeout(_) => away("no connection became free, or none could be opened, in time"),
        PoolError::Closed => unavailable("it is closed"),
        PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => unavailable(e.to_string()),
    })
}

/// The outcome, and of a failure whether the session can be used again.
async fn run<T>(
    session: &Session,
    begin: Begin,
    doing: &'static str,
    work: impl for<'s> FnOnce(&'s Session) -> BoxFuture<'s, Work<T>>,
) -> std::result::Result<T, (StoreError, bool)> {
    session.batch(begin.sql()).await.map_err(|e| (e.while_doing(doing), false))?;
    match work(session).await {
        Ok(value) => {
            session.batch("COMMIT").await.map_err(|e| match begin {
                Begin::Write => (e.at_commit(doing), false),
                Begin::Read => (e.while_doing(doing), false),
            })?;
            known(session, doing).map_err(|e| (e, false))?;
            Ok(value)
        }
        Err(fail) => {
            let usable = !ends_session(&fail) && session.batch("ROLLBACK").await.is_ok();
            Err((fail.while_doing(doing), usable))
        }
    }
}

/// A commit that PostgreSQL stopped waiting for is none that we know of.
pub(super) fn known(session: &Session, doing: &'static str) -> Result<()> {
    if session.was_left_alone() {
        let why = format!("the wait for the mirror was ended while {doing}");
        return Err(StoreError::Unknown { why });
    }
    Ok(())
}
