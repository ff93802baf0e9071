//! How agents, witness and operators speak: JSON over HTTP/1 over mutually authenticated TLS.
//!
//! [`server`] takes connections and says who is there; [`client`] keeps one connection to a process and tells *not sent* from *unknown*.

pub mod client;
pub mod server;

pub use client::{Remote, RemoteError};
pub use server::{Failure, listen, serve};

/// Bytes of a request or an answer at most.
pub const MOST_BYTES: usize = 4 << 20;
