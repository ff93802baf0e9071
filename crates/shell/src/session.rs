//! A session: lines in, answers out. A file is read to its end before anything of it is done, and stops at the first refusal; a person who types
//! goes on, and is asked before what Lync asks for.

use crate::administration::{Administration, Refusal, RefusalKind};
use crate::fault::Fault;
use crate::grammar;
use crate::line::{Ready, ready};
use crate::render;
use crate::span::{Place, Span};
use crate::told::Told;
use serde_json::{Value, json};
use std::io::{self, Write};

/// What a line is typed behind.
pub(crate) const PROMPT: &str = "holdfast> ";
/// What the next line of it is typed behind.
pub(crate) const CONTINUED: &str = ">> ";

/// How a session behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// One JSON object a line instead of text.
    pub json: bool,
    /// Whatever changes something only says so, as if each line had `-WhatIf`.
    pub what_if: bool,
}

/// How a session ended; the worst is what the program exits with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// All was done.
    Done,
    /// A line was refused.
    Refused,
    /// A line is wrong. Nothing was done.
    Usage,
    /// A line could not be carried out now.
    Unavailable,
    /// What a line names is not there.
    Missing,
    /// It is not known whether a line was carried out.
    Unknown,
}

impl Ending {
    /// The exit code, as all commands have it.
    pub fn code(self) -> u8 {
        match self {
            Ending::Done => 0,
            Ending::Refused => 1,
            Ending::Usage => 2,
            Ending::Unavailable => 3,
            Ending::Missing => 4,
            Ending::Unknown => 5,
        }
    }
}

impl From<RefusalKind> for Ending {
    fn from(kind: RefusalKind) -> Self {
        match kind {
            RefusalKind::Refused => Ending::Refused,
            RefusalKind::Unavailable => Ending::Unavailable,
            RefusalKind::Missing => Ending::Missing,
            RefusalKind::Unknown => Ending::Unknown,
        }
    }
}

/// Somebody who can be asked.
pub trait Attendant: Send {
    /// Asks a question on one line and waits for the answer; `None` when none comes.
    ///
    /// # Errors
    /// The terminal failed.
    fn ask(&mut self, question: &str) -> io::Result<Option<String>>;
}

/// Lines for one administration.
pub struct Session<'a> {
    pool: &'a dyn Administration,
    options: Options,
}

type Out<'a> = &'a mut (dyn Write + Send);

impl<'a> Session<'a> {
    /// A session in which lines are carried out by `pool`.
    pub fn new(pool: &'a dyn Administration, options: Options) -> Self {
        Self { pool, options }
    }

    /// Carries out a file: each line is shown as if it had been typed, then what it did. `name` is what errors call the file.
    ///
    /// # Errors
    /// What is shown could not be written.
    pub async fn run_file(&self, name: &str, text: &str, out: Out<'_>) -> io::Result<Ending> {
        let lines = match self.read(text, false) {
            Ok(lines) => lines,
            Err(fault) => {
                self.show_fault(&fault, Some(name), text, out)?;
                return Ok(Ending::Usage);
            }
        };
        let mut shown = Shown { text, lines: 0 };
        for (i, line) in lines.iter().enumerate() {
            if !self.options.json {
                shown.up_to(line.span, out)?;
            }
            if let Err(refusal) = self.carry_out(line, text, out).await? {
                let place = Place::of(text, line.span.start);
                let at = format!("{name}:{}:{}: {}: ", place.line, place.column, line.name);
                self.show_refusal(&refusal, &at, line, text, out)?;
                let left = lines.len() - i - 1;
                if !self.options.json {
                    let after = if left == 0 {
                        "Nothing stood behind it".into()
                    } else {
                        format!("Not done behind it: {left}")
                    };
                    writeln!(out, "Stopped at line {}. {after}.", place.line)?;
                }
                return Ok(refusal.kind.into());
            }
        }
        if !self.options.json {
            shown.up_to(Span::new(text.len(), text.len()), out)?;
        }
        Ok(Ending::Done)
    }

    /// Carries out what a person typed, who is asked where that is due.
    ///
    /// # Errors
    /// What is shown could not be written, or the terminal failed.
    pub async fn run_typed(&self, text: &str, attendant: &mut dyn Attendant, out: Out<'_>) -> io::Result<Ending> {
        let lines = match self.read(text, true) {
            Ok(lines) => lines,
            Err(fault) => {
                self.show_fault(&fault, None, text, out)?;
                return Ok(Ending::Usage);
            }
        };
        for line in &lines {
            if line.asks && !line.what_if {
                match self.ask(line, text, attendant, out).await? {
                    Asked::Yes => {}
                    Asked::No => {
                        writeln!(out, "Nothing was done.")?;
                        return Ok(Ending::Refused);
                    }
                    Asked::Refused(kind) => return Ok(kind.into()),
                }
            }
            if let Err(refusal) = self.carry_out(line, text, out).await? {
                self.show_refusal(&refusal, &format!("{}: ", line.name), line, text, out)?;
                return Ok(refusal.kind.into());
            }
        }
        Ok(Ending::Done)
    }

