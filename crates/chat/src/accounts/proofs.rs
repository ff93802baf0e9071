//! Signing in by a proof: who says a name is given the keys to prove himself against, and what he shows is judged. The password itself need not
//! come to the server at all (SCRAM, RFC 5802).
//!
//! A name that nobody has gets keys as well, always the same ones, so that the answer does not tell whether somebody exists.

use crate::accounts::{Origin, scram};
use crate::caller::{Caller, Means, Scope};
use crate::error::{ChatError, Result};
use crate::service::Chat;
use hmac::{Hmac, Mac as _};
use holdfast_domain::principal::UserKind;
use holdfast_domain::{PrincipalId, RoomId, Time};
use holdfast_store::accounts::{ScramKeys, Sha1Keys};
use sha2::Sha256;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// That somebody was here is noted anew after so long: a storm of sign-ins is no storm of writes.
const SEEN_MS: i64 = 10 * 60_000;

/// Keys against which somebody is to prove that he knows the password of the name that he said.
#[derive(Clone)]
pub struct Offer<K = ScramKeys> {
    /// Whose they are; `None` where nobody has the name, or nobody may sign in by it.
    user: Option<PrincipalId>,
    keys: K,
    failures: u32,
    seen: Option<Time>,
}

impl<K> Offer<K> {
    /// Salt and rounds for the client, and what its proof is checked against.
    pub fn keys(&self) -> &K {
        &self.keys
    }
}

impl Offer {
    /// The keys, if they are somebody's.
    pub(super) fn real_keys(&self) -> Option<ScramKeys> {
        self.user.map(|_| self.keys.clone())
    }
}

impl Chat {
    /// What somebody who says `name` is to prove himself against. Counts as an attempt of his address.
    ///
    /// # Errors
    /// [`ChatError::TooMany`] for the address, [`ChatError::LockedOut`] for the account.
    pub async fn offer(&self, name: &str, address: &str) -> Result<Offer> {
        let now = self.now();
        self.inner.guard.attempt(address, now).map_err(|retry_after| ChatError::TooMany { retry_after })?;
        let known = || {
            let directory = self.directory();
            directory.user_named(name).filter(|u| u.kind == UserKind::Person && !u.disabled).map(|u| u.id)
        };
        let mut user = known();
        if user.is_none() && self.in_pool() {
            // Another server may have made this user a moment ago.
            self.catch_up(RoomId::POOL).await?;
            user = known();
        }
        let nobody = || Offer { user: None, keys: self.invented(name), failures: 0, seen: None };
        let Some(user) = user else { return Ok(nobody()) };
        let known = self.store().credentials(user).await?;
        if let Some(until) = known.locked_until.filter(|until| *until > now) {
            let left = (until.millis() - now.millis()).max(0).unsigned_abs();
            return Err(ChatError::LockedOut { retry_after: left.div_ceil(1_000) });
        }
        let Some(keys) = known.scram else { return Ok(nobody()) };
        Ok(Offer { user: Some(user), keys, failures: known.failures, seen: known.last_seen_at })
    }

    /// The same with keys for SCRAM-SHA-1. Whoever has none is like somebody whom there is not: only the web, or PLAIN, makes them.
    ///
    /// # Errors
    /// As [`Chat::offer`].
    pub async fn offer_sha1(&self, name: &str, address: &str) -> Result<Offer<Sha1Keys>> {
        let Offer { user, keys: invented, failures, seen } = self.offer(name, address).await?;
        let known = match user {
            Some(user) => self.store().sha1_keys(user).await?.map(|keys| (user, keys)),
            None => None,
        };
        if let Some((user, keys)) = known {
            return Ok(Offer { user: Some(user), keys, failures, seen });
        }
        let salt = self.invented(&format!("sha1 {name}")).salt;
        let keys = Sha1Keys { salt, iterations: invented.iterations, stored_key: [0; 20], server_key: [0; 20] };
        Ok(Offer { user: None, keys, failures: 0, seen: None })
    }

    /// Notes whether the proof was right, and answers who it is.
    ///
    /// # Errors
    /// [`ChatError::BadCredentials`] if it was not, or nobody could have given it.
    pub(super) async fn judge<K: Sync>(&self, offer: &Offer<K>, right: bool, address: &str) -> Result<PrincipalId> {
        let now = self.now();
        let options = &self.options().accounts;
        let Some(user) = offer.user else { return Err(ChatError::BadCredentials) };
        if right {
            let lately = offer.seen.is_some_and(|seen| now.millis() - seen.millis() < SEEN_MS);
            if offer.failures > 0 || !lately {
                self.store().note_sign_in(user, 0, None, Some(now)).await.or_else(super::only_if_it_matters)?;
            }
            return Ok(user);
        }
        let failures = offer.failures + 1;
        let locked = failures >= options.lock_after;
        let until = locked.then(|| now.plus_millis(i64::from(options.lock_minutes) * 60_000));
        // After a lock the count begins anew, so that one more wrong password does not lock again at once.
        self.store().note_sign_in(user, if locked { 0 } else { failures }, until, None).await?;
        if locked {
            tracing::warn!(%user, address, "locked after too many wrong passwords");
        }
        Err(ChatError::BadCredentials)
    }

    /// Somebody proved that he knows the password, or did not: a caller for this one connection.
    ///
    /// # Errors
    /// As [`Chat::offer`] and [`ChatError::BadCredentials`].
    pub async fn proven<K: Sync>(&self, offer: &Offer<K>, right: bool, address: &str) -> Result<Caller> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let user = self.judge(offer, right, address).await?;
        Ok(Caller { user, scopes: Scope::ALL.to_vec(), by: Means::Password(NEXT.fetch_add(1, Ordering::Relaxed)) })
    }

    /// Signs somebody in by name and password for one connection alone.
    ///
    /// # Errors
    /// As [`Chat::sign_in`].
    pub async fn sign_in_once(&self, name: &str, password: &str, from: &Origin) -> Result<Caller> {
        let offer = self.offer(name, &from.address).await?;
        let iterations = self.options().accounts.password_iterations;
        let right = scram::matches(password, offer.real_keys(), iterations).await?;
        let caller = self.proven(&offer, right, &from.address).await?;
        self.note_password(caller.user, password, &offer).await;
        Ok(caller)
    }

    /// Keys for a name that nobody has: no password fits them, and the same name gets the same ones while the server runs.
    fn invented(&self, name: &str) -> ScramKeys {
        static SECRET: OnceLock<[u8; 32]> = OnceLock::new();
        let secret = SECRET.get_or_init(|| crate::chance::bytes::<32>().unwrap_or_default());
        let mut salt = vec![0; 16];
        if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) {
            mac.update(holdfast_domain::name::key(name).as_bytes());
            salt.copy_from_slice(&mac.finalize().into_bytes()[..16]);
        }
        let iterations = self.options().accounts.password_iterations;
        ScramKeys { salt, iterations, stored_key: [0; 32], server_key: [0; 32] }
    }
}
