//! The way of every change: drafts become the next entries of their logs, and all that follows from them is brought in step.
//!
//! One transaction, and for messages two round trips however many they are: the first locks the epoch and the heads of the rooms, in the
//! order of their numbers; the second inserts, moves the heads and commits. That one had been written before shows by its client id, which is
//! there: then all is done again, and first looked up which ones. The locks
//! make a room's entries follow each other without gaps whichever server writes them; what needs to look at what is there (an edit, a
//! removal) takes round trips of its own in between.

use super::directory::{self, Puts};
use super::error::{Fail, Work, away, corrupt, missing};
use super::row::{load_entries, stored_kind};
use super::session::{Params, Session};
use super::sessions::known;
use super::{Inner, amend};
use crate::chaining::{Chained, End};
use crate::log::{Appended, Draft, Head, Remember};
use crate::{Result, StoreError};
use holdfast_domain::chain::Digest;
use holdfast_domain::entry::{FileRef, Message};
use holdfast_domain::{ClientId, Entry, EntryBody, PrincipalId, RoomId, Seq, Time};
use std::collections::{BTreeSet, HashMap};
use tokio_postgres::Row;
use uuid::Uuid;

const DOING: &str = "writing to the logs";

/// The columns that [`read_end`] reads.
macro_rules! head_columns {
    () => {
        "SELECT room, last_seq, last_hash, last_at, messages, last_message_at FROM room_head "
    };
}
pub(super) use head_columns;

pub(super) const EPOCH: &str = "SELECT epoch FROM pool WHERE id = 1 FOR SHARE";
const REVISION: &str = "SELECT n FROM revision WHERE id = 1 FOR UPDATE";
const BUMP: &str = "UPDATE revision SET n = n + 1 WHERE id = 1";
const HEADS: &str = concat!(head_columns!(), "WHERE room = ANY($1) ORDER BY room FOR UPDATE");
const SENT_BEFORE: &str = "SELECT s.room, s.author, s.client_id, s.seq
    FROM unnest($1::bigint[], $2::bigint[], $3::uuid[]) u (room, author, client_id)
    JOIN sent s ON s.room = u.room AND s.author = u.author AND s.client_id = u.client_id";
const ENTRIES: &str = "INSERT INTO entry (room, seq, at, author, ordinal, client_id, said, kind, hash, payload)
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::uuid[], $7::bigint[],
                         $8::smallint[], $9::bytea[], $10::text[])";
const SENT: &str = "INSERT INTO sent (room, author, client_id, seq, at)
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::uuid[], $4::bigint[], $5::bigint[])";
const MENTIONS: &str = "INSERT INTO mention (\"user\", room, seq, shown_at)
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) ON CONFLICT DO NOTHING";
const MOVE_HEADS: &str = "UPDATE room_head h
    SET last_seq = u.seq, last_hash = u.hash, last_at = u.at, messages = u.messages, last_message_at = u.last_message_at
    FROM unnest($1::bigint[], $2::bigint[], $3::bytea[], $4::bigint[], $5::bigint[], $6::bigint[])
         u (room, seq, hash, at, messages, last_message_at)
    WHERE h.room = u.room";
const NEW_HEADS: &str = "INSERT INTO room_head (room, last_seq, last_hash, last_at, messages, last_message_at)
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bytea[], $4::bigint[], $5::bigint[], $6::bigint[])";
/// [`ENTRIES`], [`SENT`] and [`MOVE_HEADS`] in one, which is what a batch of messages needs.
const WRITE: &str = "WITH written AS (INSERT INTO entry (room, seq, at, author, ordinal, client_id, said, kind, hash, payload)
        SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::uuid[], $7::bigint[],
                             $8::smallint[], $9::bytea[], $10::text[])),
    remembered AS (INSERT INTO sent (room, author, client_id, seq, at)
        SELECT * FROM unnest($1::bigint[], $4::bigint[], $6::uuid[], $2::bigint[], $11::bigint[]))
    UPDATE room_head h
    SET last_seq = u.seq, last_hash = u.hash, last_at = u.at, messages = u.messages, last_message_at = u.last_message_at
    FROM unnest($12::bigint[], $13::bigint[], $14::bytea[], $15::bigint[], $16::bigint[], $17::bigint[])
         u (room, seq, hash, at, messages, last_message_at)
    WHERE h.room = u.room";
