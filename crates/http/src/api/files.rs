//! Files: in and out as streams, never whole in memory, and never so that a browser would run what somebody uploaded.

use super::shapes::{Moment, Principal};
use crate::door::Door;
use crate::extract::{By, Json, Path, Query};
use crate::page::{self, List};
use crate::problem::{Code, Problem, Refusals, Result};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use holdfast_chat::files::Upload;
use holdfast_chat::view::Person;
use holdfast_domain::entry::FileRef;
use holdfast_domain::{FileId, RoomId, Seq};
use holdfast_store::files::{CHUNK, StoredFile};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use std::io;
use std::ops::RangeInclusive;
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

/// Files of a page when no number is asked for, and at most.
const PAGE: usize = 50;
const PAGE_MOST: usize = 200;
/// What a browser may show in place rather than save: pictures that cannot carry a program.
const SHOWN: [&str; 4] = ["image/png", "image/jpeg", "image/gif", "image/webp"];

pub(super) fn routes() -> OpenApiRouter<Door> {
    OpenApiRouter::new().routes(routes!(files, upload)).routes(routes!(file)).routes(routes!(thumbnail))
}

/// A file that somebody uploaded.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct File {
    id: Uuid,
    /// The name that its uploader gave it.
    name: String,
    bytes: u64,
    /// Its media type, found from its content.
    #[serde(rename = "type")]
    media_type: String,
    /// Of a picture: pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<u32>,
    /// Of a picture: pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<u32>,
    /// Whether there is a small version of it.
    thumbnail: bool,
}

impl From<FileRef> for File {
    fn from(file: FileRef) -> Self {
        let FileRef { id, name, bytes, media_type, width, height, thumbnail, .. } = file;
        Self { id: id.0, name, bytes, media_type, width, height, thumbnail }
    }
}

/// What the file is called.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Named {
    /// Its name; of a path, the last part is taken.
    name: String,
}

/// Uploads a file to a room: the body is its content, whatever its `Content-Type`. Nobody sees it until a message names it;
/// unnamed files are deleted after a day.
#[utoipa::path(post, path = "/rooms/{room}/files", tag = "files", params(Named),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 201, body = File), Refusals))]
async fn upload(
    State(door): State<Door>,
    By(caller): By,
    Path(room): Path<i64>,
    Query(named): Query<Named>,
    request: Request,
) -> Result<(StatusCode, Json<File>)> {
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
    let upload = door.chat.begin_upload(&caller, RoomId(room), &named.name, length).await?;
    Ok((StatusCode::CREATED, Json(receive(&door, upload, request.into_body()).await?.into())))
}

/// Takes in what comes of a file.
pub(crate) async fn receive(door: &Door, mut upload: Upload, body: Body) -> Result<FileRef> {
    let pause = Duration::from_secs(door.options.limits.upload_pause_seconds);
    let mut body = body.into_data_stream();
    loop {
        let next = tokio::time::timeout(pause, body.next()).await.map_err(|_| {
            Problem::new(Code::RequestTimeout, format!("nothing came for {} s; upload the file again", pause.as_secs()))
        })?;
        match next {
            Some(Ok(bytes)) => upload.write(bytes).await?,
            Some(Err(error)) => return Err(Problem::new(Code::BadRequest, format!("the upload broke off: {error}"))),
            None => break,
        }
    }
    Ok(upload.finish().await?)
}

/// A file with the message that it went with.
#[derive(Debug, Serialize, ToSchema)]
struct SentFile {
    file: File,
    /// The message.
    seq: i64,
    at: Moment,
    author: Principal,
}

/// Which page.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// The `next` of the page before.
    cursor: Option<String>,
    /// How many at most; 50 if not given. A page may be a few longer, so that it ends with all files of a message.
    limit: Option<usize>,
}

/// The files of a room's messages, newest first.
#[utoipa::path(get, path = "/rooms/{room}/files", tag = "files", params(Wanted),
    responses((status = 200, body = List<SentFile>), Refusals))]
