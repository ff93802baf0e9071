//! Principals: users (people, bots, imported authors) and groups. Scopes and role lists name principals.

use crate::id::PrincipalId;
use crate::name::{DisplayName, Login};
use crate::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What kind of user it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UserKind {
    /// Somebody who signs in with a password.
    Person,
    /// A program that signs in with a token.
    Bot,
    /// An author of imported messages, who cannot sign in.
    Imported,
}

/// A user of the pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Number in the space that users and groups share.
    pub id: PrincipalId,
    /// Signs in and is mentioned by this name; unique in the pool, without regard to case.
    pub name: Login,
    /// Shown to others.
    pub display_name: DisplayName,
    /// Person, bot or imported.
    pub kind: UserKind,
    /// Administrators are not bound by scopes (M26).
    #[serde(default)]
    pub admin: bool,
    /// A disabled user is nobody: cannot sign in, belongs to no group.
    #[serde(default)]
    pub disabled: bool,
    /// Whether this user may use chat at all; `None` leaves it to the user's groups, then to the pool (M57).
    #[serde(default)]
    pub may_chat: Option<bool>,
    /// When the user was made.
    pub created_at: Time,
}

/// A group of users and of other groups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Number in the space that users and groups share.
    pub id: PrincipalId,
    /// Unique among users and groups.
    pub name: Login,
    /// Shown to others.
    pub display_name: DisplayName,
    /// Users and groups in it; [`PrincipalId::EVERYONE`] has no list, it is everyone.
    #[serde(default)]
    pub members: BTreeSet<PrincipalId>,
    /// Whether its members may use chat, where the user itself says nothing.
    #[serde(default)]
    pub may_chat: Option<bool>,
    /// When the group was made.
    pub created_at: Time,
}

/// A user or a group.
#[derive(Clone, Copy, Debug)]
pub enum Principal<'a> {
    /// A user.
    User(&'a User),
    /// A group.
    Group(&'a Group),
}

impl<'a> Principal<'a> {
    /// Its number.
    pub fn id(self) -> PrincipalId {
        match self {
            Principal::User(u) => u.id,
            Principal::Group(g) => g.id,
        }
    }

    /// Its unique name.
    pub fn name(self) -> &'a Login {
        match self {
            Principal::User(u) => &u.name,
            Principal::Group(g) => &g.name,
        }
    }

    /// Its displayed name.
    pub fn display_name(self) -> &'a DisplayName {
        match self {
            Principal::User(u) => &u.display_name,
            Principal::Group(g) => &g.display_name,
        }
    }
}
