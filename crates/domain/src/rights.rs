//! Who may do what: the only place that decides (M1-M29, and what goes beyond Lync where the text says so).
//!
//! [`standing`] reads from the directory what somebody is to a room; [`decide`] is a pure function of that, the room's
//! settings and the action, and is tested over its whole table.

use crate::category::Category;
use crate::directory::{Directory, RoomState};
use crate::id::{CategoryId, PrincipalId, RoomId};
use crate::principal::UserKind;
use crate::room::{Privacy, RoomType};
use std::collections::{BTreeSet, HashSet};

/// What somebody wants to do in or to a room.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Action {
    /// Know that it is there.
    Find,
    /// See who its members are.
    SeePeople,
    /// Enter and follow it.
    Join,
    /// Read what was said before, and search it.
    ReadHistory,
    /// Say something; also edit or take back one's own.
    Post,
    /// Upload a file.
    Upload,
    /// Change its settings other than category.
    Configure,
    /// Change its lists.
    ChangeRoles,
    /// Remove others' messages (beyond Lync: there only administrators may).
    RemoveMessages,
    /// Take it out of use.
    Disable,
    /// Take it back into use.
    Enable,
    /// Move it to another category.
    Move,
    /// Erase what was said up to a date, or messages by author, dates and words.
    Clear,
    /// Delete it for good.
    Delete,
}

impl Action {
    /// All of them, in the order in which a client is told what it may do.
    pub const ALL: [Action; 14] = [
        Action::Find,
        Action::SeePeople,
        Action::Join,
        Action::ReadHistory,
        Action::Post,
        Action::Upload,
        Action::Configure,
        Action::ChangeRoles,
        Action::RemoveMessages,
        Action::Disable,
        Action::Enable,
        Action::Move,
        Action::Clear,
        Action::Delete,
    ];
}

/// Why somebody may not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Denied {
    /// To this person the room does not exist; the answer must not differ from that for a room that really does not.
    Unknown,
    /// The person may know of it, but not do this; the text says what would be needed.
    Forbidden(&'static str),
}

/// What somebody is to a room.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Standing {
    /// Administrator: not bound by the category's scope (M26).
    pub admin: bool,
    /// Within the category's scope: allowed and not denied (M4).
    pub admitted: bool,
    /// On the member list, directly or through a group.
    pub member: bool,
    /// On the manager list.
    pub manager: bool,
    /// On the presenter list.
    pub presenter: bool,
}

/// A room's settings as far as they bear on rights.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Terms {
    /// Open, closed or secret.
    pub privacy: Privacy,
    /// Normal or auditorium.
    pub room_type: RoomType,
    /// Out of use.
    pub disabled: bool,
    /// The category keeps history.
    pub history: bool,
    /// The category lets files be uploaded.
    pub file_upload: bool,
}

/// Decides whether somebody of `standing` may do `action` in a room of `terms`. Moving is judged here for the room alone; the
/// target category is [`may_create`]'s.
///
/// # Errors
/// [`Denied`].
pub fn decide(standing: Standing, terms: Terms, action: Action) -> Result<(), Denied> {
    let Standing { admin, .. } = standing;
    // An administrator is inside every scope. For all others the scope comes before any list: whom the category does not
    // admit is no member or manager, whatever the room's lists still say (ethical walls, M8).
    let admitted = admin || standing.admitted;
    let listed = admitted && standing.member;
    let member = match terms.privacy {
        Privacy::Open => admitted,
        Privacy::Closed | Privacy::Secret => listed,
    };
    let manager = admitted && standing.manager;
    let presenter = admitted && standing.presenter;

    let finds = match terms.privacy {
        Privacy::Open | Privacy::Closed => admitted,
        Privacy::Secret => admin || listed || manager,
    };
    // A disabled room is shown only to those who look after it (M18).
    if !finds || (terms.disabled && !(admin || manager)) {
        return Err(Denied::Unknown);
    }
    let need = |held: bool, what: &'static str| if held { Ok(()) } else { Err(Denied::Forbidden(what)) };
    let in_use = || need(!terms.disabled, "the room is disabled; an administrator can enable it");
    let enters = || in_use().and_then(|()| need(member, "only members of this room may; ask one of its managers"));
    let posts = || {
        enters().and_then(|()| match terms.room_type {
            RoomType::Normal => Ok(()),
            RoomType::Auditorium => need(presenter, "only presenters post in an auditorium"),
        })
    };
    match action {
        Action::Find | Action::SeePeople => Ok(()),
        Action::Join => enters(),
        Action::ReadHistory => {
            enters().and_then(|()| need(terms.history, "this room's category keeps no history for its readers"))
        }
        Action::Post => posts(),
        Action::Upload => {
            posts().and_then(|()| need(terms.file_upload, "files may not be uploaded in this room's category"))
        }
        Action::Configure | Action::ChangeRoles | Action::Disable | Action::Move => {
            need(admin || manager, "only the room's managers and administrators may")
        }
        Action::RemoveMessages => {
            need(admin || manager, "only the room's managers and administrators remove others' messages")
        }
        Action::Enable | Action::Clear | Action::Delete => need(admin, "only administrators may"),
    }
}

