//! One PostgreSQL server as an agent runs it: its programs, settings, process, and what it says of itself.
//!
//! The hand of the agent, not its head: nothing here knows of pools, sites, or who ought to be what. An [`Instance`] is one directory
//! ([`Layout`]) with one data directory in it; everything is said to it through files outside of the data directory, by signals, and by SQL on a
//! socket that only its own user can open.
//!
//! Reading order: [`layout`], [`settings`], [`dynamic`] and [`access`] are what is written down; `start`, `stop` and `process` are its life;
//! [`status`] is what it says; `standby`, `timeline` and `mirror` are what mirrors and failovers need.
//!
//! **Invariants:** it starts closed to everybody but its agent, unless told otherwise. A data directory is never removed: one that is replaced is
//! moved aside. The postmaster outlives its agent, and the next agent finds it. Nobody waits without a limit, and a limit that passes ends the
//! waiting, never the work. Whatever is
//! interrupted by a kill, the next start knows of, and it is the start that sees to it: see `interrupted`.

pub mod access;
mod connect;
pub mod control;
pub mod dynamic;
mod error;
mod files;
mod init;
mod instance;
mod interrupted;
pub mod layout;
mod mirror;
mod process;
mod programs;
mod progress;
mod quote;
mod rewind;
mod sessions;
pub mod settings;
mod standby;
mod start;
pub mod status;
mod stop;
mod timeline;

pub use access::Access;
pub use control::{ClusterState, ControlData};
pub use dynamic::{Dynamic, Sync, Upstream};
pub use error::{Error, Result};
pub use instance::Instance;
pub use layout::Layout;
pub use mirror::Barrier;
pub use programs::Programs;
pub use progress::{Progress, silent};
pub use rewind::Rewound;
pub use sessions::Session;
pub use settings::Settings;
pub use standby::Cloned;
pub use start::{Boot, Started};
pub use status::{Archiver, Disk, Follower, Phase, Primary, Receiver, Server, Standby, Status, Unarchived};
pub use stop::Stop;
pub use timeline::{Fork, Promotion};
