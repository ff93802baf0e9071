//! The agent's own connections: on the socket, as the superuser.

use crate::error::{Error, Result, sql};
use crate::instance::Instance;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_postgres::{Client, Config, NoTls};

/// What the agent's sessions are called, so that they are not ended with the others.
pub(crate) const AGENT: &str = "holdfast-agent";

/// How long a server may take to let its own agent in.
const PATIENCE: Duration = Duration::from_secs(5);

/// Connections that stay, by database: whoever looks several times a second needs no new process of PostgreSQL for each look.
#[derive(Debug, Default)]
pub(crate) struct Kept(Mutex<HashMap<String, (u32, Arc<Client>)>>);

impl Kept {
    fn get(&self, database: &str, postmaster: u32) -> Option<Arc<Client>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(database).filter(|(of, client)| *of == postmaster && !client.is_closed()).map(|(_, c)| Arc::clone(c))
    }

    fn put(&self, database: &str, postmaster: u32, client: &Arc<Client>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(database.to_owned(), (postmaster, Arc::clone(client)));
    }

    /// Leaves them: one that does not answer may have an answer under way that nobody waits for any more.
    pub(crate) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Instance {
    /// As [`Instance::sql`], by a connection that stays open between two calls and is used by all of them. For looking only: nothing is to be set on it,
    /// and no transaction begun.
    ///
    /// # Errors
    /// As [`Instance::sql`].
    pub async fn look(&self, database: &str) -> Result<Arc<Client>> {
        let postmaster = self.pid().ok_or(Error::NotRunning)?;
        if let Some(client) = self.kept().get(database, postmaster) {
            return Ok(client);
        }
        let client = Arc::new(self.sql(database).await?);
        self.kept().put(database, postmaster, &client);
        Ok(client)
    }

    /// A connection to a database, such as `mgc` or `postgres`, as the superuser. A commit on it waits for the mirror like everybody's.
    ///
    /// # Errors
    /// [`Error::NotRunning`]; PostgreSQL does not answer, or says no.
    pub async fn sql(&self, database: &str) -> Result<Client> {
        if !self.is_running() {
            return Err(Error::NotRunning);
        }
        let mut config = Config::new();
        config.host_path(self.layout().run()).port(self.settings().port).user("postgres").dbname(database);
        config.application_name(AGENT);
        let connecting = tokio::time::timeout(PATIENCE, config.connect(NoTls)).await;
        let connected = connecting.map_err(|_| self.timed_out("connecting to PostgreSQL", PATIENCE, u64::MAX))?;
        let (client, connection) = connected.map_err(sql("connecting to PostgreSQL"))?;
        tokio::spawn(async move {
            if let Err(e) = connection.await {
                tracing::debug!("a connection to PostgreSQL ended: {e}");
            }
        });
        Ok(client)
    }
}
