//! `holdfast topology`: the file that names sites, instances, servers and shares.

use super::sites::SiteArgs;
use crate::exit::{Exit, refused};
use crate::output::{Output, table, text};
use anyhow::Result;
use clap::Subcommand;
use holdfast_continuity::topology::Topology;
use serde_json::{Value, json};
use std::path::PathBuf;

/// What can be done with a topology.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Check it as a whole; exit code 1 if something is wrong
    #[command(
        after_help = "Every problem is named, with where it is and what would be right.\n\nExample:\n  holdfast topology check topology.toml"
    )]
    Check {
        /// The file [default: --topology]
        file: Option<PathBuf>,
        #[command(flatten)]
        sites: SiteArgs,
    },
    /// Show what it says
    #[command(
        after_help = "Who is what *now* is shown by `holdfast instance list`.\n\nExample:\n  holdfast topology show"
    )]
    Show {
        #[command(flatten)]
        sites: SiteArgs,
    },
}

/// Does it.
pub(crate) fn run(verb: &Verb, out: Output) -> Result<Exit> {
    match verb {
        Verb::Check { file, sites } => {
            let path = file.as_ref().unwrap_or(&sites.topology);
            let topology = Topology::read(path).map_err(|e| refused(e.to_string()))?;
            let problems = topology.check();
            let items: Vec<Value> = problems.iter().map(|p| json!({ "at": p.at, "what": p.what })).collect();
            let holds = problems.is_empty();
            out.value(&json!({ "holds": holds, "problems": items }), |_| match holds {
                true => format!("{} is sound: {}", path.display(), sentence(&topology)),
                false => problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
            });
            Ok(if holds { Exit::Done } else { Exit::Refused })
        }
        Verb::Show { sites } => {
            let topology = sites.topology()?;
            let value = serde_json::to_value(&topology)?;
            out.value(&value, |value| show(&topology, value));
            Ok(Exit::Done)
        }
    }
}

fn sentence(topology: &Topology) -> String {
    let witness = if topology.witness.is_some() { "a witness" } else { "no witness" };
    format!(
        "{} sites, {} instances, {} servers, {witness}",
        topology.sites.len(),
        topology.instances.len(),
        topology.servers.len()
    )
}

fn show(topology: &Topology, value: &Value) -> String {
    let items = |name: &str| value[name].as_array().cloned().unwrap_or_default();
    let instances = table(
        &items("instances"),
        &[
            ("INSTANCE", |v| text(v, "name")),
            ("SITE", |v| text(v, "site")),
            ("ROLE AT FIRST", |v| text(v, "role")),
            ("PORT", |v| text(v, "port")),
        ],
    );
    let servers = table(
        &items("servers"),
        &[("SERVER", |v| text(v, "name")), ("SITE", |v| text(v, "site")), ("ADDRESS", |v| text(v, "url"))],
    );
    let sites = table(&items("sites"), &[("SITE", |v| text(v, "name")), ("ITS SHARE", |v| text(v, "share"))]);
    let witness = topology.witness.as_ref().map_or("none", |w| w.name.as_str());
    format!("Pool     {}\nWitness  {witness}\n\n{sites}\n\n{instances}\n\n{servers}", topology.pool.fqdn)
}
