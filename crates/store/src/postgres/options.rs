//! How a database is reached.

use super::epochs::Epochs;
use super::error::unavailable;
use super::hosts::{Hosts, REACH};
use super::migrate::SCHEMA;
use crate::Result;
use holdfast_pki::Identity;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

/// How a database is opened.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// `postgres://user@host:5432,other:5432/database`: of the hosts the one is used that takes writes and is at the highest epoch.
    pub url: String,
    /// The password, if it is not in the address.
    pub password: Option<String>,
    /// The directory of this server's identity: then all connections are TLS, with certificates on both sides.
    pub tls_identity: Option<PathBuf>,
    /// A file in which the highest epoch is kept that was ever heard of; of a server, since a command is soon over.
    pub epoch_file: Option<PathBuf>,
    /// Connections for reading and writing at most; some more look after the database.
    pub connections: usize,
    /// The language whose words are reduced to their stems in searches, as PostgreSQL names it; `simple` for none.
    pub search_language: String,
    /// Whether this is a server, which watches, listens and fills the search index, and not a command that will soon have ended.
    pub background: bool,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            url: String::new(),
            password: None,
            tls_identity: None,
            epoch_file: None,
            connections: 12,
            search_language: "simple".into(),
            background: true,
        }
    }
}

impl PostgresOptions {
    /// The hosts of the address, with what was heard of epochs before.
    ///
    /// # Errors
    /// [`crate::StoreError::Unavailable`] if the address is none or asks for what is not there, or a file cannot be used.
    pub(super) fn hosts(&self) -> Result<Arc<Hosts>> {
        let config = self.config()?;
        let identity = self.identity()?;
        let addresses = config.get_hostaddrs();
        let hosts = config.get_hosts().iter().enumerate();
        let each = hosts.map(|(i, host)| {
            let (name, port) = (plain_name(host), port_of(&config, i));
            (format!("{name}:{port}"), alone(&config, host, port, addresses.get(i).copied()))
        });
        Ok(Hosts::new(each.collect(), identity.as_ref(), Epochs::open(self.epoch_file.clone())?))
    }

    /// As whom this server shows itself.
    ///
    /// # Errors
    /// [`crate::StoreError::Unavailable`] if its files cannot be used.
    pub(super) fn identity(&self) -> Result<Option<Identity>> {
        let load = |dir: &PathBuf| Identity::load(dir).map_err(|e| unavailable(format!("database.tls_identity: {e}")));
        self.tls_identity.as_ref().map(load).transpose()
    }

    /// As the library wants it.
    ///
    /// # Errors
    /// [`crate::StoreError::Unavailable`] if the address is none, or asks for what is not there.
    pub(super) fn config(&self) -> Result<Config> {
        let mut config =
            Config::from_str(&self.url).map_err(|e| unavailable(format!("database.url cannot be understood: {e}")))?;
        let hosts = config.get_hosts().len();
        if config.get_dbname().is_none() || hosts == 0 {
            return Err(unavailable(
                "database.url names no host or no database; write postgres://USER@HOST:PORT/DATABASE",
            ));
        }
        if ![0, hosts].contains(&config.get_hostaddrs().len()) || ![0, 1, hosts].contains(&config.get_ports().len()) {
            return Err(unavailable("database.url names more hosts than addresses (hostaddr) or ports, or fewer"));
        }
        match (&self.tls_identity, config.get_ssl_mode()) {
            (None, SslMode::Require) => {
                return Err(unavailable(
                    "database.url asks for TLS; set database.tls_identity to the directory of this server's identity (`holdfast pki issue`)",
                ));
            }
            (Some(_), SslMode::Disable) => {
                return Err(unavailable(
                    "database.tls_identity is set, and database.url says sslmode=disable; leave one of them away",
                ));
            }
            (Some(_), _) => {
                config.ssl_mode(SslMode::Require);
            }
            (None, _) => {}
        }
        if let Some(password) = &self.password {
            config.password(password);
        }
        let settings = settings(config.get_options().unwrap_or_default());
        config.options(settings);
        Ok(config)
    }

    /// Where the database is, to be shown: without user and password.
    pub fn location(&self) -> String {
        let Ok(config) = Config::from_str(&self.url) else { return "(an address that cannot be understood)".into() };
        let hosts: Vec<String> = config
            .get_hosts()
            .iter()
            .enumerate()
            .map(|(i, host)| format!("{}:{}", plain_name(host), port_of(&config, i)))
            .collect();
        format!("postgres://{}/{}", hosts.join(","), config.get_dbname().unwrap_or_default())
    }
}

fn plain_name(host: &Host) -> String {
    match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(path) => path.display().to_string(),
    }
}

fn port_of(config: &Config, i: usize) -> u16 {
    let ports = config.get_ports();
    ports.get(i).or(ports.first()).copied().unwrap_or(5432)
}

