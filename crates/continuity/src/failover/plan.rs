//! What a failover to this site would do and lose, and whether it may be begun: looked at, never changed.

use super::loss::{Known, Loss};
use super::{Failover, FailoverOptions, copy};
use crate::agent::report::Report;
use crate::agent::{Agent, Told};
use crate::procedure::Procedure;
use crate::roles::Roles;
use holdfast_wal::{Report as ShareCheck, Target};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Instant;

/// How a plan is made.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PlanOptions {
    /// The options that the failover would be begun with.
    pub options: FailoverOptions,
}

/// How a check came out. *Unknown* counts as red.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Light {
    /// As it should be.
    Green,
    /// It may go wrong, and hinders nothing.
    Yellow,
    /// The failover is refused, unless this check is passed over by name.
    Red,
}

/// One thing that was looked at.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Check {
    /// Its name, by which it is passed over.
    pub name: String,
    /// How it is.
    pub light: Light,
    /// What was observed.
    pub told: String,
    /// What to do about it; empty when green.
    pub remedy: String,
}

/// A step as it would be done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PlannedStep {
    /// The runbook's number.
    pub number: u8,
    /// For people.
    pub title: String,
    /// Whether there is no way back after it.
    pub point_of_no_return: bool,
}

/// The plan.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// The pool.
    pub pool: String,
    /// The site that would be left.
    pub from_site: String,
    /// The site that would be live.
    pub to_site: String,
    /// The instance that would take writes.
    pub instance: String,
    /// The epoch now.
    pub epoch: u64,
    /// The epoch then.
    pub next_epoch: u64,
    /// What was looked at.
    pub checks: Vec<Check>,
    /// What would be lost.
    pub loss: Loss,
    /// In words.
    pub loss_told: String,
    /// When the other site's primary was last heard of.
    pub last_heard: Option<Timestamp>,
    /// Whether it answers now.
    pub other_site_answers: bool,
    /// What is on the share beyond what was applied here.
    pub share: Option<ShareCheck>,
    /// Seconds that the machine's part would take, roughly.
    pub estimate_seconds: f64,
    /// The steps.
    pub steps: Vec<PlannedStep>,
    /// Whether it may be begun with the options given.
    pub allowed: bool,
}

impl Plan {
    /// How many checks are green, and how many there are.
    pub fn readiness(&self) -> (usize, usize) {
        (self.checks.iter().filter(|c| c.light == Light::Green).count(), self.checks.len())
    }

    /// The red ones that are not passed over.
    pub fn hindrances<'a>(&'a self, accepted: &'a [String]) -> impl Iterator<Item = &'a Check> {
        self.checks.iter().filter(|c| c.light == Light::Red && !accepted.contains(&c.name))
    }
}

