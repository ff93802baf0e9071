//! Room and number in one integer, so that a room's entries lie together in the order of their numbers.

use holdfast_domain::{RoomId, Seq};

/// Bits of [`Seq::MAX`].
const SEQ_BITS: u32 = 36;

/// The id of an entry's row; -1, which no row has, for numbers that cannot be.
pub(super) fn entry_id(room: RoomId, seq: Seq) -> i64 {
    if (0..=RoomId::MAX.0).contains(&room.0) && (0..=Seq::MAX.0).contains(&seq.0) {
        room.0 << SEQ_BITS | seq.0
    } else {
        -1
    }
}

/// The room and the number of an entry's row.
pub(super) fn room_and_seq(id: i64) -> (RoomId, Seq) {
    (RoomId(id >> SEQ_BITS), Seq(id & Seq::MAX.0))
}

/// The number of an entry's row in its log.
pub(super) fn seq(id: i64) -> Seq {
    room_and_seq(id).1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_fit() {
        assert_eq!(entry_id(RoomId::MAX, Seq::MAX), i64::MAX);
        assert_eq!(room_and_seq(i64::MAX), (RoomId::MAX, Seq::MAX));
        assert_eq!(room_and_seq(entry_id(RoomId(7), Seq(9))), (RoomId(7), Seq(9)));
    }

    #[test]
    fn what_cannot_be_is_nowhere() {
        assert_eq!(entry_id(RoomId(-1), Seq(1)), -1);
        assert_eq!(entry_id(RoomId(1), Seq(Seq::MAX.0 + 1)), -1);
    }
}
