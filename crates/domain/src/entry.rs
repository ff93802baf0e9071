//! Entries: everything that can happen in a room, or to the pool, and how each is written down.
//!
//! The log is the truth and all else is derived from it, so an entry says *what is so now* rather than which button was
//! pressed: a changed room is written with all its settings. Lists that can be long are written as what came and went.

use crate::category::Category;
use crate::chain::Digest;
use crate::id::{CategoryId, ClientId, FileId, PrincipalId, RoomId, Seq};
use crate::principal::{Group, User};
use crate::room::{RoleChange, Room};
use crate::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One element of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The room whose log it is in.
    pub room: RoomId,
    /// Its number there.
    pub seq: Seq,
    /// When the log took it; never earlier than the entry before.
    pub at: Time,
    /// Who did it.
    pub author: PrincipalId,
    /// The author's own name for it.
    pub client_id: ClientId,
    /// What kind of entry it is; known even when the body was erased.
    pub kind: Kind,
    /// What happened; `None` when it was erased.
    pub body: Option<EntryBody>,
    /// Chains it to all before it.
    pub hash: Digest,
}

impl Entry {
    /// A few letters that tell this entry from another that had its number and was lost with a database: a part of its hash.
    pub fn mark(&self) -> String {
        self.hash.short()
    }

    /// The files that it gives to a message, all that the message has from now on, and which message that is.
    pub fn files(&self) -> Option<(Seq, &[FileRef])> {
        self.body.as_ref()?.files(self.seq)
    }

    /// Whether a file is among those.
    pub fn names_file(&self, id: FileId) -> bool {
        self.files().is_some_and(|(_, files)| files.iter().any(|file| file.id == id))
    }

    /// The moment that people are shown: when an imported message was said, otherwise when the log took the entry.
    pub fn shown_at(&self) -> Time {
        match &self.body {
            Some(EntryBody::Message(Message { said: Some(said), .. })) => *said,
            _ => self.at,
        }
    }
}

/// A message as it was posted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Plain text; of a story, its body.
    pub text: String,
    /// A message with a title is a story (M37).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// High importance (M37).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub alert: bool,
    /// Tells what the author does rather than says (`/me`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub action: bool,
    /// Files that go with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileRef>,
    /// Who is named in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<PrincipalId>,
    /// When it was said, if that was elsewhere and earlier: imported messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<Time>,
    /// What an XMPP client sent along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stanza: Option<Stanza>,
}

/// What came with a message over XMPP and goes to XMPP clients again as it came. Nobody else reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stanza {
    /// The sender's own id, by which he knows the message when it comes back, and by which it is corrected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The name under which the sender was in the room, if it was not his displayed one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nick: Option<String>,
    /// Elements beside the text, as XML.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub elements: String,
}

impl Stanza {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.id.is_none() && self.nick.is_none() && self.elements.is_empty()
    }
}

/// A file as its message names it. The digest makes the chain cover the file's content too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRef {
    /// Its number.
    pub id: FileId,
    /// The name that its uploader gave it.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Its media type, found from its content.
    #[serde(rename = "type")]
    pub media_type: String,
    /// SHA-256 of its content.
    pub sha256: Digest,
    /// Of a picture: its width in pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Of a picture: its height in pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// Whether there is a small version of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub thumbnail: bool,
}

/// A new text for an earlier message; the earlier one stays in the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// The message.
    pub of: Seq,
    /// Its text from now on.
    pub text: String,
    /// Its title from now on, if it is a story.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Who is named in it now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<PrincipalId>,
    /// The files that it has from now on; `None`: those that the message came with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<Vec<FileRef>>,
    /// Whether it tells from now on what its author does; `None`: as the message did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<bool>,
    /// The id by which XMPP clients know the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// What an XMPP client sent along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stanza: Option<Stanza>,
}

