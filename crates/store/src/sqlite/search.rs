//! Full text search.
//!
//! The index keeps each word's messages in the order of their ids, that is room by room and, in a room, along the log. Two ways lead from there
//! to the newest or oldest messages without sorting all that a word stands in:
//!
//! - A query with few hits in all is answered from all of them.
//! - Otherwise rooms are asked one by one, those first whose messages can come first in the answer, each for as many as are still wanted,
//!   and none once no room that is left can have a better one. Along a log the shown times rise, so the order of ids is the order of the answer.
//!   In a log where imported messages broke that order (`room_head.in_order`), the hits of this one room are sorted.

use super::SqliteStore;
use super::append::LogEnd;
use super::error::Work;
use super::key::{entry_id, room_and_seq};
use super::row::load_row;
use super::words::{Scratch, expression};
use crate::Result;
use crate::best::Best;
use crate::search::{Found, Hits, Order, Query, Search};
use async_trait::async_trait;
use holdfast_domain::{PrincipalId, RoomId, Seq, Time};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};
use std::collections::BTreeSet;

/// Hits of a query up to which all of them are looked at: so many, or so many for each room, because a room costs something to ask.
const FEW: usize = 1_000;
const FEW_FOR_A_ROOM: usize = 20;

/// Authors up to which the index itself picks their messages out.
const AUTHORS_IN_INDEX: usize = 50;

#[async_trait]
impl Search for SqliteStore {
    async fn search(&self, query: Query) -> Result<Hits> {
        self.threads.read("searching", move |tx, scratch| search(tx, scratch, &query)).await
    }

    async fn mentions(
        &self,
        user: PrincipalId,
        rooms: Vec<RoomId>,
        after: Option<(Time, RoomId, Seq)>,
        limit: usize,
    ) -> Result<Hits> {
        self.threads.read("listing mentions", move |tx, _| mentions(tx, user, &rooms, after, limit)).await
    }
}

/// A message by its place in the answer: shown time, then room and number.
type Place = (i64, i64);

fn search(conn: &Connection, scratch: &mut Scratch, query: &Query) -> Work<Hits> {
    let words = scratch.words(&query.text)?;
    let search = Searching { conn, query, matching: matching(&words, query), wanted: query.limit.saturating_add(1) };
    // Numbers that no room can have would be at no place in the index.
    let possible = RoomId::POOL..=RoomId::MAX;
    let rooms: BTreeSet<RoomId> = query.rooms.iter().copied().filter(|room| possible.contains(room)).collect();
    let places = match search.few(&rooms)? {
        Some(places) => places,
        None => search.room_by_room(&rooms)?,
    };
    let mut hits = load(conn, &places, query.limit)?;
    let texts: Vec<&str> = hits.found.iter().map(|f| f.row.reads_now().map_or("", |(_, text)| text)).collect();
    let marks = scratch.marks(&words, query.words, &texts)?;
    for (found, marks) in hits.found.iter_mut().zip(marks) {
        found.marks = marks;
    }
    Ok(hits)
}

/// What to look for in the index; `None` where the index cannot help.
fn matching(words: &[String], query: &Query) -> Option<String> {
    let words = expression(words, query.words).map(|e| format!("{{title text}} : ({e})"));
    let authors = (1..=AUTHORS_IN_INDEX).contains(&query.authors.len()).then(|| {
        let any: Vec<String> = query.authors.iter().map(|a| format!("\"{a}\"")).collect();
        format!("{{author}} : ({})", any.join(" OR "))
    });
    match (words, authors) {
        (Some(words), Some(authors)) => Some(format!("({words}) AND ({authors})")),
        (words, authors) => words.or(authors),
    }
}

struct Searching<'a> {
    conn: &'a Connection,
    query: &'a Query,
    /// The query in the index's language, if it asks for words or authors.
    matching: Option<String>,
    /// Hits after which no more are needed: one more than are given, to know whether there are more.
    wanted: usize,
}

