//! The agent's own connections: on the socket, as the superuser.

use crate::error::{Error, Result, sql};
use crate::instance::Instance;
use std::time::Duration;
use tokio_postgres::{Client, Config, NoTls};

/// What the agent's sessions are called, so that they are not ended with the others.
pub(crate) const AGENT: &str = "holdfast-agent";

/// How long a server may take to let its own agent in.
const PATIENCE: Duration = Duration::from_secs(5);

impl Instance {
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
