//! Both sites on one machine, with a checked load, to look at, to rehearse and to measure.
//!
//! A [`Lab`] is made of nothing but what a real pool is made of: the real binary, run as agents, witness and chat servers, real PostgreSQL instances, a
//! topology file, certificates, shares. What is done to it is done by the commands that an administrator types ([`commands`]). Read [`place`] for what lies
//! where, [`up`](Lab::up) for how it comes to be, [`kill`](Lab::kill) for how a site is lost, [`demo`](Lab::demo) for the whole story.
//!
//! **Invariant:** whatever the lab starts can be found again from what lies in its directory and from the processes themselves, by another process and
//! after any accident; [`down`](Lab::down) leaves nothing.

mod backlog;
mod commands;
mod cut;
mod demo;
mod down;
mod figures;
mod furnish;
mod harm;
mod loading;
mod owner;
mod papers;
mod picture;
mod ports;
mod processes;
mod record;
mod start;
mod status;
mod up;

pub mod names;
pub mod place;

pub use demo::{Demo, DemoOptions, StepTaken, Timeline};
pub use figures::Spread;
pub use loading::{LoadOptions, LoadReport};
pub use owner::Owner;
pub use picture::picture;
pub use record::{Kind, Process, Record};
pub use status::{InstanceNow, ProcessNow, Status};
pub use up::UpOptions;

use anyhow::Result;
use place::Place;
use std::path::Path;
use std::time::Duration;

/// What the lab is at, for whoever watches.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// Something has begun that takes a while.
    Begun(String),
    /// It is done.
    Done(String, Duration),
    /// Something worth a line happened.
    Note(String),
}

/// Hears what the lab is at.
pub type Watcher<'a> = &'a (dyn Fn(Event) + Send + Sync);

/// Both sites on this machine.
#[derive(Debug)]
pub struct Lab {
    place: Place,
    record: Record,
}

impl Lab {
    /// The lab in a directory, which is or was up.
    ///
    /// # Errors
    /// When there is none.
    pub fn open(dir: &Path) -> Result<Lab> {
        let place = Place::of(dir)?;
        let record = Record::load(&place)?;
        Ok(Lab { place, record })
    }

    /// Where everything of it lies.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What was started, and how it is reached.
    pub fn record(&self) -> &Record {
        &self.record
    }
}

/// Does something, and lets the watcher know of its beginning and its end.
pub(crate) async fn stage<T>(watcher: Watcher<'_>, what: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    let begun = std::time::Instant::now();
    watcher(Event::Begun(what.to_owned()));
    let outcome = work.await?;
    watcher(Event::Done(what.to_owned(), begun.elapsed()));
    Ok(outcome)
}
