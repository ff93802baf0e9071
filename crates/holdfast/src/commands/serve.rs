//! `holdfast serve`: the server, from its lock to its last answer.

pub(crate) mod listen;
mod patience;

use super::Context;
use crate::compose::Pool;
use crate::config::{Config, Log, LogFormat};
use crate::data::{DataDir, DataLock, in_use};
use crate::exit::{Exit, refused, unavailable};
use anyhow::{Context as _, Result};
use holdfast_xmpp::XmppOptions;
use listen::{Control, Network, Xmpp};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// For how long a command that still works on the data is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// How to serve.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "SIGTERM or SIGINT ends it cleanly: live connections are told, requests under way are answered, the database is closed.\nA second one ends it at once; nothing that was acknowledged is lost by that either.\n\nWith `database.url` set, servers on the same database are one pool. A database that is away at the start is waited for.\n\nExamples:\n  holdfast serve --data ./data --http 127.0.0.1:8080\n  holdfast serve --config /etc/holdfast/holdfast.toml"
)]
pub(crate) struct Args {
    /// Where to serve; over `server.http` of the settings
    #[arg(long, value_name = "ADDR:PORT")]
    http: Option<SocketAddr>,
    /// Where XMPP clients connect; over `xmpp.listen` of the settings
    #[arg(long, value_name = "ADDR:PORT", help_heading = "XMPP")]
    xmpp: Option<SocketAddr>,
    /// What stands behind the @ of people's XMPP addresses; over `xmpp.domain`
    #[arg(long, value_name = "DOMAIN", help_heading = "XMPP")]
    domain: Option<String>,
    /// What stands behind the @ of rooms' XMPP addresses; over `xmpp.rooms_domain` [default: rooms.DOMAIN]
    #[arg(long, value_name = "DOMAIN", help_heading = "XMPP")]
    rooms_domain: Option<String>,
    /// Let XMPP clients sign in without TLS, and anybody make rooms: for trying out on this machine alone
    #[arg(long, help_heading = "XMPP")]
    xmpp_plaintext: bool,
}

impl Args {
    /// What the flags say of the XMPP door, over the settings.
    fn apply(&self, xmpp: &mut XmppOptions) {
        if let Some(address) = self.xmpp {
            xmpp.listen = address.to_string();
        }
        if let Some(domain) = &self.domain {
            xmpp.domain.clone_from(domain);
        }
        if let Some(domain) = &self.rooms_domain {
            xmpp.rooms_domain.clone_from(domain);
        }
        xmpp.plaintext |= self.xmpp_plaintext;
    }
}

/// Serves until a signal comes.
pub(crate) async fn run(args: Args, context: Context) -> Result<Exit> {
    let mut config = context.reach.config;
    if let Some(http) = args.http {
        config.server.http = http;
    }
    args.apply(&mut config.xmpp);
    config.check()?;
    start_log(&config.log)?;
    let dir = DataDir::new(&config.server.data);
    dir.create()?;
    let lock = lock(&dir, &config).await?;
    let network = Network::bind(config.server.http, "--http").await?;
    let xmpp = Xmpp::bind(&config).await?;
    // Signals are ours before anybody is told that we are here.
    let shutdown = CancellationToken::new();
    let signals = tokio::spawn(Signals::new()?.wait(shutdown.clone()));
    if config.database.is_shared() && dir.holds_a_pool() {
        tracing::warn!(
            unused = %dir.database().display(),
            "database.url names PostgreSQL, so the embedded database in the data directory is not used; `holdfast store copy` brings it over"
        );
    }
    let mut control = None;
    let opened = Box::pin(patience::open(&config, &dir, &network, &mut control, &shutdown)).await;
    let served = match opened {
        Ok(Some(pool)) => {
            let listening = Listening { network, control, xmpp };
            serve(context.out, &config, &dir, pool, listening, shutdown).await
        }
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    signals.abort();
    let _ = std::fs::remove_file(dir.socket());
    lock.release();
    served?;
    tracing::info!("stopped");
    Ok(Exit::Done)
}

/// Where the server listens.
struct Listening {
    network: Network,
    control: Option<Control>,
    xmpp: Option<Xmpp>,
}

async fn serve(
    out: crate::output::Output,
    config: &Config,
    dir: &DataDir,
    pool: Pool,
    listening: Listening,
    shutdown: CancellationToken,
) -> Result<()> {
    let Listening { network, control, xmpp } = listening;
    let control = match control {
        Some(control) => control,
        None => Control::bind(dir)?,
    };
    let (tcp, commands) = (network.listener()?, control.listener()?);
    announce(out, config, network.address()?, xmpp.as_ref(), &pool);
    // What is served from now on alone decides how long anybody is let in.
    drop((network, control));
    let served = pool.serve(tcp, commands, xmpp, shutdown).await;
    // The socket goes first, so that commands wait for the lock instead of asking somebody who is leaving.
    let _ = std::fs::remove_file(dir.socket());
    pool.close().await?;
    served
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

fn announce(out: crate::output::Output, config: &Config, address: SocketAddr, xmpp: Option<&Xmpp>, pool: &Pool) {
    let data = config.server.data.display();
    let code = pool.first_user_code();
    let database = config.database.is_shared().then(|| config.database.url.to_string());
    let (name, reached) = pool.place().unzip();
    let standing = pool.standing().word();
    match (&database, name) {
        (Some(database), Some(name)) => {
            tracing::info!(%address, %database, name, standing, version = env!("CARGO_PKG_VERSION"), "serving");
        }
        _ => tracing::info!(%address, %data, version = env!("CARGO_PKG_VERSION"), "serving"),
    }
    let said = serde_json::json!({ "address": format!("http://{address}"), "data": config.server.data, "database": database,
        "name_in_pool": name, "public_address": reached, "standing": standing, "first_user_code": code,
        "xmpp": xmpp.map(|xmpp| serde_json::json!({ "domain": config.xmpp.domain, "rooms_domain": config.xmpp.rooms(),
            "address": xmpp.tcp_address(), "tls_address": xmpp.tls_address() })) });
    out.value(&said, |_| {
        let mut lines = match (&database, name, reached) {
            (Some(database), Some(name), Some(reached)) => vec![
                format!("Holdfast serves http://{address} (database {database})"),
                format!("In the pool it is {name}, reached at {reached}: {standing}"),
            ],
            _ => vec![format!("Holdfast serves http://{address} (data in {data})")],
        };
        if let Some(xmpp) = xmpp {
            let (people, rooms) = (&config.xmpp.domain, config.xmpp.rooms());
            let at: Vec<String> = [xmpp.tcp_address(), xmpp.tls_address()].into_iter().flatten().collect();
            let at = if at.is_empty() { "over the web alone".to_owned() } else { format!("at {}", at.join(" and ")) };
            lines.push(format!("XMPP: people are NAME@{people}, rooms ROOM@{rooms}, {at}"));
        }
        if let Some(code) = code {
            let place = if database.is_some() { String::new() } else { format!(" --data {data}") };
            lines.push(format!(
                "There is no user yet. Open the page and make the first administrator with this code: {code}\n\
                 or run: holdfast user add NAME --admin{place}"
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

/// Where the log of a process that runs for long goes.
pub(crate) fn start_log(log: &Log) -> Result<()> {
    let filter: EnvFilter = log.level.parse().map_err(|e| refused(format!("log.level: {e}")))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match log.format {
        LogFormat::Text => builder.with_ansi(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    started.map_err(|e| unavailable(format!("the log cannot be started: {e}")))
}
