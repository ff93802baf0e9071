//! What strangers may try. Each attempt gets the protocol's own error, with what is at fault; none gets a panic, a hang, or half a
//! write.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may stop at the first thing that is wrong"
)]

mod support;

use axum::http::{Method, StatusCode};
use holdfast_chat::Options;
use holdfast_http::{HttpLimits, HttpOptions};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use support::{Client, PASSWORD, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use uuid::Uuid;

#[tokio::test]
async fn bodies_that_are_wrong_are_refused_with_what_is_wrong() {
    let server = Server::start().await;
    let ana = server.user("ana").await;
    let category = server.category("General").await;
    let room = server.room(&ana, category, "Lobby", "open").await;
    let head = ana.get(&format!("/api/v1/rooms/{room}")).await.ok()["head"].clone();
    let path = format!("/api/v1/rooms/{room}/messages");
    let id = Uuid::new_v4();
    let deep = format!(r#"{{"client_id": "{id}", "text": {}"#, "[".repeat(50_000));
    let as_json = |body: &[u8]| body.to_vec();
    let table: Vec<(&str, Vec<u8>, &str, Option<&str>)> = vec![
        ("nothing", as_json(b""), "bad-request", None),
        ("not JSON", as_json(b"hello"), "bad-request", None),
        ("half of it", as_json(br#"{"text": "a", "#), "bad-request", None),
        ("two of it", format!(r#"{{"client_id": "{id}", "text": "a"}} {{}}"#).into_bytes(), "bad-request", None),
        ("a list", as_json(br#"["a", "b"]"#), "invalid", None),
        ("not UTF-8", as_json(b"{\"text\": \"\xff\xfe\"}"), "bad-request", None),
        ("UTF-16", "{\"text\": \"a\"}".encode_utf16().flat_map(u16::to_le_bytes).collect(), "bad-request", None),
        ("a lone surrogate", as_json(br#"{"text": "\ud800"}"#), "bad-request", None),
        ("deep", deep.into_bytes(), "invalid", Some("text")),
        ("a number for text", format!(r#"{{"client_id": "{id}", "text": 7}}"#).into_bytes(), "invalid", Some("text")),
        ("no client id", as_json(br#"{"text": "a"}"#), "invalid", Some("client_id")),
        ("a bad client id", as_json(br#"{"client_id": "7", "text": "a"}"#), "invalid", Some("client_id")),
        (
            "an unknown field",
            format!(r#"{{"client_id": "{id}", "text": "a", "colour": 1}}"#).into_bytes(),
            "invalid",
            Some("colour"),
        ),
        (
            "a field twice",
            format!(r#"{{"client_id": "{id}", "text": "a", "text": "b"}}"#).into_bytes(),
            "invalid",
            Some("text"),
        ),
        ("an empty text", format!(r#"{{"client_id": "{id}", "text": " \n"}}"#).into_bytes(), "invalid", Some("text")),
        (
            "a control character",
            format!(r#"{{"client_id": "{id}", "text": "a\u0000b"}}"#).into_bytes(),
            "invalid",
            Some("text"),
        ),
        (
            "a long text",
            format!(r#"{{"client_id": "{id}", "text": "{}"}}"#, "x".repeat(8_001)).into_bytes(),
            "invalid",
            Some("text"),
        ),
        ("a huge body", vec![b' '; 2 * 1024 * 1024], "too-large", None),
        (
            "a foreign file",
            format!(r#"{{"client_id": "{id}", "text": "a", "files": ["{id}"]}}"#).into_bytes(),
            "invalid",
            Some("files[0]"),
        ),
    ];
    let sends_json = ana.with("content-type", "application/json");
    for (what, body, code, field) in table {
        let answer = sends_json.raw(Method::POST, &path, body).await;
        let problem = answer.json();
        assert_eq!(problem["code"], code, "{what}: {problem}");
        if field != Some("files[0]") {
            assert_eq!(problem["field"].as_str(), field, "{what}: {problem}");
        }
    }
    let good = json!({"client_id": id, "text": "a"}).to_string().into_bytes();
    for media_type in ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1", ""] {
        let answer = ana.with("content-type", media_type).raw(Method::POST, &path, good.clone()).await;
        answer.refused("unsupported-media", None);
    }
    assert_eq!(ana.get(&format!("/api/v1/rooms/{room}/entries")).await.ok()["head"], head, "nothing was written");
    let with_charset = ana.with("content-type", "Application/JSON; charset=\"UTF-8\"");
    with_charset.raw(Method::POST, &path, good).await.expect(StatusCode::CREATED);
    server.stop().await;
}

#[tokio::test]
async fn paths_and_parameters_that_are_wrong_are_refused() {
    let server = Server::start().await;
    let ana = server.user("ana").await;
    let table = [
        ("/api/v1/rooms/abc", "bad-request", Some("room")),
        ("/api/v1/rooms/99999999999999999999", "bad-request", Some("room")),
        ("/api/v1/rooms/-1", "not-found", None),
        ("/api/v1/rooms/0", "not-found", None),
        ("/api/v1/rooms/%ff", "bad-request", None),
        ("/api/v1/rooms/1/entries/x", "bad-request", Some("seq")),
        ("/api/v1/files/not-a-uuid", "bad-request", Some("file")),
        ("/api/v1/files/..%2f..%2fetc%2fpasswd", "bad-request", Some("file")),
        ("/api/v1/nothing", "not-found", None),
        ("/api/../../etc/passwd", "not-found", None),
        ("/api/v1/rooms?colour=red", "invalid", Some("colour")),
        ("/api/v1/rooms?limit=0", "invalid", Some("limit")),
        ("/api/v1/rooms?limit=501", "invalid", Some("limit")),
        ("/api/v1/rooms?limit=many", "invalid", Some("limit")),
        ("/api/v1/rooms?limit=1&limit=2", "invalid", Some("limit")),
        ("/api/v1/rooms?privacy=hidden", "invalid", Some("privacy")),
        ("/api/v1/rooms?q=%ff", "bad-request", None),
        ("/api/v1/rooms?cursor=%21", "bad-request", Some("cursor")),
        ("/api/v1/search?q=a&from=yesterday", "invalid", Some("from")),
        ("/api/v1/search", "invalid", Some("q")),
        ("/api/v1/me?verbose=1", "invalid", Some("verbose")),
        ("/api/v1/rooms/1/entries?before=1&after=2", "invalid", Some("before")),
    ];
    for (path, code, field) in table {
        ana.get(path).await.refused(code, field);
    }
    for method in [Method::PUT, Method::POST] {
        let answer = ana.send(method, "/api/v1/audit", None).await;
        answer.refused("method-not-allowed", None);
        assert_eq!(answer.header("allow"), "GET,HEAD");
    }
    let options = ana.raw(Method::OPTIONS, "/api/v1/rooms", Vec::new()).await;
    assert_eq!((options.status, options.header("access-control-allow-origin")), (StatusCode::METHOD_NOT_ALLOWED, ""));
    server.stop().await;
}

#[tokio::test]
async fn file_names_are_no_way_out() {
    let server = Server::start().await;
    let ana = server.user("ana").await;
    let category = server.category("General").await;
    let room = server.room(&ana, category, "Lobby", "open").await;
    let upload = |query: &str, body: &[u8]| {
        let (path, body) = (format!("/api/v1/rooms/{room}/files{query}"), body.to_vec());
        let ana = ana.clone();
        async move { ana.raw(Method::POST, &path, body).await }
    };
    for (name, kept) in [
        ("..%2F..%2Fetc%2Fpasswd", "passwd"),
        ("C%3A%5CWindows%5Cevil.exe", "evil.exe"),
        ("%2e%2e%2f.bashrc", "bashrc"),
        ("a%3Cscript%3E.html", "ascript.html"),
    ] {
        let file = upload(&format!("?name={name}"), b"<script>alert(1)</script>").await.expect(StatusCode::CREATED);
        assert_eq!(file["name"], kept);
        let answer = ana.get(&format!("/api/v1/files/{}", file["id"].as_str().unwrap())).await;
        assert!(answer.header("content-disposition").starts_with("attachment;"), "{kept}");
        assert_eq!(answer.header("content-security-policy"), "sandbox; default-src 'none'");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert!(!answer.header("content-type").contains("html"), "{kept}: {}", answer.header("content-type"));
    }
    for bad in ["", "?name=", "?name=..", "?name=%2F", "?name=a%0Ab", "?name=a%E2%80%AEb", "?name=a&as=b"] {
        upload(bad, b"x").await.refused("invalid", None);
    }
    upload("?name=empty", b"").await.refused("invalid", None);
    server.stop().await;
}

#[tokio::test]
async fn other_sites_cannot_use_a_browser_that_is_signed_in() {
    let server = Server::start().await;
    let ana = server.user("ana").await;
    let change = json!({"display_name": "Evil"});
    for origin in ["https://evil.example", "null", "http://test.evil.example"] {
        ana.with("origin", origin).patch("/api/v1/me", change.clone()).await.refused("forbidden", None);
    }
    ana.with("sec-fetch-site", "cross-site").patch("/api/v1/me", change.clone()).await.refused("forbidden", None);
    let sign_in = json!({"name": "ana", "password": PASSWORD});
    server
        .stranger()
        .with("origin", "https://evil.example")
        .post("/api/v1/session", sign_in)
        .await
        .refused("forbidden", None);
    ana.with("origin", "http://test").patch("/api/v1/me", json!({"display_name": "Ana"})).await.ok();
    // Reading is not changing, and another site cannot see the answer.
    let read = ana.with("origin", "https://evil.example").get("/api/v1/me").await;
    assert_eq!((read.status, read.header("access-control-allow-origin")), (StatusCode::OK, ""));
    // A token is not sent by a browser by itself.
    let token = ana.post("/api/v1/me/tokens", json!({"label": "t", "scopes": ["read", "post"]})).await;
    let token = token.expect(StatusCode::CREATED);
    let script = server.bearer(token["secret"].as_str().unwrap()).with("origin", "https://tool.example");
    script.patch("/api/v1/me", json!({"display_name": "Ana R."})).await.ok();
    server.stop().await;
}

#[tokio::test]
async fn what_has_ended_does_not_come_back() {
    let server = Server::start().await;
    let ana = server.user("ana").await;
    ana.delete("/api/v1/session").await.expect(StatusCode::NO_CONTENT);
    ana.get("/api/v1/me").await.refused("not-signed-in", None);
    ana.delete("/api/v1/session").await.refused("not-signed-in", None);
    for secret in ["", "hf_", "hf_x", &"a".repeat(5_000)] {
        server.bearer(secret).get("/api/v1/me").await.refused("not-signed-in", None);
    }
    let stranger = server.stranger();
    let answer = stranger.get("/api/v1/me").await;
    answer.refused("not-signed-in", None);
    assert!(answer.header("www-authenticate").starts_with("Bearer"));
    for authorization in ["Basic YTpi", "Bearer", "\u{fc}"] {
        stranger.with("authorization", authorization).get("/api/v1/me").await.refused("not-signed-in", None);
    }
    stranger.with("cookie", "holdfast_session=guess; other=1").get("/api/v1/me").await.refused("not-signed-in", None);
    // The header by which the operator acts as somebody means nothing to others.
    stranger.with("holdfast-act-as", "ana").get("/api/v1/me").await.refused("not-signed-in", None);
    server.stop().await;
}

#[tokio::test]
async fn passwords_are_not_to_be_guessed() {
    let mut options = Options::default();
    options.accounts.lock_after = 3;
    let server = Server::with(options, HttpOptions::default()).await;
    server.user("ana").await;
    let wrong = json!({"name": "ana", "password": "wrong wrong wrong"});
    for _ in 0..3 {
        let unknown = json!({"name": "nobody", "password": "wrong wrong wrong"});
        let of_nobody = server.stranger().post("/api/v1/session", unknown).await.refused("bad-credentials", None);
        let of_ana = server.stranger().post("/api/v1/session", wrong.clone()).await.refused("bad-credentials", None);
        assert_eq!(of_ana, of_nobody, "nobody learns who there is");
    }
    let right = json!({"name": "ana", "password": PASSWORD});
    let answer = server.stranger().post("/api/v1/session", right).await;
    answer.refused("locked-out", None);
    assert!(answer.header("retry-after").parse::<u64>().unwrap() > 0);
    for _ in 0..40 {
        server.stranger().post("/api/v1/session", wrong.clone()).await;
    }
    let answer = server.stranger().post("/api/v1/session", wrong).await;
    assert_eq!(
        (answer.status, answer.json()["code"].as_str()),
        (StatusCode::TOO_MANY_REQUESTS, Some("too-many-requests"))
    );
    server.stop().await;
}

#[tokio::test]
async fn a_secret_room_is_as_if_it_were_not() {
    let server = Server::start().await;
    let ana = server.user("ana").await;
    let eve = server.user("eve").await;
    let category = server.category("General").await;
    let secret = server.room(&ana, category, "Board", "secret").await;
    ana.patch(&format!("/api/v1/rooms/{secret}/roles"), json!({"members": {"add": [me(&ana).await]}})).await.ok();
    let said = ana.say(secret, "hush").await;
    let ask = |room: i64| {
        let eve = eve.clone();
        let seq = said["seq"].clone();
        async move {
            let path = format!("/api/v1/rooms/{room}");
            let message = json!({"client_id": Uuid::new_v4(), "text": "hello"});
            let mut answers = vec![
                eve.get(&path).await,
                eve.get(&format!("{path}/entries")).await,
                eve.get(&format!("{path}/entries/{seq}")).await,
                eve.get(&format!("{path}/roles")).await,
                eve.get(&format!("{path}/roster")).await,
                eve.get(&format!("{path}/files")).await,
                eve.get(&format!("{path}/webhooks")).await,
                eve.get(&format!("/api/v1/search?q=hush&room={room}")).await,
                eve.post(&format!("{path}/messages"), message).await,
                eve.patch(&path, json!({"subject": "mine"})).await,
                eve.delete(&path).await,
                eve.put(&format!("/api/v1/me/followed/{room}"), Value::Null).await,
            ];
            answers.retain(|a| !a.asked.is_empty());
            answers.into_iter().map(|a| (a.status, a.json())).collect::<Vec<_>>()
        }
    };
    let (of_secret, of_missing) = (ask(secret).await, ask(secret + 1_000).await);
    assert_eq!(of_secret, of_missing);
    assert!(of_secret.iter().all(|(status, _)| *status == StatusCode::NOT_FOUND), "{of_secret:?}");
    assert_eq!(eve.get("/api/v1/rooms").await.ok()["items"], json!([]));
    assert_eq!(eve.get("/api/v1/search?q=hush").await.ok()["items"], json!([]));
    server.stop().await;
}

async fn me(client: &Client) -> i64 {
    client.get("/api/v1/me").await.ok()["id"].as_i64().unwrap()
}

/// Sends bytes as they are and reads until the server closes or answers nothing for a while.
async fn raw(server: &Server, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn requests_that_are_no_http_or_only_half_of_it_end() {
    let limits = HttpLimits { head_seconds: 1, body_seconds: 1, upload_pause_seconds: 1, ..HttpLimits::default() };
    let server = Server::with(Options::default(), HttpOptions { limits, ..HttpOptions::default() }).await;
    let ana = server.user("ana").await;
    let category = server.category("General").await;
    let room = server.room(&ana, category, "Lobby", "open").await;
    let cookie = &ana.headers[0].1;

    assert!(raw(&server, b"\x16\x03\x01\x02\x00\x01\x00").await.starts_with("HTTP/1.1 400"), "TLS");
    assert!(raw(&server, b"GET / HTTP/1.1\r\n bad\r\n\r\n").await.starts_with("HTTP/1.1 400"), "a broken head");
    let began = Instant::now();
    raw(&server, b"GET / HTTP/1.1\r\nHost: test\r\nX-").await;
    assert!(began.elapsed() < Duration::from_secs(4), "half a head is not waited for");
    let began = Instant::now();
    raw(&server, b"").await;
    raw(&server, b"GET /health/live HTTP/1.1\r\nHost: test\r\n\r\n").await;
    assert!(began.elapsed() < Duration::from_secs(6), "who says nothing, or nothing more, is not waited for");
    let many: String = (0..200).map(|n| format!("X-{n}: 1\r\n")).collect();
    let answer = raw(&server, format!("GET / HTTP/1.1\r\nHost: test\r\n{many}\r\n").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "many fields: {answer}");
    let long = "x".repeat(100_000);
    let answer = raw(&server, format!("GET / HTTP/1.1\r\nHost: test\r\nX-Long: {long}\r\n\r\n").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "a long field: {answer}");
    let answer = raw(&server, format!("GET /{long} HTTP/1.1\r\nHost: test\r\n\r\n").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 4"), "a long path: {answer}");

    let head = format!("Host: test\r\nCookie: {cookie}\r\nConnection: close\r\n");
    let half = format!(
        "PATCH /api/v1/me HTTP/1.1\r\n{head}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{\"disp"
    );
    let answer = raw(&server, half.as_bytes()).await;
    assert!(answer.contains("request-timeout"), "half a body: {answer}");
    let half = format!("POST /api/v1/rooms/{room}/files?name=a HTTP/1.1\r\n{head}Content-Length: 100\r\n\r\nabc");
    let answer = raw(&server, half.as_bytes()).await;
    assert!(answer.contains("request-timeout"), "half a file: {answer}");
    let large =
        format!("POST /api/v1/rooms/{room}/files?name=a HTTP/1.1\r\n{head}Content-Length: 99999999999\r\n\r\nabc");
    let answer = raw(&server, large.as_bytes()).await;
    assert!(answer.contains("too-large"), "a file that is too large: {answer}");
    // Two lengths are the beginning of smuggling.
    let two = format!("PATCH /api/v1/me HTTP/1.1\r\n{head}Content-Length: 5\r\nContent-Length: 6\r\n\r\n{{}}   ");
    assert!(raw(&server, two.as_bytes()).await.starts_with("HTTP/1.1 400"));
    server.stop().await;
}

#[tokio::test]
async fn one_address_does_not_take_all_places() {
    let limits = HttpLimits { connections_per_address: 3, ..HttpLimits::default() };
    let server = Server::with(Options::default(), HttpOptions { limits, ..HttpOptions::default() }).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(b"GET /health/live HTTP/1.1\r\nHost: test\r\n\r\n").await.unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
        held.push(stream);
    }
    let mut fourth = TcpStream::connect(server.address).await.unwrap();
    assert!(!matches!(fourth.read(&mut [0; 1]).await, Ok(1..)), "it is closed without a word");
    held.pop();
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let _ = stream.write_all(b"GET /health/live HTTP/1.1\r\nHost: test\r\n\r\n").await;
        if matches!(stream.read(&mut [0; 1]).await, Ok(1)) {
            break;
        }
        assert!(Instant::now() < deadline, "a place that was left is not given again");
        tokio::task::yield_now().await;
    }
    drop(held);
    server.stop().await;
}

#[tokio::test]
async fn who_asks_too_often_waits() {
    let limits = HttpLimits { requests_per_second: 1, ..HttpLimits::default() };
    let server = Server::with(Options::default(), HttpOptions { limits, ..HttpOptions::default() }).await;
    let ana = server.user("ana").await;
    let mut refused = 0;
    for _ in 0..20 {
        let answer = ana.get("/api/v1/me").await;
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
            refused += 1;
        }
    }
    assert!(refused >= 5, "{refused}");
    server.stop().await;
}

#[tokio::test]
async fn every_answer_has_safe_headers_and_a_number() {
    let server = Server::start().await;
    for path in ["/", "/rooms/7", "/api/v1/server", "/api/v1/nothing", "/missing.js", "/health/live", "/metrics"] {
        let answer = server.stranger().with("x-request-id", "abc-1").get(path).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("x-frame-options"), "DENY", "{path}");
        assert!(answer.header("content-security-policy").contains("frame-ancestors 'none'"), "{path}");
        assert_eq!(answer.header("x-request-id"), "abc-1", "{path}");
    }
    let odd = server.stranger().with("x-request-id", "a b\"; DROP").get("/api/v1/server").await;
    assert_eq!(odd.header("x-request-id").len(), 36);
    let page = server.stranger().get("/").await;
    assert_eq!((page.status, page.header("cache-control")), (StatusCode::OK, "no-cache"));
    let again = server.stranger().with("if-none-match", page.header("etag")).get("/some/page").await;
    assert_eq!(again.status, StatusCode::NOT_MODIFIED);
    server.stranger().get("/missing.js").await.refused("not-found", None);
    let sign_in = json!({"name": "ana", "password": PASSWORD});
    server.user("ana").await;
    let cookie = server.stranger().post("/api/v1/session", sign_in).await;
    let cookie = cookie.header("set-cookie");
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && !cookie.contains("Secure"),
        "{cookie}"
    );
    let metrics = String::from_utf8(server.stranger().get("/metrics").await.body.to_vec()).unwrap();
    for line in [
        r#"holdfast_http_requests_total{method="GET",route="/api/v1/server",status="200"} 2"#,
        "holdfast_journal_commits_total ",
        "holdfast_live_connections 0",
        "holdfast_users 1",
    ] {
        assert!(metrics.contains(line), "{line} is missing in\n{metrics}");
    }
    server.stop().await;
}

#[tokio::test]
async fn behind_tls_cookies_are_for_tls_alone() {
    let http = HttpOptions {
        public_url: Some("https://chat.example.org".into()),
        trusted_proxies: vec!["127.0.0.1".parse().unwrap()],
        ..HttpOptions::default()
    };
    let server = Server::with(Options::default(), http).await;
    server.user("ana").await;
    let browser = server.stranger().with("origin", "https://chat.example.org").with("x-forwarded-for", "192.0.2.7");
    let answer = browser.post("/api/v1/session", json!({"name": "ana", "password": PASSWORD})).await;
    answer.ok();
    assert!(answer.header("set-cookie").ends_with("; Secure"));
    assert!(answer.header("strict-transport-security").starts_with("max-age="));
    let ana = server.client(server.address, vec![("cookie".into(), answer.cookie())]);
    assert_eq!(ana.get("/api/v1/me/sessions").await.ok()["items"][0]["address"], "192.0.2.7");
    server.stop().await;
}
