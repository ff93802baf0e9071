//! `holdfast import ARCHIVE`: a whole pool into a new data directory, or into a PostgreSQL database that holds none. It works offline, on the
//! store itself: entries come in exactly as they were, with their numbers, times and hashes, which no API may ever allow.

use crate::archive::check::check;
use crate::archive::load::load;
use crate::archive::manifest::Manifest;
use crate::archive::read::Reader;
use crate::cli::WhatIf;
use crate::client::{Client, InProcess};
use crate::commands::Context;
use crate::compose::{self, As};
use crate::data::DataDir;
use crate::exit::{Exit, refused, usage};
use crate::fresh::{FreshDir, check_free};
use crate::walk::walk;
use anyhow::{Context as _, Result};
use holdfast_store::Store;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

/// Does what was asked.
pub(super) async fn run(archive: &Path, what_if: WhatIf, context: &Context) -> Result<Exit> {
    let out = context.out;
    if context.reach.server.is_some() {
        return Err(usage(
            "an archive is imported on the machine of the data: name a new directory with --data instead of --server",
        ));
    }
    let database = &context.config().database;
    let target = if database.is_shared() {
        check_empty(context).await?;
        database.url.to_string()
    } else {
        check_free(&context.config().server.data)?;
        context.config().server.data.display().to_string()
    };
    let path = archive.to_owned();
    let (reader, manifest, checked) = tokio::task::spawn_blocking(move || -> Result<_> {
        let mut reader = Reader::open(&path)?;
        let manifest = reader.manifest()?;
        let checked = check(&mut reader, &manifest, out.quiet)?;
        Ok((reader, manifest, checked))
    })
    .await
    .context("verifying the archive")??;

    let holds = checked.faults.is_empty();
    let mut report = json!({ "archive": archive, "made_at": manifest.created_at, "software": manifest.software,
        "checked": checked, "holds": holds, "what_if": what_if.what_if, "imported": false });
    let mut exit = if holds { Exit::Done } else { Exit::Refused };
    if holds && !what_if.what_if {
        let found = if database.is_shared() {
            into_shared(context, reader, manifest).await?
        } else {
            into_directory(context, reader, manifest).await?
        };
        if found.is_empty() {
            report["imported"] = json!(true);
        } else {
            report["faults_after"] = json!(found);
            exit = Exit::Refused;
        }
    }
    out.value(&report, |_| {
        let mut lines = vec![format!(
            "{}: {} entries in {} logs, {} one-to-one messages, {} files, {} accounts.",
            archive.display(),
            checked.entries,
            checked.logs,
            checked.direct,
            checked.files,
            checked.accounts
        )];
        lines.extend(checked.faults.iter().map(|f| format!("FAULT  {f}")));
        lines.push(match (exit, what_if.what_if) {
            (Exit::Done, false) => format!("Imported into {}, and verified there.", target),
            (Exit::Done, true) => format!("All holds. Would import it into {}; nothing was written.", target),
            _ => "Nothing was imported: what does not hold is not taken in.".into(),
        });
        lines.join("\n")
    });
    Ok(exit)
}

/// Makes a data directory of it, which gets its name only when all was read back and holds; answers what does not.
async fn into_directory(context: &Context, reader: Reader, manifest: Manifest) -> Result<Vec<Value>> {
    let fresh = FreshDir::begin(&context.config().server.data)?;
    let store = compose::open_embedded(&fresh.dir())?;
    take_in(context, reader, manifest, &store).await?;
    store.close().await.context("closing the new database")?;
    // Believed only when it was read back from where it now is.
    let found = super::super::restore::verify(context, &fresh.dir()).await?;
    if found.is_empty() {
        fresh.publish()?;
    }
    Ok(found)
}

/// Fills the database that the settings name, and reads all of it back; answers what does not hold.
async fn into_shared(context: &Context, reader: Reader, manifest: Manifest) -> Result<Vec<Value>> {
    let config = context.config();
    let half = || format!("{} may hold a part of it now: drop that database and create it anew", config.database.url);
    let store = compose::open_shared(&config.database, None).await?;
    take_in(context, reader, manifest, &store).await.with_context(half)?;
    store.close().await.context("closing the database")?;
    let pool = compose::open(config, &DataDir::new(&config.server.data), As::Command).await?;
    let client = Client::new(Box::new(InProcess::new(pool, None)), None, None);
    let walked = walk(&client, None, context.out.quiet).await;
    client.close().await?;
    Ok(walked?.faults)
}

async fn take_in(context: &Context, mut reader: Reader, manifest: Manifest, store: &Arc<dyn Store>) -> Result<()> {
    let (loading, quiet) = (Arc::clone(store), context.out.quiet);
    tokio::task::spawn_blocking(move || load(&mut reader, &manifest, &loading, quiet))
        .await
        .context("taking in the archive")?
}

/// Fails unless the database that the settings name holds no pool.
async fn check_empty(context: &Context) -> Result<()> {
    let database = &context.config().database;
    let store = compose::open_shared(database, None).await?;
    let heads = store.heads().await.context("looking into the database");
    store.close().await.context("closing the database")?;
    if heads?.iter().any(|(_, head)| head.seq.0 > 0) {
        return Err(refused(format!(
            "{} holds a pool already, and nothing of it is overwritten; create an empty database, and name it in database.url",
            database.url
        )));
    }
    Ok(())
}
