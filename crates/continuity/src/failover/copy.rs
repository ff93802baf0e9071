//! What the share adds to what is here: listed, verified, copied.

use crate::agent::Agent;
use crate::agent::verified::Whole;
use crate::procedure::StepError;
use holdfast_wal::verify::Checked;
use holdfast_wal::{Inventory, Lsn, Report, Share, Start, stage, verify};

/// The share that the lost site shipped to: the one in this site.
pub(crate) async fn share_here(agent: &Agent) -> Result<Share, StepError> {
    let site = agent.topology().site(agent.site());
    let site = site.ok_or_else(|| StepError::refused("the topology does not name this site"))?;
    Ok(agent.share(&site.share).await?)
}

/// From where on log is needed here: what was replayed, and its timeline. What was received beyond that by streaming is in `pg_wal` and is applied as
/// well; but it has not been verified, and is compared with what the share has by being replayed after it.
pub(crate) async fn start_here(agent: &Agent) -> Result<Start, StepError> {
    let server = agent.server().await?;
    let standby = server.standby.ok_or_else(|| StepError::refused("PostgreSQL is no standby here"))?;
    let lsn = standby.replayed.unwrap_or(Lsn(0));
    Ok(Start { lsn, timeline: server.timeline })
}

/// Lists what is on the share from here on.
pub(crate) async fn inventory(agent: &Agent) -> Result<(Share, Inventory), StepError> {
    let share = share_here(agent).await?;
    let (system, size) = agent.cluster()?;
    // The share's own lineage is the authority on what lies there.
    let lineage = holdfast_wal::lineage_store::read(&share).await?;
    let start = start_here(agent).await?;
    let inventory = Inventory::take(&share, system, size, &lineage, start).await?;
    Ok((share, inventory))
}

/// The segments that are proven again in any case, though they are known to hold: from the last of them comes where the log ends, and what was counted.
const AGAIN: usize = 2;

/// Looks at what is on the share, to say what a failover would find. What this agent has proven already and what was not written since is taken to hold as it
/// did: that saves minutes, and would be no ground to promote on. A bit may have flipped without anybody's writing; [`stage_share`], which comes before
/// anything is applied, reads and proves everything.
pub(crate) async fn look_at_share(agent: &Agent) -> Result<Report, StepError> {
    let (share, inventory) = inventory(agent).await?;
    let known = known_to_hold(&inventory, &agent.whole_on(share.location()));
    if known > 0 {
        let (scratch, programs) = (agent.instance().layout().root(), agent.instance().programs().dir());
        let skipped: Vec<Checked> = inventory.segments[..known]
            .iter()
            .map(|f| Checked { file: f.name.clone(), fault: None, usable: true })
            .collect();
        let rest = inventory.behind(known);
        let mut report = verify(&share, &rest, scratch, Some(programs), &|_| {}).await?;
        if report.holds() && report.target.is_some() {
            report.files.splice(0..0, skipped);
            return Ok(report);
        }
    }
    // Where it ends is known only when all of it was read.
    verify_share(agent).await
}

/// How many of the first segments are known to hold and need not be proven again. Where a timeline begins among them, none.
fn known_to_hold(inventory: &Inventory, whole: &Whole) -> usize {
    if !inventory.histories.is_empty() {
        return 0;
    }
    let known =
        inventory.segments.iter().take_while(|f| f.stamp.is_some() && f.stamp.as_ref() == whole.get(&f.segment.number));
    known.count().saturating_sub(AGAIN)
}

/// Verifies what is on the share, where it lies; nothing is changed.
pub(crate) async fn verify_share(agent: &Agent) -> Result<Report, StepError> {
    let (share, inventory) = inventory(agent).await?;
    let scratch = agent.instance().layout().root();
    let programs = agent.instance().programs().dir();
    Ok(verify(&share, &inventory, scratch, Some(programs), &|_| {}).await?)
}

