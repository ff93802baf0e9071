//! `holdfast audit`: who changed what of users, groups, categories and rooms.

use super::Context;
use crate::client::Access;
use crate::exit::Exit;
use crate::output::{Column, moment, text};
use anyhow::Result;

/// How much of it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  holdfast audit --limit 20")]
pub(crate) struct Args {
    /// At most so many, the newest first
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

const COLUMNS: &[Column] = &[
    ("NO.", |e| text(e, "seq")),
    ("WHEN", |e| moment(&e["at"])),
    ("WHO", |e| text(e, "author")),
    ("WHAT", |e| text(e, "summary")),
];

/// Does what was asked.
pub(crate) async fn run(args: &Args, context: &Context) -> Result<Exit> {
    context
        .with(Access::Existing, async |client| {
            let items = client.list(&format!("/audit?limit={}", args.limit.clamp(1, 200)), args.limit).await?;
            context.out.list(&items, "Nothing was changed yet.", COLUMNS);
            Ok(Exit::Done)
        })
        .await
}
