//! Changing the roles of the two instances of a site, in order, without losing anything. Carried out by the agent of the one that becomes primary.
//!
//! The order of the commands is the one that was found to hold: the backup lets go first, since it follows the mirror and could otherwise pass the new one;
//! the old primary is stopped in order; the new one has its last record; the old one follows it while it is a standby still; and its first commit waits for
//! that.

mod lost;

use crate::agent::Agent;
use crate::agent::order::Order;
use crate::agent::state::{Fetch, Place};
use crate::doing::{self, LONG, Promoted, refused};
use crate::failover::evidence::FenceSpec;
use crate::procedure::{Memory, Observed, Procedure, Step, StepError};
use crate::register::Protection;
use crate::roles::Roles;
use async_trait::async_trait;
use holdfast_instance::{Access, Sync};
use holdfast_store::pool::PoolPhase;
use holdfast_wal::{Claim, Lsn};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// Options of a switchover.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SwitchoverOptions {
    /// The primary is lost for good, and its mirror takes its place without it.
    pub primary_is_lost: bool,
    /// Why it cannot take messages any more; needed only where it could go on alone.
    pub fence: Option<FenceSpec>,
}

/// What is with the one that was primary.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Old {
    /// It is stopped in order, and becomes the mirror.
    Agrees,
    /// It is lost.
    IsLost,
}

/// A switchover to this agent's instance.
pub(crate) struct Switchover {
    steps: Vec<Box<dyn Step>>,
    title: String,
}

impl Switchover {
    pub(crate) fn new(agent: Arc<Agent>, options: SwitchoverOptions) -> Switchover {
        if options.primary_is_lost {
            return Self::without_the_old(agent, options.fence);
        }
        let title = format!("Switch over to {}", agent.name());
        let steps: Vec<Box<dyn Step>> = vec![
            Box::new(Check(Arc::clone(&agent))),
            Box::new(ReleaseBackup(Arc::clone(&agent), Old::Agrees)),
            Box::new(StopOld(Arc::clone(&agent))),
            Box::new(CatchUp(Arc::clone(&agent))),
            Box::new(MakeClaim(Arc::clone(&agent))),
            Box::new(OldFollows(Arc::clone(&agent))),
            Box::new(Promote(Arc::clone(&agent), Old::Agrees)),
            Box::new(Open(Arc::clone(&agent), Old::Agrees)),
            Box::new(Seal(Arc::clone(&agent))),
            Box::new(ReattachBackup(agent)),
        ];
        Switchover { steps, title }
    }

    fn without_the_old(agent: Arc<Agent>, fence: Option<FenceSpec>) -> Switchover {
        let title = format!("Let {} take the place of a primary that is lost", agent.name());
        let steps: Vec<Box<dyn Step>> = vec![
            Box::new(lost::Check { agent: Arc::clone(&agent), fence }),
            Box::new(ReleaseBackup(Arc::clone(&agent), Old::IsLost)),
            Box::new(lost::CatchUp(Arc::clone(&agent))),
            Box::new(MakeClaim(Arc::clone(&agent))),
            Box::new(Promote(Arc::clone(&agent), Old::IsLost)),
            Box::new(Open(Arc::clone(&agent), Old::IsLost)),
            Box::new(Seal(Arc::clone(&agent))),
            Box::new(ReattachBackup(agent)),
        ];
        Switchover { steps, title }
    }
}

impl Procedure for Switchover {
    fn kind(&self) -> &'static str {
        "switchover"
    }

    fn title(&self) -> String {
        self.title.clone()
    }

    fn steps(&self) -> &[Box<dyn Step>] {
        &self.steps
    }

    fn unchanged(&self, next: usize) -> String {
        let (name, planned) =
            (self.steps.get(next).map_or("", |s| s.name()), self.steps.iter().any(|s| s.name() == "stop-old"));
        match name {
            "check" | "release-backup" if planned => "Nothing has been changed; the primary serves.".into(),
            "check" | "release-backup" => "Nothing has been changed.".into(),
            "stop-old" => "The primary serves; the backup receives no stream.".into(),
            "catch-up" | "claim" if planned => {
                "The old primary is stopped and holds the epoch still; it can be started again.".into()
            }
            "catch-up" | "claim" => {
                "This one is a standby still; the old primary holds the epoch, should it come back.".into()
            }
            "old-follows" | "promote" | "open" => {
                "The new epoch is claimed: only the new primary can serve now.".into()
            }
            _ => String::new(),
        }
    }
}

