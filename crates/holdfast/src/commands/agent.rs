//! `holdfast agent` and `holdfast witness`: the processes that run all the time beside the chat servers.

use super::serve::start_log;
use super::sites::SiteArgs;
use crate::config::Log;
use crate::exit::{Exit, refused, unavailable};
use anyhow::{Context as _, Result};
use clap::Args;
use std::path::{Path, PathBuf};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Arguments of `holdfast agent`.
#[derive(Debug, Args)]
#[command(
    after_help = "It is the only one that starts its PostgreSQL: switch off the system's own service for it. When it ends, PostgreSQL goes on; the next agent adopts it. \
                  Its identity is in DATA/identity unless --identity says otherwise.\n\nExample:\n  holdfast agent --instance atl-db-1.litwareinc.com --topology topology.toml"
)]
pub(crate) struct AgentArgs {
    /// Which instance of the topology this is
    #[arg(long, value_name = "NAME")]
    instance: String,
    /// What describes the pool
    #[arg(long, value_name = "FILE", env = "HOLDFAST_TOPOLOGY", default_value = "/etc/holdfast/topology.toml")]
    topology: PathBuf,
    /// The directory of the instance's certificate [default: identity in the instance's directory]
    #[arg(long, value_name = "DIR")]
    identity: Option<PathBuf>,
}

/// Arguments of `holdfast witness`.
#[derive(Debug, Args)]
#[command(
    after_help = "Keeps its register in the data directory (--data). It remembers who holds the newest epoch and whether the mirror may be promoted. One that lost its directory does not vote until both instances of the site have told it \
                  what they know.\n\nExample:\n  holdfast witness --data /var/lib/holdfast/witness --topology topology.toml"
)]
pub(crate) struct WitnessArgs {
    #[command(flatten)]
    sites: SiteArgs,
}

/// Runs an agent until it is told to end.
pub(crate) async fn run_agent(args: &AgentArgs, log: &Log) -> Result<Exit> {
    start_log(log)?;
    let sites = SiteArgs { topology: args.topology.clone(), identity: args.identity.clone().unwrap_or_default() };
    let topology = sites.topology()?;
    let place = topology
        .instance(&args.instance)
        .ok_or_else(|| refused(format!("the topology names no instance {}", args.instance)))?;
    let dir = args.identity.clone().unwrap_or_else(|| place.data.join("identity"));
    let identity = holdfast_pki::Identity::load(dir).map_err(|e| unavailable(e.to_string()))?;
    let binary = std::env::current_exe().context("finding this program's own file, which PostgreSQL will call")?;
    let shutdown = until_told()?;
    holdfast_continuity::agent::run(topology, &args.instance, identity, &binary, shutdown)
        .await
        .map_err(unavailable)?;
    Ok(Exit::Done)
}

/// Runs a witness, with its register in `data`, until it is told to end.
pub(crate) async fn run_witness(args: &WitnessArgs, data: &Path, log: &Log) -> Result<Exit> {
    start_log(log)?;
    let (topology, identity) = (args.sites.topology()?, args.sites.identity()?);
    let shutdown = until_told()?;
    let ended = holdfast_continuity::witness::run(topology, identity, data, shutdown).await;
    ended.map_err(|e| unavailable(format!("the witness cannot run: {e}")))?;
    Ok(Exit::Done)
}

/// Cancelled at SIGTERM or SIGINT.
fn until_told() -> Result<CancellationToken> {
    let told = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate()).context("listening for signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for signals")?;
    let cancel = told.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        cancel.cancel();
    });
    Ok(told)
}
