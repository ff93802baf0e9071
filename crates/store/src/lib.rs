//! What is kept: one interface, one folder for each engine behind it, one conformance suite that every engine passes.
//!
//! The interface speaks of logs ([`RoomLog`]), what follows from them ([`Projections`], [`Search`]), and the little that
//! does not: accounts ([`Accounts`]), reading positions and personal lists ([`Personal`]), what people's clients keep ([`Items`]), what two people
//! write to each other ([`DirectMessages`]), files ([`Files`]). A store that several servers can share is a [`Pool`] as well. The interface knows
//! nothing of SQL, so that an engine's ways do not leak; only the engines' folders do.
//!
//! **Invariant:** the log is the truth. [`RoomLog::append`] keeps every projection in step within its transaction, and
//! [`Maintenance::rebuild`] can make all of them anew from the logs.
//!
//! **Durability:** a method that changes something returns `Ok` only after the change is on disk as the engine's durable setting
//! promises; each says where it promises less.

pub mod accounts;
mod best;
mod chaining;
#[cfg(test)]
pub mod conformance;
pub mod copy;
pub mod direct;
mod directory_words;
pub mod error;
pub mod files;
pub mod items;
mod kept;
pub mod log;
pub mod maintenance;
pub mod notice;
mod numbering;
mod paging;
pub mod personal;
pub mod pool;
pub mod postgres;
pub mod projections;
pub mod search;
pub mod sqlite;

pub use accounts::Accounts;
pub use direct::DirectMessages;
pub use error::StoreError;
pub use files::Files;
pub use items::Items;
pub use log::RoomLog;
pub use maintenance::Maintenance;
pub use personal::Personal;
pub use pool::Pool;
pub use projections::Projections;
pub use search::Search;

/// Everything that an engine provides.
pub trait Store:
    RoomLog + Projections + Search + Accounts + Personal + Items + DirectMessages + Files + Maintenance
{
}

impl<T: RoomLog + Projections + Search + Accounts + Personal + Items + DirectMessages + Files + Maintenance> Store
    for T
{
}

/// The result of a store's method.
pub type Result<T> = std::result::Result<T, StoreError>;
