//! The steps of a failover. Their numbers are the runbook's; 0 is what comes before its first, 8 what comes after its last.

use super::evidence::{Evidence, FenceSpec};
use super::loss::Loss;
use super::outcome::Outcome;
use super::plan::{self, PlanOptions};
use super::{FailoverOptions, RESERVED_TIMELINES, copy, probe};
use crate::agent::Agent;
use crate::agent::order::Order;
use crate::agent::state::{Fetch, Place};
use crate::doing::{self, LONG, Promoted, refused};
use crate::mirror;
use crate::procedure::{Memory, Observed, Question, Step, StepError};
use crate::register::Protection;
use crate::roles::Roles;
use crate::seal;
use async_trait::async_trait;
use holdfast_instance::{Access, Sync};
use holdfast_store::pool::PoolPhase;
use holdfast_store::postgres::takeover;
use holdfast_wal::{Claim, Lineage, Lsn, Report as ShareCheck};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// Whose steps.
#[derive(Clone)]
pub(super) struct Of {
    pub(super) agent: Arc<Agent>,
    pub(super) options: Arc<FailoverOptions>,
}

/// All of them. Unless they are done one by one, clients come in before the mirror is built.
pub(super) fn all(of: &Of) -> Vec<Box<dyn Step>> {
    let mut steps: Vec<Box<dyn Step>> = vec![
        Box::new(LookAtPool(of.clone())),
        Box::new(Fence(of.clone())),
        Box::new(EndShipping(of.clone())),
        Box::new(Copy(of.clone())),
        Box::new(Apply(of.clone())),
        Box::new(Confirm(of.clone())),
        Box::new(CloseDoor(of.clone())),
        Box::new(MakeClaim(of.clone())),
        Box::new(Promote(of.clone())),
        Box::new(WriteEpoch(of.clone())),
        Box::new(SetState(of.clone())),
    ];
    let mirror: Box<dyn Step> = Box::new(BuildMirror(of.clone()));
    let servers: Box<dyn Step> = Box::new(SetActive(of.clone()));
    if of.options.in_order {
        steps.extend([mirror, servers]);
    } else {
        steps.extend([servers, mirror]);
    }
    steps.extend([
        Box::new(Prove { of: of.clone(), client_id: Uuid::new_v4() }) as Box<dyn Step>,
        Box::new(Seal(of.clone())),
        Box::new(ReportIt(of.clone())),
    ]);
    steps
}

/// What the first step found.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Found {
    from_site: String,
    primary: String,
    epoch: u64,
    state: String,
    upstream: Option<String>,
    backup_mirror: Option<String>,
}

fn memory_of<T: serde::de::DeserializeOwned>(memory: &Memory, step: &str) -> Result<T, StepError> {
    memory.of(step).ok_or_else(|| StepError::refused(format!("the proof of the step `{step}` is missing")))
}

fn found(memory: &Memory) -> Result<Found, StepError> {
    memory_of(memory, "check")
}

struct LookAtPool(Of);

#[async_trait]
impl Step for LookAtPool {
    fn name(&self) -> &'static str {
        "check"
    }

    fn title(&self) -> String {
        "Look at the pool, the share and this site".into()
    }

    fn number(&self) -> u8 {
        0
    }

    async fn observe(&self, _: &Memory) -> Result<Observed, StepError> {
        let Of { agent, options } = &self.0;
        let plan = plan::plan(agent, &PlanOptions { options: (**options).clone() }).await?;
        let mut accepted = options.accept.clone();
        if options.accept_gap {
            accepted.push("log-is-whole".into());
        }
        let hindrances: Vec<String> =
            plan.hindrances(&accepted).map(|c| format!("{} ({}): {}", c.name, c.told, c.remedy)).collect();
        if !hindrances.is_empty() {
            return Err(StepError::refused(format!(
                "{} of {} checks are red: {}",
                hindrances.len(),
                plan.checks.len(),
                hindrances.join("; ")
            )));
        }
        let holder = agent.holder().unwrap_or_default();
        let roles =
            Roles::of(agent.topology(), &holder).ok_or_else(|| StepError::refused("the roles are not known"))?;
        let upstream = match agent.remembered().place {
            Place::Standby { upstream, .. } => upstream,
            _ => None,
        };
        let own = agent.ask(agent.name()).await?;
        let found = Found {
            from_site: plan.from_site.clone(),
            primary: holder.clone(),
            epoch: plan.epoch,
            state: own.holds.map_or_else(|| "normal".into(), |h| h.state),
            upstream: upstream
                .or_else(|| agent.topology().pool.streaming.then(|| roles.mirror.map(|m| m.name.clone())).flatten()),
            backup_mirror: roles.backup_mirror.map(|m| m.name.clone()),
        };
        let (green, of) = plan.readiness();
        Ok(Observed::done_with(format!("{green} of {of} checks are green; {}", plan.loss_told), &found))
    }

    async fn act(&self, _: &Memory) -> Result<(), StepError> {
        Ok(())
    }
}

