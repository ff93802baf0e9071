//! What every handler has at hand.

use crate::guard::Buckets;
use crate::metrics::{Figures, Metrics};
use crate::options::HttpOptions;
use bytes::Bytes;
use holdfast_chat::Chat;
use holdfast_domain::PrincipalId;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};
use tokio_util::sync::CancellationToken;

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
}

impl Door {
    pub(crate) fn new(chat: Chat, options: HttpOptions, others: Option<Figures>) -> Self {
        let metrics = Metrics::new(&chat, others);
        let asked = Buckets::new(options.limits.requests_per_second);
        Self(Arc::new(Inner { chat, options, metrics, asked, document: OnceLock::new(), goodbye: OnceLock::new() }))
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
