//! Uploaded files, in chunks.

use super::SqliteStore;
use super::error::{Work, corrupt, is_taken, missing, taken};
use crate::Result;
use crate::files::{Files, NewFile, StoredFile};
use async_trait::async_trait;
use bytes::Bytes;
use holdfast_domain::entry::FileRef;
use holdfast_domain::{FileId, PrincipalId, RoomId, Seq, Time};
use rusqlite::{Connection, OptionalExtension, params};

/// Files that one transaction sweeps: they can be large, and posts come in between.
const SWEEP_AT_ONCE: i64 = 10;

pub(super) const UNSENT: &str = "SELECT coalesce(sum(bytes), 0) FROM file WHERE by = ?1 AND seq IS NULL";

macro_rules! file_columns {
    () => {
        "SELECT f.room, f.by, f.at, f.seq, f.ref FROM file f "
    };
}

#[async_trait]
impl Files for SqliteStore {
    async fn begin_file(&self, new: NewFile, most: u64) -> Result<bool> {
        const SQL: &str = "INSERT INTO file (id, room, by, at, bytes) VALUES (?1, ?2, ?3, ?4, ?5)";
        let NewFile { id, room, by, at, bytes } = new;
        self.threads
            .write("beginning a file", move |tx| {
                if unsent(tx, by)?.saturating_add(bytes) > most {
                    return Ok(false);
                }
                let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
                match tx.prepare_cached(SQL)?.execute(params![id.0.as_bytes(), room.0, by.0, at.millis(), bytes]) {
                    Ok(_) => Ok(true),
                    Err(e) if is_taken(&e) => Err(taken(format!("the file number {id}")).into()),
                    Err(e) => Err(e.into()),
                }
            })
            .await
    }

    async fn unsent_bytes(&self, by: PrincipalId) -> Result<u64> {
        self.threads.read("adding up unsent files", move |tx, _| unsent(tx, by)).await
    }

    async fn put_chunk(&self, id: FileId, index: u32, bytes: Bytes) -> Result<()> {
        const SQL: &str = "INSERT OR REPLACE INTO chunk (file, i, bytes) VALUES (?1, ?2, ?3)";
        self.threads
            .write("keeping a part of a file", move |tx| {
                let no = begun(tx, id)?;
                tx.prepare_cached(SQL)?.execute(params![no, index, &bytes[..]])?;
                Ok(())
            })
            .await
    }

    async fn finish_file(&self, file: FileRef, thumbnail: Option<Bytes>) -> Result<()> {
        const PARTS: &str =
            "SELECT count(*), coalesce(max(i) + 1, 0), coalesce(sum(length(bytes)), 0) FROM chunk WHERE file = ?1";
        const FINISH: &str = "UPDATE file SET ref = ?2, bytes = ?3 WHERE no = ?1";
        const THUMBNAIL: &str = "INSERT OR REPLACE INTO thumbnail (file, bytes) VALUES (?1, ?2)";
        self.threads
            .write("completing a file", move |tx| {
                let no = begun(tx, file.id)?;
                let (parts, numbered, bytes): (i64, i64, i64) =
                    tx.prepare_cached(PARTS)?.query_row([no], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?;
                if parts != numbered || bytes.unsigned_abs() != file.bytes {
                    return Err(missing(format!("a part of the file “{}”", file.name)).into());
                }
                let json = serde_json::to_string(&file).map_err(|e| corrupt(format!("a file: {e}")))?;
                tx.prepare_cached(FINISH)?.execute(params![no, json, bytes])?;
                if let Some(bytes) = thumbnail {
                    tx.prepare_cached(THUMBNAIL)?.execute(params![no, &bytes[..]])?;
                }
                Ok(())
            })
            .await
    }

    async fn abandon_file(&self, id: FileId) -> Result<()> {
        const SQL: &str = "DELETE FROM file WHERE id = ?1 AND ref IS NULL";
        self.threads
            .write("forgetting a file", move |tx| {
                tx.prepare_cached(SQL)?.execute([id.0.as_bytes()])?;
                Ok(())
            })
            .await
    }

    async fn file(&self, id: FileId) -> Result<Option<StoredFile>> {
        const SQL: &str = concat!(file_columns!(), "WHERE f.id = ?1 AND f.ref IS NOT NULL");
        self.threads
            .read("looking up a file", move |tx, _| {
                let mut statement = tx.prepare_cached(SQL)?;
                let mut rows = statement.query([id.0.as_bytes()])?;
                rows.next()?.map(read_file).transpose()
            })
            .await
    }

    async fn chunk(&self, id: FileId, index: u32) -> Result<Option<Bytes>> {
        const SQL: &str = "SELECT c.bytes FROM file f JOIN chunk c ON c.file = f.no
                           WHERE f.id = ?1 AND f.ref IS NOT NULL AND c.i = ?2";
        self.threads.read("reading a part of a file", move |tx, _| blob(tx, SQL, params![id.0.as_bytes(), index])).await
    }

    async fn thumbnail(&self, id: FileId) -> Result<Option<Bytes>> {
        const SQL: &str =
            "SELECT t.bytes FROM file f JOIN thumbnail t ON t.file = f.no WHERE f.id = ?1 AND f.ref IS NOT NULL";
        self.threads
            .read("reading the small version of a file", move |tx, _| blob(tx, SQL, params![id.0.as_bytes()]))
            .await
    }

    async fn files_in(&self, room: RoomId, before: Option<Seq>, limit: usize) -> Result<Vec<StoredFile>> {
        if room == RoomId::POOL {
            return Ok(Vec::new());
        }
        const SQL: &str = concat!(
            file_columns!(),
            "LEFT JOIN amendment a ON a.id = (f.room << 36 | f.seq)
             WHERE f.room = ?1 AND f.seq < ?2 AND a.gone IS NULL ORDER BY f.seq DESC, f.no DESC LIMIT ?3"
        );
        self.threads
            .read("listing the files of a room", move |tx, _| {
                let limit = i64::try_from(limit).unwrap_or(i64::MAX);
                let mut statement = tx.prepare_cached(SQL)?;
                read_files(statement.query([room.0, before.map_or(i64::MAX, |s| s.0), limit])?)
            })
            .await
    }

    async fn sweep_files(&self, before: Time, of_no_room: Time) -> Result<u64> {
        const SQL: &str = "DELETE FROM file WHERE no IN (SELECT no FROM file
            WHERE seq IS NULL AND at < ?1 AND (room <> 0 OR ref IS NULL OR at < ?2) LIMIT ?3)";
        let mut swept = 0;
        loop {
            let n = self
                .threads
                .write("sweeping files", move |tx| {
                    Ok(tx.prepare_cached(SQL)?.execute([before.millis(), of_no_room.millis(), SWEEP_AT_ONCE])? as u64)
                })
                .await?;
            swept += n;
            if n < SWEEP_AT_ONCE.unsigned_abs() {
                return Ok(swept);
            }
        }
    }

