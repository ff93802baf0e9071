//! From the start of the process to the first `ready`, and the memory of a server that nobody uses.

use crate::figures::{Durations, Row};
use crate::server::Server;
use anyhow::Result;
use serde_json::json;
use std::path::Path;
use std::time::Duration;

const STARTS: usize = 11;

pub(crate) async fn measure(binary: &Path, data: &Path) -> Result<Vec<Row>> {
    let mut starts = Durations::default();
    let mut resident = Vec::new();
    for _ in 0..STARTS {
        let server = Server::start(binary, data).await?;
        starts.add(server.ready_after);
        // What the start itself needed may be given back in this time.
        tokio::time::sleep(Duration::from_millis(500)).await;
        resident.push(server.resident_kib()?);
        server.stop().await?;
    }
    resident.sort_unstable();
    let middle = resident[resident.len() / 2];
    Ok(vec![
        starts.row("start to ready"),
        Row::new(
            "resident memory, idle",
            vec![("p50_kib", json!(middle)), ("max_kib", json!(resident[resident.len() - 1]))],
        ),
    ])
}
