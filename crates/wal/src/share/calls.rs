//! Calls that may never be answered: each has a deadline, and when too many are still out, no further one is made.

use super::{ShareError, words};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// So many calls of one share may be without an answer. Each of them keeps a thread.
pub(super) const MOST_UNANSWERED: usize = 32;

/// Calls of one share that are out.
#[derive(Clone, Debug)]
pub(super) struct Calls {
    share: String,
    deadline: Duration,
    out: Arc<AtomicUsize>,
}

impl Calls {
    pub(super) fn new(share: &str, deadline: Duration) -> Calls {
        Calls { share: share.to_owned(), deadline, out: Arc::new(AtomicUsize::new(0)) }
    }

    /// Makes a call. One that misses its deadline goes on by itself, as nothing can end it, and is counted until it is over.
    pub(super) async fn make<T: Send + 'static>(
        &self,
        call: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, ShareError> {
        if self.out.load(Ordering::Relaxed) >= MOST_UNANSWERED {
            return Err(self.unreachable(format!("{MOST_UNANSWERED} calls are without an answer")));
        }
        let counted = Counted::new(&self.out);
        let task = tokio::spawn(async move {
            let answer = call.await;
            drop(counted);
            answer
        });
        match tokio::time::timeout(self.deadline, task).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(panicked)) => Err(self.unreachable(panicked.to_string())),
            Err(_) => Err(self.unreachable(format!("it gave no answer within {} s", self.deadline.as_secs_f32()))),
        }
    }

    /// The share, as it was named.
    pub(super) fn share(&self) -> &str {
        &self.share
    }

    /// For one answer.
    pub(super) fn deadline(&self) -> Duration {
        self.deadline
    }

    pub(super) fn unreachable(&self, why: String) -> ShareError {
        ShareError::Unreachable { share: self.share.clone(), why }
    }

    pub(super) fn failed(&self, error: &object_store::Error) -> ShareError {
        self.unreachable(words::why(error))
    }
}

struct Counted(Arc<AtomicUsize>);

impl Counted {
    pub(super) fn new(out: &Arc<AtomicUsize>) -> Counted {
        out.fetch_add(1, Ordering::Relaxed);
        Counted(Arc::clone(out))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
