//! What the steps of several procedures do in common.

use crate::agent::order::{Obeyed, Order};
use crate::agent::report::Report;
use crate::agent::state::Place;
use crate::agent::{Agent, Told};
use crate::procedure::StepError;
use holdfast_instance::{Access, Dynamic, Settings, Sync};
use holdfast_store::notice::Notice;
use holdfast_store::pool::PoolPhase;
use holdfast_store::postgres::takeover::{self, TakeOver, TakeOverError};
use holdfast_wal::{Claim, Lsn, Opening};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// For an order that does little.
const SHORT: Duration = Duration::from_secs(30);
/// For an order that stops or starts PostgreSQL.
pub(crate) const LONG: Duration = Duration::from_secs(120);
/// For PostgreSQL to take over changed settings.
const RELOAD: Duration = Duration::from_secs(20);
/// For a promotion.
const PROMOTING: Duration = Duration::from_secs(60);

impl From<String> for StepError {
    fn from(why: String) -> StepError {
        StepError::Refused(why)
    }
}

/// Another way to write an error of PostgreSQL's side.
pub(crate) fn refused(error: impl std::fmt::Display) -> StepError {
    StepError::Refused(error.to_string())
}

impl Agent {
    /// Gives an order to any instance, this one included.
    pub(crate) async fn tell(&self, name: &str, order: Order, within: Duration) -> Told<Obeyed> {
        if name == self.name() {
            return self.obey(order, self.name()).await;
        }
        self.remote(name)?.post("/v1/order", &order, within).await.map_err(|e| e.to_string())
    }

    /// As [`Agent::tell`], for what takes a moment only.
    pub(crate) async fn tell_shortly(&self, name: &str, order: Order) -> Told<Obeyed> {
        self.tell(name, order, SHORT).await
    }

    /// What any instance says of itself now.
    pub(crate) async fn ask(&self, name: &str) -> Told<Report> {
        if name == self.name() {
            self.look().await;
            return Ok(self.report());
        }
        self.remote(name)?.get("/v1/report?fresh=true", Duration::from_secs(5)).await.map_err(|e| e.to_string())
    }
}

/// How a promotion came out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Promoted {
    /// The new timeline.
    pub(crate) timeline: u32,
    /// Where it branches off.
    pub(crate) fork: Lsn,
}

/// Whether this instance takes writes already, and since where.
pub(crate) async fn promoted(agent: &Agent) -> Result<Option<Promoted>, StepError> {
    if !agent.instance().is_running() || agent.instance().in_recovery().await.map_err(refused)? {
        return Ok(None);
    }
    let timeline = agent.instance().timeline().await.map_err(refused)?;
    let fork = agent.instance().fork(timeline).map_err(refused)?.map_or(Lsn(0), |f| f.at);
    Ok(Some(Promoted { timeline, fork }))
}

/// How far a standby here has applied the log.
pub(crate) async fn replayed(agent: &Agent) -> Result<Lsn, StepError> {
    let status = agent.instance().status().await;
    let server = status.server.ok_or_else(|| StepError::refused("PostgreSQL does not answer here"))?;
    Ok(server.standby.and_then(|s| s.replayed).unwrap_or_default())
}

/// Makes this instance take writes. What it is to be is written down before; a promotion that has happened is none.
pub(crate) async fn promote(agent: &Agent, sync: Sync, mirrored: bool) -> Result<(), StepError> {
    agent
        .with_turn(async {
            agent.remember(|m| {
                m.place = Place::Primary;
                m.mirrored = mirrored;
            })?;
            if !agent.instance().is_running() {
                // Broken off by a crash: what it was when it went down it is still, and is asked below.
                agent
                    .instance()
                    .start(holdfast_instance::Boot::Serving, LONG, &holdfast_instance::silent)
                    .await
                    .map_err(|e| e.to_string())?;
            }
            let wanted = Dynamic { upstream: None, sync };
            let instance = agent.instance();
            instance.set(&wanted, RELOAD).await.map_err(|e| e.to_string())?;
            // PostgreSQL asks `restore_command` for the history of every timeline up to a free number; all that counts is here by now.
            let usual = instance.settings();
            let alone = Settings { restore_command: String::new(), ..usual.clone() };
            instance.configure(alone, RELOAD).await.map_err(|e| e.to_string())?;
            let promoted = instance.promote(PROMOTING).await.map_err(|e| e.to_string());
            instance.configure(usual, RELOAD).await.map_err(|e| e.to_string())?;
            promoted
        })
        .await?;
    Ok(())
}