/// Makes the plan.
///
/// # Errors
/// When this agent's instance is not the one that a failover goes to.
pub async fn plan(agent: &Arc<Agent>, asked: &PlanOptions) -> Told<Plan> {
    let options = &asked.options;
    let holder = agent.holder().ok_or("the pool has no primary yet: there is nothing to fail over from")?;
    let roles = Roles::of(agent.topology(), &holder).ok_or("the topology does not name the holder of the epoch")?;
    if roles.primary.site == agent.site() {
        return Err(format!("{} is live already: {holder} holds epoch {}", agent.site(), agent.remembered().epoch()));
    }
    if roles.backup.is_none_or(|b| b.name != agent.name()) {
        let backup = roles.backup.map_or("nobody", |b| b.name.as_str());
        return Err(format!("a failover to {} is carried out by its backup, which is {backup}", agent.site()));
    }
    let own = agent.ask(agent.name()).await.map_err(|e| e.to_string())?;
    let share = match options.without_share {
        true => None,
        false => Some(copy::look_at_share(agent).await.map_err(|e| e.to_string())),
    };
    let loss = expected_loss(agent, &holder, &own, share.as_ref().and_then(|s| s.as_ref().ok()));
    let other_site = hear_once_more(agent, &roles.primary.name).await;
    let mut checks = Checks::default();
    look_at_backup(&mut checks, &own);
    look_at_share(&mut checks, agent, share.as_ref());
    look_at_other_site(&mut checks, other_site, options);
    look_at_this_site(&mut checks, agent, &roles);
    checks.add(
        "loss-known",
        if loss.known { Light::Green } else { Light::Red },
        loss.told(),
        "start the agent here before the other site is lost, or pass this check over knowing that the loss is not known",
    );
    let epoch = agent.remembered().epoch();
    let backlog = share.as_ref().and_then(|s| s.as_ref().ok()).map_or(0, ShareCheck::usable);
    #[allow(clippy::cast_precision_loss, reason = "a rough figure")]
    let estimate_seconds = 2.0 + backlog as f64 * 0.3;
    let failover = Failover::new(Arc::clone(agent), options.clone());
    let steps = failover.steps().iter().map(|s| PlannedStep {
        number: s.number(),
        title: s.title(),
        point_of_no_return: s.is_point_of_no_return(),
    });
    let mut plan = Plan {
        pool: agent.topology().pool.fqdn.clone(),
        from_site: roles.primary.site.clone(),
        to_site: agent.site().to_owned(),
        instance: agent.name().to_owned(),
        epoch,
        next_epoch: next_epoch(epoch),
        loss_told: loss.told(),
        last_heard: agent.heard_of(&holder).map(|h| h.at).or_else(|| agent.others(|o| o.before(&holder).map(|k| k.at))),
        other_site_answers: agent.answering(&holder).is_some(),
        share: share.and_then(Result::ok),
        estimate_seconds,
        steps: steps.collect(),
        allowed: false,
        checks: checks.0,
        loss,
    };
    let hindered = plan.hindrances(&options.accept).next().is_some();
    plan.allowed = !hindered;
    Ok(plan)
}

/// The epoch of a change of site: the next thousand.
pub(super) fn next_epoch(epoch: u64) -> u64 {
    (epoch / super::EPOCHS_OF_A_SITE + 1) * super::EPOCHS_OF_A_SITE
}

#[derive(Default)]
struct Checks(Vec<Check>);

impl Checks {
    fn add(&mut self, name: &str, light: Light, told: impl Into<String>, remedy: &str) {
        let remedy = if light == Light::Green { String::new() } else { remedy.to_owned() };
        self.0.push(Check { name: name.to_owned(), light, told: told.into(), remedy });
    }

    fn red_unless(&mut self, good: bool, name: &str, told: impl Into<String>, remedy: &str) {
        self.add(name, if good { Light::Green } else { Light::Red }, told, remedy);
    }

    fn yellow_unless(&mut self, good: bool, name: &str, told: impl Into<String>, remedy: &str) {
        self.add(name, if good { Light::Green } else { Light::Yellow }, told, remedy);
    }
}

fn look_at_backup(checks: &mut Checks, own: &Report) {
    let Some(server) = &own.status.server else {
        checks.add(
            "backup-runs",
            Light::Red,
            format!("PostgreSQL does not answer: {:?}", own.status.phase),
            "start the backup: `holdfast instance start`",
        );
        return;
    };
    checks.add("backup-runs", Light::Green, "PostgreSQL answers", "");
    checks.red_unless(
        server.in_recovery(),
        "backup-is-standby",
        if server.in_recovery() { "it is a standby" } else { "it is no standby" },
        "build the backup anew",
    );
    let paused = server.standby.as_ref().is_some_and(|s| s.paused);
    checks.red_unless(
        !paused,
        "replay-runs",
        if paused { "replay is paused" } else { "replay is not paused" },
        "SELECT pg_wal_replay_resume()",
    );
    checks.yellow_unless(
        server.checksum_failures == 0,
        "pages-are-whole",
        format!("{} pages with a wrong checksum were met", server.checksum_failures),
        "the disk damages data: build the backup anew on another one",
    );
    if let Some(percent) = own.status.disk.and_then(|disk| disk.free_percent()) {
        checks.red_unless(
            percent >= 3,
            "disk-has-room",
            format!("{percent} % of the disk are free"),
            "make room before anything is copied",
        );
    }
    checks.red_unless(
        own.holds.is_some(),
        "database-answers",
        own.holds.as_ref().map_or_else(
            || "what the database holds cannot be asked".into(),
            |h| format!("it holds {} entries", h.entries),
        ),
        "see the log of PostgreSQL; a pool that was never served has no tables yet",
    );
}