struct Fence(Of);

#[async_trait]
impl Step for Fence {
    fn name(&self) -> &'static str {
        "fence"
    }

    fn title(&self) -> String {
        "Obtain evidence that the other site cannot take messages".into()
    }

    fn number(&self) -> u8 {
        0
    }

    async fn observe(&self, memory: &Memory) -> Result<Observed, StepError> {
        let given: Option<FenceSpec> = memory.answer("fence").or_else(|| self.0.options.fence.clone());
        let Some(spec) = given else {
            return Err(StepError::Asks(Box::new(Question {
                text: format!("Why can {} not take messages any more?", found(memory)?.from_site),
                details: json!({ "answer": "fence", "kinds": ["attested:TEXT", "command", "stand-down"] }),
            })));
        };
        match &spec {
            FenceSpec::Attested(said) => {
                let evidence = Evidence {
                    given: spec.to_string(),
                    observed: format!("stated by a person: {said}"),
                    verified: false,
                };
                Ok(Observed::done_with("stated by a person, not verified by a machine", &evidence))
            }
            FenceSpec::Command => Ok(Observed::NotYet("the fence command has not been run".into())),
            FenceSpec::StandDown => {
                let primary = found(memory)?.primary;
                let report = self.0.agent.ask(&primary).await?;
                if !matches!(report.place, Place::Stopped { .. } | Place::Fenced { .. }) {
                    return Ok(Observed::NotYet(format!("{primary} has not stood down")));
                }
                let stopped = self.0.agent.tell(&primary, Order::Stop, LONG).await?;
                if stopped.details["state"] != json!("shut_down") {
                    return Err(StepError::refused(format!("{primary} was not stopped in order")));
                }
                let checkpoint = stopped.details["checkpoint"].clone();
                let evidence = Evidence {
                    given: spec.to_string(),
                    observed: format!("{primary} was shut down, its last checkpoint at {checkpoint}"),
                    verified: true,
                };
                let kept = json!({ "given": evidence.given, "observed": evidence.observed, "verified": true, "checkpoint": checkpoint });
                Ok(Observed::done_with(evidence.observed, &kept))
            }
        }
    }

    async fn act(&self, memory: &Memory) -> Result<(), StepError> {
        let found = found(memory)?;
        let given: Option<FenceSpec> = memory.answer("fence").or_else(|| self.0.options.fence.clone());
        match given {
            Some(FenceSpec::StandDown) => {
                self.0.agent.tell(&found.primary, Order::Checkpoint, LONG).await?;
                self.0.agent.tell(&found.primary, Order::Stop, LONG).await?;
                Ok(())
            }
            Some(FenceSpec::Command) => {
                let site = self.0.agent.topology().site(&found.from_site);
                let command = site.and_then(|s| s.fence_command.clone()).ok_or_else(|| {
                    StepError::refused(format!("the topology names no fence_command for {}", found.from_site))
                })?;
                let run = tokio::process::Command::new("/bin/sh").arg("-c").arg(&command).output();
                let output = tokio::time::timeout(LONG, run)
                    .await
                    .map_err(|_| StepError::refused("the fence command did not end in time"))?;
                let output = output.map_err(refused)?;
                if !output.status.success() {
                    let said = String::from_utf8_lossy(&output.stderr);
                    return Err(StepError::refused(format!(
                        "the fence command failed ({}): {}",
                        output.status,
                        said.trim()
                    )));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn undo(&self, memory: &Memory) -> Result<(), StepError> {
        let given: Option<FenceSpec> = memory.answer("fence").or_else(|| self.0.options.fence.clone());
        if given == Some(FenceSpec::StandDown) {
            self.0.agent.tell_shortly(&found(memory)?.primary, Order::Start).await?;
        }
        Ok(())
    }
}

struct EndShipping(Of);

#[async_trait]
impl Step for EndShipping {
    fn name(&self) -> &'static str {
        "end-shipping"
    }

    fn title(&self) -> String {
        "End log shipping: nothing more is received, nothing more is waited for".into()
    }

    fn number(&self) -> u8 {
        1
    }

    async fn observe(&self, memory: &Memory) -> Result<Observed, StepError> {
        let agent = &self.0.agent;
        if doing::promoted(agent).await?.is_some() {
            return Ok(Observed::done("it was promoted already"));
        }
        // One that stood down in order sends what it has left first.
        if let Some(checkpoint) = stood_down_at(memory) {
            let replayed = replayed(agent).await?;
            if replayed <= checkpoint {
                return Ok(Observed::NotYet(format!(
                    "replayed to {replayed} of {checkpoint}, where the other site ended"
                )));
            }
        }
        let status = agent.instance().status().await;
        let standby = status
            .server
            .and_then(|s| s.standby)
            .ok_or_else(|| StepError::refused("PostgreSQL is no standby here, or does not answer"))?;
        let detached = matches!(agent.remembered().place, Place::Standby { upstream: None, .. });
        Ok(match detached && standby.receiver.is_none() {
            true => Observed::done(format!(
                "no receiver runs; received to {}",
                standby.received.max(standby.replayed).unwrap_or_default()
            )),
            false => Observed::NotYet("a receiver runs still".into()),
        })
    }

    async fn act(&self, memory: &Memory) -> Result<(), StepError> {
        let agent = &self.0.agent;
        if let Some(checkpoint) = stood_down_at(memory) {
            agent.instance().wait_replayed_past(checkpoint, LONG).await.map_err(refused)?;
        }
        agent.tell_shortly(agent.name(), Order::Follow { upstream: None, fetch: Fetch::Closed }).await?;
        if let Some(mirror) = found(memory)?.backup_mirror {
            // One that does not answer follows the backup anyhow.
            let follow = Order::Follow { upstream: Some(agent.name().to_owned()), fetch: Fetch::Closed };
            let _ = agent.tell_shortly(&mirror, follow).await;
        }
        Ok(())
    }

    async fn undo(&self, memory: &Memory) -> Result<(), StepError> {
        let agent = &self.0.agent;
        let found = found(memory)?;
        agent.tell_shortly(agent.name(), Order::Follow { upstream: found.upstream, fetch: Fetch::Follow }).await?;
        if let Some(mirror) = found.backup_mirror {
            let follow = Order::Follow { upstream: Some(agent.name().to_owned()), fetch: Fetch::Follow };
            let _ = agent.tell_shortly(&mirror, follow).await;
        }
        Ok(())
    }
}

fn stood_down_at(memory: &Memory) -> Option<Lsn> {
    let evidence: serde_json::Value = memory.of("fence")?;
    serde_json::from_value(evidence["checkpoint"].clone()).ok()
}

async fn replayed(agent: &Agent) -> Result<Lsn, StepError> {
    let status = agent.instance().status().await;
    let server = status.server.ok_or_else(|| StepError::refused("PostgreSQL does not answer here"))?;
    Ok(server.standby.and_then(|s| s.replayed).unwrap_or_default())
}

struct Copy(Of);

#[async_trait]
impl Step for Copy {
    fn name(&self) -> &'static str {
        "copy"
    }

    fn title(&self) -> String {
        "Copy what is only on the share into the copy folder, and verify it".into()
    }

    fn number(&self) -> u8 {
        2
    }

    async fn observe(&self, _: &Memory) -> Result<Observed, StepError> {
        let Of { agent, options } = &self.0;
        if doing::promoted(agent).await?.is_some() {
            return Ok(Observed::done_with("it was promoted already", &Option::<ShareCheck>::None));
        }
        if options.without_share {
            return Ok(Observed::done_with(
                "the share is passed over, as was said: only what came by streaming counts",
                &Option::<ShareCheck>::None,
            ));
        }
        // Done again, it takes what has been copied: so looking and doing are the same here.
        let report = copy::stage_share(agent).await?;
        let faults: Vec<String> = report.faults().map(|(file, fault)| format!("{file} {fault}")).collect();
        if !faults.is_empty() && !options.accept_gap {
            return Err(StepError::refused(format!(
                "the log on the share is not whole: {}. Repair it, or accept that it ends before the fault: --accept-gap",
                faults.join("; ")
            )));
        }
        Ok(Observed::done_with(report.lines().join("; "), &Some(report)))
    }

    async fn act(&self, _: &Memory) -> Result<(), StepError> {
        Ok(())
    }

    async fn undo(&self, _: &Memory) -> Result<(), StepError> {
        holdfast_wal::staged::forget(&self.0.agent.instance().layout().copy()).map_err(refused)
    }
}

struct Apply(Of);

#[async_trait]
impl Step for Apply {
    fn name(&self) -> &'static str {
        "apply"
    }

    fn title(&self) -> String {
        "Apply it, to its last record".into()
    }

    fn number(&self) -> u8 {
        3
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(24 * 3_600)
    }

    async fn observe(&self, memory: &Memory) -> Result<Observed, StepError> {
        let agent = &self.0.agent;
        if doing::promoted(agent).await?.is_some() {
            return Ok(Observed::done("it was promoted already"));
        }
        if !matches!(agent.remembered().place, Place::Standby { upstream: None, fetch: Fetch::Staged }) {
            return Ok(Observed::NotYet("it is not given the copied log yet".into()));
        }
        let copied: Option<ShareCheck> = memory_of(memory, "copy")?;
        let before = replayed(agent).await?;
        if let Some(target) = copied.and_then(|c| c.target)
            && before <= target.record
        {
            return Ok(Observed::NotYet(format!("replayed to {before} of {}", target.record)));
        }
        // What came by streaming may lie beyond: it is applied when nothing moves any more.
        tokio::time::sleep(Duration::from_millis(150)).await;
        let after = replayed(agent).await?;
        if after != before {
            return Ok(Observed::NotYet(format!("replayed to {after}, and more comes")));
        }
        let entries = agent.count().await.map(|h| h.entries);
        Ok(Observed::done_with(format!("replayed to {after}: {} entries", entries.unwrap_or(0)), &after))
    }

    async fn act(&self, memory: &Memory) -> Result<(), StepError> {
        let agent = &self.0.agent;
        agent.tell_shortly(agent.name(), Order::Follow { upstream: None, fetch: Fetch::Staged }).await?;
        let _ = memory;
        Ok(())
    }
}