const TAKE_FILES: &str =
    "UPDATE file SET seq = $3, room = $2 WHERE id = $1 AND room IN ($2, 0) AND seq IS NULL AND ref IS NOT NULL";
/// Writes something that changes nothing, so that the commit waits for the mirror: an entry that is there already may not be on it yet.
const BARRIER: &str = "SELECT pg_logical_emit_message(true, 'holdfast', '')";

/// The statements of every batch.
const USUAL: [&str; 3] = [EPOCH, HEADS, WRITE];
/// Those that only some need, but in the middle of what is sent in one go.
const SOMETIMES: [&str; 5] = [REVISION, SENT_BEFORE, ENTRIES, SENT, MOVE_HEADS];

/// A client id, and whose it is.
type Key = (RoomId, PrincipalId, Uuid);

/// Writes all drafts, or none. To be run in a task of its own, so that nothing but PostgreSQL ends it.
pub(super) async fn append(store: &Inner, drafts: Vec<Draft>) -> Result<Vec<Appended>> {
    if drafts.is_empty() {
        return Ok(Vec::new());
    }
    let session = store.sessions.get().await?;
    let outcome = transact(store, &session, drafts).await;
    match &outcome {
        Ok(appended) if appended.iter().any(|a| matches!(a, Appended::New(_))) => store.watched.note_post(),
        Err(StoreError::Full) => store.watched.note_refusal(),
        _ => {}
    }
    if outcome.as_ref().is_err_and(|e| matches!(e, StoreError::Unknown { .. } | StoreError::Away { .. })) {
        // What state it is in is not known.
        drop(deadpool::managed::Object::take(session));
    }
    if let Ok(appended) = &outcome {
        store.hint(appended.iter().filter_map(|a| match a {
            Appended::New(entry) => Some((entry.room, entry.seq)),
            Appended::Repeated(_) => None,
        }));
    }
    outcome
}

async fn transact(store: &Inner, session: &Session, drafts: Vec<Draft>) -> Result<Vec<Appended>> {
    // New messages are what is written nearly always. That they are new is assumed, and shows when their client ids are remembered.
    if drafts.iter().all(is_plain)
        && let Some(appended) = attempt(store, session, drafts.clone(), false).await?
    {
        return Ok(appended);
    }
    let appended = attempt(store, session, drafts, true).await?;
    appended.ok_or_else(|| corrupt("a client id that was looked up and is not there cannot be remembered"))
}

/// Whether a draft is nothing but a message, so that its client id alone says whether it was written before.
fn is_plain(draft: &Draft) -> bool {
    let is_plain = matches!(&draft.body, EntryBody::Message(message) if message.files.is_empty());
    // What is imported is imported again.
    is_plain && draft.remember == Remember::UntilForgotten && draft.decided_on.is_none()
}

/// Writes all drafts, or none. `look_up`: looks up first which of them were written before. `None`: one was, and that was not looked up.
async fn attempt(store: &Inner, session: &Session, drafts: Vec<Draft>, look_up: bool) -> Result<Option<Vec<Appended>>> {
    session.prepare(&USUAL).await.map_err(|e| e.while_doing(DOING))?;
    if look_up {
        session.prepare(&SOMETIMES).await.map_err(|e| e.while_doing(DOING))?;
    }
    let changes = drafts.iter().any(|d| d.body.changes_directory());
    let mut batch = match Batch::begin(store, session, &drafts, changes, look_up).await {
        Ok(batch) => batch,
        Err(e) => return Err(roll_back(session, e.while_doing(DOING)).await),
    };
    match batch.write_all(drafts).await {
        Ok(appended) => {
            match batch.commit(changes).await {
                Err(e) if !look_up && e.is_taken_in("sent_pkey") => return Ok(None),
                done => done.map_err(|e| e.at_commit(DOING))?,
            }
            known(session, DOING)?;
            if changes {
                store.note_own_change(batch.revision);
            }
            Ok(Some(appended))
        }
        Err(e) => Err(roll_back(session, e.while_doing(DOING)).await),
    }
}

