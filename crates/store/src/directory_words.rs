//! The words that stand in the tables of the directory, the same in all engines.

use crate::Result;
use crate::error::corrupt;
use crate::projections::Numbered;
use holdfast_domain::room::Role;

pub(crate) const ROOM: &str = "room";
pub(crate) const CATEGORY: &str = "category";
pub(crate) const USER: &str = "user";
pub(crate) const GROUP: &str = "group";

/// The space of names that rooms and categories share.
pub(crate) const PLACES: &str = "places";
/// The space of names that users and groups share.
pub(crate) const PEOPLE: &str = "people";

/// The word for a list of a room.
pub(crate) fn role_word(role: Role) -> &'static str {
    match role {
        Role::Member => "member",
        Role::Manager => "manager",
        Role::Presenter => "presenter",
    }
}

/// The list of a word.
pub(crate) fn role_of(word: &str) -> Result<Role> {
    let role = Role::ALL.into_iter().find(|role| role_word(*role) == word);
    role.ok_or_else(|| corrupt(format!("{word} is no list of a room")))
}

/// The word for what is numbered.
pub(crate) fn number_word(what: Numbered) -> &'static str {
    match what {
        Numbered::Room => "room",
        Numbered::Category => "category",
        Numbered::Principal => "principal",
    }
}
