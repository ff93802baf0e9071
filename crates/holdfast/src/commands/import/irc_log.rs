//! `holdfast import irc-log`: reads on one thread, sends on another, so that neither waits for the other.

use crate::cli::WhatIf;
use crate::client::{Access, Client};
use crate::commands::Context;
use crate::exit::{Exit, refused, usage};
use crate::irc_log::{DayLog, Line, NOTHING_SAID, Said, day_of};
use crate::output::{text, visible};
use crate::progress::Progress;
use crate::resolve::{self, Kind};
use anyhow::{Context as _, Result};
use axum::http::Method;
use holdfast_domain::Time;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::Instant;
use tokio::sync::mpsc;

/// Messages of one request.
const BATCH: usize = 5_000;
/// Batches read ahead of the one that is being sent.
const AHEAD: usize = 2;
/// No line of a log is longer; what is longer is no log, and must not fill the memory.
const LINE_BYTES: usize = 1024 * 1024;
/// Lines not understood that are reported one by one.
const REPORTED: usize = 10_000;

/// What to read, and where to put it.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The day comes from each file's name (2005-02-06 or 20050206 anywhere in it), the minute from each line; both are UTC.\nRun it again as often as you like: a line that is there already is not taken in twice.\nAuthors become users who cannot sign in. A message without text is kept as `\u{2420}`.\n\nExample:\n  holdfast import irc-log --room ubuntu --data ./data logs/2005-02-06.txt logs/2005-02-07.txt"
)]
pub(crate) struct Args {
    /// The room to put them in; made, open to everyone, if it is not there
    #[arg(long)]
    room: String,
    /// The category for a room that has to be made; made as well if it is not there
    #[arg(long, default_value = "Imported")]
    category: String,
    /// The logs
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    what_if: WhatIf,
}

/// What was found and done.
#[derive(Debug, Default, Serialize)]
struct Report {
    files: usize,
    lines: u64,
    /// `[HH:MM] <nick> text`
    messages: u64,
    /// Different nicks of messages.
    authors: usize,
    /// `* nick text`
    actions: u64,
    /// Joins, parts, renames, modes, topics: understood, not imported.
    events: u64,
    blank: u64,
    /// Messages and actions without text.
    without_text: u64,
    /// Sequences of bytes that were not UTF-8 and were replaced.
    bad_bytes: u64,
    /// Control characters that were replaced.
    control_characters: u64,
    /// Lines that were none of these; the first ten thousand.
    not_understood: Vec<NotUnderstood>,
    /// How many there were.
    not_understood_count: u64,
}

#[derive(Debug, Serialize)]
struct NotUnderstood {
    file: String,
    line: u64,
    text: String,
}

/// What the server made of it.
#[derive(Debug, Default)]
struct Taken {
    imported: u64,
    repeated: u64,
    authors_created: u64,
}

/// Does what was asked.
pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    let logs = in_order(&args.files)?;
    let bytes = logs.iter().map(|(path, _)| path.metadata().map_or(0, |m| m.len())).sum();
    let mut progress = Progress::new("bytes of logs", bytes, context.out.quiet);
    let started = Instant::now();

    let (sender, batches) = mpsc::channel(AHEAD);
    let reader = tokio::task::spawn_blocking(move || read(&logs, &sender));
    let (room, taken) = if args.what_if.what_if {
        drain(batches, &mut progress).await;
        (Value::Null, Taken::default())
    } else {
        let mut sent = None;
        context
            .with(Access::MayCreate, async |client| {
                let room = room(client, &args).await?;
                sent = Some((room.clone(), send(client, &room, batches, &mut progress).await?));
                Ok(Exit::Done)
            })
            .await?;
        sent.unwrap_or_default()
    };
    let report = reader.await.context("reading the logs")??;
    progress.finish();
    let seconds = started.elapsed().as_secs_f64();

    let mut value = serde_json::to_value(&report).context("writing the report")?;
    value["room"] = json!({ "id": room["id"], "name": args.room });
    value["imported"] = json!(taken.imported);
    value["repeated"] = json!(taken.repeated);
    value["authors_created"] = json!(taken.authors_created);
    value["seconds"] = json!((seconds * 1_000.0).round() / 1_000.0);
    value["per_second"] = json!(((report.messages + report.actions) as f64 / seconds.max(0.001)).round());
    value["what_if"] = json!(args.what_if.what_if);
    context.out.value(&value, |v| sentences(v, &report, &args));
    Ok(Exit::Done)
}

