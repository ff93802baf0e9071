//! The pool's own certificate authority, and mutually authenticated TLS between its processes.
//!
//! Every process of a pool has an identity: a directory with `cert.pem`, `key.pem` and `ca.pem`, which PostgreSQL and its clients read as they are. The
//! certificate says who it is ([`Peer`]): a name and a kind. Who belongs to the pool is who has a certificate of its authority; what each kind may do
//! is decided where it is asked for something.
//!
//! Reading order: [`authority`] makes what [`identity`] loads; [`link`] is a connection between two of our processes; `refusal` says in words why there is none.
//!
//! **Invariant:** a [`Peer`] comes from a certificate that was verified, and is parsed once. What a stranger sends never panics, and never
//! keeps us waiting for longer than [`link::PATIENCE`].

pub mod authority;
pub mod certificate;
pub mod error;
mod files;
pub mod identity;
pub mod link;
pub mod peer;
mod refusal;
mod verify;

#[cfg(test)]
mod tests;

pub use authority::{Authority, Wanted};
pub use certificate::Certificate;
pub use error::PkiError;
pub use identity::{Identity, client_config, server_config};
/// A moment, as certificates have it.
pub use jiff::Timestamp;
pub use link::{Acceptor, TlsStream, connect, why_refused};
pub use peer::{Kind, Peer};
