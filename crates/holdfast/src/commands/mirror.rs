//! `holdfast mirror`, `holdfast switchover` and `holdfast shipping`: what keeps the other machines up to date.

use super::instance::item;
use super::shared::{print_would, would_change};
use super::sites::{Agents, SiteArgs, rested};
use crate::cli::WhatIf;
use crate::exit::{Exit, missing, refused};
use crate::output::{Output, text};
use anyhow::Result;
use clap::{Args, Subcommand};
use holdfast_continuity::agent::operations::Spec;
use holdfast_continuity::agent::order::Order;
use holdfast_continuity::agent::report::Report;
use holdfast_continuity::agent::retain::{PruneOptions, Pruned, PrunedShare};
use holdfast_continuity::agent::state::{Fetch, Place};
use holdfast_continuity::failover::evidence::FenceSpec;
use holdfast_continuity::mirror::MirrorOptions;
use holdfast_continuity::procedure::OperationState;
use holdfast_continuity::switchover::SwitchoverOptions;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// What can be done with mirrors.
#[derive(Debug, Subcommand)]
pub(crate) enum Mirror {
    /// Build the mirror of a site's instance: copied, verified, attached, caught up, and only then waited for
    #[command(
        after_help = "Of the site that is live, commits wait for the mirror from then on. Of the other one, it follows the backup until it is needed.\n\nExamples:\n  holdfast mirror install\n  holdfast mirror install --site bos\n  holdfast mirror install --anew"
    )]
    Install {
        /// Of which site [default: the one that is live]
        #[arg(long)]
        site: Option<String>,
        /// Copy it although it has data that follows; what it has is put aside
        #[arg(long)]
        anew: bool,
        #[command(flatten)]
        what_if: WhatIf,
        #[command(flatten)]
        sites: SiteArgs,
    },
    /// Go on without the mirror, on record, and stop it
    #[command(
        after_help = "What is acknowledged from then on is on one machine only.\n\nExample:\n  holdfast mirror remove --what-if"
    )]
    Remove {
        #[command(flatten)]
        what_if: WhatIf,
        #[command(flatten)]
        sites: SiteArgs,
    },
    /// Show the primary, its mirror, and whether commits wait for it
    #[command(after_help = "Exit code 1: the pool is exposed.\n\nExample:\n  holdfast mirror status")]
    Status {
        #[command(flatten)]
        sites: SiteArgs,
    },
}

/// Arguments of `holdfast switchover`.
#[derive(Debug, Args)]
#[command(
    after_help = "The mirror becomes primary, the primary mirror; clients wait for a moment and lose nothing. Once more changes them back.\n\nWhen the primary's machine is lost for good, --primary-is-lost lets the mirror take its place, as long as the pool was in sync: nothing is lost then either. It goes on exposed until `holdfast mirror install` has built a new mirror. The old primary is fenced should it come back.\n\nExamples:\n  holdfast switchover --what-if\n  holdfast switchover --primary-is-lost"
)]
pub(crate) struct Switchover {
    /// The instance that becomes primary [default: the mirror]
    #[arg(long, value_name = "NAME")]
    to: Option<String>,
    /// The primary is lost for good: its mirror takes its place without it
    #[arg(long)]
    primary_is_lost: bool,
    /// Why it cannot take messages any more, as attested:TEXT; needed only where there is no witness and the pool goes on without its mirror
    #[arg(long, value_name = "EVIDENCE", requires = "primary_is_lost")]
    fence: Option<FenceSpec>,
    #[command(flatten)]
    what_if: WhatIf,
    #[command(flatten)]
    sites: SiteArgs,
}

