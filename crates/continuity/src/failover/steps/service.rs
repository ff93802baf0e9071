//! Steps 5 to 7 of the runbook and what comes after: state, mirror, servers, the proof by a client, and the report.

use super::{Of, found, memory_of};
use crate::agent::Agent;
use crate::agent::order::Order;
use crate::doing::{self, Promoted};
use crate::failover::loss::Loss;
use crate::failover::outcome::Outcome;
use crate::failover::probe;
use crate::procedure::{Memory, Observed, Step, StepError};
use crate::register::Protection;
use crate::{mirror, seal};
use async_trait::async_trait;
use holdfast_instance::Access;
use holdfast_store::pool::PoolPhase;
use holdfast_store::postgres::takeover;
use holdfast_wal::Claim;
use jiff::Timestamp;
use std::time::Duration;
use uuid::Uuid;

pub(super) struct SetState(pub(super) Of);

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
        let client = self.0.agent.instance().sql("mgc").await?;
        Ok(takeover::set_phase(&client, wanted_state(&self.0.agent)).await?)
    }
}

/// A pool that comes back to the site where it began is as it should be.
fn wanted_state(agent: &Agent) -> PoolPhase {
    let first = agent.topology().first_primary().map(|i| i.site.as_str());
    if first == Some(agent.site()) { PoolPhase::Normal } else { PoolPhase::FailedOver }
}

pub(super) struct BuildMirror(pub(super) Of);

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
        if self.0.agent.ask_who_may_be_away(&mirror).await.is_err() {
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

pub(super) struct SetActive(pub(super) Of);

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
        let client = agent.instance().look("mgc").await?;
        match takeover::active(&client).await {
            Err(takeover::TakeOverError::NoPool) => {
                Ok(Observed::done("clients are let in; the database holds no pool yet"))
            }
            Err(error) => Err(error.into()),
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

pub(super) struct Prove {
    pub(super) of: Of,
    /// Of the message, so that it is posted once however often it is tried.
    pub(super) client_id: Uuid,
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

pub(super) struct Seal(pub(super) Of);

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

pub(super) struct ReportIt(pub(super) Of);

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
