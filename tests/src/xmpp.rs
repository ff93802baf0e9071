//! A server with its XMPP door open, and what XMPP clients of others' making do with it: the scenarios in `tests/xmpp`, in Python with slixmpp.

use crate::cli::{run_with_input, workspace};
use crate::server::Server;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What stands behind the `@` of people.
pub const DOMAIN: &str = "example.org";
/// What stands behind the `@` of rooms.
pub const ROOMS: &str = "rooms.example.org";
/// Everybody's password.
pub const PASSWORD: &str = "correct horse";
/// Those who are there; `root` is an administrator.
pub const PEOPLE: [&str; 9] = ["root", "ana", "bo", "cleo", "dora", "emil", "fred", "gina", "hans"];

/// The settings of a door for trying out.
pub const SETTINGS: [(&str, &str); 5] = [
    // The least that is allowed: deriving keys is not what is tested.
    ("ACCOUNTS__PASSWORD_ITERATIONS", "4096"),
    ("XMPP__DOMAIN", DOMAIN),
    ("XMPP__LISTEN", "127.0.0.1:0"),
    ("XMPP__PLAINTEXT", "true"),
    ("XMPP__ROOMS_DOMAIN", ROOMS),
];

/// Starts a server with its XMPP door open, and with people.
///
/// # Panics
/// When it does not come up.
pub fn serve(data: &Path, settings: &[(&str, &str)]) -> Server {
    let all: Vec<(&str, &str)> = SETTINGS.iter().chain(settings).copied().collect();
    let server = Server::start_with(data, &all);
    let data = data.to_string_lossy().into_owned();
    for name in PEOPLE {
        let mut add = vec!["user", "add", name, "--password-stdin", "--data", &data];
        add.extend((name == "root").then_some("--admin"));
        run_with_input(add, &format!("{PASSWORD}\n")).ended(0);
    }
    server
}

/// Python with slixmpp; `packaging/install.sh xmpp` makes it.
///
/// # Panics
/// When it is not there: says how to get it.
pub fn python() -> PathBuf {
    let python = workspace().join("target/tools/xmpp/bin/python");
    assert!(python.exists(), "the XMPP clients for the tests are not there; run: packaging/install.sh xmpp");
    python
}

/// Runs a scenario of one of the files in `tests/xmpp` against `address`.
///
/// # Panics
/// When it fails; what it printed is in the message.
pub fn scenario(file: &str, name: &str, address: &str, server: &Server) {
    let played = play(file, name, address, &[("HOLDFAST_HTTP", &server.address)], |_| {});
    if let Err(said) = played {
        panic!("{said}\nthe server said:\n{}", server.log());
    }
}

/// As [`scenario`], with more in its environment; `does` is told what it asks for by lines `do WHAT`.
///
/// # Errors
/// What it printed, if it fails.
///
/// # Panics
/// When it cannot be run at all.
pub fn play(
    file: &str,
    name: &str,
    address: &str,
    environment: &[(&str, &str)],
    mut does: impl FnMut(&str),
) -> Result<(), String> {
    let (host, port) = address.rsplit_once(':').unwrap_or((address, "5222"));
    let script = workspace().join("tests/xmpp").join(file).with_extension("py");
    let mut child = Command::new(python())
        .arg(script)
        .args([name, host, port, DOMAIN, ROOMS])
        .envs(environment.iter().copied())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{e}"));
    // Read beside the other, or one could stand in its way.
    let mut log = child.stderr.take();
    let log = std::thread::spawn(move || {
        let mut text = String::new();
        log.as_mut().map(|log| log.read_to_string(&mut text));
        text
    });
    let mut said = String::new();
    for line in child.stdout.take().into_iter().flat_map(|out| BufReader::new(out).lines()).map_while(Result::ok) {
        if let Some(what) = line.strip_prefix("do ") {
            does(what);
        }
        said.push_str(&line);
        said.push('\n');
    }
    let ended = child.wait().unwrap_or_else(|e| panic!("{e}"));
    let log = log.join().unwrap_or_default();
    match ended.success() && said.contains(&format!("ok {name}")) {
        true => Ok(()),
        false => Err(format!("{said}\n{log}")),
    }
}

/// The scenarios that a file has.
///
/// # Panics
/// When they cannot be listed.
pub fn scenarios(file: &str) -> Vec<String> {
    let script = workspace().join("tests/xmpp").join(file).with_extension("py");
    let listed = Command::new(python()).arg(script).args(["--list", "-", "0", "-", "-"]).output();
    let listed = listed.unwrap_or_else(|e| panic!("{e}"));
    String::from_utf8_lossy(&listed.stdout).lines().map(str::to_owned).collect()
}