struct Confirm(Of);

#[async_trait]
impl Step for Confirm {
    fn name(&self) -> &'static str {
        "confirm"
    }

    fn title(&self) -> String {
        "Show what is lost, and have it accepted".into()
    }

    fn number(&self) -> u8 {
        3
    }

    async fn observe(&self, memory: &Memory) -> Result<Observed, StepError> {
        let Of { agent, options } = &self.0;
        let found = found(memory)?;
        let mut known = plan::known_of(agent, &found.primary);
        let holds = agent.count().await.ok_or_else(|| StepError::refused("what the database holds cannot be asked"))?;
        known.ours = holds.entries;
        known.ours_at = holds.newest_at.map(Timestamp::as_millisecond);
        known.nothing_is_missing = stood_down_at(memory).is_some();
        let loss = Loss::of(&known);
        let accepted: Option<u64> = memory.answer("accept-loss").or(options.accept_loss);
        match accepted {
            Some(accepted) if loss.known && loss.at_most <= accepted => {
                Ok(Observed::done_with(format!("{}; up to {accepted} are accepted", loss.told()), &loss))
            }
            Some(accepted) if !loss.known && options.accept.iter().any(|a| a == "loss-known") => {
                Ok(Observed::done_with(format!("{}; accepted ({accepted})", loss.told()), &loss))
            }
            _ => Err(StepError::Asks(Box::new(Question {
                text: format!("{}. How many do you accept to lose?", loss.told()),
                details: json!({ "answer": "accept-loss", "loss": loss }),
            }))),
        }
    }

    async fn act(&self, _: &Memory) -> Result<(), StepError> {
        Ok(())
    }
}

