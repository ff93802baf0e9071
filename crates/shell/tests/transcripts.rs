//! Checked-in transcripts: what is typed or stands in a file, and exactly what is shown for it.
//!
//! A file of `transcripts/` has cases: `=== title`, if need be `--- with WORDS`, then `--- in`, the lines, `--- out (exit N)`, and what is
//! shown. Words: `json`, `what-if`; `typed` with `answer:y` for a person at a terminal; the others are those of the world. All is written anew
//! by `HOLDFAST_WRITE_TRANSCRIPTS=1 cargo nextest run -p holdfast-shell`, and read by whoever reviews the change.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot play has failed")]

mod world;

use holdfast_shell::{Attendant, Options, Session};
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use world::World;

#[tokio::test]
async fn transcripts() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&dir).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 5, "{files:?}");
    let write = std::env::var_os("HOLDFAST_WRITE_TRANSCRIPTS").is_some();
    let mut wrong = String::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let mut anew = String::new();
        for case in text.split("=== ").skip(1) {
            anew.push_str(&played(case).await);
        }
        if write {
            std::fs::write(&file, &anew).unwrap();
        } else if anew != text {
            let at = anew.lines().zip(text.lines()).position(|(a, b)| a != b).unwrap_or_default();
            let near = |t: &str| t.lines().skip(at.saturating_sub(6)).take(14).collect::<Vec<_>>().join("\n");
            let _ = writeln!(
                wrong,
                "{}:{}\n--- now\n{}\n--- checked in\n{}",
                file.display(),
                at + 1,
                near(&anew),
                near(&text)
            );
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// The case with the output that it has now.
async fn played(case: &str) -> String {
    let (head, rest) = case.split_once("--- in\n").expect("a case has `--- in`");
    let input = rest.split_once("--- out").map_or(rest, |(input, _)| input);
    let words: Vec<&str> = head.split_once("--- with ").map_or(vec![], |(_, words)| words.split_whitespace().collect());
    let world = World::new(&words);
    let options = Options { json: words.contains(&"json"), what_if: words.contains(&"what-if") };
    let session = Session::new(&world, options);
    let mut out = Vec::new();
    let ending = if words.contains(&"typed") {
        let mut person = Person {
            answers: words.iter().filter_map(|w| w.strip_prefix("answer:")).map(str::to_owned).collect(),
            asked: vec![],
        };
        let ending = session.run_typed(input.trim_end(), &mut person, &mut out).await.unwrap();
        out.extend(person.asked);
        ending
    } else {
        session.run_file("runbook.txt", input, &mut out).await.unwrap()
    };
    let out = String::from_utf8(out).unwrap();
    format!("=== {head}--- in\n{input}--- out (exit {})\n{out}", ending.code())
}

/// Somebody who answers what was prepared, and notes what was asked.
struct Person {
    answers: VecDeque<String>,
    asked: Vec<u8>,
}

impl Attendant for Person {
    fn ask(&mut self, question: &str) -> std::io::Result<Option<String>> {
        let answer = self.answers.pop_front();
        let shown = answer.clone().unwrap_or_else(|| "(Ctrl-D)".into());
        self.asked.extend(format!("(asked) {question}{shown}\n").into_bytes());
        Ok(answer)
    }
}
