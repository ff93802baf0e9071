//! What is measured; each in a file of its own.

pub(crate) mod crash;
pub(crate) mod fanout;
pub(crate) mod history;
pub(crate) mod idle;
pub(crate) mod join;
pub(crate) mod posts;
pub(crate) mod signins;
pub(crate) mod storm;

use crate::audience::Seat;
use crate::figures::Figure;
use crate::sasl::Way;
use crate::site::{Site, room};
use anyhow::Result;
use clap::ValueEnum;
use std::time::Duration;

/// One of the measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum What {
    /// Time and bytes of entering a room.
    Join,
    /// From a message to the last occupant; processor time of a delivery.
    Fanout,
    /// Messages a second, in many rooms and in one.
    Posts,
    /// Pages of 50 from a large archive.
    History,
    /// Everybody is cut off, comes back and asks for what was missed.
    Storm,
    /// Memory of a connection that does nothing.
    Idle,
    /// Signing in and entering a room.
    Signins,
    /// What was shown and is gone after a kill.
    Crash,
}

impl What {
    /// All of them, in the order in which they are made: what a kill leaves must not be measured with.
    pub(crate) const ALL: [What; 8] =
        [What::Idle, What::Signins, What::Join, What::Fanout, What::Posts, What::History, What::Storm, What::Crash];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Fanout => "fanout",
            Self::Posts => "posts",
            Self::History => "history",
            Self::Storm => "storm",
            Self::Idle => "idle",
            Self::Signins => "signins",
            Self::Crash => "crash",
        }
    }

    /// Measures it.
    pub(crate) async fn measure(self, site: &mut Site, sizes: &Sizes) -> Result<Vec<Figure>> {
        match self {
            Self::Join => join::measure(site, sizes).await,
            Self::Fanout => fanout::measure(site, sizes).await,
            Self::Posts => posts::measure(site, sizes).await,
            Self::History => history::measure(site, sizes).await,
            Self::Storm => storm::measure(site, sizes).await,
            Self::Idle => idle::measure(site, sizes).await,
            Self::Signins => signins::measure(site, sizes).await,
            Self::Crash => crash::measure(site, sizes).await,
        }
    }
}

/// How much of everything.
#[derive(Clone, Debug)]
pub(crate) struct Sizes {
    /// Occupants of one room, in turn.
    pub(crate) occupants: Vec<usize>,
    /// For how long each rate is kept.
    pub(crate) length: Duration,
    /// Small rooms.
    pub(crate) rooms: usize,
    /// Occupants of each.
    pub(crate) in_each: usize,
    /// Messages of the large archive.
    pub(crate) history: usize,
    /// Connections that do nothing.
    pub(crate) idle: usize,
    /// Sign-ins of one kind.
    pub(crate) signins: usize,
    /// Clients that are cut off.
    pub(crate) storm: usize,
    /// Within what they come back.
    pub(crate) storm_length: Duration,
}

impl Sizes {
    pub(crate) fn usual() -> Self {
        Self {
            occupants: vec![10, 100, 1_000],
            length: Duration::from_secs(10),
            rooms: 100,
            in_each: 4,
            history: 100_000,
            idle: 2_000,
            signins: 1_000,
            storm: 1_000,
            storm_length: Duration::from_secs(10),
        }
    }

    /// To see that everything works.
    pub(crate) fn quick() -> Self {
        Self {
            occupants: vec![10, 100],
            length: Duration::from_secs(3),
            rooms: 20,
            in_each: 3,
            history: 3_000,
            idle: 200,
            signins: 100,
            storm: 100,
            storm_length: Duration::from_secs(2),
        }
    }

    /// As many users as the largest of all that needs.
    pub(crate) fn users(&self) -> usize {
        let occupants = self.occupants.iter().max().copied().unwrap_or_default() + join::JOINERS;
        [occupants, self.rooms * self.in_each, self.idle, self.signins, self.storm, 100]
            .into_iter()
            .max()
            .unwrap_or(100)
    }
}

/// `in_each` users in each of `rooms`, one after the other.
fn seats(site: &Site, name: &str, rooms: usize, in_each: usize) -> Vec<Seat> {
    let seat =
        |n: usize| Seat { account: site.account(n, Way::Scram), room: Some(room(format!("{name}{}", n / in_each))) };
    (0..rooms * in_each).map(seat).collect()
}

/// Their rooms.
fn rooms(name: &str, rooms: usize) -> Vec<String> {
    (0..rooms).map(|n| room(format!("{name}{n}"))).collect()
}

/// Microseconds for each.
fn micros(used: Duration, of: u64) -> f64 {
    used.as_secs_f64() * 1_000_000.0 / crate::figures::count(of.max(1))
}

/// How many a second.
fn rate(number: u64, took: Duration) -> f64 {
    crate::figures::count(number) / took.as_secs_f64().max(f64::MIN_POSITIVE)
}
