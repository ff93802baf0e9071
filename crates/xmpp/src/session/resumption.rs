//! Sessions that can be taken up again by a new connection (XEP-0198 section 5).

use super::orders::{Order, Orders};
use crate::sasl::profile::Success;
use crate::stream::error::StreamError;
use crate::stream::negotiation;
use crate::stream::transport::Transport;
use holdfast_domain::PrincipalId;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// A connection that takes a session up, with what its client said.
pub(crate) struct Taken {
    pub(crate) transport: Transport,
    /// How many stanzas it says have arrived.
    pub(crate) h: u32,
    /// What it is told before, if it asked together with its sign-in.
    pub(crate) success: Option<Success>,
}

/// The way to a session.
#[derive(Clone)]
pub(crate) struct Handle {
    user: PrincipalId,
    session: Orders,
}

impl Handle {
    /// The way to a session of `user`.
    pub(super) fn new(user: PrincipalId, session: Orders) -> Self {
        Self { user, session }
    }

    /// Has the session go on with `transport`.
    pub(crate) async fn go_on(self, transport: Transport, h: u32, success: Option<Success>) {
        let order = Box::new(Order::TakeUp(Taken { transport, h, success }));
        let Err(mpsc::error::SendError(order)) = self.session.send(order).await else { return };
        if let Order::TakeUp(Taken { mut transport, .. }) = *order {
            // It ended in this moment; the client begins anew.
            let error = StreamError::new("reset", "the session has just ended; sign in again");
            negotiation::end(&mut transport, Some(&error)).await;
        }
    }
}

/// All sessions of this server that can be taken up.
#[derive(Default)]
pub(crate) struct Parked(Mutex<HashMap<String, Handle>>);

impl Parked {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Handle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a session under a name that only its client knows.
    pub(crate) fn add(&self, name: String, handle: Handle) {
        self.lock().insert(name, handle);
    }

    /// Forgets it.
    pub(crate) fn remove(&self, name: &str) {
        self.lock().remove(name);
    }

    /// The session of that name, if it is this user's.
    pub(crate) fn find(&self, name: &str, user: PrincipalId) -> Option<Handle> {
        self.lock().get(name).filter(|handle| handle.user == user).cloned()
    }
}
