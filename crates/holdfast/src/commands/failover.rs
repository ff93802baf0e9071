//! `holdfast failover`: to the other site, step by step or in one go; the agent carries it out, the terminal watches.

use super::sites::{Agents, SiteArgs, rested, step_line};
use crate::exit::{Exit, missing, refused, usage};
use crate::output::{Output, table, text, visible};
use anyhow::Result;
use clap::{Args, Subcommand};
use holdfast_continuity::agent::operations::{Begin, Go, Spec};
use holdfast_continuity::failover::FailoverOptions;
use holdfast_continuity::failover::evidence::FenceSpec;
use holdfast_continuity::failover::outcome::steps_of;
use holdfast_continuity::failover::plan::{Plan, PlanOptions};
use holdfast_continuity::procedure::{OperationState, OperationView};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead as _, IsTerminal as _};

/// What can be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Say what a failover would do and lose, and what hinders it; changes nothing
    #[command(after_help = "Exit code 1: a check is red.\n\nExample:\n  holdfast failover plan")]
    Plan {
        #[command(flatten)]
        how: How,
        #[command(flatten)]
        sites: SiteArgs,
    },
    /// Fail over
    #[command(
        after_help = "Shows the plan, asks for evidence and for what may be lost, and then lets the agent of the other site carry it out. With --yes nothing is asked: it is refused when evidence is \
                      missing, or more would be lost than --accept-loss says. A red check is passed over only by its own name.\n\nExamples:\n  holdfast failover run\n  holdfast failover run --yes --fence \"attested:power of atl is off, ticket 8813\" --accept-loss 40"
    )]
    Run {
        #[command(flatten)]
        how: How,
        /// Ask nothing
        #[arg(long)]
        yes: bool,
        /// Say what would be done, and change nothing
        #[arg(long, visible_alias = "dry-run")]
        what_if: bool,
        /// Begin although another operation is not over, and say why
        #[arg(long, value_name = "WHY")]
        steal: Option<String>,
        #[command(flatten)]
        sites: SiteArgs,
    },
    /// Do one step of the runbook, 1 to 7; the ones before it must have been done
    #[command(
        after_help = "1 end log shipping, 2 copy, 3 apply, 4 bring up, 5 state, 6 mirror, 7 active servers. The first step begins the operation and needs --fence.\n\nExample:\n  holdfast failover step 1 --fence \"attested:power of atl is off, ticket 8813\""
    )]
    Step {
        /// Which
        #[arg(value_parser = clap::value_parser!(u8).range(1..=7))]
        number: u8,
        #[command(flatten)]
        how: How,
        #[command(flatten)]
        sites: SiteArgs,
    },
    /// Show what is carried out, or was last
    #[command(after_help = "Example:\n  holdfast failover status --json")]
    Status {
        #[command(flatten)]
        sites: SiteArgs,
    },
    /// Go on with what has stopped, or asks
    #[command(
        after_help = "Also for a switchover or a mirror's set-up.\n\nExample:\n  holdfast failover resume --accept-loss 40"
    )]
    Resume {
        #[command(flatten)]
        how: How,
        #[command(flatten)]
        sites: SiteArgs,
    },
    /// Give up what has stopped, and undo what was done of it; refused past the point of no return
    #[command(after_help = "Example:\n  holdfast failover abort")]
    Abort {
        #[command(flatten)]
        sites: SiteArgs,
    },
}

/// How.
#[derive(Debug, Args)]
pub(crate) struct How {
    /// Why the other site cannot take messages: attested:TEXT, command or stand-down
    #[arg(long, value_name = "EVIDENCE")]
    fence: Option<FenceSpec>,
    /// How many messages and changes may be lost
    #[arg(long, value_name = "N")]
    accept_loss: Option<u64>,
    /// Go on although the log on the share has a fault: up to the fault, and no further
    #[arg(long)]
    accept_gap: bool,
    /// Go on without the share, with what came by streaming alone
    #[arg(long)]
    without_share: bool,
    /// The servers that take clients afterwards [default: those of the other site]
    #[arg(long, value_name = "NAME")]
    server: Vec<String>,
    /// Let a server take clients that is far from the database
    #[arg(long)]
    far: bool,
    /// Pass over a red check, or the last proof (`prove`), by its name
    #[arg(long, value_name = "CHECK")]
    accept: Vec<String>,
}

impl How {
    fn options(&self, in_order: bool) -> FailoverOptions {
        FailoverOptions {
            fence: self.fence.clone(),
            accept_loss: self.accept_loss,
            accept_gap: self.accept_gap,
            without_share: self.without_share,
            servers: self.server.clone(),
            far: self.far,
            in_order,
            accept: self.accept.clone(),
        }
    }

