//! Where a server listens: the network, and the socket in its data directory. Each listener can be had twice, so that somebody answers while
//! the database is waited for, and the server takes over without a moment in which nobody listens.

use crate::config::Config;
use crate::data::DataDir;
use crate::exit::unavailable;
use anyhow::{Context as _, Result};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use tokio::net::{TcpListener, UnixListener};

/// Listens on the network.
pub(super) struct Network(std::net::TcpListener);

impl Network {
    /// Takes the address.
    pub(super) async fn bind(address: SocketAddr, flag: &str) -> Result<Self> {
        let bound = TcpListener::bind(address).await.map_err(|e| {
            unavailable(format!("{address} cannot be listened on: {e}; choose another address with {flag}"))
        })?;
        Ok(Self(bound.into_std().context("listening")?))
    }

    /// Where it listens, with the port that was free if none was named.
    pub(super) fn address(&self) -> Result<SocketAddr> {
        self.0.local_addr().context("asking for the address we listen on")
    }

    /// One more pair of ears at the same address.
    pub(super) fn listener(&self) -> Result<TcpListener> {
        TcpListener::from_std(self.0.try_clone().context("listening")?).context("listening")
    }
}

/// Listens for XMPP clients.
pub(crate) struct Xmpp {
    /// By TCP.
    pub(crate) tcp: Option<TcpListener>,
    /// By TLS from the first byte.
    pub(crate) tls: Option<TcpListener>,
}

impl Xmpp {
    /// Takes the addresses, if the door is open at all.
    pub(super) async fn bind(config: &Config) -> Result<Option<Self>> {
        let bind = async |address: &str, what: &str| match address.parse() {
            Ok(address) => Network::bind(address, what).await?.listener().map(Some),
            Err(_) => Ok(None),
        };
        if !config.xmpp.is_on() {
            return Ok(None);
        }
        let tcp = bind(&config.xmpp.listen, "--xmpp or xmpp.listen").await?;
        let tls = bind(&config.xmpp.listen_tls, "xmpp.listen_tls").await?;
        Ok(Some(Self { tcp, tls }))
    }

    /// Where it listens by TCP, with the port that was free if none was named.
    pub(super) fn tcp_address(&self) -> Option<String> {
        Some(self.tcp.as_ref()?.local_addr().ok()?.to_string())
    }

    /// The same by TLS.
    pub(super) fn tls_address(&self) -> Option<String> {
        Some(self.tls.as_ref()?.local_addr().ok()?.to_string())
    }
}

/// Listens on the control socket, for the owner of the data alone.
pub(super) struct Control(std::os::unix::net::UnixListener);

impl Control {
    /// Makes the socket. It gets its name only when nobody else may use it any more.
    pub(super) fn bind(dir: &DataDir) -> Result<Self> {
        let (new, _keep) = dir.short_path("control.sock.new")?;
        let (socket, _keep_too) = dir.short_path("control.sock")?;
        // We hold the lock, so what is left here is of a server that is gone.
        let _ = std::fs::remove_file(&new);
        let listener = UnixListener::bind(&new).with_context(|| format!("listening on {}", dir.socket().display()))?;
        std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o600))
            .context("closing the control socket to others")?;
        std::fs::rename(&new, &socket).with_context(|| format!("naming {}", dir.socket().display()))?;
        Ok(Self(listener.into_std().context("listening")?))
    }

    /// One more pair of ears at the same socket.
    pub(super) fn listener(&self) -> Result<UnixListener> {
        UnixListener::from_std(self.0.try_clone().context("listening")?).context("listening")
    }
}
