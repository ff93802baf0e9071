//! What users are told of an outage: one that is coming, or one that they are in. There is one at a time, kept as an item of the pool itself, so that
//! every server reads the same and it goes with the database to the other site.

use holdfast_domain::{PrincipalId, Time};
use serde::{Deserialize, Serialize};

/// Whose item it is.
pub const OWNER: PrincipalId = PrincipalId::SYSTEM;
/// The node that it is in.
pub const NODE: &str = "notice";
/// Its name there.
pub const ID: &str = "current";

/// What is said of an outage.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Notice {
    /// Whether it is meant.
    pub planned: bool,
    /// When it begins, or began.
    pub beginning: Time,
    /// When it should be over, if that is known.
    #[serde(default)]
    pub expected_end: Option<Time>,
    /// A sentence for people; may be empty.
    pub message: String,
    /// Whether a procedure said so rather than a person. Such a one is over when its end has come, whatever became of the procedure, and never takes the
    /// place of a person's.
    #[serde(default)]
    pub own: bool,
}

impl Notice {
    /// As it is kept.
    pub fn kept(&self) -> String {
        // Moments, words and flags: this does not fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// As it was kept; what cannot be read is no notice.
    pub fn read(text: &str) -> Option<Notice> {
        serde_json::from_str(text).ok()
    }

    /// Whether nothing is to be told of it any more.
    pub fn is_over(&self, now: Time) -> bool {
        self.own && self.expected_end.is_some_and(|end| end <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_procedure_said_is_over_by_itself() {
        let at = Time::from_millis;
        let notice =
            Notice { planned: true, beginning: at(1), expected_end: Some(at(5)), message: "m".into(), own: true };
        assert_eq!(Notice::read(&notice.kept()), Some(notice.clone()));
        assert!(!notice.is_over(at(4)) && notice.is_over(at(5)));
        assert!(!Notice { own: false, ..notice.clone() }.is_over(at(9)));
        assert!(!Notice { expected_end: None, ..notice }.is_over(at(9)));
        assert_eq!(Notice::read("rubbish"), None);
    }
}
