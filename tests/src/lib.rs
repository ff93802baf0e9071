//! What the end-to-end tests share: the real binary ([`cli`]), servers of it that run ([`server`], [`pool`]; with XMPP clients of others' making, [`xmpp`]), clients of
//! them that record what they see ([`load`]; the clients themselves are those of `holdfast-load`), what comes between a server and its database ([`proxy`]), and both sites of
//! a pool ([`lab`]). Waiting is always for a condition, with a deadline, never for a time.

pub mod cli;
pub mod disk;
pub mod lab;
pub mod load;
pub mod pool;
pub mod proxy;
pub mod server;
pub mod wait;
pub mod xmpp;

pub use holdfast_load::{http, live};
