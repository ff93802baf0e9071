//! Uploaded files, in chunks.

use super::PostgresStore;
use super::error::{Fail, Work, corrupt, missing, taken};
use super::session::Session;
use crate::files::{Files, NewFile, StoredFile};
use crate::numbering::NewRow;
use crate::{Result, StoreError};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt as _;
use holdfast_domain::entry::FileRef;
use holdfast_domain::{FileId, PrincipalId, RoomId, Seq, Time};
use tokio_postgres::Row;
use uuid::Uuid;

/// Files that one statement sweeps: they can be large, and posts come in between.
const SWEEP_AT_ONCE: i64 = 10;

macro_rules! file_columns {
    () => {
        "SELECT f.room, f.by, f.at, f.seq, f.ref FROM file f "
    };
}

#[async_trait]
impl Files for PostgresStore {
    async fn begin_file(&self, new: NewFile, most: u64) -> Result<bool> {
        const SQL: &str =
            "INSERT INTO file (id, room, by, at, bytes) SELECT $1::uuid, $2::bigint, $3::bigint, $4::bigint, $5::bigint
            WHERE (SELECT coalesce(sum(bytes), 0) FROM file WHERE by = $3 AND seq IS NULL) <= $6::bigint RETURNING no";
        let NewFile { id, room, by, at, bytes } = new;
        let Some(rest) = most.checked_sub(bytes) else { return Ok(false) };
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let values: super::session::Params<'_> = &[&id.0, &room.0, &by.0, &at.millis(), &number(bytes), &number(rest)];
        match self.inner.sessions.write_one("beginning a file", SQL, values).await? {
            Ok(row) => Ok(row.is_some()),
            Err(_) => Err(taken(format!("the file number {id}"))),
        }
    }

    async fn unsent_bytes(&self, by: PrincipalId) -> Result<u64> {
        const DOING: &str = "adding up unsent files";
        const SQL: &str = "SELECT coalesce(sum(bytes), 0)::bigint FROM file WHERE by = $1 AND seq IS NULL";
        let row = self.inner.sessions.one(DOING, SQL, &[&by.0]).await?;
        let bytes: Option<i64> = row.map(|r| r.try_get(0)).transpose().map_err(|e| Fail::Sql(e).while_doing(DOING))?;
        Ok(bytes.unwrap_or(0).unsigned_abs())
    }

    async fn put_chunk(&self, id: FileId, index: u32, bytes: Bytes) -> Result<()> {
        const SQL: &str = "INSERT INTO chunk (file, i, bytes) SELECT no, $2, $3 FROM file WHERE id = $1 AND ref IS NULL
                           ON CONFLICT (file, i) DO UPDATE SET bytes = excluded.bytes";
        let values: super::session::Params<'_> = &[&id.0, &i64::from(index), &&bytes[..]];
        match self.inner.sessions.execute("keeping a part of a file", SQL, values).await? {
            0 => Err(missing(format!("the begun file {id}"))),
            _ => Ok(()),
        }
    }

    async fn finish_file(&self, file: FileRef, thumbnail: Option<Bytes>) -> Result<()> {
        self.inner
            .sessions
            .write("completing a file", move |s| async move { finish(s, &file, thumbnail).await }.boxed())
            .await
    }

    async fn abandon_file(&self, id: FileId) -> Result<()> {
        const SQL: &str = "DELETE FROM file WHERE id = $1 AND ref IS NULL";
        self.inner.sessions.execute("forgetting a file", SQL, &[&id.0]).await?;
        Ok(())
    }

    async fn file(&self, id: FileId) -> Result<Option<StoredFile>> {
        const DOING: &str = "looking up a file";
        const SQL: &str = concat!(file_columns!(), "WHERE f.id = $1 AND f.ref IS NOT NULL");
        let row = self.inner.sessions.find_one(DOING, SQL, &[&id.0]).await?;
        row.as_ref().map(read_file).transpose().map_err(|e| e.while_doing(DOING))
    }

    async fn chunk(&self, id: FileId, index: u32) -> Result<Option<Bytes>> {
        const DOING: &str = "reading a part of a file";
        const SQL: &str = "SELECT c.bytes FROM file f JOIN chunk c ON c.file = f.no
                           WHERE f.id = $1 AND f.ref IS NOT NULL AND c.i = $2";
        blob(self.inner.sessions.find_one(DOING, SQL, &[&id.0, &i64::from(index)]).await?, DOING)
    }

    async fn thumbnail(&self, id: FileId) -> Result<Option<Bytes>> {
        const DOING: &str = "reading the small version of a file";
        const SQL: &str =
            "SELECT t.bytes FROM file f JOIN thumbnail t ON t.file = f.no WHERE f.id = $1 AND f.ref IS NOT NULL";
        blob(self.inner.sessions.find_one(DOING, SQL, &[&id.0]).await?, DOING)
    }

