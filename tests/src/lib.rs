//! What the end-to-end tests share: the real binary ([`cli`]), a server of it that runs ([`server`]), and a client that speaks
//! HTTP to it ([`http`]). Waiting is always for a condition, with a deadline, never for a time.

pub mod cli;
pub mod http;
pub mod server;
pub mod wait;
