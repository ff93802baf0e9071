//! Three real servers on one real PostgreSQL: what one of them is told, all of them know.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test that cannot go on has failed")]

use holdfast_tests::http::Http;
use holdfast_tests::live::Live;
use holdfast_tests::load::{Load, Plan as LoadPlan, read_log};
use holdfast_tests::pool::{PASSWORD, Plan, Pool, name};
use holdfast_tests::server::Server;
use holdfast_tests::wait::until;
use hyper::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tempfile::tempdir;
use uuid::Uuid;

/// Within this a change has to be known everywhere.
const SOON: Duration = Duration::from_secs(1);
/// For what takes a few beats of the servers.
const PATIENCE: Duration = Duration::from_secs(30);

fn start(servers: usize) -> Pool {
    Pool::start(&Plan { servers, ..Plan::default() })
}

/// Somebody with a live connection, in a room.
async fn present(pool: &Pool, server: usize, person: &str, room: i64) -> (Http, Live) {
    let http = pool.sign_in(server, person).await.unwrap();
    let mut live = Live::connect(http.host(), &http).await.unwrap();
    live.join([(room, None)]).await.unwrap();
    live.wait_for(PATIENCE, |f| f["type"] == "joined" && f["room"] == room).await.unwrap();
    (http, live)
}

async fn say(http: &mut Http, room: i64, text: &str) -> (u16, Value) {
    http.post(&format!("/rooms/{room}/messages"), &json!({ "client_id": Uuid::new_v4(), "text": text })).await.unwrap()
}

fn is_entry(frame: &Value, text: &str) -> bool {
    frame["type"] == "entry" && frame["entry"]["message"]["text"] == text
}

/// Changes something as administrator on a server.
#[track_caller]
fn change(pool: &Pool, server: usize, method: Method, path: &str, body: &Value) -> Value {
    let (status, answer) = pool.ask(server, method, path, Some(body));
    assert!(matches!(status, 200 | 201), "{path} {body}: {status} {answer}");
    answer
}

#[test]
fn a_post_through_one_server_appears_on_all_in_one_order() {
    let pool = start(3);
    let plan = LoadPlan { rooms: 3, writers: 6, listeners: 3, pause: Duration::from_millis(5), ..LoadPlan::default() };
    let load = Load::start(&pool, &plan);
    load.wait_for(600, Duration::from_secs(60));
    assert_eq!(load.reconnects(), 0, "nothing was broken here");
    let report = load.finish(&pool).hold();
    println!("{report}");
    let c = report.counts;
    assert_eq!((c.sent, c.seen), (c.acknowledged, 3 * c.acknowledged), "{report}");
}

