//! The settings: one TOML file, the environment over it, flags over both.
//!
//! Every setting is a field below, with its default in [`Default`] and its text in [`document`], from which
//! `holdfast.example.toml` and the handbook's table are made. What is wrong is refused before anything starts, with the place
//! and what was expected.

mod check;
mod database_url;
mod document;
mod load;

pub(crate) use database_url::DatabaseUrl;
pub(crate) use document::example;
pub(crate) use load::{Loaded, load};

use crate::exit::refused;
use holdfast_chat::options::AccountOptions;
use holdfast_domain::Limits;
use holdfast_http::HttpLimits;
use holdfast_xmpp::XmppOptions;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// Everything that can be set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// Where the server is and what it is called.
    pub(crate) server: Server,
    /// Limits on connections and requests.
    pub(crate) http: HttpLimits,
    /// What it writes to its log.
    pub(crate) log: Log,
    /// Limits on what may be sent.
    pub(crate) limits: Limits,
    /// Who may use chat, and how signing in works.
    pub(crate) accounts: AccountOptions,
    /// How the data is kept.
    pub(crate) database: Database,
    /// This server as one of several that share a database.
    pub(crate) pool: Pool,
    /// The door for XMPP clients.
    pub(crate) xmpp: XmppOptions,
}

impl Config {
    /// Checks all of it again, after flags were put over it.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let wrong = |w: check::Wrong| refused(format!("{}.{} {}", w.section, w.key, w.expected));
        check::all(self).map_err(wrong)?;
        check::together(self).map_err(wrong)
    }
}

/// Where the server is and what it is called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Server {
    /// The name shown to people.
    pub(crate) name: String,
    /// The directory that holds everything.
    pub(crate) data: PathBuf,
    /// Where the web client and the API are served.
    pub(crate) http: SocketAddr,
    /// The address under which browsers reach it; empty: whatever they used, without TLS.
    pub(crate) public_url: String,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub(crate) trusted_proxies: Vec<IpAddr>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            name: "Holdfast".into(),
            data: "data".into(),
            http: SocketAddr::from(([127, 0, 0, 1], 8080)),
            public_url: String::new(),
            trusted_proxies: Vec::new(),
        }
    }
}

/// What the server writes to its log, which is standard error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Log {
    /// For people or for programs.
    pub(crate) format: LogFormat,
    /// The least that is logged: `error`, `warn`, `info`, `debug`, `trace`, or by part: `info,holdfast_http=debug`.
    pub(crate) level: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: "info".into() }
    }
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// A line for people.
    Text,
    /// A JSON object.
    Json,
}

/// How the data is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Database {
    /// A PostgreSQL database; empty: the embedded one, in the data directory.
    pub(crate) url: DatabaseUrl,
    /// A file that holds the password, if it is not in the address.
    pub(crate) password_file: PathBuf,
    /// The directory of this server's identity; empty: connections to PostgreSQL are not encrypted.
    pub(crate) tls_identity: PathBuf,
    /// Connections of this server to PostgreSQL.
    pub(crate) connections: usize,
    /// Seconds for which a write waits for PostgreSQL to come back.
    pub(crate) wait_seconds: u32,
    /// In which language PostgreSQL searches.
    pub(crate) search_language: String,
    /// Days for which the client ids of posts are remembered.
    pub(crate) client_ids_days: u32,
}

impl Default for Database {
    fn default() -> Self {
        Self {
            url: DatabaseUrl::default(),
            password_file: PathBuf::new(),
            tls_identity: PathBuf::new(),
            connections: 12,
            wait_seconds: 10,
            search_language: "simple".into(),
            client_ids_days: 14,
        }
    }
}

impl Database {
    /// Whether it is PostgreSQL, which several servers can share.
    pub(crate) fn is_shared(&self) -> bool {
        !self.url.is_empty()
    }
}

/// This server as one of several that share a database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Pool {
    /// Its name; empty: the machine's host name.
    pub(crate) server: String,
    /// Minutes for which those who are connected may stay when it is taken off the list of active servers.
    pub(crate) drain_minutes: u32,
    /// Milliseconds that the database may take to answer an active server.
    pub(crate) most_round_trip_ms: u32,
}

impl Default for Pool {
    fn default() -> Self {
        Self { server: String::new(), drain_minutes: 30, most_round_trip_ms: 10 }
    }
}

impl Pool {
    /// The name of this server in the pool: as it is set, or the machine's.
    ///
    /// # Errors
    /// When the machine has none that would do.
    pub(crate) fn name(&self) -> anyhow::Result<String> {
        if self.server.is_empty() { machine_name() } else { Ok(self.server.clone()) }
    }
}

/// The machine's host name, in small letters.
///
/// # Errors
/// When it is not one that a server may have.
pub(crate) fn machine_name() -> anyhow::Result<String> {
    let name = rustix::system::uname().nodename().to_string_lossy().to_ascii_lowercase();
    match check::server_name(&name) {
        Ok(()) => Ok(name),
        Err(_) => Err(refused(format!("the machine's host name `{name}` cannot be a server's name; set pool.server"))),
    }
}
