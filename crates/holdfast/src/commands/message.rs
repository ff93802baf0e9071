//! `holdfast message`: post, read, find and remove what was said.

use super::Context;
use super::shared::{Change, confirm, given, some, time, would_change};
use crate::cli::WhatIf;
use crate::client::{Access, Client, encode, query};
use crate::exit::{Exit, Failure, refused, usage};
use crate::output::{Column, moment, text, visible};
use crate::resolve::{self, Kind};
use anyhow::{Context as _, Result};
use axum::http::Method;
use clap::Subcommand;
use serde_json::{Value, json};
use std::io::Read as _;
use std::path::PathBuf;
use uuid::Uuid;

/// What can be done with messages.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Post a message
    #[command(
        after_help = "Examples:\n  holdfast message post \"Night shift\" \"Pump 3 is back.\" --as ana.ruiz\n  journalctl -p err -n 20 | holdfast message post Alerts --title \"Errors of the last hour\" --as watch-bot"
    )]
    Post {
        /// The room: name or number
        room: String,
        /// The text; without it, standard input is read
        text: Option<String>,
        /// Makes it a story with this title
        #[arg(long, value_name = "TEXT")]
        title: Option<String>,
        /// High importance
        #[arg(long)]
        alert: bool,
        /// A file to go with it; may be repeated
        #[arg(long = "file", value_name = "PATH")]
        files: Vec<PathBuf>,
        /// Your own id for it (a UUID): the same id posted twice is one message
        #[arg(long, value_name = "UUID")]
        client_id: Option<Uuid>,
        #[command(flatten)]
        what_if: WhatIf,
    },
    /// Read a room
    #[command(
        after_help = "Examples:\n  holdfast message list \"Night shift\" --limit 20\n  holdfast message list \"Night shift\" --at 2026-05-12T09:00:00Z"
    )]
    List {
        /// The room: name or number
        room: String,
        /// Those right before this entry
        #[arg(long, value_name = "SEQ")]
        before: Option<u64>,
        /// Those right after this entry
        #[arg(long, value_name = "SEQ", conflicts_with = "before")]
        after: Option<u64>,
        /// Those around this moment
        #[arg(long, value_name = "TIME", value_parser = time, conflicts_with_all = ["before", "after"])]
        at: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Find messages
    #[command(
        after_help = "Example:\n  holdfast message search \"pump 3\" --match phrase --room \"Night shift\" --from 2026-01-01"
    )]
    Search {
        /// The words
        words: String,
        /// All of the words, any of them, or the words as a phrase
        #[arg(long = "match", default_value = "all", value_parser = ["all", "any", "phrase"])]
        matching: String,
        /// Only in this room
        #[arg(long)]
        room: Option<String>,
        /// Only by this author
        #[arg(long)]
        author: Option<String>,
        /// Said at this moment or later
        #[arg(long, value_name = "TIME", value_parser = time)]
        from: Option<String>,
        /// Said before this moment
        #[arg(long, value_name = "TIME", value_parser = time)]
        to: Option<String>,
        /// Which come first
        #[arg(long, default_value = "newest", value_parser = ["newest", "oldest"])]
        order: String,
        /// At most so many
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Remove messages: one by its number, or all that match
    #[command(
        after_help = "Examples:\n  holdfast message remove \"Night shift\" 120 --reason \"a password\" --erase\n  holdfast message remove \"Night shift\" --author bo.lind --words \"free offer\" --match exact --reason spam --what-if"
    )]
    Remove {
        /// The room: name or number
        room: String,
        /// The message's number; without it, the filters decide
        seq: Option<u64>,
        /// Why; kept in the log
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Only by this author
        #[arg(long)]
        author: Option<String>,
        /// Said at this moment or later
        #[arg(long, value_name = "TIME", value_parser = time)]
        from: Option<String>,
        /// Said before this moment
        #[arg(long, value_name = "TIME", value_parser = time)]
        to: Option<String>,
        /// Only with these words
        #[arg(long, value_name = "TEXT")]
        words: Option<String>,
        /// All of the words, any of them, or exactly this text
        #[arg(long = "match", value_parser = ["all", "any", "exact"])]
        matching: Option<String>,
        /// Tell capital from small letters
        #[arg(long)]
        case_sensitive: bool,
        /// What is shown instead
        #[arg(long, value_name = "TEXT")]
        replace_with: Option<String>,
        /// Erase the text from the log as well; only its digest stays
        #[arg(long)]
        erase: bool,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        what_if: WhatIf,
    },
}

