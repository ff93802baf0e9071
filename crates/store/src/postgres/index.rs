//! Fills the search index behind the logs: one server of the pool at a time, in stretches, so that writing a message costs nothing for it.
//!
//! A stretch is at most [`MOST`] entries of one log. A busy room fills whole ones; what a quiet room has is put in after a while as it is, and
//! grows together with what comes later as long as the newer part is no smaller than the older, so that no entry is indexed more often than
//! a stretch has halves.

use super::Inner;
use super::error::Work;
use super::row::{Found, load_rows, messages_and_edits};
use super::search::{author_word, room_word};
use super::session::Session;
use super::words::{Lexicon, tokens};
use crate::Result;
use crate::log::Row;
use futures_util::FutureExt as _;
use holdfast_domain::{EntryBody, RoomId, Seq};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Entries of a stretch at most. More of them are fewer words to be written for each, and more messages to be looked through for a word that is rare.
const MOST: i64 = 256;
/// Bytes of words of a stretch from which it is ended early: the type that they are kept in has a limit of a megabyte.
const MOST_BYTES: usize = 400_000;
/// Entries of one transaction: some milliseconds of a processor.
const AT_ONCE: i64 = 1_024;
/// How long what does not fill a stretch may wait.
const WAITS_MS: i64 = 60_000;
/// How often it is looked whether there is something to do.
const EVERY: Duration = Duration::from_secs(1);
/// For how long the right to fill is taken; renewed in time by who has it.
const LEASE: Duration = Duration::from_secs(30);

/// Whoever erases waits for those who fill, and they for him.
pub(super) const ERASING: &str = "SELECT pg_advisory_xact_lock(x'486f6c64'::int, 1)";
const FILLING: &str = "SELECT pg_advisory_xact_lock_shared(x'486f6c64'::int, 1)";

/// A part of a log that is to be put in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Part {
    room: i64,
    first: i64,
    last: i64,
}

/// Fills until the store is closed.
pub(super) async fn run(inner: Arc<Inner>) {
    let mut leased: Option<Instant> = None;
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = inner.stopping.cancelled() => return,
        }
        loop {
            if leased.is_none_or(|at| at.elapsed() > LEASE / 3) {
                leased = Some(Instant::now());
                if !matches!(inner.lease("search", LEASE).await, Ok(Ok(()))) {
                    // Another server does it, or the database is away.
                    leased = None;
                    break;
                }
            }
            let begun = Instant::now();
            match fill(&inner, WAITS_MS).await {
                Ok(filled) if filled >= AT_ONCE / 2 && !inner.stopping.is_cancelled() => {
                    // What people say now comes first: half the time is theirs alone, however far behind this is.
                    tokio::time::sleep(begun.elapsed().min(EVERY)).await;
                }
                Ok(_) => break,
                Err(error) => {
                    leased = None;
                    tracing::warn!(%error, "the search index cannot be filled now; searching goes through what is not in it");
                    break;
                }
            }
        }
    }
}

/// Puts in what there is, of quiet rooms only what has waited so long; answers how many entries.
pub(super) async fn fill(inner: &Arc<Inner>, waits_ms: i64) -> Result<i64> {
    let lexicon = Arc::clone(&inner.lexicon);
    inner
        .sessions
        .write("filling the search index", move |s| async move { fill_some(s, &lexicon, waits_ms).await }.boxed())
        .await
}

pub(super) async fn fill_some(s: &Session, lexicon: &Lexicon, waits_ms: i64) -> Work<i64> {
    // It can be done again, so nobody needs to wait for the disk.
    s.batch("SET LOCAL synchronous_commit = off").await?;
    s.one(FILLING, &[]).await?;
    let again = parts_again(s).await?;
    let mut all = again.clone();
    let new = parts_behind(s, waits_ms).await?;
    let mut entries: i64 = again.iter().map(|p| p.last - p.first + 1).sum();
    for part in new {
        if entries >= AT_ONCE {
            break;
        }
        // Of a long one as many whole stretches as fit.
        let room_left = ((AT_ONCE - entries) / MOST).max(1) * MOST;
        let part = Part { last: part.last.min(part.first + room_left - 1), ..part };
        entries += part.last - part.first + 1;
        all.push(grown(s, part).await?);
    }
    if all.is_empty() {
        return Ok(0);
    }
    let messages = read(s, &all).await?;
    let words = messages.values().flatten().flat_map(|m| m.words.iter().map(String::as_str));
    lexicon.learn(s, words).await?;
    let mut blocks = Blocks::default();
    for part in &all {
        blocks.add(*part, messages.range((part.room, part.first)..=(part.room, part.last)), lexicon);
    }
    for part in &again {
        s.execute("DELETE FROM search_again WHERE room = $1 AND first = $2", &[&part.room, &part.first]).await?;
    }
    blocks.write(s).await?;
    move_through(s, &all[again.len()..]).await?;
    Ok(entries)
}

