//! What a client may keep with the server, and have under way, at most. What it may send is in the settings.

/// Occupants' names have so many characters.
pub(crate) const NICK_CHARS: usize = 128;
/// Bytes of a message's elements beside its text.
pub(crate) const ELEMENTS_BYTES: usize = 32 * 1024;
/// Bytes of what a presence says: it is kept while the client is there, and told to many.
pub(crate) const PRESENCE_BYTES: usize = 16 * 1024;
/// Bytes of a stanza for a client at another server of the pool: it takes the way of the pool's signals, which are for short things.
pub(crate) const STANZA_ELSEWHERE_BYTES: usize = 2 * ELEMENTS_BYTES;
/// Bytes of it with all that is around it.
pub(crate) const PARCEL_BYTES: usize = 2 * STANZA_ELSEWHERE_BYTES;
/// Messages of one connection that are being written.
pub(crate) const POSTING: usize = 64;
/// Stanzas that a client has not acknowledged; more, and it is gone.
pub(crate) const UNACKNOWLEDGED: usize = 5_000;
/// Connections of one user that a server holds.
pub(crate) const RESOURCES: usize = 40;
/// Bytes of a resource's name.
pub(crate) const RESOURCE_BYTES: usize = 256;
/// People in a roster.
pub(crate) const ROSTER: usize = 2_000;
/// People in a block list.
pub(crate) const BLOCKED: usize = 1_000;
/// Nodes that one person publishes.
pub(crate) const NODES: usize = 100;
/// Items of a node.
pub(crate) const ITEMS: usize = 1_000;
/// Bytes of one item.
pub(crate) const ITEM_BYTES: usize = 128 * 1024;
/// Rooms that one connection is in.
pub(crate) const ROOMS: usize = 1_000;
/// Stanzas of an archive's page.
pub(crate) const PAGE: usize = 250;
/// Stanzas of an archive's page if the client does not say.
pub(crate) const PAGE_DEFAULT: usize = 50;
/// Messages that a room gives somebody who enters and does not say.
pub(crate) const HISTORY_ON_ENTRY: usize = 20;
