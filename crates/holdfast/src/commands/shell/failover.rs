//! The lines that are steps of a failover. Each lets the one operation go on by its step, and waits for the proof.

use super::agents::{Agents, Answer, Pool, done, failover, sentence, stopped, tell};
use super::servers::shown;
use holdfast_continuity::agent::operations::{Go, Spec};
use holdfast_continuity::failover::FailoverOptions;
use holdfast_continuity::failover::loss::Loss;
use holdfast_continuity::failover::plan::{Light, Plan, PlanOptions};
use holdfast_continuity::procedure::{OperationState, OperationView};
use holdfast_shell::{PoolState, Refusal, Told};
use serde_json::{Value, json};

/// The line of step 1.
const END_SHIPPING: &str = "exec sp_delete_log_shipping_secondary_database mgc";
/// The line of steps 2 and 3.
const RESTORE_LOG: &str = "restore log mgc from share with norecovery";
/// The line of step 4.
const RESTORE_DATABASE: &str = "restore database mgc with recovery";

impl Agents {
    /// Step 1, with which a failover begins.
    pub(super) async fn step_1(&self, fence: Option<&str>, what_if: bool) -> Answer<Told> {
        let pool = self.look().await?;
        let fence = self.fence(fence)?;
        if let Some(failover) = failover(&pool) {
            if let Some(step) = done(failover, "end-shipping") {
                return Ok(Told::line(sentence(&format!("Log shipping has ended already: {}", step.observed))));
            }
            if what_if {
                return Ok(Told::line(format!("{} would end log shipping.", failover.instance)));
            }
            let answers = fence.map(|f| ("fence".to_owned(), json!(f))).into_iter().collect();
            let now = self.go(failover, Go { through: Some(1), answers }).await?;
            return self.ended_shipping(Some(failover), &now, None);
        }
        let backup = pool.roles.backup.ok_or_else(|| {
            Refusal::refused("The topology names no instance in another site: there is nothing to fail over to.")
        })?;
        if fence.is_none() {
            return Err(no_evidence(&pool.roles.primary.site));
        }
        // In the runbook's order: the mirror before the clients.
        let options = FailoverOptions { fence, in_order: true, ..FailoverOptions::default() };
        let plan = self.plan(&backup.name, &options).await?;
        if !plan.allowed {
            return Err(not_allowed(&plan));
        }
        let loss = sentence(&plan.loss_told);
        if plan.loss.known {
            self.shows(plan.loss.at_most);
        }
        if what_if {
            let would = format!(
                "{} would end log shipping, to fail over from {} to {}.",
                backup.name, plan.from_site, plan.to_site
            );
            return Ok(Told::line(would).and_line(loss));
        }
        let now = self.begin(&backup.name, Spec::Failover(options), Some(1)).await?;
        self.ended_shipping(None, &now, Some(&plan))
    }

    fn ended_shipping(&self, before: Option<&OperationView>, now: &OperationView, plan: Option<&Plan>) -> Answer<Told> {
        if done(now, "end-shipping").is_none() {
            return Err(match &now.asks {
                Some(question) if question.details["answer"] == "fence" => {
                    no_evidence("the other site").next(format!("{END_SHIPPING}, @fence = 'attested:WHY'"))
                }
                _ => stopped(now),
            });
        }
        let told = tell(before, now)
            .with_json(json!({ "operation": now.id, "steps": now.steps, "loss": plan.map(|p| p.loss) }));
        Ok(match plan {
            Some(plan) => told.and_line(sentence(&format!("As things are, {}", plan.loss_told))),
            None => told,
        })
    }

    /// Steps 2 and 3.
    pub(super) async fn steps_2_and_3(&self, what_if: bool) -> Answer<Told> {
        let pool = self.look().await?;
        let failover = begun(&pool, "end-shipping", "Step 1 lacks: log shipping has not ended", END_SHIPPING)?;
        if what_if {
            let plan = self.plan(&failover.instance, &options_of(failover)).await?;
            let share = plan.share.as_ref().ok_or_else(|| not_allowed(&plan))?;
            let told = share.lines().into_iter().fold(Told::nothing(), |told, line| told.and_line(sentence(&line)));
            return Ok(
                told.and_line(sentence(&format!("{} would copy and replay it; {}", failover.instance, plan.loss_told)))
            );
        }
        let now = self.apply(failover).await?;
        let told = tell(Some(failover), &now);
        let told = if told.parts().is_empty() { Told::line("The log was copied and replayed already.") } else { told };
        let loss = self.loss_of(&now);
        Ok(match &loss {
            Some(loss) => told.and_line(sentence(&loss.told())),
            None => told,
        }
        .with_json(json!({ "operation": now.id, "steps": now.steps, "loss": loss })))
    }

