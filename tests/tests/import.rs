//! IRC logs: everything is imported once, whatever is run again, and what is not understood is told.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use holdfast_tests::cli::run;
use holdfast_tests::server::Server;
use serde_json::Value;
use std::path::{Path, PathBuf};
use tempfile::{TempDir, tempdir};

const SUNDAY: &[u8] = b"[09:15] <ana> good morning\n\
    [09:15] <ana> good morning\n\
    === bo [~bo@host.example]  has joined #x\n\
    [09:16] <bo> caf\xe9 au lait\n\
    [09:16]  * bo[x] y waves\n\
    [09:17] <|trey|> \x02bold\x02 words\n\
    [09:17] <ana>\n\
    -bo:#x- a notice\n";

fn logs() -> (TempDir, PathBuf) {
    let dir = tempdir().unwrap();
    let path = dir.path().join("2005-02-06.train.txt");
    std::fs::write(&path, SUNDAY).unwrap();
    (dir, path)
}

fn import(data: &Path, logs: &[&Path]) -> Value {
    let mut args = vec!["import", "irc-log", "--room", "x", "--json", "--data", data.to_str().unwrap()];
    args.extend(logs.iter().map(|l| l.to_str().unwrap()));
    run(args).ended(0).json()
}

fn messages(data: &Path) -> Vec<(String, String, String)> {
    let page = run(["message", "list", "x", "--json", "--data", data.to_str().unwrap()]).ended(0).json();
    let entries = page["entries"].as_array().unwrap();
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    entries
        .iter()
        .filter(|e| e["kind"] == "message")
        .map(|e| (text(&e["at"]), text(&e["author"]["display_name"]), text(&e["message"]["text"])))
        .collect()
}

#[test]
fn every_line_comes_in_once_and_in_order() {
    let data = tempdir().unwrap();
    let (_keep, log) = logs();
    let report = import(data.path(), &[&log]);
    for (field, count) in [
        ("files", 1),
        ("lines", 8),
        ("messages", 5),
        ("authors", 3),
        ("actions", 1),
        ("events", 1),
        ("imported", 6),
        ("repeated", 0),
        ("bad_bytes", 1),
        ("control_characters", 2),
        ("without_text", 1),
    ] {
        assert_eq!(report[field], count, "{field}: {report}");
    }
    let odd = &report["not_understood"][0];
    assert!(odd["file"].as_str().unwrap().ends_with("2005-02-06.train.txt"));
    assert_eq!((&odd["line"], report["not_understood"].as_array().unwrap().len()), (&8.into(), 1));

    let said = messages(data.path());
    assert_eq!(said.len(), 6);
    assert_eq!(said[0], ("2005-02-06T09:15:00.000Z".into(), "ana".into(), "good morning".into()));
    assert_eq!(said[1].2, "good morning");
    assert_eq!(said[2].2, "caf\u{FFFD} au lait");
    assert_eq!((said[4].1.as_str(), said[4].2.as_str()), ("|trey|", "\u{FFFD}bold\u{FFFD} words"));
    assert_eq!(said[5].2, "\u{2420}");

    // The same again, under another name, and then with a line more.
    let other = log.with_file_name("20050206.log");
    std::fs::write(&other, [SUNDAY, b"[09:18] <ana> one more\n"].concat()).unwrap();
    let again = import(data.path(), &[&log]);
    assert_eq!((&again["imported"], &again["repeated"], &again["authors_created"]), (&0.into(), &6.into(), &0.into()));
    let more = import(data.path(), &[&other]);
    assert_eq!((&more["imported"], &more["repeated"]), (&1.into(), &6.into()));
    assert_eq!(messages(data.path()).len(), 7);
}

#[test]
fn a_running_server_takes_it_in_and_its_authors_cannot_sign_in() {
    let data = tempdir().unwrap();
    let server = Server::start(data.path());
    let (_keep, log) = logs();
    assert_eq!(import(data.path(), &[&log])["imported"], 6);
    let users = run(["user", "list", "--kind", "imported", "--json", "--data", data.path().to_str().unwrap()]);
    assert_eq!(users.ended(0).json()["items"].as_array().unwrap().len(), 4);
    drop(server);
}

#[test]
fn what_if_writes_nothing() {
    let data = tempdir().unwrap();
    let (_keep, log) = logs();
    let path = data.path().join("none");
    let args = [
        "import",
        "irc-log",
        "--room",
        "x",
        "--what-if",
        "--json",
        "--data",
        path.to_str().unwrap(),
        log.to_str().unwrap(),
    ];
    let report = run(args).ended(0).json();
    assert_eq!((&report["messages"], &report["imported"]), (&5.into(), &0.into()));
    assert!(!path.exists());
}

#[test]
fn a_file_that_is_not_there_or_has_no_day_is_refused_before_anything_is_written() {
    let data = tempdir().unwrap();
    let (_keep, log) = logs();
    let no_day = log.with_file_name("notes.txt");
    std::fs::write(&no_day, SUNDAY).unwrap();
    let path = data.path().join("none");
    for (bad, code) in [(no_day, 2), (log.with_file_name("2005-02-07.txt"), 1)] {
        let files = [log.to_str().unwrap(), bad.to_str().unwrap()];
        let args = ["import", "irc-log", "--room", "x", "--data", path.to_str().unwrap()];
        run(args.iter().chain(files.iter())).ended(code);
        assert!(!path.exists());
    }
}
