//! `holdfast verify`: walks the hash chain of every log.

use super::Context;
use crate::client::Access;
use crate::exit::Exit;
use crate::resolve::{self, Kind};
use crate::walk::{fault, walk};
use anyhow::Result;
use serde_json::json;

/// What to verify.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exits with 0 when all holds and with 1 when something does not; each fault names room and entry.\n\nExamples:\n  holdfast verify --data ./data\n  holdfast verify --data ./data --room \"Night shift\" --json"
)]
pub(crate) struct Args {
    /// Only this room's log: name or number; 0 is the pool's own
    #[arg(long)]
    room: Option<String>,
}

/// Does what was asked.
pub(crate) async fn run(args: &Args, context: &Context) -> Result<Exit> {
    context
        .with(Access::Existing, async |client| {
            let room = match &args.room {
                Some(room) => Some(resolve::id(client, Kind::Room, room).await?),
                None => None,
            };
            let walked = walk(client, room, context.out.quiet).await?;
            let holds = walked.faults.is_empty();
            let report =
                json!({ "holds": holds, "rooms": walked.rooms, "entries": walked.entries, "faults": walked.faults });
            context.out.value(&report, |_| {
                let of = format!("{} entries in {} logs", walked.entries, walked.rooms);
                if holds {
                    return format!("All holds: {of}.");
                }
                let mut lines: Vec<String> = walked.faults.iter().map(fault).collect();
                let advice = "Keep this data as it is, and restore a backup elsewhere to compare.";
                lines.push(format!("{} faults in {of}. {advice}", walked.faults.len()));
                lines.join("\n")
            });
            Ok(if holds { Exit::Done } else { Exit::Refused })
        })
        .await
}
