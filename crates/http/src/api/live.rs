//! Live events over WebSocket.
//!
//! A connection is one task: it drains what happened, up to 64 events into one flush, and takes the client's frames. What may
//! take long (catching up on a room, moving a reading position) runs beside it.

mod frames;

pub(crate) use frames::{Frame, Say};

use crate::door::Door;
use crate::extract::{By, read_json};
use crate::guard::Bucket;
use crate::problem::{Code, Document, Problem, Refusals, Result};
use axum::Extension;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use bytes::Bytes;
use frames::Join;
use futures_util::{FutureExt, SinkExt};
use holdfast_chat::event::{Event, Shared, Wire};
use holdfast_chat::live::Joining;
use holdfast_chat::{ChatError, Live};
use holdfast_domain::{RoomId, Seq};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Events that go out in one flush at most.
const BATCH: usize = 64;
/// Buffers of a connection. The library's own would be 30 times as large, for every connection.
const READ_BUFFER: usize = 4 * 1024;
const WRITE_BUFFER: usize = 4 * 1024;
const WRITE_BUFFER_MOST: usize = 64 * 1024;
/// What runs beside one connection at once.
const BESIDE: usize = 16;
/// Seconds for a client to take what is written before it counts as gone.
const WRITE_PATIENCE: Duration = Duration::from_secs(30);
/// Refused frames after which a connection is closed.
const REFUSALS: u32 = 100;

pub(super) fn routes() -> OpenApiRouter<Door> {
    OpenApiRouter::new().routes(routes!(live))
}

/// Tells that the server stops; put beside every request by whoever accepts connections.
#[derive(Clone)]
pub(crate) struct Stopping(pub(crate) CancellationToken);

/// Live events: a WebSocket of JSON text frames. The server sends `LiveEvent`s, beginning with `welcome`; the client sends
/// `LiveRequest`s, beginning with `join`. Entries of a room come in the order of their numbers, without gap or repeat, after the
/// one that the client named; of a client that names its epoch as well, after the last of them that was preserved (`cut`).
#[utoipa::path(get, path = "/live", tag = "live",
    responses((status = 101, description = "The connection is a WebSocket from here on"), Refusals))]