    /// Goes on until the log is replayed and what is lost is known.
    async fn apply(&self, failover: &OperationView) -> Answer<OperationView> {
        if done(failover, "confirm").is_some() || asks_for_loss(failover) {
            return Ok(failover.clone());
        }
        let now = self.go(failover, Go { through: Some(3), answers: Default::default() }).await?;
        if done(&now, "apply").is_some() && (asks_for_loss(&now) || now.state == OperationState::Paused) {
            return Ok(now);
        }
        Err(stopped(&now))
    }

    /// What is lost, as the procedure asks for it; from now on it has been shown.
    fn loss_of(&self, view: &OperationView) -> Option<Loss> {
        let loss: Loss = serde_json::from_value(view.asks.as_ref()?.details["loss"].clone()).ok()?;
        if loss.known {
            self.shows(loss.at_most);
        }
        Some(loss)
    }

    /// Step 4.
    pub(super) async fn step_4(&self, accept_loss: Option<u64>, what_if: bool) -> Answer<Told> {
        let pool = self.look().await?;
        let failover = begun(&pool, "end-shipping", "Step 1 lacks: log shipping has not ended", END_SHIPPING)?;
        if let Some(step) = done(failover, "epoch") {
            return Ok(Told::line(sentence(&format!("The database takes writes already: {}", step.observed))));
        }
        let mut before = failover.clone();
        if done(failover, "apply").is_none() {
            self.nothing_is_left(&pool, failover).await?;
            if what_if {
                let plan = self.plan(&failover.instance, &options_of(failover)).await?;
                if plan.loss.known {
                    self.shows(plan.loss.at_most);
                }
                return Ok(would_open(failover, &plan.loss_told));
            }
            // Nothing is to be copied; what was received is replayed, and counted.
            before = self.apply(failover).await?;
        }
        let limit = self.limit(accept_loss);
        let loss = self.loss_of(&before);
        let answers = match loss {
            Some(loss) => {
                if what_if {
                    return Ok(would_open(failover, &loss.told()));
                }
                acceptable(&loss, limit)?
            }
            None if what_if => return Ok(would_open(failover, "what would be lost was accepted")),
            None => Default::default(),
        };
        let now = self.go(&before, Go { through: Some(4), answers }).await?;
        if done(&now, "epoch").is_none() {
            return Err(stopped(&now));
        }
        let told = tell(Some(failover), &now);
        Ok(told.with_json(json!({ "operation": now.id, "steps": now.steps, "loss": loss })))
    }

    /// The log on the share must have been replayed, or there must be none that was not.
    async fn nothing_is_left(&self, pool: &Pool<'_>, failover: &OperationView) -> Answer<()> {
        let plan = self.plan(&failover.instance, &options_of(failover)).await?;
        let Some(share) = &plan.share else { return Err(not_allowed(&plan)) };
        let standby = pool.report(&failover.instance).and_then(|r| r.status.server.as_ref()?.standby.as_ref());
        let replayed = standby.and_then(|s| s.replayed);
        let faults: Vec<String> = share.faults().map(|(file, fault)| format!("{file} {fault}")).collect();
        let lacks = |why: String| Err(Refusal::refused(format!("Steps 2 and 3 lack: {why}.")).next(RESTORE_LOG));
        match &share.target {
            _ if !faults.is_empty() => lacks(format!("the log on the share is not whole ({})", faults.join("; "))),
            Some(target) if replayed.is_none_or(|r| r <= target.record) => {
                lacks(format!("log up to {} is on the share and was not replayed", target.end))
            }
            _ => Ok(()),
        }
    }

