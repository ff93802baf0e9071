//! Reading what was said: pages of a room's log, single entries, earlier versions.

use crate::caller::Caller;
use crate::error::{ChatError, Result};
use crate::service::Chat;
use crate::view::{EntryView, Person};
use holdfast_domain::chain::{Digest, genesis};
use holdfast_domain::entry::{EntryBody, FileRef};
use holdfast_domain::rights::Action;
use holdfast_domain::{RoomId, Seq, Time};
use holdfast_store::log::From;

/// A page of a room's log.
#[derive(Clone, Debug)]
pub struct HistoryPage {
    /// The epoch under which they were read, or an earlier one.
    pub epoch: i64,
    /// The entries, ascending.
    pub entries: Vec<EntryView>,
    /// The end of the log.
    pub head: Seq,
    /// Whether there are earlier ones.
    pub more_before: bool,
    /// Whether there are later ones.
    pub more_after: bool,
    /// The entry that the page is around, if it was asked for one.
    pub focus: Option<Seq>,
}

/// A message as it read at some time.
#[derive(Clone, Debug)]
pub struct Version {
    /// The entry that made it so.
    pub seq: Seq,
    /// Since when.
    pub at: Time,
    /// By whom.
    pub author: Person,
    /// What it said.
    pub text: String,
    /// Its title.
    pub title: Option<String>,
    /// The files that it had.
    pub files: Vec<FileRef>,
}

impl Chat {
    /// At most `limit` entries of a room, and never more than a page may have.
    ///
    /// # Errors
    /// When the caller may not read the room's history.
    pub async fn history(&self, caller: &Caller, room: RoomId, from: From, limit: usize) -> Result<HistoryPage> {
        self.allow(caller, room, Action::ReadHistory)?;
        let limit = limit.clamp(1, self.limits().history_max);
        let epoch = self.epoch();
        let page = self.store().page(room, from, limit).await?;
        // The hub knows the end without asking the store, and the page itself may know of a newer one.
        let read = page.rows.last().map_or(Seq::ZERO, |row| row.entry.seq);
        let head = self.hub().published(room).max(read);
        let directory = self.directory();
        Ok(HistoryPage {
            epoch,
            entries: page.rows.into_iter().map(|row| EntryView::of(&directory, row)).collect(),
            head,
            more_before: page.more_before,
            more_after: page.more_after,
            focus: page.focus,
        })
    }

    /// One entry, with the hash of the entry before it, so that a reader can check the link himself.
    ///
    /// # Errors
    /// When the caller may not read the room's history, or there is no such entry.
    pub async fn entry(&self, caller: &Caller, room: RoomId, seq: Seq) -> Result<(EntryView, Digest)> {
        self.allow(caller, room, Action::ReadHistory)?;
        let wanted = if seq > Seq(1) { vec![Seq(seq.0 - 1), seq] } else { vec![seq] };
        let mut rows = self.store().rows(room, wanted).await?;
        let row = rows.pop().filter(|r| r.entry.seq == seq).ok_or(ChatError::Unknown("this entry"))?;
        let previous = rows.pop().map_or_else(|| genesis(room), |r| r.entry.hash);
        Ok((EntryView::of(&self.directory(), row), previous))
    }

    /// All that a message ever said, oldest first: for its author while it is in sight, and for those who moderate the room.
    ///
    /// # Errors
    /// When the caller is neither, or its content was erased.
    pub async fn versions(&self, caller: &Caller, room: RoomId, seq: Seq) -> Result<Vec<Version>> {
        self.allow(caller, room, Action::ReadHistory)?;
        let row = self.store().rows(room, vec![seq]).await?.pop().ok_or(ChatError::Unknown("this message"))?;
        let own = row.entry.author == caller.user && row.removed.is_none();
        if !own {
            self.allow(caller, room, Action::RemoveMessages)?;
        }
        let edits = self.store().edits_of(room, seq).await?;
        let directory = self.directory();
        let came_with = row.entry.files().map(|(_, files)| files.to_vec()).unwrap_or_default();
        let versions = std::iter::once(row.entry).chain(edits).filter_map(|entry| {
            let (seq, at, author) = (entry.seq, entry.shown_at(), Person::of(&directory, entry.author));
            let (text, title, files) = match entry.body {
                Some(EntryBody::Message(m)) => (m.text, m.title, m.files),
                Some(EntryBody::Edit(e)) => (e.text, e.title, e.files.unwrap_or_else(|| came_with.clone())),
                _ => return None,
            };
            Some(Version { seq, at, author, text, title, files })
        });
        let versions: Vec<Version> = versions.collect();
        if versions.is_empty() {
            return Err(ChatError::Unknown("this message"));
        }
        Ok(versions)
    }
}
