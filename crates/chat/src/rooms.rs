//! Rooms: finding, seeing, making and changing them (M12-M25).

use crate::caller::{Caller, Scope};
use crate::categories::check_name_free;
use crate::change::{Mode, Outcome};
use crate::error::{ChatError, Result};
use crate::event::{Event, Roster};
use crate::people::{known_principals, nothing};
use crate::pool::signal::Signal;
use crate::service::Chat;
use crate::view::{MyRoom, Person, RoomView, changes};
use holdfast_domain::directory::{Directory, Named, RoomState};
use holdfast_domain::entry::{EntryBody, Put};
use holdfast_domain::limits::{ADD_IN_URL_CHARS, DESCRIPTION_CHARS, LIST_LEN};
use holdfast_domain::name::{Name, key};
use holdfast_domain::rights::{self, Action};
use holdfast_domain::room::{Invitations, Privacy, Role, RoleChange, Roles, Room, RoomType};
use holdfast_domain::{Category, CategoryId, PrincipalId, RoomId, text};
use holdfast_store::log::Draft;
use holdfast_store::personal::Invitation;
use holdfast_store::projections::Numbered;
use std::collections::{BTreeSet, HashMap, HashSet};

/// Rooms of one's own list at most.
const MY_ROOMS: usize = 5_000;

/// Which rooms are wanted; every part must hold.
#[derive(Clone, Debug, Default)]
pub struct RoomFilter {
    /// Exactly this name, in any case.
    pub name: Option<String>,
    /// A part of name or description.
    pub q: Option<String>,
    /// In this category.
    pub category: Option<CategoryId>,
    /// With this principal on its member list.
    pub member: Option<PrincipalId>,
    /// With this principal on its manager list.
    pub manager: Option<PrincipalId>,
    /// Of this privacy.
    pub privacy: Option<Privacy>,
    /// Of this type.
    pub room_type: Option<RoomType>,
    /// Disabled, or not.
    pub disabled: Option<bool>,
    /// After this one.
    pub after: Option<RoomId>,
    /// How many at most.
    pub limit: usize,
}

/// A room to be made.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "as in domain::Room and Roles")]
pub struct NewRoom {
    pub category: CategoryId,
    pub name: String,
    pub description: String,
    pub subject: String,
    pub room_type: RoomType,
    pub privacy: Privacy,
    pub invitations: Invitations,
    pub add_in_url: Option<String>,
    pub members: Vec<PrincipalId>,
    pub managers: Vec<PrincipalId>,
    pub presenters: Vec<PrincipalId>,
}

/// What is to change about a room; `None` leaves it.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs, reason = "as in domain::Room")]
pub struct RoomChange {
    pub name: Option<String>,
    pub description: Option<String>,
    pub subject: Option<String>,
    pub room_type: Option<RoomType>,
    pub privacy: Option<Privacy>,
    pub invitations: Option<Invitations>,
    pub add_in_url: Option<Option<String>>,
    pub disabled: Option<bool>,
    pub category: Option<CategoryId>,
}

/// A room's lists by name.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs, reason = "as in domain::room::Roles")]
pub struct RolesView {
    pub members: Vec<Person>,
    pub managers: Vec<Person>,
    pub presenters: Vec<Person>,
}

impl Chat {
    /// Rooms that match and that the caller may find, in the order of their numbers, and whether there are more.
    ///
    /// # Errors
    /// When the caller may not use chat.
    pub async fn rooms(&self, caller: &Caller, filter: RoomFilter) -> Result<(Vec<RoomView>, bool)> {
        caller.need(Scope::Read)?;
        let mut found: Vec<RoomState> = {
            let directory = self.directory();
            self.allow_chat(&directory, caller)?;
            let identities = directory.identities(caller.user);
            let q = filter.q.as_deref().map(key);
            let name = filter.name.as_deref().map(key);
            let lists = |list: &BTreeSet<PrincipalId>, wanted: Option<PrincipalId>| {
                wanted.is_none_or(|principal| list.contains(&principal))
            };
            directory
                .rooms()
                .filter(|s| filter.after.is_none_or(|after| s.room.id > after))
                .filter(|s| name.as_ref().is_none_or(|n| s.room.name.key() == *n))
                .filter(|s| filter.category.is_none_or(|c| s.room.category == c))
                .filter(|s| filter.privacy.is_none_or(|p| s.room.privacy == p))
                .filter(|s| filter.room_type.is_none_or(|t| s.room.room_type == t))
                .filter(|s| filter.disabled.is_none_or(|d| s.room.disabled == d))
                .filter(|s| lists(&s.roles.members, filter.member) && lists(&s.roles.managers, filter.manager))
                .filter(|s| {
                    q.as_ref().is_none_or(|q| s.room.name.key().contains(q) || key(&s.room.description).contains(q))
                })
                .filter(|s| may_find(&directory, &identities, caller.user, s))
                .take(filter.limit + 1)
                .cloned()
                .collect()
        };
        let more = found.len() > filter.limit;
        found.truncate(filter.limit);
        Ok((self.room_views(caller, found).await?, more))
    }