/// The logs with their days, oldest first.
fn in_order(files: &[PathBuf]) -> Result<Vec<(PathBuf, Time)>> {
    let mut logs = Vec::with_capacity(files.len());
    for path in files {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let Some(day) = day_of(&name) else {
            return Err(usage(format!(
                "{}: its name tells no day; expected 2005-02-06 or 20050206 in it",
                path.display()
            )));
        };
        if !path.is_file() {
            return Err(refused(format!("{}: there is no such file", path.display())));
        }
        logs.push((path.clone(), day));
    }
    logs.sort_by_key(|(_, day)| *day);
    Ok(logs)
}

/// A part of the logs: what was said in it, and how many bytes it was.
struct Batch {
    said: Vec<Said>,
    bytes: u64,
}

/// Reads all logs and passes on what was said. Ends early when nobody takes it any more, because sending failed.
fn read(logs: &[(PathBuf, Time)], sender: &mpsc::Sender<Batch>) -> Result<Report> {
    let mut report = Report { files: logs.len(), ..Report::default() };
    let mut authors: HashSet<String> = HashSet::new();
    let mut batch = Batch { said: Vec::with_capacity(BATCH), bytes: 0 };
    for (path, day) in logs {
        let mut file = BufReader::new(File::open(path).with_context(|| format!("opening {}", path.display()))?);
        let mut log = DayLog::new(*day);
        let mut number = 0;
        let mut line = Vec::new();
        loop {
            line.clear();
            let n = read_line(&mut file, &mut line).with_context(|| format!("reading {}", path.display()))?;
            if n == 0 {
                break;
            }
            number += 1;
            batch.bytes += n;
            let parsed = log.line(&line);
            report.lines += 1;
            report.bad_bytes += parsed.bad_bytes as u64;
            report.control_characters += parsed.controls as u64;
            match parsed.line {
                Line::Said(said) => {
                    report.count(&said, &mut authors);
                    batch.said.push(said);
                }
                Line::Event => report.events += 1,
                Line::Blank => report.blank += 1,
                Line::NotUnderstood => report.not_understood(path, number, &line),
            }
            if batch.said.len() == BATCH {
                let full = std::mem::replace(&mut batch, Batch { said: Vec::with_capacity(BATCH), bytes: 0 });
                if sender.blocking_send(full).is_err() {
                    return Ok(report);
                }
            }
        }
    }
    // Whether the last one is taken shows where it is sent.
    let _ = sender.blocking_send(batch);
    report.authors = authors.len();
    Ok(report)
}

/// One line without its end, cut at [`LINE_BYTES`]; answers how many bytes it took from the file.
fn read_line(file: &mut impl std::io::BufRead, line: &mut Vec<u8>) -> std::io::Result<u64> {
    let mut taken = 0;
    loop {
        let part = file.fill_buf()?;
        if part.is_empty() {
            return Ok(taken);
        }
        let end = part.iter().position(|b| *b == b'\n');
        let text = &part[..end.unwrap_or(part.len())];
        line.extend_from_slice(&text[..text.len().min(LINE_BYTES.saturating_sub(line.len()))]);
        let used = end.map_or(part.len(), |e| e + 1);
        file.consume(used);
        taken += used as u64;
        if end.is_some() {
            return Ok(taken);
        }
    }
}

impl Report {
    fn count(&mut self, said: &Said, authors: &mut HashSet<String>) {
        if said.action {
            self.actions += 1;
        } else {
            self.messages += 1;
            if !authors.contains(&said.author) {
                authors.insert(said.author.clone());
            }
        }
        self.without_text += u64::from(said.text == NOTHING_SAID);
    }

    fn not_understood(&mut self, path: &Path, line: u64, bytes: &[u8]) {
        self.not_understood_count += 1;
        if self.not_understood.len() < REPORTED {
            let text: String = String::from_utf8_lossy(bytes).chars().take(200).collect();
            self.not_understood.push(NotUnderstood { file: path.display().to_string(), line, text });
        }
    }
}

/// The room to put them in, made if it is not there.
async fn room(client: &Client, args: &Args) -> Result<Value> {
    if let Some(id) = resolve::find(client, Kind::Room, &args.room).await? {
        return client.get(&format!("/rooms/{id}")).await;
    }
    let category = match resolve::find(client, Kind::Category, &args.category).await? {
        Some(id) => id,
        None => {
            let body = json!({ "name": args.category, "description": "Rooms filled from logs of other systems" });
            let made = client.json(Method::POST, "/categories", Some(&body)).await?;
            made["id"].as_i64().context("understanding the server's answer about a new category")?
        }
    };
    let body = json!({ "category": category, "name": args.room, "privacy": "open" });
    client.json(Method::POST, "/rooms", Some(&body)).await
}