/// What can be done with log shipping.
#[derive(Debug, Subcommand)]
pub(crate) enum Shipping {
    /// Show what is shipped, copied and applied, in bytes, messages and seconds
    #[command(after_help = "Example:\n  holdfast shipping status")]
    Status {
        #[command(flatten)]
        sites: SiteArgs,
    },
    /// Prove that what lies on the share is whole, from where the backup is to its end
    #[command(
        after_help = "Exit code 1: a file is missing, cut, changed or foreign; each is named.\n\nExample:\n  holdfast shipping verify"
    )]
    Verify {
        #[command(flatten)]
        sites: SiteArgs,
    },
    /// Let old log go from the shares: older than so many days, and needed by nobody
    #[command(
        after_help = "The primary's agent does it by itself once a day, with the days that the topology says (`retention_days`). Nothing goes while a procedure is not over, nor while an instance cannot be asked what it needs. Exit code 1: something stays for such a reason, which is said.\n\nExamples:\n  holdfast shipping prune --what-if\n  holdfast shipping prune --days 7"
    )]
    Prune {
        /// Keep what is younger than so many days [default: what the topology says]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=36_500))]
        days: Option<u32>,
        #[command(flatten)]
        what_if: WhatIf,
        #[command(flatten)]
        sites: SiteArgs,
    },
    /// Let the backup receive and apply nothing more
    #[command(
        after_help = "The primary goes on shipping. `resume` takes it up again.\n\nExample:\n  holdfast shipping cancel --what-if"
    )]
    Cancel {
        #[command(flatten)]
        what_if: WhatIf,
        #[command(flatten)]
        sites: SiteArgs,
    },
    /// Let the backup follow; it is copied first if it has no data
    #[command(after_help = "Example:\n  holdfast shipping resume")]
    Resume {
        #[command(flatten)]
        what_if: WhatIf,
        #[command(flatten)]
        sites: SiteArgs,
    },
}

/// Does it.
pub(crate) async fn mirror(verb: Mirror, out: Output) -> Result<Exit> {
    match verb {
        Mirror::Install { site, anew, what_if, sites } => {
            install(&sites.agents(out)?, site.as_deref(), MirrorOptions { anew }, what_if).await
        }
        Mirror::Remove { what_if, sites } => remove(&sites.agents(out)?, what_if).await,
        Mirror::Status { sites } => status(&sites.agents(out)?).await,
    }
}

async fn install(agents: &Agents, site: Option<&str>, options: MirrorOptions, what_if: WhatIf) -> Result<Exit> {
    let seen = agents.look().await?;
    let live = &seen.roles.primary.site;
    let of = match site {
        None => seen.roles.primary,
        Some(site) if site == live => seen.roles.primary,
        Some(site) => {
            agents.topology.site(site).ok_or_else(|| missing(format!("the topology names no site {site}")))?;
            seen.roles.backup.ok_or_else(|| refused(format!("there is no backup in {site}")))?
        }
    };
    let other = agents.topology.instances_of(&of.site).find(|i| i.name != of.name);
    let other = other.ok_or_else(|| refused(format!("the topology names no other instance in {}", of.site)))?;
    if what_if.what_if {
        return Ok(would_change(
            agents.out,
            &[format!("copy {} to {}, verify it, and let it follow", of.name, other.name)],
        ));
    }
    let view = agents.carry_out(&of.name, Spec::Mirror(options)).await?;
    agents.out.value(&serde_json::to_value(&view)?, |_| format!("{} has its mirror: {}.", of.name, other.name));
    rested(&view, agents.out, "holdfast failover resume")
}

async fn remove(agents: &Agents, what_if: WhatIf) -> Result<Exit> {
    let seen = agents.look().await?;
    let primary = seen.roles.primary.name.clone();
    let mirror = seen.roles.mirror.map(|m| m.name.clone()).ok_or_else(|| refused("there is no mirror"))?;
    if what_if.what_if {
        return Ok(would_change(
            agents.out,
            &[format!("let commits on {primary} wait for no mirror"), format!("stop {mirror}")],
        ));
    }
    let view = agents.carry_out(&primary, Spec::RemoveMirror).await?;
    agents.out.value(&serde_json::to_value(&view)?, |_| match view.state {
        OperationState::Done => format!("{primary} goes on alone, exposed; {mirror} is no longer its mirror."),
        _ => "The removal is not over.".into(),
    });
    rested(&view, agents.out, "holdfast failover resume")
}

async fn status(agents: &Agents) -> Result<Exit> {
    let seen = agents.look().await?;
    let primary = seen.primary();
    let protection = primary.map(|p| p.protection.word());
    let mirror = seen.roles.mirror;
    let item = mirror.map(|m| item(&seen, &m.name, &m.site, seen.report(&m.name)));
    let value = json!({ "primary": seen.roles.primary.name, "protection": protection, "mirror": item, "note": primary.map(|p| p.note.clone()) });
    agents.out.value(&value, |v| {
        let mirror = if v["mirror"].is_null() {
            "none".into()
        } else {
            format!("{}, {}", text(&v["mirror"], "name"), text(&v["mirror"], "is"))
        };
        let protection = v["protection"].as_str().unwrap_or("not known: the primary does not answer");
        format!(
            "Primary     {}\nMirror      {mirror}\nProtection  {protection}\n{}",
            text(v, "primary"),
            text(v, "note")
        )
        .trim_end()
        .to_owned()
    });
    Ok(if protection == Some("in sync") { Exit::Done } else { Exit::Refused })
}

