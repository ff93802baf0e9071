//! One command in PowerShell's spelling: `Name -Parameter value -Switch -Other:value`.
//!
//! Of that language only what names and values need: no pipes, variables or expressions. What is left out is refused by its name,
//! so that nobody takes silence for consent.

use super::cursor::{Cursor, is_blank, is_dash, is_double_quote, is_single_quote};
use super::tree::{Argument, Command, Value};
use super::{DEEPEST, MOST_PARTS};
use crate::fault::Fault;
use crate::span::{Span, Spanned};

/// Reads a command; the cursor stands on its first character.
pub(super) fn command(cursor: &mut Cursor<'_>) -> Result<Command, Fault> {
    let name = name(cursor)?;
    let mut arguments = Vec::new();
    loop {
        cursor.blanks()?;
        if cursor.at_end_of_statement() {
            return Ok(Command { name, arguments });
        }
        if arguments.len() == MOST_PARTS {
            return Err(Fault::new(cursor.here(), format!("More than {MOST_PARTS} words behind one command")));
        }
        arguments.push(argument(cursor)?);
    }
}

fn name(cursor: &mut Cursor<'_>) -> Result<Spanned<String>, Fault> {
    let start = cursor.at();
    let typed = cursor.take_while(|c| c.is_ascii_alphanumeric() || c == '_' || is_dash(c));
    let span = cursor.since(start);
    if !typed.starts_with(|c: char| c.is_ascii_alphabetic()) {
        let (shown, here) = match cursor.peek() {
            Some(c) if typed.is_empty() => (c.to_string(), cursor.here()),
            _ => (typed.to_owned(), span),
        };
        return Err(not_understood(cursor)
            .filter(|_| typed.is_empty())
            .unwrap_or_else(|| Fault::new(here, format!("A command cannot begin with `{shown}`")))
            .expected(
                "the name of a command, such as Set-CsPersistentChatState, or an SQL line, such as exec sp_who2",
            ));
    }
    if !ends_word(cursor) {
        let what = format!("`{}` cannot stand in the name of a command", cursor.peek().unwrap_or(' '));
        return Err(Fault::new(cursor.here(), what).expected("a blank behind the name"));
    }
    Ok(Spanned::new(typed.chars().map(|c| if is_dash(c) { '-' } else { c }).collect(), span))
}

fn argument(cursor: &mut Cursor<'_>) -> Result<Argument, Fault> {
    let start = cursor.at();
    let is_parameter =
        cursor.peek().is_some_and(is_dash) && cursor.peek_second().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    if !is_parameter {
        return list(cursor, DEEPEST, false).map(Argument::Value);
    }
    cursor.next();
    let typed = cursor.take_while(|c| c.is_ascii_alphanumeric() || c == '_').to_owned();
    let name = Spanned::new(typed, cursor.since(start));
    if cursor.peek() != Some(':') {
        if ends_word(cursor) {
            return Ok(Argument::Parameter { name, value: None });
        }
        let what = format!("`{}` cannot stand in the name of a parameter", cursor.peek().unwrap_or(' '));
        return Err(Fault::new(cursor.here(), what).expected("a blank or a colon, and then the value"));
    }
    cursor.next();
    cursor.blanks()?;
    if cursor.at_end_of_statement() {
        let what = format!("There is no value behind -{}:", name.it);
        return Err(Fault::new(name.span, what).expected("a value behind the colon"));
    }
    let value = list(cursor, DEEPEST, false)?;
    Ok(Argument::Parameter { name, value: Some(value) })
}

/// Values with commas between them: one alone is that value.
fn list(cursor: &mut Cursor<'_>, depth: usize, in_table: bool) -> Result<Spanned<Value>, Fault> {
    let start = cursor.at();
    let first = value(cursor, depth, in_table)?;
    let mut items = vec![first];
    loop {
        // A comma may stand behind blanks; blanks with no comma behind them are not ours.
        let mut ahead = Cursor::new(cursor.rest());
        if ahead.blanks().is_err() || ahead.peek() != Some(',') {
            break;
        }
        cursor.blanks()?;
        cursor.next();
        cursor.blanks_and_lines()?;
        if items.len() == MOST_PARTS {
            return Err(Fault::new(cursor.here(), format!("A list has more than {MOST_PARTS} items")));
        }
        items.push(value(cursor, depth, in_table)?);
    }
    match items.pop() {
        Some(only) if items.is_empty() => Ok(only),
        last => {
            items.extend(last);
            if let Some(nested) = items.iter().find(|i| matches!(i.it, Value::List(_) | Value::Table(_))) {
                return Err(Fault::new(nested.span, "A list cannot stand in a list").expected("a text"));
            }
            Ok(Spanned::new(Value::List(items), cursor.since(start)))
        }
    }
}

