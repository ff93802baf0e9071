//! What other tasks of this server want of a session.

use super::resumption::Taken;
use holdfast_domain::RoomId;

/// Something that a session is to do.
pub(crate) enum Order {
    /// Go on with another connection.
    TakeUp(Box<Taken>),
    /// Give the client what waits for its owner.
    GiveWhatWaits,
    /// Go out of a room: somebody who moderates it says so.
    Kicked {
        /// The room.
        room: RoomId,
        /// His nick.
        by: String,
        /// Why.
        reason: String,
    },
}