    /// The caller's own rooms: those he follows, and those that list him as member, manager or presenter.
    ///
    /// # Errors
    /// When the caller may not use chat.
    pub async fn my_rooms(&self, caller: &Caller) -> Result<Vec<RoomView>> {
        caller.need(Scope::Read)?;
        let followed = self.store().followed(caller.user).await?;
        let mine: Vec<RoomState> = {
            let directory = self.directory();
            self.allow_chat(&directory, caller)?;
            let identities = directory.identities(caller.user);
            let mut ids = directory.rooms_listing(caller.user);
            ids.extend(followed);
            ids.into_iter()
                .filter_map(|id| directory.room(id))
                .filter(|s| caller.is_operator() || may_find(&directory, &identities, caller.user, s))
                .take(MY_ROOMS)
                .cloned()
                .collect()
        };
        self.room_views(caller, mine).await
    }

    /// One room.
    ///
    /// # Errors
    /// When there is none that the caller may know of.
    pub async fn room(&self, caller: &Caller, id: RoomId) -> Result<RoomView> {
        let state = self.allow(caller, id, Action::Find)?;
        self.room_views(caller, vec![state]).await?.pop().ok_or(ChatError::Internal)
    }

    async fn room_views(&self, caller: &Caller, rooms: Vec<RoomState>) -> Result<Vec<RoomView>> {
        let ids: Vec<RoomId> = rooms.iter().map(|s| s.room.id).collect();
        let readings: HashMap<RoomId, _> =
            self.readings(caller.user, ids.clone()).await?.into_iter().map(|r| (r.room, r)).collect();
        let followed: HashSet<RoomId> = self.store().followed(caller.user).await?.into_iter().collect();
        let mut heads = HashMap::new();
        for id in &ids {
            heads.insert(*id, self.store().head(*id).await?);
        }
        let present: HashMap<RoomId, usize> = ids.iter().map(|id| (*id, self.hub().present(*id))).collect();
        let directory = self.directory();
        let identities = directory.identities(caller.user);
        let views = rooms.into_iter().filter_map(|state| {
            let id = state.room.id;
            let head = heads.get(&id)?;
            let standing = rights::standing_of(&directory, &identities, caller.user, &state);
            let may = |action| self.allow_in(&directory, caller, id, action).is_ok();
            let reading = readings.get(&id);
            let me = MyRoom {
                member: may(Action::Join),
                manager: standing.manager && (standing.admitted || standing.admin),
                presenter: standing.presenter && (standing.admitted || standing.admin),
                followed: followed.contains(&id),
                read: reading.map_or(holdfast_domain::Seq::ZERO, |r| r.read),
                unread: reading.map_or(0, |r| r.unread),
                mentions: reading.map_or(0, |r| r.mentions),
            };
            Some(RoomView {
                category: directory.category(state.room.category).map(|c| c.name.to_string()).unwrap_or_default(),
                head: head.seq,
                messages: head.messages,
                last_message_at: head.last_message_at,
                present: present.get(&id).copied().unwrap_or(0),
                me,
                can: Action::ALL.into_iter().filter(|a| may(*a)).collect(),
                room: state.room,
            })
        });
        Ok(views.collect())
    }

