//! What is said over a live connection, in both directions.

use crate::api::entries::Entry;
use crate::api::invitations::Invitation;
use crate::api::pool::OutageNotice;
use crate::api::rooms::Roster;
use crate::api::shapes::{Moment, Principal, principals};
use crate::problem::Document;
use holdfast_chat::event::{Bye, Event};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Something that the server tells a live connection.
#[derive(Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
#[schema(as = LiveEvent)]
#[allow(clippy::large_enum_variant, reason = "made, written and dropped one at a time")]
pub(crate) enum Frame {
    /// The first: who is connected.
    Welcome {
        me: Principal,
        time: Moment,
        /// Grows when another database began to take writes. What a client holds from an earlier one may not have been preserved: it says both
        /// number and epoch when it joins. 0 of a server alone.
        epoch: i64,
        /// The site in which the pool goes on; null where there are no sites.
        site: Option<String>,
        /// What is known of an outage, past, present or to come; null if there is nothing to know.
        outage: Option<OutageNotice>,
    },
    /// The connection is in a room now. The entries it missed follow, then new ones.
    Joined {
        room: i64,
        /// The epoch of what follows.
        epoch: i64,
        /// The last entry of the room at that moment.
        head: i64,
        roster: Roster,
    },
    /// The connection does not get what it asked for in a room.
    Refused { room: i64, problem: Document },
    /// Something was written to a room's log.
    Entry { entry: Entry },
    /// Of what the client has of a room, the entries after `valid_through` were not preserved when another database began to take writes, and
    /// their numbers may have been given again. Comes before `joined`; entries go on after `valid_through`.
    Cut {
        room: i64,
        /// The present epoch.
        epoch: i64,
        /// The last entry that the client said it had.
        after: i64,
        /// The last one that is still so. Null when that is not known: nothing that the client has of the room is certain, and what comes next is new.
        valid_through: Option<i64>,
        /// How many entries that the client had were not preserved; null when that is not known.
        lost: Option<i64>,
    },
    /// Too much was missed: what comes next follows `head`, the rest is to be read from history.
    Gap {
        room: i64,
        /// The epoch of what follows.
        epoch: i64,
        /// The last entry that the connection said it had.
        after: i64,
        head: i64,
    },
    /// People came and went.
    Presence {
        room: i64,
        joined: Vec<Principal>,
        /// The numbers of those who went.
        left: Vec<i64>,
        count: usize,
        /// Whether there are now too many to tell.
        limited: bool,
    },
    /// Somebody is writing.
    Typing { room: i64, person: Principal },
    /// The caller's own reading position moved, here or on another device.
    Read { room: i64, seq: i64, unread: i64, mentions: i64 },
    /// A room's settings or lists changed, or what the caller may do there: fetch it again.
    Room { room: i64 },
    /// The caller may not be in the room any longer.
    Kicked { room: i64, reason: &'static str },
    /// The caller's own list of rooms changed: fetch it again.
    Rooms,
    /// The caller was added to a room.
    Invitation { invitation: Invitation },
    /// A message matched one of the caller's feeds.
    Feed { feed: i64, room: i64, seq: i64 },
    /// What is known of an outage has changed; null if there is nothing to know any more.
    Outage { outage: Option<OutageNotice> },
    /// An administrator says something to everybody who is connected.
    Announcement { text: String },
    /// A frame of the client was refused.
    Problem { problem: Document },
    /// The connection ends after this.
    Bye {
        #[schema(value_type = ByeReason)]
        reason: &'static str,
        /// With `moved`: where to go on, in the order in which to try.
        #[serde(skip_serializing_if = "Option::is_none")]
        servers: Option<Vec<String>>,
    },
}

/// Why a connection ends.
#[derive(ToSchema)]
#[schema(rename_all = "kebab-case")]
#[allow(dead_code, reason = "describes the words of `Bye::word`")]
enum ByeReason {
    /// The server stops.
    ShuttingDown,
    /// The client did not keep up; what it missed is in history.
    TooSlow,
    /// The sign-in or token was ended.
    SessionEnded,
    /// Another server of the pool goes on: connect to one of `servers`, or here again if there are none.
    Moved,
}

impl From<&Event> for Frame {
    fn from(event: &Event) -> Self {
        match event.clone() {
            Event::Joined { room, epoch, head, roster } => {
                Frame::Joined { room: room.0, epoch, head: head.0, roster: roster.into() }
            }
            Event::Cut { room, epoch, after, through } => Frame::Cut {
                room: room.0,
                epoch,
                after: after.0,
                valid_through: through.map(|seq| seq.0),
                lost: through.map(|seq| after.0 - seq.0),
            },
            Event::Entry(view) => Frame::Entry { entry: Entry::from(*view) },
            Event::Gap { room, epoch, after, head } => Frame::Gap { room: room.0, epoch, after: after.0, head: head.0 },
            Event::Presence { room, joined, left, count, limited } => Frame::Presence {
                room: room.0,
                joined: principals(joined),
                left: left.into_iter().map(|p| p.id.0).collect(),
                count,
                limited,
            },
            Event::Typing { room, person } => Frame::Typing { room: room.0, person: person.into() },
            Event::Read { room, seq, unread, mentions } => Frame::Read { room: room.0, seq: seq.0, unread, mentions },
            Event::RoomChanged { room } => Frame::Room { room: room.0 },
            Event::Kicked { room, reason } => Frame::Kicked { room: room.0, reason },
            Event::Announcement { text } => Frame::Announcement { text },
            Event::Outage { notice } => Frame::Outage { outage: notice.map(OutageNotice::from) },
            // All but the first are never handed to connections of this door.
            Event::RoomsChanged | Event::Others { .. } | Event::Door { .. } => Frame::Rooms,
            Event::Invited { invitation, room_name, by } => {
                Frame::Invitation { invitation: Invitation::of(&invitation, room_name, by) }
            }
            Event::Feed { feed, room, seq, .. } => Frame::Feed { feed, room: room.0, seq: seq.0 },
            Event::Bye(bye) => {
                let reason = bye.word();
                let servers = if let Bye::Moved { servers } = bye { Some(servers) } else { None };
                Frame::Bye { reason, servers }
            }
        }
    }
}

/// Something that a client asks over a live connection.
#[derive(Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
#[schema(as = LiveRequest)]
pub(crate) enum Say {
    /// Come into rooms.
    Join { rooms: Vec<Join> },
    /// Go out of a room.
    Leave { room: i64 },
    /// The caller is writing in a room.
    Typing { room: i64 },
    /// The caller has read a room up to an entry.
    Read { room: i64, seq: i64 },
}

/// A room to come into.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LiveJoin)]
pub(crate) struct Join {
    pub(super) room: i64,
    /// The last entry that the client has; null: it begins with what is new.
    #[serde(default)]
    pub(super) after: Option<i64>,
    /// The epoch under which the client got it: of `welcome`, of the page of history, or of the room's last `joined`. Without it a client that was
    /// away while the pool moved to another site may take new entries for those that it has.
    #[serde(default)]
    pub(super) epoch: Option<i64>,
}

/// A frame as text.
pub(super) fn json(frame: &Frame) -> String {
    serde_json::to_string(frame).unwrap_or_default()
}
