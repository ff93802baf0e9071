//! Clients of a pool, many at once, that go on through whatever happens and record what they are told and see.
//!
//! A writer posts one message after the other, each with the same client id however often it takes and on whatever server. A listener has a live
//! connection, and when that ends another one, on any server, from where it stopped. What all of them recorded is judged by [`holdfast_history`] when
//! the [`Load`] is over. They know no more than any client does: addresses, names and passwords.

pub mod cast;
pub mod hosts;
pub mod http;
pub mod live;
pub mod load;
pub mod plan;
pub mod read;

mod listener;
mod pace;
mod shared;
mod writer;

pub use cast::Cast;
pub use hosts::Hosts;
pub use http::Http;
pub use live::Live;
pub use load::{Load, Outcome};
pub use plan::Plan;