/// Does what was asked.
pub(crate) async fn run(verb: Verb, context: &Context) -> Result<Exit> {
    let out = context.out;
    match verb {
        Verb::Post { room, text, title, alert, files, client_id, what_if } => {
            let text = match text {
                Some(text) => text,
                None => standard_input()?,
            };
            let post = Post { room, text, title, alert, files, client_id: client_id.unwrap_or_else(Uuid::now_v7) };
            context
                .with(Access::Existing, async |client| {
                    if what_if.what_if {
                        let room = resolve::id(client, Kind::Room, &post.room).await?;
                        let size = post.text.chars().count();
                        let change = format!(
                            "A message of {size} characters would be posted to room {room}, with {} files",
                            post.files.len()
                        );
                        return Ok(would_change(out, &[change]));
                    }
                    let entry = post.send(client).await?;
                    out.value(&entry, |e| format!("Posted as number {} of {}.", e["seq"], post.room));
                    Ok(Exit::Done)
                })
                .await
        }
        Verb::List { room, before, after, at, limit } => {
            context
                .with(Access::Existing, async |client| {
                    let id = resolve::id(client, Kind::Room, &room).await?;
                    let query = query(&[
                        ("before", before.map(|s| s.to_string())),
                        ("after", after.map(|s| s.to_string())),
                        ("at", at),
                        ("limit", Some(limit.to_string())),
                    ]);
                    let page = client.get(&format!("/rooms/{id}/entries{query}")).await?;
                    out.value(&page, |page| {
                        let entries = page["entries"].as_array().map_or(&[][..], Vec::as_slice);
                        entries.iter().map(line).collect::<Vec<_>>().join("\n")
                    });
                    Ok(Exit::Done)
                })
                .await
        }
        Verb::Search { words, matching, room, author, from, to, order, limit } => {
            context
                .with(Access::Existing, async |client| {
                    let room = number(client, Kind::Room, room).await?;
                    let author = number(client, Kind::User, author).await?;
                    let query = query(&[
                        ("q", Some(words)),
                        ("match", Some(matching)),
                        ("room", room),
                        ("author", author),
                        ("from", from),
                        ("to", to),
                        ("order", Some(order)),
                        ("limit", Some(limit.min(50).to_string())),
                    ]);
                    let hits = client.list(&format!("/search{query}"), limit).await?;
                    out.list(&hits, "Nothing found.", HITS);
                    Ok(Exit::Done)
                })
                .await
        }
        Verb::Remove {
            room,
            seq: Some(seq),
            reason,
            author,
            from,
            to,
            words,
            matching,
            what_if,
            erase,
            replace_with,
            ..
        } => {
            if author.is_some() || from.is_some() || to.is_some() || words.is_some() || matching.is_some() {
                return Err(usage("a message's number and filters do not go together"));
            }
            if erase || replace_with.is_some() {
                return Err(usage(
                    "--erase and --replace-with go with filters; to erase one message, give --author and --from/--to around it",
                ));
            }
            context
                .with(Access::Existing, async |client| {
                    let id = resolve::id(client, Kind::Room, &room).await?;
                    if what_if.what_if {
                        return Ok(would_change(
                            out,
                            &[format!("Message {seq} of {room} would be removed from sight")],
                        ));
                    }
                    let query = query(&[("reason", Some(reason)), ("client_id", Some(Uuid::now_v7().to_string()))]);
                    let path = format!("/rooms/{id}/messages/{seq}{query}");
                    let change = Change { method: Method::DELETE, path, body: None, what_if: false };
                    change.run(client, out, |_| format!("Removed message {seq} of {room}.")).await
                })
                .await
        }
        Verb::Remove {
            room,
            seq: None,
            reason,
            author,
            from,
            to,
            words,
            matching,
            case_sensitive,
            replace_with,
            erase,
            yes,
            what_if,
        } => {
            if author.is_none() && from.is_none() && to.is_none() && words.is_none() {
                return Err(usage("say which messages: by number, or with --author, --words, --from or --to"));
            }
            context
                .with(Access::Existing, async |client| {
                    let id = resolve::id(client, Kind::Room, &room).await?;
                    let author = match &author {
                        Some(author) => Some(json!(resolve::id(client, Kind::User, author).await?)),
                        None => None,
                    };
                    let body = given([
                        ("author", author),
                        ("from", some(from.as_ref())),
                        ("to", some(to.as_ref())),
                        ("words", some(words.as_ref())),
                        ("match", some(matching.as_ref())),
                        ("case_sensitive", case_sensitive.then_some(json!(true))),
                        ("replace_with", some(replace_with.as_ref())),
                        ("reason", Some(json!(reason))),
                        ("erase", erase.then_some(json!(true))),
                    ]);
                    if erase && !what_if.what_if {
                        confirm(yes, &format!("All matching messages of {room} will be erased."))?;
                    }
                    let path = format!("/rooms/{id}/messages/remove");
                    let change = Change { method: Method::POST, path, body: Some(&body), what_if: what_if.what_if };
                    change
                        .run(client, out, |a| {
                            format!("Removed {} of {} matching messages.", a["removed"], a["matched"])
                        })
                        .await
                })
                .await
        }
    }
}

