//! People, bots and groups: finding them, and administrators' changes of them.

use crate::accounts::scram;
use crate::caller::{Caller, Means, Scope};
use crate::change::{Mode, Outcome};
use crate::error::{ChatError, Result};
use crate::preferences::Preferences;
use crate::service::Chat;
use crate::view::{EntryView, Person, changes};
use holdfast_domain::directory::Directory;
use holdfast_domain::entry::{EntryBody, Put};
use holdfast_domain::limits::LIST_LEN;
use holdfast_domain::name::{DisplayName, Login, key};
use holdfast_domain::principal::{Group, User, UserKind};
use holdfast_domain::{PrincipalId, RoomId, Seq, Time, rights};
use holdfast_store::log::From;
use holdfast_store::projections::Numbered;
use std::collections::BTreeSet;

/// Somebody as he sees himself.
#[derive(Clone, Debug)]
pub struct Me {
    /// His name and number.
    pub person: Person,
    /// Whether he is an administrator.
    pub admin: bool,
    /// Whether policy lets him use chat.
    pub may_chat: bool,
    /// Whether some category lets him create rooms.
    pub may_create_rooms: bool,
    /// His choices.
    pub preferences: Preferences,
    /// What this sign-in or token is for.
    pub scopes: Vec<Scope>,
    /// Whether this is a sign-in that can be ended.
    pub can_sign_out: bool,
}

/// A user as administrators see it.
#[derive(Clone, Debug)]
pub struct UserView {
    /// The user.
    pub user: User,
    /// As others see it.
    pub person: Person,
    /// When it last signed in.
    pub last_seen_at: Option<Time>,
    /// Until when it is locked out.
    pub locked_until: Option<Time>,
}

/// Which users are wanted; every part must hold.
#[derive(Clone, Debug, Default)]
pub struct UserFilter {
    /// Exactly this name, in any case.
    pub name: Option<String>,
    /// A part of the name or displayed name.
    pub q: Option<String>,
    /// Of this kind.
    pub kind: Option<UserKind>,
    /// Disabled, or not.
    pub disabled: Option<bool>,
    /// After this one.
    pub after: Option<PrincipalId>,
    /// How many at most.
    pub limit: usize,
}

/// A user to be made.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// Sign-in name.
    pub name: String,
    /// Displayed name; the sign-in name if not given.
    pub display_name: Option<String>,
    /// Password; a person without one cannot sign in until an administrator sets one.
    pub password: Option<String>,
    /// Administrator?
    pub admin: bool,
    /// Person or bot.
    pub kind: UserKind,
    /// May chat, may not, or as groups and pool say.
    pub may_chat: Option<bool>,
}

/// What is to change about a user; `None` leaves it.
#[derive(Clone, Debug, Default)]
pub struct UserChange {
    /// Sign-in name.
    pub name: Option<String>,
    /// Displayed name.
    pub display_name: Option<String>,
    /// Administrator?
    pub admin: Option<bool>,
    /// Disabled?
    pub disabled: Option<bool>,
    /// May chat, may not, or as groups and pool say.
    pub may_chat: Option<Option<bool>>,
}

/// A group as administrators see it.
#[derive(Clone, Debug)]
pub struct GroupView {
    /// The group.
    pub group: Group,
    /// As others see it.
    pub person: Person,
    /// Who is in it.
    pub members: Vec<Person>,
}

/// A group to be made.
#[derive(Clone, Debug, Default)]
pub struct NewGroup {
    /// Its unique name.
    pub name: String,
    /// Displayed name; the name if not given.
    pub display_name: Option<String>,
    /// Who is in it.
    pub members: Vec<PrincipalId>,
}

/// What is to change about a group; `None` leaves it.
#[derive(Clone, Debug, Default)]
pub struct GroupChange {
    /// Its unique name.
    pub name: Option<String>,
    /// Displayed name.
    pub display_name: Option<String>,
    /// Whether its members may chat.
    pub may_chat: Option<Option<bool>>,
    /// Who comes in.
    pub add: Vec<PrincipalId>,
    /// Who goes out.
    pub remove: Vec<PrincipalId>,
}

