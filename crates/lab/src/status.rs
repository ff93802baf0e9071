//! How a lab is now: what runs, who is what, how far everybody is, and what the loss of the live site would cost.

use crate::commands::reports;
use crate::record::{Kind, Process};
use crate::{Lab, names};
use anyhow::Result;
use holdfast_continuity::agent::report::Report;
use holdfast_continuity::failover::plan::{Plan, PlanOptions};
use holdfast_continuity::topology::{InstancePlace, Role};
use holdfast_continuity::wire::Remote;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A plan looks at everything that is on the share.
const PLANNING: Duration = Duration::from_secs(60);

/// A lab at a moment.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Status {
    /// Its directory.
    pub dir: String,
    /// Its pool.
    pub pool: String,
    /// The newest epoch.
    pub epoch: u64,
    /// Whether what is acknowledged is on two machines of the live site.
    pub protection: Option<String>,
    /// Its agents, chat servers, and the witness.
    pub processes: Vec<ProcessNow>,
    /// Its PostgreSQL instances.
    pub instances: Vec<InstanceNow>,
    /// What would be lost if the live site vanished now, in words.
    pub loss: Option<String>,
    /// The same in entries, at most; `None` where that is not known.
    pub loss_entries: Option<u64>,
}

/// A process at a moment.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ProcessNow {
    /// The name of its machine.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Its site.
    pub site: Option<String>,
    /// Its number.
    pub pid: i32,
    /// Whether it runs.
    pub running: bool,
    /// Where a chat server is reached.
    pub address: Option<String>,
}

/// An instance at a moment.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct InstanceNow {
    /// Its name.
    pub name: String,
    /// Its site.
    pub site: String,
    /// What it is; `None` while nobody says so.
    pub role: Option<String>,
    /// Whether PostgreSQL answers.
    pub up: bool,
    /// How far its log is.
    pub position: Option<String>,
    /// Entries that the primary has and this one has not.
    pub behind_entries: Option<i64>,
    /// Seconds between the last entry of the primary and its own.
    pub behind_seconds: Option<f64>,
    /// What is wrong with it, or why its agent does not answer.
    pub note: String,
}

impl Lab {
    /// How it is now.
    ///
    /// # Errors
    /// When what it consists of cannot be read.
    pub async fn status(&self) -> Result<Status> {
        let agents = self.agents()?;
        let reports = reports(&agents).await;
        let known: Vec<&Report> = reports.iter().flatten().collect();
        let primary = known.iter().copied().find(|report| report.role == Some(Role::Primary));
        let newest = known.iter().max_by_key(|report| report.epoch());
        let plan = plan_of(&agents, &known).await;
        Ok(Status {
            dir: self.place.dir().display().to_string(),
            pool: names::POOL.to_owned(),
            epoch: newest.map_or(0, |report| report.epoch()),
            protection: primary.map(|report| report.protection.word().to_owned()),
            processes: self.record.processes.iter().map(|process| self.process_now(process)).collect(),
            instances: agents.iter().zip(&reports).map(|((of, _), report)| instance_now(of, report, primary)).collect(),
            loss: plan.as_ref().map(|plan| plan.loss_told.clone()),
            loss_entries: plan.as_ref().filter(|plan| plan.loss.known).map(|plan| plan.loss.at_most),
        })
    }

    fn process_now(&self, process: &Process) -> ProcessNow {
        let address = (process.kind == Kind::Server).then(|| format!("http://{}", self.record.host(&process.name)));
        ProcessNow {
            name: process.name.clone(),
            kind: process.kind,
            site: process.site.clone(),
            pid: process.pid,
            running: process.is_running(),
            address,
        }
    }
}

/// What a failover would lose now, as the backup's agent sees it.
async fn plan_of(agents: &[(InstancePlace, Remote)], known: &[&Report]) -> Option<Plan> {
    let backup = known.iter().find(|report| report.role == Some(Role::Backup))?;
    let (_, agent) = agents.iter().find(|(of, _)| of.name == backup.instance)?;
    agent.post("/v1/failover/plan", &PlanOptions::default(), PLANNING).await.ok()
}

fn instance_now(of: &InstancePlace, report: &Result<Report>, primary: Option<&Report>) -> InstanceNow {
    let mut now = InstanceNow {
        name: of.name.clone(),
        site: of.site.clone(),
        role: None,
        up: false,
        position: None,
        behind_entries: None,
        behind_seconds: None,
        note: String::new(),
    };
    match report {
        Ok(report) => {
            now.role = report.role.map(|role| role.word().to_owned());
            now.up = report.is_up();
            now.position = report.position().map(|position| position.to_string());
            now.note.clone_from(&report.note);
            if let Some(lag) = primary.and_then(|primary| Lag::between(primary, report)) {
                now.behind_entries = Some(lag.entries);
                now.behind_seconds = Some(lag.seconds);
            }
        }
        Err(error) => now.note = format!("{error:#}"),
    }
    now
}

/// How far somebody is behind somebody else.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Lag {
    pub(crate) entries: i64,
    pub(crate) seconds: f64,
}

impl Lag {
    /// As two reports say that were made at about the same time.
    pub(crate) fn between(primary: &Report, other: &Report) -> Option<Lag> {
        let (theirs, own) = (primary.holds.as_ref()?, other.holds.as_ref()?);
        let seconds = match (theirs.newest_at, own.newest_at) {
            (Some(theirs), Some(own)) => (theirs.as_millisecond() - own.as_millisecond()).max(0) as f64 / 1e3,
            _ => 0.0,
        };
        Some(Lag { entries: (theirs.entries - own.entries).max(0), seconds })
    }
}
