//! The hash chain of a log: a changed, missing or moved entry shows.
//!
//! `hash = SHA-256(previous hash ‖ header ‖ SHA-256(payload))`. The chain covers the payload's digest, not the payload, so that
//! a payload can be erased and the chain still be verified. The first entry follows [`genesis`], which names the room, so
//! that a log cannot be passed off as another room's.

use crate::entry::{EntryBody, Kind};
use crate::id::{ClientId, PrincipalId, RoomId, Seq};
use crate::time::Time;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::fmt;

/// 32 bytes of SHA-256, written in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// SHA-256 of `bytes`.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(Sha256::digest(bytes).into())
    }

    /// From stored bytes, which must be 32.
    pub fn from_bytes(bytes: &[u8]) -> Option<Digest> {
        bytes.try_into().ok().map(Digest)
    }

    /// From 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Digest> {
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        let mut out = [0; 32];
        for (i, byte) in out.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok()?;
        }
        Some(Digest(out))
    }
}

impl Digest {
    /// The first four bytes, in eight letters.
    pub fn short(&self) -> String {
        let [a, b, c, d, ..] = self.0;
        format!("{a:02x}{b:02x}{c:02x}{d:02x}")
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(d)?;
        Digest::from_hex(&text).ok_or_else(|| D::Error::custom("expected 64 hexadecimal digits"))
    }
}

/// What the chain of `room` starts from.
pub fn genesis(room: RoomId) -> Digest {
    let mut hasher = Sha256::new();
    hasher.update(b"holdfast room log v1\0");
    hasher.update(room.0.to_be_bytes());
    Digest(hasher.finalize().into())
}

/// The part of an entry that the chain covers beside its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// See [`crate::Entry::room`].
    pub room: RoomId,
    /// See [`crate::Entry::seq`].
    pub seq: Seq,
    /// See [`crate::Entry::at`].
    pub at: Time,
    /// See [`crate::Entry::author`].
    pub author: PrincipalId,
    /// See [`crate::Entry::client_id`].
    pub client_id: ClientId,
    /// The stored number of its [`Kind`].
    pub kind: u16,
}

/// The hash of the entry that follows the one with hash `previous`.
pub fn link(previous: Digest, header: &Header, payload: Digest) -> Digest {
    let mut hasher = Sha256::new();
    hasher.update(previous.0);
    hasher.update(header.room.0.to_be_bytes());
    hasher.update(header.seq.0.to_be_bytes());
    hasher.update(header.at.millis().to_be_bytes());
    hasher.update(header.author.0.to_be_bytes());
    hasher.update(header.kind.to_be_bytes());
    hasher.update(header.client_id.0.as_bytes());
    hasher.update(payload.0);
    Digest(hasher.finalize().into())
}

/// An entry as it is stored, before anything in it is believed.
#[derive(Clone, Debug)]
pub struct Stored {
    /// What the chain covers beside the payload.
    pub header: Header,
    /// The payload, or its digest where it was erased.
    pub payload: Payload,
    /// The stored hash.
    pub hash: Digest,
}

/// A payload, kept or erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// As it was written.
    Kept(String),
    /// Only its digest is left.
    Erased(Digest),
}

impl Payload {
    /// The digest that the chain covers.
    pub fn digest(&self) -> Digest {
        match self {
            Payload::Kept(text) => Digest::of(text.as_bytes()),
            Payload::Erased(digest) => *digest,
        }
    }
}

/// Something in a log that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Where: the entry's number.
    pub seq: Seq,
    /// A sentence: what is wrong.
    pub what: String,
}

/// Walks one log from its first entry on and collects what does not hold.
#[derive(Debug)]
pub struct Verifier {
    room: RoomId,
    last: Seq,
    last_hash: Digest,
    last_at: Time,
    /// Entries found erased for which no purge or removal has been met yet.
    unexplained: BTreeSet<Seq>,
}

impl Verifier {
    /// For the log of `room`.
    pub fn new(room: RoomId) -> Self {
        let last_at = Time::from_millis(i64::MIN);
        Self { room, last: Seq::ZERO, last_hash: genesis(room), last_at, unexplained: BTreeSet::new() }
    }

    /// The number of the last entry seen.
    pub fn last(&self) -> Seq {
        self.last
    }

    /// Checks the next stored entry; entries come in ascending order of their numbers.
    pub fn check(&mut self, entry: &Stored) -> Vec<Fault> {
        let Header { seq, at, kind, room, .. } = entry.header;
        let mut faults = Vec::new();
        let mut fault = |what: String| faults.push(Fault { seq, what });

        if room != self.room {
            fault(format!("belongs to room {room}, not to room {}", self.room));
        }
        if seq != self.last.next() {
            let (from, to) = (self.last.next(), Seq(seq.0 - 1));
            fault(if from == to {
                format!("entry {from} before it is missing")
            } else {
                format!("entries {from} to {to} before it are missing")
            });
        }
        // After a gap the hash cannot match; one fault says it.
        else if link(self.last_hash, &entry.header, entry.payload.digest()) != entry.hash {
            fault("was changed, or its place in the log was: its hash does not follow from its content and the entry before".into());
        }
        if at < self.last_at {
            fault(format!("its time {at} is before that of the entry before it, {}", self.last_at));
        }
        match &entry.payload {
            Payload::Erased(_) => {
                self.unexplained.insert(seq);
            }
            Payload::Kept(text) => match EntryBody::decode(kind, text) {
                Ok(EntryBody::Purge { through }) => self.unexplained.retain(|s| *s > through),
                Ok(EntryBody::Removal(removal)) if removal.erased => {
                    self.unexplained.retain(|s| !removal.of.contains(s));
                }
                Ok(_) => {}
                Err(e) => fault(e.to_string()),
            },
        }
        if Kind::from_code(kind).is_some_and(|k| !k.is_content()) && matches!(entry.payload, Payload::Erased(_)) {
            fault("its content is gone, though nothing may erase an entry of this kind".into());
        }
        self.last = seq;
        self.last_hash = entry.hash;
        self.last_at = at;
        faults
    }

