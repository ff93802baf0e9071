//! What a persistent chat *is*, without a socket, a clock or a database.
//!
//! Read it in this order: [`id`] and [`name`] are the words; [`principal`], [`category`] and [`room`] are the things;
//! [`entry`] is what can happen to them, and [`chain`] makes a tamper-evident log of it; [`directory`] is the state that
//! follows from the log; [`rights`] is the one place that says who may do what. The rest are small decisions that more
//! than one floor above needs: [`text`], [`mention`], [`feed`], [`roster`], [`limits`].
//!
//! **Invariant:** nothing here reads a clock, draws a random number, or does I/O. Time and chance are parameters.

pub mod address;
pub mod category;
pub mod chain;
pub mod directory;
pub mod entry;
pub mod feed;
pub mod id;
pub mod invalid;
pub mod limits;
pub mod mention;
pub mod name;
pub mod principal;
pub mod rights;
pub mod room;
pub mod roster;
pub mod text;
pub mod time;

pub use category::Category;
pub use directory::Directory;
pub use entry::{Entry, EntryBody};
pub use id::{CategoryId, ClientId, FileId, PrincipalId, RoomId, Seq};
pub use invalid::Invalid;
pub use limits::Limits;
pub use principal::{Group, Principal, User};
pub use room::Room;
pub use time::Time;
