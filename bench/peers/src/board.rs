//! What became of each message: when it was due, when its author saw it come back, when the last of its room had it, how often it lies in the archive.
//!
//! A latency counts from when a message was due, not from when it was sent: a generator that is held up by the server it measures must not hide that.

use crate::audience::Ear;
use crate::scan::{attribute, number};
use anyhow::{Result, anyhow};
use hdrhistogram::Histogram;
use std::array::from_fn;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

const CHUNK: usize = 1 << 16;
const CHUNKS: usize = 1 << 10;
const SHARDS: usize = 16;

/// One message.
#[derive(Debug, Default)]
pub(crate) struct Post {
    author: AtomicU32,
    /// Nanoseconds since the board was put up, and one; 0 is never.
    due: AtomicU64,
    acked: AtomicU64,
    last: AtomicU64,
    heard: AtomicU32,
    archived: AtomicU32,
}

/// All messages of one measurement.
#[derive(Debug)]
pub(crate) struct Board {
    begun: Instant,
    posts: Vec<OnceLock<Box<[Post]>>>,
    next: AtomicUsize,
    /// Messages before this are warm-up.
    counted: AtomicUsize,
    acked: AtomicU64,
    deliveries: AtomicU64,
    refused: AtomicU64,
    each: [Mutex<Histogram<u64>>; SHARDS],
    /// How many more messages each author may send before one comes back.
    windows: Vec<Semaphore>,
    /// What the first of each room saw, in order.
    observed: Vec<Option<Mutex<Vec<u32>>>>,
}

/// How durations are spread.
#[derive(Clone, Debug)]
pub(crate) struct Spread(Histogram<u64>);

impl Spread {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self(histogram()?))
    }

    pub(crate) fn add(&mut self, duration: Duration) {
        self.0.saturating_record(nanos(duration) / 1_000);
    }

    pub(crate) fn len(&self) -> u64 {
        self.0.len()
    }

    /// Milliseconds below which `share` of them are.
    pub(crate) fn at(&self, share: f64) -> f64 {
        #[allow(clippy::cast_precision_loss, reason = "microseconds of minutes")]
        let micros = self.0.value_at_quantile(share) as f64;
        micros / 1_000.0
    }
}

