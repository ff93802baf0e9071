//! Servers of one pool on a real PostgreSQL: who takes clients, what the others answer, and what is told of a database that is away.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may stop at the first thing that is wrong"
)]

mod support;

use axum::http::{Method, StatusCode};
use futures_util::{SinkExt, StreamExt};
use holdfast_chat::{Options, ServerOptions};
use holdfast_http::{HttpLimits, HttpOptions};
use holdfast_private_postgres::Postgres;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use support::{Client, Server};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

const PATIENCE: Duration = Duration::from_secs(40);

/// What every server answers, whatever its standing.
const EVERYWHERE: [&str; 9] = [
    "GET /api/v1/server",
    "GET /api/v1/openapi.json",
    "GET /api/v1/pool",
    "POST /api/v1/pool/active",
    "DELETE /api/v1/pool/servers/{name}",
    "GET /api/v1/pool/notice",
    "PUT /api/v1/pool/notice",
    "DELETE /api/v1/pool/notice",
    "POST /api/v1/pool/announcements",
];

async fn server(url: &str, name: &str, drain_minutes: u32) -> Server {
    let options = Options { server: ServerOptions { drain_minutes, ..ServerOptions::default() }, ..Options::default() };
    Server::in_pool(url, name, options, HttpOptions::default()).await
}

fn address(server: &Server) -> String {
    format!("http://{}", server.address)
}

