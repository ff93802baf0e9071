//! Composition: the one place that knows how store, service and door are put together, and which engine keeps the data.

use crate::commands::serve::listen::Xmpp;
use crate::config::{Config, Database, machine_name};
use crate::data::DataDir;
use crate::exit::{refused, unavailable};
use crate::figures;
use anyhow::{Context as _, Result};
use axum::Router;
use holdfast_chat::clock::Clock;
use holdfast_chat::{Chat, ChatError, Options, ServerOptions, Standing};
use holdfast_http::HttpOptions;
use holdfast_store::postgres::{PostgresOptions, PostgresStore};
use holdfast_store::sqlite::{SqliteOptions, SqliteStore};
use holdfast_store::{Store, StoreError};
use holdfast_xmpp::XmppOptions;
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;

/// An open pool: the service on its store, and the door's settings.
pub(crate) struct Pool {
    chat: Chat,
    http: HttpOptions,
    xmpp: XmppOptions,
}

/// For what the service is opened.
#[derive(Clone, Copy, Debug)]
pub(crate) enum As {
    /// As a server that listens here.
    Server(SocketAddr),
    /// For the one command of this process: it is no server of the pool.
    Command,
}

/// The database cannot be reached now, but may be later.
#[derive(Debug)]
pub(crate) struct Away(String);