/// What the first step found, for all that follow.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Found {
    old: String,
    backup: Option<String>,
    epoch: u64,
}

fn found(memory: &Memory) -> Result<Found, StepError> {
    memory.of("check").ok_or_else(|| StepError::refused("the first look is missing"))
}

/// The primary, and the roles with it, if this agent's instance is its mirror.
fn as_its_mirror(agent: &Agent) -> Result<(String, Roles<'_>), StepError> {
    let holder = agent.holder().ok_or_else(|| StepError::refused("the pool has no primary yet"))?;
    if holder == agent.name() {
        return Err(StepError::refused(format!("{holder} is the primary already")));
    }
    let roles = Roles::of(agent.topology(), &holder)
        .ok_or_else(|| StepError::refused(format!("the topology does not name {holder}")))?;
    if roles.mirror.is_none_or(|m| m.name != agent.name()) {
        return Err(StepError::refused(format!(
            "{} is not the mirror of {holder}: within a site the roles are changed with the mirror",
            agent.name()
        )));
    }
    Ok((holder, roles))
}

struct Check(Arc<Agent>);

#[async_trait]
impl Step for Check {
    fn name(&self) -> &'static str {
        "check"
    }

    fn title(&self) -> String {
        "Look at the pool".into()
    }

    fn number(&self) -> u8 {
        1
    }

    async fn observe(&self, _: &Memory) -> Result<Observed, StepError> {
        let agent = &self.0;
        let (holder, roles) = as_its_mirror(agent)?;
        let old = agent.ask(&holder).await?;
        doing::known(&old)?;
        if old.protection != Protection::InSync {
            return Err(StepError::refused(format!(
                "the pool is exposed: {} lacks what was acknowledged; wait until it is in sync",
                agent.name()
            )));
        }
        if !old.serves() {
            return Err(StepError::refused(format!("{holder} does not serve: {}", old.note)));
        }
        let own = agent.ask(agent.name()).await?;
        doing::known(&own)?;
        let server = own.status.server;
        let streams = server.as_ref().and_then(|s| s.standby.as_ref()?.receiver.as_ref());
        if streams.is_none_or(|r| r.status != "streaming") {
            return Err(StepError::refused(format!("{} does not stream from {holder}", agent.name())));
        }
        let mut backup = None;
        let mut without = String::new();
        if let Some(place) = roles.backup {
            let follows = server.is_some_and(|s| s.followers.iter().any(|f| f.name == place.name));
            match agent.ask_who_may_be_away(&place.name).await {
                Ok(report) => backup = matches!(report.place, Place::Standby { .. }).then(|| place.name.clone()),
                Err(error) if follows => {
                    return Err(StepError::refused(format!(
                        "the backup {} receives a stream and has to let go of it first, and its agent does not answer: {error}",
                        place.name
                    )));
                }
                // It is lost with its site, or cut off: what it has came from here, so that it is never ahead of this one.
                Err(_) => without = format!("; the backup {} does not answer, and is left as it is", place.name),
            }
        }
        let found = Found { old: holder.clone(), backup, epoch: agent.remembered().epoch() };
        Ok(Observed::done_with(
            format!("{holder} serves under epoch {}, {} is in sync{without}", found.epoch, agent.name()),
            &found,
        ))
    }

    async fn act(&self, _: &Memory) -> Result<(), StepError> {
        Ok(())
    }
}

struct ReleaseBackup(Arc<Agent>, Old);

