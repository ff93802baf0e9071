//! Moving a pool from the embedded store to PostgreSQL: the logs entry by entry, each checked to follow from the one before it, and then what
//! does not follow from them. Broken off, it goes on where it stopped.

use crate::error::corrupt;
use crate::kept::{TABLES, There};
use crate::log::Head;
use crate::postgres::PostgresStore;
use crate::sqlite::SqliteStore;
use crate::{Maintenance as _, Result, RoomLog as _, StoreError};
use holdfast_domain::RoomId;

/// Entries of one transaction.
const AT_ONCE: usize = 5_000;

/// How far it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Progress {
    /// What is being copied, such as `entries`.
    pub what: &'static str,
    /// Of it, so much is there.
    pub done: u64,
    /// Of so much in all.
    pub all: u64,
}

/// What is there now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Copied {
    /// Logs.
    pub logs: u64,
    /// Their entries.
    pub entries: u64,
    /// Of them, those that an earlier try had copied.
    pub there_before: u64,
    /// Rows of what does not follow from the logs.
    pub rows: u64,
}

/// Copies everything from one store, on which nobody else works, to a database that is empty or that an earlier try has filled in part.
///
/// # Errors
/// [`StoreError::Taken`] if the database holds another pool. [`StoreError::Corrupt`] if an entry does not follow from the one before it: then
/// the source is damaged, and what was copied until then stays.
pub async fn copy(
    from: &SqliteStore,
    to: &PostgresStore,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Copied> {
    let source = from.facts().await?.location;
    to.begin_filling(&source).await?;
    let mut copied = Copied::default();
    logs(from, to, progress, &mut copied).await?;
    tables(from, to, progress, &mut copied).await?;
    progress(Progress { what: "state", done: 0, all: 1 });
    to.rebuild().await?;
    progress(Progress { what: "state", done: 1, all: 1 });
    compare(from, to).await?;
    to.end_filling().await?;
    Ok(copied)
}

async fn logs(
    from: &SqliteStore,
    to: &PostgresStore,
    progress: &(dyn Fn(Progress) + Send + Sync),
    copied: &mut Copied,
) -> Result<()> {
    let heads = from.heads().await?;
    let all = heads.iter().map(|(_, head)| head.seq.0.unsigned_abs()).sum();
    for (room, head) in heads {
        let mut there = to.head(room).await?.seq;
        copied.there_before += there.0.unsigned_abs();
        copied.entries += there.0.unsigned_abs();
        while there < head.seq {
            let portion = from.stored(room, there, AT_ONCE).await?;
            let Some(last) = portion.last().map(|stored| stored.header.seq) else {
                return Err(differs(room, "ends before its head says"));
            };
            copied.entries += portion.len() as u64;
            to.load(portion).await?;
            there = last;
            progress(Progress { what: "entries", done: copied.entries, all });
        }
        copied.logs += 1;
    }
    progress(Progress { what: "entries", done: copied.entries, all });
    Ok(())
}

async fn tables(
    from: &SqliteStore,
    to: &PostgresStore,
    progress: &(dyn Fn(Progress) + Send + Sync),
    copied: &mut Copied,
) -> Result<()> {
    for table in &TABLES {
        let all = from.count_kept(table).await?;
        let mut after = if table.there == There::GoesOn { to.last_kept(table).await? } else { None };
        let mut done = 0;
        loop {
            let rows = from.read_kept(table, after.take()).await?;
            let Some(last) = rows.last() else { break };
            after = Some(last[..table.key].to_vec());
            done += rows.len() as u64;
            to.write_kept(table, rows).await?;
            progress(Progress { what: table.name, done, all });
        }
        to.number_on(table).await?;
        copied.rows += all;
    }
    Ok(())
}

/// Everything must be there, and end alike.
async fn compare(from: &SqliteStore, to: &PostgresStore) -> Result<()> {
    let ours: Vec<(RoomId, Head)> = from.heads().await?;
    let theirs = to.heads().await?;
    if let Some(((room, _), _)) = ours.iter().zip(&theirs).find(|(a, b)| a != b) {
        return Err(differs(*room, "does not end as it did"));
    }
    if ours.len() != theirs.len() {
        return Err(corrupt("the copy has not as many logs as the source"));
    }
    for table in &TABLES {
        let (ours, theirs) = (from.count_kept(table).await?, to.count_kept(table).await?);
        // Client ids of imported messages come with the logs too, for ever.
        if ours != theirs && !(table.name == "sent" && theirs > ours) {
            return Err(corrupt(format!("{theirs} rows of “{}” were copied of {ours}", table.name)));
        }
    }
    Ok(())
}

fn differs(room: RoomId, what: &str) -> StoreError {
    corrupt(format!("the log of room {room} {what}"))
}
