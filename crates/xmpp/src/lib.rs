//! The XMPP door: client connections over TCP, TLS and WebSocket, and Holdfast's rooms as Multi-User Chat with their archives.
//!
//! [`Door`] takes connections. [`stream`] makes stanzas of bytes, within bounds, and has a client sign in; a [`session`] then does what the client asks in
//! its order and tells it what happens. [`muc`] is rooms, [`archive`] what was said, [`user`] what a person has besides rooms, [`server`] who answers which
//! question. Whatever is decided here about rights is asked of `domain::rights` by way of the service.
//!
//! **Invariants.** Nothing is shown in a room before it is durable: it comes back to its sender from the log, like to everybody else. A stanza for many is
//! made once. What a stranger sends is bounded before a tree of it is made. A stanza counts as handled (XEP-0198) only when what it asked is durable.

mod addresses;
mod archive;
mod door;
mod elsewhere;
mod end_point;
mod figures;
mod files;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod limits;
mod muc;
mod ns;
mod options;
mod resources;
mod sasl;
mod server;
mod session;
mod stanza;
mod stream;
mod tls;
mod user;
mod websocket;
mod xml;

pub use door::{Door, OpenError};
pub use figures::Figures;
pub use options::XmppOptions;
pub use tls::TlsError;
pub use websocket::Source;
