//! After a promotion: the new timeline's history and first segment on the share, and before them what the old primary had not shipped any more.
//!
//! Whoever was promoted received the old segments by streaming, and PostgreSQL marks those as archived at once; without this there would be a hole in
//! the share for ever. Until the new timeline is there, whoever follows by the share alone has nowhere to go.

use crate::agent::Agent;
use crate::doing::{Promoted, refused};
use crate::procedure::{Observed, StepError};
use holdfast_wal::names::Pair;
use holdfast_wal::{Segment, WalFile, local, ship};
use std::time::Duration;

/// For a checkpoint.
const CHECKPOINT: Duration = Duration::from_secs(300);

/// Whether it is there.
pub(crate) async fn observe(agent: &Agent, promoted: Promoted) -> Result<Observed, StepError> {
    let (system, size) = agent.cluster()?;
    let location = agent.share_to_ship().ok_or_else(|| StepError::refused("there is no share to ship to"))?;
    let share = agent.share(&location).await?;
    let first = Segment { timeline: promoted.timeline, number: size.number_of(promoted.fork) };
    for file in [WalFile::History(promoted.timeline), WalFile::Segment(first)] {
        let pair = Pair::of(system, file, size);
        if share.size_of(&pair.manifest()).await?.is_none() {
            return Ok(Observed::NotYet(format!("{} is not on {location} yet", file.name(size))));
        }
    }
    let lineage = agent.remembered().lineage();
    let pg_wal = agent.instance().layout().pg_wal();
    let lacking =
        local::missing_before(&share, system, size, &lineage, &pg_wal, promoted.fork).await.map_err(refused)?;
    if !lacking.here.is_empty() {
        return Ok(Observed::NotYet(format!("{} older segment(s) are not on {location} yet", lacking.here.len())));
    }
    let hole = match lacking.nowhere.len() {
        0 => String::new(),
        n => format!("; {n} older segment(s), from {} on, are nowhere: make a new base backup", lacking.nowhere[0]),
    };
    Ok(Observed::done(format!("timeline {} is on {location}{hole}", promoted.timeline)))
}

/// Brings it there.
pub(crate) async fn act(agent: &Agent, promoted: Promoted) -> Result<(), StepError> {
    agent.publish_lineage().await;
    agent.write_wal_file()?;
    let (system, size) = agent.cluster()?;
    let location = agent.share_to_ship().ok_or_else(|| StepError::refused("there is no share to ship to"))?;
    let share = agent.share(&location).await?;
    let lineage = agent.remembered().lineage();
    let pg_wal = agent.instance().layout().pg_wal();
    let lacking =
        local::missing_before(&share, system, size, &lineage, &pg_wal, promoted.fork).await.map_err(refused)?;
    let settings = agent.wal_file();
    for (name, path) in lacking.here {
        ship::mend(&settings, &path, &name).await.map_err(|e| StepError::refused(format!("{name}: {e}")))?;
    }
    agent.instance().checkpoint(CHECKPOINT).await?;
    agent.instance().switch_wal().await?;
    Ok(())
}
