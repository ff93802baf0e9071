//! The last proof of a failover: a client signs in at each server that takes clients, comes into a room, posts, hears it and reads it back.

use crate::topology::{Probe, ServerPlace};
use anyhow::{Context as _, Result, bail, ensure};
use holdfast_load::{Http, Live};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

/// For all of it at one server.
const PATIENCE: Duration = Duration::from_secs(10);
/// For what was posted to be heard.
const HEARING: Duration = Duration::from_secs(5);

/// Works at a server as a client does, and answers how long that took. The same `client_id` again posts nothing twice.
pub(super) async fn prove(probe: &Probe, server: &ServerPlace, client_id: Uuid, text: &str) -> Result<Duration> {
    let begun = Instant::now();
    let proving = timeout(PATIENCE, work(probe, server, client_id, text)).await;
    proving.with_context(|| format!("{} did not answer within {} s", server.name, PATIENCE.as_secs()))??;
    Ok(begun.elapsed())
}

async fn work(probe: &Probe, server: &ServerPlace, client_id: Uuid, text: &str) -> Result<()> {
    let host = server.plain_host().with_context(|| {
        format!("{} is reached by TLS: name an address without it in the topology, as its probe_url", server.name)
    })?;
    let password = std::fs::read_to_string(&probe.password_file)
        .with_context(|| format!("reading the probe's password from {}", probe.password_file.display()))?;
    let mut http = Http::new(&host);
    http.sign_in(&probe.name, password.lines().next().unwrap_or_default()).await.with_context(|| said(server))?;

    let (status, rooms) = http.get(&format!("/rooms?name={}", encoded(&probe.room))).await?;
    ensure!(status == 200, "{} lists no rooms: {status} {rooms}", server.name);
    let room = rooms["items"][0]["id"].as_i64();
    let room = room.with_context(|| format!("{} shows {} no room called {}", server.name, probe.name, probe.room))?;

    let mut live = Live::connect(&host, &http).await.with_context(|| said(server))?;
    live.join([(room, None)]).await?;
    live.wait_for(HEARING, |frame| frame["type"] == "joined").await.context("coming into the room")?;
    let body = json!({ "client_id": client_id, "text": text });
    let (status, answer) = http.post(&format!("/rooms/{room}/messages"), &body).await?;
    let seq = match (status, answer["seq"].as_i64()) {
        (201, Some(seq)) => seq,
        // It was posted by an attempt before this one, which heard it or will not.
        (200, Some(seq)) => return read_back(&mut http, server, room, seq, text).await,
        _ => bail!("{} took no message: {status} {answer}", server.name),
    };
    let is_it =
        |frame: &Value| frame["client_id"] == json!(client_id) || frame["entry"]["client_id"] == json!(client_id);
    live.wait_for(HEARING, is_it).await.with_context(|| format!("{} did not pass the message on", server.name))?;
    read_back(&mut http, server, room, seq, text).await
}

async fn read_back(http: &mut Http, server: &ServerPlace, room: i64, seq: i64, text: &str) -> Result<()> {
    let (status, page) = http.get(&format!("/rooms/{room}/entries?after={}&limit=1", seq - 1)).await?;
    ensure!(status == 200, "{} shows nothing of the room: {status} {page}", server.name);
    let read = page["entries"][0]["message"]["text"].as_str();
    ensure!(read == Some(text), "{} shows something else than what was posted: {page}", server.name);
    Ok(())
}

/// As a value in an address's query (RFC 3986, section 2.1).
fn encoded(value: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    value.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

fn said(server: &ServerPlace) -> String {
    format!("at {}", server.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rooms_name_is_a_value() {
        assert_eq!(encoded("Night shift & co"), "Night%20shift%20%26%20co");
        assert_eq!(encoded("caf\u{e9}"), "caf%C3%A9");
    }
}