/// One host of several, as the only one.
fn alone(config: &Config, host: &Host, port: u16, address: Option<IpAddr>) -> Config {
    let mut one = Config::new();
    match host {
        Host::Tcp(name) => one.host(name),
        Host::Unix(path) => one.host_path(path),
    };
    one.port(port);
    if let Some(address) = address {
        one.hostaddr(address);
    }
    if let Some(user) = config.get_user() {
        one.user(user);
    }
    if let Some(password) = config.get_password() {
        one.password(password);
    }
    if let Some(dbname) = config.get_dbname() {
        one.dbname(dbname);
    }
    if let Some(options) = config.get_options() {
        one.options(options);
    }
    one.ssl_mode(config.get_ssl_mode())
        .channel_binding(config.get_channel_binding())
        .application_name("holdfast")
        .connect_timeout(REACH)
        .tcp_user_timeout(Duration::from_secs(15))
        .keepalives(true)
        .keepalives_idle(Duration::from_secs(10))
        .keepalives_interval(Duration::from_secs(3))
        .keepalives_retries(3);
    one
}

/// What every session is set to.
///
/// Whatever is asked while somebody waits is to be answered from an index: what the planner knows of a table may be of a time when it was empty, and a
/// plan that was made then reads all of it. So plans are made once, for any values; what reads whole tables, or differs much by its values, says so.
///
/// A statement ends after a minute and a wait for a lock after ten seconds, since somebody waits for the answer; neither ends a wait for the mirror. A session
/// whose server has been stopped in the middle of a transaction must not hold its locks for long. Compiling queries costs more than they do.
///
/// Commits wait for the disk and for the mirror whatever the database, the role or the address are set to: this comes last, and what a connection asks for
/// comes before all of them. Nothing that was acknowledged may depend on a setting that somebody else can change.
fn settings(given: &str) -> String {
    format!(
        "-c search_path={SCHEMA} -c statement_timeout=60s -c lock_timeout=10s -c idle_in_transaction_session_timeout=5s \
         -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c plan_cache_mode=force_generic_plan \
         -c jit=off -c max_parallel_workers_per_gather=0 -c TimeZone=UTC {given} -c synchronous_commit=on"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str) -> PostgresOptions {
        PostgresOptions { url: url.into(), ..PostgresOptions::default() }
    }

    #[test]
    fn what_is_shown_of_an_address_holds_no_secret() {
        assert_eq!(of("postgres://ana:geheim@a:1,b:2/chat").location(), "postgres://a:1,b:2/chat");
        assert_eq!(of("postgres://ana:geheim@a/chat").location(), "postgres://a:5432/chat");
        assert!(!of("postgres://ana:geheim@a:x/chat").location().contains("geheim"));
    }

    #[test]
    fn an_address_that_is_none_is_refused() {
        for odd in
            ["", "nonsense", "postgres://", "postgres://host", "postgres://u@h:x/d", "postgres://h/d?sslmode=require"]
        {
            assert!(of(odd).config().is_err(), "{odd}");
        }
        assert!(of("postgres://u@h/d").config().is_ok());
    }

    #[test]
    fn each_host_is_reached_by_itself() {
        let of = |url| {
            of(url).hosts().map(|h| h.all().iter().map(|h| (h.name.clone(), h.config.clone())).collect::<Vec<_>>())
        };
        let hosts = of("postgres://ana:geheim@a.example:1,b.example:2/chat?hostaddr=127.0.0.1,127.0.0.2").unwrap();
        assert_eq!(hosts.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a.example:1", "b.example:2"]);
        let b = &hosts[1].1;
        assert_eq!((b.get_hosts(), b.get_ports()), (&[Host::Tcp("b.example".into())][..], &[2][..]));
        assert_eq!(b.get_hostaddrs(), ["127.0.0.2".parse::<IpAddr>().unwrap()]);
        assert_eq!((b.get_user(), b.get_password(), b.get_dbname()), (Some("ana"), Some(&b"geheim"[..]), Some("chat")));
        assert!(b.get_options().is_some_and(|o| o.contains("search_path")));
        for odd in
            ["postgres://a,b/chat?hostaddr=127.0.0.1", "postgres://a:1,b:2,c:3/chat?hostaddr=127.0.0.1,127.0.0.1"]
        {
            assert!(of(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn whether_connections_are_encrypted_is_said_in_one_place() {
        let with = |url: &str| PostgresOptions { tls_identity: Some("/nowhere".into()), ..of(url) };
        assert!(with("postgres://u@h/d").config().is_ok_and(|c| c.get_ssl_mode() == SslMode::Require));
        assert!(with("postgres://u@h/d?sslmode=disable").config().is_err());
        let why = with("postgres://u@h/d").hosts().err().unwrap().to_string();
        assert!(why.contains("database.tls_identity: /nowhere/cert.pem cannot be used: it is not there"), "{why}");
    }
}