/// What `user` is to `room`.
pub fn standing(directory: &Directory, user: PrincipalId, room: &RoomState) -> Standing {
    standing_of(directory, &directory.identities(user), user, room)
}

/// As [`standing`], for somebody whose identities are already known: cheaper over many rooms.
pub fn standing_of(
    directory: &Directory,
    identities: &HashSet<PrincipalId>,
    user: PrincipalId,
    room: &RoomState,
) -> Standing {
    let on = |list: &BTreeSet<PrincipalId>| on_list(list, identities);
    Standing {
        admin: is_admin(directory, user),
        admitted: directory.category(room.room.category).is_some_and(|c| admits_any(c, identities)),
        member: on(&room.roles.members),
        manager: on(&room.roles.managers),
        presenter: on(&room.roles.presenters),
    }
}

/// The terms of `room`.
pub fn terms(directory: &Directory, room: &RoomState) -> Terms {
    let category = directory.category(room.room.category);
    Terms {
        privacy: room.room.privacy,
        room_type: room.room.room_type,
        disabled: room.room.disabled,
        history: category.is_some_and(|c| c.history),
        file_upload: category.is_some_and(|c| c.file_upload),
    }
}

/// Decides whether `user` may do `action` in the room with number `room`; the operator of the machine may do everything to
/// a room that exists.
///
/// # Errors
/// [`Denied`]; a room that does not exist is [`Denied::Unknown`], as is a secret one.
pub fn may(directory: &Directory, user: PrincipalId, room: RoomId, action: Action) -> Result<&RoomState, Denied> {
    let state = directory.room(room).ok_or(Denied::Unknown)?;
    if user == PrincipalId::SYSTEM {
        return Ok(state);
    }
    decide(standing(directory, user, state), terms(directory, state), action).map(|()| state)
}

/// Decides whether `user` may create a room in `category`, or move one there (M6, M20).
///
/// # Errors
/// [`Denied`]; a category that does not admit the user is unknown to the user.
pub fn may_create(directory: &Directory, user: PrincipalId, category: CategoryId) -> Result<&Category, Denied> {
    let category = directory.category(category).ok_or(Denied::Unknown)?;
    if is_admin(directory, user) {
        return Ok(category);
    }
    let identities = directory.identities(user);
    if !admits_any(category, &identities) {
        return Err(Denied::Unknown);
    }
    if !on_list(&category.creators, &identities) {
        return Err(Denied::Forbidden("only the category's creators may create rooms in it"));
    }
    Ok(category)
}

/// Whether `user` is an administrator in office, or the operator of the machine.
pub fn is_admin(directory: &Directory, user: PrincipalId) -> bool {
    user == PrincipalId::SYSTEM || directory.user(user).is_some_and(|u| u.admin && !u.disabled)
}

/// Whether `category` admits `principal` to its rooms' lists: a user by all that it counts as, a group by itself, unless it
/// is denied.
pub fn admits(directory: &Directory, category: &Category, principal: PrincipalId) -> bool {
    if directory.user(principal).is_some() {
        return is_admin(directory, principal) || admits_any(category, &directory.identities(principal));
    }
    // A group may stand in a list when somebody in it could: each of its members is judged again when he comes.
    let Some(group) = directory.group(principal) else { return false };
    if category.denied.contains(&group.id) {
        return false;
    }
    category.allowed.contains(&group.id)
        || directory.expand(&BTreeSet::from([group.id])).iter().any(|u| admits_any(category, &directory.identities(*u)))
}

/// Whether `user` may use chat at all (M57): the user's own setting, else a refusal by any group, else a permission by one,
/// else `by_default`. Administrators always may.
pub fn may_chat(directory: &Directory, user: PrincipalId, by_default: bool) -> bool {
    if is_admin(directory, user) {
        return true;
    }
    let Some(record) = directory.user(user).filter(|u| !u.disabled && u.kind != UserKind::Imported) else {
        return false;
    };
    if let Some(own) = record.may_chat {
        return own;
    }
    let said: Vec<bool> = directory.identities(user).iter().filter_map(|g| directory.group(*g)?.may_chat).collect();
    if said.is_empty() { by_default } else { said.iter().all(|may| *may) }
}

/// Decides whether `user` may still edit or retract a message of `author` that was posted `age_ms` ago.
///
/// # Errors
/// [`Denied::Forbidden`] with the reason.
pub fn may_amend(user: PrincipalId, author: PrincipalId, age_ms: i64, window_seconds: u64) -> Result<(), Denied> {
    if user != author {
        return Err(Denied::Forbidden("only its author may change a message"));
    }
    let window_ms = i64::try_from(window_seconds).unwrap_or(i64::MAX).saturating_mul(1_000);
    if age_ms > window_ms || window_seconds == 0 {
        return Err(Denied::Forbidden("the time in which its author may change a message is over"));
    }
    Ok(())
}

fn on_list(list: &BTreeSet<PrincipalId>, identities: &HashSet<PrincipalId>) -> bool {
    identities.iter().any(|p| list.contains(p))
}

fn admits_any(category: &Category, identities: &HashSet<PrincipalId>) -> bool {
    on_list(&category.allowed, identities) && !on_list(&category.denied, identities)
}

#[cfg(test)]
mod tests;