async fn files(
    State(door): State<Door>,
    By(caller): By,
    Path(room): Path<i64>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<List<SentFile>>> {
    let before = page::number(wanted.cursor.as_deref())?.map(Seq);
    let limit = page::limit(wanted.limit, PAGE, PAGE_MOST)?;
    let spare = door.chat.limits().files_per_message;
    let mut found = door.chat.files_in(&caller, RoomId(room), before, limit + spare).await?;
    let more = end_with_whole_message(&mut found, limit, limit + spare);
    let next = page::next(more, found.last().and_then(|f| f.message).map(|s| s.0));
    let directory = door.chat.directory();
    let items = found.into_iter().map(|stored| SentFile {
        seq: stored.message.map_or(0, |s| s.0),
        at: stored.at.into(),
        author: Person::of(&directory, stored.by).into(),
        file: stored.file.into(),
    });
    Ok(Json(List { items: items.collect(), next }))
}

/// Cuts `found`, of which `asked` were asked for, to `limit` files or as many more as the last message has; whether that left
/// any out. The next page begins with the message before, so a message must not be cut in two.
pub(super) fn end_with_whole_message(found: &mut Vec<StoredFile>, limit: usize, asked: usize) -> bool {
    if found.len() <= limit {
        return false;
    }
    let last = found[limit - 1].message;
    let end = found.iter().skip(limit).position(|f| f.message != last).map(|n| limit + n);
    match end {
        Some(end) => {
            found.truncate(end);
            true
        }
        None => found.len() == asked,
    }
}

/// How to send it.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct How {
    /// `1`: to be saved, also what a browser could show.
    download: Option<u8>,
}

/// The content of a file. Understands `Range` with one range, and `If-None-Match`.
#[utoipa::path(get, path = "/files/{file}", tag = "files", params(How),
    responses(
        (status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 206, body = Vec<u8>, content_type = "application/octet-stream", description = "The part asked for"),
        (status = 304, description = "The file is as the asker has it"),
        Refusals,
    ))]
async fn file(
    State(door): State<Door>,
    By(caller): By,
    Path(file): Path<Uuid>,
    Query(how): Query<How>,
    headers: HeaderMap,
) -> Result<Response> {
    answer(&door, door.chat.file(&caller, FileId(file)).await?, &how, &headers)
}

/// The content of a file that may be read, or the part of it that is asked for.
pub(crate) fn answer(door: &Door, stored: StoredFile, how: &How, headers: &HeaderMap) -> Result<Response> {
    let tag = format!("\"{}\"", stored.file.sha256);
    if is_known(headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, safe_headers(&tag)).into_response());
    }
    let FileRef { id, name, bytes, media_type, .. } = stored.file;
    let wanted = range(headers, &tag, bytes)?;
    let whole = 0..=bytes.saturating_sub(1);
    let (status, part) = match wanted {
        Some(part) => (StatusCode::PARTIAL_CONTENT, part),
        None => (StatusCode::OK, whole),
    };
    let mut answer = safe_headers(&tag);
    let shown = SHOWN.contains(&media_type.as_str()) && how.download.is_none_or(|d| d == 0);
    answer.insert(header::CONTENT_DISPOSITION, disposition(shown, &name));
    answer.insert(header::CONTENT_TYPE, content_type(&media_type));
    answer.insert(header::CONTENT_LENGTH, HeaderValue::from(part.end() - part.start() + 1));
    answer.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if status == StatusCode::PARTIAL_CONTENT
        && let Ok(value) = HeaderValue::from_str(&format!("bytes {}-{}/{bytes}", part.start(), part.end()))
    {
        answer.insert(header::CONTENT_RANGE, value);
    }
    Ok((status, answer, content(door, id, part)).into_response())
}

/// The small version of a picture, PNG.
#[utoipa::path(get, path = "/files/{file}/thumbnail", tag = "files",
    responses(
        (status = 200, body = Vec<u8>, content_type = "image/png"),
        (status = 304, description = "The picture is as the asker has it"),
        Refusals,
    ))]
async fn thumbnail(
    State(door): State<Door>,
    By(caller): By,
    Path(file): Path<Uuid>,
    headers: HeaderMap,
) -> Result<Response> {
    // Its content never changes, so its number tells as much as a digest.
    let tag = format!("\"{file}-small\"");
    let picture = door.chat.thumbnail(&caller, FileId(file)).await?;
    let mut answer = safe_headers(&tag);
    if is_known(&headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, answer).into_response());
    }
    answer.insert(header::CONTENT_TYPE, HeaderValue::from_static("image/png"));
    Ok((answer, picture).into_response())
}

/// Whatever it is, a browser neither guesses at it nor runs it, and asks again each time whether it may still be read.
fn safe_headers(tag: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    if let Ok(tag) = HeaderValue::from_str(tag) {
        headers.insert(header::ETAG, tag);
    }
    headers
}

fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let known = headers.get(header::IF_NONE_MATCH).and_then(|v| v.to_str().ok());
    known.is_some_and(|known| {
        known.split(',').any(|t| matches!(t.trim().trim_start_matches("W/"), t if t == tag || t == "*"))
    })
}

