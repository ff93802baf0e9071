//! Finding what was said: search, the ego feed, topic feeds.

use crate::caller::{Caller, Scope};
use crate::error::{ChatError, Result};
use crate::pool::signal::Signal;
use crate::service::Chat;
use crate::view::{EntryView, Place};
use holdfast_domain::directory::Directory;
use holdfast_domain::entry::EntryBody;
use holdfast_domain::feed::{Feed, Match};
use holdfast_domain::limits::{FEED_WORDS, FEEDS, LABEL_CHARS};
use holdfast_domain::rights::{self, Action};
use holdfast_domain::{PrincipalId, RoomId, Time, text};
use holdfast_store::log::Row;
use holdfast_store::search::{Found, Hits, Order, Query, Words};
use std::collections::{BTreeSet, HashMap};
use std::sync::PoisonError;

/// Characters of a search at most.
const QUERY_CHARS: usize = 500;
/// Characters shown before the first match.
const LEAD: usize = 60;
/// Characters of a hit's text that are shown.
const SHOWN: usize = 300;

/// What somebody looks for.
#[derive(Clone, Debug)]
pub struct SearchRequest {
    /// The words.
    pub text: String,
    /// How they combine.
    pub words: Words,
    /// In this room; nothing: in all that the caller may read.
    pub room: Option<RoomId>,
    /// By this author.
    pub author: Option<PrincipalId>,
    /// Said at this time or later.
    pub from: Option<Time>,
    /// Said before this time.
    pub until: Option<Time>,
    /// In which order.
    pub order: Order,
    /// After this hit.
    pub after: Option<Place>,
    /// How many at most.
    pub limit: usize,
}

/// A message that was found.
#[derive(Clone, Debug)]
pub struct Hit {
    /// The message as it reads now.
    pub view: EntryView,
    /// The name of its room.
    pub room_name: String,
    /// A stretch of its text, in pieces that match and pieces that do not.
    pub fragments: Vec<Fragment>,
}

/// A piece of a hit's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// The piece.
    pub text: String,
    /// Whether it is one of the words looked for.
    pub is_match: bool,
}

/// A page of hits.
#[derive(Clone, Debug)]
pub struct HitPage {
    /// The hits.
    pub hits: Vec<Hit>,
    /// Where the next page begins, if there is one.
    pub next: Option<Place>,
}

impl Chat {
    /// Searches what the caller may read.
    ///
    /// # Errors
    /// When a room is named that the caller may not read, or nothing is looked for.
    pub async fn search(&self, caller: &Caller, request: SearchRequest) -> Result<HitPage> {
        let text = text::line("q", &request.text, QUERY_CHARS)?;
        if text.is_empty() && request.author.is_none() && request.from.is_none() && request.until.is_none() {
            return Err(ChatError::invalid("q", "must not be empty, unless an author or dates are given"));
        }
        let rooms = match request.room {
            Some(room) => {
                self.allow(caller, room, Action::ReadHistory)?;
                vec![room]
            }
            None => self.readable(caller)?,
        };
        let query = Query {
            text,
            words: request.words,
            rooms,
            authors: request.author.into_iter().collect(),
            from: request.from,
            until: request.until,
            order: request.order,
            after: request.after,
            limit: request.limit.clamp(1, self.limits().search_page),
        };
        let hits = self.store().search(query).await?;
        Ok(self.hit_page(hits))
    }

    /// Messages that name the caller, newest first (the ego feed, M48).
    ///
    /// # Errors
    /// When the caller may not use chat.
    pub async fn mentions(&self, caller: &Caller, after: Option<Place>, limit: usize) -> Result<HitPage> {
        let rooms = self.readable(caller)?;
        let limit = limit.clamp(1, self.limits().search_page);
        let hits = self.store().mentions(caller.user, rooms, after, limit).await?;
        Ok(self.hit_page(hits))
    }