/// The opening of a timeline that a promotion began.
pub(crate) fn opening_of(claim: &Claim, promoted: Promoted) -> Opening {
    Opening { epoch: claim.epoch, holder: claim.holder.clone(), timeline: promoted.timeline, start: promoted.fork }
}

/// The epoch in the database.
pub(crate) async fn epoch_in_database(agent: &Agent) -> Result<Option<i64>, StepError> {
    let client = agent.instance().look("mgc").await.map_err(refused)?;
    Ok(takeover::tally(&client).await.map_err(refused)?.map(|t| t.epoch))
}

/// Writes the epoch into the database: a commit that waits for the mirror, where there is one. A database that has no pool yet has no epoch to be
/// written; then a barrier does as well.
pub(crate) async fn write_epoch(agent: &Agent, epoch: u64, state: PoolPhase) -> Result<(), StepError> {
    let client = agent.instance().sql("mgc").await.map_err(refused)?;
    let epoch = i64::try_from(epoch).map_err(refused)?;
    let wanted = TakeOver { epoch, state, site: Some(agent.site().to_owned()), holder: agent.name().to_owned() };
    match takeover::take_over(&client, &wanted).await {
        Ok(()) => Ok(()),
        Err(TakeOverError::NoPool) => {
            let barrier = agent.instance().barrier(Duration::from_secs(20)).await.map_err(refused)?;
            match barrier {
                holdfast_instance::Barrier::NotAcknowledged(_) => {
                    Err(StepError::refused("the mirror did not acknowledge a barrier"))
                }
                _ => Ok(()),
            }
        }
        Err(error) => Err(refused(error)),
    }
}

/// What the pool is in this database.
pub(crate) async fn phase_in_database(agent: &Agent) -> Result<Option<PoolPhase>, StepError> {
    let client = agent.instance().look("mgc").await.map_err(refused)?;
    Ok(takeover::tally(&client).await.map_err(refused)?.map(|t| t.state))
}

/// Whether the door is open for clients.
pub(crate) fn is_open(agent: &Agent) -> Result<bool, StepError> {
    Ok(agent.instance().access().map_err(refused)? == Access::Open)
}

/// Sets the servers that take clients, in the database of this instance. One that is in another site than the database is refused, unless `far`: each
/// message would go there and back.
pub(crate) async fn set_active(agent: &Agent, wanted: &[String], far: bool) -> Told<()> {
    for name in wanted {
        let place = agent.topology().servers.iter().find(|s| s.name == *name);
        let place = place.ok_or_else(|| format!("the topology names no server {name}"))?;
        if place.site != agent.site() && !far {
            return Err(format!(
                "{name} is in {}, far from the database: choose servers of {}, or insist with --far",
                place.site,
                agent.site()
            ));
        }
    }
    let client = agent.instance().sql("mgc").await.map_err(|e| e.to_string())?;
    match takeover::set_active(&client, wanted).await {
        Ok(()) | Err(TakeOverError::NoPool) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// Says in the database of this instance what users are told of an outage.
pub(crate) async fn put_notice(agent: &Agent, notice: Option<&Notice>) -> Told<()> {
    let client = agent.instance().sql("mgc").await.map_err(|e| e.to_string())?;
    takeover::put_notice(&client, notice).await.map_err(|e| e.to_string())
}
