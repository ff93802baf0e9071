//! What a text says: statements, their words and values, and how each is written again.
//!
//! Written again means: another reading of it yields the same tree. The tests hold that for whatever can be read.

use super::cursor::{is_dash, is_single_quote};
use crate::span::{Span, Spanned};
use std::fmt;

/// All of a text.
#[derive(Clone, PartialEq, Debug)]
pub struct Script {
    /// Its statements, in their order.
    pub statements: Vec<Statement>,
}

/// One thing to do.
#[derive(Clone, PartialEq, Debug)]
pub struct Statement {
    /// What.
    pub what: What,
    /// From its first word to its last.
    pub span: Span,
}

/// A statement of one of the two languages.
#[derive(Clone, PartialEq, Debug)]
pub enum What {
    /// A command in PowerShell's spelling.
    Command(Command),
    /// The words of an SQL line.
    Sql(Vec<Spanned<Word>>),
}

/// `Name -Parameter value ...`
#[derive(Clone, PartialEq, Debug)]
pub struct Command {
    /// The name as it was typed.
    pub name: Spanned<String>,
    /// What follows it.
    pub arguments: Vec<Argument>,
}

/// One part of a command behind its name.
#[derive(Clone, PartialEq, Debug)]
pub enum Argument {
    /// `-Name`, or `-Name:value`.
    Parameter {
        /// The name without its dash.
        name: Spanned<String>,
        /// What stood behind a colon.
        value: Option<Spanned<Value>>,
    },
    /// A value: of the parameter before it, or standing alone.
    Value(Spanned<Value>),
}

/// A value.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// A text, in quotes or not.
    Text(String),
    /// `$null`
    Null,
    /// `$true` or `$false`
    Bool(bool),
    /// `"a", "b"` or `@("a", "b")`; never a list of lists.
    List(Vec<Spanned<Value>>),
    /// `@{Name = value; ...}`; never in another one.
    Table(Vec<(Spanned<String>, Spanned<Value>)>),
}

/// A word of an SQL line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Word {
    /// A keyword or a name: `restore`, `mgc`.
    Plain(String),
    /// A name in brackets or double quotes, which is never a keyword.
    Name(String),
    /// A text in single quotes.
    Text(String),
    /// Digits.
    Number(String),
    /// `@name`, without its sign.
    Variable(String),
    /// `,` `=` or `.`
    Sign(char),
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.statements.iter().try_for_each(|s| writeln!(f, "{s}"))
    }
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            What::Command(command) => command.fmt(f),
            What::Sql(words) => {
                for (i, word) in words.iter().enumerate() {
                    write!(f, "{}{}", if i == 0 { "" } else { " " }, word.it)?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name.it)?;
        for argument in &self.arguments {
            match argument {
                Argument::Parameter { name, value: None } => write!(f, " -{}", name.it)?,
                Argument::Parameter { name, value: Some(value) } => write!(f, " -{}:{}", name.it, value.it)?,
                Argument::Value(value) => write!(f, " {}", value.it)?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(text) => text_fmt(text, f),
            Value::Null => f.write_str("$null"),
            Value::Bool(true) => f.write_str("$true"),
            Value::Bool(false) => f.write_str("$false"),
            Value::List(items) => {
                f.write_str("@(")?;
                for (i, item) in items.iter().enumerate() {
                    write!(f, "{}{}", if i == 0 { "" } else { ", " }, item.it)?;
                }
                f.write_str(")")
            }
            Value::Table(entries) => {
                f.write_str("@{")?;
                for (i, (key, value)) in entries.iter().enumerate() {
                    f.write_str(if i == 0 { "" } else { "; " })?;
                    text_fmt(&key.it, f)?;
                    write!(f, " = {}", value.it)?;
                }
                f.write_str("}")
            }
        }
    }
}

/// Bare where that reads the same, otherwise in single quotes, in which only the quote itself is special.
fn text_fmt(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let first = text.chars().next();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '/' | '\\');
    if text.chars().all(plain) && first.is_some_and(|c| !is_dash(c)) {
        return f.write_str(text);
    }
    quoted_fmt(text, is_single_quote, '\'', '\'', f)
}

fn quoted_fmt(
    text: &str,
    doubled: impl Fn(char) -> bool,
    open: char,
    close: char,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    write!(f, "{open}")?;
    for c in text.chars() {
        write!(f, "{c}")?;
        if doubled(c) {
            write!(f, "{c}")?;
        }
    }
    write!(f, "{close}")
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Word::Plain(text) | Word::Number(text) => f.write_str(text),
            Word::Name(text) => quoted_fmt(text, |c| c == ']', '[', ']', f),
            Word::Text(text) => quoted_fmt(text, |c| c == '\'', '\'', '\'', f),
            Word::Variable(name) => write!(f, "@{name}"),
            Word::Sign(sign) => write!(f, "{sign}"),
        }
    }
}
