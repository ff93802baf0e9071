//! Topic feeds: saved filters over the rooms that somebody follows (M48).

use crate::id::{PrincipalId, RoomId};
use crate::name::key;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// How a feed's words combine.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Match {
    /// One of the words is enough.
    #[default]
    Any,
    /// All the words are needed.
    All,
}

/// A saved filter. It matches a message that is in one of its rooms, by one of its authors, and has its words; an empty list asks nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feed {
    /// Its number, unique for its owner.
    pub id: i64,
    /// Its owner's name for it.
    pub name: String,
    /// Words to look for.
    pub words: Vec<String>,
    /// How they combine.
    #[serde(rename = "match", default)]
    pub matching: Match,
    /// Whose messages; empty: anybody's.
    #[serde(default)]
    pub authors: BTreeSet<PrincipalId>,
    /// In which rooms; empty: all that the owner follows.
    #[serde(default)]
    pub rooms: BTreeSet<RoomId>,
    /// Whether a match is announced.
    #[serde(default)]
    pub notify: bool,
}

impl Feed {
    /// Whether a new message belongs to the feed; that its owner follows the room is for the caller to know.
    pub fn matches(&self, room: RoomId, author: PrincipalId, text: &str) -> bool {
        if !self.rooms.is_empty() && !self.rooms.contains(&room)
            || !self.authors.is_empty() && !self.authors.contains(&author)
        {
            return false;
        }
        if self.words.is_empty() {
            return !self.authors.is_empty();
        }
        let text = key(text);
        let tokens: BTreeSet<&str> = text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).collect();
        let has = |word: &String| {
            let word = key(word);
            let mut parts = word.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).peekable();
            parts.peek().is_some() && parts.all(|p| tokens.contains(p))
        };
        match self.matching {
            Match::Any => self.words.iter().any(has),
            Match::All => self.words.iter().all(has),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_match_whole_words_in_any_case() {
        let mut feed = Feed {
            id: 1,
            name: "rates".into(),
            words: vec!["ECB".into(), "rate".into()],
            matching: Match::Any,
            authors: BTreeSet::new(),
            rooms: BTreeSet::new(),
            notify: false,
        };
        let hit = |f: &Feed, t| f.matches(RoomId(1), PrincipalId(2), t);
        assert!(hit(&feed, "the ecb speaks"));
        assert!(!hit(&feed, "separate"));
        feed.matching = Match::All;
        assert!(!hit(&feed, "the ecb speaks"));
        assert!(hit(&feed, "ECB: rate cut"));
        feed.rooms.insert(RoomId(9));
        assert!(!hit(&feed, "ECB: rate cut"));
    }
}