/// One value.
fn value(cursor: &mut Cursor<'_>, depth: usize, in_table: bool) -> Result<Spanned<Value>, Fault> {
    let start = cursor.at();
    let value = match (cursor.peek(), cursor.peek_second()) {
        (None | Some('\n' | '\r'), _) => {
            return Err(Fault::new(cursor.here(), "The text ends where a value should stand")
                .expected("a value, such as \"bos-cs-001.litwareinc.com\"")
                .incomplete());
        }
        (Some('@'), Some('{')) if in_table => {
            let span = Span::new(start, start + 2);
            return Err(Fault::new(span, "A table cannot stand in a table").expected("a text or a list"));
        }
        (Some('@'), Some('{')) => {
            cursor.skip(2);
            table(cursor, start, depth)?
        }
        (Some('@'), Some('(')) => {
            cursor.skip(2);
            match in_brackets(cursor, start, depth, in_table)?.map(|v| v.it) {
                Some(Value::List(items)) => Value::List(items),
                Some(table @ Value::Table(_)) => table,
                Some(other) => Value::List(vec![Spanned::new(other, cursor.since(start))]),
                None => Value::List(vec![]),
            }
        }
        (Some('('), _) => {
            cursor.next();
            match in_brackets(cursor, start, depth, in_table)? {
                Some(inner) => inner.it,
                None => {
                    return Err(Fault::new(cursor.since(start), "Nothing stands in these brackets")
                        .expected("a value; an empty list is written @()"));
                }
            }
        }
        (Some('$'), _) => return variable(cursor),
        (Some(c), _) if is_single_quote(c) => {
            cursor.next();
            Value::Text(cursor.quoted(start, is_single_quote, |_, _| Ok(None))?)
        }
        (Some(c), _) if is_double_quote(c) => {
            cursor.next();
            Value::Text(cursor.quoted(start, is_double_quote, escape)?)
        }
        _ => Value::Text(bare(cursor, in_table || depth < DEEPEST)?),
    };
    let span = cursor.since(start);
    if !ends_word(cursor) {
        let what = format!("`{}` stands directly behind the value", cursor.peek().unwrap_or(' '));
        return Err(Fault::new(cursor.here(), what).expected("a blank before what follows"));
    }
    Ok(Spanned::new(value, span))
}

/// What stands between `(` and `)`, of which the first is taken already.
fn in_brackets(
    cursor: &mut Cursor<'_>,
    start: usize,
    depth: usize,
    in_table: bool,
) -> Result<Option<Spanned<Value>>, Fault> {
    let depth = deeper(cursor, depth)?;
    cursor.blanks_and_lines()?;
    if cursor.peek() == Some(')') {
        cursor.next();
        return Ok(None);
    }
    if cursor.peek().is_none() {
        return Err(not_closed(start, ")"));
    }
    let inner = list(cursor, depth, in_table)?;
    cursor.blanks_and_lines()?;
    match cursor.peek() {
        Some(')') => {
            cursor.next();
            Ok(Some(inner))
        }
        None => Err(not_closed(start, ")")),
        Some(c) => Err(Fault::new(cursor.here(), format!("`{c}` does not belong into a list")).expected("`,` or `)`")),
    }
}

