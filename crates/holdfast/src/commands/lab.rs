//! `holdfast lab`: both sites on this machine, to look at, to rehearse and to measure.

use crate::exit::{Exit, Failure, refused};
use crate::output::{Column, Output, plain, table, text};
use crate::stages::Stages;
use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use holdfast_lab::{Demo, DemoOptions, Lab, LoadOptions, LoadReport, Status, UpOptions, names};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// What can be done with a lab.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Bring both sites up: four PostgreSQL instances with their agents, a witness, four chat servers, two shares
    #[command(
        after_help = "Everything runs as you; of root, as the user `postgres` or `nobody`. All of it lies in the directory, and `holdfast lab down` leaves nothing. Ctrl-C while it \
                      comes up does the same. What follows is what an administrator does by hand: holdfast pki, witness, agent, instance create, mirror install, \
                      shipping resume, serve.\n\nExamples:\n  holdfast lab up\n  holdfast lab up --dir /srv/lab --corpus ./logs"
    )]
    Up {
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        how: How,
    },
    /// Show what runs where, who is what, how far everybody is, and what would be lost if the live site vanished now
    #[command(after_help = "Example:\n  holdfast lab status")]
    Status {
        #[command(flatten)]
        at: At,
    },
    /// Let clients write and listen for a while, whatever happens meanwhile, and check what they were told and saw
    #[command(
        after_help = "While it runs, kill a site in another terminal and fail over: what was accepted as lost is allowed, anything else is a fault. Exits with 1 when the history \
                      cannot be so.\n\nExample:\n  holdfast lab load --rate 200 --seconds 60"
    )]
    Load {
        #[command(flatten)]
        at: At,
        /// Posts a second
        #[arg(long, default_value_t = 200.0)]
        rate: f64,
        /// For so many seconds
        #[arg(long, default_value_t = 30)]
        seconds: u64,
    },
    /// Kill every process of a site at once, as the loss of a data centre would
    #[command(
        after_help = "The witness is in a third place and lives on. Then: holdfast failover plan, holdfast failover run.\n\nExample:\n  holdfast lab kill atl"
    )]
    Kill {
        /// The site
        #[arg(value_parser = names::SITES)]
        site: String,
        #[command(flatten)]
        at: At,
    },
    /// The whole story: up, a checked load, the loss of site atl, failover to site bos, the load goes on, a report
    #[command(
        after_help = "Exits with 0 only if no acknowledged message is missing beyond what was shown before the failover was confirmed, none is there twice or in another place, and all clients saw the same. \
                      It leaves nothing behind, however it ends.\n\nExamples:\n  holdfast lab demo\n  holdfast lab demo --shipping-only --json\n  holdfast lab demo --picture failover.svg\n  holdfast lab demo --backlog-bytes 1073741824"
    )]
    Demo {
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        how: How,
        /// Posts a second
        #[arg(long, default_value_t = 200.0)]
        rate: f64,
        /// For so many seconds all is well, and again after the failover
        #[arg(long, default_value_t = 10)]
        seconds: u64,
        /// Bytes of log that site bos has not applied when site atl is lost
        #[arg(long, default_value_t = 0, value_name = "N")]
        backlog_bytes: u64,
        /// Switchovers within site atl before it is lost
        #[arg(long, default_value_t = 0, value_name = "N")]
        switchovers: usize,
        /// Draw what happened: an SVG file
        #[arg(long, value_name = "FILE")]
        picture: Option<PathBuf>,
        /// Leave the lab as it is afterwards
        #[arg(long)]
        keep: bool,
    },
    /// End everything that the lab has started, and remove its directory
    #[command(after_help = "Example:\n  holdfast lab down")]
    Down {
        #[command(flatten)]
        at: At,
    },
}

/// Where.
#[derive(Debug, Args)]
pub(crate) struct At {
    /// The lab's directory
    #[arg(long, value_name = "DIR", default_value = "/tmp/holdfast-lab")]
    dir: PathBuf,
}

/// How a lab is to be.
#[derive(Debug, Args)]
pub(crate) struct How {
    /// Bind the sites by shipped log alone, without streaming
    #[arg(long)]
    shipping_only: bool,
    /// Put the shares there instead of into the lab's directory, each in a folder of its site; they stay when the lab goes: s3://, gs:// or az://. The AWS_..., GOOGLE_... or AZURE_... variables say how it is reached
    #[arg(long, value_name = "s3://BUCKET/FOLDER")]
    shares: Option<String>,
    /// A folder with IRC logs, a file a day, to have something to read
    #[arg(long, value_name = "PATH")]
    corpus: Option<PathBuf>,
}

impl How {
    fn options(self) -> UpOptions {
        UpOptions { shipping_only: self.shipping_only, shares: self.shares, corpus: self.corpus, binary: None }
    }
}

