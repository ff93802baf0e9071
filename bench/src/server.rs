//! The server under measurement: the real binary on a free port.

use anyhow::{Context, Result, bail};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
    pub(crate) binary: PathBuf,
    pub(crate) data: PathBuf,
    settings: Vec<(String, String)>,
    /// From the start of the process to the first `ready`.
    pub(crate) ready_after: Duration,
}

impl Server {
    pub(crate) async fn start(binary: &Path, data: &Path) -> Result<Server> {
        Self::start_with(binary, data, &[]).await
    }

    /// Starts a server with settings from the environment.
    pub(crate) async fn start_with(binary: &Path, data: &Path, settings: &[(&str, String)]) -> Result<Server> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let begun = Instant::now();
        let child = Command::new(binary)
            .args(["serve", "--http", &address, "--data"])
            .arg(data)
            // One user drives everything; what is measured is the server, not its patience with him.
            .env("HOLDFAST_HTTP__REQUESTS_PER_SECOND", "1000000")
            .envs(settings.iter().map(|(key, value)| (key, value)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {}", binary.display()))?;
        while !is_ready(&address).await {
            if begun.elapsed() > Duration::from_secs(60) {
                bail!("the server was not ready after a minute");
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let ready_after = begun.elapsed();
        let settings = settings.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        Ok(Server { child, address, binary: binary.to_owned(), data: data.to_owned(), settings, ready_after })
    }

    /// Resident memory in KiB.
    pub(crate) fn resident_kib(&self) -> Result<u64> {
        self.status("VmRSS:")
    }

    /// CPU seconds used so far, user and system.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        let id = self.child.id().context("the server has ended")?;
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
        // Fields after the name in parentheses; utime and stime are the 12th and 13th of them, in hundredths of a second.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok()).unwrap_or_default();
        Ok((ticks(11) + ticks(12)) / 100.0)
    }

    fn status(&self, field: &str) -> Result<u64> {
        let id = self.child.id().context("the server has ended")?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let line = status.lines().find(|l| l.starts_with(field)).context("no such field")?;
        Ok(line.split_whitespace().nth(1).unwrap_or_default().parse()?)
    }

    /// Runs a command of the binary against this server's data.
    pub(crate) fn command(&self, arguments: &[&str], input: &str) -> Result<String> {
        run_with(&self.binary, &self.data, &self.settings, arguments, input)
    }

    pub(crate) async fn stop(mut self) -> Result<()> {
        let id = self.child.id().context("the server has ended by itself")?;
        std::process::Command::new("kill").args(["-TERM", &id.to_string()]).status()?;
        tokio::time::timeout(Duration::from_secs(30), self.child.wait()).await??;
        Ok(())
    }
}

/// Runs a command of the binary on `data` and answers what it printed.
pub(crate) fn run(binary: &Path, data: &Path, arguments: &[&str], input: &str) -> Result<String> {
    run_with(binary, data, &[], arguments, input)
}

fn run_with(
    binary: &Path,
    data: &Path,
    settings: &[(String, String)],
    arguments: &[&str],
    input: &str,
) -> Result<String> {
    use std::io::Write;
    let mut child = std::process::Command::new(binary)
        .args(arguments)
        .arg("--data")
        .arg(data)
        .envs(settings.iter().map(|(key, value)| (key, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .with_context(|| format!("starting {}", binary.display()))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("{} {} ended with {}", binary.display(), arguments.join(" "), output.status);
    }
    Ok(String::from_utf8(output.stdout)?)
}

async fn is_ready(address: &str) -> bool {
    let Ok(mut stream) = TcpStream::connect(address).await else { return false };
    let request = format!("GET /health/ready HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    if stream.write_all(request.as_bytes()).await.is_err() {
        return false;
    }
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.is_ok() && answer.starts_with(b"HTTP/1.1 200")
}
