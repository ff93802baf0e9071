//! Names that lines give: hosts, the pool's identity, shares, the database. Each is read once into a type that cannot be wrong.

use std::fmt;

/// A fully qualified domain name, in small letters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Fqdn(String);

impl Fqdn {
    /// Reads a name.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> Result<Fqdn, String> {
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if text.len() <= 253 && text.split('.').all(is_label) {
            Ok(Fqdn(text.to_ascii_lowercase()))
        } else {
            Err(format!("`{text}` is not the name of a host"))
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Fqdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A pool, by its own name or by that of one of its servers: `service:FQDN` or `PersistentChatServer:FQDN`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity(Fqdn);

impl Identity {
    /// Reads an identity.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> Result<Identity, String> {
        let mut name = text;
        let mut named = false;
        // The whole of it has both words: service:PersistentChatServer:FQDN.
        for prefix in ["service:", "PersistentChatServer:"] {
            if name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix)) {
                name = &name[prefix.len()..];
                named = true;
            }
        }
        if !named {
            return Err(format!("`{text}` does not say what it names"));
        }
        Fqdn::parse(name).map(Identity)
    }

    /// The name of the pool, or of one of its servers.
    pub fn fqdn(&self) -> &Fqdn {
        &self.0
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "service:{}", self.0)
    }
}

/// A share, as `\\server\share`, a folder, or a URL.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Share(String);

impl Share {
    /// Reads the place of a share.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> Result<Share, String> {
        let unc = text.strip_prefix(r"\\").and_then(|rest| rest.split_once('\\'));
        let is_unc = unc.is_some_and(|(server, share)| Fqdn::parse(server).is_ok() && !share.is_empty());
        let is_url = text.split_once("://").is_some_and(|(scheme, rest)| {
            !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric()) && !rest.is_empty()
        });
        if is_unc || is_url || text.starts_with('/') {
            Ok(Share(text.to_owned()))
        } else {
            Err(format!("`{text}` is not the place of a share"))
        }
    }

    /// The place as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A database that lines can name: there is one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Database {
    /// `mgc`, with all that is said in rooms.
    Mgc,
}

impl Database {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Database::Mgc => "mgc",
        }
    }

    /// Reads a name, in any case.
    ///
    /// # Errors
    /// Says why that database is not meant.
    pub fn parse(name: &str) -> Result<Database, String> {
        match name.to_ascii_lowercase().as_str() {
            "mgc" => Ok(Database::Mgc),
            "mgccomp" => {
                Err("The compliance database mgccomp is not failed over: it is a buffer, filled again from the \
                              rooms' logs"
                    .into())
            }
            _ => Err(format!("There is no database `{name}`; the chat database is mgc")),
        }
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_says_what_it_names() {
        for good in [
            "service:atl-cs-001.litwareinc.com",
            "PERSISTENTCHATSERVER:ATL-CS-001.litwareinc.com",
            "service:PersistentChatServer:atl-cs-001.litwareinc.com",
        ] {
            assert_eq!(Identity::parse(good).unwrap().fqdn().as_str(), "atl-cs-001.litwareinc.com");
        }
        for bad in
            ["atl-cs-001.litwareinc.com", "service:", "service:a b", "site:atl", "service:-a.com", "service:a..b"]
        {
            assert!(Identity::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_share_is_a_place() {
        for good in [r"\\bos-fs\backup", "/srv/holdfast/bos-share", "s3://bucket/prefix"] {
            assert_eq!(Share::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "backup", r"\\bos-fs", r"\\bos-fs\", "://x", r"C:\backup"] {
            assert!(Share::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn there_is_one_database() {
        assert_eq!(Database::parse("MGC"), Ok(Database::Mgc));
        assert!(Database::parse("mgccomp").unwrap_err().contains("buffer"));
        assert!(Database::parse("master").unwrap_err().contains("the chat database is mgc"));
    }
}
