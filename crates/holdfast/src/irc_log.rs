//! Plain IRC logs, as irclogs.ubuntu.com and many bots write them: one file a day, `[HH:MM] <nick> text` a line.
//!
//! Pure: bytes in, [`Line`]s out. What counts as what:
//!
//! | line | is |
//! |---|---|
//! | `[09:15] <ana> hello` | a message |
//! | `[09:15]  * ana waves` | an action |
//! | `=== ana waves` | an action, in the older form without a time: it gets the minute of the line before |
//! | `=== ana [~a@host]  has joined #x`, `... has left ...`, `... is now known as ...`, `=== mode/#x ...`, `=== Topic ...`, `=== netjoined: ...` | an event: understood and counted, but nothing that anybody said |
//! | an empty line | nothing |
//! | anything else | not understood, and reported with file and number |

use holdfast_domain::text;
use holdfast_domain::time::Time;
use std::collections::HashMap;
use uuid::Uuid;

/// What stands for a message that has no text: in the log somebody said nothing, or only blanks. The symbol for a space.
pub(crate) const NOTHING_SAID: &str = "\u{2420}";

/// The name space of the keys below, so that no other use of version 5 yields the same.
const KEYS: Uuid = Uuid::from_u128(0x9d5c_1a0e_7f63_5b44_8e0a_6a7c_41d2_03f9);

/// Something said in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    /// The nick as it is written there.
    pub(crate) author: String,
    /// What was said; never empty, without control characters.
    pub(crate) text: String,
    /// `/me`.
    pub(crate) action: bool,
    /// Day of the file, minute of the line.
    pub(crate) at: Time,
    /// The same for the same line of the same day, whatever the file is called.
    pub(crate) key: Uuid,
}

/// What one line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// A message or an action.
    Said(Said),
    /// Somebody came, went, or was renamed; a mode or topic changed.
    Event,
    /// Nothing stands there.
    Blank,
    /// None of these.
    NotUnderstood,
}

/// A line with what had to be repaired in it.
#[derive(Debug)]
pub(crate) struct Parsed {
    /// What it is.
    pub(crate) line: Line,
    /// Sequences of bytes that are not UTF-8, each replaced by U+FFFD.
    pub(crate) bad_bytes: usize,
    /// Control characters (colours, bold), each replaced by U+FFFD.
    pub(crate) controls: usize,
}

/// The day that a file's name tells: the first `YYYY-MM-DD` or `YYYYMMDD` in it.
pub(crate) fn day_of(file_name: &str) -> Option<Time> {
    let bytes = file_name.as_bytes();
    (0..bytes.len()).find_map(|start| {
        if start > 0 && bytes[start - 1].is_ascii_digit() {
            return None;
        }
        let rest = &bytes[start..];
        let (year, month, day, end) = match rest {
            [_, _, _, _, b'-', _, _, b'-', _, _, ..] => (&rest[..4], &rest[5..7], &rest[8..10], 10),
            [_, _, _, _, _, _, _, _, ..] => (&rest[..4], &rest[4..6], &rest[6..8], 8),
            _ => return None,
        };
        if rest.get(end).is_some_and(u8::is_ascii_digit) {
            return None;
        }
        let [year, month, day] = [digits(year)?, digits(month)?, digits(day)?];
        Time::parse(&format!("{year:04}-{month:02}-{day:02}T00:00:00Z")).ok()
    })
}

/// Reads the lines of one day.
pub(crate) struct DayLog {
    day: Time,
    minute: i64,
    /// How often each (minute, author, text) came, so that somebody who says the same twice in a minute has said it twice.
    seen: HashMap<Uuid, u32>,
}

impl DayLog {
    /// For the day that begins at `day`.
    pub(crate) fn new(day: Time) -> Self {
        Self { day, minute: 0, seen: HashMap::new() }
    }

    /// Reads the next line, without its line end.
    pub(crate) fn line(&mut self, bytes: &[u8]) -> Parsed {
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        let (decoded, bad_bytes) = decode(bytes);
        let (line, controls) = text::repair(&decoded);
        Parsed { line: self.understand(&line), bad_bytes, controls }
    }

