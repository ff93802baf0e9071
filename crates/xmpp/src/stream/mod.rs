//! XML streams: what comes, within bounds; how it goes over TCP, TLS and WebSocket; and what ends it.

pub(crate) mod decoder;
pub(crate) mod error;
pub(crate) mod inline;
pub(crate) mod negotiation;
pub(crate) mod transport;
