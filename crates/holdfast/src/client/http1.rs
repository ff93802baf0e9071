//! Requests over a connection: the control socket of a server on this machine, or its address over plain HTTP.

use super::{SendError, Transport};
use crate::data::DataDir;
use async_trait::async_trait;
use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, header};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Mutex;

/// A server that takes longer to accept a connection is not there.
const CONNECT: Duration = Duration::from_secs(10);

/// Where a server is.
pub(crate) enum Address {
    /// On this machine, in a data directory.
    Socket(DataDir),
    /// `host:port`.
    Tcp(String),
}

/// One kept connection to a server; opened anew when it was closed.
pub(crate) struct Http1 {
    address: Address,
    connection: Mutex<Option<SendRequest<Body>>>,
}

impl Http1 {
    /// To `address`, connected on first use.
    pub(crate) fn new(address: Address) -> Self {
        Self { address, connection: Mutex::new(None) }
    }

    /// Connects now.
    pub(crate) async fn connect(&self) -> std::io::Result<()> {
        *self.connection.lock().await = Some(self.open().await?);
        Ok(())
    }

    async fn open(&self) -> std::io::Result<SendRequest<Body>> {
        let late = |_| std::io::Error::from(std::io::ErrorKind::TimedOut);
        match &self.address {
            Address::Socket(dir) => {
                let (path, _keep) = dir.short_path("control.sock").map_err(std::io::Error::other)?;
                talk(tokio::time::timeout(CONNECT, UnixStream::connect(path)).await.map_err(late)??).await
            }
            Address::Tcp(address) => {
                talk(tokio::time::timeout(CONNECT, TcpStream::connect(address)).await.map_err(late)??).await
            }
        }
    }

    fn describe(&self) -> String {
        match &self.address {
            Address::Socket(dir) => dir.socket().display().to_string(),
            Address::Tcp(address) => address.clone(),
        }
    }
}

#[async_trait]
impl Transport for Http1 {
    async fn send(&self, mut request: Request<Body>) -> Result<Response<Body>, SendError> {
        if let Address::Tcp(address) = &self.address
            && let Ok(host) = HeaderValue::from_str(address)
        {
            request.headers_mut().insert(header::HOST, host);
        }
        let mut kept = self.connection.lock().await;
        // A kept connection that the server closed meanwhile is opened anew before anything is sent.
        if let Some(connection) = kept.as_mut()
            && connection.ready().await.is_err()
        {
            *kept = None;
        }
        let connection = match kept.as_mut() {
            Some(connection) => connection,
            None => {
                let opened = self.open().await.map_err(|e| {
                    SendError::NotSent(format!(
                        "no server answers at {}: {e}; start it, or check the address",
                        self.describe()
                    ))
                })?;
                kept.insert(opened)
            }
        };
        match connection.try_send_request(request).await {
            Ok(response) => Ok(response.map(Body::new)),
            Err(mut e) => {
                *kept = None;
                // hyper hands the request back when not a byte of it was written.
                if e.take_message().is_some() {
                    Err(SendError::NotSent(format!("the server at {} went away: {}", self.describe(), e.error())))
                } else {
                    Err(SendError::Lost(e.error().to_string()))
                }
            }
        }
    }
}

async fn talk<S>(stream: S) -> std::io::Result<SendRequest<Body>>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(std::io::Error::other)?;
    tokio::spawn(async move {
        // Its failure shows at the request that it carries.
        let _ = connection.await;
    });
    Ok(sender)
}
