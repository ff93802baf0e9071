//! What is wrong with a line: where, what was expected there, and what was probably meant.

use crate::span::{Place, Span, line_at};
use std::fmt;

/// A line that cannot be carried out as it is written. Nothing of it was done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// Where.
    pub span: Span,
    /// What is wrong: a sentence without its full stop.
    pub what: String,
    /// What was expected there.
    pub expected: Option<String>,
    /// The nearest right name.
    pub nearest: Option<String>,
    /// Whether the text only ends too early, so that another line could make it right.
    pub incomplete: bool,
}

impl Fault {
    /// `what` is wrong at `span`.
    pub fn new(span: Span, what: impl Into<String>) -> Fault {
        Fault { span, what: what.into(), expected: None, nearest: None, incomplete: false }
    }

    /// What was expected instead.
    #[must_use]
    pub fn expected(mut self, what: impl Into<String>) -> Fault {
        self.expected = Some(what.into());
        self
    }

    /// The nearest right name, if there is one.
    #[must_use]
    pub fn nearest(mut self, name: Option<impl Into<String>>) -> Fault {
        self.nearest = name.map(Into::into);
        self
    }

    /// The text ended too early.
    #[must_use]
    pub fn incomplete(mut self) -> Fault {
        self.incomplete = true;
        self
    }

    /// Where it stands in `text`.
    pub fn place(&self, text: &str) -> Place {
        Place::of(text, self.span.start)
    }

    /// The line of `text` that it stands in, with a mark below it; `None` where that would show nothing.
    pub fn excerpt(&self, text: &str) -> Option<String> {
        let line = line_at(text, self.span.start);
        let column = self.place(text).column;
        if line.trim().is_empty() || line.chars().count() > WIDEST {
            return None;
        }
        // A tab below a tab, so that the mark stands where it should however wide tabs are.
        let blank: String = line.chars().take(column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let marked = self.span.of(text).lines().next().unwrap_or_default().chars().count();
        let room = line.chars().count().saturating_sub(column - 1);
        Some(format!("  {line}\n  {blank}{}", "~".repeat(marked.min(room).max(1))))
    }
}

/// The longest line that is shown again, in characters.
const WIDEST: usize = 400;

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.", self.what)?;
        if let Some(expected) = &self.expected {
            write!(f, " Expected {expected}.")?;
        }
        if let Some(nearest) = &self.nearest {
            write!(f, " Did you mean {nearest}?")?;
        }
        Ok(())
    }
}

impl std::error::Error for Fault {}