    /// Makes a room. Its creator becomes a manager and a member of it (M16; Lync leaves him to add himself).
    ///
    /// # Errors
    /// When the caller may not create rooms in the category, a field is not acceptable, the name is taken, or somebody named is not
    /// admitted by the category.
    pub async fn add_room(&self, caller: &Caller, new: NewRoom, mode: Mode) -> Result<Outcome<RoomView>> {
        caller.need(Scope::Manage)?;
        let turn = self.changing().await?;
        let (mut room, roles) = {
            let directory = self.directory();
            self.allow_chat(&directory, caller)?;
            let category = rights::may_create(&directory, caller.user, new.category)
                .map_err(|denied| ChatError::denied(denied, "this category"))?;
            let room = Room {
                id: RoomId(0),
                category: category.id,
                name: Name::parse("name", &new.name)?,
                description: text::line("description", &new.description, DESCRIPTION_CHARS)?,
                subject: text::line("subject", &new.subject, DESCRIPTION_CHARS)?,
                room_type: new.room_type,
                privacy: new.privacy,
                invitations: new.invitations,
                add_in_url: web_address(new.add_in_url.as_deref())?,
                address: None,
                disabled: false,
                created_at: self.now(),
            };
            check_name_free(&directory, &room.name, None)?;
            let mut roles = Roles {
                members: admitted(&directory, category, "members", &new.members)?,
                managers: admitted(&directory, category, "managers", &new.managers)?,
                presenters: admitted(&directory, category, "presenters", &new.presenters)?,
            };
            if !caller.is_operator() {
                roles.managers.insert(caller.user);
                if room.privacy != Privacy::Open {
                    roles.members.insert(caller.user);
                }
            }
            check_presenters(room.room_type, &roles)?;
            (room, roles)
        };
        if mode == Mode::WhatIf {
            return Ok(Outcome::Would(vec![format!("Room {} would be created", room.name)]));
        }
        room.id = RoomId(self.store().next_number(Numbered::Room).await?);
        if room.id > RoomId::MAX {
            return Err(ChatError::Conflict("the pool has as many rooms as it can number".into()));
        }
        let id = room.id;
        let changes: Vec<RoleChange> = Role::ALL
            .into_iter()
            .map(|role| RoleChange { role, added: roles.list(role).iter().copied().collect(), removed: Vec::new() })
            .filter(|c| !c.is_empty())
            .collect();
        let mut drafts = vec![turn.draft(id, caller.user, EntryBody::Room(Put::new(room)))];
        if !changes.is_empty() {
            drafts.push(turn.draft(id, caller.user, EntryBody::Roles(changes.clone())));
        }
        self.journal().write(drafts).await?;
        drop(turn);
        self.invite_listed(caller, id, &changes).await;
        self.room(caller, id).await.map(Outcome::Done)
    }

    /// Changes a room's settings. A new category is a move: whom it does not admit leaves the room's lists (M20). To take a room out of
    /// use needs a manager, to take it back into use an administrator (M18).
    ///
    /// # Errors
    /// When the caller may not, a field is not acceptable, or the name is taken.
    pub async fn change_room(
        &self,
        caller: &Caller,
        id: RoomId,
        change: RoomChange,
        mode: Mode,
    ) -> Result<Outcome<RoomView>> {
        let turn = self.changing().await?;
        let bodies = {
            let directory = self.directory();
            let before = self.allow_in(&directory, caller, id, Action::Find)?;
            let mut now = before.room.clone();
            let configures = change.name.is_some()
                || change.description.is_some()
                || change.subject.is_some()
                || change.room_type.is_some()
                || change.privacy.is_some()
                || change.invitations.is_some()
                || change.add_in_url.is_some();
            if configures {
                self.allow_in(&directory, caller, id, Action::Configure)?;
            }
            if let Some(name) = &change.name {
                now.name = Name::parse("name", name)?;
                // Its address stays, for those who know it.
                if now.address.is_none() && now.name.key() != before.room.name.key() {
                    now.address = Some(before.room.address());
                }
                check_name_free(&directory, &now.name, Some(Named::Room(id)))?;
            }
            if let Some(description) = &change.description {
                now.description = text::line("description", description, DESCRIPTION_CHARS)?;
            }
            if let Some(subject) = &change.subject {
                now.subject = text::line("subject", subject, DESCRIPTION_CHARS)?;
            }
            now.room_type = change.room_type.unwrap_or(now.room_type);
            now.privacy = change.privacy.unwrap_or(now.privacy);
            now.invitations = change.invitations.unwrap_or(now.invitations);
            if let Some(add_in_url) = &change.add_in_url {
                now.add_in_url = web_address(add_in_url.as_deref())?;
            }
            if let Some(disabled) = change.disabled
                && disabled != now.disabled
            {
                self.allow_in(&directory, caller, id, if disabled { Action::Disable } else { Action::Enable })?;
                now.disabled = disabled;
            }
            let mut bodies = Vec::new();
            if let Some(category) = change.category.filter(|c| *c != now.category) {
                self.allow_in(&directory, caller, id, Action::Move)?;
                let target = rights::may_create(&directory, caller.user, category)
                    .map_err(|denied| ChatError::denied(denied, "the category to move to"))?;
                now.category = target.id;
                let gone = not_admitted(&directory, target, &before.roles);
                if !gone.is_empty() {
                    bodies.push(EntryBody::Roles(gone));
                }
            }
            if let Some(put) = Put::change(&before.room, now) {
                bodies.insert(0, EntryBody::Room(put));
            }
            bodies
        };
        if bodies.is_empty() {
            drop(turn);
            return nothing(mode, self.room(caller, id).await?);
        }
        if mode == Mode::WhatIf {
            let directory = self.directory();
            return Ok(Outcome::Would(bodies.iter().flat_map(|b| changes(&directory, b)).collect()));
        }
        let drafts: Vec<Draft> = bodies.into_iter().map(|body| turn.draft(id, caller.user, body)).collect();
        self.journal().write(drafts).await?;
        drop(turn);
        // Somebody who moves a room out of his own reach, or disables one he does not manage, cannot be shown it any more.
        match self.room(caller, id).await {
            Ok(view) => Ok(Outcome::Done(view)),
            Err(ChatError::Unknown(_)) => self.room(&Caller::operator(), id).await.map(Outcome::Done),
            Err(other) => Err(other),
        }
    }