    async fn address_key(&self) -> Result<[u8; 32]> {
        const SQL: &str = "SELECT value FROM secret WHERE what = 'files'";
        self.threads
            .read("reading the key of files' addresses", move |tx, _| {
                let key = blob(tx, SQL, [])?.and_then(|value| value[..].try_into().ok());
                key.ok_or_else(|| corrupt("the key of files' addresses is not there").into())
            })
            .await
    }

    async fn put_address_key(&self, key: [u8; 32]) -> Result<()> {
        const SQL: &str = "UPDATE secret SET value = ?1 WHERE what = 'files'";
        self.threads.write("keeping the key of files' addresses", move |tx| Ok(tx.execute(SQL, [key])?)).await?;
        Ok(())
    }
}

/// The files of messages between two people from number `first` to `last`, and whose each is.
pub(super) fn of_directs(conn: &Connection, first: i64, last: i64) -> Work<Vec<StoredFile>> {
    const SQL: &str = concat!(
        file_columns!(),
        "WHERE f.room = 0 AND f.seq BETWEEN ?1 AND ?2 AND f.ref IS NOT NULL ORDER BY f.seq, f.no"
    );
    let mut statement = conn.prepare_cached(SQL)?;
    read_files(statement.query([first, last])?)
}

/// Gives a message between two people the files of its author that it says the addresses of, if no message has them yet.
pub(super) fn take_said(conn: &Connection, by: PrincipalId, id: i64, files: &[FileId]) -> Work<()> {
    const SQL: &str =
        "UPDATE file SET seq = ?3 WHERE id = ?1 AND by = ?2 AND room = 0 AND seq IS NULL AND ref IS NOT NULL";
    for file in files {
        conn.prepare_cached(SQL)?.execute(params![file.0.as_bytes(), by.0, id])?;
    }
    Ok(())
}

fn unsent(conn: &Connection, by: PrincipalId) -> Work<u64> {
    let bytes: i64 = conn.prepare_cached(UNSENT)?.query_row([by.0], |r| r.get(0))?;
    Ok(bytes.unsigned_abs())
}

/// The row of a file that was begun and is not complete.
fn begun(conn: &Connection, id: FileId) -> Work<i64> {
    const SQL: &str = "SELECT no FROM file WHERE id = ?1 AND ref IS NULL";
    let no = conn.prepare_cached(SQL)?.query_row([id.0.as_bytes()], |r| r.get(0)).optional()?;
    no.ok_or_else(|| missing(format!("the begun file {id}")).into())
}

fn blob(conn: &Connection, sql: &str, params: impl rusqlite::Params) -> Work<Option<Bytes>> {
    let found: Option<Vec<u8>> = conn.prepare_cached(sql)?.query_row(params, |r| r.get(0)).optional()?;
    Ok(found.map(Bytes::from))
}

fn read_files(mut rows: rusqlite::Rows<'_>) -> Work<Vec<StoredFile>> {
    let mut files = Vec::new();
    while let Some(r) = rows.next()? {
        files.push(read_file(r)?);
    }
    Ok(files)
}

fn read_file(r: &rusqlite::Row<'_>) -> Work<StoredFile> {
    let json: String = r.get(4)?;
    Ok(StoredFile {
        file: serde_json::from_str(&json).map_err(|e| corrupt(format!("a file: {e}")))?,
        room: RoomId(r.get(0)?),
        by: PrincipalId(r.get(1)?),
        at: Time::from_millis(r.get(2)?),
        message: r.get::<_, Option<i64>>(3)?.map(Seq),
    })
}
