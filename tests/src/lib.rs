//! What the end-to-end tests share: the real binary ([`cli`]), servers of it that run ([`server`], [`pool`]), a client that speaks
//! HTTP to them ([`http`]) and one that listens ([`live`]), many of both that record what they see ([`load`]), and what comes between a server and its
//! database ([`proxy`]). Waiting is always for a condition, with a deadline, never for a time.

pub mod cli;
pub mod disk;
pub mod http;
pub mod live;
pub mod load;
pub mod pool;
pub mod proxy;
pub mod server;
pub mod wait;
