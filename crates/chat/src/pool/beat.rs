//! Taking part in the pool: saying every two seconds that this server is there, and hearing which of them take clients.

use super::Pooled;
use super::carry::Carried;
use super::signal::Signal;
use super::standing::{BEAT, Known, STALE, is_alive, is_name};
use super::view::Standing;
use crate::error::{ChatError, Result};
use crate::event::Bye;
use crate::service::Chat;
use holdfast_store::StoreError;
use holdfast_store::pool::{Beat, Beaten, MOST_SERVERS, Pool, PoolState, Server};
use std::collections::HashSet;
use std::time::Duration;
use tokio::time::Instant;

/// A server that comes back after a crash finds itself still listed. Under the same name and address it can be no other, so it need not be
/// silent for as long as another would have to be.
const STALE_SELF: Duration = Duration::from_secs(5);

/// Between two beats while the database is away, and for a while after that: it may be another one, in which the list of those that take clients is
/// only being written, and clients wait for it.
const HURRIED: Duration = Duration::from_millis(200);
/// For how long after that.
const HURRY: Duration = Duration::from_secs(3);

impl Chat {
    /// Comes into the pool.
    ///
    /// # Errors
    /// When this server cannot be one of it: says why.
    pub(crate) async fn join_pool(&self) -> Result<()> {
        let Some(pool) = self.store().pool() else { return Ok(()) };
        let server = &self.options().server;
        if !is_name(&server.name) {
            let why = "must be 1 to 63 of a-z, 0-9, `.` and `-`; set [pool] server";
            return Err(ChatError::invalid("pool.server", why));
        }
        let (mut stale, mut first_seen) = (STALE, None);
        loop {
            match self.beat_once(pool, stale).await? {
                Beaten::In(state, servers) => {
                    self.heard_of_pool(state, servers);
                    return Ok(());
                }
                Beaten::Full => {
                    return Err(ChatError::Conflict(format!(
                        "the pool has {MOST_SERVERS} servers already; `holdfast pool forget` takes one off that is gone"
                    )));
                }
                Beaten::NameInUse(other) => {
                    let said_at = Instant::now().checked_sub(other.seen_ago);
                    if other.beat.address == server.address {
                        stale = STALE_SELF;
                    }
                    // Heard of again since we first looked: it is there.
                    let again = first_seen.is_some_and(|(run, at)| {
                        run != other.beat.run || said_at.is_some_and(|said: Instant| said > at + BEAT / 2)
                    });
                    if again {
                        return Err(ChatError::Conflict(format!(
                            "another server of the pool, at {}, has the name {} and is running; give this one another name ([pool] \
                             server)",
                            other.beat.address, server.name
                        )));
                    }
                    if first_seen.is_none() {
                        tracing::info!(
                            name = %server.name,
                            seen_ms_ago = super::standing::millis(other.seen_ago),
                            "a server of this name was here a moment ago; waiting until it is known to be gone"
                        );
                        first_seen = said_at.map(|at| (other.beat.run, at));
                    }
                    tokio::time::sleep(BEAT / 4).await;
                }
            }
        }
    }

    async fn beat_once(&self, pool: &dyn Pool, stale: Duration) -> std::result::Result<Beaten, StoreError> {
        let options = &self.options().server;
        let round_trip = pool.round_trip();
        let near = round_trip.is_some_and(|took| took <= Duration::from_millis(u64::from(options.most_round_trip_ms)));
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let beat = Beat {
            name: options.name.clone(),
            run: pool.run(),
            address: options.address.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: self.inner.started_at,
            connections: count(self.hub().connections()),
            people: count(self.hub().connected_users().len()),
            round_trip_us: round_trip.map_or(0, |took| u32::try_from(took.as_micros()).unwrap_or(u32::MAX)),
        };
        pool.beat(beat, stale, near).await
    }

    /// Says again and again that this server is there, until the service stops.
    pub(crate) async fn beat_often(self) {
        let (Some(pooled), Some(pool)) = (&self.inner.pooled, self.store().pool()) else { return };
        let mut trouble = false;
        let mut hurry_until = Instant::now();
        loop {
            let pause = if trouble || Instant::now() < hurry_until { HURRIED } else { BEAT };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = pooled.beat_now.notified() => {}
                () = self.inner.stopping.cancelled() => return,
            }
            match self.beat_once(pool, STALE).await {
                Ok(Beaten::In(state, servers)) => {
                    if std::mem::take(&mut trouble) {
                        hurry_until = Instant::now() + HURRY;
                        tracing::info!("this server is heard of in the pool again");
                    }
                    self.heard_of_pool(state, servers);
                }
                Ok(Beaten::NameInUse(other)) => {
                    if !std::mem::replace(&mut trouble, true) {
                        tracing::error!(
                            name = %self.options().server.name, address = %other.beat.address,
                            "another server has taken this one's name while it was silent; this one takes no clients"
                        );
                    }
                    self.out_of_pool(pooled);
                }
                Ok(Beaten::Full) => {
                    if !std::mem::replace(&mut trouble, true) {
                        tracing::error!("this server was forgotten and the pool is full; it takes no clients");
                    }
                    self.out_of_pool(pooled);
                }
                Err(error) => {
                    if !std::mem::replace(&mut trouble, true) {
                        tracing::warn!(%error, "cannot tell the pool that this server is there; will try again");
                    }
                    // Time passes all the same for those who may stay for a while.
                    let listed = {
                        let known = pooled.known();
                        known.state.active.contains(&self.options().server.name)
                    };
                    self.take_post(pooled, listed);
                }
            }
        }
    }

    /// Takes in what came of a beat.
    fn heard_of_pool(&self, state: PoolState, servers: Vec<Server>) {
        let Some(pooled) = &self.inner.pooled else { return };
        let listed = state.active.contains(&self.options().server.name);
        let own = self.store().pool().map(Pool::run);
        let alive: HashSet<_> = servers.iter().filter(|s| is_alive(s)).map(|s| s.beat.run).collect();
        {
            let mut known = pooled.known();
            *known = Known { post: known.post, state, servers };
            pooled.teller.set_others(known.alive().any(|run| Some(run) != own));
        }
        let gone = pooled.peers().keep(&alive, Instant::now());
        for run in gone {
            self.hub().all_elsewhere(run, Vec::new());
            pooled.hand(Carried::Gone { run });
        }
        // One that is new, or that was silent and is back.
        if pooled.peers().lack(alive.into_iter().filter(|run| Some(*run) != own)) {
            pooled.teller.tell(Signal::Hello);
        }
        self.take_post(pooled, listed);
    }

    fn out_of_pool(&self, pooled: &Pooled) {
        pooled.known().state.active.retain(|name| *name != self.options().server.name);
        self.take_post(pooled, false);
        self.send_away(pooled);
    }

    /// Becomes what this server is now, listed as active or not.
    fn take_post(&self, pooled: &Pooled, listed: bool) {
        let connected = self.hub().has_guests();
        let drain = Duration::from_secs(u64::from(self.options().server.drain_minutes) * 60);
        let (before, now) = {
            let mut known = pooled.known();
            let before = known.post;
            known.post = before.next(listed, connected, Instant::now(), drain);
            (before.standing, known.post.standing)
        };
        if before != now {
            tracing::info!(before = before.word(), now = now.word(), "the standing of this server has changed");
        }
        if now == Standing::Standby && connected {
            self.send_away(pooled);
        }
    }

    /// Tells everybody who is connected to go to the active servers.
    fn send_away(&self, pooled: &Pooled) {
        let servers = pooled.known().active_addresses();
        self.hub().send_away(&Bye::Moved { servers });
    }
}