const PROCESSES: &[Column] = &[
    ("PROCESS", |p| text(p, "name")),
    ("KIND", |p| text(p, "kind")),
    ("PID", |p| text(p, "pid")),
    ("RUNS", |p| text(p, "running")),
    ("ADDRESS", |p| text(p, "address")),
];

const INSTANCES: &[Column] = &[
    ("INSTANCE", |i| text(i, "name")),
    ("ROLE", |i| text(i, "role")),
    ("UP", |i| text(i, "up")),
    ("POSITION", |i| text(i, "position")),
    ("BEHIND", |i| behind(i)),
    ("NOTE", |i| text(i, "note")),
];

/// Does what was asked.
pub(crate) async fn run(verb: Verb, out: Output) -> Result<Exit> {
    match verb {
        Verb::Up { at, how } => up(&at.dir, how.options(), out).await,
        Verb::Status { at } => status(&at.dir, out).await,
        Verb::Load { at, rate, seconds } => {
            let options = LoadOptions { rate: sensible(rate)?, length: Duration::from_secs(seconds) };
            let stages = Stages::new(out.quiet);
            let report = Lab::open(&at.dir)?.load(&options, &|event| stages.hear(event)).await?;
            out.value(&serde_json::to_value(&report)?, |_| told(&report));
            Ok(if report.holds { Exit::Done } else { Exit::Refused })
        }
        Verb::Kill { site, at } => {
            let killed = Lab::open(&at.dir)?.kill(&site)?;
            out.value(&json!({ "site": site, "killed": killed }), |_| {
                format!("Site {site} is lost: {killed} processes were killed.")
            });
            Ok(Exit::Done)
        }
        Verb::Demo { at, how, rate, seconds, backlog_bytes, switchovers, picture, keep } => {
            let steady = Duration::from_secs(seconds);
            let options = DemoOptions { up: how.options(), rate: sensible(rate)?, steady, backlog_bytes, switchovers };
            demo(&at.dir, &options, picture.as_deref(), keep, out).await
        }
        Verb::Down { at } => {
            Lab::down(&at.dir)?;
            out.value(&json!({ "dir": at.dir, "removed": true }), |_| {
                format!("Nothing is left of the lab in {}.", at.dir.display())
            });
            Ok(Exit::Done)
        }
    }
}

fn sensible(rate: f64) -> Result<f64> {
    if rate.is_finite() && (0.1..=100_000.0).contains(&rate) {
        return Ok(rate);
    }
    Err(refused(format!("{rate} is no rate; write posts a second, such as 200")))
}

async fn up(dir: &Path, options: UpOptions, out: Output) -> Result<Exit> {
    let stages = Stages::new(out.quiet);
    let lab = unless_interrupted(dir, Lab::up(dir, &options, &|event| stages.hear(event))).await?;
    let (record, topology) = (lab.record(), lab.place().topology());
    let addresses: Vec<String> =
        names::servers().iter().map(|(_, short)| format!("http://{}", record.host(short))).collect();
    let value = json!({ "dir": lab.place().dir(), "topology": topology, "identity": lab.place().operator(),
        "servers": addresses, "name": record.admin, "password": record.password });
    out.value(&value, |_| {
        let dir = lab.place().dir().display();
        format!(
            "Both sites are up.\n\n  \
               address   {} (site {})\n  name      {}, or ana, or boris\n  password  {}\n\n\
             Then, with what the commands are to work on:\n\n\
             {}  export HOLDFAST_TOPOLOGY={} HOLDFAST_IDENTITY={}\n  \
               holdfast instance list\n  holdfast mirror status\n  holdfast switchover\n  holdfast failover plan\n\n\
             Let clients work, lose a site, and fail over:\n\n  \
               holdfast lab load --dir {dir} --seconds 60\n  holdfast lab kill {} --dir {dir}\n  holdfast failover run\n  holdfast lab status --dir {dir}\n\n\
             Away with it: holdfast lab down --dir {dir}",
            addresses[..names::SERVERS_A_SITE].join(" and "),
            names::FIRST,
            record.admin,
            record.password,
            path_if_needed(),
            topology.display(),
            lab.place().operator().display(),
            names::FIRST,
        )
    });
    Ok(Exit::Done)
}

/// How this program is found by its name, where it is not yet.
fn path_if_needed() -> String {
    let dir = std::env::current_exe().ok().and_then(|program| program.parent().map(Path::to_owned)).unwrap_or_default();
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|known| known == dir) {
        return String::new();
    }
    format!("  export PATH=\"{}:$PATH\"\n", dir.display())
}