/// Does it.
pub(crate) async fn switchover(args: Switchover, out: Output) -> Result<Exit> {
    let agents = args.sites.agents(out)?;
    let seen = agents.look().await?;
    let mirror =
        seen.roles.mirror.map(|m| m.name.clone()).ok_or_else(|| refused("there is no mirror to switch over to"))?;
    let to = args.to.unwrap_or_else(|| mirror.clone());
    if to != mirror {
        return Err(refused(format!("within a site the roles are changed with the mirror, which is {mirror}")));
    }
    if args.what_if.what_if {
        let old = &seen.roles.primary.name;
        let changes = [
            if args.primary_is_lost { format!("leave {old}, which is lost") } else { format!("stop {old} in order") },
            format!("make {to} the primary, under epoch {}", seen.epoch + 1),
        ];
        return Ok(would_change(out, &changes));
    }
    let options = SwitchoverOptions { primary_is_lost: args.primary_is_lost, fence: args.fence };
    let view = agents.carry_out(&to, Spec::Switchover(options)).await?;
    out.value(&serde_json::to_value(&view)?, |_| match view.state.is_over() {
        true => format!("{to} is the primary now."),
        false => "The switchover is not over.".into(),
    });
    rested(&view, out, "holdfast failover resume")
}

/// Does it.
pub(crate) async fn shipping(verb: Shipping, out: Output) -> Result<Exit> {
    match verb {
        Shipping::Status { sites } => shipping_status(&sites.agents(out)?).await,
        Shipping::Verify { sites } => verify(&sites.agents(out)?).await,
        Shipping::Prune { days, what_if, sites } => {
            prune(&sites.agents(out)?, &PruneOptions { days, what_if: what_if.what_if }).await
        }
        Shipping::Cancel { what_if, sites } => {
            let agents = sites.agents(out)?;
            let backup = backup(&agents).await?.0;
            if what_if.what_if {
                return Ok(would_change(out, &[format!("let {backup} receive and apply nothing more")]));
            }
            let obeyed = agents.order(&backup, &Order::Follow { upstream: None, fetch: Fetch::Closed }).await?;
            out.value(&json!({ "backup": backup, "told": obeyed.told }), |v| {
                format!("{}: {}.", text(v, "backup"), text(v, "told"))
            });
            Ok(Exit::Done)
        }
        Shipping::Resume { what_if, sites } => resume(&sites.agents(out)?, what_if).await,
    }
}

/// The backup, and whom it is to follow.
async fn backup(agents: &Agents) -> Result<(String, Option<String>)> {
    let seen = agents.look().await?;
    let backup = seen.roles.backup.ok_or_else(|| refused("there is no backup: the topology has one site"))?;
    let upstream = agents.topology.pool.streaming.then(|| seen.roles.upstream_of(&backup.name).map(|u| u.name.clone()));
    Ok((backup.name.clone(), upstream.flatten()))
}

async fn resume(agents: &Agents, what_if: WhatIf) -> Result<Exit> {
    let (name, upstream) = backup(agents).await?;
    let seen = agents.look().await?;
    let report = seen.report(&name).ok_or_else(|| refused(format!("the agent of {name} does not answer")))?;
    let empty = report.place == Place::Empty;
    // It is copied from whom it will follow: what it has must be on the mirror already.
    let from =
        seen.roles.upstream_of(&name).map(|u| u.name.clone()).ok_or_else(|| refused("there is nobody to copy from"))?;
    if what_if.what_if {
        let copy = empty.then(|| format!("copy {from} to {name}, and verify it"));
        let follow = format!("let {name} follow {}", upstream.as_deref().unwrap_or("the share alone"));
        return Ok(would_change(agents.out, &copy.into_iter().chain([follow]).collect::<Vec<_>>()));
    }
    let order = match empty {
        true => Order::Clone { from, upstream, fetch: Fetch::Follow },
        false => Order::Follow { upstream, fetch: Fetch::Follow },
    };
    let obeyed = agents.order(&name, &order).await?;
    agents.out.value(&json!({ "backup": name, "told": obeyed.told }), |v| {
        format!("{}: {}.", text(v, "backup"), text(v, "told"))
    });
    Ok(Exit::Done)
}

