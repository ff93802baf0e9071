//! A client of the HTTP API that hides nothing: what was sent, what came back, and whether anything did.

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

/// A connection to a server.
#[derive(Debug)]
pub struct Http {
    host: String,
    connection: Option<SendRequest<Full<Bytes>>>,
    cookie: Option<String>,
    token: Option<String>,
}

impl Http {
    /// To `host:port`, connected on first use.
    pub fn new(host: &str) -> Self {
        Self { host: host.to_owned(), connection: None, cookie: None, token: None }
    }

    /// With a token of a user or bot.
    pub fn with_token(host: &str, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..Self::new(host) }
    }

    /// From now on to another server of the same data, still signed in.
    pub fn move_to(&mut self, host: &str) {
        if self.host != host {
            host.clone_into(&mut self.host);
            self.connection = None;
        }
    }

    /// The host and port that it speaks to.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// What it is signed in by: a request that carries this header field comes from the same user.
    pub fn credential(&self) -> Option<(&'static str, String)> {
        let token = self.token.as_ref().map(|token| ("authorization", format!("Bearer {token}")));
        token.or_else(|| self.cookie.clone().map(|cookie| ("cookie", cookie)))
    }

    /// Makes sure that there is a connection, without asking anything.
    ///
    /// # Errors
    /// When there is none to be had: nothing was sent then.
    pub async fn reach(&mut self) -> Result<()> {
        let connection = self.connection().await?;
        connection.ready().await.context("the connection is over")
    }

    /// Whether there is a connection, as far as is known.
    pub fn is_connected(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| !connection.is_closed())
    }

    /// Lets go of the connection, as after an answer that did not come.
    pub fn hang_up(&mut self) {
        self.connection = None;
    }

    /// Signs in.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn sign_in(&mut self, name: &str, password: &str) -> Result<()> {
        let (status, answer) =
            self.send(Method::POST, "/api/v1/session", Some(&json!({ "name": name, "password": password }))).await?;
        anyhow::ensure!(status == 200, "signing in: {status} {answer}");
        Ok(())
    }

    /// `GET` below `/api/v1`.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn get(&mut self, path: &str) -> Result<(u16, Value)> {
        self.send(Method::GET, &format!("/api/v1{path}"), None).await
    }

    /// `POST` below `/api/v1`.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn post(&mut self, path: &str, body: &Value) -> Result<(u16, Value)> {
        self.send(Method::POST, &format!("/api/v1{path}"), Some(body)).await
    }

    /// Sends a request and gives status and body; a body that is no JSON comes as text.
    ///
    /// # Errors
    /// When no answer comes: then it is not known whether the request was heard.
    pub async fn send(&mut self, method: Method, path: &str, body: Option<&Value>) -> Result<(u16, Value)> {
        let answer = self.exchange(method, path, body).await;
        if answer.is_err() {
            self.connection = None;
        }
        answer
    }

    async fn exchange(&mut self, method: Method, path: &str, body: Option<&Value>) -> Result<(u16, Value)> {
        let mut request = Request::builder().method(method).uri(path).header("host", &self.host);
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", cookie);
        }
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let bytes = body.map_or_else(Bytes::new, |b| Bytes::from(b.to_string()));
        let request = request.body(Full::new(bytes)).context("making a request")?;
        let connection = self.connection().await?;
        connection.ready().await?;
        let response = connection.send_request(request).await?;
        let status = response.status().as_u16();
        if let Some(cookie) = response.headers().get("set-cookie").and_then(|c| c.to_str().ok()) {
            self.cookie = cookie.split(';').next().map(str::to_owned);
        }
        let bytes = response.into_body().collect().await?.to_bytes();
        let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
        Ok((status, serde_json::from_slice(&bytes).unwrap_or_else(|_| text())))
    }

    async fn connection(&mut self) -> Result<&mut SendRequest<Full<Bytes>>> {
        if self.connection.as_ref().is_none_or(SendRequest::is_closed) {
            let stream = TcpStream::connect(&self.host).await?;
            stream.set_nodelay(true)?;
            let (sender, connection) = handshake(TokioIo::new(stream)).await?;
            tokio::spawn(async move {
                // Its failure shows at the request that it carries.
                let _ = connection.await;
            });
            self.connection = Some(sender);
        }
        self.connection.as_mut().context("a connection")
    }
}
