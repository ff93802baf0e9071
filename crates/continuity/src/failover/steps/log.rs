//! Steps 1 to 3 of the runbook: log shipping ends, what is only on the share is copied and verified, and all of it is applied.

use super::{Of, found, memory_of};
use crate::agent::order::Order;
use crate::agent::state::{Fetch, Place};
use crate::doing::{self, LONG, refused};
use crate::failover::copy;
use crate::procedure::{Memory, Observed, Step, StepError};
use async_trait::async_trait;
use holdfast_wal::{Lsn, Report as ShareCheck};
use std::time::Duration;

pub(super) struct EndShipping(pub(super) Of);

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
            let replayed = doing::replayed(agent).await?;
            if replayed <= checkpoint {
                return Ok(Observed::NotYet(format!(
                    "replayed to {replayed} of {checkpoint}, where the other site ended"
                )));
            }
        }
        let standby = agent.server().await?.standby;
        let standby = standby.ok_or_else(|| StepError::refused("PostgreSQL is no standby here"))?;
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
            agent.instance().wait_replayed_past(checkpoint, LONG).await?;
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

pub(super) fn stood_down_at(memory: &Memory) -> Option<Lsn> {
    let evidence: serde_json::Value = memory.of("fence")?;
    serde_json::from_value(evidence["checkpoint"].clone()).ok()
}

pub(super) struct Copy(pub(super) Of);

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

pub(super) struct Apply(pub(super) Of);

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
        let before = doing::replayed(agent).await?;
        if let Some(target) = copied.and_then(|c| c.target)
            && before <= target.record
        {
            return Ok(Observed::NotYet(format!("replayed to {before} of {}", target.record)));
        }
        // What came by streaming may lie beyond: it is applied when nothing moves any more.
        tokio::time::sleep(Duration::from_millis(150)).await;
        let after = doing::replayed(agent).await?;
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
