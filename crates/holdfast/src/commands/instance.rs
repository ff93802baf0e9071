//! `holdfast instance`: the PostgreSQL servers of a pool, as their agents see them.

use super::shared::would_change;
use super::sites::{Agents, Seen, SiteArgs};
use crate::cli::WhatIf;
use crate::exit::{Exit, refused};
use crate::output::{Output, table, text};
use anyhow::Result;
use clap::Subcommand;
use holdfast_continuity::agent::order::Order;
use holdfast_continuity::agent::report::Report;
use holdfast_continuity::agent::state::Place;
use serde_json::{Value, json};

/// What can be done with instances.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Make the pool's first primary
    #[command(
        after_help = "Makes the shares, the database and epoch 1. Then come `holdfast mirror install`, `holdfast shipping resume` and `holdfast mirror install --site` of the other site.\n\nExample:\n  holdfast instance create atl-db-1.litwareinc.com"
    )]
    Create {
        /// Its name; the topology says that it is primary
        name: String,
        /// The size of its log's segments in MiB, a power of two; smaller ones are shipped sooner
        #[arg(long, value_name = "MIB", default_value_t = 16)]
        segment_mib: u32,
        #[command(flatten)]
        what_if: WhatIf,
        #[command(flatten)]
        sites: SiteArgs,
    },
    /// Show all of them: roles, positions, what they wait for
    #[command(
        after_help = "BEHIND is how much of the log it has not got yet, and the messages that are in it.\n\nExample:\n  holdfast instance list"
    )]
    List {
        #[command(flatten)]
        sites: SiteArgs,
    },
    /// Show one with everything that its agent says
    #[command(after_help = "Example:\n  holdfast instance show bos-db-1.litwareinc.com")]
    Show {
        /// Its name
        name: String,
        #[command(flatten)]
        sites: SiteArgs,
    },
    /// Start one that was stopped, as what it was
    #[command(after_help = "Example:\n  holdfast instance start atl-db-2.litwareinc.com")]
    Start {
        /// Its name
        name: String,
        #[command(flatten)]
        sites: SiteArgs,
    },
    /// Stop one in order; it stays down until it is started
    #[command(
        after_help = "A primary that is stopped ends the service: switch over first.\n\nExample:\n  holdfast instance stop atl-db-2.litwareinc.com --what-if"
    )]
    Stop {
        /// Its name
        name: String,
        /// Stop it although it is the primary
        #[arg(long)]
        primary: bool,
        #[command(flatten)]
        what_if: WhatIf,
        #[command(flatten)]
        sites: SiteArgs,
    },
}

/// Does it.
pub(crate) async fn run(verb: Verb, out: Output) -> Result<Exit> {
    match verb {
        Verb::Create { name, segment_mib, what_if, sites } => {
            let agents = sites.agents(out)?;
            if what_if.what_if {
                agents.remote(&name)?;
                return Ok(would_change(out, &[format!("make {name} the primary of {}", agents.topology.pool.fqdn)]));
            }
            obey(&agents, &name, &Order::Create { segment_mib }).await
        }
        Verb::List { sites } => list(&sites.agents(out)?).await,
        Verb::Show { name, sites } => {
            let agents = sites.agents(out)?;
            let report: Report = agents.get(&name, "/v1/report?fresh=true").await?;
            let value = serde_json::to_value(&report)?;
            out.value(&value, |value| serde_json::to_string_pretty(value).unwrap_or_default());
            Ok(Exit::Done)
        }
        Verb::Start { name, sites } => obey(&sites.agents(out)?, &name, &Order::Start).await,
        Verb::Stop { name, primary, what_if, sites } => {
            let agents = sites.agents(out)?;
            let seen = agents.look().await?;
            let is_primary = seen.report(&name).is_some_and(|r| r.place == Place::Primary);
            if is_primary && !primary {
                return Err(refused(format!(
                    "{name} is the primary: switch over first (`holdfast switchover`), or insist with --primary"
                )));
            }
            if what_if.what_if {
                return Ok(would_change(out, &[format!("stop {name}")]));
            }
            obey(&agents, &name, &Order::Stop).await
        }
    }
}

