//! What lies where in a lab's directory.
//!
//! ```text
//! lab.json                 what was started, the ports, how to sign in
//! topology.toml            the pool, as the agents and the commands read it
//! ca/                      the pool's authority
//! operator/                the certificate with which the lab gives its commands
//! witness/                 the third voter
//! atl/share/               the share of this site; the other site's primary ships its log there
//! atl/atl-db-1/            an instance with its agent; identity/ has its certificate
//! atl/atl-cs-001/          a chat server: holdfast.toml, data/, identity/
//! log/NAME.log             what each process said
//! ```
//!
//! A directory of a site is lost when the site is lost, as far as everybody else is concerned; what the lab itself needs lies beside them.

use crate::names;
use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};

/// A path to a socket has room for about so many bytes.
const LONGEST: usize = 60;

/// The directory of a lab.
#[derive(Clone, Debug)]
pub struct Place {
    dir: PathBuf,
}

impl Place {
    /// That of `dir`, which must be there.
    ///
    /// # Errors
    /// When it is not, or its name is too long for the sockets in it.
    pub fn of(dir: &Path) -> Result<Place> {
        let dir = dir.canonicalize().with_context(|| format!("there is no directory {}", dir.display()))?;
        if dir.as_os_str().len() > LONGEST {
            bail!(
                "{} is too long for the sockets of PostgreSQL in it; choose a directory with at most {LONGEST} characters",
                dir.display()
            );
        }
        Ok(Place { dir })
    }

    /// All of it.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What was started.
    pub fn record(&self) -> PathBuf {
        self.dir.join("lab.json")
    }

    /// The topology.
    pub fn topology(&self) -> PathBuf {
        self.dir.join("topology.toml")
    }

    /// The password of who proves that clients can work.
    pub fn probe_password(&self) -> PathBuf {
        self.dir.join("probe-password")
    }

    /// The authority of the pool.
    pub fn authority(&self) -> PathBuf {
        self.dir.join("ca")
    }

    /// The operator's certificate.
    pub fn operator(&self) -> PathBuf {
        self.dir.join(names::OPERATOR)
    }

    /// The witness.
    pub fn witness(&self) -> PathBuf {
        self.dir.join(names::WITNESS)
    }

    /// Everything of a site.
    pub fn site(&self, site: &str) -> PathBuf {
        self.dir.join(site)
    }

    /// The share that lies in a site.
    pub fn share(&self, site: &str) -> PathBuf {
        self.site(site).join("share")
    }

    /// A machine of a site: an instance or a chat server, by its short name.
    pub fn machine(&self, site: &str, short: &str) -> PathBuf {
        self.site(site).join(short)
    }

    /// The settings of a chat server.
    pub fn server_settings(&self, site: &str, short: &str) -> PathBuf {
        self.machine(site, short).join("holdfast.toml")
    }

    /// The data of an instance's PostgreSQL.
    pub fn cluster(&self, site: &str, short: &str) -> PathBuf {
        self.machine(site, short).join("pgdata")
    }

    /// The directory of an instance's socket.
    pub fn socket(&self, site: &str, short: &str) -> PathBuf {
        self.machine(site, short).join("run")
    }

    /// What a process said.
    pub fn log(&self, name: &str) -> PathBuf {
        self.logs().join(format!("{name}.log"))
    }

    /// All that.
    pub fn logs(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// Where the binary is put when the unprivileged user cannot reach it where it is.
    pub fn binary(&self) -> PathBuf {
        self.dir.join("bin").join("holdfast")
    }
}
