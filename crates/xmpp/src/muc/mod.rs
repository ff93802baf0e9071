//! Rooms as XMPP knows them: Multi-User Chat (XEP-0045) over Holdfast's rooms.
//!
//! A room's settings and lists are the pool's, and `domain::rights` decides; this is how they are called here. Administrators and managers are
//! owners, members are members, whom the category does not admit is an outcast. Who may post is a participant, who may not a visitor,
//! who removes others' messages a moderator. Rooms are open about who is who (status 100): everybody signs in with a name of the house.

pub(crate) mod admin;
pub(crate) mod config;
pub(crate) mod entering;
pub(crate) mod entry;
pub(crate) mod farewell;
pub(crate) mod info;
pub(crate) mod inviting;
pub(crate) mod leaving;
pub(crate) mod moderation;
pub(crate) mod occupants;
pub(crate) mod presence;
pub(crate) mod saying;
pub(crate) mod standing;
