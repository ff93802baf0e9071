//! The web client, embedded. Whatever path is no file of it and not of the API is one of the client's own pages.

use crate::problem::Problem;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rust_embed::{EmbeddedFile, RustEmbed};

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/../../web/dist"]
struct Dist;

/// Answers what no route does.
pub(crate) async fn asset(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    let is_ours = ["api", "hooks", "health", "metrics"].iter().any(|p| path.split('/').next() == Some(p));
    if is_ours || !matches!(method, Method::GET | Method::HEAD) {
        return Problem::no_such_path().into_response();
    }
    // A file that was renamed by a new build must not be answered with a page.
    let is_file = path.rsplit('/').next().is_some_and(|last| last.contains('.'));
    match Dist::get(path) {
        Some(file) if !path.is_empty() => send(&file, path, &headers),
        _ if is_file => Problem::no_such_path().into_response(),
        _ => match Dist::get("index.html") {
            Some(page) => send(&page, "index.html", &headers),
            None => Problem::no_such_path().into_response(),
        },
    }
}

fn send(file: &EmbeddedFile, path: &str, asked: &HeaderMap) -> Response {
    let tag: String = file.metadata.sha256_hash()[..16].iter().map(|b| format!("{b:02x}")).collect();
    let tag = format!("\"{tag}\"");
    let mut headers = HeaderMap::new();
    // The builder puts a hash of the content into these names.
    let cache = if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    let known = asked.get(header::IF_NONE_MATCH).and_then(|v| v.to_str().ok());
    if known.is_some_and(|known| known.split(',').any(|t| t.trim().trim_start_matches("W/") == tag)) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    let kind = file.metadata.mimetype();
    let kind = if kind.starts_with("text/") { format!("{kind}; charset=utf-8") } else { kind.to_owned() };
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_str(&kind).unwrap_or(HeaderValue::from_static("application/octet-stream")),
    );
    (headers, file.data.clone()).into_response()
}
