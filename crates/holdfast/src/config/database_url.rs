//! The address of a PostgreSQL database, which may hold a password: whatever is shown of it is masked.

use serde::{Deserialize, Serialize, Serializer};
use std::fmt;

/// `postgres://user:password@host:5432,host2:5432/database`, or empty for the embedded database. Shown, logged and written without the
/// password.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct DatabaseUrl(String);

/// What stands where a password stood.
const MASK: &str = "***";
/// Parameters that are secrets.
const SECRETS: [&str; 2] = ["password", "sslpassword"];

impl DatabaseUrl {
    /// An address as it was typed.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Whether the database is the embedded one.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As it was given, password and all: for whoever connects.
    pub(crate) fn secret(&self) -> &str {
        &self.0
    }

    /// Whether a password is in it.
    pub(crate) fn has_password(&self) -> bool {
        masked(&self.0) != self.0
    }

    /// Checks its form; whether anybody answers there is another matter.
    ///
    /// # Errors
    /// What is wrong, completing "must ...". Never repeats the address.
    pub(crate) fn check(&self) -> Result<(), String> {
        let example = "such as postgres://holdfast@db-1:5432,db-2:5432/holdfast";
        let Some((_, rest)) = self.0.split_once("://").filter(|(s, _)| matches!(*s, "postgres" | "postgresql")) else {
            return Err(format!("must be empty or begin with postgres://, {example}"));
        };
        if self.0.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err("must have no spaces in it; in a password, write %20".into());
        }
        let (place, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        if place.contains('#') {
            return Err("must have no # in it; in a password, write %23".into());
        }
        let (authority, database) = place.split_once('/').unwrap_or((place, ""));
        if database.contains('/') {
            return Err("must have one / before the database's name; in a password, write %2F".into());
        }
        let hosts = authority.rsplit_once('@').map_or(authority, |(_, hosts)| hosts);
        let elsewhere = |name: &str| parameters.split('&').any(|p| p.split_once('=').is_some_and(|(k, _)| k == name));
        if database.is_empty() && !elsewhere("dbname") {
            return Err(format!("must name a database at its end, {example}"));
        }
        if hosts.is_empty() {
            return if elsewhere("host") { Ok(()) } else { Err(format!("must name a host, {example}")) };
        }
        hosts.split(',').try_for_each(check_host)
    }
}

fn check_host(host: &str) -> Result<(), String> {
    let (name, port) = match host.strip_prefix('[').and_then(|h| h.split_once(']')) {
        Some((address, "")) => (address, None),
        Some((address, port)) => (address, port.strip_prefix(':').or(Some(port))),
        None => host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port))),
    };
    if name.is_empty() {
        return Err("must have a host before each comma and port".into());
    }
    match port {
        Some(port) if port.parse::<u16>().is_ok_and(|p| p > 0) => Ok(()),
        Some(_) => {
            Err(format!("must have a number from 1 to 65535 after the colon of {name}; an IPv6 address stands in [ ]"))
        }
        None => Ok(()),
    }
}

/// The address without its secrets. Rather hides too much: what stands before the last `@` may be a password, whatever is in it.
pub(crate) fn masked(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        // Whatever it is, it is no address of ours, and may be a password in the wrong place.
        return if url.is_empty() { String::new() } else { MASK.to_owned() };
    };
    let (who, place) = match rest.rsplit_once('@') {
        Some((who, place)) => match who.split_once(':') {
            Some((user, _)) => (format!("{user}:{MASK}@"), place),
            None => (format!("{who}@"), place),
        },
        None => (String::new(), rest),
    };
    let Some((place, parameters)) = place.split_once('?') else { return format!("{scheme}://{who}{place}") };
    let parameters: Vec<String> = parameters
        .split('&')
        .map(|p| match p.split_once('=') {
            Some((name, _)) if SECRETS.contains(&name) => format!("{name}={MASK}"),
            _ => p.to_owned(),
        })
        .collect();
    format!("{scheme}://{who}{place}?{}", parameters.join("&"))
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&masked(&self.0))
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", masked(&self.0))
    }
}

impl Serialize for DatabaseUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        for (url, shown) in [
            ("", ""),
            ("postgres://holdfast:hunter2@db:5432/holdfast", "postgres://holdfast:***@db:5432/holdfast"),
            ("postgres://holdfast:hun:t@er2@db/holdfast", "postgres://holdfast:***@db/holdfast"),
            (
                "postgres://holdfast@db/holdfast?password=hunter2&x=1",
                "postgres://holdfast@db/holdfast?password=***&x=1",
            ),
            ("postgres://holdfast:a?hunter2/#@db/holdfast", "postgres://holdfast:***@db/holdfast"),
            ("postgres://a,b/holdfast", "postgres://a,b/holdfast"),
            ("hunter2", "***"),
        ] {
            let address = DatabaseUrl::new(url);
            assert_eq!(address.to_string(), shown);
            assert!(!format!("{address:?}").contains("hunter2"));
            assert!(!serde_json::to_string(&address).unwrap().contains("hunter2"));
        }
    }

    #[test]
    fn a_password_is_seen() {
        assert!(DatabaseUrl::new("postgres://u:p@h/d").has_password());
        assert!(DatabaseUrl::new("postgres://u@h/d?password=p").has_password());
        assert!(!DatabaseUrl::new("postgres://u@h:1/d?x=1").has_password());
    }

    #[test]
    fn what_cannot_be_an_address_is_refused_without_repeating_it() {
        for good in [
            "postgres://holdfast@127.0.0.1:5432/holdfast",
            "postgresql://db-1,db-2:5433/holdfast",
            "postgres://u:p%20w@[::1]:5432,[fe80::1]/h?application_name=x",
            "postgres://u@/h?host=/run/postgresql",
        ] {
            assert_eq!(DatabaseUrl::new(good).check(), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("mysql://hunter2@h/d", "begin with postgres://"),
            ("db.example.org", "begin with postgres://"),
            ("postgres://u:hunter2@h", "name a database"),
            ("postgres://u:hunter2@/d", "name a host"),
            ("postgres://u:hunter2@h:high/d", "number from 1"),
            ("postgres://u:hunter2@h:0/d", "number from 1"),
            ("postgres://u:hunter2@a,,b/d", "a host before"),
            ("postgres://u:hunter2 x@h/d", "no spaces"),
            ("postgres://u:hunter2@::1:5432/d", "a host before"),
            ("postgres://u:hunter2/x@h/d", "one / before"),
            ("postgres://u:hunter2#x@h/d", "no #"),
        ] {
            let said = DatabaseUrl::new(bad).check().unwrap_err();
            assert!(said.contains(why) && !said.contains("hunter2"), "{bad}: {said}");
        }
    }
}