/// What is to be read anew.
async fn parts_again(s: &Session) -> Work<Vec<Part>> {
    const SQL: &str = "SELECT room, first, last FROM search_again LIMIT 16 FOR UPDATE SKIP LOCKED";
    s.query(SQL, &[]).await?.iter().map(part).collect()
}

/// What has come since.
async fn parts_behind(s: &Session, waits_ms: i64) -> Work<Vec<Part>> {
    const SQL: &str = "SELECT h.room, coalesce(t.through, 0) + 1,
               CASE WHEN h.last_at < n.now_ms - $2 THEN h.last_seq
                    ELSE coalesce(t.through, 0) + (h.last_seq - coalesce(t.through, 0)) / $1 * $1 END
        FROM room_head h LEFT JOIN search_through t ON t.room = h.room
        CROSS JOIN (SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint) n (now_ms)
        WHERE h.last_seq > coalesce(t.through, 0)
          AND (h.last_seq - coalesce(t.through, 0) >= $1 OR h.last_at < n.now_ms - $2)
        LIMIT 500";
    // All heads are read, and nothing else is: a plan of this kind for the entries would read the whole of a room for each stretch.
    s.batch("SET LOCAL enable_seqscan = on; SET LOCAL enable_hashjoin = on").await?;
    let rows = s.query(SQL, &[&MOST, &waits_ms]).await?;
    s.batch("SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off").await?;
    rows.iter().map(part).collect()
}

fn part(r: &tokio_postgres::Row) -> Work<Part> {
    Ok(Part { room: r.try_get(0)?, first: r.try_get(1)?, last: r.try_get(2)? })
}

/// The part with those stretches right before it that are no larger, as long as all are not too large together. They are taken out.
async fn grown(s: &Session, part: Part) -> Work<Part> {
    const BEFORE: &str =
        "SELECT room, first, last FROM search_block WHERE room = $1 AND first < $2 ORDER BY first DESC LIMIT 1";
    const TAKE: &str = "DELETE FROM search_block WHERE room = $1 AND first = $2";
    let mut grown = part;
    while grown.last - grown.first + 1 < MOST {
        let Some(row) = s.one(BEFORE, &[&grown.room, &grown.first]).await? else { break };
        let before = self::part(&row)?;
        let (older, newer) = (before.last - before.first + 1, grown.last - grown.first + 1);
        if before.last + 1 != grown.first || older > newer || older + newer > MOST {
            break;
        }
        s.execute(TAKE, &[&before.room, &before.first]).await?;
        grown.first = before.first;
    }
    Ok(grown)
}

/// What an entry of a log puts into its stretch.
#[derive(Debug)]
struct Words {
    shown_at: i64,
    author: i64,
    words: Vec<String>,
}

/// The words of the messages in these parts as they read now, and of those that edits in them changed; by room and number of the entry.
async fn read(s: &Session, parts: &[Part]) -> Work<BTreeMap<(i64, i64), Vec<Words>>> {
    let rows = messages_and_edits(s, parts.iter().map(|p| (p.room, p.first, p.last))).await?;
    let mut read: BTreeMap<(i64, i64), Vec<Words>> = BTreeMap::new();
    // Where the words of an amended message go: to its own entry, and to the edits of it.
    let mut amended: BTreeMap<(RoomId, Seq), BTreeSet<(i64, i64)>> = BTreeMap::new();
    for row in &rows {
        let found = Found::read(row)?;
        let entry = &found.entry;
        let place = (entry.room.0, entry.seq.0);
        match &entry.body {
            Some(EntryBody::Edit(edit)) => {
                amended.entry((entry.room, edit.of)).or_default().insert(place);
            }
            Some(EntryBody::Message(m)) if found.is_as_written() => {
                let words = Words {
                    shown_at: row.try_get(11)?,
                    author: entry.author.0,
                    words: words_of(m.title.as_deref(), &m.text),
                };
                read.entry(place).or_default().push(words);
            }
            Some(EntryBody::Message(_)) if !found.is_gone() => {
                amended.entry((entry.room, entry.seq)).or_default().insert(place);
            }
            _ => {}
        }
    }
    let wanted: BTreeSet<(RoomId, Seq)> = amended.keys().copied().collect();
    for row in load_rows(s, &wanted).await? {
        let places = amended.remove(&(row.entry.room, row.entry.seq)).unwrap_or_default();
        for place in places {
            read.entry(place).or_default().extend(words_now(&row));
        }
    }
    Ok(read)
}

