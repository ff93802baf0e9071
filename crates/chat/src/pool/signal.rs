//! What servers tell each other that is in no log, and how it is written: short JSON, many signals to a message.

use holdfast_domain::{PrincipalId, RoomId, Seq, Time};
use holdfast_store::personal::Invitation;
use holdfast_store::pool::MOST_SIGNAL_BYTES;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Things in one list at most; longer ones are told in pieces.
const LIST: usize = 150;

/// Bytes of a carried text in one signal at most, as it is written: it fits into a message with all that is around it.
const CARRIED_BYTES: usize = MOST_SIGNAL_BYTES - 100;

/// How somebody is in a room on a server.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum How {
    /// By XMPP alone, whose door tells the others' of him itself.
    OverXmpp,
    /// By another door, at least.
    Plainly,
}

/// Somebody in a room on a server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct There {
    pub(crate) room: RoomId,
    pub(crate) user: PrincipalId,
    pub(crate) how: How,
}

/// Something that one server tells the others.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Signal {
    /// Whoever hears this tells its whole presence.
    Hello,
    /// This server stops: nobody is on it any more.
    Gone,
    /// The list of active servers was changed.
    Active,
    /// Who came into rooms on this server, or is in them otherwise than before, and who is in them no longer.
    #[serde(rename = "p")]
    Presence {
        #[serde(rename = "i", default, skip_serializing_if = "Vec::is_empty")]
        came: Vec<(RoomId, PrincipalId)>,
        /// Those who are there by XMPP alone.
        #[serde(rename = "x", default, skip_serializing_if = "Vec::is_empty")]
        over_xmpp: Vec<(RoomId, PrincipalId)>,
        #[serde(rename = "o", default, skip_serializing_if = "Vec::is_empty")]
        went: Vec<(RoomId, PrincipalId)>,
    },
    /// A piece of everything that is in place of what was known: the first says so, and with the last it is complete.
    #[serde(rename = "w")]
    Whole {
        #[serde(rename = "f")]
        first: bool,
        #[serde(rename = "l")]
        last: bool,
        #[serde(rename = "i")]
        present: Vec<(RoomId, PrincipalId)>,
        /// Those who are there by XMPP alone.
        #[serde(rename = "x", default, skip_serializing_if = "Vec::is_empty")]
        over_xmpp: Vec<(RoomId, PrincipalId)>,
    },
    /// People are writing.
    #[serde(rename = "t")]
    Typing(Vec<(RoomId, PrincipalId)>),
    /// Somebody's reading position moved: room, end, messages after it, of them those that name him.
    #[serde(rename = "r")]
    Read(PrincipalId, RoomId, Seq, i64, i64),
    /// These users' own lists of rooms changed.
    Rooms(Vec<PrincipalId>),
    /// Somebody was added to a room: number, who, where, by whom, when.
    Invited(i64, PrincipalId, RoomId, PrincipalId, Time),
    /// These users' feeds changed.
    Feeds(Vec<PrincipalId>),
    /// An administrator says something to everybody.
    Said(String),
    /// Connections of a user end: those by these means (all, if there are none), but not those by the others.
    Ended(PrincipalId, Option<By>, Option<By>),
    /// A piece of what a door says to its like, and whether more of it follows.
    #[serde(rename = "c")]
    Carried(String, bool),
}

/// By which means somebody is connected; see [`crate::Means`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum By {
    SignIn(i64),
    Token(i64),
}

/// What is to be told next, put together: of what changes often only the latest is told.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    hello: bool,
    active: bool,
    /// Whether everything is to be told.
    pub(crate) whole: bool,
    presence: BTreeMap<(RoomId, PrincipalId), Option<How>>,
    typing: BTreeSet<(RoomId, PrincipalId)>,
    reads: BTreeMap<(PrincipalId, RoomId), (Seq, i64, i64)>,
    rooms: BTreeSet<PrincipalId>,
    feeds: BTreeSet<PrincipalId>,
    others: Vec<Signal>,
}

impl Gathered {
    /// Adds a signal.
    pub(crate) fn add(&mut self, signal: Signal) {
        match signal {
            Signal::Hello => self.hello = true,
            Signal::Active => self.active = true,
            Signal::Presence { came, over_xmpp, went } => {
                self.presence.extend(came.into_iter().map(|at| (at, Some(How::Plainly))));
                self.presence.extend(over_xmpp.into_iter().map(|at| (at, Some(How::OverXmpp))));
                self.presence.extend(went.into_iter().map(|at| (at, None)));
            }
            Signal::Typing(people) => self.typing.extend(people),
            Signal::Read(user, room, seq, unread, mentions) => {
                self.reads.insert((user, room), (seq, unread, mentions));
            }
            Signal::Rooms(users) => self.rooms.extend(users),
            Signal::Feeds(users) => self.feeds.extend(users),
            Signal::Gone
            | Signal::Whole { .. }
            | Signal::Invited(..)
            | Signal::Said(_)
            | Signal::Ended(..)
            | Signal::Carried(..) => self.others.push(signal),
        }
    }

