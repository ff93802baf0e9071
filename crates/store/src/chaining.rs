//! How a log grows, whatever keeps it: the next entry's number, time and hash.

use crate::Result;
use crate::error::{corrupt, unavailable};
use crate::log::Head;
use holdfast_domain::chain::{Digest, Header, Payload, Stored, genesis, link};
use holdfast_domain::entry::Kind;
use holdfast_domain::{ClientId, Entry, EntryBody, PrincipalId, RoomId, Seq, Time};

/// The end of a log, as far as the next entry depends on it.
#[derive(Clone, Debug)]
pub(crate) struct End {
    pub(crate) room: RoomId,
    pub(crate) head: Head,
    /// Time of the last entry.
    pub(crate) at: Time,
}

/// An entry that was numbered and chained, and its payload as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct Chained {
    pub(crate) entry: Entry,
    pub(crate) payload: String,
}

/// What an entry that was brought in from elsewhere says of itself.
#[derive(Clone, Debug)]
pub(crate) struct Followed {
    /// Of a message that was imported: when it was said.
    pub(crate) said: Option<Time>,
    /// Of a message: when it is shown.
    pub(crate) message: Option<Time>,
}

impl End {
    /// Of an empty log.
    pub(crate) fn empty(room: RoomId) -> Self {
        let head = Head { seq: Seq::ZERO, hash: genesis(room), messages: 0, last_message_at: None };
        Self { room, head, at: Time::from_millis(i64::MIN) }
    }

    /// Numbers, dates and chains something that happened, and moves to it.
    ///
    /// # Errors
    /// When the log has its last number.
    pub(crate) fn chain(
        &mut self,
        author: PrincipalId,
        client_id: ClientId,
        at: Time,
        body: EntryBody,
    ) -> Result<Chained> {
        let (room, seq, at) = (self.room, self.head.seq.next(), at.max(self.at));
        if seq > Seq::MAX {
            return Err(unavailable(format!("the log of room {room} is full")));
        }
        let kind = body.kind();
        let header = Header { room, seq, at, author, client_id, kind: kind.code() };
        let payload = body.encode();
        let hash = link(self.head.hash, &header, Digest::of(payload.as_bytes()));
        let entry = Entry { room, seq, at, author, client_id, kind, body: Some(body), hash };
        self.advance(&entry);
        Ok(Chained { entry, payload })
    }

    /// Moves to an entry that follows.
    pub(crate) fn advance(&mut self, entry: &Entry) {
        self.head.seq = entry.seq;
        self.head.hash = entry.hash;
        self.at = entry.at;
        if entry.kind == Kind::Message {
            self.head.messages += 1;
            self.head.last_message_at = Some(entry.shown_at());
        }
    }

    /// Moves to an entry that was brought in exactly as it was elsewhere.
    ///
    /// # Errors
    /// [`crate::StoreError::Corrupt`] if it does not follow in room, number, time or hash.
    pub(crate) fn follow(&mut self, stored: &Stored) -> Result<Followed> {
        let header = &stored.header;
        let wrong = |what: &str| Err(corrupt(format!("entry {} of room {} {what}", header.seq, header.room)));
        if header.room != self.room {
            return wrong("came among those of another room");
        }
        if header.seq != self.head.seq.next() {
            return wrong("does not follow the one before it");
        }
        if header.at < self.at {
            return wrong("is older than the one before it");
        }
        if link(self.head.hash, header, stored.payload.digest()) != stored.hash {
            return wrong("has a hash that does not follow from its content and the entry before");
        }
        let body = match &stored.payload {
            Payload::Kept(text) => EntryBody::decode(header.kind, text).ok(),
            Payload::Erased(_) => None,
        };
        let said = match &body {
            Some(EntryBody::Message(message)) => message.said,
            _ => None,
        };
        let is_message = Kind::from_code(header.kind) == Some(Kind::Message);
        let message = is_message.then(|| said.unwrap_or(header.at));
        self.head.seq = header.seq;
        self.head.hash = stored.hash;
        self.at = header.at;
        if message.is_some() {
            self.head.messages += 1;
            self.head.last_message_at = message;
        }
        Ok(Followed { said, message })
    }
}
