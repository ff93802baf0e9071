//! Building the mirror of an instance: copied, verified, attached, caught up, and only then waited for. Taking it away is [`remove`].

mod remove;

pub(crate) use remove::RemoveMirror;

use crate::agent::Agent;
use crate::agent::order::Order;
use crate::agent::report::Report;
use crate::agent::state::{Fetch, Place};
use crate::doing;
use crate::procedure::{Memory, Observed, Procedure, Step, StepError};
use crate::register::Protection;
use async_trait::async_trait;
use holdfast_instance::Phase;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Options of a mirror's set-up.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MirrorOptions {
    /// Whether it is copied anew although it has data that follows.
    pub anew: bool,
}

/// The set-up of the mirror of this agent's instance: a primary's, which commits wait for, or a backup's, which follows it until it is needed.
pub(crate) struct InstallMirror {
    steps: Vec<Box<dyn Step>>,
    title: String,
}

/// What every step knows.
#[derive(Clone)]
struct Pair {
    agent: Arc<Agent>,
    /// The instance that becomes the mirror; `None`: the site has no other one.
    mirror: Option<String>,
}

impl Pair {
    fn of(agent: Arc<Agent>) -> Pair {
        let mirror =
            agent.topology().instances_of(agent.site()).find(|i| i.name != agent.name()).map(|i| i.name.clone());
        Pair { agent, mirror }
    }

    fn mirror(&self) -> Result<&str, StepError> {
        self.mirror
            .as_deref()
            .ok_or_else(|| StepError::refused(format!("the topology names no other instance in {}", self.agent.site())))
    }

    fn is_primary(&self) -> bool {
        self.agent.holder().is_some_and(|h| h == self.agent.name())
    }

    /// Whether the other one streams from here and is up to date.
    async fn follows(&self) -> Result<bool, StepError> {
        let server = self.agent.server().await?;
        let at = match (&server.primary, &server.standby) {
            (Some(primary), _) => primary.flushed,
            (_, Some(standby)) => standby.received.max(standby.replayed).unwrap_or_default(),
            _ => return Ok(false),
        };
        let mirror = self.mirror()?;
        let follower = server.followers.iter().find(|f| f.name == mirror && f.state == "streaming");
        Ok(follower.is_some_and(|f| at.since(f.flushed.unwrap_or_default()) < 16 << 20))
    }
}

impl InstallMirror {
    pub(crate) fn new(agent: Arc<Agent>, options: MirrorOptions) -> InstallMirror {
        let title = format!("Build the mirror of {}", agent.name());
        let pair = Pair::of(agent);
        let steps: Vec<Box<dyn Step>> = vec![
            Box::new(Check(pair.clone())),
            Box::new(Copy { pair: pair.clone(), anew: options.anew, starts: Mutex::new(None) }),
            Box::new(Attach(pair.clone())),
            Box::new(WaitForIt(pair)),
        ];
        InstallMirror { steps, title }
    }
}

impl Procedure for InstallMirror {
    fn kind(&self) -> &'static str {
        "mirror"
    }

    fn title(&self) -> String {
        self.title.clone()
    }

    fn steps(&self) -> &[Box<dyn Step>] {
        &self.steps
    }

    fn unchanged(&self, next: usize) -> String {
        match next {
            0 | 1 => "Nothing has been changed.".into(),
            2 | 3 => "The pool goes on as before; nothing waits for the new mirror yet.".into(),
            _ => String::new(),
        }
    }
}

/// What was so before, to tell a copy that was made now from one that was there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Before {
    copied_at: Option<Timestamp>,
}

struct Check(Pair);

#[async_trait]
impl Step for Check {
    fn name(&self) -> &'static str {
        "check"
    }

    fn title(&self) -> String {
        "Look at both instances".into()
    }

    fn number(&self) -> u8 {
        1
    }

    async fn observe(&self, _: &Memory) -> Result<Observed, StepError> {
        let pair = &self.0;
        let mirror = pair.mirror()?;
        let own = pair.agent.ask(pair.agent.name()).await?;
        doing::known(&own)?;
        if !own.is_up() {
            return Err(StepError::refused(format!("PostgreSQL does not answer here, on {}", own.instance)));
        }
        let other = pair.agent.ask(mirror).await?;
        if other.place.is_primary() {
            return Err(StepError::refused(format!("{mirror} is to be a primary: its data is not replaced")));
        }
        let said = format!("{mirror} answers; it is {}", place_word(&other.place));
        Ok(Observed::done_with(said, &Before { copied_at: other.copied_at }))
    }

    async fn act(&self, _: &Memory) -> Result<(), StepError> {
        Ok(())
    }
}

fn place_word(place: &Place) -> &'static str {
    match place {
        Place::Empty => "empty",
        Place::Primary => "a primary",
        Place::Standby { .. } => "a standby",
        Place::Stopped { .. } => "stopped",
        Place::Fenced { .. } => "fenced",
    }
}

/// For a standby that is starting to answer, before it is taken for one that never will and is copied anew.
const STARTS_WITHIN: Duration = Duration::from_secs(30);

struct Copy {
    pair: Pair,
    anew: bool,
    /// Since when it has been starting.
    starts: Mutex<Option<Instant>>,
}

