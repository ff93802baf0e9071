//! XMPP for browsers: over a WebSocket (RFC 7395), found by what is said at a well-known place (XEP-0156). The HTTP door takes the connections.

use crate::door::Door;
use crate::stream::transport::Transport;
use crate::xml::El;
use axum::Router;
use axum::extract::{State, WebSocketUpgrade};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use std::net::{IpAddr, Ipv6Addr};

/// Where browsers connect.
const PATH: &str = "/xmpp-websocket";
/// Where it is said whether the service is out.
const STATUS: &str = "/xmpp-status.json";
/// The protocol's name in the upgrade.
const PROTOCOL: &str = "xmpp";
/// Bytes that a socket's buffers begin with: they are held as long as the connection lasts.
const BUFFER: usize = 4 * 1024;

/// Where a request of the HTTP door comes from; put among its extensions by who puts the doors together.
#[derive(Clone, Copy, Debug)]
pub struct Source(pub IpAddr);

impl Door {
    /// What the HTTP door is to serve besides its own: the WebSocket, and how to find it.
    pub fn routes(&self) -> Router {
        let router = Router::new()
            .route(STATUS, get(status))
            .route("/.well-known/host-meta", get(host_meta))
            .route("/.well-known/host-meta.json", get(host_meta_json));
        let router = if self.options.websocket { router.route(PATH, get(connect)) } else { router };
        router.with_state(self.clone())
    }

    /// Where it is said whether the service is out: at this server's web address and at those of all others that are known, or where the settings say.
    pub(crate) fn status_addresses(&self) -> Vec<String> {
        if !self.options.status_addresses.is_empty() {
            return self.options.status_addresses.clone();
        }
        let own = [self.options.public_url.clone()].into_iter().filter(|url| !url.is_empty());
        let mut all: Vec<String> = Vec::new();
        for base in own.chain(self.chat.pool_addresses()) {
            let address = format!("{}{STATUS}", base.trim_end_matches('/'));
            if !all.contains(&address) {
                all.push(address);
            }
        }
        all
    }

    /// The WebSocket's address for whoever asked under the address `host`.
    fn websocket_url(&self, headers: &HeaderMap) -> Option<String> {
        if !self.options.websocket {
            return None;
        }
        let forwarded = headers.get("x-forwarded-proto").and_then(|v| v.to_str().ok());
        let host = headers.get(header::HOST).and_then(|v| v.to_str().ok())?;
        // Only what may stand in an address.
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
        if !host.chars().all(plain) {
            return None;
        }
        let base = self.options.public_url.trim_end_matches('/');
        if let Some(rest) = base.strip_prefix("https://") {
            return Some(format!("wss://{rest}{PATH}"));
        }
        if let Some(rest) = base.strip_prefix("http://") {
            return Some(format!("ws://{rest}{PATH}"));
        }
        let scheme = if forwarded == Some("https") { "wss" } else { "ws" };
        Some(format!("{scheme}://{host}{PATH}"))
    }
}

/// Every page of whatever site may look: what is said is public, and signing in is by password.
const OPEN: [(HeaderName, &str); 1] = [(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")];

/// What is known of an outage, for those who cannot sign in (XEP-0455 section 2.2).
async fn status(State(door): State<Door>) -> Response {
    let mut document = match door.chat.outage() {
        Some(notice) => serde_json::json!({
            "planned": notice.planned,
            "beginning": notice.beginning,
            "expected_end": notice.expected_end,
            "message": { "default": notice.message, "en": notice.message },
        }),
        None => serde_json::json!({}),
    };
    if let Some(object) = document.as_object_mut() {
        object.retain(|_, value| !value.is_null());
    }
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache")];
    (OPEN, headers, document.to_string()).into_response()
}

const RELATION: &str = "urn:xmpp:alt-connections:websocket";

async fn host_meta(State(door): State<Door>, headers: HeaderMap) -> Response {
    let link = door.websocket_url(&headers).map(|url| El::new("Link").attr("rel", RELATION).attr("href", url));
    let xrd = El::of("http://docs.oasis-open.org/ns/xri/xrd-1.0", "XRD").children(link);
    let text = format!("<?xml version='1.0' encoding='utf-8'?>\n{xrd}\n");
    (OPEN, [(header::CONTENT_TYPE, "application/xrd+xml; charset=utf-8")], text).into_response()
}

async fn host_meta_json(State(door): State<Door>, headers: HeaderMap) -> Response {
    // Nothing in the address needs escaping.
    let link = door.websocket_url(&headers).map(|url| format!(r#"{{"rel":"{RELATION}","href":"{url}"}}"#));
    let text = format!(r#"{{"links":[{}]}}"#, link.unwrap_or_default());
    (OPEN, [(header::CONTENT_TYPE, "application/json")], text).into_response()
}

async fn connect(
    State(door): State<Door>,
    source: Option<axum::Extension<Source>>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let offered = headers.get(header::SEC_WEBSOCKET_PROTOCOL).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if !offered.split(',').any(|name| name.trim() == PROTOCOL) {
        let why = "this is for XMPP: offer the WebSocket protocol `xmpp` (RFC 7395)\n";
        return (StatusCode::BAD_REQUEST, why).into_response();
    }
    let address = source.map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |axum::Extension(Source(address))| address);
    let Some(place) = door.place(address) else {
        return (StatusCode::SERVICE_UNAVAILABLE, "there are too many XMPP connections\n").into_response();
    };
    let most = door.options.stanza_bytes;
    upgrade
        .protocols([PROTOCOL])
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
        .max_write_buffer_size(16 * most.max(BUFFER))
        .max_message_size(most + 1)
        .max_frame_size(most + 1)
        .on_upgrade(move |socket| async move {
            let serving = door.clone();
            let served = door.track(async move { serving.welcome(Transport::websocket(socket), place).await });
            let _ = served.await;
        })
}
