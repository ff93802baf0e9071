//! The history checker: clients of one or several servers record what they sent, what they were told of it and what they saw
//! ([`record`]); [`check()`] says whether that can be true of rooms that lose, double and reorder nothing ([`report`]).
//!
//! A room is an append-only list. Of such a list the right histories are known: whatever was acknowledged is there once, at its number;
//! whatever was reported as failed is not there; of whatever else was sent (*unknown*) either may be so; and all see the same list. Nothing here
//! reads a clock, a file or a socket.
//!
//! When a site is lost, the end of what it acknowledged may go with it, as much as was announced: [`check_after`] allows exactly that ([`loss`]) and
//! is otherwise as strict.

pub mod loss;
pub mod record;
pub mod report;

mod check;

pub use check::{check, check_after};
pub use loss::Loss;
pub use record::{Digest, Fate, FinalLog, History, Logged, Message, Seen, Told, View};
pub use report::{Counts, Fault, Kind, Report};
