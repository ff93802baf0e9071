//! What every handler has at hand.

use crate::guard::Buckets;
use crate::metrics::Metrics;
use crate::options::HttpOptions;
use bytes::Bytes;
use holdfast_chat::{Caller, Chat};
use holdfast_domain::PrincipalId;
use std::ops::Deref;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// For how long the database is asked for the epoch.
const PATIENCE: Duration = Duration::from_secs(2);

/// The state of the door. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub(crate) struct Door(Arc<Inner>);

/// See [`Door`].
pub(crate) struct Inner {
    pub(crate) chat: Chat,
    pub(crate) options: HttpOptions,
    pub(crate) metrics: Metrics,
    /// How often each user asks for something.
    pub(crate) asked: Buckets<PrincipalId>,
    /// The OpenAPI document, as it is served.
    pub(crate) document: OnceLock<Bytes>,
    /// Whether live connections are already told when the server stops.
    goodbye: OnceLock<()>,
    /// The epoch of the pool when it was last asked for.
    epoch: AtomicI64,
}

impl Door {
    pub(crate) fn new(chat: Chat, options: HttpOptions) -> Self {
        let metrics = Metrics::new(&chat);
        let asked = Buckets::new(options.limits.requests_per_second);
        Self(Arc::new(Inner {
            chat,
            options,
            metrics,
            asked,
            document: OnceLock::new(),
            goodbye: OnceLock::new(),
            epoch: AtomicI64::new(0),
        }))
    }

    /// The epoch of the pool: what a client learned under another one may not be so. 0 of a server alone. The last that was heard of while the
    /// database does not answer, since it cannot be replaced without answering.
    pub(crate) async fn epoch(&self) -> i64 {
        if !self.chat.in_pool() {
            return 0;
        }
        let operator = Caller::operator();
        if let Ok(Ok(pool)) = tokio::time::timeout(PATIENCE, self.chat.pool(&operator)).await {
            self.epoch.store(pool.epoch, Ordering::Release);
        }
        self.epoch.load(Ordering::Acquire)
    }

    /// Has live connections told when the server stops: one waits for all, since thousands waiting would cost each event something.
    pub(crate) fn say_goodbye_when(&self, stopping: CancellationToken) {
        if self.goodbye.set(()).is_ok() {
            let chat = self.chat.clone();
            tokio::spawn(async move {
                stopping.cancelled().await;
                chat.say_goodbye();
            });
        }
    }
}

impl Deref for Door {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}
