//! What has to be done now and then: forgetting old client ids, sweeping files that were never sent.

use crate::service::Chat;
use std::time::Duration;

/// How often it is looked after.
const EVERY: Duration = Duration::from_secs(3_600);
/// Files that were uploaded this long ago and never sent are deleted.
const UNSENT_MS: i64 = 24 * 3_600_000;
const DAY_MS: i64 = 24 * 3_600_000;

/// Runs until the service stops.
pub(crate) async fn run(chat: Chat) {
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = chat.inner.stopping.cancelled() => return,
        }
        let now = chat.now();
        let days = i64::from(chat.options().client_ids_days.max(1));
        match chat.store().forget_client_ids(now.plus_millis(-days * DAY_MS)).await {
            Ok(0) => {}
            Ok(forgotten) => tracing::info!(forgotten, "forgot old client ids"),
            Err(error) => tracing::warn!(%error, "cannot forget old client ids; will try again"),
        }
        match chat.store().sweep_files(now.plus_millis(-UNSENT_MS)).await {
            Ok(0) => {}
            Ok(swept) => tracing::info!(swept, "deleted files that were never sent"),
            Err(error) => tracing::warn!(%error, "cannot sweep unsent files; will try again"),
        }
    }
}
