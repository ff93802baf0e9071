//! Walking the hash chains with the server's help, and collecting what does not hold.

use crate::client::{Client, query};
use crate::exit::{Failure, unavailable};
use crate::output::{text, visible};
use crate::progress::Progress;
use anyhow::Result;
use axum::http::Method;
use serde_json::{Value, json};

/// What a walk found.
#[derive(Debug, Default)]
pub(crate) struct Walked {
    /// Logs.
    pub(crate) rooms: u64,
    /// Entries of them.
    pub(crate) entries: u64,
    /// What does not hold: room, name, entry, and a sentence.
    pub(crate) faults: Vec<Value>,
}

/// Walks the log of `room`, or all logs.
///
/// # Errors
/// When it cannot be said whether all holds: the server cannot be asked, or stopped before the end.
pub(crate) async fn walk(client: &Client, room: Option<i64>, quiet: bool) -> Result<Walked> {
    let path = format!("/admin/verify{}", query(&[("room", room.map(|r| r.to_string()))]));
    let mut lines = client.lines(Method::GET, &path, None).await?;
    let mut progress = Progress::new("entries verified", 0, quiet);
    let mut walked = Walked::default();
    let mut finished = 0;
    let whole = loop {
        let line = match lines.next().await {
            Ok(Some(line)) => line,
            Ok(None) => break false,
            Err(error) => match unreadable(&error) {
                // That the data cannot be read is a finding.
                Some(what) => {
                    walked.faults.push(json!({ "room": null, "name": null, "seq": null, "what": what }));
                    break true;
                }
                None => return Err(error),
            },
        };
        let count = |field: &str| line[field].as_u64().unwrap_or_default();
        if line["done"] == true {
            (walked.rooms, walked.entries) = (count("rooms"), count("entries"));
            break true;
        } else if let Some(fault) = line.get("fault") {
            walked.faults.push(fault.clone());
        } else {
            let so_far = count("entries");
            progress.set(finished + so_far);
            // A log that was walked to its end no longer says how many entries there are to come.
            if line["of"].is_null() {
                finished += so_far;
            }
        }
    };
    progress.finish();
    // Without the last line nobody knows that all of it was looked at.
    if whole {
        Ok(walked)
    } else {
        Err(unavailable("the server stopped before all was verified; see its log, and try again"))
    }
}

/// What a server says that fell over what it read.
fn unreadable(error: &anyhow::Error) -> Option<String> {
    let failure = error.chain().find_map(|e| e.downcast_ref::<Failure>())?;
    let internal = failure.problem.as_ref().is_some_and(|p| p["code"] == "internal");
    internal.then(|| format!("the data cannot be read to its end: {}", failure.message))
}

/// A fault as a line for people.
pub(crate) fn fault(fault: &Value) -> String {
    let what = visible(&text(fault, "what"));
    if fault["room"].is_null() {
        return format!("FAULT  {what}");
    }
    let name = fault["name"].as_str().map_or_else(|| "the pool's log".to_owned(), |n| format!("room {}", visible(n)));
    format!("FAULT  {name} ({}), entry {}: {what}", text(fault, "room"), text(fault, "seq"))
}