impl Chat {
    /// The caller himself.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn me(&self, caller: &Caller) -> Result<Me> {
        let preferences = self.preferences(caller).await?;
        let directory = self.directory();
        let may_create = |c: &holdfast_domain::Category| rights::may_create(&directory, caller.user, c.id).is_ok();
        Ok(Me {
            person: Person::of(&directory, caller.user),
            admin: rights::is_admin(&directory, caller.user),
            may_chat: self.allow_chat(&directory, caller).is_ok(),
            may_create_rooms: directory.categories().any(may_create),
            preferences,
            scopes: caller.scopes.clone(),
            can_sign_out: matches!(caller.by, Means::SignIn(_)),
        })
    }

    /// Changes the caller's displayed name.
    ///
    /// # Errors
    /// When it is not acceptable.
    pub async fn rename_me(&self, caller: &Caller, display_name: &str) -> Result<Me> {
        caller.need(Scope::Post)?;
        let change = UserChange { display_name: Some(display_name.to_owned()), ..UserChange::default() };
        self.put_user_change(caller, caller.user, change, Mode::Do).await?;
        self.me(caller).await
    }

    /// Users that match, in the order of their numbers, and whether there are more.
    ///
    /// # Errors
    /// When the caller is no administrator.
    pub async fn users(&self, caller: &Caller, filter: UserFilter) -> Result<(Vec<UserView>, bool)> {
        self.allow_admin(caller)?;
        let mut users: Vec<User> = {
            let directory = self.directory();
            let q = filter.q.as_deref().map(key);
            let name = filter.name.as_deref().map(key);
            directory
                .users()
                .filter(|u| filter.after.is_none_or(|after| u.id > after))
                .filter(|u| name.as_ref().is_none_or(|n| u.name.key() == *n))
                .filter(|u| filter.kind.is_none_or(|k| u.kind == k))
                .filter(|u| filter.disabled.is_none_or(|d| u.disabled == d))
                .filter(|u| q.as_ref().is_none_or(|q| u.name.key().contains(q) || u.display_name.key().contains(q)))
                .take(filter.limit + 1)
                .cloned()
                .collect()
        };
        let more = users.len() > filter.limit;
        users.truncate(filter.limit);
        let mut views = Vec::with_capacity(users.len());
        for user in users {
            views.push(self.user_view(user).await?);
        }
        Ok((views, more))
    }

    /// One user.
    ///
    /// # Errors
    /// When the caller is no administrator, or there is no such user.
    pub async fn user(&self, caller: &Caller, id: PrincipalId) -> Result<UserView> {
        self.allow_admin(caller)?;
        let user = self.directory().user(id).cloned().ok_or(ChatError::Unknown("this user"))?;
        self.user_view(user).await
    }

    /// Makes a user.
    ///
    /// # Errors
    /// When the caller is no administrator, a field is not acceptable, or the name is taken.
    pub async fn add_user(&self, caller: &Caller, new: NewUser, mode: Mode) -> Result<Outcome<UserView>> {
        self.allow_admin(caller)?;
        let name = Login::parse("name", &new.name)?;
        let display_name = DisplayName::parse("display_name", new.display_name.as_deref().unwrap_or(&new.name))?;
        match (new.kind, &new.password) {
            (UserKind::Person, Some(password)) => scram::check_new("password", password)?,
            (UserKind::Bot, Some(_)) => return Err(ChatError::invalid("password", "a bot has none; give it a token")),
            (UserKind::Imported, _) => return Err(ChatError::invalid("kind", "imported users come from imports only")),
            _ => {}
        }
        let turn = self.changing().await?;
        check_login_free(&self.directory(), &name, None)?;
        if mode == Mode::WhatIf {
            return Ok(Outcome::Would(vec![format!("User {name} would be created")]));
        }
        let user = User {
            id: PrincipalId(self.store().next_number(Numbered::Principal).await?),
            name,
            display_name,
            kind: new.kind,
            admin: new.admin,
            disabled: false,
            may_chat: new.may_chat,
            created_at: self.now(),
        };
        // The password first: a user who is there but cannot sign in would be worse than keys without a user.
        if let Some(password) = &new.password {
            self.put_password(user.id, password).await?;
        }
        self.write(turn.draft(RoomId::POOL, caller.user, EntryBody::User(Put::new(user.clone())))).await?;
        Ok(Outcome::Done(self.user_view(user).await?))
    }

    /// Changes a user. Users are disabled, never deleted, because the records name them.
    ///
    /// # Errors
    /// When the caller is no administrator, a field is not acceptable, the name is taken, or the pool would be left without
    /// an administrator.
    pub async fn change_user(
        &self,
        caller: &Caller,
        id: PrincipalId,
        change: UserChange,
        mode: Mode,
    ) -> Result<Outcome<UserView>> {
        self.allow_admin(caller)?;
        self.put_user_change(caller, id, change, mode).await
    }

    async fn put_user_change(
        &self,
        caller: &Caller,
        id: PrincipalId,
        change: UserChange,
        mode: Mode,
    ) -> Result<Outcome<UserView>> {
        let turn = self.changing().await?;
        let (before, put) = {
            let directory = self.directory();
            let before = directory.user(id).cloned().ok_or(ChatError::Unknown("this user"))?;
            let mut now = before.clone();
            if let Some(name) = &change.name {
                now.name = Login::parse("name", name)?;
                check_login_free(&directory, &now.name, Some(id))?;
            }
            if let Some(display_name) = &change.display_name {
                now.display_name = DisplayName::parse("display_name", display_name)?;
            }
            now.admin = change.admin.unwrap_or(now.admin);
            now.disabled = change.disabled.unwrap_or(now.disabled);
            now.may_chat = change.may_chat.unwrap_or(now.may_chat);
            if now.kind == UserKind::Imported && now.admin {
                return Err(ChatError::invalid(
                    "admin",
                    "an imported author cannot sign in, so cannot be an administrator",
                ));
            }
            let loses_admin = before.admin && !before.disabled && (!now.admin || now.disabled);
            if loses_admin && !directory.users().any(|u| u.admin && !u.disabled && u.id != id) {
                return Err(ChatError::Conflict(
                    "this is the last administrator; make somebody else an administrator first".into(),
                ));
            }
            (before.clone(), Put::change(&before, now))
        };
        let Some(put) = put else {
            return nothing(mode, self.user_view(before).await?);
        };
        let user = put.now.clone();
        let body = EntryBody::User(put);
        if mode == Mode::WhatIf {
            return Ok(Outcome::Would(changes(&self.directory(), &body)));
        }
        self.write(turn.draft(RoomId::POOL, caller.user, body)).await?;
        if user.disabled {
            self.store().end_sign_ins(id, None).await?;
        }
        Ok(Outcome::Done(self.user_view(user).await?))
    }

    async fn user_view(&self, user: User) -> Result<UserView> {
        let credentials = self.store().credentials(user.id).await?;
        let person = Person::of(&self.directory(), user.id);
        let now = self.now();
        Ok(UserView {
            user,
            person,
            last_seen_at: credentials.last_seen_at,
            locked_until: credentials.locked_until.filter(|until| *until > now),
        })
    }

    /// All groups.
    ///
    /// # Errors
    /// When the caller is no administrator.
    pub async fn groups(&self, caller: &Caller) -> Result<Vec<GroupView>> {
        self.allow_admin(caller)?;
        let directory = self.directory();
        Ok(directory.groups().map(|g| group_view(&directory, g)).collect())
    }

    /// One group.
    ///
    /// # Errors
    /// When the caller is no administrator, or there is no such group.
    pub async fn group(&self, caller: &Caller, id: PrincipalId) -> Result<GroupView> {
        self.allow_admin(caller)?;
        let directory = self.directory();
        directory.group(id).map(|g| group_view(&directory, g)).ok_or(ChatError::Unknown("this group"))
    }

    /// Makes a group.
    ///
    /// # Errors
    /// When the caller is no administrator, a field is not acceptable, or the name is taken.
    pub async fn add_group(&self, caller: &Caller, new: NewGroup, mode: Mode) -> Result<Outcome<GroupView>> {
        self.allow_admin(caller)?;
        let name = Login::parse("name", &new.name)?;
        let display_name = DisplayName::parse("display_name", new.display_name.as_deref().unwrap_or(&new.name))?;
        let turn = self.changing().await?;
        let members = {
            let directory = self.directory();
            check_login_free(&directory, &name, None)?;
            known_principals(&directory, "members", &new.members)?
        };
        if mode == Mode::WhatIf {
            return Ok(Outcome::Would(vec![format!("Group {name} would be created with {} members", members.len())]));
        }
        let id = PrincipalId(self.store().next_number(Numbered::Principal).await?);
        let group = Group { id, name, display_name, members, may_chat: None, created_at: self.now() };
        self.write(turn.draft(RoomId::POOL, caller.user, EntryBody::Group(Put::new(group)))).await?;
        self.group(caller, id).await.map(Outcome::Done)
    }

    /// Changes a group.
    ///
    /// # Errors
    /// When the caller is no administrator, a field is not acceptable, or the name is taken.
    pub async fn change_group(
        &self,
        caller: &Caller,
        id: PrincipalId,
        change: GroupChange,
        mode: Mode,
    ) -> Result<Outcome<GroupView>> {
        self.allow_admin(caller)?;
        let turn = self.changing().await?;
        let put = {
            let directory = self.directory();
            let before = directory.group(id).cloned().ok_or(ChatError::Unknown("this group"))?;
            let mut now = before.clone();
            if let Some(name) = &change.name {
                if id == PrincipalId::EVERYONE {
                    return Err(ChatError::invalid("name", "the group of everyone keeps its name"));
                }
                now.name = Login::parse("name", name)?;
                check_login_free(&directory, &now.name, Some(id))?;
            }
            if let Some(display_name) = &change.display_name {
                now.display_name = DisplayName::parse("display_name", display_name)?;
            }
            now.may_chat = change.may_chat.unwrap_or(now.may_chat);
            let added = known_principals(&directory, "members.add", &change.add)?;
            if id == PrincipalId::EVERYONE && !added.is_empty() {
                return Err(ChatError::invalid("members.add", "everybody is in this group already"));
            }
            if added.contains(&id) {
                return Err(ChatError::invalid("members.add", "a group cannot be a member of itself"));
            }
            now.members.retain(|m| !change.remove.contains(m));
            now.members.extend(added);
            if now.members.len() > LIST_LEN {
                return Err(ChatError::invalid("members.add", format!("a group has at most {LIST_LEN} members")));
            }
            Put::change(&before, now)
        };
        let Some(put) = put else {
            drop(turn);
            return nothing(mode, self.group(caller, id).await?);
        };
        let body = EntryBody::Group(put);
        if mode == Mode::WhatIf {
            return Ok(Outcome::Would(changes(&self.directory(), &body)));
        }
        self.write(turn.draft(RoomId::POOL, caller.user, body)).await?;
        self.group(caller, id).await.map(Outcome::Done)
    }

    /// Deletes a group that stands in no list.
    ///
    /// # Errors
    /// When the caller is no administrator, or the group is in use: says where.
    pub async fn delete_group(&self, caller: &Caller, id: PrincipalId, mode: Mode) -> Result<Outcome<()>> {
        self.allow_admin(caller)?;
        let turn = self.changing().await?;
        let body = {
            let directory = self.directory();
            let group = directory.group(id).ok_or(ChatError::Unknown("this group"))?;
            if id == PrincipalId::EVERYONE {
                return Err(ChatError::Conflict("the group of everyone is built in".into()));
            }
            let uses = directory.uses_of(id, 3);
            if !uses.is_empty() {
                return Err(ChatError::Conflict(format!(
                    "the group is in use ({}); take it out of there first",
                    uses.join(", ")
                )));
            }
            EntryBody::GroupDeleted { id, name: group.name.to_string() }
        };
        if mode == Mode::WhatIf {
            return Ok(Outcome::Would(changes(&self.directory(), &body)));
        }
        self.write(turn.draft(RoomId::POOL, caller.user, body)).await?;
        Ok(Outcome::Done(()))
    }

    /// Users and groups whose name begins with or contains `q`: for completing what somebody types. Those whose name begins with it
    /// come first. `kind`: `user` (people and bots), `person`, `bot` or `group`.
    ///
    /// # Errors
    /// When the caller may not use chat.
    pub async fn principals(&self, caller: &Caller, q: &str, kind: Option<&str>, limit: usize) -> Result<Vec<Person>> {
        caller.need(Scope::Read)?;
        let directory = self.directory();
        self.allow_chat(&directory, caller)?;
        let q = key(q);
        let wanted = |p: &Person| match kind {
            None => p.kind != "imported",
            Some("user") => matches!(p.kind, "person" | "bot"),
            Some(kind) => p.kind == kind,
        };
        let users = directory.users().filter(|u| !u.disabled).map(|u| (u.name.key(), u.display_name.key(), u.id));
        let groups = directory.groups().map(|g| (g.name.key(), g.display_name.key(), g.id));
        let mut found: Vec<(bool, String, Person)> = users
            .chain(groups)
            .filter(|(name, shown, _)| name.contains(&q) || shown.contains(&q))
            .map(|(name, shown, id)| {
                (!(name.starts_with(&q) || shown.starts_with(&q)), shown, Person::of(&directory, id))
            })
            .filter(|(_, _, p)| wanted(p))
            .collect();
        found.sort_by(|a, b| (a.0, &a.1, a.2.id).cmp(&(b.0, &b.1, b.2.id)));
        Ok(found.into_iter().take(limit).map(|(_, _, p)| p).collect())
    }

    /// Administrators' acts, newest first, and whether there are older ones.
    ///
    /// # Errors
    /// When the caller is no administrator.
    pub async fn audit(&self, caller: &Caller, before: Option<Seq>, limit: usize) -> Result<(Vec<EntryView>, bool)> {
        self.allow_admin(caller)?;
        let page = self.store().page(RoomId::POOL, before.map_or(From::Latest, From::Before), limit).await?;
        let directory = self.directory();
        let entries = page.rows.into_iter().rev().map(|row| EntryView::of(&directory, row)).collect();
        Ok((entries, page.more_before))
    }
}