    fn understand(&mut self, line: &str) -> Line {
        if line.trim().is_empty() {
            return Line::Blank;
        }
        if let Some(rest) = line.strip_prefix("=== ") {
            return match old_action(rest) {
                Some((author, text)) => self.said(author, text, true),
                None => Line::Event,
            };
        }
        let Some((minute, rest)) = clock(line) else { return Line::NotUnderstood };
        let found = match rest.strip_prefix('<') {
            // A nick has no `>`; the text may.
            Some(rest) => {
                rest.split_once('>').map(|(nick, text)| (nick, text.strip_prefix(' ').unwrap_or(text), false))
            }
            None => rest.trim_start().strip_prefix("* ").map(|rest| {
                let (nick, text) = rest.split_once(' ').unwrap_or((rest, ""));
                (nick, text, true)
            }),
        };
        match found {
            Some((author, text, action)) if !author.trim().is_empty() => {
                self.minute = minute;
                self.said(author, text, action)
            }
            _ => Line::NotUnderstood,
        }
    }

    fn said(&mut self, author: &str, text: &str, action: bool) -> Line {
        let text = if text.trim().is_empty() { NOTHING_SAID } else { text };
        let at = self.day.plus_millis(self.minute * 60_000);
        // The parts are set apart by a character that no line can hold, so that no two lines run together into one key.
        let what = format!("{at}\n{author}\n{}\n{text}", u8::from(action));
        let first = Uuid::new_v5(&KEYS, what.as_bytes());
        let count = self.seen.entry(first).and_modify(|n| *n += 1).or_insert(0);
        let key = if *count == 0 { first } else { Uuid::new_v5(&first, &count.to_be_bytes()) };
        Line::Said(Said { author: author.to_owned(), text: text.to_owned(), action, at, key })
    }
}

/// `[HH:MM] rest` -> minute of the day and the rest.
fn clock(line: &str) -> Option<(i64, &str)> {
    let b = line.as_bytes();
    let [b'[', _, _, b':', _, _, b']', b' ', ..] = b else { return None };
    let (hour, minute) = (digits(&b[1..3])?, digits(&b[4..6])?);
    (hour < 24 && minute < 60).then_some((i64::from(hour * 60 + minute), line.get(8..)?))
}

/// `nick does something`, or `None` for what the log itself says there: joins, parts, renames, modes, topics.
fn old_action(rest: &str) -> Option<(&str, &str)> {
    const SAID_BY_THE_LOG: [&str; 6] = ["mode/", "netjoined:", "netsplit:", "..[topic/", "Topic for #", "Topic (#"];
    let event = SAID_BY_THE_LOG.iter().any(|start| rest.starts_with(start))
        || rest.contains(" is now known as ")
        || [" has joined #", " has left #", " has quit "].iter().any(|e| rest.contains(e)) && rest.contains(']');
    if event {
        return None;
    }
    // These logs put a blank behind a `]` within a nick: `bur[n] er wonders`, `zcat[1]  plays`. So the nick goes on up to
    // the next blank.
    let first = rest.find(' ')?;
    let end = if rest[..first].ends_with(']') { first + 1 + rest[first + 1..].find(' ')? } else { first };
    Some((&rest[..end], &rest[end + 1..]))
}

/// Bytes as text, each sequence that is not UTF-8 replaced; and how many were.
fn decode(bytes: &[u8]) -> (String, usize) {
    let mut out = String::with_capacity(bytes.len());
    let mut bad = 0;
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            out.push(char::REPLACEMENT_CHARACTER);
            bad += 1;
        }
    }
    (out, bad)
}