    /// The caller's topic feeds.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn feeds(&self, caller: &Caller) -> Result<Vec<Feed>> {
        caller.need(Scope::Read)?;
        Ok(self.store().feeds(caller.user).await?)
    }

    /// Adds a feed (number 0) or replaces one.
    ///
    /// # Errors
    /// When something about it is not acceptable, or there is none to replace.
    pub async fn put_feed(&self, caller: &Caller, mut feed: Feed) -> Result<Feed> {
        caller.need(Scope::Post)?;
        feed.name = text::line("name", &feed.name, LABEL_CHARS)?;
        if feed.name.is_empty() {
            return Err(ChatError::invalid("name", "must not be empty"));
        }
        if feed.words.is_empty() && feed.authors.is_empty() {
            return Err(ChatError::invalid("words", "give at least one word or one author"));
        }
        if feed.words.len() > FEED_WORDS {
            return Err(ChatError::invalid("words", format!("at most {FEED_WORDS} words are allowed")));
        }
        for (i, word) in feed.words.iter_mut().enumerate() {
            *word = text::line(&format!("words[{i}]"), word, LABEL_CHARS)?;
            if !word.contains(char::is_alphanumeric) {
                return Err(ChatError::invalid(format!("words[{i}]"), "must contain a letter or a digit"));
            }
        }
        for room in &feed.rooms {
            self.allow(caller, *room, Action::ReadHistory)?;
        }
        if feed.id == 0 && self.store().feeds(caller.user).await?.len() >= FEEDS {
            return Err(ChatError::Conflict(format!("there are {FEEDS} feeds already; delete one of them")));
        }
        feed.id = self.store().put_feed(caller.user, feed.clone()).await?.ok_or(ChatError::Unknown("this feed"))?;
        self.reload_announcing(caller.user).await?;
        self.signal(Signal::Feeds(vec![caller.user]));
        Ok(feed)
    }

    /// Deletes a feed.
    ///
    /// # Errors
    /// When there is none.
    pub async fn end_feed(&self, caller: &Caller, id: i64) -> Result<()> {
        caller.need(Scope::Post)?;
        if !self.store().end_feed(caller.user, id).await? {
            return Err(ChatError::Unknown("this feed"));
        }
        self.reload_announcing(caller.user).await?;
        self.signal(Signal::Feeds(vec![caller.user]));
        Ok(())
    }

    /// What a feed has to show, newest first.
    ///
    /// # Errors
    /// When there is no such feed.
    pub async fn feed_entries(&self, caller: &Caller, id: i64, after: Option<Place>, limit: usize) -> Result<HitPage> {
        let feed = self.feeds(caller).await?.into_iter().find(|f| f.id == id).ok_or(ChatError::Unknown("this feed"))?;
        let readable: BTreeSet<RoomId> = self.readable(caller)?.into_iter().collect();
        let wanted = if feed.rooms.is_empty() {
            self.store().followed(caller.user).await?
        } else {
            feed.rooms.iter().copied().collect()
        };
        let query = Query {
            text: feed.words.join(" "),
            words: match feed.matching {
                Match::Any => Words::Any,
                Match::All => Words::All,
            },
            rooms: wanted.into_iter().filter(|r| readable.contains(r)).collect(),
            authors: feed.authors.iter().copied().collect(),
            from: None,
            until: None,
            order: Order::Newest,
            after,
            limit: limit.clamp(1, self.limits().search_page),
        };
        let hits = self.store().search(query).await?;
        Ok(self.hit_page(hits))
    }

    /// Reads a user's announcing feeds anew.
    pub(crate) async fn reload_announcing(&self, user: PrincipalId) -> Result<()> {
        let feeds: Vec<Feed> = self.store().feeds(user).await?.into_iter().filter(|f| f.notify).collect();
        let mut announcing = self.inner.announcing.write().unwrap_or_else(PoisonError::into_inner);
        if feeds.is_empty() {
            announcing.remove(&user);
        } else {
            announcing.insert(user, feeds);
        }
        Ok(())
    }

    /// Reads all announcing feeds anew.
    pub(crate) async fn reload_all_announcing(&self) -> Result<()> {
        let mut announcing: HashMap<PrincipalId, Vec<Feed>> = HashMap::new();
        for (owner, feed) in self.store().announcing_feeds().await? {
            announcing.entry(owner).or_default().push(feed);
        }
        *self.inner.announcing.write().unwrap_or_else(PoisonError::into_inner) = announcing;
        Ok(())
    }

    /// The rooms whose history the caller may read.
    fn readable(&self, caller: &Caller) -> Result<Vec<RoomId>> {
        caller.need(Scope::Read)?;
        let directory: &Directory = &self.directory();
        self.allow_chat(directory, caller)?;
        if caller.is_operator() {
            return Ok(directory.rooms().map(|s| s.room.id).collect());
        }
        let identities = directory.identities(caller.user);
        let may = |s: &&holdfast_domain::directory::RoomState| {
            let standing = rights::standing_of(directory, &identities, caller.user, s);
            rights::decide(standing, rights::terms(directory, s), Action::ReadHistory).is_ok()
        };
        Ok(directory.rooms().filter(may).map(|s| s.room.id).collect())
    }

    fn hit_page(&self, hits: Hits) -> HitPage {
        let last = hits.found.last().map(|f| (f.row.entry.shown_at(), f.row.entry.room, f.row.entry.seq));
        let directory = self.directory();
        let found = hits.found.into_iter().map(|Found { row, marks }| {
            let fragments = fragments(&shown_text(&row), &marks);
            let room_name = directory.room(row.entry.room).map(|s| s.room.name.to_string()).unwrap_or_default();
            Hit { view: EntryView::of(&directory, row), room_name, fragments }
        });
        HitPage { hits: found.collect(), next: last.filter(|_| hits.more) }
    }
}

