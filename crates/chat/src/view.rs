//! What readers are shown: entries and rooms with names in place of numbers. Doors encode these; they decide nothing.

use holdfast_domain::directory::Directory;
use holdfast_domain::entry::{EntryBody, Put};
use holdfast_domain::name::{DisplayName, Login};
use holdfast_domain::principal::{Principal, User, UserKind};
use holdfast_domain::rights::Action;
use holdfast_domain::room::{Role, RoleChange, Room};
use holdfast_domain::{CategoryId, Entry, PrincipalId, RoomId, Seq, Time};
use holdfast_store::log::{Edited, Gone, Removed, Row};
use serde::Serialize;
use std::borrow::Cow;

/// A user or group by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Person {
    /// Its number.
    pub id: PrincipalId,
    /// The name it signs in with or is mentioned by.
    pub name: String,
    /// The name that is shown.
    pub display_name: String,
    /// `person`, `bot`, `imported`, `group` or `system`.
    pub kind: &'static str,
    /// Whether other users are shown under the same name.
    #[serde(skip)]
    pub has_namesake: bool,
}

impl Person {
    /// The principal with number `id`, as others see it.
    pub fn of(directory: &Directory, id: PrincipalId) -> Person {
        match directory.principal(id) {
            Some(principal) => Person::known(directory, principal),
            None if id == PrincipalId::SYSTEM => Person::of_ours(id, "holdfast".into(), "Holdfast".into()),
            None => Person::of_ours(id, format!("unknown-{id}"), format!("unknown ({id})")),
        }
    }

    fn of_ours(id: PrincipalId, name: String, display_name: String) -> Person {
        Person { id, name, display_name, kind: "system", has_namesake: false }
    }

    fn known(directory: &Directory, principal: Principal<'_>) -> Person {
        let kind = match principal {
            Principal::User(User { kind: UserKind::Person, .. }) => "person",
            Principal::User(User { kind: UserKind::Bot, .. }) => "bot",
            Principal::User(User { kind: UserKind::Imported, .. }) => "imported",
            Principal::Group(_) => "group",
        };
        let (name, display_name): (&Login, &DisplayName) = (principal.name(), principal.display_name());
        Person {
            id: principal.id(),
            name: name.as_str().to_owned(),
            display_name: display_name.as_str().to_owned(),
            kind,
            has_namesake: directory.users_shown_as(display_name.as_str()).any(|user| user.id != principal.id()),
        }
    }

    /// The name that is shown; with the one that he signs in by where others are shown under the same, so that nobody is taken for another.
    pub fn distinct_name(&self) -> Cow<'_, str> {
        match self.has_namesake {
            true => format!("{} ({})", self.display_name, self.name).into(),
            false => self.display_name.as_str().into(),
        }
    }

    /// Some principals, as others see them.
    pub fn list<'a>(directory: &Directory, ids: impl IntoIterator<Item = &'a PrincipalId>) -> Vec<Person> {
        ids.into_iter().map(|id| Person::of(directory, *id)).collect()
    }
}

/// An entry as readers see it.
#[derive(Clone, Debug)]
pub struct EntryView {
    /// As it was written; of a message out of sight, without its body.
    pub entry: Entry,
    /// Who did it.
    pub author: Person,
    /// The latest edit, if the message is in sight.
    pub edited: Option<Edited>,
    /// How it went out of sight.
    pub removed: Option<RemovedView>,
    /// Of entries that change the room or the pool: what they changed, a sentence each.
    pub changes: Vec<String>,
}

/// How a message went out of sight, with names.
#[derive(Clone, Debug)]
pub struct RemovedView {
    /// The entry that did it.
    pub seq: Seq,
    /// When.
    pub at: Time,
    /// Who did it.
    pub by: Person,
    /// How.
    pub how: Gone,
    /// The moderator's reason.
    pub reason: Option<String>,
    /// What is shown instead.
    pub replacement: Option<String>,
}

impl EntryView {
    /// What readers see of `row`.
    pub fn of(directory: &Directory, row: Row) -> EntryView {
        let Row { mut entry, edited, removed } = row;
        let removed = removed.map(|Removed { seq, at, by, how, reason, replacement }| RemovedView {
            seq,
            at,
            by: Person::of(directory, by),
            how,
            reason,
            replacement,
        });
        let changes = entry.body.as_ref().map(|body| changes(directory, body)).unwrap_or_default();
        let author = Person::of(directory, entry.author);
        if removed.is_some() {
            entry.body = None;
        }
        EntryView { edited: if removed.is_some() { None } else { edited }, entry, author, removed, changes }
    }
}

