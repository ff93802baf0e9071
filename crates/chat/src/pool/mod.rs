//! Several servers as one service: who takes clients, how each hears what the others wrote, and what is told from one to the other.

pub mod view;

use crate::caller::Caller;
use crate::change::{Mode, Outcome};
use crate::error::{ChatError, Result};
use crate::service::Chat;
pub use view::{ActiveChange, DatabaseView, PoolView, ServerView, Standing};

impl Chat {
    /// Whether the store is one that several servers share.
    pub fn in_pool(&self) -> bool {
        self.store().pool().is_some()
    }

    /// What this server is to the pool just now. Cheap.
    pub fn standing(&self) -> Standing {
        Standing::Alone
    }

    /// Where clients reach the active servers, in the order of the list, as last heard. Empty without a pool. Cheap.
    pub fn active_addresses(&self) -> Vec<String> {
        Vec::new()
    }

    /// Where clients reach all servers that are known, whatever their standing. Empty without a pool. Cheap.
    pub fn pool_addresses(&self) -> Vec<String> {
        Vec::new()
    }

    /// Demands that this server takes the caller now (`None`: somebody who is not signed in yet).
    ///
    /// # Errors
    /// [`ChatError::Elsewhere`] with the addresses of the servers that would.
    #[allow(clippy::unnecessary_wraps, reason = "an embedded server takes everybody")]
    pub fn admit(&self, _caller: Option<&Caller>) -> Result<()> {
        Ok(())
    }

    /// How the database is. Cheap.
    pub fn database(&self) -> DatabaseView {
        match self.store().pool() {
            Some(pool) => DatabaseView { condition: pool.condition().word(), round_trip: pool.round_trip() },
            None => DatabaseView { condition: holdfast_store::pool::Condition::Ready.word(), round_trip: None },
        }
    }

    /// The pool and its servers.
    ///
    /// # Errors
    /// When the caller is no administrator; [`ChatError::Unknown`] when there is no pool.
    pub async fn pool(&self, caller: &Caller) -> Result<PoolView> {
        self.allow_admin(caller)?;
        Err(ChatError::Unknown(NO_POOL))
    }

    /// Changes the list of active servers. `far`: also servers that are too far from the database.
    ///
    /// # Errors
    /// When the caller is no administrator, there is no pool, or the list would not do: says why.
    pub async fn change_active(
        &self,
        caller: &Caller,
        _change: ActiveChange,
        _far: bool,
        _mode: Mode,
    ) -> Result<Outcome<PoolView>> {
        self.pool(caller).await.map(Outcome::Done)
    }

    /// Forgets a server that is not on the list and has been silent for a while.
    ///
    /// # Errors
    /// When the caller is no administrator, there is no pool, or the server is not one that can be forgotten.
    pub async fn forget_server(&self, caller: &Caller, _name: &str) -> Result<PoolView> {
        self.pool(caller).await
    }
}

/// What does not exist where the store is embedded.
const NO_POOL: &str = "a pool of servers";
