//! Changes that can be asked about before they are made.

/// Whether to make a change or only to say what it would be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Make it.
    Do,
    /// Check it, and say what it would change; change nothing.
    WhatIf,
}

/// What came of it.
#[derive(Clone, Debug)]
pub enum Outcome<T> {
    /// It was made; this is the result.
    Done(T),
    /// It would change this: a sentence each.
    Would(Vec<String>),
}

impl<T> Outcome<T> {
    /// The result turned into another.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Outcome<U> {
        match self {
            Outcome::Done(t) => Outcome::Done(f(t)),
            Outcome::Would(changes) => Outcome::Would(changes),
        }
    }
}