async fn send(
    client: &Client,
    room: &Value,
    mut batches: mpsc::Receiver<Batch>,
    progress: &mut Progress,
) -> Result<Taken> {
    let mut taken = Taken::default();
    while let Some(Batch { said, bytes }) = batches.recv().await {
        if !said.is_empty() {
            let batch: Vec<Value> = said
                .iter()
                .map(|s| json!({ "at": s.at, "author": s.author, "text": s.text, "action": s.action, "key": s.key }))
                .collect();
            let body = json!({ "room": room["id"], "batch": batch });
            let answer = client.json(Method::POST, "/admin/import", Some(&body)).await?;
            let count = |field: &str| answer[field].as_u64().unwrap_or_default();
            taken.imported += count("imported");
            taken.repeated += count("repeated");
            taken.authors_created += count("authors_created");
        }
        progress.add(bytes);
    }
    Ok(taken)
}

async fn drain(mut batches: mpsc::Receiver<Batch>, progress: &mut Progress) {
    while let Some(batch) = batches.recv().await {
        progress.add(batch.bytes);
    }
}

fn sentences(value: &Value, report: &Report, args: &Args) -> String {
    let n = |field: &str| text(value, field);
    let mut out = vec![format!(
        "{} lines in {} files: {} messages by {} authors, {} actions, {} joins, parts and the like, {} empty lines.",
        n("lines"),
        n("files"),
        n("messages"),
        n("authors"),
        n("actions"),
        n("events"),
        n("blank")
    )];
    if report.bad_bytes + report.control_characters + report.without_text > 0 {
        out.push(format!(
            "Replaced: {} sequences of bytes that were no UTF-8, {} control characters. Without text: {}.",
            n("bad_bytes"),
            n("control_characters"),
            n("without_text")
        ));
    }
    for line in report.not_understood.iter().take(20) {
        out.push(format!("{}:{}: not understood: {}", line.file, line.line, visible(&line.text)));
    }
    if report.not_understood_count > 20 {
        out.push(format!("... {} lines not understood in all; --json lists them.", report.not_understood_count));
    }
    out.push(if args.what_if.what_if {
        format!("Would import them into {}; nothing was written.", args.room)
    } else {
        format!(
            "Imported {} into {}, {} were there already; {} authors are new. {} s, {} a second.",
            n("imported"),
            args.room,
            n("repeated"),
            n("authors_created"),
            n("seconds"),
            n("per_second")
        )
    });
    out.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(dir: &Path, name: &str, text: &[u8]) -> PathBuf {
        let path = dir.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn every_line_is_counted_as_what_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let files = [
            log(dir.path(), "2005-02-07.txt", b"[00:01] <bo> later\n"),
            log(
                dir.path(),
                "2005-02-06.txt",
                b"[09:15] <ana> hi\xff\n=== ana is now known as bo\n\n[09:16]  * bo waves\n[09:16] <bo>\r\nodd\nno end",
            ),
        ];
        let (sender, mut batches) = mpsc::channel(9);
        let report = read(&in_order(&files).unwrap(), &sender).unwrap();
        drop(sender);
        let said = batches.try_recv().unwrap().said;
        assert_eq!(
            said.iter().map(|s| s.text.as_str()).collect::<Vec<_>>(),
            ["hi\u{FFFD}", "waves", NOTHING_SAID, "later"]
        );
        assert_eq!((report.files, report.lines, report.messages, report.actions), (2, 8, 3, 1));
        assert_eq!((report.authors, report.events, report.blank, report.without_text), (2, 1, 1, 1));
        assert_eq!((report.bad_bytes, report.not_understood_count), (1, 2));
        let odd = &report.not_understood[0];
        assert!(odd.file.ends_with("2005-02-06.txt"));
        assert_eq!((odd.line, odd.text.as_str()), (6, "odd"));
    }

    #[test]
    fn a_file_without_a_day_is_refused_before_anything_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let e = in_order(&[log(dir.path(), "notes.txt", b"")]).unwrap_err();
        assert!(e.to_string().contains("its name tells no day"), "{e}");
    }

    #[test]
    fn a_line_without_end_does_not_fill_the_memory() {
        let mut line = Vec::new();
        let mut file = BufReader::new(std::io::Cursor::new(vec![b'x'; 3 * LINE_BYTES]));
        assert_eq!(read_line(&mut file, &mut line).unwrap(), 3 * LINE_BYTES as u64);
        assert_eq!(line.len(), LINE_BYTES);
    }
}