fn look_at_share(checks: &mut Checks, agent: &Agent, share: Option<&Told<ShareCheck>>) {
    match share {
        None => checks.add(
            "share-answers",
            Light::Yellow,
            "the share is passed over, as was said",
            "only what came by streaming is used",
        ),
        Some(Err(why)) => {
            checks.add(
                "share-answers",
                Light::Red,
                why.clone(),
                "mount the share; or go on with what came by streaming alone: --without-share",
            );
        }
        Some(Ok(report)) => {
            checks.add("share-answers", Light::Green, format!("{} answers", report.share), "");
            let faults: Vec<String> = report.faults().map(|(file, fault)| format!("{file} {fault}")).collect();
            checks.red_unless(
                faults.is_empty(),
                "log-is-whole",
                if faults.is_empty() { report.lines().pop().unwrap_or_default() } else { faults.join("; ") },
                "repair the share while the other site lives; or accept that the log ends before the fault: --accept-gap",
            );
        }
    }
    let folder = agent.instance().layout().copy();
    checks.red_unless(folder.is_dir(), "copy-folder", folder.display().to_string(), "make the copy folder");
}

/// Whether the primary answers, and what is told of that. Who answered a moment ago is asked once more: a person does not wait until it is noticed that
/// the site is gone.
async fn hear_once_more(agent: &Arc<Agent>, primary: &str) -> (bool, String) {
    match agent.heard_of(primary) {
        None => (false, format!("{primary} was not heard of since this agent started")),
        Some(heard) if heard.silent_since.is_some() => {
            (false, format!("{primary} has not answered since {}: {}", heard.at, heard.why))
        }
        Some(_) => match agent.ask(primary).await {
            Ok(_) => (true, format!("{primary} answers: that site is alive")),
            Err(why) => (false, format!("{primary} does not answer any more: {why}")),
        },
    }
}

fn look_at_other_site(checks: &mut Checks, (answers, told): (bool, String), options: &FailoverOptions) {
    let planned = matches!(options.fence, Some(super::evidence::FenceSpec::StandDown));
    checks.red_unless(
        !answers || planned,
        "other-site-is-gone",
        told,
        "that site is alive: let it stand down (--fence stand-down), or pass this check over",
    );
    let fence = match &options.fence {
        Some(spec) => (Light::Green, format!("evidence: {spec}")),
        None => (Light::Yellow, "no evidence was given yet that it cannot take messages".to_owned()),
    };
    checks.add("fence-evidence", fence.0, fence.1, "give --fence attested:TEXT, command or stand-down");
}

fn look_at_this_site(checks: &mut Checks, agent: &Agent, roles: &Roles<'_>) {
    match roles.backup_mirror {
        Some(mirror) => {
            let follows = agent.answering(&mirror.name).is_some_and(|r| r.is_up());
            let told = if follows {
                format!("{} answers and runs", mirror.name)
            } else {
                format!("{} does not answer, or does not run", mirror.name)
            };
            checks.yellow_unless(follows, "backup-mirror", told, "the pool will be exposed until it is back");
        }
        None => checks.add(
            "backup-mirror",
            Light::Yellow,
            "the topology names none",
            "the pool will be exposed in this site",
        ),
    }
    let servers = agent.topology().servers_of(agent.site()).count();
    checks.red_unless(
        servers > 0,
        "servers-here",
        format!("{servers} chat servers are in {}", agent.site()),
        "name servers of this site in the topology",
    );
    let first = agent.topology().sites.iter().all(|s| {
        s.share != agent.topology().site(&roles.primary.site).map_or("", |p| p.share.as_str())
            || s.name == roles.primary.site
    });
    checks.red_unless(
        first,
        "share-is-here",
        "the share lies in this site".to_owned(),
        "a share in the lost site is lost with it",
    );
    let days = agent.certificate_days();
    checks.yellow_unless(
        days >= 30,
        "certificate",
        format!("this agent's certificate is valid for {days} more days"),
        "renew it: `holdfast pki renew`",
    );
}