struct CloseDoor(Of);

#[async_trait]
impl Step for CloseDoor {
    fn name(&self) -> &'static str {
        "close"
    }

    fn title(&self) -> String {
        "Close the database and end every session".into()
    }

    fn number(&self) -> u8 {
        4
    }

    async fn observe(&self, _: &Memory) -> Result<Observed, StepError> {
        let agent = &self.0.agent;
        if doing::promoted(agent).await?.is_some() {
            return Ok(Observed::done("it was promoted already"));
        }
        let access = agent.instance().access().map_err(refused)?;
        let sessions = agent.instance().client_sessions().await.map_err(refused)?;
        Ok(match access != Access::Open && sessions.is_empty() {
            true => Observed::done("nobody is let in, and nobody is there"),
            false => Observed::NotYet(format!("{} session(s) are there", sessions.len())),
        })
    }

    async fn act(&self, _: &Memory) -> Result<(), StepError> {
        self.0.agent.close_door().await?;
        Ok(())
    }
}

struct MakeClaim(Of);

#[async_trait]
impl Step for MakeClaim {
    fn name(&self) -> &'static str {
        "claim"
    }

    fn title(&self) -> String {
        "Claim the next epoch, which fences the other site".into()
    }

    fn number(&self) -> u8 {
        4
    }

    fn is_point_of_no_return(&self) -> bool {
        true
    }

    async fn observe(&self, memory: &Memory) -> Result<Observed, StepError> {
        let agent = &self.0.agent;
        let epoch = plan::next_epoch(found(memory)?.epoch);
        let remembered = agent.remembered();
        Ok(match remembered.newest().filter(|c| c.holder == agent.name() && c.epoch >= epoch) {
            Some(claim) => Observed::done_with(format!("epoch {} is claimed", claim.epoch), claim),
            None => Observed::NotYet(format!("the newest epoch is {}", remembered.epoch())),
        })
    }

    async fn act(&self, memory: &Memory) -> Result<(), StepError> {
        let agent = &self.0.agent;
        let epoch = plan::next_epoch(found(memory)?.epoch);
        let by = format!("failover to {}", agent.site());
        let claim = Claim { epoch, holder: agent.name().to_owned(), by, at: Timestamp::now() };
        agent.claim(&claim, false, true).await?;
        Ok(())
    }
}