async fn roll_back(session: &Session, error: StoreError) -> StoreError {
    match session.batch("ROLLBACK").await {
        Ok(()) => error,
        // The connection is gone, and with it what was not committed. Nothing was changed; the caller lets go of the connection.
        Err(_) if matches!(error, StoreError::Away { .. }) => error,
        Err(e) => away(format!("{error}; and then the connection broke ({:?})", e.while_doing(DOING))),
    }
}

struct Batch<'a> {
    session: &'a Session,
    ends: HashMap<RoomId, End>,
    /// Rooms whose head is not there yet.
    begun: BTreeSet<RoomId>,
    /// What the drafts were written as before this batch.
    before: HashMap<Key, Seq>,
    /// The revision of the directory, if the batch changes it.
    revision: i64,
    pending: Pending,
}

/// Rows that are still to be inserted.
#[derive(Default)]
struct Pending {
    entries: Vec<(Chained, Remember, i64)>,
    /// User, room, number, shown time.
    mentions: Vec<(i64, i64, i64, i64)>,
    puts: Puts,
}

impl<'a> Batch<'a> {
    /// Begins the transaction: takes the locks and learns what is there.
    async fn begin(
        store: &Inner,
        session: &'a Session,
        drafts: &[Draft],
        changes: bool,
        look_up: bool,
    ) -> Work<Batch<'a>> {
        let rooms: BTreeSet<i64> = drafts.iter().flat_map(rooms_of).map(|room| room.0).collect();
        let rooms: Vec<i64> = rooms.into_iter().collect();
        let of: Vec<i64> = drafts.iter().map(|d| d.room.0).collect();
        let authors: Vec<i64> = drafts.iter().map(|d| d.author.0).collect();
        let ids: Vec<Uuid> = drafts.iter().map(|d| d.client_id.0).collect();