impl fmt::Display for Away {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Away {}

/// Opens the pool: the one in `dir`, made if there is none, or the one in the database that the settings name.
///
/// # Errors
/// [`Away`] when trying again later may be of use.
pub(crate) async fn open(config: &Config, dir: &DataDir, how: As) -> Result<Pool> {
    let store = match config.database.is_shared() {
        true => open_shared(&config.database, Some(dir).filter(|_| matches!(how, As::Server(_)))).await?,
        false => open_embedded(dir)?,
    };
    let options = Options {
        name: config.server.name.clone(),
        limits: config.limits.clone(),
        accounts: config.accounts.clone(),
        scram_sha1: config.xmpp.is_on() && config.xmpp.scram_sha1,
        client_ids_days: config.database.client_ids_days,
        wait_seconds: config.database.wait_seconds,
        server: server_options(config, how)?,
    };
    let shared = config.database.is_shared();
    let closing = Arc::clone(&store);
    let opened = Chat::open(store, options, Clock::system()).await;
    if opened.is_err() {
        close_quietly(closing.as_ref()).await;
    }
    let chat = opened.map_err(|e| match e {
        // The store said in the log what it is.
        ChatError::Internal if !shared => damaged(dir, "it holds something that cannot be right"),
        ChatError::Unavailable(why) if shared => Away(format!("{}: {why}", doing(&config.database, dir))).into(),
        other => anyhow::Error::new(other).context(doing(&config.database, dir)),
    })?;
    let public_url = config.server.public_url.clone();
    let files_url = match how {
        As::Server(listens) if public_url.is_empty() => address_of(listens, &machine_name()?),
        _ => public_url.clone(),
    };
    let xmpp = XmppOptions { public_url, files_url, ..config.xmpp.clone() };
    Ok(Pool { chat, http: http_options(config), xmpp })
}

/// The door's settings.
pub(crate) fn http_options(config: &Config) -> HttpOptions {
    HttpOptions {
        public_url: Some(config.server.public_url.clone()).filter(|url| !url.is_empty()),
        trusted_proxies: config.server.trusted_proxies.clone(),
        limits: config.http.clone(),
    }
}

fn server_options(config: &Config, how: As) -> Result<ServerOptions> {
    let named = ServerOptions {
        drain_minutes: config.pool.drain_minutes,
        most_round_trip_ms: config.pool.most_round_trip_ms,
        ..ServerOptions::default()
    };
    match how {
        As::Server(listens) if config.database.is_shared() => {
            let url = config.server.public_url.trim_end_matches('/');
            let address = if url.is_empty() { address_of(listens, &machine_name()?) } else { url.to_owned() };
            Ok(ServerOptions { name: config.pool.name()?, address, joins: true, ..named })
        }
        As::Server(_) => Ok(named),
        As::Command => Ok(ServerOptions { joins: false, ..named }),
    }
}

/// Where clients reach a server without a public address. One that listens everywhere is reached by its machine's name.
fn address_of(listens: SocketAddr, machine: &str) -> String {
    if listens.ip().is_unspecified() {
        format!("http://{machine}:{}", listens.port())
    } else {
        format!("http://{listens}")
    }
}

/// Opens the database in `dir` alone, without a service on it.
pub(crate) fn open_embedded(dir: &DataDir) -> Result<Arc<dyn Store>> {
    let store = SqliteStore::open(dir.database(), SqliteOptions::default()).map_err(|e| match e {
        StoreError::Corrupt { what } => damaged(dir, &what),
        other => {
            unavailable(format!("opening the database {}: {:#}", dir.database().display(), anyhow::Error::new(other)))
        }
    })?;
    Ok(Arc::new(store))
}

/// Opens the database that the settings name, without a service on it. `serves`: for a server with this directory, so what a server does beside its
/// clients' work is done too.
///
/// # Errors
/// As [`open`].
pub(crate) async fn open_shared(database: &Database, serves: Option<&DataDir>) -> Result<Arc<dyn Store>> {
    let store = open_postgres(database, serves).await?;
    let half = store.is_being_filled().await.context("asking whether the database is complete");
    match half {
        Ok(None) => Ok(Arc::new(store)),
        Ok(Some(from)) => {
            close_quietly(&store).await;
            Err(refused(format!(
                "{} holds only a part of {from}: run `holdfast store copy` again, which goes on where it stopped",
                database.url
            )))
        }
        Err(error) => {
            close_quietly(&store).await;
            Err(error)
        }
    }
}

/// Lets go of a store that is of no use.
async fn close_quietly(store: &dyn Store) {
    // The failure before this one is what is told.
    let _ = store.close().await;
}

/// As [`open_shared`], for what only this engine can.
pub(crate) async fn open_postgres(database: &Database, serves: Option<&DataDir>) -> Result<PostgresStore> {
    let doing = format!("opening the database {}", database.url);
    PostgresStore::open(postgres_options(database, serves)?).await.map_err(|e| match e {
        StoreError::Away { why } => Away(format!("{doing}: {why}")).into(),
        StoreError::Corrupt { what } => refused(format!("{doing}: it holds something that cannot be right: {what}")),
        other => {
            let why = format!("{:#}", anyhow::Error::new(other));
            let hint = "`holdfast db check`";
            let next = if why.contains(hint) { String::new() } else { format!("; {hint} says more") };
            unavailable(format!("{doing}: {why}{next}"))
        }
    })
}

/// What the engine is told, with the password from where it is kept.
pub(crate) fn postgres_options(database: &Database, serves: Option<&DataDir>) -> Result<PostgresOptions> {
    Ok(PostgresOptions {
        url: database.url.secret().to_owned(),
        password: password(&database.password_file)?,
        tls_identity: Some(database.tls_identity.clone()).filter(|dir| !dir.as_os_str().is_empty()),
        epoch_file: serves.map(DataDir::epoch),
        connections: database.connections,
        search_language: database.search_language.clone(),
        background: serves.is_some(),
    })
}

fn password(file: &Path) -> Result<Option<String>> {
    if file.as_os_str().is_empty() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(file)
        .map_err(|e| refused(format!("database.password_file: {} cannot be read: {e}", file.display())))?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() {
        return Err(refused(format!("database.password_file: {} has no password on its first line", file.display())));
    }
    Ok(Some(line.to_owned()))
}

impl Pool {
    /// The API, whose requests count as the operator's.
    pub(crate) fn operator_router(&self) -> Router {
        holdfast_http::operator(holdfast_http::router(self.chat.clone(), self.http.clone(), None))
    }

    /// While there is no user: the code with which the page makes the first one.
    pub(crate) fn first_user_code(&self) -> Option<String> {
        self.chat.first_user_code().ok().flatten()
    }

    /// What this server is to its pool.
    pub(crate) fn standing(&self) -> Standing {
        self.chat.standing()
    }

    /// The name of this server in its pool, and where clients reach it; nothing if it is alone.
    pub(crate) fn place(&self) -> Option<(&str, &str)> {
        let server = &self.chat.options().server;
        self.chat.in_pool().then_some((server.name.as_str(), server.address.as_str()))
    }