    /// Step 5.
    pub(super) async fn step_5(&self, state: PoolState, what_if: bool) -> Answer<Told> {
        let pool = self.look().await?;
        let Some(failover) = failover(&pool) else {
            let now = self.state_now(&pool)?;
            if now == state {
                return Ok(Told::line(format!(
                    "The state of {} is {} already.",
                    self.topology().pool.fqdn,
                    state.as_str()
                )));
            }
            return Err(Refusal::refused(format!(
                "Step 4 lacks: the pool lives in {}, and its state follows from that. It changes when the pool moves.",
                pool.roles.primary.site
            ))
            .next(END_SHIPPING));
        };
        begun(&pool, "epoch", "Step 4 lacks: the database does not take writes yet", RESTORE_DATABASE)?;
        let site = self.topology().instance(&failover.instance).map_or("", |i| i.site.as_str());
        let first = self.topology().first_primary().is_some_and(|i| i.site == site);
        let right = if first { PoolState::Normal } else { PoolState::FailedOver };
        if state != right {
            let why =
                format!("{} fails over to {site}, and a pool that lives there is {}.", failover.title, right.as_str());
            return Err(Refusal::refused(why).next(format!(
                "Set-CsPersistentChatState -Identity \"service:{}\" -PoolState {}",
                self.topology().pool.fqdn,
                right.as_str()
            )));
        }
        if let Some(step) = done(failover, "state") {
            return Ok(Told::line(sentence(&format!("It was set already: {}", step.observed))));
        }
        if what_if {
            return Ok(Told::line(format!("The state of {} would be {}.", self.topology().pool.fqdn, state.as_str())));
        }
        let now = self.go(failover, Go { through: Some(5), answers: Default::default() }).await?;
        self.went(failover, &now, "state")
    }

    /// Step 6, of a failover that is not over.
    pub(super) async fn step_6(&self, failover: &OperationView, primary: &str, what_if: bool) -> Answer<Told> {
        if done(failover, "state").is_none() {
            let set =
                format!("Set-CsPersistentChatState -Identity \"service:{}\" -PoolState ...", self.topology().pool.fqdn);
            return Err(Refusal::refused("Step 5 lacks: the state of the pool was not set.").next(set));
        }
        if failover.instance != primary {
            return Err(Refusal::refused(format!("{primary} is not the new primary: {} is.", failover.instance)));
        }
        if let Some(step) = done(failover, "mirror") {
            return Ok(Told::line(sentence(&format!("It has its mirror already: {}", step.observed))));
        }
        if what_if {
            return Ok(Told::line(format!("{primary} would get its mirror, and commits would wait for it.")));
        }
        let now = self.go(failover, Go { through: Some(6), answers: Default::default() }).await?;
        if done(&now, "mirror").is_none() && now.state == OperationState::Paused {
            return Err(
                Refusal::refused("This failover was begun with clients before the mirror.").next(active_servers())
            );
        }
        self.went(failover, &now, "mirror")
    }

    /// Step 7: the list, and then what is left to the end.
    pub(super) async fn step_7(
        &self,
        failover: &OperationView,
        list: &[String],
        far: bool,
        what_if: bool,
    ) -> Answer<Told> {
        let in_order = options_of(failover).in_order;
        if done(failover, "state").is_none() || (in_order && done(failover, "mirror").is_none()) {
            let (lacks, line) = match done(failover, "state") {
                None => ("Step 5 lacks: the state of the pool was not set.", "Set-CsPersistentChatState"),
                Some(_) => ("Step 6 lacks: the new primary has no mirror.", "Install-CsMirrorDatabase"),
            };
            return Err(Refusal::refused(lacks).next(line));
        }
        if what_if {
            return Ok(Told::line(format!("Clients would be taken by {}.", shown(list))));
        }
        let answers = [("servers".to_owned(), json!(list)), ("far".to_owned(), json!(far))].into_iter().collect();
        let now = self.go(failover, Go { through: None, answers }).await?;
        self.went(failover, &now, "servers")
    }

    fn went(&self, before: &OperationView, now: &OperationView, step: &str) -> Answer<Told> {
        if done(now, step).is_none() {
            return Err(stopped(now));
        }
        let told =
            tell(Some(before), now).with_json(json!({ "operation": now.id, "steps": now.steps, "result": now.result }));
        Ok(match now.state {
            OperationState::Done => told.and_line(sentence(&format!("{} is over", now.title))),
            _ => told,
        })
    }

    async fn plan(&self, instance: &str, options: &FailoverOptions) -> Answer<Plan> {
        self.post(instance, "/v1/failover/plan", &PlanOptions { options: options.clone() }).await
    }
}

