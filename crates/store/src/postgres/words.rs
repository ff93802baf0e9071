//! Words: what they are in a text, where they stand, and how they are compared.
//!
//! Text is cut here and not by PostgreSQL's parser, which takes `chat.example.org` or `a-b` for one word each and depends on the database's
//! locale; what PostgreSQL does is what it does best: reducing words of a language to their stems (its dictionaries) and finding them (GIN).

use super::error::Work;
use super::session::Session;
use crate::search::Words;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// Words of a query that count; the rest is ignored.
pub(super) const MOST_WORDS: usize = 64;

/// Bytes of a word that count: what is longer is no word of a language, and an index entry has a limit.
const WORD_BYTES: usize = 200;

/// Stems that are kept in memory.
const KNOWN_STEMS: usize = 200_000;

/// A word of a text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Token {
    /// As it is compared: without case and accents.
    pub(super) word: String,
    /// Where it stands, in bytes.
    pub(super) at: (usize, usize),
}

/// The words of a text in their order: stretches of letters and digits with what belongs to them.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut open: Option<Token> = None;
    for (i, c) in text.char_indices() {
        let belongs = c.is_alphanumeric() || (is_combining_mark(c) && open.is_some());
        if belongs {
            let token = open.get_or_insert_with(|| Token { word: String::new(), at: (i, i) });
            token.at.1 = i + c.len_utf8();
            fold(c, &mut token.word);
        } else {
            found.extend(open.take().filter(|t| !t.word.is_empty()));
        }
    }
    found.extend(open.filter(|t| !t.word.is_empty()));
    found
}

/// Adds a character as it is compared.
fn fold(c: char, word: &mut String) {
    if c.is_ascii() {
        if word.len() < WORD_BYTES {
            word.push(c.to_ascii_lowercase());
        }
        return;
    }
    // Accents of Latin, Greek and Cyrillic letters go; the marks of other scripts make other words.
    let is_accent = |c: char| ('\u{300}'..='\u{36F}').contains(&c);
    for c in std::iter::once(c).nfkd().filter(|c| !is_accent(*c)).flat_map(char::to_lowercase).nfkd() {
        let counts = (c.is_alphanumeric() || is_combining_mark(c)) && !is_accent(c);
        if counts && word.len() + c.len_utf8() <= WORD_BYTES {
            word.push(c);
        }
    }
}

/// How words of the configured language are reduced to their stems.
pub(super) struct Lexicon {
    /// PostgreSQL's dictionary, such as `english_stem`; none for `simple`.
    dictionary: Option<String>,
    known: Mutex<HashMap<String, Vec<String>>>,
}

impl Lexicon {
    /// For a language as PostgreSQL names it, or `simple`.
    pub(super) fn new(language: &str) -> Lexicon {
        let dictionary = (language != "simple").then(|| format!("{language}_stem"));
        Lexicon { dictionary, known: Mutex::default() }
    }

    /// The dictionary that it needs, if any.
    pub(super) fn dictionary(&self) -> Option<&str> {
        self.dictionary.as_deref()
    }

    /// Learns the stems of words that are to be asked for.
    pub(super) async fn learn(&self, session: &Session, words: impl IntoIterator<Item = &str>) -> Work<()> {
        const SQL: &str = "SELECT w, ts_lexize($2::text::regdictionary, w) FROM unnest($1::text[]) w";
        let Some(dictionary) = &self.dictionary else { return Ok(()) };
        let unknown: Vec<String> = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() > KNOWN_STEMS {
                known.clear();
            }
            let words: HashSet<&str> = words.into_iter().filter(|w| !known.contains_key(*w)).collect();
            words.into_iter().map(str::to_owned).collect()
        };
        if unknown.is_empty() {
            return Ok(());
        }
        for row in session.query(SQL, &[&unknown, dictionary]).await? {
            let (word, stems): (String, Option<Vec<String>>) = (row.try_get(0)?, row.try_get(1)?);
            // A word that the dictionary does not know stands for itself; one without a stem is too common to count.
            let stems = stems.unwrap_or_else(|| vec![word.clone()]);
            self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(word, stems);
        }
        Ok(())
    }

    /// The stems of a word; none of one that is too common to count. Of a language only of words that were learnt.
    fn stems(&self, word: &str) -> Vec<String> {
        if self.dictionary.is_none() {
            return vec![word.to_owned()];
        }
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(word).cloned().unwrap_or_else(|| vec![word.to_owned()])
    }

    /// The stems of many words, each once.
    pub(super) fn all_stems<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
        words.into_iter().flat_map(|word| self.stems(word)).collect()
    }
}

/// What is looked for: each word as any of its stems.
pub(super) struct Wanted {
    words: Vec<Vec<String>>,
    how: Words,
}

impl Wanted {
    /// From a query's text, whose words have been learnt. Words too common to count are left out; where all are, nothing is looked for, since
    /// they would be everywhere.
    pub(super) fn new(tokens: &[Token], how: Words, lexicon: &Lexicon) -> Wanted {
        let mut words: Vec<Vec<String>> = tokens.iter().map(|t| lexicon.stems(&t.word)).collect();
        words.retain(|stems| !stems.is_empty());
        Wanted { words, how }
    }

    /// What must be in a stretch of a log that holds a message with it, in PostgreSQL's language for `tsquery`. `None` if that is nothing.
    pub(super) fn expression(&self) -> Option<String> {
        let each: Vec<String> = self.words.iter().map(|stems| any(stems.iter().map(String::as_str))).collect();
        if each.is_empty() {
            return None;
        }
        Some(each.join(match self.how {
            Words::All | Words::Phrase => " & ",
            Words::Any => " | ",
        }))
    }

