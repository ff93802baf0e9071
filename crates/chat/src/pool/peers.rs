//! What is known of the other servers by what they tell: whether something of it was missed, and their presence while it comes in pieces.

use super::signal::{Signal, There};
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

/// A server that tells something but has not been seen in the list of servers is believed for this long.
const UNLISTED: Duration = Duration::from_secs(6);

/// The other servers, by their runs.
#[derive(Debug, Default)]
pub(crate) struct Peers(HashMap<Uuid, Peer>);

#[derive(Debug)]
struct Peer {
    /// The number of the message that comes next.
    next: u64,
    since: Instant,
    /// The pieces of its presence that have come so far.
    pieces: Option<Vec<There>>,
    /// The pieces of what one of its doors says; `None` while the rest of something is passed over of which a piece was missed.
    carried: Option<String>,
}

/// What came of a message.
#[derive(PartialEq, Eq, Debug, Default)]
pub(crate) struct Told {
    /// Whether something of that server was missed before it.
    pub(crate) missed: bool,
    /// The whole presence of that server, if the message completed it.
    pub(crate) whole: Option<Vec<There>>,
    /// What is to be done after that, in this order.
    pub(crate) signals: Vec<Signal>,
}

impl Peers {
    /// Takes message number `n` of a server's run.
    pub(crate) fn hear(&mut self, run: Uuid, n: u64, signals: Vec<Signal>, now: Instant) -> Told {
        let peer =
            self.0.entry(run).or_insert(Peer { next: 1, since: now, pieces: None, carried: Some(String::new()) });
        let mut told = Told { missed: n != peer.next, ..Told::default() };
        peer.next = n + 1;
        if told.missed {
            peer.pieces = None;
            peer.carried = None;
        }
        for signal in signals {
            match signal {
                Signal::Whole { first, last, present, over_xmpp } => {
                    if first {
                        peer.pieces = Some(Vec::new());
                    }
                    if let Some(pieces) = &mut peer.pieces {
                        pieces.extend(There::all(&present, &over_xmpp));
                    }
                    if last && let Some(pieces) = peer.pieces.take() {
                        told.whole = Some(pieces);
                        // What changed before is in it.
                        told.signals.retain(|s| !matches!(s, Signal::Presence { .. }));
                    }
                }
                Signal::Carried(piece, more) => {
                    let so_far = peer.carried.take();
                    if !more {
                        peer.carried = Some(String::new());
                        told.signals.extend(so_far.map(|so_far| Signal::Carried(so_far + &piece, false)));
                    } else {
                        peer.carried = so_far.map(|so_far| so_far + &piece);
                    }
                }
                other => told.signals.push(other),
            }
        }
        told
    }

    /// Forgets the servers that are not among `alive`, and answers which.
    pub(crate) fn keep(&mut self, alive: &HashSet<Uuid>, now: Instant) -> Vec<Uuid> {
        let gone = |(run, peer): (&Uuid, &Peer)| {
            (!alive.contains(run) && now.duration_since(peer.since) > UNLISTED).then_some(*run)
        };
        let gone: Vec<Uuid> = self.0.iter().filter_map(gone).collect();
        for run in &gone {
            self.0.remove(run);
        }
        gone
    }

    /// Whether one of these has told nothing yet, so that nothing is known of who is on it.
    pub(crate) fn lack(&self, mut alive: impl Iterator<Item = Uuid>) -> bool {
        alive.any(|run| !self.0.contains_key(&run))
    }

    /// Forgets a server.
    pub(crate) fn forget(&mut self, run: Uuid) {
        self.0.remove(&run);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_domain::{PrincipalId, RoomId};

    const RUN: Uuid = Uuid::from_u128(1);

    fn whole(first: bool, last: bool, user: i64) -> Signal {
        Signal::Whole { first, last, present: vec![(RoomId(1), PrincipalId(user))], over_xmpp: Vec::new() }
    }

    #[tokio::test]
    async fn a_hole_in_the_numbers_shows() {
        let (mut peers, now) = (Peers::default(), Instant::now());
        assert!(!peers.hear(RUN, 1, vec![], now).missed);
        assert!(!peers.hear(RUN, 2, vec![], now).missed);
        assert!(peers.hear(RUN, 4, vec![], now).missed);
        assert!(!peers.hear(RUN, 5, vec![], now).missed);
        assert!(peers.hear(Uuid::from_u128(2), 9, vec![], now).missed, "it was there before us");
    }

    #[tokio::test]
    async fn presence_in_pieces_counts_when_the_last_is_there_and_none_is_missing() {
        let (mut peers, now) = (Peers::default(), Instant::now());
        assert_eq!(peers.hear(RUN, 1, vec![whole(true, false, 10)], now).whole, None);
        let told = peers.hear(RUN, 2, vec![whole(false, true, 11), Signal::Hello], now);
        assert_eq!(told.whole.map(|w| w.len()), Some(2));
        assert_eq!(told.signals, [Signal::Hello]);
        peers.hear(RUN, 3, vec![whole(true, false, 10)], now);
        assert_eq!(peers.hear(RUN, 5, vec![whole(false, true, 12)], now).whole, None);
    }

    #[tokio::test]
    async fn what_a_door_says_counts_when_all_of_it_is_there() {
        let (mut peers, now) = (Peers::default(), Instant::now());
        let piece = |text: &str, more| Signal::Carried(text.to_owned(), more);
        assert_eq!(peers.hear(RUN, 1, vec![piece("ab", true)], now).signals, []);
        let told = peers.hear(RUN, 2, vec![piece("c", false), piece("d", false), piece("e", true)], now);
        assert_eq!(told.signals, [piece("abc", false), piece("d", false)]);
        // The second half of something is nothing; what comes after it is whole again.
        let told = peers.hear(RUN, 4, vec![piece("lost", true), piece("lost", false), piece("f", false)], now);
        assert_eq!((told.missed, told.signals), (true, vec![piece("f", false)]));
    }

    #[tokio::test]
    async fn servers_that_are_gone_are_forgotten_and_new_ones_given_time() {
        let (mut peers, now) = (Peers::default(), Instant::now());
        peers.hear(RUN, 1, vec![], now);
        assert!(peers.keep(&HashSet::new(), now).is_empty());
        assert!(peers.keep(&HashSet::from([RUN]), now + UNLISTED * 2).is_empty());
        assert_eq!(peers.keep(&HashSet::new(), now + UNLISTED * 2), [RUN]);
    }
}
