//! `holdfast mirror`, `holdfast switchover` and `holdfast shipping`: what keeps the other machines up to date.

use super::instance::item;
use super::shared::would_change;
use super::sites::{Agents, SiteArgs, rested};
use crate::cli::WhatIf;
use crate::exit::{Exit, missing, refused};
use crate::output::{Output, text};
use anyhow::Result;
use clap::{Args, Subcommand};
use holdfast_continuity::agent::operations::Spec;
use holdfast_continuity::agent::order::Order;
use holdfast_continuity::agent::state::{Fetch, Place};
use holdfast_continuity::mirror::MirrorOptions;
use holdfast_continuity::switchover::SwitchoverOptions;
use serde_json::{Value, json};

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
    after_help = "The mirror becomes primary, the primary mirror; clients wait for a moment and lose nothing. Once more changes them back.\n\nExample:\n  holdfast switchover --what-if"
)]
pub(crate) struct Switchover {
    /// The instance that becomes primary [default: the mirror]
    #[arg(long, value_name = "NAME")]
    to: Option<String>,
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
    agents.order(&primary, &Order::Mirror { wanted: false }).await?;
    let exposed = async {
        loop {
            let seen = agents.look().await?;
            if seen.primary().is_some_and(|p| p.protection.word() == "exposed") {
                return Ok::<(), anyhow::Error>(());
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), exposed).await.map_err(|_| {
        refused("the primary waits for its mirror still: see `holdfast instance list`; the mirror was left running")
    })??;
    let obeyed = agents.order(&mirror, &Order::Stop).await?;
    agents.out.value(&json!({ "primary": primary, "mirror": mirror, "told": obeyed.told }), |v| {
        format!("{} goes on alone, exposed; {} is stopped.", text(v, "primary"), text(v, "mirror"))
    });
    Ok(Exit::Done)
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
        let changes = [
            format!("stop {} in order", seen.roles.primary.name),
            format!("make {to} the primary, under epoch {}", seen.epoch + 1),
        ];
        return Ok(would_change(out, &changes));
    }
    let view = agents.carry_out(&to, Spec::Switchover(SwitchoverOptions::default())).await?;
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
    let value = json!({
        "primary": { "name": seen.roles.primary.name, "position": at, "entries": entries,
            "waiting_files": primary.map(|p| p.status.unarchived.files), "last_failed": primary.and_then(|p| p.status.server.as_ref()).and_then(|s| s.archiver.last_failed.clone()) },
        "share": share.as_ref().map(|s| json!({ "where": s.share, "trouble": s.trouble, "end": s.end, "behind_bytes": behind(s.end),
            "behind_entries": entries.zip(s.entries).map(|(a, b)| (a - b).max(0)), "age_seconds": age(s.newest_at) })),
        "backup": backup.map(|b| json!({ "name": b.instance, "received": standby.as_ref().and_then(|s| s.received), "applied": standby.as_ref().and_then(|s| s.replayed),
            "streams": standby.as_ref().is_some_and(|s| s.receiver.as_ref().is_some_and(|r| r.status == "streaming")),
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
    format!(
        "Primary  {}: at {}, {} files wait to be shipped\nShare    {share}\nBackup   {backup}",
        text(&v["primary"], "name"),
        text(&v["primary"], "position"),
        text(&v["primary"], "waiting_files")
    )
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
