//! The SQL lines that the runbook has: a table of verbs. Another one is a file here and its line in [`TABLE`].
//!
//! They are lines for an administrator's hand, not SQL for a database: each means one step, and reads the words that belong to it.

mod kill;
mod restore_database;
mod restore_log;
mod sp_delete_log_shipping_secondary_database;
mod sp_who2;
mod use_database;
mod words;

use crate::fault::Fault;
use crate::grammar::tree::Word;
use crate::line::Deed;
use crate::nearest::nearest;
use crate::span::Spanned;
use words::Words;

/// An SQL line.
pub trait Verb: Send + Sync {
    /// How it is written.
    fn about(&self) -> &'static About;

    /// Reads what follows its first words.
    ///
    /// # Errors
    /// The first word that does not belong there.
    fn read(&self, words: &mut Words<'_>) -> Result<Box<dyn Deed>, Fault>;
}

/// How an SQL line is written and what it is for.
#[derive(Debug)]
pub struct About {
    /// Its first words, for errors and help.
    pub name: &'static str,
    /// What it begins with.
    pub begins: Begins,
    /// The whole of it.
    pub form: &'static str,
    /// What it is for: one sentence.
    pub synopsis: &'static str,
    /// What is other than in SQL Server; may be empty.
    pub here: &'static str,
    /// Whether it changes something.
    pub changes: bool,
    /// Whether it asks a person who types it.
    pub asks: bool,
    /// A whole line.
    pub example: &'static str,
}

impl About {
    /// Whether `typed` is the beginning of its name, or the procedure alone.
    pub(crate) fn is_meant_by(&self, typed: &str) -> bool {
        let typed = typed.split_whitespace().collect::<Vec<_>>().join(" ").to_ascii_lowercase();
        let name = self.name.to_ascii_lowercase();
        let last = name.rsplit(' ').next().unwrap_or_default();
        !typed.is_empty() && (name == typed || last == typed || name.starts_with(&format!("{typed} ")))
    }
}

/// What a line begins with.
#[derive(Clone, Copy, Debug)]
pub enum Begins {
    /// `exec NAME`, for each of these names.
    Procedure(&'static [&'static str]),
    /// These words.
    Words(&'static [&'static str]),
}

/// All lines, in the order of the runbook.
pub static TABLE: &[&dyn Verb] = &[
    &sp_delete_log_shipping_secondary_database::EndLogShipping,
    &restore_log::RestoreLog,
    &sp_who2::Who,
    &kill::Kill,
    &restore_database::RestoreDatabase,
    &use_database::Use,
];

/// Whether a line that begins with `word` is SQL.
pub(crate) fn is_first_word(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    let verbs = TABLE.iter().filter_map(|v| match v.about().begins {
        Begins::Words(words) => words.first(),
        Begins::Procedure(_) => None,
    });
    is_exec(&word) || word == "go" || word.starts_with("sp_") || verbs.into_iter().any(|v| *v == word)
}

fn is_exec(word: &str) -> bool {
    word.eq_ignore_ascii_case("exec") || word.eq_ignore_ascii_case("execute")
}

/// Finds the verb of a line and has it read the rest.
pub(crate) fn read(line: &[Spanned<Word>]) -> Result<(&'static About, Box<dyn Deed>), Fault> {
    let mut words = Words::new(line);
    let first = words.name("a word")?;
    let verb = if is_exec(&first.it) {
        let name = words.dotted("the name of a procedure, such as sp_who2")?;
        procedure(&name)?
    } else if first.it.to_ascii_lowercase().starts_with("sp_") {
        procedure(&first)?
    } else {
        by_words(&first, &mut words)?
    };
    let deed = verb.read(&mut words)?;
    words.end()?;
    Ok((verb.about(), deed))
}

fn procedure(name: &Spanned<String>) -> Result<&'static dyn Verb, Fault> {
    let known = |v: &&'static dyn Verb| match v.about().begins {
        Begins::Procedure(names) => names,
        Begins::Words(_) => &[],
    };
    if let Some(verb) = TABLE.iter().find(|v| known(v).iter().any(|n| n.eq_ignore_ascii_case(&name.it))) {
        return Ok(*verb);
    }
    let names: Vec<String> = TABLE.iter().flat_map(known).map(|n| (*n).to_owned()).collect();
    Err(Fault::new(name.span, format!("There is no procedure {} here", name.it))
        .expected(crate::bind::one_of(&names))
        .nearest(nearest(&name.it, names.iter().map(String::as_str)).map(str::to_owned)))
}

fn by_words(first: &Spanned<String>, words: &mut Words<'_>) -> Result<&'static dyn Verb, Fault> {
    let known = |v: &&'static dyn Verb| match v.about().begins {
        Begins::Words(names) if names[0].eq_ignore_ascii_case(&first.it) => Some(names),
        _ => None,
    };
    let candidates: Vec<(&'static dyn Verb, &[&str])> = TABLE.iter().filter_map(|v| Some((*v, known(v)?))).collect();
    if let Some((verb, _)) = candidates.iter().find(|(_, names)| names.len() == 1) {
        return Ok(*verb);
    }
    let seconds: Vec<String> =
        candidates.iter().filter_map(|(_, names)| names.get(1)).map(|n| (*n).to_owned()).collect();
    let expected = crate::bind::one_of(&seconds);
    let second = words.name(&expected)?;
    candidates
        .iter()
        .find(|(_, names)| names.get(1).is_some_and(|n| n.eq_ignore_ascii_case(&second.it)))
        .map(|(verb, _)| *verb)
        .ok_or_else(|| {
            Fault::new(second.span, format!("`{}` cannot stand behind {}", second.it, first.it))
                .expected(expected)
                .nearest(nearest(&second.it, seconds.iter().map(String::as_str)).map(str::to_owned))
        })
}
