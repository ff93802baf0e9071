//! Accounts: signing in and out, passwords, tokens, and the first user of a new pool.

pub(crate) mod guard;
mod proofs;
pub(crate) mod scram;
mod tokens;
mod webhooks;

pub use holdfast_store::accounts::{ScramKeys, Sha1Keys};
pub use proofs::Offer;
pub use scram::ScramFunction;
pub use tokens::NewToken;

use crate::caller::{Caller, Means, Scope};
use crate::chance;
use crate::change::{Mode, Outcome};
use crate::error::{ChatError, Result};
use crate::people::NewUser;
use crate::pool::signal::{By, Signal};
use crate::service::Chat;
use holdfast_domain::chain::Digest;
use holdfast_domain::principal::UserKind;
use holdfast_domain::{PrincipalId, Time, rights};
use holdfast_store::accounts::SignIn;
use std::sync::PoisonError;

/// A sign-in that was used this recently is not noted again: one write a minute for each, not one a request.
const TOUCH_MS: i64 = 60_000;

/// Where an attempt to sign in comes from.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// What the browser calls itself.
    pub agent: String,
    /// The address.
    pub address: String,
}

impl Origin {
    /// From an address, by something that says nothing of itself.
    pub fn at(address: impl Into<String>) -> Self {
        Self { agent: String::new(), address: address.into() }
    }
}

/// Somebody has signed in.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// The secret for the browser to keep.
    pub secret: String,
    /// Who.
    pub user: PrincipalId,
    /// When it ends by itself.
    pub expires_at: Time,
}

impl Chat {
    /// Signs somebody in by name and password. A wrong name, a wrong password and an account that cannot sign in get the same answer
    /// in the same time.
    ///
    /// # Errors
    /// [`ChatError::BadCredentials`]; [`ChatError::TooMany`] for the address, [`ChatError::LockedOut`] for the account.
    pub async fn sign_in(&self, name: &str, password: &str, from: Origin) -> Result<SignedIn> {
        let now = self.now();
        let options = &self.options().accounts;
        let offer = self.offer(name, &from.address).await?;
        let right = scram::matches(password, offer.real_keys(), options.password_iterations).await?;
        let user = self.judge(&offer, right, &from.address).await?;
        self.note_password(user, password, &offer).await;
        let secret = chance::secret()?;
        let expires_at = now.plus_millis(i64::from(options.sign_in_days) * 86_400_000);
        let sign_in = SignIn {
            id: 0,
            secret: Digest::of(secret.as_bytes()),
            user,
            created_at: now,
            last_seen_at: now,
            expires_at,
            agent: from.agent.chars().take(200).collect(),
            address: from.address,
        };
        self.store().add_sign_in(sign_in).await?;
        Ok(SignedIn { secret, user, expires_at })
    }

    /// Who holds the secret of a sign-in.
    ///
    /// # Errors
    /// [`ChatError::NotSignedIn`] when it is unknown, has ended, or its user was disabled.
    pub async fn caller_of_sign_in(&self, secret: &str) -> Result<Caller> {
        let now = self.now();
        let secret = Digest::of(secret.as_bytes());
        let found = self.patiently(|| self.store().sign_in(secret, now)).await?.ok_or(ChatError::NotSignedIn)?;
        self.check_enabled(found.user)?;
        if now.millis() - found.last_seen_at.millis() > TOUCH_MS {
            self.store().touch(vec![(found.id, now)], Vec::new()).await.or_else(only_if_it_matters)?;
        }
        Ok(Caller { user: found.user, scopes: Scope::ALL.to_vec(), by: Means::SignIn(found.id) })
    }

    /// Ends the caller's own sign-in.
    ///
    /// # Errors
    /// When the caller did not sign in.
    pub async fn sign_out(&self, caller: &Caller) -> Result<()> {
        match caller.by {
            Means::SignIn(id) => self.end_sign_in(caller, caller.user, id).await,
            Means::Token(_) | Means::Password(_) | Means::Operator => {
                Err(ChatError::Forbidden("this request was not made with a sign-in that could be ended".into()))
            }
        }
    }

    /// A user's sign-ins: one's own, or anybody's for an administrator.
    ///
    /// # Errors
    /// When the caller may not see them.
    pub async fn sign_ins(&self, caller: &Caller, of: PrincipalId) -> Result<Vec<SignIn>> {
        self.allow_account(caller, of)?;
        Ok(self.store().sign_ins(of, self.now()).await?)
    }

