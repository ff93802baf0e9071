//! PostgreSQL's write-ahead log as files: what they are called, which of them count, and their way from one site to the other.
//!
//! [`lsn`] and [`segment`] are positions and names; [`lineage`] says which file of which timeline is the pool's history at any place.
//! Everything else is built on these three.
//!
//! **Invariants:** the share is append-only: no object ever changes content. What the share holds is a prefix of what the mirror holds, which is a
//! prefix of what the primary holds, on one lineage. "Not there" is only said after a listing that succeeded.

pub mod lineage;
pub mod lsn;
pub mod segment;

pub use lineage::{Claim, Lineage, Opening};
pub use lsn::Lsn;
pub use segment::{Segment, SegmentSize, WalFile};
