//! Saying something, and what may become of it: edits, retractions, removals, clearing.

use crate::caller::Caller;
use crate::change::{Mode, Outcome};
use crate::error::{ChatError, Result};
use crate::service::Chat;
use crate::view::EntryView;
use holdfast_domain::directory::Directory;
use holdfast_domain::entry::{Edit, EntryBody, FileRef, Kind, Message, Removal, Stanza};
use holdfast_domain::limits::REASON_CHARS;
use holdfast_domain::rights::{self, Action};
use holdfast_domain::{ClientId, FileId, PrincipalId, RoomId, Seq, Time, mention, text};
use holdfast_store::files::StoredFile;
use holdfast_store::log::{Appended, Draft, From, Remember, Row};
use holdfast_store::search::{Order, Query, Words};
use std::collections::BTreeMap;

/// Messages that one removal by criteria takes out at most; more take another.
const REMOVED_AT_ONCE: usize = 10_000;

/// A message to be posted.
#[derive(Clone, Debug)]
pub struct NewMessage {
    /// Its sender's own name for it.
    pub client_id: ClientId,
    /// What it says; may be empty if files go with it.
    pub text: String,
    /// A title makes it a story.
    pub title: Option<String>,
    /// High importance.
    pub alert: bool,
    /// Tells what the author does.
    pub action: bool,
    /// Files uploaded to the room before.
    pub files: Vec<FileId>,
    /// What came along over XMPP.
    pub stanza: Option<Stanza>,
}

/// A new text for a message.
#[derive(Clone, Debug)]
pub struct NewEdit {
    /// Its sender's own name for it.
    pub client_id: ClientId,
    /// What the message says from now on.
    pub text: String,
    /// Its title from now on, if it is a story.
    pub title: Option<String>,
    /// Whether it tells from now on what the author does; `None`: as it does.
    pub action: Option<bool>,
    /// Whether the files stay that it has; otherwise those alone whose addresses the new text says.
    pub keeps_files: bool,
    /// What came along over XMPP.
    pub stanza: Option<Stanza>,
}

/// A committed entry as its author sees it.
#[derive(Clone, Debug)]
pub struct Posted {
    /// The entry.
    pub view: EntryView,
    /// Whether it had been there already under this client id.
    pub repeated: bool,
}

/// Which messages a removal is about; every part must hold.
#[derive(Clone, Debug)]
pub struct Matching {
    /// By this author.
    pub author: Option<PrincipalId>,
    /// Said at this time or later.
    pub from: Option<Time>,
    /// Said at this time or before.
    pub to: Option<Time>,
    /// With these words.
    pub words: Option<String>,
    /// How they combine.
    pub matching: Words,
    /// Whether their case counts.
    pub case_sensitive: bool,
    /// What readers see instead.
    pub replace_with: Option<String>,
    /// Why; in the log.
    pub reason: String,
    /// Whether the content is erased from the log as well.
    pub erase: bool,
}

impl Chat {
    /// Posts a message. Answers when it is durable; the same client id again yields the same entry.
    ///
    /// # Errors
    /// When the caller may not post there, or something about the message is not acceptable.
    pub async fn post(&self, caller: &Caller, room: RoomId, new: NewMessage) -> Result<Posted> {
        self.allow_in(&self.directory(), caller, room, Action::Post)?;
        self.post_admitted(caller, room, new).await
    }

    /// Posts a message of somebody whose right to do so has been decided.
    pub(crate) async fn post_admitted(&self, caller: &Caller, room: RoomId, new: NewMessage) -> Result<Posted> {
        let limits = self.limits();
        if new.files.len() > limits.files_per_message {
            let why = format!("at most {} files go with a message", limits.files_per_message);
            return Err(ChatError::invalid("files", why));
        }
        let files = self.files_to_send(caller, room, &new).await?;
        let plain = new.title.is_none() && !new.action;
        let said = self.said_beside(&new.text, plain, new.stanza.as_ref(), &files);
        let (said, title) = self.check_text(said, new.title.as_deref(), !files.is_empty())?;
        let mentions = self.mentioned(title.as_deref(), &said);
        let message = Message {
            text: said,
            title,
            alert: new.alert,
            action: new.action,
            files,
            mentions,
            said: None,
            stanza: new.stanza,
        };
        let posted = self.write_sent(caller, room, new.client_id, EntryBody::Message(message)).await?;
        if !posted.repeated {
            // Who speaks has read up to here.
            self.inner.marks.note(caller.user, room, posted.view.entry.seq);
        }
        Ok(posted)
    }

