//! Categories: seeing them, and administrators' changes of them (M1-M11).

use crate::caller::{Caller, Scope};
use crate::change::{Mode, Outcome};
use crate::error::{ChatError, Result};
use crate::people::{known_principals, nothing};
use crate::service::Chat;
use crate::view::{Person, changes};
use holdfast_domain::directory::{Directory, Named};
use holdfast_domain::entry::{EntryBody, Put};
use holdfast_domain::limits::DESCRIPTION_CHARS;
use holdfast_domain::name::Name;
use holdfast_domain::rights;
use holdfast_domain::{Category, CategoryId, PrincipalId, RoomId, text};
use holdfast_store::projections::Numbered;

/// A category as somebody sees it.
#[derive(Clone, Debug)]
pub struct CategoryView {
    /// The category.
    pub category: Category,
    /// How many rooms in it the viewer may find.
    pub rooms: usize,
    /// Who is allowed, by name.
    pub allowed: Vec<Person>,
    /// Who is denied, by name.
    pub denied: Vec<Person>,
    /// Who creates rooms, by name.
    pub creators: Vec<Person>,
    /// Whether the viewer may see these lists.
    pub detailed: bool,
    /// What the viewer may do.
    pub can: Vec<CategoryAction>,
}

/// What somebody may do with a category.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CategoryAction {
    /// Change it.
    Edit,
    /// Delete it, being empty.
    Delete,
    /// Create a room in it.
    CreateRoom,
}

/// A category to be made.
#[derive(Clone, Debug)]
pub struct NewCategory {
    /// Its name.
    pub name: String,
    /// One line.
    pub description: String,
    /// Who may get in.
    pub allowed: Vec<PrincipalId>,
    /// Who may not, whatever allows them.
    pub denied: Vec<PrincipalId>,
    /// Who creates rooms.
    pub creators: Vec<PrincipalId>,
    /// Whether people added to a room are told.
    pub invitations: bool,
    /// Whether files may be uploaded.
    pub file_upload: bool,
    /// Whether readers may read what was said before.
    pub history: bool,
}

/// What is to change about a category; `None` leaves it.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs, reason = "as in NewCategory")]
pub struct CategoryChange {
    pub name: Option<String>,
    pub description: Option<String>,
    pub allowed: Option<Vec<PrincipalId>>,
    pub denied: Option<Vec<PrincipalId>>,
    pub creators: Option<Vec<PrincipalId>>,
    pub invitations: Option<bool>,
    pub file_upload: Option<bool>,
    pub history: Option<bool>,
}

impl Chat {
    /// The categories that the caller may know of: those that admit him, all for administrators.
    ///
    /// # Errors
    /// When the caller may not use chat.
    pub async fn categories(&self, caller: &Caller) -> Result<Vec<CategoryView>> {
        caller.need(Scope::Read)?;
        let directory = self.directory();
        self.allow_chat(&directory, caller)?;
        Ok(directory.categories().filter_map(|c| view(&directory, caller, c)).collect())
    }

    /// One category.
    ///
    /// # Errors
    /// When there is none that the caller may know of.
    pub async fn category(&self, caller: &Caller, id: CategoryId) -> Result<CategoryView> {
        caller.need(Scope::Read)?;
        let directory = self.directory();
        self.allow_chat(&directory, caller)?;
        directory.category(id).and_then(|c| view(&directory, caller, c)).ok_or(ChatError::Unknown("this category"))
    }

    /// Makes a category.
    ///
    /// # Errors
    /// When the caller is no administrator, a field is not acceptable, or the name is taken.
    pub async fn add_category(&self, caller: &Caller, new: NewCategory, mode: Mode) -> Result<Outcome<CategoryView>> {
        self.allow_admin(caller)?;
        let name = Name::parse("name", &new.name)?;
        let description = text::line("description", &new.description, DESCRIPTION_CHARS)?;
        let turn = self.changing().await?;
        let mut category = {
            let directory = self.directory();
            check_name_free(&directory, &name, None)?;
            Category {
                id: CategoryId(0),
                name,
                description,
                allowed: known_principals(&directory, "allowed", &new.allowed)?,
                denied: known_principals(&directory, "denied", &new.denied)?,
                creators: known_principals(&directory, "creators", &new.creators)?,
                invitations: new.invitations,
                file_upload: new.file_upload,
                history: new.history,
            }
        };
        check_creators(&self.directory(), &category)?;
        if mode == Mode::WhatIf {
            return Ok(Outcome::Would(vec![format!("Category {} would be created", category.name)]));
        }
        category.id = CategoryId(self.store().next_number(Numbered::Category).await?);
        let id = category.id;
        self.write(turn.draft(RoomId::POOL, caller.user, EntryBody::Category(Put::new(category)))).await?;
        drop(turn);
        self.category(caller, id).await.map(Outcome::Done)
    }

