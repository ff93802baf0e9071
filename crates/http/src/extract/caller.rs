//! Who asks: the operator of the machine, the holder of a token, or a browser with a cookie.

use crate::admission;
use crate::door::Door;
use crate::origin;
use crate::problem::{Code, Problem, Result};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use holdfast_chat::Caller;
use std::time::Instant;

/// The cookie that holds the secret of a sign-in.
pub(crate) const SESSION_COOKIE: &str = "holdfast_session";
/// By this the operator of the machine acts with the rights of somebody.
const ACT_AS: &str = "holdfast-act-as";

/// Marks a request as the operator's: it came through the socket that only the operator can open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operator;

/// Somebody who asks, authenticated.
pub(crate) struct By(pub(crate) Caller);

impl FromRequestParts<Door> for By {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, door: &Door) -> Result<Self> {
        let caller = if parts.extensions.get::<Operator>().is_some() {
            operator(&parts.headers, door)?
        } else if let Some(value) = parts.headers.get(header::AUTHORIZATION) {
            let secret = value.to_str().ok().and_then(bearer).ok_or_else(|| {
                Problem::new(
                    Code::NotSignedIn,
                    "`Authorization` must be `Bearer ` and a token; make one under your settings",
                )
            })?;
            door.chat.caller_of_token(secret).await?
        } else if let Some(secret) = cookie(&parts.headers) {
            check_origin(parts, door)?;
            door.chat.caller_of_sign_in(secret).await?
        } else {
            return Err(Problem::new(Code::NotSignedIn, "you are not signed in; sign in or send a token"));
        };
        admission::of_caller(door, &caller, &parts.extensions)?;
        if !caller.is_operator()
            && let Err(wait) = door.asked.take(caller.user, Instant::now())
        {
            let detail = "you ask more often than this server allows; wait a moment";
            return Err(Problem::new(Code::TooManyRequests, detail).after(wait.as_secs() + 1));
        }
        tracing::Span::current().record("user", caller.user.0);
        Ok(Self(caller))
    }
}

fn operator(headers: &HeaderMap, door: &Door) -> Result<Caller> {
    let Some(name) = headers.get(ACT_AS) else { return Ok(Caller::operator()) };
    let name = std::str::from_utf8(name.as_bytes()).unwrap_or_default();
    match door.chat.directory().user_named(name) {
        Some(user) => Ok(Caller::operator_as(user.id)),
        None => Err(Problem::invalid("Holdfast-Act-As", format!("names nobody: there is no user {name}"))),
    }
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, secret) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim()).filter(|s| !s.is_empty())
}

/// The secret in our cookie.
fn cookie(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, value)| *name == SESSION_COOKIE && !value.is_empty())
        .map(|(_, value)| value)
}

/// A browser sends its cookie whoever made it ask. What changes something, and a live connection, must come from our own pages.
fn check_origin(parts: &Parts, door: &Door) -> Result<()> {
    let is_safe = matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
    let is_upgrade = parts.headers.contains_key(header::UPGRADE);
    let public_url = door.options.public_url.as_deref();
    if (!is_safe || is_upgrade) && origin::is_foreign(&parts.headers, public_url, &door.chat.pool_addresses()) {
        let detail =
            "this was asked by a page of another site; if this server has a public address, set it as `public_url`";
        return Err(Problem::new(Code::Forbidden, detail));
    }
    Ok(())
}
