//! The words of an SQL line, one after the other, with errors that say what was expected in the place of the one that is there.

use crate::fault::Fault;
use crate::grammar::tree::Word;
use crate::names::Database;
use crate::nearest::nearest;
use crate::span::{Span, Spanned};

/// What is left of a line.
pub struct Words<'a> {
    line: &'a [Spanned<Word>],
    at: usize,
}

impl<'a> Words<'a> {
    /// All of a line.
    pub(super) fn new(line: &'a [Spanned<Word>]) -> Self {
        Self { line, at: 0 }
    }

    /// The next word, which stays.
    pub(super) fn peek(&self) -> Option<&'a Word> {
        self.line.get(self.at).map(|w| &w.it)
    }

    /// Whether nothing is left.
    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.line.len()
    }

    /// Takes the sign, if it comes next.
    pub(super) fn takes(&mut self, sign: char) -> bool {
        let is = self.peek() == Some(&Word::Sign(sign));
        self.at += usize::from(is);
        is
    }

    /// Takes this keyword.
    pub(super) fn keyword(&mut self, keyword: &str) -> Result<(), Fault> {
        match self.line.get(self.at) {
            Some(Spanned { it: Word::Plain(word), .. }) if word.eq_ignore_ascii_case(keyword) => {
                self.at += 1;
                Ok(())
            }
            Some(Spanned { it: Word::Plain(word), span }) => {
                let near = nearest(word, [keyword]).map(str::to_owned);
                Err(self.unexpected(*span, keyword).nearest(near))
            }
            _ => Err(self.other(keyword)),
        }
    }

    /// Takes a keyword or a name.
    pub(super) fn name(&mut self, expected: &str) -> Result<Spanned<String>, Fault> {
        match self.line.get(self.at) {
            Some(Spanned { it: Word::Plain(word) | Word::Name(word), span }) => {
                self.at += 1;
                Ok(Spanned::new(word.clone(), *span))
            }
            _ => Err(self.other(expected)),
        }
    }

    /// Takes a name that may have others with dots before it, of which the last counts: `master.dbo.sp_who2`, `master..sp_who2`.
    pub(super) fn dotted(&mut self, expected: &str) -> Result<Spanned<String>, Fault> {
        let mut name = self.name(expected)?;
        while self.takes('.') {
            if self.peek() == Some(&Word::Sign('.')) {
                continue;
            }
            name = self.name(expected)?;
        }
        Ok(name)
    }

    /// Takes a number.
    pub(super) fn number<N: std::str::FromStr>(&mut self, expected: &str) -> Result<Spanned<N>, Fault> {
        match self.line.get(self.at) {
            Some(Spanned { it: Word::Number(digits), span }) => {
                self.at += 1;
                let number =
                    digits.parse().map_err(|_| Fault::new(*span, format!("{digits} is too large")).expected(expected));
                number.map(|n| Spanned::new(n, *span))
            }
            _ => Err(self.other(expected)),
        }
    }

    /// Takes a name or a text in quotes.
    pub(super) fn text(&mut self, expected: &str) -> Result<Spanned<String>, Fault> {
        match self.line.get(self.at) {
            Some(Spanned { it: Word::Text(text), span }) => {
                self.at += 1;
                Ok(Spanned::new(text.clone(), *span))
            }
            _ => self.name(expected),
        }
    }

    /// Takes the value of a procedure's parameter: alone, or as `@parameter = value`.
    pub(super) fn argument(&mut self, parameter: &str, expected: &str) -> Result<Spanned<String>, Fault> {
        if let Some(Spanned { it: Word::Variable(name), span }) = self.line.get(self.at) {
            if !name.eq_ignore_ascii_case(parameter) {
                let fault = Fault::new(*span, format!("There is no parameter @{name}"));
                return Err(fault.expected(format!("@{parameter} = {expected}")));
            }
            self.at += 1;
            if !self.takes('=') {
                return Err(self.other("`=`"));
            }
        }
        self.text(expected)
    }

    /// Takes the name of the database.
    pub(super) fn database(&mut self) -> Result<Database, Fault> {
        let name = self.name("the name of the database, mgc")?;
        database(&name)
    }

    /// Nothing may be left.
    pub(super) fn end(&self) -> Result<(), Fault> {
        if self.is_at_end() { Ok(()) } else { Err(self.other("the end of the line")) }
    }

    /// The next word does not belong here.
    pub(super) fn other(&self, expected: &str) -> Fault {
        match self.line.get(self.at) {
            Some(word) => self.unexpected(word.span, expected),
            None => {
                let end = self.line.last().map_or(0, |w| w.span.end);
                Fault::new(Span::new(end, end), "The line ends too early").expected(expected)
            }
        }
    }

    fn unexpected(&self, span: Span, expected: &str) -> Fault {
        let shown = self.line.iter().find(|w| w.span == span).map(|w| w.it.to_string()).unwrap_or_default();
        Fault::new(span, format!("`{shown}` does not belong here")).expected(expected)
    }
}

/// Reads the name of the database.
pub(super) fn database(name: &Spanned<String>) -> Result<Database, Fault> {
    Database::parse(&name.it).map_err(|what| Fault::new(name.span, what))
}