#[async_trait]
impl Step for ReleaseBackup {
    fn name(&self) -> &'static str {
        "release-backup"
    }

    fn title(&self) -> String {
        "Let the backup receive nothing meanwhile".into()
    }

    fn number(&self) -> u8 {
        2
    }

    async fn observe(&self, memory: &Memory) -> Result<Observed, StepError> {
        let Some(backup) = found(memory)?.backup else { return Ok(Observed::done("there is no backup that follows")) };
        let report = self.0.ask(&backup).await?;
        doing::known(&report)?;
        let receives = report.status.server.and_then(|s| s.standby).is_some_and(|s| s.receiver.is_some());
        Ok(match report.place {
            Place::Standby { upstream: None, .. } if !receives => {
                Observed::done(format!("{backup} receives no stream"))
            }
            _ => Observed::NotYet(format!("{backup} receives still")),
        })
    }

    async fn act(&self, memory: &Memory) -> Result<(), StepError> {
        if let Some(backup) = found(memory)?.backup {
            self.0.tell_shortly(&backup, Order::Follow { upstream: None, fetch: Fetch::Closed }).await?;
        }
        if self.1 == Old::Agrees {
            // So that its stop has little left to write.
            self.0.tell(&found(memory)?.old, Order::Checkpoint, LONG).await?;
        }
        Ok(())
    }

    async fn undo(&self, memory: &Memory) -> Result<(), StepError> {
        if let Some(backup) = found(memory)?.backup {
            let upstream = self.0.topology().pool.streaming.then(|| self.0.name().to_owned());
            self.0.tell_shortly(&backup, Order::Follow { upstream, fetch: Fetch::Follow }).await?;
        }
        Ok(())
    }
}

/// How the old primary was left.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Left {
    checkpoint: Lsn,
}

struct StopOld(Arc<Agent>);

#[async_trait]
impl Step for StopOld {
    fn name(&self) -> &'static str {
        "stop-old"
    }

    fn title(&self) -> String {
        "Stop the old primary in order".into()
    }

    fn number(&self) -> u8 {
        3
    }

    async fn observe(&self, memory: &Memory) -> Result<Observed, StepError> {
        let old = found(memory)?.old;
        let report = self.0.ask(&old).await?;
        if !matches!(report.place, Place::Stopped { .. }) {
            return Ok(Observed::NotYet(format!("{old} runs")));
        }
        let stopped = self.0.tell(&old, Order::Stop, LONG).await?;
        if stopped.details["state"] != json!("shut_down") {
            return Err(StepError::refused(format!(
                "{old} was not stopped in order: its state is {}",
                stopped.details["state"]
            )));
        }
        let checkpoint: Lsn = serde_json::from_value(stopped.details["checkpoint"].clone()).map_err(refused)?;
        Ok(Observed::done_with(
            format!("{old} was shut down; its last checkpoint is at {checkpoint}"),
            &Left { checkpoint },
        ))
    }

    async fn act(&self, memory: &Memory) -> Result<(), StepError> {
        self.0.tell(&found(memory)?.old, Order::Stop, LONG).await?;
        Ok(())
    }

    async fn undo(&self, memory: &Memory) -> Result<(), StepError> {
        self.0.tell_shortly(&found(memory)?.old, Order::Start).await?;
        Ok(())
    }
}

struct CatchUp(Arc<Agent>);

#[async_trait]
impl Step for CatchUp {
    fn name(&self) -> &'static str {
        "catch-up"
    }

    fn title(&self) -> String {
        "Apply its last record".into()
    }

    fn number(&self) -> u8 {
        4
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(30)
    }

    async fn observe(&self, memory: &Memory) -> Result<Observed, StepError> {
        if doing::promoted(&self.0).await?.is_some() {
            return Ok(Observed::done("it was promoted already"));
        }
        let left: Left =
            memory.of("stop-old").ok_or_else(|| StepError::refused("how the old primary was left is not known"))?;
        let status = self.0.instance().status().await;
        let replayed = status.server.and_then(|s| s.standby).and_then(|s| s.replayed).unwrap_or_default();
        Ok(match replayed > left.checkpoint {
            true => Observed::done(format!("replayed to {replayed}, past the last checkpoint of the old primary")),
            false => Observed::NotYet(format!("replayed to {replayed} of {}", left.checkpoint)),
        })
    }

    async fn act(&self, _: &Memory) -> Result<(), StepError> {
        Ok(())
    }
}

