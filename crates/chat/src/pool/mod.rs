//! Several servers as one service: who takes clients, how each hears what the others wrote, and what is told from one to the other.
//!
//! The servers share the store and nothing else. What is in the logs reaches a server by reading them (`follow.rs`), woken by hints that
//! may be lost; what is in none (who is in which room, who is writing, that a sign-in was ended) goes as signals (`signal.rs`,
//! `tell.rs`, `peers.rs`; what a door has to say to its like, `carry.rs`), numbered, so that a lost one shows and everything is told anew. Each server says that it is there
//! (`beat.rs`) and is active, stands by, or drains (`standing.rs`); the directory is changed by one server at a time (`turn.rs`).

mod active;
mod beat;
pub mod carry;
mod follow;
mod lease;
pub(crate) mod peers;
pub(crate) mod signal;
mod standing;
pub(crate) mod tell;
pub(crate) mod turn;
pub mod view;

use crate::caller::Caller;
use crate::change::{Mode, Outcome};
use crate::error::{ChatError, Result};
use crate::notices::Notice;
use crate::service::Chat;
use holdfast_domain::RoomId;
use holdfast_store::pool::{Condition, Pool, PoolState, Server};
use peers::Peers;
use signal::Signal;
use standing::{Known, STALE, is_alive, millis, standing_of};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tell::Teller;
use tokio::sync::{Notify, mpsc};
pub use view::{ActiveChange, DatabaseView, Place, PoolView, ServerView, Standing};

/// What does not exist where the store is embedded.
const NO_POOL: &str = "a pool of servers";
/// How long it takes until everybody who is moved is back.
const MOVING_MS: i64 = 60_000;

/// What a server of a pool keeps in memory of the pool.
#[derive(Debug)]
pub(crate) struct Pooled {
    /// Whether it takes part; the command line in its own process does not.
    joins: bool,
    pub(crate) teller: Arc<Teller>,
    known: Mutex<Known>,
    peers: Mutex<Peers>,
    beat_now: Notify,
    /// Logs of which entries are to be handed out that this server has not read.
    behind: Mutex<BTreeSet<RoomId>>,
    some_behind: Notify,
    /// Whether something that the others told was missed.
    some_missed: Notify,
    /// How long it took to look at the ends of all logs.
    sweep_took: Mutex<Duration>,
    /// Where goes what the doors of the other servers say.
    carried: Mutex<Option<mpsc::UnboundedSender<carry::Carried>>>,
}

