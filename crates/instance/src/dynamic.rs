//! What changes while an instance runs: whom it follows, and who must have a commit before it is acknowledged.

use crate::error::{Error, Result};
use crate::quote;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The name that no standby has: commits wait for it for ever.
pub(crate) const NOBODY: &str = "__fenced__";

/// Whom it follows and for whom it waits.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Dynamic {
    /// Whom it follows when it is a standby. `None`: nobody, it only restores files.
    pub upstream: Option<Upstream>,
    /// Who must have a commit.
    pub sync: Sync,
}

impl Dynamic {
    /// Follows nobody, and acknowledges nothing: how everything begins.
    pub fn fenced() -> Dynamic {
        Dynamic { upstream: None, sync: Sync::Fenced }
    }
}

/// Who must have a commit on disk before it is acknowledged.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sync {
    /// Nobody else. On a standby; on a primary: exposed.
    None,
    /// The standby of this name; nobody is acknowledged while it is away.
    Named(String),
    /// A standby that cannot be: no commit is acknowledged.
    Fenced,
}

impl Sync {
    /// `synchronous_standby_names`. Never `*`: any receiver of the log, of a backup too, would do then.
    pub fn standby_names(&self) -> String {
        match self {
            Sync::None => String::new(),
            Sync::Named(name) => format!("FIRST 1 ({})", quote::name(name)),
            Sync::Fenced => NOBODY.to_owned(),
        }
    }
}

/// Another instance, as this one connects to it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Upstream {
    /// Its name, which its certificate must have.
    pub host: String,
    /// Where it is reached; `None`: by its name.
    pub address: Option<String>,
    /// Its port.
    pub port: u16,
    /// What this one calls itself: what the other one knows it by when it waits for it.
    pub application_name: String,
    /// The directory of this one's `cert.pem`, `key.pem` and `ca.pem`.
    pub identity: PathBuf,
}

impl Upstream {
    /// For a copy. A follower that hangs is to be noticed within seconds, since commits wait for it; whoever copies may be slow in taking what it is sent, as
    /// when its disk is busy, and is not to be cut off for that.
    pub(crate) fn conninfo_to_copy(&self) -> String {
        let patient = "-c wal_sender_timeout=60s -c tcp_user_timeout=60s";
        format!("{} options={}", self.conninfo_within(Duration::from_secs(60)), quote::conninfo(patient))
    }

    /// The connection string. The name is checked against the certificate also when an address is given.
    pub fn conninfo(&self) -> String {
        self.conninfo_within(Duration::from_secs(8))
    }

    /// `within`: for how long what was sent may stay without an answer.
    fn conninfo_within(&self, within: Duration) -> String {
        let file = |name: &str| self.identity.join(name).to_string_lossy().into_owned();
        let port = self.port.to_string();
        let mut parts = vec![("host", self.host.clone())];
        match &self.address {
            Some(address) if address.parse::<IpAddr>().is_ok() => parts.push(("hostaddr", address.clone())),
            Some(address) if *address != self.host => parts[0].1.clone_from(address),
            _ => {}
        }
        parts.extend([
            ("port", port),
            ("user", "replicator".to_owned()),
            ("application_name", self.application_name.clone()),
            ("sslmode", "verify-full".to_owned()),
            ("sslrootcert", file("ca.pem")),
            ("sslcert", file("cert.pem")),
            ("sslkey", file("key.pem")),
            ("gssencmode", "disable".to_owned()),
            ("connect_timeout", "5".to_owned()),
            ("keepalives_idle", "5".to_owned()),
            ("keepalives_interval", "2".to_owned()),
            ("keepalives_count", "3".to_owned()),
            ("tcp_user_timeout", within.as_millis().to_string()),
        ]);
        let parts: Vec<String> =
            parts.iter().map(|(name, value)| format!("{name}={}", quote::conninfo(value))).collect();
        parts.join(" ")
    }
}

