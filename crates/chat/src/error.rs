//! Why the service did not do what it was asked, by what the asker can do about it. Each door turns it into its protocol's own error.

use holdfast_domain::Invalid;
use holdfast_domain::rights::Denied;
use holdfast_store::StoreError;

/// Why the service did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// Something in the request is wrong; the request as it stands will never succeed.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// It does not exist, or the asker must not know that it does.
    #[error("{0} does not exist, or you may not know of it")]
    Unknown(&'static str),
    /// The asker may not; the text says what would be needed.
    #[error("{0}")]
    Forbidden(String),
    /// The asker may not use chat at all (policy).
    #[error("you may not use chat here; ask an administrator")]
    ChatNotAllowed,
    /// Wrong name or password. Deliberately says no more.
    #[error("the name or the password is wrong")]
    BadCredentials,
    /// No sign-in, or one that has ended.
    #[error("you are not signed in, or your sign-in has ended; sign in again")]
    NotSignedIn,
    /// Too many wrong passwords; nothing is tried until later.
    #[error("too many wrong passwords; try again in {retry_after} s, or ask an administrator for a new password")]
    LockedOut {
        /// Seconds.
        retry_after: u64,
    },
    /// Too many requests of this kind.
    #[error("too many requests; try again in {retry_after} s")]
    TooMany {
        /// Seconds.
        retry_after: u64,
    },
    /// It would contradict what is there: a name is taken, a category is not empty.
    #[error("{0}")]
    Conflict(String),
    /// Larger than allowed.
    #[error("{what} is too large; at most {most} bytes are allowed")]
    TooLarge {
        /// What.
        what: &'static str,
        /// Bytes.
        most: u64,
    },
    /// The disk is full: nothing can be written, reading goes on.
    #[error(
        "the server's disk is full, so nothing can be saved now; reading goes on, and sending works again when there is room"
    )]
    StorageFull,
    /// Another server of the pool does it; this one takes no clients now.
    #[error("this server takes no clients now; another one of the pool does")]
    Elsewhere {
        /// Where clients reach those that take them, in the order in which to try.
        servers: Vec<String>,
    },
    /// The service cannot do it now, but may later.
    #[error("the service cannot do this now: {0}")]
    Unavailable(String),
    /// It may or may not have been kept; send again with the same client id to learn which.
    #[error("it is not known whether this was saved; send it again with the same client id")]
    OutcomeUnknown,
    /// A fault of ours or of the store, already logged in full.
    #[error("something went wrong inside the server; its log says what")]
    Internal,
}

/// The result of a method of the service.
pub type Result<T> = std::result::Result<T, ChatError>;

impl ChatError {
    /// Turns a denial into an error; `what` names the thing that would be unknown.
    pub fn denied(denied: Denied, what: &'static str) -> Self {
        match denied {
            Denied::Unknown => ChatError::Unknown(what),
            Denied::Forbidden(why) => ChatError::Forbidden(why.to_owned()),
        }
    }

    /// A refused field.
    pub fn invalid(field: impl Into<String>, why: impl Into<String>) -> Self {
        ChatError::Invalid(Invalid::new(field, why))
    }
}

impl From<StoreError> for ChatError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full => ChatError::StorageFull,
            StoreError::Taken { what } => ChatError::Conflict(format!("{what} is taken; choose another")),
            StoreError::Unavailable { why } => ChatError::Unavailable(why),
            StoreError::Away { why } => ChatError::Unavailable(format!("the database is away: {why}")),
            StoreError::Stale => {
                ChatError::Conflict("somebody else changed this at the same time; look again and repeat it".into())
            }
            StoreError::Unknown { why } => {
                tracing::error!(%why, "the outcome of a write is not known");
                ChatError::OutcomeUnknown
            }
            StoreError::Missing { what } => ChatError::Conflict(format!("{what} is not there any more")),
            other => {
                tracing::error!(error = &other as &dyn std::error::Error, "the store failed");
                ChatError::Internal
            }
        }
    }
}
