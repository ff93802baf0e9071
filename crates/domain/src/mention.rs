//! Who is named in a text: `@name`, where `name` is somebody's sign-in name.

use crate::id::PrincipalId;
use crate::limits;

/// The principals that `text` names, each once, in the order of their first mention; at most [`limits::MENTIONS`].
/// `find` tells who has a name.
pub fn mentions(text: &str, find: impl Fn(&str) -> Option<PrincipalId>) -> Vec<PrincipalId> {
    let mut found = Vec::new();
    let mut rest = text;
    let mut before = None;
    while let Some(at) = rest.find('@') {
        before = rest[..at].chars().next_back().or(before);
        rest = &rest[at + 1..];
        // An address such as ana@example.org names nobody.
        let glued = before.is_some_and(char::is_alphanumeric);
        before = Some('@');
        let end = rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '.' | '_' | '-'))).unwrap_or(rest.len());
        // «Ask @ana.» ends a sentence; «@ana.ruiz» does not.
        let name = rest[..end].trim_end_matches(['.', '-', '_']);
        if !glued && !name.is_empty() {
            let who = find(name).or_else(|| find(&rest[..end]));
            if let Some(id) = who
                && !found.contains(&id)
                && found.len() < limits::MENTIONS
            {
                found.push(id);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(name: &str) -> Option<PrincipalId> {
        ["ana.ruiz", "bo", "desk"].iter().position(|n| *n == name).map(|i| PrincipalId(i64::try_from(i).unwrap()))
    }

    #[test]
    fn names_are_found_with_what_surrounds_them() {
        let ids = |t| mentions(t, find).into_iter().map(|p| p.0).collect::<Vec<_>>();
        assert_eq!(ids("@bo, see @ana.ruiz. (@desk)"), [1, 0, 2]);
        assert_eq!(ids("@bo @bo @nobody"), [1]);
        assert_eq!(ids("mail x@bo or @ bo"), Vec::<i64>::new());
        assert_eq!(ids("@@bo"), [1]);
    }
}
