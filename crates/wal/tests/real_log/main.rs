//! With log that a real PostgreSQL wrote: the way of a file to the share and from there, and every damage that was thought of.
//! Faults have the numbers of the project's catalogue of faults, and are said in words beside them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed"
)]

mod damage;
mod fetching;
mod fork;
mod gate;
mod ground;
mod shipping;
mod space;
mod whole;