impl Searching<'_> {
    /// All hits, best first, if there are few.
    fn few(&self, rooms: &BTreeSet<RoomId>) -> Work<Option<Vec<Place>>> {
        const IDS: &str = "SELECT rowid FROM search WHERE search MATCH ?1 AND rowid BETWEEN ?2 AND ?3 LIMIT ?4";
        const MESSAGE: &str = "SELECT shown_at, author FROM entry WHERE id = ?1 AND kind = 1";
        let Some(matching) = &self.matching else { return Ok(None) };
        let (Some(first), Some(last)) = (rooms.first(), rooms.last()) else { return Ok(Some(Vec::new())) };
        let mut statement = self.conn.prepare_cached(IDS)?;
        let few = FEW.max(rooms.len() * FEW_FOR_A_ROOM);
        let (from, to) = (entry_id(*first, Seq::ZERO), entry_id(*last, Seq::MAX));
        let range = params![matching, from, to, i64::try_from(few).unwrap_or(i64::MAX).saturating_add(1)];
        let ids: Vec<i64> = statement.query_map(range, |r| r.get(0))?.collect::<rusqlite::Result<_>>()?;
        if ids.len() > few {
            return Ok(None);
        }
        let mut message = self.conn.prepare_cached(MESSAGE)?;
        let mut best = Best::new(self.query.order, self.wanted);
        for id in ids.into_iter().filter(|id| rooms.contains(&room_and_seq(*id).0)) {
            let found = message.query_row([id], |r| Ok((r.get(0)?, PrincipalId(r.get(1)?)))).optional()?;
            if let Some((shown_at, author)) = found
                && self.admits((shown_at, id), author)
            {
                best.push((shown_at, id));
            }
        }
        Ok(Some(best.places))
    }

    /// The best hits, best first.
    fn room_by_room(&self, rooms: &BTreeSet<RoomId>) -> Work<Vec<Place>> {
        let mut ends = Vec::with_capacity(rooms.len());
        for room in rooms {
            if let Some(end) = LogEnd::load(self.conn, *room)?
                && let Some((earliest, latest)) = end.shown
            {
                ends.push((earliest.millis(), latest.millis(), end));
            }
        }
        match self.query.order {
            Order::Newest => ends.sort_by_key(|(_, latest, _)| std::cmp::Reverse(*latest)),
            Order::Oldest => ends.sort_by_key(|(earliest, _, _)| *earliest),
        }
        let mut best = Best::new(self.query.order, self.wanted);
        for (earliest, latest, end) in ends {
            // Among equal times the room decides, so a room whose best only equals the worst that is wanted is asked too.
            match (self.query.order, best.worst()) {
                (Order::Newest, Some((worst, _))) if latest < *worst => break,
                (Order::Oldest, Some((worst, _))) if earliest > *worst => break,
                _ => self.room(&end, &mut best)?,
            }
        }
        Ok(best.places)
    }

    /// Adds what a room has to give.
    fn room(&self, end: &LogEnd, best: &mut Best<Place>) -> Work<()> {
        let Some((from, until)) = self.span(end.end.room, best) else { return Ok(()) };
        let newest = self.query.order == Order::Newest;
        match &self.matching {
            // Without words all messages in sight are hits, and the index of shown times has them in any log in order.
            None => {
                const NEWEST: &str = in_sight!("DESC");
                const OLDEST: &str = in_sight!("ASC");
                let sql = if newest { NEWEST } else { OLDEST };
                self.take(sql, vec![end.end.room.0.into(), from.into(), until.into()], true, best)
            }
            Some(matching) if end.in_order => {
                const NEWEST: &str = in_index!("ORDER BY s.rowid DESC");
                const OLDEST: &str = in_index!("ORDER BY s.rowid");
                let sql = if newest { NEWEST } else { OLDEST };
                let Some((first, last)) = self.ids_shown(end, from, until)? else { return Ok(()) };
                self.take(sql, vec![matching.clone().into(), first.into(), last.into()], true, best)
            }
            Some(matching) => {
                const ALL: &str = in_index!("");
                let (first, last) = (entry_id(end.end.room, Seq::ZERO), entry_id(end.end.room, Seq::MAX));
                self.take(ALL, vec![matching.clone().into(), first.into(), last.into()], false, best)
            }
        }
    }

    /// The shown times, both included, between which hits of a room can be of use; `None` if there are none.
    fn span(&self, room: RoomId, best: &Best<Place>) -> Option<(i64, i64)> {
        let mut from = self.query.from.map_or(i64::MIN, Time::millis);
        let mut until = self.query.until.map_or(i64::MAX, |t| t.millis().saturating_sub(1));
        if let Some((time, of, _)) = self.query.after {
            match self.query.order {
                Order::Newest => until = until.min(time.millis() - i64::from(room > of)),
                Order::Oldest => from = from.max(time.millis() + i64::from(room < of)),
            }
        }
        match (self.query.order, best.worst()) {
            (Order::Newest, Some((worst, _))) => from = from.max(*worst),
            (Order::Oldest, Some((worst, _))) => until = until.min(*worst),
            _ => {}
        }
        (from <= until).then_some((from, until))
    }

    /// The first and last id of messages shown between two times in a log whose shown times rise.
    fn ids_shown(&self, end: &LogEnd, from: i64, until: i64) -> Work<Option<(i64, i64)>> {
        const FIRST: &str =
            "SELECT id FROM entry WHERE id >> 36 = ?1 AND kind = 1 AND shown_at >= ?2 ORDER BY shown_at, id LIMIT 1";
        const LAST: &str = "SELECT id FROM entry WHERE id >> 36 = ?1 AND kind = 1 AND shown_at <= ?2 ORDER BY shown_at DESC, id DESC LIMIT 1";
        let one = |sql: &str, time: i64| -> Work<Option<i64>> {
            Ok(self.conn.prepare_cached(sql)?.query_row([end.end.room.0, time], |r| r.get(0)).optional()?)
        };
        Ok(one(FIRST, from)?.zip(one(LAST, until)?))
    }

    /// Takes what a statement finds. `in_order`: it finds the best first, so that it can be left once there is enough.
    fn take(&self, sql: &str, params: Vec<Value>, in_order: bool, best: &mut Best<Place>) -> Work<()> {
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut rows = statement.query(params_from_iter(params))?;
        while let Some(r) = rows.next()? {
            let place = (r.get(1)?, r.get(0)?);
            if self.admits(place, PrincipalId(r.get(2)?)) && !best.push(place) && in_order {
                break;
            }
        }
        Ok(())
    }

    /// Whether a message that has the words meets the rest of the query.
    fn admits(&self, place: Place, author: PrincipalId) -> bool {
        let Query { authors, from, until, order, after, .. } = self.query;
        let (shown_at, _) = place;
        (authors.is_empty() || authors.contains(&author))
            && from.is_none_or(|t| shown_at >= t.millis())
            && until.is_none_or(|t| shown_at < t.millis())
            && after.is_none_or(|(time, room, seq)| {
                let after = (time.millis(), entry_id(room, seq));
                match order {
                    Order::Newest => place < after,
                    Order::Oldest => place > after,
                }
            })
    }
}

