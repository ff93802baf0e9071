//! The way to the other servers of the pool.

use super::parcel::Parcel;
use crate::limits::PARCEL_BYTES;
use holdfast_chat::Chat;
use holdfast_domain::PrincipalId;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use tokio::sync::Notify;

/// Takes what the other servers are to hear. Does nothing where there is no pool.
pub(crate) struct Post {
    /// The service, if there is a pool.
    chat: Option<Chat>,
    /// Clients of this server of which the others know something that is not so any more.
    changed: Mutex<BTreeSet<(PrincipalId, u64)>>,
    some_changed: Notify,
}

impl Post {
    pub(crate) fn new(chat: &Chat) -> Self {
        let chat = chat.run().is_some().then(|| chat.clone());
        Self { chat, changed: Mutex::default(), some_changed: Notify::new() }
    }

    /// Of a server that has none beside it.
    #[cfg(test)]
    pub(crate) fn nowhere() -> Self {
        Self { chat: None, changed: Mutex::default(), some_changed: Notify::new() }
    }

    /// Whether there is another server that hears what is sent now.
    pub(crate) fn goes_anywhere(&self) -> bool {
        self.chat.as_ref().is_some_and(Chat::is_heard)
    }

    /// Sends something. It arrives soon and in order, or not at all; what a client wants sent does not if it is larger than [`PARCEL_BYTES`].
    pub(crate) fn send(&self, parcel: &Parcel) {
        let Some(chat) = self.chat.as_ref().filter(|chat| chat.is_heard()) else { return };
        // Texts and numbers only: this does not fail.
        match serde_json::to_string(parcel) {
            Ok(text) if text.len() <= PARCEL_BYTES || parcel.is_of_the_servers() => chat.carry(&text),
            _ => tracing::debug!("something was too large for a client at another server, and is not sent there"),
        }
    }

    /// Notes that something about a client of this server has changed, or that it is gone: the others are told soon, of the latest only.
    pub(crate) fn changed(&self, user: PrincipalId, key: u64) {
        if self.goes_anywhere() {
            self.changed.lock().unwrap_or_else(PoisonError::into_inner).insert((user, key));
            self.some_changed.notify_one();
        }
    }

    /// The clients that have changed, once there are some.
    pub(crate) async fn what_changed(&self) -> BTreeSet<(PrincipalId, u64)> {
        self.some_changed.notified().await;
        std::mem::take(&mut *self.changed.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
