//! What PostgreSQL says, in the words of the interface.
//!
//! Three moments are told apart, because the same broken connection means different things: before the commit was sent nothing was
//! changed; while a commit was under way nobody knows; and what only read can be repeated.

use crate::StoreError;
pub(super) use crate::error::{corrupt, missing, taken, unavailable};
use std::error::Error as _;
use std::io;
use tokio_postgres::error::SqlState;

/// Why a piece of work failed, before it is known what the whole was about.
#[derive(Debug)]
pub(super) enum Fail {
    /// PostgreSQL or the connection to it said so.
    Sql(tokio_postgres::Error),
    /// We said so.
    Store(StoreError),
}

/// What a piece of work yields.
pub(super) type Work<T> = Result<T, Fail>;

impl From<tokio_postgres::Error> for Fail {
    fn from(e: tokio_postgres::Error) -> Self {
        Fail::Sql(e)
    }
}

impl From<StoreError> for Fail {
    fn from(e: StoreError) -> Self {
        Fail::Store(e)
    }
}

impl Fail {
    /// The error for the caller, who wanted `doing`. Nothing was changed.
    pub(super) fn while_doing(self, doing: &'static str) -> StoreError {
        let source = match self {
            Fail::Store(e) => return e,
            Fail::Sql(e) => e,
        };
        let Some(said) = source.as_db_error() else {
            return if is_broken(&source) {
                away(format!("the connection broke ({})", plain(&source)))
            } else {
                // A column that is missing, null or of another type than our own schema says.
                corrupt(format!("{}, while {doing}", plain(&source)))
            };
        };
        match said.code() {
            &SqlState::DISK_FULL => StoreError::Full,
            &SqlState::READ_ONLY_SQL_TRANSACTION => away("it takes no writes: it is a standby, or was made read-only"),
            &SqlState::DATA_CORRUPTED | &SqlState::INDEX_CORRUPTED => {
                corrupt(format!("{}, while {doing}", said.message()))
            }
            &SqlState::INVALID_AUTHORIZATION_SPECIFICATION
            | &SqlState::INVALID_PASSWORD
            | &SqlState::INVALID_CATALOG_NAME
            | &SqlState::INSUFFICIENT_PRIVILEGE => unavailable(format!("{}; see `holdfast db check`", said.message())),
            &SqlState::LOCK_NOT_AVAILABLE
            | &SqlState::QUERY_CANCELED
            | &SqlState::T_R_SERIALIZATION_FAILURE
            | &SqlState::T_R_DEADLOCK_DETECTED
            | &SqlState::IO_ERROR => away(format!("{} while {doing}", said.message())),
            // Too few resources, an operator's intervention (a restart, a crash), a broken connection.
            code if ["53", "57", "08"].contains(&&code.code()[..2]) || code.code() == "25P03" => {
                away(said.message().to_owned())
            }
            _ => StoreError::Engine { doing, source: Box::new(source) },
        }
    }

    /// The error of a commit, or of a statement that commits by itself. What PostgreSQL refuses was not done; where the connection broke, or the
    /// session was ended while it waited, nobody knows.
    pub(super) fn at_commit(self, doing: &'static str) -> StoreError {
        match &self {
            Fail::Sql(e) if is_broken(e) || e.code().is_some_and(|c| c.code().starts_with("57P")) => {
                StoreError::Unknown { why: format!("the connection broke while {doing} ({})", plain(e)) }
            }
            _ => self.while_doing(doing),
        }
    }

    /// Whether a row was refused because of this unique index.
    pub(super) fn is_taken_in(&self, index: &str) -> bool {
        let said = if let Fail::Sql(e) = self { e.as_db_error() } else { None };
        self.is_taken() && said.is_some_and(|said| said.constraint() == Some(index))
    }

    /// Whether a row was refused because of a unique index.
    pub(super) fn is_taken(&self) -> bool {
        matches!(self, Fail::Sql(e) if e.code() == Some(&SqlState::UNIQUE_VIOLATION))
    }
}

/// Whether it is the connection that failed, not what was asked.
pub(super) fn is_broken(e: &tokio_postgres::Error) -> bool {
    e.is_closed() || e.source().is_some_and(|s| s.is::<io::Error>()) || e.code() == Some(&SqlState::CONNECTION_FAILURE)
}

/// An error with what is behind it, in one line.
pub(super) fn plain(e: &tokio_postgres::Error) -> String {
    match e.as_db_error() {
        Some(said) => said.message().to_owned(),
        None => match e.source() {
            Some(source) => source.to_string(),
            None => e.to_string(),
        },
    }
}

pub(super) fn away(why: impl Into<String>) -> StoreError {
    StoreError::Away { why: why.into() }
}
