//! How far a long piece of work has come.

use serde::{Deserialize, Serialize};

/// One report of it, for people.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Progress {
    /// What is being done, such as "copying".
    pub what: String,
    /// Bytes done, where they can be counted.
    pub done: Option<u64>,
    /// Bytes in all, where that is known; it may grow.
    pub total: Option<u64>,
}

impl Progress {
    pub(crate) fn says(what: impl Into<String>) -> Progress {
        Progress { what: what.into(), done: None, total: None }
    }
}

/// For callers who do not care.
pub fn silent(_: Progress) {}