struct MakeClaim(Arc<Agent>);

#[async_trait]
impl Step for MakeClaim {
    fn name(&self) -> &'static str {
        "claim"
    }

    fn title(&self) -> String {
        "Claim the next epoch".into()
    }

    fn number(&self) -> u8 {
        5
    }

    fn is_point_of_no_return(&self) -> bool {
        true
    }

    async fn observe(&self, memory: &Memory) -> Result<Observed, StepError> {
        let remembered = self.0.remembered();
        let newest = remembered
            .newest()
            .filter(|c| c.holder == self.0.name() && c.epoch == found(memory).map_or(0, |f| f.epoch + 1));
        Ok(match newest {
            Some(claim) => Observed::done_with(format!("epoch {} is claimed", claim.epoch), claim),
            None => Observed::NotYet(format!("the newest epoch is {}", remembered.epoch())),
        })
    }

    async fn act(&self, memory: &Memory) -> Result<(), StepError> {
        // It receives nothing more: what it had to have it has, and the old one will soon follow this one.
        self.0.tell_shortly(self.0.name(), Order::Follow { upstream: None, fetch: Fetch::Closed }).await?;
        let epoch = found(memory)?.epoch + 1;
        let by = format!("switchover to {}", self.0.name());
        let claim = Claim { epoch, holder: self.0.name().to_owned(), by, at: jiff::Timestamp::now() };
        self.0.claim(&claim, true, false).await?;
        Ok(())
    }
}

struct OldFollows(Arc<Agent>);

#[async_trait]
impl Step for OldFollows {
    fn name(&self) -> &'static str {
        "old-follows"
    }

    fn title(&self) -> String {
        "Let the old primary follow this one".into()
    }

    fn number(&self) -> u8 {
        6
    }

    async fn observe(&self, memory: &Memory) -> Result<Observed, StepError> {
        let old = found(memory)?.old;
        let report = self.0.ask(&old).await?;
        let follows = matches!(&report.place, Place::Standby { upstream: Some(u), .. } if u == self.0.name());
        Ok(match follows && report.is_up() {
            true => Observed::done(format!("{old} runs as a standby of {}", self.0.name())),
            false => Observed::NotYet(format!("{old} does not follow yet")),
        })
    }

    async fn act(&self, memory: &Memory) -> Result<(), StepError> {
        let agent = &self.0;
        let old = found(memory)?.old;
        let remembered = agent.remembered();
        let hear = Order::Hear { claims: remembered.claims, openings: remembered.openings, protection: None };
        agent.tell_shortly(&old, hear).await?;
        let follow = Order::Follow { upstream: Some(agent.name().to_owned()), fetch: Fetch::Follow };
        agent.tell(&old, follow, LONG).await?;
        Ok(())
    }
}

struct Promote(Arc<Agent>, Old);

#[async_trait]
impl Step for Promote {
    fn name(&self) -> &'static str {
        "promote"
    }

    fn title(&self) -> String {
        "Promote this one".into()
    }

    fn number(&self) -> u8 {
        7
    }

    async fn observe(&self, _: &Memory) -> Result<Observed, StepError> {
        Ok(match doing::promoted(&self.0).await? {
            Some(p) => Observed::done_with(format!("timeline {}, from {} on", p.timeline, p.fork), &p),
            None => Observed::NotYet("it is a standby".into()),
        })
    }

    async fn act(&self, memory: &Memory) -> Result<(), StepError> {
        let sync = match self.1 {
            Old::Agrees => Sync::Named(found(memory)?.old),
            // It goes on alone, and is waited for again when it is back as a mirror.
            Old::IsLost => Sync::None,
        };
        doing::promote(&self.0, sync, true).await
    }
}

struct Open(Arc<Agent>, Old);