    /// Whether a message with these texts has what is looked for: each word in any of them, a phrase in one of them.
    pub(super) fn is_in(&self, texts: &[&[Token]], lexicon: &Lexicon) -> bool {
        let stems: Vec<Vec<Vec<String>>> =
            texts.iter().map(|tokens| tokens.iter().map(|t| lexicon.stems(&t.word)).collect()).collect();
        let has = |wanted: &Vec<String>| stems.iter().flatten().any(|word| meet(word, wanted));
        match self.how {
            Words::All => self.words.iter().all(has),
            Words::Any => self.words.is_empty() || self.words.iter().any(has),
            Words::Phrase => self.words.is_empty() || stems.iter().any(|text| !self.phrases(text).is_empty()),
        }
    }

    /// What passes over messages that certainly have not what is looked for, by their stored payloads. `None` if nothing can: of a language
    /// it is not known which words have a stem.
    pub(super) fn sieve(&self, lexicon: &Lexicon) -> Option<Sieve> {
        if lexicon.dictionary.is_some() || self.words.is_empty() {
            return None;
        }
        // Letters and digits only, so nothing in them means anything in a pattern; JSON writes them as they are.
        let patterns = self.words.iter().flatten().map(|word| format!("%{word}%")).collect();
        Some(Sieve { patterns, all: self.how != Words::Any })
    }

    /// Where they stand in a text: byte ranges, ascending, apart.
    pub(super) fn marks(&self, tokens: &[Token], lexicon: &Lexicon) -> Vec<(usize, usize)> {
        let stems: Vec<Vec<String>> = tokens.iter().map(|t| lexicon.stems(&t.word)).collect();
        if self.how == Words::Phrase {
            return self.phrases(&stems).into_iter().map(|(a, b)| (tokens[a].at.0, tokens[b].at.1)).collect();
        }
        let is_wanted = |word: &Vec<String>| self.words.iter().any(|wanted| meet(word, wanted));
        tokens.iter().zip(&stems).filter(|(_, word)| is_wanted(word)).map(|(t, _)| t.at).collect()
    }

    /// The first and last word of each place where the phrase stands. Words too common to count may stand in between, as in the phrase.
    fn phrases(&self, text: &[Vec<String>]) -> Vec<(usize, usize)> {
        let counting: Vec<(usize, &Vec<String>)> = text.iter().enumerate().filter(|(_, s)| !s.is_empty()).collect();
        let length = self.words.len();
        let mut found = Vec::new();
        let mut next = 0;
        while length > 0 && next + length <= counting.len() {
            let stretch = &counting[next..next + length];
            if stretch.iter().zip(&self.words).all(|((_, word), wanted)| meet(word, wanted)) {
                found.push((stretch[0].0, stretch[length - 1].0));
                next += length;
            } else {
                next += 1;
            }
        }
        found
    }
}

/// Patterns of `LIKE`, all or any of which a payload in small letters has that may have what is looked for. Of accents they know nothing, so that
/// they say nothing of a payload that is not all ASCII.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Sieve {
    pub(super) patterns: Vec<String>,
    pub(super) all: bool,
}

/// One of several words, in PostgreSQL's language for `tsquery`. Quoted, so that nothing that somebody types means anything in it.
pub(super) fn any<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = words.map(|w| format!("'{}'", w.replace('\\', "\\\\").replace('\'', "''"))).collect();
    format!("({})", quoted.join(" | "))
}

fn meet(a: &[String], b: &[String]) -> bool {
    a.iter().any(|word| b.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        tokens(text).into_iter().map(|t| t.word).collect()
    }

    #[test]
    fn words_are_letters_and_digits_without_case_and_accents() {
        assert_eq!(
            words("Café, CRÈME & don't a-b chat.example.org"),
            ["cafe", "creme", "don", "t", "a", "b", "chat", "example", "org"]
        );
        assert_eq!(words("cafe\u{301}"), ["cafe"]);
        assert_eq!(words("\u{301}\u{1}\u{2} -- !"), [] as [&str; 0]);
        assert_eq!(words("STRASSE straße Ω"), ["strasse", "straße", "ω"]);
        assert_eq!(words("ﬁ İ"), ["fi", "i"]);
        assert_eq!(words("हिन्दी").len(), 1);
        assert_eq!(words(&"x".repeat(1_000))[0].len(), WORD_BYTES);
        let text = "Über die";
        let found = tokens(text);
        assert_eq!(&text[found[0].at.0..found[0].at.1], "Über");
    }

    #[test]
    fn a_sieve_has_the_words_as_they_are_compared() {
        let simple = Lexicon::new("simple");
        let sieve = |text: &str, how| Wanted::new(&tokens(text), how, &simple).sieve(&simple);
        let patterns = vec!["%kernel%".to_owned(), "%100%".to_owned()];
        assert_eq!(sieve("Kernel 100%_", Words::All), Some(Sieve { patterns: patterns.clone(), all: true }));
        assert_eq!(sieve("kernel 100", Words::Phrase), Some(Sieve { patterns: patterns.clone(), all: true }));
        assert_eq!(sieve("kernel 100", Words::Any), Some(Sieve { patterns, all: false }));
        assert_eq!(sieve("", Words::All), None);
        let english = Lexicon::new("english");
        assert_eq!(Wanted::new(&tokens("kernels"), Words::All, &english).sieve(&english), None);
    }

    #[test]
    fn nothing_that_is_typed_means_anything_in_a_query() {
        assert_eq!(any(["it's", "a\\b"].into_iter()), "('it''s' | 'a\\\\b')");
    }
}
