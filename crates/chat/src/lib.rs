//! The live service: what happens between a door and the store.
//!
//! [`Chat`] is the service. A door authenticates a [`Caller`], calls methods on it, and for those who stay connected opens a
//! [`Live`] connection. The way of a message: [`Chat::post`] asks `domain::rights`, the journal gathers drafts
//! and commits them together, and only after the commit does the hub hand the entry to everybody in the room, its author included.
//!
//! **Invariants.** Nothing is shown before it is durable. A commit is never cancelled: dropping a future drops the answer, not the
//! writing. The directory in memory changes by committed entries only. No lock is held across an await.

pub mod accounts;
pub mod addresses;
mod announcing;
pub mod caller;
pub mod categories;
mod chance;
pub mod change;
pub mod clock;
pub mod direct;
pub mod error;
pub mod event;
pub mod files;
mod handing;
pub mod history;
mod housekeeping;
mod hub;
pub mod importing;
mod journal;
pub mod keeping;
pub mod live;
pub mod notices;
pub mod operating;
pub mod options;
mod outbox;
mod patience;
pub mod people;
pub mod personal;
mod picture;
pub mod pool;
pub mod posting;
pub mod preferences;
mod reading;
pub mod rooms;
pub mod searching;
pub mod service;
pub mod slots;
pub mod view;

pub use caller::{Caller, Means, Scope};
pub use change::{Mode, Outcome};
pub use clock::Clock;
pub use error::{ChatError, Result};
pub use live::{Live, Teller};
pub use options::{AccountOptions, Options, ServerOptions};
pub use pool::{ActiveChange, DatabaseView, PoolView, ServerView, Standing};
pub use service::Chat;
