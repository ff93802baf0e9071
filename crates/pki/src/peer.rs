//! Who the other side is: the name and the kind that its certificate gives it.

use crate::Certificate;
use std::fmt;
use std::str::FromStr;

/// The longest name: a certificate has room for 64 characters (RFC 5280, appendix A.1), a label of DNS for 63.
pub const MOST_NAME_CHARS: usize = 63;

/// What a process is to its pool.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// A PostgreSQL with the agent that looks after it.
    Instance,
    /// A chat server.
    Server,
    /// The voter that remembers who holds the newest epoch.
    Witness,
    /// A person who operates the pool.
    Operator,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 4] = [Kind::Instance, Kind::Server, Kind::Witness, Kind::Operator];

    /// The word for it, as it stands in certificates.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Instance => "instance",
            Kind::Server => "server",
            Kind::Witness => "witness",
            Kind::Operator => "operator",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Kind::ALL
            .into_iter()
            .find(|kind| kind.word() == word)
            .ok_or_else(|| format!("`{word}` is no kind; there are instance, server, witness and operator"))
    }
}

/// Somebody of the pool.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Peer {
    /// Its name, in small letters, such as `atl-db-1.litwareinc.com`.
    pub name: String,
    /// What it is.
    pub kind: Kind,
}

impl Peer {
    /// Who a certificate is for.
    ///
    /// # Errors
    /// What is odd about it, completing "its certificate ...".
    pub fn of(certificate: &Certificate) -> Result<Peer, String> {
        let [name] = &certificate.subjects[..] else {
            return Err(format!("has {} names in its subject instead of one", certificate.subjects.len()));
        };
        let [unit] = &certificate.units[..] else {
            return Err("does not say of what kind it is".into());
        };
        let kind = unit.parse().map_err(|e: String| format!("does not say of what kind it is: {e}"))?;
        check_name(name).map_err(|e| format!("has a name that cannot be: {e}"))?;
        Ok(Peer { name: name.clone(), kind })
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// Whether something can be called so: as a host is, in small letters.
///
/// # Errors
/// What it must be.
pub fn check_name(name: &str) -> Result<(), String> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_label = |l: &str| !l.is_empty() && l.chars().all(is_plain) && !l.starts_with('-') && !l.ends_with('-');
    if name.len() <= MOST_NAME_CHARS && name.split('.').all(is_label) {
        Ok(())
    } else {
        Err(format!(
            "a name is 1 to {MOST_NAME_CHARS} of a-z, 0-9, `-` and `.`, as a host's, such as atl-db-1.litwareinc.com"
        ))
    }
}