impl Copy {
    /// Refuses to judge by a standby that may have the data and did not say so: it would be copied for nothing, and the pool has no mirror meanwhile.
    fn known(&self, other: &Report) -> Result<(), StepError> {
        let mut since = self.starts.lock().unwrap_or_else(PoisonError::into_inner);
        match (&other.place, &other.status.phase) {
            (Place::Standby { .. }, Phase::Starting(_)) => {
                match since.get_or_insert_with(Instant::now).elapsed() < STARTS_WITHIN {
                    true => doing::known(other),
                    false => Ok(()),
                }
            }
            (Place::Standby { .. }, Phase::Silent(_)) => doing::known(other),
            _ => {
                *since = None;
                Ok(())
            }
        }
    }
}

#[async_trait]
impl Step for Copy {
    fn name(&self) -> &'static str {
        "copy"
    }

    fn title(&self) -> String {
        format!("Copy the data to {}, and verify the copy", self.pair.mirror.as_deref().unwrap_or("the mirror"))
    }

    fn number(&self) -> u8 {
        2
    }

    async fn observe(&self, memory: &Memory) -> Result<Observed, StepError> {
        let pair = &self.pair;
        let other = pair.agent.ask(pair.mirror()?).await?;
        self.known(&other)?;
        let own = pair.agent.ask(pair.agent.name()).await?;
        doing::known(&own)?;
        let system = |r: &Report| r.status.server.as_ref().map(|s| s.system_identifier);
        let same = system(&other).is_some() && system(&other) == system(&own);
        let standby = matches!(other.place, Place::Standby { .. });
        let before: Option<Before> = memory.of("check");
        let copied = before.is_some_and(|before| before.copied_at != other.copied_at);
        if standby && same && (!self.anew || copied) {
            return Ok(Observed::done("it has the data of this pool"));
        }
        Ok(Observed::NotYet(if other.note.is_empty() {
            format!("it is {}", place_word(&other.place))
        } else {
            other.note
        }))
    }

    async fn act(&self, _: &Memory) -> Result<(), StepError> {
        let me = self.pair.agent.name().to_owned();
        let order = Order::Clone { from: me.clone(), upstream: Some(me), fetch: Fetch::Follow };
        self.pair.agent.tell(self.pair.mirror()?, order, Duration::from_secs(24 * 3_600)).await?;
        Ok(())
    }
}

struct Attach(Pair);

#[async_trait]
impl Step for Attach {
    fn name(&self) -> &'static str {
        "attach"
    }

    fn title(&self) -> String {
        "Attach it, and let it catch up".into()
    }

    fn number(&self) -> u8 {
        3
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(3_600)
    }

    async fn observe(&self, _: &Memory) -> Result<Observed, StepError> {
        Ok(match self.0.follows().await? {
            true => Observed::done("it streams and has caught up"),
            false => Observed::NotYet("it does not stream yet, or is far behind".into()),
        })
    }

    async fn act(&self, _: &Memory) -> Result<(), StepError> {
        let me = self.0.agent.name().to_owned();
        let order = Order::Follow { upstream: Some(me), fetch: Fetch::Follow };
        self.0.agent.tell_shortly(self.0.mirror()?, order).await?;
        Ok(())
    }
}

struct WaitForIt(Pair);

#[async_trait]
impl Step for WaitForIt {
    fn name(&self) -> &'static str {
        "wait-for-it"
    }

    fn title(&self) -> String {
        if self.0.is_primary() {
            "Make commits wait for it".into()
        } else {
            "Leave it following, to be the mirror one day".into()
        }
    }

    fn number(&self) -> u8 {
        4
    }

    async fn observe(&self, _: &Memory) -> Result<Observed, StepError> {
        if !self.0.is_primary() {
            return Ok(Observed::done("it follows the backup"));
        }
        let agent = &self.0.agent;
        if agent.protection() != Protection::InSync {
            return Ok(Observed::NotYet("commits do not wait for it yet".into()));
        }
        let barrier = agent.instance().barrier(Duration::from_secs(2)).await?;
        Ok(match barrier.is_acknowledged() {
            true => Observed::done("in sync: it acknowledged a barrier"),
            false => Observed::NotYet("it has not acknowledged a barrier yet".into()),
        })
    }

    async fn act(&self, _: &Memory) -> Result<(), StepError> {
        let agent = &self.0.agent;
        let mirror = self.0.mirror()?.to_owned();
        agent.remember(|m| m.mirrored = true)?;
        // That it did not acknowledge a barrier in time, or that the witness did not answer, may pass; the keeper tries it too from now on.
        agent.with_turn(agent.rejoin(&mirror)).await.map_err(StepError::NoAnswer)
    }
}

/// The step of a failover that makes the backup mirror the mirror of the new primary: the same, as one.
pub(crate) async fn mirror_is_waited_for(agent: &Arc<Agent>) -> Result<Observed, StepError> {
    let pair = Pair::of(Arc::clone(agent));
    if pair.mirror.is_none() {
        return Ok(Observed::done("the topology names no other instance here: the pool stays exposed"));
    }
    WaitForIt(pair).observe(&Memory::default()).await
}

/// Brings that about: attached if it has the data, else copied first.
pub(crate) async fn make_mirror(agent: &Arc<Agent>) -> Result<(), StepError> {
    let install = InstallMirror::new(Arc::clone(agent), MirrorOptions::default());
    for step in install.steps() {
        let memory = Memory::default();
        if matches!(step.observe(&memory).await?, Observed::Done(..)) {
            continue;
        }
        step.act(&memory).await?;
        let deadline = tokio::time::Instant::now() + step.patience();
        while let Observed::NotYet(seen) = step.observe(&memory).await? {
            if tokio::time::Instant::now() > deadline {
                return Err(StepError::refused(format!("{}: {seen}", step.title())));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(())
}