/// Verifies and copies it into the copy folder.
pub(crate) async fn stage_share(agent: &Agent) -> Result<Report, StepError> {
    let (share, inventory) = inventory(agent).await?;
    let folder = agent.instance().layout().copy();
    let staged = stage(&share, &inventory, &folder, Some(agent.instance().programs().dir()), &|p| {
        tracing::debug!(files = p.files, of = p.of_files, "copying");
    });
    Ok(staged.await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_wal::share::Listed;
    use holdfast_wal::{Lineage, Opening, SegmentSize, SystemIdentifier};

    fn on_share(timeline: u32, numbers: std::ops::Range<u64>, tag: &str) -> Vec<Listed> {
        let of = |n: u64, ending: &str| Listed {
            name: format!("wal/7/{timeline:08X}/{timeline:08X}00000000{n:08X}.{ending}"),
            size: 10,
            modified: jiff::Timestamp::UNIX_EPOCH,
            tag: Some(format!("{tag}{n}")),
        };
        numbers.flat_map(|n| [of(n, "zst"), of(n, "json")]).collect()
    }

    fn inventory_of(listed: &[Listed], openings: &[(u32, u64)]) -> Inventory {
        let opening = |(epoch, (timeline, start)): (usize, &(u32, u64))| Opening {
            epoch: epoch as u64 + 1,
            holder: "a1".into(),
            timeline: *timeline,
            start: Lsn(*start),
        };
        let lineage = Lineage::new(Vec::new(), openings.iter().enumerate().map(opening).collect());
        let size = SegmentSize::try_from(1 << 20).unwrap();
        Inventory::of(listed, SystemIdentifier(7), size, &lineage, Start { lsn: Lsn(3 << 20), timeline: 1 })
    }

    #[test]
    fn what_was_proven_is_passed_as_far_as_nobody_has_written_there_since() {
        let inventory = inventory_of(&on_share(1, 3..11, "a"), &[(1, 0)]);
        let whole = |numbers: std::ops::Range<u64>| -> Whole {
            let of = inventory.segments.iter().filter(|f| numbers.contains(&f.segment.number));
            of.map(|f| (f.segment.number, f.stamp.clone().unwrap())).collect()
        };
        assert_eq!(inventory.segments.len(), 8);
        assert_eq!(known_to_hold(&inventory, &Whole::new()), 0);
        assert_eq!(known_to_hold(&inventory, &whole(3..5)), 0);
        assert_eq!(known_to_hold(&inventory, &whole(3..8)), 3);
        assert_eq!(known_to_hold(&inventory, &whole(3..11)), 6, "the last two always");
        assert_eq!(known_to_hold(&inventory, &whole(4..11)), 0, "not from the beginning");
        let rest = inventory.clone().behind(6);
        assert_eq!(rest.segments.iter().map(|f| f.segment.number).collect::<Vec<_>>(), [9, 10]);
        // One of them was written anew: its manifest, its data, or both.
        for changed in ["zst", "json"] {
            let mut listed = on_share(1, 3..11, "a");
            let object = listed.iter_mut().find(|l| l.name.ends_with(&format!("00000006.{changed}"))).unwrap();
            object.tag = Some("b".into());
            assert_eq!(known_to_hold(&inventory_of(&listed, &[(1, 0)]), &whole(3..11)), 1, "{changed}");
        }
        // A store that says nothing, and a history with a fork.
        let mut silent = on_share(1, 3..11, "a");
        silent.iter_mut().for_each(|l| l.tag = None);
        assert_eq!(known_to_hold(&inventory_of(&silent, &[(1, 0)]), &whole(3..11)), 0);
        let both = [on_share(1, 3..9, "a"), on_share(2, 9..11, "a")].concat();
        let forked = inventory_of(&both, &[(1, 0), (2, 9 << 20)]);
        let all = forked.segments.iter().map(|f| (f.segment.number, f.stamp.clone().unwrap())).collect();
        assert_eq!((forked.segments.len(), known_to_hold(&forked, &all)), (8, 0));
    }
}
