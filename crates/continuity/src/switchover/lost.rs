//! The primary's machine is lost for good, and its mirror takes its place: it has everything that was ever acknowledged, as long as the pool was in sync.
//!
//! What makes that safe is not that the old primary is silent. Commits on it wait for this mirror, which follows it no more, and to go on without its mirror it
//! needs the witness, which has granted the next epoch by then. Without a witness its policy says whether it goes on alone; where it does, a person has to
//! say why it cannot take messages any more.

use super::{Found, as_its_mirror};
use crate::agent::Agent;
use crate::agent::order::Order;
use crate::agent::state::{Fetch, Place};
use crate::doing;
use crate::failover::evidence::FenceSpec;
use crate::procedure::{Memory, Observed, Question, Step, StepError};
use crate::register::Protection;
use crate::topology::MirrorLost;
use async_trait::async_trait;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// For what moves to be seen moving.
const A_MOMENT: Duration = Duration::from_millis(200);

/// The first look.
pub(super) struct Check {
    pub(super) agent: Arc<Agent>,
    pub(super) fence: Option<FenceSpec>,
}

#[async_trait]
impl Step for Check {
    fn name(&self) -> &'static str {
        "check"
    }

    fn title(&self) -> String {
        "Look whether this one has everything, and the old primary can do nothing alone".into()
    }

    fn number(&self) -> u8 {
        1
    }

    async fn observe(&self, _: &Memory) -> Result<Observed, StepError> {
        let agent = &self.agent;
        let (holder, roles) = as_its_mirror(agent)?;
        if agent.ask(&holder).await.is_ok() {
            return Err(StepError::refused(format!(
                "{holder} answers: it is not lost. `holdfast switchover` changes the roles in order"
            )));
        }
        let own = agent.ask(agent.name()).await?;
        doing::known(&own)?;
        let recovers = own.status.server.as_ref().is_some_and(|s| s.in_recovery());
        if !recovers || !matches!(own.place, Place::Standby { .. }) {
            return Err(StepError::refused(format!("{} does not run as a standby: {}", agent.name(), own.note)));
        }
        let epoch = agent.remembered().epoch();
        let why = self.why_it_is_safe(&holder, epoch).await?;
        let mut backup = None;
        if let Some(place) = roles.backup
            && let Ok(report) = agent.ask_who_may_be_away(&place.name).await
        {
            backup = matches!(report.place, Place::Standby { .. }).then(|| place.name.clone());
        }
        let found = Found { old: holder.clone(), backup, epoch };
        Ok(Observed::done_with(format!("{holder} does not answer; {why}"), &found))
    }

    async fn act(&self, _: &Memory) -> Result<(), StepError> {
        Ok(())
    }
}

impl Check {
    async fn why_it_is_safe(&self, holder: &str, epoch: u64) -> Result<String, StepError> {
        let agent = &self.agent;
        let exposed = || {
            StepError::refused(format!(
                "the pool was exposed when {holder} was last heard of: {} lacks messages that were acknowledged. Bring {holder} back; or fail over, which shows what is lost",
                agent.name()
            ))
        };
        if let Some(witness) = agent.witness() {
            let register = witness
                .register()
                .await
                .map_err(|e| StepError::refused(format!("the witness has to say that the pool was in sync: {e}")))?;
            if register.relearning.is_some() {
                return Err(StepError::refused(
                    "the witness has lost its memory, and cannot say whether the pool was in sync",
                ));
            }
            if (register.epoch, register.holder.as_str()) != (epoch, holder) {
                return Err(StepError::refused(format!(
                    "the witness knows {} as the holder of epoch {}, this instance {holder} of {epoch}",
                    register.holder, register.epoch
                )));
            }
            return match register.protection {
                Protection::InSync => {
                    Ok("the witness holds the pool in sync, so that it can acknowledge nothing alone".into())
                }
                Protection::Exposed => Err(exposed()),
            };
        }
        if agent.protection() != Protection::InSync {
            return Err(exposed());
        }
        match (agent.topology().pool.mirror_lost, &self.fence) {
            (MirrorLost::Wait, _) => {
                Ok("the pool waits for its mirror, so that it can acknowledge nothing alone".into())
            }
            (MirrorLost::Expose, Some(FenceSpec::Attested(said))) => {
                Ok(format!("stated by a person, and not verified by a machine: {said}"))
            }
            (MirrorLost::Expose, _) => Err(StepError::Asks(Box::new(Question {
                text: format!(
                    "There is no witness, and {holder} goes on alone after a while: why did it not, and why can it not take messages any more?"
                ),
                details: json!({ "answer": "fence", "kinds": ["attested:TEXT"] }),
            }))),
        }
    }
}

/// Nothing more is received, and all that was is applied.
pub(super) struct CatchUp(pub(super) Arc<Agent>);

#[async_trait]
impl Step for CatchUp {
    fn name(&self) -> &'static str {
        "catch-up"
    }

    fn title(&self) -> String {
        "Apply all that was received".into()
    }

    fn number(&self) -> u8 {
        3
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(24 * 3_600)
    }

    async fn observe(&self, _: &Memory) -> Result<Observed, StepError> {
        let agent = &self.0;
        if doing::promoted(agent).await?.is_some() {
            return Ok(Observed::done("it was promoted already"));
        }
        if !matches!(agent.remembered().place, Place::Standby { upstream: None, fetch: Fetch::Closed }) {
            return Ok(Observed::NotYet("it receives still".into()));
        }
        let before = doing::replayed(agent).await?;
        tokio::time::sleep(A_MOMENT).await;
        let after = doing::replayed(agent).await?;
        // The last record that was received may be cut: nothing of it was ever acknowledged.
        Ok(match before == after {
            true => Observed::done(format!("replayed to {after}, and nothing more is there")),
            false => Observed::NotYet(format!("replayed to {after}, and more comes")),
        })
    }

    async fn act(&self, _: &Memory) -> Result<(), StepError> {
        let agent = &self.0;
        agent.tell_shortly(agent.name(), Order::Follow { upstream: None, fetch: Fetch::Closed }).await?;
        Ok(())
    }

    async fn undo(&self, memory: &Memory) -> Result<(), StepError> {
        let (agent, old) = (&self.0, super::found(memory)?.old);
        agent.tell_shortly(agent.name(), Order::Follow { upstream: Some(old), fetch: Fetch::Follow }).await?;
        Ok(())
    }
}
