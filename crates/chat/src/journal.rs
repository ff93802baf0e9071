//! Group commit: drafts that arrive while a transaction is in flight are committed together in the next one.
//!
//! One task owns the way to the log. It takes what waits, has it written in one transaction, and only then hands the
//! entries out, in order, to the hub and to whoever is waiting. There is no timer: an idle server commits at once, a busy one in
//! batches as large as the load makes them.

use crate::error::{ChatError, Result};
use holdfast_domain::Entry;
use holdfast_store::log::{Appended, Draft};
use holdfast_store::{Store, StoreError};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Drafts of one transaction at most: nine tenths of the rate of five times as many, at a quarter of the time.
const BATCH: usize = 1_000;
/// Requests that may wait; more wait at the door.
const WAITING: usize = 4_096;
/// How often a write whose outcome is unknown is asked for again.
const TRIES: u32 = 5;

/// The way to the log.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    requests: mpsc::Sender<Request>,
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

struct Request {
    drafts: Vec<Draft>,
    done: oneshot::Sender<Result<Vec<Appended>>>,
}

/// Hears of every entry right after it was committed, in the order of commitment; it may hear of one again.
pub(crate) trait Committed: Send + Sync + 'static {
    /// `entries` are durable.
    fn committed(&self, entries: Vec<Entry>) -> impl Future<Output = ()> + Send;
}

impl Journal {
    /// Starts the task; it ends when the journal is dropped and all that waited is done.
    pub(crate) fn start(store: Arc<dyn Store>, listener: impl Committed) -> (Journal, tokio::task::JoinHandle<()>) {
        let (requests, waiting) = mpsc::channel(WAITING);
        let counts = Arc::new(Counts::default());
        let task = tokio::spawn(run(store, listener, waiting, Arc::clone(&counts)));
        (Journal { requests, counts }, task)
    }

    /// What it has done.
    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Has drafts written, all or none, and answers when they are durable and shown. Dropping the future does not stop the
    /// writing: a commit is never cancelled.
    pub(crate) async fn write(&self, drafts: Vec<Draft>) -> Result<Vec<Appended>> {
        let (done, answer) = oneshot::channel();
        let stopped = || ChatError::Unavailable("the server is stopping".into());
        self.requests.send(Request { drafts, done }).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    /// Has one draft written; see [`Journal::write`].
    pub(crate) async fn write_one(&self, draft: Draft) -> Result<Appended> {
        self.write(vec![draft]).await?.pop().ok_or(ChatError::Internal)
    }
}

async fn run(
    store: Arc<dyn Store>,
    listener: impl Committed,
    mut waiting: mpsc::Receiver<Request>,
    counts: Arc<Counts>,
) {
    while let Some(first) = waiting.recv().await {
        let mut batch = vec![first];
        let mut drafts = batch[0].drafts.len();
        while drafts < BATCH
            && let Ok(next) = waiting.try_recv()
        {
            drafts += next.drafts.len();
            batch.push(next);
        }
        commit(store.as_ref(), &listener, batch, &counts).await;
    }
}

async fn commit(store: &dyn Store, listener: &impl Committed, batch: Vec<Request>, counts: &Counts) {
    let together: Vec<Draft> = batch.iter().flat_map(|r| r.drafts.iter().cloned()).collect();
    match append(store, together).await {
        Ok(appended) => {
            let mut appended = appended.into_iter();
            let answers: Vec<Vec<Appended>> =
                batch.iter().map(|r| appended.by_ref().take(r.drafts.len()).collect()).collect();
            let all: Vec<&Appended> = answers.iter().flatten().collect();
            let new = all.iter().filter(|a| matches!(a, Appended::New(_))).count();
            counts.commits.fetch_add(1, Ordering::Relaxed);
            counts.entries.fetch_add(new as u64, Ordering::Relaxed);
            counts.repeated.fetch_add((all.len() - new) as u64, Ordering::Relaxed);
            // Repeated ones too: a write whose outcome was unknown may have been kept without anybody having heard of it.
            listener.committed(all.into_iter().map(|a| a.entry().clone()).collect()).await;
            for (request, answer) in batch.into_iter().zip(answers) {
                // Whoever asked may have gone; what was asked is done all the same.
                let _ = request.done.send(Ok(answer));
            }
        }
        // One refused request must not fail the others: each is tried by itself.
        Err(StoreError::Taken { .. } | StoreError::Missing { .. }) if batch.len() > 1 => {
            for request in batch {
                Box::pin(commit(store, listener, vec![request], counts)).await;
            }
        }
        Err(error) => {
            counts.failed.fetch_add(batch.len() as u64, Ordering::Relaxed);
            let mut error = Some(error);
            for request in batch {
                let failure = match &error {
                    Some(StoreError::Full) => ChatError::StorageFull,
                    Some(StoreError::Unavailable { why }) => ChatError::Unavailable(why.clone()),
                    Some(StoreError::Unknown { .. }) => ChatError::OutcomeUnknown,
                    // The first takes the error itself, which is logged on the way.
                    _ => error.take().map_or(ChatError::Internal, ChatError::from),
                };
                let _ = request.done.send(Err(failure));
            }
        }
    }
}

/// Writes `drafts`; while the outcome is unknown, asks again, which changes nothing if they were kept the first time.
async fn append(store: &dyn Store, drafts: Vec<Draft>) -> std::result::Result<Vec<Appended>, StoreError> {
    let mut outcome = store.append(drafts.clone()).await;
    let mut wait = Duration::from_millis(50);
    for _ in 1..TRIES {
        if !matches!(outcome, Err(StoreError::Unknown { .. })) {
            break;
        }
        tokio::time::sleep(wait).await;
        wait *= 2;
        outcome = store.append(drafts.clone()).await;
    }
    outcome
}
