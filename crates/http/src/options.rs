//! What an administrator may set about this door, and every limit on what a stranger may send through it.

use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Settings of the door.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpOptions {
    /// The address under which browsers reach the server, such as `https://chat.example.org`. With `https`, cookies are sent
    /// over TLS alone. Not set: whatever address a browser used, without TLS.
    pub public_url: Option<String>,
    /// Addresses of proxies in front of the server. Only from them is `X-Forwarded-For` believed, and for them no number of
    /// connections from one address is set.
    pub trusted_proxies: Vec<IpAddr>,
    /// Limits.
    pub limits: HttpLimits,
}

impl HttpOptions {
    /// Whether browsers come over TLS.
    pub fn is_secure(&self) -> bool {
        self.public_url.as_deref().is_some_and(|url| url.starts_with("https://"))
    }
}

/// Every limit of the door, and the domain of its cookie: what the section `[http]` of the settings has. What a message, name or list may hold
/// is in `holdfast_domain::limits`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpLimits {
    /// Connections at once; more wait until one ends.
    pub connections: usize,
    /// Connections at once from one address; more are closed at once.
    pub connections_per_address: usize,
    /// Seconds in which a request's head must have come, counted from the connection or the answer before: also how long an idle
    /// connection is kept.
    pub head_seconds: u64,
    /// Bytes of a request's head.
    pub head_bytes: usize,
    /// Header fields of a request.
    pub header_fields: usize,
    /// Bytes of a JSON body.
    pub body_bytes: usize,
    /// Bytes of a JSON body that brings imported messages.
    pub import_body_bytes: usize,
    /// Seconds in which a JSON body must have come.
    pub body_seconds: u64,
    /// Seconds in which a request must be answered; transfers of files and streams have no limit of this kind.
    pub answer_seconds: u64,
    /// Seconds for which a file being uploaded may pause.
    pub upload_pause_seconds: u64,
    /// Requests of one user a second, averaged over ten.
    pub requests_per_second: u32,
    /// Bytes of a frame from a live connection.
    pub live_frame_bytes: usize,
    /// Frames from a live connection a second, averaged over ten.
    pub live_frames_per_second: u32,
    /// Rooms of one batch join.
    pub live_rooms: usize,
    /// Seconds between pings to a live connection; one that is silent for three of these is closed.
    pub live_ping_seconds: u64,
    /// Seconds that a stopping server gives its connections to end.
    pub drain_seconds: u64,
    /// The domain for which the cookie is set, so that it goes to all servers of a pool below it. Empty: to the host that set it alone.
    pub cookie_domain: String,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            connections_per_address: 5_000,
            head_seconds: 30,
            head_bytes: 16 * 1024,
            header_fields: 64,
            body_bytes: 1024 * 1024,
            import_body_bytes: 32 * 1024 * 1024,
            body_seconds: 30,
            answer_seconds: 60,
            upload_pause_seconds: 30,
            requests_per_second: 500,
            live_frame_bytes: 64 * 1024,
            live_frames_per_second: 20,
            live_rooms: 1_000,
            live_ping_seconds: 30,
            drain_seconds: 10,
            cookie_domain: String::new(),
        }
    }
}
