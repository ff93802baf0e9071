//! Sites, instances, witness, epoch and fence, and the procedures that move a pool between them.
//!
//! PostgreSQL does the replicating; this crate decides, verifies and fences. [`topology`] says where things are, [`roles`] who is what now,
//! [`register`] what the witness remembers, [`procedure`] how anything that must not be done halfway is done.
//!
//! **Invariants:** promotion proves nothing, so everything is verified before it. Only an agent starts its PostgreSQL, and what was a primary starts
//! fenced: nothing can be acknowledged until the agent has confirmed that it holds the newest epoch. Whoever hears of a higher epoch fences
//! itself. A commit is never cancelled. *Unknown* counts as *no*.

pub mod agent;
mod doing;
mod durable;
pub mod failover;
pub mod mirror;
pub mod procedure;
pub mod register;
pub mod roles;
mod seal;
pub mod switchover;
pub mod topology;
pub mod wire;
pub mod witness;
