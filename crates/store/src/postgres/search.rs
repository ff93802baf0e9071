//! Full text search.
//!
//! Three places are looked through, on one snapshot: what is not in the index yet, entry by entry; the newest stretches (or oldest, as the
//! order asks), because what is common is found there soon; and then the stretches that the index names, which are few for what is not. Each
//! stretch knows between which shown times its messages lie, so that the walk ends when no stretch that is left can have a better hit.
//! Whatever a stretch promises is looked at again, message by message, as it reads now; PostgreSQL passes over those that certainly have not the
//! words.

use super::PostgresStore;
use super::error::Work;
use super::row::{Found, load_rows, messages_and_edits, messages_that_may_have};
use super::session::{Params, Session};
use super::words::{Lexicon, MOST_WORDS, Sieve, Token, Wanted, any, tokens};
use crate::Result;
use crate::best::Best;
use crate::log::Row;
use crate::search::{self, Hits, Order, Query, Search};
use async_trait::async_trait;
use futures_util::FutureExt as _;
use holdfast_domain::{EntryBody, PrincipalId, RoomId, Seq, Time};
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

/// Stretches that are looked at before the index is asked, and at a time.
const AT_ONCE: i64 = 8;
/// The index is not asked as long as, by what was found so far, all that is wanted stands in so many stretches.
const WORTH_WALKING: usize = 64;
/// Stretches of one question for messages: few at first, since what is common is in them already, and then more.
const TOGETHER: (usize, usize) = (2, 16);
/// Stretches that the index is asked for at a time.
const ASKED: i64 = 200;
/// Entries that are not in the index yet, looked at together.
const UNINDEXED_AT_ONCE: i64 = 2_000;
/// Authors, and rooms, up to which the index itself picks their stretches out.
const NAMED_IN_INDEX: usize = 50;

/// A stretch of a log.
#[derive(Clone, Copy, Debug)]
struct Block {
    room: i64,
    first: i64,
    last: i64,
    /// The best shown time that a message in it can have, as the order asks.
    best: i64,
}

/// A message by its place in the answer: shown time, then room and number.
type Place = (i64, i64, i64);

#[async_trait]
impl Search for PostgresStore {
    async fn search(&self, query: Query) -> Result<Hits> {
        #[cfg(test)]
        if self.inner.eager {
            while super::index::fill(&self.inner, -1_000_000_000_000_000).await? > 0 {}
        }
        let lexicon = Arc::clone(&self.inner.lexicon);
        self.inner.sessions.look("searching", move |s| async move { search(s, &lexicon, &query).await }.boxed()).await
    }

    async fn mentions(
        &self,
        user: PrincipalId,
        rooms: Vec<RoomId>,
        after: Option<(Time, RoomId, Seq)>,
        limit: usize,
    ) -> Result<Hits> {
        self.inner
            .sessions
            .look("listing mentions", move |s| async move { mentions(s, user, &rooms, after, limit).await }.boxed())
            .await
    }
}

async fn search(s: &Session, lexicon: &Lexicon, query: &Query) -> Work<Hits> {
    let mut words = tokens(&query.text);
    words.truncate(MOST_WORDS);
    lexicon.learn(s, words.iter().map(|t| t.word.as_str())).await?;
    let rooms: BTreeSet<i64> = query.rooms.iter().map(|room| room.0).collect();
    let wanted = Wanted::new(&words, query.words, lexicon);
    let mut search = Searching {
        session: s,
        lexicon,
        query,
        sieve: wanted.sieve(lexicon),
        wanted,
        rooms: rooms.into_iter().collect(),
        best: Best::new(query.order, query.limit.saturating_add(1)),
        looked_at: HashSet::new(),
    };
    if !search.rooms.is_empty() && query.limit > 0 {
        search.unindexed().await?;
        search.stretches().await?;
    }
    search.hits().await
}

struct Searching<'a> {
    session: &'a Session,
    lexicon: &'a Lexicon,
    query: &'a Query,
    wanted: Wanted,
    /// What passes over most messages before they are read, if anything can.
    sieve: Option<Sieve>,
    rooms: Vec<i64>,
    best: Best<Place>,
    /// Stretches, by room and first number.
    looked_at: HashSet<(i64, i64)>,
}

