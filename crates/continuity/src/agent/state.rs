//! What an agent remembers: what its instance is to be, and every claim and opening that it has heard of.
//!
//! An order changes this file first and the world after it; the keeper brings the world to what is written here, whatever happened in between.

use crate::durable;
use crate::register::Protection;
use holdfast_wal::{Claim, Lineage, Opening};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// From where a standby may fetch log that it does not get by streaming.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fetch {
    /// From the share, as the lineage says.
    Follow,
    /// Only from the copy folder, in which everything is verified.
    Staged,
    /// From nowhere.
    Closed,
}

/// What an instance is to be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum Place {
    /// Nothing: there is no data here yet.
    Empty,
    /// The one that takes writes.
    Primary,
    /// One that follows.
    Standby {
        /// Whom by streaming; `None`: nobody.
        upstream: Option<String>,
        /// From where else.
        fetch: Fetch,
    },
    /// Down, because a person or a procedure said so. It goes on as it was when it is started.
    Stopped {
        /// What it was.
        was: Box<Place>,
    },
    /// Down and kept as it is: it was a primary, and somebody else holds a newer epoch.
    Fenced {
        /// The epoch that it held.
        held: u64,
        /// In words.
        why: String,
    },
}

impl Place {
    /// Whether it is, or was before it was stopped, the primary.
    pub fn is_primary(&self) -> bool {
        match self {
            Place::Primary => true,
            Place::Stopped { was } => was.is_primary(),
            _ => false,
        }
    }
}

/// Everything that is remembered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Remembered {
    /// What the instance is to be.
    pub place: Place,
    /// Claims, oldest first.
    pub claims: Vec<Claim>,
    /// Openings, oldest first.
    pub openings: Vec<Opening>,
    /// How the pool is protected, as far as this instance knows; the primary decides.
    pub protection: Protection,
    /// Whether the primary is to have a mirror: only then does it become synchronous again by itself.
    pub mirrored: bool,
    /// When its data was copied from another instance; `None`: it never was.
    #[serde(default)]
    pub copied_at: Option<Timestamp>,
}

impl Remembered {
    fn nothing() -> Remembered {
        Remembered {
            place: Place::Empty,
            claims: Vec::new(),
            openings: Vec::new(),
            protection: Protection::Exposed,
            mirrored: false,
            copied_at: None,
        }
    }

    /// The lineage as far as it is known here.
    pub fn lineage(&self) -> Lineage {
        Lineage::new(self.claims.clone(), self.openings.clone())
    }

    /// The newest claim.
    pub fn newest(&self) -> Option<&Claim> {
        self.claims.last()
    }

    /// The newest epoch; 0 before the first.
    pub fn epoch(&self) -> u64 {
        self.newest().map_or(0, |c| c.epoch)
    }

    /// Takes over what another one knows; whether anything was new. Of two that contradict each other the one that was known first stays.
    pub fn learn(&mut self, lineage: &Lineage) -> bool {
        let mut news = false;
        for claim in lineage.claims() {
            if !self.claims.iter().any(|c| c.epoch == claim.epoch) {
                self.claims.push(claim.clone());
                news = true;
            }
        }
        for opening in lineage.openings() {
            if !self.openings.iter().any(|o| o.epoch == opening.epoch) {
                self.openings.push(opening.clone());
                news = true;
            }
        }
        self.claims.sort_by_key(|c| c.epoch);
        self.openings.sort_by_key(|o| o.epoch);
        news
    }
}

/// The file with it.
#[derive(Debug)]
pub(crate) struct Memory {
    path: PathBuf,
    now: Mutex<Remembered>,
}

impl Memory {
    /// Reads it from an instance's directory; a new instance remembers nothing.
    pub(crate) fn open(dir: &Path) -> io::Result<Memory> {
        let path = dir.join("state.json");
        let now = durable::read(&path)?.unwrap_or_else(Remembered::nothing);
        Ok(Memory { path, now: Mutex::new(now) })
    }

    /// What is remembered now.
    pub(crate) fn now(&self) -> Remembered {
        self.lock().clone()
    }

    /// Changes it, on disk when this returns; whether anything changed.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Remembered)) -> io::Result<bool> {
        let mut now = self.lock();
        let mut next = now.clone();
        change(&mut next);
        if next == *now {
            return Ok(false);
        }
        durable::write(&self.path, &next)?;
        *now = next;
        Ok(true)
    }

    fn lock(&self) -> MutexGuard<'_, Remembered> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_remembers_and_does_not_believe_a_second_story() {
        let dir = tempfile::tempdir().unwrap();
        let memory = Memory::open(dir.path()).unwrap();
        let claim = |epoch, holder: &str| Claim {
            epoch,
            holder: holder.into(),
            by: "x".into(),
            at: jiff::Timestamp::UNIX_EPOCH,
        };
        let learn = |claims: Vec<Claim>| {
            memory
                .change(|m| {
                    m.learn(&Lineage::new(claims, vec![]));
                })
                .unwrap()
        };
        assert!(learn(vec![claim(1000, "b1"), claim(1, "a1")]));
        assert!(!learn(vec![claim(1000, "a1")]));
        let read = Memory::open(dir.path()).unwrap().now();
        assert_eq!((read.epoch(), read.newest().unwrap().holder.as_str()), (1000, "b1"));
    }
}
