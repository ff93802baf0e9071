//! Parameters in the path and behind the question mark.

use super::refused;
use crate::problem::{Code, Problem};
use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path as AxumPath, RawPathParams};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

/// Parameters in the path.
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let error = match AxumPath::<T>::from_request_parts(parts, state).await {
            Ok(AxumPath(values)) => return Ok(Self(values)),
            Err(PathRejection::FailedToDeserializePathParams(error)) => error.into_kind(),
            Err(other) => return Err(unreadable(&other)),
        };
        let (field, why) = match error {
            ErrorKind::ParseErrorAtKey { key, expected_type, .. } => (key, expectation(expected_type)),
            ErrorKind::ParseErrorAtIndex { index, expected_type, .. } => {
                (name_of(parts, index).await, expectation(expected_type))
            }
            ErrorKind::ParseError { expected_type, .. } => (name_of(parts, 0).await, expectation(expected_type)),
            ErrorKind::InvalidUtf8InPathParam { key } => (key, "is not UTF-8".into()),
            ErrorKind::DeserializeError { key, message, .. } => (key, format!("cannot be read: {message}")),
            // What is said of a lone parameter that is no number, such as a UUID.
            ErrorKind::Message(message) => (name_of(parts, 0).await, format!("cannot be read: {message}")),
            other => return Err(unreadable(&other)),
        };
        Err(Problem::field(Code::BadRequest, field, why))
    }
}

/// The name of the parameter at a place of the path.
async fn name_of(parts: &mut Parts, index: usize) -> String {
    let named = RawPathParams::from_request_parts(parts, &()).await;
    let name = named.ok().and_then(|params| params.iter().nth(index).map(|(name, _)| name.to_owned()));
    name.unwrap_or_default()
}

fn unreadable(error: &impl std::fmt::Display) -> Problem {
    Problem::new(Code::BadRequest, format!("The path cannot be read: {error}"))
}

fn expectation(expected_type: &str) -> String {
    match expected_type {
        "i64" | "u64" | "u32" => "must be a whole number".into(),
        other => format!("must be of the type {other}"),
    }
}

/// Parameters behind the question mark.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let text = parts.uri.query().unwrap_or_default();
        if percent_encoding::percent_decode_str(text).decode_utf8().is_err() {
            return Err(Problem::new(Code::BadRequest, "the parameters are not UTF-8"));
        }
        let reader = serde_urlencoded::Deserializer::new(form_urlencoded::parse(text.as_bytes()));
        match serde_path_to_error::deserialize(reader) {
            Ok(values) => Ok(Self(values)),
            Err(error) => Err(refused(Code::Invalid, error.path(), &error.inner().to_string())),
        }
    }
}
