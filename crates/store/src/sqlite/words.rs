//! Words, by the tokeniser of the index itself: what a query's words are, and where they stand in a text.
//!
//! A small index in memory does both, so that marks and hits cannot disagree, whatever Unicode has in store.

use super::error::Work;
use crate::search::Words;
use rusqlite::Connection;

/// Words of a query that count; the rest is ignored.
const MOST_WORDS: usize = 64;

/// Where a mark begins and ends, in what comes out of the small index. The same bytes in a text are replaced by a space
/// before it goes in: all three separate words and are one byte long.
const OPEN: char = '\u{1}';
const CLOSE: char = '\u{2}';

/// The small index. It is empty between calls.
pub(super) struct Scratch {
    conn: Connection,
}

impl Scratch {
    pub(super) fn open() -> Work<Scratch> {
        let conn = Connection::open_in_memory()?;
        conn.execute_batch(
            "CREATE VIRTUAL TABLE scratch USING fts5 (text, tokenize = 'unicode61 remove_diacritics 2');
             CREATE VIRTUAL TABLE word USING fts5vocab ('scratch', 'instance');",
        )?;
        Ok(Scratch { conn })
    }

    /// The words of a text in their order, as the index compares them.
    pub(super) fn words(&mut self, text: &str) -> Work<Vec<String>> {
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let tx = self.conn.transaction()?;
        tx.prepare_cached("INSERT INTO scratch (rowid, text) VALUES (1, ?1)")?.execute([text])?;
        let mut statement = tx.prepare_cached("SELECT offset, term FROM word")?;
        let mut words: Vec<(i64, String)> =
            statement.query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?.collect::<rusqlite::Result<_>>()?;
        words.sort_unstable();
        Ok(words.into_iter().map(|(_, word)| word).take(MOST_WORDS).collect())
    }

    /// The stretches of each text at which the words stand; those of a phrase only where it stands whole.
    pub(super) fn marks(&mut self, words: &[String], how: Words, texts: &[&str]) -> Work<Vec<Vec<(usize, usize)>>> {
        const SQL: &str = "SELECT rowid, highlight(scratch, 0, ?2, ?3) FROM scratch WHERE scratch MATCH ?1";
        let mut marks = vec![Vec::new(); texts.len()];
        // A text in which not all the words stand may have been found by its title; its words are marked all the same.
        let how = if how == Words::All { Words::Any } else { how };
        let Some(expression) = expression(words, how) else { return Ok(marks) };
        let tx = self.conn.transaction()?;
        for (i, text) in texts.iter().enumerate() {
            let clean = text.replace([OPEN, CLOSE], " ");
            tx.prepare_cached("INSERT INTO scratch (rowid, text) VALUES (?1, ?2)")?.execute((i as i64, clean))?;
        }
        let mut statement = tx.prepare_cached(SQL)?;
        let mut rows = statement.query((expression, String::from(OPEN), String::from(CLOSE)))?;
        while let Some(r) = rows.next()? {
            let i: i64 = r.get(0)?;
            if let Some(marks) = usize::try_from(i).ok().and_then(|i| marks.get_mut(i)) {
                *marks = read_marks(r.get_ref(1)?.as_str().unwrap_or_default());
            }
        }
        Ok(marks)
    }
}

/// What to look for, in the index's language. Every word is quoted, so that nothing that somebody types means anything in it.
pub(super) fn expression(words: &[String], how: Words) -> Option<String> {
    if words.is_empty() {
        return None;
    }
    let quoted: Vec<String> = words.iter().map(|w| format!("\"{}\"", w.replace('"', "\"\""))).collect();
    Some(quoted.join(match how {
        Words::All => " AND ",
        Words::Any => " OR ",
        Words::Phrase => " + ",
    }))
}

fn read_marks(marked: &str) -> Vec<(usize, usize)> {
    let mut marks = Vec::new();
    let mut open = 0;
    for (marks_before, (at, c)) in marked.match_indices([OPEN, CLOSE]).enumerate() {
        let at = at - marks_before;
        if c.starts_with(OPEN) {
            open = at;
        } else {
            marks.push((open, at));
        }
    }
    marks
}
