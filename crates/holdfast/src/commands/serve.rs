//! `holdfast serve`: the server, from its lock to its last answer.

use super::Context;
use crate::compose;
use crate::config::{Config, Log, LogFormat};
use crate::data::{DataDir, DataLock, in_use};
use crate::exit::{Exit, refused, unavailable};
use anyhow::{Context as _, Result};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// For how long a command that still works on the data is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// How to serve.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "SIGTERM or SIGINT ends it cleanly: live connections are told, requests under way are answered, the database is closed.\nA second one ends it at once; nothing that was acknowledged is lost by that either.\n\nExample:\n  holdfast serve --data ./data --http 127.0.0.1:8080"
)]
pub(crate) struct Args {
    /// Where to serve; over `server.http` of the settings
    #[arg(long, value_name = "ADDR:PORT")]
    http: Option<SocketAddr>,
}

/// Serves until a signal comes.
pub(crate) async fn run(args: Args, context: Context) -> Result<Exit> {
    let mut config = context.reach.config;
    if let Some(http) = args.http {
        config.server.http = http;
    }
    start_log(&config.log)?;
    let dir = DataDir::new(&config.server.data);
    dir.create()?;
    let lock = lock(&dir, &config).await?;
    let pool = compose::open(&config, &dir).await?;

    let tcp = TcpListener::bind(config.server.http).await.map_err(|e| {
        unavailable(format!("{} cannot be listened on: {e}; choose another address with --http", config.server.http))
    })?;
    let address = tcp.local_addr().context("asking for the address we listen on")?;
    let control = listen_on_socket(&dir)?;
    // Signals are ours before anybody is told that we are here.
    let shutdown = CancellationToken::new();
    let signals = Signals::new()?;
    let signals = tokio::spawn(signals.wait(shutdown.clone()));
    announce(context.out, &config, address, pool.first_user_code().as_deref());

    let served = pool.serve(tcp, control, shutdown).await;
    signals.abort();
    // The socket goes first, so that commands wait for the lock instead of asking somebody who is leaving.
    let _ = std::fs::remove_file(dir.socket());
    pool.close().await?;
    lock.release();
    tracing::info!("stopped");
    served?;
    Ok(Exit::Done)
}

async fn lock(dir: &DataDir, config: &Config) -> Result<DataLock> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match dir.try_lock("server", Some(config.server.http.to_string()))? {
            Ok(lock) => return Ok(lock),
            Err(Some(holder)) if holder.role == "server" => {
                return Err(unavailable(format!(
                    "a server (process {}, {}) runs on {} already",
                    holder.pid,
                    holder.http.unwrap_or_default(),
                    dir.path().display()
                )));
            }
            Err(holder) if Instant::now() >= deadline => return Err(in_use(dir, holder.as_ref())),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// The control socket, for the owner of the data alone. It gets its name only when nobody else may use it any more.
fn listen_on_socket(dir: &DataDir) -> Result<UnixListener> {
    let (new, _keep) = dir.short_path("control.sock.new")?;
    let (socket, _keep_too) = dir.short_path("control.sock")?;
    // We hold the lock, so what is left here is of a server that is gone.
    let _ = std::fs::remove_file(&new);
    let listener = UnixListener::bind(&new).with_context(|| format!("listening on {}", dir.socket().display()))?;
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o600))
        .context("closing the control socket to others")?;
    std::fs::rename(&new, &socket).with_context(|| format!("naming {}", dir.socket().display()))?;
    Ok(listener)
}

fn announce(out: crate::output::Output, config: &Config, address: SocketAddr, code: Option<&str>) {
    let data = config.server.data.display();
    tracing::info!(%address, %data, version = env!("CARGO_PKG_VERSION"), "serving");
    let said = serde_json::json!({ "address": format!("http://{address}"), "data": config.server.data, "first_user_code": code });
    out.value(&said, |_| {
        let mut lines = vec![format!("Holdfast serves http://{address} (data in {data})")];
        if let Some(code) = code {
            lines.push(format!(
                "There is no user yet. Open the page and make the first administrator with this code: {code}\n\
                 or run: holdfast user add NAME --admin --data {data}"
            ));
        }
        lines.join("\n")
    });
}

/// The signals that end a server.
struct Signals {
    term: Signal,
    int: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        let listen = |kind| signal(kind).context("preparing for signals");
        Ok(Self { term: listen(SignalKind::terminate())?, int: listen(SignalKind::interrupt())? })
    }

    /// The first signal begins the end; the second is the end.
    async fn wait(mut self, shutdown: CancellationToken) {
        for times in 0.. {
            tokio::select! {
                _ = self.term.recv() => {}
                _ = self.int.recv() => {}
            }
            if times > 0 {
                tracing::warn!("a second signal: stopping at once");
                std::process::exit(Exit::Unavailable as i32);
            }
            tracing::info!("stopping: no new requests are taken, those under way are answered");
            shutdown.cancel();
        }
    }
}

fn start_log(log: &Log) -> Result<()> {
    let filter: EnvFilter = log.level.parse().map_err(|e| refused(format!("log.level: {e}")))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match log.format {
        LogFormat::Text => builder.with_ansi(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    started.map_err(|e| unavailable(format!("the log cannot be started: {e}")))
}
