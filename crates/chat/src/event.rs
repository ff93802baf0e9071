//! What a live connection is told, and how the bytes of it are made once for all who receive it.

use crate::notices::Notice;
use crate::view::{EntryView, Person};
use bytes::Bytes;
use holdfast_domain::{RoomId, Seq, Time};
use holdfast_store::personal::Invitation;
use std::sync::{Arc, OnceLock};

/// Something that happened, for those who are connected.
#[derive(Clone, Debug)]
pub enum Event {
    /// The connection is in a room now. Entries after the one it named follow, then new ones.
    Joined {
        /// The room.
        room: RoomId,
        /// The epoch of what follows.
        epoch: i64,
        /// The end of its log at that moment.
        head: Seq,
        /// Who is there.
        roster: Roster,
    },
    /// An entry was committed.
    Entry(Box<EntryView>),
    /// What the connection has of a room was not all preserved when another database began to take writes. Comes before [`Event::Joined`]; what
    /// follows goes on after what was.
    Cut {
        /// The room.
        room: RoomId,
        /// The present epoch.
        epoch: i64,
        /// The last entry that the connection said it had.
        after: Seq,
        /// The last entry that is still so; `None` if that is not known.
        through: Option<Seq>,
    },
    /// More was missed than is sent this way: what comes next follows `head`; the rest is to be read from history.
    Gap {
        /// The room.
        room: RoomId,
        /// The epoch of what follows.
        epoch: i64,
        /// The last entry that the connection said it had.
        after: Seq,
        /// The entry that live events go on from.
        head: Seq,
    },
    /// People came and went. Not sent while the roster is limited, except for the change of that itself, which alone is sent to XMPP as well.
    Presence {
        /// The room.
        room: RoomId,
        /// Who came.
        joined: Vec<Person>,
        /// Who went.
        left: Vec<Person>,
        /// How many are there now.
        count: usize,
        /// Whether coming and going is no longer told.
        limited: bool,
    },
    /// People came or went who are in the room by a door that knows no names of one's own for it, or on another server. Told to connections of
    /// XMPP alone, in place of [`Event::Presence`]: its own people are told of by that door.
    Others {
        /// The room.
        room: RoomId,
        /// Who came.
        came: Vec<Person>,
        /// Who went.
        went: Vec<Person>,
    },
    /// Something that a door tells its own connections, in its own words.
    Door {
        /// Its bytes on the wire.
        bytes: Bytes,
        /// Whether it is of the moment, so that a reader who does not keep up may miss it.
        passing: bool,
    },
    /// An administrator says something to everybody.
    Announcement {
        /// What.
        text: String,
    },
    /// What users are told of an outage has changed.
    Outage {
        /// The notice that stands now, if there is one.
        notice: Option<Notice>,
    },
    /// Somebody is writing.
    Typing {
        /// The room.
        room: RoomId,
        /// Who.
        person: Person,
    },
    /// The reader's own position moved, on this device or another.
    Read {
        /// The room.
        room: RoomId,
        /// Up to here.
        seq: Seq,
        /// Messages after it.
        unread: i64,
        /// Messages after it that name the reader.
        mentions: i64,
    },
    /// A room's settings or lists changed, or what the reader may do there.
    RoomChanged {
        /// The room.
        room: RoomId,
    },
    /// The reader may not be in the room any longer.
    Kicked {
        /// The room.
        room: RoomId,
        /// Why, a sentence without full stop.
        reason: &'static str,
    },
    /// The reader's own list of rooms changed.
    RoomsChanged,
    /// The reader was added to a room.
    Invited {
        /// What was kept of it.
        invitation: Invitation,
        /// The room's name.
        room_name: String,
        /// By whom.
        by: Person,
    },
    /// A message matched one of the reader's feeds that announce their matches.
    Feed {
        /// The feed.
        feed: i64,
        /// The room.
        room: RoomId,
        /// The message.
        seq: Seq,
        /// When it was said.
        at: Time,
    },
    /// The connection ends after this.
    Bye(Bye),
}

/// Why a connection ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Bye {
    /// The server stops.
    ShuttingDown,
    /// The reader did not keep up; what it missed is in history.
    TooSlow,
    /// The sign-in or token was ended.
    SessionEnded,
    /// Another server of the pool goes on from here.
    Moved {
        /// Where clients reach those that do, in the order in which to try.
        servers: Vec<String>,
    },
}

impl Bye {
    /// The word for it.
    pub fn word(&self) -> &'static str {
        match self {
            Bye::ShuttingDown => "shutting-down",
            Bye::TooSlow => "too-slow",
            Bye::SessionEnded => "session-ended",
            Bye::Moved { .. } => "moved",
        }
    }
}

/// Who is in a room.
#[derive(Clone, Debug, Default)]
pub struct Roster {
    /// How many.
    pub count: usize,
    /// Whether the room is too large for a roster; then `people` is empty.
    pub limited: bool,
    /// Who.
    pub people: Vec<Person>,
}

/// A protocol's way of writing events. One slot each, so that an event is encoded once however many receive it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Wire {
    /// The JSON of the HTTP door.
    #[default]
    Json,
    /// The stanzas of the XMPP door.
    Xmpp,
}

/// An event on its way to many.
#[derive(Debug)]
pub struct Shared {
    event: Event,
    json: OnceLock<Bytes>,
    xmpp: OnceLock<Bytes>,
}

impl Shared {
    /// Shares `event`.
    pub fn new(event: Event) -> Arc<Shared> {
        Arc::new(Shared { event, json: OnceLock::new(), xmpp: OnceLock::new() })
    }

    /// The event.
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// Its bytes on the wire, encoded by the first who asks.
    pub fn encoded(&self, wire: Wire, encode: impl FnOnce(&Event) -> Bytes) -> Bytes {
        match wire {
            Wire::Json => self.json.get_or_init(|| encode(&self.event)).clone(),
            Wire::Xmpp => self.xmpp.get_or_init(|| encode(&self.event)).clone(),
        }
    }
}
