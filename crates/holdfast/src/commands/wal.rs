//! `holdfast wal`: what PostgreSQL runs to ship and to fetch its log, and the look at what lies on a share.
//!
//! Neither asks for settings or data: `wal.json`, which the agent writes, is all they know, and they run whether or not anything else does. Their exit codes
//! are what PostgreSQL makes of them, not those of other commands.
#![allow(clippy::print_stderr, reason = "standard error is PostgreSQL's log")]

use crate::exit::{Exit, refused, unavailable};
use crate::output::Output;
use crate::progress::Progress;
use anyhow::{Context as _, Result};
use holdfast_wal::{
    FetchError, Inventory, Lsn, Manifest, SegmentSize, Share, Start, SystemIdentifier, WalFile, lineage_store,
};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

/// For one answer of a share that a person looks at.
const PATIENCE: Duration = Duration::from_secs(30);

/// What can be done with the log.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// Ship a full segment: PostgreSQL's archive_command
    Ship(Ship),
    /// Fetch a file of the log: PostgreSQL's restore_command
    Fetch(Fetch),
    /// Prove what lies on a share, or name what is wrong with it
    Verify(Verify),
}

/// What to ship.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exits with 0 when the file is on all shares or in quarantine, 1 when it cannot be shipped now, 3 when other content has its name, 4 when another instance holds a newer epoch, 5 when the file or the settings cannot be used. PostgreSQL tries again.\n\nExample:\n  holdfast wal ship --settings /var/lib/holdfast/atl-db-1/wal.json pg_wal/000000010000000000000007 000000010000000000000007"
)]
pub(crate) struct Ship {
    /// The `wal.json` of the instance
    #[arg(long, value_name = "FILE")]
    settings: PathBuf,
    /// Where the file is (%p)
    path: PathBuf,
    /// What it is called (%f)
    name: String,
}

/// What to fetch.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exits with 0 when the file is there, verified and on disk, 1 when it is not there or cannot be had now, 126 when recovery must not go on.\n\nExample:\n  holdfast wal fetch --settings /var/lib/holdfast/bos-db-1/wal.json 000000010000000000000007 pg_wal/RECOVERYXLOG"
)]
pub(crate) struct Fetch {
    /// The `wal.json` of the instance
    #[arg(long, value_name = "FILE")]
    settings: PathBuf,
    /// What the file is called (%f)
    name: String,
    /// Where to put it (%p)
    to: PathBuf,
}

/// What to verify.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Reads every segment from a position on and every record in it. Exits with 0 when all holds, 1 when something does not, 3 when the share cannot be reached.\n\nExamples:\n  holdfast wal verify --share /srv/holdfast/bos-share\n  holdfast wal verify --share /srv/holdfast/bos-share --from 0/7A3F2210 --json"
)]
pub(crate) struct Verify {
    /// The share: a path or a URL
    #[arg(long, value_name = "SHARE")]
    share: String,
    /// The position to begin at [default: the first segment that is there]
    #[arg(long, value_name = "LSN")]
    from: Option<Lsn>,
    /// The cluster, if the share holds log of several
    #[arg(long, value_name = "NUMBER")]
    system: Option<SystemIdentifier>,
    /// A folder with room for the decompressed segments; emptied afterwards [default: that for temporary files]
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
    /// The folder of PostgreSQL's programs [default: looked for]
    #[arg(long, value_name = "DIR")]
    pg_bin: Option<PathBuf>,
}

/// Does what was asked.
pub(crate) fn run(verb: &Verb, out: Output) -> Result<Exit> {
    // One thread starts faster than several; a share that hangs keeps threads of its own.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("starting the threads of this process")?;
    let done = match verb {
        Verb::Ship(args) => Ended::Code(runtime.block_on(ship(args))),
        Verb::Fetch(args) => Ended::Code(runtime.block_on(fetch(args))),
        Verb::Verify(args) => Ended::Command(runtime.block_on(Box::pin(verify(args, out)))),
    };
    // A call that a share never answered must not keep us.
    runtime.shutdown_background();
    match done {
        Ended::Code(code) => std::process::exit(code.into()),
        Ended::Command(result) => result,
    }
}

/// How it ended: with a code for PostgreSQL, or as every command.
enum Ended {
    Code(u8),
    Command(Result<Exit>),
}

