//! How far somebody has read, where nobody waits for it: the reading position of whoever speaks moves with what he says, which must not
//! cost every message a transaction of its own. Such moves are gathered and written a few times a second; whoever asks for his
//! own position has what is gathered of it written first.

use crate::service::Chat;
use holdfast_domain::{PrincipalId, RoomId, Seq};
use holdfast_store::StoreError;
use holdfast_store::personal::Reading;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// How often moves are written.
const EVERY: Duration = Duration::from_secs(1);
/// Moves of one transaction at most.
const AT_ONCE: usize = 2_000;

type Mark = (PrincipalId, RoomId, Seq);

/// Moves that are not written yet.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    waiting: Mutex<HashMap<PrincipalId, HashMap<RoomId, Seq>>>,
    some: Notify,
}

impl Marks {
    fn lock(&self) -> MutexGuard<'_, HashMap<PrincipalId, HashMap<RoomId, Seq>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `user` has read `room` up to `seq`.
    pub(crate) fn note(&self, user: PrincipalId, room: RoomId, seq: Seq) {
        let mut waiting = self.lock();
        let first = waiting.is_empty();
        let read = waiting.entry(user).or_default().entry(room).or_insert(seq);
        *read = seq.max(*read);
        drop(waiting);
        if first {
            self.some.notify_one();
        }
    }

    fn of(&self, user: PrincipalId) -> Vec<Mark> {
        let waiting = self.lock();
        waiting.get(&user).into_iter().flatten().map(|(room, seq)| (user, *room, *seq)).collect()
    }

    fn some(&self) -> Vec<Mark> {
        let waiting = self.lock();
        let all = waiting.iter().flat_map(|(user, rooms)| rooms.iter().map(|(room, seq)| (*user, *room, *seq)));
        all.take(AT_ONCE).collect()
    }

    /// These are written. A move is forgotten only now, so that whoever asks meanwhile still finds it; written twice it changes nothing.
    fn written(&self, marks: &[Mark]) {
        let mut waiting = self.lock();
        for (user, room, seq) in marks {
            let Entry::Occupied(mut rooms) = waiting.entry(*user) else { continue };
            if rooms.get().get(room) == Some(seq) {
                rooms.get_mut().remove(room);
            }
            if rooms.get().is_empty() {
                rooms.remove();
            }
        }
    }
}

impl Chat {
    /// How far `user` has read these rooms, what he said himself included.
    pub(crate) async fn readings(&self, user: PrincipalId, rooms: Vec<RoomId>) -> Result<Vec<Reading>, StoreError> {
        self.flush_marks_of(user).await?;
        self.store().readings(user, rooms).await
    }

    /// Writes what is gathered of one person's moves.
    pub(crate) async fn flush_marks_of(&self, user: PrincipalId) -> Result<(), StoreError> {
        let marks = self.inner.marks.of(user);
        if marks.is_empty() { Ok(()) } else { self.write_marks(marks).await }
    }

    /// Writes all moves that are gathered.
    pub(crate) async fn flush_marks(&self) -> Result<(), StoreError> {
        loop {
            let marks = self.inner.marks.some();
            if marks.is_empty() {
                return Ok(());
            }
            self.write_marks(marks).await?;
        }
    }

    async fn write_marks(&self, marks: Vec<Mark>) -> Result<(), StoreError> {
        self.store().mark_read(marks.clone()).await?;
        self.inner.marks.written(&marks);
        Ok(())
    }

    /// Writes moves now and then until the service stops.
    pub(crate) async fn write_marks_often(self) {
        loop {
            tokio::select! {
                () = self.inner.marks.some.notified() => {}
                () = self.inner.stopping.cancelled() => return,
            }
            tokio::time::sleep(EVERY).await;
            while let Err(error) = self.flush_marks().await {
                if self.inner.stopping.is_cancelled() {
                    return;
                }
                tracing::debug!(%error, "cannot move reading positions; will try again");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moved_on_meanwhile_is_not_forgotten() {
        let marks = Marks::default();
        let (ana, bo, room) = (PrincipalId(10), PrincipalId(11), RoomId(1));
        marks.note(ana, room, Seq(5));
        marks.note(ana, room, Seq(4));
        marks.note(bo, room, Seq(4));
        assert_eq!(marks.of(ana), [(ana, room, Seq(5))]);
        let written = marks.some();
        marks.note(ana, room, Seq(6));
        marks.written(&written);
        assert_eq!(marks.some(), [(ana, room, Seq(6))]);
        marks.written(&[(ana, room, Seq(6))]);
        assert!(marks.lock().is_empty());
    }
}
