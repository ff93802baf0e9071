//! Places in a text: what every error points at.

/// A stretch of a text, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Span {
    /// Where it begins.
    pub start: usize,
    /// Where it ends, behind its last byte.
    pub end: usize,
}

impl Span {
    /// From `start` up to `end`.
    pub fn new(start: usize, end: usize) -> Span {
        Span { start, end: end.max(start) }
    }

    /// What stands there.
    pub fn of(self, text: &str) -> &str {
        text.get(self.start..self.end).unwrap_or_default()
    }
}

/// Something with its place. Two are equal when they are the same thing, wherever they stand.
#[derive(Clone, Debug)]
pub struct Spanned<T> {
    /// The thing.
    pub it: T,
    /// Where it stands.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// `it`, standing at `span`.
    pub fn new(it: T, span: Span) -> Self {
        Self { it, span }
    }
}

impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.it == other.it
    }
}

/// A place for people: line and column, both from 1; columns are counted in characters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl Place {
    /// Where the byte `at` of `text` stands.
    pub fn of(text: &str, at: usize) -> Place {
        let before = before(text, at);
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        Place {
            line: before.matches('\n').count() + 1,
            // A mark that says how the file is encoded is no character of the line.
            column: before[line_start..].trim_start_matches('\u{feff}').chars().count() + 1,
        }
    }
}

/// The line of `text` in which the byte `at` stands, without its end.
pub fn line_at(text: &str, at: usize) -> &str {
    let start = before(text, at).rfind('\n').map_or(0, |i| i + 1);
    let line = text[start..].split('\n').next().unwrap_or_default();
    line.trim_end_matches('\r').trim_start_matches('\u{feff}')
}

/// What stands before the byte `at`, or before the character that it is in.
fn before(text: &str, at: usize) -> &str {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    &text[..at]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_characters() {
        let text = "\u{feff}erste\r\nzwei ü x";
        assert_eq!(Place::of(text, 3), Place { line: 1, column: 1 });
        let at = text.find('x').unwrap();
        assert_eq!(Place::of(text, at), Place { line: 2, column: 8 });
        assert_eq!(line_at(text, at), "zwei ü x");
        assert_eq!(line_at(text, 0), "erste");
        assert_eq!(Place::of("", 99), Place { line: 1, column: 1 });
    }
}