async fn ship(args: &Ship) -> u8 {
    match holdfast_wal::ship(&args.settings, &args.path, &args.name).await {
        Ok(holdfast_wal::Shipped::Quarantined) => {
            eprintln!("holdfast: {} is not the pool's history; it is in quarantine", args.name);
            0
        }
        Ok(_) => 0,
        Err(error) => {
            eprintln!("holdfast: {} was not shipped: {error}", args.name);
            error.exit_code()
        }
    }
}

async fn fetch(args: &Fetch) -> u8 {
    match holdfast_wal::fetch(&args.settings, &args.name, &args.to).await {
        Ok(()) => 0,
        Err(error) => {
            if error.is_worth_a_line() {
                let what = if matches!(error, FetchError::Stop { .. }) { "recovery stops" } else { "not fetched" };
                eprintln!("holdfast: {what}: {error}");
            }
            error.exit_code()
        }
    }
}

async fn verify(args: &Verify, out: Output) -> Result<Exit> {
    let share = Share::open(&args.share, PATIENCE).await.map_err(|e| unavailable(e.to_string()))?;
    let lineage = lineage_store::read(&share).await.map_err(|e| unavailable(e.to_string()))?;
    let found = First::on(&share, args.system).await?;
    let size = found.size;
    let lsn = args.from.unwrap_or_else(|| size.start_of(found.number));
    let timeline = lineage.owner_of_first_byte(size.number_of(lsn), size).unwrap_or(1);
    let start = Start { lsn, timeline };
    let inventory = Inventory::take(&share, found.system, size, &lineage, start).await;
    let inventory = inventory.map_err(|e| unavailable(e.to_string()))?;
    let scratch = args.scratch.clone().unwrap_or_else(std::env::temp_dir);
    let progress = Mutex::new(Progress::new("segments", inventory.segments.len() as u64, out.quiet));
    let show = |p: holdfast_wal::verify::Progress| {
        if let Ok(mut progress) = progress.lock() {
            progress.set(p.files);
        }
    };
    let report = holdfast_wal::verify(&share, &inventory, &scratch, args.pg_bin.as_deref(), &show).await;
    if let Ok(progress) = progress.into_inner() {
        progress.finish();
    }
    let report = report.map_err(|e| unavailable(e.to_string()))?;
    let mut value = serde_json::to_value(&report)?;
    value["holds"] = json!(report.holds());
    out.value(&value, |_| report.lines().join("\n"));
    Ok(if report.holds() { Exit::Done } else { Exit::Refused })
}

/// What the share itself tells: the cluster, the size of its segments, the first of them.
struct First {
    system: SystemIdentifier,
    size: SegmentSize,
    number: u64,
}

impl First {
    async fn on(share: &Share, wanted: Option<SystemIdentifier>) -> Result<First> {
        let listed = share.list("wal").await.map_err(|e| unavailable(e.to_string()))?;
        let mut clusters: Vec<SystemIdentifier> =
            listed.iter().filter_map(|l| l.name.split('/').nth(1)?.parse().ok()).collect();
        clusters.dedup();
        let system = match (wanted, clusters.as_slice()) {
            (Some(system), _) => system,
            (None, [system]) => *system,
            (None, []) => return Err(refused(format!("there is no log on the share {}", share.location()))),
            (None, several) => {
                let several = several.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                return Err(refused(format!(
                    "the share holds log of several clusters: name one with --system: {several}"
                )));
            }
        };
        let folder = format!("wal/{system}/");
        let manifests =
            listed.iter().map(|l| l.name.as_str()).filter(|n| n.starts_with(&folder) && n.ends_with(".json"));
        let mut first: Option<First> = None;
        let mut size = None;
        for name in manifests {
            let file = Path::new(name).file_stem().unwrap_or_default().to_string_lossy().into_owned();
            // A segment has 24 digits and nothing else; its size is that of all of them.
            if file.len() != 24 {
                continue;
            }
            if size.is_none() {
                let bytes = share.get(name).await.map_err(|e| unavailable(e.to_string()))?;
                let manifest = bytes.and_then(|bytes| Manifest::parse(&bytes).ok());
                size = manifest.and_then(|m| SegmentSize::try_from(m.size).ok());
            }
            let Some(size) = size else { continue };
            if let Ok(WalFile::Segment(segment)) = WalFile::parse(&file, size)
                && first.as_ref().is_none_or(|f| segment.number < f.number)
            {
                first = Some(First { system, size, number: segment.number });
            }
        }
        first.ok_or_else(|| {
            refused(format!("there is no whole segment of cluster {system} on the share {}", share.location()))
        })
    }
}
