//! Changing the directory: one after the other, on this server and on all, each decided on what is so.
//!
//! Who changes rooms, lists, categories, users or groups first waits for its turn on this server, then for that of this server in the
//! pool, and reads what the others wrote since. What it then writes says on which state it was decided, so that even a turn that was
//! lost meanwhile (a server that stood still) cannot undo what somebody else has done.

use crate::error::{ChatError, Result};
use crate::service::Chat;
use holdfast_domain::{EntryBody, PrincipalId, RoomId};
use holdfast_store::StoreError;
use holdfast_store::log::Draft;
use holdfast_store::pool::Turn;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::MutexGuard;
use tokio::time::Instant;

/// A store that is away is asked for the turn again after this long.
const PAUSE: Duration = Duration::from_millis(200);

/// The right to change the directory, until dropped.
pub(crate) struct Changing<'c> {
    chat: &'c Chat,
    // Given back in this order: first the pool's, then this server's.
    turn: Option<Turn>,
    _here: MutexGuard<'c, ()>,
}

impl Changing<'_> {
    /// A draft of something that was decided under this right.
    pub(crate) fn draft(&self, room: RoomId, author: PrincipalId, body: EntryBody) -> Draft {
        Draft { decided_on: self.turn.as_ref().map(|turn| turn.revision), ..self.chat.draft(room, author, body) }
    }
}

impl Chat {
    /// Waits for the right to change the directory, which then is as the logs say.
    pub(crate) async fn changing(&self) -> Result<Changing<'_>> {
        let until = Instant::now() + Duration::from_secs(u64::from(self.options().wait_seconds));
        let Some(pool) = self.store().pool() else {
            return Ok(Changing { chat: self, turn: None, _here: self.inner.changing.lock().await });
        };
        let others = || ChatError::Unavailable("other changes take too long; try again".into());
        let here = tokio::time::timeout_at(until, self.inner.changing.lock()).await.map_err(|_| others())?;
        let turn = loop {
            match pool.turn().await {
                Err(StoreError::Away { .. }) if Instant::now() + PAUSE < until => tokio::time::sleep(PAUSE).await,
                outcome => break outcome?,
            }
        };
        if self.inner.revision.load(Ordering::Acquire) != turn.revision {
            self.sweep().await?;
            self.inner.revision.store(turn.revision, Ordering::Release);
        }
        Ok(Changing { chat: self, turn: Some(turn), _here: here })
    }
}
