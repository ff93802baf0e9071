//! Files: coming in chunk by chunk, and read out again by those who may read their room.

use crate::caller::Caller;
use crate::error::{ChatError, Result};
use crate::picture;
use crate::service::Chat;
use crate::slots::wrong_length;
use bytes::{Bytes, BytesMut};
use holdfast_domain::chain::Digest;
use holdfast_domain::entry::FileRef;
use holdfast_domain::limits::FILE_NAME_CHARS;
use holdfast_domain::rights::Action;
use holdfast_domain::{FileId, PrincipalId, RoomId, Seq, text};
use holdfast_store::files::{CHUNK, NewFile, StoredFile};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// A file on its way in. Dropped before it is finished it is abandoned; the sweeper takes what was kept of it.
pub struct Upload {
    chat: Chat,
    id: FileId,
    name: String,
    bytes: u64,
    /// The only length that it may have, if it was asked for by that.
    length: Option<u64>,
    next_chunk: u32,
    waiting: BytesMut,
    hasher: Sha256,
    /// The beginning, from which the type is found; the whole of it while it is small enough to be a picture that is shown small.
    beginning: BytesMut,
}

impl Chat {
    /// Begins a file of a room.
    ///
    /// # Errors
    /// When the caller may not upload there, the name is not acceptable, or the announced length is too large.
    pub async fn begin_upload(&self, caller: &Caller, room: RoomId, name: &str, length: Option<u64>) -> Result<Upload> {
        self.allow(caller, room, Action::Upload)?;
        let name = file_name(name)?;
        let most = self.limits().file_bytes;
        if length.is_some_and(|n| n > most) {
            return Err(self.too_large());
        }
        self.begin_file(FileId(Uuid::new_v4()), room, caller.user, name, length.unwrap_or(most)).await
    }

    /// Begins a file whose name is clean and whose uploader may. `bytes`: as many as it may take.
    pub(crate) async fn begin_file(
        &self,
        id: FileId,
        room: RoomId,
        by: PrincipalId,
        name: String,
        bytes: u64,
    ) -> Result<Upload> {
        let new = NewFile { id, room, by, at: self.now(), bytes };
        let most = self.limits().unsent_bytes;
        if !self.store().begin_file(new, most).await? {
            return Err(ChatError::TooLarge { what: "all that you uploaded and did not send yet", most });
        }
        Ok(Upload {
            chat: self.clone(),
            id,
            name,
            bytes: 0,
            length: None,
            next_chunk: 0,
            waiting: BytesMut::new(),
            hasher: Sha256::new(),
            beginning: BytesMut::new(),
        })
    }

    /// A file that the caller may read: of a message in a room whose history he may read, or his own that is not sent yet.
    ///
    /// # Errors
    /// When there is none.
    pub async fn file(&self, caller: &Caller, id: FileId) -> Result<StoredFile> {
        let unknown = || ChatError::Unknown("this file");
        let file = self.store().file(id).await?.ok_or_else(unknown)?;
        if caller.is_operator() {
            return Ok(file);
        }
        let Some(seq) = file.message.filter(|_| file.room != RoomId::POOL) else {
            return if file.by == caller.user { Ok(file) } else { Err(unknown()) };
        };
        self.allow(caller, file.room, Action::ReadHistory).map_err(|_| unknown())?;
        if self.is_in_sight(file.room, seq).await? { Ok(file) } else { Err(unknown()) }
    }

    /// Whether a message is in sight: one that is not takes its files with it.
    pub(crate) async fn is_in_sight(&self, room: RoomId, seq: Seq) -> Result<bool> {
        Ok(self.store().rows(room, vec![seq]).await?.pop().is_some_and(|row| row.removed.is_none()))
    }

    /// A chunk of a file that [`Chat::file`] has granted.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn file_chunk(&self, id: FileId, index: u32) -> Result<Option<Bytes>> {
        Ok(self.store().chunk(id, index).await?)
    }

    /// The small version of a picture.
    ///
    /// # Errors
    /// When there is none that the caller may see.
    pub async fn thumbnail(&self, caller: &Caller, id: FileId) -> Result<Bytes> {
        self.file(caller, id).await?;
        self.store().thumbnail(id).await?.ok_or(ChatError::Unknown("a small version of this file"))
    }

    /// The files of a room's messages, newest first.
    ///
    /// # Errors
    /// When the caller may not read the room's history.
    pub async fn files_in(
        &self,
        caller: &Caller,
        room: RoomId,
        before: Option<Seq>,
        limit: usize,
    ) -> Result<Vec<StoredFile>> {
        self.allow(caller, room, Action::ReadHistory)?;
        Ok(self.store().files_in(room, before, limit.clamp(1, self.limits().history_max)).await?)
    }

    pub(crate) fn too_large(&self) -> ChatError {
        ChatError::TooLarge { what: "the file", most: self.limits().file_bytes }
    }
}

