//! What later entries do to messages: edits, retractions, removals, purges, and the end of a whole room.
//!
//! Everything here is called both when an entry is written and when the projections are made anew; the second time the erased content is
//! gone already, and what is left to do is less. Words of the search index that become too many do no harm, since hits are looked at
//! again; only what is erased is taken out.

use super::error::Work;
use super::index;
use super::session::Session;
use holdfast_domain::entry::{Edit, Removal};
use holdfast_domain::{PrincipalId, RoomId, Seq};
use std::collections::BTreeSet;

/// Ways out of sight, as they are stored. A greater one beats a lesser one.
pub(super) const RETRACTED: i16 = 1;
pub(super) const REMOVED: i16 = 2;
pub(super) const PURGED: i16 = 3;

/// Entry `by` gives a message a new text.
pub(super) async fn edit(s: &Session, room: RoomId, by: Seq, edit: &Edit) -> Work<()> {
    const NOTE: &str = "INSERT INTO edit (room, of, seq)
        SELECT room, seq, $3 FROM entry WHERE room = $1 AND seq = $2 AND seq < $3 AND kind = 1 ON CONFLICT DO NOTHING";
    const OVERLAY: &str = "INSERT INTO amendment (room, seq, edit)
        SELECT room, seq, $3 FROM entry WHERE room = $1 AND seq = $2 AND seq < $3 AND kind = 1
        ON CONFLICT (room, seq) DO UPDATE SET edit = excluded.edit";
    const MENTION: &str = "INSERT INTO mention (\"user\", room, seq, shown_at)
        SELECT u, e.room, e.seq, coalesce(e.said, e.at)
        FROM entry e LEFT JOIN amendment a ON a.room = e.room AND a.seq = e.seq CROSS JOIN unnest($4::bigint[]) u
        WHERE e.room = $1 AND e.seq = $2 AND e.seq < $3 AND e.kind = 1 AND e.payload IS NOT NULL AND a.gone IS NULL
        ON CONFLICT DO NOTHING";
    s.execute(NOTE, &[&room.0, &edit.of.0, &by.0]).await?;
    s.execute(OVERLAY, &[&room.0, &edit.of.0, &by.0]).await?;
    unmention(s, room, &[edit.of.0], by).await?;
    if !edit.mentions.is_empty() {
        s.execute(MENTION, &[&room.0, &edit.of.0, &by.0, &numbers(&edit.mentions)]).await?;
    }
    Ok(())
}

/// Entry `by` takes a message back.
pub(super) async fn retract(s: &Session, room: RoomId, by: Seq, of: Seq) -> Work<()> {
    put_out_of_sight(s, room, by, &[of.0], RETRACTED).await
}

/// Entry `by` removes messages.
pub(super) async fn remove(s: &Session, room: RoomId, by: Seq, removal: &Removal) -> Work<()> {
    const ERASE: &str = "UPDATE entry SET payload = NULL, payload_digest = sha256(convert_to(payload, 'UTF8'))
        WHERE room = $1 AND seq = ANY($2) AND seq < $3 AND kind IN (1, 2, 4, 6) AND payload IS NOT NULL";
    const UNNOTE: &str = "DELETE FROM edit WHERE room = $1 AND seq = ANY($2) AND seq < $3";
    const UNCOVER: &str = "UPDATE amendment SET edit = NULL WHERE room = $1 AND edit = ANY($2) AND edit < $3";
    const FILES: &str = "DELETE FROM file WHERE room = $1 AND seq = ANY($2) AND seq < $3";
    // A stretch whose words are to go is read anew; until then its messages are looked through one by one.
    const WORDS: &str = "WITH block AS (
            SELECT DISTINCT b.first FROM unnest($2::bigint[]) u (seq), LATERAL (
                SELECT first, last FROM search_block WHERE room = $1 AND first <= u.seq ORDER BY first DESC LIMIT 1) b
            WHERE u.seq <= b.last),
        gone AS (DELETE FROM search_block WHERE room = $1 AND first IN (SELECT first FROM block) RETURNING first, last)
        INSERT INTO search_again (room, first, last) SELECT $1, first, last FROM gone ON CONFLICT DO NOTHING";
    let of: Vec<i64> = removal.of.iter().map(|seq| seq.0).collect();
    put_out_of_sight(s, room, by, &of, REMOVED).await?;
    if removal.erased {
        erasing(s).await?;
        for sql in [ERASE, UNNOTE, UNCOVER, FILES] {
            s.execute(sql, &[&room.0, &of, &by.0]).await?;
        }
        s.execute(WORDS, &[&room.0, &of]).await?;
    }
    Ok(())
}

