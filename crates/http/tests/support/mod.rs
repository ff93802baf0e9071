//! A real server on a real database in a folder of its own, behind real sockets, and a client that checks every answer against the
//! server's own OpenAPI document.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may stop at the first thing that is wrong"
)]

pub mod schema;

use axum::http::{HeaderMap, Method, StatusCode};
use bytes::Bytes;
use holdfast_chat::{Chat, Clock, Options, ServerOptions};
use holdfast_http::HttpOptions;
use holdfast_store::Store;
use holdfast_store::postgres::{PostgresOptions, PostgresStore};
use holdfast_store::sqlite::{SqliteOptions, SqliteStore};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use schema::Document;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub const PASSWORD: &str = "correct horse battery";

pub struct Server {
    pub chat: Chat,
    /// For everybody.
    pub address: SocketAddr,
    /// For the operator.
    pub control: SocketAddr,
    pub document: Arc<Document>,
    pub stop: CancellationToken,
    /// Operations that were answered with success, by method and path template.
    pub driven: Arc<Mutex<Vec<String>>>,
    serving: Vec<JoinHandle<std::io::Result<()>>>,
    pub folder: tempfile::TempDir,
}

impl Server {
    pub async fn start() -> Server {
        Server::with(Options::default(), HttpOptions::default()).await
    }

    pub async fn with(options: Options, http: HttpOptions) -> Server {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        let open = move || SqliteStore::open(path, SqliteOptions { durable: false, ..SqliteOptions::default() });
        let store = tokio::task::spawn_blocking(open).await.unwrap().unwrap();
        Server::on(Arc::new(store), folder, options, http).await
    }

    /// A server of the pool on the PostgreSQL database `url`.
    pub async fn in_pool(url: &str, name: &str, options: Options, http: HttpOptions) -> Server {
        let of_database = PostgresOptions { url: url.into(), connections: 6, ..PostgresOptions::default() };
        let store = PostgresStore::open(of_database).await.unwrap();
        let server = ServerOptions { name: name.into(), most_round_trip_ms: 10_000, ..options.server };
        Server::on(Arc::new(store), tempfile::tempdir().unwrap(), Options { server, ..options }, http).await
    }

    async fn on(store: Arc<dyn Store>, folder: tempfile::TempDir, mut options: Options, http: HttpOptions) -> Server {
        // Keys are derived in no time; what is tested is that they are asked for.
        options.accounts.password_iterations = 10;
        options.name = "Test".into();
        let (public, control) = (listen().await, listen().await);
        let (address, control_address) = (public.local_addr().unwrap(), control.local_addr().unwrap());
        options.server.address = format!("http://{address}");
        let chat = Chat::open(store, options, Clock::system()).await.unwrap();
        let router = holdfast_http::router(chat.clone(), http.clone(), None);
        let stop = CancellationToken::new();
        let serving = vec![
            tokio::spawn(holdfast_http::serve(public, router.clone(), http.clone(), stop.clone())),
            tokio::spawn(holdfast_http::serve(control, holdfast_http::operator(router), http, stop.clone())),
        ];
        let document = Arc::new(Document::parse(&holdfast_http::openapi()));
        let driven = Arc::default();
        Server { chat, address, control: control_address, document, stop, driven, serving, folder }
    }

    /// Stops as the real server does.
    pub async fn stop(self) {
        self.stop.cancel();
        for task in self.serving {
            task.await.unwrap().unwrap();
        }
        self.chat.shutdown().await.unwrap();
    }

    /// Nobody in particular.
    pub fn stranger(&self) -> Client {
        self.client(self.address, Vec::new())
    }

    /// The operator of the machine.
    pub fn operator(&self) -> Client {
        self.client(self.control, Vec::new())
    }

    /// A client that sends these headers.
    pub fn client(&self, address: SocketAddr, headers: Vec<(String, String)>) -> Client {
        Client { address, headers, document: Arc::clone(&self.document), driven: Arc::clone(&self.driven) }
    }

    pub fn bearer(&self, secret: &str) -> Client {
        self.client(self.address, vec![("authorization".into(), format!("Bearer {secret}"))])
    }

