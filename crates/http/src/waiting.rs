//! What a server answers before it has its database: that it lives, and that it waits. So a watchdog does not end it, a balancer sends nobody
//! to it, and a person learns what is the matter.

use crate::extract::Operator;
use crate::metrics;
use crate::problem::{Code, Problem};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use tokio::sync::watch;

/// What is waited for, as a sentence without full stop; for the operator alone, since it may name machines.
pub type Why = watch::Receiver<String>;

const PAGE: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"5\">\
    <title>Holdfast</title></head><body><p>This server is starting and waits for its database. \
    This page looks again every few seconds.</p></body></html>";
const PAGE_MAY: &str = "default-src 'none'; frame-ancestors 'none'";

/// Everything that is served meanwhile.
pub fn waiting(why: Why) -> Router {
    Router::new()
        .route("/health/live", get(|| async { Json(serde_json::json!({ "status": "live" })) }))
        .route("/metrics", get(|| async { metrics::while_waiting() }))
        .fallback(not_yet)
        .with_state(why)
}

async fn not_yet(State(why): State<Why>, request: Request) -> Response {
    let takes_a_page = |headers: &HeaderMap| {
        headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).is_some_and(|v| v.contains("text/html"))
    };
    let is_api = ["/api/", "/hooks/", "/health/"].iter().any(|p| request.uri().path().starts_with(p));
    if !is_api && takes_a_page(request.headers()) {
        let headers = [
            (header::CACHE_CONTROL, "no-store"),
            (header::RETRY_AFTER, "5"),
            (header::CONTENT_SECURITY_POLICY, PAGE_MAY),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        return (StatusCode::SERVICE_UNAVAILABLE, headers, Html(PAGE)).into_response();
    }
    let mut detail = "the server is starting and waits for its database".to_owned();
    if request.extensions().get::<Operator>().is_some() {
        detail = format!("{detail}: {}", *why.borrow());
    }
    Problem::new(Code::Unavailable, detail).after(2).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    async fn ask(router: &Router, path: &str, accept: &str) -> (StatusCode, String) {
        let request = Request::builder().uri(path).header(header::ACCEPT, accept).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    #[tokio::test]
    async fn it_lives_is_not_ready_and_tells_the_operator_why() {
        let (_keep, why) = watch::channel("db-1 refuses the connection".to_owned());
        let router = waiting(why);
        assert_eq!(ask(&router, "/health/live", "*/*").await, (StatusCode::OK, "{\"status\":\"live\"}".into()));
        for path in ["/health/ready", "/api/v1/server", "/api/v1/rooms", "/hooks/x"] {
            let (status, body) = ask(&router, path, "text/html").await;
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
            assert!(body.contains("\"unavailable\"") && !body.contains("db-1"), "{path}: {body}");
        }
        let (status, body) = ask(&router, "/", "text/html,*/*").await;
        assert!(status == StatusCode::SERVICE_UNAVAILABLE && body.contains("<p>"), "{body}");
        let (_, metrics) = ask(&router, "/metrics", "*/*").await;
        assert!(metrics.contains("holdfast_database_condition{condition=\"gone\"} 1\n"), "{metrics}");
        let operator = crate::operator(router);
        let (_, body) = ask(&operator, "/api/v1/admin/status", "*/*").await;
        assert!(body.contains("waits for its database: db-1 refuses the connection."), "{body}");
    }
}