async fn shipping_status(agents: &Agents) -> Result<Exit> {
    let seen = agents.look().await?;
    let primary = seen.primary();
    let at = primary.and_then(|p| p.position());
    let entries = primary.and_then(|p| p.holds.as_ref()).map(|h| h.entries);
    let now = jiff::Timestamp::now();
    let behind = |lsn: Option<holdfast_wal::Lsn>| at.and_then(|at| Some(at.since(lsn?)));
    let share = seen.roles.backup.and_then(|b| seen.report(&b.name)).or(primary).and_then(|r| r.share.clone());
    let backup = seen.roles.backup.and_then(|b| seen.report(&b.name));
    let standby = backup.and_then(|b| b.status.server.as_ref()).and_then(|s| s.standby.clone());
    let held = backup.and_then(|b| b.holds.clone());
    let age = |at: Option<jiff::Timestamp>| at.map(|t| (now.as_millisecond() - t.as_millisecond()).max(0) as f64 / 1e3);
    let alarms: Vec<Value> = seen.reports.iter().filter_map(|(_, r)| r.as_ref().ok()).flat_map(alarms_of).collect();
    let retention =
        json!({ "days": agents.topology.pool.retention_days, "last": primary.and_then(|p| p.retention.clone()) });
    let value = json!({
        "alarms": alarms, "retention": retention,
        "primary": { "name": seen.roles.primary.name, "position": at, "entries": entries, "disk": primary.and_then(|p| p.status.disk),
            "waiting_files": primary.map(|p| p.status.unarchived.files), "oldest_waiting_seconds": primary.and_then(|p| p.status.unarchived.oldest_seconds),
            "last_failed": primary.and_then(|p| p.status.server.as_ref()).and_then(|s| s.archiver.last_failed.clone()) },
        "share": share.as_ref().map(|s| json!({ "where": s.share, "trouble": s.trouble, "end": s.end, "behind_bytes": behind(s.end),
            "behind_entries": entries.zip(s.entries).map(|(a, b)| (a - b).max(0)), "age_seconds": age(s.newest_at),
            "verified": s.verified, "looked_seconds": age(s.verified.as_ref().and_then(|v| v.at)) })),
        "backup": backup.map(|b| json!({ "name": b.instance, "received": standby.as_ref().and_then(|s| s.received), "applied": standby.as_ref().and_then(|s| s.replayed),
            "disk": b.status.disk, "streams": standby.as_ref().is_some_and(|s| s.receiver.as_ref().is_some_and(|r| r.status == "streaming")),
            "behind_bytes": behind(standby.as_ref().and_then(|s| s.replayed)),
            "behind_entries": entries.zip(held.as_ref().map(|h| h.entries)).map(|(a, b)| (a - b).max(0)),
            "behind_seconds": primary.and_then(|p| p.holds.as_ref()).and_then(|h| h.newest_at).zip(held.as_ref().and_then(|h| h.newest_at))
                .map(|(a, b)| (a.as_millisecond() - b.as_millisecond()).max(0) as f64 / 1e3), "note": b.note })),
    });
    agents.out.value(&value, shipping_text);
    Ok(Exit::Done)
}

fn shipping_text(v: &Value) -> String {
    let amount = |v: &Value| match (v["behind_bytes"].as_u64(), v["behind_entries"].as_i64()) {
        (Some(bytes), Some(entries)) => format!("{} KiB, {entries} messages behind", bytes.div_ceil(1_024)),
        (Some(bytes), None) => format!("{} KiB behind", bytes.div_ceil(1_024)),
        _ => "how far is not known".into(),
    };
    let share = match &v["share"] {
        Value::Null => "not known".into(),
        s if !s["trouble"].is_null() => format!("{}: {}", text(s, "where"), text(s, "trouble")),
        s => format!(
            "to {}, {}, newest {} s old ({})",
            text(s, "end"),
            amount(s),
            s["age_seconds"].as_f64().map_or_else(String::new, |a| format!("{a:.0}")),
            text(s, "where")
        ),
    };
    let backup = match &v["backup"] {
        Value::Null => "none, or it does not answer".into(),
        b => format!(
            "{}: {}, applied to {}, {}{}",
            text(b, "name"),
            if b["streams"] == true { "streams" } else { "does not stream" },
            text(b, "applied"),
            amount(b),
            b["behind_seconds"].as_f64().map_or_else(String::new, |s| format!(", {s:.1} s"))
        ),
    };
    let oldest = v["primary"]["oldest_waiting_seconds"].as_u64().map(|s| format!(", the oldest for {s} s"));
    let mut lines = format!(
        "Primary   {}: at {}, {} files wait to be shipped{}\nShare     {share}\nVerified  {}\nKept      {}\nBackup    {backup}",
        text(&v["primary"], "name"),
        text(&v["primary"], "position"),
        text(&v["primary"], "waiting_files"),
        oldest.unwrap_or_default(),
        verified_text(&v["share"]),
        kept_text(&v["retention"]),
    );
    for alarm in v["alarms"].as_array().into_iter().flatten() {
        let _ = write!(
            lines,
            "\n{}  {}: {}",
            text(alarm, "level").to_uppercase(),
            text(alarm, "instance"),
            text(alarm, "what")
        );
    }
    lines
}

