//! The way to the API, whoever serves it: [`Client`] sends a request and understands the answer; a [`Transport`] carries it.

mod http1;
mod in_process;
mod lines;
mod reach;

pub(crate) use in_process::InProcess;
pub(crate) use lines::Lines;
pub(crate) use reach::{Access, Reach};

use crate::exit::{Exit, Failure, refused};
use anyhow::{Context as _, Result};
use async_trait::async_trait;
use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode, header, request};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use serde_json::Value;
use std::path::Path;
use tokio::io::AsyncReadExt as _;

/// No answer is read into memory beyond this; streams and files are not.
const MOST_BYTES: usize = 256 * 1024 * 1024;

/// Carries requests to where they are answered.
#[async_trait]
pub(crate) trait Transport: Send + Sync {
    /// Sends one request and gives the answer's head; its body streams.
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, SendError>;

    /// Ends what was opened for it.
    async fn close(&self) -> Result<()> {
        Ok(())
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum SendError {
    /// The request did not leave.
    NotSent(String),
    /// It left, and then the connection broke.
    Lost(String),
}

/// Speaks the API.
pub(crate) struct Client {
    transport: Box<dyn Transport>,
    act_as: Option<String>,
    token: Option<String>,
}

impl Client {
    /// Over `transport`, as the operator or as `act_as`, or as the owner of `token`.
    pub(crate) fn new(transport: Box<dyn Transport>, act_as: Option<String>, token: Option<String>) -> Self {
        Self { transport, act_as, token }
    }

    /// `GET`, answered with JSON.
    pub(crate) async fn get(&self, path: &str) -> Result<Value> {
        self.json(Method::GET, path, None).await
    }

    /// A request with an optional JSON body, answered with JSON (`null` when there is no content).
    pub(crate) async fn json(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let response = self.send(method, path, body.map(|b| Bytes::from(b.to_string()))).await?;
        let bytes = read(response).await?;
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes).with_context(|| format!("understanding the server's answer to {path}"))
    }

    /// All items of a list, page by page, at most `most`.
    pub(crate) async fn list(&self, path: &str, most: usize) -> Result<Vec<Value>> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let page = match &cursor {
                None => self.get(path).await?,
                Some(cursor) => {
                    let joint = if path.contains('?') { '&' } else { '?' };
                    self.get(&format!("{path}{joint}cursor={}", encode(cursor))).await?
                }
            };
            if let Value::Array(found) = &page["items"] {
                items.extend(found.iter().cloned());
            }
            cursor = page["next"].as_str().map(str::to_owned);
            if cursor.is_none() || items.len() >= most {
                items.truncate(most);
                return Ok(items);
            }
        }
    }

    /// A request answered with lines of JSON, as they come.
    pub(crate) async fn lines(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Lines> {
        let response = self.send(method, path, body.map(|b| Bytes::from(b.to_string()))).await?;
        Ok(Lines::new(response.into_body()))
    }

    /// A request answered with bytes, as they come.
    pub(crate) async fn bytes(&self, path: &str) -> Result<Body> {
        Ok(self.send(Method::GET, path, None).await?.into_body())
    }

    /// Sends a file's bytes with `POST`, answered with JSON.
    pub(crate) async fn upload(&self, path: &str, file: &Path) -> Result<Value> {
        let name = file.display();
        let opened = tokio::fs::File::open(file).await.map_err(|e| refused(format!("{name} cannot be read: {e}")))?;
        let length = opened.metadata().await.with_context(|| format!("reading {name}"))?.len();
        let body = Body::from_stream(tokio_util::io::ReaderStream::new(opened.take(length)));
        let request = self.request(Method::POST, path).header(header::CONTENT_LENGTH, length);
        let response = self.exchange(request, body, true).await?;
        serde_json::from_slice(&read(response).await?).context("understanding the server's answer to an upload")
    }

    /// Ends what was opened for this client.
    pub(crate) async fn close(&self) -> Result<()> {
        self.transport.close().await
    }

    async fn send(&self, method: Method, path: &str, body: Option<Bytes>) -> Result<Response<Body>> {
        let changes = method != Method::GET;
        let mut request = self.request(method, path);
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        self.exchange(request, body.map_or_else(Body::empty, Body::from), changes).await
    }

    fn request(&self, method: Method, path: &str) -> request::Builder {
        let mut request =
            Request::builder().method(method).uri(format!("/api/v1{path}")).header(header::HOST, "holdfast");
        if let Some(name) = &self.act_as {
            request = request.header("holdfast-act-as", name);
        }
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        request
    }

    async fn exchange(&self, request: request::Builder, body: Body, changes: bool) -> Result<Response<Body>> {
        let request = request.body(body).context("making the request; a name or the token in it cannot be sent")?;
        match self.transport.send(request).await {
            Ok(response) if response.status().is_success() => Ok(response),
            Ok(response) => Err(problem(response).await),
            Err(SendError::NotSent(why)) => Err(Failure::new(Exit::Unavailable, why).into()),
            Err(SendError::Lost(why)) if changes => Err(Failure::new(
                Exit::Unknown,
                format!("the connection to the server broke before it answered ({why}); look whether the change was made before you repeat it"),
            )
            .into()),
            Err(SendError::Lost(why)) => {
                Err(Failure::new(Exit::Unavailable, format!("the connection to the server broke ({why}); try again")).into())
            }
        }
    }
}

