//! PostgreSQL's write-ahead log as files: what they are called, which of them count, and their way from one site to the other.
//!
//! [`lsn`] and [`segment`] are positions and names; [`lineage`] says which file of which timeline is the pool's history at any place. Then the
//! way of a file: [`ship`] is what PostgreSQL calls for every file that is full, [`share`] is where it comes to lie, with a [`manifest`] beside
//! it, and [`fetch`] is what PostgreSQL calls in the other site. [`verify`] proves what lies on a share before anybody relies on it, and puts it
//! where a failover applies it from. [`settings`] is how an agent tells all of them what is so now.
//!
//! **Invariants:** the share is append-only: no object ever changes content. What the share holds is a prefix of what the mirror holds, which is a
//! prefix of what the primary holds, on one lineage. "Not there" is only said after a listing that succeeded.

mod durable;
mod gate;
mod waldump;

pub mod content;
pub mod fetch;

pub mod header;
pub mod inventory;
pub mod lineage;
pub mod lineage_store;
pub mod local;
pub mod lsn;
pub mod manifest;
pub mod names;
pub mod retention;
pub mod segment;
pub mod settings;
pub mod share;
pub mod ship;
pub mod staged;
pub mod verify;

pub use fetch::{FetchError, fetch};
pub use inventory::{Inventory, Start};
pub use lineage::{Claim, Lineage, Opening};
pub use lsn::Lsn;
pub use manifest::Manifest;
pub use segment::{Segment, SegmentSize, SystemIdentifier, WalFile};
pub use settings::{FetchFrom, WalSettings};
pub use share::{Share, ShareError, location_fault, reaches_shares};
pub use ship::{ShipError, Shipped, ship};
pub use verify::{Report, Target, stage, verify};