const HITS: &[Column] = &[
    ("WHEN", |h| moment(&h["entry"]["at"])),
    ("ROOM", |h| text(h, "room")),
    ("NO.", |h| text(&h["entry"], "seq")),
    ("WHO", |h| text(&h["entry"]["author"], "display_name")),
    ("WHAT", |h| {
        let parts = h["fragments"].as_array().map_or(&[][..], Vec::as_slice);
        let whole: String = parts.iter().map(|f| text(f, "text")).collect();
        whole.split_whitespace().collect::<Vec<_>>().join(" ")
    }),
];

struct Post {
    room: String,
    text: String,
    title: Option<String>,
    alert: bool,
    files: Vec<PathBuf>,
    client_id: Uuid,
}

impl Post {
    async fn send(&self, client: &Client) -> Result<Value> {
        let room = resolve::id(client, Kind::Room, &self.room).await?;
        let mut files = Vec::new();
        for path in &self.files {
            let name = path.file_name().and_then(|n| n.to_str());
            let Some(name) = name else {
                return Err(refused(format!("{}: its name is not valid text", path.display())));
            };
            let file = client.upload(&format!("/rooms/{room}/files?name={}", encode(name)), path).await?;
            files.push(file["id"].clone());
        }
        let body = given([
            ("client_id", Some(json!(self.client_id))),
            ("text", Some(json!(self.text))),
            ("title", some(self.title.as_ref())),
            ("alert", self.alert.then_some(json!(true))),
            ("files", (!files.is_empty()).then(|| json!(files))),
        ]);
        let sent = client.json(Method::POST, &format!("/rooms/{room}/messages"), Some(&body)).await;
        sent.map_err(|error| match error.downcast_ref::<Failure>() {
            Some(failure) if failure.exit == Exit::Unknown => Failure::new(
                Exit::Unknown,
                format!("{failure}; repeating the command with --client-id {} cannot post it twice", self.client_id),
            )
            .into(),
            _ => error,
        })
    }
}

/// An entry as a line of a transcript.
fn line(entry: &Value) -> String {
    let who = text(&entry["author"], "display_name");
    let when = moment(&entry["at"]);
    let start = format!("{:>7}  {when}  ", entry["seq"].to_string());
    let message = &entry["message"];
    let said = message["text"].as_str().map(visible);
    match (entry["kind"].as_str(), said) {
        (Some("message"), Some(said)) if message["action"] == true => format!("{start}* {who} {said}"),
        (Some("message"), Some(said)) => {
            let title = message["title"].as_str().map_or_else(String::new, |t| format!("[{}] ", visible(t)));
            let alert = if message["alert"] == true { "(!) " } else { "" };
            format!("{start}<{who}> {alert}{title}{}", said.replace('\n', "\n                             "))
        }
        (Some("message"), None) => format!("{start}<{who}> ({})", text(&entry["removed"], "how")),
        (Some(kind), _) => {
            let changes = match &entry["changes"] {
                Value::Array(items) => items.iter().map(crate::output::plain).collect::<Vec<_>>().join("; "),
                _ => text(entry, "subject"),
            };
            format!("{start}-- {kind} by {who}{}{changes}", if changes.is_empty() { "" } else { ": " })
        }
        _ => start,
    }
}

async fn number(client: &Client, kind: Kind, name: Option<String>) -> Result<Option<String>> {
    match name {
        Some(name) => Ok(Some(resolve::id(client, kind, &name).await?.to_string())),
        None => Ok(None),
    }
}

fn standard_input() -> Result<String> {
    let mut text = String::new();
    std::io::stdin()
        .lock()
        .take(1 << 20)
        .read_to_string(&mut text)
        .context("reading the message from standard input")?;
    Ok(text.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_read_as_a_transcript() {
        let author = json!({"display_name": "Ana Ruiz"});
        let mut entry = json!({"seq": 7, "at": "2026-05-12T09:31:00.000Z", "author": author, "kind": "message",
            "message": {"text": "hello\u{1b}[0m", "title": null, "alert": false, "action": false}});
        assert_eq!(line(&entry), "      7  2026-05-12 09:31  <Ana Ruiz> hello\u{FFFD}[0m");
        entry["message"]["action"] = json!(true);
        assert_eq!(line(&entry), "      7  2026-05-12 09:31  * Ana Ruiz hello\u{FFFD}[0m");
        entry["message"] = Value::Null;
        entry["removed"] = json!({"how": "retracted"});
        assert_eq!(line(&entry), "      7  2026-05-12 09:31  <Ana Ruiz> (retracted)");
    }
}