    /// Checks the end of the log against the head that the store keeps for it.
    pub fn finish(self, head: Seq, head_hash: Digest) -> Vec<Fault> {
        let mut faults: Vec<Fault> = self
            .unexplained
            .iter()
            .map(|seq| Fault {
                seq: *seq,
                what: "its content is gone, and no purge or removal after it says why".into(),
            })
            .collect();
        if self.last < head {
            let what = format!("entries {} to {head} at the end of the log are missing", self.last.next());
            faults.push(Fault { seq: self.last.next(), what });
        } else if self.last > head {
            faults.push(Fault { seq: self.last, what: format!("stands after the log's end, which is {head}") });
        } else if self.last_hash != head_hash {
            faults.push(Fault { seq: self.last, what: "its hash is not the one kept for the log's end".into() });
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Message, Removal};
    use uuid::Uuid;

    fn log(bodies: &[EntryBody]) -> Vec<Stored> {
        let room = RoomId(7);
        let mut previous = genesis(room);
        let mut out = Vec::new();
        for (i, body) in bodies.iter().enumerate() {
            let n = i64::try_from(i).unwrap() + 1;
            let header = Header {
                room,
                seq: Seq(n),
                at: Time::from_millis(1_000 * n),
                author: PrincipalId(3),
                client_id: ClientId(Uuid::from_u128(n.unsigned_abs().into())),
                kind: body.kind().code(),
            };
            let payload = Payload::Kept(body.encode());
            previous = link(previous, &header, payload.digest());
            out.push(Stored { header, payload, hash: previous });
        }
        out
    }

    fn say(text: &str) -> EntryBody {
        EntryBody::Message(Message { text: text.into(), ..Message::default() })
    }

    fn faults(log: &[Stored], head: &Stored) -> Vec<Fault> {
        let mut verifier = Verifier::new(RoomId(7));
        let mut found: Vec<Fault> = log.iter().flat_map(|e| verifier.check(e)).collect();
        found.extend(verifier.finish(head.header.seq, head.hash));
        found
    }

    #[test]
    fn a_whole_log_holds() {
        let log = log(&[say("a"), say("b"), say("c")]);
        assert_eq!(faults(&log, &log[2]), []);
    }

    #[test]
    fn a_changed_byte_is_found_where_it_is_and_nowhere_else() {
        let good = log(&[say("a"), say("b"), say("c")]);
        for i in 0..3 {
            let mut bad = good.clone();
            bad[i].payload = Payload::Kept(say("x").encode());
            let found = faults(&bad, &good[2]);
            assert_eq!(found.iter().map(|f| f.seq).collect::<Vec<_>>(), [good[i].header.seq]);
            let mut bad = good.clone();
            bad[i].header.author = PrincipalId(4);
            assert_eq!(faults(&bad, &good[2]).len(), 1);
        }
    }

    #[test]
    fn missing_and_reordered_entries_are_found() {
        let good = log(&[say("a"), say("b"), say("c"), say("d")]);
        let mut gap = good.clone();
        gap.remove(1);
        assert_eq!(faults(&gap, &good[3])[0].what, "entry 2 before it is missing");
        assert_eq!(faults(&good[..2], &good[3])[0].what, "entries 3 to 4 at the end of the log are missing");
        let mut swapped = good.clone();
        let (b, c) = (swapped[1].payload.clone(), swapped[2].payload.clone());
        (swapped[1].payload, swapped[2].payload) = (c, b);
        assert_eq!(faults(&swapped, &good[3]).len(), 2);
    }

    #[test]
    fn an_erased_payload_needs_a_reason_in_the_log() {
        let removal = EntryBody::Removal(Removal {
            marks: Default::default(),
            of: vec![Seq(2)],
            reason: "password".into(),
            replacement: None,
            erased: true,
        });
        let mut log = log(&[say("a"), say("b"), removal, say("d")]);
        log[1].payload = Payload::Erased(log[1].payload.digest());
        assert_eq!(faults(&log, &log[3]), []);
        log[0].payload = Payload::Erased(log[0].payload.digest());
        assert_eq!(faults(&log, &log[3])[0].what, "its content is gone, and no purge or removal after it says why");
    }

    #[test]
    fn a_digest_survives_hexadecimal() {
        let d = Digest::of(b"x");
        assert_eq!(Digest::from_hex(&d.to_string()), Some(d));
        assert_eq!(Digest::from_hex("xyz"), None);
    }
}
