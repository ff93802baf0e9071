//! What has to be done now and then: forgetting old client ids, sweeping files that were never sent. In a pool one server does it for
//! all, and another as soon as that one is gone.

use crate::service::Chat;
use std::time::Duration;
use tokio::time::Instant;

/// How often it is looked after.
const EVERY: Duration = Duration::from_secs(3_600);
/// Files that were uploaded to a room this long ago and never sent are deleted.
const UNSENT_MS: i64 = 24 * 3_600_000;
/// The right to look after it; kept from one time to the next.
const LEASE: &str = "clean-up";
const DAY_MS: i64 = 24 * 3_600_000;

/// Gives the right to another server.
pub(crate) async fn hand_over(chat: &Chat) {
    chat.release(LEASE).await;
}

/// Runs until the service stops.
pub(crate) async fn run(chat: Chat) {
    let mut due = Instant::now();
    loop {
        let wait = match chat.lease(LEASE).await {
            Ok(None) => {
                if due <= Instant::now() {
                    chat.holding(LEASE, clean_up(&chat)).await;
                    due = Instant::now() + EVERY;
                }
                if chat.in_pool() { chat.lease_length() / 3 } else { EVERY }
            }
            Ok(Some(left)) => left.clamp(Duration::from_millis(100), chat.lease_length()),
            Err(error) => {
                tracing::debug!(%error, "cannot ask whose turn it is to clean up; will try again");
                chat.lease_length()
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = chat.inner.stopping.cancelled() => return,
        }
    }
}

async fn clean_up(chat: &Chat) {
    let now = chat.now();
    let days = i64::from(chat.options().client_ids_days.max(1));
    match chat.store().forget_client_ids(now.plus_millis(-days * DAY_MS)).await {
        Ok(0) => {}
        Ok(forgotten) => tracing::info!(forgotten, "forgot old client ids"),
        Err(error) => tracing::warn!(%error, "cannot forget old client ids; will try again"),
    }
    let unsaid_ms = i64::from(chat.limits().unsaid_days.max(1)) * DAY_MS;
    match chat.store().sweep_files(now.plus_millis(-UNSENT_MS), now.plus_millis(-unsaid_ms)).await {
        Ok(0) => {}
        Ok(swept) => tracing::info!(swept, "deleted files that were never sent"),
        Err(error) => tracing::warn!(%error, "cannot sweep unsent files; will try again"),
    }
}
