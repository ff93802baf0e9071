//! Many WebSocket clients in one room: from the moment a post is sent until the last of them has it.

use crate::data::Scene;
use crate::figures::{Durations, Row, round};
use crate::server::Server;
use anyhow::{Context, Result};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

const POSTS: usize = 200;
/// Between two posts: a busy room, but not a flood.
const PAUSE: Duration = Duration::from_millis(50);
/// Live connections of one user are limited, so the clients are several people.
const CLIENTS_PER_USER: usize = 40;

pub(crate) async fn measure(server: &Server, scene: &Scene, clients: usize) -> Result<Vec<Row>> {
    let mut admin = scene.client(server).await?;
    let (received, mut arrivals) = mpsc::unbounded_channel::<(usize, Instant)>();
    let joined = Arc::new(AtomicUsize::new(0));
    let connecting = Instant::now();
    let before = server.resident_kib()?;
    let mut tasks = tokio::task::JoinSet::new();
    for first in (0..clients).step_by(CLIENTS_PER_USER) {
        let name = format!("fan{first}");
        let user = admin.post("/api/v1/users", &json!({"name": name, "kind": "bot"})).await?;
        let id = user["id"].as_i64().context("no id")?;
        let token = admin
            .post(&format!("/api/v1/users/{id}/tokens"), &json!({"label": "fan-out", "scopes": ["read", "post"]}))
            .await?;
        let token = token["secret"].as_str().context("no secret")?.to_owned();
        for _ in first..(first + CLIENTS_PER_USER).min(clients) {
            let (address, token, room) = (server.address.clone(), token.clone(), scene.room);
            let (received, joined) = (received.clone(), Arc::clone(&joined));
            let socket = open(&address, &token).await?;
            tasks.spawn(listen(socket, room, received, joined));
        }
    }
    while joined.load(Ordering::Relaxed) < clients {
        tokio::time::sleep(Duration::from_millis(5)).await;
        anyhow::ensure!(
            connecting.elapsed() < Duration::from_secs(120),
            "not all clients are in the room after two minutes"
        );
    }
    let connected_after = connecting.elapsed();
    let after = server.resident_kib()?;

    let cpu_before = server.cpu_seconds()?;
    let path = format!("/api/v1/rooms/{}/messages", scene.room);
    let (mut each, mut last) = (Durations::default(), Durations::default());
    for i in 0..POSTS {
        let body = json!({"client_id": uuid::Uuid::new_v4(), "text": format!("bench {i} {}", "x".repeat(60))});
        let sent = Instant::now();
        let posting = admin.post(&path, &body);
        let gathering = async {
            let mut latest = sent;
            let mut missing = clients;
            while missing > 0 {
                let Some((number, at)) = arrivals.recv().await else { break };
                if number == i {
                    each.add(at - sent);
                    latest = latest.max(at);
                    missing -= 1;
                }
            }
            latest
        };
        let (posted, latest) = tokio::join!(posting, gathering);
        posted?;
        last.add(latest - sent);
        tokio::time::sleep(PAUSE).await;
    }
    let cpu = server.cpu_seconds()? - cpu_before;
    tasks.abort_all();
    #[allow(clippy::cast_precision_loss, reason = "counts of thousands")]
    let deliveries = each.len() as f64;
    #[allow(clippy::cast_precision_loss, reason = "KiB of a process")]
    let kib_each = after.saturating_sub(before) as f64 / clients as f64;
    Ok(vec![
        each.row(format!("{clients} clients: each delivery")),
        last.row(format!("{clients} clients: last delivery of a post")),
        Row::new(
            "server",
            vec![
                ("cpu_us_per_delivery", round(cpu * 1_000_000.0 / deliveries)),
                ("kib_per_client", round(kib_each)),
                ("connect_seconds", round(connected_after.as_secs_f64())),
            ],
        ),
    ])
}

type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

async fn open(address: &str, token: &str) -> Result<Socket> {
    let mut request = format!("ws://{address}/api/v1/live").into_client_request()?;
    request.headers_mut().insert("authorization", format!("Bearer {token}").parse()?);
    Ok(tokio_tungstenite::connect_async(request).await?.0)
}

async fn listen(
    mut socket: Socket,
    room: i64,
    received: mpsc::UnboundedSender<(usize, Instant)>,
    joined: Arc<AtomicUsize>,
) -> Result<()> {
    let join = json!({"type": "join", "rooms": [{"room": room, "after": null}]});
    socket.send(Message::text(join.to_string())).await?;
    while let Some(frame) = socket.next().await {
        let Message::Text(text) = frame? else { continue };
        let at = Instant::now();
        // Only what is counted is parsed: the clients share the machine with the server.
        if let Some(number) = text.find("\"text\":\"bench ").and_then(|i| number(&text[i + 14..])) {
            received.send((number, at))?;
        } else if text.contains("\"joined\"") {
            let event: Value = serde_json::from_str(&text)?;
            if event["type"] == "joined" {
                joined.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
    Ok(())
}

fn number(text: &str) -> Option<usize> {
    text.split(' ').next()?.parse().ok()
}
