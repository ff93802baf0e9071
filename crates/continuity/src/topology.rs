//! The topology: one file that names a pool's sites, instances, servers, shares and witness, and is the same everywhere.
//!
//! It says where things are and what they are at the beginning. What they are *now* follows from the newest claim: see [`crate::roles`].

mod check;

pub use check::Problem;

use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A pool over two sites.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topology {
    /// The pool as a whole.
    pub pool: PoolSettings,
    /// Its data centres: one, or two.
    pub sites: Vec<Site>,
    /// Its PostgreSQL servers.
    pub instances: Vec<InstancePlace>,
    /// Its chat servers.
    #[serde(default)]
    pub servers: Vec<ServerPlace>,
    /// The third voter, if there is one.
    #[serde(default)]
    pub witness: Option<WitnessPlace>,
    /// As whom a failover proves that clients can work, if it is to.
    #[serde(default)]
    pub probe: Option<Probe>,
}

/// What holds for the pool as a whole.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolSettings {
    /// Its name, under which clients and administrators know it.
    pub fqdn: String,
    /// What happens when the mirror is lost and there is no witness to record it.
    #[serde(default)]
    pub mirror_lost: MirrorLost,
    /// Seconds for which commits wait for a lost mirror before the pool goes on without it.
    #[serde(default = "default_expose_after")]
    pub expose_after_seconds: u64,
    /// Whether the backup follows by streaming too, and not by shipped log alone.
    #[serde(default = "default_streaming")]
    pub streaming: bool,
    /// Seconds after which a segment that is not full is shipped all the same.
    #[serde(default = "default_archive_timeout")]
    pub archive_timeout_seconds: u64,
    /// Days for which log stays on the shares at least; what somebody still needs stays longer. 0: for ever.
    #[serde(default = "default_retention")]
    pub retention_days: u32,
    /// Seconds between two looks of the backup's agent at the share, at each of which it proves a few segments; 0: it proves none.
    #[serde(default = "default_verify_every")]
    pub verify_every_seconds: u64,
}

fn default_expose_after() -> u64 {
    10
}

fn default_streaming() -> bool {
    true
}

fn default_archive_timeout() -> u64 {
    30
}

fn default_retention() -> u32 {
    30
}

fn default_verify_every() -> u64 {
    30
}

/// What happens when the mirror is lost and there is no witness.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MirrorLost {
    /// Commits wait until a mirror is back, however long that takes.
    Wait,
    /// The pool goes on, exposed: what is acknowledged is on one machine only.
    #[default]
    Expose,
}

/// A data centre.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// Its short name.
    pub name: String,
    /// The share that lies in this site, a folder or an address: the primary of the *other* site ships its log there.
    pub share: String,
    /// A command that makes sure that nothing of this site can take writes, run when it has to be fenced; exit code 0 means that it is.
    #[serde(default)]
    pub fence_command: Option<String>,
}

/// A role of an instance.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Role {
    /// Takes writes.
    #[serde(rename = "primary")]
    Primary,
    /// Synchronous standby in the primary's site.
    #[serde(rename = "mirror")]
    Mirror,
    /// Log-shipped standby in the other site.
    #[serde(rename = "backup")]
    Backup,
    /// Follows the backup, to be its mirror one day.
    #[serde(rename = "backup mirror")]
    BackupMirror,
}

impl Role {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Role::Primary => "primary",
            Role::Mirror => "mirror",
            Role::Backup => "backup",
            Role::BackupMirror => "backup mirror",
        }
    }
}

/// Where a PostgreSQL server is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstancePlace {
    /// Its name: a DNS name, which its certificate bears.
    pub name: String,
    /// Its site.
    pub site: String,
    /// What it is when the pool is made.
    pub role: Role,
    /// Where it is reached, if not by its name.
    #[serde(default)]
    pub address: Option<String>,
    /// PostgreSQL's port.
    #[serde(default = "default_port")]
    pub port: u16,
    /// Its agent's port.
    #[serde(default = "default_agent_port")]
    pub agent_port: u16,
    /// The agent's directory on its machine.
    pub data: PathBuf,
    /// Settings of PostgreSQL beside ours, such as `shared_buffers`.
    #[serde(default)]
    pub settings: std::collections::BTreeMap<String, String>,
}

fn default_port() -> u16 {
    5432
}

fn default_agent_port() -> u16 {
    7432
}

