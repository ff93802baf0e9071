//! The keeper: looks at PostgreSQL, and brings it to what its place says.

use super::claims::Confirmed;
use super::report::Holds;
use super::state::{Fetch, Place, Remembered};
use super::{Agent, RELOAD, STARTING, STOPPING, Told, lock, said};
use crate::register::Protection;
use crate::topology::Role;
use holdfast_instance::{Access, Boot, Dynamic, Phase, Progress, Status, Stop, Sync};
use holdfast_store::postgres::takeover;
use holdfast_wal::local::pgwal_off_lineage;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Between two strokes of the keeper.
const KEEP_EVERY: Duration = Duration::from_millis(200);
/// For the count of what the database holds.
const COUNTING: Duration = Duration::from_secs(2);

/// Looks at PostgreSQL until the end.
pub(super) async fn look_for_ever(agent: Arc<Agent>) {
    while !agent.shutdown.is_cancelled() {
        agent.look().await;
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Keeps until the end.
pub(super) async fn keep_for_ever(agent: Arc<Agent>) {
    while !agent.shutdown.is_cancelled() {
        // Whoever carries out an order keeps meanwhile.
        if let Ok(_turn) = agent.turn.try_lock() {
            match agent.keep().await {
                Ok(note) => agent.note(note),
                Err(why) => agent.note(why),
            }
        }
        tokio::time::sleep(KEEP_EVERY).await;
    }
}

impl Agent {
    /// Looks at PostgreSQL and its database now.
    pub(crate) async fn look(&self) {
        let status = self.instance.status().await;
        self.looked(status).await;
    }

    /// The same, for whoever needs an answer more than a quick one.
    pub(crate) async fn look_within(&self, within: Duration) {
        let status = self.instance.status_within(within).await;
        self.looked(status).await;
    }

    async fn looked(&self, status: Status) {
        let holds = match &status.server {
            Some(_) => tokio::time::timeout(COUNTING, self.count()).await.ok().flatten(),
            None => None,
        };
        let mut own = lock(&self.own);
        // What it held last is not forgotten when it does not answer.
        own.holds = holds.or_else(|| own.holds.take());
        own.status = Some(status);
    }

    /// What the database holds now.
    pub(crate) async fn count(&self) -> Option<Holds> {
        let client = self.instance.look("mgc").await.ok()?;
        let tally = takeover::tally(&client).await.ok().flatten()?;
        let active = takeover::active(&client).await.unwrap_or_default();
        Some(Holds {
            epoch: tally.epoch,
            state: tally.state.word().to_owned(),
            entries: tally.entries,
            newest_at: tally.newest_at.and_then(|t| Timestamp::from_millisecond(t.millis()).ok()),
            active,
        })
    }

    /// One stroke: does what is lacking now, and answers what it waits for.
    async fn keep(&self) -> Told<String> {
        let remembered = self.memory.now();
        if remembered.place != Place::Empty {
            self.learn_cluster().await?;
        }
        match &remembered.place {
            Place::Empty => Ok(String::new()),
            Place::Stopped { .. } => self.keep_down("it was stopped").await,
            Place::Fenced { why, .. } => self.keep_down(why).await,
            Place::Standby { upstream, fetch } => {
                let upstream = self.behind_the_mirror(upstream.as_deref(), *fetch)?;
                self.keep_standby(upstream.as_deref(), *fetch).await
            }
            Place::Primary => match remembered.newest() {
                Some(newest) if newest.holder != self.me.name => {
                    let held = held_by(&remembered, &self.me.name);
                    let why = format!("fenced: {} holds epoch {} ({})", newest.holder, newest.epoch, newest.by);
                    self.fence(held, why).await?;
                    Ok(String::new())
                }
                _ => self.keep_primary().await,
            },
        }
    }

    async fn keep_down(&self, why: &str) -> Told<String> {
        if self.instance.is_running() {
            self.instance.stop(Stop::Fast, STOPPING).await.map_err(said)?;
        }
        Ok(why.to_owned())
    }

    /// Nothing can be acknowledged here from now on, and nobody is let in; then it stops. Its data is kept as it is.
    pub(super) async fn fence(&self, held: u64, why: String) -> Told<()> {
        tracing::warn!("{why}");
        self.remember(|m| m.place = Place::Fenced { held, why })?;
        if self.instance.is_running() {
            // Waits for no checkpoint of one that may be stuck: what is not acknowledged yet never will be, since it stops.
            let _ = self.instance.set_access(Access::Closed, RELOAD).await;
            let _ = self.instance.set(&Dynamic::fenced(), RELOAD).await;
            let _ = self.instance.terminate_clients(RELOAD).await;
            self.instance.stop(Stop::Fast, STOPPING).await.map_err(said)?;
        }
        Ok(())
    }

    /// Whom a standby is to follow. A backup that was cut off during a switchover finds that the mirror it follows has become the primary: it follows the
    /// new mirror then, since what it has must be on the mirror already.
    fn behind_the_mirror(&self, upstream: Option<&str>, fetch: Fetch) -> Told<Option<String>> {
        let stays = Ok(upstream.map(str::to_owned));
        let Some(roles) = self.roles() else { return stays };
        let is_backup = roles.role_of(&self.me.name) == Some(Role::Backup);
        match (upstream, roles.mirror) {
            (Some(name), Some(mirror)) if is_backup && fetch == Fetch::Follow && name == roles.primary.name => {
                let upstream = Some(mirror.name.clone());
                tracing::info!(before = name, now = mirror.name, "the mirror it followed is the primary now");
                self.remember(|m| m.place = Place::Standby { upstream: upstream.clone(), fetch })?;
                Ok(upstream)
            }
            _ => stays,
        }
    }

    pub(super) async fn keep_standby(&self, upstream: Option<&str>, fetch: Fetch) -> Told<String> {
        let wanted = self.standby_settings(upstream)?;
        if self.instance.is_running() {
            if self.instance.dynamic().map_err(said)? != wanted {
                self.instance.set(&wanted, RELOAD).await.map_err(said)?;
            }
            let server = lock(&self.own).status.clone().and_then(|s| s.server);
            if self.instance.access().map_err(said)? == Access::Open {
                self.instance.set_access(Access::Replication, RELOAD).await.map_err(said)?;
            }
            let Some(server) = server else { return Ok("PostgreSQL does not answer yet".to_owned()) };
            if !server.in_recovery() {
                return Ok("it is no standby although it is to be one: a person has to look".to_owned());
            }
            let streams = server.standby.and_then(|s| s.receiver).is_some_and(|r| r.status == "streaming");
            return Ok(match upstream {
                Some(upstream) if !streams && fetch != Fetch::Staged => {
                    let share = if fetch == Fetch::Follow { "; what is on the share is applied" } else { "" };
                    format!("no stream from {upstream}{share}")
                }
                _ => String::new(),
            });
        }
        self.cut_to_lineage().await?;
        self.instance.make_standby().map_err(said)?;
        self.instance.set(&wanted, RELOAD).await.map_err(said)?;
        self.instance.set_access(Access::Replication, RELOAD).await.map_err(said)?;
        self.write_wal_file()?;
        self.start(Boot::Serving).await?;
        Ok(String::new())
    }

    /// What a standby that follows `upstream` is told. Sync names stay empty on it: it acknowledges nothing.
    pub(super) fn standby_settings(&self, upstream: Option<&str>) -> Told<Dynamic> {
        let upstream = upstream.map(|name| self.upstream(name)).transpose()?;
        Ok(Dynamic { upstream, sync: Sync::None })
    }

    /// PostgreSQL replays whatever lies in its own `pg_wal`; what is not the pool's history is moved out of it before it starts.
    async fn cut_to_lineage(&self) -> Told<()> {
        let lineage = self.memory.now().lineage();
        let (_, size) = self.cluster()?;
        if lineage.openings().is_empty() {
            return Ok(());
        }
        let pg_wal = self.instance.layout().pg_wal();
        let off = pgwal_off_lineage(&pg_wal, &lineage, size).map_err(said)?;
        if off.is_empty() {
            return Ok(());
        }
        let into = self.me.data.join("quarantine");
        std::fs::create_dir_all(&into).map_err(said)?;
        let moved = self.instance.move_wal_out(&|file| !lineage.has(file, size), &into).await.map_err(said)?;
        tracing::info!(
            files = moved.len(),
            "segments that are off the pool's history were moved to {}",
            into.display()
        );
        Ok(())
    }

    async fn start(&self, boot: Boot) -> Told<()> {
        let progress = |p: Progress| tracing::debug!(what = p.what, done = p.done, "starting");
        let started = self.instance.start(boot, STARTING, &progress).await.map_err(said)?;
        tracing::info!(pid = started.pid, adopted = started.adopted, "PostgreSQL runs");
        self.look().await;
        Ok(())
    }

    /// The way of a primary: confirmed, started, acknowledged by its mirror, open.
    pub(super) async fn keep_primary(&self) -> Told<String> {
        let status = self.instance.status().await;
        if status.phase == Phase::Down {
            let confirmed = self.confirm_epoch().await;
            return match confirmed {
                Confirmed::Theirs(claim) => {
                    let why = format!("fenced: {} holds epoch {} ({})", claim.holder, claim.epoch, claim.by);
                    let held = held_by(&self.memory.now(), &self.me.name);
                    self.learn(&holdfast_wal::Lineage::new(vec![claim], vec![]))?;
                    self.fence(held, why).await?;
                    Ok(String::new())
                }
                Confirmed::Ours(who) => {
                    tracing::info!(who, "confirmed that this instance holds the newest epoch");
                    self.start_confirmed().await
                }
                Confirmed::NobodySays(troubles) => {
                    // It recovers meanwhile, on its socket alone.
                    self.start(Boot::Fenced).await?;
                    Ok(waits_fenced(&troubles))
                }
            };
        }
        if self.instance.boot().await == Some(Boot::Fenced) {
            return match self.confirm_epoch().await {
                Confirmed::Ours(who) => {
                    tracing::info!(who, "confirmed that this instance holds the newest epoch");
                    self.instance.stop(Stop::Fast, STOPPING).await.map_err(said)?;
                    self.start_confirmed().await
                }
                Confirmed::Theirs(_) => Ok(String::new()),
                Confirmed::NobodySays(troubles) => Ok(waits_fenced(&troubles)),
            };
        }
        self.protect().await
    }

    async fn start_confirmed(&self) -> Told<String> {
        self.instance.mend().await.map_err(said)?;
        if self.instance.starts_as_standby() {
            return Ok(
                "its data is a standby's although it holds the epoch: a promotion was broken off; resume the procedure"
                    .into(),
            );
        }
        let wanted = self.primary_settings();
        self.instance.set(&wanted, RELOAD).await.map_err(said)?;
        // Its mirror may come in; clients not before a commit has been acknowledged.
        self.instance.set_access(Access::Replication, RELOAD).await.map_err(said)?;
        self.write_wal_file()?;
        self.start(Boot::Serving).await?;
        self.protect().await
    }

    /// Whom commits of the primary wait for, by what is on record.
    pub(super) fn primary_settings(&self) -> Dynamic {
        let remembered = self.memory.now();
        let mirror = self.roles().and_then(|r| r.mirror).map(|m| m.name.clone());
        let sync = match (remembered.protection, mirror) {
            (Protection::InSync, Some(mirror)) => Sync::Named(mirror),
            _ => Sync::None,
        };
        Dynamic { upstream: None, sync }
    }
}

/// The newest epoch that an instance held.
fn held_by(remembered: &Remembered, name: &str) -> u64 {
    remembered.claims.iter().rfind(|c| c.holder == name).map_or(0, |c| c.epoch)
}

fn waits_fenced(troubles: &str) -> String {
    format!("it waits, fenced, until somebody confirms that it holds the newest epoch: {troubles}")
}