    /// Whether there is nothing to tell.
    pub(crate) fn is_empty(&self) -> bool {
        !(self.hello || self.active || self.whole)
            && self.presence.is_empty()
            && self.typing.is_empty()
            && self.reads.is_empty()
            && self.rooms.is_empty()
            && self.feeds.is_empty()
            && self.others.is_empty()
    }

    /// The messages to tell. `present`: everybody who is in a room here now, if that is to be told; the changes gathered here are in it.
    pub(crate) fn messages(self, present: Option<Vec<There>>) -> Vec<String> {
        let mut signals = Vec::new();
        if self.hello {
            signals.push(Signal::Hello);
        }
        if self.active {
            signals.push(Signal::Active);
        }
        match present {
            Some(present) => signals.extend(whole(&present)),
            None => {
                let all: Vec<_> = self.presence.into_iter().collect();
                for some in all.chunks(LIST) {
                    let of = |how| some.iter().filter(|(_, is)| *is == how).map(|(at, _)| *at).collect();
                    let (came, over_xmpp) = (of(Some(How::Plainly)), of(Some(How::OverXmpp)));
                    signals.push(Signal::Presence { came, over_xmpp, went: of(None) });
                }
            }
        }
        let lists = |set: BTreeSet<PrincipalId>, of: fn(Vec<PrincipalId>) -> Signal| {
            let list: Vec<PrincipalId> = set.into_iter().collect();
            list.chunks(LIST).map(|c| of(c.to_vec())).collect::<Vec<_>>()
        };
        let typing: Vec<_> = self.typing.into_iter().collect();
        signals.extend(typing.chunks(LIST).map(|c| Signal::Typing(c.to_vec())));
        let read = |((user, room), (seq, unread, mentions))| Signal::Read(user, room, seq, unread, mentions);
        signals.extend(self.reads.into_iter().map(read));
        signals.extend(lists(self.rooms, Signal::Rooms));
        signals.extend(lists(self.feeds, Signal::Feeds));
        signals.extend(self.others);
        packed(&signals)
    }
}

fn whole(present: &[There]) -> Vec<Signal> {
    let mut chunks: Vec<&[_]> = present.chunks(LIST).collect();
    if chunks.is_empty() {
        chunks.push(&[]);
    }
    let last = chunks.len() - 1;
    let piece = |(i, chunk): (usize, &[There])| {
        let of = |how| chunk.iter().filter(|there| there.how == how).map(|there| (there.room, there.user)).collect();
        Signal::Whole { first: i == 0, last: i == last, present: of(How::Plainly), over_xmpp: of(How::OverXmpp) }
    };
    chunks.into_iter().enumerate().map(piece).collect()
}

/// As many signals to a message as fit.
fn packed(signals: &[Signal]) -> Vec<String> {
    let mut messages = Vec::new();
    let mut message = String::new();
    for signal in signals {
        // Numbers and texts only: this does not fail.
        let Ok(text) = serde_json::to_string(signal) else { continue };
        if !message.is_empty() && message.len() + text.len() + 2 > MOST_SIGNAL_BYTES {
            message.push(']');
            messages.push(std::mem::take(&mut message));
        }
        message.push(if message.is_empty() { '[' } else { ',' });
        message.push_str(&text);
    }
    if !message.is_empty() {
        message.push(']');
        messages.push(message);
    }
    messages
}

/// The signals of a message. What this version does not know is passed over: a newer server may tell more.
pub(crate) fn read(message: &str) -> Vec<Signal> {
    let signals: Vec<serde_json::Value> = serde_json::from_str(message).unwrap_or_default();
    signals.into_iter().filter_map(|signal| serde_json::from_value(signal).ok()).collect()
}

impl There {
    /// Those of two lists, the second of whom are there by XMPP alone.
    pub(crate) fn all(plainly: &[(RoomId, PrincipalId)], over_xmpp: &[(RoomId, PrincipalId)]) -> Vec<There> {
        let of = |list: &[(RoomId, PrincipalId)], how| {
            list.iter().map(|(room, user)| There { room: *room, user: *user, how }).collect::<Vec<_>>()
        };
        [of(plainly, How::Plainly), of(over_xmpp, How::OverXmpp)].concat()
    }
}

impl Signal {
    /// That somebody is in a room so now, or not any more.
    pub(crate) fn presence(room: RoomId, user: PrincipalId, how: Option<How>) -> Signal {
        let if_so = |is| if how == is { vec![(room, user)] } else { Vec::new() };
        let (came, over_xmpp) = (if_so(Some(How::Plainly)), if_so(Some(How::OverXmpp)));
        Signal::Presence { came, over_xmpp, went: if_so(None) }
    }

