//! What is wrong with a value that came from outside.

use std::fmt;

/// A refused value: which field, and what was expected of it. Ends up in an RFC 9457 problem or on the terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// The field as its sender knows it, such as `name` or `members[2]`.
    pub field: String,
    /// A sentence without a full stop: what is wrong and what would be right.
    pub why: String,
}

impl Invalid {
    /// `field` is refused because of `why`.
    pub fn new(field: impl Into<String>, why: impl Into<String>) -> Self {
        Self { field: field.into(), why: why.into() }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.why)
    }
}

impl std::error::Error for Invalid {}
