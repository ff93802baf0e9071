//! What an administrator may set about the service.

use holdfast_domain::Limits;
use serde::{Deserialize, Serialize};

/// Settings of the service.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The name of this server, shown to people.
    pub name: String,
    /// Limits on what may be sent.
    pub limits: Limits,
    /// Who may use chat, and how signing in works.
    pub accounts: AccountOptions,
    /// For how many days the client ids of posted messages are remembered; see `docs`: a client may resend for that long.
    pub client_ids_days: u32,
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
