//! Step 4 of the runbook: the loss is accepted, the door closed, the epoch claimed, and the database brought up. The claim is the point of no return.

use super::log::stood_down_at;
use super::{Of, found, memory_of};
use crate::doing::{self, Promoted};
use crate::failover::loss::Loss;
use crate::failover::{RESERVED_TIMELINES, plan};
use crate::procedure::{Memory, Observed, Question, Step, StepError};
use crate::register::Protection;
use async_trait::async_trait;
use holdfast_instance::{Access, Sync};
use holdfast_store::pool::PoolPhase;
use holdfast_wal::{Claim, Lineage};
use jiff::Timestamp;
use serde_json::json;
use std::time::Duration;

pub(super) struct Confirm(pub(super) Of);

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
        let holds =
            agent.count().await.ok_or_else(|| StepError::no_answer("what the database holds cannot be asked"))?;
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

pub(super) struct CloseDoor(pub(super) Of);

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
        let access = agent.instance().access()?;
        let sessions = agent.instance().client_sessions().await?;
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

pub(super) struct MakeClaim(pub(super) Of);

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

pub(super) struct Promote(pub(super) Of);

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
        let timeline = agent.instance().timeline().await?;
        agent.instance().reserve_timelines(timeline + 1..=timeline + RESERVED_TIMELINES)?;
        agent.remember(|m| m.protection = Protection::Exposed)?;
        doing::promote(agent, Sync::None, true).await
    }
}

pub(super) struct WriteEpoch(pub(super) Of);

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