    /// A new user, signed in with a password.
    pub async fn user(&self, name: &str) -> Client {
        let user = json!({"name": name, "password": PASSWORD});
        self.operator().post("/api/v1/users", user).await.expect(StatusCode::CREATED);
        self.signed_in(name).await
    }

    pub async fn admin(&self, name: &str) -> Client {
        let user = json!({"name": name, "password": PASSWORD, "admin": true});
        self.operator().post("/api/v1/users", user).await.expect(StatusCode::CREATED);
        self.signed_in(name).await
    }

    pub async fn signed_in(&self, name: &str) -> Client {
        let answer = self.stranger().post("/api/v1/session", json!({"name": name, "password": PASSWORD})).await;
        let cookie = answer.cookie();
        answer.expect(StatusCode::OK);
        self.client(self.address, vec![("cookie".into(), cookie)])
    }

    /// A category that admits everybody, in which everybody may create rooms.
    pub async fn category(&self, name: &str) -> i64 {
        let new = json!({"name": name, "creators": [1]});
        self.operator().post("/api/v1/categories", new).await.expect(StatusCode::CREATED)["id"].as_i64().unwrap()
    }

    pub async fn room(&self, by: &Client, category: i64, name: &str, privacy: &str) -> i64 {
        let new = json!({"category": category, "name": name, "privacy": privacy});
        by.post("/api/v1/rooms", new).await.expect(StatusCode::CREATED)["id"].as_i64().unwrap()
    }
}

async fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

/// Somebody who asks.
#[derive(Clone)]
pub struct Client {
    pub address: SocketAddr,
    pub headers: Vec<(String, String)>,
    document: Arc<Document>,
    driven: Arc<Mutex<Vec<String>>>,
}

impl Client {
    pub fn with(&self, name: &str, value: &str) -> Client {
        let mut client = self.clone();
        client.headers.push((name.into(), value.into()));
        client
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, Some(body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PUT, path, Some(body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PATCH, path, Some(body)).await
    }

    pub async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        match body {
            Some(body) => {
                self.with("content-type", "application/json").raw(method, path, body.to_string().into_bytes()).await
            }
            None => self.raw(method, path, Vec::new()).await,
        }
    }

    /// Sends any bytes, and checks the answer against the document.
    pub async fn raw(&self, method: Method, path: &str, body: Vec<u8>) -> Answer {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(connection);
        let mut request = hyper::Request::builder().method(method.clone()).uri(path).header("host", "test");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let response = sender.send_request(request.body(Full::new(Bytes::from(body))).unwrap()).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        connection.abort();
        let answer = Answer { asked: format!("{method} {path}"), status: head.status, headers: head.headers, body };
        if let Some(operation) = self.document.check(&method, path, &answer)
            && answer.status.is_success()
        {
            self.driven.lock().unwrap().push(operation);
        }
        answer
    }

    pub async fn say(&self, room: i64, text: &str) -> Value {
        let draft = json!({"client_id": Uuid::new_v4(), "text": text});
        self.post(&format!("/api/v1/rooms/{room}/messages"), draft).await.expect(StatusCode::CREATED)
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub asked: String,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    /// `name=value` of the cookie that is set.
    pub fn cookie(&self) -> String {
        self.header("set-cookie").split(';').next().unwrap().to_owned()
    }

    #[track_caller]
    pub fn expect(&self, status: StatusCode) -> Value {
        assert_eq!(self.status, status, "{}: {}", self.asked, String::from_utf8_lossy(&self.body));
        self.json()
    }

    #[track_caller]
    pub fn ok(&self) -> Value {
        self.expect(StatusCode::OK)
    }

    /// A problem with this code, and this field if one is given.
    #[track_caller]
    pub fn refused(&self, code: &str, field: Option<&str>) -> Value {
        let problem = self.json();
        assert_eq!(problem["code"], code, "{}: {}", self.asked, String::from_utf8_lossy(&self.body));
        if field.is_some() {
            assert_eq!(problem["field"].as_str(), field, "{}: {problem}", self.asked);
        }
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(problem["status"], self.status.as_u16());
        assert_eq!(problem["type"], format!("/problems/{code}"));
        problem
    }
}