    /// Ends one sign-in, and the live connections made with it.
    ///
    /// # Errors
    /// When the caller may not, or there is no such sign-in.
    pub async fn end_sign_in(&self, caller: &Caller, of: PrincipalId, id: i64) -> Result<()> {
        self.allow_account(caller, of)?;
        if !self.store().end_sign_in(of, id).await? {
            return Err(ChatError::Unknown("this sign-in"));
        }
        self.end_connections(of, Some(Means::SignIn(id)), None);
        Ok(())
    }

    /// Ends all of a user's sign-ins; of one's own, all but the one that asks. Answers how many.
    ///
    /// # Errors
    /// When the caller may not.
    pub async fn end_sign_ins(&self, caller: &Caller, of: PrincipalId) -> Result<u64> {
        self.allow_account(caller, of)?;
        let own = own_sign_in(caller, of);
        let ended = self.store().end_sign_ins(of, own).await?;
        self.end_connections(of, None, (caller.user == of).then_some(caller.by));
        if caller.user != of {
            let who = self.name_of(of);
            self.record(caller, "sign-ins-ended", format!("All {ended} sign-ins of {who} were ended")).await?;
        }
        Ok(ended)
    }

    /// Changes one's own password; all other sign-ins end.
    ///
    /// # Errors
    /// When the current password is wrong, or the new one is not acceptable.
    pub async fn change_password(&self, caller: &Caller, current: &str, new: &str) -> Result<()> {
        if caller.is_operator() || matches!(caller.by, Means::Token(_)) {
            return Err(ChatError::Forbidden("a password is changed after signing in with it".into()));
        }
        scram::check_new("new", new)?;
        let iterations = self.options().accounts.password_iterations;
        let now = self.now();
        self.inner
            .guard
            .attempt(&format!("password of {}", caller.user), now)
            .map_err(|retry_after| ChatError::TooMany { retry_after })?;
        let known = self.store().credentials(caller.user).await?;
        if !scram::matches(current, known.scram, iterations).await? {
            return Err(ChatError::invalid("current", "is not your password"));
        }
        self.put_password(caller.user, new).await?;
        self.end_sign_ins(caller, caller.user).await?;
        Ok(())
    }

    /// Changes one's own password over a connection that was signed in with the present one, which therefore need not be said again. All that
    /// was signed in besides this connection ends.
    ///
    /// # Errors
    /// When the caller did not give his password on this very connection, or the new one is not acceptable.
    pub async fn replace_password(&self, caller: &Caller, new: &str) -> Result<()> {
        if !matches!(caller.by, Means::Password(_)) {
            return Err(ChatError::Forbidden("the present password has to be said as well".into()));
        }
        scram::check_new("new", new)?;
        self.check_enabled(caller.user)?;
        self.put_password(caller.user, new).await?;
        self.end_sign_ins(caller, caller.user).await?;
        Ok(())
    }

    /// Ends one live connection of a user, by `end`, which knows where it is.
    ///
    /// # Errors
    /// When the caller may not.
    pub async fn end_connection(&self, caller: &Caller, of: PrincipalId, end: impl FnOnce()) -> Result<()> {
        self.allow_account(caller, of)?;
        end();
        if caller.user != of {
            let summary = format!("One connection of {} was ended", self.name_of(of));
            self.record(caller, "sign-ins-ended", summary).await?;
        }
        Ok(())
    }

    /// Gives a user a new password, and ends all that was signed in with the old one: administrators' work.
    ///
    /// # Errors
    /// When the caller may not, the user is not a person, or the password is not acceptable.
    pub async fn reset_password(&self, caller: &Caller, of: PrincipalId, new: &str) -> Result<()> {
        self.allow_admin(caller)?;
        let kind = self.directory().user(of).map(|u| u.kind).ok_or(ChatError::Unknown("this user"))?;
        if kind != UserKind::Person {
            return Err(ChatError::Conflict("only people have passwords; give a bot a token".into()));
        }
        scram::check_new("new", new)?;
        self.put_password(of, new).await?;
        self.store().end_sign_ins(of, None).await?;
        self.end_connections(of, None, None);
        self.record(caller, "password-reset", format!("{} was given a new password", self.name_of(of))).await
    }

    /// Ends connections of a user wherever they are: those by `means` (all, if it is `None`), but not those by `but`.
    pub(crate) fn end_connections(&self, of: PrincipalId, means: Option<Means>, but: Option<Means>) {
        self.hub().end(of, means, but);
        self.signal(Signal::Ended(of, means.and_then(By::of), but.and_then(By::of)));
    }

    pub(crate) async fn put_password(&self, of: PrincipalId, new: &str) -> Result<()> {
        let keys = scram::make(new, self.options().accounts.password_iterations).await?;
        let made_with = keys.stored_key;
        self.store().set_password(of, Some(keys)).await?;
        self.keep_sha1_keys(of, new, made_with).await
    }

