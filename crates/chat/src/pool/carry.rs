//! What a door of this server says to the same door of the other servers: text that only doors understand, carried with the signals.

use super::signal::Signal;
use crate::service::Chat;
use std::sync::PoisonError;
use tokio::sync::mpsc;
use uuid::Uuid;

/// What comes to a door from the other servers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Carried {
    /// A server, by its run, said this.
    Said {
        /// The run of that server.
        run: Uuid,
        /// Its text.
        text: String,
    },
    /// Something that another server said was lost on the way here. It is asked for everything anew.
    Missed,
    /// Another server does not know what the doors here have said: what lasts of it is to be said again.
    Asked,
    /// A server is not there any more.
    Gone {
        /// Its run.
        run: Uuid,
    },
}

impl Chat {
    /// Says something to the doors of the other servers, soon and in order; it may be lost, which they are told. Nothing without others.
    pub fn carry(&self, text: &str) {
        let Some(pooled) = self.taking_part() else { return };
        pooled.teller.tell_all_if_heard(Signal::carried(text));
    }

    /// Whether another server hears what is said now. One that comes later asks for what lasts of it.
    pub fn is_heard(&self) -> bool {
        self.taking_part().is_some_and(|pooled| pooled.teller.has_others())
    }

    /// The run of this server, by which the others know it. `None` without a pool.
    pub fn run(&self) -> Option<Uuid> {
        self.taking_part()?;
        Some(self.store().pool()?.run())
    }

    /// What the doors of the other servers say, from now on; whoever asked before hears no more. `None` without a pool.
    pub fn carried(&self) -> Option<mpsc::UnboundedReceiver<Carried>> {
        let pooled = self.taking_part()?;
        // Not limited: it comes from servers of the pool only, and waiting for a door would hold up the following of the logs.
        let (sender, receiver) = mpsc::unbounded_channel();
        *pooled.carried.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        Some(receiver)
    }
}

impl super::Pooled {
    /// Gives the door what came for it.
    pub(crate) fn hand(&self, carried: Carried) {
        let mut door = self.carried.lock().unwrap_or_else(PoisonError::into_inner);
        if door.as_ref().is_some_and(|door| door.send(carried).is_err()) {
            *door = None;
        }
    }
}