/// The failover that is not over, in which `step` was done.
fn begun<'a>(pool: &'a Pool<'_>, step: &str, lacks: &str, line: &str) -> Answer<&'a OperationView> {
    let lacks = || Refusal::refused(format!("{lacks}.")).next(line);
    let failover = failover(pool).ok_or_else(lacks)?;
    if failover.state.is_running() {
        let why = format!("{} is being carried out, begun by {}.", failover.title, failover.by);
        return Err(Refusal::refused(why).next("holdfast failover status"));
    }
    done(failover, step).ok_or_else(lacks)?;
    Ok(failover)
}

fn options_of(failover: &OperationView) -> FailoverOptions {
    // As the agent keeps them: with the name of the procedure.
    let mut options = failover.options.clone();
    if let Some(fields) = options.as_object_mut() {
        fields.remove("procedure");
    }
    serde_json::from_value(options).unwrap_or_default()
}

fn asks_for_loss(view: &OperationView) -> bool {
    view.asks.as_ref().is_some_and(|q| q.details["answer"] == "accept-loss")
}

/// The answer that accepts a loss, if it may be accepted.
fn acceptable(loss: &Loss, limit: Option<u64>) -> Answer<std::collections::BTreeMap<String, Value>> {
    if !loss.known {
        return Err(
            Refusal::refused(sentence(&loss.told())).next("holdfast failover resume, which lets you pass that over")
        );
    }
    let accept = || format!("{RESTORE_DATABASE}, accept_loss = {}", loss.at_most);
    match limit {
        Some(limit) if loss.at_most <= limit => Ok([("accept-loss".to_owned(), json!(limit))].into_iter().collect()),
        Some(limit) => {
            let why = format!("{} Up to {limit} were accepted.", sentence(&loss.told()));
            Err(Refusal::refused(why).next(accept()))
        }
        None => {
            let why = format!("{} Nobody has accepted that.", sentence(&loss.told()));
            Err(Refusal::refused(why).next(accept()))
        }
    }
}

fn would_open(failover: &OperationView, loss: &str) -> Told {
    let would =
        format!("{} would end its connections, claim the next epoch and open mgc for writing.", failover.instance);
    Told::line(would).and_line(sentence(loss)).and_line("There is no way back from it.")
}

fn no_evidence(site: &str) -> Refusal {
    Refusal::refused(format!("It is not known why {site} takes no messages any more."))
        .next(format!("{END_SHIPPING}, @fence = 'attested:HOW YOU KNOW'; or start the shell with --fence"))
}

fn not_allowed(plan: &Plan) -> Refusal {
    let red: Vec<_> = plan.checks.iter().filter(|c| c.light == Light::Red).collect();
    let told: Vec<String> = red.iter().map(|c| format!("{} ({})", c.told, c.name)).collect();
    let why = format!("{} of {} checks are red: {}.", red.len(), plan.checks.len(), told.join("; "));
    let next: Vec<&str> = red.iter().map(|c| c.remedy.as_str()).filter(|r| !r.is_empty()).collect();
    Refusal::refused(why).next(if next.is_empty() { "holdfast failover plan".into() } else { next.join("; ") })
}

fn active_servers() -> &'static str {
    "Set-CsPersistentChatActiveServer -ActiveServers @{Add=\"...\"}"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loss(at_least: u64, at_most: u64, known: bool) -> Loss {
        Loss { at_least, at_most, seconds: 0.4, here: 100, known }
    }

    #[test]
    fn a_loss_is_accepted_only_as_far_as_it_was_shown_or_said() {
        assert_eq!(acceptable(&loss(2, 40, true), Some(40)).unwrap()["accept-loss"], 40);
        let more = acceptable(&loss(2, 41, true), Some(40)).unwrap_err();
        assert!(more.reason.contains("2 to 41") && more.reason.contains("Up to 40"), "{}", more.reason);
        assert_eq!(more.next.unwrap(), "restore database mgc with recovery, accept_loss = 41");
        assert!(acceptable(&loss(0, 0, true), None).unwrap_err().reason.contains("Nobody has accepted"));
        assert!(
            acceptable(&loss(0, u64::MAX, false), Some(u64::MAX)).is_err(),
            "what is not known cannot be accepted by a number"
        );
    }
}
