//! Identifiers. Each is a type of its own, so that a room's number cannot be taken for a person's.

use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// A room, or [`RoomId::POOL`], whose log holds what concerns no room: categories, users, groups.
    RoomId
}
number! {
    /// A category of rooms.
    CategoryId
}
number! {
    /// A user or a group: both can stand in every list of a category and a room, so they share one number space.
    PrincipalId
}
number! {
    /// The number of an entry in its room's log: 1, 2, 3 ... without gaps. 0 stands for "before the first".
    Seq
}

impl RoomId {
    /// The pool's own log: every change of a category, user or group is an entry of it.
    pub const POOL: RoomId = RoomId(0);
    /// The largest number a room may have, so that room and [`Seq`] fit one 63-bit key together.
    pub const MAX: RoomId = RoomId((1 << 27) - 1);
}

impl Default for Seq {
    fn default() -> Self {
        Seq::ZERO
    }
}

impl Seq {
    /// Before the first entry.
    pub const ZERO: Seq = Seq(0);
    /// The largest number an entry may have; see [`RoomId::MAX`].
    pub const MAX: Seq = Seq((1 << 36) - 1);

    /// The number that follows.
    #[must_use]
    pub fn next(self) -> Seq {
        Seq(self.0 + 1)
    }
}

impl PrincipalId {
    /// Holdfast itself, and whoever operates the machine it runs on through the control socket.
    pub const SYSTEM: PrincipalId = PrincipalId(0);
    /// The built-in group that every enabled person and bot belongs to.
    pub const EVERYONE: PrincipalId = PrincipalId(1);
    /// The first number given to a user or a group that somebody made.
    pub const FIRST: PrincipalId = PrincipalId(2);
}

/// The sender's own name for a draft. The same author, room and client id always yield the same entry, so that a client
/// whose connection broke may simply send again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientId(pub Uuid);

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An uploaded file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FileId(pub Uuid);

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
