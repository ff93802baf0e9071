//! `holdfast store`: the database as a whole, while no server works on it: moving it to PostgreSQL, and making anew what follows from the logs.

use super::Context;
use super::db::named;
use super::shared::would_change;
use crate::cli::WhatIf;
use crate::compose;
use crate::data::{DataDir, DataLock, in_use};
use crate::exit::{Exit, missing, refused, unavailable, usage};
use crate::progress::Progress;
use anyhow::{Context as _, Result};
use clap::Subcommand;
use holdfast_store::sqlite::{SqliteOptions, SqliteStore};
use holdfast_store::{Maintenance as _, Store, StoreError};
use serde_json::json;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A server that has not been heard of for so long is taken for gone.
const SILENT: Duration = Duration::from_secs(10);

/// What can be done with the database as a whole.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Copy everything from an embedded database to PostgreSQL
    #[command(
        after_help = "No server may run on either of them. The database must be empty, or hold a part of the same copy: a copy that was broken off goes on where it stopped. Every entry keeps its number, time and hash; the chain is verified as it is written. People stay signed in.\nThe password is taken from the URL, or from database.password_file of the settings.\n\nExample:\n  holdfast store copy --from sqlite:/var/lib/holdfast --to postgres://holdfast@db-1:5432/holdfast"
    )]
    Copy {
        /// The data directory to copy: sqlite:DIR
        #[arg(long, value_name = "sqlite:DIR")]
        from: String,
        /// The PostgreSQL database
        #[arg(long, value_name = "URL")]
        to: String,
        #[command(flatten)]
        what_if: WhatIf,
    },
    /// Make everything that follows from the logs anew: rooms, lists, counts, the search
    #[command(
        after_help = "The logs are not touched. No server may run. Of use after a fault in such a table, which `holdfast verify` cannot see.\n\nExample:\n  holdfast store rebuild --data ./data --what-if"
    )]
    Rebuild {
        #[command(flatten)]
        what_if: WhatIf,
    },
}

/// Does what was asked.
pub(crate) async fn run(verb: Verb, context: &Context) -> Result<Exit> {
    if context.reach.server.is_some() {
        return Err(usage("this works on the database itself, on its own machine; leave --server away"));
    }
    match verb {
        Verb::Copy { from, to, what_if } => Box::pin(copy(context, &from, to, what_if)).await,
        Verb::Rebuild { what_if } => rebuild(context, what_if).await,
    }
}

async fn copy(context: &Context, from: &str, to: String, what_if: WhatIf) -> Result<Exit> {
    let Some(dir) = from.strip_prefix("sqlite:").filter(|d| !d.is_empty()) else {
        return Err(usage("--from must name the data directory of an embedded database: sqlite:DIR"));
    };
    let database = named("--to", to, context)?;
    let (dir, lock) = embedded(PathBuf::from(dir))?;
    let source = SqliteStore::open(dir.database(), SqliteOptions::default())
        .with_context(|| format!("opening the database {}", dir.database().display()))?;
    let facts = source.facts().await.context("reading the embedded database")?;
    let target = compose::open_postgres(&database, None).await?;
    demand_silence(&target).await?;
    if what_if.what_if {
        let change = format!(
            "{} entries, with all files and accounts, would be copied from {} to {}",
            facts.entries,
            dir.path().display(),
            database.url
        );
        target.close().await.context("closing PostgreSQL")?;
        source.close().await.context("closing the embedded database")?;
        return Ok(would_change(context.out, &[change]));
    }
    let quiet = context.out.quiet;
    // One bar after the other, as the copy goes from logs to what does not follow from them.
    let shown: Mutex<Option<(&str, Progress)>> = Mutex::new(None);
    let copied = holdfast_store::copy::copy(&source, &target, &|step| {
        let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.as_ref().is_none_or(|(what, _)| *what != step.what)
            && let Some((_, before)) = shown.replace((step.what, Progress::new(step.what, step.all, quiet)))
        {
            before.finish();
        }
        if let Some((_, progress)) = shown.as_mut() {
            progress.set(step.done);
        }
    })
    .await;
    if let Some((_, progress)) = shown.into_inner().unwrap_or_else(PoisonError::into_inner) {
        progress.finish();
    }
    target.close().await.context("closing PostgreSQL")?;
    source.close().await.context("closing the embedded database")?;
    lock.release();
    let copied = copied.map_err(|e| match e {
        StoreError::Taken { .. } => refused(format!(
            "{} holds a pool already, and nothing of it is overwritten; name an empty database",
            database.url
        )),
        StoreError::Corrupt { what } => {
            refused(format!("the copy stopped, since what it met cannot be right: {what}; `holdfast verify` says more"))
        }
        other => unavailable(format!(
            "the copy was broken off: {:#}; run it again, and it goes on where it stopped",
            anyhow::Error::new(other)
        )),
    })?;
    let report = json!({ "from": dir.path(), "to": database.url, "logs": copied.logs, "entries": copied.entries,
        "there_before": copied.there_before, "rows": copied.rows });
    context.out.value(&report, |_| {
        let before = match copied.there_before {
            0 => String::new(),
            entries => format!(" ({entries} were there from before)"),
        };
        format!(
            "Copied {} entries in {} logs{before} and {} rows of files, accounts and readers to {}. Every chain holds there.\n\
             Set database.url to it and start the server. {} stays as it is: keep it until you are sure.",
            copied.entries,
            copied.logs,
            copied.rows,
            database.url,
            dir.database().display()
        )
    });
    Ok(Exit::Done)
}