    fn answers(&self) -> BTreeMap<String, Value> {
        let fence = self.fence.as_ref().and_then(|f| serde_json::to_value(f).ok()).map(|v| ("fence".to_owned(), v));
        let loss = self.accept_loss.map(|n| ("accept-loss".to_owned(), json!(n)));
        let servers = (!self.server.is_empty()).then(|| ("servers".to_owned(), json!(self.server)));
        let far = self.far.then(|| ("far".to_owned(), json!(true)));
        let accept = (!self.accept.is_empty()).then(|| ("accept".to_owned(), json!(self.accept)));
        fence.into_iter().chain(loss).chain(servers).chain(far).chain(accept).collect()
    }
}

/// Does it.
pub(crate) async fn run(verb: Verb, out: Output) -> Result<Exit> {
    match verb {
        Verb::Plan { how, sites } => {
            let agents = sites.agents(out)?;
            let plan = plan(&agents, &how).await?;
            out.value(&serde_json::to_value(&plan)?, |_| plan_text(&plan));
            Ok(if plan.allowed { Exit::Done } else { Exit::Refused })
        }
        Verb::Run { how, yes, what_if, steal, sites } => {
            let agents = sites.agents(out)?;
            if what_if {
                let plan = plan(&agents, &how).await?;
                out.value(&json!({ "what_if": true, "plan": plan }), |_| plan_text(&plan));
                return Ok(if plan.allowed { Exit::Done } else { Exit::Refused });
            }
            go(&agents, how, yes, steal).await
        }
        Verb::Step { number, how, sites } => step(&sites.agents(out)?, number, &how).await,
        Verb::Status { sites } => {
            let agents = sites.agents(out)?;
            let Some(view) = newest(&agents).await? else {
                out.value(&Value::Null, |_| "Nothing was ever carried out here.".into());
                return Ok(Exit::Done);
            };
            out.value(&serde_json::to_value(&view)?, |_| view_text(&view));
            Ok(Exit::Done)
        }
        Verb::Resume { how, sites } => {
            let agents = sites.agents(out)?;
            let view = unfinished(&agents).await?;
            let view = agents.go(&view.instance, &Go { through: None, answers: how.answers() }).await?;
            finish(&agents, &view)
        }
        Verb::Abort { sites } => {
            let agents = sites.agents(out)?;
            let view = unfinished(&agents).await?;
            let view: OperationView = agents.post(&view.instance, "/v1/operation/abort", &json!({})).await?;
            out.value(&serde_json::to_value(&view)?, |_| view_text(&view));
            rested(&view, out, "holdfast failover abort")
        }
    }
}

/// The instance that a failover goes to: the backup.
async fn target(agents: &Agents) -> Result<String> {
    let seen = agents.look().await?;
    let backup = seen.roles.backup.ok_or_else(|| refused("there is no other site to fail over to"))?;
    Ok(backup.name.clone())
}

async fn plan(agents: &Agents, how: &How) -> Result<Plan> {
    let target = target(agents).await?;
    agents.post(&target, "/v1/failover/plan", &PlanOptions { options: how.options(false) }).await
}

async fn go(agents: &Agents, mut how: How, yes: bool, steal: Option<String>) -> Result<Exit> {
    let target = target(agents).await?;
    if !yes {
        if !std::io::stdin().is_terminal() {
            return Err(usage(
                "there is nobody to be asked: give --yes with --fence and --accept-loss, or look first with --what-if",
            ));
        }
        let plan = plan(agents, &how).await?;
        agents.out.hint(&plan_text(&plan));
        if how.fence.is_none() {
            let said = ask(
                agents,
                &format!(
                    "Why can {} not take messages any more? (attested:TEXT, command or stand-down)",
                    plan.from_site
                ),
            )?;
            how.fence = Some(said.parse().map_err(refused)?);
        }
        if ask(agents, &format!("To fail over to {}, type the name of the pool ({})", plan.to_site, plan.pool))?
            != plan.pool
        {
            return Err(refused("that is not the name of the pool: nothing was changed"));
        }
    } else if how.fence.is_none() || how.accept_loss.is_none() {
        return Err(usage("with --yes nothing is asked: give --fence and --accept-loss"));
    }
    let spec = Spec::Failover(how.options(false));
    let mut view = agents.begin(&target, &Begin { spec, through: None, steal }).await?;
    while view.state == OperationState::Asks && !yes {
        let question = view.asks.clone().map_or_else(String::new, |q| q.text);
        let name = view.asks.as_ref().map(|q| text(&q.details, "answer")).unwrap_or_default();
        let said = ask(agents, &question)?;
        let answer = if name == "accept-loss" {
            json!(
                said.parse::<u64>()
                    .map_err(|_| refused(format!("{said:?} is no number; `holdfast failover resume` asks again")))?
            )
        } else {
            serde_json::to_value(said.parse::<FenceSpec>().map_err(refused)?)?
        };
        view = agents.go(&target, &Go { through: None, answers: [(name, answer)].into() }).await?;
    }
    finish(agents, &view)
}

