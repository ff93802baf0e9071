//! Walks a text, character by character: blanks, comments, continued lines, quotes of every shape.

use crate::fault::Fault;
use crate::span::Span;

/// A place in a text that moves forward.
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
    /// Behind the last thing that was no blank.
    after_last_word: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let at = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        Self { text, at, after_last_word: at }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn after_last_word(&self) -> usize {
        self.after_last_word
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn peek_second(&self) -> Option<char> {
        self.rest().chars().nth(1)
    }

    /// Takes one character, whatever it is.
    pub(super) fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        self.after_last_word = self.at;
        Some(c)
    }

    /// Takes some characters, whatever they are.
    pub(super) fn skip(&mut self, characters: usize) {
        (0..characters).for_each(|_| {
            self.next();
        });
    }

    /// Takes the characters for which `is` holds.
    pub(super) fn take_while(&mut self, is: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let taken = &rest[..rest.find(|c| !is(c)).unwrap_or(rest.len())];
        self.at += taken.len();
        if !taken.is_empty() {
            self.after_last_word = self.at;
        }
        taken
    }

    /// From `start` to here.
    pub(super) fn since(&self, start: usize) -> Span {
        Span::new(start, self.at)
    }

    /// The character that comes next.
    pub(super) fn here(&self) -> Span {
        Span::new(self.at, self.at + self.peek().map_or(0, char::len_utf8))
    }

    /// At a place where a statement ends.
    pub(super) fn at_end_of_statement(&self) -> bool {
        matches!(self.peek(), None | Some('\n' | ';')) || self.rest().starts_with("\r\n")
    }

    /// Goes over all that stands between statements; false at the end of the text.
    pub(super) fn go_to_statement(&mut self) -> Result<bool, Fault> {
        loop {
            self.blanks_and_lines()?;
            match self.peek() {
                None => return Ok(false),
                Some(';') => self.at += 1,
                Some(c) if is_dash(c) && self.peek_second().is_some_and(is_dash) => self.skip_line(),
                _ if self.rest().starts_with("/*") => self.block_comment("/*", "*/")?,
                Some(_) => return Ok(true),
            }
        }
    }

    /// Goes over blanks, comments, and the ends of lines that a backtick continues.
    pub(super) fn blanks(&mut self) -> Result<(), Fault> {
        loop {
            match self.peek() {
                Some(c) if is_blank(c) => self.at += c.len_utf8(),
                Some('\r') => self.at += 1,
                Some('`') => {
                    if !self.takes_continuation()? {
                        return Ok(());
                    }
                }
                Some('#') => self.skip_line(),
                _ if self.rest().starts_with("<#") => self.block_comment("<#", "#>")?,
                _ => return Ok(()),
            }
        }
    }

    /// Goes over blanks, comments and ends of lines: where a bracket is open, and between statements.
    pub(super) fn blanks_and_lines(&mut self) -> Result<(), Fault> {
        loop {
            self.blanks()?;
            match self.peek() {
                Some('\n') => self.at += 1,
                _ => return Ok(()),
            }
        }
    }

    /// Goes over blanks and comments as SQL has them.
    pub(super) fn sql_blanks(&mut self) -> Result<(), Fault> {
        loop {
            match self.peek() {
                Some(c) if is_blank(c) || c == '\r' => self.at += c.len_utf8(),
                Some('`') => {
                    if !self.takes_continuation()? {
                        return Ok(());
                    }
                }
                Some('#') => self.skip_line(),
                _ if self.rest().starts_with("--") => self.skip_line(),
                _ if self.rest().starts_with("/*") => self.block_comment("/*", "*/")?,
                _ => return Ok(()),
            }
        }
    }

    /// Takes a text in quotes: from behind the opening quote to the closing one. A doubled quote is one; `escape` says what a
    /// character of the text becomes that is more than itself, and takes what belongs to it.
    pub(super) fn quoted(
        &mut self,
        start: usize,
        is_quote: impl Fn(char) -> bool,
        mut escape: impl FnMut(&mut Self, char) -> Result<Option<char>, Fault>,
    ) -> Result<String, Fault> {
        let mut text = String::new();
        loop {
            let Some(c) = self.next() else {
                return Err(Fault::new(Span::new(start, start + 1), "This quote is not closed")
                    .expected("the same quote at the end of the text")
                    .incomplete());
            };
            if is_quote(c) {
                match self.peek().filter(|second| is_quote(*second)) {
                    Some(second) => {
                        self.next();
                        text.push(second);
                    }
                    None => return Ok(text),
                }
            } else {
                text.push(escape(self, c)?.unwrap_or(c));
            }
        }
    }

    /// Takes a backtick and the end of the line that it continues; false when it does something else.
    fn takes_continuation(&mut self) -> Result<bool, Fault> {
        match self.peek_second() {
            Some('\n') => self.at += 2,
            Some('\r') if self.rest().starts_with("`\r\n") => self.at += 3,
            None => {
                return Err(Fault::new(self.here(), "The text ends where a backtick continues the line")
                    .expected("another line")
                    .incomplete());
            }
            Some(c) if is_blank(c) || c == '\r' => {
                return Err(Fault::new(self.here(), "A blank stands behind the backtick")
                    .expected("the end of the line, if the backtick is to continue it"));
            }
            Some(_) => return Ok(false),
        }
        Ok(true)
    }

    fn skip_line(&mut self) {
        self.at += self.rest().find('\n').unwrap_or(self.rest().len());
    }

    fn block_comment(&mut self, opening: &str, closing: &str) -> Result<(), Fault> {
        let Some(end) = self.rest()[opening.len()..].find(closing) else {
            let span = Span::new(self.at, self.at + opening.len());
            let what = format!("The comment that begins here has no end `{closing}`");
            return Err(Fault::new(span, what).incomplete());
        };
        self.at += opening.len() + end + closing.len();
        Ok(())
    }
}

/// Blanks within a line, also those that come with text from web pages.
pub(super) fn is_blank(c: char) -> bool {
    c != '\n' && c != '\r' && c.is_whitespace()
}

/// A dash, also as word processors write it; PowerShell takes them all.
pub(super) fn is_dash(c: char) -> bool {
    matches!(c, '-' | '\u{2013}' | '\u{2014}' | '\u{2015}')
}

/// A single quote, straight or not.
pub(super) fn is_single_quote(c: char) -> bool {
    matches!(c, '\'' | '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{201b}')
}

/// A double quote, straight or not.
pub(super) fn is_double_quote(c: char) -> bool {
    matches!(c, '"' | '\u{201c}' | '\u{201d}' | '\u{201e}')
}