/// Messages taken out of sight by a moderator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    /// The messages, ascending; when `erased`, their edits too, which the store adds.
    pub of: Vec<Seq>,
    /// Marks of messages, as far as they were at hand; see [`Entry::mark`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub marks: BTreeMap<Seq, String>,
    /// Why.
    pub reason: String,
    /// What readers see in their place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replacement: Option<String>,
    /// Whether their content, and that of their edits, was erased from the log as well.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub erased: bool,
}

/// A thing as it is from now on, with what changed, for whoever reads the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Put<T> {
    /// The thing, whole.
    pub now: T,
    /// The fields that changed; none when the thing is new.
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
}

impl<T> Put<T> {
    /// A new thing.
    pub fn new(now: T) -> Self {
        Self { now, changed: Vec::new() }
    }
}

impl<T: Serialize> Put<T> {
    /// `now` in place of `before`; `None` if they are the same.
    pub fn change(before: &T, now: T) -> Option<Self> {
        let fields = |thing: &T| match serde_json::to_value(thing) {
            Ok(serde_json::Value::Object(fields)) => fields,
            _ => serde_json::Map::new(),
        };
        let (old, new) = (fields(before), fields(&now));
        let changed: Vec<String> = new.iter().filter(|(k, v)| old.get(*k) != Some(v)).map(|(k, _)| k.clone()).collect();
        (!changed.is_empty()).then_some(Self { now, changed })
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryBody {
    /// Somebody said something.
    Message(Message),
    /// An author changed a message.
    Edit(Edit),
    /// An author took a message back.
    Retraction {
        /// The message.
        of: Seq,
        /// Its mark; see [`Entry::mark`].
        mark: Option<String>,
    },
    /// A moderator removed messages.
    Removal(Removal),
    /// Something without text that XMPP clients make sense of: a reaction, a marker. Kept for them; others pass over it.
    Annotation(Stanza),
    /// The room was cleared: the content of every message, edit and removal up to `through` was erased.
    Purge {
        /// The last entry that was cleared.
        through: Seq,
    },
    /// The room was made or its settings changed; these are all of them now.
    Room(Put<Room>),
    /// People came into or went out of the room's lists.
    Roles(Vec<RoleChange>),
    /// Pool log: a category was made or changed.
    Category(Put<Category>),
    /// Pool log: an empty category was deleted.
    CategoryDeleted {
        /// Which.
        id: CategoryId,
        /// Its name at the end.
        name: String,
    },
    /// Pool log: a user was made or changed.
    User(Put<User>),
    /// Pool log: a group was made or changed.
    Group(Put<Group>),
    /// Pool log: a group was deleted.
    GroupDeleted {
        /// Which.
        id: PrincipalId,
        /// Its name at the end.
        name: String,
    },
    /// Pool log: a room was deleted with its log, whose end is recorded here.
    RoomDeleted {
        /// Which.
        id: RoomId,
        /// Its name at the end.
        name: String,
        /// The number of its last entry.
        last_seq: Seq,
        /// The hash of its last entry.
        last_hash: Digest,
    },
    /// Pool log: an administrator did something that changes none of the above, such as resetting a password.
    Act(Act),
}

/// An administrator's act that changes nothing in the directory but belongs in the records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    /// A short stable word, such as `password-reset`.
    pub action: String,
    /// One sentence for people.
    pub summary: String,
}

/// The kind of an entry, as it is stored and hashed. The numbers never change.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u16)]
#[allow(missing_docs, reason = "each stands for the variant of EntryBody of the same name")]
pub enum Kind {
    Message = 1,
    Edit = 2,
    Retraction = 3,
    Removal = 4,
    Purge = 5,
    Annotation = 6,
    Room = 10,
    Roles = 11,
    Category = 20,
    CategoryDeleted = 21,
    User = 22,
    Group = 24,
    GroupDeleted = 25,
    RoomDeleted = 26,
    Act = 30,
}

impl Kind {
    /// The stored number.
    pub fn code(self) -> u16 {
        self as u16
    }

