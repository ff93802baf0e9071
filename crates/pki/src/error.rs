//! What can go wrong with certificates, as sentences.

use std::io;
use std::path::PathBuf;

/// Why there is no authority, identity or connection.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A file or directory is not there, or the system refuses it.
    #[error("{} cannot be {doing}: {source}", path.display())]
    File {
        /// `read`, `written`.
        doing: &'static str,
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something would be overwritten that cannot be made again.
    #[error("{} is there already; {advice}", path.display())]
    Exists {
        /// What.
        path: PathBuf,
        /// What to do instead.
        advice: &'static str,
    },
    /// A file is not what it should be.
    #[error("{} cannot be used: {why}", path.display())]
    Odd {
        /// Which.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// No certificate can be made as it was asked for.
    #[error("{0}")]
    Wanted(String),
    /// The other side could not be reached.
    #[error("{address} cannot be reached: {source}")]
    Unreachable {
        /// Host and port.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// The other side was reached, and one of the two refused the other.
    #[error("no connection with {who}: {why}")]
    Refused {
        /// Host and port.
        who: String,
        /// Why, and what to do.
        why: String,
    },
}

/// What this crate answers.
pub type Result<T> = std::result::Result<T, PkiError>;

pub(crate) fn odd(path: impl Into<PathBuf>, why: impl Into<String>) -> PkiError {
    PkiError::Odd { path: path.into(), why: why.into() }
}

pub(crate) fn wanted(why: impl Into<String>) -> PkiError {
    PkiError::Wanted(why.into())
}