    /// Keeps something without text for XMPP clients. Answers when it is durable.
    ///
    /// # Errors
    /// When the caller may not post there, or it is too large.
    pub async fn annotate(&self, caller: &Caller, room: RoomId, client_id: ClientId, stanza: Stanza) -> Result<Posted> {
        self.allow_in(&self.directory(), caller, room, Action::Post)?;
        self.write_sent(caller, room, client_id, EntryBody::Annotation(stanza)).await
    }

    /// The entry that a caller wrote into a room under a client id.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn sent_as(&self, caller: &Caller, room: RoomId, client_id: ClientId) -> Result<Option<Seq>> {
        Ok(self.store().find_sent(room, caller.user, client_id).await?.map(|entry| entry.seq))
    }

    /// Changes what a message of one's own says; the earlier text stays in the log.
    ///
    /// # Errors
    /// When the caller is not its author or too late, it is out of sight, or the text is not acceptable.
    pub async fn edit(&self, caller: &Caller, room: RoomId, seq: Seq, new: NewEdit) -> Result<Posted> {
        self.allow(caller, room, Action::Post)?;
        if let Some(before) = self.sent_before(caller, room, new.client_id).await? {
            return Ok(before);
        }
        let (row, message) = self.message_in_sight(room, seq).await?;
        self.allow_amend(caller, &row)?;
        if message.title.is_none() && new.title.is_some() {
            return Err(ChatError::invalid("title", "a message cannot become a story; post a new one"));
        }
        if message.title.is_some() && new.title.is_none() {
            return Err(ChatError::invalid("title", "a story keeps a title"));
        }
        let had = row.files_now();
        let files = self.files_from_now(caller, &row, had, &new).await?;
        let plain = new.title.is_none() && new.action != Some(true);
        let said = self.said_beside(&new.text, plain, new.stanza.as_ref(), &files);
        let (text, title) = self.check_text(said, new.title.as_deref(), !files.is_empty())?;
        let mentions = self.mentioned(title.as_deref(), &text);
        // Both are told whenever they are out of the ordinary or were, so that whoever hears of the edit alone knows.
        let files = Some(files).filter(|files| !(files.is_empty() && had.is_empty() && message.files.is_empty()));
        let was_action = row.edited.as_ref().and_then(|edit| edit.action).unwrap_or(message.action);
        let action = Some(new.action.unwrap_or(was_action)).filter(|is| *is || was_action || message.action);
        let replaces = message.stanza.and_then(|stanza| stanza.id).or_else(|| Some(row.entry.client_id.to_string()));
        let body =
            EntryBody::Edit(Edit { of: seq, text, title, mentions, files, action, replaces, stanza: new.stanza });
        self.write_sent(caller, room, new.client_id, body).await
    }

    /// Takes a message out of sight: one's own within the time for it, or, with a reason, anybody's as a moderator.
    ///
    /// # Errors
    /// When the caller may do neither, or the message is out of sight already.
    pub async fn retract_or_remove(
        &self,
        caller: &Caller,
        room: RoomId,
        seq: Seq,
        client_id: ClientId,
        reason: Option<String>,
    ) -> Result<Posted> {
        self.allow(caller, room, Action::Find)?;
        if let Some(before) = self.sent_before(caller, room, client_id).await? {
            return Ok(before);
        }
        let (row, _) = self.message_in_sight(room, seq).await?;
        let body = match reason {
            None => {
                let own = self.allow(caller, room, Action::Post).and_then(|_| self.allow_amend(caller, &row));
                if let Err(error) = own {
                    // A moderator is told what is missing rather than that he is not the author.
                    return Err(match self.allow(caller, room, Action::RemoveMessages) {
                        Ok(_) => ChatError::invalid("reason", "is needed to remove a message as a moderator"),
                        Err(_) => error,
                    });
                }
                EntryBody::Retraction { of: seq, mark: Some(row.entry.mark()) }
            }
            Some(reason) => {
                self.allow(caller, room, Action::RemoveMessages)?;
                EntryBody::Removal(Removal {
                    of: vec![seq],
                    marks: BTreeMap::from([(seq, row.entry.mark())]),
                    reason: check_reason(&reason)?,
                    replacement: None,
                    erased: false,
                })
            }
        };
        self.write_sent(caller, room, client_id, body).await
    }

    /// Removes or replaces messages by author, dates and words. Answers which.
    ///
    /// # Errors
    /// When the caller is no administrator, no criterion is given, or something is not acceptable.
    pub async fn remove_matching(
        &self,
        caller: &Caller,
        room: RoomId,
        what: Matching,
        mode: Mode,
    ) -> Result<Outcome<Vec<Seq>>> {
        self.allow(caller, room, Action::Clear)?;
        let words = what.words.as_deref().map(str::trim).filter(|w| !w.is_empty());
        if what.author.is_none() && what.from.is_none() && what.to.is_none() && words.is_none() {
            return Err(ChatError::invalid(
                "words",
                "give words, an author or dates; to remove everything up to a date, clear the room",
            ));
        }
        let reason = check_reason(&what.reason)?;
        let replacement = match &what.replace_with {
            Some(replacement) => Some(text::message("replace_with", replacement, self.limits().message_chars)?),
            None => None,
        };
        let found = self.find_matching(room, &what, words).await?;
        if mode == Mode::WhatIf {
            let n = found.len();
            let how = if what.erase { "removed and erased" } else { "removed" };
            return Ok(Outcome::Would(if n == 0 {
                Vec::new()
            } else {
                vec![format!(
                    "{n} messages would be {how}, the first with number {} and the last with {}",
                    found[0],
                    found[n - 1]
                )]
            }));
        }
        if found.is_empty() {
            return Ok(Outcome::Done(found));
        }
        let removal = Removal { of: found.clone(), marks: BTreeMap::new(), reason, replacement, erased: what.erase };
        self.write(self.draft(room, caller.user, EntryBody::Removal(removal))).await?;
        Ok(Outcome::Done(found))
    }

    async fn find_matching(&self, room: RoomId, what: &Matching, words: Option<&str>) -> Result<Vec<Seq>> {
        const PAGE: usize = 1_000;
        let mut found = Vec::new();
        let mut after = None;
        while found.len() < REMOVED_AT_ONCE {
            let query = Query {
                text: words.unwrap_or_default().to_owned(),
                words: what.matching,
                rooms: vec![room],
                authors: what.author.into_iter().collect(),
                from: what.from,
                until: what.to.map(|t| t.plus_millis(1)),
                order: Order::Oldest,
                after,
                limit: PAGE,
            };
            let hits = self.store().search(query).await?;
            for hit in &hits.found {
                let row = &hit.row;
                if !what.case_sensitive || words.is_none_or(|w| has_words(row, w, what.matching)) {
                    found.push(row.entry.seq);
                }
            }
            match hits.found.last() {
                Some(last) if hits.more => after = Some((last.row.entry.shown_at(), room, last.row.entry.seq)),
                _ => break,
            }
        }
        found.sort_unstable();
        found.truncate(REMOVED_AT_ONCE);
        Ok(found)
    }

    /// Clears a room up to a date: the content of what was said until then is erased for good; that it was there stays provable.
    /// Answers the last entry cleared, [`Seq::ZERO`] if there was none.
    ///
    /// # Errors
    /// When the caller is no administrator.
    pub async fn clear(&self, caller: &Caller, room: RoomId, through: Time, mode: Mode) -> Result<Outcome<Seq>> {
        let state = self.allow(caller, room, Action::Clear)?;
        let Some(last) = self.store().last_at(room, through).await? else {
            return crate::people::nothing(mode, Seq::ZERO);
        };
        if mode == Mode::WhatIf {
            return Ok(Outcome::Would(vec![format!(
                "Everything said in room {} up to entry {last} would be erased for good",
                state.room.name
            )]));
        }
        let mut drafts = Vec::new();
        let later = self.later_edits(room, last).await?;
        if !later.is_empty() {
            let reason = format!("the room was cleared up to {through}");
            let removal = Removal { of: later, marks: BTreeMap::new(), reason, replacement: None, erased: true };
            drafts.push(self.draft(room, caller.user, EntryBody::Removal(removal)));
        }
        drafts.push(self.draft(room, caller.user, EntryBody::Purge { through: last }));
        self.journal().write(drafts).await?;
        let summary = format!("Room {} was cleared up to {through}", state.room.name);
        self.record(caller, "room-cleared", summary).await?;
        Ok(Outcome::Done(last))
    }

    /// Edits after `last` of messages up to it: what was said before a date may have been put into other words after it, and goes with it.
    /// They can only stand as far as the time for edits reaches.
    async fn later_edits(&self, room: RoomId, last: Seq) -> Result<Vec<Seq>> {
        const PAGE: usize = 500;
        let window = i64::try_from(self.limits().edit_window_seconds).unwrap_or(i64::MAX).saturating_mul(1_000);
        let Some(end) = self.store().rows(room, vec![last]).await?.pop() else { return Ok(Vec::new()) };
        let until = end.entry.at.millis().saturating_add(window);
        let (mut after, mut found) = (last, Vec::new());
        loop {
            let rows = self.store().page(room, From::After(after), PAGE).await?.rows;
            let Some(next) = rows.last().map(|row| row.entry.seq) else { return Ok(found) };
            for row in rows {
                if row.entry.at.millis() > until {
                    return Ok(found);
                }
                if matches!(&row.entry.body, Some(EntryBody::Edit(edit)) if edit.of <= last) {
                    found.push(row.entry.seq);
                }
            }
            after = next;
        }
    }

    /// Writes something that its sender may send again, and shows it as its author sees it.
    async fn write_sent(&self, caller: &Caller, room: RoomId, client_id: ClientId, body: EntryBody) -> Result<Posted> {
        let draft = Draft {
            room,
            author: caller.user,
            client_id,
            remember: Remember::UntilForgotten,
            decided_on: None,
            at: self.now(),
            body,
        };
        match self.journal().write_one(draft).await? {
            Appended::New(entry) => {
                let row = Row { entry, edited: None, removed: None };
                Ok(Posted { view: EntryView::of(&self.directory(), row), repeated: false })
            }
            Appended::Repeated(entry) => self.as_it_is_now(entry.room, entry.seq).await,
        }
    }

    /// What was written under a client id before: a resend is answered from the log before its content is judged again, since what it
    /// asks for may no longer be possible just because it has been done.
    async fn sent_before(&self, caller: &Caller, room: RoomId, client_id: ClientId) -> Result<Option<Posted>> {
        match self.patiently(|| self.store().find_sent(room, caller.user, client_id)).await? {
            Some(entry) => self.as_it_is_now(room, entry.seq).await.map(Some),
            None => Ok(None),
        }
    }

    async fn as_it_is_now(&self, room: RoomId, seq: Seq) -> Result<Posted> {
        let row = self
            .patiently(|| self.store().rows(room, vec![seq]))
            .await?
            .pop()
            .ok_or(ChatError::Unknown("this message"))?;
        Ok(Posted { view: EntryView::of(&self.directory(), row), repeated: true })
    }

    async fn message_in_sight(&self, room: RoomId, seq: Seq) -> Result<(Row, Message)> {
        let row = self
            .patiently(|| self.store().rows(room, vec![seq]))
            .await?
            .pop()
            .ok_or(ChatError::Unknown("this message"))?;
        if row.entry.kind != Kind::Message {
            return Err(ChatError::Unknown("this message"));
        }
        match &row.entry.body {
            Some(EntryBody::Message(message)) if row.removed.is_none() => {
                let message = message.clone();
                Ok((row, message))
            }
            _ => Err(ChatError::Conflict("the message has been taken out of sight already".into())),
        }
    }

    /// The time in which an author may change a message runs from when the log took it, so that what was imported does not count
    /// as old only because it was said long ago; but nobody signs in as an imported author.
    fn allow_amend(&self, caller: &Caller, row: &Row) -> Result<()> {
        let age = self.now().millis() - row.entry.at.millis();
        rights::may_amend(caller.user, row.entry.author, age, self.limits().edit_window_seconds)
            .map_err(|d| ChatError::denied(d, "this message"))
    }

    fn check_text(&self, said: &str, title: Option<&str>, has_files: bool) -> Result<(String, Option<String>)> {
        let limits = self.limits();
        let Some(title) = title else {
            if has_files && said.trim().is_empty() {
                return Ok((String::new(), None));
            }
            return Ok((text::message("text", said, limits.message_chars)?, None));
        };
        let title = text::line("title", title, limits.story_title_chars)?;
        if title.is_empty() {
            return Err(ChatError::invalid("title", "a story needs a title; leave it out for a message"));
        }
        Ok((text::message("text", said, limits.story_chars)?, Some(title)))
    }

    fn mentioned(&self, title: Option<&str>, said: &str) -> Vec<PrincipalId> {
        if !said.contains('@') && !title.is_some_and(|t| t.contains('@')) {
            return Vec::new();
        }
        let directory: &Directory = &self.directory();
        let find = |name: &str| directory.principal_named(name).map(|p| p.id());
        match title {
            Some(title) => mention::mentions(&format!("{title}\n{said}"), find),
            None => mention::mentions(said, find),
        }
    }

    /// The files that go with a message: uploaded by this author, complete, and not sent before; those that it names, uploaded to this room, and those
    /// whose addresses it says, uploaded to none.
    async fn files_to_send(&self, caller: &Caller, room: RoomId, new: &NewMessage) -> Result<Vec<FileRef>> {
        let said = self.files_said(&new.text, new.stanza.as_ref());
        if new.files.is_empty() && said.is_empty() {
            return Ok(Vec::new());
        }
        if !new.files.is_empty() {
            self.allow(caller, room, Action::Upload)?;
        }
        // Files that went with this very message go with it again: it is a resend.
        let resend = self.store().find_sent(room, caller.user, new.client_id).await?.map(|e| e.seq);
        let mut files: Vec<FileRef> = Vec::with_capacity(new.files.len());
        for (i, id) in new.files.iter().enumerate() {
            let bad = |why: &str| ChatError::invalid(format!("files[{i}]"), why);
            let stored = self.store().file(*id).await?.filter(|f| f.room == room && f.by == caller.user);
            let stored = stored.ok_or_else(|| bad("is no file that you uploaded to this room; upload it again"))?;
            if stored.message.is_some() && stored.message != resend {
                return Err(bad("has been sent with another message already"));
            }
            if files.iter().any(|f| f.id == *id) {
                return Err(bad("is named twice"));
            }
            files.push(stored.file);
        }
        self.add_said(caller, room, resend, said, &mut files).await?;
        Ok(files)
    }

    /// The files that a message has after an edit: of those that it `had` the ones that stay, and those whose addresses the new text says.
    async fn files_from_now(&self, caller: &Caller, row: &Row, had: &[FileRef], new: &NewEdit) -> Result<Vec<FileRef>> {
        let said = self.files_said(&new.text, new.stanza.as_ref());
        let stay = had.iter().filter(|file| new.keeps_files || said.contains(&file.id));
        let mut files: Vec<FileRef> = stay.cloned().collect();
        self.add_said(caller, row.entry.room, Some(row.entry.seq), said, &mut files).await?;
        Ok(files)
    }

    /// The files whose addresses a text and what came with it say.
    fn files_said(&self, text: &str, stanza: Option<&Stanza>) -> Vec<FileId> {
        let most = self.limits().files_per_message;
        let mut said = self.addresses().said(text, most);
        said.extend(self.addresses().said(elements(stanza), most));
        said
    }

    /// What a text says beside its files. Only of a plain one, neither a story nor something done, anything is left out.
    fn said_beside<'t>(&self, text: &'t str, plain: bool, stanza: Option<&Stanza>, files: &[FileRef]) -> &'t str {
        if plain { self.addresses().beside(text, files, elements(stanza)) } else { text }
    }

    /// Adds those of the files that are said which may go with the message: uploaded by its author, and to no message, or to this one before. The address of
    /// any other file is part of what is said, and no more.
    async fn add_said(
        &self,
        caller: &Caller,
        room: RoomId,
        message: Option<Seq>,
        said: Vec<FileId>,
        files: &mut Vec<FileRef>,
    ) -> Result<()> {
        let is_new = |f: &StoredFile| f.room == RoomId::POOL && f.message.is_none();
        let is_again = |f: &StoredFile| f.room == room && message.is_some() && f.message == message;
        for id in said {
            if files.len() >= self.limits().files_per_message || files.iter().any(|f| f.id == id) {
                continue;
            }
            let stored = self.store().file(id).await?.filter(|f| f.by == caller.user && (is_new(f) || is_again(f)));
            if let Some(stored) = stored {
                self.allow(caller, room, Action::Upload)?;
                files.push(stored.file);
            }
        }
        Ok(())
    }
}

/// What came along with a text over XMPP, as XML.
fn elements(stanza: Option<&Stanza>) -> &str {
    stanza.map(|stanza| stanza.elements.as_str()).unwrap_or_default()
}

/// Whether a message as it reads now has `words` in exactly this case.
fn has_words(row: &Row, words: &str, matching: Words) -> bool {
    let shown = match (&row.edited, &row.entry.body) {
        (Some(edited), _) => format!("{}\n{}", edited.title.as_deref().unwrap_or_default(), edited.text),
        (None, Some(EntryBody::Message(m))) => format!("{}\n{}", m.title.as_deref().unwrap_or_default(), m.text),
        _ => return false,
    };
    match matching {
        Words::Phrase => shown.contains(words),
        Words::All => words.split_whitespace().all(|w| shown.contains(w)),
        Words::Any => words.split_whitespace().any(|w| shown.contains(w)),
    }
}

fn check_reason(reason: &str) -> Result<String> {
    let reason = text::line("reason", reason, REASON_CHARS)?;
    if reason.is_empty() {
        return Err(ChatError::invalid("reason", "must not be empty: it stays in the records"));
    }
    Ok(reason)
}
