//! Posts a second through the server, by the number of senders, beside a bare SQLite loop of one row a transaction on the same disk.

use crate::data::Scene;
use crate::figures::{Durations, Row, round};
use crate::server::Server;
use anyhow::Result;
use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant};

const WINDOW: Duration = Duration::from_secs(3);

pub(crate) async fn measure(server: &Server, scene: &Scene, folder: &Path) -> Result<Vec<Row>> {
    let mut rows = vec![bare(&folder.join("bare.db"))?];
    for senders in [1, 10, 100] {
        let until = Instant::now() + WINDOW;
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..senders {
            let mut client = scene.client(server).await?;
            let path = format!("/api/v1/rooms/{}/messages", scene.room);
            tasks.spawn(async move {
                let mut durations = Durations::default();
                while Instant::now() < until {
                    let body = json!({"client_id": uuid::Uuid::new_v4(), "text": "y".repeat(100)});
                    let begun = Instant::now();
                    client.post(&path, &body).await?;
                    durations.add(begun.elapsed());
                }
                anyhow::Ok(durations)
            });
        }
        let mut all = Durations::default();
        while let Some(done) = tasks.join_next().await {
            all.extend(&done??);
        }
        let rate = per_second(all.len(), WINDOW);
        rows.push(all.row(format!("holdfast over HTTP, {senders} senders")).with("per_second", rate));
    }
    Ok(rows)
}

/// One row a transaction, nothing else: what the disk allows to who does not commit in groups.
fn bare(path: &Path) -> Result<Row> {
    let db = rusqlite::Connection::open(path)?;
    db.execute_batch(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE entry(id INTEGER PRIMARY KEY, body TEXT)",
    )?;
    let begun = Instant::now();
    let mut durations = Durations::default();
    while begun.elapsed() < WINDOW {
        let one = Instant::now();
        db.execute("INSERT INTO entry(body) VALUES (?1)", ["y".repeat(100)])?;
        durations.add(one.elapsed());
    }
    let rate = per_second(durations.len(), WINDOW);
    Ok(durations.row("bare SQLite, one row a transaction").with("per_second", rate))
}

fn per_second(count: usize, window: Duration) -> serde_json::Value {
    #[allow(clippy::cast_precision_loss, reason = "counts of a few seconds")]
    round(count as f64 / window.as_secs_f64())
}