    /// The kind of a stored number.
    pub fn from_code(code: u16) -> Option<Kind> {
        const ALL: [Kind; 15] = [
            Kind::Message,
            Kind::Edit,
            Kind::Retraction,
            Kind::Removal,
            Kind::Purge,
            Kind::Annotation,
            Kind::Room,
            Kind::Roles,
            Kind::Category,
            Kind::CategoryDeleted,
            Kind::User,
            Kind::Group,
            Kind::GroupDeleted,
            Kind::RoomDeleted,
            Kind::Act,
        ];
        ALL.into_iter().find(|k| k.code() == code)
    }

    /// Whether a purge erases entries of this kind.
    pub fn is_content(self) -> bool {
        matches!(self, Kind::Message | Kind::Edit | Kind::Removal | Kind::Annotation)
    }
}

/// A stored payload that cannot be read back.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the payload of an entry of kind {kind}: {why}")]
pub struct Unreadable {
    /// The stored kind.
    pub kind: u16,
    /// What is wrong with it.
    pub why: String,
}

impl EntryBody {
    /// What kind it is.
    pub fn kind(&self) -> Kind {
        match self {
            EntryBody::Message(_) => Kind::Message,
            EntryBody::Edit(_) => Kind::Edit,
            EntryBody::Retraction { .. } => Kind::Retraction,
            EntryBody::Removal(_) => Kind::Removal,
            EntryBody::Purge { .. } => Kind::Purge,
            EntryBody::Annotation(_) => Kind::Annotation,
            EntryBody::Room(_) => Kind::Room,
            EntryBody::Roles(_) => Kind::Roles,
            EntryBody::Category(_) => Kind::Category,
            EntryBody::CategoryDeleted { .. } => Kind::CategoryDeleted,
            EntryBody::User(_) => Kind::User,
            EntryBody::Group(_) => Kind::Group,
            EntryBody::GroupDeleted { .. } => Kind::GroupDeleted,
            EntryBody::RoomDeleted { .. } => Kind::RoomDeleted,
            EntryBody::Act(_) => Kind::Act,
        }
    }

    /// The files that entry `seq`, whose body this is, gives to a message, and which message that is.
    pub fn files(&self, seq: Seq) -> Option<(Seq, &[FileRef])> {
        let (message, files) = match self {
            EntryBody::Message(message) => (seq, &message.files),
            EntryBody::Edit(edit) => (edit.of, edit.files.as_ref()?),
            _ => return None,
        };
        (!files.is_empty()).then_some((message, files.as_slice()))
    }

    /// Whether it changes what the [`crate::Directory`] knows: rooms and their lists, categories, users, groups.
    pub fn changes_directory(&self) -> bool {
        match self {
            EntryBody::Room(_)
            | EntryBody::Roles(_)
            | EntryBody::Category(_)
            | EntryBody::CategoryDeleted { .. }
            | EntryBody::User(_)
            | EntryBody::Group(_)
            | EntryBody::GroupDeleted { .. }
            | EntryBody::RoomDeleted { .. } => true,
            EntryBody::Message(_)
            | EntryBody::Edit(_)
            | EntryBody::Retraction { .. }
            | EntryBody::Removal(_)
            | EntryBody::Purge { .. }
            | EntryBody::Annotation(_)
            | EntryBody::Act(_) => false,
        }
    }

