//! The grammar: a text becomes statements, each either a command in PowerShell's spelling or an SQL line.
//!
//! [`parse`] is the way in. [`tree`] is what it yields and how that is written again; `cursor` walks the text and knows blanks, comments and
//! continued lines; `powershell` and `sql` read one statement each. Nothing here knows which commands there are: only the first word of a
//! line decides between the two languages. Whatever the text, the answer is statements or a [`Fault`], never a panic.

mod cursor;
mod powershell;
mod sql;
pub mod tree;

#[cfg(test)]
mod tests;

use crate::fault::Fault;
use crate::span::Span;
use cursor::Cursor;
use tree::{Script, Statement, What};

/// The longest text, in bytes.
pub const LONGEST_TEXT: usize = 1 << 20;
/// The longest statement, in bytes, with all lines that it is continued on.
pub const LONGEST_STATEMENT: usize = 16 << 10;
/// The most statements of a text.
pub const MOST_STATEMENTS: usize = 10_000;
/// The most words of a statement, and the most items of a list.
pub const MOST_PARTS: usize = 256;
/// How deep brackets may stand in brackets.
pub const DEEPEST: usize = 8;

/// Reads a text to its end.
///
/// # Errors
/// The first place that is not understood.
pub fn parse(text: &str) -> Result<Script, Fault> {
    if text.len() > LONGEST_TEXT {
        let what = format!("The text has {} bytes; more than {LONGEST_TEXT} are not read", text.len());
        return Err(Fault::new(Span::new(0, 1), what));
    }
    if let Some((at, c)) = text.char_indices().find(|(_, c)| c.is_control() && !matches!(c, '\t' | '\r' | '\n')) {
        let what = format!("A control character stands here (U+{:04X})", u32::from(c));
        return Err(Fault::new(Span::new(at, at + c.len_utf8()), what).expected("readable text"));
    }
    let mut cursor = Cursor::new(text);
    let mut statements = Vec::new();
    while cursor.go_to_statement()? {
        let start = cursor.at();
        let what = if sql::begins(&cursor) {
            sql::statement(&mut cursor)?.map(What::Sql)
        } else {
            Some(What::Command(powershell::command(&mut cursor)?))
        };
        let span = Span::new(start, cursor.after_last_word());
        if span.end - span.start > LONGEST_STATEMENT {
            let what = format!("The statement is longer than {LONGEST_STATEMENT} bytes");
            return Err(Fault::new(Span::new(start, start + 1), what));
        }
        if statements.len() == MOST_STATEMENTS {
            return Err(Fault::new(span, format!("The text has more than {MOST_STATEMENTS} statements")));
        }
        statements.extend(what.map(|what| Statement { what, span }));
    }
    Ok(Script { statements })
}