async fn step(agents: &Agents, number: u8, how: &How) -> Result<Exit> {
    let open = newest(agents).await?.filter(|v| v.kind == "failover" && !v.state.is_over());
    let view = match open {
        Some(view) => {
            let undone = view
                .steps
                .iter()
                .filter(|s| s.number > 0 && s.number < number)
                .find(|s| s.state != holdfast_continuity::procedure::StepState::Done);
            if let Some(step) = undone {
                return Err(refused(format!("step {} comes first and is not done: {}", step.number, step.title)));
            }
            let through = Some(if number == 7 { 8 } else { number });
            agents.go(&view.instance, &Go { through, answers: how.answers() }).await?
        }
        None if number == 1 => {
            let target = target(agents).await?;
            let spec = Spec::Failover(how.options(true));
            agents.begin(&target, &Begin { spec, through: Some(1), steal: None }).await?
        }
        None => return Err(refused("no failover was begun: step 1 comes first")),
    };
    finish(agents, &view)
}

fn finish(agents: &Agents, view: &OperationView) -> Result<Exit> {
    let mut value = serde_json::to_value(view)?;
    value["done_steps"] = serde_json::to_value(steps_of(view))?;
    agents.out.value(&value, |_| match view.state {
        OperationState::Done if view.kind == "failover" => outcome_text(view),
        _ => view_text(view),
    });
    rested(view, agents.out, "holdfast failover resume")
}

fn ask(agents: &Agents, question: &str) -> Result<String> {
    agents.out.hint(question);
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

/// What was begun last, anywhere in the pool.
async fn newest(agents: &Agents) -> Result<Option<OperationView>> {
    let seen = agents.look().await?;
    let views = seen.reports.iter().filter_map(|(_, r)| r.as_ref().ok()?.operation.clone());
    Ok(views.max_by_key(|v| (!v.state.is_over(), v.begun)))
}

async fn unfinished(agents: &Agents) -> Result<OperationView> {
    let view = newest(agents).await?.filter(|v| !v.state.is_over());
    view.ok_or_else(|| missing("nothing is being carried out that is not over"))
}

fn plan_text(plan: &Plan) -> String {
    let checks: Vec<Value> = plan.checks.iter().filter_map(|c| serde_json::to_value(c).ok()).collect();
    let (green, of) = plan.readiness();
    let heard = plan.last_heard.map_or_else(|| "never".to_owned(), |t| t.strftime("%Y-%m-%d %H:%M:%S UTC").to_string());
    let steps: Vec<String> = plan
        .steps
        .iter()
        .map(|s| {
            format!(
                "  {}  {}{}",
                s.number,
                s.title,
                if s.point_of_no_return { "   <- no way back from here" } else { "" }
            )
        })
        .collect();
    format!(
        "Fail over {} from {} to {}: {} would be primary, under epoch {} (now {})\n\
         {} was last heard of at {heard}{}\n\
         Loss      {}\nTime      about {:.0} s\nReadiness {green} of {of}\n\n{}\n\nSteps\n{}",
        plan.pool,
        plan.from_site,
        plan.to_site,
        plan.instance,
        plan.next_epoch,
        plan.epoch,
        plan.from_site,
        if plan.other_site_answers { ", and answers now" } else { "" },
        plan.loss_told,
        plan.estimate_seconds,
        table(
            &checks,
            &[
                ("CHECK", |v| text(v, "name")),
                ("IS", |v| text(v, "light")),
                ("SEEN", |v| text(v, "told")),
                ("WHAT TO DO", |v| text(v, "remedy")),
            ]
        ),
        steps.join("\n")
    )
}

fn view_text(view: &OperationView) -> String {
    let state = match view.state {
        OperationState::Running => "is being carried out",
        OperationState::Paused => "is as far as was asked for",
        OperationState::Asks => "waits for an answer",
        OperationState::Stopped => "has stopped",
        OperationState::Done => "is over",
        OperationState::Aborted => "was given up, and everything undone",
    };
    let steps: Vec<String> = view.steps.iter().map(step_line).collect();
    let asks = view.asks.as_ref().map_or_else(String::new, |q| format!("\n{}", visible(&q.text)));
    format!(
        "{} {state} (begun by {} at {}, on {})\n{}\n{}{asks}",
        view.title,
        view.by,
        view.begun.strftime("%Y-%m-%d %H:%M:%S UTC"),
        view.instance,
        steps.join("\n"),
        view.unchanged
    )
    .trim_end()
    .to_owned()
}

fn outcome_text(view: &OperationView) -> String {
    let r = &view.result;
    let seconds: u64 = view.steps.iter().filter_map(|s| s.ms).sum();
    let fence = format!(
        "{} ({})",
        text(&r["fence"], "given"),
        if r["fence"]["verified"] == true { "verified" } else { "not verified by a machine" }
    );
    format!(
        "{} is live: {} takes writes under epoch {}, timeline {} from {} on\n\
         Lost       {}\nFence      {fence}\nProtection {}\nActive     {}\nSteps took {:.2} s\nJournal    {} on {}",
        text(r, "to_site"),
        text(r, "primary"),
        text(r, "epoch"),
        text(r, "timeline"),
        text(r, "fork"),
        text(r, "loss_told"),
        text(r, "protection"),
        text(r, "active"),
        seconds as f64 / 1e3,
        view.id,
        view.instance
    )
}
