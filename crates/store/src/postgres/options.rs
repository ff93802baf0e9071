//! How a database is reached.

use super::error::unavailable;
use super::migrate::SCHEMA;
use crate::Result;
use std::str::FromStr as _;
use std::time::Duration;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

/// How a database is opened.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// `postgres://user@host:5432,other:5432/database`: the hosts are tried in this order, and the first that takes writes is used.
    pub url: String,
    /// The password, if it is not in the address.
    pub password: Option<String>,
    /// Connections for reading and writing at most; some more look after the database.
    pub connections: usize,
    /// The language whose words are reduced to their stems in searches, as PostgreSQL names it; `simple` for none.
    pub search_language: String,
    /// Whether this is a server, which watches, listens and fills the search index, and not a command that will soon have ended.
    pub background: bool,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self { url: String::new(), password: None, connections: 12, search_language: "simple".into(), background: true }
    }
}

impl PostgresOptions {
    /// As the library wants it.
    ///
    /// # Errors
    /// [`crate::StoreError::Unavailable`] if the address is none, or asks for what is not there.
    pub(super) fn config(&self) -> Result<Config> {
        let mut config =
            Config::from_str(&self.url).map_err(|e| unavailable(format!("database.url cannot be understood: {e}")))?;
        if config.get_dbname().is_none() || config.get_hosts().is_empty() {
            return Err(unavailable(
                "database.url names no host or no database; write postgres://USER@HOST:PORT/DATABASE",
            ));
        }
        if config.get_ssl_mode() == SslMode::Require {
            return Err(unavailable(
                "database.url asks for TLS, which this version cannot do; use a private network or a tunnel",
            ));
        }
        if let Some(password) = &self.password {
            config.password(password);
        }
        let settings = settings(config.get_options().unwrap_or_default());
        config
            .application_name("holdfast")
            .connect_timeout(Duration::from_secs(5))
            .tcp_user_timeout(Duration::from_secs(15))
            .keepalives(true)
            .keepalives_idle(Duration::from_secs(10))
            .keepalives_interval(Duration::from_secs(3))
            .keepalives_retries(3)
            .options(settings);
        Ok(config)
    }

    /// Where the database is, to be shown: without user and password.
    pub fn location(&self) -> String {
        let Ok(config) = Config::from_str(&self.url) else { return "(an address that cannot be understood)".into() };
        let ports = config.get_ports();
        let hosts: Vec<String> = config
            .get_hosts()
            .iter()
            .enumerate()
            .map(|(i, host)| {
                let port = ports.get(i).or(ports.first()).copied().unwrap_or(5432);
                match host {
                    Host::Tcp(name) => format!("{name}:{port}"),
                    Host::Unix(path) => format!("{}:{port}", path.display()),
                }
            })
            .collect();
        format!("postgres://{}/{}", hosts.join(","), config.get_dbname().unwrap_or_default())
    }
}

/// What every session is set to.
///
/// Whatever is asked while somebody waits is to be answered from an index: what the planner knows of a table may be of a time when it was empty, and a
/// plan that was made then reads all of it. So plans are made once, for any values; what reads whole tables, or differs much by its values, says so.
///
/// A statement ends after a minute and a wait for a lock after ten seconds, since somebody waits for the answer; neither ends a wait for the mirror. A session
/// whose server has been stopped in the middle of a transaction must not hold its locks for long. Compiling queries costs more than they do.
fn settings(given: &str) -> String {
    format!(
        "-c search_path={SCHEMA} -c statement_timeout=60s -c lock_timeout=10s -c idle_in_transaction_session_timeout=5s \
         -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c plan_cache_mode=force_generic_plan \
         -c jit=off -c max_parallel_workers_per_gather=0 -c TimeZone=UTC {given}"
    )
    .trim_end()
    .to_owned()
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
}
