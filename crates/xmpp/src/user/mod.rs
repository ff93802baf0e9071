//! What a person has with the server besides rooms: presence and roster, messages with others, and what his clients keep.

mod avatar;
pub(crate) mod blocking;
pub(crate) mod bookmarks;
pub(crate) mod caps;
pub(crate) mod carbons;
pub(crate) mod direct;
pub(crate) mod presence;
pub(crate) mod private;
pub(crate) mod pubsub;
pub(crate) mod roster;
pub(crate) mod vcard;
