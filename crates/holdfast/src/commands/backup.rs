//! `holdfast backup`: a copy of everything as of one moment, while the server goes on.

use super::Context;
use crate::cli::WhatIf;
use crate::client::Access;
use crate::exit::{Exit, Failure, refused};
use crate::output::text;
use crate::progress::Progress;
use anyhow::{Context as _, Result};
use axum::http::Method;
use serde_json::json;
use std::path::PathBuf;

/// What is said of data that others look after.
const ELSEWHERE: &str = "the data is in PostgreSQL, which is backed up by its own tools while all servers run: `pg_basebackup` copies the \
    whole instance, `pg_dump --format=custom` this database. `holdfast export` writes everything to one archive that any Holdfast reads";

/// Where to.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The file holds everything, password keys included: keep it as you keep the server. `holdfast restore` reads it.\n\nExample:\n  holdfast backup --to /var/backups/holdfast-monday.db --data ./data"
)]
pub(crate) struct Args {
    /// The file to make; one that is there is not overwritten
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    #[command(flatten)]
    what_if: WhatIf,
}

/// Does what was asked.
pub(crate) async fn run(args: &Args, context: &Context) -> Result<Exit> {
    let to = std::path::absolute(&args.to).context("finding the directory we are in")?;
    if to.exists() {
        return Err(refused(format!("{} is there already and is not overwritten; choose another name", to.display())));
    }
    context
        .with(Access::Existing, async |client| {
            let status = client.get("/admin/status").await?;
            if text(&status["database"], "engine").starts_with("PostgreSQL") {
                return Err(refused(ELSEWHERE));
            }
            if args.what_if.what_if {
                let change =
                    format!("{} would be made, of about {} bytes", to.display(), text(&status["database"], "bytes"));
                return Ok(super::shared::would_change(context.out, &[change]));
            }
            let mut lines = client.lines(Method::POST, "/admin/backup", Some(&json!({ "to": to }))).await?;
            let mut progress = None;
            let mut done = None;
            while let Some(line) = lines.next().await? {
                if line["done"] == true {
                    done = Some(line);
                } else if let (Some(parts), Some(of)) = (line["done_parts"].as_u64(), line["parts"].as_u64()) {
                    progress.get_or_insert_with(|| Progress::new("parts copied", of, context.out.quiet)).set(parts);
                }
            }
            if let Some(progress) = progress {
                progress.finish();
            }
            let Some(done) = done else {
                return Err(Failure::new(
                    Exit::Unavailable,
                    format!("the backup stopped before its end; remove {} and see the server's log", to.display()),
                )
                .into());
            };
            context.out.value(&done, |d| format!("Wrote {} ({} bytes).", text(d, "path"), text(d, "bytes")));
            Ok(Exit::Done)
        })
        .await
}
