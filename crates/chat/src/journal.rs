//! Group commit: drafts that arrive while a transaction is in flight are committed together in the next one.
//!
//! One task owns the way to the log. It takes what waits and has it written in one transaction; then the entries are handed out, in
//! order, to the hub and to whoever is waiting, while the next transaction is in flight already. There is no timer: an idle server
//! commits at once, a busy one in batches as large as the load makes them.
//!
//! A store that is away is tried again, with growing pauses, until a request has waited for as long as it may. What was never tried, or
//! is known not to have been kept, is then *unavailable*, and is not written later behind anybody's back; what may have been kept is
//! *unknown*, whatever later tries said.

mod queue;

use crate::error::{ChatError, Result};
use holdfast_domain::Entry;
use holdfast_store::log::{Appended, Draft};
use holdfast_store::{Store, StoreError};
use queue::{Queue, Request};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

/// Requests that may wait; more wait at the door.
const WAITING: usize = 4_096;
/// Committed batches that wait to be handed out at most.
const LANDED: usize = 4;
/// The first pause before a store that is away is tried again, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// A store that may be lost from sight has this much longer than requests wait to answer at all.
const SILENCE: Duration = Duration::from_secs(30);

/// The way to the log.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    requests: mpsc::Sender<Request>,
    wait: Duration,
    counts: Arc<Counts>,
}

/// What the journal has done.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Transactions.
    pub(crate) commits: AtomicU64,
    /// Entries in them.
    pub(crate) entries: AtomicU64,
    /// Drafts that were there already.
    pub(crate) repeated: AtomicU64,
    /// Requests that failed.
    pub(crate) failed: AtomicU64,
}

/// Hears of every entry right after it was committed, each log's in their order; it may hear of one again.
pub(crate) trait Committed: Send + Sync + 'static {
    /// `entries` are durable.
    fn committed(&self, entries: &[&Entry]) -> impl Future<Output = ()> + Send;
}

type Answer = oneshot::Sender<Result<Vec<Appended>>>;

/// A batch that is durable, with those who wait for it.
type Landed = Vec<(Answer, Vec<Appended>)>;

/// What a flight comes back with.
struct Back {
    lanes: u8,
    /// What is to be tried again, because the store was away.
    again: Vec<Request>,
    why: Option<String>,
}

impl Journal {
    /// Starts the tasks; they end when the journal is dropped and all that waited is done. `wait`: how long a request waits for a store
    /// that is away.
    pub(crate) fn start(
        store: Arc<dyn Store>,
        wait: Duration,
        listener: impl Committed,
    ) -> (Journal, [JoinHandle<()>; 2]) {
        let (requests, incoming) = mpsc::channel(WAITING);
        let (landing, landed) = mpsc::channel(LANDED);
        let counts = Arc::new(Counts::default());
        let tower = Tower { store, wait, landing, counts: Arc::clone(&counts) };
        let tasks = [tokio::spawn(tower.run(incoming)), tokio::spawn(hand_out(listener, landed))];
        (Journal { requests, wait, counts }, tasks)
    }

    /// What it has done.
    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Has drafts written, all or none, and answers when they are durable and shown. Dropping the future does not stop the
    /// writing: a commit is never cancelled. No drafts: answers when all that was asked for before is done.
    pub(crate) async fn write(&self, drafts: Vec<Draft>) -> Result<Vec<Appended>> {
        let (done, answer) = oneshot::channel();
        let request = Request::new(drafts, Instant::now() + self.wait, done);
        let stopped = |_| ChatError::Unavailable("the server is stopping".into());
        self.requests.send(request).await.map_err(stopped)?;
        answer.await.map_err(|_| ChatError::OutcomeUnknown)?
    }

    /// Has one draft written; see [`Journal::write`].
    pub(crate) async fn write_one(&self, draft: Draft) -> Result<Appended> {
        self.write(vec![draft]).await?.pop().ok_or(ChatError::Internal)
    }
}

