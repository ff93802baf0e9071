//! Refusals as RFC 9457 problem documents: a stable code for programs, a sentence for people, and the field that is at fault.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use holdfast_chat::ChatError;
use holdfast_domain::Invalid;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response as Described, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

/// The result of a handler.
pub(crate) type Result<T> = std::result::Result<T, Problem>;

/// Seconds after which to ask again for what is not possible just now.
const SOON: u64 = 2;

/// What kind of refusal it is. The words never change their meaning.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Code {
    /// The request cannot be read: broken JSON, wrong encoding, unknown parameters.
    BadRequest,
    /// No sign-in and no token, or one that has ended.
    NotSignedIn,
    /// The name or the password is wrong.
    BadCredentials,
    /// The caller may not do this.
    Forbidden,
    /// Policy does not let the caller use chat at all.
    ChatNotAllowed,
    /// It is not there, or the caller must not know that it is.
    NotFound,
    /// The path is there, but not with this method.
    MethodNotAllowed,
    /// The request did not come in time.
    RequestTimeout,
    /// It contradicts what is there, such as a name that is taken.
    Conflict,
    /// Larger than allowed.
    TooLarge,
    /// The body is of a media type that is not understood here.
    UnsupportedMedia,
    /// A part of the file that was asked for is not there.
    RangeNotSatisfiable,
    /// A field is not acceptable; `field` names it.
    Invalid,
    /// Too many requests; `retry_after` says when again.
    TooManyRequests,
    /// Too many wrong passwords.
    LockedOut,
    /// A fault of the server, described in its log.
    Internal,
    /// The server cannot do it now, but may later.
    Unavailable,
    /// This server of a pool takes no clients now; `servers` says which ones do.
    Standby,
    /// It may or may not have been done; sending it again with the same client id tells.
    OutcomeUnknown,
    /// The disk is full; reading goes on.
    StorageFull,
}

impl Code {
    const ALL: [Code; 20] = [
        Code::BadRequest,
        Code::NotSignedIn,
        Code::BadCredentials,
        Code::Forbidden,
        Code::ChatNotAllowed,
        Code::NotFound,
        Code::MethodNotAllowed,
        Code::RequestTimeout,
        Code::Conflict,
        Code::TooLarge,
        Code::UnsupportedMedia,
        Code::RangeNotSatisfiable,
        Code::Invalid,
        Code::TooManyRequests,
        Code::LockedOut,
        Code::Internal,
        Code::Unavailable,
        Code::Standby,
        Code::OutcomeUnknown,
        Code::StorageFull,
    ];

    /// Status, word and title.
    fn facts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Code::BadRequest => (StatusCode::BAD_REQUEST, "bad-request", "The request cannot be read"),
            Code::NotSignedIn => (StatusCode::UNAUTHORIZED, "not-signed-in", "Not signed in"),
            Code::BadCredentials => (StatusCode::UNAUTHORIZED, "bad-credentials", "Wrong name or password"),
            Code::Forbidden => (StatusCode::FORBIDDEN, "forbidden", "Not allowed"),
            Code::ChatNotAllowed => (StatusCode::FORBIDDEN, "chat-not-allowed", "Chat is not allowed"),
            Code::NotFound => (StatusCode::NOT_FOUND, "not-found", "Not found"),
            Code::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "This path has no such method")
            }
            Code::RequestTimeout => (StatusCode::REQUEST_TIMEOUT, "request-timeout", "The request came too slowly"),
            Code::Conflict => (StatusCode::CONFLICT, "conflict", "Contradicts what is there"),
            Code::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too-large", "Too large"),
            Code::UnsupportedMedia => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media", "Not a media type for this")
            }
            Code::RangeNotSatisfiable => {
                (StatusCode::RANGE_NOT_SATISFIABLE, "range-not-satisfiable", "No such part of the file")
            }
            Code::Invalid => (StatusCode::UNPROCESSABLE_ENTITY, "invalid", "A field is not acceptable"),
            Code::TooManyRequests => (StatusCode::TOO_MANY_REQUESTS, "too-many-requests", "Too many requests"),
            Code::LockedOut => (StatusCode::TOO_MANY_REQUESTS, "locked-out", "Locked after wrong passwords"),
            Code::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "A fault of the server"),
            Code::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not possible now"),
            Code::Standby => (StatusCode::SERVICE_UNAVAILABLE, "standby", "Another server takes clients"),
            Code::OutcomeUnknown => {
                (StatusCode::SERVICE_UNAVAILABLE, "outcome-unknown", "It is not known whether it was saved")
            }
            Code::StorageFull => (StatusCode::INSUFFICIENT_STORAGE, "storage-full", "The disk is full"),
        }
    }
}

/// A refusal.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    code: Code,
    detail: String,
    field: Option<String>,
    retry_after: Option<u64>,
    servers: Option<Vec<String>>,
}

/// A refusal as RFC 9457 writes it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct Document {
    /// A relative reference that stands for the code.
    #[serde(rename = "type")]
    kind: String,
    /// What kind of refusal it is, for programs.
    code: Code,
    /// The same in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What happened and what to do, a sentence.
    detail: String,
    /// The part of the request that is at fault, such as `name` or `members[2]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// Seconds after which trying again makes sense.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
    /// Of `standby`: where clients reach the servers that take them, in the order in which to try.
    #[serde(skip_serializing_if = "Option::is_none")]
    servers: Option<Vec<String>>,
}

