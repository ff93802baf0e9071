//! Work that one server of a pool does at a time. Its lease is short and renewed while the work goes on, so that what a server that is gone
//! was doing does not wait for long.

use crate::error::{ChatError, Result};
use crate::service::Chat;
use std::time::Duration;
use tokio::time::Instant;

/// How often a lease that another server holds is asked for.
const PAUSE: Duration = Duration::from_millis(200);

impl Chat {
    /// For how long a lease is taken at a time.
    pub(crate) fn lease_length(&self) -> Duration {
        Duration::from_secs(u64::from(self.options().server.lease_seconds.max(1)))
    }

    /// Takes the lease called `name`, or renews it. If another server holds it, answers for how long still. Without a pool there is
    /// nobody else.
    pub(crate) async fn lease(&self, name: &str) -> Result<Option<Duration>> {
        match self.store().pool() {
            Some(pool) => Ok(pool.lease(name, self.lease_length()).await?.err()),
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
    pub(crate) async fn lease_soon(&self, name: &str, busy: &str) -> Result<()> {
        let until = Instant::now() + self.lease_length() + Duration::from_secs(1);
        while let Some(left) = self.lease(name).await? {
            if Instant::now() + PAUSE > until {
                return Err(ChatError::Unavailable(busy.to_owned()));
            }
            tokio::time::sleep(left.min(PAUSE)).await;
        }
        Ok(())
    }

    /// Does `work` under a lease that was taken, and renews it meanwhile.
    pub(crate) async fn holding<T>(&self, name: &str, work: impl Future<Output = T>) -> T {
        let renewing = async {
            loop {
                tokio::time::sleep(self.lease_length() / 3).await;
                match self.lease(name).await {
                    Ok(None) => {}
                    Ok(Some(_)) => tracing::debug!(name, "another server took a lease before it was renewed"),
                    Err(error) => tracing::debug!(%error, name, "cannot renew a lease; will try again"),
                }
            }
        };
        tokio::select! {
            done = work => done,
            () = renewing => unreachable!("it renews for ever"),
        }
    }
}
