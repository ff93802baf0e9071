//! What waits to be written, and which of it flies together.
//!
//! Rooms are divided into two lanes by their numbers, so that two transactions can be under way without what is said in one
//! room changing its order. A second one pays only when much waits: below that it makes both smaller, and each costs its own way to
//! the disk.

use super::Answer;
use crate::error::ChatError;
use holdfast_store::log::Draft;
use std::collections::VecDeque;
use tokio::time::Instant;

/// Drafts of one transaction at most: nine tenths of the rate of five times as many, at a quarter of the time.
const BATCH: usize = 1_000;
/// Requests that have to wait for a second transaction to begin beside another. While one waits for the disk or for an answer, the other works: at a
/// hundred senders two of 25 have a third more done than one of 50, in the same order.
const WORTH: usize = 25;
/// Both lanes.
pub(super) const BOTH: u8 = 0b11;

/// Something to be written, all or none, and who waits for it.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) drafts: Vec<Draft>,
    /// When it has waited for long enough.
    pub(super) until: Instant,
    /// Whether a try of it ended without its outcome being known.
    pub(super) unknown: bool,
    pub(super) done: Answer,
    lanes: u8,
}

impl Request {
    pub(super) fn new(drafts: Vec<Draft>, until: Instant, done: Answer) -> Request {
        let lanes = drafts.iter().fold(0, |lanes, draft| lanes | (1 << (draft.room.0 & 1)));
        // A request without drafts waits for all others.
        Request { lanes: if lanes == 0 { BOTH } else { lanes }, drafts, until, unknown: false, done }
    }

    /// Tells who asked that it came to nothing, or, where that is not known, so.
    pub(super) fn refuse(self, why: impl FnOnce() -> ChatError) {
        let _ = self.done.send(Err(if self.unknown { ChatError::OutcomeUnknown } else { why() }));
    }
}

/// Requests in the order in which they came.
#[derive(Debug)]
pub(super) struct Queue {
    two_lanes: bool,
    waiting: VecDeque<Request>,
}

