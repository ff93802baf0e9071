//! Holdfast beside its peers: the same clients, over plain XMPP, drive Holdfast, ejabberd and Prosody in turn, each on a PostgreSQL of its own.
//!
//! Not a test: nothing here passes or fails. `servers.rs` brings servers up, `link.rs` speaks to them, each file of `measure` measures one thing,
//! `figures.rs` compares. README.md says what is level between the servers and what is not.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program whose purpose is to print")]

mod audience;
mod board;
mod figures;
mod link;
mod load;
mod mam;
mod measure;
mod process;
mod sasl;
mod scan;
mod secure;
mod servers;
mod site;
mod verdict;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use figures::Report;
use measure::{Sizes, What};
use serde_json::{Value, json};
use servers::Kind;
use site::{Site, Ways};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Measures Holdfast, ejabberd and Prosody side by side.
///
/// Example: holdfast-peers run --servers holdfast,ejabberd,prosody --runs 5 --what fanout,posts
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure, and print a table
    Run(Box<Run>),
    /// Print the settings that the servers are given
    Settings,
}

#[derive(Debug, Args)]
struct Run {
    /// Which servers; ratios are of the first to each of the others
    #[arg(long, value_delimiter = ',', default_value = "holdfast,ejabberd,prosody")]
    servers: Vec<Kind>,
    /// What to measure [default: everything]
    #[arg(long, value_delimiter = ',')]
    what: Vec<What>,
    /// How often; in each run every server is brought up anew, one after the other
    #[arg(long, default_value_t = 1)]
    runs: usize,
    /// Small sizes, to see that everything works
    #[arg(long)]
    quick: bool,
    /// Holdfast's binary; a release build
    #[arg(long, default_value = "target/release/holdfast")]
    holdfast: PathBuf,
    /// Processors of servers and databases, as `taskset` names them, such as 0-3 [default: all]
    #[arg(long, default_value = "", hide_default_value = true)]
    cpus: String,
    /// Processors of this program [default: all]
    #[arg(long, default_value = "", hide_default_value = true)]
    generator_cpus: String,
    /// Occupants of one room, in turn
    #[arg(long, value_delimiter = ',')]
    occupants: Vec<usize>,
    /// Seconds for which each rate is kept
    #[arg(long)]
    seconds: Option<u64>,
    /// Messages of the large archive
    #[arg(long)]
    history: Option<usize>,
    /// Connections that do nothing
    #[arg(long)]
    idle: Option<usize>,
    /// Clients that are cut off
    #[arg(long)]
    storm: Option<usize>,
    /// Print one JSON object, with every run, instead of tables
    #[arg(long)]
    json: bool,
}

impl Run {
    fn sizes(&self) -> Sizes {
        let mut sizes = if self.quick { Sizes::quick() } else { Sizes::usual() };
        if !self.occupants.is_empty() {
            sizes.occupants.clone_from(&self.occupants);
        }
        sizes.length = self.seconds.map_or(sizes.length, Duration::from_secs);
        sizes.history = self.history.unwrap_or(sizes.history);
        sizes.idle = self.idle.unwrap_or(sizes.idle);
        sizes.storm = self.storm.unwrap_or(sizes.storm);
        sizes
    }
}

/// It is thousands of small buffers.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let run = match arguments.command {
        Command::Settings => {
            for (name, text) in site::SETTINGS {
                println!("==> {name}\n{text}");
            }
            return Ok(());
        }
        Command::Run(run) => run,
    };
    // Before there are other threads, which then are where this one is.
    process::pin(&run.generator_cpus, std::process::id())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(all(&run))
}

/// Waits until somebody wants an end.
async fn ended() -> Result<()> {
    let mut ended = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        done = tokio::signal::ctrl_c() => done?,
        _ = ended.recv() => {}
    }
    Ok(())
}

async fn all(run: &Run) -> Result<()> {
    let sizes = run.sizes();
    let ways = Ways { holdfast: std::path::absolute(&run.holdfast)?, cpus: run.cpus.clone() };
    let mut report = Report::new(run.servers.iter().map(|kind| kind.name().to_owned()).collect());
    let mut versions = BTreeMap::new();
    let wanted = What::ALL.into_iter().filter(|what| run.what.is_empty() || run.what.contains(what));
    let wanted: Vec<What> = wanted.collect();
    let mut end = std::pin::pin!(ended());
    'runs: for number in 1..=run.runs {
        // Another one begins each time, so that what changes on the machine does not always meet the same.
        let mut order = run.servers.clone();
        let turn = (number - 1) % order.len().max(1);
        order.rotate_left(turn);
        for kind in order {
            eprintln!("run {number}: {}", kind.name());
            let done = tokio::select! {
                done = one(kind, &ways, &sizes, &wanted, number, &mut report, &mut versions) => done,
                end = &mut end => {
                    end?;
                    eprintln!("ended in run {number}; what was measured until then follows");
                    break 'runs;
                }
            };
            if let Err(e) = done {
                eprintln!("  {e:#}");
                report.failed(number, kind.name(), "start", format!("{e:#}"));
            }
        }
    }
    if run.json {
        let settings: BTreeMap<&str, &str> = site::SETTINGS.into();
        let sizes = format!("{sizes:?}");
        let mut printed = json!({"versions": versions, "machine": machine(), "runs": run.runs, "sizes": sizes,
            "cpus": run.cpus, "generator_cpus": run.generator_cpus, "settings": settings});
        if let (Some(all), Value::Object(measured)) = (printed.as_object_mut(), report.json()) {
            all.extend(measured);
        }
        println!("{printed}");
    } else {
        println!("{}; {}", machine(), versions.values().cloned().collect::<Vec<_>>().join("; "));
        print!("{}", report.table());
    }
    Ok(())
}

async fn one(
    kind: Kind,
    ways: &Ways,
    sizes: &Sizes,
    wanted: &[What],
    number: usize,
    report: &mut Report,
    versions: &mut BTreeMap<&'static str, String>,
) -> Result<()> {
    let mut site = Site::up(kind, ways, sizes.users()).await?;
    versions.insert(kind.name(), kind.version(&site.ground));
    for what in wanted {
        eprintln!("  {}", what.name());
        match what.measure(&mut site, sizes).await {
            Ok(figures) => {
                // At once, because a run takes long and may be ended.
                for figure in &figures {
                    eprintln!("    {}: {:.2} {}", figure.name, figure.value, figure.unit);
                }
                report.add(number, kind.name(), figures);
            }
            Err(e) => {
                eprintln!("    {e:#}");
                report.failed(number, kind.name(), what.name(), format!("{e:#}"));
                // What it left half done must not be measured with.
                drop(site);
                site = Site::up(kind, ways, sizes.users()).await?;
            }
        }
    }
    Ok(())
}

/// What it is measured on.
fn machine() -> String {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let of = |text: &str, key: &str| {
        let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let (cpus, memory) = (read("/proc/cpuinfo"), read("/proc/meminfo"));
    let count = cpus.lines().filter(|line| line.starts_with("processor")).count();
    format!("{count} x {}, {}", of(&cpus, "model name"), of(&memory, "MemTotal"))
}
