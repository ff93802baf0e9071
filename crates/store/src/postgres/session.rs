//! One connection, with its prepared statements and with what PostgreSQL says beside its answers.

use super::error::{Work, is_broken};
use super::hosts::{Host, Notified, READ_ONLY, STANDING, read_standing};
use futures_util::stream::poll_fn;
use futures_util::{Stream, StreamExt as _};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tokio_postgres::config::Host as Place;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client, Error, NoTls, Row, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Values for a statement.
pub(super) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A connection to PostgreSQL. Dropped, it is closed.
pub(super) struct Session {
    client: Client,
    statements: Mutex<HashMap<&'static str, Statement>>,
    /// A commit went on without its standby: see [`Session::was_left_alone`].
    left_alone: Arc<AtomicBool>,
    host: Arc<Host>,
}

impl Session {
    /// Connects to a host, whatever it is. `notified` hears what LISTEN was asked for.
    pub(super) async fn open(host: &Arc<Host>, notified: Notified) -> Result<Session, Error> {
        let left_alone = Arc::new(AtomicBool::new(false));
        // PostgreSQL has no TLS on its socket.
        let on_socket = matches!(host.config.get_hosts(), [Place::Unix(_)]);
        let client = match host.identity.as_ref().filter(|_| !on_socket) {
            Some(identity) => {
                let tls = MakeRustlsConnect::new((*holdfast_pki::client_config(identity)).clone());
                let (client, mut connection) = host.config.connect(tls).await?;
                let messages = poll_fn(move |cx| connection.poll_message(cx));
                tokio::spawn(attend(messages, notified, Arc::clone(&left_alone), Arc::clone(host)));
                client
            }
            None => {
                let (client, mut connection) = host.config.connect(NoTls).await?;
                let messages = poll_fn(move |cx| connection.poll_message(cx));
                tokio::spawn(attend(messages, notified, Arc::clone(&left_alone), Arc::clone(host)));
                client
            }
        };
        Ok(Session { client, statements: Mutex::default(), left_alone, host: Arc::clone(host) })
    }

    /// Its epoch, 0 where there is no schema of ours, and whether it takes no writes.
    pub(super) async fn standing(&self) -> Result<(i64, bool), Error> {
        match self.client.simple_query(STANDING).await {
            Ok(answer) => {
                let (epoch, read_only) = read_standing(&answer);
                Ok((epoch.unwrap_or(0), read_only))
            }
            Err(e) if matches!(e.code(), Some(&SqlState::UNDEFINED_TABLE | &SqlState::INVALID_SCHEMA_NAME)) => {
                Ok((0, read_standing(&self.client.simple_query(READ_ONLY).await?).1))
            }
            Err(e) => Err(e),
        }
    }

    /// Where it is connected to.
    pub(super) fn host(&self) -> &Arc<Host> {
        &self.host
    }

    /// Whether it can still be used.
    pub(super) fn is_usable(&self) -> bool {
        !self.client.is_closed() && !self.was_left_alone() && !self.host.is_stale()
    }

    /// Whether the connection has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Whether PostgreSQL has warned that it gave up waiting for the synchronous standby: then it answers "committed" though the standby may
    /// not have it (PostgreSQL manual, section 27.2.8). Such a session is not used again.
    pub(super) fn was_left_alone(&self) -> bool {
        self.left_alone.load(Ordering::Acquire)
    }

    /// Runs a statement and answers its rows.
    pub(super) async fn query(&self, sql: &'static str, params: Params<'_>) -> Work<Vec<Row>> {
        let statement = self.statement(sql).await?;
        Ok(self.client.query(&statement, params).await?)
    }

    /// Runs a statement that answers at most one row.
    pub(super) async fn one(&self, sql: &'static str, params: Params<'_>) -> Work<Option<Row>> {
        let statement = self.statement(sql).await?;
        Ok(self.client.query_opt(&statement, params).await?)
    }

    /// Runs a statement and answers how many rows it changed.
    pub(super) async fn execute(&self, sql: &'static str, params: Params<'_>) -> Work<u64> {
        let statement = self.statement(sql).await?;
        Ok(self.client.execute(&statement, params).await?)
    }

    /// Runs a statement that is made for this once.
    pub(super) async fn unprepared(&self, sql: &str, params: Params<'_>) -> Work<Vec<Row>> {
        Ok(self.client.query(sql, params).await?)
    }

    /// Runs statements without values, such as `BEGIN`.
    pub(super) async fn batch(&self, sql: &str) -> Work<()> {
        Ok(self.client.batch_execute(sql).await?)
    }

    /// Prepares statements beforehand, so that what is sent in one go does not wait for a preparation in its middle.
    pub(super) async fn prepare(&self, all: &[&'static str]) -> Work<()> {
        for sql in all {
            self.statement(sql).await?;
        }
        Ok(())
    }

    async fn statement(&self, sql: &'static str) -> Work<Statement> {
        let known = self.statements.lock().unwrap_or_else(PoisonError::into_inner).get(sql).cloned();
        if let Some(statement) = known {
            return Ok(statement);
        }
        let statement = self.client.prepare(sql).await?;
        self.statements.lock().unwrap_or_else(PoisonError::into_inner).insert(sql, statement.clone());
        Ok(statement)
    }
}

/// A host may be at the new epoch itself, and its standby have been asked a moment before it.
const GRACE: Duration = Duration::from_millis(300);

/// Takes what PostgreSQL sends, until the connection ends; ends it when another database has taken the place of this one, so that nobody goes on
/// waiting for what has no meaning any more. What was under way then is unknown, as with any connection that breaks.
async fn attend(
    mut messages: impl Stream<Item = Result<AsyncMessage, Error>> + Unpin,
    notified: Notified,
    left_alone: Arc<AtomicBool>,
    host: Arc<Host>,
) {
    let mut heard = host.epochs().subscribe();
    let mut leaves_at: Option<Instant> = None;
    loop {
        let leave = async move {
            match leaves_at {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let message = tokio::select! {
            message = messages.next() => message,
            // It cannot end before us: the host holds the other side.
            _ = heard.changed() => {
                leaves_at = host.is_stale().then(|| Instant::now() + GRACE);
                continue;
            }
            () = leave => {
                leaves_at = None;
                if !host.is_stale() {
                    continue;
                }
                tracing::warn!(host = host.name, epoch = host.epoch(), "a connection to an old primary is left");
                return;
            }
        };
        match message {
            Some(Ok(AsyncMessage::Notification(notification))) => {
                if let Some(notified) = &notified {
                    // Nobody listens any more: then the connection is about to be dropped.
                    let _ = notified.send(notification);
                }
            }
            Some(Ok(AsyncMessage::Notice(notice))) => {
                // By where in PostgreSQL it comes from: it has no code of its own, and its text is in the language of the database.
                if notice.routine() == Some("SyncRepWaitForLSN") {
                    left_alone.store(true, Ordering::Release);
                    tracing::warn!(notice = notice.message(), "a commit was not waited for until the mirror had it");
                } else {
                    tracing::debug!(notice = notice.message(), "the database says");
                }
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                // Whoever waits for an answer gets the same error.
                tracing::debug!(%error, "a connection to the database broke");
                return;
            }
            None => return,
        }
    }
}

/// Whether a failure leaves nothing of the session to be used.
pub(super) fn ends_session(fail: &super::error::Fail) -> bool {
    matches!(fail, super::error::Fail::Sql(e) if is_broken(e) || e.code().is_some_and(|c| c.code().starts_with("57P")))
}