fn words_now(row: &Row) -> Option<Words> {
    let (title, text) = row.reads_now()?;
    let shown_at = row.entry.shown_at().millis();
    Some(Words { shown_at, author: row.entry.author.0, words: words_of(title, text) })
}

fn words_of(title: Option<&str>, text: &str) -> Vec<String> {
    tokens(title.unwrap_or_default()).into_iter().chain(tokens(text)).map(|t| t.word).collect()
}

/// Stretches to be written, column by column.
#[derive(Default)]
struct Blocks {
    rooms: Vec<i64>,
    firsts: Vec<i64>,
    lasts: Vec<i64>,
    earliest: Vec<i64>,
    latest: Vec<i64>,
    /// Words, each once, with a newline after each: PostgreSQL has no arrays of arrays of different lengths.
    words: Vec<String>,
}

impl Blocks {
    /// Adds the stretches of a part.
    fn add<'a>(
        &mut self,
        part: Part,
        messages: impl Iterator<Item = (&'a (i64, i64), &'a Vec<Words>)>,
        lexicon: &Lexicon,
    ) {
        let mut first = part.first;
        let mut open: Option<Open> = None;
        for ((_, seq), words) in messages {
            for words in words {
                let end = first + MOST - 1;
                if *seq > end || open.as_ref().is_some_and(|o| o.bytes > MOST_BYTES) {
                    // Everything up to here is in one stretch or in none, because it has no words.
                    if let Some(open) = open.take() {
                        let last = end.min(*seq - 1);
                        self.push(part.room, first, last, &open);
                    }
                    first = *seq;
                }
                let open = open.get_or_insert_with(Open::default);
                open.add(part.room, words, lexicon);
            }
        }
        if let Some(open) = open {
            self.push(part.room, first, part.last, &open);
        }
    }

    fn push(&mut self, room: i64, first: i64, last: i64, open: &Open) {
        self.rooms.push(room);
        self.firsts.push(first);
        self.lasts.push(last.max(first));
        self.earliest.push(open.earliest);
        self.latest.push(open.latest);
        self.words.push(open.words.iter().map(String::as_str).collect::<Vec<_>>().join("\n"));
    }

    async fn write(&self, s: &Session) -> Work<()> {
        const SQL: &str = "INSERT INTO search_block (room, first, last, earliest, latest, words)
            SELECT room, first, last, earliest, latest, array_to_tsvector(string_to_array(words, E'\\n'))
            FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[])
                 u (room, first, last, earliest, latest, words)";
        if !self.rooms.is_empty() {
            s.execute(SQL, &[&self.rooms, &self.firsts, &self.lasts, &self.earliest, &self.latest, &self.words])
                .await?;
        }
        Ok(())
    }
}

/// A stretch that is being filled.
#[derive(Debug)]
struct Open {
    words: BTreeSet<String>,
    bytes: usize,
    earliest: i64,
    latest: i64,
}

impl Default for Open {
    fn default() -> Self {
        Self { words: BTreeSet::new(), bytes: 0, earliest: i64::MAX, latest: i64::MIN }
    }
}

impl Open {
    fn add(&mut self, room: i64, message: &Words, lexicon: &Lexicon) {
        self.earliest = self.earliest.min(message.shown_at);
        self.latest = self.latest.max(message.shown_at);
        let stems = lexicon.all_stems(message.words.iter().map(String::as_str));
        for word in stems.into_iter().chain([author_word(message.author), room_word(room)]) {
            let bytes = word.len();
            if self.words.insert(word) {
                self.bytes += bytes;
            }
        }
    }
}

/// Notes up to where the logs are in the index. Fails, and with it all that was put in, if another server has put it in meanwhile.
async fn move_through(s: &Session, parts: &[Part]) -> Work<()> {
    const SQL: &str = "INSERT INTO search_through AS t (room, through)
        SELECT u.room, u.last FROM unnest($1::bigint[], $2::bigint[]) u (room, last)
        ON CONFLICT (room) DO UPDATE SET through = excluded.through WHERE t.through < excluded.through";
    let (rooms, lasts): (Vec<i64>, Vec<i64>) = parts.iter().map(|p| (p.room, p.last)).unzip();
    if s.execute(SQL, &[&rooms, &lasts]).await? != parts.len() as u64 {
        return Err(super::error::away("another server fills the search index at the same time").into());
    }
    Ok(())
}
