//! Handing out committed entries: the directory moves on, everybody in the room is shown the entry, and what follows from it happens.
//!
//! Entries of this server's own come from the journal, those of others from the task that follows them. Both take a log's lock here, so that
//! each entry is handed out once and in its place.

use crate::event::Event;
use crate::hub::Published;
use crate::journal::Committed;
use crate::service::{Chat, Inner};
use crate::view::EntryView;
use holdfast_domain::entry::EntryBody;
use holdfast_domain::rights::{self, Action};
use holdfast_domain::room::RoleChange;
use holdfast_domain::{Entry, PrincipalId, RoomId};
use holdfast_store::log::Row;
use std::collections::BTreeSet;
use std::sync::PoisonError;
use tokio::sync::{Mutex, MutexGuard};

/// Locks for handing out; a log's is chosen by its number.
const LOCKS: usize = 512;

fn handing_of(room: RoomId) -> usize {
    usize::try_from(room.0).unwrap_or(0) % LOCKS
}

/// The locks, all free.
pub(crate) fn locks() -> Vec<Mutex<()>> {
    (0..LOCKS).map(|_| Mutex::new(())).collect()
}

/// What follows a commit: the directory moves on, entries are handed out, connections that lost a right leave. Holds the
/// service weakly, since the service owns the journal that owns this.
pub(crate) struct AfterCommit(pub(crate) std::sync::Weak<Inner>);

impl Committed for AfterCommit {
    async fn committed(&self, entries: &[&Entry]) {
        let Some(inner) = self.0.upgrade() else { return };
        let chat = Chat { inner };
        for entry in entries {
            chat.hand_out(entry).await;
        }
    }
}

