//! Taking in messages that were said elsewhere, long ago.

use crate::caller::Caller;
use crate::error::{ChatError, Result};
use crate::service::Chat;
use holdfast_domain::entry::{EntryBody, Message, Put};
use holdfast_domain::limits::{DISPLAY_NAME_CHARS, LOGIN_CHARS};
use holdfast_domain::name::{DisplayName, Login};
use holdfast_domain::principal::{User, UserKind};
use holdfast_domain::{ClientId, PrincipalId, RoomId, Time, text};
use holdfast_store::log::{Appended, Draft, Remember};
use holdfast_store::projections::Numbered;
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

/// Messages of one batch at most.
pub const BATCH: usize = 10_000;
/// One server of a pool imports at a time; one that is gone with a batch holds up the others until its lease ends.
const LEASE: &str = "import";

/// A message that was said elsewhere.
#[derive(Clone, Debug)]
pub struct ImportedMessage {
    /// When it was said.
    pub at: Time,
    /// By whom, as he was called there.
    pub author: String,
    /// What.
    pub text: String,
    /// Whether it tells what the author did.
    pub action: bool,
    /// Tells it from every other message of the source, the same whenever it is imported: the same key is never taken in twice.
    pub key: Uuid,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default)]
pub struct Imported {
    /// New messages.
    pub imported: usize,
    /// Messages that were there already.
    pub repeated: usize,
    /// Authors met for the first time.
    pub authors_created: usize,
}

impl Chat {
    /// Takes in a batch of messages, in their order, with authors who cannot sign in: all of it or, on an error, nothing.
    ///
    /// # Errors
    /// When the caller is no administrator, there is no such room, or something about a message is not acceptable.
    pub async fn import(&self, caller: &Caller, room: RoomId, batch: Vec<ImportedMessage>) -> Result<Imported> {
        self.allow_admin(caller)?;
        self.directory().room(room).ok_or(ChatError::Unknown("this room"))?;
        if batch.len() > BATCH {
            return Err(ChatError::invalid("batch", format!("at most {BATCH} messages are taken at once")));
        }
        self.lease_soon(LEASE, "another server of the pool is importing; try again").await?;
        let imported = self.holding(LEASE, self.import_alone(caller, room, batch)).await;
        self.release(LEASE).await;
        imported
    }

    async fn import_alone(&self, caller: &Caller, room: RoomId, batch: Vec<ImportedMessage>) -> Result<Imported> {
        let turn = self.changing().await?;
        let (authors, new) = self.authors(&batch).await?;
        let authors_created = new.len();
        let now = self.now();
        let mut drafts: Vec<Draft> = new
            .into_iter()
            .map(|user| turn.draft(RoomId::POOL, caller.user, EntryBody::User(Put::new(user))))
            .collect();
        for (i, message) in batch.into_iter().enumerate() {
            let author = *authors.get(&message.author).ok_or(ChatError::Internal)?;
            let said = text::message(&format!("batch[{i}].text"), &message.text, self.limits().story_chars)?;
            let body = Message { text: said, action: message.action, said: Some(message.at), ..Message::default() };
            drafts.push(Draft {
                room,
                author,
                client_id: ClientId(message.key),
                remember: Remember::ForEver,
                decided_on: None,
                at: now,
                body: EntryBody::Message(body),
            });
        }
        let written = self.journal().write(drafts).await?;
        let repeated = written.iter().filter(|a| matches!(a, Appended::Repeated(_))).count();
        Ok(Imported { imported: written.len() - repeated - authors_created, repeated, authors_created })
    }

    /// The principal of every author of a batch, and those that have to be made. An author is known again by exactly the name he had.
    async fn authors(&self, batch: &[ImportedMessage]) -> Result<(HashMap<String, PrincipalId>, Vec<User>)> {
        let mut authors: HashMap<String, PrincipalId> = HashMap::new();
        let mut strangers: Vec<&str> = Vec::new();
        let mut taken: HashSet<String> = HashSet::new();
        {
            let wanted: HashSet<&str> = batch.iter().map(|m| m.author.as_str()).collect();
            let directory = self.directory();
            let shown: HashMap<String, &str> = wanted.iter().map(|nick| (display_name(nick), *nick)).collect();
            for user in directory.users().filter(|u| u.kind == UserKind::Imported) {
                if let Some(nick) = shown.get(user.display_name.as_str()) {
                    authors.insert((*nick).to_owned(), user.id);
                }
            }
            let mut seen = HashSet::new();
            for message in batch {
                if !authors.contains_key(&message.author) && seen.insert(message.author.as_str()) {
                    strangers.push(&message.author);
                }
            }
            if !strangers.is_empty() {
                taken.extend(directory.users().map(|u| u.name.key()));
                taken.extend(directory.groups().map(|g| g.name.key()));
            }
        }
        let mut new = Vec::with_capacity(strangers.len());
        let count = u32::try_from(strangers.len()).unwrap_or(u32::MAX);
        let mut next = if count == 0 { 0 } else { self.store().next_numbers(Numbered::Principal, count).await? };
        let mut by_shown: HashMap<String, PrincipalId> = HashMap::new();
        for nick in strangers {
            let shown = display_name(nick);
            if let Some(id) = by_shown.get(&shown) {
                authors.insert(nick.to_owned(), *id);
                continue;
            }
            let id = PrincipalId(next);
            next += 1;
            let user = User {
                id,
                name: free_login(nick, &mut taken)?,
                display_name: DisplayName::parse("author", &shown)?,
                kind: UserKind::Imported,
                admin: false,
                disabled: false,
                may_chat: None,
                created_at: self.now(),
            };
            authors.insert(nick.to_owned(), id);
            by_shown.insert(shown, id);
            new.push(user);
        }
        Ok((authors, new))
    }
}

/// The nick as it is shown: itself, unless it holds what no name may.
fn display_name(nick: &str) -> String {
    if let Ok(name) = DisplayName::parse("author", nick) {
        return name.as_str().to_owned();
    }
    let clean: String = nick.chars().filter(|c| !c.is_control()).take(DISPLAY_NAME_CHARS).collect();
    DisplayName::parse("author", &clean).map_or_else(|_| "(no name)".to_owned(), |name| name.as_str().to_owned())
}

/// A sign-in name that nobody has, made from a nick: `irc.` before it leaves the nick itself free for a person.
fn free_login(nick: &str, taken: &mut HashSet<String>) -> Result<Login> {
    let plain: String = nick
        .chars()
        .map(|c| if c.is_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' })
        .take(LOGIN_CHARS - 16)
        .collect();
    let mut n = 1_u64;
    loop {
        let name = if n == 1 { format!("irc.{plain}") } else { format!("irc.{plain}-{n}") };
        let login = Login::parse("author", &name)?;
        if taken.insert(login.key()) {
            return Ok(login);
        }
        n += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_nicks_get_names_of_their_own() {
        let mut taken = HashSet::new();
        let mut login = |nick| free_login(nick, &mut taken).unwrap().to_string();
        assert_eq!(login("|trey|"), "irc.-trey-");
        assert_eq!(login("[trey]"), "irc.-trey--2");
        assert_eq!(login(&"x".repeat(500)).len(), 52);
        assert_eq!(display_name("|trey|"), "|trey|");
        assert_eq!(display_name("a\u{3}b"), "ab");
        assert_eq!(display_name("\u{3}"), "(no name)");
    }
}
