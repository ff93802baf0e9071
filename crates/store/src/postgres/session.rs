//! One connection, with its prepared statements and with what PostgreSQL says beside its answers.

use super::error::{Work, is_broken};
use futures_util::StreamExt as _;
use futures_util::stream::poll_fn;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client, Config, NoTls, Notification, Row, Statement};

/// Values for a statement.
pub(super) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A connection to PostgreSQL. Dropped, it is closed.
pub(super) struct Session {
    client: Client,
    statements: Mutex<HashMap<&'static str, Statement>>,
    /// A commit went on without its standby: see [`Session::was_left_alone`].
    left_alone: Arc<AtomicBool>,
}

impl Session {
    /// Connects to the first of the configured hosts that answers as wanted. `notified` hears what LISTEN was asked for.
    pub(super) async fn open(
        config: &Config,
        notified: Option<mpsc::UnboundedSender<Notification>>,
    ) -> Result<Session, tokio_postgres::Error> {
        let (client, mut connection) = config.connect(NoTls).await?;
        let left_alone = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&left_alone);
        tokio::spawn(async move {
            let mut messages = poll_fn(|cx| connection.poll_message(cx));
            while let Some(message) = messages.next().await {
                match message {
                    Ok(AsyncMessage::Notification(notification)) => {
                        if let Some(notified) = &notified {
                            // Nobody listens any more: then the connection is about to be dropped.
                            let _ = notified.send(notification);
                        }
                    }
                    Ok(AsyncMessage::Notice(notice)) => {
                        // By where in PostgreSQL it comes from: it has no code of its own, and its text is in the language of the database.
                        if notice.routine() == Some("SyncRepWaitForLSN") {
                            flag.store(true, Ordering::Release);
                            tracing::warn!(
                                notice = notice.message(),
                                "a commit was not waited for until the mirror had it"
                            );
                        } else {
                            tracing::debug!(notice = notice.message(), "the database says");
                        }
                    }
                    Ok(_) => {}
                    Err(error) => {
                        // Whoever waits for an answer gets the same error.
                        tracing::debug!(%error, "a connection to the database broke");
                        break;
                    }
                }
            }
        });
        Ok(Session { client, statements: Mutex::default(), left_alone })
    }

    /// Whether it can still be used.
    pub(super) fn is_usable(&self) -> bool {
        !self.client.is_closed() && !self.was_left_alone()
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

/// Whether a failure leaves nothing of the session to be used.
pub(super) fn ends_session(fail: &super::error::Fail) -> bool {
    matches!(fail, super::error::Fail::Sql(e) if is_broken(e) || e.code().is_some_and(|c| c.code().starts_with("57P")))
}