impl Searching<'_> {
    /// Looks through what is not in the index yet.
    async fn unindexed(&mut self) -> Work<()> {
        const SQL: &str = "SELECT h.room, coalesce(t.through, 0) + 1, h.last_seq
            FROM unnest($1::bigint[]) u (room) JOIN room_head h ON h.room = u.room LEFT JOIN search_through t ON t.room = h.room
            WHERE h.last_seq > coalesce(t.through, 0)
            UNION ALL SELECT a.room, a.first, a.last FROM search_again a WHERE a.room = ANY($1)";
        let mut together = Vec::new();
        let mut entries = 0;
        for row in self.session.query(SQL, &[&self.rooms]).await? {
            let (room, first, last): (i64, i64, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            let mut from = first;
            while from <= last {
                let to = last.min(from + UNINDEXED_AT_ONCE - 1);
                together.push(Block { room, first: from, last: to, best: 0 });
                entries += to - from + 1;
                from = to + 1;
                if entries >= UNINDEXED_AT_ONCE {
                    self.look_at(&std::mem::take(&mut together)).await?;
                    entries = 0;
                }
            }
        }
        self.look_at(&together).await
    }

    /// Looks through the stretches, best first, until no better hit can come.
    async fn stretches(&mut self) -> Work<()> {
        let expression = self.expression();
        // What is common stands in the first stretches already; of nothing but a time or nothing at all there is no index to ask.
        let mut after: Option<Block> = None;
        let (mut walked, before) = (0, self.best.places.len());
        loop {
            let blocks = self.next_stretches(after, None, AT_ONCE).await?;
            let full = blocks.len() as i64 == AT_ONCE;
            if !self.walk(&blocks).await? || !full {
                return Ok(());
            }
            after = blocks.last().copied();
            walked += blocks.len();
            let found = self.best.places.len() - before;
            let is_common = walked * self.query.limit < WORTH_WALKING * found;
            if expression.is_some() && !is_common {
                break;
            }
        }
        loop {
            let blocks = self.next_stretches(after, expression.as_deref(), ASKED).await?;
            let full = blocks.len() as i64 == ASKED;
            if !self.walk(&blocks).await? || !full {
                return Ok(());
            }
            after = blocks.last().copied();
        }
    }

    /// What a stretch must have to be asked for by the index.
    fn expression(&self) -> Option<String> {
        let authors = &self.query.authors;
        let named = |n: usize| (1..=NAMED_IN_INDEX).contains(&n);
        let by: Vec<String> = authors.iter().map(|a| author_word(a.0)).collect();
        let authors = named(by.len()).then(|| any(by.iter().map(String::as_str)));
        let words = self.wanted.expression().map(|e| format!("({e})"));
        let of: Vec<String> = self.rooms.iter().map(|room| room_word(*room)).collect();
        // The room alone narrows nothing down that the walk by time would not.
        let rooms =
            (named(of.len()) && (words.is_some() || authors.is_some())).then(|| any(of.iter().map(String::as_str)));
        let all: Vec<String> = [words, authors, rooms].into_iter().flatten().collect();
        (!all.is_empty()).then(|| all.join(" & "))
    }

    /// Looks at stretches that come best first; whether one after them can still be of use.
    async fn walk(&mut self, blocks: &[Block]) -> Work<bool> {
        let (mut rest, mut together) = (blocks, TOGETHER.0);
        while let Some(first) = rest.first() {
            if !self.can_help(first.best) {
                return Ok(false);
            }
            let (few, more) = rest.split_at(together.min(rest.len()));
            let new: Vec<Block> = few.iter().filter(|b| self.looked_at.insert((b.room, b.first))).copied().collect();
            self.look_at(&new).await?;
            (rest, together) = (more, (together * 2).min(TOGETHER.1));
        }
        Ok(true)
    }

    /// Whether a message shown at this time could still be among the answers.
    fn can_help(&self, best: i64) -> bool {
        match (self.query.order, self.best.worst()) {
            (Order::Newest, Some(worst)) => best >= worst.0,
            (Order::Oldest, Some(worst)) => best <= worst.0,
            (_, None) => true,
        }
    }

    /// The next stretches after one, best first: all, or those that the index names.
    async fn next_stretches(&self, after: Option<Block>, expression: Option<&str>, most: i64) -> Work<Vec<Block>> {
        // By room, since each room's stretches are in an index by time; then put together.
        const WALK_NEWEST: &str = "SELECT b.* FROM unnest($1::bigint[]) u (room) CROSS JOIN LATERAL (
                SELECT room, first, last, latest FROM search_block
                WHERE room = u.room AND latest >= $2 AND earliest <= $3 AND latest <= $4
                  AND (latest, room, first) < ($4, $6, $7)
                ORDER BY latest DESC, first DESC LIMIT $5) b
            ORDER BY b.latest DESC, b.room DESC, b.first DESC LIMIT $5";
        const WALK_OLDEST: &str = "SELECT b.* FROM unnest($1::bigint[]) u (room) CROSS JOIN LATERAL (
                SELECT room, first, last, earliest FROM search_block
                WHERE room = u.room AND latest >= $2 AND earliest <= $3 AND earliest >= $4
                  AND (earliest, room, first) > ($4, $6, $7)
                ORDER BY earliest, first LIMIT $5) b
            ORDER BY b.earliest, b.room, b.first LIMIT $5";
        const ASK_NEWEST: &str = "SELECT room, first, last, latest FROM search_block
            WHERE words @@ $8::text::tsquery AND room = ANY($1) AND latest >= $2 AND earliest <= $3
              AND (latest, room, first) < ($4, $6, $7)
            ORDER BY latest DESC, room DESC, first DESC LIMIT $5";
        const ASK_OLDEST: &str = "SELECT room, first, last, earliest FROM search_block
            WHERE words @@ $8::text::tsquery AND room = ANY($1) AND latest >= $2 AND earliest <= $3
              AND (earliest, room, first) > ($4, $6, $7)
            ORDER BY earliest, room, first LIMIT $5";
        let (from, until) = self.span();
        let newest = self.query.order == Order::Newest;
        let (edge, room, first) = match after {
            Some(b) => (b.best, b.room, b.first),
            None if newest => (i64::MAX, i64::MAX, i64::MAX),
            None => (i64::MIN, i64::MIN, i64::MIN),
        };
        let rows = match expression {
            Some(e) => {
                let sql = if newest { ASK_NEWEST } else { ASK_OLDEST };
                let s = self.session;
                s.prepare(&[sql]).await?;
                // How many stretches have a word makes another plan each time. Sent in one go.
                let params: Params<'_> = &[&self.rooms, &from, &until, &edge, &most, &room, &first, &e];
                let (set, rows, reset) = futures_util::join!(
                    s.batch("SET LOCAL plan_cache_mode = force_custom_plan"),
                    s.query(sql, params),
                    s.batch("SET LOCAL plan_cache_mode = force_generic_plan"),
                );
                set?;
                let rows = rows?;
                reset?;
                rows
            }
            None => {
                let sql = if newest { WALK_NEWEST } else { WALK_OLDEST };
                self.session.query(sql, &[&self.rooms, &from, &until, &edge, &most, &room, &first]).await?
            }
        };
        let read = |r: &tokio_postgres::Row| {
            Work::Ok(Block { room: r.try_get(0)?, first: r.try_get(1)?, last: r.try_get(2)?, best: r.try_get(3)? })
        };
        rows.iter().map(read).collect()
    }

    /// The shown times, both included, between which hits can be of use.
    fn span(&self) -> (i64, i64) {
        let mut from = self.query.from.map_or(i64::MIN, Time::millis);
        let mut until = self.query.until.map_or(i64::MAX, |t| t.millis().saturating_sub(1));
        if let Some((time, ..)) = self.query.after {
            match self.query.order {
                Order::Newest => until = until.min(time.millis()),
                Order::Oldest => from = from.max(time.millis()),
            }
        }
        match (self.query.order, self.best.worst()) {
            (Order::Newest, Some(worst)) => from = from.max(worst.0),
            (Order::Oldest, Some(worst)) => until = until.min(worst.0),
            _ => {}
        }
        (from, until)
    }

    /// Looks at the messages of stretches, and at those that edits in them changed.
    async fn look_at(&mut self, blocks: &[Block]) -> Work<()> {
        if blocks.is_empty() {
            return Ok(());
        }
        let stretches = blocks.iter().map(|b| (b.room, b.first, b.last));
        let rows = match &self.sieve {
            Some(sieve) => messages_that_may_have(self.session, stretches, sieve).await?,
            None => messages_and_edits(self.session, stretches).await?,
        };
        let mut as_written = Vec::new();
        let mut amended: BTreeSet<(RoomId, Seq)> = BTreeSet::new();
        for row in &rows {
            let found = Found::read(row)?;
            let entry = &found.entry;
            match &entry.body {
                Some(EntryBody::Edit(edit)) => {
                    amended.insert((entry.room, edit.of));
                }
                Some(EntryBody::Message(_)) if found.is_as_written() => as_written.push((found, row.try_get(11)?)),
                Some(EntryBody::Message(_)) if !found.is_gone() => {
                    amended.insert((entry.room, entry.seq));
                }
                _ => {}
            }
        }
        let mut messages: Vec<(Place, PrincipalId, Texts)> = Vec::new();
        for (found, shown) in as_written {
            let entry = found.entry;
            if let Some(EntryBody::Message(m)) = &entry.body {
                messages.push((
                    (shown, entry.room.0, entry.seq.0),
                    entry.author,
                    Texts::of(m.title.as_deref(), &m.text),
                ));
            }
        }
        for row in load_rows(self.session, &amended).await? {
            if let Some((title, text)) = row.reads_now() {
                let entry = &row.entry;
                let place = (entry.shown_at().millis(), entry.room.0, entry.seq.0);
                messages.push((place, entry.author, Texts::of(title, text)));
            }
        }
        messages.retain(|(place, author, _)| self.admits(*place, *author));
        let words = messages.iter().flat_map(|(_, _, texts)| texts.words());
        self.lexicon.learn(self.session, words).await?;
        for (place, _, texts) in messages {
            if self.wanted.is_in(&[&texts.title, &texts.text], self.lexicon) {
                self.best.push(place);
            }
        }
        Ok(())
    }

    /// Whether a message meets the rest of the query.
    fn admits(&self, place: Place, author: PrincipalId) -> bool {
        let Query { authors, from, until, order, after, .. } = self.query;
        (authors.is_empty() || authors.contains(&author))
            && from.is_none_or(|t| place.0 >= t.millis())
            && until.is_none_or(|t| place.0 < t.millis())
            && after.is_none_or(|(time, room, seq)| {
                let after = (time.millis(), room.0, seq.0);
                match order {
                    Order::Newest => place < after,
                    Order::Oldest => place > after,
                }
            })
    }

    async fn hits(self) -> Work<Hits> {
        let (limit, places) = (self.query.limit, &self.best.places);
        let mut hits = load(self.session, places, limit).await?;
        let texts: Vec<Vec<Token>> =
            hits.found.iter().map(|f| tokens(f.row.reads_now().map_or("", |(_, text)| text))).collect();
        self.lexicon.learn(self.session, texts.iter().flatten().map(|t| t.word.as_str())).await?;
        for (found, text) in hits.found.iter_mut().zip(&texts) {
            found.marks = self.wanted.marks(text, self.lexicon);
        }
        Ok(hits)
    }
}