/// Messages in sight by shown time.
macro_rules! in_sight {
    ($order:literal) => {
        concat!(
            "SELECT e.id, e.shown_at, e.author FROM entry e LEFT JOIN amendment a ON a.id = e.id
             WHERE e.id >> 36 = ?1 AND e.kind = 1 AND e.shown_at BETWEEN ?2 AND ?3 AND e.payload IS NOT NULL AND a.gone IS NULL
             ORDER BY e.shown_at ",
            $order,
            ", e.id ",
            $order
        )
    };
}
use in_sight;

/// Messages of the index by id.
macro_rules! in_index {
    ($order:literal) => {
        concat!(
            "SELECT s.rowid, e.shown_at, e.author FROM search s CROSS JOIN entry e ON e.id = s.rowid
             WHERE s.search MATCH ?1 AND s.rowid BETWEEN ?2 AND ?3 ",
            $order
        )
    };
}
use in_index;

fn load(conn: &Connection, places: &[Place], limit: usize) -> Work<Hits> {
    let mut found = Vec::with_capacity(places.len().min(limit));
    for (_, id) in places.iter().take(limit) {
        if let Some(row) = load_row(conn, *id)? {
            found.push(Found { row, marks: Vec::new() });
        }
    }
    Ok(Hits { found, more: places.len() > limit })
}

/// Those who are named in few messages are many, and those who are named in many ask for the newest: their own list is walked.
fn mentions(
    conn: &Connection,
    user: PrincipalId,
    rooms: &[RoomId],
    after: Option<(Time, RoomId, Seq)>,
    limit: usize,
) -> Work<Hits> {
    const SQL: &str = "SELECT shown_at, room, seq FROM mention WHERE user = ?1 AND (shown_at, room, seq) < (?2, ?3, ?4)
                       ORDER BY shown_at DESC, room DESC, seq DESC";
    let rooms: BTreeSet<RoomId> = rooms.iter().copied().collect();
    let (time, room, seq) = after.map_or((i64::MAX, i64::MAX, i64::MAX), |(t, r, s)| (t.millis(), r.0, s.0));
    let mut statement = conn.prepare_cached(SQL)?;
    let mut rows = statement.query([user.0, time, room, seq])?;
    let mut places = Vec::new();
    while places.len() <= limit
        && let Some(r) = rows.next()?
    {
        let room = RoomId(r.get(1)?);
        if rooms.contains(&room) {
            places.push((r.get(0)?, entry_id(room, Seq(r.get(2)?))));
        }
    }
    load(conn, &places, limit)
}