    /// Deletes a room with everything in it, for good (M19). The end of its log stays in the pool's.
    ///
    /// # Errors
    /// When the caller is no administrator.
    pub async fn delete_room(&self, caller: &Caller, id: RoomId, mode: Mode) -> Result<Outcome<()>> {
        let turn = self.changing().await?;
        let state = self.allow(caller, id, Action::Delete)?;
        let head = self.store().head(id).await?;
        let name = state.room.name.to_string();
        let body = EntryBody::RoomDeleted { id, name, last_seq: head.seq, last_hash: head.hash };
        if mode == Mode::WhatIf {
            return Ok(Outcome::Would(vec![format!(
                "Room {} would be deleted with its {} entries, of which {} are messages",
                state.room.name, head.seq, head.messages
            )]));
        }
        self.write(turn.draft(RoomId::POOL, caller.user, body)).await?;
        Ok(Outcome::Done(()))
    }

    /// A room's lists.
    ///
    /// # Errors
    /// When the caller may not see its people.
    pub async fn roles(&self, caller: &Caller, id: RoomId) -> Result<RolesView> {
        let directory = self.directory();
        let state = self.allow_in(&directory, caller, id, Action::SeePeople)?;
        Ok(RolesView {
            members: Person::list(&directory, &state.roles.members),
            managers: Person::list(&directory, &state.roles.managers),
            presenters: Person::list(&directory, &state.roles.presenters),
        })
    }

    /// Changes a room's lists. People who come in are told, if invitations are on (M30); who loses membership is put out (M33).
    ///
    /// # Errors
    /// When the caller may not, or somebody named is unknown or not admitted by the category.
    pub async fn change_roles(
        &self,
        caller: &Caller,
        id: RoomId,
        changes: Vec<RoleChange>,
        mode: Mode,
    ) -> Result<Outcome<RolesView>> {
        let turn = self.changing().await?;
        let effective: Vec<RoleChange> = {
            let directory = self.directory();
            let state = self.allow_in(&directory, caller, id, Action::ChangeRoles)?;
            let category = directory.category(state.room.category).ok_or(ChatError::Internal)?;
            let mut roles = state.roles.clone();
            let mut effective = Vec::new();
            for change in changes {
                let field = role_field(change.role);
                let wanted = admitted(&directory, category, &format!("{field}.add"), &change.added)?;
                let list = roles.list(change.role);
                let change = RoleChange {
                    role: change.role,
                    added: wanted.into_iter().filter(|p| !list.contains(p)).collect(),
                    removed: change.removed.into_iter().filter(|p| list.contains(p)).collect(),
                };
                roles.apply(&change);
                if roles.list(change.role).len() > LIST_LEN {
                    let why = format!("the list would have more than {LIST_LEN} names; use a group");
                    return Err(ChatError::invalid(format!("{field}.add"), why));
                }
                if !change.is_empty() {
                    effective.push(change);
                }
            }
            check_presenters(state.room.room_type, &roles)?;
            effective
        };
        if effective.is_empty() {
            drop(turn);
            return nothing(mode, self.roles(caller, id).await?);
        }
        let body = EntryBody::Roles(effective.clone());
        if mode == Mode::WhatIf {
            return Ok(Outcome::Would(crate::view::changes(&self.directory(), &body)));
        }
        self.write(turn.draft(id, caller.user, body)).await?;
        drop(turn);
        self.invite_listed(caller, id, &effective).await;
        match self.roles(caller, id).await {
            Ok(view) => Ok(Outcome::Done(view)),
            Err(ChatError::Unknown(_)) => self.roles(&Caller::operator(), id).await.map(Outcome::Done),
            Err(other) => Err(other),
        }
    }

