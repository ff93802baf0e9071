//! The connections of one server: a bounded number of them, opened when needed, and how transactions run on them.

use super::error::{Fail, Work, away, is_read_only, plain, unavailable};
use super::session::{Params, Session, ends_session};
use crate::{Result, StoreError};
use deadpool::managed::{self, Manager, Metrics, Object, PoolError, RecycleError, RecycleResult};
use futures_util::future::BoxFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres::{Config, Row};

/// For how long a free connection is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// All connections for reading and writing. Cheap to clone.
#[derive(Clone)]
pub(super) struct Sessions {
    pool: managed::Pool<Opener>,
    closed: Arc<AtomicBool>,
}

/// Opens connections.
pub(super) struct Opener(Config);

impl Manager for Opener {
    type Type = Session;
    type Error = tokio_postgres::Error;

    async fn create(&self) -> std::result::Result<Session, tokio_postgres::Error> {
        Session::open(&self.0, None).await
    }

    async fn recycle(&self, session: &mut Session, _: &Metrics) -> RecycleResult<tokio_postgres::Error> {
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
    /// At most `most` connections to the writable server among the configured ones.
    pub(super) fn new(config: &Config, most: usize) -> Result<Sessions> {
        let mut config = config.clone();
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        let pool = managed::Pool::builder(Opener(config))
            .max_size(most.max(2))
            .wait_timeout(Some(PATIENCE))
            .create_timeout(Some(PATIENCE))
            .runtime(deadpool::Runtime::Tokio1)
            .build()
            .map_err(|e| unavailable(e.to_string()))?;
        Ok(Sessions { pool, closed: Arc::default() })
    }

    /// A connection for some statements.
    pub(super) async fn get(&self) -> Result<Object<Opener>> {
        if self.closed.load(Ordering::Acquire) {
            return Err(unavailable("it is closed"));
        }
        self.pool.get().await.map_err(|e| match e {
            PoolError::Backend(e) if is_read_only(&e) => {
                away("it takes no writes: it is a standby, or was made read-only")
            }
            PoolError::Backend(e) if e.as_db_error().is_some() => Fail::Sql(e).while_doing("connecting"),
            PoolError::Backend(e) => away(format!("it cannot be reached ({})", plain(&e))),
            PoolError::Timeout(_) => away("no connection became free, or none could be opened, in time"),
            PoolError::Closed => unavailable("it is closed"),
            PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => unavailable(e.to_string()),
        })
    }

    /// Lets go of every connection that is not in use; those in use go when they are given back broken.
    pub(super) fn forget_idle(&self) {
        self.pool.retain(|_, _| false);
    }

    /// Gives no more connections.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.pool.close();
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
        self.transact(Begin::Write, doing, work).await
    }

    /// Runs `work` on one snapshot.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl for<'s> FnOnce(&'s Session) -> BoxFuture<'s, Work<T>> + Send + 'static,
    ) -> Result<T> {
        self.transact(Begin::Read, doing, work).await
    }

    async fn transact<T: Send + 'static>(
        &self,
        begin: Begin,
        doing: &'static str,
        work: impl for<'s> FnOnce(&'s Session) -> BoxFuture<'s, Work<T>> + Send + 'static,
    ) -> Result<T> {
        let session = self.get().await?;
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
