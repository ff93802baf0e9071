//! What comes before the runbook's first step: a look at everything, and evidence that the other site cannot take messages.

use super::{Found, Of, found};
use crate::agent::order::Order;
use crate::agent::state::Place;
use crate::doing::{self, LONG, refused};
use crate::failover::evidence::{Evidence, FenceSpec};
use crate::failover::plan;
use crate::failover::plan::PlanOptions;
use crate::procedure::{Memory, Observed, Question, Step, StepError};
use crate::roles::Roles;
use async_trait::async_trait;
use serde_json::json;

pub(super) struct LookAtPool(pub(super) Of);

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
        // What is only slow is no red light.
        doing::known(&agent.ask(agent.name()).await?)?;
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

pub(super) struct Fence(pub(super) Of);

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
