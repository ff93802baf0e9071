//! What the backup's agent found damaged on the share, the primary's ships once more, as long as it has it: what was damaged goes to the quarantine.

use super::{Agent, said};
use holdfast_wal::{WalFile, ship};
use std::sync::Arc;
use std::time::Duration;

/// Between two attempts. The backup's agent has to look again before it is known what became of one.
const EVERY: Duration = Duration::from_secs(10);

/// Mends until the end.
pub(super) async fn mend_for_ever(agent: Arc<Agent>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = agent.shutdown.cancelled() => return,
        }
        if agent.is_holder(&agent.memory.now()) {
            // A file on its way is whole or does not count, whenever this is dropped.
            tokio::select! {
                () = agent.mend_share() => {}
                () = agent.shutdown.cancelled() => return,
            }
        }
    }
}

impl Agent {
    async fn mend_share(&self) {
        let Some(backup) = self.roles().and_then(|r| r.backup).map(|b| b.name.clone()) else { return };
        let Some(share) = self.answering(&backup).and_then(|r| r.share) else { return };
        let Ok((_, size)) = self.cluster() else { return };
        if self.share_to_ship().as_ref() != Some(&share.share) {
            return;
        }
        for bad in share.verified.into_iter().flat_map(|v| v.bad) {
            // Only a name of the log may become a path here.
            let Ok(WalFile::Segment(_) | WalFile::History(_)) = WalFile::parse(&bad.file, size) else { continue };
            let path = self.instance.layout().pg_wal().join(&bad.file);
            if !path.exists() {
                continue;
            }
            let settings = self.wal_file();
            match ship::mend(&settings, &path, &bad.file).await.map_err(said) {
                Ok(shipped) => tracing::info!(file = bad.file, ?shipped, "shipped once more, since {}", bad.why),
                Err(why) => tracing::warn!(file = bad.file, "it cannot be shipped once more: {why}"),
            }
        }
    }
}