/// Asks again and again until the answer is as wanted.
async fn until(what: &str, client: &Client, path: &str, is: impl Fn(&support::Answer) -> bool) -> support::Answer {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = client.get(path).await;
        if is(&answer) {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited for {what}: {}", String::from_utf8_lossy(&answer.body));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn until_standing(server: &Server, standing: &str) {
    let is = |answer: &support::Answer| answer.json()["standing"] == standing;
    until(standing, &server.stranger(), "/api/v1/server", is).await;
}

async fn set_active(at: &Server, names: &[&str]) -> Value {
    at.operator().post("/api/v1/pool/active", json!({ "set": names })).await.ok()
}

async fn live(client: &Client) -> Result<WebSocketStream<MaybeTlsStream<TcpStream>>, Error> {
    let mut request = format!("ws://{}/api/v1/live", client.address).into_client_request().unwrap();
    for (name, value) in &client.headers {
        let name: axum::http::HeaderName = name.parse().unwrap();
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    Ok(tokio_tungstenite::connect_async(request).await?.0)
}

/// The next event of a type over a live connection.
async fn event(socket: &mut WebSocketStream<MaybeTlsStream<TcpStream>>, kind: &str) -> Value {
    event_of(socket, &[kind]).await
}

/// The next event of some types.
async fn event_of(socket: &mut WebSocketStream<MaybeTlsStream<TcpStream>>, kinds: &[&str]) -> Value {
    loop {
        let frame = tokio::time::timeout(PATIENCE, socket.next()).await.expect("nothing comes");
        if let Message::Text(text) = frame.expect("the connection has ended").unwrap() {
            let event: Value = serde_json::from_str(&text).unwrap();
            if kinds.iter().any(|kind| event["type"] == *kind) {
                return event;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_sends_everybody_elsewhere() {
    let postgres = Postgres::start();
    let (one, two) = (server(&postgres.url(), "one", 30).await, server(&postgres.url(), "two", 30).await);
    let admin = one.admin("root").await;
    assert_eq!(
        one.stranger().get("/health/ready").await.ok(),
        json!({"status": "ready", "standing": "active", "epoch": 1, "state": "normal"})
    );
    set_active(&one, &["one"]).await;
    until_standing(&two, "standby").await;

    let stranger = two.stranger();
    for operation in two.document.operations() {
        let (method, path) = operation.split_once(' ').unwrap();
        if !(path.starts_with("/api/") || path.starts_with("/hooks/")) {
            continue;
        }
        let filled: String =
            path.split('/').map(|p| if p.starts_with('{') { "1" } else { p }).collect::<Vec<_>>().join("/");
        let method: Method = method.parse().unwrap();
        let body = (method != Method::GET && method != Method::DELETE).then(|| json!({}));
        let answer = stranger.send(method, &filled, body).await;
        if EVERYWHERE.contains(&operation.as_str()) {
            assert_ne!(answer.json()["code"], "standby", "{operation}");
        } else {
            assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{operation}: {answer:?}");
            let problem = answer.refused("standby", None);
            assert_eq!(problem["servers"], json!([address(&one)]), "{operation}");
        }
    }
    assert!(matches!(live(&stranger).await, Err(Error::Http(r)) if r.status() == StatusCode::SERVICE_UNAVAILABLE));
    stranger.get("/health/live").await.ok();
    let ready = stranger.get("/health/ready").await;
    assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ready.refused("standby", None)["servers"], json!([address(&one)]));
    let metrics = stranger.get("/metrics").await;
    let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
    for line in [
        "pool_standing{standing=\"standby\"} 1",
        "pool_servers{standing=\"active\"} 1",
        "pool_servers{standing=\"standby\"} 1",
    ] {
        assert!(metrics.contains(&format!("holdfast_{line}\n")), "{line}: {metrics}");
    }
    assert!(metrics.contains("holdfast_database_round_trip_seconds 0."), "{metrics}");

    // An administrator may look at the pool there, with the sign-in that he has, and the operator may do everything.
    let there = two.client(two.address, admin.headers.clone());
    assert_eq!(there.get("/api/v1/pool").await.ok()["servers"].as_array().unwrap().len(), 2);
    there.get("/api/v1/me").await.refused("standby", None);
    assert_eq!(two.operator().get("/api/v1/admin/status").await.ok()["standing"], "standby");

    // With nobody active there is nowhere to go, and it makes sense to come again.
    one.operator().post("/api/v1/pool/active", json!({"set": []})).await.ok();
    until_standing(&one, "standby").await;
    let answer = one.stranger().get("/api/v1/me").await;
    assert_eq!(answer.refused("standby", None)["servers"], json!([]));
    assert_eq!(answer.header("retry-after"), "2");
    two.stop().await;
    one.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_active_servers_is_an_administrators() {
    let postgres = Postgres::start();
    let (one, two) = (server(&postgres.url(), "one", 30).await, server(&postgres.url(), "two", 30).await);
    let (admin, ana) = (one.admin("root").await, one.user("ana").await);
    ana.get("/api/v1/pool").await.refused("forbidden", None);
    ana.post("/api/v1/pool/active", json!({"add": ["two"]})).await.refused("forbidden", None);
    ana.delete("/api/v1/pool/servers/two").await.refused("forbidden", None);

    let pool = admin.get("/api/v1/pool").await.ok();
    assert_eq!((&pool["chosen"], &pool["database"]["condition"]), (&json!(false), &json!("ready")));
    assert!(pool["database"]["engine"].as_str().unwrap().starts_with("PostgreSQL "));
    assert!(!pool.to_string().contains("password"));
    let names: Vec<&str> = pool["servers"].as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["one", "two"]);
    assert_eq!((&pool["servers"][0]["this"], &pool["servers"][0]["address"]), (&json!(true), &json!(address(&one))));

    let change = "/api/v1/pool/active";
    let would = admin.post(change, json!({"remove": ["two"], "what_if": true})).await.ok();
    assert!(would["what_if"] == true && !would["changes"].as_array().unwrap().is_empty());
    admin.post(change, json!({})).await.refused("invalid", Some("set"));
    admin.post(change, json!({"add": ["two"], "remove": ["one"]})).await.refused("invalid", Some("set"));
    admin.post(change, json!({"add": ["three"]})).await.refused("invalid", None);
    let pool = admin.post(change, json!({"remove": ["two"]})).await.ok();
    assert_eq!((&pool["chosen"], &pool["servers"][1]["active"]), (&json!(true), &json!(false)));
    let pool = admin.post(change, json!({"swap": {"out": "one", "in": "two"}})).await.ok();
    assert_eq!((&pool["servers"][0]["name"], &pool["servers"][1]["active"]), (&json!("two"), &json!(false)));
    set_active(&two, &["one"]).await;
    until_standing(&two, "standby").await;
    until_standing(&one, "active").await;
    assert_eq!(one.stranger().get("/api/v1/server").await.ok()["servers"], json!([address(&one)]));

    // What moved people said so by itself; a person's word takes its place, on every server.
    let notice = "/api/v1/pool/notice";
    let told = admin.get(notice).await.ok();
    assert_eq!((&told["notice"]["own"], &told["notice"]["planned"]), (&json!(true), &json!(true)));
    ana.get(notice).await.refused("forbidden", None);
    ana.put(notice, json!({"message": "x"})).await.refused("forbidden", None);
    ana.delete(notice).await.refused("forbidden", None);
    admin.put(notice, json!({"message": ""})).await.refused("invalid", Some("message"));
    assert!(admin.put(notice, json!({"message": "x", "beginning": "soon"})).await.status.is_client_error());
    let backwards =
        json!({"message": "x", "beginning": "2031-05-12T20:00:00Z", "expected_end": "2031-05-12T19:00:00Z"});
    admin.put(notice, backwards).await.refused("invalid", Some("expected_end"));
    let would = admin.put(notice, json!({"message": "New disks", "what_if": true})).await.ok();
    assert!(would["what_if"] == true && admin.get(notice).await.ok() == told);
    let set = admin.put(notice, json!({"message": "New disks", "planned": false})).await.ok();
    assert_eq!((&set["notice"]["message"], &set["notice"]["own"]), (&json!("New disks"), &json!(false)));
    assert_eq!(two.operator().get(notice).await.ok(), set);
    set_active(&one, &["one", "two"]).await;
    set_active(&one, &["one"]).await;
    assert_eq!(admin.get(notice).await.ok(), set, "a move does not take its place");
    assert_eq!(admin.delete(notice).await.status, StatusCode::NO_CONTENT);
    assert_eq!(two.operator().get(notice).await.ok()["notice"], json!(null));

    // Said at whichever server, also at one that takes no clients.
    let (announcements, said) = ("/api/v1/pool/announcements", json!({"announcement": "Tea is ready"}));
    ana.post(announcements, said.clone()).await.refused("forbidden", None);
    for administrator in [&admin, &two.operator()] {
        assert_eq!(administrator.post(announcements, said.clone()).await.status, StatusCode::NO_CONTENT);
    }

    let running = admin.delete("/api/v1/pool/servers/two").await;
    assert!(running.status.is_client_error(), "{running:?}");
    let names = |answer: &support::Answer| answer.json()["servers"].as_array().map_or(0, Vec::len);
    two.stop().await;
    let deadline = Instant::now() + PATIENCE;
    while admin.delete("/api/v1/pool/servers/two").await.status != StatusCode::NO_CONTENT {
        assert!(Instant::now() < deadline, "a server that has stopped is not forgotten");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    until("one server", &admin, "/api/v1/pool", |a| names(a) == 1).await;

    let driven: BTreeSet<String> = one.driven.lock().unwrap().iter().cloned().collect();
    for operation in EVERYWHERE.iter().filter(|o| o.contains("/pool")) {
        assert!(driven.contains(*operation), "{operation} is driven by no test");
    }
    one.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_connected_to_a_server_that_drains_goes_on() {
    let postgres = Postgres::start();
    let (one, two) = (server(&postgres.url(), "one", 30).await, server(&postgres.url(), "two", 30).await);
    let (ana, bo) = (one.user("ana").await, one.user("bo").await);
    let mut socket = live(&ana).await.unwrap();
    assert_eq!(event(&mut socket, "welcome").await["epoch"], one.operator().get("/api/v1/pool").await.ok()["epoch"]);
    set_active(&two, &["two"]).await;
    until_standing(&one, "draining").await;

    assert_eq!(ana.get("/api/v1/me").await.ok()["name"], "ana");
    bo.get("/api/v1/me").await.refused("standby", None);
    one.stranger().get("/api/v1/me").await.refused("not-signed-in", None);
    let sign_in = json!({"name": "ana", "password": support::PASSWORD});
    let refused = one.stranger().post("/api/v1/session", sign_in).await;
    assert_eq!(refused.refused("standby", None)["servers"], json!([address(&two)]));
    assert!(matches!(live(&bo).await, Err(Error::Http(r)) if r.status() == StatusCode::SERVICE_UNAVAILABLE));
    assert!(
        one.stranger().get("/health/ready").await.refused("standby", None)["detail"].to_string().contains("draining")
    );

    // The same sign-in is good on the other.
    assert_eq!(two.client(two.address, bo.headers.clone()).get("/api/v1/me").await.ok()["name"], "bo");
    // Who leaves stays away, and the last who leaves makes it a standby.
    drop(socket);
    until_standing(&one, "standby").await;
    ana.get("/api/v1/me").await.refused("standby", None);
    one.stop().await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_draining_is_over_those_who_are_left_are_told_where_to_go() {
    let postgres = Postgres::start();
    let (one, two) = (server(&postgres.url(), "one", 0).await, server(&postgres.url(), "two", 0).await);
    let ana = one.user("ana").await;
    let mut socket = live(&ana).await.unwrap();
    event(&mut socket, "welcome").await;
    set_active(&two, &["two"]).await;
    let bye = event(&mut socket, "bye").await;
    assert_eq!((&bye["reason"], &bye["servers"]), (&json!("moved"), &json!([address(&two)])));
    one.document.must_be("LiveEvent", &bye);
    until_standing(&one, "standby").await;
    one.stop().await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_shows_and_comes_back_without_a_restart() {
    let mut postgres = Postgres::start();
    let options = Options { wait_seconds: 1, ..Options::default() };
    let one = Server::in_pool(&postgres.url(), "one", options, HttpOptions::default()).await;
    let stranger = one.stranger();
    stranger.get("/health/ready").await.ok();
    postgres.kill();
    let away = |a: &support::Answer| a.status == StatusCode::SERVICE_UNAVAILABLE;
    let not_ready = until("a server that is not ready", &stranger, "/health/ready", away).await;
    not_ready.refused("unavailable", None);
    assert_eq!(not_ready.header("retry-after"), "2");
    let says =
        |a: &support::Answer| a.json()["detail"].to_string().contains("The database is gone: it cannot be reached");
    until("what is wrong", &stranger, "/health/ready", says).await;
    let gone = "holdfast_database_condition{condition=\"gone\"} 1\n";
    let shows = |a: &support::Answer| String::from_utf8_lossy(&a.body).contains(gone);
    until("a metric that says so", &stranger, "/metrics", shows).await;
    stranger.get("/health/live").await.ok();
    let status = one.operator().get("/api/v1/admin/status").await.ok();
    assert_eq!((&status["database"]["condition"], &status["database"]["engine"]), (&json!("gone"), &Value::Null));
    postgres.start_again();
    until("a server that is ready again", &stranger, "/health/ready", |a| a.status == StatusCode::OK).await;
    one.user("ana").await;
    one.stop().await;
}

#[tokio::test]
async fn a_cookie_is_for_the_domain_of_the_pool() {
    let limits = HttpLimits { cookie_domain: "example.org".into(), ..HttpLimits::default() };
    let server = Server::with(Options::default(), HttpOptions { limits, ..HttpOptions::default() }).await;
    server.user("ana").await;
    let sign_in = json!({"name": "ana", "password": support::PASSWORD});
    let answer = server.stranger().post("/api/v1/session", sign_in).await;
    assert!(answer.header("set-cookie").contains("; SameSite=Strict; Domain=example.org"), "{answer:?}");
    let ana = server.client(server.address, vec![("cookie".into(), answer.cookie())]);
    let ended = ana.delete("/api/v1/session").await;
    assert!(
        ended.header("set-cookie").contains("Max-Age=0") && ended.header("set-cookie").contains("Domain=example.org")
    );
    server.stop().await;
}

/// As if a copy of the database took over that had not got the last `lost` entries of a room, in another site and under this epoch.
fn take_over(postgres: &Postgres, room: i64, lost: i64, epoch: i64) {
    postgres.psql(&format!(
        "SET search_path = holdfast; BEGIN;
         DELETE FROM sent s USING room_head h WHERE h.room = {room} AND s.room = h.room AND s.seq > h.last_seq - {lost};
         DELETE FROM entry e USING room_head h WHERE h.room = {room} AND e.room = h.room AND e.seq > h.last_seq - {lost};
         UPDATE room_head h SET last_seq = e.seq, last_hash = e.hash, last_at = e.at, messages = h.messages - {lost}
             FROM entry e WHERE h.room = {room} AND e.room = h.room AND e.seq = h.last_seq - {lost};
         INSERT INTO room_epoch SELECT room, {epoch}, last_seq FROM room_head;
         UPDATE pool SET epoch = {epoch}, state = 'failed-over', site = 'bos', holder = 'bos-db-1'; COMMIT"
    ));
}

async fn until_epoch(server: &Server, epoch: i64) {
    let is = |answer: &support::Answer| answer.json()["epoch"] == epoch;
    until("the epoch", &server.stranger(), "/api/v1/server", is).await;
}

async fn join(socket: &mut WebSocketStream<MaybeTlsStream<TcpStream>>, rooms: Value) {
    let frame = json!({"type": "join", "rooms": rooms});
    socket.send(Message::text(frame.to_string())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_after_a_loss_is_told_what_of_that_he_has_is_still_so() {
    let postgres = Postgres::start();
    let one = server(&postgres.url(), "one", 30).await;
    let (admin, ana) = (one.admin("root").await, one.user("ana").await);
    let desks = one.category("Desks").await;
    let (kept, hit) = (one.room(&admin, desks, "kept", "open").await, one.room(&admin, desks, "hit", "open").await);
    let there = ana.say(kept, "there").await["seq"].as_i64().unwrap();
    let last = ana.say(hit, "the last that is preserved").await["seq"].as_i64().unwrap();
    let posted = ana.say(hit, "lost").await;
    assert_eq!(posted["epoch"], 1);
    ana.say(hit, "lost as well").await;
    let mut socket = live(&ana).await.unwrap();
    assert_eq!(event(&mut socket, "welcome").await["epoch"], 1);
    join(&mut socket, json!([{"room": hit, "after": last, "epoch": 1}])).await;
    let joined = event(&mut socket, "joined").await;
    assert_eq!((&joined["epoch"], &joined["head"]), (&json!(1), &json!(last + 2)));

    take_over(&postgres, hit, 2, 1_000);
    assert_eq!(event(&mut socket, "bye").await["reason"], "moved");
    until_epoch(&one, 1_000).await;
    let place = one.stranger().get("/api/v1/server").await.ok();
    let ready = one.stranger().get("/health/ready").await.ok();
    let pool = admin.get("/api/v1/pool").await.ok();
    until("the site", &one.stranger(), "/api/v1/server", |a| a.json()["site"] == "bos").await;
    assert!(place["epoch"] == 1_000 && ready["epoch"] == 1_000, "{place} {ready}");
    assert_eq!((&pool["state"], &pool["site"]), (&json!("failed-over"), &json!("bos")));
    assert_eq!(pool["holder"], "bos-db-1");

    // The numbers are given again.
    ana.say(hit, "instead").await;
    ana.say(hit, "and another").await;
    ana.say(hit, "and a third").await;
    let mut socket = live(&ana).await.unwrap();
    let welcome = event(&mut socket, "welcome").await;
    assert_eq!((&welcome["epoch"], &welcome["site"]), (&json!(1_000), &json!("bos")));
    join(
        &mut socket,
        json!([{"room": hit, "after": last + 2, "epoch": 1}, {"room": kept, "after": there, "epoch": 1}]),
    )
    .await;
    let cut = event(&mut socket, "cut").await;
    one.document.must_be("LiveEvent", &cut);
    let wanted =
        json!({"type": "cut", "room": hit, "epoch": 1_000, "after": last + 2, "valid_through": last, "lost": 2});
    assert_eq!(cut, wanted);
    let mut seen = Vec::new();
    loop {
        let frame = event_of(&mut socket, &["joined", "entry", "cut"]).await;
        match frame["type"].as_str().unwrap() {
            "joined" if frame["room"] == kept => break,
            "joined" => assert_eq!((&frame["epoch"], &frame["head"]), (&json!(1_000), &json!(last + 3))),
            "entry" => seen.push(frame["entry"]["message"]["text"].as_str().unwrap().to_owned()),
            _ => panic!("nothing else is cut: {frame}"),
        }
    }
    assert_eq!(seen, ["instead", "and another", "and a third"], "all that is new, and nothing of before");

    // A page of history says under which epoch it is so; with it one has nothing to be told.
    let page = ana.get(&format!("/api/v1/rooms/{hit}/entries")).await.ok();
    assert_eq!(page["epoch"], 1_000);
    let mut socket = live(&ana).await.unwrap();
    join(&mut socket, json!([{"room": hit, "after": last + 3, "epoch": 1_000}])).await;
    assert_eq!(event_of(&mut socket, &["joined", "cut"]).await["type"], "joined");
    // Who says nothing of epochs is served as before there were any.
    let mut socket = live(&ana).await.unwrap();
    join(&mut socket, json!([{"room": hit, "after": last + 2}])).await;
    assert_eq!(event_of(&mut socket, &["joined", "cut"]).await["type"], "joined");
    // Another move, of which nobody noted where it was: nothing that the client has is certain.
    postgres.psql("UPDATE holdfast.pool SET epoch = 1001");
    until_epoch(&one, 1_001).await;
    let mut socket = live(&ana).await.unwrap();
    join(&mut socket, json!([{"room": hit, "after": last + 3, "epoch": 1_000}])).await;
    let cut = event(&mut socket, "cut").await;
    assert_eq!((&cut["valid_through"], &cut["lost"]), (&Value::Null, &Value::Null));
    one.document.must_be("LiveEvent", &cut);
    one.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_left_behind_takes_nothing_from_who_knows_of_a_later_epoch() {
    let postgres = Postgres::start();
    let one = server(&postgres.url(), "one", 30).await;
    let (admin, ana) = (one.admin("root").await, one.user("ana").await);
    let room = one.room(&admin, one.category("Desks").await, "bonds", "open").await;
    let path = format!("/api/v1/rooms/{room}/messages");
    let message = |epoch: i64| json!({"client_id": uuid::Uuid::new_v4(), "text": "hello", "epoch": epoch});
    ana.post(&path, message(1)).await.expect(StatusCode::CREATED);
    let refused = ana.post(&path, message(1_000)).await;
    assert!(refused.refused("unavailable", None)["detail"].to_string().contains("epoch 1000"), "{refused:?}");
    let mut socket = live(&ana).await.unwrap();
    join(&mut socket, json!([{"room": room, "after": 1, "epoch": 1_000}])).await;
    let refused = event(&mut socket, "refused").await;
    assert!(refused["problem"]["detail"].to_string().contains("later state"), "{refused}");

    // Neither does it go back itself.
    take_over(&postgres, room, 0, 1_000);
    until_epoch(&one, 1_000).await;
    postgres.psql("UPDATE holdfast.pool SET epoch = 999");
    until("a server that is not ready", &one.stranger(), "/health/ready", |a| a.status != StatusCode::OK).await;
    assert_eq!(one.stranger().get("/api/v1/server").await.ok()["epoch"], 1_000);
    let refused = ana.post(&path, message(1_000)).await;
    refused.refused("unavailable", None);
    postgres.psql("UPDATE holdfast.pool SET epoch = 1000");
    until("a server that is ready", &one.stranger(), "/health/ready", |a| a.status == StatusCode::OK).await;
    ana.post(&path, message(1_000)).await.expect(StatusCode::CREATED);
    one.stop().await;
}