    async fn files_in(&self, room: RoomId, before: Option<Seq>, limit: usize) -> Result<Vec<StoredFile>> {
        if room == RoomId::POOL {
            return Ok(Vec::new());
        }
        const DOING: &str = "listing the files of a room";
        const SQL: &str = concat!(
            file_columns!(),
            "LEFT JOIN amendment a ON a.room = f.room AND a.seq = f.seq
             WHERE f.room = $1 AND f.seq < $2 AND a.gone IS NULL ORDER BY f.seq DESC, f.no DESC LIMIT $3"
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let before = before.map_or(i64::MAX, |seq| seq.0);
        let rows = self.inner.sessions.find(DOING, SQL, &[&room.0, &before, &limit]).await?;
        rows.iter().map(read_file).collect::<Work<_>>().map_err(|e| e.while_doing(DOING))
    }

    async fn sweep_files(&self, before: Time, of_no_room: Time) -> Result<u64> {
        const SQL: &str = "DELETE FROM file WHERE no = ANY(ARRAY(SELECT no FROM file
            WHERE seq IS NULL AND at < $1 AND (room <> 0 OR ref IS NULL OR at < $2) LIMIT $3))";
        let mut swept = 0;
        loop {
            let values: super::session::Params<'_> = &[&before.millis(), &of_no_room.millis(), &SWEEP_AT_ONCE];
            let n = self.inner.sessions.execute("sweeping files", SQL, values).await?;
            swept += n;
            if n < SWEEP_AT_ONCE.unsigned_abs() {
                return Ok(swept);
            }
        }
    }

    async fn address_key(&self) -> Result<[u8; 32]> {
        const DOING: &str = "reading the key of files' addresses";
        const SQL: &str = "SELECT value FROM secret WHERE what = 'files'";
        let key = blob(self.inner.sessions.find_one(DOING, SQL, &[]).await?, DOING)?;
        let key = key.and_then(|value| value[..].try_into().ok());
        key.ok_or_else(|| StoreError::Corrupt { what: "the key of files' addresses is not there".into() })
    }

    async fn put_address_key(&self, key: [u8; 32]) -> Result<()> {
        const SQL: &str = "UPDATE secret SET value = $1 WHERE what = 'files'";
        self.inner.sessions.execute("keeping the key of files' addresses", SQL, &[&&key[..]]).await?;
        Ok(())
    }
}

/// The files of messages between two people from number `first` to `last`, and whose each is.
pub(super) async fn of_directs(s: &Session, first: i64, last: i64) -> Work<Vec<StoredFile>> {
    const SQL: &str = concat!(
        file_columns!(),
        "WHERE f.room = 0 AND f.seq BETWEEN $1 AND $2 AND f.ref IS NOT NULL ORDER BY f.seq, f.no"
    );
    s.query(SQL, &[&first, &last]).await?.iter().map(read_file).collect()
}

/// Gives messages between two people the files of their authors that they say the addresses of, if no message has them yet.
pub(super) async fn take_said(s: &Session, rows: &[NewRow]) -> Work<()> {
    const SQL: &str = "UPDATE file SET seq = $3
        WHERE id = ANY($1) AND by = $2 AND room = 0 AND seq IS NULL AND ref IS NOT NULL";
    for NewRow { direct, files, .. } in rows.iter().filter(|row| !row.files.is_empty()) {
        let files: Vec<Uuid> = files.iter().map(|file| file.0).collect();
        s.execute(SQL, &[&files, &direct.from.0, &direct.id]).await?;
    }
    Ok(())
}

async fn finish(s: &Session, file: &FileRef, thumbnail: Option<Bytes>) -> Work<()> {
    const BEGUN: &str = "SELECT no FROM file WHERE id = $1 AND ref IS NULL FOR UPDATE";
    const PARTS: &str = "SELECT count(*), coalesce(max(i) + 1, 0), coalesce(sum(length(bytes)), 0)::bigint
                         FROM chunk WHERE file = $1";
    const FINISH: &str = "UPDATE file SET ref = $2, bytes = $3 WHERE no = $1";
    const THUMBNAIL: &str = "INSERT INTO thumbnail (file, bytes) VALUES ($1, $2)
                             ON CONFLICT (file) DO UPDATE SET bytes = excluded.bytes";
    let begun = s.one(BEGUN, &[&file.id.0]).await?;
    let no: i64 = begun.ok_or_else(|| missing(format!("the begun file {}", file.id)))?.try_get(0)?;
    let Some(row) = s.one(PARTS, &[&no]).await? else { return Err(corrupt("a count without a row").into()) };
    let (parts, numbered, bytes): (i64, i64, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    if parts != numbered || bytes.unsigned_abs() != file.bytes {
        return Err(missing(format!("a part of the file “{}”", file.name)).into());
    }
    let json = serde_json::to_string(file).map_err(|e| corrupt(format!("a file: {e}")))?;
    s.execute(FINISH, &[&no, &json, &bytes]).await?;
    if let Some(bytes) = thumbnail {
        s.execute(THUMBNAIL, &[&no, &&bytes[..]]).await?;
    }
    Ok(())
}

fn blob(row: Option<Row>, doing: &'static str) -> Result<Option<Bytes>> {
    let bytes: Option<Vec<u8>> = row.map(|r| r.try_get(0)).transpose().map_err(|e| Fail::Sql(e).while_doing(doing))?;
    Ok(bytes.map(Bytes::from))
}

fn read_file(r: &Row) -> Work<StoredFile> {
    let json: &str = r.try_get(4)?;
    Ok(StoredFile {
        file: serde_json::from_str(json).map_err(|e| corrupt(format!("a file: {e}")))?,
        room: RoomId(r.try_get(0)?),
        by: PrincipalId(r.try_get(1)?),
        at: Time::from_millis(r.try_get(2)?),
        message: r.try_get::<_, Option<i64>>(3)?.map(Seq),
    })
}
