//! The logs: what is read of them. How they are written is in [`super::append`].

use super::append::{self, find_sent, head_columns, read_end};
use super::error::Work;
use super::parts::{PARTS, Part, of_each_part};
use super::row::{Found, complete, entry_columns, found_columns, kind_code, load_entries, load_rows};
use super::session::Session;
use super::{Inner, PostgresStore};
use crate::chaining::End;
use crate::log::{Appended, Draft, From, Head, Page, RoomLog, Row};
use crate::paging::window;
use crate::{Result, StoreError};
use async_trait::async_trait;
use futures_util::future::try_join;
use holdfast_domain::chain::{Digest, Header, Payload, Stored};
use holdfast_domain::{ClientId, Entry, PrincipalId, RoomId, Seq, Time};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Client ids that one statement forgets: so many are done in a moment, and posts come in between.
const FORGET_AT_ONCE: i64 = 10_000;

#[async_trait]
impl RoomLog for PostgresStore {
    async fn append(&self, drafts: Vec<Draft>) -> Result<Vec<Appended>> {
        let inner = Arc::clone(&self.inner);
        let done = tokio::spawn(async move { append::append(&inner, drafts).await });
        done.await.map_err(|e| StoreError::Engine { doing: "writing to the logs", source: Box::new(e) })?
    }

    async fn head(&self, room: RoomId) -> Result<Head> {
        const DOING: &str = "reading the end of a log";
        let session = self.inner.sessions.reader().await?;
        Ok(end(&session, room).await.map_err(|e| e.while_doing(DOING))?.head)
    }

    async fn heads(&self) -> Result<Vec<(RoomId, Head)>> {
        const DOING: &str = "reading the ends of the logs";
        const SQL: &str = concat!(head_columns!(), "ORDER BY room");
        let rows = self.inner.sessions.query(DOING, SQL, &[]).await?;
        let heads: Work<_> = rows.iter().map(|r| read_end(r).map(|end| (end.room, end.head))).collect();
        heads.map_err(|e| e.while_doing(DOING))
    }

    async fn page(&self, room: RoomId, from: From, limit: usize) -> Result<Page> {
        const DOING: &str = "reading a page of a log";
        let session = self.inner.sessions.reader().await?;
        let part = self.inner.parts.of(&session, room).await.map_err(|e| e.while_doing(DOING))?;
        page(&session, part, room, from, limit).await.map_err(|e| e.while_doing(DOING))
    }

    async fn rows(&self, room: RoomId, seqs: Vec<Seq>) -> Result<Vec<Row>> {
        const DOING: &str = "reading entries of a log";
        let wanted: BTreeSet<_> = seqs.into_iter().map(|seq| (room, seq)).collect();
        let session = self.inner.sessions.reader().await?;
        load_rows(&session, &wanted).await.map_err(|e| e.while_doing(DOING))
    }

    async fn edits_of(&self, room: RoomId, seq: Seq) -> Result<Vec<Entry>> {
        const DOING: &str = "reading the edits of a message";
        const SQL: &str = "SELECT seq FROM edit WHERE room = $1 AND of = $2";
        let session = self.inner.sessions.reader().await?;
        let edits = async {
            let mut wanted = BTreeSet::new();
            for r in session.query(SQL, &[&room.0, &seq.0]).await? {
                wanted.insert((room, Seq(r.try_get(0)?)));
            }
            let mut edits: Vec<Entry> = load_entries(&session, wanted).await?.into_values().collect();
            edits.sort_by_key(|entry| entry.seq);
            Work::Ok(edits)
        };
        edits.await.map_err(|e| e.while_doing(DOING))
    }

    async fn find_sent(&self, room: RoomId, author: PrincipalId, client_id: ClientId) -> Result<Option<Entry>> {
        const DOING: &str = "looking up a client id";
        let session = self.inner.sessions.get().await?;
        find_sent(&session, room, author, client_id).await.map_err(|e| e.while_doing(DOING))
    }

