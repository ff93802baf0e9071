//! Taking connections of the pool's own processes.

use super::MOST_BYTES;
use axum::Router;
use axum::body::Body;
use axum::extract::DefaultBodyLimit;
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Response};
use holdfast_pki::Acceptor;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use std::io;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// For a request's head to come.
const HEAD: Duration = Duration::from_secs(10);
/// For an address to be let go of.
const LETTING_GO: Duration = Duration::from_secs(5);
/// After the listener refused.
const BREATH: Duration = Duration::from_millis(200);

/// Listens on an address. A process that was killed a moment ago may hold it still, while the system takes it apart: that is waited for.
///
/// # Errors
/// It cannot be listened on.
pub async fn listen(address: &str, port: u16) -> io::Result<TcpListener> {
    let deadline = Instant::now() + LETTING_GO;
    loop {
        match TcpListener::bind((address, port)).await {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < deadline => {
                tokio::time::sleep(BREATH).await;
            }
            listening => return listening,
        }
    }
}

/// Serves `router` until `shutdown`; each request carries its [`holdfast_pki::Peer`] as an extension.
pub async fn serve(listener: TcpListener, acceptor: Acceptor, router: Router, shutdown: CancellationToken) {
    let router = router.layer(DefaultBodyLimit::max(MOST_BYTES));
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let tcp = match accepted {
            Ok((tcp, _)) => tcp,
            Err(error) => {
                tracing::warn!(%error, "cannot take a connection; trying again in a moment");
                tokio::time::sleep(BREATH).await;
                continue;
            }
        };
        let (acceptor, router, shutdown) = (acceptor.clone(), router.clone(), shutdown.clone());
        tokio::spawn(async move {
            let (stream, peer) = match acceptor.accept(tcp).await {
                Ok(taken) => taken,
                Err(error) => {
                    tracing::warn!("a connection was refused: {error}");
                    return;
                }
            };
            let service = service_fn(move |request: Request<Incoming>| {
                let mut request = request.map(Body::new);
                request.extensions_mut().insert(peer.clone());
                router.clone().oneshot(request)
            });
            let mut protocol = http1::Builder::new();
            protocol.timer(TokioTimer::new()).header_read_timeout(HEAD);
            let connection = protocol.serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                // A caller that went away is no fault of ours.
                _ = connection => {}
                () = shutdown.cancelled() => {}
            }
        });
    }
}

/// Why something that was asked was not done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    status: StatusCode,
    /// A sentence: what happened and what to do.
    pub why: String,
}

impl Failure {
    /// It is refused, or cannot be done as things are.
    pub fn refused(why: impl Into<String>) -> Failure {
        Failure { status: StatusCode::CONFLICT, why: why.into() }
    }

    /// Who asks may not.
    pub fn forbidden(why: impl Into<String>) -> Failure {
        Failure { status: StatusCode::FORBIDDEN, why: why.into() }
    }

    /// What was named is not there.
    pub fn missing(why: impl Into<String>) -> Failure {
        Failure { status: StatusCode::NOT_FOUND, why: why.into() }
    }

    /// It cannot be done now.
    pub fn unavailable(why: impl Into<String>) -> Failure {
        Failure { status: StatusCode::SERVICE_UNAVAILABLE, why: why.into() }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.status, axum::Json(json!({ "error": self.why }))).into_response()
    }
}
