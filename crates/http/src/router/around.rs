//! What is around every request: its number in the log, its time, the headers of every answer, and a last net for faults of ours.

use crate::addressed;
use crate::admission::Admission;
use crate::cors::pages_may;
use crate::door::Door;
use crate::peer::{Peer, is_over_tls};
use crate::problem::{Code, Problem};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use holdfast_chat::Standing;
use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::Instrument;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn};
use utoipa::openapi::{OpenApi, RefOr};
use uuid::Uuid;

/// Characters of a request's number at most, if the asker gives one.
const ID_CHARS: usize = 64;
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What it needs.
pub(super) struct Around {
    door: Door,
    admission: Admission,
    /// Operations without parameters behind the question mark, so that such a parameter can be refused.
    plain: HashSet<(Method, String)>,
    /// Operations whose body takes its own time.
    unhurried: HashSet<(Method, String)>,
}

impl Around {
    pub(super) fn new(door: Door, document: &OpenApi) -> Self {
        let has_query = |operation: &Operation| {
            let is_query = |p: &RefOr<Parameter>| matches!(p, RefOr::T(p) if p.parameter_in == ParameterIn::Query);
            operation.parameters.iter().flatten().any(is_query)
        };
        let mut plain = HashSet::new();
        for (path, item) in &document.paths.paths {
            let operations = [
                (Method::GET, &item.get),
                (Method::HEAD, &item.get),
                (Method::POST, &item.post),
                (Method::PUT, &item.put),
                (Method::PATCH, &item.patch),
                (Method::DELETE, &item.delete),
            ];
            for (method, operation) in operations {
                if operation.as_ref().is_some_and(|o| !has_query(o)) {
                    plain.insert((method, path.clone()));
                }
            }
        }
        let unhurried = [
            (Method::POST, "/api/v1/rooms/{room}/files"),
            (Method::POST, "/api/v1/admin/import"),
            (Method::PUT, addressed::PATH),
        ];
        let unhurried = unhurried.map(|(method, path)| (method, path.to_owned())).into();
        Self { door, admission: Admission::new(document), plain, unhurried }
    }
}

/// Answers a request.
pub(super) async fn around(State(around): State<Arc<Around>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let door = &around.door;
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or("(none)", MatchedPath::as_str).to_owned();
    let id = request_id(request.headers());
    let peer = request.extensions().get::<Peer>().copied().unwrap_or(Peer::Local);
    let over_tls = is_over_tls(peer, request.headers(), &door.options);
    let peer = peer.behind(request.headers(), &door.options.trusted_proxies);
    let span = tracing::info_span!("request", %id, %method, %route, %peer, user = tracing::field::Empty);
    let kind = (method.clone(), route.clone());
    let answering = async {
        if let Some(problem) = misplaced(request.uri(), around.plain.contains(&kind)) {
            return problem.into_response();
        }
        if let Err(problem) = around.admission.before_anything(door, &kind, request.extensions()) {
            return problem.into_response();
        }
        // A fault of ours must not take the connection, or others' requests on it, with it.
        let answer = AssertUnwindSafe(next.run(request)).catch_unwind();
        let patience = Duration::from_secs(door.options.limits.answer_seconds);
        let answered = if around.unhurried.contains(&kind) {
            Ok(answer.await)
        } else {
            tokio::time::timeout(patience, answer).await
        };
        match answered {
            Ok(Ok(response)) => response,
            Ok(Err(_)) => {
                tracing::error!("a fault in the code that answers this; the lines before this one say where");
                Problem::new(Code::Internal, "something went wrong inside the server; its log says what")
                    .into_response()
            }
            Err(_) if method.is_safe() => {
                Problem::new(Code::Unavailable, format!("this took longer than {} s", patience.as_secs()))
                    .into_response()
            }
            // What was asked goes on without an answer: a commit is never cancelled.
            Err(_) => {
                let seconds = patience.as_secs();
                let detail = format!("this took longer than {seconds} s; it is not known whether it was done");
                Problem::new(Code::OutcomeUnknown, detail).into_response()
            }
        }
    };
    let mut response = Box::pin(answering.instrument(span.clone())).await;
    let (status, took) = (response.status(), began.elapsed());
    // A standby says so to everybody who comes by, and a balancer comes by all the time.
    let takes_none = matches!(door.chat.standing(), Standing::Standby | Standing::Draining);
    let is_elsewhere = status == StatusCode::SERVICE_UNAVAILABLE && takes_none;
    door.metrics.answered(&method, &route, status, took);
    span.in_scope(|| {
        if status.is_server_error() && !is_elsewhere {
            tracing::warn!(status = status.as_u16(), took_ms = took.as_millis(), "answered");
        } else {
            tracing::debug!(status = status.as_u16(), took_ms = took.as_millis(), "answered");
        }
    });
    finish(response.headers_mut(), &id, &route, over_tls, door);
    response
}

/// The number by which this request is found in the log: the asker's own, if it is short and plain.
fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get(REQUEST_ID).and_then(|v| v.to_str().ok()).filter(|id| {
        (1..=ID_CHARS).contains(&id.len()) && id.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    });
    given.map_or_else(|| Uuid::new_v4().to_string(), str::to_owned)
}

/// Refuses parameters where there are none.
fn misplaced(uri: &Uri, is_plain: bool) -> Option<Problem> {
    let query = uri.query().filter(|q| is_plain && !q.is_empty())?;
    let (name, _) = form_urlencoded::parse(query.as_bytes()).next()?;
    Some(Problem::invalid(name.into_owned(), "is not a parameter of this path, which has none"))
}

/// Headers of every answer. Those that a handler set itself stay.
fn finish(headers: &mut HeaderMap, id: &str, route: &str, over_tls: bool, door: &Door) {
    let is_api = route.starts_with("/api") || route.starts_with("/hooks");
    let always = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), microphone=(), geolocation=(), payment=(), usb=()"),
    ];
    for (name, value) in always {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
        let nothing = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
        let policy = if is_api { nothing } else { pages_may(&door.chat.pool_addresses()) };
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    if is_api {
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    }
    if over_tls {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
}