fn digits(bytes: &[u8]) -> Option<u32> {
    bytes.iter().try_fold(0, |n: u32, b| b.is_ascii_digit().then(|| n * 10 + u32::from(b - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn day() -> Time {
        day_of("2005-02-06.train.txt").unwrap()
    }

    fn parse(lines: &[&str]) -> Vec<Line> {
        let mut log = DayLog::new(day());
        lines.iter().map(|l| log.line(l.as_bytes()).line).collect()
    }

    fn said(line: &str) -> (String, String, bool, String) {
        match parse(&[line]).remove(0) {
            Line::Said(s) => (s.author, s.text, s.action, s.at.to_string()),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn a_file_tells_its_day() {
        for (name, day) in [
            ("2005-02-06.train-c.raw.txt", Some("2005-02-06T00:00:00.000Z")),
            ("2004-11-15_03.raw.txt", Some("2004-11-15T00:00:00.000Z")),
            ("#room-20160229.log", Some("2016-02-29T00:00:00.000Z")),
            ("2015-02-29.txt", None),
            ("1234567890.txt", None),
            ("notes.txt", None),
            ("", None),
        ] {
            assert_eq!(day_of(name).map(|t| t.to_string()).as_deref(), day, "{name}");
        }
    }

    #[test]
    fn messages_and_actions_are_understood() {
        let at = "2005-02-06T09:15:00.000Z";
        for (line, author, text, action) in [
            ("[09:15] <ana> hello  there ", "ana", "hello  there ", false),
            ("[09:15] <a[b] c> x > y", "a[b] c", "x > y", false),
            ("[09:15] <}{> <b>markup</b>", "}{", "<b>markup</b>", false),
            ("[09:15] <ana>", "ana", NOTHING_SAID, false),
            ("[09:15] <ana>  ", "ana", NOTHING_SAID, false),
            ("[09:15]  * ana waves at <bo>", "ana", "waves at <bo>", true),
            ("[09:15] * ana", "ana", NOTHING_SAID, true),
        ] {
            assert_eq!(said(line), (author.to_owned(), text.to_owned(), action, at.to_owned()), "{line}");
        }
    }

    #[test]
    fn an_old_action_has_the_minute_of_the_line_before() {
        let lines = parse(&["[10:02] <bo> hi", "=== ana waves", "=== bo[x] y wonders if"]);
        let Line::Said(action) = &lines[1] else { panic!("{lines:?}") };
        assert_eq!((action.author.as_str(), action.text.as_str(), action.action), ("ana", "waves", true));
        assert_eq!(action.at.to_string(), "2005-02-06T10:02:00.000Z");
        let Line::Said(action) = &lines[2] else { panic!("{lines:?}") };
        assert_eq!((action.author.as_str(), action.text.as_str()), ("bo[x] y", "wonders if"));
    }

    #[test]
    fn what_the_log_says_itself_is_an_event() {
        for line in [
            "=== ana [~a@host.example]  has joined #x",
            "=== ana [n=a@host.example]  has left #x [\"bye\"]",
            "=== ana is now known as ana_away",
            "=== mode/#x [+o ana]  by ChanServ",
            "=== Topic for #x: talk",
            "=== netjoined: a.example -> b.example",
            "=== ..[topic/#x:ana] : talk",
        ] {
            assert_eq!(parse(&[line]), [Line::Event], "{line}");
        }
    }

    #[test]
    fn anything_else_is_not_understood() {
        for line in [
            "hello",
            "[25:00] <ana> x",
            "[09:60] <ana> x",
            "[09:15] -ana:#x- notice",
            "[9:15] <ana> x",
            "[09:15] <> x",
            "[09:15] <ana",
        ] {
            assert_eq!(parse(&[line]), [Line::NotUnderstood], "{line}");
        }
        assert_eq!(parse(&["", "  "]), [Line::Blank, Line::Blank]);
    }

    #[test]
    fn bad_bytes_and_controls_are_replaced_and_counted() {
        let parsed = DayLog::new(day()).line(b"[09:15] <ana> caf\xe9 \x02bold\x02");
        assert_eq!((parsed.bad_bytes, parsed.controls), (1, 2));
        let Line::Said(said) = parsed.line else { panic!() };
        assert_eq!(said.text, "caf\u{FFFD} \u{FFFD}bold\u{FFFD}");
    }

    #[test]
    fn the_same_said_twice_has_two_keys_and_the_same_file_read_twice_has_the_same() {
        let keys = || -> Vec<Uuid> {
            parse(&["[09:15] <ana> ping", "[09:15] <ana> ping", "[09:15]  * ana ping", "[09:16] <ana> ping"])
                .into_iter()
                .map(|l| if let Line::Said(s) = l { s.key } else { Uuid::nil() })
                .collect()
        };
        assert_eq!(keys().iter().collect::<HashSet<_>>().len(), 4);
        assert_eq!(keys(), keys());
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(lines in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..20)) {
            let mut log = DayLog::new(day());
            for line in &lines {
                if let Line::Said(said) = log.line(line).line {
                    prop_assert!(holdfast_domain::text::message("text", &said.text, 1_000).is_ok());
                }
            }
        }

        #[test]
        fn what_was_said_comes_back(nick in "[a-zA-Z\\[\\]{}|^_`-]{1,16}", text in "[^\\p{Cc}]{1,80}", h in 0u32..24, m in 0u32..60) {
            prop_assume!(!text.trim().is_empty());
            let (author, said, action, at) = said(&format!("[{h:02}:{m:02}] <{nick}> {text}"));
            prop_assert_eq!((author, said, action), (nick, text, false));
            let minute = format!("T{h:02}:{m:02}:00");
            prop_assert!(at.contains(&minute));
        }

        #[test]
        fn any_name_is_a_day_or_none(name in ".{0,40}") {
            let _ = day_of(&name);
        }
    }
}