async fn status(dir: &Path, out: Output) -> Result<Exit> {
    let status = Lab::open(dir)?.status().await?;
    out.value(&serde_json::to_value(&status)?, |value| {
        let Status { epoch, protection, loss, .. } = &status;
        let list = |of: &str| value[of].as_array().cloned().unwrap_or_default();
        format!(
            "{} in {}: epoch {epoch}, {}\n\n{}\n\n{}\n\nIf the live site vanished now: {}",
            status.pool,
            status.dir,
            protection.as_deref().unwrap_or("no primary answers"),
            table(&list("processes"), PROCESSES),
            table(&list("instances"), INSTANCES),
            loss.as_deref().unwrap_or("nobody says what would be lost"),
        )
    });
    Ok(Exit::Done)
}

async fn demo(dir: &Path, options: &DemoOptions, picture: Option<&Path>, keep: bool, out: Output) -> Result<Exit> {
    let stages = Stages::new(out.quiet);
    let told = unless_interrupted(dir, Lab::demo(dir, options, &|event| stages.hear(event))).await;
    // However it ended.
    if !keep && Lab::open(dir).is_ok() {
        Lab::down(dir)?;
    }
    let demo = told?;
    if let Some(file) = picture {
        std::fs::write(file, holdfast_lab::picture(&demo)).with_context(|| format!("writing {}", file.display()))?;
    }
    out.value(&serde_json::to_value(&demo)?, |_| story(&demo));
    Ok(if demo.holds { Exit::Done } else { Exit::Refused })
}

/// Does something, unless somebody ends this program meanwhile: then the lab goes too.
async fn unless_interrupted<T>(dir: &Path, work: impl Future<Output = Result<T>>) -> Result<T> {
    let (mut interrupted, mut ended) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        done = Box::pin(work) => return done,
        _ = interrupted.recv() => {}
        _ = ended.recv() => {}
    }
    let left = if Lab::open(dir).is_ok() { Lab::down(dir).err() } else { None };
    let message = match left {
        None => "interrupted; nothing is left of the lab".to_owned(),
        Some(error) => format!("interrupted; not all of the lab could be removed: {error:#}"),
    };
    Err(Failure::new(Exit::Unavailable, message).into())
}

/// How far an instance is behind the primary.
fn behind(instance: &Value) -> String {
    match (&instance["behind_entries"], instance["behind_seconds"].as_f64()) {
        (Value::Null, _) | (_, None) => String::new(),
        (entries, Some(seconds)) => format!("{} entries, {seconds:.1} s", plain(entries)),
    }
}

/// A load's report, for people.
fn told(report: &LoadReport) -> String {
    let mut lines = vec![
        format!(
            "{} messages were sent: {} acknowledged, {} refused, {} of unknown fate; {} entries were seen.",
            report.sent, report.acknowledged, report.failed, report.unknown, report.seen
        ),
        format!(
            "Answers came within {:.0} ms (half of them) and {:.0} ms (99 of 100); the longest silence was {} ms.",
            report.answer_p50_ms, report.answer_p99_ms, report.longest_silence_ms
        ),
        format!("Lost: {}. Twice: {}. Out of order: {}.", report.lost, report.duplicated, report.reordered),
    ];
    if let Some(shown) = report.loss_shown {
        lines.push(format!(
            "Announced as lost: {shown} entries at most; {} messages were sent again.",
            report.sent_again
        ));
    }
    lines.extend(report.faults.iter().map(|fault| format!("FAULT  {fault}")));
    lines.push(if report.holds { "The history holds.".into() } else { "The history cannot be so.".to_owned() });
    lines.join("\n")
}

/// The whole story, for people.
fn story(demo: &Demo) -> String {
    let steps: Vec<Value> = demo.steps.iter().map(|step| json!(step)).collect();
    let steps = table(
        &steps,
        &[("STEP", |s| text(s, "name")), ("MS", |s| text(s, "ms")), ("OBSERVED", |s| text(s, "observed"))],
    );
    let mut lines = vec![
        format!(
            "Site {} was behind by {} entries and {:.2} s (99 of 100 samples) under {:.0} posts a second.",
            names::SECOND,
            demo.lag_entries.p99,
            demo.lag_seconds.p99,
            demo.rate
        ),
        format!("Site {} was lost: {} processes were killed at once.", names::FIRST, demo.killed),
        format!("Shown before the failover: up to {} entries would be lost. Lost: {}.", demo.loss_shown, demo.lost),
        format!(
            "From the command to the first accepted post: {} ms. Nothing was accepted for {} ms in all.",
            demo.failover_ms, demo.outage_ms
        ),
        String::new(),
        steps,
        String::new(),
    ];
    if !demo.switchover_ms.is_empty() {
        let times: Vec<String> = demo.switchover_ms.iter().map(|ms| format!("{ms} ms")).collect();
        lines.insert(
            0,
            format!("Switchovers within site {}: nothing was accepted for {}.", names::FIRST, times.join(", ")),
        );
    }
    lines.push(told(&demo.load));
    lines.join("\n")
}
