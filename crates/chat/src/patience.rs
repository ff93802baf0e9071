//! Waiting for a store that is away: what has to be known before something can be written is asked for again for as long as the
//! writing itself would wait, so that a database that starts again, or is replaced by its standby, is a pause and no error.

use crate::service::Chat;
use holdfast_store::StoreError;
use std::time::Duration;
use tokio::time::Instant;

/// A store that is away is asked again after this long.
const PAUSE: Duration = Duration::from_millis(200);

impl Chat {
    /// What `ask` answers as soon as the store is not away.
    pub(crate) async fn patiently<T, F>(&self, ask: impl Fn() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut until = None;
        loop {
            match ask().await {
                Err(StoreError::Away { why }) => {
                    let wait = Duration::from_secs(u64::from(self.options().wait_seconds));
                    let until = *until.get_or_insert_with(|| Instant::now() + wait);
                    if Instant::now() + PAUSE > until {
                        return Err(StoreError::Away { why });
                    }
                    tokio::time::sleep(PAUSE).await;
                }
                answer => return answer,
            }
        }
    }
}