/// What would be lost if the other site were gone now.
fn expected_loss(agent: &Agent, holder: &str, own: &Report, share: Option<&ShareCheck>) -> Loss {
    let known = Known {
        ours: own.holds.as_ref().map_or(0, |h| h.entries),
        ours_at: own.holds.as_ref().and_then(|h| h.newest_at).map(Timestamp::as_millisecond),
        ..known_of(agent, holder)
    };
    Loss::of(&share.and_then(|s| s.target.as_ref()).map_or(known, |target| with_share(known, target)))
}

/// What will be here when the log on the share is applied as well. What was counted when its last segment was shipped lies in part behind that segment: with
/// shipping far behind, most of it. So that may be here, and only what was counted before the end is here for certain.
fn with_share(known: Known, target: &Target) -> Known {
    let entries = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let surely = target.surely.map(|s| (entries(s.entries), s.at.as_millisecond()));
    let (ours, ours_at) = match surely.filter(|(n, _)| *n > known.ours) {
        Some((n, at)) => (n, known.ours_at.max(Some(at))),
        None => (known.ours, known.ours_at),
    };
    Known { ours, ours_at, ours_at_most: target.entries.map(entries), ..known }
}

/// What is known of the primary that is to be left.
pub(super) fn known_of(agent: &Agent, holder: &str) -> Known {
    let of = |report: &Report| {
        let holds = report.holds.as_ref();
        (holds.map(|h| h.entries), holds.and_then(|h| h.newest_at).map(Timestamp::as_millisecond))
    };
    if let Some(heard) = agent.heard_of(holder) {
        let (theirs, theirs_at) = of(&heard.report);
        let until = heard.silent_since.unwrap_or_else(Instant::now);
        // What a report says may be as old as the looks of its agent are apart.
        let unheard_seconds = until.saturating_duration_since(heard.asked).as_secs_f64() + 0.4;
        return Known { theirs, theirs_at, rate: heard.busiest_rate(), unheard_seconds, ..Known::default() };
    }
    agent.others(|others| match others.before(holder) {
        Some(kept) => {
            let (theirs, theirs_at) = of(&kept.report);
            Known { theirs, theirs_at, rate: kept.rate, unheard_seconds: 2.0, ..Known::default() }
        }
        None => Known::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_wal::Lsn;
    use holdfast_wal::verify::Surely;

    #[test]
    fn a_change_of_site_goes_on_to_the_next_thousand() {
        assert_eq!((next_epoch(1), next_epoch(41), next_epoch(1_000), next_epoch(1_999)), (1_000, 1_000, 2_000, 2_000));
    }

    #[test]
    fn log_on_the_share_is_here_as_far_as_it_was_counted_before_its_end() {
        let known = Known {
            theirs: Some(1_000),
            theirs_at: Some(10_000),
            rate: 100.0,
            unheard_seconds: 0.5,
            ours: 600,
            ours_at: Some(6_000),
            ..Known::default()
        };
        let at = |ms| Timestamp::from_millisecond(ms).unwrap();
        let target = |entries, surely: Option<(u64, i64)>| Target {
            record: Lsn(90),
            end: Lsn(100),
            timeline: 1,
            segment: "x".into(),
            entries,
            shipped_at: at(9_900),
            surely: surely.map(|(entries, ms)| Surely { entries, at: at(ms) }),
        };
        let of = |entries, surely| {
            let loss = Loss::of(&with_share(known, &target(entries, surely)));
            (loss.at_least, loss.at_most, loss.seconds)
        };
        assert_eq!(of(Some(980), Some((900, 9_000))), (20, 200, 1.5), "shipping keeps up");
        assert_eq!(of(Some(980), None), (20, 500, 4.5), "shipping is far behind: nothing on the share is certain");
        assert_eq!(of(Some(980), Some((500, 5_000))), (20, 500, 4.5), "more than that was applied already");
        assert_eq!(of(None, Some((900, 9_000))), (100, 200, 1.5));
        assert_eq!(of(Some(1_200), Some((1_010, 10_100))), (0, 90, 0.5), "ahead of what was heard");
    }
}
