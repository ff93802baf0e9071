//! Entries brought in exactly as they were in another database.

use super::append::Heads;
use super::error::Work;
use super::log::end;
use super::row::stored_kind;
use super::session::Session;
use holdfast_domain::Time;
use holdfast_domain::chain::{Payload, Stored};
use uuid::Uuid;

/// Writes `entries` of one log after those that are there. Projections follow with a rebuild.
pub(super) async fn load(s: &Session, entries: &[Stored]) -> Work<()> {
    const ENTRIES: &str =
        "INSERT INTO entry (room, seq, at, author, ordinal, client_id, said, kind, hash, payload, payload_digest)
         SELECT $1, * FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::uuid[], $7::bigint[],
                                  $8::smallint[], $9::bytea[], $10::text[], $11::bytea[])";
    // What was imported from elsewhere is known again for ever; see Remember::ForEver.
    const SENT: &str = "INSERT INTO sent (room, author, client_id, seq, at)
         SELECT $1, author, client_id, seq, NULL FROM unnest($2::bigint[], $3::uuid[], $4::bigint[]) u (author, client_id, seq)
         ON CONFLICT DO NOTHING";
    let Some(first) = entries.first() else { return Ok(()) };
    let room = first.header.room;
    let mut end = end(s, room).await?;
    let mut ordinals = Vec::with_capacity(entries.len());
    let mut said: Vec<Option<i64>> = Vec::with_capacity(entries.len());
    for entry in entries {
        let followed = end.follow(entry)?;
        ordinals.push(end.head.messages);
        said.push(followed.said.map(Time::millis));
    }
    let seqs: Vec<i64> = entries.iter().map(|e| e.header.seq.0).collect();
    let ats: Vec<i64> = entries.iter().map(|e| e.header.at.millis()).collect();
    let authors: Vec<i64> = entries.iter().map(|e| e.header.author.0).collect();
    let ids: Vec<Uuid> = entries.iter().map(|e| e.header.client_id.0).collect();
    let kinds: Vec<i16> = entries.iter().map(|e| stored_kind(e.header.kind)).collect();
    let hashes: Vec<&[u8]> = entries.iter().map(|e| &e.hash.0[..]).collect();
    let payloads: Vec<Option<&str>> = entries.iter().map(|e| payload(e).ok()).collect();
    let digests: Vec<Option<&[u8]>> = entries.iter().map(|e| payload(e).err()).collect();
    s.execute(ENTRIES, &[&room.0, &seqs, &ats, &authors, &ordinals, &ids, &said, &kinds, &hashes, &payloads, &digests])
        .await?;
    let imported: Vec<usize> = (0..entries.len()).filter(|i| said[*i].is_some()).collect();
    if !imported.is_empty() {
        let authors: Vec<i64> = imported.iter().map(|i| authors[*i]).collect();
        let ids: Vec<Uuid> = imported.iter().map(|i| ids[*i]).collect();
        let seqs: Vec<i64> = imported.iter().map(|i| seqs[*i]).collect();
        s.execute(SENT, &[&room.0, &authors, &ids, &seqs]).await?;
    }
    Heads::of(&[&end]).put(s).await
}

/// The payload, or its digest where it was erased.
fn payload(entry: &Stored) -> Result<&str, &[u8]> {
    match &entry.payload {
        Payload::Kept(text) => Ok(text),
        Payload::Erased(digest) => Err(&digest.0),
    }
}
