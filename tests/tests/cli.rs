//! The command line with and without a server: same answers, documented exit codes, nothing changed by `--what-if`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use holdfast_tests::cli::{Ran, command, finish, run, run_with_input};
use holdfast_tests::http::Http;
use holdfast_tests::server::Server;
use holdfast_tests::wait::until;
use rustix::process::Signal;
use std::path::Path;
use std::time::Duration;
use tempfile::tempdir;

fn with_data(data: &Path, line: &str) -> Ran {
    let mut words: Vec<&str> = line.split_whitespace().collect();
    let data = data.to_str().unwrap();
    words.extend(["--data", data, "--json"]);
    run(words)
}

fn add_admin(data: &Path) {
    let args = ["user", "add", "ana", "--admin", "--password-stdin", "--data", data.to_str().unwrap()];
    run_with_input(args, "correct horse battery\n").ended(0);
}

/// One story, told twice: on data that no server uses, and through the server that does.
fn story(data: &Path) {
    let json = |line: &str| with_data(data, line).ended(0).json();
    assert_eq!(json("user add bo --generate-password --display-name Bo")["password"].as_str().unwrap().len(), 20);
    json("user add watch --bot");
    assert_eq!(with_data(data, "user add BO --generate-password").ended(1).out, "");
    json("group add ops --member bo --member ana");
    assert_eq!(json("group show ops")["members"].as_array().unwrap().len(), 2);
    json("category add Work --allow ops");
    assert!(json("room add Pumps --category Work --member bo --what-if")["changes"].as_array().is_some());
    assert_eq!(json("room list")["items"].as_array().unwrap().len(), 0, "--what-if made a room");
    let room = json("room add Pumps --category Work --privacy closed --member bo --manager ana");
    assert_eq!((&room["name"], &room["privacy"]), (&"Pumps".into(), &"closed".into()));
    json("room roles Pumps --add-member ana --what-if");
    json("room set Pumps --subject valves");
    assert_eq!(json("room show pumps")["subject"], "valves");
    assert_eq!(json("message post Pumps hello --as bo")["author"]["name"], "bo");
    let client_id = "0190f5a0-0000-7000-8000-000000000001";
    let first = json(&format!("message post Pumps again --as bo --client-id {client_id}"));
    let second = json(&format!("message post Pumps again --as bo --client-id {client_id}"));
    assert_eq!(first["seq"], second["seq"], "the same client id must be the same message");
    let entries = json("message list Pumps");
    let said: Vec<&str> =
        entries["entries"].as_array().unwrap().iter().filter_map(|e| e["message"]["text"].as_str()).collect();
    assert_eq!(said, ["hello", "again"]);
    assert_eq!(json("message search again")["items"].as_array().unwrap().len(), 1);
    let token = json("token add watch --label alerts --scope post");
    assert!(token["secret"].as_str().unwrap().starts_with("hf_"));
    let number = token["id"].to_string();
    json(&format!("token end watch {number}"));
    assert_eq!(json("token list watch")["items"].as_array().unwrap().len(), 0);
    json("user disable bo");
    assert_eq!(json("user show bo")["disabled"], true);
    json("user enable bo");
    assert!(!json("audit")["items"].as_array().unwrap().is_empty());
    assert_eq!(json("status")["database"]["engine"].as_str().unwrap().split(' ').next(), Some("SQLite"));
    assert_eq!(json("verify")["holds"], true);
    assert_eq!(json("verify --room Pumps")["rooms"], 1);
    assert_eq!(with_data(data, "room show Nowhere").ended(4).out, "");
    assert_eq!(with_data(data, "room delete Pumps").ended(2).out, "");
    json("room delete Pumps --yes");
    assert_eq!(json("room list")["items"].as_array().unwrap().len(), 0);
}

#[test]
fn commands_work_without_a_server() {
    let dir = tempdir().unwrap();
    add_admin(dir.path());
    story(dir.path());
}

#[test]
fn commands_talk_to_the_server_that_runs_on_the_data() {
    let dir = tempdir().unwrap();
    let server = Server::start(dir.path());
    assert!(server.first_user_code.is_some());
    add_admin(dir.path());
    story(dir.path());
    assert!(server.stop().success());
    assert!(!dir.path().join("control.sock").exists());
}

