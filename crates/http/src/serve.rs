//! Taking connections: how many, how long their requests may take to come, and how they end when the server stops.

mod places;

use crate::api::live::Stopping;
use crate::options::{HttpLimits, HttpOptions};
use crate::peer::Peer;
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use places::{Held, Places};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// Where connections come from.
#[derive(Debug)]
pub enum Listener {
    /// The network.
    Tcp(TcpListener),
    /// This machine.
    Unix(UnixListener),
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

impl From<UnixListener> for Listener {
    fn from(listener: UnixListener) -> Self {
        Self::Unix(listener)
    }
}

/// Serves `router` until `shutdown` is cancelled: then takes no more connections, lets requests under way be answered, tells live
/// connections to end, and returns when all have ended or `drain_seconds` are over.
///
/// # Errors
/// When the listener is of no use any more.
pub async fn serve(
    listener: impl Into<Listener>,
    router: Router,
    options: HttpOptions,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let listener = listener.into();
    let places = Places::new(&options);
    let protocol = Arc::new(protocol(&options.limits));
    let router = router.layer(axum::Extension(Stopping(shutdown.clone())));
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(Some(connection)) => connection,
            Ok(None) => continue,
            Err(error) if is_passing(&error) => continue,
            Err(error) => {
                // Out of file handles, most likely: those who have one finish first.
                tracing::warn!(%error, "cannot take a connection; trying again in a moment");
                tokio::time::sleep(Duration::from_millis(200)).await;
                continue;
            }
        };
        let router = router.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer);
            router.clone().oneshot(request)
        });
        let connection = protocol.serve_connection(TokioIo::new(stream), service).with_upgrades();
        let stopping = shutdown.clone();
        tokio::spawn(async move {
            let mut connection = pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = stopping.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(error = &error as &dyn std::error::Error, %peer, "a connection broke");
            }
        });
    }
    drop(listener);
    // Live connections are past HTTP, but hold their places until they have ended too.
    let drained = places.all_free();
    let patience = Duration::from_secs(options.limits.drain_seconds);
    if tokio::time::timeout(patience, drained).await.is_err() {
        tracing::warn!(open = places.taken(), "some connections did not end in time and are cut");
    }
    Ok(())
}

fn protocol(limits: &HttpLimits) -> http1::Builder {
    let mut protocol = http1::Builder::new();
    protocol
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(limits.head_seconds))
        .max_headers(limits.header_fields)
        .max_header_size(limits.head_bytes)
        // The least that hyper takes; a request's head must fit in.
        .max_buf_size(limits.head_bytes.max(8 * 1024))
        .keep_alive(true);
    protocol
}

/// Takes a connection when there is a place for it; `None` if its address has too many.
async fn accept(listener: &Listener, places: &Arc<Places>) -> io::Result<Option<(Held, Peer)>> {
    let place = places.wait().await;
    let (stream, peer): (Box<dyn Stream>, Peer) = match listener {
        Listener::Tcp(listener) => {
            let (stream, address) = listener.accept().await?;
            // Events are small and must not wait for others to fill a packet.
            stream.set_nodelay(true)?;
            (Box::new(stream), Peer::Net(address.ip().to_canonical()))
        }
        Listener::Unix(listener) => (Box::new(listener.accept().await?.0), Peer::Local),
    };
    Ok(place.hold(stream, peer).map(|held| (held, peer)))
}

/// Whether the connection, not the listener, is what failed.
fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted, InvalidInput};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted | InvalidInput)
}

/// Bytes both ways.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}