        let begin = session.batch("BEGIN");
        let epoch = session.one(EPOCH, &[]);
        let revision = async {
            if !changes {
                return Ok(None);
            }
            session.one(REVISION, &[]).await
        };
        let (rooms, keys): (Params<'_>, Params<'_>) = (&[&rooms], &[&of, &authors, &ids]);
        let heads = session.query(HEADS, rooms);
        let sent = async { if look_up { session.query(SENT_BEFORE, keys).await } else { Ok(Vec::new()) } };
        // Sent in one go, done in this order.
        let (begun, epoch, revision, heads, sent) = futures_util::join!(begin, epoch, revision, heads, sent);
        begun?;
        let epoch: i64 = required(epoch?, "the row of the pool")?.try_get(0)?;
        store.check_epoch(epoch)?;
        let revision: i64 = match revision? {
            Some(row) => row.try_get(0)?,
            None => 0,
        };
        let mut ends = HashMap::new();
        for row in heads? {
            let end = read_end(&row)?;
            ends.insert(end.room, end);
        }
        let mut before = HashMap::new();
        for row in sent? {
            let key = (RoomId(row.try_get(0)?), PrincipalId(row.try_get(1)?), row.try_get(2)?);
            before.insert(key, Seq(row.try_get(3)?));
        }
        // What was written before is answered as such, whatever has become of the directory since.
        let is_new = |d: &&Draft| !before.contains_key(&(d.room, d.author, d.client_id.0));
        let is_stale = |d: &Draft| d.decided_on.is_some_and(|on| !store.is_still(on, revision));
        if changes && drafts.iter().filter(is_new).any(is_stale) {
            return Err(StoreError::Stale.into());
        }
        Ok(Batch { session, ends, begun: BTreeSet::new(), before, revision, pending: Pending::default() })
    }

    async fn write_all(&mut self, drafts: Vec<Draft>) -> Work<Vec<Appended>> {
        let wanted = self.before.iter().map(|((room, ..), seq)| (*room, *seq)).collect();
        let before = load_entries(self.session, wanted).await?;
        let mut written: HashMap<Key, Entry> = HashMap::new();
        let mut appended = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let key = (draft.room, draft.author, draft.client_id.0);
            let repeated = match self.before.get(&key) {
                Some(seq) => before.get(&(draft.room, *seq)),
                None => written.get(&key),
            };
            if let Some(entry) = repeated {
                appended.push(Appended::Repeated(entry.clone()));
                continue;
            }
            let entry = self.write(draft).await?;
            written.insert(key, entry.clone());
            appended.push(Appended::New(entry));
        }
        Ok(appended)
    }

    async fn write(&mut self, draft: Draft) -> Work<Entry> {
        self.find_end(&draft).await?;
        let body = self.completed(draft.room, draft.body).await?;
        let Some(end) = self.ends.get_mut(&draft.room) else {
            return Err(missing(format!("room {}", draft.room)).into());
        };
        let chained = end.chain(draft.author, draft.client_id, draft.at, body)?;
        let messages = end.head.messages;
        let entry = chained.entry.clone();
        self.pending.entries.push((chained, draft.remember, messages));
        self.project(&entry).await?;
        Ok(entry)
    }

    /// Makes sure that the draft's log is there or begins with it.
    async fn find_end(&mut self, draft: &Draft) -> Work<()> {
        let room = draft.room;
        if self.ends.contains_key(&room) {
            return Ok(());
        }
        let may_begin = room == RoomId::POOL
            || (matches!(draft.body, EntryBody::Room(_))
                && (1..=RoomId::MAX.0).contains(&room.0)
                && !directory::was_deleted(self.session, room).await?);
        if !may_begin {
            return Err(missing(format!("room {room}")).into());
        }
        self.ends.insert(room, End::empty(room));
        self.begun.insert(room);
        Ok(())
    }

    /// The body with what only the transaction can know filled in.
    async fn completed(&mut self, room: RoomId, body: EntryBody) -> Work<EntryBody> {
        Ok(match body {
            EntryBody::Room(put) if put.now.id != room => {
                return Err(corrupt(format!("settings of room {} for the log of room {room}", put.now.id)).into());
            }
            EntryBody::Removal(mut removal) if removal.erased => {
                self.flush().await?;
                removal.of = amend::with_edits(self.session, room, &removal.of).await?;
                EntryBody::Removal(removal)
            }
            EntryBody::RoomDeleted { id, name, .. } => {
                let Some(end) = self.ends.get(&id).filter(|_| id != RoomId::POOL) else {
                    return Err(missing(format!("room {id}")).into());
                };
                EntryBody::RoomDeleted { id, name, last_seq: end.head.seq, last_hash: end.head.hash }
            }
            other => other,
        })
    }

    /// Does what a new entry says.
    async fn project(&mut self, entry: &Entry) -> Work<()> {
        let Some(body) = &entry.body else { return Ok(()) };
        if let EntryBody::Message(message) = body {
            self.pending.mention(entry, message);
            return take_files(self.session, entry).await;
        }
        self.pending.puts.add(body)?;
        if looks_at_rows(body) {
            self.flush().await?;
        }
        project(self.session, entry, body).await?;
        take_files(self.session, entry).await?;
        if let EntryBody::RoomDeleted { id, .. } = body {
            self.ends.remove(id);
            self.begun.remove(id);
        }
        Ok(())
    }

    /// Inserts what is pending, for those who look at it.
    async fn flush(&mut self) -> Work<()> {
        let pending = std::mem::take(&mut self.pending);
        let Pending { entries, mentions, mut puts } = pending;
        if !entries.is_empty() {
            let rows = Rows::of(&entries);
            rows.insert(self.session).await?;
            rows.remember(self.session).await?;
        }
        insert_mentions(self.session, &mentions).await?;
        puts.write(self.session).await
    }

    /// Inserts what is pending, moves the heads and commits.
    async fn commit(&mut self, changes: bool) -> Work<()> {
        let session = self.session;
        let before = async {
            let Pending { mentions, puts, .. } = &mut self.pending;
            puts.write(session).await?;
            insert_mentions(session, mentions).await?;
            if changes {
                session.execute(BUMP, &[]).await?;
            }
            let begun: Vec<&End> = self.begun.iter().filter_map(|room| self.ends.get(room)).collect();
            if !begun.is_empty() {
                Heads::of(&begun).write(session, NEW_HEADS).await.map_err(begun_elsewhere)?;
            }
            Work::Ok(())
        };
        if let Err(e) = before.await {
            return Err(roll_back(session, e.while_doing(DOING)).await.into());
        }
        let rows = Rows::of(&self.pending.entries);
        let moved: Vec<&End> = self.ends.values().filter(|end| !self.begun.contains(&end.room)).collect();
        let heads = Heads::of(&moved);
        let all = async {
            match (rows.is_empty(), heads.is_empty()) {
                (false, false) => rows.write(session, &heads).await,
                (false, true) => {
                    let (entries, sent) = futures_util::join!(rows.insert(session), rows.remember(session));
                    entries.and(sent).map(|()| 0)
                }
                (true, false) => {
                    let (barrier, moved) = futures_util::join!(barrier(session), heads.write(session, MOVE_HEADS));
                    barrier.and(moved)
                }
                (true, true) => barrier(session).await.map(|()| 0),
            }
        };
        // Sent in one go, done in this order. A statement that fails turns the commit into a rollback, so every answer counts.
        let (moved, committed) = futures_util::join!(all, session.batch("COMMIT"));
        let moved = moved?;
        committed?;
        if moved == heads.len() { Ok(()) } else { Err(corrupt("the head of a log that is locked is gone").into()) }
    }
}

