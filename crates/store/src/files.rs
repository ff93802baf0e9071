//! Uploaded files, in chunks, so that they are backed up, shipped and failed over with everything else.
//!
//! A file is uploaded to a room, or to none ([`RoomId::POOL`]): then it goes with the first message that says where it is, in a room or between two.

use crate::Result;
use async_trait::async_trait;
use bytes::Bytes;
use holdfast_domain::entry::FileRef;
use holdfast_domain::{FileId, PrincipalId, RoomId, Seq, Time};

/// Bytes of a chunk; the last of a file may be shorter.
pub const CHUNK: usize = 256 * 1024;

/// A file that begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewFile {
    /// Its number.
    pub id: FileId,
    /// The room it is for; [`RoomId::POOL`]: for none.
    pub room: RoomId,
    /// Who uploads it.
    pub by: PrincipalId,
    /// The time now.
    pub at: Time,
    /// Bytes that it may take until it is complete.
    pub bytes: u64,
}

/// A file as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFile {
    /// What its message says of it.
    pub file: FileRef,
    /// The room it was uploaded to, or whose message it went with; [`RoomId::POOL`] while there is none.
    pub room: RoomId,
    /// Who uploaded it.
    pub by: PrincipalId,
    /// When.
    pub at: Time,
    /// The message that it went with: of its room, or, of a file of no room, the number of one between two people. `None` until there is one, and such
    /// files are swept.
    pub message: Option<Seq>,
}

/// Uploaded files.
#[async_trait]
pub trait Files: Send + Sync {
    /// Begins a file ([`crate::StoreError::Taken`] if the number was used): its chunks may come. Until [`Files::finish_file`] nobody sees it. Answers
    /// `false`, and begins nothing, if this person's files that no message has would then take more than `most` bytes; several that begin at the same
    /// moment may pass together.
    async fn begin_file(&self, new: NewFile, most: u64) -> Result<bool>;
    /// Bytes of somebody's files that no message has, those on their way as large as they may get.
    async fn unsent_bytes(&self, by: PrincipalId) -> Result<u64>;
    /// Keeps the `index`th chunk of a file that was begun. Durable with [`Files::finish_file`].
    async fn put_chunk(&self, id: FileId, index: u32, bytes: Bytes) -> Result<()>;
    /// Completes a file, with its small version if there is one. It is [`crate::StoreError::Missing`] unless its chunks are there without a gap
    /// and have as many bytes in all as it says.
    async fn finish_file(&self, file: FileRef, thumbnail: Option<Bytes>) -> Result<()>;
    /// Forgets a file that was not completed.
    async fn abandon_file(&self, id: FileId) -> Result<()>;
    /// A completed file, unless its message was purged or erased.
    async fn file(&self, id: FileId) -> Result<Option<StoredFile>>;
    /// The `index`th chunk of a file.
    async fn chunk(&self, id: FileId, index: u32) -> Result<Option<Bytes>>;
    /// The small version of a file.
    async fn thumbnail(&self, id: FileId) -> Result<Option<Bytes>>;
    /// The files of a room's messages that are in sight, newest first: at most `limit` of messages before `before`.
    async fn files_in(&self, room: RoomId, before: Option<Seq>, limit: usize) -> Result<Vec<StoredFile>>;
    /// Deletes files begun before `before` that were never completed or never went with a message; answers how many. Complete files of no room are
    /// swept only if they were begun before `of_no_room`.
    async fn sweep_files(&self, before: Time, of_no_room: Time) -> Result<u64>;
    /// The key by which addresses of files are made. It is made with the database and is the same for all servers of a pool.
    async fn address_key(&self) -> Result<[u8; 32]>;
    /// Puts another key in its place: for bringing in a pool from an archive, whose addresses stay good by that. Servers read it when they start.
    async fn put_address_key(&self, key: [u8; 32]) -> Result<()>;
}