struct Promote(Of);

#[async_trait]
impl Step for Promote {
    fn name(&self) -> &'static str {
        "promote"
    }

    fn title(&self) -> String {
        "Bring the database up: promote it".into()
    }

    fn number(&self) -> u8 {
        4
    }

    fn is_point_of_no_return(&self) -> bool {
        true
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(120)
    }

    async fn observe(&self, _: &Memory) -> Result<Observed, StepError> {
        Ok(match doing::promoted(&self.0.agent).await? {
            Some(p) => Observed::done_with(format!("timeline {}, from {} on", p.timeline, p.fork), &p),
            None => Observed::NotYet("it is a standby".into()),
        })
    }

    async fn act(&self, _: &Memory) -> Result<(), StepError> {
        let agent = &self.0.agent;
        // The other site may promote too, while it is cut off: it must never choose the same number.
        let timeline = agent.instance().timeline().await.map_err(refused)?;
        agent.instance().reserve_timelines(timeline + 1..=timeline + RESERVED_TIMELINES).map_err(refused)?;
        agent.remember(|m| m.protection = Protection::Exposed)?;
        doing::promote(agent, Sync::None, true).await
    }
}

struct WriteEpoch(Of);

#[async_trait]
impl Step for WriteEpoch {
    fn name(&self) -> &'static str {
        "epoch"
    }

    fn title(&self) -> String {
        "Write the epoch: the first transaction, by which it is known to take writes".into()
    }

    fn number(&self) -> u8 {
        4
    }

    async fn observe(&self, memory: &Memory) -> Result<Observed, StepError> {
        let claim: Claim = memory_of(memory, "claim")?;
        let opened = self.0.agent.remembered().openings.iter().any(|o| o.epoch == claim.epoch);
        let written = doing::epoch_in_database(&self.0.agent).await?;
        let there = written.is_none_or(|e| u64::try_from(e).is_ok_and(|e| e >= claim.epoch));
        Ok(match opened && there {
            true => Observed::done(format!("the database is at epoch {}; an older one is refused", claim.epoch)),
            false => Observed::NotYet(format!("the database is at epoch {}", written.unwrap_or(0))),
        })
    }

    async fn act(&self, memory: &Memory) -> Result<(), StepError> {
        let agent = &self.0.agent;
        let claim: Claim = memory_of(memory, "claim")?;
        let promoted: Promoted = memory_of(memory, "promote")?;
        let state = if found(memory)?.state == PoolPhase::FailedOver.word() {
            PoolPhase::FailedOver
        } else {
            PoolPhase::Normal
        };
        agent.learn(&Lineage::new(vec![], vec![doing::opening_of(&claim, promoted)]))?;
        doing::write_epoch(agent, claim.epoch, state).await
    }
}

