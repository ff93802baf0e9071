//! What somebody is to a room, in the words of XEP-0045 section 5.

use crate::session::Session;
use crate::stanza::StanzaError;
use holdfast_chat::ChatError;
use holdfast_domain::directory::{Directory, RoomState};
use holdfast_domain::rights::{self, Action};
use holdfast_domain::{PrincipalId, RoomId};
use serde::{Deserialize, Serialize};

/// Lasting: what the lists say.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Affiliation {
    /// May not come in at all.
    Outcast,
    /// Nothing in particular.
    None,
    /// On the member list, or a presenter.
    Member,
    /// A manager, or an administrator of the pool.
    Owner,
}

impl Affiliation {
    /// The word for it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Affiliation::Outcast => "outcast",
            Affiliation::None => "none",
            Affiliation::Member => "member",
            Affiliation::Owner => "owner",
        }
    }
}

/// While in the room: what somebody may do there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// Is not in the room.
    None,
    /// Reads.
    Visitor,
    /// Reads and posts.
    Participant,
    /// Removes others' messages too.
    Moderator,
}

impl Role {
    /// The word for it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Role::None => "none",
            Role::Visitor => "visitor",
            Role::Participant => "participant",
            Role::Moderator => "moderator",
        }
    }
}

/// Both, and what else others see of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Standing {
    pub(crate) affiliation: Affiliation,
    pub(crate) role: Role,
    /// Titles that XEP-0045 has no word for.
    pub(crate) administrator: bool,
    pub(crate) manager: bool,
    pub(crate) presenter: bool,
}

impl Standing {
    /// That of somebody who is nothing to a room.
    pub(crate) const NOTHING: Standing = Standing {
        affiliation: Affiliation::None,
        role: Role::None,
        administrator: false,
        manager: false,
        presenter: false,
    };
}

/// What `user` is to a room.
pub(crate) fn of(directory: &Directory, user: PrincipalId, state: &RoomState) -> Standing {
    let is = rights::standing(directory, user, state);
    let terms = rights::terms(directory, state);
    let may = |action: Action| user == PrincipalId::SYSTEM || rights::decide(is, terms, action).is_ok();
    let role = match (may(Action::Join), may(Action::Post), may(Action::RemoveMessages)) {
        (false, ..) => Role::None,
        (true, _, true) => Role::Moderator,
        (true, true, false) => Role::Participant,
        (true, false, false) => Role::Visitor,
    };
    let manager = is.admitted && is.manager;
    let presenter = is.admitted && is.presenter;
    let affiliation = match () {
        () if is.admin || manager => Affiliation::Owner,
        () if !is.admitted => Affiliation::Outcast,
        () if is.member || presenter => Affiliation::Member,
        () => Affiliation::None,
    };
    Standing { affiliation, role, administrator: is.admin, manager, presenter }
}

impl Session {
    /// The room, if this person may do `action` there.
    ///
    /// # Errors
    /// What is missing; a room that he may not know of is not there.
    pub(crate) fn allowed<'d>(
        &self,
        directory: &'d Directory,
        room: RoomId,
        action: Action,
    ) -> Result<&'d RoomState, StanzaError> {
        let allowed = rights::may(directory, self.user(), room, action);
        Ok(allowed.map_err(|denied| ChatError::denied(denied, "this room"))?)
    }
}

/// The same by the room's number; nothing at all where there is no room.
pub(crate) fn of_id(directory: &Directory, user: PrincipalId, room: RoomId) -> Option<Standing> {
    directory.room(room).map(|state| of(directory, user, state))
}
