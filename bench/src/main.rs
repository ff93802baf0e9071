//! Measures a real server: starts the binary on data of its own, drives it over the network as clients do, prints a table.
//!
//! Not a test: nothing here passes or fails. Each scenario is a file; `server.rs` starts and stops the server, `client.rs` speaks to
//! it, `figures.rs` turns durations into percentiles.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program whose purpose is to print")]

mod client;
mod data;
mod fanout;
mod figures;
mod pages;
mod posts;
mod search;
mod server;
mod shared;
mod start;

use anyhow::Result;
use clap::Parser;
use std::path::PathBuf;

/// Measures a Holdfast server on this machine.
///
/// Example: holdfast-bench --binary target/release/holdfast --logs '/data/irc/*.txt'
#[derive(Parser)]
struct Arguments {
    /// The server's binary; a release build.
    #[arg(long, default_value = "target/release/holdfast")]
    binary: PathBuf,
    /// IRC logs to import and search; without any, 200,000 lines are made up.
    #[arg(long, num_args = 0..)]
    logs: Vec<PathBuf>,
    /// Only these scenarios; those of PostgreSQL (`ingest`, `large-room`, `deliveries`) run only when they are named.
    #[arg(long, value_delimiter = ',', value_parser = ["import", "start", "pages", "search", "fanout", "posts", "ingest", "large-room", "deliveries"])]
    only: Vec<String>,
    /// Entries of the large room.
    #[arg(long, default_value_t = 10_000_000)]
    entries: i64,
    /// A database for the large room, which is kept and not filled again; else one is made for it, and removed.
    #[arg(long)]
    database: Option<String>,
    /// WebSocket clients of the fan-out.
    #[arg(long, default_value_t = 1_000)]
    clients: usize,
    /// One JSON object at the end instead of tables on the way.
    #[arg(long)]
    json: bool,
}

/// As in the server, since parts of it are measured in this process.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let wanted = |name: &str| arguments.only.is_empty() || arguments.only.iter().any(|o| o == name);
    let folder = tempfile::tempdir()?;
    let mut report = figures::Report::new(arguments.json);
    let logs = if arguments.logs.is_empty() { data::make_up(folder.path())? } else { arguments.logs };
    let data = folder.path().join("data");

    let named = |name: &str| arguments.only.iter().any(|o| o == name);
    let lines = || data::lines(&logs);
    if named("ingest") {
        report.add("ingest, PostgreSQL", shared::ingest::measure(lines()?).await?);
    }
    if named("large-room") {
        report.add(
            "large room, PostgreSQL",
            shared::large_room::measure(lines()?, arguments.entries, arguments.database.as_deref()).await?,
        );
    }
    if named("deliveries") {
        report.add("deliveries, PostgreSQL", shared::deliveries::measure(&arguments.binary, folder.path()).await?);
    }
    if ["ingest", "large-room", "deliveries"].map(named).contains(&true) {
        report.finish();
        return Ok(());
    }

    let import = data::import(&arguments.binary, &data, &logs)?;
    if wanted("import") {
        report.add("import", import);
    }
    if wanted("start") {
        report.add("start", start::measure(&arguments.binary, &data).await?);
    }
    let server = server::Server::start(&arguments.binary, &data).await?;
    let scene = data::Scene::set(&server).await?;
    if wanted("pages") {
        report.add("pages of 50", pages::measure(&server, &scene).await?);
    }
    if wanted("search") {
        report.add("search", search::measure(&server, &scene).await?);
    }
    if wanted("fanout") {
        report.add("fan-out", fanout::measure(&server, &scene, arguments.clients).await?);
    }
    if wanted("posts") {
        report.add("posts", posts::measure(&server, &scene, folder.path()).await?);
    }
    server.stop().await?;
    report.finish();
    Ok(())
}
