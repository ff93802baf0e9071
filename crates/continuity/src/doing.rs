//! What the steps of several procedures do in common.

use crate::agent::order::{Obeyed, Order};
use crate::agent::report::Report;
use crate::agent::state::Place;
use crate::agent::{Agent, Told};
use crate::procedure::StepError;
use crate::wire::RemoteError;
use holdfast_instance::{Access, Dynamic, Phase, Server, Settings, Sync};
use holdfast_store::notice::Notice;
use holdfast_store::pool::PoolPhase;
use holdfast_store::postgres::takeover::{self, TakeOver, TakeOverError};
use holdfast_wal::lineage_store::LineageError;
use holdfast_wal::verify::VerifyError;
use holdfast_wal::{Claim, Lsn, Opening, ShareError};
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

/// For an instance of which something has to be known. Longer than for a look in passing: a slow answer is one.
const ANSWERING: Duration = Duration::from_secs(10);

impl From<String> for StepError {
    fn from(why: String) -> StepError {
        StepError::Refused(why)
    }
}

impl From<holdfast_instance::Error> for StepError {
    fn from(error: holdfast_instance::Error) -> StepError {
        match error.may_pass() {
            true => StepError::NoAnswer(error.to_string()),
            false => StepError::Refused(error.to_string()),
        }
    }
}

impl From<TakeOverError> for StepError {
    fn from(error: TakeOverError) -> StepError {
        match &error {
            TakeOverError::Database { .. } => StepError::NoAnswer(error.to_string()),
            _ => StepError::Refused(error.to_string()),
        }
    }
}

impl From<ShareError> for StepError {
    fn from(error: ShareError) -> StepError {
        match &error {
            ShareError::Unreachable { .. } => StepError::NoAnswer(error.to_string()),
            _ => StepError::Refused(error.to_string()),
        }
    }
}

impl From<LineageError> for StepError {
    fn from(error: LineageError) -> StepError {
        match error {
            LineageError::Share(error) => error.into(),
            other => StepError::Refused(other.to_string()),
        }
    }
}

impl From<VerifyError> for StepError {
    fn from(error: VerifyError) -> StepError {
        match error {
            VerifyError::Share(error) => error.into(),
            other => StepError::Refused(other.to_string()),
        }
    }
}

impl From<RemoteError> for StepError {
    fn from(error: RemoteError) -> StepError {
        match &error {
            // Orders come to the same when they are given again.
            RemoteError::Unreachable { .. }
            | RemoteError::Unknown { .. }
            | RemoteError::Refused { status: 503, .. } => StepError::NoAnswer(error.to_string()),
            RemoteError::Refused { .. } => StepError::Refused(error.to_string()),
        }
    }
}

/// Another way to write an error of PostgreSQL's side.
pub(crate) fn refused(error: impl std::fmt::Display) -> StepError {
    StepError::Refused(error.to_string())
}

impl Agent {
    /// Gives an order to any instance, this one included.
    pub(crate) async fn tell(&self, name: &str, order: Order, within: Duration) -> Result<Obeyed, StepError> {
        if name == self.name() {
            return self.obey(order, self.name()).await;
        }
        Ok(self.remote(name)?.post("/v1/order", &order, within).await?)
    }

    /// As [`Agent::tell`], for what takes a moment only.
    pub(crate) async fn tell_shortly(&self, name: &str, order: Order) -> Result<Obeyed, StepError> {
        self.tell(name, order, SHORT).await
    }

    /// What any instance says of itself now.
    pub(crate) async fn ask(&self, name: &str) -> Result<Report, StepError> {
        if name == self.name() {
            self.look_within(ANSWERING).await;
            return Ok(self.report());
        }
        Ok(self.remote(name)?.get("/v1/report?fresh=true", ANSWERING).await?)
    }

    /// As [`Agent::ask`], of one without which the procedure goes on: it is taken for away only when it has not answered a few times.
    pub(crate) async fn ask_who_may_be_away(&self, name: &str) -> Result<Report, StepError> {
        const TIMES: u32 = 3;
        for _ in 1..TIMES {
            match self.ask(name).await {
                Err(StepError::NoAnswer(_)) => tokio::time::sleep(Duration::from_secs(1)).await,
                answered => return answered,
            }
        }
        self.ask(name).await
    }

