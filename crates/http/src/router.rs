//! How it is put together: the API with its document, what stands beside it, and what is around every request.

mod around;

use crate::addressed;
use crate::api;
use crate::assets;
use crate::cors::{Neighbours, cors};
use crate::door::Door;
use crate::extract::Operator;
use crate::health;
use crate::metrics::{self, Figures};
use crate::options::HttpOptions;
use crate::problem::{self, Code, Document, Problem};
use around::{Around, around};
use axum::extract::State;
use axum::http::{Extensions, HeaderMap, StatusCode, Version, header};
use axum::response::IntoResponse;
use axum::{Extension, Router, middleware};
use bytes::Bytes;
use holdfast_chat::Chat;
use std::sync::Arc;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{Predicate as _, SizeAbove};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Bytes from which on an answer is compressed for those who take that.
const COMPRESSED: u64 = 4 * 1024;

/// Everything that is served, on top of `chat`. `others`: figures of other parts of the server that monitoring is told, too.
pub fn router(chat: Chat, options: HttpOptions, others: Option<Figures>) -> Router {
    let (described_routes, document) = described();
    let neighbours = Neighbours::of(chat.clone());
    let door = Door::new(chat, options, others);
    let around_it = Arc::new(Around::new(door.clone(), &document));
    let served = serde_json::to_vec(&document).unwrap_or_default();
    // Set here, once, before anybody can ask.
    let _ = door.document.set(Bytes::from(served));
    described_routes
        .fallback(assets::asset)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(CompressionLayer::new().compress_when(SizeAbove::new(COMPRESSED).and(is_worth_compressing)))
        .layer(middleware::from_fn_with_state(around_it, around))
        .layer(middleware::from_fn_with_state(neighbours, cors))
        .with_state(door)
}

/// Pages, scripts and JSON are. Files of people are sent as they are: most are compressed, and parts of them may be asked for;
/// lines must not wait for a block to fill.
fn is_worth_compressing(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let is_text = media_type.starts_with("text/")
        || ["application/json", "application/javascript", "image/svg+xml", "application/openmetrics-text"]
            .iter()
            .any(|t| media_type.starts_with(t));
    is_text && !headers.contains_key(header::CONTENT_DISPOSITION)
}

/// Marks all requests as those of the machine's operator. Only for a socket that nobody else can open.
pub fn operator(router: Router) -> Router {
    router.layer(Extension(Operator))
}

/// The OpenAPI document, as JSON for people.
pub fn openapi() -> String {
    let (_, document) = described();
    let mut text = document.to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// The routes and the document that describes them, made of the same lines.
fn described() -> (Router<Door>, utoipa::openapi::OpenApi) {
    OpenApiRouter::with_openapi(Description::openapi())
        .nest("/api/v1", api::routes())
        .merge(api::webhooks::hooks())
        .merge(addressed::routes())
        .merge(health::routes())
        .merge(metrics::routes())
        .routes(routes!(openapi_document))
        .split_for_parts()
}

/// What the document says of the whole.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Holdfast",
        description = "Persistent chat. Bodies are JSON in UTF-8; fields and parameters that are not described here are refused. \
            Errors are problem documents (RFC 9457) whose `code` never changes its meaning.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    components(schemas(Document, api::live::Frame, api::live::Say)),
    modifiers(&Shared),
    security(("session" = []), ("token" = [])),
)]
struct Description;

/// What many operations refer to: refusals, and the ways to say who one is.
struct Shared;

impl Modify for Shared {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let cookie = ApiKeyValue::with_description(
            crate::extract::SESSION_COOKIE,
            "Set by `POST /api/v1/session`. What changes something by it must come from the server's own pages.",
        );
        let token = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("A token made under `POST /api/v1/me/tokens`."))
            .build();
        let components = document.components.get_or_insert_default();
        for (name, response) in problem::described() {
            components.responses.insert(name, response.into());
        }
        components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
        components.add_security_scheme("token", SecurityScheme::Http(token));
    }
}

/// This document. Needs no sign-in.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "server", security(()), responses((status = 200, body = Object)))]
async fn openapi_document(State(door): State<Door>) -> impl IntoResponse {
    let document = door.document.get().cloned().unwrap_or_default();
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache")], document)
}

async fn method_not_allowed() -> Problem {
    Problem::new(
        Code::MethodNotAllowed,
        "this path is there, but not with this method; `Allow` names those that it has",
    )
}