    /// Changes a category. Whom it no longer admits loses access to its rooms at once; the rooms' lists stay as they are, so that admitting
    /// them again gives back what they had.
    ///
    /// # Errors
    /// When the caller is no administrator, a field is not acceptable, or the name is taken.
    pub async fn change_category(
        &self,
        caller: &Caller,
        id: CategoryId,
        change: CategoryChange,
        mode: Mode,
    ) -> Result<Outcome<CategoryView>> {
        self.allow_admin(caller)?;
        let turn = self.changing().await?;
        let put = {
            let directory = self.directory();
            let before = directory.category(id).cloned().ok_or(ChatError::Unknown("this category"))?;
            let mut now = before.clone();
            if let Some(name) = &change.name {
                now.name = Name::parse("name", name)?;
                check_name_free(&directory, &now.name, Some(Named::Category(id)))?;
            }
            if let Some(description) = &change.description {
                now.description = text::line("description", description, DESCRIPTION_CHARS)?;
            }
            if let Some(list) = &change.allowed {
                now.allowed = known_principals(&directory, "allowed", list)?;
            }
            if let Some(list) = &change.denied {
                now.denied = known_principals(&directory, "denied", list)?;
            }
            if let Some(list) = &change.creators {
                now.creators = known_principals(&directory, "creators", list)?;
            }
            now.invitations = change.invitations.unwrap_or(now.invitations);
            now.file_upload = change.file_upload.unwrap_or(now.file_upload);
            now.history = change.history.unwrap_or(now.history);
            if change.creators.is_some() {
                check_creators(&directory, &now)?;
            }
            Put::change(&before, now)
        };
        let Some(put) = put else {
            drop(turn);
            return nothing(mode, self.category(caller, id).await?);
        };
        let body = EntryBody::Category(put);
        if mode == Mode::WhatIf {
            return Ok(Outcome::Would(changes(&self.directory(), &body)));
        }
        self.write(turn.draft(RoomId::POOL, caller.user, body)).await?;
        drop(turn);
        self.category(caller, id).await.map(Outcome::Done)
    }

    /// Deletes a category that has no rooms (M3).
    ///
    /// # Errors
    /// When the caller is no administrator, or there are rooms in it.
    pub async fn delete_category(&self, caller: &Caller, id: CategoryId, mode: Mode) -> Result<Outcome<()>> {
        self.allow_admin(caller)?;
        let turn = self.changing().await?;
        let body = {
            let directory = self.directory();
            let category = directory.category(id).ok_or(ChatError::Unknown("this category"))?;
            let rooms = directory.rooms_in(id).count();
            if rooms > 0 {
                return Err(ChatError::Conflict(format!("the category has {rooms} rooms; move or delete them first")));
            }
            EntryBody::CategoryDeleted { id, name: category.name.to_string() }
        };
        if mode == Mode::WhatIf {
            return Ok(Outcome::Would(changes(&self.directory(), &body)));
        }
        self.write(turn.draft(RoomId::POOL, caller.user, body)).await?;
        Ok(Outcome::Done(()))
    }

    /// Whether a name could be given to a room or category: `None`, or why not. Only for those who could give it.
    ///
    /// # Errors
    /// When the caller may neither create rooms nor administer.
    pub fn name_is_free(&self, caller: &Caller, name: &str) -> Result<Option<String>> {
        caller.need(Scope::Read)?;
        let directory = self.directory();
        self.allow_chat(&directory, caller)?;
        let name = match Name::parse("name", name) {
            Ok(name) => name,
            Err(invalid) => return Ok(Some(invalid.why)),
        };
        Ok(directory.named(&name).map(|_| "is taken by another room or category".into()))
    }
}

/// Demands that no room or category but `own` has `name` (M12).
pub(crate) fn check_name_free(directory: &Directory, name: &Name, own: Option<Named>) -> Result<()> {
    match directory.named(name) {
        Some(other) if Some(other) != own => {
            Err(ChatError::Conflict(format!("the name {name} is taken by another room or category; choose another")))
        }
        _ => Ok(()),
    }
}

/// Creators must be admitted by the category (M6).
fn check_creators(directory: &Directory, category: &Category) -> Result<()> {
    for (i, creator) in category.creators.iter().enumerate() {
        if !rights::admits(directory, category, *creator) {
            let who = Person::of(directory, *creator).name;
            return Err(ChatError::invalid(format!("creators[{i}]"), format!("{who} is not admitted by the category")));
        }
    }
    Ok(())
}

fn view(directory: &Directory, caller: &Caller, category: &Category) -> Option<CategoryView> {
    let admin = rights::is_admin(directory, caller.user);
    if !admin && !rights::admits(directory, category, caller.user) {
        return None;
    }
    let found = |room: &RoomId| rights::may(directory, caller.user, *room, rights::Action::Find).is_ok();
    let rooms = directory.rooms_in(category.id).filter(found).count();
    let mut can = Vec::new();
    if admin {
        can.push(CategoryAction::Edit);
        if directory.rooms_in(category.id).next().is_none() {
            can.push(CategoryAction::Delete);
        }
    }
    if rights::may_create(directory, caller.user, category.id).is_ok() {
        can.push(CategoryAction::CreateRoom);
    }
    Some(CategoryView {
        rooms,
        allowed: Person::list(directory, &category.allowed),
        denied: Person::list(directory, &category.denied),
        creators: Person::list(directory, &category.creators),
        detailed: admin,
        can,
        category: category.clone(),
    })
}