/// Microseconds up to five minutes, to three digits.
fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 300_000_000, 3)?)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Board {
    /// For `authors` that may each have `window` messages under way. Those of `observers` write down what they see.
    pub(crate) fn new(authors: usize, window: usize, observers: &[usize]) -> Result<Self> {
        let each: Vec<_> = (0..SHARDS).map(|_| histogram()).collect::<Result<_>>()?;
        let mut each = each.into_iter();
        let spare = histogram()?;
        let observes = |who| observers.contains(&who).then(Mutex::default);
        Ok(Self {
            begun: Instant::now(),
            posts: (0..CHUNKS).map(|_| OnceLock::new()).collect(),
            next: AtomicUsize::new(0),
            counted: AtomicUsize::new(0),
            acked: AtomicU64::new(0),
            deliveries: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            each: from_fn(|_| Mutex::new(each.next().unwrap_or_else(|| spare.clone()))),
            windows: (0..authors).map(|_| Semaphore::new(window)).collect(),
            observed: (0..authors).map(observes).collect(),
        })
    }

    fn post(&self, number: usize) -> Option<&Post> {
        let chunk = self.posts.get(number / CHUNK)?;
        chunk.get_or_init(|| (0..CHUNK).map(|_| Post::default()).collect()).get(number % CHUNK)
    }

    fn moment(&self, at: Instant) -> u64 {
        nanos(at.saturating_duration_since(self.begun)) + 1
    }

    /// The number of a message of `author` that is due.
    pub(crate) fn due(&self, author: usize, at: Instant) -> Result<usize> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let post = self.post(number).ok_or_else(|| anyhow!("more than {} messages", CHUNK * CHUNKS))?;
        post.author.store(u32::try_from(author)?, Ordering::Relaxed);
        post.due.store(self.moment(at), Ordering::Release);
        Ok(number)
    }

    /// Waits until `author` may send another one.
    pub(crate) async fn turn(&self, author: usize) -> Result<()> {
        self.windows.get(author).ok_or_else(|| anyhow!("nobody is {author}"))?.acquire().await?.forget();
        Ok(())
    }

    /// Lets every author have `more` messages under way.
    pub(crate) fn widen(&self, more: usize) {
        self.windows.iter().for_each(|window| window.add_permits(more));
    }

    /// What was sent so far was warm-up.
    pub(crate) fn begin(&self) {
        self.counted.store(self.sent(), Ordering::Relaxed);
        for shard in &self.each {
            shard.lock().unwrap_or_else(PoisonError::into_inner).reset();
        }
    }

    pub(crate) fn sent(&self) -> usize {
        self.next.load(Ordering::Relaxed)
    }

    pub(crate) fn acked(&self) -> u64 {
        self.acked.load(Ordering::Relaxed)
    }

    pub(crate) fn deliveries(&self) -> u64 {
        self.deliveries.load(Ordering::Relaxed)
    }

    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Waits until all that was sent came back, or was refused; false when it did not in time.
    pub(crate) async fn quiet(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while self.acked() + self.refused() < self.sent() as u64 {
            if Instant::now() > deadline {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        true
    }

    /// Waits until every message since [`Board::begin`] has reached `listeners`; false when it did not in time.
    pub(crate) async fn all_heard(&self, listeners: usize, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let heard = || self.all().all(|(_, post)| post.heard.load(Ordering::Relaxed) as usize >= listeners);
        while !heard() {
            if Instant::now() > deadline {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        true
    }

    fn all(&self) -> impl Iterator<Item = (usize, &Post)> {
        let counted = self.counted.load(Ordering::Relaxed);
        (counted..self.sent()).filter_map(|number| Some((number, self.post(number)?)))
    }

    /// From due to each that has it.
    pub(crate) fn each(&self) -> Result<Spread> {
        let mut all = histogram()?;
        for shard in &self.each {
            all.add(&*shard.lock().unwrap_or_else(PoisonError::into_inner))?;
        }
        Ok(Spread(all))
    }

    /// From due to the last that has it, of those messages that reached all `listeners`.
    pub(crate) fn last(&self, listeners: usize) -> Result<Spread> {
        self.spread(|post| {
            let all = post.heard.load(Ordering::Relaxed) as usize >= listeners;
            if all { post.last.load(Ordering::Relaxed) } else { 0 }
        })
    }

    /// From due to when its author saw it, of all since `from`.
    pub(crate) fn reflected(&self, from: usize) -> Result<Spread> {
        let counted = self.counted.swap(from, Ordering::Relaxed);
        let spread = self.spread(|post| post.acked.load(Ordering::Relaxed));
        self.counted.store(counted, Ordering::Relaxed);
        spread
    }

    fn spread(&self, end: impl Fn(&Post) -> u64) -> Result<Spread> {
        let mut spread = Spread::new()?;
        for (_, post) in self.all() {
            let (due, end) = (post.due.load(Ordering::Relaxed), end(post));
            if end > 0 {
                spread.add(Duration::from_nanos(end.saturating_sub(due)));
            }
        }
        Ok(spread)
    }

    /// Writes down that a message lies in the archive.
    pub(crate) fn is_archived(&self, number: usize) -> bool {
        let known = number < self.sent();
        if let Some(post) = self.post(number).filter(|_| known) {
            post.archived.fetch_add(1, Ordering::Relaxed);
        }
        known
    }

    /// What each observer saw, by who he is.
    pub(crate) fn observed(&self) -> impl Iterator<Item = (usize, Vec<u32>)> {
        let seen = |seen: &Mutex<Vec<u32>>| seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.observed.iter().enumerate().filter_map(move |(who, observed)| Some((who, seen(observed.as_ref()?))))
    }

    /// Every message that was sent: whether anybody saw it, whether its author did, and how often it is archived.
    pub(crate) fn fates(&self) -> impl Iterator<Item = Fate> {
        (0..self.sent()).filter_map(|number| {
            let post = self.post(number)?;
            let moment = |of: &AtomicU64| {
                of.load(Ordering::Relaxed).checked_sub(1).map(|n| self.begun + Duration::from_nanos(n))
            };
            Some(Fate {
                due: moment(&post.due)?,
                acked: moment(&post.acked),
                shown: post.heard.load(Ordering::Relaxed) > 0,
                archived: post.archived.load(Ordering::Relaxed),
            })
        })
    }
}

/// What became of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fate {
    pub(crate) due: Instant,
    pub(crate) acked: Option<Instant>,
    pub(crate) shown: bool,
    pub(crate) archived: u32,
}

impl Ear for Board {
    fn hear(&self, who: usize, stanza: &[u8], at: Instant) {
        if !stanza.starts_with(b"<message") {
            return;
        }
        let Some(number) = number(stanza).filter(|n| *n < self.sent()) else { return };
        let Some(post) = self.post(number) else { return };
        let by_me = post.author.load(Ordering::Relaxed) as usize == who;
        if attribute(stanza, "message", "type") == Some("error") {
            self.refused.fetch_add(1, Ordering::Relaxed);
            if let Some(window) = self.windows.get(who) {
                window.add_permits(1);
            }
            return;
        }
        let (now, due) = (self.moment(at), post.due.load(Ordering::Acquire));
        post.heard.fetch_add(1, Ordering::Relaxed);
        post.last.fetch_max(now, Ordering::Relaxed);
        self.deliveries.fetch_add(1, Ordering::Relaxed);
        if number >= self.counted.load(Ordering::Relaxed) {
            let mut shard = self.each[who % SHARDS].lock().unwrap_or_else(PoisonError::into_inner);
            shard.saturating_record(now.saturating_sub(due) / 1_000);
        }
        if let Some(Some(observed)) = self.observed.get(who) {
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            observed.lock().unwrap_or_else(PoisonError::into_inner).push(number);
        }
        if by_me && post.acked.swap(now, Ordering::Relaxed) == 0 {
            self.acked.fetch_add(1, Ordering::Relaxed);
            if let Some(window) = self.windows.get(who) {
                window.add_permits(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::body;

    #[tokio::test]
    async fn a_message_is_followed_from_its_author_to_the_archive() {
        let board = Board::new(2, 1, &[1]).unwrap();
        board.turn(0).await.unwrap();
        let at = Instant::now();
        let number = board.due(0, at).unwrap();
        let stanza = format!("<message type='groupchat'><body>{}</body></message>", body(number));
        board.hear(1, stanza.as_bytes(), at + Duration::from_millis(5));
        assert_eq!((board.acked(), board.deliveries()), (0, 1));
        board.hear(0, stanza.as_bytes(), at + Duration::from_millis(3));
        assert_eq!((board.acked(), board.deliveries()), (1, 2));
        board.turn(0).await.unwrap();
        assert!(board.quiet(Duration::ZERO).await && board.all_heard(2, Duration::ZERO).await);
        assert!((4.9..5.1).contains(&board.last(2).unwrap().at(0.5)));
        assert!((2.9..3.1).contains(&board.reflected(0).unwrap().at(0.5)));
        assert_eq!(board.last(3).unwrap().len(), 0);
        assert_eq!(board.observed().collect::<Vec<_>>(), [(1, vec![0])]);
        assert!(board.is_archived(0) && !board.is_archived(1));
        let fates: Vec<Fate> = board.fates().collect();
        assert!(fates.len() == 1 && fates[0].shown && fates[0].archived == 1 && fates[0].acked.is_some());
    }
}