impl InstancePlace {
    /// Where it is reached.
    pub fn address(&self) -> &str {
        self.address.as_deref().unwrap_or(&self.name)
    }
}

/// Where a chat server is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerPlace {
    /// Its name in the pool (`pool.server` of its settings), which its certificate bears.
    pub name: String,
    /// Its site.
    pub site: String,
    /// Where clients reach it.
    pub url: String,
    /// Where the agents reach it without TLS, if `url` is an address of a proxy with TLS: `http://host:port`.
    #[serde(default)]
    pub probe_url: Option<String>,
}

impl ServerPlace {
    /// Host and port where it is reached without TLS; `None`: nowhere that is known.
    pub fn plain_host(&self) -> Option<String> {
        let host = self.probe_url.as_ref().unwrap_or(&self.url).strip_prefix("http://")?.split('/').next()?;
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        Some(if has_port { host.to_owned() } else { format!("{host}:80") })
    }
}

/// An account with which it is tried whether clients can work: it signs in, posts to a room of its own, and reads back.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// The user's name.
    pub name: String,
    /// A file with the password on its first line, on the machine of every agent.
    pub password_file: PathBuf,
    /// A room in which that user may post; who is in it reads when a pool moved.
    pub room: String,
}

/// Where the witness is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessPlace {
    /// Its name, which its certificate bears.
    pub name: String,
    /// Where it is reached, if not by its name.
    #[serde(default)]
    pub address: Option<String>,
    /// Its port.
    #[serde(default = "default_witness_port")]
    pub port: u16,
}

fn default_witness_port() -> u16 {
    7430
}

impl WitnessPlace {
    /// Where it is reached.
    pub fn address(&self) -> &str {
        self.address.as_deref().unwrap_or(&self.name)
    }
}

/// A topology that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TopologyError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no topology.
    #[error("{path}: {why}")]
    Parse {
        /// Which.
        path: PathBuf,
        /// Where and why.
        why: String,
    },
    /// It contradicts itself.
    #[error("{path} cannot be used:{}", list(.problems))]
    Wrong {
        /// Which.
        path: PathBuf,
        /// All that is wrong.
        problems: Vec<Problem>,
    },
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(|p| format!("\n  {p}")).collect()
}

impl Topology {
    /// Reads a topology and checks it as a whole.
    ///
    /// # Errors
    /// [`TopologyError`], which names everything that is wrong.
    pub fn load(path: &Path) -> Result<Topology, TopologyError> {
        let topology = Self::read(path)?;
        let problems = topology.check();
        if problems.is_empty() {
            return Ok(topology);
        }
        Err(TopologyError::Wrong { path: path.to_owned(), problems })
    }

    /// Reads a topology without checking more than its form.
    ///
    /// # Errors
    /// [`TopologyError::Read`] and [`TopologyError::Parse`].
    pub fn read(path: &Path) -> Result<Topology, TopologyError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| TopologyError::Read { path: path.to_owned(), source })?;
        toml::from_str(&text)
            .map_err(|e| TopologyError::Parse { path: path.to_owned(), why: e.to_string().trim_end().to_owned() })
    }

    /// Everything that is wrong with it.
    pub fn check(&self) -> Vec<Problem> {
        check::check(self)
    }

    /// An instance by its name.
    pub fn instance(&self, name: &str) -> Option<&InstancePlace> {
        self.instances.iter().find(|i| i.name == name)
    }

    /// A site by its name.
    pub fn site(&self, name: &str) -> Option<&Site> {
        self.sites.iter().find(|s| s.name == name)
    }

    /// The instances of a site, in the order of the file.
    pub fn instances_of<'a>(&'a self, site: &'a str) -> impl Iterator<Item = &'a InstancePlace> {
        self.instances.iter().filter(move |i| i.site == site)
    }

    /// The site that is not this one.
    pub fn other_site(&self, site: &str) -> Option<&Site> {
        self.sites.iter().find(|s| s.name != site)
    }

    /// The servers of a site, in the order of the file.
    pub fn servers_of<'a>(&'a self, site: &'a str) -> impl Iterator<Item = &'a ServerPlace> {
        self.servers.iter().filter(move |s| s.site == site)
    }

    /// The instance that is primary when the pool is made.
    pub fn first_primary(&self) -> Option<&InstancePlace> {
        self.instances.iter().find(|i| i.role == Role::Primary)
    }
}
