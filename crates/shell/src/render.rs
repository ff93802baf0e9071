//! Shows what was told as PowerShell would: sentences, lists of `Name : value`, tables with a line below their headings.

use crate::told::{Part, Told};
use std::fmt::Write as _;

/// All of an answer as text that ends with a line's end, or nothing. `what_if`: each sentence says so.
pub(crate) fn told(told: &Told, what_if: bool) -> String {
    let mut text = String::new();
    for part in told.parts() {
        match part {
            Part::Line(line) => {
                for line in line.split('\n') {
                    push(&mut text, &format!("{}{}", if what_if { "What if: " } else { "" }, clean(line)));
                }
            }
            Part::Record(fields) => {
                text.push('\n');
                record(&mut text, fields);
                text.push('\n');
            }
            Part::Table { headings, rows } => {
                text.push('\n');
                table(&mut text, headings, rows);
                text.push('\n');
            }
        }
    }
    text
}

fn record(text: &mut String, fields: &[(String, String)]) {
    let widest = fields.iter().map(|(name, _)| width(name)).max().unwrap_or_default();
    for (name, value) in fields {
        push(text, &format!("{}{} : {}", clean(name), " ".repeat(widest - width(name)), clean(value)));
    }
}

fn table(text: &mut String, headings: &[String], rows: &[Vec<String>]) {
    let cell = |row: &[String], i: usize| row.get(i).map(|c| clean(c)).unwrap_or_default();
    let columns: Vec<Column> = headings
        .iter()
        .enumerate()
        .map(|(i, heading)| {
            let cells: Vec<String> = rows.iter().map(|row| cell(row, i)).collect();
            let widest = cells.iter().map(|c| width(c)).max().unwrap_or_default();
            // Numbers stand to the right, and so does what is over them.
            let numbers =
                cells.iter().all(|c| c.bytes().all(|b| b.is_ascii_digit())) && cells.iter().any(|c| !c.is_empty());
            Column { width: widest.max(width(heading)), right: numbers }
        })
        .collect();
    line(text, &columns, &|i| clean(&headings[i]));
    line(text, &columns, &|i| {
        let dashes = "-".repeat(width(&headings[i]));
        if columns[i].right { format!("{dashes:>w$}", w = columns[i].width) } else { dashes }
    });
    for row in rows {
        line(text, &columns, &|i| cell(row, i));
    }
}

struct Column {
    width: usize,
    right: bool,
}

fn line(text: &mut String, columns: &[Column], cell: &dyn Fn(usize) -> String) {
    let mut line = String::new();
    for (i, column) in columns.iter().enumerate() {
        let cell = cell(i);
        let blanks = " ".repeat(column.width.saturating_sub(width(&cell)));
        let gap = if i == 0 { "" } else { " " };
        let _ = if column.right { write!(line, "{gap}{blanks}{cell}") } else { write!(line, "{gap}{cell}{blanks}") };
    }
    push(text, &line);
}

fn push(text: &mut String, line: &str) {
    text.push_str(line.trim_end());
    text.push('\n');
}

/// What others say must not steer the terminal.
pub(crate) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_tables_are_aligned() {
        let answer = Told::line("Two.").and_record([("Identity", "a"), ("PoolState", "Normal")]).and_table(
            &["SPID", "Status"],
            vec![vec!["7".into(), "idle".into()], vec!["12345".into(), "active \u{1b}[2J".into()]],
        );
        let expected = "What if: Two.\n\nIdentity  : a\nPoolState : Normal\n\n\n SPID Status\n ---- ------\n    7 idle\n12345 active  [2J\n\n";
        assert_eq!(told(&answer, true), expected);
    }
}
