//! What the commands about sites share: the topology, who is asked with which certificate, and how a procedure is watched.

use crate::exit::{Exit, Failure, missing, refused, unavailable};
use crate::output::{Output, visible};
use anyhow::Result;
use clap::Args;
use futures_util::future::join_all;
use holdfast_continuity::agent::operations::{Begin, Go, Spec};
use holdfast_continuity::agent::order::{Obeyed, Order};
use holdfast_continuity::agent::report::Report;
use holdfast_continuity::procedure::{OperationState, OperationView, StepState, StepView};
use holdfast_continuity::roles::Roles;
use holdfast_continuity::topology::{InstancePlace, Topology};
use holdfast_continuity::wire::{Remote, RemoteError};
use holdfast_pki::Identity;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// For a question.
pub(crate) const ASKING: Duration = Duration::from_secs(10);
/// For an order; a copy of a large database takes long.
const DOING: Duration = Duration::from_secs(24 * 3_600);
/// Between two looks at what is being carried out.
const MOMENT: Duration = Duration::from_millis(50);
/// For how long an agent that carries something out may be silent, as when it is restarted.
const SILENCE: Duration = Duration::from_secs(60);

/// Which pool, and as whom.
#[derive(Clone, Debug, Args)]
pub(crate) struct SiteArgs {
    /// What describes the pool: sites, instances, servers
    #[arg(long, value_name = "FILE", env = "HOLDFAST_TOPOLOGY", default_value = "/etc/holdfast/topology.toml")]
    pub(crate) topology: PathBuf,
    /// The directory of the certificate with which the agents are asked
    #[arg(long, value_name = "DIR", env = "HOLDFAST_IDENTITY", default_value = "/etc/holdfast/identity")]
    pub(crate) identity: PathBuf,
}

impl SiteArgs {
    /// The topology, checked.
    pub(crate) fn topology(&self) -> Result<Topology> {
        Topology::load(&self.topology).map_err(|e| refused(e.to_string()))
    }

    /// The certificate.
    pub(crate) fn identity(&self) -> Result<Identity> {
        Identity::load(&self.identity).map_err(|e| unavailable(e.to_string()))
    }

    /// The agents.
    pub(crate) fn agents(&self, out: Output) -> Result<Agents> {
        let topology = self.topology()?;
        let identity = self.identity()?;
        let remote = |i: &InstancePlace| Remote::new(&i.name, i.address(), i.agent_port, identity.clone());
        let remotes = topology.instances.iter().map(remote).collect();
        Ok(Agents { topology, remotes, out })
    }
}

/// The agents of a pool.
pub(crate) struct Agents {
    pub(crate) topology: Topology,
    remotes: Vec<Remote>,
    pub(crate) out: Output,
}

/// The pool as its agents see it now.
pub(crate) struct Seen<'a> {
    /// What each agent said, in the topology's order.
    pub(crate) reports: Vec<(&'a InstancePlace, std::result::Result<Report, RemoteError>)>,
    /// Who is what; before the first claim as the topology says.
    pub(crate) roles: Roles<'a>,
    /// The newest epoch; 0 before the first.
    pub(crate) epoch: u64,
}

impl Seen<'_> {
    /// What an instance's agent said, if it did.
    pub(crate) fn report(&self, name: &str) -> Option<&Report> {
        self.reports.iter().find(|(i, _)| i.name == name).and_then(|(_, r)| r.as_ref().ok())
    }

    /// The primary's report.
    pub(crate) fn primary(&self) -> Option<&Report> {
        self.report(&self.roles.primary.name)
    }
}

