//! On whose behalf something is asked, and how far that goes.

use crate::error::{ChatError, Result};
use holdfast_domain::PrincipalId;

/// What a sign-in or token may be used for. Wider ones do not contain narrower ones: a token lists all that it is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Scope {
    /// Read rooms, history, people.
    Read,
    /// Say things, upload, mark as read, follow.
    Post,
    /// Make and change rooms and their lists, moderate: what the user may do as creator and manager.
    Manage,
    /// Administrators' work.
    Admin,
}

impl Scope {
    /// All of them.
    pub const ALL: [Scope; 4] = [Scope::Read, Scope::Post, Scope::Manage, Scope::Admin];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Scope::Read => "read",
            Scope::Post => "post",
            Scope::Manage => "manage",
            Scope::Admin => "admin",
        }
    }

    /// The scope of a word.
    pub fn from_word(word: &str) -> Option<Scope> {
        Scope::ALL.into_iter().find(|s| s.word() == word)
    }
}

/// Somebody who asks for something, authenticated.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who.
    pub user: PrincipalId,
    /// How far it goes.
    pub scopes: Vec<Scope>,
    /// By which means, so that ending it ends live connections too.
    pub by: Means,
}

/// How somebody was authenticated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Means {
    /// By the sign-in with this number.
    SignIn(i64),
    /// By the token with this number.
    Token(i64),
    /// By the password, for one connection alone: nothing is kept that could be ended besides it. The number tells it from others of this process.
    Password(u64),
    /// By being able to open the control socket in the data directory.
    Operator,
}

impl Caller {
    /// The operator of the machine, who may do everything.
    pub fn operator() -> Self {
        Self { user: PrincipalId::SYSTEM, scopes: Scope::ALL.to_vec(), by: Means::Operator }
    }

    /// The operator acting as `user`, with that user's rights.
    pub fn operator_as(user: PrincipalId) -> Self {
        Self { user, ..Self::operator() }
    }

    /// Whether this is the operator as such.
    pub fn is_operator(&self) -> bool {
        self.user == PrincipalId::SYSTEM
    }

    /// Demands a scope.
    ///
    /// # Errors
    /// Names the scope that the token lacks.
    pub fn need(&self, scope: Scope) -> Result<()> {
        if self.scopes.contains(&scope) {
            Ok(())
        } else {
            Err(ChatError::Forbidden(format!("this token is not for that; it would need the scope `{}`", scope.word())))
        }
    }
}