impl Pooled {
    pub(crate) fn new(joins: bool) -> Pooled {
        Pooled {
            joins,
            teller: Arc::default(),
            known: Mutex::new(Known::nothing()),
            peers: Mutex::default(),
            beat_now: Notify::new(),
            behind: Mutex::default(),
            some_behind: Notify::new(),
            some_missed: Notify::new(),
            sweep_took: Mutex::default(),
            carried: Mutex::default(),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn peers(&self) -> MutexGuard<'_, Peers> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Chat {
    /// Whether the store is one that several servers share.
    pub fn in_pool(&self) -> bool {
        self.inner.pooled.is_some()
    }

    /// The pool that this server takes part in.
    fn taking_part(&self) -> Option<&Pooled> {
        self.inner.pooled.as_ref().filter(|pooled| pooled.joins)
    }

    /// What this server is to the pool just now. Cheap.
    pub fn standing(&self) -> Standing {
        self.taking_part().map_or(Standing::Alone, |pooled| pooled.known().post.standing)
    }

    /// Where clients reach the active servers that answer, in the order of the list, as last heard. Empty without a pool. Cheap.
    pub fn active_addresses(&self) -> Vec<String> {
        self.taking_part().map(|pooled| pooled.known().active_addresses()).unwrap_or_default()
    }

    /// Where clients reach all servers that are known, whatever their standing. Empty without a pool. Cheap.
    pub fn pool_addresses(&self) -> Vec<String> {
        self.taking_part().map(|pooled| pooled.known().addresses()).unwrap_or_default()
    }

    /// The epoch of what this server hands out: what a client learned under an earlier one may not have been preserved. 0 without a pool. Cheap.
    pub fn epoch(&self) -> i64 {
        self.hub().epoch()
    }

    /// Demands that this server is not behind somebody who has heard of an epoch: what it took then could be lost.
    ///
    /// # Errors
    /// [`ChatError::Unavailable`] when it is.
    pub fn demand_epoch(&self, heard: Option<i64>) -> Result<()> {
        let here = self.epoch();
        match heard {
            Some(heard) if heard > here => Err(ChatError::Unavailable(format!(
                "you have heard of epoch {heard} of this pool, and this server is still at {here}; try again soon, or at another server"
            ))),
            _ => Ok(()),
        }
    }

    /// Where the pool goes on, as last heard. `None` without a pool. Cheap.
    pub fn place(&self) -> Option<Place> {
        let known = self.taking_part()?.known();
        Some(Place { state: known.state.state, site: known.state.site.clone() })
    }

    /// Demands that this server takes the caller now (`None`: somebody who is not signed in yet). A server that drains takes those who
    /// have a live connection to it; the operator is taken by any.
    ///
    /// # Errors
    /// [`ChatError::Elsewhere`] with the addresses of the servers that would.
    pub fn admit(&self, caller: Option<&Caller>) -> Result<()> {
        let Some(pooled) = self.taking_part() else { return Ok(()) };
        let stays = |caller: &Caller| self.hub().is_connected(caller.user);
        let is_operator = caller.is_some_and(|c| matches!(c.by, crate::caller::Means::Operator));
        let known = pooled.known();
        match known.post.standing {
            Standing::Alone | Standing::Active => Ok(()),
            _ if is_operator => Ok(()),
            Standing::Draining if caller.is_some_and(stays) => Ok(()),
            Standing::Standby | Standing::Draining => Err(ChatError::Elsewhere { servers: known.active_addresses() }),
        }
    }

    /// How the database is. Cheap.
    pub fn database(&self) -> DatabaseView {
        match self.store().pool() {
            Some(pool) => DatabaseView { condition: pool.condition(), round_trip: pool.round_trip() },
            None => DatabaseView { condition: Condition::Ready, round_trip: None },
        }
    }

    /// Hosts of the database that take writes though another has taken their place: each with why. Nothing is written to them. Cheap.
    pub fn passed_over(&self) -> Vec<String> {
        self.store().pool().map(Pool::passed_over).unwrap_or_default()
    }

    /// The pool and its servers.
    ///
    /// # Errors
    /// When the caller is no administrator; [`ChatError::Unknown`] when there is no pool.
    pub async fn pool(&self, caller: &Caller) -> Result<PoolView> {
        self.allow_admin(caller)?;
        let pool = self.some_pool()?;
        let (state, servers) = pool.state().await?;
        Ok(view(pool, &state, servers))
    }

    /// Changes the list of active servers. `far`: also to servers that are too far from the database.
    ///
    /// # Errors
    /// When the caller is no administrator, there is no pool, or the list would not do: says why.
    pub async fn change_active(
        &self,
        caller: &Caller,
        change: ActiveChange,
        far: bool,
        mode: Mode,
    ) -> Result<Outcome<PoolView>> {
        self.allow_admin(caller)?;
        let pool = self.some_pool()?;
        let (state, servers) = pool.state().await?;
        let most = u64::from(self.options().server.most_round_trip_ms);
        let most = (!far).then(|| Duration::from_millis(most));
        let wanted = active::changed(&state, &servers, &change, most)?;
        if mode == Mode::WhatIf {
            return Ok(Outcome::Would(active::sentences(&state, &wanted)));
        }
        if wanted == state.active && state.chosen {
            return Ok(Outcome::Done(view(pool, &state, servers)));
        }
        // Said before anybody is moved. Whoever is connected to a server that goes may stay there for a while.
        if state.active.iter().any(|server| !wanted.contains(server)) {
            let drained = i64::from(self.options().server.drain_minutes) * 60_000;
            let beginning = self.now().plus_millis(drained);
            let message =
                "People are moved to other servers; whoever is connected to one that goes comes back by itself";
            self.tell_of_own(Notice {
                planned: true,
                beginning,
                expected_end: Some(beginning.plus_millis(MOVING_MS)),
                message: message.to_owned(),
                own: true,
            })
            .await;
        }
        let state = pool.set_active(state.revision, wanted).await?;
        if let Some(pooled) = &self.inner.pooled {
            pooled.beat_now.notify_one();
            pooled.teller.tell(Signal::Active);
        }
        let summary = format!("The active servers of the pool are now: {}", active::said(&state.active));
        self.record(caller, "active-servers", summary).await?;
        Ok(Outcome::Done(view(pool, &state, servers)))
    }

    /// Forgets a server that is not on the list and has been silent for a while.
    ///
    /// # Errors
    /// When the caller is no administrator, there is no pool, or the server is not one that can be forgotten.
    pub async fn forget_server(&self, caller: &Caller, name: &str) -> Result<PoolView> {
        self.allow_admin(caller)?;
        let pool = self.some_pool()?;
        let (state, servers) = pool.state().await?;
        let server = servers.iter().find(|s| s.beat.name == name).ok_or(ChatError::Unknown("this server"))?;
        if is_alive(server) {
            return Err(ChatError::Conflict(format!("{name} is running; stop it first")));
        }
        if state.active.iter().any(|listed| listed == name) {
            let why = format!("{name} is on the list of active servers; take it off first");
            return Err(ChatError::Conflict(why));
        }
        let stale = if server.stopped { Duration::ZERO } else { STALE };
        if !pool.forget(name, stale).await? {
            return Err(ChatError::Conflict(format!("{name} has been heard of again meanwhile")));
        }
        self.signal(Signal::Active);
        self.record(caller, "server-forgotten", format!("The server {name} of the pool was forgotten")).await?;
        let (state, servers) = pool.state().await?;
        Ok(view(pool, &state, servers))
    }

    fn some_pool(&self) -> Result<&dyn Pool> {
        self.store().pool().ok_or(ChatError::Unknown(NO_POOL))
    }

    /// Leaves the pool, so that the others need not wait until this server counts as silent.
    pub(crate) async fn leave_pool(&self) {
        let (Some(pooled), Some(pool)) = (&self.inner.pooled, self.store().pool()) else { return };
        if pooled.joins {
            pooled.teller.tell(Signal::Gone);
        }
        self.tell_now();
        if pooled.joins
            && let Err(error) = pool.leave(&self.options().server.name).await
        {
            tracing::warn!(%error, "cannot tell the pool that this server stops; it will be noticed");
        }
    }
}

fn view(pool: &dyn Pool, state: &PoolState, servers: Vec<Server>) -> PoolView {
    let place = |name: &str| state.active.iter().position(|listed| listed == name);
    let mut views: Vec<ServerView> = servers
        .into_iter()
        .map(|server| ServerView {
            standing: standing_of(&server, place(&server.beat.name).is_some()),
            on_list: place(&server.beat.name).is_some(),
            this: server.beat.run == pool.run(),
            seen_ms_ago: millis(server.seen_ago),
            name: server.beat.name,
            address: server.beat.address,
            version: server.beat.version,
            started_at: server.beat.started_at,
            connections: server.beat.connections,
            people: server.beat.people,
            round_trip_us: server.beat.round_trip_us,
        })
        .collect();
    views.sort_by_key(|v| (place(&v.name).unwrap_or(usize::MAX), v.name.clone()));
    PoolView {
        epoch: state.epoch,
        state: state.state,
        site: state.site.clone(),
        holder: state.holder.clone(),
        chosen: state.chosen,
        servers: views,
        condition: pool.condition(),
    }
}
