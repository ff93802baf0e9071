//! What browsers keep apart, for the servers of a pool: a page that came from one of them may ask the others, with the session's
//! cookie. Which pages those are is [`origin`]'s to say; other sites' pages get no word of this, and so cannot read answers.

use crate::origin;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use holdfast_chat::Chat;
use std::sync::Arc;

/// What the client sends and no page may send to another origin unasked. All that the API takes.
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");
/// Headers that the client sets.
const HEADERS: HeaderValue = HeaderValue::from_static("content-type, range, if-none-match, x-request-id");
/// Headers of answers that the client may read.
const READABLE: HeaderValue = HeaderValue::from_static("retry-after, content-disposition, etag, x-request-id");
/// Seconds for which a browser need not ask again. Short, since servers come and go.
const KNOWN_FOR: HeaderValue = HeaderValue::from_static("600");

/// The addresses of the pool's servers, as they are when asked for; none without a pool.
#[derive(Clone)]
pub(crate) struct Neighbours(Arc<dyn Fn() -> Vec<String> + Send + Sync>);

impl Neighbours {
    pub(crate) fn of(chat: Chat) -> Self {
        Self(Arc::new(move || chat.pool_addresses()))
    }
}

/// Around every request: answers questions of browsers before the request itself (preflights), and says on answers who may read
/// them.
pub(crate) async fn cors(State(neighbours): State<Neighbours>, request: Request, next: Next) -> Response {
    let pool = (neighbours.0)();
    if pool.is_empty() {
        return next.run(request).await;
    }
    let asker = request.headers().get(header::ORIGIN).cloned();
    let ours = asker.filter(|o| o.to_str().is_ok_and(|o| origin::is_of_pool(o, &pool)));
    let is_question = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
        && ours.is_some();
    let mut response = if is_question { permission() } else { next.run(request).await };
    let headers = response.headers_mut();
    // Also on answers to others, or a cache could hand one of those to a page of ours.
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    if let Some(ours) = ours {
        allow(headers, ours);
    }
    response
}

fn permission() -> Response {
    let known = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS),
        (header::ACCESS_CONTROL_MAX_AGE, KNOWN_FOR),
    ];
    (StatusCode::NO_CONTENT, known).into_response()
}

fn allow(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, READABLE);
}

/// The content security policy of the client's own pages: scripts and styles are files of ours alone; a room's add-in is a page in a
/// frame; the pool's other servers may be asked, and pictures and files be fetched from them.
pub(crate) fn pages_may(pool: &[String]) -> HeaderValue {
    let mut files = String::new();
    let mut talks = String::new();
    for address in pool.iter().filter_map(|address| origin::of_address(address)) {
        let live = address.replacen("http", "ws", 1);
        files.push_str(&format!(" {address}"));
        talks.push_str(&format!(" {address} {live}"));
    }
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'{files} data: blob:; font-src 'self'; \
         media-src 'self'{files} blob:; connect-src 'self'{talks}; manifest-src 'self'; worker-src 'self'; \
         frame-src https: http:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    );
    // What addresses may hold was checked; a policy without them is the worst that could come of a fault.
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::routing::{get, post};
    use axum::{Router, middleware};
    use tower::ServiceExt;

    const ONE: &str = "https://one.example.org";

    fn served(pool: &'static [&'static str]) -> Router {
        let neighbours = Neighbours(Arc::new(move || pool.iter().map(|&a| a.to_owned()).collect()));
        Router::new()
            .route("/", get(|| async { ([(header::VARY, "accept-encoding")], "read") }))
            .route("/say", post(|| async { "said" }))
            .layer(middleware::from_fn_with_state(neighbours, cors))
    }

    async fn ask(router: Router, method: &str, path: &str, origin: &str, wants: Option<&str>) -> Response {
        let mut request = Request::builder().method(method).uri(path).header(header::ORIGIN, origin);
        if let Some(wants) = wants {
            request = request.header(header::ACCESS_CONTROL_REQUEST_METHOD, wants);
        }
        router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    fn said(response: &Response, name: header::HeaderName) -> String {
        let values: Vec<_> = response.headers().get_all(name).iter().map(|v| v.to_str().unwrap()).collect();
        values.join(", ")
    }

    #[tokio::test]
    async fn a_page_of_the_pool_may_ask_and_read() {
        let router = served(&["https://one.example.org/", "https://two.example.org"]);
        let response = ask(router.clone(), "GET", "/", ONE, None).await;
        assert_eq!(said(&response, header::ACCESS_CONTROL_ALLOW_ORIGIN), ONE);
        assert_eq!(said(&response, header::ACCESS_CONTROL_ALLOW_CREDENTIALS), "true");
        assert_eq!(said(&response, header::VARY), "accept-encoding, origin");
        let response = ask(router.clone(), "OPTIONS", "/say", ONE, Some("POST")).await;
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        assert_eq!(said(&response, header::ACCESS_CONTROL_ALLOW_ORIGIN), ONE);
        assert!(said(&response, header::ACCESS_CONTROL_ALLOW_METHODS).contains("PATCH"));
        assert!(said(&response, header::ACCESS_CONTROL_ALLOW_HEADERS).contains("content-type"));
        // Also where there is nothing, so that the page can read the refusal.
        let response = ask(router, "GET", "/nothing", ONE, None).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        assert_eq!(said(&response, header::ACCESS_CONTROL_ALLOW_ORIGIN), ONE);
    }

    #[tokio::test]
    async fn a_page_of_another_site_is_not_told_that_it_may() {
        for origin in
            ["https://three.example.org", "http://one.example.org", "null", "https://one.example.org.evil.example"]
        {
            let router = served(&[ONE]);
            let response = ask(router.clone(), "GET", "/", origin, None).await;
            assert_eq!(said(&response, header::ACCESS_CONTROL_ALLOW_ORIGIN), "", "{origin}");
            assert_eq!(said(&response, header::VARY), "accept-encoding, origin");
            let response = ask(router, "OPTIONS", "/say", origin, Some("POST")).await;
            assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{origin}");
            assert_eq!(said(&response, header::ACCESS_CONTROL_ALLOW_ORIGIN), "", "{origin}");
        }
    }

    #[tokio::test]
    async fn without_a_pool_nothing_of_this_is_seen() {
        let response = ask(served(&[]), "GET", "/", ONE, None).await;
        assert_eq!(said(&response, header::ACCESS_CONTROL_ALLOW_ORIGIN), "");
        assert_eq!(said(&response, header::VARY), "accept-encoding");
    }

    #[test]
    fn pages_may_ask_the_servers_of_the_pool_and_nobody_else() {
        let alone = pages_may(&[]);
        assert!(alone.to_str().unwrap().contains("connect-src 'self';"));
        let policy = pages_may(&["https://one.example.org/".into(), "http://10.0.0.2:8080".into(), "x; y".into()]);
        let policy = policy.to_str().unwrap();
        let talks =
            "connect-src 'self' https://one.example.org wss://one.example.org http://10.0.0.2:8080 ws://10.0.0.2:8080;";
        assert!(policy.contains(talks), "{policy}");
        assert!(
            policy.contains("img-src 'self' https://one.example.org http://10.0.0.2:8080 data: blob:;"),
            "{policy}"
        );
        assert!(policy.contains("script-src 'self';"), "{policy}");
    }
}
