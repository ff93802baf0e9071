//! The pool's state as it follows from the logs: categories, rooms with their lists, users, groups.
//!
//! A server keeps one of these in memory and decides every right from it; [`Directory::apply`] brings it forward by one
//! committed entry, which is the only way it changes.

use crate::category::Category;
use crate::entry::EntryBody;
use crate::id::{CategoryId, PrincipalId, RoomId};
use crate::limits;
use crate::name::{Name, key};
use crate::principal::{Group, Principal, User, UserKind};
use crate::room::{Role, Roles, Room};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// A room with its lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomState {
    /// Its settings.
    pub room: Room,
    /// Its lists.
    pub roles: Roles,
}

/// Who has a name that rooms and categories share (M12).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Named {
    /// A room.
    Room(RoomId),
    /// A category.
    Category(CategoryId),
}

/// Everything the pool knows of but what was said.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    categories: BTreeMap<CategoryId, Category>,
    rooms: BTreeMap<RoomId, RoomState>,
    users: BTreeMap<PrincipalId, User>,
    groups: BTreeMap<PrincipalId, Group>,
    names: HashMap<String, Named>,
    logins: HashMap<String, PrincipalId>,
    /// Users by the names that are shown of them, which several may share.
    shown: HashMap<String, BTreeSet<PrincipalId>>,
    /// Principal -> the groups that list it directly.
    groups_of: HashMap<PrincipalId, BTreeSet<PrincipalId>>,
    /// Principal -> the rooms that list it directly, in whatever role.
    rooms_of: HashMap<PrincipalId, BTreeSet<RoomId>>,
    /// Category -> its rooms.
    rooms_in: HashMap<CategoryId, BTreeSet<RoomId>>,
    /// Rooms by the part of their XMPP address before the `@`.
    addresses: HashMap<String, RoomId>,
}

impl Directory {
    /// An empty pool.
    pub fn new() -> Self {
        Self::default()
    }

    /// Brings the state forward by an entry of the log of `room`.
    pub fn apply(&mut self, room: RoomId, body: &EntryBody) {
        match body {
            EntryBody::Room(put) => self.put_room(put.now.clone()),
            EntryBody::Roles(changes) => {
                let mut touched = BTreeSet::new();
                if let Some(state) = self.rooms.get_mut(&room) {
                    for change in changes {
                        state.roles.apply(change);
                        touched.extend(change.added.iter().chain(&change.removed).copied());
                    }
                }
                self.index_roles(room, &touched);
            }
            EntryBody::Category(put) => self.put_category(put.now.clone()),
            EntryBody::CategoryDeleted { id, .. } => {
                if let Some(old) = self.categories.remove(id) {
                    self.give_up(&old.name, Named::Category(*id));
                }
            }
            EntryBody::User(put) => self.put_user(put.now.clone()),
            EntryBody::Group(put) => self.put_group(put.now.clone()),
            EntryBody::GroupDeleted { id, .. } => self.remove_group(*id),
            EntryBody::RoomDeleted { id, .. } => self.remove_room(*id),
            EntryBody::Message(_)
            | EntryBody::Edit(_)
            | EntryBody::Retraction { .. }
            | EntryBody::Removal(_)
            | EntryBody::Purge { .. }
            | EntryBody::Annotation(_)
            | EntryBody::Act(_) => {}
        }
    }

    /// Restores a room's lists as they were kept, when the state is loaded rather than replayed.
    pub fn load_roles(&mut self, room: RoomId, roles: Roles) {
        let touched: BTreeSet<PrincipalId> = Role::ALL.iter().flat_map(|r| roles.list(*r)).copied().collect();
        if let Some(state) = self.rooms.get_mut(&room) {
            state.roles = roles;
        }
        self.index_roles(room, &touched);
    }

    /// A category.
    pub fn category(&self, id: CategoryId) -> Option<&Category> {
        self.categories.get(&id)
    }

    /// All categories, in the order of their numbers.
    pub fn categories(&self) -> impl Iterator<Item = &Category> {
        self.categories.values()
    }

    /// A room with its lists.
    pub fn room(&self, id: RoomId) -> Option<&RoomState> {
        self.rooms.get(&id)
    }

    /// All rooms, in the order of their numbers.
    pub fn rooms(&self) -> impl Iterator<Item = &RoomState> {
        self.rooms.values()
    }

