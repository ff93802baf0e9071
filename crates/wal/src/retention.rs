//! Which objects of a share may go. A job of its own, never part of shipping: log that was deleted is missed only when it is needed.
//!
//! Nothing that is younger than the days asked for goes, nothing from the position on that somebody still needs, nothing while a procedure runs, no
//! history file, no lineage, no journal, and nothing of the quarantine, which is a person's affair. Only the holder of the newest epoch that a share
//! knows of deletes from it: so two never do, and an old primary that nobody could reach does not either.

use crate::lineage_store::{self, LineageError};
use crate::lsn::Lsn;
use crate::names;
use crate::segment::{SegmentSize, SystemIdentifier, WalFile};
use crate::share::{Listed, Share, ShareError};
use jiff::{SignedDuration, Timestamp};

/// What is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Keep {
    /// The position that the oldest base backup or the farthest behind of the instances begins from; `None`: nobody knows, and everything stays.
    pub from: Option<Lsn>,
    /// Everything that is younger.
    pub days: u32,
    /// So many segments before [`Keep::from`] as well.
    pub margin: u64,
}

impl Default for Keep {
    fn default() -> Self {
        Self { from: None, days: 30, margin: 16 }
    }
}

/// What would be deleted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    /// The objects, in the order in which they go: the oldest first, of each file what vouches for it before its bytes.
    pub delete: Vec<String>,
    /// Their size as stored.
    pub bytes: u64,
    /// Why nothing goes.
    pub blocked: Option<String>,
}

/// Plans it. `listed` is everything on the share.
pub fn plan(listed: &[Listed], system: SystemIdentifier, size: SegmentSize, keep: &Keep, now: Timestamp) -> Plan {
    if listed.iter().any(|l| l.name == names::ACTIVE) {
        return Plan { blocked: Some(runs()), ..Plan::default() };
    }
    let Some(from) = keep.from else {
        let blocked = "it is not known from where on the log is needed".to_owned();
        return Plan { blocked: Some(blocked), ..Plan::default() };
    };
    let needed = size.number_of(from).saturating_sub(keep.margin);
    let young = now.saturating_sub(SignedDuration::from_hours(24 * i64::from(keep.days))).unwrap_or(Timestamp::MIN);
    let mut old: Vec<(u64, String, u64)> = Vec::new();
    for object in listed.iter().filter(|l| l.modified < young) {
        let Some(number) = number_of(&object.name, system, size) else { continue };
        if number < needed {
            old.push((number, object.name.clone(), object.size));
        }
    }
    // `.json` sorts before `.zst`.
    old.sort();
    Plan {
        bytes: old.iter().map(|(_, _, size)| size).sum(),
        delete: old.into_iter().map(|(_, name, _)| name).collect(),
        blocked: None,
    }
}

/// The number of the segment that an object is a part of, if it is one that may go at all.
fn number_of(object: &str, system: SystemIdentifier, size: SegmentSize) -> Option<u64> {
    let file = object.strip_prefix(&format!("{}/{system}/", names::WAL))?.split_once('/')?.1;
    let name = file.strip_suffix(".zst").or_else(|| file.strip_suffix(".json"))?;
    match WalFile::parse(name, size).ok()? {
        WalFile::Segment(s) | WalFile::Partial(s) | WalFile::Backup(s, _) => Some(s.number),
        WalFile::History(_) => None,
    }
}

/// Lists everything that a plan is made from.
///
/// # Errors
/// [`ShareError`]
pub async fn look(share: &Share) -> Result<Vec<Listed>, ShareError> {
    let mut listed = share.list(names::WAL).await?;
    listed.extend(share.list("ops").await?);
    Ok(listed)
}

/// What became of a plan.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Applied {
    /// So many objects went.
    pub deleted: usize,
    /// Why not all of them did.
    pub stopped: Option<String>,
}

/// Does what was planned for the holder of an epoch, as long as no procedure begins and nobody claims a newer one: both are looked for before each
/// object goes.
///
/// # Errors
/// [`LineageError`]; what went is gone.
pub async fn apply(share: &Share, plan: &Plan, epoch: u64) -> Result<Applied, LineageError> {
    if plan.blocked.is_some() {
        return Ok(Applied { deleted: 0, stopped: plan.blocked.clone() });
    }
    for (deleted, object) in plan.delete.iter().enumerate() {
        if let Some(why) = forbidden(share, epoch).await? {
            return Ok(Applied { deleted, stopped: Some(why) });
        }
        share.delete(object).await?;
    }
    Ok(Applied { deleted: plan.delete.len(), stopped: None })
}

/// Why the holder of an epoch may delete nothing from a share now, if he may not.
///
/// # Errors
/// [`LineageError`]: whoever cannot look may not.
pub async fn forbidden(share: &Share, epoch: u64) -> Result<Option<String>, LineageError> {
    if share.size_of(names::ACTIVE).await?.is_some() {
        return Ok(Some(runs()));
    }
    let newest = lineage_store::read(share).await?.newest_claim().map(|c| (c.epoch, c.holder.clone()));
    Ok(match newest {
        Some((newest, _)) if newest == epoch => None,
        Some((newest, holder)) => Some(format!("the share says that {holder} holds epoch {newest}, not {epoch}")),
        None => Some("nobody has claimed an epoch on the share".to_owned()),
    })
}