impl Problem {
    /// A refusal with a sentence for people.
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), field: None, retry_after: None, servers: None }
    }

    /// A refused field: `why` completes "the field ...".
    pub(crate) fn field(code: Code, field: impl Into<String>, why: impl std::fmt::Display) -> Self {
        let field = field.into();
        let detail = if field.is_empty() { format!("The request {why}") } else { format!("`{field}` {why}") };
        Self { field: (!field.is_empty()).then_some(field), ..Self::new(code, detail) }
    }

    /// A field that is understood but not acceptable.
    pub(crate) fn invalid(field: impl Into<String>, why: impl std::fmt::Display) -> Self {
        Self::field(Code::Invalid, field, why)
    }

    /// Another server of the pool takes clients; with none, in a while one may.
    pub(crate) fn standby(detail: impl Into<String>, servers: Vec<String>) -> Self {
        let retry_after = servers.is_empty().then_some(SOON);
        Self { servers: Some(servers), retry_after, ..Self::new(Code::Standby, detail) }
    }

    /// What was asked for is not there.
    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(Code::NotFound, detail)
    }

    /// The path leads nowhere.
    pub(crate) fn no_such_path() -> Self {
        Self::not_found("There is nothing at this path; /api/v1/openapi.json lists what there is")
    }

    /// With the number of seconds to wait.
    pub(crate) fn after(self, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    /// The same as JSON.
    pub(crate) fn document(self) -> Document {
        let (status, word, title) = self.code.facts();
        let mut detail = self.detail;
        // Errors are phrases; a person reads a sentence. What is no word, such as the name chat-1, stays as it is.
        let first_word = detail.split([' ', ',', ':', ';', '.']).next().unwrap_or_default();
        if !first_word.is_empty() && first_word.chars().all(|c| c.is_ascii_lowercase() || c == '\'') {
            detail[..1].make_ascii_uppercase();
        }
        if !detail.ends_with(['.', '!', '?']) {
            detail.push('.');
        }
        Document {
            kind: format!("/problems/{word}"),
            code: self.code,
            title,
            status: status.as_u16(),
            detail,
            field: self.field,
            retry_after: self.retry_after,
            servers: self.servers,
        }
    }
}

impl From<ChatError> for Problem {
    fn from(error: ChatError) -> Self {
        let detail = error.to_string();
        match error {
            ChatError::Invalid(Invalid { field, why }) => Problem::invalid(field, why),
            ChatError::Unknown(_) => Problem::new(Code::NotFound, detail),
            ChatError::Forbidden(_) => Problem::new(Code::Forbidden, detail),
            ChatError::ChatNotAllowed => Problem::new(Code::ChatNotAllowed, detail),
            ChatError::BadCredentials => Problem::new(Code::BadCredentials, detail),
            ChatError::NotSignedIn => Problem::new(Code::NotSignedIn, detail),
            ChatError::LockedOut { retry_after } => Problem::new(Code::LockedOut, detail).after(retry_after),
            ChatError::TooMany { retry_after } => Problem::new(Code::TooManyRequests, detail).after(retry_after),
            ChatError::Conflict(_) => Problem::new(Code::Conflict, detail),
            ChatError::TooLarge { .. } => Problem::new(Code::TooLarge, detail),
            ChatError::StorageFull => Problem::new(Code::StorageFull, detail),
            ChatError::Elsewhere { servers } => Problem::standby(detail, servers),
            ChatError::Unavailable(_) => Problem::new(Code::Unavailable, detail).after(SOON),
            ChatError::OutcomeUnknown => Problem::new(Code::OutcomeUnknown, detail).after(SOON),
            ChatError::Internal => Problem::new(Code::Internal, detail),
        }
    }
}

impl From<Invalid> for Problem {
    fn from(invalid: Invalid) -> Self {
        Problem::invalid(invalid.field, invalid.why)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let document = self.document();
        let status = StatusCode::from_u16(document.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = document.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if document.code == Code::NotSignedIn {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"holdfast\""));
        }
        response
    }
}

/// The refusals that any request to the API may meet.
pub(crate) struct Refusals;

impl IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<Described>> {
        let refer = |name: &String| RefOr::Ref(Ref::new(format!("#/components/responses/{name}")));
        described().keys().map(|name| (name["Refused".len()..].to_owned(), refer(name))).collect()
    }
}

/// A description of each status with which a problem comes, by the name that operations refer to it by.
pub(crate) fn described() -> BTreeMap<String, Described> {
    let mut by_status: BTreeMap<u16, Vec<&'static str>> = BTreeMap::new();
    for code in Code::ALL {
        let (status, word, _) = code.facts();
        // Answered by the router, not by an operation of the document.
        if code != Code::MethodNotAllowed {
            by_status.entry(status.as_u16()).or_default().push(word);
        }
    }
    let described = by_status.into_iter().map(|(status, words)| {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        let words = words.iter().map(|w| format!("`{w}`")).collect::<Vec<_>>().join(" or ");
        let response = ResponseBuilder::new().description(words).content("application/problem+json", content).build();
        (format!("Refused{status}"), response)
    });
    described.collect()
}