/// A room as somebody sees it.
#[derive(Clone, Debug)]
pub struct RoomView {
    /// Its settings.
    pub room: Room,
    /// The name of its category.
    pub category: String,
    /// The number of its last entry.
    pub head: Seq,
    /// How many messages it has.
    pub messages: i64,
    /// When its last message was said.
    pub last_message_at: Option<Time>,
    /// How many people are in it now.
    pub present: usize,
    /// What the viewer is to it.
    pub me: MyRoom,
    /// What the viewer may do.
    pub can: Vec<Action>,
}

/// What somebody is to a room.
#[derive(Clone, Copy, Debug, Default)]
pub struct MyRoom {
    /// A member; in an open room, everybody whom it admits.
    pub member: bool,
    /// A manager.
    pub manager: bool,
    /// A presenter.
    pub presenter: bool,
    /// Follows it.
    pub followed: bool,
    /// Has read it up to here.
    pub read: Seq,
    /// Messages after that.
    pub unread: i64,
    /// Messages after that which name the viewer.
    pub mentions: i64,
}

/// What an entry changed, a sentence each without full stop.
pub fn changes(directory: &Directory, body: &EntryBody) -> Vec<String> {
    match body {
        EntryBody::Room(put) => put_changes(directory, "Room", put.now.name.as_str(), put),
        EntryBody::Category(put) => put_changes(directory, "Category", put.now.name.as_str(), put),
        EntryBody::User(put) => put_changes(directory, "User", put.now.name.as_str(), put),
        EntryBody::Group(put) => put_changes(directory, "Group", put.now.name.as_str(), put),
        EntryBody::Roles(changes) => changes.iter().flat_map(|c| role_changes(directory, c)).collect(),
        EntryBody::CategoryDeleted { name, .. } => vec![format!("Category {name} was deleted")],
        EntryBody::GroupDeleted { name, .. } => vec![format!("Group {name} was deleted")],
        EntryBody::RoomDeleted { name, last_seq, .. } => {
            vec![format!("Room {name} was deleted with its {last_seq} entries")]
        }
        EntryBody::Act(act) => vec![act.summary.clone()],
        EntryBody::Message(_)
        | EntryBody::Edit(_)
        | EntryBody::Retraction { .. }
        | EntryBody::Removal(_)
        | EntryBody::Annotation(_)
        | EntryBody::Purge { .. } => Vec::new(),
    }
}

fn put_changes<T: Serialize>(directory: &Directory, what: &str, name: &str, put: &Put<T>) -> Vec<String> {
    if put.changed.is_empty() {
        return vec![format!("{what} {name} was created")];
    }
    let now = serde_json::to_value(&put.now).unwrap_or_default();
    put.changed
        .iter()
        .map(|field| {
            let value = now.get(field).unwrap_or(&serde_json::Value::Null);
            let words = match (field.as_str(), value.as_i64()) {
                ("category", Some(id)) => category_name(directory, CategoryId(id)),
                ("members" | "allowed" | "denied" | "creators", _) => principal_names(directory, value),
                _ => plain(value),
            };
            format!("{what} {name}: {} is now {words}", field.replace('_', " "))
        })
        .collect()
}

fn category_name(directory: &Directory, id: CategoryId) -> String {
    directory.category(id).map_or_else(|| id.to_string(), |c| c.name.to_string())
}

fn principal_names(directory: &Directory, ids: &serde_json::Value) -> String {
    const SHOWN: usize = 10;
    let ids: Vec<PrincipalId> =
        ids.as_array().into_iter().flatten().filter_map(serde_json::Value::as_i64).map(PrincipalId).collect();
    names(directory, &ids, SHOWN)
}

fn names(directory: &Directory, ids: &[PrincipalId], shown: usize) -> String {
    if ids.is_empty() {
        return "nobody".into();
    }
    let mut text =
        ids.iter().take(shown).map(|id| Person::of(directory, *id).display_name).collect::<Vec<_>>().join(", ");
    if ids.len() > shown {
        text.push_str(&format!(" and {} more", ids.len() - shown));
    }
    text
}

fn role_changes(directory: &Directory, change: &RoleChange) -> Vec<String> {
    const SHOWN: usize = 10;
    let role = match change.role {
        Role::Member => "members",
        Role::Manager => "managers",
        Role::Presenter => "presenters",
    };
    let mut sentences = Vec::new();
    if !change.added.is_empty() {
        sentences.push(format!("Added to the {role}: {}", names(directory, &change.added, SHOWN)));
    }
    if !change.removed.is_empty() {
        sentences.push(format!("Removed from the {role}: {}", names(directory, &change.removed, SHOWN)));
    }
    sentences
}

fn plain(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => "not set".into(),
        serde_json::Value::Bool(true) => "on".into(),
        serde_json::Value::Bool(false) => "off".into(),
        serde_json::Value::String(text) if text.is_empty() => "empty".into(),
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A place in a list that is sorted by shown time: where the next page begins.
pub type Place = (Time, RoomId, Seq);
