//! An entry as a line of the archive: everything that the chain covers, and nothing else.

use holdfast_domain::chain::{Digest, Header, Payload, Stored};
use holdfast_domain::entry::{EntryBody, FileRef};
use holdfast_domain::{ClientId, FileId, PrincipalId, RoomId, Seq, Time};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// One entry of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EntryLine {
    room: RoomId,
    seq: Seq,
    at: Time,
    author: PrincipalId,
    client_id: ClientId,
    kind: u16,
    /// As it was written; or
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payload: Option<String>,
    /// its digest, where it was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    digest: Option<Digest>,
    hash: Digest,
}

impl EntryLine {
    /// As the chain and the store know it.
    ///
    /// # Errors
    /// When it has neither payload nor digest, or both.
    pub(crate) fn stored(self) -> Result<Stored, String> {
        let payload = match (self.payload, self.digest) {
            (Some(text), None) => Payload::Kept(text),
            (None, Some(digest)) => Payload::Erased(digest),
            _ => return Err(format!("entry {} must have either a payload or a digest", self.seq)),
        };
        let header = Header {
            room: self.room,
            seq: self.seq,
            at: self.at,
            author: self.author,
            client_id: self.client_id,
            kind: self.kind,
        };
        Ok(Stored { header, payload, hash: self.hash })
    }

    /// Its number.
    pub(crate) fn seq(&self) -> Seq {
        self.seq
    }

    /// Whose log it is in.
    pub(crate) fn room(&self) -> RoomId {
        self.room
    }
}

impl From<&Stored> for EntryLine {
    fn from(stored: &Stored) -> Self {
        let (payload, digest) = match &stored.payload {
            Payload::Kept(text) => (Some(text.clone()), None),
            Payload::Erased(digest) => (None, Some(*digest)),
        };
        let Header { room, seq, at, author, client_id, kind } = stored.header;
        Self { room, seq, at, author, client_id, kind, payload, digest, hash: stored.hash }
    }
}

/// The files that entries name, each once: an edit names those of its message again.
#[derive(Default)]
pub(crate) struct Files {
    seen: HashSet<FileId>,
}

impl Files {
    /// The files that this entry is the first to name.
    pub(crate) fn named_by(&mut self, stored: &Stored) -> Vec<FileRef> {
        let Payload::Kept(text) = &stored.payload else { return Vec::new() };
        let Ok(body) = EntryBody::decode(stored.header.kind, text) else { return Vec::new() };
        let named = body.files(stored.header.seq).map(|(_, files)| files).unwrap_or_default();
        named.iter().filter(|file| self.seen.insert(file.id)).cloned().collect()
    }
}