fn runs() -> String {
    format!("a procedure is not over ({} is there)", names::ACTIVE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const SYSTEM: SystemIdentifier = SystemIdentifier(7);

    fn listed(name: &str, days_ago: i64) -> Listed {
        let modified = now().saturating_sub(SignedDuration::from_hours(24 * days_ago)).unwrap();
        Listed { name: name.into(), size: 10, modified, tag: None }
    }

    fn now() -> Timestamp {
        "2026-05-12T12:00:00Z".parse().unwrap()
    }

    fn all() -> Vec<Listed> {
        vec![
            listed("wal/7/00000001/000000010000000000000001.zst", 90),
            listed("wal/7/00000001/000000010000000000000001.json", 90),
            listed("wal/7/00000001/000000010000000000000002.zst", 90),
            listed("wal/7/00000001/000000010000000000000003.zst", 2),
            listed("wal/7/00000001/000000010000000000000009.zst", 90),
            listed("wal/7/00000002/00000002.history.zst", 90),
            listed("wal/8/00000001/000000010000000000000001.zst", 90),
            listed("wal/7/readme", 90),
        ]
    }

    #[test]
    fn only_what_is_old_and_needed_by_nobody_goes() {
        let size = SegmentSize::try_from(1 << 20).unwrap();
        let keep = Keep { from: Some(Lsn(5 << 20)), days: 30, margin: 0 };
        let plan_of = |keep: &Keep| plan(&all(), SYSTEM, size, keep, now());
        let expected = [
            "wal/7/00000001/000000010000000000000001.json",
            "wal/7/00000001/000000010000000000000001.zst",
            "wal/7/00000001/000000010000000000000002.zst",
        ];
        assert_eq!((plan_of(&keep).delete, plan_of(&keep).bytes), (expected.map(String::from).to_vec(), 30));
        let margin = Keep { margin: 4, ..keep };
        assert!(plan_of(&margin).delete.is_empty(), "the margin");
        assert!(plan_of(&Keep::default()).blocked.is_some(), "nobody said from where on");
    }

    /// F36: a failover reads what a retention job would delete.
    #[tokio::test]
    async fn f36_nothing_goes_while_a_procedure_runs() {
        let size = SegmentSize::try_from(1 << 20).unwrap();
        let keep = Keep { from: Some(Lsn(5 << 20)), days: 30, margin: 0 };
        let mut active = all();
        active.push(listed(names::ACTIVE, 0));
        let planned = plan(&active, SYSTEM, size, &keep, now());
        assert!(planned.delete.is_empty() && planned.blocked.unwrap().contains("ops/ACTIVE"));
        // And when it begins after the plan was made.
        let dir = tempfile::tempdir().unwrap();
        let share = Share::init(dir.path().to_str().unwrap(), "p", "b", Duration::from_secs(20)).await.unwrap();
        let planned = plan(&all(), SYSTEM, size, &keep, now());
        for object in &planned.delete {
            share.put_once(object, "x".into()).await.unwrap();
        }
        lineage_store::claim(&share, &claim_of(1, "a1")).await.unwrap();
        share.put_once(names::ACTIVE, "op-7".into()).await.unwrap();
        let applied = apply(&share, &planned, 1).await.unwrap();
        assert_eq!((applied.deleted, applied.stopped.is_some()), (0, true));
        assert_eq!(look(&share).await.unwrap().len(), 4);
        share.delete(names::ACTIVE).await.unwrap();
        assert_eq!(apply(&share, &planned, 1).await.unwrap(), Applied { deleted: 3, stopped: None });
        assert!(share.list("wal").await.unwrap().is_empty());
    }

    fn claim_of(epoch: u64, holder: &str) -> crate::Claim {
        crate::Claim { epoch, holder: holder.into(), by: "x".into(), at: now() }
    }

    /// An old primary that nobody could reach comes to the share again: what it planned is not done.
    #[tokio::test]
    async fn who_holds_an_older_epoch_deletes_nothing() {
        let size = SegmentSize::try_from(1 << 20).unwrap();
        let keep = Keep { from: Some(Lsn(5 << 20)), days: 30, margin: 0 };
        let dir = tempfile::tempdir().unwrap();
        let share = Share::init(dir.path().to_str().unwrap(), "p", "b", Duration::from_secs(20)).await.unwrap();
        let planned = plan(&all(), SYSTEM, size, &keep, now());
        for object in &planned.delete {
            share.put_once(object, "x".into()).await.unwrap();
        }
        assert!(forbidden(&share, 1).await.unwrap().unwrap().contains("nobody"));
        lineage_store::claim(&share, &claim_of(1, "a1")).await.unwrap();
        assert_eq!(forbidden(&share, 1).await.unwrap(), None);
        lineage_store::claim(&share, &claim_of(1_000, "b1")).await.unwrap();
        let applied = apply(&share, &planned, 1).await.unwrap();
        assert_eq!((applied.deleted, look(&share).await.unwrap().len()), (0, 3));
        assert!(applied.stopped.unwrap().contains("b1 holds epoch 1000"));
    }
}
