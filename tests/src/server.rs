//! A server of the real binary, on a port of its own.

use crate::cli;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a server may take to start or stop on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Of a server's log, the last bytes that are kept to be shown when a test fails.
const LOG_KEPT: usize = 6 * 1024;

/// A server that runs; ended when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    data: PathBuf,
    log: Arc<Mutex<Vec<u8>>>,
    /// `http://ADDRESS:PORT`
    pub address: String,
    /// While there is no user: the code for making the first.
    pub first_user_code: Option<String>,
    /// Where XMPP clients connect by TCP, `ADDRESS:PORT`.
    pub xmpp: Option<String>,
    /// Where they connect by TLS.
    pub xmpp_tls: Option<String>,
}

impl Server {
    /// Starts a server on `data` and waits until it serves.
    ///
    /// # Panics
    /// When it does not come up; its log is in the message.
    pub fn start(data: &Path) -> Server {
        Self::start_with(data, &[])
    }

    /// Starts a server with settings `SECTION__KEY` from the environment.
    ///
    /// # Panics
    /// As [`Server::start`].
    pub fn start_with(data: &Path, settings: &[(&str, &str)]) -> Server {
        Self::try_start(data, settings).unwrap_or_else(|log| panic!("the server did not start: {log}"))
    }

    /// Starts a server, or answers what it said instead.
    ///
    /// # Errors
    /// Its standard error.
    pub fn try_start(data: &Path, settings: &[(&str, &str)]) -> Result<Server, String> {
        Self::try_start_at("127.0.0.1:0", data, settings)
    }

    /// As [`Server::try_start`], to listen at `host:port`.
    ///
    /// # Errors
    /// Its standard error.
    pub fn try_start_at(host: &str, data: &Path, settings: &[(&str, &str)]) -> Result<Server, String> {
        let mut command = cli::command(["serve", "--json", "--http", host, "--data"]);
        command.arg(data).stdout(Stdio::piped()).stderr(Stdio::piped());
        for (key, value) in settings {
            command.env(format!("HOLDFAST_{key}"), value);
        }
        let mut child = command.spawn().map_err(|e| e.to_string())?;
        let mut line = String::new();
        if let Some(out) = child.stdout.take() {
            let _ = BufReader::new(out).read_line(&mut line);
        }
        let said: Value = serde_json::from_str(&line).unwrap_or_default();
        let Some(address) = said["address"].as_str() else {
            let mut log = String::new();
            if let Some(mut err) = child.stderr.take() {
                let _ = err.read_to_string(&mut log);
            }
            let _ = child.wait();
            return Err(log);
        };
        let log = Arc::new(Mutex::new(Vec::new()));
        if let Some(err) = child.stderr.take() {
            let log = Arc::clone(&log);
            std::thread::spawn(move || keep_the_end(err, &log));
        }
        Ok(Server {
            child,
            log,
            data: data.to_owned(),
            address: address.to_owned(),
            first_user_code: said["first_user_code"].as_str().map(str::to_owned),
            xmpp: said["xmpp"]["address"].as_str().map(str::to_owned),
            xmpp_tls: said["xmpp"]["tls_address"].as_str().map(str::to_owned),
        })
    }

    /// The host and port it serves.
    pub fn host(&self) -> &str {
        self.address.trim_start_matches("http://")
    }

    /// Its data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The end of what it has logged so far.
    pub fn log(&self) -> String {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&log[log.len().saturating_sub(LOG_KEPT)..]).into_owned()
    }

    /// Ends it as a power cut would.
    ///
    /// # Panics
    /// When it cannot be ended.
    pub fn kill(mut self) {
        self.child.kill().unwrap_or_else(|e| panic!("{e}"));
        let _ = self.child.wait();
    }

    /// Asks it to end and waits until it has.
    ///
    /// # Panics
    /// When it does not end in time.
    pub fn stop(self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.stop_after_signal()
    }

    /// Waits until it has ended, having been asked to.
    ///
    /// # Panics
    /// When it does not end in time.
    pub fn stop_after_signal(mut self) -> ExitStatus {
        crate::wait::until("the server's end", PATIENCE, || self.child.try_wait().unwrap_or_default())
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// When it is not there any more.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let sent = pid.map(|pid| kill_process(pid, signal));
        assert!(matches!(sent, Some(Ok(()))), "{sent:?}");
    }
}

/// Reads to the end, or a long log would stand in the server's way.
fn keep_the_end(mut from: ChildStderr, log: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 4096];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        if log.len() > 4 * LOG_KEPT {
            let surplus = log.len() - LOG_KEPT;
            log.drain(..surplus);
        }
        log.extend_from_slice(&buffer[..n]);
    }
}

impl Drop for Server {
    #[allow(clippy::print_stderr, reason = "whoever reads of a failed test wants to know what the server said")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("-- the log of the server on {}:\n{}", self.data.display(), self.log());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