    /// What a door says, in as many pieces as it needs.
    pub(crate) fn carried(text: &str) -> Vec<Signal> {
        let mut pieces = Vec::new();
        let (mut begin, mut written) = (0, 0);
        for (at, char) in text.char_indices() {
            let takes = match char {
                '"' | '\\' | '\n' | '\r' | '\t' => 2,
                char if char < ' ' => 6,
                char => char.len_utf8(),
            };
            if written + takes > CARRIED_BYTES {
                pieces.push(Signal::Carried(text[begin..at].to_owned(), true));
                (begin, written) = (at, 0);
            }
            written += takes;
        }
        pieces.push(Signal::Carried(text[begin..].to_owned(), false));
        pieces
    }

    /// That somebody was added to a room.
    pub(crate) fn invited(invitation: &Invitation) -> Signal {
        let Invitation { id, user, room, by, at, .. } = *invitation;
        Signal::Invited(id, user, room, by, at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(room: i64, user: i64) -> (RoomId, PrincipalId) {
        (RoomId(room), PrincipalId(user))
    }

    #[test]
    fn of_what_changes_often_only_the_latest_is_told() {
        let mut gathered = Gathered::default();
        for how in [Some(How::Plainly), None, Some(How::Plainly)] {
            gathered.add(Signal::presence(RoomId(1), PrincipalId(10), how));
        }
        for how in [Some(How::Plainly), Some(How::OverXmpp)] {
            gathered.add(Signal::presence(RoomId(2), PrincipalId(10), how));
        }
        gathered.add(Signal::Typing(vec![at(1, 10)]));
        gathered.add(Signal::Typing(vec![at(1, 10)]));
        gathered.add(Signal::Read(PrincipalId(10), RoomId(1), Seq(4), 1, 0));
        gathered.add(Signal::Read(PrincipalId(10), RoomId(1), Seq(5), 0, 0));
        assert_eq!(
            gathered.messages(None),
            [r#"[{"p":{"i":[[1,10]],"x":[[2,10]]}},{"t":[[1,10]]},{"r":[10,1,5,0,0]}]"#]
        );
    }

    #[test]
    fn everything_comes_in_pieces_that_fit_and_says_where_it_begins_and_ends() {
        let how = |i| if i % 2 == 0 { How::Plainly } else { How::OverXmpp };
        let there = |i| There { room: RoomId(i64::from(i32::MAX) + i), user: PrincipalId(i64::MAX - i), how: how(i) };
        let mut present: Vec<There> = (0..3_000).map(there).collect();
        let gathered = Gathered { whole: true, ..Gathered::default() };
        let messages = gathered.messages(Some(present.clone()));
        assert!(messages.len() > 5 && messages.iter().all(|m| m.len() <= MOST_SIGNAL_BYTES));
        let pieces: Vec<Signal> = messages.iter().flat_map(|m| read(m)).collect();
        let mut heard = Vec::new();
        for (i, piece) in pieces.iter().enumerate() {
            let Signal::Whole { first, last, present, over_xmpp } = piece else { panic!("{piece:?}") };
            assert_eq!((*first, *last), (i == 0, i == pieces.len() - 1));
            heard.extend(There::all(present, over_xmpp));
        }
        heard.sort_by_key(|there| there.room);
        present.sort_by_key(|there| there.room);
        assert_eq!(heard, present);
        let nobody = Gathered::default().messages(Some(vec![]));
        assert_eq!(nobody, [r#"[{"w":{"f":true,"l":true,"i":[]}}]"#]);
    }

    #[test]
    fn what_a_door_says_is_cut_where_it_may_be_and_every_piece_fits() {
        for text in ["", "short", &"\"\\\n\u{1}".repeat(3_000), &"ä€𝄞".repeat(4_000), &"x".repeat(CARRIED_BYTES)]
        {
            let mut gathered = Gathered::default();
            Signal::carried(text).into_iter().for_each(|piece| gathered.add(piece));
            let messages = gathered.messages(None);
            assert!(messages.iter().all(|m| m.len() <= MOST_SIGNAL_BYTES));
            let pieces: Vec<Signal> = messages.iter().flat_map(|m| read(m)).collect();
            let mut heard = String::new();
            for (i, piece) in pieces.iter().enumerate() {
                let Signal::Carried(piece, more) = piece else { panic!("{piece:?}") };
                assert_eq!(*more, i + 1 < pieces.len());
                heard.push_str(piece);
            }
            assert_eq!(heard, text);
        }
    }

    #[test]
    fn what_is_not_known_is_passed_over() {
        assert_eq!(read(r#"["hello",{"zeta":[1]},"gone",7]"#), [Signal::Hello, Signal::Gone]);
        assert!(read("rubbish").is_empty());
        let ended = Signal::Ended(PrincipalId(10), Some(By::SignIn(3)), None);
        assert_eq!(read(&packed(std::slice::from_ref(&ended))[0]), [ended]);
    }
}