    /// The rooms of a category.
    pub fn rooms_in(&self, category: CategoryId) -> impl Iterator<Item = RoomId> + '_ {
        self.rooms_in.get(&category).into_iter().flatten().copied()
    }

    /// A user.
    pub fn user(&self, id: PrincipalId) -> Option<&User> {
        self.users.get(&id)
    }

    /// All users, in the order of their numbers.
    pub fn users(&self) -> impl Iterator<Item = &User> {
        self.users.values()
    }

    /// A group.
    pub fn group(&self, id: PrincipalId) -> Option<&Group> {
        self.groups.get(&id)
    }

    /// All groups, in the order of their numbers.
    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        self.groups.values()
    }

    /// A user or a group.
    pub fn principal(&self, id: PrincipalId) -> Option<Principal<'_>> {
        self.users.get(&id).map(Principal::User).or_else(|| self.groups.get(&id).map(Principal::Group))
    }

    /// The principal of a sign-in name or group name, in any case.
    pub fn principal_named(&self, name: &str) -> Option<Principal<'_>> {
        self.logins.get(&key(name)).and_then(|id| self.principal(*id))
    }

    /// The user of a sign-in name, in any case.
    pub fn user_named(&self, name: &str) -> Option<&User> {
        self.logins.get(&key(name)).and_then(|id| self.users.get(id))
    }

    /// The users of whom a name is shown, in any case.
    pub fn users_shown_as(&self, name: &str) -> impl Iterator<Item = &User> {
        self.shown.get(&key(name)).into_iter().flatten().filter_map(|id| self.users.get(id))
    }

    /// Who has `name` among rooms and categories, in any case.
    pub fn named(&self, name: &Name) -> Option<Named> {
        self.names.get(&name.key()).copied()
    }

    /// The room named `name`, in any case.
    pub fn room_named(&self, name: &str) -> Option<&RoomState> {
        match self.names.get(&key(name.trim()))? {
            Named::Room(id) => self.rooms.get(id),
            Named::Category(_) => None,
        }
    }

    /// The room at an XMPP address, given by the part before the `@`.
    pub fn room_addressed(&self, address: &str) -> Option<&RoomState> {
        let by_number = || address.strip_prefix('~')?.parse().ok().map(RoomId);
        self.rooms.get(&self.addresses.get(address).copied().or_else(by_number)?)
    }

    /// The part before the `@` of a room's XMPP address: by its number where another room kept the address that its name would give it.
    pub fn address_of(&self, room: &Room) -> String {
        let address = room.address();
        if self.addresses.get(&address) == Some(&room.id) { address } else { format!("~{}", room.id) }
    }

    /// The category named `name`, in any case.
    pub fn category_named(&self, name: &str) -> Option<&Category> {
        match self.names.get(&key(name.trim()))? {
            Named::Category(id) => self.categories.get(id),
            Named::Room(_) => None,
        }
    }

    /// Everything that `user` counts as in a list: itself, everyone, and its groups with theirs. A disabled or unknown user
    /// counts as nothing.
    pub fn identities(&self, user: PrincipalId) -> HashSet<PrincipalId> {
        let mut found = HashSet::new();
        let Some(record) = self.users.get(&user).filter(|u| !u.disabled) else { return found };
        found.insert(user);
        if record.kind != UserKind::Imported {
            found.insert(PrincipalId::EVERYONE);
        }
        let mut layer: Vec<PrincipalId> = found.iter().copied().collect();
        for _ in 0..limits::GROUP_DEPTH {
            layer = layer
                .iter()
                .filter_map(|p| self.groups_of.get(p))
                .flatten()
                .copied()
                .filter(|g| found.insert(*g))
                .collect();
            if layer.is_empty() {
                break;
            }
        }
        found
    }

    /// The users that `list` stands for, groups taken apart.
    pub fn expand(&self, list: &BTreeSet<PrincipalId>) -> BTreeSet<PrincipalId> {
        let mut users = BTreeSet::new();
        let mut seen = HashSet::new();
        let mut layer: Vec<PrincipalId> = list.iter().copied().collect();
        for _ in 0..=limits::GROUP_DEPTH {
            let mut next = Vec::new();
            for id in layer {
                if id == PrincipalId::EVERYONE {
                    users.extend(
                        self.users.values().filter(|u| !u.disabled && u.kind != UserKind::Imported).map(|u| u.id),
                    );
                } else if let Some(group) = self.groups.get(&id) {
                    if seen.insert(id) {
                        next.extend(group.members.iter().copied());
                    }
                } else if self.users.get(&id).is_some_and(|u| !u.disabled) {
                    users.insert(id);
                }
            }
            layer = next;
        }
        users
    }

    /// The rooms that list `user` or a group of it, in whatever role.
    pub fn rooms_listing(&self, user: PrincipalId) -> BTreeSet<RoomId> {
        self.identities(user).iter().filter_map(|p| self.rooms_of.get(p)).flatten().copied().collect()
    }

    /// Where a principal stands in a list or a group: one sentence for each, at most `most`.
    pub fn uses_of(&self, id: PrincipalId, most: usize) -> Vec<String> {
        let groups = self
            .groups_of
            .get(&id)
            .into_iter()
            .flatten()
            .filter_map(|g| self.groups.get(g))
            .map(|g| format!("member of group {}", g.name));
        let categories = self
            .categories
            .values()
            .filter(|c| c.allowed.contains(&id) || c.denied.contains(&id) || c.creators.contains(&id))
            .map(|c| format!("listed by category {}", c.name));
        let rooms = self
            .rooms_of
            .get(&id)
            .into_iter()
            .flatten()
            .filter_map(|r| self.rooms.get(r))
            .map(|r| format!("listed by room {}", r.room.name));
        groups.chain(categories).chain(rooms).take(most).collect()
    }

    fn put_category(&mut self, category: Category) {
        if let Some(old) = self.categories.get(&category.id).map(|old| old.name.clone()) {
            self.give_up(&old, Named::Category(category.id));
        }
        self.names.insert(category.name.key(), Named::Category(category.id));
        self.categories.insert(category.id, category);
    }

    fn put_room(&mut self, room: Room) {
        let id = room.id;
        let roles = match self.rooms.remove(&id) {
            Some(old) => {
                self.give_up(&old.room.name, Named::Room(id));
                self.give_up_address(&old.room);
                self.unlist(old.room.category, id);
                old.roles
            }
            None => Roles::default(),
        };
        self.names.insert(room.name.key(), Named::Room(id));
        // Whoever kept an address has it before whoever would get it by name.
        let taken = |of: &RoomId| *of != id && self.rooms.get(of).is_some_and(|state| state.room.address.is_some());
        let address = room.address();
        if room.address.is_some() || !self.addresses.get(&address).is_some_and(taken) {
            self.addresses.insert(address, id);
        }
        self.rooms_in.entry(room.category).or_default().insert(id);
        self.rooms.insert(id, RoomState { room, roles });
    }

    fn remove_room(&mut self, id: RoomId) {
        if let Some(old) = self.rooms.remove(&id) {
            self.give_up(&old.room.name, Named::Room(id));
            self.give_up_address(&old.room);
            self.unlist(old.room.category, id);
            let touched: BTreeSet<PrincipalId> = Role::ALL.iter().flat_map(|r| old.roles.list(*r)).copied().collect();
            self.index_roles(id, &touched);
        }
    }

    /// A room or category has this name no longer. Another may have it already: logs of several rooms can come in another order than they
    /// were written in, each its own.
    fn give_up(&mut self, name: &Name, whose: Named) {
        let key = name.key();
        if self.names.get(&key) == Some(&whose) {
            self.names.remove(&key);
        }
    }

    fn give_up_address(&mut self, room: &Room) {
        let address = room.address();
        if self.addresses.get(&address) == Some(&room.id) {
            self.addresses.remove(&address);
        }
    }

    fn unlist(&mut self, category: CategoryId, room: RoomId) {
        if let Some(rooms) = self.rooms_in.get_mut(&category) {
            rooms.remove(&room);
        }
    }

    fn put_user(&mut self, user: User) {
        if let Some(old) = self.users.get(&user.id) {
            self.logins.remove(&old.name.key());
            let shown = old.display_name.key();
            if let Some(users) = self.shown.get_mut(&shown) {
                users.remove(&user.id);
                if users.is_empty() {
                    self.shown.remove(&shown);
                }
            }
        }
        self.logins.insert(user.name.key(), user.id);
        self.shown.entry(user.display_name.key()).or_default().insert(user.id);
        self.users.insert(user.id, user);
    }

    fn put_group(&mut self, group: Group) {
        self.remove_group(group.id);
        self.logins.insert(group.name.key(), group.id);
        for member in &group.members {
            self.groups_of.entry(*member).or_default().insert(group.id);
        }
        self.groups.insert(group.id, group);
    }

    fn remove_group(&mut self, id: PrincipalId) {
        let Some(old) = self.groups.remove(&id) else { return };
        self.logins.remove(&old.name.key());
        for member in &old.members {
            if let Some(groups) = self.groups_of.get_mut(member) {
                groups.remove(&id);
            }
        }
    }

    /// Brings `rooms_of` in step with the lists of `room` for the principals `touched`.
    fn index_roles(&mut self, room: RoomId, touched: &BTreeSet<PrincipalId>) {
        let roles = self.rooms.get(&room).map(|s| &s.roles);
        for principal in touched {
            let listed = roles.is_some_and(|r| Role::ALL.iter().any(|role| r.list(*role).contains(principal)));
            let rooms = self.rooms_of.entry(*principal).or_default();
            if listed {
                rooms.insert(room);
            } else {
                rooms.remove(&room);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Put;
    use crate::name::{DisplayName, Login};
    use crate::time::Time;

    fn user(id: i64) -> EntryBody {
        EntryBody::User(Put::new(User {
            id: PrincipalId(id),
            name: Login::parse("name", &format!("u{id}")).unwrap(),
            display_name: DisplayName::parse("n", "U").unwrap(),
            kind: UserKind::Person,
            admin: false,
            disabled: false,
            may_chat: None,
            created_at: Time::EPOCH,
        }))
    }

    fn group(id: i64, members: &[i64]) -> EntryBody {
        EntryBody::Group(Put::new(Group {
            id: PrincipalId(id),
            name: Login::parse("name", &format!("g{id}")).unwrap(),
            display_name: DisplayName::parse("n", "G").unwrap(),
            members: members.iter().map(|m| PrincipalId(*m)).collect(),
            may_chat: None,
            created_at: Time::EPOCH,
        }))
    }

    #[test]
    fn groups_may_nest_and_even_circle() {
        let mut d = Directory::new();
        for body in [user(10), user(11), group(20, &[10]), group(21, &[20, 11]), group(20, &[10, 21])] {
            d.apply(RoomId::POOL, &body);
        }
        let of = |id| d.identities(PrincipalId(id)).into_iter().map(|p| p.0).collect::<BTreeSet<_>>();
        assert_eq!(of(10), BTreeSet::from([1, 10, 20, 21]));
        assert_eq!(of(11), BTreeSet::from([1, 11, 20, 21]));
        assert_eq!(d.expand(&BTreeSet::from([PrincipalId(20)])).len(), 2);
    }

    #[test]
    fn a_name_that_went_from_one_room_to_another_is_found_in_whatever_order_their_logs_are_read() {
        use crate::room::{Invitations, Privacy, Room, RoomType};
        let room = |id: i64, name: &str| {
            EntryBody::Room(Put::new(Room {
                id: RoomId(id),
                category: CategoryId(1),
                name: Name::parse("name", name).unwrap(),
                description: String::new(),
                subject: String::new(),
                room_type: RoomType::Normal,
                privacy: Privacy::Open,
                invitations: Invitations::Inherit,
                add_in_url: None,
                address: None,
                disabled: false,
                created_at: Time::EPOCH,
            }))
        };
        let mut d = Directory::new();
        d.apply(RoomId(1), &room(1, "desk"));
        d.apply(RoomId(2), &room(2, "other"));
        // The first was renamed before the second took its name, but the second's log is read first.
        d.apply(RoomId(2), &room(2, "desk"));
        d.apply(RoomId(1), &room(1, "old desk"));
        assert_eq!(d.room_named("desk").unwrap().room.id, RoomId(2));
        assert_eq!(d.room_named("old desk").unwrap().room.id, RoomId(1));
    }

    #[test]
    fn users_are_found_by_the_name_that_is_shown_of_them_now() {
        let mut d = Directory::new();
        for id in [10, 11] {
            d.apply(RoomId::POOL, &user(id));
        }
        let shown = |d: &Directory, name: &str| d.users_shown_as(name).map(|u| u.id.0).collect::<Vec<_>>();
        assert_eq!(shown(&d, "u"), [10, 11]);
        let EntryBody::User(mut renamed) = user(10) else { unreachable!() };
        renamed.now.display_name = DisplayName::parse("n", "Ana").unwrap();
        d.apply(RoomId::POOL, &EntryBody::User(renamed));
        assert_eq!(shown(&d, "U"), [11]);
        assert_eq!(shown(&d, "ANA"), [10]);
        assert!(shown(&d, "u10").is_empty());
    }

    #[test]
    fn a_renamed_user_gives_the_old_name_free() {
        let mut d = Directory::new();
        d.apply(RoomId::POOL, &user(10));
        assert!(d.user_named("U10").is_some());
        let EntryBody::User(mut renamed) = user(10) else { unreachable!() };
        renamed.now.name = Login::parse("name", "ana").unwrap();
        d.apply(RoomId::POOL, &EntryBody::User(renamed));
        assert!(d.user_named("u10").is_none());
        assert_eq!(d.user_named("ANA").unwrap().id, PrincipalId(10));
    }
}
