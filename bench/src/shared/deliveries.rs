//! Deliveries a second of one busy room: live connections that all are in it, senders that post as fast as they are answered; with all of them on
//! one server, and with half of them on each of two.

use super::postgres;
use crate::client::Client;
use crate::data::administrator;
use crate::figures::{Row, round};
use crate::server::Server;
use anyhow::{Context, Result};
use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

const LISTENERS: usize = 200;
/// Live connections of one user are limited, so the listeners are several people.
const LISTENERS_PER_USER: usize = 40;
const SENDERS: usize = 8;
const WINDOW: Duration = Duration::from_secs(5);

pub(crate) async fn measure(binary: &Path, folder: &Path) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for servers in [1, 2] {
        rows.push(with(binary, &folder.join(format!("pool-{servers}")), servers).await?);
    }
    Ok(rows)
}

async fn with(binary: &Path, folder: &Path, servers: usize) -> Result<Row> {
    let postgres = postgres().await?;
    let mut running = Vec::new();
    for n in 0..servers {
        let data = folder.join(format!("server-{n}"));
        std::fs::create_dir_all(&data)?;
        let settings = [("HOLDFAST_DATABASE__URL", postgres.url()), ("HOLDFAST_POOL__SERVER", format!("bench-{n}"))];
        running.push(Server::start_with(binary, &data, &settings).await?);
    }
    let first = running.first().context("no server")?;
    let token = administrator(first)?;
    let mut admin = Client::connect(&first.address, &token).await?;
    let category = admin.post("/api/v1/categories", &json!({"name": "Bench", "allowed": [1]})).await?;
    let room = admin
        .post("/api/v1/rooms", &json!({"name": "Busy", "category": category["id"], "privacy": "open"}))
        .await?["id"]
        .as_i64()
        .context("no id of the room")?;

    let received = Arc::new(AtomicU64::new(0));
    let joined = Arc::new(AtomicU64::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for from in (0..LISTENERS).step_by(LISTENERS_PER_USER) {
        let secret = bot(&mut admin, &format!("ear{from}")).await?;
        for n in from..(from + LISTENERS_PER_USER).min(LISTENERS) {
            let address = running[n % servers].address.clone();
            tasks.spawn(listen(address, secret.clone(), room, Arc::clone(&received), Arc::clone(&joined)));
        }
    }
    let begun = Instant::now();
    while joined.load(Ordering::Relaxed) < LISTENERS as u64 {
        anyhow::ensure!(begun.elapsed() < Duration::from_secs(60), "not everybody is in the room after a minute");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for n in 0..SENDERS {
        let secret = bot(&mut admin, &format!("mouth{n}")).await?;
        let mut sender = Client::connect(&running[n % servers].address, &secret).await?;
        tasks.spawn(async move {
            loop {
                let body = json!({"client_id": uuid::Uuid::new_v4(), "text": format!("bench {}", "x".repeat(60))});
                sender.post(&format!("/api/v1/rooms/{room}/messages"), &body).await?;
            }
        });
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let cpu = |running: &[Server]| running.iter().map(Server::cpu_seconds).sum::<Result<f64>>();
    let (before, cpu_before) = (received.load(Ordering::Relaxed), cpu(&running)?);
    tokio::time::sleep(WINDOW).await;
    let (after, cpu_after) = (received.load(Ordering::Relaxed), cpu(&running)?);
    tasks.abort_all();
    for server in running {
        server.stop().await?;
    }
    #[allow(clippy::cast_precision_loss, reason = "counts of some seconds")]
    let deliveries = (after - before) as f64;
    Ok(Row::new(
        format!("{servers} servers, {LISTENERS} listeners, {SENDERS} senders"),
        vec![
            ("deliveries_per_second", round(deliveries / WINDOW.as_secs_f64())),
            ("posts_per_second", round(deliveries / WINDOW.as_secs_f64() / LISTENERS as f64)),
            ("server_cpu_us_per_delivery", round((cpu_after - cpu_before) * 1_000_000.0 / deliveries)),
        ],
    ))
}

async fn bot(admin: &mut Client, name: &str) -> Result<String> {
    let user = admin.post("/api/v1/users", &json!({"name": name, "kind": "bot"})).await?;
    let id = user["id"].as_i64().context("no id")?;
    let body = json!({"label": "bench", "scopes": ["read", "post"]});
    let token = admin.post(&format!("/api/v1/users/{id}/tokens"), &body).await?;
    Ok(token["secret"].as_str().context("no secret")?.to_owned())
}

async fn listen(
    address: String,
    token: String,
    room: i64,
    received: Arc<AtomicU64>,
    joined: Arc<AtomicU64>,
) -> Result<()> {
    let mut request = format!("ws://{address}/api/v1/live").into_client_request()?;
    request.headers_mut().insert("authorization", format!("Bearer {token}").parse()?);
    let mut socket = tokio_tungstenite::connect_async(request).await?.0;
    let join = json!({"type": "join", "rooms": [{"room": room, "after": null}]});
    socket.send(Message::text(join.to_string())).await?;
    while let Some(frame) = socket.next().await {
        let Message::Text(text) = frame? else { continue };
        // Only what is counted is looked at: the clients share the machine with the servers.
        if text.contains("\"text\":\"bench ") {
            received.fetch_add(1, Ordering::Relaxed);
        } else if text.contains("\"joined\"") {
            joined.fetch_add(1, Ordering::Relaxed);
        }
    }
    Ok(())
}
