//! What SQLite says, in the words of the interface.

use crate::StoreError;
pub(super) use crate::error::{corrupt, missing, taken, unavailable};
use rusqlite::ErrorCode;
use rusqlite::ffi::{SQLITE_IOERR_SHMMAP, SQLITE_IOERR_SHMSIZE};

/// Why a piece of work failed, before it is known what the whole was about.
#[derive(Debug)]
pub(super) enum Fail {
    /// SQLite said so.
    Sql(rusqlite::Error),
    /// We said so.
    Store(StoreError),
}

/// What a piece of work inside a transaction yields.
pub(super) type Work<T> = Result<T, Fail>;

impl From<rusqlite::Error> for Fail {
    fn from(e: rusqlite::Error) -> Self {
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
        let Some(said) = source.sqlite_error() else {
            // A column that is missing, null or of another type than our own schema says.
            return match source {
                rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::Utf8Error(..) => corrupt(format!("{source}, while {doing}")),
                _ => StoreError::Engine { doing, source: Box::new(source) },
            };
        };
        match said.code {
            ErrorCode::DiskFull => StoreError::Full,
            // The memory that connections share is a file too; on a full disk it cannot grow.
            ErrorCode::SystemIoFailure if matches!(said.extended_code, SQLITE_IOERR_SHMSIZE | SQLITE_IOERR_SHMMAP) => {
                StoreError::Full
            }
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => unavailable("it is busy for too long"),
            ErrorCode::SystemIoFailure => unavailable(format!("the disk failed while {doing}: {source}")),
            ErrorCode::ReadOnly => unavailable("it may only be read"),
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => corrupt(format!("{source}, while {doing}")),
            _ => StoreError::Engine { doing, source: Box::new(source) },
        }
    }

    /// The error of a commit that failed. Where SQLite has rolled back, nothing was changed; after a failure of the disk the
    /// commit may be in the file all the same and come to light with the next start.
    pub(super) fn at_commit(self, doing: &'static str) -> StoreError {
        match self.while_doing(doing) {
            known @ (StoreError::Full | StoreError::Corrupt { .. }) => known,
            StoreError::Unavailable { why } => StoreError::Unknown { why },
            StoreError::Engine { source, .. } => StoreError::Unknown { why: source.to_string() },
            other => other,
        }
    }
}

/// Whether SQLite refused a row because of a unique index.
pub(super) fn is_taken(e: &rusqlite::Error) -> bool {
    e.sqlite_error_code() == Some(ErrorCode::ConstraintViolation)
}