fn shown_text(row: &Row) -> String {
    match (&row.edited, &row.entry.body) {
        (Some(edited), _) => edited.text.clone(),
        (None, Some(EntryBody::Message(message))) => message.text.clone(),
        _ => String::new(),
    }
}

/// A stretch of `text` around its first mark, cut into pieces. Marks that are not at character borders, or not ascending,
/// are passed over: they come from another component.
fn fragments(text: &str, marks: &[(usize, usize)]) -> Vec<Fragment> {
    let good = |(from, to): &(usize, usize)| from < to && text.get(*from..*to).is_some();
    let first = marks.iter().find(|m| good(m)).map_or(0, |m| m.0);
    let mut at = back(text, first, LEAD);
    let end = forward(text, at, SHOWN);
    let mut pieces = Vec::new();
    let mut push = |text: &str, is_match: bool| {
        if !text.is_empty() {
            pieces.push(Fragment { text: text.to_owned(), is_match });
        }
    };
    if at > 0 {
        push("…", false);
    }
    for (from, to) in marks.iter().filter(|m| good(m)).copied() {
        if from < at || to > end {
            continue;
        }
        push(&text[at..from], false);
        push(&text[from..to], true);
        at = to;
    }
    push(&text[at..end], false);
    if end < text.len() {
        push("…", false);
    }
    pieces
}

/// The byte `chars` characters before `at`.
fn back(text: &str, at: usize, chars: usize) -> usize {
    text[..at].char_indices().rev().take(chars).last().map_or(at, |(i, _)| i)
}

/// The byte `chars` characters after `at`.
fn forward(text: &str, at: usize, chars: usize) -> usize {
    text[at..].char_indices().nth(chars).map_or(text.len(), |(i, _)| at + i)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, marks: &[(usize, usize)]) -> String {
        let mark = |f: Fragment| if f.is_match { format!("[{}]", f.text) } else { f.text };
        fragments(text, marks).into_iter().map(mark).collect()
    }

    #[test]
    fn matches_are_cut_out_and_long_texts_shortened() {
        assert_eq!(shown("the grüne door", &[(4, 10)]), "the [grüne] door");
        assert_eq!(shown("", &[]), "");
        let long = format!("{}needle{}", "ä".repeat(200), "ö".repeat(500));
        let cut = shown(&long, &[(400, 406)]);
        assert!(cut.starts_with('…') && cut.ends_with('…') && cut.contains("[needle]"));
    }

    #[test]
    fn marks_that_cannot_be_are_passed_over() {
        assert_eq!(shown("grün", &[(3, 4), (9, 12), (2, 1)]), "grün");
    }
}
