//! What a command prints: results to standard output, for people as tables or for programs as JSON; everything else to
//! standard error, so that a pipe gets nothing but results.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "printing is what this file is for")]

use crate::exit::Failure;
use serde_json::{Value, json};
use std::io::Write as _;

/// Where results go, and in which form.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// One JSON value instead of text.
    pub(crate) json: bool,
    /// No hints.
    pub(crate) quiet: bool,
}

impl Output {
    /// Prints a value as JSON when that was asked for, otherwise as `text` says.
    pub(crate) fn value(self, value: &Value, text: impl FnOnce(&Value) -> String) {
        let line = if self.json { value.to_string() } else { text(value) };
        // A reader that went away (`| head`) is no fault of ours.
        let _ = writeln!(std::io::stdout(), "{line}");
    }

    /// Prints a list: as `{"items": [...]}`, or as a table of the columns `(heading, how to read it)`.
    pub(crate) fn list(self, items: &[Value], nothing: &str, columns: &[Column]) {
        if self.json {
            self.value(&json!({ "items": items }), |_| String::new());
        } else if items.is_empty() {
            self.hint(nothing);
        } else {
            let _ = writeln!(std::io::stdout(), "{}", table(items, columns));
        }
    }

    /// Prints one thing: as JSON, or as lines `name  value`.
    pub(crate) fn record(self, value: &Value, fields: &[Column]) {
        self.value(value, |value| {
            let mut table = plain_table();
            for field in fields {
                let text = (field.1)(value);
                if !text.is_empty() {
                    table.add_row(vec![field.0.to_owned(), text]);
                }
            }
            trimmed(&table)
        });
    }

    /// Says something to a person that is no result: to standard error, and not at all with `--quiet`.
    pub(crate) fn hint(self, text: &str) {
        if !self.quiet {
            let _ = writeln!(std::io::stderr(), "{text}");
        }
    }
}

/// A column of a table: its heading, and how its cell is read from an item.
pub(crate) type Column = (&'static str, fn(&Value) -> String);

/// The text of a field of an object; empty when there is none.
pub(crate) fn text(value: &Value, field: &str) -> String {
    plain(&value[field])
}

/// A value as a person reads it.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        Value::String(s) => visible(s),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(map) => map.get("name").map_or_else(|| value.to_string(), plain),
        Value::Number(n) => n.to_string(),
    }
}

/// The text without what a terminal would obey: what others wrote must not move the cursor or change colours.
pub(crate) fn visible(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{FFFD}' } else { c }).collect()
}

/// A moment as a person reads it: `2026-05-12 09:31`, UTC.
pub(crate) fn moment(value: &Value) -> String {
    value.as_str().map_or_else(String::new, |t| t.get(..16).unwrap_or(t).replace('T', " "))
}

/// Prints why a command failed: a sentence, or with `--json` a problem document; always to standard error.
pub(crate) fn report_error(error: &anyhow::Error, json: bool) {
    let message = error.chain().map(ToString::to_string).collect::<Vec<_>>().join(": ");
    let line = if json {
        let failure = error.chain().find_map(|e| e.downcast_ref::<Failure>());
        let problem = failure.and_then(|f| f.problem.clone());
        let exit = crate::exit::code_of(error) as u8;
        json!({ "error": message, "exit_code": exit, "problem": problem }).to_string()
    } else {
        format!("error: {message}")
    };
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Items as lines below headings.
pub(crate) fn table(items: &[Value], columns: &[Column]) -> String {
    let mut table = plain_table();
    table.set_header(columns.iter().map(|c| c.0));
    for item in items {
        table.add_row(columns.iter().map(|c| (c.1)(item)));
    }
    trimmed(&table)
}

fn plain_table() -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table
}

fn trimmed(table: &comfy_table::Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_cannot_steer_the_terminal() {
        assert_eq!(visible("a\u{1b}[2Jb\tc"), "a\u{FFFD}[2Jb\tc");
    }

    #[test]
    fn a_table_has_a_line_for_each_item() {
        let items = [json!({"id": 1, "name": "Help"}), json!({"id": 22, "name": "Ops"})];
        let out = table(&items, &[("ID", |v| text(v, "id")), ("NAME", |v| text(v, "name"))]);
        assert_eq!(out.lines().count(), 3);
        assert!(out.lines().nth(2).is_some_and(|l| l.contains("22") && l.contains("Ops")), "{out}");
    }
}