/// What stands between `@{` and `}`, of which the first is taken already.
fn table(cursor: &mut Cursor<'_>, start: usize, depth: usize) -> Result<Value, Fault> {
    let depth = deeper(cursor, depth)?;
    let mut entries: Vec<(Spanned<String>, Spanned<Value>)> = Vec::new();
    loop {
        cursor.blanks_and_lines()?;
        match cursor.peek() {
            None => return Err(not_closed(start, "}")),
            Some('}') => {
                cursor.next();
                return Ok(Value::Table(entries));
            }
            Some(';') => {
                cursor.next();
                continue;
            }
            Some(_) => {}
        }
        let key = key(cursor)?;
        if entries.iter().any(|(k, _)| k.it.eq_ignore_ascii_case(&key.it)) {
            return Err(Fault::new(key.span, format!("{} stands in the table twice", key.it)));
        }
        if entries.len() == MOST_PARTS {
            return Err(Fault::new(key.span, format!("A table has more than {MOST_PARTS} entries")));
        }
        cursor.blanks()?;
        match cursor.peek() {
            Some('=') => cursor.next(),
            None => return Err(not_closed(start, "}")),
            Some(c) => {
                let what = format!("`{c}` stands behind {}", key.it);
                return Err(Fault::new(cursor.here(), what).expected("`=` and a value, as in @{Add=\"name\"}"));
            }
        };
        cursor.blanks_and_lines()?;
        entries.push((key, list(cursor, depth, true)?));
        cursor.blanks()?;
        match cursor.peek() {
            None => return Err(not_closed(start, "}")),
            Some('}' | ';' | '\n') => {}
            Some(c) => {
                let what = format!("`{c}` does not belong into a table");
                return Err(
                    Fault::new(cursor.here(), what).expected("`,` and another value, `;` and another name, or `}`")
                );
            }
        }
    }
}

fn key(cursor: &mut Cursor<'_>) -> Result<Spanned<String>, Fault> {
    let start = cursor.at();
    let text = match cursor.peek() {
        Some(c) if is_single_quote(c) => {
            cursor.next();
            cursor.quoted(start, is_single_quote, |_, _| Ok(None))?
        }
        Some(c) if is_double_quote(c) => {
            cursor.next();
            cursor.quoted(start, is_double_quote, escape)?
        }
        _ => cursor
            .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '/' | '\\'))
            .to_owned(),
    };
    if cursor.at() == start {
        let what = format!("`{}` is no name", cursor.peek().unwrap_or(' '));
        return Err(Fault::new(cursor.here(), what).expected("a name, as in @{Add=\"name\"}"));
    }
    Ok(Spanned::new(text, cursor.since(start)))
}

/// `$null`, `$true`, `$false`: there are no others.
fn variable(cursor: &mut Cursor<'_>) -> Result<Spanned<Value>, Fault> {
    let start = cursor.at();
    cursor.next();
    let name = cursor.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '?' | '^'));
    let span = cursor.since(start);
    let value = known(name).ok_or_else(|| no_variable(name, span))?;
    if !ends_word(cursor) {
        let what = format!("`{}` stands directly behind ${name}", cursor.peek().unwrap_or(' '));
        return Err(Fault::new(cursor.here(), what).expected("a blank before what follows"));
    }
    Ok(Spanned::new(value, span))
}

fn known(name: &str) -> Option<Value> {
    match name.to_ascii_lowercase().as_str() {
        "null" => Some(Value::Null),
        "true" => Some(Value::Bool(true)),
        "false" => Some(Value::Bool(false)),
        _ => None,
    }
}

fn no_variable(name: &str, span: Span) -> Fault {
    Fault::new(span, format!("There is no variable ${name} here; only values are understood, no calculations"))
        .expected("$null, $true, $false, or a text; in single quotes `$` is itself")
        .nearest(crate::nearest::nearest(&format!("${name}"), ["$null", "$true", "$false"]))
}

