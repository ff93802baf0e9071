//! `holdfast verify`: walks the hash chain of every log.

use super::Context;
use crate::client::Access;
use crate::exit::{Exit, Failure};
use crate::output::{Output, text, visible};
use crate::progress::Progress;
use crate::resolve::{self, Kind};
use anyhow::Result;
use axum::http::Method;
use serde_json::{Value, json};

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

/// What a walk found.
struct Found {
    rooms: u64,
    entries: u64,
    faults: Vec<Value>,
}

/// Does what was asked.
pub(crate) async fn run(args: &Args, context: &Context) -> Result<Exit> {
    context
        .with(Access::Existing, async |client| {
            let path = match &args.room {
                Some(room) => format!("/admin/verify?room={}", resolve::id(client, Kind::Room, room).await?),
                None => "/admin/verify".to_owned(),
            };
            let mut lines = client.lines(Method::GET, &path, None).await?;
            let mut progress = Progress::new("logs verified", 0, context.out.quiet);
            let mut faults = Vec::new();
            let mut done = None;
            while let Some(line) = lines.next().await? {
                if line["done"] == true {
                    done = Some(line);
                } else if let Some(fault) = line.get("fault") {
                    faults.push(fault.clone());
                } else {
                    progress.add(1);
                }
            }
            progress.finish();
            // Without the last line nobody knows that all of it was looked at.
            let Some(done) = done else {
                return Err(Failure::new(
                    Exit::Unavailable,
                    "the server stopped before all was verified; see its log, and try again",
                )
                .into());
            };
            let count = |field: &str| done[field].as_u64().unwrap_or_default();
            let found = Found { rooms: count("rooms"), entries: count("entries"), faults };
            Ok(found.report(context.out))
        })
        .await
}

impl Found {
    fn report(&self, out: Output) -> Exit {
        let holds = self.faults.is_empty();
        let report = json!({ "holds": holds, "rooms": self.rooms, "entries": self.entries, "faults": self.faults });
        out.value(&report, |_| self.sentences());
        if holds { Exit::Done } else { Exit::Refused }
    }

    fn sentences(&self) -> String {
        if self.faults.is_empty() {
            return format!("All holds: {} entries in {} logs.", self.entries, self.rooms);
        }
        let mut out: Vec<String> = self
            .faults
            .iter()
            .map(|f| {
                let name =
                    f["name"].as_str().map_or_else(|| "the pool's log".to_owned(), |n| format!("room {}", visible(n)));
                format!("FAULT  {name} ({}), entry {}: {}", text(f, "room"), text(f, "seq"), text(f, "what"))
            })
            .collect();
        out.push(format!(
            "{} faults in {} entries of {} logs. Keep this data as it is, and restore a backup elsewhere to compare.",
            self.faults.len(),
            self.entries,
            self.rooms
        ));
        out.join("\n")
    }
}
