//! A client that listens: a live connection to one server.

use crate::http::Http;
use anyhow::{Context as _, Result};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// How often a silent server is asked whether it is there.
const ASK: Duration = Duration::from_secs(1);

/// A live connection.
#[derive(Debug)]
pub struct Live {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    heard: Instant,
    host: String,
}

impl Live {
    /// Connects to `host:port` as the user that `http` is signed in as.
    ///
    /// # Errors
    /// When the server is not there, or does not take the connection; a refusal is in the error's text.
    pub async fn connect(host: &str, http: &Http) -> Result<Self> {
        let mut request = format!("ws://{host}/api/v1/live").into_client_request()?;
        if let Some((name, value)) = http.credential() {
            request.headers_mut().insert(name, value.parse()?);
        }
        let socket = match tokio_tungstenite::connect_async(request).await {
            Ok((socket, _)) => socket,
            Err(tokio_tungstenite::tungstenite::Error::Http(refusal)) => {
                let body = refusal.body().as_deref().map(String::from_utf8_lossy).unwrap_or_default();
                anyhow::bail!("{} {body}", refusal.status());
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Self { socket, heard: Instant::now(), host: host.to_owned() })
    }

    /// The host and port that it is connected to.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Comes into rooms, each after the last entry that the client has, and the epoch in which it had it; `None` begins with what is new.
    ///
    /// # Errors
    /// When the connection is over.
    pub async fn join(&mut self, rooms: impl IntoIterator<Item = (i64, Option<(i64, i64)>)>) -> Result<()> {
        let join = |(room, known): (i64, Option<(i64, i64)>)| match known {
            Some((epoch, after)) => json!({ "room": room, "after": after, "epoch": epoch }),
            None => json!({ "room": room, "after": null }),
        };
        let rooms: Vec<Value> = rooms.into_iter().map(join).collect();
        self.say(&json!({ "type": "join", "rooms": rooms })).await
    }

    /// Says something.
    ///
    /// # Errors
    /// When the connection is over.
    pub async fn say(&mut self, frame: &Value) -> Result<()> {
        Ok(self.socket.send(Message::text(frame.to_string())).await?)
    }

    /// The next frame; `None` if none came in time.
    ///
    /// # Errors
    /// When the connection is over.
    pub async fn next(&mut self, limit: Duration) -> Result<Option<Value>> {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(message) = timeout(left.min(ASK), self.socket.next()).await else {
                if Instant::now() >= deadline {
                    return Ok(None);
                }
                timeout(ASK, self.socket.send(Message::Ping(bytes::Bytes::new()))).await??;
                continue;
            };
            self.heard = Instant::now();
            match message.context("the server ended the connection")?? {
                Message::Text(text) => return Ok(Some(serde_json::from_str(&text)?)),
                Message::Close(why) => anyhow::bail!("the server ended the connection: {why:?}"),
                _ => {}
            }
        }
    }

    /// For how long the server has not said anything, not even that it is there.
    pub fn silence(&self) -> Duration {
        self.heard.elapsed()
    }

    /// The next frame for which `wanted` holds; others are passed over.
    ///
    /// # Errors
    /// When it does not come in time, with what came instead.
    pub async fn wait_for(&mut self, limit: Duration, mut wanted: impl FnMut(&Value) -> bool) -> Result<Value> {
        let deadline = Instant::now() + limit;
        let mut others = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.next(left).await? {
                Some(frame) if wanted(&frame) => return Ok(frame),
                Some(frame) => others.push(frame),
                None => anyhow::bail!("it did not come within {limit:?}; instead: {others:?}"),
            }
        }
    }
}
