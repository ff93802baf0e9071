//! What an administrator may set about the door.

use crate::addresses::Domains;
use serde::{Deserialize, Serialize};

/// Settings of the door: `[xmpp]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct XmppOptions {
    /// Where clients connect by TCP, with STARTTLS; empty: nowhere.
    pub listen: String,
    /// Where clients connect by TLS from the first byte; empty: nowhere.
    pub listen_tls: String,
    /// What stands behind the `@` of people's addresses.
    pub domain: String,
    /// What stands behind the `@` of rooms' addresses; empty: `rooms.` and the domain.
    pub rooms_domain: String,
    /// Whether files are uploaded over XMPP, and those of messages fetched by addresses that whoever knows them can open.
    pub uploads: bool,
    /// The address of the service of uploads; empty: `upload.` and the domain.
    pub uploads_domain: String,
    /// The certificate, PEM; empty: one that nobody vouches for, for trying out.
    pub certificate: String,
    /// Its key, PEM.
    pub key: String,
    /// Whether passwords may go over plain TCP.
    pub plaintext: bool,
    /// Whether clients that know nothing better sign in with SCRAM-SHA-1; keys for it are kept then.
    pub scram_sha1: bool,
    /// Whether browsers connect by WebSocket.
    pub websocket: bool,
    /// The category of rooms that are made by entering them.
    pub category: String,
    /// Whom to tell of abuse: URIs (XEP-0157).
    pub contact_abuse: Vec<String>,
    /// How to reach the administrators.
    pub contact_admin: Vec<String>,
    /// Whom to tell of faults that endanger security.
    pub contact_security: Vec<String>,
    /// Who helps users.
    pub contact_support: Vec<String>,
    /// Where programs learn of an outage that keeps them from signing in (XEP-0455); empty: the web addresses of this server and the others of its pool.
    pub status_addresses: Vec<String>,
    /// The address under which browsers reach the HTTP door; empty: whatever a browser used. Not set here but with the server.
    #[serde(skip)]
    pub public_url: String,
    /// The address under which clients reach the HTTP door for files. Not set here but with the server.
    #[serde(skip)]
    pub files_url: String,
    /// Connections at once.
    pub connections: usize,
    /// Connections at once from one address.
    pub connections_per_address: usize,
    /// Seconds in which somebody must have signed in.
    pub sign_in_seconds: u64,
    /// Bytes of one stanza.
    pub stanza_bytes: usize,
    /// Stanzas of one connection a second, averaged over ten.
    pub stanzas_per_second: u32,
    /// Seconds for which a connection that broke may be resumed.
    pub resume_seconds: u64,
    /// Seconds of silence after which a client is asked whether it is there; after as many again it is gone.
    pub silence_seconds: u64,
}

impl Default for XmppOptions {
    fn default() -> Self {
        Self {
            listen: String::new(),
            listen_tls: String::new(),
            domain: String::new(),
            rooms_domain: String::new(),
            uploads: true,
            uploads_domain: String::new(),
            certificate: String::new(),
            key: String::new(),
            plaintext: false,
            scram_sha1: false,
            websocket: true,
            category: "XMPP".to_owned(),
            contact_abuse: Vec::new(),
            contact_admin: Vec::new(),
            contact_security: Vec::new(),
            contact_support: Vec::new(),
            status_addresses: Vec::new(),
            public_url: String::new(),
            files_url: String::new(),
            connections: 20_000,
            connections_per_address: 1_000,
            sign_in_seconds: 30,
            stanza_bytes: 256 * 1024,
            stanzas_per_second: 200,
            resume_seconds: 300,
            silence_seconds: 300,
        }
    }
}

impl XmppOptions {
    /// Whether the door is open at all.
    pub fn is_on(&self) -> bool {
        !self.domain.is_empty()
    }

    /// Checks what cannot be seen from one setting alone.
    ///
    /// # Errors
    /// Says which domain is none, or which address no URI.
    pub fn check(&self) -> Result<(), String> {
        let lists = [
            ("contact_abuse", &self.contact_abuse),
            ("contact_admin", &self.contact_admin),
            ("contact_security", &self.contact_security),
            ("contact_support", &self.contact_support),
            ("status_addresses", &self.status_addresses),
        ];
        for (name, list) in lists {
            if let Some(bad) = list.iter().find(|address| !is_uri(address)) {
                return Err(format!(
                    "{name}: `{bad}` is no URI, such as mailto:chat@example.org or https://example.org/"
                ));
            }
        }
        if self.is_on() { self.domains().map(drop) } else { Ok(()) }
    }

    pub(crate) fn domains(&self) -> Result<Domains, String> {
        let uploads = match self.uploads_domain.is_empty() {
            true => format!("upload.{}", self.domain),
            false => self.uploads_domain.clone(),
        };
        Domains::new(&self.domain, &self.rooms(), Some(uploads).filter(|_| self.uploads).as_deref())
    }

    /// What stands behind the `@` of rooms' addresses.
    pub fn rooms(&self) -> String {
        if self.rooms_domain.is_empty() { format!("rooms.{}", self.domain) } else { self.rooms_domain.clone() }
    }
}

/// Whether it begins as a URI does, and holds nothing that could not be in one (RFC 3986 section 3).
fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let begins = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
    begins && scheme.chars().all(good) && !rest.is_empty() && rest.chars().all(|c| c.is_ascii_graphic())
}
