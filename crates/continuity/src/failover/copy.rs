//! What the share adds to what is here: listed, verified, copied.

use crate::agent::{Agent, Told};
use holdfast_wal::{Inventory, Lsn, Report, Share, Start, stage, verify};

/// The share that the lost site shipped to: the one in this site.
pub(crate) async fn share_here(agent: &Agent) -> Told<Share> {
    let site = agent.topology().site(agent.site()).ok_or("the topology does not name this site")?;
    agent.share(&site.share).await.map_err(|e| e.to_string())
}

/// From where on log is needed here: what was replayed, and its timeline. What was received beyond that by streaming is in `pg_wal` and is applied as
/// well; but it has not been verified, and is compared with what the share has by being replayed after it.
pub(crate) async fn start_here(agent: &Agent) -> Told<Start> {
    let status = agent.instance().status().await;
    let server = status.server.ok_or("PostgreSQL does not answer here")?;
    let standby = server.standby.ok_or("PostgreSQL is no standby here")?;
    let lsn = standby.replayed.unwrap_or(Lsn(0));
    Ok(Start { lsn, timeline: server.timeline })
}

/// Lists what is on the share from here on.
pub(crate) async fn inventory(agent: &Agent) -> Told<(Share, Inventory)> {
    let share = share_here(agent).await?;
    let (system, size) = agent.cluster()?;
    // The share's own lineage is the authority on what lies there.
    let lineage = holdfast_wal::lineage_store::read(&share).await.map_err(|e| e.to_string())?;
    let start = start_here(agent).await?;
    let inventory = Inventory::take(&share, system, size, &lineage, start).await.map_err(|e| e.to_string())?;
    Ok((share, inventory))
}

/// Verifies what is on the share, where it lies; nothing is changed.
pub(crate) async fn verify_share(agent: &Agent) -> Told<Report> {
    let (share, inventory) = inventory(agent).await?;
    let scratch = agent.instance().layout().root();
    let programs = agent.instance().programs().dir();
    verify(&share, &inventory, scratch, Some(programs), &|_| {}).await.map_err(|e| e.to_string())
}

/// Verifies and copies it into the copy folder.
pub(crate) async fn stage_share(agent: &Agent) -> Told<Report> {
    let (share, inventory) = inventory(agent).await?;
    let folder = agent.instance().layout().copy();
    stage(&share, &inventory, &folder, Some(agent.instance().programs().dir()), &|p| {
        tracing::debug!(files = p.files, of = p.of_files, "copying");
    })
    .await
    .map_err(|e| e.to_string())
}
