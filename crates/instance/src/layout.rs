//! The directory of an instance: what lies where.

use crate::error::{Error, Result, file};
use crate::files;
use std::path::{Path, PathBuf};

/// The longest path of a socket that Linux takes.
const LONGEST_SOCKET: usize = 107;

/// Paths below one directory. All of it belongs to the user who runs the agent, and to nobody else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// Of an instance whose files are below `root`, which need not exist yet.
    ///
    /// # Errors
    /// [`Error::Setting`]: the path is not absolute, is no text, or is too long for the sockets in it.
    pub fn new(root: impl Into<PathBuf>) -> Result<Layout> {
        let root = root.into();
        let Some(text) = root.to_str().filter(|text| root.is_absolute() && !text.contains(['\n', '\''])) else {
            let why = "the directory of an instance is an absolute path without quotes";
            return Err(Error::Setting(format!("{}: {why}", root.display())));
        };
        if text.len() + "/run/.s.PGSQL.65535.lock".len() > LONGEST_SOCKET {
            let why = "the path is too long, because there will be a socket in it: choose one of at most 80 characters";
            return Err(Error::Setting(format!("{text}: {why}")));
        }
        Ok(Layout { root })
    }

    /// Makes the directories that are missing, for the owner alone.
    ///
    /// # Errors
    /// [`Error::File`]
    pub fn create(&self) -> Result<()> {
        for dir in [&self.root, &self.conf_dir(), &self.run(), &self.log_dir(), &self.copy()] {
            files::private_dir(dir)?;
        }
        Ok(())
    }

    /// The directory of it all.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// PostgreSQL's data directory.
    pub fn pgdata(&self) -> PathBuf {
        self.root.join("pgdata")
    }

    /// Where a data directory is made, until it is whole.
    pub(crate) fn pgdata_new(&self) -> PathBuf {
        self.root.join("pgdata.new")
    }

    /// The files that PostgreSQL is configured by, outside of the data directory, so that no copy of that brings another instance's.
    pub fn conf_dir(&self) -> PathBuf {
        self.root.join("conf")
    }

    /// What changes only with a restart, as a rule.
    pub fn postgresql_conf(&self) -> PathBuf {
        self.conf_dir().join("postgresql.conf")
    }

    /// What changes while it runs.
    pub fn dynamic_conf(&self) -> PathBuf {
        self.conf_dir().join("dynamic.conf")
    }

    /// Who may connect.
    pub fn pg_hba_conf(&self) -> PathBuf {
        self.conf_dir().join("pg_hba.conf")
    }

    /// Which certificate is which role.
    pub fn pg_ident_conf(&self) -> PathBuf {
        self.conf_dir().join("pg_ident.conf")
    }

    /// The directory of the socket.
    pub fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    /// The directory of the log.
    pub fn log_dir(&self) -> PathBuf {
        self.root.join("log")
    }

    /// What PostgreSQL logs.
    pub fn log_file(&self) -> PathBuf {
        self.log_dir().join("postgresql.log")
    }

    /// The copy folder: files of the write-ahead log, verified, for `restore_command` during a failover.
    pub fn copy(&self) -> PathBuf {
        self.root.join("copy")
    }

    /// Certificate, key and authority.
    pub fn identity(&self) -> PathBuf {
        self.root.join("identity")
    }

    /// The write-ahead log.
    pub fn pg_wal(&self) -> PathBuf {
        self.pgdata().join("pg_wal")
    }

    /// A name for the data directory that is replaced, which says when, and is not taken.
    pub(crate) fn pgdata_before(&self) -> PathBuf {
        let time = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        let name = |n: u32| {
            self.root.join(format!("pgdata.before-{time}{}", if n == 0 { String::new() } else { format!("-{n}") }))
        };
        (0..).map(name).find(|path| !path.exists()).unwrap_or_else(|| name(0))
    }

    /// Fails unless there is a data directory.
    pub(crate) fn has_data(&self) -> Result<()> {
        let there = self.pgdata().join("PG_VERSION").try_exists().map_err(file("look into", &self.pgdata()))?;
        if there { Ok(()) } else { Err(Error::NoData(self.pgdata())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_a_socket_would_not_fit_in_is_refused_before_postgresql_does() {
        assert!(Layout::new("/var/lib/holdfast/atl-db-1").is_ok());
        for odd in ["relative".to_owned(), format!("/{}", "x".repeat(90)), "/var/lib/o'clock".to_owned()] {
            assert!(Layout::new(odd.clone()).is_err(), "{odd}");
        }
    }
}
