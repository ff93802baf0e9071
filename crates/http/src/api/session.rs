//! Signing in and out, and the first user.

use super::me::Me;
use crate::door::Door;
use crate::extract::{By, Json, SESSION_COOKIE};
use crate::origin;
use crate::peer::{Peer, is_over_tls};
use crate::problem::{Code, Problem, Refusals, Result};
use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse};
use holdfast_chat::accounts::{Origin, SignedIn};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Characters that are kept of what a browser calls itself.
const AGENT_CHARS: usize = 200;

pub(super) fn routes() -> OpenApiRouter<Door> {
    OpenApiRouter::new().routes(routes!(sign_in, sign_out)).routes(routes!(first_user))
}

/// Name and password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SignIn {
    /// The name to sign in with, in any case.
    name: String,
    /// The password.
    #[schema(format = "password")]
    password: String,
}

/// Signs in. The answer sets the cookie `holdfast_session`, which later requests carry.
#[utoipa::path(post, path = "/session", tag = "session", security(()),
    responses((status = 200, body = Me, headers(("set-cookie" = String, description = "The session"))), Refusals))]
async fn sign_in(
    State(door): State<Door>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    Json(with): Json<SignIn>,
) -> Result<impl IntoResponse> {
    let signed_in = door.chat.sign_in(&with.name, &with.password, come_from(&door, peer, &headers)?).await?;
    welcome(&door, signed_in, is_over_tls(peer, &headers, &door.options), StatusCode::OK).await
}

/// Ends the sign-in that the request was made with, and its live connections.
#[utoipa::path(delete, path = "/session", tag = "session", responses((status = 204), Refusals))]
async fn sign_out(
    State(door): State<Door>,
    Extension(peer): Extension<Peer>,
    By(caller): By,
    headers: HeaderMap,
) -> Result<impl IntoResponse> {
    door.chat.sign_out(&caller).await?;
    let cookie = cookie(&door, "", 0, is_over_tls(peer, &headers, &door.options));
    Ok((StatusCode::NO_CONTENT, AppendHeaders([(header::SET_COOKIE, cookie)])))
}

/// The first user, an administrator.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct FirstUser {
    /// The name to sign in with.
    name: String,
    /// The password.
    #[schema(format = "password")]
    password: String,
    /// The name that is shown; the other one if not given.
    display_name: Option<String>,
    /// The code that the server printed when it started.
    code: String,
}

/// Makes the first user, an administrator, and signs in. Works only while there is no user, with the code that the server
/// printed.
#[utoipa::path(post, path = "/first-user", tag = "session", security(()), responses((status = 201, body = Me), Refusals))]
async fn first_user(
    State(door): State<Door>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    Json(first): Json<FirstUser>,
) -> Result<impl IntoResponse> {
    let from = come_from(&door, peer, &headers)?;
    let FirstUser { name, password, display_name, code } = first;
    door.chat.make_first_user(&code, &name, &password, display_name.as_deref()).await?;
    let signed_in = door.chat.sign_in(&name, &password, from).await?;
    welcome(&door, signed_in, is_over_tls(peer, &headers, &door.options), StatusCode::CREATED).await
}

/// From where somebody signs in. Another site's page must not sign a browser in, not even with its own account.
fn come_from(door: &Door, peer: Peer, headers: &HeaderMap) -> Result<Origin> {
    if origin::is_foreign(headers, door.options.public_url.as_deref(), &door.chat.pool_addresses()) {
        return Err(Problem::new(
            Code::Forbidden,
            "this was asked by a page of another site; sign in on the server's own page",
        ));
    }
    let agent = headers.get(header::USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    Ok(Origin {
        agent: agent.chars().take(AGENT_CHARS).collect(),
        address: peer.behind(headers, &door.options.trusted_proxies).to_string(),
    })
}

async fn welcome(
    door: &Door,
    signed_in: SignedIn,
    over_tls: bool,
    status: StatusCode,
) -> Result<impl IntoResponse + use<>> {
    let caller = door.chat.caller_of_sign_in(&signed_in.secret).await?;
    let me = door.chat.me(&caller).await?;
    let seconds = (signed_in.expires_at.millis() - door.chat.now().millis()).max(0) / 1_000;
    let cookie = cookie(door, &signed_in.secret, seconds, over_tls);
    Ok((status, AppendHeaders([(header::SET_COOKIE, cookie)]), Json(Me::from(me))))
}

fn cookie(door: &Door, secret: &str, seconds: i64, over_tls: bool) -> String {
    let secure = if over_tls { "; Secure" } else { "" };
    let domain = match door.options.limits.cookie_domain.as_str() {
        "" => String::new(),
        domain => format!("; Domain={domain}"),
    };
    format!("{SESSION_COOKIE}={secret}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{domain}{secure}")
}
