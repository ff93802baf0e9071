//! What an administrator may set about the service.

use holdfast_domain::Limits;
use serde::{Deserialize, Serialize};

/// Settings of the service.
#[derive(Clone, Debug)]
pub struct Options {
    /// The name of this server, shown to people.
    pub name: String,
    /// Limits on what may be sent.
    pub limits: Limits,
    /// Who may use chat, and how signing in works.
    pub accounts: AccountOptions,
    /// For how many days the client ids of posted messages are remembered; see `docs`: a client may resend for that long.
    pub client_ids_days: u32,
    /// For how many seconds a write waits for a database that is away, before whoever asked is told so.
    pub wait_seconds: u32,
    /// Whether keys for SCRAM-SHA-1 are made and kept as well, for old XMPP clients.
    pub scram_sha1: bool,
    /// This server as one of a pool.
    pub server: ServerOptions,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: String::new(),
            limits: Limits::default(),
            accounts: AccountOptions::default(),
            client_ids_days: 0,
            wait_seconds: 10,
            scram_sha1: false,
            server: ServerOptions::default(),
        }
    }
}

/// This server as one of a pool; of no meaning where the store is embedded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServerOptions {
    /// Its name, unique in the pool: at most 63 of `a-z 0-9 . -`.
    pub name: String,
    /// Where clients reach it, such as `https://chat-1.example.org`.
    pub address: String,
    /// For how many minutes those who are connected may stay when it is taken off the list of active servers.
    pub drain_minutes: u32,
    /// A server to which the database takes longer to answer is no active one, unless somebody insists.
    pub most_round_trip_ms: u32,
    /// For how many seconds what one server does for all (cleaning up, importing) is promised to it at a time. It renews that while it is at it; when it
    /// is gone, another goes on after so long.
    pub lease_seconds: u32,
    /// Whether it takes part in the pool; the command line in its own process does not.
    pub joins: bool,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            name: String::new(),
            address: String::new(),
            drain_minutes: 30,
            most_round_trip_ms: 10,
            lease_seconds: 30,
            joins: true,
        }
    }
}

/// Settings of accounts and signing in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccountOptions {
    /// Whether people may use chat when neither they nor a group of theirs has a setting of its own.
    pub chat_by_default: bool,
    /// Days after which a sign-in ends by itself.
    pub sign_in_days: u32,
    /// Wrong passwords after which an account is locked.
    pub lock_after: u32,
    /// Minutes for which it is locked.
    pub lock_minutes: u32,
    /// Attempts to sign in a minute from one address.
    pub attempts_per_minute: u32,
    /// Rounds of PBKDF2-HMAC-SHA-256 for new passwords.
    pub password_iterations: u32,
}

impl Default for AccountOptions {
    fn default() -> Self {
        Self {
            chat_by_default: true,
            sign_in_days: 30,
            lock_after: 10,
            lock_minutes: 15,
            attempts_per_minute: 30,
            password_iterations: 100_000,
        }
    }
}