/// What a backtick and a dollar make of what follows them, in double quotes.
fn escape(cursor: &mut Cursor<'_>, c: char) -> Result<Option<char>, Fault> {
    let start = cursor.at() - c.len_utf8();
    match c {
        '`' => {
            let Some(escaped) = cursor.next() else {
                return Err(Fault::new(Span::new(start, start + 1), "The text ends behind a backtick").incomplete());
            };
            match escaped {
                'n' => Ok(Some('\n')),
                't' => Ok(Some('\t')),
                'r' => Ok(Some('\r')),
                '0' | 'a' | 'b' | 'f' | 'v' | 'e' => Err(Fault::new(
                    cursor.since(start),
                    format!("`{escaped} is a control character, which no name or text has here"),
                )),
                itself => Ok(Some(itself)),
            }
        }
        // `$` alone is itself, as in a share's name; with a name behind it, it would be a variable.
        '$' if cursor.peek().is_some_and(|n| n.is_ascii_alphabetic() || matches!(n, '_' | '{' | '(')) => {
            let name = cursor.take_while(|c| c.is_ascii_alphanumeric() || c == '_').to_owned();
            Err(no_variable(&name, cursor.since(start)))
        }
        _ => Ok(None),
    }
}

/// A word without quotes, or with quotes in its middle: `service:"pool.litwareinc.com"`.
fn bare(cursor: &mut Cursor<'_>, in_brackets: bool) -> Result<String, Fault> {
    let start = cursor.at();
    let mut text = String::new();
    while let Some(c) = cursor.peek() {
        match c {
            ',' | ';' | '\n' | ')' | '}' => break,
            '=' if in_brackets => break,
            c if is_blank(c) || c == '\r' => break,
            '|' | '&' | '<' | '>' | '(' | '{' | '$' | '@' => {
                return Err(not_understood(cursor).unwrap_or_else(|| unexpected(cursor, c)));
            }
            '`' => {
                match cursor.peek_second() {
                    None | Some('\n' | '\r') => break,
                    Some(_) => cursor.next(),
                };
                text.extend(cursor.next());
            }
            c if is_single_quote(c) && cursor.at() != start => {
                let quote = cursor.at();
                cursor.next();
                text.push_str(&cursor.quoted(quote, is_single_quote, |_, _| Ok(None))?);
            }
            c if is_double_quote(c) && cursor.at() != start => {
                let quote = cursor.at();
                cursor.next();
                text.push_str(&cursor.quoted(quote, is_double_quote, escape)?);
            }
            _ => text.extend(cursor.next()),
        }
    }
    if cursor.at() == start {
        return Err(unexpected(cursor, cursor.peek().unwrap_or(' ')));
    }
    Ok(text)
}

fn unexpected(cursor: &Cursor<'_>, c: char) -> Fault {
    Fault::new(cursor.here(), format!("`{c}` cannot stand here")).expected("a value, or a parameter such as -WhatIf")
}

/// What PowerShell has and this does not, by its name.
fn not_understood(cursor: &Cursor<'_>) -> Option<Fault> {
    let what = match (cursor.peek()?, cursor.peek_second()) {
        ('|', _) => "Commands cannot be joined with `|` here; each stands on a line of its own",
        ('&', _) => "`&` is not understood here; commands are called by their names alone",
        ('>' | '<', _) => "Output cannot be redirected here; --json writes it for programs",
        ('{', _) => "Blocks in braces are not understood here; a table is written @{Name=value}",
        ('(', _) => "Brackets are understood around values only",
        ('$', _) => "There are no variables here, only the values $null, $true and $false",
        ('@', Some(c)) if is_double_quote(c) || is_single_quote(c) => {
            "Texts of several lines (@\") are not understood here"
        }
        ('@', _) => "`@` is understood only as @{Name=value} and @(value, value)",
        _ => return None,
    };
    Some(Fault::new(cursor.here(), what))
}

/// Whether a word may end here.
fn ends_word(cursor: &Cursor<'_>) -> bool {
    match cursor.peek() {
        None | Some('\r' | '\n' | ';' | ',' | ')' | '}') => true,
        Some('`') => cursor.peek_second().is_none_or(|c| is_blank(c) || matches!(c, '\r' | '\n')),
        Some(c) => is_blank(c),
    }
}

fn deeper(cursor: &Cursor<'_>, depth: usize) -> Result<usize, Fault> {
    depth
        .checked_sub(1)
        .ok_or_else(|| Fault::new(cursor.here(), format!("Brackets stand more than {DEEPEST} deep in brackets")))
}

fn not_closed(start: usize, closing: &str) -> Fault {
    Fault::new(Span::new(start, start + 1), "The bracket that begins here is not closed")
        .expected(format!("`{closing}`"))
        .incomplete()
}
