//! The management shell: the lines of the runbook, one grammar, a table of cmdlets.
//!
//! Read it in this order: [`grammar`] makes statements of a text, in PowerShell's spelling or as SQL lines; [`mod@line`] makes a statement
//! ready, with all that can be wrong with it found before anything is done; [`cmdlets`] and [`sql`] are the two tables of what there is, one file each;
//! [`administration`] is what they have done, the same calls as the command line's; [`session`] takes a file or a person through it.
//!
//! **Invariant:** the shell decides nothing about the pool. A line is one call, and what is shown is what was told.

pub mod administration;
pub mod bind;
pub mod cmdlet;
pub mod cmdlets;
pub mod complete;
pub mod fault;
pub mod grammar;
mod interactive;
pub mod line;
pub mod names;
mod nearest;
mod render;
pub mod session;
pub mod span;
pub mod sql;
pub mod told;

pub use administration::{
    ActiveServers, Administration, Connection, MirrorView, NewMirror, PoolState, PoolView, Principal, Refusal,
    RefusalKind, ServerView,
};
pub use names::{Database, Fqdn, Identity, Share};
pub use session::{Attendant, Ending, Options, Session};
pub use told::Told;
