//! Archives (XEP-0313, `urn:xmpp:mam:2` and `#extended`): of a room, and of a person's own messages.

pub(crate) mod person;
pub(crate) mod query;
pub(crate) mod room;