#[test]
fn what_lasts_for_a_moment_and_what_changes_reaches_the_other_servers_within_a_second() {
    let pool = start(2);
    let (room, closing) = (pool.add_room("Pumps"), pool.add_room("Valves"));
    let (ana, boris) = (pool.add_user("ana"), pool.add_user("boris"));
    pool.run(async {
        let (mut a, mut ana_hears) = present(&pool, 0, "ana", room).await;
        let (mut b, mut boris_hears) = present(&pool, 1, "boris", room).await;

        let came = |f: &Value| f["type"] == "presence" && f["joined"][0]["id"] == boris && f["room"] == room;
        ana_hears.wait_for(SOON, came).await.unwrap();
        // His server hears of her from hers, in its own time.
        let path = format!("/rooms/{room}");
        until_ok(SOON, async || b.get(&path).await.unwrap().1["present"] == 2).await;

        ana_hears.say(&json!({ "type": "typing", "room": room })).await.unwrap();
        boris_hears.wait_for(SOON, |f| f["type"] == "typing" && f["person"]["id"] == ana).await.unwrap();

        let mut last = 0;
        for i in 0..5 {
            let text = format!("from ana {i}");
            let asked = Instant::now();
            assert_eq!(say(&mut a, room, &text).await.0, 201);
            boris_hears.wait_for(SOON, |f| is_entry(f, &text)).await.unwrap();
            println!("sent and seen on the other server in {:?}", asked.elapsed());
            let (status, said) = say(&mut b, room, &format!("from boris {i}")).await;
            assert_eq!(status, 201, "{said}");
            last = said["seq"].as_i64().unwrap();
            ana_hears.wait_for(SOON, |f| is_entry(f, &format!("from boris {i}"))).await.unwrap();
        }

        // One reads on one server what was read on another.
        let (_mine, mut elsewhere) = present(&pool, 1, "ana", room).await;
        ana_hears.say(&json!({ "type": "read", "room": room, "seq": last })).await.unwrap();
        elsewhere.wait_for(SOON, |f| f["type"] == "read" && f["room"] == room && f["seq"] == last).await.unwrap();

        // He goes, and she is told.
        drop(boris_hears);
        let went = |f: &Value| f["type"] == "presence" && f["left"][0] == boris && f["room"] == room;
        ana_hears.wait_for(SOON, went).await.unwrap();
    });

    // Changes at one server, seen by those who are connected to the other.
    let (mut b, mut hears) = pool.run(present(&pool, 1, "boris", room));
    pool.run(async {
        hears.join([(closing, None)]).await.unwrap();
        hears.wait_for(PATIENCE, |f| f["type"] == "joined" && f["room"] == closing).await.unwrap();
    });
    change(&pool, 0, Method::PATCH, &format!("/rooms/{room}"), &json!({ "name": "Big pumps" }));
    pool.run(async {
        hears.wait_for(SOON, |f| f["type"] == "room" && f["room"] == room).await.unwrap();
        let (_, shown) = b.get(&format!("/rooms/{room}")).await.unwrap();
        assert_eq!(shown["name"], "Big pumps");
    });
    // Closed to him: he is told to go, and the room is none for him any more.
    change(&pool, 0, Method::PATCH, &format!("/rooms/{closing}"), &json!({ "privacy": "secret" }));
    pool.run(async {
        hears.wait_for(SOON, |f| f["type"] == "kicked" && f["room"] == closing).await.unwrap();
        assert_eq!(say(&mut b, closing, "let me in").await.0, 404);
    });
    change(&pool, 0, Method::PATCH, &format!("/rooms/{closing}/roles"), &json!({ "members": { "add": [boris] } }));
    pool.run(async {
        until_ok(SOON, async || say(&mut b, closing, "I am back").await.0 == 201).await;
        hears.join([(closing, None)]).await.unwrap();
        hears.wait_for(SOON, |f| f["type"] == "joined" && f["room"] == closing).await.unwrap();
    });
    change(&pool, 0, Method::PATCH, &format!("/rooms/{closing}/roles"), &json!({ "members": { "remove": [boris] } }));
    pool.run(async {
        hears.wait_for(SOON, |f| f["type"] == "kicked" && f["room"] == closing).await.unwrap();
    });
    change(&pool, 0, Method::PATCH, &format!("/rooms/{room}"), &json!({ "disabled": true }));
    pool.run(async {
        let told = |f: &Value| matches!(f["type"].as_str(), Some("kicked" | "room")) && f["room"] == room;
        hears.wait_for(SOON, told).await.unwrap();
        until_ok(SOON, async || matches!(say(&mut b, room, "still open?").await.0, 403 | 404 | 409)).await;
    });
    // A user who is disabled at one server is out at the other.
    change(&pool, 0, Method::PATCH, &format!("/users/{boris}"), &json!({ "disabled": true }));
    pool.run(async {
        hears.wait_for(SOON, |f| f["type"] == "bye" && f["reason"] == "session-ended").await.unwrap();
        until_ok(SOON, async || b.get("/me").await.unwrap().0 == 401).await;
    });
}