impl Upload {
    /// Has it be of exactly so many bytes.
    pub(crate) fn of_length(self, bytes: u64) -> Self {
        Self { length: Some(bytes), ..self }
    }

    /// Takes the next bytes, and keeps every chunk that is full.
    ///
    /// # Errors
    /// When the file grows too large, or the store cannot be written.
    pub async fn write(&mut self, bytes: Bytes) -> Result<()> {
        self.bytes += bytes.len() as u64;
        if self.bytes > self.chat.limits().file_bytes {
            return Err(self.chat.too_large());
        }
        if let Some(length) = self.length.filter(|length| self.bytes > *length) {
            return Err(wrong_length(length));
        }
        self.hasher.update(&bytes);
        if self.beginning.len() < picture::MOST_BYTES {
            let room = picture::MOST_BYTES - self.beginning.len();
            self.beginning.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
        self.waiting.extend_from_slice(&bytes);
        while self.waiting.len() >= CHUNK {
            let chunk = self.waiting.split_to(CHUNK).freeze();
            self.keep(chunk).await?;
        }
        Ok(())
    }

    /// Completes the file: finds its type from its content, makes a small version of a picture.
    ///
    /// # Errors
    /// When it is empty, or the store cannot be written.
    pub async fn finish(mut self) -> Result<FileRef> {
        if self.bytes == 0 {
            self.chat.store().abandon_file(self.id).await?;
            return Err(ChatError::invalid("body", "the file is empty"));
        }
        if let Some(length) = self.length.filter(|length| self.bytes != *length) {
            return Err(wrong_length(length));
        }
        if !self.waiting.is_empty() {
            let chunk = self.waiting.split().freeze();
            self.keep(chunk).await?;
        }
        let whole = (self.bytes == self.beginning.len() as u64).then(|| self.beginning.clone().freeze());
        let media_type = media_type(&self.beginning);
        let small = match whole {
            Some(bytes) if picture::is_shown(media_type) => picture::small(bytes, media_type).await,
            _ => None,
        };
        let file = FileRef {
            id: self.id,
            name: self.name,
            bytes: self.bytes,
            media_type: media_type.to_owned(),
            sha256: Digest(self.hasher.finalize().into()),
            width: small.as_ref().map(|s| s.width),
            height: small.as_ref().map(|s| s.height),
            thumbnail: small.is_some(),
        };
        self.chat.store().finish_file(file.clone(), small.map(|s| s.png)).await?;
        Ok(file)
    }

    async fn keep(&mut self, chunk: Bytes) -> Result<()> {
        self.chat.store().put_chunk(self.id, self.next_chunk, chunk).await?;
        self.next_chunk += 1;
        Ok(())
    }
}

/// The type by content alone: what a file is called says nothing about what it is.
fn media_type(beginning: &[u8]) -> &'static str {
    match infer::get(beginning) {
        // Types that a browser would run are served as plain bytes, whatever they are.
        Some(kind) if !matches!(kind.mime_type(), "text/html" | "text/xml" | "image/svg+xml") => kind.mime_type(),
        Some(_) => "application/octet-stream",
        None if !beginning.is_empty() && !beginning.contains(&0) && is_text(beginning) => "text/plain",
        None => "application/octet-stream",
    }
}

fn is_text(beginning: &[u8]) -> bool {
    match std::str::from_utf8(beginning) {
        Ok(_) => true,
        // The beginning may have been cut within a character.
        Err(error) => error.error_len().is_none(),
    }
}

/// The last part of a path, without what could make it another file on somebody's disk.
pub(crate) fn file_name(name: &str) -> Result<String> {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let clean: String = last.chars().filter(|c| !matches!(c, ':' | '*' | '?' | '"' | '<' | '>' | '|')).collect();
    let clean = clean.trim().trim_start_matches('.').trim();
    let name = text::line("name", clean, FILE_NAME_CHARS)?;
    if name.is_empty() {
        return Err(ChatError::invalid("name", "must be a file's name, such as plan.pdf"));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_what_could_lead_elsewhere() {
        let ok = |n| file_name(n).unwrap();
        assert_eq!(ok("../../etc/passwd"), "passwd");
        assert_eq!(ok("C:\\Users\\a\\plan.pdf"), "plan.pdf");
        assert_eq!(ok(".htaccess"), "htaccess");
        assert_eq!(ok("a\"b<c>.txt"), "abc.txt");
        for bad in ["", "..", "/", "a/", "x\u{202e}gpj.exe", "a\0b"] {
            assert!(file_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn types_come_from_content() {
        assert_eq!(media_type(b"\x89PNG\r\n\x1a\n0000"), "image/png");
        assert_eq!(media_type("grün".as_bytes()), "text/plain");
        assert_eq!(media_type(b"<html><script>"), "application/octet-stream");
        assert_eq!(media_type(b"\0\x01"), "application/octet-stream");
    }
}
