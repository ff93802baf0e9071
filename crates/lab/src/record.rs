//! What a lab has started, kept in its directory, so that each command finds what another one left.

use crate::owner::Owner;
use crate::place::Place;
use crate::ports::Ports;
use crate::processes;
use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Grows when this file changes its meaning.
const VERSION: u32 = 1;

/// What was started, and how it is reached.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Record {
    version: u32,
    /// Whose all of it is.
    pub(crate) owner: Owner,
    /// What is run.
    pub binary: PathBuf,
    /// Who listens where.
    pub ports: Ports,
    /// The administrator's name.
    pub admin: String,
    /// His password, and that of everybody else.
    pub password: String,
    /// Whether the sites are bound by shipped log alone.
    pub shipping_only: bool,
    /// Where the shares lie, if not in the lab.
    #[serde(default)]
    pub shares: Option<String>,
    /// Whether everything of [`crate::Lab::up`] was done.
    pub complete: bool,
    /// How many loads there were.
    pub loads: u32,
    /// What runs, or ran.
    pub processes: Vec<Process>,
}

/// What a process is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Looks after a PostgreSQL.
    Agent,
    /// A chat server.
    Server,
    /// The third voter.
    Witness,
}

/// A process that was started.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Process {
    /// The short name of its machine.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Its site; none of the witness.
    pub site: Option<String>,
    /// Its number.
    pub pid: i32,
    /// When it was started, in the kernel's ticks: numbers are given anew, and this one is only meant with that.
    pub started: u64,
}

impl Process {
    /// Whether it still runs.
    pub fn is_running(&self) -> bool {
        processes::started(self.pid) == Some(self.started)
    }
}

impl Record {
    pub(crate) fn new(owner: Owner, binary: PathBuf, ports: Ports, password: String, shipping_only: bool) -> Record {
        let (admin, processes) = ("admin".to_owned(), Vec::new());
        Record {
            version: VERSION,
            owner,
            binary,
            ports,
            admin,
            password,
            shipping_only,
            shares: None,
            complete: false,
            loads: 0,
            processes,
        }
    }

    /// That of a lab that is or was up.
    pub(crate) fn load(place: &Place) -> Result<Record> {
        let path = place.record();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                bail!("there is no lab in {}; make one with `holdfast lab up --dir {0}`", place.dir().display())
            }
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        let record: Record = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
        if record.version != VERSION {
            bail!("{} was made by another version of this program; take it down with that one", path.display());
        }
        Ok(record)
    }

    pub(crate) fn save(&self, place: &Place) -> Result<()> {
        let (path, new) = (place.record(), place.dir().join("lab.json.new"));
        self.owner.write(&new, &serde_json::to_string_pretty(self)?)?;
        std::fs::rename(&new, &path).with_context(|| path.display().to_string())
    }

    /// Notes a process in the place of an earlier one of that name.
    pub(crate) fn note(&mut self, process: Process) {
        self.processes.retain(|other| other.name != process.name);
        self.processes.push(process);
    }

    /// Where a chat server is reached, as `host:port`.
    pub fn host(&self, server: &str) -> String {
        format!("127.0.0.1:{}", self.ports.of(server))
    }
}
