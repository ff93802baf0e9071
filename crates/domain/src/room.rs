//! Rooms and the three lists of people that go with one (M12-M21).

use crate::id::{CategoryId, PrincipalId, RoomId};
use crate::name::Name;
use crate::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Who posts in a room (M13).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RoomType {
    /// Every member posts.
    #[default]
    Normal,
    /// Presenters post, members read.
    Auditorium,
}

/// Who finds and who enters a room (M14).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Privacy {
    /// Everybody whom the category admits finds and enters it.
    Open,
    /// Everybody whom the category admits finds it; members enter.
    #[default]
    Closed,
    /// Only members know of it.
    Secret,
}

/// Whether people added to a room are told (M31).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Invitations {
    /// As the category says.
    #[default]
    Inherit,
    /// Never.
    Off,
}

/// One of a room's three lists of principals.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads and, in a normal room, posts.
    Member,
    /// Changes the room and its lists, and moderates.
    Manager,
    /// Posts in an auditorium, being a member as well.
    Presenter,
}

impl Role {
    /// All of them.
    pub const ALL: [Role; 3] = [Role::Member, Role::Manager, Role::Presenter];
}

/// A room's settings: all that can be changed about it but its lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// Its number.
    pub id: RoomId,
    /// The category that bounds it.
    pub category: CategoryId,
    /// Unique in the pool, among categories as well.
    pub name: Name,
    /// One line: what it is for.
    #[serde(default)]
    pub description: String,
    /// One line: what it is about just now.
    #[serde(default)]
    pub subject: String,
    /// Normal or auditorium.
    #[serde(rename = "type", default)]
    pub room_type: RoomType,
    /// Open, closed or secret.
    #[serde(default)]
    pub privacy: Privacy,
    /// Whether people added to it are told.
    #[serde(default)]
    pub invitations: Invitations,
    /// A web page shown beside the conversation (M34).
    #[serde(default)]
    pub add_in_url: Option<String>,
    /// The part of its XMPP address before the `@`, where that is not made of its name: it was renamed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// A disabled room is out of use with everything in it kept (M18).
    #[serde(default)]
    pub disabled: bool,
    /// When it was made.
    pub created_at: Time,
}

impl Room {
    /// The part of its XMPP address before the `@`.
    pub fn address(&self) -> String {
        self.address.clone().unwrap_or_else(|| crate::address::of_name(self.name.as_str()))
    }
}

/// A room's three lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roles {
    /// See [`Role::Member`]. Means nothing in an open room, which everybody admitted enters.
    #[serde(default)]
    pub members: BTreeSet<PrincipalId>,
    /// See [`Role::Manager`].
    #[serde(default)]
    pub managers: BTreeSet<PrincipalId>,
    /// See [`Role::Presenter`].
    #[serde(default)]
    pub presenters: BTreeSet<PrincipalId>,
}

impl Roles {
    /// The list of `role`.
    pub fn list(&self, role: Role) -> &BTreeSet<PrincipalId> {
        match role {
            Role::Member => &self.members,
            Role::Manager => &self.managers,
            Role::Presenter => &self.presenters,
        }
    }

    /// The list of `role`, to change it.
    pub fn list_mut(&mut self, role: Role) -> &mut BTreeSet<PrincipalId> {
        match role {
            Role::Member => &mut self.members,
            Role::Manager => &mut self.managers,
            Role::Presenter => &mut self.presenters,
        }
    }

    /// Does what `change` says.
    pub fn apply(&mut self, change: &RoleChange) {
        let list = self.list_mut(change.role);
        list.retain(|p| !change.removed.contains(p));
        list.extend(change.added.iter().copied());
    }
}

/// A change of one of a room's lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleChange {
    /// Which list.
    pub role: Role,
    /// Who comes in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<PrincipalId>,
    /// Who goes out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<PrincipalId>,
}

impl RoleChange {
    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }
}