    /// The payload that is stored and hashed: JSON without the kind.
    pub fn encode(&self) -> String {
        let written = match self {
            EntryBody::Message(m) => serde_json::to_string(m),
            EntryBody::Edit(e) => serde_json::to_string(e),
            EntryBody::Retraction { of, mark } => serde_json::to_string(&Of { of: *of, mark: mark.clone() }),
            EntryBody::Removal(r) => serde_json::to_string(r),
            EntryBody::Purge { through } => serde_json::to_string(&Through { through: *through }),
            EntryBody::Annotation(a) => serde_json::to_string(a),
            EntryBody::Room(r) => serde_json::to_string(r),
            EntryBody::Roles(changes) => serde_json::to_string(changes),
            EntryBody::Category(c) => serde_json::to_string(c),
            EntryBody::CategoryDeleted { id, name } => serde_json::to_string(&Gone { id: id.0, name: name.clone() }),
            EntryBody::User(u) => serde_json::to_string(u),
            EntryBody::Group(g) => serde_json::to_string(g),
            EntryBody::GroupDeleted { id, name } => serde_json::to_string(&Gone { id: id.0, name: name.clone() }),
            EntryBody::RoomDeleted { id, name, last_seq, last_hash } => serde_json::to_string(&GoneRoom {
                id: *id,
                name: name.clone(),
                last_seq: *last_seq,
                last_hash: *last_hash,
            }),
            EntryBody::Act(a) => serde_json::to_string(a),
        };
        // Structs of strings, numbers and lists have no value that JSON cannot hold.
        written.unwrap_or_default()
    }

    /// Reads a payload back.
    ///
    /// # Errors
    /// [`Unreadable`] when the kind is unknown or the payload is not of it.
    pub fn decode(kind: u16, payload: &str) -> Result<EntryBody, Unreadable> {
        fn read<'a, T: Deserialize<'a>>(payload: &'a str) -> Result<T, serde_json::Error> {
            serde_json::from_str(payload)
        }
        let Some(known) = Kind::from_code(kind) else {
            return Err(Unreadable { kind, why: "this version does not know the kind".into() });
        };
        let body = match known {
            Kind::Message => read(payload).map(EntryBody::Message),
            Kind::Edit => read(payload).map(EntryBody::Edit),
            Kind::Retraction => read(payload).map(|Of { of, mark }| EntryBody::Retraction { of, mark }),
            Kind::Removal => read(payload).map(EntryBody::Removal),
            Kind::Purge => read(payload).map(|Through { through }| EntryBody::Purge { through }),
            Kind::Annotation => read(payload).map(EntryBody::Annotation),
            Kind::Room => read(payload).map(EntryBody::Room),
            Kind::Roles => read(payload).map(EntryBody::Roles),
            Kind::Category => read(payload).map(EntryBody::Category),
            Kind::CategoryDeleted => {
                read(payload).map(|Gone { id, name }| EntryBody::CategoryDeleted { id: CategoryId(id), name })
            }
            Kind::User => read(payload).map(EntryBody::User),
            Kind::Group => read(payload).map(EntryBody::Group),
            Kind::GroupDeleted => {
                read(payload).map(|Gone { id, name }| EntryBody::GroupDeleted { id: PrincipalId(id), name })
            }
            Kind::RoomDeleted => read(payload).map(|GoneRoom { id, name, last_seq, last_hash }| {
                EntryBody::RoomDeleted { id, name, last_seq, last_hash }
            }),
            Kind::Act => read(payload).map(EntryBody::Act),
        };
        body.map_err(|e| Unreadable { kind, why: e.to_string() })
    }
}

#[derive(Serialize, Deserialize)]
struct Of {
    of: Seq,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mark: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Through {
    through: Seq,
}

#[derive(Serialize, Deserialize)]
struct Gone {
    id: i64,
    name: String,
}

#[derive(Serialize, Deserialize)]
struct GoneRoom {
    id: RoomId,
    name: String,
    last_seq: Seq,
    last_hash: Digest,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_message_costs_little_more_than_its_text() {
        let body = EntryBody::Message(Message { text: "hello".into(), ..Message::default() });
        assert_eq!(body.encode(), r#"{"text":"hello"}"#);
        assert_eq!(EntryBody::decode(1, &body.encode()).unwrap(), body);
    }

    #[test]
    fn unknown_kinds_and_broken_payloads_are_named() {
        assert!(EntryBody::decode(999, "{}").unwrap_err().to_string().contains("kind 999"));
        assert!(EntryBody::decode(1, "{").unwrap_err().to_string().contains("EOF"));
    }
}
