//! Work that one server of a pool does at a time.

use crate::error::{ChatError, Result};
use crate::service::Chat;
use std::time::Duration;
use tokio::time::Instant;

/// How often a lease that another server holds is asked for.
const PAUSE: Duration = Duration::from_millis(200);

impl Chat {
    /// Takes the lease called `name`, or renews it. If another server holds it, answers for how long still. Without a pool there is
    /// nobody else.
    pub(crate) async fn lease(&self, name: &str, length: Duration) -> Result<Option<Duration>> {
        match self.store().pool() {
            Some(pool) => Ok(pool.lease(name, length).await?.err()),
            None => Ok(None),
        }
    }

    /// Gives a lease back; one that cannot be given back ends by itself.
    pub(crate) async fn release(&self, name: &str) {
        if let Some(pool) = self.store().pool()
            && let Err(error) = pool.release(name).await
        {
            tracing::debug!(%error, name, "cannot give a lease back; it will end by itself");
        }
    }

    /// Waits for a lease, for as long as it may take if its holder is gone.
    pub(crate) async fn lease_soon(&self, name: &str, length: Duration, busy: &str) -> Result<()> {
        let until = Instant::now() + length + Duration::from_secs(1);
        while let Some(left) = self.lease(name, length).await? {
            if Instant::now() + PAUSE > until {
                return Err(ChatError::Unavailable(busy.to_owned()));
            }
            tokio::time::sleep(left.min(PAUSE)).await;
        }
        Ok(())
    }
}
