//! Asking another process of the pool.

use super::MOST_BYTES;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use holdfast_pki::Identity;
use http_body_util::{BodyExt as _, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;
use tokio::sync::Mutex;

/// Why there is no answer that counts.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RemoteError {
    /// Nothing was sent.
    #[error("{who} cannot be reached: {why}")]
    Unreachable {
        /// Whom.
        who: String,
        /// Why.
        why: String,
    },
    /// The answer is no.
    #[error("{why}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Its sentence.
        why: String,
    },
    /// It was sent, and whether it was done is not known.
    #[error("{who} was asked and did not answer ({why}): whether it was done is not known")]
    Unknown {
        /// Whom.
        who: String,
        /// Why.
        why: String,
    },
}

/// A process of the pool, from here.
#[derive(Debug)]
pub struct Remote {
    name: String,
    address: String,
    port: u16,
    identity: Identity,
    kept: Mutex<Option<SendRequest<Body>>>,
}

impl Remote {
    /// The process called `name` at an address. Nothing is connected yet.
    pub fn new(name: &str, address: &str, port: u16, identity: Identity) -> Remote {
        let (name, address) = (name.to_owned(), address.to_owned());
        Remote { name, address, port, identity, kept: Mutex::new(None) }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Asks for something that changes nothing.
    ///
    /// # Errors
    /// [`RemoteError`]
    pub async fn get<T: DeserializeOwned>(&self, path: &str, within: Duration) -> Result<T, RemoteError> {
        self.ask(Method::GET, path, None, within).await
    }

    /// Asks for a change.
    ///
    /// # Errors
    /// [`RemoteError`]
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        within: Duration,
    ) -> Result<T, RemoteError> {
        let body = serde_json::to_vec(body).map_err(|e| self.unreachable(e.to_string()))?;
        self.ask(Method::POST, path, Some(body), within).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
        within: Duration,
    ) -> Result<T, RemoteError> {
        let late = || format!("nothing came within {} s", within.as_secs_f32());
        let deadline = tokio::time::Instant::now() + within;
        // One question at a time on the kept connection; another one does not wait for it.
        let mut kept = self.kept.try_lock().ok();
        let mut connection = kept.as_mut().and_then(|k| k.take());
        if let Some(open) = &mut connection
            && (open.is_closed() || open.ready().await.is_err())
        {
            connection = None;
        }
        let mut connection = match connection {
            Some(open) => open,
            None => tokio::time::timeout_at(deadline, self.open()).await.map_err(|_| self.unreachable(late()))??,
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &self.name)
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.map_or_else(Body::empty, Body::from))
            .map_err(|e| self.unreachable(e.to_string()))?;
        let unknown = |why: String| RemoteError::Unknown { who: self.name.clone(), why };
        let answer = async {
            let response = connection.try_send_request(request).await.map_err(|mut e| match e.take_message() {
                Some(_) => self.unreachable(e.error().to_string()),
                None => unknown(e.error().to_string()),
            })?;
            let (head, body) = response.into_parts();
            let bytes = Limited::new(body, MOST_BYTES).collect().await.map_err(|e| unknown(e.to_string()))?.to_bytes();
            Ok((head.status, bytes))
        };
        let (status, bytes) = tokio::time::timeout_at(deadline, answer).await.map_err(|_| unknown(late()))??;
        if let Some(kept) = &mut kept {
            **kept = Some(connection);
        }
        if status == StatusCode::OK {
            return serde_json::from_slice(&bytes).map_err(|e| unknown(format!("its answer is odd: {e}")));
        }
        let said: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        let why = said["error"].as_str().map_or_else(|| format!("{} answered {status}", self.name), str::to_owned);
        Err(RemoteError::Refused { status: status.as_u16(), why })
    }

    async fn open(&self) -> Result<SendRequest<Body>, RemoteError> {
        let stream = holdfast_pki::connect(&self.address, self.port, &self.name, &self.identity).await;
        let stream = stream.map_err(|e| self.unreachable(e.to_string()))?;
        let opened = handshake(TokioIo::new(stream)).await.map_err(|e| self.unreachable(e.to_string()));
        let (sender, connection) = opened?;
        tokio::spawn(async move {
            // Its failure shows at the question that it carries.
            let _ = connection.await;
        });
        Ok(sender)
    }

    fn unreachable(&self, why: String) -> RemoteError {
        RemoteError::Unreachable { who: self.name.clone(), why }
    }
}