#[async_trait]
impl Step for Open {
    fn name(&self) -> &'static str {
        "open"
    }

    fn title(&self) -> String {
        match self.1 {
            Old::Agrees => "Write the epoch, acknowledged by the mirror, and let clients in".into(),
            Old::IsLost => "Write the epoch, on this machine alone, and let clients in".into(),
        }
    }

    fn number(&self) -> u8 {
        8
    }

    async fn observe(&self, memory: &Memory) -> Result<Observed, StepError> {
        let claim: Claim = memory.of("claim").ok_or_else(|| StepError::refused("the claim is missing"))?;
        let written =
            doing::epoch_in_database(&self.0).await?.is_none_or(|e| e == i64::try_from(claim.epoch).unwrap_or(0));
        Ok(
            match written
                && doing::is_open(&self.0)?
                && !self.0.remembered().openings.iter().all(|o| o.epoch != claim.epoch)
            {
                true => Observed::done(match self.1 {
                    Old::Agrees => format!("epoch {} is acknowledged by the mirror; clients are let in", claim.epoch),
                    Old::IsLost => format!("epoch {} is written, exposed; clients are let in", claim.epoch),
                }),
                false => Observed::NotYet("clients are not let in".into()),
            },
        )
    }

    async fn act(&self, memory: &Memory) -> Result<(), StepError> {
        let agent = &self.0;
        let claim: Claim = memory.of("claim").ok_or_else(|| StepError::refused("the claim is missing"))?;
        let promoted: Promoted = memory.of("promote").ok_or_else(|| StepError::refused("the promotion is missing"))?;
        let state = doing::phase_in_database(agent).await?.unwrap_or(PoolPhase::Normal);
        agent.learn(&holdfast_wal::Lineage::new(vec![], vec![doing::opening_of(&claim, promoted)]))?;
        if self.1 == Old::IsLost {
            agent.expose().await?;
        }
        doing::write_epoch(agent, claim.epoch, state).await?;
        if self.1 == Old::Agrees {
            agent.remember(|m| m.protection = Protection::InSync)?;
        }
        agent.tell_shortly(agent.name(), Order::Access { to: Access::Open }).await?;
        Ok(())
    }
}

struct Seal(Arc<Agent>);

#[async_trait]
impl Step for Seal {
    fn name(&self) -> &'static str {
        "seal"
    }

    fn title(&self) -> String {
        "Put the new timeline on the share".into()
    }

    fn number(&self) -> u8 {
        9
    }

    async fn observe(&self, memory: &Memory) -> Result<Observed, StepError> {
        let promoted: Promoted = memory.of("promote").ok_or_else(|| StepError::refused("the promotion is missing"))?;
        crate::seal::observe(&self.0, promoted).await
    }

    async fn act(&self, memory: &Memory) -> Result<(), StepError> {
        let promoted: Promoted = memory.of("promote").ok_or_else(|| StepError::refused("the promotion is missing"))?;
        crate::seal::act(&self.0, promoted).await
    }
}

struct ReattachBackup(Arc<Agent>);

#[async_trait]
impl Step for ReattachBackup {
    fn name(&self) -> &'static str {
        "reattach-backup"
    }

    fn title(&self) -> String {
        "Let the backup follow the new mirror".into()
    }

    fn number(&self) -> u8 {
        10
    }

    async fn observe(&self, memory: &Memory) -> Result<Observed, StepError> {
        let found = found(memory)?;
        let Some(backup) = &found.backup else { return Ok(Observed::done("there is no backup that follows")) };
        let report = self.0.ask(backup).await?;
        let right = match &report.place {
            Place::Standby { upstream, fetch: Fetch::Follow } => {
                upstream.as_deref() == self.0.topology().pool.streaming.then_some(found.old.as_str())
            }
            _ => false,
        };
        Ok(match right {
            true => Observed::done(format!("{backup} follows {}", found.old)),
            false => Observed::NotYet(format!("{backup} does not follow {} yet", found.old)),
        })
    }

    async fn act(&self, memory: &Memory) -> Result<(), StepError> {
        let found = found(memory)?;
        if let Some(backup) = &found.backup {
            let upstream = self.0.topology().pool.streaming.then(|| found.old.clone());
            self.0.tell_shortly(backup, Order::Follow { upstream, fetch: Fetch::Follow }).await?;
        }
        Ok(())
    }
}