#[test]
fn commands_reach_a_server_over_the_network_with_a_token() {
    let dir = tempdir().unwrap();
    let server = Server::start(dir.path());
    add_admin(dir.path());
    let secret =
        with_data(dir.path(), "token add ana --label cli --scope admin --scope read").ended(0).json()["secret"].clone();
    let remote = |line: &str, token: &str| {
        let mut command = command(line.split_whitespace().chain(["--json", "--server", &server.address]));
        finish(command.env("HOLDFAST_TOKEN", token))
    };
    let users = remote("user list", secret.as_str().unwrap()).ended(0).json();
    assert_eq!(users["items"][0]["name"], "ana");
    remote("user list", "hf_wrong").ended(1);
    assert_eq!(run(["user", "list", "--server", "http://127.0.0.1:9", "--token", "x"]).code, 3);
}

#[test]
fn a_mistyped_directory_is_not_made() {
    let dir = tempdir().unwrap();
    let there = dir.path().join("tpyo");
    let ran = with_data(&there, "user list").ended(4);
    assert!(ran.err.contains("there is no Holdfast data"), "{ran:?}");
    assert!(!there.exists());
}

#[test]
fn two_servers_do_not_share_data_nor_an_address() {
    let dir = tempdir().unwrap();
    let server = Server::start(dir.path());
    let refused = Server::try_start(dir.path(), &[]).unwrap_err();
    assert!(refused.contains("runs on") && refused.contains("already"), "{refused}");
    let other = tempdir().unwrap();
    let ran = run(["serve", "--data", other.path().to_str().unwrap(), "--http", server.host()]).ended(3);
    assert!(ran.err.contains("choose another address with --http"), "{ran:?}");
}

#[test]
fn a_stale_socket_of_a_killed_server_stands_in_nobodys_way() {
    let dir = tempdir().unwrap();
    Server::start(dir.path()).kill();
    assert!(dir.path().join("control.sock").exists());
    assert_eq!(with_data(dir.path(), "verify").ended(0).json()["holds"], true);
    assert!(Server::start(dir.path()).stop().success());
}

#[test]
fn bad_settings_are_refused_with_their_place() {
    let dir = tempdir().unwrap();
    let file = dir.path().join("holdfast.toml");
    std::fs::write(&file, "[server]\nname = \"x\"\n\n[limits]\nroster = \"many\"\n").unwrap();
    let file = file.to_str().unwrap();
    let data = dir.path().join("data");
    let ran = run(["serve", "--config", file, "--data", data.to_str().unwrap()]).ended(1);
    assert!(ran.err.contains("holdfast.toml:5:10: ") && ran.err.contains("expected"), "{ran:?}");
    assert!(!data.exists(), "nothing may be made by a server that was refused");
    assert_eq!(run(["config", "check", file]).code, 1);
    let ran = finish(command(["config", "check", "/dev/null"]).env("HOLDFAST_SERVER__HTTP", "here")).ended(1);
    assert!(ran.err.contains("HOLDFAST_SERVER__HTTP: "), "{ran:?}");
    assert!(run(["config", "check", "/dev/null"]).ended(0).out.contains("good"));
}

#[test]
fn wrong_usage_is_exit_code_2_and_help_is_0() {
    run(["user"]).ended(2);
    run(["user", "add"]).ended(2);
    run(["room", "list", "--privacy", "loud"]).ended(2);
    assert!(run(["--help"]).ended(0).out.contains("Exit codes:"));
    for shell in ["bash", "zsh", "fish"] {
        assert!(run(["completion", shell]).ended(0).out.contains("holdfast"));
    }
}

#[test]
fn a_server_that_is_asked_to_stop_answers_first() {
    let dir = tempdir().unwrap();
    add_admin(dir.path());
    let server = Server::start(dir.path());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mut http = Http::new(server.host());
        http.sign_in("ana", "correct horse battery").await.unwrap();
        assert_eq!(http.get("/me").await.unwrap().0, 200);
        server.signal(Signal::TERM);
        // Who is connected and idle is let go; nobody new is taken.
        until("the end of listening", Duration::from_secs(20), || {
            std::net::TcpStream::connect(server.host()).is_err().then_some(())
        });
    });
    assert!(server.stop_after_signal().success());
    assert_eq!(with_data(dir.path(), "verify").ended(0).json()["holds"], true);
}
