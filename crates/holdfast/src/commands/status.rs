//! `holdfast status`: how the server is.

use super::Context;
use super::pool::milliseconds;
use crate::client::Access;
use crate::exit::Exit;
use crate::output::{Column, moment, text};
use anyhow::Result;

/// Takes nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  holdfast status --data ./data --json")]
pub(crate) struct Args {}

const FIELDS: &[Column] = &[
    ("Server", |s| text(s, "server")),
    ("Version", |s| text(s, "version")),
    ("Name in the pool", |s| text(s, "name_in_pool")),
    // Alone it takes everybody, which needs no word.
    ("Standing", |s| if s["name_in_pool"].is_null() { String::new() } else { text(s, "standing") }),
    ("Running since", |s| moment(&s["started_at"])),
    ("Rooms", |s| text(s, "rooms")),
    ("Users", |s| text(s, "users")),
    ("Messages", |s| text(s, "messages")),
    ("Connections", |s| text(s, "connections")),
    ("Database", |s| text(&s["database"], "engine")),
    ("Condition", |s| text(&s["database"], "condition")),
    ("Answers in", |s| milliseconds(&s["database"]["round_trip_ms"])),
    ("Where", |s| text(&s["database"], "path")),
    ("Bytes", |s| text(&s["database"], "bytes")),
];

/// Does what was asked.
pub(crate) async fn run(_args: &Args, context: &Context) -> Result<Exit> {
    context
        .with(Access::Existing, async |client| {
            context.out.record(&client.get("/admin/status").await?, FIELDS);
            Ok(Exit::Done)
        })
        .await
}
