//! `holdfast export`: the whole pool as one archive.

use super::Context;
use super::shared::would_change;
use crate::archive::write::write;
use crate::cli::WhatIf;
use crate::client::Access;
use crate::exit::Exit;
use crate::output::text;
use anyhow::Result;
use serde_json::json;
use std::path::PathBuf;

/// Where to.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The archive is a ZIP file of JSON lines and files, readable without Holdfast. It holds everything, password keys\nand what was said between two included: keep it as you keep the server. Logs are verified as they are written; exits with 1 if something does not hold.\n\nExample:\n  holdfast export pool.zip --data ./data"
)]
pub(crate) struct Args {
    /// The archive to make; one that is there is not overwritten
    #[arg(value_name = "ARCHIVE")]
    to: PathBuf,
    #[command(flatten)]
    what_if: WhatIf,
}

/// Does what was asked.
pub(crate) async fn run(args: &Args, context: &Context) -> Result<Exit> {
    context
        .with(Access::Existing, async |client| {
            if args.what_if.what_if {
                let status = client.get("/admin/status").await?;
                let change = format!(
                    "{} would be made, with {} rooms, {} users and {} messages",
                    args.to.display(),
                    text(&status, "rooms"),
                    text(&status, "users"),
                    text(&status, "messages")
                );
                return Ok(would_change(context.out, &[change]));
            }
            let written = Box::pin(write(client, &args.to, context.out.quiet)).await?;
            let faults: Vec<_> = written
                .faults
                .iter()
                .map(|(room, fault)| json!({ "room": room, "seq": fault.seq, "what": fault.what }))
                .collect();
            let report = json!({ "path": args.to, "entries": written.entries, "direct": written.direct, "files": written.files,
                "files_missing": written.files_missing, "faults": faults });
            context.out.value(&report, |_| {
                let mut out = vec![format!(
                    "Wrote {}: {} entries, {} one-to-one messages, {} files.",
                    args.to.display(),
                    written.entries,
                    written.direct,
                    written.files
                )];
                out.extend(
                    written.faults.iter().map(|(room, f)| format!("FAULT  room {room}, entry {}: {}", f.seq, f.what)),
                );
                out.join("\n")
            });
            Ok(if written.faults.is_empty() { Exit::Done } else { Exit::Refused })
        })
        .await
}