const HEAD: &str = "# ";

impl Dynamic {
    /// `primary_conninfo`.
    pub(crate) fn conninfo(&self) -> String {
        self.upstream.as_ref().map(Upstream::conninfo).unwrap_or_default()
    }

    /// `dynamic.conf`. `revision` is shown by the server that has read it.
    pub(crate) fn conf(&self, revision: u64) -> Result<String> {
        let json = serde_json::to_string(self).map_err(|e| Error::Setting(format!("{self:?}: {e}")))?;
        let (conninfo, names) = (self.conninfo(), self.sync.standby_names());
        // In quotes, too, PostgreSQL takes a star for everybody.
        if matches!(&self.sync, Sync::Named(name) if name.is_empty() || name == "*") {
            return Err(Error::Setting("the standby that commits wait for has a name, and * is none".to_owned()));
        }
        if !quote::is_plain(&conninfo) || !quote::is_plain(&names) {
            return Err(Error::Setting(format!(
                "{json}: names and paths are one line of text without control characters"
            )));
        }
        let mut text = format!("{HEAD}{json}\n# Written by the agent; the line above is the same for it to read.\n");
        for (name, value) in [("primary_conninfo", conninfo), ("synchronous_standby_names", names)] {
            let _ = writeln!(text, "{name} = {}", quote::conf(&value));
        }
        let _ = writeln!(text, "holdfast.revision = '{revision}'");
        Ok(text)
    }

    /// What a file of ours says, and its revision.
    pub(crate) fn read(conf: &str) -> Option<(Dynamic, u64)> {
        let dynamic = serde_json::from_str(conf.lines().next()?.strip_prefix(HEAD)?).ok()?;
        let line = conf.lines().find_map(|line| line.strip_prefix("holdfast.revision = "))?;
        Some((dynamic, line.trim_matches('\'').parse().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream(address: Option<&str>) -> Upstream {
        Upstream {
            host: "atl-db-1.litwareinc.com".to_owned(),
            address: address.map(str::to_owned),
            port: 5_432,
            application_name: "atl-db-2.litwareinc.com".to_owned(),
            identity: "/srv/o'clock".into(),
        }
    }

    #[test]
    fn it_reads_what_it_writes() {
        for sync in [Sync::None, Sync::Named("a-b.c \"d\"".to_owned()), Sync::Fenced] {
            for upstream in [None, Some(upstream(Some("127.0.0.1")))] {
                let dynamic = Dynamic { upstream, sync: sync.clone() };
                assert_eq!(Dynamic::read(&dynamic.conf(7).unwrap()), Some((dynamic, 7)));
            }
        }
        assert_eq!(Dynamic::read("primary_conninfo = ''"), None);
        let odd = Dynamic { upstream: None, sync: Sync::Named("a\nb".to_owned()) };
        assert!(odd.conf(1).is_err());
    }

    #[test]
    fn the_name_is_checked_whatever_the_address() {
        let by_address = upstream(Some("127.0.0.1")).conninfo();
        assert!(
            by_address.starts_with("host='atl-db-1.litwareinc.com' hostaddr='127.0.0.1' port='5432'"),
            "{by_address}"
        );
        assert!(by_address.contains(r"sslmode='verify-full' sslrootcert='/srv/o\'clock/ca.pem'"), "{by_address}");
        assert!(upstream(None).conninfo().starts_with("host='atl-db-1.litwareinc.com' port="));
        assert!(upstream(Some("localhost")).conninfo().starts_with("host='localhost' port="));
    }

    #[test]
    fn no_standby_is_called_by_a_star() {
        assert_eq!(Sync::Named("atl-db-2".to_owned()).standby_names(), r#"FIRST 1 ("atl-db-2")"#);
        for odd in ["*", ""] {
            assert!(Dynamic { upstream: None, sync: Sync::Named(odd.to_owned()) }.conf(1).is_err());
        }
    }
}