impl Agents {
    /// Asks all agents how things are.
    pub(crate) async fn look(&self) -> Result<Seen<'_>> {
        let asked = self.remotes.iter().map(|r| r.get::<Report>("/v1/report?fresh=true", ASKING));
        let answers = join_all(asked).await;
        let reports: Vec<_> = self.topology.instances.iter().zip(answers).collect();
        let answered = || reports.iter().filter_map(|(_, r)| r.as_ref().ok());
        if answered().next().is_none() {
            let why: Vec<String> =
                reports.iter().filter_map(|(_, r)| r.as_ref().err()).map(ToString::to_string).collect();
            return Err(unavailable(format!(
                "no agent answers: {}; see whether the agents run, and whether --topology and --identity are those of this pool",
                why.join("; ")
            )));
        }
        let newest = answered().filter_map(|r| r.claims.last()).max_by_key(|c| c.epoch);
        let first = self.topology.first_primary().map(|i| i.name.clone());
        let holder = newest.map(|c| c.holder.clone()).or(first).unwrap_or_default();
        let roles = Roles::of(&self.topology, &holder);
        let roles = roles.ok_or_else(|| {
            refused(format!(
                "{holder} is the primary, and this topology does not name it: use the one that the agents have"
            ))
        })?;
        let epoch = newest.map_or(0, |c| c.epoch);
        Ok(Seen { reports, roles, epoch })
    }

    /// One agent.
    pub(crate) fn remote(&self, name: &str) -> Result<&Remote> {
        let names = || self.topology.instances.iter().map(|i| i.name.as_str()).collect::<Vec<_>>().join(", ");
        let remote = self.remotes.iter().find(|r| r.name() == name);
        remote.ok_or_else(|| missing(format!("the topology names no instance {name}; it has {}", names())))
    }

    /// Asks an agent for something.
    pub(crate) async fn get<T: DeserializeOwned>(&self, instance: &str, path: &str) -> Result<T> {
        self.remote(instance)?.get(path, ASKING).await.map_err(failure)
    }

    /// Has an agent do something.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        instance: &str,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<T> {
        self.remote(instance)?.post(path, body, DOING).await.map_err(failure)
    }

    /// Gives an order.
    pub(crate) async fn order(&self, instance: &str, order: &Order) -> Result<Obeyed> {
        self.post(instance, "/v1/order", order).await
    }

    /// Begins an operation and watches until it rests.
    pub(crate) async fn begin(&self, instance: &str, begin: &Begin) -> Result<OperationView> {
        let begun: OperationView = self.post(instance, "/v1/operation/begin", begin).await?;
        self.watch(instance, &begun).await
    }

    /// Begins one that goes to its end by itself.
    pub(crate) async fn carry_out(&self, instance: &str, spec: Spec) -> Result<OperationView> {
        self.begin(instance, &Begin { spec, through: None, steal: None }).await
    }

    /// Lets an operation go on and watches until it rests.
    pub(crate) async fn go(&self, instance: &str, go: &Go) -> Result<OperationView> {
        let gone: OperationView = self.post(instance, "/v1/operation/go", go).await?;
        self.watch(instance, &gone).await
    }

    /// Watches an operation, saying each step as it is done, until it rests. It is carried out by the agent: that we watch makes no difference to it.
    pub(crate) async fn watch(&self, instance: &str, begun: &OperationView) -> Result<OperationView> {
        let remote = self.remote(instance)?;
        let mut heard = Instant::now();
        let mut said = vec![StepState::Waiting; begun.steps.len()];
        let mut noted = String::new();
        loop {
            match remote.get::<Option<OperationView>>("/v1/operation", ASKING).await {
                Ok(Some(view)) if view.id == begun.id => {
                    heard = Instant::now();
                    for (step, said) in
                        view.steps.iter().zip(said.iter_mut()).filter(|(step, said)| step.state != **said)
                    {
                        if matches!(step.state, StepState::Done | StepState::Failed | StepState::Undone) {
                            self.out.hint(&step_line(step));
                        }
                        *said = step.state;
                    }
                    // What a step that is at work waits for: somebody who does not answer.
                    if let Some(step) = view.steps.iter().find(|s| s.state == StepState::Running)
                        && !step.observed.is_empty()
                        && step.observed != noted
                    {
                        self.out.hint(&step_line(step));
                        noted.clone_from(&step.observed);
                    }
                    if !view.state.is_running() {
                        return Ok(view);
                    }
                }
                Ok(_) => {
                    let what = format!(
                        "{} is not what {instance} carries out any more; see `holdfast failover status`",
                        begun.title
                    );
                    return Err(Failure::new(Exit::Unknown, what).into());
                }
                Err(error) if heard.elapsed() > SILENCE => {
                    let what = format!(
                        "{} goes on, or waits, on {instance}, which does not answer ({error}); see `holdfast failover status`",
                        begun.title
                    );
                    return Err(Failure::new(Exit::Unknown, what).into());
                }
                Err(_) => {}
            }
            tokio::time::sleep(MOMENT).await;
        }
    }
}

/// A step on one line: its number, what it does, what was observed, how long it took.
pub(crate) fn step_line(step: &StepView) -> String {
    let mark = match step.state {
        StepState::Waiting => "waits ",
        StepState::Running => "at it ",
        StepState::Done => "done  ",
        StepState::Failed => "FAILED",
        StepState::Undone => "undone",
    };
    let ms = step.ms.map_or_else(String::new, |ms| format!(" ({:.2} s)", ms as f64 / 1e3));
    let seen = if step.observed.is_empty() { String::new() } else { format!(": {}", visible(&step.observed)) };
    format!("{} {mark} {}{seen}{ms}", step.number, step.title)
}

/// The exit code of an operation that rests, after what it rests on was said.
pub(crate) fn rested(view: &OperationView, out: Output, resume: &str) -> Result<Exit> {
    match view.state {
        OperationState::Done | OperationState::Paused => Ok(Exit::Done),
        // It was refused at the first look, or a person has given it up.
        OperationState::Aborted => match view.steps.iter().find(|s| s.state == StepState::Failed) {
            Some(step) => {
                out.hint(&format!("Refused. {}\nNothing has been changed.", step.observed));
                Ok(Exit::Refused)
            }
            None => Ok(Exit::Done),
        },
        OperationState::Asks => {
            let text = view.asks.as_ref().map_or("a person has to decide", |q| q.text.as_str());
            out.hint(&format!("{text}\n{}\nNext: {resume}", view.unchanged));
            Ok(Exit::Refused)
        }
        OperationState::Stopped | OperationState::Running => {
            let failed = view.steps.iter().find(|s| s.state == StepState::Failed);
            let why = failed.map_or_else(|| "it was broken off".to_owned(), |s| format!("{}: {}", s.title, s.observed));
            out.hint(&format!("Stopped. {why}\n{}\nNext, when the reason is gone: {resume}", view.unchanged));
            Ok(Exit::Refused)
        }
    }
}

/// What an agent's no comes to.
#[allow(clippy::needless_pass_by_value, reason = "as `map_err` wants it")]
pub(crate) fn failure(error: RemoteError) -> anyhow::Error {
    let exit = match &error {
        RemoteError::Unreachable { .. } | RemoteError::Refused { status: 503, .. } => Exit::Unavailable,
        RemoteError::Refused { status: 404, .. } => Exit::Missing,
        RemoteError::Refused { .. } => Exit::Refused,
        RemoteError::Unknown { .. } => Exit::Unknown,
    };
    Failure::new(exit, error.to_string()).into()
}