async fn obey(agents: &Agents, name: &str, order: &Order) -> Result<Exit> {
    let obeyed = agents.order(name, order).await?;
    agents.out.value(&json!({ "instance": name, "told": obeyed.told, "details": obeyed.details }), |v| text(v, "told"));
    Ok(Exit::Done)
}

async fn list(agents: &Agents) -> Result<Exit> {
    let seen = agents.look().await?;
    let items: Vec<Value> = seen
        .reports
        .iter()
        .map(|(place, report)| item(&seen, &place.name, &place.site, report.as_ref().ok()))
        .collect();
    let value = json!({ "pool": agents.topology.pool.fqdn, "epoch": seen.epoch, "primary": seen.roles.primary.name, "items": items });
    agents.out.value(&value, |value| {
        format!(
            "Pool   {}, epoch {}\n\n{}",
            text(value, "pool"),
            text(value, "epoch"),
            table(
                value["items"].as_array().map_or(&[], Vec::as_slice),
                &[
                    ("INSTANCE", |v| text(v, "name")),
                    ("SITE", |v| text(v, "site")),
                    ("ROLE", |v| text(v, "role")),
                    ("IS", |v| text(v, "is")),
                    ("AT", |v| text(v, "position")),
                    ("BEHIND", behind),
                    ("NOTE", noted),
                ],
            )
        )
    });
    Ok(Exit::Done)
}

/// One line of the list.
pub(crate) fn item(seen: &Seen<'_>, name: &str, site: &str, report: Option<&Report>) -> Value {
    let role = seen.roles.role_of(name).map(|r| r.word());
    let Some(report) = report else {
        return json!({ "name": name, "site": site, "role": role, "is": "silent", "position": null, "behind_bytes": null,
            "behind_entries": null, "protection": null, "note": "its agent does not answer", "alarms": [] });
    };
    let primary = seen.primary();
    let bytes = primary.and_then(|p| Some(p.position()?.since(report.position()?)));
    let entries = primary.and_then(|p| Some((p.holds.as_ref()?.entries - report.holds.as_ref()?.entries).max(0)));
    json!({
        "name": name, "site": site, "role": role, "is": is(report), "position": report.position(),
        "timeline": report.status.server.as_ref().map(|s| s.timeline),
        "behind_bytes": bytes, "behind_entries": entries,
        "entries": report.holds.as_ref().map(|h| h.entries),
        "protection": report.protection.word(), "epoch": report.epoch(), "note": report.note, "alarms": report.alarms,
    })
}

fn is(report: &Report) -> &'static str {
    match (&report.place, report.is_up()) {
        (Place::Empty, _) => "empty",
        (Place::Stopped { .. }, _) => "stopped",
        (Place::Fenced { .. }, _) => "fenced",
        (_, false) => "down",
        (Place::Primary, true) if report.serves() => "serving",
        (Place::Primary, true) => "closed",
        (Place::Standby { .. }, true) => "following",
    }
}

/// What it waits for, and what its agent is alarmed about.
fn noted(v: &Value) -> String {
    let alarms = v["alarms"].as_array().into_iter().flatten().map(|alarm| text(alarm, "what"));
    let all: Vec<String> = std::iter::once(text(v, "note")).chain(alarms).filter(|t| !t.is_empty()).collect();
    all.join("; ")
}

fn behind(v: &Value) -> String {
    match (v["behind_bytes"].as_u64(), v["behind_entries"].as_i64()) {
        (Some(0), Some(0)) => "nothing".into(),
        (Some(bytes), entries) => {
            let size = if bytes >= 10 << 20 {
                format!("{} MiB", bytes >> 20)
            } else {
                format!("{} KiB", bytes.div_ceil(1 << 10))
            };
            entries.map_or_else(|| size.clone(), |n| format!("{size}, {n} messages"))
        }
        _ => String::new(),
    }
}
