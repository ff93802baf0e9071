//! Personal access tokens, and those of bots.

use super::{ChatError, TOUCH_MS, only_if_it_matters};
use crate::caller::{Caller, Means, Scope};
use crate::chance;
use crate::error::Result;
use crate::service::Chat;
use holdfast_domain::chain::Digest;
use holdfast_domain::limits::LABEL_CHARS;
use holdfast_domain::{PrincipalId, Time, text};
use holdfast_store::accounts::Token;

/// Every secret of a token begins like this, so that scanners for leaked secrets can know one.
pub(crate) const PREFIX: &str = "hf_";
/// Tokens of one user at most.
const TOKENS: usize = 100;

/// A token to be made.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// Its owner's name for it.
    pub label: String,
    /// What it is for, as words; see [`Scope`].
    pub scopes: Vec<String>,
    /// When it ends by itself.
    pub expires_at: Option<Time>,
}

impl Chat {
    /// Who holds a token's secret.
    ///
    /// # Errors
    /// [`ChatError::NotSignedIn`] when it is unknown, has ended, or its user was disabled.
    pub async fn caller_of_token(&self, secret: &str) -> Result<Caller> {
        let now = self.now();
        let secret = Digest::of(secret.as_bytes());
        let found = self.patiently(|| self.store().token(secret, now)).await?.ok_or(ChatError::NotSignedIn)?;
        self.check_enabled(found.user)?;
        if found.last_used_at.is_none_or(|at| now.millis() - at.millis() > TOUCH_MS) {
            self.store().touch(Vec::new(), vec![(found.id, now)]).await.or_else(only_if_it_matters)?;
        }
        let scopes = found.scopes.iter().filter_map(|w| Scope::from_word(w)).collect();
        Ok(Caller { user: found.user, scopes, by: Means::Token(found.id) })
    }

    /// A user's tokens: one's own, or anybody's for an administrator.
    ///
    /// # Errors
    /// When the caller may not see them.
    pub async fn tokens(&self, caller: &Caller, of: PrincipalId) -> Result<Vec<Token>> {
        self.allow_account(caller, of)?;
        Ok(self.store().tokens(of).await?)
    }

    /// Makes a token; answers it with its secret, which is shown this once.
    ///
    /// # Errors
    /// When the caller may not, or something about it is not acceptable.
    pub async fn add_token(&self, caller: &Caller, of: PrincipalId, new: NewToken) -> Result<(Token, String)> {
        self.allow_account(caller, of)?;
        let now = self.now();
        let label = text::line("label", &new.label, LABEL_CHARS)?;
        if label.is_empty() {
            return Err(ChatError::invalid("label", "must not be empty: say what the token is for"));
        }
        if new.scopes.is_empty() {
            return Err(ChatError::invalid("scopes", "must name at least one of read, post, manage, admin"));
        }
        for (i, word) in new.scopes.iter().enumerate() {
            if Scope::from_word(word).is_none() {
                return Err(ChatError::invalid(format!("scopes[{i}]"), "must be one of read, post, manage, admin"));
            }
        }
        if new.expires_at.is_some_and(|at| at <= now) {
            return Err(ChatError::invalid("expires_at", "is in the past"));
        }
        if self.store().tokens(of).await?.len() >= TOKENS {
            return Err(ChatError::Conflict(format!("there are {TOKENS} tokens already; end one that is not used")));
        }
        let secret = format!("{PREFIX}{}", chance::secret()?);
        let mut token = Token {
            id: 0,
            secret: Digest::of(secret.as_bytes()),
            user: of,
            label,
            scopes: new.scopes,
            created_at: now,
            expires_at: new.expires_at,
            last_used_at: None,
        };
        token.id = self.store().add_token(token.clone()).await?;
        let summary = format!("Token “{}” was made for {}", token.label, self.name_of(of));
        self.record(caller, "token-created", summary).await?;
        Ok((token, secret))
    }

    /// Ends a token, and the live connections made with it.
    ///
    /// # Errors
    /// When the caller may not, or there is no such token.
    pub async fn end_token(&self, caller: &Caller, of: PrincipalId, id: i64) -> Result<()> {
        self.allow_account(caller, of)?;
        if !self.store().end_token(of, id).await? {
            return Err(ChatError::Unknown("this token"));
        }
        self.end_connections(of, Some(Means::Token(id)), None);
        let summary = format!("Token {id} of {} was ended", self.name_of(of));
        self.record(caller, "token-ended", summary).await
    }
}
