//! Files by their addresses, for whoever knows one: what XMPP clients upload and fetch (XEP-0363). No cookie counts here, so pages of other sites may do
//! both; what they fetch they show or save, and never run.

use crate::api::files::{How, answer, receive};
use crate::door::Door;
use crate::extract::{Path, Query};
use crate::problem::{Refusals, Result};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The path of the slots and files.
pub(crate) const PATH: &str = "/files/{address}/{name}";
/// Headers of answers that pages of other sites may read.
const READABLE: HeaderValue =
    HeaderValue::from_static("content-disposition, content-range, accept-ranges, etag, retry-after, x-request-id");

pub(crate) fn routes() -> OpenApiRouter<Door> {
    OpenApiRouter::new().routes(routes!(file_by_address, put_in_slot, may_use_address))
}

/// The content of a file, for whoever knows its address; the name is of no matter. Understands `Range` with one range, and `If-None-Match`.
#[utoipa::path(get, path = "/files/{address}/{name}", tag = "files", params(How), security(()),
    responses(
        (status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 206, body = Vec<u8>, content_type = "application/octet-stream", description = "The part asked for"),
        (status = 304, description = "The file is as the asker has it"),
        Refusals,
    ))]
async fn file_by_address(
    State(door): State<Door>,
    Path((address, _name)): Path<(String, String)>,
    Query(how): Query<How>,
    headers: HeaderMap,
) -> Response {
    let answered = async { answer(&door, door.chat.file_at(&address).await?, &how, &headers) }.await;
    open(answered.into_response())
}

/// Uploads the file of a slot, once: the address and the name are those that the slot was given out with, `Content-Length` and `Content-Type` what was
/// said when it was asked for. The type by which it is served is found from its content.
#[utoipa::path(put, path = "/files/{address}/{name}", tag = "files", security(()),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 201, description = "The file can be fetched now"), Refusals))]
async fn put_in_slot(
    State(door): State<Door>,
    Path((address, name)): Path<(String, String)>,
    headers: HeaderMap,
    request: Request,
) -> Response {
    let text = |name| headers.get(name).and_then(|v: &HeaderValue| v.to_str().ok());
    let length = text(header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
    let put = async {
        let media_type = text(header::CONTENT_TYPE).unwrap_or_default();
        let upload = door.chat.begin_in_slot(&address, &name, media_type, length).await?;
        receive(&door, upload, request.into_body()).await?;
        Result::Ok(StatusCode::CREATED)
    };
    open(put.await.into_response())
}

/// Asked by browsers before a page of another site uploads or fetches.
#[utoipa::path(options, path = "/files/{address}/{name}", tag = "files", security(()),
    responses((status = 204, description = "It may")))]
async fn may_use_address(Path((_address, _name)): Path<(String, String)>) -> Response {
    let known = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, PUT, OPTIONS"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "content-type, authorization, range, if-none-match, if-range"),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
    ];
    open((StatusCode::NO_CONTENT, known).into_response())
}

/// Pages of all sites may read it, and show it as a picture.
fn open(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, READABLE);
    headers.insert(HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("cross-origin"));
    response
}
