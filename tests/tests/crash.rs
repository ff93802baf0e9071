//! Killed under load, again and again: whatever was acknowledged is there, exactly once, in the order in which it was seen.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use holdfast_tests::cli::{run, run_with_input};
use holdfast_tests::http::Http;
use holdfast_tests::server::Server;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::tempdir;
use uuid::Uuid;

/// How often the server is killed.
const KILLS: usize = 8;
/// Messages acknowledged between two kills.
const BETWEEN: usize = 120;
const WRITERS: usize = 6;
/// For all of it, on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

/// What one writer knows of one message.
#[derive(Clone, Debug)]
struct Sent {
    client_id: Uuid,
    /// What every answer said, first or repeated.
    seqs: Vec<i64>,
}

#[test]
fn nothing_acknowledged_is_lost_doubled_or_moved_by_kill_9() {
    let dir = tempdir().unwrap();
    let data = dir.path();
    let room = prepare(data);
    let acknowledged = Arc::new(AtomicUsize::new(0));
    // Where the server is now; empty while there is none.
    let address = Arc::new(Mutex::new(String::new()));
    let stop = Arc::new(AtomicUsize::new(0));

    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (acknowledged, address, stop) = (Arc::clone(&acknowledged), Arc::clone(&address), Arc::clone(&stop));
            std::thread::spawn(move || write(writer, room, &acknowledged, &address, &stop))
        })
        .collect();

    let deadline = Instant::now() + LIMIT;
    for kill in 1..=KILLS {
        let server = Server::start(data);
        *address.lock().unwrap() = server.host().to_owned();
        while acknowledged.load(Ordering::Acquire) < kill * BETWEEN {
            assert!(
                Instant::now() < deadline,
                "only {} acknowledged after {kill} starts",
                acknowledged.load(Ordering::Acquire)
            );
            std::thread::park_timeout(Duration::from_millis(1));
        }
        server.kill();
    }
    // A last server, so that every writer learns what became of its last message.
    let server = Server::start(data);
    *address.lock().unwrap() = server.host().to_owned();
    stop.store(1, Ordering::Release);
    let sent: Vec<Vec<Sent>> = writers.into_iter().map(|w| w.join().unwrap()).collect();

    let log = whole_log(&server, room);
    check(&sent, &log);
    assert!(server.stop().success());
    assert_eq!(run(["verify", "--json", "--data", data.to_str().unwrap()]).ended(0).json()["holds"], true);
}

/// The history checker: the room is an append-only list.
fn check(sent: &[Vec<Sent>], log: &[(i64, Uuid)]) {
    assert!(log.windows(2).all(|w| w[0].0 < w[1].0), "numbers must ascend");
    let mut place: HashMap<Uuid, Vec<i64>> = HashMap::new();
    for (seq, client_id) in log {
        place.entry(*client_id).or_default().push(*seq);
    }
    let mut all = 0;
    for writer in sent {
        let mut last = 0;
        for message in writer {
            let there = place.remove(&message.client_id).unwrap_or_default();
            assert_eq!(there.len(), 1, "{message:?} is there {there:?}");
            assert!(message.seqs.iter().all(|seq| *seq == there[0]), "{message:?} is at {there:?}");
            assert!(there[0] > last, "a writer's messages must stay in its order");
            last = there[0];
            all += 1;
        }
    }
    assert!(place.is_empty(), "nobody sent {place:?}");
    assert!(all >= KILLS * BETWEEN, "{all} messages");
}

/// Posts one message after the other, each until it is acknowledged, with the same client id however often it takes.
fn write(
    writer: usize,
    room: i64,
    acknowledged: &AtomicUsize,
    address: &Mutex<String>,
    stop: &AtomicUsize,
) -> Vec<Sent> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut sent = Vec::new();
        let mut http: Option<Http> = None;
        while stop.load(Ordering::Acquire) == 0 {
            let mut message = Sent { client_id: Uuid::new_v4(), seqs: Vec::new() };
            let body = json!({ "client_id": message.client_id, "text": format!("{writer}: {}", sent.len()) });
            let deadline = Instant::now() + LIMIT;
            while message.seqs.is_empty() {
                assert!(Instant::now() < deadline, "writer {writer} gets no answer");
                if let Some(seq) = post(writer, room, address, &mut http, &body).await {
                    message.seqs.push(seq);
                }
            }
            // Now and then the answer is lost on the way, and the client sends again.
            if sent.len() % 7 == 3 {
                message.seqs.extend(post(writer, room, address, &mut http, &body).await);
            }
            sent.push(message);
            acknowledged.fetch_add(1, Ordering::AcqRel);
        }
        sent
    })
}

async fn post(writer: usize, room: i64, address: &Mutex<String>, http: &mut Option<Http>, body: &Value) -> Option<i64> {
    let now = address.lock().unwrap().clone();
    if let Some(http) = http {
        http.move_to(&now);
    } else {
        let mut fresh = Http::new(&now);
        if fresh.sign_in(&format!("writer{writer}"), "correct horse battery").await.is_err() {
            tokio::task::yield_now().await;
            return None;
        }
        *http = Some(fresh);
    }
    let connection = http.as_mut()?;
    match connection.post(&format!("/rooms/{room}/messages"), body).await {
        Ok((200 | 201, entry)) => Some(entry["seq"].as_i64().unwrap()),
        Ok((503 | 429, _)) => None,
        Ok((status, answer)) => panic!("{status} {answer}"),
        // The connection broke: whether it was taken shows when it is sent again.
        Err(_) => {
            tokio::task::yield_now().await;
            None
        }
    }
}

fn prepare(data: &Path) -> i64 {
    let path = data.to_str().unwrap();
    for writer in 0..WRITERS {
        let name = format!("writer{writer}");
        run_with_input(["user", "add", &name, "--password-stdin", "--data", path], "correct horse battery\n").ended(0);
    }
    run(["category", "add", "Load", "--data", path]).ended(0);
    let room =
        run(["room", "add", "Busy", "--category", "Load", "--privacy", "open", "--json", "--data", path]).ended(0);
    room.json()["id"].as_i64().unwrap()
}

/// Number and client id of every message of the room, as a reader sees them.
fn whole_log(server: &Server, room: i64) -> Vec<(i64, Uuid)> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mut http = Http::new(server.host());
        http.sign_in("writer0", "correct horse battery").await.unwrap();
        let mut log = Vec::new();
        let mut after = 0;
        loop {
            let (status, page) = http.get(&format!("/rooms/{room}/entries?after={after}&limit=500")).await.unwrap();
            assert_eq!(status, 200, "{page}");
            for entry in page["entries"].as_array().unwrap() {
                after = entry["seq"].as_i64().unwrap();
                if entry["kind"] == "message" {
                    log.push((after, entry["client_id"].as_str().unwrap().parse().unwrap()));
                }
            }
            if page["more_after"] != true {
                return log;
            }
        }
    })
}