impl Chat {
    /// The right to hand out entries of a log. What this server wrote and what others wrote are handed out by different tasks.
    pub(crate) async fn handing(&self, room: RoomId) -> MutexGuard<'_, ()> {
        self.inner.handing[handing_of(room)].lock().await
    }

    /// The same, unless somebody has it.
    fn handing_now(&self, room: RoomId) -> Option<MutexGuard<'_, ()>> {
        self.inner.handing[handing_of(room)].try_lock().ok()
    }

    /// Hands out a committed entry, with those before it that this server has not seen.
    async fn hand_out(&self, entry: &Entry) {
        let room = entry.room;
        // Whoever said something need not wait until what others said before it is read; whoever changed something sees it changed.
        let later = || !entry.body.as_ref().is_some_and(EntryBody::changes_directory) && self.hand_out_later(room);
        {
            let _order = match self.handing_now(room) {
                Some(order) => order,
                None if later() => return,
                None => self.handing(room).await,
            };
            match self.hand_out_as(entry, || Row { entry: entry.clone(), edited: None, removed: None }) {
                Published::Done | Published::Before | Published::NeedsView => return,
                Published::MissingAfter(_) => {}
            }
        }
        if later() {
            return;
        }
        if let Err(error) = self.catch_up(room).await {
            // The next entry of the room tries again; history has them all.
            tracing::warn!(%room, %error, "cannot read entries that were committed elsewhere");
        }
    }

    /// Hands out an entry that was read from a log, if it is the next. The caller has the right to.
    pub(crate) fn hand_out_next(&self, row: Row) -> Published {
        let Row { entry, edited, removed } = row;
        self.hand_out_as(&entry, || Row { entry: entry.clone(), edited, removed })
    }

    fn hand_out_as(&self, entry: &Entry, row: impl FnOnce() -> Row) -> Published {
        let (room, seq) = (entry.room, entry.seq);
        if let Some(body) = &entry.body
            && body.changes_directory()
            && self.hub().published(room).next() == seq
        {
            self.inner.directory.write().unwrap_or_else(PoisonError::into_inner).apply(room, body);
        }
        let mut outcome = self.hub().publish(room, seq, None);
        if outcome == Published::NeedsView {
            let view = EntryView::of(&self.directory(), row());
            outcome = self.hub().publish(room, seq, Some(view));
        }
        if outcome == Published::Done {
            self.after(entry);
        }
        outcome
    }

    /// What a new entry sets off besides being shown.
    fn after(&self, entry: &Entry) {
        match &entry.body {
            Some(EntryBody::Message(message)) => self.announce(entry, message),
            Some(EntryBody::Room(_)) => self.recheck_room(entry.room),
            Some(EntryBody::Roles(changes)) => {
                self.recheck_room(entry.room);
                self.tell_listed(changes);
            }
            Some(EntryBody::RoomDeleted { id, .. }) => {
                self.hub().tell_room(*id, Event::Kicked { room: *id, reason: "the room was deleted" }, None);
                self.hub().forget(*id);
            }
            Some(EntryBody::Category(put)) => {
                let rooms: Vec<RoomId> = self.directory().rooms_in(put.now.id).collect();
                rooms.into_iter().for_each(|room| self.recheck_room(room));
            }
            Some(EntryBody::User(put)) => {
                if put.now.disabled {
                    self.hub().end(put.now.id, None, None);
                }
                if !put.changed.is_empty() {
                    self.recheck_all();
                }
            }
            Some(EntryBody::Group(_) | EntryBody::GroupDeleted { .. }) => self.recheck_all(),
            _ => {}
        }
    }

    /// Tells the owners of feeds that a message matches.
    fn announce(&self, entry: &Entry, message: &holdfast_domain::entry::Message) {
        if self.inner.announcing.read().unwrap_or_else(PoisonError::into_inner).is_empty() {
            return;
        }
        let connected = self.hub().connected_users();
        let matching: Vec<(PrincipalId, i64)> = {
            let announcing = self.inner.announcing.read().unwrap_or_else(PoisonError::into_inner);
            let text = match &message.title {
                Some(title) => format!("{title}\n{}", message.text),
                None => message.text.clone(),
            };
            let directory = self.directory();
            connected
                .into_iter()
                .filter(|user| *user != entry.author)
                .filter_map(|user| Some((user, announcing.get(&user)?)))
                .filter(|(user, _)| rights::may(&directory, *user, entry.room, Action::ReadHistory).is_ok())
                .flat_map(|(user, feeds)| feeds.iter().map(move |feed| (user, feed)))
                .filter(|(_, feed)| feed.matches(entry.room, entry.author, &text))
                .map(|(user, feed)| (user, feed.id))
                .collect()
        };
        for (user, feed) in matching {
            let event = Event::Feed { feed, room: entry.room, seq: entry.seq, at: entry.shown_at() };
            self.hub().tell_user(user, event);
        }
    }

    /// Tells those who were put on or taken off a room's lists that their own rooms changed.
    fn tell_listed(&self, changes: &[RoleChange]) {
        let touched: BTreeSet<PrincipalId> =
            changes.iter().flat_map(|c| c.added.iter().chain(&c.removed)).copied().collect();
        let touched = self.directory().expand(&touched);
        for user in self.hub().connected_users().into_iter().filter(|user| touched.contains(user)) {
            self.hub().tell_user(user, Event::RoomsChanged);
        }
    }

    /// Takes those out of a room who may no longer be in it, and tells the others that it changed.
    fn recheck_room(&self, room: RoomId) {
        for connection in self.hub().connections_in(room) {
            let may = {
                let directory = self.directory();
                self.allow_in(&directory, &connection.caller, room, Action::Join).is_ok()
            };
            if !may {
                self.hub().leave(room, &connection);
                let reason = "you may not be in this room any longer";
                connection.outbox.push(&crate::event::Shared::new(Event::Kicked { room, reason }));
            }
        }
        self.hub().tell_room(room, Event::RoomChanged { room }, None);
    }

    fn recheck_all(&self) {
        for room in self.hub().occupied() {
            self.recheck_room(room);
        }
        for user in self.hub().connected_users() {
            self.hub().tell_user(user, Event::RoomsChanged);
        }
    }
}
