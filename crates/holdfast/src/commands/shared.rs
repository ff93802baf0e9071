//! What several commands do alike.
#![allow(clippy::print_stderr, reason = "a question is put to the person, not to the pipe")]

use crate::client::Client;
use crate::exit::{Exit, refused, usage};
use crate::output::{Output, plain};
use anyhow::{Context as _, Result};
use axum::http::Method;
use holdfast_domain::Time;
use serde_json::{Map, Value, json};
use std::io::{BufRead as _, IsTerminal as _, Read as _};

/// A change that the API can also only describe (`--what-if`).
pub(crate) struct Change<'a> {
    /// `POST`, `PATCH`, `DELETE`.
    pub(crate) method: Method,
    /// Below `/api/v1`.
    pub(crate) path: String,
    /// What is sent.
    pub(crate) body: Option<&'a Value>,
    /// Whether to describe it only.
    pub(crate) what_if: bool,
}

impl Change<'_> {
    /// Makes or describes the change and prints the outcome; `done` says it to a person, given the answer.
    pub(crate) async fn run(self, client: &Client, out: Output, done: impl FnOnce(&Value) -> String) -> Result<Exit> {
        let joint = if self.path.contains('?') { '&' } else { '?' };
        let path = if self.what_if { format!("{}{joint}what_if=true", self.path) } else { self.path };
        let answer = client.json(self.method, &path, self.body).await?;
        if self.what_if {
            print_would(out, &answer);
        } else if answer.is_null() {
            out.value(&json!({ "done": true }), |_| done(&Value::Null));
        } else {
            out.value(&answer, done);
        }
        Ok(Exit::Done)
    }
}

/// Says what a change would do that this command line describes itself.
pub(crate) fn would_change(out: Output, changes: &[String]) -> Exit {
    out.value(&json!({ "what_if": true, "changes": changes }), would);
    Exit::Done
}

/// Prints what the server says that a change would do.
pub(crate) fn print_would(out: Output, answer: &Value) {
    out.value(answer, would);
}

fn would(answer: &Value) -> String {
    let changes: Vec<String> = answer["changes"].as_array().into_iter().flatten().map(plain).collect();
    if changes.is_empty() {
        return "Nothing would change.".into();
    }
    format!("{}\nNothing was changed.", changes.join("\n"))
}

/// An object of those of `fields` that were given.
pub(crate) fn given<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    let map: Map<String, Value> = fields.into_iter().filter_map(|(k, v)| Some((k.to_owned(), v?))).collect();
    Value::Object(map)
}

/// A text as a JSON value, if it was given.
pub(crate) fn some(text: Option<&String>) -> Option<Value> {
    text.map(|t| json!(t))
}

/// Fails when nothing to change was given.
pub(crate) fn not_empty(body: &Value) -> Result<()> {
    if body.as_object().is_some_and(Map::is_empty) {
        return Err(usage("nothing to change was given; see --help for what can be set"));
    }
    Ok(())
}

/// Asks before something that cannot be taken back; `--yes` answers.
pub(crate) fn confirm(yes: bool, what: &str) -> Result<()> {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(usage(format!(
            "{what} This cannot be taken back: confirm with --yes, or look first with --what-if"
        )));
    }
    eprint!("{what} This cannot be taken back. Type yes to go on: ");
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).context("reading the answer")?;
    if answer.trim() == "yes" { Ok(()) } else { Err(refused("not confirmed; nothing was changed")) }
}

/// A moment as it may be typed: `2026-05-12`, which begins that day in UTC, or RFC 3339.
pub(crate) fn time(text: &str) -> Result<String, String> {
    let whole = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    Time::parse(&whole)
        .map(|t| t.to_string())
        .map_err(|_| format!("`{text}` is neither a day such as 2026-05-12 nor a moment such as 2026-05-12T09:31:00Z"))
}

/// The first line of standard input, which must hold `what`.
pub(crate) fn first_line_of_stdin(what: &str) -> Result<String> {
    let mut line = String::new();
    std::io::stdin().lock().take(64 * 1024).read_line(&mut line).context("reading standard input")?;
    let line = line.trim_end_matches(['\r', '\n']);
    if line.is_empty() {
        return Err(usage(format!("standard input was expected to hold {what} on its first line, but is empty")));
    }
    Ok(line.to_owned())
}

/// `allow`, `deny` or `inherit`, as the API's `may_chat`.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Chat {
    /// May use chat.
    Allow,
    /// May not.
    Deny,
    /// As the groups, then the server, say.
    Inherit,
}

impl Chat {
    /// As the API wants it.
    pub(crate) fn value(self) -> Value {
        match self {
            Chat::Allow => json!(true),
            Chat::Deny => json!(false),
            Chat::Inherit => Value::Null,
        }
    }
}

/// `on` or `off`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum Switch {
    /// Yes.
    On,
    /// No.
    Off,
}

impl Switch {
    /// As the API wants it.
    pub(crate) fn value(self) -> Value {
        json!(self == Switch::On)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_its_beginning() {
        assert_eq!(time("2026-05-12").unwrap(), "2026-05-12T00:00:00.000Z");
        assert_eq!(time("2026-05-12T09:31:00+02:00").unwrap(), "2026-05-12T07:31:00.000Z");
        assert!(time("yesterday").is_err());
    }

    #[test]
    fn only_what_was_given_is_sent() {
        let body = given([("name", some(Some(&"x".into()))), ("description", None), ("may_chat", Some(Value::Null))]);
        assert_eq!(body, json!({ "name": "x", "may_chat": null }));
        assert!(not_empty(&given([("a", None)])).is_err());
    }
}
