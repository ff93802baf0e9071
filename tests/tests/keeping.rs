//! What was said stays, and what was tampered with shows: verify, backup and restore, export and import.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use holdfast_tests::cli::{Ran, run, run_with_input};
use holdfast_tests::server::Server;
use serde_json::Value;
use std::path::Path;
use tempfile::tempdir;

fn with_data(data: &Path, args: &[&str]) -> Ran {
    run(args.iter().copied().chain(["--json", "--data", data.to_str().unwrap()]))
}

/// A pool with two people, a room, messages of all sorts, and a file.
fn pool(data: &Path) {
    let path = data.to_str().unwrap();
    run_with_input(["user", "add", "ana", "--admin", "--password-stdin", "--data", path], "correct horse battery\n")
        .ended(0);
    let picture = data.parent().unwrap().join("notes.txt");
    std::fs::write(&picture, "what was agreed\n").unwrap();
    for args in [
        &["user", "add", "bo", "--generate-password"][..],
        &["category", "add", "Work"],
        &["room", "add", "Pumps", "--category", "Work", "--member", "bo", "--member", "ana"],
        &["message", "post", "Pumps", "one", "--as", "bo"],
        &["message", "post", "Pumps", "two", "--as", "ana", "--title", "A story", "--alert"],
        &["message", "post", "Pumps", "with a file", "--as", "ana", "--file", picture.to_str().unwrap()],
        &["message", "post", "Pumps", "a secret", "--as", "bo"],
        &[
            "message",
            "remove",
            "Pumps",
            "--words",
            "secret",
            "--match",
            "any",
            "--reason",
            "a password",
            "--erase",
            "--yes",
        ],
        &["message", "post", "Pumps", "last", "--as", "bo"],
    ] {
        with_data(data, args).ended(0);
    }
}

fn transcript(data: &Path) -> Value {
    with_data(data, &["message", "list", "Pumps"]).ended(0).json()["entries"].clone()
}

#[test]
fn one_changed_byte_shows_and_says_where() {
    let dir = tempdir().unwrap();
    let data = dir.path().join("data");
    pool(&data);
    assert_eq!(with_data(&data, &["verify"]).ended(0).json()["holds"], true);

    let database = rusqlite::Connection::open(data.join("holdfast.db")).unwrap();
    let changed = database
        .execute("UPDATE entry SET payload = replace(payload, 'one', 'ome') WHERE payload LIKE '%\"one\"%'", [])
        .unwrap();
    drop(database);
    assert_eq!(changed, 1);

    let report = with_data(&data, &["verify"]).ended(1).json();
    let faults = report["faults"].as_array().unwrap();
    assert_eq!((&report["holds"], faults.len()), (&false.into(), 1), "{report}");
    assert_eq!(faults[0]["name"], "Pumps");
    assert!(faults[0]["what"].as_str().unwrap().contains("was changed"), "{report}");
    with_data(&data, &["verify", "--room", "Pumps"]).ended(1);
    with_data(&data, &["verify", "--room", "0"]).ended(0);
    let text = run(["verify", "--data", data.to_str().unwrap()]).ended(1);
    assert!(text.out.contains("FAULT  room Pumps"), "{text:?}");
}

#[test]
fn a_backup_of_a_running_server_restores_to_the_same() {
    let dir = tempdir().unwrap();
    let (data, copy, backup) = (dir.path().join("data"), dir.path().join("copy"), dir.path().join("backup.db"));
    pool(&data);
    let server = Server::start(&data);
    let to = backup.to_str().unwrap();
    with_data(&data, &["backup", "--to", to, "--what-if"]).ended(0);
    assert!(!backup.exists());
    let report = with_data(&data, &["backup", "--to", to]).ended(0).json();
    assert_eq!(report["bytes"], backup.metadata().unwrap().len());
    with_data(&data, &["backup", "--to", to]).ended(1);
    with_data(&data, &["message", "post", "Pumps", "after the backup", "--as", "bo"]).ended(0);

    with_data(&copy, &["restore", "--from", to, "--what-if"]).ended(0);
    assert!(!copy.exists());
    assert_eq!(with_data(&copy, &["restore", "--from", to]).ended(0).json()["restored"], true);
    let (was, is) = (transcript(&data), transcript(&copy));
    let (was, is) = (was.as_array().unwrap(), is.as_array().unwrap());
    assert_eq!(is[..], was[..was.len() - 1]);
    with_data(&copy, &["restore", "--from", to]).ended(1);
    drop(server);

    // A damaged backup is found before it is used.
    let damaged = rusqlite::Connection::open(&backup).unwrap();
    damaged.execute("DELETE FROM entry WHERE payload LIKE '%\"one\"%'", []).unwrap();
    drop(damaged);
    let other = dir.path().join("other");
    let report = with_data(&other, &["restore", "--from", to]).ended(1).json();
    assert_eq!(report["restored"], false);
    assert!(!other.exists());
    std::fs::write(&backup, "no database").unwrap();
    with_data(&other, &["restore", "--from", to]).ended(1);
    assert!(!other.exists());
}

#[test]
fn an_archive_brings_a_pool_elsewhere_exactly() {
    let dir = tempdir().unwrap();
    let (data, copy, archive) = (dir.path().join("data"), dir.path().join("copy"), dir.path().join("pool.zip"));
    pool(&data);
    let zip = archive.to_str().unwrap();
    with_data(&data, &["export", zip, "--what-if"]).ended(0);
    assert!(!archive.exists());
    let report = with_data(&data, &["export", zip]).ended(0).json();
    assert_eq!((&report["files"], report["faults"].as_array().unwrap().len()), (&1.into(), 0), "{report}");
    with_data(&data, &["export", zip]).ended(1);

    let would = with_data(&copy, &["import", zip, "--what-if"]).ended(0).json();
    assert_eq!((&would["holds"], &would["imported"]), (&true.into(), &false.into()));
    assert!(!copy.exists());
    let done = with_data(&copy, &["import", zip]).ended(0).json();
    assert_eq!(done["imported"], true);
    assert_eq!(transcript(&copy), transcript(&data));
    for list in ["user", "group", "category", "room"] {
        let items = |data| with_data(data, &[list, "list"]).ended(0).json();
        assert_eq!(items(&copy), items(&data), "{list}");
    }
    assert_eq!(with_data(&copy, &["message", "search", "last"]).ended(0).json()["items"].as_array().unwrap().len(), 1);
    with_data(&copy, &["import", zip]).ended(1);

    // The password came along.
    let server = Server::start(&copy);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mut http = holdfast_tests::http::Http::new(server.host());
        http.sign_in("ana", "correct horse battery").await.unwrap();
        let files = transcript(&copy).as_array().unwrap().iter().find_map(|e| {
            let id = e["message"]["files"][0]["id"].as_str()?;
            Some(id.to_owned())
        });
        let (status, content) = http.get(&format!("/files/{}", files.unwrap())).await.unwrap();
        assert_eq!((status, content.as_str()), (200, Some("what was agreed\n")));
    });
}
