//! Why the other site cannot take a message any more: one of several kinds of evidence, asked for and recorded before anything is changed.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What is given as evidence.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FenceSpec {
    /// A person states it, and why. Recorded as not verified.
    Attested(String),
    /// The command that the topology names for that site, run now: it has to succeed.
    Command,
    /// The other site is asked to stand down: its primary stops in order. Nothing is lost then.
    StandDown,
}

impl FromStr for FenceSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<FenceSpec, String> {
        match text.split_once(':').map_or((text, ""), |(kind, rest)| (kind, rest.trim())) {
            ("attested", said) if said.chars().count() >= 10 => Ok(FenceSpec::Attested(said.to_owned())),
            ("attested", _) => Err(
                "write attested:TEXT, where TEXT says in at least ten characters why that site cannot take messages"
                    .into(),
            ),
            ("command", "") => Ok(FenceSpec::Command),
            ("stand-down", "") => Ok(FenceSpec::StandDown),
            ("lease", _) => Err("this pool has no site lease; give attested:TEXT, command or stand-down".into()),
            _ => Err(format!("{text:?} is no evidence: it is attested:TEXT, command or stand-down")),
        }
    }
}

impl fmt::Display for FenceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FenceSpec::Attested(said) => write!(f, "attested:{said}"),
            FenceSpec::Command => f.write_str("command"),
            FenceSpec::StandDown => f.write_str("stand-down"),
        }
    }
}

/// Evidence as it was obtained.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Evidence {
    /// What was given.
    pub given: String,
    /// What was observed of it.
    pub observed: String,
    /// Whether a machine has verified it.
    pub verified: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_is_read_as_it_is_written() {
        for text in ["attested:power of the site is off, ticket 8813", "command", "stand-down"] {
            assert_eq!(text.parse::<FenceSpec>().unwrap().to_string(), text);
        }
        for odd in ["", "attested", "attested:", "attested:yes", "lease", "command:x", "trust me"] {
            assert!(odd.parse::<FenceSpec>().is_err(), "{odd}");
        }
    }
}
