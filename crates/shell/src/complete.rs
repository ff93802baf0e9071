//! Completes what is being typed: cmdlets, their parameters and values, the words of SQL lines.

use crate::cmdlet::{About, Kind};
use crate::span::Span;
use crate::{cmdlets, sql};

/// Something that can stand where one is typing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// What to put there.
    pub text: String,
    /// What it is for.
    pub about: String,
    /// What it replaces.
    pub span: Span,
}

/// What can stand at the byte `at` of `text`.
pub fn complete(text: &str, at: usize) -> Vec<Candidate> {
    let typed = text.get(..at).unwrap_or(text);
    // What was continued with a backtick belongs to it.
    let joined = typed.replace("`\r\n", "   ").replace("`\n", "  ");
    let start = joined.rfind(['\n', ';']).map_or(0, |i| i + 1);
    let statement = joined[start..].trim_start();
    let begun = statement.rfind(char::is_whitespace).map_or(statement, |i| &statement[i..]).trim_start();
    let span = Span::new(typed.len() - begun.len(), typed.len());
    let words: Vec<&str> = statement[..statement.len() - begun.len()].split_whitespace().collect();
    let mut found: Vec<(String, String)> = match words.first() {
        None => first_words(),
        Some(first) => match cmdlets::find(first) {
            Some(cmdlet) => of_cmdlet(cmdlet.about(), &words, begun),
            None => of_sql(&words),
        },
    };
    found.retain(|(name, _)| name.get(..begun.len()).is_some_and(|start| start.eq_ignore_ascii_case(begun)));
    found.dedup();
    found.into_iter().map(|(text, about)| Candidate { text, about, span }).collect()
}

fn first_words() -> Vec<(String, String)> {
    let cmdlets = cmdlets::TABLE.iter().map(|c| (c.about().name.to_owned(), c.about().synopsis.to_owned()));
    cmdlets.chain(of_sql(&[])).collect()
}

fn of_cmdlet(about: &'static About, words: &[&str], begun: &str) -> Vec<(String, String)> {
    let parameter = |typed: &str| {
        let typed = typed.strip_prefix('-')?;
        about.parameters().find(|p| p.name.eq_ignore_ascii_case(typed))
    };
    if let Some(last) = words.last().and_then(|w| parameter(w)).filter(|_| !begun.starts_with('-')) {
        match last.kind {
            Kind::OneOf(values) => return values.iter().map(|v| ((*v).to_owned(), last.about.to_owned())).collect(),
            Kind::DatabaseType => return vec![("PersistentChat".to_owned(), last.about.to_owned())],
            Kind::Switch => {}
            _ => return Vec::new(),
        }
    }
    if about.name == "Get-Help" && words.len() == 1 && !begun.starts_with('-') {
        return cmdlets::TABLE.iter().map(|c| (c.about().name.to_owned(), c.about().synopsis.to_owned())).collect();
    }
    about
        .parameters()
        .filter(|p| !matches!(p.kind, Kind::Absent(_)))
        .filter(|p| !words.iter().filter_map(|w| parameter(w)).any(|there| there.name == p.name))
        .map(|p| (format!("-{}", p.name), p.about.to_owned()))
        .collect()
}

/// The next word of each line that begins with `words`.
fn of_sql(words: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for about in sql::TABLE.iter().map(|v| v.about()) {
        let form: Vec<&str> = about.form.split_whitespace().collect();
        let same = words.iter().zip(&form).all(|(typed, word)| typed.eq_ignore_ascii_case(word));
        let next = form.get(words.len()).filter(|word| same && !word.starts_with('<'));
        found.extend(next.map(|word| ((*word).to_owned(), about.synopsis.to_owned())));
    }
    found.dedup_by(|a, b| a.0 == b.0);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        complete(text, text.len()).into_iter().map(|c| c.text).collect()
    }

    #[test]
    fn names_parameters_values_and_sql_words_are_completed() {
        assert_eq!(names("set-cspers"), ["Set-CsPersistentChatState", "Set-CsPersistentChatActiveServer"]);
        assert_eq!(names("Set-CsPersistentChatState -P"), ["-PoolState"]);
        assert_eq!(names("Set-CsPersistentChatState -PoolState fa"), ["FailedOver"]);
        assert_eq!(
            names("Set-CsPersistentChatState `\n  -PoolState Normal "),
            ["-Identity", "-Force", "-WhatIf", "-Confirm"]
        );
        assert_eq!(names("Get-Help Get-CsD"), ["Get-CsDatabaseMirrorState"]);
        assert_eq!(names("restore "), ["log", "database"]);
        assert_eq!(names("exec sp_who2; RESTORE database mgc with "), ["recovery"]);
        assert_eq!(names("kill "), Vec::<String>::new());
        assert!(names("").len() > 10);
    }

    #[test]
    fn what_is_replaced_is_the_word_that_was_begun() {
        let text = "kill 53; Get-CsS";
        assert_eq!(complete(text, text.len())[0].span.of(text), "Get-CsS");
        // In the middle of a character, and behind the end.
        assert!(complete("ü", 1).is_empty());
        assert!(complete("kill", 99).len() <= 1);
    }
}