/// What an agent is alarmed about, with its name.
fn alarms_of(report: &Report) -> impl Iterator<Item = Value> {
    report
        .alarms
        .iter()
        .map(|a| json!({ "instance": report.instance, "about": a.about, "level": a.level.word(), "what": a.what }))
}

/// What was proven of what lies on the share.
fn verified_text(share: &Value) -> String {
    let verified = &share["verified"];
    let ago = share["looked_seconds"].as_f64().map_or_else(String::new, |s| format!(", looked at {s:.0} s ago"));
    let bad: Vec<String> = verified["bad"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|b| format!("{} {}", text(b, "file"), text(b, "why")))
        .collect();
    match (verified["to"].as_str(), bad.is_empty()) {
        _ if verified.is_null() => "by nobody: the backup's agent does that".into(),
        (None, true) => "nothing yet".into(),
        (to, true) => format!("to {}{ago}: all of that holds", to.unwrap_or_default()),
        (to, false) => format!("to {}{ago}, and does not hold: {}", to.unwrap_or("its beginning"), bad.join("; ")),
    }
}

/// For how long log stays, and what became of the last attempt to let some go.
fn kept_text(retention: &Value) -> String {
    let days = match retention["days"].as_u64() {
        Some(days) if days > 0 => format!("{days} days, and while anybody needs it"),
        _ => return "for ever".into(),
    };
    let last = &retention["last"];
    match (last.is_null(), last["kept"].as_str()) {
        (true, _) => days,
        (_, Some(why)) => format!("{days}; at {}: {why}", text(last, "at")),
        (_, None) => format!("{days}; at {}: {} objects went", text(last, "at"), text(last, "deleted")),
    }
}

async fn prune(agents: &Agents, options: &PruneOptions) -> Result<Exit> {
    let primary = agents.look().await?.roles.primary.name.clone();
    let pruned: Pruned = agents.post(&primary, "/v1/shipping/prune", options).await?;
    let mut value = serde_json::to_value(&pruned)?;
    if options.what_if {
        let would = pruned.shares.iter().filter(|s| !s.objects.is_empty() && s.kept.is_none()).map(share_would);
        value["changes"] = json!(would.collect::<Vec<_>>());
        print_would(agents.out, &value);
    } else {
        agents.out.value(&value, |_| pruned.shares.iter().map(share_went).collect::<Vec<_>>().join("\n"));
    }
    let mut exit = Exit::Done;
    for (share, why) in pruned.shares.iter().filter_map(|s| Some((&s.share, s.kept.as_ref()?))) {
        agents.out.hint(&format!("{share}: it stays: {why}"));
        exit = Exit::Refused;
    }
    Ok(exit)
}

fn share_would(share: &PrunedShare) -> String {
    let (first, last) = (share.objects.first(), share.objects.last());
    let (first, last) = (first.map_or("", String::as_str), last.map_or("", String::as_str));
    format!(
        "delete {} objects ({} KiB) from {}, from {first} to {last}",
        share.objects.len(),
        share.bytes.div_ceil(1_024),
        share.share
    )
}

fn share_went(share: &PrunedShare) -> String {
    format!("{}: {} of {} old objects went", share.share, share.deleted, share.objects.len())
}

async fn verify(agents: &Agents) -> Result<Exit> {
    let (backup, _) = backup(agents).await?;
    let report: holdfast_wal::Report = agents.post(&backup, "/v1/shipping/verify", &json!({})).await?;
    let holds = report.holds();
    let mut value = serde_json::to_value(&report)?;
    value["holds"] = json!(holds);
    agents.out.value(&value, |_| report.lines().join("\n"));
    Ok(if holds { Exit::Done } else { Exit::Refused })
}
