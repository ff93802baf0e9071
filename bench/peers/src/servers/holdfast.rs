//! Holdfast, whose users are made over its HTTP interface by an administrator.

use crate::process;
use crate::site::{DOMAIN, Ground, PASSWORD, ROOMS, user};
use anyhow::{Context as _, Result, bail};
use holdfast_load::Http;
use serde_json::{Value, json};
use std::io::Write as _;
use std::process::{Command, Stdio};
use tokio::task::JoinSet;

const SETTINGS: &str = include_str!("../../settings/holdfast.toml");
/// Users that are made side by side.
const AT_ONCE: usize = 8;

pub(super) fn prepare(ground: &Ground) -> Result<()> {
    std::fs::create_dir_all(ground.home.join("data"))?;
    std::fs::write(ground.home.join("holdfast.toml"), ground.fill(SETTINGS))?;
    Ok(())
}

pub(super) fn command(ground: &Ground) -> Command {
    let mut command = process::on(&ground.ways.cpus, &ground.ways.holdfast);
    command.arg("serve").arg("--config").arg(ground.home.join("holdfast.toml"));
    command.arg("--data").arg(ground.home.join("data"));
    command.arg("--xmpp").arg(format!("127.0.0.1:{}", ground.port));
    command.args(["--domain", DOMAIN, "--rooms-domain", ROOMS, "--xmpp-plaintext"]).current_dir(&ground.home);
    command
}

pub(super) async fn populate(ground: &Ground) -> Result<()> {
    run(ground, &["user", "add", "admin", "--admin", "--password-stdin"], PASSWORD)?;
    let made = run(
        ground,
        &[
            "token", "add", "admin", "--label", "peers", "--json", "--scope", "read", "--scope", "manage", "--scope",
            "admin",
        ],
        "",
    )?;
    let made: Value = serde_json::from_str(&made)?;
    let token = made["secret"].as_str().context("no secret in the new token")?;
    let host = format!("127.0.0.1:{}", ground.http_port);
    let mut makers = JoinSet::new();
    for first in 0..AT_ONCE {
        let (mut http, users) = (Http::with_token(&host, token), ground.users);
        makers.spawn(async move {
            for n in (first..users).step_by(AT_ONCE) {
                let body = json!({"name": user(n), "password": PASSWORD});
                let (status, answer) = http.post("/users", &body).await?;
                anyhow::ensure!(status == 201, "making user {n}: {status} {answer}");
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = makers.join_next().await {
        done??;
    }
    Ok(())
}

/// Runs a command of Holdfast's, which asks the server that runs.
fn run(ground: &Ground, arguments: &[&str], input: &str) -> Result<String> {
    let mut command = Command::new(&ground.ways.holdfast);
    command.args(arguments).arg("--config").arg(ground.home.join("holdfast.toml"));
    command.arg("--data").arg(ground.home.join("data"));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        writeln!(stdin, "{input}")?;
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("holdfast {} ended with {}", arguments.join(" "), output.status);
    }
    Ok(String::from_utf8(output.stdout)?)
}