    fn read(&self, text: &str, attended: bool) -> Result<Vec<Ready>, Fault> {
        let script = grammar::parse(text)?;
        script.statements.iter().map(|s| ready(s, self.options.what_if, attended)).collect()
    }

    async fn carry_out(&self, line: &Ready, text: &str, out: Out<'_>) -> io::Result<Result<(), Refusal>> {
        let told = match line.deed.run(self.pool, line.what_if).await {
            Ok(told) => told,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if self.options.json {
            let mut object = place(text, line.span);
            object["done"] = json!(!line.what_if);
            object["what_if"] = json!(line.what_if);
            object["result"] = told.json();
            writeln!(out, "{object}")?;
        } else {
            write!(out, "{}", render::told(&told, line.what_if))?;
        }
        out.flush()?;
        Ok(Ok(()))
    }

    /// Says what would be done, and asks whether it may be.
    async fn ask(&self, line: &Ready, text: &str, attendant: &mut dyn Attendant, out: Out<'_>) -> io::Result<Asked> {
        let would: Told = match line.deed.run(self.pool, true).await {
            Ok(told) => told,
            Err(refusal) => {
                self.show_refusal(&refusal, &format!("{}: ", line.name), line, text, out)?;
                return Ok(Asked::Refused(refusal.kind));
            }
        };
        write!(out, "\nConfirm\nAre you sure that you want to do this?\n{}", render::told(&would, false))?;
        out.flush()?;
        loop {
            match attendant.ask("[Y] Yes  [N] No (default is \"N\"): ")?.as_deref().map(str::trim) {
                Some(yes) if ["y", "yes"].iter().any(|y| yes.eq_ignore_ascii_case(y)) => return Ok(Asked::Yes),
                None | Some("") => return Ok(Asked::No),
                Some(no) if ["n", "no"].iter().any(|n| no.eq_ignore_ascii_case(n)) => return Ok(Asked::No),
                Some(_) => {}
            }
        }
    }

    fn show_fault(&self, fault: &Fault, name: Option<&str>, text: &str, out: Out<'_>) -> io::Result<()> {
        let at = fault.place(text);
        if self.options.json {
            let object = json!({ "line": at.line, "column": at.column, "done": false, "error": fault.to_string(),
                "expected": fault.expected, "nearest": fault.nearest, "exit_code": Ending::Usage.code() });
            return writeln!(out, "{object}");
        }
        match name {
            Some(name) => write!(out, "{name}:{}:{}: ", at.line, at.column)?,
            None if text.trim_end().contains('\n') => write!(out, "Line {}, column {}: ", at.line, at.column)?,
            None => write!(out, "Column {}: ", at.column)?,
        }
        writeln!(out, "{fault}")?;
        if let Some(excerpt) = fault.excerpt(text) {
            writeln!(out, "{excerpt}")?;
        }
        if name.is_some() {
            writeln!(out, "Nothing was done: a file is read to its end before its first line is carried out.")?;
        }
        Ok(())
    }

    fn show_refusal(&self, refusal: &Refusal, at: &str, line: &Ready, text: &str, out: Out<'_>) -> io::Result<()> {
        if self.options.json {
            let mut object = place(text, line.span);
            object["done"] = match refusal.kind {
                RefusalKind::Unknown => Value::Null,
                _ => json!(false),
            };
            object["error"] = json!(refusal.reason);
            object["next"] = json!(refusal.next);
            object["exit_code"] = json!(Ending::from(refusal.kind).code());
            return writeln!(out, "{object}");
        }
        writeln!(out, "{at}{}", clean_lines(&refusal.reason))?;
        if let Some(next) = &refusal.next {
            writeln!(out, "  Next: {}", clean_lines(next))?;
        }
        Ok(())
    }
}

enum Asked {
    Yes,
    No,
    Refused(RefusalKind),
}

/// Lines below the first are moved in, so that what belongs together stays together.
fn clean_lines(text: &str) -> String {
    text.lines().map(render::clean).collect::<Vec<_>>().join("\n  ")
}

fn place(text: &str, span: Span) -> Value {
    let at = Place::of(text, span.start);
    json!({ "line": at.line, "column": at.column, "statement": span.of(text) })
}

/// How much of a file was shown.
struct Shown<'a> {
    text: &'a str,
    /// Lines shown so far.
    lines: usize,
}

impl Shown<'_> {
    /// Shows the lines up to the last of a statement, those that only continue it with their own prompt.
    fn up_to(&mut self, statement: Span, out: Out<'_>) -> io::Result<()> {
        let first = Place::of(self.text, statement.start).line;
        let last = Place::of(self.text, statement.end).line;
        for (i, line) in self.text.lines().enumerate().take(last).skip(self.lines) {
            let line = line.trim_start_matches('\u{feff}').trim_end();
            if i + 1 > first {
                writeln!(out, "{CONTINUED}{line}")?;
            } else if !line.is_empty() {
                writeln!(out, "{PROMPT}{line}")?;
            }
        }
        self.lines = self.lines.max(last);
        out.flush()
    }
}
