//! Claims and openings: made with the witness and on the shares, read from there, and brought to shares that lacked them.

use super::{Agent, Told, lock, said};
use crate::agent::report::ShareReport;
use crate::register::Refused;
use crate::witness::Ask;
use holdfast_wal::lineage_store::{self, LineageError};
use holdfast_wal::{Claim, Lineage, Lsn, Opening, Share, SystemIdentifier, WalFile, names};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// For an answer of a share.
pub(crate) const SHARE: Duration = Duration::from_secs(5);
/// Between two looks at the shares.
const EVERY: Duration = Duration::from_secs(2);

/// What is known of the newest epoch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Confirmed {
    /// This instance holds it, says somebody else than itself.
    Ours(String),
    /// Somebody else does.
    Theirs(Claim),
    /// Nobody could say.
    NobodySays(String),
}

impl Agent {
    /// Makes a claim: at the witness, if there is one, and on every share that answers.
    ///
    /// `across`: between sites. Then the witness may be gone with the other site, and the share of this site must take it; within a site the
    /// witness must grant it, or, where there is none, a share must take it.
    pub(crate) async fn claim(&self, claim: &Claim, promotes: bool, across: bool) -> Told<String> {
        let mut told = Vec::new();
        let mut granted = false;
        if let Some(witness) = &self.witness {
            let ask = Ask::Claim { epoch: claim.epoch, holder: claim.holder.clone(), promotes: promotes && !across };
            match witness.ask(&ask).await {
                Ok(answered) => match answered.refused {
                    None => {
                        granted = true;
                        told.push("the witness granted it".to_owned());
                    }
                    Some(Refused::Relearning) if across => told.push("the witness has lost its memory".to_owned()),
                    Some(refused) => return Err(format!("the witness refuses epoch {}: {refused}", claim.epoch)),
                },
                Err(error) if across => told.push(format!("the witness does not answer ({error})")),
                Err(error) => return Err(format!("the witness has to grant epoch {}: {error}", claim.epoch)),
            }
        }
        let own_site = self.topology.site(&self.me.site).map(|s| s.share.clone()).unwrap_or_default();
        let mut on_shares = 0;
        for site in &self.topology.sites {
            let made = async {
                let share = self.share(&site.share).await?;
                lineage_store::claim(&share, claim).await
            };
            match made.await {
                Ok(()) => {
                    on_shares += 1;
                    told.push(format!("it is on the share of {}", site.name));
                }
                Err(error @ (LineageError::Taken { .. } | LineageError::Opened { .. })) => {
                    return Err(error.to_string());
                }
                Err(error) if across && site.share == own_site => {
                    return Err(format!("the share of this site has to take the claim: {error}"));
                }
                Err(_) => told.push(format!("the share of {} does not answer", site.name)),
            }
        }
        if on_shares == 0 && !granted {
            return Err(format!("neither a witness nor a share took the claim of epoch {}", claim.epoch));
        }
        self.learn(&Lineage::new(vec![claim.clone()], vec![]))?;
        Ok(told.join("; "))
    }

    /// Puts on record which timeline the holder of an epoch has begun: here, and on every share that answers; the others get it later.
    pub(crate) async fn open_timeline(&self, opening: &Opening) -> Told<()> {
        self.learn(&Lineage::new(vec![], vec![opening.clone()]))?;
        let known = self.memory.now().openings;
        match known.iter().find(|o| o.epoch == opening.epoch) {
            Some(there) if there != opening => {
                return Err(format!(
                    "epoch {} is on record with timeline {} from {}",
                    there.epoch, there.timeline, there.start
                ));
            }
            _ => {}
        }
        self.publish_lineage().await;
        Ok(())
    }

    /// Brings what is known here to every share that answers and lacks it.
    pub(crate) async fn publish_lineage(&self) {
        let remembered = self.memory.now();
        for site in &self.topology.sites {
            let brought = async {
                let share = self.share(&site.share).await?;
                let there = lineage_store::read(&share).await?;
                for claim in remembered.claims.iter().filter(|c| !there.claims().iter().any(|t| t.epoch == c.epoch)) {
                    share
                        .put_once(&names::claim(claim.epoch), serde_json::to_vec(claim).unwrap_or_default().into())
                        .await?;
                }
                for opening in
                    remembered.openings.iter().filter(|o| !there.openings().iter().any(|t| t.epoch == o.epoch))
                {
                    lineage_store::open_timeline(&share, opening).await?;
                }
                Ok::<(), LineageError>(())
            };
            if let Err(error) = brought.await {
                tracing::debug!(%error, site = site.name, "the lineage is not on this share yet");
            }
        }
    }

    /// A share of this pool.
    pub(crate) async fn share(&self, location: &str) -> Result<Share, LineageError> {
        Ok(Share::open_of(&self.topology.pool.fqdn, location, SHARE).await?)
    }