    /// Keeps keys for SCRAM-SHA-1 of a password that is known just now, if that is wanted and there are none.
    async fn keep_sha1_keys(&self, of: PrincipalId, password: &str, made_with: [u8; 32]) -> Result<()> {
        if !self.options().scram_sha1 || self.store().sha1_keys(of).await?.is_some() {
            return Ok(());
        }
        let keys = scram::make(password, self.options().accounts.password_iterations).await?;
        Ok(self.store().put_sha1_keys(of, made_with, keys).await?)
    }

    /// The same of a password that somebody has just proven to know. That it cannot be kept now is no reason to turn him away.
    pub(crate) async fn note_password(&self, of: PrincipalId, password: &str, offer: &Offer) {
        if let Err(error) = self.keep_sha1_keys(of, password, offer.keys().stored_key).await {
            tracing::warn!(%error, user = %of, "keys for SCRAM-SHA-1 cannot be kept now; the next sign-in tries it again");
        }
    }

    /// Whether the pool has no person in it yet.
    pub fn needs_first_user(&self) -> bool {
        !self.directory().users().any(|u| u.kind == UserKind::Person)
    }

    /// The code with which the first user can be made, while there is none: only who sees the server's terminal knows it.
    ///
    /// # Errors
    /// When the operating system gives no randomness.
    pub fn first_user_code(&self) -> Result<Option<String>> {
        if !self.needs_first_user() {
            return Ok(None);
        }
        let mut code = self.inner.first_user_code.lock().unwrap_or_else(PoisonError::into_inner);
        if code.is_none() {
            *code = Some(chance::typed_code()?);
        }
        Ok(code.clone())
    }

    /// Makes the first user, an administrator.
    ///
    /// # Errors
    /// When there is a user, the code is wrong, or name or password are not acceptable.
    pub async fn make_first_user(
        &self,
        code: &str,
        name: &str,
        password: &str,
        display_name: Option<&str>,
    ) -> Result<PrincipalId> {
        self.inner.guard.attempt("first user", self.now()).map_err(|retry_after| ChatError::TooMany { retry_after })?;
        let Some(right) = self.first_user_code()? else {
            return Err(ChatError::Conflict("there is a user already; sign in, or ask an administrator".into()));
        };
        let plain = |c: &str| c.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
        if !bool::from(subtle::ConstantTimeEq::ct_eq(plain(code).as_bytes(), plain(&right).as_bytes())) {
            return Err(ChatError::invalid("code", "is not the one that the server printed when it started"));
        }
        let user = NewUser {
            name: name.to_owned(),
            display_name: display_name.map(str::to_owned),
            password: Some(password.to_owned()),
            admin: true,
            kind: UserKind::Person,
            may_chat: None,
        };
        match self.add_user(&Caller::operator(), user, Mode::Do).await? {
            Outcome::Done(view) => {
                self.inner.first_user_code.lock().unwrap_or_else(PoisonError::into_inner).take();
                Ok(view.user.id)
            }
            Outcome::Would(_) => Err(ChatError::Internal),
        }
    }

    /// Demands that `of` is the caller, or the caller an administrator. A token manages no sign-ins or tokens of its owner unless it
    /// has the `admin` scope, so that one that leaked cannot make another.
    pub(crate) fn allow_account(&self, caller: &Caller, of: PrincipalId) -> Result<()> {
        if matches!(caller.by, Means::Token(_)) {
            caller.need(Scope::Admin)?;
        }
        let directory = self.directory();
        if caller.user != of && !rights::is_admin(&directory, caller.user) {
            return Err(ChatError::Forbidden("only administrators may look after other people's accounts".into()));
        }
        directory.user(of).map(|_| ()).ok_or(ChatError::Unknown("this user"))
    }

    pub(crate) fn check_enabled(&self, user: PrincipalId) -> Result<()> {
        match self.directory().user(user) {
            Some(u) if !u.disabled => Ok(()),
            _ => Err(ChatError::NotSignedIn),
        }
    }

    pub(crate) fn name_of(&self, user: PrincipalId) -> String {
        crate::view::Person::of(&self.directory(), user).name
    }
}

fn own_sign_in(caller: &Caller, of: PrincipalId) -> Option<i64> {
    match caller.by {
        Means::SignIn(id) if caller.user == of => Some(id),
        _ => None,
    }
}

/// A full disk, or a database that takes no writes now, must not lock out those who are signed in: reading goes on.
fn only_if_it_matters(error: holdfast_store::StoreError) -> Result<()> {
    use holdfast_store::StoreError;
    match error {
        StoreError::Full | StoreError::Away { .. } | StoreError::Unknown { .. } => Ok(()),
        other => Err(other.into()),
    }
}