impl Pending {
    fn mention(&mut self, entry: &Entry, message: &Message) {
        let shown_at = entry.shown_at().millis();
        self.mentions.extend(message.mentions.iter().map(|user| (user.0, entry.room.0, entry.seq.0, shown_at)));
    }
}

/// Whether doing what an entry says looks at rows that may still be pending.
fn looks_at_rows(body: &EntryBody) -> bool {
    !matches!(
        body,
        EntryBody::Message(_)
            | EntryBody::Room(_)
            | EntryBody::Category(_)
            | EntryBody::User(_)
            | EntryBody::Group(_)
            | EntryBody::Act(_)
    )
}

/// Does to what follows from the logs what an entry says, where that is not written together with others'.
pub(super) async fn project(session: &Session, entry: &Entry, body: &EntryBody) -> Work<()> {
    let (room, by) = (entry.room, entry.seq);
    match body {
        EntryBody::Edit(edit) => amend::edit(session, room, by, edit).await,
        EntryBody::Retraction { of, .. } => amend::retract(session, room, by, *of).await,
        EntryBody::Removal(removal) => amend::remove(session, room, by, removal).await,
        EntryBody::Purge { through } => amend::purge(session, room, by, *through).await,
        _ => directory::apply(session, room, body).await,
    }
}

/// Names the people that messages name.
pub(super) async fn insert_mentions(session: &Session, mentions: &[(i64, i64, i64, i64)]) -> Work<()> {
    if mentions.is_empty() {
        return Ok(());
    }
    let column = |of: fn(&(i64, i64, i64, i64)) -> i64| mentions.iter().map(of).collect::<Vec<i64>>();
    let (users, rooms, seqs, shown) = (column(|m| m.0), column(|m| m.1), column(|m| m.2), column(|m| m.3));
    session.execute(MENTIONS, &[&users, &rooms, &seqs, &shown]).await?;
    Ok(())
}

/// The end of a log, from the columns of `head_columns`.
pub(super) fn read_end(r: &Row) -> Work<End> {
    let room = RoomId(r.try_get(0)?);
    let hash = Digest::from_bytes(r.try_get(2)?)
        .ok_or_else(|| corrupt(format!("the hash of the end of room {room}'s log")))?;
    let last_message_at = r.try_get::<_, Option<i64>>(5)?.map(Time::from_millis);
    Ok(End {
        room,
        head: Head { seq: Seq(r.try_get(1)?), hash, messages: r.try_get(4)?, last_message_at },
        at: Time::from_millis(r.try_get(3)?),
    })
}

