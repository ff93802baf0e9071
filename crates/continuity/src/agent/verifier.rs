//! The backup's agent proves what comes to the share, little by little, for as long as it follows: see [`super::verified`] for what it reads when.
//!
//! Each stretch is proven as a failover would prove it, by size, SHA-256, header and every record. It is read on a thread of its own, takes no turn, waits
//! while a procedure is at work here, and ends with the agent. How far it came is in `verified.json`.

use super::state::Place;
use super::verified::{Extent, Proven, Stretch, Verified, Whole};
use super::{Agent, Told, lock, said};
use crate::durable;
use crate::topology::Role;
use holdfast_wal::verify::Checked;
use holdfast_wal::{Inventory, Lineage, Share, Start, inventory, lineage_store, names, verify};
use jiff::Timestamp;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Between two looks while something new lies there still.
const SOON: Duration = Duration::from_secs(5);
/// Where it lies how far it came, in the agent's directory.
const FILE: &str = "verified.json";

/// Removes what an agent that was killed had copied to be proven.
pub(super) fn sweep(root: &Path) {
    for entry in std::fs::read_dir(root).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(".verify-") {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Proves until the end.
pub(super) async fn verify_for_ever(agent: Arc<Agent>) {
    let every = Duration::from_secs(agent.topology.pool.verify_every_seconds);
    if every.is_zero() {
        return;
    }
    let mut proven: Option<Proven> = durable::read(&agent.me.data.join(FILE)).unwrap_or_else(|error| {
        tracing::warn!(%error, "how far the share was verified is lost: it is read from the beginning");
        None
    });
    agent.tell_whole(proven.as_ref());
    let (mut turn, mut wait) = (0, SOON.min(every));
    loop {
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = agent.shutdown.cancelled() => return,
        }
        wait = every;
        if agent.operations.view().is_some_and(|v| v.state.is_running()) {
            continue;
        }
        if !agent.is_backup() {
            lock(&agent.own).verified = None;
            continue;
        }
        turn += 1;
        let looked = agent.prove_more(&mut proven, turn).await;
        agent.tell_whole(proven.as_ref());
        if agent.shutdown.is_cancelled() {
            return;
        }
        if looked == Ok(true) {
            wait = SOON.min(every);
        }
        let size = agent.cluster().map(|(_, size)| size);
        let told = proven.as_ref().zip(size.ok()).map(|(proven, size)| proven.told(size)).unwrap_or_default();
        lock(&agent.own).verified = Some(Verified { note: looked.err(), ..told });
    }
}

impl Agent {
    fn is_backup(&self) -> bool {
        let follows = matches!(self.memory.now().place, Place::Standby { .. });
        follows && self.roles().and_then(|r| r.role_of(&self.me.name)) == Some(Role::Backup)
    }

    fn tell_whole(&self, proven: Option<&Proven>) {
        let known = proven.map(|p| (p.system, p.share.clone(), p.whole().clone()));
        lock(&self.own).whole = known;
    }

    /// The segments of this cluster on a share that held when they were read last, with their stamps.
    pub(crate) fn whole_on(&self, share: &str) -> Whole {
        let cluster = self.cluster().map(|(system, _)| system);
        let known = lock(&self.own).whole.clone();
        known
            .filter(|(system, at, _)| cluster == Ok(*system) && at == share)
            .map(|(_, _, whole)| whole)
            .unwrap_or_default()
    }

    /// Reads the next stretches, and keeps how far it came; whether something new lies there still.
    async fn prove_more(&self, proven: &mut Option<Proven>, turn: usize) -> Told<bool> {
        let (system, _) = self.cluster()?;
        let location = self.share_in_use().ok_or("there is no share")?;
        let mut now = match proven.take() {
            Some(known) if known.system == system && known.share == location => known,
            _ => Proven::nothing(system, &location),
        };
        let share = match self.share(&location).await {
            Ok(share) => share,
            Err(error) => {
                *proven = Some(now);
                return Err(said(error));
            }
        };
        let looked = self.prove_on(&share, &mut now, turn).await;
        let kept = durable::write(&self.me.data.join(FILE), &now).map_err(said);
        *proven = Some(now);
        looked.and_then(|behind| kept.map(|()| behind))
    }

    async fn prove_on(&self, share: &Share, proven: &mut Proven, turn: usize) -> Told<bool> {
        let (system, size) = self.cluster()?;
        // The share's own lineage is the authority on what lies there.
        let lineage = lineage_store::read(share).await.map_err(said)?;
        let listed = share.list(names::WAL).await.map_err(said)?;
        let Some((first, last)) = inventory::extent(&listed, system, size, &lineage) else { return Ok(false) };
        let extent = Extent { first, last };
        let redo = self.instance.control().await.map_or(first, |c| size.number_of(c.redo));
        proven.take_up(extent, redo, &lineage, size);
        for stretch in proven.stretches(extent, turn) {
            let timeline = lineage.owner(stretch.first, size).unwrap_or_default();
            let start = Start { lsn: size.start_of(stretch.first), timeline };
            let all = Inventory::of(&listed, system, size, &lineage, start);
            self.prove(share, all, stretch, proven, &lineage).await?;
        }
        Ok(proven.is_behind(extent))
    }

    async fn prove(
        &self,
        share: &Share,
        all: Inventory,
        stretch: Stretch,
        proven: &mut Proven,
        lineage: &Lineage,
    ) -> Told<()> {
        let size = all.size;
        let inventory = all.first(usize::try_from(stretch.count).unwrap_or(usize::MAX));
        let numbers: Vec<u64> = inventory.segments.iter().map(|f| f.segment.number).collect();
        let stamps = inventory.segments.iter().filter_map(|f| Some((f.segment.number, f.stamp.clone()?))).collect();
        let forks: Vec<(String, u64)> =
            inventory.histories.iter().map(|h| (h.name.clone(), size.number_of(h.fork))).collect();
        let report = self.read_apart(share.clone(), inventory).await?;
        let mut files = report.files.into_iter();
        let segments: Vec<(u64, Checked)> = numbers.into_iter().zip(files.by_ref()).collect();
        let histories = files.filter_map(|checked| {
            let fork = forks.iter().find(|(name, _)| *name == checked.file)?.1;
            Some((fork, checked))
        });
        proven.found(stretch, &segments, &histories.collect::<Vec<_>>(), Timestamp::now());
        proven.stamped(&segments, &stamps);
        proven.on(lineage, size);
        Ok(())
    }

    /// Reads on a thread of its own: what is decompressed and added up holds nobody else up.
    async fn read_apart(&self, share: Share, inventory: Inventory) -> Told<holdfast_wal::Report> {
        let (root, programs) = (self.me.data.clone(), self.instance.programs().dir().to_owned());
        let (runtime, shutdown) = (tokio::runtime::Handle::current(), self.shutdown.clone());
        let reading = tokio::task::spawn_blocking(move || {
            runtime.block_on(async {
                tokio::select! {
                    report = verify(&share, &inventory, &root, Some(&programs), &|_| {}) => report.map_err(said),
                    () = shutdown.cancelled() => Err("the agent ends".to_owned()),
                }
            })
        });
        reading.await.map_err(said)?
    }
}
