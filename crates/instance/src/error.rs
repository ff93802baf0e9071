//! What can go wrong with one PostgreSQL server, in sentences.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why something asked of an instance was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// This machine lacks PostgreSQL's programs, or has older ones.
    #[error("{0}: run `packaging/install.sh postgres`, or say with HOLDFAST_PG_BIN where PostgreSQL's programs are")]
    NoPrograms(String),
    /// PostgreSQL refuses that user.
    #[error("PostgreSQL does not run as root: start the agent as the user who is to own the data")]
    AsRoot,
    /// A setting that cannot be.
    #[error("{0}")]
    Setting(String),
    /// A file or directory.
    #[error("cannot {doing} {}: {source}", path.display())]
    File {
        /// What was tried, such as `write`.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A program of PostgreSQL's failed.
    #[error("{program} failed: {said}")]
    Program {
        /// Which.
        program: &'static str,
        /// The end of what it printed.
        said: String,
    },
    /// There is a data directory already.
    #[error("{} is there already: an instance is made only where there is none; move it away if it is not wanted", .0.display())]
    DataIsThere(PathBuf),
    /// There is no data directory.
    #[error("there is no data directory {}: make the instance, or clone it from another one", .0.display())]
    NoData(PathBuf),
    /// It ended instead of becoming ready.
    #[error("PostgreSQL ended while it was starting; the end of its log:\n{log}")]
    NotStarted {
        /// The end of its log.
        log: String,
    },
    /// It is asked for something that it can do only while it runs.
    #[error("PostgreSQL does not run here: start the instance first")]
    NotRunning,
    /// It is asked for something that can be done only while it does not run.
    #[error("PostgreSQL runs here, as process {0}: stop the instance first")]
    Running(u32),
    /// A process of it that cannot be ended.
    #[error(
        "process {0} of PostgreSQL does not end, even when killed: the system holds it, as a rule for a disk that does not answer; see to the disk, or restart the machine"
    )]
    Unkillable(u32),
    /// A question or order in SQL.
    #[error("{doing}: {}", said(source))]
    Sql {
        /// What was tried.
        doing: &'static str,
        /// What PostgreSQL or the connection said.
        source: tokio_postgres::Error,
    },
    /// It took longer than the caller would wait. It may still come about.
    #[error("{what} did not come about in {} s{}", within.as_secs_f32(), hint(log))]
    TimedOut {
        /// What was waited for.
        what: String,
        /// How long.
        within: Duration,
        /// The end of the server's log, where it may say why; else empty.
        log: String,
    },
    /// It does not do what it was told, or says what cannot be.
    #[error("{0}")]
    Refused(String),
}

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Whether waiting longer might have helped.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Error::TimedOut { .. })
    }

    /// Whether nothing is known to be wrong: there was no answer, or none in time, and there may be one to who asks again.
    pub fn may_pass(&self) -> bool {
        match self {
            Error::TimedOut { .. } | Error::NotRunning => true,
            // The connection broke or was not made; or the server is starting, stopping, or has no place left just now.
            Error::Sql { source, .. } => source.code().is_none_or(|code| {
                let code = code.code();
                code.starts_with("57P") || code == "53300"
            }),
            _ => false,
        }
    }
}

/// For `map_err` on operations on files.
pub(crate) fn file(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File { doing, path, source }
}

/// For `map_err` on SQL.
pub(crate) fn sql(doing: &'static str) -> impl FnOnce(tokio_postgres::Error) -> Error {
    move |source| Error::Sql { doing, source }
}

fn said(e: &tokio_postgres::Error) -> String {
    use std::error::Error as _;
    match (e.as_db_error(), e.source()) {
        (Some(db), _) => match db.hint() {
            Some(hint) => format!("{} ({hint})", db.message()),
            None => db.message().to_owned(),
        },
        (None, Some(cause)) => format!("{e}: {cause}"),
        (None, None) => e.to_string(),
    }
}

fn hint(log: &str) -> String {
    if log.is_empty() { String::new() } else { format!("; the end of its log:\n{log}") }
}
