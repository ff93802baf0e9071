//! `holdfast import ARCHIVE`: a whole pool into a new data directory. It works offline, on the store itself: entries come in
//! exactly as they were, with their numbers, times and hashes, which no API may ever allow.

use crate::archive::check::check;
use crate::archive::load::load;
use crate::archive::read::Reader;
use crate::cli::WhatIf;
use crate::commands::Context;
use crate::compose;
use crate::exit::{Exit, usage};
use crate::fresh::{FreshDir, check_free};
use anyhow::{Context as _, Result};
use serde_json::json;
use std::path::Path;

/// Does what was asked.
pub(super) async fn run(archive: &Path, what_if: WhatIf, context: &Context) -> Result<Exit> {
    let out = context.out;
    if context.reach.server.is_some() {
        return Err(usage(
            "an archive is imported on the machine of the data: name a new directory with --data instead of --server",
        ));
    }
    let target = context.config().server.data.clone();
    check_free(&target)?;
    let path = archive.to_owned();
    let (mut reader, manifest, checked) = tokio::task::spawn_blocking(move || -> Result<_> {
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
        let fresh = FreshDir::begin(&target)?;
        let store = compose::open_store(&fresh.dir())?;
        let loading = std::sync::Arc::clone(&store);
        tokio::task::spawn_blocking(move || load(&mut reader, &manifest, &loading, out.quiet))
            .await
            .context("taking in the archive")??;
        store.close().await.context("closing the new database")?;
        // Believed only when it was read back from where it now is.
        let found = super::super::restore::verify(context, &fresh.dir()).await?;
        if found.is_empty() {
            fresh.publish()?;
            report["imported"] = json!(true);
        } else {
            report["faults_after"] = json!(found);
            exit = Exit::Refused;
        }
    }
    out.value(&report, |_| {
        let mut lines = vec![format!(
            "{}: {} entries in {} logs, {} files, {} accounts.",
            archive.display(),
            checked.entries,
            checked.logs,
            checked.files,
            checked.accounts
        )];
        lines.extend(checked.faults.iter().map(|f| format!("FAULT  {f}")));
        lines.push(match (exit, what_if.what_if) {
            (Exit::Done, false) => format!("Imported into {}, and verified there.", target.display()),
            (Exit::Done, true) => format!("All holds. Would import it into {}; nothing was written.", target.display()),
            _ => "Nothing was imported: what does not hold is not taken in.".into(),
        });
        lines.join("\n")
    });
    Ok(exit)
}
