//! Live connections: nothing is missed and nothing comes twice, whatever breaks.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may stop at the first thing that is wrong"
)]

mod support;

use axum::http::StatusCode;
use futures_util::{SinkExt, StreamExt};
use holdfast_chat::Options;
use holdfast_http::{HttpLimits, HttpOptions};
use serde_json::{Value, json};
use std::time::Duration;
use support::{Client, Server};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    server: std::sync::Arc<support::schema::Document>,
}

impl Socket {
    async fn open(server: &Server, client: &Client) -> Socket {
        let mut socket = Socket::try_open(server, client).await.unwrap();
        assert_eq!(socket.next().await["type"], "welcome");
        socket
    }

    async fn try_open(server: &Server, client: &Client) -> Result<Socket, Error> {
        let mut request = format!("ws://{}/api/v1/live", client.address).into_client_request().unwrap();
        for (name, value) in &client.headers {
            let name: axum::http::HeaderName = name.parse().unwrap();
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        let (stream, _) = tokio_tungstenite::connect_async(request).await?;
        Ok(Socket { stream, server: server.document.clone() })
    }

    async fn say(&mut self, frame: Value) {
        self.stream.send(Message::text(frame.to_string())).await.unwrap();
    }

    async fn join(&mut self, room: i64, after: Option<i64>) {
        self.say(json!({"type": "join", "rooms": [{"room": room, "after": after}]})).await;
    }

    /// The next event; each must be as the OpenAPI document says.
    async fn next(&mut self) -> Value {
        self.ended_or_next().await.expect("the connection has ended")
    }

    async fn ended_or_next(&mut self) -> Option<Value> {
        loop {
            let frame = tokio::time::timeout(Duration::from_secs(20), self.stream.next()).await.expect("nothing comes");
            match frame? {
                Ok(Message::Text(text)) => {
                    let event: Value = serde_json::from_str(&text).unwrap();
                    self.server.must_be("LiveEvent", &event);
                    return Some(event);
                }
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// The next event of a type; those before it are passed over.
    async fn wait_for(&mut self, kind: &str) -> Value {
        loop {
            let event = self.next().await;
            if event["type"] == kind {
                return event;
            }
        }
    }

    /// Takes entries until one with the number `last`, and answers all their numbers.
    async fn seqs_until(&mut self, last: i64) -> Vec<i64> {
        let mut seqs = Vec::new();
        while seqs.last() != Some(&last) {
            seqs.push(self.wait_for("entry").await["entry"]["seq"].as_i64().unwrap());
        }
        seqs
    }
}

async fn lobby(server: &Server, by: &Client) -> i64 {
    let category = server.category("General").await;
    server.room(by, category, "Lobby", "open").await
}

async fn head(by: &Client, room: i64) -> i64 {
    by.get(&format!("/api/v1/rooms/{room}")).await.ok()["head"].as_i64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_resumes_without_gap_or_repeat() {
    let server = Server::start().await;
    let ana = server.user("ana").await;
    let bo = server.user("bo").await;
    let room = lobby(&server, &ana).await;
    const POSTS: i64 = 120;
    let first = head(&ana, room).await;
    let last = first + POSTS;
    let posting = {
        let ana = ana.clone();
        tokio::spawn(async move {
            for n in 0..POSTS {
                ana.say(room, &format!("number {n}")).await;
            }
        })
    };
    // The connection breaks again and again while messages are posted, and goes on from the last entry that it has.
    let mut held: Vec<i64> = vec![first];
    while *held.last().unwrap() < last {
        let mut socket = Socket::open(&server, &bo).await;
        socket.join(room, held.last().copied()).await;
        assert_eq!(socket.wait_for("joined").await["room"], room);
        for _ in 0..7 {
            if *held.last().unwrap() == last {
                break;
            }
            held.push(socket.wait_for("entry").await["entry"]["seq"].as_i64().unwrap());
        }
        // Dropped without a word, as a train in a tunnel does.
        drop(socket);
    }
    posting.await.unwrap();
    assert_eq!(held, (first..=last).collect::<Vec<_>>());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_in_a_room_see_the_same_in_the_same_order() {
    let server = Server::start().await;
    let ana = server.user("ana").await;
    let room = lobby(&server, &ana).await;
    let first = head(&ana, room).await;
    let mut sockets = Vec::new();
    for _ in 0..20 {
        let mut socket = Socket::open(&server, &ana).await;
        socket.join(room, None).await;
        socket.wait_for("joined").await;
        sockets.push(socket);
    }
    let posting = (0..40).map(|n| {
        let ana = ana.clone();
        async move { ana.say(room, &format!("at once {n}")).await }
    });
    futures_util::future::join_all(posting).await;
    for mut socket in sockets {
        assert_eq!(socket.seqs_until(first + 40).await, (first + 1..=first + 40).collect::<Vec<_>>());
    }
    server.stop().await;
}

#[tokio::test]
async fn what_is_asked_is_answered_and_told() {
    let server = Server::start().await;
    let (ana, bo) = (server.user("ana").await, server.user("bo").await);
    let room = lobby(&server, &ana).await;
    let mut at_ana = Socket::open(&server, &ana).await;
    at_ana.join(room, Some(1)).await;
    assert_eq!(at_ana.wait_for("joined").await["roster"]["count"], 1);
    let mut at_bo = Socket::open(&server, &bo).await;
    at_bo.join(room, None).await;
    // Whoever is still coming in when the roster is told is told afterwards.
    let mut there = at_bo.wait_for("joined").await["roster"]["people"].as_array().unwrap().clone();
    while there.len() < 2 {
        there.extend(at_bo.wait_for("presence").await["joined"].as_array().unwrap().clone());
    }
    assert_eq!(there.iter().filter(|p| p["name"] == "ana" || p["name"] == "bo").count(), 2, "{there:?}");
    assert_eq!(at_ana.wait_for("presence").await["joined"][0]["name"], "bo");

    at_bo.say(json!({"type": "typing", "room": room})).await;
    assert_eq!(at_ana.wait_for("typing").await["person"]["name"], "bo");
    bo.say(room, "hello @ana").await;
    let entry = at_ana.wait_for("entry").await["entry"].clone();
    at_ana.say(json!({"type": "read", "room": room, "seq": entry["seq"]})).await;
    let read = at_ana.wait_for("read").await;
    assert_eq!((&read["seq"], &read["unread"]), (&entry["seq"], &json!(0)));
    ana.patch(&format!("/api/v1/rooms/{room}"), json!({"subject": "Plans"})).await.ok();
    assert_eq!(at_bo.wait_for("room").await["room"], room);
    at_bo.say(json!({"type": "leave", "room": room})).await;
    assert_eq!(at_ana.wait_for("presence").await["left"].as_array().unwrap().len(), 1);

    at_bo.say(json!({"type": "join", "rooms": [{"room": 999}]})).await;
    assert_eq!(at_bo.wait_for("refused").await["problem"]["code"], "not-found");
    server.stop().await;
}

#[tokio::test]
async fn everybody_is_told_of_outages_and_what_administrators_announce() {
    let server = Server::start().await;
    let (ana, root) = (server.user("ana").await, server.admin("root").await);
    let mut at_ana = Socket::open(&server, &ana).await;
    let notice = json!({"message": "New disks", "expected_end": "2096-05-12T20:00:00Z"});
    ana.put("/api/v1/pool/notice", notice.clone()).await.refused("forbidden", None);
    root.put("/api/v1/pool/notice", notice).await.ok();
    let told = at_ana.wait_for("outage").await["outage"].clone();
    assert_eq!((&told["message"], &told["planned"]), (&json!("New disks"), &json!(true)));
    assert_eq!(told["expected_end"], "2096-05-12T20:00:00.000Z");
    // Who comes now is told at once.
    let mut later = Socket::try_open(&server, &ana).await.unwrap();
    assert_eq!(later.wait_for("welcome").await["outage"], told);
    root.delete("/api/v1/pool/notice").await;
    assert_eq!(at_ana.wait_for("outage").await["outage"], json!(null));
    let say = |text: &str| json!({"announcement": text});
    let announcements = "/api/v1/pool/announcements";
    ana.post(announcements, say("Tea is ready")).await.refused("forbidden", None);
    root.post(announcements, say("  ")).await.refused("invalid", Some("announcement"));
    root.post(announcements, say(&"x".repeat(3_001))).await.refused("invalid", Some("announcement"));
    let would = root.post(announcements, json!({"announcement": "Cake", "what_if": true})).await.ok();
    assert_eq!(would["changes"], json!(["Everybody would be told: Cake"]));
    root.post(announcements, say("Tea is ready")).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(later.wait_for("announcement").await["text"], "Tea is ready", "and of no cake");
    server.stop().await;
}

#[tokio::test]
async fn frames_that_are_wrong_are_refused_and_the_connection_goes_on() {
    let server = Server::start().await;
    let ana = server.user("ana").await;
    let room = lobby(&server, &ana).await;
    let mut socket = Socket::open(&server, &ana).await;
    for (frame, code) in [
        ("hello", "bad-request"),
        ("[]", "invalid"),
        ("{}", "invalid"),
        (r#"{"type": "dance"}"#, "invalid"),
        (r#"{"type": "leave", "room": "x"}"#, "invalid"),
        (r#"{"type": "leave", "room": 1, "quietly": true}"#, "invalid"),
        (r#"{"type": "join", "rooms": [{"room": 1, "before": 2}]}"#, "invalid"),
    ] {
        socket.stream.send(Message::text(frame)).await.unwrap();
        let event = socket.next().await;
        assert_eq!((&event["type"], &event["problem"]["code"]), (&json!("problem"), &json!(code)), "{frame}: {event}");
    }
    socket.join(room, None).await;
    socket.wait_for("joined").await;

    // A frame that is too large ends it, and another connection does not notice.
    let mut other = Socket::open(&server, &ana).await;
    let _ = socket.stream.send(Message::text("x".repeat(70_000))).await;
    assert_eq!(socket.ended_or_next().await, None);
    other.join(room, None).await;
    other.wait_for("joined").await;
    other.stream.send(Message::binary(vec![1, 2, 3])).await.unwrap();
    assert_eq!(other.ended_or_next().await, None);
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_talks_without_end_is_told_to_stop_and_then_closed() {
    let limits = HttpLimits { live_frames_per_second: 1, ..HttpLimits::default() };
    let server = Server::with(Options::default(), HttpOptions { limits, ..HttpOptions::default() }).await;
    let ana = server.user("ana").await;
    let mut socket = Socket::open(&server, &ana).await;
    for _ in 0..150 {
        if socket.stream.send(Message::text(r#"{"type": "leave", "room": 1}"#)).await.is_err() {
            break;
        }
    }
    assert_eq!(socket.next().await["problem"]["code"], "too-many-requests");
    while socket.ended_or_next().await.is_some() {}
    server.stop().await;
}

#[tokio::test]
async fn who_loses_the_right_is_put_out() {
    let server = Server::start().await;
    let (ana, bo) = (server.user("ana").await, server.user("bo").await);
    let category = server.category("General").await;
    let room = server.room(&ana, category, "Board", "secret").await;
    let of_bo = bo.get("/api/v1/me").await.ok()["id"].clone();
    let roles = format!("/api/v1/rooms/{room}/roles");
    let mut socket = Socket::open(&server, &bo).await;
    ana.patch(&roles, json!({"members": {"add": [of_bo, ana.get("/api/v1/me").await.ok()["id"]]}})).await.ok();
    assert_eq!(socket.wait_for("invitation").await["invitation"]["room"]["name"], "Board");
    socket.join(room, None).await;
    socket.wait_for("joined").await;
    ana.patch(&roles, json!({"members": {"remove": [of_bo]}})).await.ok();
    assert_eq!(socket.wait_for("kicked").await["room"], room);
    ana.say(room, "not for bo").await;
    socket.join(room, None).await;
    assert_eq!(socket.wait_for("refused").await["problem"]["code"], "not-found");
    server.stop().await;
}

#[tokio::test]
async fn a_connection_ends_with_its_sign_in_and_with_the_server() {
    let server = Server::start().await;
    let ana = server.user("ana").await;
    let other = server.signed_in("ana").await;
    let mut at_ana = Socket::open(&server, &ana).await;
    let mut at_other = Socket::open(&server, &other).await;
    ana.delete("/api/v1/session").await.expect(StatusCode::NO_CONTENT);
    assert_eq!(at_ana.wait_for("bye").await["reason"], "session-ended");
    assert_eq!(at_ana.ended_or_next().await, None);

    let stopping = tokio::spawn(server.stop());
    assert_eq!(at_other.wait_for("bye").await["reason"], "shutting-down");
    assert_eq!(at_other.ended_or_next().await, None);
    tokio::time::timeout(Duration::from_secs(5), stopping).await.expect("the server does not stop").unwrap();
}

#[tokio::test]
async fn another_sites_page_gets_no_connection() {
    let server = Server::start().await;
    let ana = server.user("ana").await;
    let refused = Socket::try_open(&server, &ana.with("origin", "https://evil.example")).await;
    assert!(matches!(refused, Err(Error::Http(response)) if response.status() == StatusCode::FORBIDDEN));
    let refused = Socket::try_open(&server, &server.stranger()).await;
    assert!(matches!(refused, Err(Error::Http(response)) if response.status() == StatusCode::UNAUTHORIZED));
    let own = format!("http://{}", server.address);
    assert!(Socket::try_open(&server, &ana.with("origin", &own)).await.is_ok());
    server.stop().await;
}