    /// Who could be put on a room's lists and whose name contains `q`.
    ///
    /// # Errors
    /// When the caller may not change the room's lists.
    pub async fn eligible(&self, caller: &Caller, id: RoomId, q: &str, limit: usize) -> Result<Vec<Person>> {
        let category = {
            let directory = self.directory();
            let state = self.allow_in(&directory, caller, id, Action::ChangeRoles)?;
            directory.category(state.room.category).cloned().ok_or(ChatError::Internal)?
        };
        let mut found = self.principals(caller, q, None, LIST_LEN).await?;
        let directory = self.directory();
        found.retain(|p| rights::admits(&directory, &category, p.id));
        found.truncate(limit);
        Ok(found)
    }

    /// Who is in a room now.
    ///
    /// # Errors
    /// When the caller may not see its people.
    pub async fn roster(&self, caller: &Caller, id: RoomId) -> Result<Roster> {
        self.allow(caller, id, Action::SeePeople)?;
        Ok(self.hub().roster(id))
    }

    /// Keeps invitations for those who were put on the member list by name, and tells them. Groups are not taken apart: an invitation for
    /// each member of a large group is what made rooms expensive in Lync (M32).
    async fn invite_listed(&self, caller: &Caller, id: RoomId, changes: &[RoleChange]) {
        let now = self.now();
        let (invited, room_name, by) = {
            let directory = self.directory();
            let Some(state) = directory.room(id) else { return };
            let invites = state.room.invitations == Invitations::Inherit
                && directory.category(state.room.category).is_some_and(|c| c.invitations);
            let added = changes.iter().filter(|c| c.role == Role::Member).flat_map(|c| &c.added).copied();
            let invited: Vec<Invitation> = added
                .filter(|p| invites && *p != caller.user && directory.user(*p).is_some())
                .map(|user| Invitation { id: 0, user, room: id, by: caller.user, at: now, seen: false })
                .collect();
            (invited, state.room.name.to_string(), Person::of(&directory, caller.user))
        };
        if invited.is_empty() {
            return;
        }
        let invited = match self.store().invite(invited).await {
            Ok(invited) => invited,
            Err(error) => {
                // The lists are changed and durable; the notice is a courtesy.
                tracing::warn!(room = %id, %error, "cannot keep invitations");
                Vec::new()
            }
        };
        for invitation in invited {
            let user = invitation.user;
            self.signal(Signal::invited(&invitation));
            let event = Event::Invited { invitation, room_name: room_name.clone(), by: by.clone() };
            self.hub().tell_user(user, event);
        }
    }
}

fn may_find(directory: &Directory, identities: &HashSet<PrincipalId>, user: PrincipalId, state: &RoomState) -> bool {
    let standing = rights::standing_of(directory, identities, user, state);
    rights::decide(standing, rights::terms(directory, state), Action::Find).is_ok()
}

fn web_address(url: Option<&str>) -> Result<Option<String>> {
    match url.map(str::trim).filter(|url| !url.is_empty()) {
        Some(url) => Ok(Some(text::web_address("add_in_url", url, ADD_IN_URL_CHARS)?)),
        None => Ok(None),
    }
}

/// The principals of a list, all of them known and admitted by the category (M8).
fn admitted(
    directory: &Directory,
    category: &Category,
    field: &str,
    ids: &[PrincipalId],
) -> Result<BTreeSet<PrincipalId>> {
    let known = known_principals(directory, field, ids)?;
    for (i, id) in ids.iter().enumerate() {
        if !rights::admits(directory, category, *id) {
            let who = Person::of(directory, *id).name;
            let why = format!("{who} is not admitted by the category {}", category.name);
            return Err(ChatError::invalid(format!("{field}[{i}]"), why));
        }
    }
    Ok(known)
}

/// Presenters mean something in an auditorium only (M25).
fn check_presenters(room_type: RoomType, roles: &Roles) -> Result<()> {
    if room_type == RoomType::Normal && !roles.presenters.is_empty() {
        return Err(ChatError::invalid("presenters", "only an auditorium has presenters"));
    }
    Ok(())
}

/// Who has to leave a room's lists because the category it moves to does not admit him (M20).
fn not_admitted(directory: &Directory, target: &Category, roles: &Roles) -> Vec<RoleChange> {
    Role::ALL
        .into_iter()
        .map(|role| {
            let removed =
                roles.list(role).iter().filter(|p| !rights::admits(directory, target, **p)).copied().collect();
            RoleChange { role, added: Vec::new(), removed }
        })
        .filter(|c| !c.is_empty())
        .collect()
}

fn role_field(role: Role) -> &'static str {
    match role {
        Role::Member => "members",
        Role::Manager => "managers",
        Role::Presenter => "presenters",
    }
}