async fn rebuild(context: &Context, what_if: WhatIf) -> Result<Exit> {
    let config = context.config();
    let (store, place, lock) = if config.database.is_shared() {
        let store = compose::open_shared(&config.database, None).await?;
        demand_silence(store.as_ref()).await?;
        (store, config.database.url.to_string(), None)
    } else {
        let (dir, lock) = embedded(config.server.data.clone())?;
        (compose::open_embedded(&dir)?, dir.database().display().to_string(), Some(lock))
    };
    let done = async {
        let facts = store.facts().await.context("reading the database")?;
        if what_if.what_if {
            let change =
                format!("everything beside the logs would be made anew from {} entries in {place}", facts.entries);
            return Ok(would_change(context.out, &[change]));
        }
        store.rebuild().await.context("making anew what follows from the logs")?;
        context.out.value(&json!({ "done": true, "entries": facts.entries }), |_| {
            format!("Made everything that follows from the logs anew, from {} entries in {place}.", facts.entries)
        });
        Ok(Exit::Done)
    }
    .await;
    store.close().await.context("closing the database")?;
    if let Some(lock) = lock {
        lock.release();
    }
    done
}

/// The embedded database in a directory, with the right to be alone on it.
fn embedded(path: PathBuf) -> Result<(DataDir, DataLock)> {
    let dir = DataDir::new(path);
    if !dir.holds_a_pool() {
        return Err(missing(format!("there is no Holdfast data in {}", dir.path().display())));
    }
    match dir.try_lock("command", None)? {
        Ok(lock) => Ok((dir, lock)),
        Err(Some(holder)) if holder.role == "server" => Err(unavailable(format!(
            "a server (process {}) runs on {}; stop it first",
            holder.pid,
            dir.path().display()
        ))),
        Err(holder) => Err(in_use(&dir, holder.as_ref())),
    }
}

/// Fails while a server works on a shared database.
async fn demand_silence(store: &dyn Store) -> Result<()> {
    let Some(pool) = store.pool() else { return Ok(()) };
    let (_, servers) = pool.state().await.context("asking which servers run")?;
    let running: Vec<&str> =
        servers.iter().filter(|s| !s.stopped && s.seen_ago < SILENT).map(|s| s.beat.name.as_str()).collect();
    if running.is_empty() {
        return Ok(());
    }
    Err(unavailable(format!(
        "servers work on this database: {}; stop them first (one that was killed counts for {} s more)",
        running.join(", "),
        SILENT.as_secs()
    )))
}
