//! Secrets of users: password keys, sign-in sessions, tokens, webhooks. None of it is ever in a log.

use crate::Result;
use async_trait::async_trait;
use holdfast_domain::chain::Digest;
use holdfast_domain::{PrincipalId, RoomId, Time};

/// Keys from which a password can be checked but not learnt (RFC 5802 section 3), of as many bytes as the hash function yields: those of SCRAM-SHA-256
/// (RFC 7677), unless it is said otherwise.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramKeys<const N: usize = 32> {
    /// Random, for this user alone.
    pub salt: Vec<u8>,
    /// PBKDF2 rounds.
    pub iterations: u32,
    /// The hash of the client key.
    pub stored_key: [u8; N],
    /// The server key.
    pub server_key: [u8; N],
}

/// Those of SCRAM-SHA-1, which old clients speak.
pub type Sha1Keys = ScramKeys<20>;

/// What is kept of a user's signing in.
#[derive(Clone, Default)]
pub struct Credentials {
    /// Password keys, if there is a password.
    pub scram: Option<ScramKeys>,
    /// Wrong passwords since the last right one.
    pub failures: u32,
    /// Until when no password is tried.
    pub locked_until: Option<Time>,
    /// When the user was last here.
    pub last_seen_at: Option<Time>,
}

/// Somebody signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignIn {
    /// Its number, for lists.
    pub id: i64,
    /// SHA-256 of the secret that the browser holds.
    pub secret: Digest,
    /// Who.
    pub user: PrincipalId,
    /// Since when.
    pub created_at: Time,
    /// Last use, to the minute or so.
    pub last_seen_at: Time,
    /// When it ends by itself.
    pub expires_at: Time,
    /// What the browser calls itself, cut.
    pub agent: String,
    /// From which address.
    pub address: String,
}

/// A personal access token, or a bot's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its number, for lists.
    pub id: i64,
    /// SHA-256 of the secret.
    pub secret: Digest,
    /// Whose.
    pub user: PrincipalId,
    /// Its owner's name for it.
    pub label: String,
    /// What it may be used for, as words.
    pub scopes: Vec<String>,
    /// Since when.
    pub created_at: Time,
    /// When it ends by itself.
    pub expires_at: Option<Time>,
    /// Last use, to the minute or so.
    pub last_used_at: Option<Time>,
}

/// An incoming webhook of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Its number, for lists.
    pub id: i64,
    /// SHA-256 of the secret in its address.
    pub secret: Digest,
    /// Where it posts.
    pub room: RoomId,
    /// As whom it posts: a bot made for it.
    pub author: PrincipalId,
    /// What it is called.
    pub label: String,
    /// Since when.
    pub created_at: Time,
}

/// Users' secrets.
#[async_trait]
pub trait Accounts: Send + Sync {
    /// What is kept of a user's signing in; nothing kept is the default.
    async fn credentials(&self, user: PrincipalId) -> Result<Credentials>;
    /// Sets or takes away a user's password, and forgets failures and lock.
    async fn set_password(&self, user: PrincipalId, keys: Option<ScramKeys>) -> Result<()>;
    /// The keys for SCRAM-SHA-1, if there are some of the password that is set now.
    async fn sha1_keys(&self, user: PrincipalId) -> Result<Option<Sha1Keys>>;
    /// Keeps keys for SCRAM-SHA-1 that were made from the same password as the keys whose `stored_key` is `made_with`. They count as long as those do.
    async fn put_sha1_keys(&self, user: PrincipalId, made_with: [u8; 32], keys: Sha1Keys) -> Result<()>;
    /// Notes the outcome of a try: failures so far and the lock; `seen` if it was right.
    async fn note_sign_in(
        &self,
        user: PrincipalId,
        failures: u32,
        locked_until: Option<Time>,
        seen: Option<Time>,
    ) -> Result<()>;

    /// Keeps a new sign-in (its `id` is ignored) and answers its number.
    async fn add_sign_in(&self, sign_in: SignIn) -> Result<i64>;
    /// The sign-in of a secret, ended and expired ones excluded.
    async fn sign_in(&self, secret: Digest, now: Time) -> Result<Option<SignIn>>;
    /// A user's sign-ins that have not expired, newest first.
    async fn sign_ins(&self, user: PrincipalId, now: Time) -> Result<Vec<SignIn>>;
    /// Ends one sign-in of a user; whether it was there.
    async fn end_sign_in(&self, user: PrincipalId, id: i64) -> Result<bool>;
    /// Ends all sign-ins of a user but one; answers how many.
    async fn end_sign_ins(&self, user: PrincipalId, but: Option<i64>) -> Result<u64>;
    /// Notes that sign-ins and tokens were used. May be lost in a crash.
    async fn touch(&self, sign_ins: Vec<(i64, Time)>, tokens: Vec<(i64, Time)>) -> Result<()>;

    /// Keeps a new token (its `id` is ignored) and answers its number.
    async fn add_token(&self, token: Token) -> Result<i64>;
    /// The token of a secret, ended and expired ones excluded.
    async fn token(&self, secret: Digest, now: Time) -> Result<Option<Token>>;
    /// A user's tokens, newest first, expired ones included.
    async fn tokens(&self, user: PrincipalId) -> Result<Vec<Token>>;
    /// Ends one token of a user; whether it was there.
    async fn end_token(&self, user: PrincipalId, id: i64) -> Result<bool>;
    /// Ends all tokens of a user; answers how many.
    async fn end_tokens(&self, user: PrincipalId) -> Result<u64>;

    /// Keeps a new webhook (its `id` is ignored) and answers its number.
    async fn add_webhook(&self, webhook: Webhook) -> Result<i64>;
    /// The webhook of a secret.
    async fn webhook(&self, secret: Digest) -> Result<Option<Webhook>>;
    /// A room's webhooks, newest first.
    async fn webhooks(&self, room: RoomId) -> Result<Vec<Webhook>>;
    /// Ends one webhook of a room; whether it was there.
    async fn end_webhook(&self, room: RoomId, id: i64) -> Result<bool>;
}
