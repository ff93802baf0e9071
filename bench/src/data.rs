//! What is measured on: a room full of chat, and an administrator with a token.

use crate::client::Client;
use crate::figures::{Row, round};
use crate::server::{Server, run};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Lines that are made up when there are no logs.
const MADE_UP: usize = 200_000;
/// The room that is imported into.
pub(crate) const ROOM: &str = "ubuntu";

/// The room and whoever looks at it.
pub(crate) struct Scene {
    pub(crate) token: String,
    pub(crate) room: i64,
    pub(crate) head: i64,
}

impl Scene {
    pub(crate) async fn set(server: &Server) -> Result<Scene> {
        let token = administrator(server)?;
        let mut client = Client::connect(&server.address, &token).await?;
        let rooms = client.get(&format!("/api/v1/rooms?q={ROOM}")).await?;
        let room = &rooms["items"][0];
        let id = room["id"].as_i64().context("the imported room is not there")?;
        Ok(Scene { token, room: id, head: room["head"].as_i64().unwrap_or_default() })
    }

    pub(crate) async fn client(&self, server: &Server) -> Result<Client> {
        Client::connect(&server.address, &self.token).await
    }
}

/// Makes an administrator, and answers a token of his for everything.
pub(crate) fn administrator(server: &Server) -> Result<String> {
    server.command(&["user", "add", "bench", "--admin", "--password-stdin"], "the bench's password\n")?;
    let made = server.command(
        &[
            "token", "add", "bench", "--label", "bench", "--json", "--scope", "read", "--scope", "post", "--scope",
            "manage", "--scope", "admin",
        ],
        "",
    )?;
    let made: Value = serde_json::from_str(&made)?;
    Ok(made["secret"].as_str().context("no secret in the new token")?.to_owned())
}

/// Imports logs and tells how fast that was.
pub(crate) fn import(binary: &Path, data: &Path, logs: &[PathBuf]) -> Result<Vec<Row>> {
    std::fs::create_dir_all(data)?;
    let files: Vec<String> = logs.iter().map(|f| f.to_string_lossy().into_owned()).collect();
    let mut arguments = vec!["import", "irc-log", "--room", ROOM, "--json"];
    arguments.extend(files.iter().map(String::as_str));
    let begun = Instant::now();
    let printed = run(binary, data, &arguments, "")?;
    let seconds = begun.elapsed().as_secs_f64();
    let report: Value = serde_json::from_str(printed.trim().lines().last().unwrap_or_default())?;
    let messages = report["messages"].as_f64().unwrap_or_default();
    Ok(vec![Row::new(
        "import of IRC logs, whole command",
        vec![("messages", json!(messages)), ("seconds", round(seconds)), ("per_second", round(messages / seconds))],
    )])
}

/// What was said in logs, without times and names; of each no more than fits a message.
pub(crate) fn lines(logs: &[PathBuf]) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for log in logs {
        let bytes = std::fs::read(log).with_context(|| format!("reading {}", log.display()))?;
        let text = String::from_utf8_lossy(&bytes);
        let said = text.lines().filter_map(|line| line.split_once("> ").map(|(_, said)| said));
        let said = said.map(|said| said.chars().take(1_000).collect::<String>());
        // Without what no message may be, such as the colours of another protocol.
        lines.extend(said.filter(|said| {
            !said.contains(char::is_control) && holdfast_domain::text::message("line", said, 1_000).is_ok()
        }));
    }
    anyhow::ensure!(!lines.is_empty(), "there is nothing said in the logs");
    Ok(lines)
}

/// Writes logs of made-up talk, with words as unequally common as in real talk.
pub(crate) fn make_up(folder: &Path) -> Result<Vec<PathBuf>> {
    const WORDS: [&str; 24] = [
        "the", "a", "to", "you", "is", "it", "and", "in", "on", "of", "that", "for", "have", "server", "install",
        "kernel", "package", "error", "driver", "network", "ubuntu", "upgrade", "mirror", "zfs",
    ];
    // A small generator of our own, so that every run has the same data.
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut next = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let mut files = Vec::new();
    let days = 100;
    for day in 0..days {
        let path = folder.join(format!("2020-{:02}-{:02}.txt", 1 + day / 28, 1 + day % 28));
        let mut text = String::new();
        for line in 0..MADE_UP / days {
            let minute = line * 1_440 / (MADE_UP / days);
            let _ = write!(text, "[{:02}:{:02}] <nick{}>", minute / 60, minute % 60, next(500));
            for _ in 0..=next(18) {
                let place = usize::try_from(next(24).min(next(24)))?;
                let _ = write!(text, " {}", WORDS[place]);
            }
            text.push('\n');
        }
        std::fs::write(&path, text)?;
        files.push(path);
    }
    Ok(files)
}