/// The entry that a client id was written as.
pub(super) async fn find_sent(
    session: &Session,
    room: RoomId,
    author: PrincipalId,
    client_id: ClientId,
) -> Work<Option<Entry>> {
    const SQL: &str = "SELECT seq FROM sent WHERE room = $1 AND author = $2 AND client_id = $3";
    let Some(row) = session.one(SQL, &[&room.0, &author.0, &client_id.0]).await? else { return Ok(None) };
    let key = (room, Seq(row.try_get(0)?));
    Ok(load_entries(session, [key].into()).await?.remove(&key))
}

/// Ends of logs, column by column.
pub(super) struct Heads {
    rooms: Vec<i64>,
    seqs: Vec<i64>,
    hashes: Vec<Vec<u8>>,
    ats: Vec<i64>,
    messages: Vec<i64>,
    last_messages: Vec<Option<i64>>,
}

impl Heads {
    pub(super) fn of(ends: &[&End]) -> Heads {
        Heads {
            rooms: ends.iter().map(|e| e.room.0).collect(),
            seqs: ends.iter().map(|e| e.head.seq.0).collect(),
            hashes: ends.iter().map(|e| e.head.hash.0.to_vec()).collect(),
            ats: ends.iter().map(|e| e.at.millis()).collect(),
            messages: ends.iter().map(|e| e.head.messages).collect(),
            last_messages: ends.iter().map(|e| e.head.last_message_at.map(Time::millis)).collect(),
        }
    }

    fn is_empty(&self) -> bool {
        self.rooms.is_empty()
    }

    fn len(&self) -> u64 {
        self.rooms.len() as u64
    }

    async fn write(&self, session: &Session, sql: &'static str) -> Work<u64> {
        session
            .execute(sql, &[&self.rooms, &self.seqs, &self.hashes, &self.ats, &self.messages, &self.last_messages])
            .await
    }

    /// Puts them, whether they are there or not.
    pub(super) async fn put(&self, session: &Session) -> Work<()> {
        session.execute("DELETE FROM room_head WHERE room = ANY($1)", &[&self.rooms]).await?;
        self.write(session, NEW_HEADS).await?;
        Ok(())
    }
}

/// New entries, column by column.
struct Rows<'a> {
    entries: Vec<&'a Entry>,
    payloads: Vec<&'a str>,
    remember: Vec<Remember>,
    ordinals: Vec<i64>,
}

impl<'a> Rows<'a> {
    fn of(entries: &'a [(Chained, Remember, i64)]) -> Rows<'a> {
        Rows {
            entries: entries.iter().map(|(c, ..)| &c.entry).collect(),
            payloads: entries.iter().map(|(c, ..)| c.payload.as_str()).collect(),
            remember: entries.iter().map(|(_, remember, _)| *remember).collect(),
            ordinals: entries.iter().map(|(.., messages)| *messages).collect(),
        }
    }

    fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn numbers(&self, of: fn(&Entry) -> i64) -> Vec<i64> {
        self.entries.iter().map(|e| of(e)).collect()
    }

    fn client_ids(&self) -> Vec<Uuid> {
        self.entries.iter().map(|e| e.client_id.0).collect()
    }

    /// When they are forgotten is counted from.
    fn remembered(&self) -> Vec<Option<i64>> {
        let at = |(entry, remember): (&&Entry, &Remember)| match remember {
            Remember::UntilForgotten => Some(entry.at.millis()),
            Remember::ForEver => None,
        };
        self.entries.iter().zip(&self.remember).map(at).collect()
    }

    fn hashes(&self) -> Vec<&[u8]> {
        self.entries.iter().map(|e| &e.hash.0[..]).collect()
    }

    fn kinds(&self) -> Vec<i16> {
        self.entries.iter().map(|e| stored_kind(e.kind.code())).collect()
    }

    fn said(&self) -> Vec<Option<i64>> {
        self.entries.iter().map(|e| said(e)).collect()
    }

    async fn insert(&self, session: &Session) -> Work<()> {
        let (rooms, seqs) = (self.numbers(|e| e.room.0), self.numbers(|e| e.seq.0));
        let (ats, authors) = (self.numbers(|e| e.at.millis()), self.numbers(|e| e.author.0));
        let (ids, said, kinds, hashes) = (self.client_ids(), self.said(), self.kinds(), self.hashes());
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 10] =
            [&rooms, &seqs, &ats, &authors, &self.ordinals, &ids, &said, &kinds, &hashes, &self.payloads];
        session.execute(ENTRIES, &values).await?;
        Ok(())
    }

