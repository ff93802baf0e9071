//! A full disk: posts are refused in words, reading goes on, and when there is room again, so does writing.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that cannot go on has failed, and says when it cannot begin"
)]

use holdfast_tests::cli::{run, run_with_input};
use holdfast_tests::disk::SmallDisk;
use holdfast_tests::http::Http;
use holdfast_tests::server::Server;
use holdfast_tests::wait::until;
use serde_json::json;
use std::time::Duration;
use tempfile::tempdir;
use uuid::Uuid;

#[test]
fn a_full_disk_is_told_and_survived() {
    let dir = tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(dir.path(), 24) else {
        eprintln!("skipped: this process may not mount a small file system (run as root to include this test)");
        return;
    };
    let data = dir.path().join("data");
    let path = data.to_str().unwrap();
    run_with_input(["user", "add", "ana", "--admin", "--password-stdin", "--data", path], "correct horse battery\n")
        .ended(0);
    run(["category", "add", "Work", "--data", path]).ended(0);
    let room = run(["room", "add", "Pumps", "--category", "Work", "--privacy", "open", "--json", "--data", path]);
    let room = room.ended(0).json()["id"].as_i64().unwrap();

    let server = Server::start(&data);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut http = Http::new(server.host());
    runtime.block_on(http.sign_in("ana", "correct horse battery")).unwrap();
    disk.fill();

    let text = "x".repeat(8_000);
    let mut kept = 0;
    let refused = until("the disk to be full", Duration::from_secs(60), || {
        let body = json!({ "client_id": Uuid::new_v4(), "text": text });
        let (status, answer) = runtime.block_on(http.post(&format!("/rooms/{room}/messages"), &body)).unwrap();
        match status {
            201 => {
                kept += 1;
                None
            }
            _ => Some((status, answer)),
        }
    });
    assert_eq!((refused.0, &refused.1["code"]), (507, &"storage-full".into()), "{refused:?}");
    let (status, page) = runtime.block_on(http.get(&format!("/rooms/{room}/entries?limit=5"))).unwrap();
    assert_eq!(status, 200, "reading must go on: {page}");

    disk.make_room();
    let body = json!({ "client_id": Uuid::new_v4(), "text": "room again" });
    until("writing to go on", Duration::from_secs(60), || {
        let (status, _) = runtime.block_on(http.post(&format!("/rooms/{room}/messages"), &body)).unwrap();
        matches!(status, 200 | 201).then_some(())
    });
    assert!(server.stop().success());
    let report = run(["verify", "--json", "--data", path]).ended(0).json();
    assert_eq!(report["holds"], true);
    let found = run(["room", "show", "Pumps", "--json", "--data", path]).ended(0).json();
    assert_eq!(found["messages"], kept + 1, "what was refused must not be there, what was acknowledged must");
}