struct SetState(Of);

#[async_trait]
impl Step for SetState {
    fn name(&self) -> &'static str {
        "state"
    }

    fn title(&self) -> String {
        "Set the pool's state".into()
    }

    fn number(&self) -> u8 {
        5
    }

    async fn observe(&self, _: &Memory) -> Result<Observed, StepError> {
        let wanted = wanted_state(&self.0.agent);
        Ok(match doing::phase_in_database(&self.0.agent).await? {
            None => Observed::done("the database holds no pool yet"),
            Some(state) if state == wanted => {
                Observed::done(format!("the pool is {}, {} is live", state.word(), self.0.agent.site()))
            }
            Some(state) => Observed::NotYet(format!("the pool is {}", state.word())),
        })
    }

    async fn act(&self, _: &Memory) -> Result<(), StepError> {
        let client = self.0.agent.instance().sql("mgc").await.map_err(refused)?;
        takeover::set_phase(&client, wanted_state(&self.0.agent)).await.map_err(refused)
    }
}

/// A pool that comes back to the site where it began is as it should be.
fn wanted_state(agent: &Agent) -> PoolPhase {
    let first = agent.topology().first_primary().map(|i| i.site.as_str());
    if first == Some(agent.site()) { PoolPhase::Normal } else { PoolPhase::FailedOver }
}

struct BuildMirror(Of);

#[async_trait]
impl Step for BuildMirror {
    fn name(&self) -> &'static str {
        "mirror"
    }

    fn title(&self) -> String {
        "Give the new primary its mirror".into()
    }

    fn number(&self) -> u8 {
        6
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(3_600)
    }

    async fn observe(&self, memory: &Memory) -> Result<Observed, StepError> {
        let Some(mirror) = found(memory)?.backup_mirror else {
            return Ok(Observed::done("the topology names no other instance here: the pool stays exposed"));
        };
        // The pool serves; that this one is away must not keep the failover open for ever.
        if self.0.agent.ask(&mirror).await.is_err() {
            return Ok(Observed::done(format!(
                "{mirror} does not answer: the pool is exposed until it is back; then it joins by itself"
            )));
        }
        mirror::mirror_is_waited_for(&self.0.agent).await
    }

    async fn act(&self, memory: &Memory) -> Result<(), StepError> {
        let agent = &self.0.agent;
        if let Some(mirror) = found(memory)?.backup_mirror {
            let remembered = agent.remembered();
            let hear = Order::Hear {
                claims: remembered.claims,
                openings: remembered.openings,
                protection: Some(Protection::Exposed),
            };
            agent.tell_shortly(&mirror, hear).await?;
        }
        mirror::make_mirror(agent).await
    }
}

struct SetActive(Of);

impl SetActive {
    /// As was answered, or said at the beginning; else those of this site.
    fn wanted(&self, memory: &Memory) -> Vec<String> {
        let Of { agent, options } = &self.0;
        if let Some(answered) = memory.answer("servers") {
            return answered;
        }
        if options.servers.is_empty() {
            let most = holdfast_store::pool::MOST_ACTIVE;
            agent.topology().servers_of(agent.site()).map(|s| s.name.clone()).take(most).collect()
        } else {
            options.servers.clone()
        }
    }
}

#[async_trait]
impl Step for SetActive {
    fn name(&self) -> &'static str {
        "servers"
    }

    fn title(&self) -> String {
        "Set the active servers, and let clients in".into()
    }

    fn number(&self) -> u8 {
        7
    }

    async fn observe(&self, memory: &Memory) -> Result<Observed, StepError> {
        let agent = &self.0.agent;
        let wanted = self.wanted(memory);
        if !doing::is_open(agent)? {
            return Ok(Observed::NotYet("nobody is let in yet".into()));
        }
        let client = agent.instance().look("mgc").await.map_err(refused)?;
        match takeover::active(&client).await {
            Err(takeover::TakeOverError::NoPool) => {
                Ok(Observed::done("clients are let in; the database holds no pool yet"))
            }
            Err(error) => Err(refused(error)),
            Ok(active) if active == wanted => {
                Ok(Observed::done_with(format!("active: {}; clients are let in", active.join(", ")), &active))
            }
            Ok(active) => Ok(Observed::NotYet(format!("active: {}", active.join(", ")))),
        }
    }

    async fn act(&self, memory: &Memory) -> Result<(), StepError> {
        let Of { agent, options } = &self.0;
        let far = memory.answer("far").unwrap_or(options.far);
        doing::set_active(agent, &self.wanted(memory), far).await?;
        agent.tell_shortly(agent.name(), Order::Access { to: Access::Open }).await?;
        Ok(())
    }
}