/// The failure that a response other than a success describes.
async fn problem(response: Response<Body>) -> anyhow::Error {
    let status = response.status();
    let document = read(response).await.ok().and_then(|b| serde_json::from_slice(&b).ok());
    failure(status, document)
}

/// The failure that a problem document describes.
fn failure(status: StatusCode, document: Option<Value>) -> anyhow::Error {
    let (code, detail) = match &document {
        Some(d) => (d["code"].as_str().unwrap_or_default(), d["detail"].as_str().or(d["title"].as_str())),
        None => ("", None),
    };
    let exit = match (code, status) {
        ("not-found" | "gone", _) | (_, StatusCode::NOT_FOUND) => Exit::Missing,
        ("outcome-unknown", _) => Exit::Unknown,
        ("unavailable" | "standby" | "storage-full" | "internal" | "too-many-requests", _) => Exit::Unavailable,
        (_, status) if status.is_server_error() => Exit::Unavailable,
        _ => Exit::Refused,
    };
    let mut message = detail.map_or_else(|| format!("the server answered {status}"), str::to_owned);
    let others: Vec<&str> =
        document.iter().flat_map(|d| d["servers"].as_array()).flatten().filter_map(Value::as_str).collect();
    if !others.is_empty() {
        message.push_str(&format!(" Ask one of: {}", others.join(", ")));
    }
    Failure { exit, message, problem: document }.into()
}

async fn read(response: Response<Body>) -> Result<Bytes> {
    let body = http_body_util::Limited::new(response.into_body(), MOST_BYTES);
    match body.collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(e) => Err(Failure::new(Exit::Unknown, format!("the server's answer broke off: {e}")).into()),
    }
}

/// A value within a path or query, percent-encoded.
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// A query string of those of `pairs` that have a value; empty when none has.
pub(crate) fn query(pairs: &[(&str, Option<String>)]) -> String {
    let given: Vec<String> =
        pairs.iter().filter_map(|(k, v)| v.as_ref().map(|v| format!("{k}={}", encode(v)))).collect();
    if given.is_empty() { String::new() } else { format!("?{}", given.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_encoded_and_leave_out_what_is_not_given() {
        assert_eq!(query(&[("q", Some("a b&c".into())), ("room", None)]), "?q=a%20b%26c");
        assert_eq!(query(&[("q", None)]), "");
    }
}
