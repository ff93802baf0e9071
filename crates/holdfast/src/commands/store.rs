//! `holdfast store`: the database as a whole, while no server works on it: moving it to PostgreSQL, and making anew what follows from the logs.

use super::Context;
use super::shared::would_change;
use crate::cli::WhatIf;
use crate::compose;
use crate::data::{DataDir, DataLock, in_use};
use crate::exit::{Exit, missing, unavailable, usage};
use anyhow::{Context as _, Result};
use clap::Subcommand;
use holdfast_store::Store;
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;

/// A server that has not been heard of for so long is taken for gone.
const SILENT: Duration = Duration::from_secs(10);

/// What can be done with the database as a whole.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
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
        Verb::Rebuild { what_if } => rebuild(context, what_if).await,
    }
}

async fn rebuild(context: &Context, what_if: WhatIf) -> Result<Exit> {
    let config = context.config();
    let (store, place, lock) = if config.database.is_shared() {
        let store = compose::open_shared(&config.database, false).await?;
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