/// How an author, and a room, stand in the index: as words that no text has.
pub(super) fn author_word(author: i64) -> String {
    format!("@{author}")
}

pub(super) fn room_word(room: i64) -> String {
    format!("#{room}")
}

/// A message's words.
struct Texts {
    title: Vec<Token>,
    text: Vec<Token>,
}

impl Texts {
    fn of(title: Option<&str>, text: &str) -> Texts {
        Texts { title: title.map(tokens).unwrap_or_default(), text: tokens(text) }
    }

    fn words(&self) -> impl Iterator<Item = &str> {
        self.title.iter().chain(&self.text).map(|t| t.word.as_str())
    }
}

async fn load(s: &Session, places: &[Place], limit: usize) -> Work<Hits> {
    let wanted: BTreeSet<(RoomId, Seq)> =
        places.iter().take(limit).map(|(_, room, seq)| (RoomId(*room), Seq(*seq))).collect();
    let rows = load_rows(s, &wanted).await?;
    let mut rows: std::collections::HashMap<(i64, i64), Row> =
        rows.into_iter().map(|row| ((row.entry.room.0, row.entry.seq.0), row)).collect();
    let found = places.iter().take(limit).filter_map(|(_, room, seq)| rows.remove(&(*room, *seq)));
    let found = found.map(|row| search::Found { row, marks: Vec::new() }).collect();
    Ok(Hits { found, more: places.len() > limit })
}

async fn mentions(
    s: &Session,
    user: PrincipalId,
    rooms: &[RoomId],
    after: Option<(Time, RoomId, Seq)>,
    limit: usize,
) -> Work<Hits> {
    const SQL: &str = "SELECT shown_at, room, seq FROM mention
        WHERE \"user\" = $1 AND (shown_at, room, seq) < ($2, $3, $4) AND room = ANY($5)
        ORDER BY shown_at DESC, room DESC, seq DESC LIMIT $6";
    let (time, room, seq) = after.map_or((i64::MAX, i64::MAX, i64::MAX), |(t, r, s)| (t.millis(), r.0, s.0));
    let rooms: Vec<i64> = rooms.iter().map(|room| room.0).collect();
    let most = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    let rows = s.query(SQL, &[&user.0, &time, &room, &seq, &rooms, &most]).await?;
    let read = |r: &tokio_postgres::Row| Work::Ok((r.try_get(0)?, r.try_get(1)?, r.try_get(2)?));
    let places: Vec<Place> = rows.iter().map(read).collect::<Work<_>>()?;
    load(s, &places, limit).await
}
