//! `holdfast restore`: a data directory from a backup. Offline: it needs no server, and trusts nothing before it is verified.

use super::Context;
use super::shared::would_change;
use crate::cli::WhatIf;
use crate::client::{Client, InProcess};
use crate::compose::{self, As};
use crate::data::{DataDir, in_use};
use crate::exit::{Exit, missing, refused, usage};
use crate::fresh::{FreshDir, check_free};
use crate::progress::Progress;
use crate::walk::{fault, walk};
use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

/// What is said where `database.url` is set.
const ELSEWHERE: &str = "the data is in PostgreSQL, whose backups are restored by its own tools: `pg_restore` of a dump into a new \
    database, or a `pg_basebackup` put in place; then check it with `holdfast db check` and `holdfast verify`. To restore a backup of an \
    embedded database, leave database.url empty (HOLDFAST_DATABASE__URL=) and name a directory with --data";

/// Bytes copied at a time.
const PIECE: usize = 1 << 20;

/// From where.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The data directory must be new or empty. Every log is verified before the directory gets its name; if something does\nnot hold, nothing is left behind, and the command exits with 1.\n\nExample:\n  holdfast restore --from /var/backups/holdfast-monday.db --data ./restored"
)]
pub(crate) struct Args {
    /// The file that `holdfast backup` made
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    #[command(flatten)]
    what_if: WhatIf,
}

/// Does what was asked.
pub(crate) async fn run(args: &Args, context: &Context) -> Result<Exit> {
    if context.reach.server.is_some() {
        return Err(usage(
            "a backup is restored on the machine of the data: name a new directory with --data instead of --server",
        ));
    }
    if context.config().database.is_shared() {
        return Err(refused(ELSEWHERE));
    }
    let target = &context.config().server.data;
    if !args.from.is_file() {
        return Err(missing(format!("there is no file {}", args.from.display())));
    }
    check_free(target)?;
    if args.what_if.what_if {
        let bytes = args.from.metadata().map_or(0, |m| m.len());
        let change =
            format!("{} would be made from {} ({bytes} bytes) and verified", target.display(), args.from.display());
        return Ok(would_change(context.out, &[change]));
    }
    let fresh = FreshDir::begin(target)?;
    copy(&args.from, &fresh.dir().database(), context.out.quiet)?;
    let faults = verify(context, &fresh.dir())
        .await
        .map_err(|e| refused(format!("{} is no backup that can be opened: {e:#}", args.from.display())))?;
    if faults.is_empty() {
        fresh.publish()?;
    }
    let report = json!({ "restored": faults.is_empty(), "data": target, "faults": faults });
    context.out.value(&report, |_| {
        if faults.is_empty() {
            return format!("Restored {} and verified every log.", target.display());
        }
        let mut lines: Vec<String> = faults.iter().map(fault).collect();
        lines.push("Nothing was restored: what does not hold is not put into use. Try an older backup.".into());
        lines.join("\n")
    });
    Ok(if faults.is_empty() { Exit::Done } else { Exit::Refused })
}

/// Opens the pool in `dir` and walks every log; answers what does not hold.
pub(super) async fn verify(context: &Context, dir: &DataDir) -> Result<Vec<Value>> {
    let lock = dir.try_lock("command", None)?.map_err(|holder| in_use(dir, holder.as_ref()))?;
    let pool = compose::open(context.config(), dir, As::Command).await?;
    let client = Client::new(Box::new(InProcess::new(pool, Some(lock))), None, None);
    let walked = walk(&client, None, context.out.quiet).await;
    client.close().await?;
    // The lock's file is of no use in a directory that is still being made.
    let _ = std::fs::remove_file(dir.path().join("lock"));
    Ok(walked?.faults)
}

fn copy(from: &Path, to: &Path, quiet: bool) -> Result<()> {
    let mut source = File::open(from).with_context(|| format!("opening {}", from.display()))?;
    let mut target = File::create_new(to).with_context(|| format!("making {}", to.display()))?;
    let mut progress = Progress::new("bytes copied", source.metadata().map_or(0, |m| m.len()), quiet);
    let mut piece = vec![0; PIECE];
    loop {
        let n = source.read(&mut piece).with_context(|| format!("reading {}", from.display()))?;
        if n == 0 {
            break;
        }
        target.write_all(&piece[..n]).with_context(|| format!("writing {}", to.display()))?;
        progress.add(n as u64);
    }
    progress.finish();
    target.sync_all().with_context(|| format!("writing {} to disk", to.display()))
}