    async fn stored(&self, room: RoomId, after: Seq, limit: usize) -> Result<Vec<Stored>> {
        const DOING: &str = "reading a log as it is stored";
        const SQL: &str = concat!(
            "SELECT ",
            entry_columns!(),
            ", e.payload_digest FROM entry e WHERE e.room = $1 AND e.seq > $2 ORDER BY e.seq LIMIT $3"
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self.inner.sessions.query(DOING, SQL, &[&room.0, &after.0, &limit]).await?;
        rows.iter().map(as_stored).collect::<Work<_>>().map_err(|e| e.while_doing(DOING))
    }

    async fn last_at(&self, room: RoomId, at: Time) -> Result<Option<Seq>> {
        const DOING: &str = "finding a date in a log";
        let session = self.inner.sessions.reader().await?;
        last_at(&session, room, at).await.map_err(|e| e.while_doing(DOING))
    }

    async fn forget_client_ids(&self, before: Time) -> Result<u64> {
        const DOING: &str = "forgetting client ids";
        const SQL: &str = "DELETE FROM sent WHERE ctid = ANY(ARRAY(SELECT ctid FROM sent WHERE at < $1 LIMIT $2))";
        let mut forgotten = 0;
        loop {
            let n = self.inner.sessions.execute(DOING, SQL, &[&before.millis(), &FORGET_AT_ONCE]).await?;
            forgotten += n;
            if n < FORGET_AT_ONCE.unsigned_abs() {
                return Ok(forgotten);
            }
        }
    }
}

impl Inner {
    /// Tells the others that there is something to read.
    pub(super) fn hint(&self, entries: impl IntoIterator<Item = (RoomId, Seq)>) {
        self.told.entries(entries);
    }
}

pub(super) async fn end(session: &Session, room: RoomId) -> Work<End> {
    const SQL: &str = concat!(head_columns!(), "WHERE room = $1");
    match session.one(SQL, &[&room.0]).await? {
        Some(row) => read_end(&row),
        None => Ok(End::empty(room)),
    }
}

async fn page(session: &Session, part: Part, room: RoomId, from: From, limit: usize) -> Work<Page> {
    // Where a page lies mostly needs no knowledge of the end, which is then asked for in the same breath.
    let (head, guessed) = match from {
        From::Before(_) | From::After(_) => {
            let (first, last) = window(Seq::MAX, from, None, limit);
            let (end, found) = try_join(end(session, room), within(session, part, room, first, last)).await?;
            (end.head.seq, Some((first, found)))
        }
        From::Latest | From::Around(_) | From::At(_) => (end(session, room).await?.head.seq, None),
    };
    let focus = match from {
        From::Around(seq) if seq <= head => Some(seq),
        From::At(time) => first_shown(session, room, time).await?,
        _ => None,
    };
    let (first, last) = window(head, from, focus, limit);
    let found = match guessed {
        // Beyond the end nothing was found, and what was written meanwhile belongs to the next page.
        Some((guess, mut found)) if guess == first => {
            found.retain(|f| f.entry.seq <= last);
            found
        }
        _ => within(session, part, room, first, last).await?,
    };
    let rows = complete(session, found).await?;
    let focus = focus.filter(|seq| (first..=last).contains(seq));
    Ok(Page { rows, focus, more_before: first > Seq(1), more_after: last < head })
}

/// The entries from `first` to `last`.
async fn within(session: &Session, part: Part, room: RoomId, first: Seq, last: Seq) -> Work<Vec<Found>> {
    const SQL: [&str; PARTS] = of_each_part!(
        "SELECT ",
        found_columns!(),
        " FROM ";
        " e LEFT JOIN LATERAL (SELECT * FROM amendment a WHERE a.room = e.room AND a.seq = e.seq) a ON true
          WHERE e.room = $1 AND e.seq BETWEEN $2 AND $3 ORDER BY e.seq"
    );
    if first > last {
        return Ok(Vec::new());
    }
    let found = session.query(part.choose(&SQL), &[&room.0, &first.0, &last.0]).await?;
    found.iter().map(Found::read).collect()
}

/// The message that is shown first among those shown at `time` or later: among those written here, which are in the order of their numbers, and
/// among those imported.
async fn first_shown(session: &Session, room: RoomId, time: Time) -> Work<Option<Seq>> {
    const WRITTEN: &str = "SELECT at, seq FROM entry WHERE room = $1 AND seq > $2 AND kind = 1 AND said IS NULL
                           ORDER BY seq LIMIT 1";
    const IMPORTED: &str = "SELECT said, seq FROM entry WHERE room = $1 AND said >= $2 ORDER BY said, seq LIMIT 1";
    let before = last_written(session, room, Time::from_millis(time.millis().saturating_sub(1))).await?;
    let mut first: Option<(i64, i64)> = None;
    for row in
        [session.one(WRITTEN, &[&room.0, &before.0]).await?, session.one(IMPORTED, &[&room.0, &time.millis()]).await?]
            .into_iter()
            .flatten()
    {
        let place = (row.try_get(0)?, row.try_get(1)?);
        first = Some(first.map_or(place, |f| f.min(place)));
    }
    Ok(first.map(|(_, seq)| Seq(seq)))
}

/// The last entry that the log took at `at` or before. Times never fall along a log and it has no gaps, so its place is found by halving.
async fn last_written(session: &Session, room: RoomId, at: Time) -> Work<Seq> {
    const SQL: &str = "WITH RECURSIVE half (known, beyond) AS (
            SELECT 0::bigint, last_seq + 1 FROM room_head WHERE room = $1
            UNION ALL
            SELECT CASE WHEN m.at <= $2 THEN m.seq ELSE h.known END, CASE WHEN m.at <= $2 THEN h.beyond ELSE m.seq END
            FROM half h CROSS JOIN LATERAL (
                SELECT e.seq, e.at FROM entry e WHERE e.room = $1 AND e.seq = h.known + (h.beyond - h.known) / 2) m
            WHERE h.beyond - h.known > 1)
        SELECT coalesce(max(known), 0) FROM half";
    let row = session.one(SQL, &[&room.0, &at.millis()]).await?;
    Ok(row.map(|r| r.try_get(0)).transpose()?.map_or(Seq::ZERO, Seq))
}

