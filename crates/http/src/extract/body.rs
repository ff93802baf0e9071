//! JSON bodies.

use super::refused;
use crate::door::Door;
use crate::problem::{Code, Problem, Result};
use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use std::time::Duration;

/// A JSON body, read or written.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Door> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, door: &Door) -> Result<Self> {
        let limits = &door.options.limits;
        from_request(request, limits.body_bytes, limits.body_seconds).await.map(Self)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// A JSON body that may be as large as imports are.
pub(crate) struct Import<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Door> for Import<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, door: &Door) -> Result<Self> {
        let limits = &door.options.limits;
        from_request(request, limits.import_body_bytes, limits.body_seconds).await.map(Self)
    }
}

async fn from_request<T: DeserializeOwned>(request: Request, most: usize, seconds: u64) -> Result<T> {
    check_media_type(request.headers())?;
    let reading = collect(request.into_body(), most);
    let bytes = tokio::time::timeout(Duration::from_secs(seconds), reading).await.map_err(|_| {
        Problem::new(Code::RequestTimeout, format!("the body did not come within {seconds} s; send it again"))
    })??;
    read_json(&bytes)
}

fn check_media_type(headers: &HeaderMap) -> Result<()> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let mut parts = given.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default();
    let charset = parts.find_map(|p| p.to_ascii_lowercase().strip_prefix("charset=").map(str::to_owned));
    let is_utf8 = charset.is_none_or(|c| matches!(c.trim_matches('"'), "utf-8" | "utf8"));
    if media_type.eq_ignore_ascii_case("application/json") && is_utf8 {
        Ok(())
    } else {
        let detail = format!("the body must be `Content-Type: application/json` in UTF-8, not `{given}`");
        Err(Problem::new(Code::UnsupportedMedia, detail))
    }
}

async fn collect(body: Body, most: usize) -> Result<Bytes> {
    match Limited::new(body, most).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(Problem::new(Code::TooLarge, format!("the body is larger than {most} bytes")))
        }
        Err(error) => Err(Problem::new(Code::BadRequest, format!("the body broke off: {error}"))),
    }
}

/// Reads JSON; what is wrong with it is told with line, column and field.
pub(crate) fn read_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        Problem::new(Code::BadRequest, format!("the body is not UTF-8: byte {} is wrong", error.valid_up_to() + 1))
    })?;
    // Serde would take a list of values for an object without names.
    if text.trim_start().starts_with('[') {
        return Err(Problem::new(Code::Invalid, "the body must be a JSON object"));
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let message = error.inner().to_string();
        match error.inner().classify() {
            Category::Data => refused(Code::Invalid, error.path(), &message),
            Category::Syntax | Category::Eof | Category::Io => {
                Problem::new(Code::BadRequest, format!("the body is not JSON: {message}"))
            }
        }
    })?;
    reader.end().map_err(|error| Problem::new(Code::BadRequest, format!("the body is not JSON: {error}")))?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only its reading is tested")]
    struct Thing {
        name: String,
        #[serde(default)]
        members: Vec<i64>,
        #[serde(default)]
        inner: Option<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only its reading is tested")]
    struct Inner {
        deep: bool,
    }

    fn refusal(text: &str) -> serde_json::Value {
        serde_json::to_value(read_json::<Thing>(text.as_bytes()).unwrap_err().document()).unwrap()
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, code, field) in [
            (r#"{"name": 7}"#, "invalid", Some("name")),
            (r#"{"name": "a", "members": [1, 2, "x"]}"#, "invalid", Some("members[2]")),
            (r#"{"name": "a", "colour": 1}"#, "invalid", Some("colour")),
            (r#"{"name": "a", "inner": {"deep": true, "far": 1}}"#, "invalid", Some("inner.far")),
            (r#"{"name": "a", "inner": {}}"#, "invalid", Some("inner.deep")),
            (r#"{"members": []}"#, "invalid", Some("name")),
            (r#"{"name": "a", "name": "b"}"#, "invalid", Some("name")),
            (r#"{"name": "a""#, "bad-request", None),
            (r#"{"name": "a"} x"#, "bad-request", None),
            ("", "bad-request", None),
            ("[]", "invalid", None),
            (r#"["a"]"#, "invalid", None),
        ] {
            let problem = refusal(text);
            assert_eq!(problem["code"], code, "{text}: {problem}");
            assert_eq!(problem["field"].as_str(), field, "{text}: {problem}");
        }
        assert!(refusal("{\n  \"name\": tru").to_string().contains("line 2 column"));
    }

    #[test]
    fn deep_nesting_is_refused_and_not_followed() {
        let deep = format!("{{\"name\": {}", "[".repeat(100_000));
        let problem = read_json::<serde_json::Value>(deep.as_bytes()).unwrap_err();
        let problem = serde_json::to_value(problem.document()).unwrap();
        assert!(problem["detail"].to_string().contains("recursion limit"), "{problem}");
    }
}
