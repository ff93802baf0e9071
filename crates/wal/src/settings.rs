//! What an agent tells `holdfast wal ship` and `holdfast wal fetch`: the file `wal.json` in the directory of its instance.
//!
//! PostgreSQL runs both as programs, also while the agent does not run; so what is so now stands in a file, which the agent replaces whole at
//! every change. Both read it anew each time, and while they wait.

use crate::durable;
use crate::segment::{SegmentSize, SystemIdentifier};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The contents of `wal.json`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WalSettings {
    /// The pool, by its name: a share of another pool is refused.
    pub pool: String,
    /// This instance, by its name in the topology.
    pub instance: String,
    /// Its cluster.
    pub system_identifier: SystemIdentifier,
    /// The size of its segments.
    pub segment_size: SegmentSize,
    /// The newest epoch that the agent knows.
    pub epoch: u64,
    /// Whether this instance holds that epoch. Who does not ships nothing.
    pub holder: bool,
    /// Whether it is on record that the pool goes on without its mirror. Only then is log shipped that no mirror has.
    pub exposed: bool,
    /// How this instance's own PostgreSQL is reached.
    pub local: Local,
    /// The synchronous standby, to be asked when this instance's own PostgreSQL does not answer any more because it stops.
    pub mirror: Option<MirrorAt>,
    /// The share that lies in this site: a path or a URL.
    pub own_share: String,
    /// The shares that this instance ships to. All of them must take a file before it counts as shipped.
    pub shares_to_ship: Vec<String>,
    /// The shares that it fetches from, the first that has a file wins.
    pub shares_to_fetch: Vec<String>,
    /// From where files may be fetched now.
    pub fetch: FetchFrom,
    /// How long is waited for what.
    #[serde(default)]
    pub deadlines: Deadlines,
    /// The directory with this instance's certificate, key and authority, for the connection to the mirror; without it the connection is plain.
    #[serde(default)]
    pub identity: Option<PathBuf>,
}

/// How the own PostgreSQL is reached.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Local {
    /// The directory of its socket.
    pub socket: PathBuf,
    /// Its port, which is part of the socket's name.
    pub port: u16,
    /// As whom.
    #[serde(default = "superuser")]
    pub user: String,
    /// Which database.
    #[serde(default = "maintenance_database")]
    pub database: String,
    /// A query that counts the entries in the database, noted in manifests. Its failure is no reason not to ship.
    #[serde(default)]
    pub count: Option<String>,
}

/// How the mirror is reached.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MirrorAt {
    /// Its name, which its certificate must bear.
    pub name: String,
    /// Where to connect: a host or an address; the directory of a socket in tests.
    pub address: String,
    /// Its port.
    pub port: u16,
    /// As whom.
    #[serde(default = "replicator")]
    pub user: String,
    /// Which database.
    #[serde(default = "maintenance_database")]
    pub database: String,
}

/// From where files may be fetched.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FetchFrom {
    /// From the shares, as the lineage says.
    #[default]
    Follow,
    /// Only from this directory, into which a failover has put what it has verified.
    Staging(PathBuf),
    /// From nowhere.
    Closed,
}

/// How long is waited for what, in seconds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Deadlines {
    /// For one answer of a share.
    pub share_seconds: u64,
    /// For the mirror to have what is to be shipped. PostgreSQL tries again afterwards.
    pub gate_seconds: u64,
    /// For the same while the own PostgreSQL stops.
    pub stopping_seconds: u64,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self { share_seconds: 10, gate_seconds: 10, stopping_seconds: 2 }
    }
}

impl Deadlines {
    /// For one answer of a share.
    pub fn share(&self) -> Duration {
        Duration::from_secs(self.share_seconds.max(1))
    }

    /// For the mirror.
    pub fn gate(&self) -> Duration {
        Duration::from_secs(self.gate_seconds)
    }

    /// For the mirror while the own PostgreSQL stops.
    pub fn stopping(&self) -> Duration {
        Duration::from_secs(self.stopping_seconds)
    }
}

/// The settings cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {why}; the agent of this instance writes this file", path.display())]
pub struct SettingsError {
    /// The file.
    pub path: PathBuf,
    /// Why not.
    pub why: String,
}

impl WalSettings {
    /// Reads them.
    ///
    /// # Errors
    /// [`SettingsError`]
    pub fn load(path: &Path) -> Result<WalSettings, SettingsError> {
        let error = |why: String| SettingsError { path: path.to_owned(), why };
        let text = std::fs::read(path).map_err(|e| error(e.to_string()))?;
        serde_json::from_slice(&text).map_err(|e| error(e.to_string()))
    }

    /// Writes them, whole or not at all.
    ///
    /// # Errors
    /// [`SettingsError`]
    pub fn save(&self, path: &Path) -> Result<(), SettingsError> {
        let error = |why: String| SettingsError { path: path.to_owned(), why };
        let text = serde_json::to_vec_pretty(self).map_err(|e| error(e.to_string()))?;
        durable::write(path, &text).map_err(|e| error(e.to_string()))
    }
}

fn superuser() -> String {
    "postgres".into()
}

fn maintenance_database() -> String {
    "postgres".into()
}

fn replicator() -> String {
    "replicator".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_read_as_they_were_written_and_nothing_unknown_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("wal.json");
        let settings = WalSettings {
            pool: "chat.litwareinc.com".into(),
            instance: "atl-db-1.litwareinc.com".into(),
            system_identifier: SystemIdentifier(7_500_000_000_000_000_001),
            segment_size: SegmentSize::USUAL,
            epoch: 1_000,
            holder: true,
            exposed: false,
            local: Local {
                socket: "/run/x".into(),
                port: 5432,
                user: superuser(),
                database: "mgc".into(),
                count: None,
            },
            mirror: None,
            own_share: "/srv/atl".into(),
            shares_to_ship: vec!["/srv/bos".into()],
            shares_to_fetch: vec![],
            fetch: FetchFrom::Staging("/copy".into()),
            deadlines: Deadlines::default(),
            identity: None,
        };
        settings.save(&path).unwrap();
        assert_eq!(WalSettings::load(&path).unwrap(), settings);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("\"7500000000000000001\"") && text.contains("\"staging\": \"/copy\""), "{text}");
        std::fs::write(&path, text.replace("\"exposed\"", "\"exposd\"")).unwrap();
        let error = WalSettings::load(&path).unwrap_err().to_string();
        assert!(error.contains("exposd") && error.contains("wal.json"), "{error}");
        assert!(WalSettings::load(&dir.path().join("none")).is_err());
    }
}