async fn live(
    State(door): State<Door>,
    By(caller): By,
    stopping: Option<Extension<Stopping>>,
    upgrade: std::result::Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response> {
    let upgrade = upgrade
        .map_err(|error| Problem::new(Code::BadRequest, format!("this path is for WebSocket clients: {error}")))?;
    let live = door.chat.connect(&caller)?;
    if let Some(Extension(Stopping(token))) = stopping {
        door.say_goodbye_when(token);
    }
    let span = tracing::info_span!("live", user = caller.user.0);
    let most = door.options.limits.live_frame_bytes;
    let upgrade = upgrade
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_write_buffer_size(WRITE_BUFFER_MOST.max(2 * most))
        .max_message_size(most)
        .max_frame_size(most);
    // Boxed, so that the state of the handshake is not carried for as long as the connection lives.
    Ok(upgrade.on_upgrade(move |socket| Connection::new(door, live, socket).run().instrument(span).boxed()))
}

/// Why a connection is over.
enum Over {
    /// The client closed it, or is gone.
    Gone,
    /// We close it, with a code of RFC 6455 and a reason.
    Close(u16, &'static str),
}

/// What became of something that ran beside the connection: refusals by room.
type Beside = Vec<(RoomId, ChatError)>;

struct Connection {
    door: Door,
    live: Arc<Live>,
    socket: WebSocket,
    beside: JoinSet<Beside>,
    bucket: Bucket,
    heard: Instant,
    refusals: u32,
}

impl Connection {
    fn new(door: Door, live: Live, socket: WebSocket) -> Self {
        let now = Instant::now();
        let bucket = Bucket::new(door.options.limits.live_frames_per_second, now);
        Self { door, live: Arc::new(live), socket, beside: JoinSet::new(), bucket, heard: now, refusals: 0 }
    }

    async fn run(mut self) {
        let over = match self.welcome().await {
            Ok(()) => self.serve().await,
            Err(over) => over,
        };
        self.beside.abort_all();
        if let Over::Close(code, reason) = over {
            let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
            let farewell = async {
                if self.socket.send(Message::Close(Some(frame))).await.is_ok() {
                    // What the client sent meanwhile is taken, or the last frames could be lost to a reset.
                    while let Some(Ok(_)) = self.socket.recv().await {}
                }
            };
            let _ = tokio::time::timeout(Duration::from_secs(1), farewell).await;
        }
    }

    async fn welcome(&mut self) -> std::result::Result<(), Over> {
        let me = self.live.person().clone().into();
        let site = self.door.chat.place().and_then(|place| place.site);
        let outage = self.door.chat.standing_notice().map(Into::into);
        let (time, epoch) = (self.door.chat.now().into(), self.live.epoch());
        self.send(&Frame::Welcome { me, time, epoch, site, outage }).await
    }

    /// Goes on until the connection is over.
    async fn serve(&mut self) -> Over {
        let every = Duration::from_secs(self.door.options.limits.live_ping_seconds.max(1));
        let mut ping = tokio::time::interval_at(tokio::time::Instant::now() + every, every);
        ping.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let step = tokio::select! {
                events = self.live.next(BATCH) => self.tell(&events).await,
                frame = self.socket.recv() => match frame {
                    Some(Ok(message)) => self.hear(message).await,
                    Some(Err(error)) => Err(broken(&error)),
                    None => Err(Over::Gone),
                },
                Some(done) = self.beside.join_next(), if !self.beside.is_empty() => {
                    self.refuse(done.unwrap_or_default()).await
                }
                _ = ping.tick() => self.ping(every).await,
            };
            if let Err(over) = step {
                return over;
            }
        }
    }

    /// Sends what happened, in one flush.
    async fn tell(&mut self, events: &[Arc<Shared>]) -> std::result::Result<(), Over> {
        // None: the service let go of the connection.
        let mut over = events.is_empty().then_some(Over::Close(close_code::AWAY, "ended"));
        let socket = &mut self.socket;
        let writing = async {
            for shared in events {
                let text = shared.encoded(Wire::Json, |event| Bytes::from(frames::json(&Frame::from(event))));
                socket.feed(Message::Text(Utf8Bytes::try_from(text).unwrap_or_default())).await?;
                if let Event::Bye(bye) = shared.event() {
                    over = Some(Over::Close(close_code::AWAY, bye.word()));
                }
            }
            socket.flush().await
        };
        patiently(writing).await?;
        over.map_or(Ok(()), Err)
    }

    /// Takes a frame of the client.
    async fn hear(&mut self, message: Message) -> std::result::Result<(), Over> {
        self.heard = Instant::now();
        let text = match message {
            Message::Text(text) => text,
            // The library answers pings by itself.
            Message::Ping(_) | Message::Pong(_) => return Ok(()),
            Message::Close(_) => return Err(Over::Gone),
            Message::Binary(_) => return Err(Over::Close(close_code::UNSUPPORTED, "send JSON as text")),
        };
        if let Err(wait) = self.bucket.take(self.door.options.limits.live_frames_per_second, self.heard) {
            let problem = Problem::new(Code::TooManyRequests, "you send more frames than this server takes; slow down");
            return self.complain(problem.after(wait.as_secs() + 1)).await;
        }
        let said = match read_json::<Say>(text.as_bytes()) {
            Ok(said) => said,
            Err(problem) => return self.complain(problem).await,
        };
        match said {
            Say::Leave { room } => self.live.leave(RoomId(room)),
            Say::Typing { room } => self.live.typing(RoomId(room)),
            Say::Join { .. } | Say::Read { .. } if self.beside.len() >= BESIDE => {
                let problem = Problem::new(Code::TooManyRequests, "wait until what you asked for before is done");
                return self.complain(problem.after(1)).await;
            }
            Say::Join { rooms } => return self.join(rooms).await,
            Say::Read { room, seq } => {
                let live = Arc::clone(&self.live);
                self.beside.spawn(async move {
                    let room = RoomId(room);
                    live.mark_read(room, Seq(seq)).await.err().map(|error| (room, error)).into_iter().collect()
                });
            }
        }
        Ok(())
    }

    async fn join(&mut self, rooms: Vec<Join>) -> std::result::Result<(), Over> {
        let most = self.door.options.limits.live_rooms;
        if rooms.len() > most {
            return self
                .complain(Problem::invalid(
                    "rooms",
                    format!("has {} rooms; at most {most} are taken at once", rooms.len()),
                ))
                .await;
        }
        let joining = |j: Join| Joining { room: RoomId(j.room), after: j.after.map(Seq), epoch: j.epoch };
        let rooms: Vec<Joining> = rooms.into_iter().map(joining).collect();
        let live = Arc::clone(&self.live);
        self.beside.spawn(async move { live.join(rooms).await });
        Ok(())
    }

    /// Tells the client what it asked for and does not get.
    async fn refuse(&mut self, refused: Beside) -> std::result::Result<(), Over> {
        for (room, error) in refused {
            self.send(&Frame::Refused { room: room.0, problem: Problem::from(error).document() }).await?;
        }
        Ok(())
    }

    /// Tells the client what is wrong with its frame; one that does nothing else is closed.
    async fn complain(&mut self, problem: Problem) -> std::result::Result<(), Over> {
        self.refusals += 1;
        if self.refusals > REFUSALS {
            return Err(Over::Close(close_code::POLICY, "too many refused frames"));
        }
        let problem: Document = problem.document();
        self.send(&Frame::Problem { problem }).await
    }

    async fn ping(&mut self, every: Duration) -> std::result::Result<(), Over> {
        if self.heard.elapsed() >= every * 3 {
            return Err(Over::Gone);
        }
        patiently(self.socket.send(Message::Ping(Bytes::new()))).await
    }

    async fn send(&mut self, frame: &Frame) -> std::result::Result<(), Over> {
        let text = Utf8Bytes::from(frames::json(frame));
        patiently(self.socket.send(Message::Text(text))).await
    }
}

/// Waits for a write, but not for ever.
async fn patiently(write: impl Future<Output = std::result::Result<(), axum::Error>>) -> std::result::Result<(), Over> {
    match tokio::time::timeout(WRITE_PATIENCE, write).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Over::Gone),
    }
}

/// How a connection ends whose client broke the protocol.
fn broken(error: &axum::Error) -> Over {
    let text = error.to_string();
    if text.contains("too long") || text.contains("too big") {
        Over::Close(close_code::SIZE, "this frame is too large")
    } else if text.contains("UTF-8") || text.contains("utf-8") {
        Over::Close(close_code::INVALID, "text frames are UTF-8")
    } else {
        Over::Close(close_code::PROTOCOL, "not as RFC 6455 has it")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_future<A, F: Future>(_: fn(A) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn an_idle_connection_is_small() {
        // For as long as it lives, a task holds the largest state that it is ever in.
        let bytes = size_of_future(Connection::run);
        assert!(bytes <= 3 * 1024, "{bytes} bytes");
    }
}