/// The answer where nothing would change.
pub(crate) fn nothing<T>(mode: Mode, now: T) -> Result<Outcome<T>> {
    Ok(match mode {
        Mode::Do => Outcome::Done(now),
        Mode::WhatIf => Outcome::Would(Vec::new()),
    })
}

/// The principals of a list, all of them known.
pub(crate) fn known_principals(
    directory: &Directory,
    field: &str,
    ids: &[PrincipalId],
) -> Result<BTreeSet<PrincipalId>> {
    if ids.len() > LIST_LEN {
        return Err(ChatError::invalid(
            field,
            format!("names {} principals; at most {LIST_LEN} are allowed", ids.len()),
        ));
    }
    for (i, id) in ids.iter().enumerate() {
        if directory.principal(*id).is_none() {
            return Err(ChatError::invalid(format!("{field}[{i}]"), format!("there is no user or group {id}")));
        }
    }
    Ok(ids.iter().copied().collect())
}

fn check_login_free(directory: &Directory, name: &Login, own: Option<PrincipalId>) -> Result<()> {
    match directory.principal_named(name.as_str()) {
        Some(other) if Some(other.id()) != own => {
            Err(ChatError::Conflict(format!("the name {name} is taken; choose another")))
        }
        _ => Ok(()),
    }
}

fn group_view(directory: &Directory, group: &Group) -> GroupView {
    GroupView {
        group: group.clone(),
        person: Person::of(directory, group.id),
        members: Person::list(directory, &group.members),
    }
}
