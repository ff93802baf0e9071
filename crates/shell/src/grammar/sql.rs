//! One SQL line, as words. What they mean is the business of the verbs (`crate::sql`), each of which reads its own.

use super::MOST_PARTS;
use super::cursor::Cursor;
use super::tree::Word;
use crate::fault::Fault;
use crate::span::{Span, Spanned};

/// Whether the line that begins here is SQL.
pub(super) fn begins(cursor: &Cursor<'_>) -> bool {
    let rest = cursor.rest();
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))).unwrap_or(rest.len());
    crate::sql::is_first_word(&rest[..end])
}

/// Reads the words of a line; `None` when it was only `go`, which ends a batch and does nothing.
pub(super) fn statement(cursor: &mut Cursor<'_>) -> Result<Option<Vec<Spanned<Word>>>, Fault> {
    let mut words: Vec<Spanned<Word>> = Vec::new();
    loop {
        cursor.sql_blanks()?;
        if cursor.at_end_of_statement() {
            break;
        }
        if words.len() == MOST_PARTS {
            return Err(Fault::new(cursor.here(), format!("More than {MOST_PARTS} words in one SQL line")));
        }
        words.push(word(cursor)?);
    }
    if words.last().is_some_and(|w| matches!(&w.it, Word::Plain(p) if p.eq_ignore_ascii_case("go"))) {
        words.pop();
    }
    Ok((!words.is_empty()).then_some(words))
}

fn word(cursor: &mut Cursor<'_>) -> Result<Spanned<Word>, Fault> {
    let start = cursor.at();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let word = match (cursor.peek(), cursor.peek_second()) {
        (Some('N' | 'n'), Some('\'')) => {
            cursor.skip(2);
            Word::Text(cursor.quoted(start, |c| c == '\'', |_, _| Ok(None))?)
        }
        (Some('\''), _) => {
            cursor.next();
            Word::Text(cursor.quoted(start, |c| c == '\'', |_, _| Ok(None))?)
        }
        (Some('"'), _) => {
            cursor.next();
            Word::Name(cursor.quoted(start, |c| c == '"', |_, _| Ok(None))?)
        }
        (Some('['), _) => {
            cursor.next();
            Word::Name(cursor.quoted(start, |c| c == ']', |_, _| Ok(None))?)
        }
        (Some('@'), Some(c)) if is_name(c) => {
            cursor.next();
            Word::Variable(cursor.take_while(is_name).to_owned())
        }
        (Some(c @ (',' | '=' | '.')), _) => {
            cursor.next();
            Word::Sign(c)
        }
        (Some(c), _) if c.is_ascii_digit() => Word::Number(cursor.take_while(|c| c.is_ascii_digit()).to_owned()),
        (Some(c), _) if is_name(c) => Word::Plain(cursor.take_while(is_name).to_owned()),
        (c, _) => {
            let c = c.unwrap_or(' ');
            return Err(Fault::new(
                Span::new(start, start + c.len_utf8()),
                format!("`{c}` cannot stand in an SQL line"),
            )
            .expected("a name, a number, or a text in quotes"));
        }
    };
    let span = cursor.since(start);
    let runs_on = matches!(word, Word::Number(_) | Word::Plain(_) | Word::Variable(_))
        && cursor.peek().is_some_and(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '$' | '#' | '@'));
    if runs_on && !cursor.rest().starts_with("--") {
        let what = format!("`{}` cannot stand directly behind `{word}`", cursor.peek().unwrap_or(' '));
        return Err(Fault::new(cursor.here(), what).expected("a blank, or brackets around the whole name"));
    }
    Ok(Spanned::new(word, span))
}
