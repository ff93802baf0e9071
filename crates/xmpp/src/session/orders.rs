//! What other tasks of this server want of a session.

use super::resumption::Taken;
use holdfast_domain::RoomId;
use tokio::sync::mpsc;

/// Where a session is given orders. Boxed, for a channel has room for 32 from its beginning, and every idle client has one.
pub(crate) type Orders = mpsc::Sender<Box<Order>>;

/// Something that a session is to do.
pub(crate) enum Order {
    /// Go on with another connection.
    TakeUp(Taken),
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