/// Shows what is durable, and then answers those who asked for it.
async fn hand_out(listener: impl Committed, mut landed: mpsc::Receiver<Landed>) {
    while let Some(batch) = landed.recv().await {
        // Repeated ones too: a write whose outcome was unknown may have been kept without anybody having heard of it.
        let entries: Vec<&Entry> = batch.iter().flat_map(|(_, appended)| appended).map(Appended::entry).collect();
        listener.committed(&entries).await;
        drop(entries);
        for (answer, appended) in batch {
            // Whoever asked may have gone; what was asked is done all the same.
            let _ = answer.send(Ok(appended));
        }
    }
}

/// Decides what flies when.
struct Tower {
    store: Arc<dyn Store>,
    wait: Duration,
    landing: mpsc::Sender<Landed>,
    counts: Arc<Counts>,
}

impl Tower {
    async fn run(self, mut incoming: mpsc::Receiver<Request>) {
        // A store that several servers share is behind a round trip, during which a second transaction can be under way.
        let shared = self.store.pool().is_some();
        let mut queue = Queue::new(shared);
        let mut flights: JoinSet<Back> = JoinSet::new();
        let mut busy = 0;
        let mut pause: Option<(Instant, Duration)> = None;
        let mut why: Option<String> = None;
        let mut open = true;
        while open || !queue.is_empty() || !flights.is_empty() {
            let now = Instant::now();
            for late in queue.take_late(now) {
                self.counts.failed.fetch_add(1, Ordering::Relaxed);
                late.refuse(|| unavailable(why.as_deref()));
            }
            if pause.is_none_or(|(until, _)| until <= now) {
                while let Some((lanes, batch)) = queue.next_flight(busy) {
                    busy |= lanes;
                    flights.spawn(self.fly(lanes, batch, shared));
                }
            }
            let resume = pause.map(|(until, _)| until).filter(|until| *until > now);
            let wake = [resume, queue.first_late()].into_iter().flatten().min();
            tokio::select! {
                request = incoming.recv(), if open && queue.len() < WAITING => match request {
                    Some(request) => {
                        queue.push(request);
                        while queue.len() < WAITING && let Ok(next) = incoming.try_recv() {
                            queue.push(next);
                        }
                    }
                    None => open = false,
                },
                Some(landed) = flights.join_next(), if !flights.is_empty() => match landed {
                    Ok(back) => {
                        busy &= !back.lanes;
                        if back.again.is_empty() {
                            (pause, why) = (None, None);
                        } else {
                            let length = pause.map_or(PAUSES.0, |(_, last)| (last * 2).min(PAUSES.1));
                            pause = Some((Instant::now() + length, length));
                            why = back.why;
                            queue.put_back(back.again);
                        }
                    }
                    Err(error) => {
                        // Those who waited hear that the outcome is not known.
                        tracing::error!(%error, "writing a batch failed inside the server");
                        if flights.is_empty() {
                            busy = 0;
                        }
                    }
                },
                () = sleep_until(wake), if wake.is_some() => {}
            }
        }
    }

    /// Writes a batch, and sends on what is durable.
    fn fly(&self, lanes: u8, batch: Vec<Request>, shared: bool) -> impl Future<Output = Back> + Send + 'static {
        let (store, landing, counts) = (Arc::clone(&self.store), self.landing.clone(), Arc::clone(&self.counts));
        let most = if shared { Some(self.wait + SILENCE) } else { None };
        async move {
            let mut parts = vec![batch];
            let mut back = Back { lanes, again: Vec::new(), why: None };
            while let Some(mut part) = parts.pop() {
                match append(store.as_ref(), &part, most).await {
                    Ok(appended) => {
                        let landed = answers(part, appended, &counts);
                        // The receiver ends after all flights.
                        let _ = landing.send(landed).await;
                    }
                    // One refused request must not fail the others: it is singled out.
                    Err(StoreError::Taken { .. } | StoreError::Missing { .. } | StoreError::Stale)
                        if part.len() > 1 =>
                    {
                        let second = part.split_off(part.len() / 2);
                        parts.push(second);
                        parts.push(part);
                    }
                    // The batch before was kept after all, and it is its own change that makes this one stale.
                    Err(StoreError::Stale) if part[0].unknown && was_kept(store.as_ref(), &part[0]).await => {
                        part[0].drafts.iter_mut().for_each(|draft| draft.decided_on = None);
                        parts.push(part);
                    }
                    Err(StoreError::Away { why }) => {
                        back.again.append(&mut part);
                        back.why = Some(why);
                    }
                    Err(StoreError::Unknown { why }) => {
                        tracing::warn!(%why, requests = part.len(), "it is not known whether a batch was kept; asking again");
                        part.iter_mut().for_each(|request| request.unknown = true);
                        back.again.append(&mut part);
                        back.why = Some(why);
                    }
                    Err(error) => refuse(part, error, &counts),
                }
                if back.why.is_some() {
                    back.again.extend(parts.drain(..).rev().flatten());
                }
            }
            back
        }
    }
}

