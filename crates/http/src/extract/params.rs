//! Parameters in the path and behind the question mark.

use super::refused;
use crate::problem::{Code, Problem};
use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path as AxumPath};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

/// Parameters in the path.
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match AxumPath::<T>::from_request_parts(parts, state).await {
            Ok(AxumPath(values)) => Ok(Self(values)),
            Err(PathRejection::FailedToDeserializePathParams(error)) => Err(match error.into_kind() {
                ErrorKind::ParseErrorAtKey { key, expected_type, .. } => {
                    Problem::field(Code::BadRequest, key, expectation(expected_type))
                }
                ErrorKind::ParseError { expected_type, .. } | ErrorKind::ParseErrorAtIndex { expected_type, .. } => {
                    Problem::new(Code::BadRequest, format!("A part of the path {}", expectation(expected_type)))
                }
                ErrorKind::InvalidUtf8InPathParam { key } => Problem::field(Code::BadRequest, key, "is not UTF-8"),
                ErrorKind::DeserializeError { key, message, .. } => {
                    Problem::field(Code::BadRequest, key, format!("cannot be read: {message}"))
                }
                other => Problem::new(Code::BadRequest, format!("The path cannot be read: {other}")),
            }),
            Err(other) => Err(Problem::new(Code::BadRequest, format!("The path cannot be read: {other}"))),
        }
    }
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