/// What an erasing removal erases: its messages, and their edits so far.
pub(super) async fn with_edits(s: &Session, room: RoomId, of: &[Seq]) -> Work<Vec<Seq>> {
    const SQL: &str = "SELECT seq FROM edit WHERE room = $1 AND of = ANY($2)";
    let seqs: Vec<i64> = of.iter().map(|seq| seq.0).collect();
    let mut all: BTreeSet<Seq> = of.iter().copied().collect();
    for r in s.query(SQL, &[&room.0, &seqs]).await? {
        all.insert(Seq(r.try_get(0)?));
    }
    Ok(all.into_iter().collect())
}

/// Entry `by` clears everything up to `through`.
pub(super) async fn purge(s: &Session, room: RoomId, by: Seq, through: Seq) -> Work<()> {
    const OVERLAY: &str = "INSERT INTO amendment (room, seq, gone, how)
        SELECT room, seq, $3, 3 FROM entry WHERE room = $1 AND seq <= $2 AND kind = 1
        ON CONFLICT (room, seq) DO UPDATE SET gone = excluded.gone, how = excluded.how";
    const WORDS: &str = "WITH gone AS (DELETE FROM search_block WHERE room = $1 AND first <= $2 RETURNING last)
        INSERT INTO search_again (room, first, last) SELECT $1, $2 + 1, last FROM gone WHERE last > $2 ON CONFLICT DO NOTHING";
    let through = Seq(through.0.min(by.0 - 1));
    if through < Seq(1) {
        return Ok(());
    }
    erasing(s).await?;
    s.execute(OVERLAY, &[&room.0, &through.0, &by.0]).await?;
    for sql in [
        "DELETE FROM mention WHERE room = $1 AND seq <= $2",
        "UPDATE entry SET payload = NULL, payload_digest = sha256(convert_to(payload, 'UTF8'))
         WHERE room = $1 AND seq <= $2 AND kind IN (1, 2, 4, 6) AND payload IS NOT NULL",
        "DELETE FROM edit WHERE room = $1 AND seq <= $2",
        "UPDATE amendment SET edit = NULL WHERE room = $1 AND edit <= $2",
        "DELETE FROM file WHERE room = $1 AND seq <= $2",
        "DELETE FROM search_again WHERE room = $1 AND last <= $2",
        WORDS,
    ] {
        s.execute(sql, &[&room.0, &through.0]).await?;
    }
    Ok(())
}

/// Deletes a room's log and all that hangs on it.
pub(super) async fn delete_room(s: &Session, room: RoomId) -> Work<()> {
    erasing(s).await?;
    for sql in [
        "DELETE FROM entry WHERE room = $1",
        "DELETE FROM amendment WHERE room = $1",
        "DELETE FROM edit WHERE room = $1",
        "DELETE FROM mention WHERE room = $1",
        "DELETE FROM search_block WHERE room = $1",
        "DELETE FROM search_through WHERE room = $1",
        "DELETE FROM search_again WHERE room = $1",
        "DELETE FROM file WHERE room = $1",
        "DELETE FROM sent WHERE room = $1",
        "DELETE FROM room_head WHERE room = $1",
        "DELETE FROM room_epoch WHERE room = $1",
        "DELETE FROM followed WHERE room = $1",
        "DELETE FROM reading WHERE room = $1",
        "DELETE FROM invitation WHERE room = $1",
        "DELETE FROM webhook WHERE room = $1",
    ] {
        s.execute(sql, &[&room.0]).await?;
    }
    Ok(())
}

/// This transaction erases something: it may take as long as it takes, and whoever puts words into the search index waits for its end, so that no
/// word is put in after it was erased.
async fn erasing(s: &Session) -> Work<()> {
    s.batch("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '60s'").await?;
    s.one(index::ERASING, &[]).await?;
    s.batch("SET LOCAL lock_timeout TO DEFAULT").await
}

async fn put_out_of_sight(s: &Session, room: RoomId, by: Seq, of: &[i64], how: i16) -> Work<()> {
    const OVERLAY: &str = "INSERT INTO amendment (room, seq, gone, how)
        SELECT room, seq, $3, $4 FROM entry WHERE room = $1 AND seq = ANY($2) AND seq < $3 AND kind = 1
        ON CONFLICT (room, seq) DO UPDATE SET gone = excluded.gone, how = excluded.how
        WHERE amendment.how IS NULL OR amendment.how <= excluded.how";
    s.execute(OVERLAY, &[&room.0, &of, &by.0, &how]).await?;
    unmention(s, room, of, by).await
}

/// Messages before `by` name nobody any more.
async fn unmention(s: &Session, room: RoomId, of: &[i64], by: Seq) -> Work<()> {
    const SQL: &str = "DELETE FROM mention WHERE room = $1 AND seq = ANY($2) AND seq < $3";
    s.execute(SQL, &[&room.0, &of, &by.0]).await?;
    Ok(())
}

pub(super) fn numbers(principals: &[PrincipalId]) -> Vec<i64> {
    principals.iter().map(|p| p.0).collect()
}