    /// What the PostgreSQL of this instance says of itself.
    pub(crate) async fn server(&self) -> Result<Server, StepError> {
        let status = self.instance().status_within(ANSWERING).await;
        status
            .server
            .ok_or_else(|| StepError::no_answer(format!("PostgreSQL does not answer here: {}", word(&status.phase))))
    }
}

/// Refuses to judge by a report of an instance that runs, or is about to, and did not say how it is.
///
/// # Errors
/// [`StepError::NoAnswer`]
pub(crate) fn known(report: &Report) -> Result<(), StepError> {
    match &report.status.phase {
        Phase::Silent(_) | Phase::Starting(_) => Err(StepError::no_answer(format!(
            "PostgreSQL of {} does not answer: {}",
            report.instance,
            word(&report.status.phase)
        ))),
        Phase::Empty | Phase::Down | Phase::Up | Phase::Stopping => Ok(()),
    }
}

fn word(phase: &Phase) -> String {
    match phase {
        Phase::Empty => "it has no data".to_owned(),
        Phase::Down => "it does not run".to_owned(),
        Phase::Starting(said) => format!("it is starting; {said}"),
        Phase::Up => "it answered nothing".to_owned(),
        Phase::Stopping => "it is stopping".to_owned(),
        Phase::Silent(why) => why.clone(),
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
    if !agent.instance().is_running() || agent.instance().in_recovery().await? {
        return Ok(None);
    }
    let timeline = agent.instance().timeline().await?;
    let fork = agent.instance().fork(timeline)?.map_or(Lsn(0), |f| f.at);
    Ok(Some(Promoted { timeline, fork }))
}

/// How far a standby here has applied the log.
pub(crate) async fn replayed(agent: &Agent) -> Result<Lsn, StepError> {
    Ok(agent.server().await?.standby.and_then(|s| s.replayed).unwrap_or_default())
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
                agent.instance().start(holdfast_instance::Boot::Serving, LONG, &holdfast_instance::silent).await?;
            }
            let wanted = Dynamic { upstream: None, sync };
            let instance = agent.instance();
            instance.set(&wanted, RELOAD).await?;
            // PostgreSQL asks `restore_command` for the history of every timeline up to a free number; all that counts is here by now.
            let usual = instance.settings();
            let alone = Settings { restore_command: String::new(), ..usual.clone() };
            let promoted = match instance.configure(alone, RELOAD).await {
                Ok(()) => instance.promote(PROMOTING).await.map(drop),
                Err(error) => Err(error),
            };
            // Whatever came of it: when it is tried again, these must be the usual ones.
            instance.configure(usual, RELOAD).await?;
            promoted.map_err(StepError::from)
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
    let client = agent.instance().look("mgc").await?;
    Ok(takeover::tally(&client).await?.map(|t| t.epoch))
}

/// Writes the epoch into the database: a commit that waits for the mirror, where there is one. A database that has no pool yet has no epoch to be
/// written; then a barrier does as well.
pub(crate) async fn write_epoch(agent: &Agent, epoch: u64, state: PoolPhase) -> Result<(), StepError> {
    let client = agent.instance().sql("mgc").await?;
    let epoch = i64::try_from(epoch).map_err(refused)?;
    let wanted = TakeOver { epoch, state, site: Some(agent.site().to_owned()), holder: agent.name().to_owned() };
    match takeover::take_over(&client, &wanted).await {
        Ok(()) => Ok(()),
        Err(TakeOverError::NoPool) => {
            let barrier = agent.instance().barrier(Duration::from_secs(20)).await?;
            match barrier {
                holdfast_instance::Barrier::NotAcknowledged(_) => {
                    Err(StepError::no_answer("the mirror did not acknowledge a barrier"))
                }
                _ => Ok(()),
            }
        }
        Err(error) => Err(error.into()),
    }
}

/// What the pool is in this database.
pub(crate) async fn phase_in_database(agent: &Agent) -> Result<Option<PoolPhase>, StepError> {
    let client = agent.instance().look("mgc").await?;
    Ok(takeover::tally(&client).await?.map(|t| t.state))
}

/// Whether the door is open for clients.
pub(crate) fn is_open(agent: &Agent) -> Result<bool, StepError> {
    Ok(agent.instance().access()? == Access::Open)
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