/// Asks until it is so.
async fn until_ok(limit: Duration, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !condition().await {
        assert!(Instant::now() < deadline, "it did not come so within {limit:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn a_lost_notification_costs_a_moment_and_no_message() {
    let mut pool = start(2);
    let room = pool.add_room("Pumps");
    for person in ["ana", "boris"] {
        pool.add_user(person);
    }
    let (mut a, _ana) = pool.run(present(&pool, 0, "ana", room));
    let (mut b, mut hears) = pool.run(present(&pool, 1, "boris", room));
    let mut slowest = Duration::ZERO;
    for i in 0..12 {
        // Whoever listens, on both servers, hears nothing of what comes next. The pattern is in no query but theirs.
        let ended = pool.postgres().psql(
            "SELECT count(pg_terminate_backend(a.pid)) FROM pg_stat_activity a
             WHERE usename = 'holdfast' AND state = 'idle' AND (query = '' OR query ILIKE 'LISTEN %')",
        );
        assert!(i > 0 || ended.parse::<u32>().unwrap() >= 2, "who listens was not found: {ended}");
        pool.run(async {
            let text = format!("unheard {i}");
            let asked = Instant::now();
            assert!(matches!(say(&mut a, room, &text).await.0, 200 | 201));
            hears.wait_for(Duration::from_secs(5), |f| is_entry(f, &text)).await.unwrap();
            slowest = slowest.max(asked.elapsed());
        });
    }
    println!("the slowest was seen after {slowest:?}");
    assert!(slowest < Duration::from_secs(4), "{slowest:?}");
    let (one, other) =
        pool.run(async { (read_log(&mut a, room).await.unwrap(), read_log(&mut b, room).await.unwrap()) });
    assert_eq!(one, other);
    assert_eq!(one.iter().filter(|e| e.is_message).count(), 12);
}

#[test]
fn a_server_off_the_list_drains_and_a_standby_says_where_to_go() {
    let pool = start(3);
    let room = pool.add_room("Pumps");
    for person in ["ana", "boris", "carla"] {
        pool.add_user(person);
    }
    let (mut a, mut ana_hears) = pool.run(present(&pool, 2, "ana", room));
    let (mut b, _boris) = pool.run(present(&pool, 0, "boris", room));
    let addresses: Vec<Value> = [0, 1].map(|i| pool.server(i).address.clone().into()).into();

    let what_if = pool.cli(0, &["pool", "active", "remove", "chat-3", "--what-if"]).ended(0);
    println!("{}", what_if.out);
    assert_eq!(pool.standing_count(0, "active"), 3, "what if changes nothing");
    pool.cli(0, &["pool", "active", "remove", "chat-3"]).ended(0);
    until("chat-3 to drain", PATIENCE, || (pool.standing_count(0, "draining") == 1).then_some(()));
    println!("{}", pool.cli(0, &["pool", "status"]).ended(0).out);

    // She is connected there, and goes on; nobody else gets in.
    pool.run(async {
        assert_eq!(say(&mut a, room, "still here").await.0, 201);
        assert_eq!(say(&mut b, room, "I see").await.0, 201);
        ana_hears.wait_for(SOON, |f| is_entry(f, "I see")).await.unwrap();
    });
    let refused = pool.run(async {
        let mut c = Http::new(pool.server(2).host());
        c.post("/session", &json!({ "name": "carla", "password": PASSWORD })).await.unwrap()
    });
    assert_eq!((refused.0, &refused.1["code"]), (503, &"standby".into()), "{refused:?}");
    assert_eq!(refused.1["servers"].as_array(), Some(&addresses));
    let (status, ready) = pool.look(2, "/health/ready").unwrap();
    assert_eq!((status, &ready["servers"]), (503, &Value::Array(addresses.clone())), "{ready}");
    assert_eq!(pool.look(2, "/health/live").unwrap().0, 200);

    // When she has gone, it is a standby.
    drop(ana_hears);
    until("chat-3 to be a standby", PATIENCE, || (pool.standing_count(1, "standby") == 1).then_some(()));
    let answer = pool.run(a.get("/me")).unwrap();
    assert_eq!((answer.0, &answer.1["code"]), (503, &"standby".into()), "{answer:?}");
    let (status, server) = pool.look(2, "/api/v1/server").unwrap();
    assert_eq!((status, &server["standing"]), (200, &"standby".into()), "{server}");
    assert_eq!(server["servers"].as_array(), Some(&addresses));
    let live = pool.run(Live::connect(pool.server(2).host(), &a)).unwrap_err().to_string();
    assert!(live.starts_with("503") && live.contains(addresses[0].as_str().unwrap()), "{live}");
    assert_eq!(pool.look(2, "/").unwrap().0, 200, "the client's page is served everywhere");

    // In the place of another, and back.
    pool.cli(2, &["pool", "active", "swap", "chat-1", "chat-3"]).ended(0);
    until("chat-3 to take clients", PATIENCE, || (pool.look(2, "/health/ready").unwrap().0 == 200).then_some(()));
    until("chat-1 to drain", PATIENCE, || (pool.look(0, "/health/ready").unwrap().0 == 503).then_some(()));
    pool.run(async {
        until_ok(PATIENCE, async || say(&mut a, room, "back").await.0 == 201).await;
    });
    pool.cli(1, &["pool", "active", "set", "chat-1", "chat-2", "chat-3"]).ended(0);
    pool.wait_for_active(3);
    let nonsense = pool.cli(1, &["pool", "active", "add", "chat-9"]);
    assert_ne!(nonsense.code, 0, "{nonsense:?}");
}

#[test]
fn those_who_stay_too_long_on_a_draining_server_are_sent_to_another() {
    let pool = Pool::start(&Plan { servers: 2, settings: &[("POOL__DRAIN_MINUTES", "0")], ..Plan::default() });
    let room = pool.add_room("Pumps");
    pool.add_user("ana");
    let (_, mut hears) = pool.run(present(&pool, 1, "ana", room));
    pool.cli(0, &["pool", "active", "set", "chat-1"]).ended(0);
    let bye = pool.run(hears.wait_for(PATIENCE, |f| f["type"] == "bye")).unwrap();
    assert_eq!(bye["reason"], "moved");
    assert_eq!(bye["servers"], json!([pool.server(0).address]));
}

#[test]
fn a_server_that_stops_is_known_to_have_stopped_and_one_of_the_same_name_is_refused() {
    let mut pool = start(2);
    let room = pool.add_room("Pumps");
    pool.add_user("ana");
    let data = tempdir().unwrap();
    let url = pool.postgres().url();
    let settings = [("DATABASE__URL", url.as_str()), ("POOL__SERVER", "chat-1")];
    let refused = Server::try_start(data.path(), &settings).unwrap_err();
    assert!(refused.contains("chat-1"), "{refused}");

    let (mut http, mut hears) = pool.run(present(&pool, 1, "ana", room));
    let stopping = pool.server(1).host().to_owned();
    pool.stop_server(1);
    pool.run(async {
        hears.wait_for(PATIENCE, |f| f["type"] == "bye").await.unwrap();
        // Her sign-in holds on every server.
        assert!(http.get("/me").await.is_err(), "{stopping} has stopped");
        http.move_to(pool.server(0).host());
        assert_eq!(http.get("/me").await.unwrap().0, 200);
    });
    until("chat-2 to be known as stopped", SOON * 3, || (pool.standing_count(0, "stopped") == 1).then_some(()));
    pool.start_server(1);
    pool.wait_for_active(2);
}

#[test]
fn leases_move_when_their_holder_is_gone() {
    let mut pool = start(2);
    let holder = |pool: &mut Pool| {
        pool.postgres()
            .psql("SELECT s.name FROM holdfast.lease l JOIN holdfast.server s USING (run) WHERE l.name = 'clean-up'")
    };
    let first = until("somebody to clean up", PATIENCE, || Some(holder(&mut pool)).filter(|name| !name.is_empty()));
    // One that stops gives it away, and the next one that looks takes it.
    pool.stop_server(usize::from(first != name(0)));
    pool.start_server(2);
    until("chat-3 to clean up", PATIENCE, || (holder(&mut pool) == name(2)).then_some(()));

    // One that is gone without a word keeps it until it has run out.
    let room = pool.add_room("Old");
    pool.postgres().psql("INSERT INTO holdfast.lease VALUES ('import', gen_random_uuid(), now() + interval '3 s')");
    let batch = json!([{ "at": "2020-01-01T00:00:00Z", "author": "ana", "text": "long ago", "key": Uuid::new_v4() }]);
    let asked = Instant::now();
    let done = change(&pool, 2, Method::POST, "/admin/import", &json!({ "room": room, "batch": batch }));
    assert_eq!(done["imported"], 1, "{done}");
    assert!(asked.elapsed() > Duration::from_secs(2), "another was importing: {:?}", asked.elapsed());
}