impl Queue {
    pub(super) fn new(two_lanes: bool) -> Queue {
        Queue { two_lanes, waiting: VecDeque::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn push(&mut self, request: Request) {
        self.waiting.push_back(request);
    }

    /// What has to be tried again comes before everything else.
    pub(super) fn put_back(&mut self, requests: Vec<Request>) {
        for request in requests.into_iter().rev() {
            self.waiting.push_front(request);
        }
    }

    /// When the first request has waited for long enough. Requests wait equally long, so it is about the first.
    pub(super) fn first_late(&self) -> Option<Instant> {
        self.waiting.iter().take(WORTH).map(|r| r.until).min()
    }

    /// Takes out what has waited for long enough.
    pub(super) fn take_late(&mut self, now: Instant) -> Vec<Request> {
        if self.first_late().is_none_or(|first| first > now) {
            return Vec::new();
        }
        let (late, waiting) = std::mem::take(&mut self.waiting).into_iter().partition(|r| r.until <= now);
        self.waiting = waiting;
        Vec::from_iter::<VecDeque<Request>>(late)
    }

    /// What is to fly now, while the lanes `busy` are taken, and which lanes it takes.
    pub(super) fn next_flight(&mut self, busy: u8) -> Option<(u8, Vec<Request>)> {
        if self.waiting.is_empty() || busy == BOTH {
            return None;
        }
        if !self.two_lanes {
            return (busy == 0).then(|| (BOTH, self.take(BOTH)));
        }
        let together =
            |lane: u8| self.waiting.iter().take_while(|r| r.lanes != BOTH).filter(|r| r.lanes == lane).count();
        let free = BOTH & !busy;
        let (even, odd) = (together(0b01), together(0b10));
        let lane = match free {
            BOTH if even >= WORTH && odd >= WORTH => 0b01,
            BOTH => BOTH,
            0b01 if even >= WORTH => 0b01,
            0b10 if odd >= WORTH => 0b10,
            _ => return None,
        };
        Some((lane, self.take(lane)))
    }

    /// Takes as much of these lanes as goes into one transaction, in order.
    fn take(&mut self, lanes: u8) -> Vec<Request> {
        let mut taken = Vec::new();
        let mut drafts = 0;
        if lanes == BOTH {
            while drafts < BATCH
                && let Some(request) = self.waiting.pop_front()
            {
                drafts += request.drafts.len();
                taken.push(request);
            }
            return taken;
        }
        let mut rest = VecDeque::with_capacity(self.waiting.len());
        let mut over = false;
        for request in std::mem::take(&mut self.waiting) {
            // What needs both lanes is not overtaken.
            over |= request.lanes == BOTH || drafts >= BATCH;
            if over || request.lanes != lanes {
                rest.push_back(request);
            } else {
                drafts += request.drafts.len();
                taken.push(request);
            }
        }
        self.waiting = rest;
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_domain::entry::{EntryBody, Message};
    use holdfast_domain::{ClientId, PrincipalId, RoomId, Time};
    use holdfast_store::log::Remember;
    use std::time::Duration;

    fn request(rooms: &[i64], until: Instant) -> Request {
        let draft = |room: &i64| Draft {
            room: RoomId(*room),
            author: PrincipalId(10),
            client_id: ClientId(uuid::Uuid::new_v4()),
            remember: Remember::UntilForgotten,
            decided_on: None,
            at: Time::EPOCH,
            body: EntryBody::Message(Message::default()),
        };
        Request::new(rooms.iter().map(draft).collect(), until, tokio::sync::oneshot::channel().0)
    }

    fn rooms(batch: &[Request]) -> Vec<i64> {
        batch.iter().flat_map(|r| &r.drafts).map(|d| d.room.0).collect()
    }

    #[tokio::test]
    async fn little_flies_together_and_much_in_two_lanes() {
        let now = Instant::now();
        let mut queue = Queue::new(true);
        (0..40).for_each(|room| queue.push(request(&[room], now)));
        let (lanes, batch) = queue.next_flight(0).unwrap();
        assert_eq!((lanes, batch.len()), (BOTH, 40));
        (0..300).for_each(|room| queue.push(request(&[room], now)));
        assert!(queue.next_flight(BOTH).is_none());
        let (lanes, batch) = queue.next_flight(0).unwrap();
        assert!(lanes == 0b01 && rooms(&batch) == (0..300).step_by(2).collect::<Vec<_>>());
        let (lanes, batch) = queue.next_flight(lanes).unwrap();
        assert!(lanes == 0b10 && rooms(&batch) == (1..300).step_by(2).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn nothing_overtakes_what_needs_both_lanes() {
        let now = Instant::now();
        let mut queue = Queue::new(true);
        (0..240).for_each(|room| queue.push(request(&[room], now)));
        queue.push(request(&[0, 1], now));
        (0..240).for_each(|room| queue.push(request(&[room], now)));
        assert_eq!(queue.next_flight(0).unwrap().1.len(), 120);
        assert!(queue.next_flight(0b01).unwrap().1.len() == 120 && queue.next_flight(0b01).is_none());
        let (lanes, batch) = queue.next_flight(0).unwrap();
        assert_eq!((lanes, batch[0].drafts.len()), (BOTH, 2));
    }

    #[tokio::test]
    async fn who_has_waited_for_long_enough_is_taken_out() {
        let now = Instant::now();
        let mut queue = Queue::new(false);
        queue.push(request(&[1], now + Duration::from_secs(1)));
        queue.push(request(&[2], now + Duration::from_secs(2)));
        assert!(queue.take_late(now).is_empty());
        assert_eq!(rooms(&queue.take_late(now + Duration::from_secs(1))), [1]);
        assert_eq!(queue.first_late(), Some(now + Duration::from_secs(2)));
    }
}