    /// Asks the witness, the other agents and the shares who holds the newest epoch. Somebody else than this instance has to say that it does.
    pub(super) async fn confirm_epoch(&self) -> Confirmed {
        let mut says = Vec::new();
        let mut troubles = Vec::new();
        if let Some(witness) = &self.witness {
            match witness.register().await {
                Ok(register) if register.relearning.is_some() => {
                    troubles.push("the witness has lost its memory".to_owned());
                }
                Ok(register) => {
                    if register.epoch == self.memory.now().epoch() && register.holder == self.me.name {
                        says.push("the witness".to_owned());
                    } else if register.epoch > self.memory.now().epoch() {
                        return Confirmed::Theirs(Claim {
                            epoch: register.epoch,
                            holder: register.holder,
                            by: "witness".into(),
                            at: Timestamp::now(),
                        });
                    }
                }
                Err(error) => troubles.push(error.to_string()),
            }
        }
        for remote in self.remotes.values() {
            if let Some(report) = super::hear::ask_once(self, remote).await
                && report.claims.last().is_some_and(|c| c.holder == self.me.name)
            {
                says.push(report.instance);
            }
        }
        for site in &self.topology.sites {
            match self.read_share(&site.share).await {
                Ok(lineage) => {
                    if lineage.newest_claim().is_some_and(|c| c.holder == self.me.name) {
                        says.push(format!("the share of {}", site.name));
                    }
                }
                Err(error) => troubles.push(error),
            }
        }
        // All that was learned on the way is in the memory by now.
        match self.memory.now().newest() {
            Some(newest) if newest.holder != self.me.name => Confirmed::Theirs(newest.clone()),
            Some(_) if !says.is_empty() => Confirmed::Ours(says.join(", ")),
            _ => Confirmed::NobodySays(troubles.join("; ")),
        }
    }

    /// Reads a share's lineage, and remembers it.
    pub(crate) async fn read_share(&self, location: &str) -> Told<Lineage> {
        let share = self.share(location).await.map_err(said)?;
        let lineage = lineage_store::read(&share).await.map_err(said)?;
        self.learn(&lineage)?;
        Ok(lineage)
    }
}

/// Reads the shares now and then, and brings them what they lack.
pub(super) async fn follow_shares(agent: Arc<Agent>) {
    while !agent.shutdown.is_cancelled() {
        for site in &agent.topology.sites {
            // One that does not answer is tried again.
            let _ = agent.read_share(&site.share).await;
        }
        let remembered = agent.memory.now();
        if agent.is_holder(&remembered) {
            agent.publish_lineage().await;
        }
        agent.remind_witness().await;
        let report = agent.look_at_share().await;
        lock(&agent.own).share = report;
        agent.let_go_of_what_is_over().await;
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = agent.shutdown.cancelled() => return,
        }
    }
}

impl Agent {
    /// How the share looks that the primary ships to: where the log on it ends.
    pub(crate) async fn look_at_share(&self) -> Option<ShareReport> {
        let location = self.share_in_use()?;
        let report = ShareReport {
            share: location.clone(),
            trouble: None,
            end: None,
            newest_at: None,
            entries: None,
            verified: None,
        };
        let Ok((system, size)) = self.cluster() else { return Some(report) };
        match self.end_of_share(&location, system, size).await {
            Ok((end, newest_at, entries)) => Some(ShareReport { end, newest_at, entries, ..report }),
            Err(trouble) => Some(ShareReport { trouble: Some(trouble), ..report }),
        }
    }

    async fn end_of_share(
        &self,
        location: &str,
        system: SystemIdentifier,
        size: holdfast_wal::SegmentSize,
    ) -> Told<(Option<Lsn>, Option<Timestamp>, Option<i64>)> {
        let share = self.share(location).await.map_err(said)?;
        let lineage = self.memory.now().lineage();
        let listed = share.list(&format!("{}/{system}", names::WAL)).await.map_err(said)?;
        let manifests = listed.iter().filter_map(|l| {
            let file = l.name.rsplit('/').next()?.strip_suffix(".json")?;
            match WalFile::parse(file, size).ok()? {
                WalFile::Segment(s) if lineage.has(WalFile::Segment(s), size) => Some((s.number, l)),
                _ => None,
            }
        });
        let Some((number, newest)) = manifests.max_by_key(|(number, _)| *number) else { return Ok((None, None, None)) };
        let manifest = share.get(&newest.name).await.map_err(said)?;
        let manifest = manifest.and_then(|bytes| holdfast_wal::Manifest::parse(&bytes).ok());
        let entries = manifest.as_ref().and_then(|m| m.entries).and_then(|n| i64::try_from(n).ok());
        Ok((Some(size.end_of(number)), manifest.map(|m| m.shipped_at), entries))
    }
}
