//! What can go wrong with a store, by what its caller can do about it.

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Nothing was changed, because there is no room on the disk. Reading goes on; writing recovers by itself.
    #[error("the disk that holds the database is full")]
    Full,
    /// A unique name or number is taken, or the thing was changed meanwhile. Nothing was changed.
    #[error("{what} is taken")]
    Taken {
        /// What is taken, as a noun phrase.
        what: String,
    },
    /// The thing that was to be changed is not there. Nothing was changed.
    #[error("{what} is not there")]
    Missing {
        /// What is not there, as a noun phrase.
        what: String,
    },
    /// The store cannot be used now: closed, busy for too long, or being restored. Nothing was changed.
    #[error("the database cannot be used: {why}")]
    Unavailable {
        /// Why.
        why: String,
    },
    /// The database cannot be reached or takes no writes now, but may again by itself: it restarts, is replaced by its standby, has no
    /// connection left. Nothing was changed; trying again is right.
    #[error("the database is away: {why}")]
    Away {
        /// Why.
        why: String,
    },
    /// What was to be changed was decided on a state that another server has changed since. Nothing was changed; deciding anew is right.
    #[error("another server changed this at the same time")]
    Stale,
    /// The connection or the disk failed at a moment where the change may or may not have been kept. It is to be looked up
    /// by its client id; it must not be called failed.
    #[error("it is not known whether the change was kept: {why}")]
    Unknown {
        /// What happened.
        why: String,
    },
    /// What is stored cannot be right: another program wrote to the database, the disk is damaged, or this is a fault of ours.
    #[error("the database holds something that cannot be right: {what}")]
    Corrupt {
        /// What, and where.
        what: String,
    },
    /// Anything else that the engine said.
    #[error("while {doing}")]
    Engine {
        /// What we were doing.
        doing: &'static str,
        /// What the engine said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

pub(crate) fn taken(what: impl Into<String>) -> StoreError {
    StoreError::Taken { what: what.into() }
}

pub(crate) fn missing(what: impl Into<String>) -> StoreError {
    StoreError::Missing { what: what.into() }
}

pub(crate) fn unavailable(why: impl Into<String>) -> StoreError {
    StoreError::Unavailable { why: why.into() }
}

pub(crate) fn corrupt(what: impl Into<String>) -> StoreError {
    StoreError::Corrupt { what: what.into() }
}