struct Prove {
    of: Of,
    /// Of the message, so that it is posted once however often it is tried.
    client_id: Uuid,
}

#[async_trait]
impl Step for Prove {
    fn name(&self) -> &'static str {
        "prove"
    }

    fn title(&self) -> String {
        "Prove it: a client signs in, posts and reads back".into()
    }

    fn number(&self) -> u8 {
        7
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(60)
    }

    async fn observe(&self, memory: &Memory) -> Result<Observed, StepError> {
        let agent = &self.of.agent;
        let active: Vec<String> = memory.of("servers").unwrap_or_default();
        let Some(account) = &agent.topology().probe else {
            return Ok(Observed::done("not tried: the topology names no [probe]"));
        };
        let accepted = memory.answer("accept").unwrap_or_else(|| self.of.options.accept.clone());
        if accepted.iter().any(|name| name == self.name()) {
            return Ok(Observed::done("not tried: it was passed over, as was said"));
        }
        if active.is_empty() {
            return Ok(Observed::done("not tried: the database holds no pool yet"));
        }
        let claim: Claim = memory_of(memory, "claim")?;
        let text = format!("{} is live under epoch {}.", agent.site(), claim.epoch);
        let mut told = Vec::new();
        for name in &active {
            let server = agent.topology().servers.iter().find(|s| s.name == *name);
            let server = server.ok_or_else(|| StepError::refused(format!("the topology names no server {name}")))?;
            match probe::prove(account, server, self.client_id, &text).await {
                Ok(took) => told.push(format!("{name} in {} ms", took.as_millis())),
                Err(error) => {
                    let pass = "clients are let in all the same; --accept prove passes this over";
                    return Ok(Observed::NotYet(format!("{error:#} ({pass})")));
                }
            }
        }
        Ok(Observed::done(format!("{} signed in, posted and read it back: {}", account.name, told.join(", "))))
    }

    async fn act(&self, _: &Memory) -> Result<(), StepError> {
        Ok(())
    }
}

struct Seal(Of);

#[async_trait]
impl Step for Seal {
    fn name(&self) -> &'static str {
        "seal"
    }

    fn title(&self) -> String {
        "Put the new timeline on the share of this site".into()
    }

    fn number(&self) -> u8 {
        8
    }

    async fn observe(&self, memory: &Memory) -> Result<Observed, StepError> {
        seal::observe(&self.0.agent, memory_of(memory, "promote")?).await
    }

    async fn act(&self, memory: &Memory) -> Result<(), StepError> {
        seal::act(&self.0.agent, memory_of(memory, "promote")?).await
    }
}

struct ReportIt(Of);

#[async_trait]
impl Step for ReportIt {
    fn name(&self) -> &'static str {
        "report"
    }

    fn title(&self) -> String {
        "Write the report".into()
    }

    fn number(&self) -> u8 {
        8
    }

    async fn observe(&self, memory: &Memory) -> Result<Observed, StepError> {
        let agent = &self.0.agent;
        let found = found(memory)?;
        let claim: Claim = memory_of(memory, "claim")?;
        let promoted: Promoted = memory_of(memory, "promote")?;
        let loss: Loss = memory_of(memory, "confirm")?;
        let outcome = Outcome {
            from_site: found.from_site,
            to_site: agent.site().to_owned(),
            primary: agent.name().to_owned(),
            epoch: claim.epoch,
            timeline: promoted.timeline,
            fork: promoted.fork.to_string(),
            loss_told: loss.told(),
            loss,
            accepted_by: claim.by,
            fence: memory.of("fence"),
            protection: agent.protection().word().to_owned(),
            active: memory.of("servers").unwrap_or_default(),
            at: Timestamp::now(),
        };
        Ok(Observed::done_with(format!("{} is live under epoch {}", outcome.to_site, outcome.epoch), &outcome))
    }

    async fn act(&self, _: &Memory) -> Result<(), StepError> {
        Ok(())
    }
}
