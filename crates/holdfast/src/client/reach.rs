//! Finding who answers: the server that runs on the data, the service opened here when none does, or a server elsewhere.

use super::http1::{Address, Http1};
use super::{Client, InProcess};
use crate::compose::{self, As};
use crate::config::Config;
use crate::data::{self, DataDir};
use crate::exit::{missing, unavailable, usage};
use anyhow::Result;
use std::time::{Duration, Instant};

/// For how long a server that is just starting or stopping, or another command, is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether a command may make a new pool where there is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Access {
    /// There must be one: `list` on a mistyped directory must not make it.
    Existing,
    /// It may be the first thing done.
    MayCreate,
}

/// Who is to answer, and as whom we ask.
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    /// The settings; `server.data` is where.
    pub(crate) config: Config,
    /// A server elsewhere instead: `http://host:port`.
    pub(crate) server: Option<String>,
    /// The token for it.
    pub(crate) token: Option<String>,
    /// As this user instead of as the operator.
    pub(crate) act_as: Option<String>,
}

impl Reach {
    /// Connects, or opens the data.
    ///
    /// # Errors
    /// When no server answers and the data cannot be opened.
    pub(crate) async fn client(&self, access: Access) -> Result<Client> {
        if let Some(url) = &self.server {
            let Some(token) = self.token.clone() else {
                return Err(usage("--server needs a token: set HOLDFAST_TOKEN or give --token-stdin"));
            };
            let address = plain_address(url)?;
            return Ok(Client::new(Box::new(Http1::new(Address::Tcp(address))), self.act_as.clone(), Some(token)));
        }
        let dir = DataDir::new(&self.config.server.data);
        let transport = self.local(&dir, access).await?;
        Ok(Client::new(transport, self.act_as.clone(), None))
    }

    async fn local(&self, dir: &DataDir, access: Access) -> Result<Box<dyn super::Transport>> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let server = Http1::new(Address::Socket(dir.clone()));
            match server.connect().await {
                Ok(()) => return Ok(Box::new(server)),
                Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => {
                    return Err(unavailable(format!(
                        "you may not use {}; run this as the user that the server runs as",
                        dir.socket().display()
                    )));
                }
                Err(_) => {}
            }
            if self.config.database.is_shared() {
                if !dir.is_locked_by_a_server() || Instant::now() >= deadline {
                    // The database is everybody's: nobody is kept from it.
                    let pool = compose::open(&self.config, dir, As::Command).await?;
                    return Ok(Box::new(InProcess::new(pool, None)));
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
            if !dir.holds_a_pool() && access == Access::Existing {
                return Err(missing(format!(
                    "there is no Holdfast data in {}; name its directory with --data, or start with `holdfast serve --data DIR`",
                    dir.path().display()
                )));
            }
            dir.create()?;
            match dir.try_lock("command", None)? {
                Ok(lock) => {
                    let pool = compose::open(&self.config, dir, As::Command).await?;
                    return Ok(Box::new(InProcess::new(pool, Some(lock))));
                }
                Err(holder) if Instant::now() >= deadline => return Err(data::in_use(dir, holder.as_ref())),
                // A server between taking its lock and listening, or a command that will soon have ended.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }
}

fn plain_address(url: &str) -> Result<String> {
    let address =
        url.strip_prefix("http://").map(|a| a.trim_end_matches('/')).filter(|a| !a.is_empty() && !a.contains('/'));
    match address {
        Some(a) if a.rsplit_once(':').is_some_and(|(_, p)| p.parse::<u16>().is_ok()) => Ok(a.to_owned()),
        Some(a) => Ok(format!("{a}:80")),
        None => Err(usage(format!(
            "--server {url}: expected http://HOST:PORT (TLS ends at a proxy; use an address behind it)"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::plain_address;

    #[test]
    fn a_server_is_named_by_a_plain_address() {
        assert_eq!(plain_address("http://chat.example:8080/").unwrap(), "chat.example:8080");
        assert_eq!(plain_address("http://chat.example").unwrap(), "chat.example:80");
        assert!(plain_address("https://chat.example").is_err());
        assert!(plain_address("chat.example").is_err());
    }
}