    /// Serves strangers on `tcp` and the operator on `control`, until `shutdown`, and then until both are drained.
    pub(crate) async fn serve(
        &self,
        tcp: TcpListener,
        control: UnixListener,
        xmpp: Option<Xmpp>,
        shutdown: CancellationToken,
    ) -> Result<()> {
        let xmpp = match xmpp {
            Some(listening) => Some((listening, self.open_xmpp(shutdown.clone()).await?)),
            None => None,
        };
        let figures = xmpp.as_ref().map(|(_, door)| figures::of_xmpp(door.clone()));
        let mut router = holdfast_http::router(self.chat.clone(), self.http.clone(), figures);
        let operator = holdfast_http::operator(router.clone());
        let (mut by_tcp, mut by_tls) = (None, None);
        if let Some((listening, door)) = xmpp {
            router = router.merge(self.found_by_xmpp(door.routes()));
            by_tcp = listening.tcp.map(|tcp| door.clone().serve(tcp, false));
            by_tls = listening.tls.map(|tls| door.serve(tls, true));
        }
        let strangers = holdfast_http::serve(tcp, router, self.http.clone(), shutdown.clone());
        let commands = holdfast_http::serve(control, operator, self.http.clone(), shutdown);
        tokio::try_join!(strangers, commands, maybe(by_tcp), maybe(by_tls)).context("serving")?;
        Ok(())
    }

    /// Makes the XMPP door ready, with a category for the rooms that are made there.
    async fn open_xmpp(&self, shutdown: CancellationToken) -> Result<holdfast_xmpp::Door> {
        let door = holdfast_xmpp::Door::open(self.chat.clone(), self.xmpp.clone(), shutdown)
            .map_err(|error| refused(error.to_string()))?;
        match door.make_category(self.xmpp.plaintext).await {
            // A database that takes no writes now: the next start makes it.
            Err(ChatError::Unavailable(why)) => tracing::warn!(%why, "the category for rooms of XMPP is not made yet"),
            made => made.context("making the category for rooms of XMPP")?,
        }
        Ok(door)
    }

    /// The routes of the XMPP door, which counts clients by where they come from as the HTTP door does.
    fn found_by_xmpp(&self, routes: Router) -> Router {
        let options = self.http.clone();
        routes.layer(axum::middleware::map_request(move |mut request: axum::extract::Request| {
            let address = holdfast_http::address_of(&request, &options);
            if let Some(address) = address {
                request.extensions_mut().insert(holdfast_xmpp::Source(address));
            }
            std::future::ready(request)
        }))
    }

    /// Finishes what is being written and closes the store.
    pub(crate) async fn close(self) -> Result<()> {
        self.chat.shutdown().await.context("closing the database")
    }
}

/// Waits for what there may not be.
async fn maybe(serving: Option<impl Future<Output = std::io::Result<()>>>) -> std::io::Result<()> {
    match serving {
        Some(serving) => serving.await,
        None => Ok(()),
    }
}

/// The data is there but cannot be right: that is a finding, not a passing trouble.
fn damaged(dir: &DataDir, what: &str) -> anyhow::Error {
    refused(format!(
        "the database {} is damaged or was changed by another program: {what}; keep it as it is, and restore a backup elsewhere",
        dir.database().display()
    ))
}

fn doing(database: &Database, dir: &DataDir) -> String {
    if database.is_shared() {
        format!("opening the database {}", database.url)
    } else {
        format!("opening the database {}", dir.database().display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_has_an_address_that_others_can_use() {
        let of = |listens: &str| address_of(listens.parse().unwrap(), "chat-1");
        assert_eq!(of("10.0.0.1:8080"), "http://10.0.0.1:8080");
        assert_eq!(of("0.0.0.0:8080"), "http://chat-1:8080");
        assert_eq!(of("[::]:80"), "http://chat-1:80");
        assert_eq!(of("[::1]:80"), "http://[::1]:80");
    }

    #[test]
    fn a_password_is_the_first_line_of_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("password");
        assert_eq!(password(Path::new("")).unwrap(), None);
        assert!(password(&file).unwrap_err().to_string().contains("cannot be read"));
        std::fs::write(&file, "hunter2\nmore\n").unwrap();
        assert_eq!(password(&file).unwrap().as_deref(), Some("hunter2"));
        std::fs::write(&file, "\n").unwrap();
        assert!(password(&file).unwrap_err().to_string().contains("no password"));
    }
}