    /// Remembers their client ids.
    async fn remember(&self, session: &Session) -> Work<()> {
        let (rooms, authors, seqs) =
            (self.numbers(|e| e.room.0), self.numbers(|e| e.author.0), self.numbers(|e| e.seq.0));
        session.execute(SENT, &[&rooms, &authors, &self.client_ids(), &seqs, &self.remembered()]).await?;
        Ok(())
    }

    /// Inserts them, remembers their client ids and moves the heads; answers how many were moved.
    async fn write(&self, session: &Session, heads: &Heads) -> Work<u64> {
        let (rooms, seqs) = (self.numbers(|e| e.room.0), self.numbers(|e| e.seq.0));
        let (ats, authors) = (self.numbers(|e| e.at.millis()), self.numbers(|e| e.author.0));
        let (ids, said, kinds, hashes) = (self.client_ids(), self.said(), self.kinds(), self.hashes());
        let remembered = self.remembered();
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 17] = [
            &rooms,
            &seqs,
            &ats,
            &authors,
            &self.ordinals,
            &ids,
            &said,
            &kinds,
            &hashes,
            &self.payloads,
            &remembered,
            &heads.rooms,
            &heads.seqs,
            &heads.hashes,
            &heads.ats,
            &heads.messages,
            &heads.last_messages,
        ];
        session.execute(WRITE, &values).await
    }
}

/// When an imported message was said.
fn said(entry: &Entry) -> Option<i64> {
    match &entry.body {
        Some(EntryBody::Message(message)) => message.said.map(Time::millis),
        _ => None,
    }
}

/// The rooms whose logs a draft needs.
fn rooms_of(draft: &Draft) -> impl Iterator<Item = RoomId> + use<> {
    let deleted = match &draft.body {
        EntryBody::RoomDeleted { id, .. } => Some(*id),
        _ => None,
    };
    [Some(draft.room), deleted].into_iter().flatten()
}

/// Gives a message the files that an entry names for it. An edit names again what the message has already.
async fn take_files(session: &Session, entry: &Entry) -> Work<()> {
    let Some((message, files)) = entry.files() else { return Ok(()) };
    for file in files {
        let taken = session.execute(TAKE_FILES, &[&file.id.0, &entry.room.0, &message.0]).await?;
        if taken != 1 && !(message < entry.seq && has_file(session, entry.room, message, file).await?) {
            return Err(missing(format!("the file “{}”", file.name)).into());
        }
    }
    Ok(())
}

/// Whether a file is a message's, or was when that was posted: its content may be lost.
async fn has_file(session: &Session, room: RoomId, message: Seq, file: &FileRef) -> Work<bool> {
    const SQL: &str = "SELECT 1 FROM file WHERE id = $1 AND room = $2 AND seq = $3";
    if session.one(SQL, &[&file.id.0, &room.0, &message.0]).await?.is_some() {
        return Ok(true);
    }
    let entries = load_entries(session, [(room, message)].into()).await?;
    Ok(entries.values().any(|posted| posted.names_file(file.id)))
}

/// A head that is there after all: another server wrote the first entry of the log at the same moment. Tried again, it is found.
fn begun_elsewhere(e: Fail) -> Fail {
    if e.is_taken() { away("another server began the same log at the same time").into() } else { e }
}

/// Has the commit wait for the mirror, though nothing is changed.
pub(super) async fn barrier(session: &Session) -> Work<()> {
    session.one(BARRIER, &[]).await?;
    Ok(())
}

fn required(row: Option<Row>, what: &str) -> Work<Row> {
    row.ok_or_else(|| corrupt(format!("{what} is not there")).into())
}