/// `said` may lie after `at` if whoever imported it says so; then the place is before.
async fn last_at(session: &Session, room: RoomId, at: Time) -> Work<Option<Seq>> {
    const OWN: &str = "SELECT seq FROM entry WHERE room = $1 AND seq <= $2 AND coalesce(said, at) <= $3
                       ORDER BY seq DESC LIMIT 1";
    const IMPORTED: &str = "SELECT max(seq) FROM entry WHERE room = $1 AND said <= $2";
    let known = last_written(session, room, at).await?;
    let own = session.one(OWN, &[&room.0, &known.0, &at.millis()]).await?;
    let own: Option<i64> = own.map(|r| r.try_get(0)).transpose()?;
    let imported = session.one(IMPORTED, &[&room.0, &at.millis()]).await?;
    let imported: Option<i64> = imported.map(|r| r.try_get(0)).transpose()?.flatten();
    Ok(own.max(imported).map(Seq))
}

/// A row exactly as it is stored, even where it cannot be right: whoever verifies a log must get to see every entry of it. What
/// cannot be right is given as something that cannot match the chain, which then names the entry.
fn as_stored(r: &tokio_postgres::Row) -> Work<Stored> {
    let digest = |bytes: Option<&[u8]>| bytes.and_then(Digest::from_bytes).unwrap_or(Digest([0; 32]));
    let payload = match r.try_get::<_, Option<&str>>(7)? {
        Some(text) => Payload::Kept(text.to_owned()),
        None => Payload::Erased(digest(r.try_get(8)?)),
    };
    let header = Header {
        room: RoomId(r.try_get(0)?),
        seq: Seq(r.try_get(1)?),
        at: Time::from_millis(r.try_get(2)?),
        author: PrincipalId(r.try_get(3)?),
        client_id: ClientId(r.try_get(4)?),
        kind: kind_code(r.try_get(5)?),
    };
    Ok(Stored { header, payload, hash: digest(r.try_get(6)?) })
}