fn content_type(media_type: &str) -> HeaderValue {
    let text = if media_type == "text/plain" { "text/plain; charset=utf-8" } else { media_type };
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("application/octet-stream"))
}

/// `Content-Disposition` (RFC 6266) with the name twice: as old programs read it, and as RFC 5987 writes all of it.
fn disposition(shown: bool, name: &str) -> HeaderValue {
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_');
    let kind = if shown { "inline" } else { "attachment" };
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || " .-_()".contains(c) { c } else { '_' }).collect();
    let value = format!("{kind}; filename=\"{plain}\"; filename*=UTF-8''{}", utf8_percent_encode(name, KEPT));
    HeaderValue::from_str(&value).unwrap_or(HeaderValue::from_static("attachment"))
}

/// The one range that is asked for, if it is one: anything else is answered with the whole file (RFC 9110, 14.2).
fn range(headers: &HeaderMap, tag: &str, bytes: u64) -> Result<Option<RangeInclusive<u64>>> {
    let text = |name| headers.get(name).and_then(|v: &HeaderValue| v.to_str().ok());
    // What the asker has a part of must still be the same file.
    if text(header::IF_RANGE).is_some_and(|held| held != tag) {
        return Ok(None);
    }
    let asked = text(header::RANGE).and_then(|r| r.strip_prefix("bytes=")).and_then(|r| r.trim().split_once('-'));
    let Some((first, last)) = asked else { return Ok(None) };
    let end = bytes.saturating_sub(1);
    let part = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => first..=last.min(end),
        (Ok(first), Err(_)) if last.is_empty() => first..=end,
        (Err(_), Ok(length)) if first.is_empty() && length > 0 => bytes.saturating_sub(length)..=end,
        _ => return Ok(None),
    };
    if *part.start() >= bytes {
        return Err(Problem::new(Code::RangeNotSatisfiable, format!("the file has {bytes} bytes")));
    }
    Ok(Some(part))
}

/// A part of a file as a stream of its chunks, cut where the part begins and ends.
fn content(door: &Door, id: FileId, part: RangeInclusive<u64>) -> Body {
    let chat = door.chat.clone();
    let chunk_bytes = CHUNK as u64;
    let (first, end) = part.into_inner();
    let chunks = stream::try_unfold(first, move |at| {
        let chat = chat.clone();
        async move {
            if at > end {
                return Ok(None);
            }
            let missing = || io::Error::other("a chunk of the file is missing");
            let index = u32::try_from(at / chunk_bytes).map_err(|_| missing())?;
            let chunk = match chat.file_chunk(id, index).await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => return Err(missing()),
                Err(error) => return Err(io::Error::other(error)),
            };
            let from = usize::try_from(at % chunk_bytes).map_err(|_| missing())?;
            let left = usize::try_from(end - at + 1).unwrap_or(usize::MAX);
            let to = chunk.len().min(from.saturating_add(left));
            if from >= to {
                return Err(missing());
            }
            let piece: Bytes = chunk.slice(from..to);
            let next = at + piece.len() as u64;
            Ok(Some((piece, next)))
        }
    });
    Body::from_stream(chunks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_within_their_header() {
        let value = disposition(false, "a\"b\r\nSet-Cookie: x\u{202e}.pdf");
        assert_eq!(
            value,
            "attachment; filename=\"a_b__Set-Cookie_ x_.pdf\"; filename*=UTF-8''a%22b%0D%0ASet-Cookie%3A%20x%E2%80%AE.pdf"
        );
        assert_eq!(disposition(true, "Plan 1.png"), "inline; filename=\"Plan 1.png\"; filename*=UTF-8''Plan%201.png");
    }

    #[test]
    fn one_range_is_understood_and_others_ignored() {
        let asked = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, HeaderValue::from_static(text));
            range(&headers, "\"t\"", 100).map_err(|p| Box::new(p.document()))
        };
        assert_eq!(asked("bytes=0-9").unwrap(), Some(0..=9));
        assert_eq!(asked("bytes=90-").unwrap(), Some(90..=99));
        assert_eq!(asked("bytes=-5").unwrap(), Some(95..=99));
        assert_eq!(asked("bytes=50-1000").unwrap(), Some(50..=99));
        for ignored in ["bytes=9-1", "bytes=0-1,5-6", "lines=1-2", "bytes=x-y"] {
            assert_eq!(asked(ignored).unwrap(), None, "{ignored}");
        }
        assert!(asked("bytes=100-").is_err());
    }
}