/// Whether a request whose outcome was unknown is in the logs. It is there as a whole or not at all.
async fn was_kept(store: &dyn Store, request: &Request) -> bool {
    let Some(Draft { room, author, client_id, .. }) = request.drafts.first() else { return false };
    matches!(store.find_sent(*room, *author, *client_id).await, Ok(Some(_)))
}

async fn sleep_until(when: Option<Instant>) {
    if let Some(when) = when {
        tokio::time::sleep_until(when).await;
    }
}

async fn append(
    store: &dyn Store,
    batch: &[Request],
    most: Option<Duration>,
) -> std::result::Result<Vec<Appended>, StoreError> {
    let drafts: Vec<Draft> = batch.iter().flat_map(|r| r.drafts.iter().cloned()).collect();
    if drafts.is_empty() {
        return Ok(Vec::new());
    }
    let Some(most) = most else { return store.append(drafts).await };
    let silent = |_| Err(StoreError::Unknown { why: "the database did not answer for a long time".into() });
    tokio::time::timeout(most, store.append(drafts)).await.unwrap_or_else(silent)
}

fn answers(batch: Vec<Request>, appended: Vec<Appended>, counts: &Counts) -> Landed {
    let new = appended.iter().filter(|a| matches!(a, Appended::New(_))).count();
    if !appended.is_empty() {
        counts.commits.fetch_add(1, Ordering::Relaxed);
        counts.entries.fetch_add(new as u64, Ordering::Relaxed);
        counts.repeated.fetch_add((appended.len() - new) as u64, Ordering::Relaxed);
    }
    let mut appended = appended.into_iter();
    batch.into_iter().map(|r| (r.done, appended.by_ref().take(r.drafts.len()).collect())).collect()
}

/// Tells those who asked that nothing came of it. What may have been kept by an earlier try stays unknown, unless the store has said
/// about just this request why it cannot be.
fn refuse(batch: Vec<Request>, error: StoreError, counts: &Counts) {
    counts.failed.fetch_add(batch.len() as u64, Ordering::Relaxed);
    if matches!(error, StoreError::Taken { .. } | StoreError::Missing { .. } | StoreError::Stale) {
        let mut error = Some(error);
        for request in batch {
            let failure = error.take().map_or(ChatError::Internal, ChatError::from);
            let _ = request.done.send(Err(failure));
        }
        return;
    }
    let full = matches!(error, StoreError::Full);
    let unavailable = if let StoreError::Unavailable { why } = &error { Some(why.clone()) } else { None };
    // Logged on the way, once.
    let mut first = Some(ChatError::from(error));
    for request in batch {
        request.refuse(|| match (full, &unavailable) {
            (true, _) => ChatError::StorageFull,
            (_, Some(why)) => ChatError::Unavailable(why.clone()),
            _ => first.take().unwrap_or(ChatError::Internal),
        });
    }
}

fn unavailable(why: Option<&str>) -> ChatError {
    ChatError::Unavailable(why.unwrap_or("what is to be written waits for too long").to_owned())
}
