//! Taking the mirror away: the primary goes on without it, on record, and only then it is stopped. Carried out by the primary's agent.

use super::{Pair, place_word};
use crate::agent::Agent;
use crate::agent::order::Order;
use crate::agent::state::Place;
use crate::doing::LONG;
use crate::procedure::{Memory, Observed, Procedure, Step, StepError};
use crate::register::Protection;
use async_trait::async_trait;
use std::sync::Arc;

/// The removal of the mirror of this agent's instance.
pub(crate) struct RemoveMirror {
    steps: Vec<Box<dyn Step>>,
    title: String,
}

impl RemoveMirror {
    pub(crate) fn new(agent: Arc<Agent>) -> RemoveMirror {
        let title = format!("Take the mirror of {} away", agent.name());
        let pair = Pair::of(agent);
        let steps: Vec<Box<dyn Step>> =
            vec![Box::new(Check(pair.clone())), Box::new(GoOnAlone(pair.clone())), Box::new(StopIt(pair))];
        RemoveMirror { steps, title }
    }
}

impl Procedure for RemoveMirror {
    fn kind(&self) -> &'static str {
        "remove-mirror"
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
            2 => "The pool goes on exposed; the mirror was left running.".into(),
            _ => String::new(),
        }
    }
}

struct Check(Pair);

#[async_trait]
impl Step for Check {
    fn name(&self) -> &'static str {
        "check"
    }

    fn title(&self) -> String {
        "Look at the pool".into()
    }

    fn number(&self) -> u8 {
        1
    }

    async fn observe(&self, _: &Memory) -> Result<Observed, StepError> {
        let (agent, mirror) = (&self.0.agent, self.0.mirror()?);
        if !self.0.is_primary() {
            return Err(StepError::refused(format!(
                "{} is not the primary: nothing waits for {mirror} here; `holdfast instance stop {mirror}` stops it",
                agent.name()
            )));
        }
        Ok(Observed::done(format!("{} is the primary, {mirror} its mirror", agent.name())))
    }

    async fn act(&self, _: &Memory) -> Result<(), StepError> {
        Ok(())
    }
}

struct GoOnAlone(Pair);

#[async_trait]
impl Step for GoOnAlone {
    fn name(&self) -> &'static str {
        "go-on-alone"
    }

    fn title(&self) -> String {
        "Let commits wait for no mirror, on record".into()
    }

    fn number(&self) -> u8 {
        2
    }

    async fn observe(&self, _: &Memory) -> Result<Observed, StepError> {
        let remembered = self.0.agent.remembered();
        Ok(match (remembered.mirrored, remembered.protection) {
            // The keeper brings about what is put on record before an agent dies, so that this is so, or about to be.
            (false, Protection::Exposed) => Observed::done("exposed: commits wait for no mirror"),
            (true, _) => Observed::NotYet("a mirror is wanted still".into()),
            (false, Protection::InSync) => Observed::NotYet("commits wait for the mirror still".into()),
        })
    }

    async fn act(&self, _: &Memory) -> Result<(), StepError> {
        let agent = &self.0.agent;
        agent.remember(|m| m.mirrored = false)?;
        // The witness may not answer just now; the keeper tries it too from now on.
        agent.with_turn(agent.expose()).await.map_err(StepError::NoAnswer)
    }

    async fn undo(&self, _: &Memory) -> Result<(), StepError> {
        // It is counted on again as soon as it streams and has caught up.
        Ok(self.0.agent.remember(|m| m.mirrored = true)?)
    }
}

struct StopIt(Pair);

#[async_trait]
impl Step for StopIt {
    fn name(&self) -> &'static str {
        "stop"
    }

    fn title(&self) -> String {
        format!("Stop {}", self.0.mirror.as_deref().unwrap_or("the mirror"))
    }

    fn number(&self) -> u8 {
        3
    }

    async fn observe(&self, _: &Memory) -> Result<Observed, StepError> {
        let mirror = self.0.mirror()?;
        // The pool goes on; that its machine is away is perhaps why it is removed.
        let Ok(report) = self.0.agent.ask_who_may_be_away(mirror).await else {
            return Ok(Observed::done(format!(
                "{mirror} does not answer, and nothing waits for it: stop it when it is back, with `holdfast instance stop {mirror}`"
            )));
        };
        Ok(match report.place {
            Place::Stopped { .. } | Place::Fenced { .. } | Place::Empty if !report.is_up() => {
                Observed::done(format!("{mirror} is {}", place_word(&report.place)))
            }
            _ => Observed::NotYet(format!("{mirror} runs still")),
        })
    }

    async fn act(&self, _: &Memory) -> Result<(), StepError> {
        self.0.agent.tell(self.0.mirror()?, Order::Stop, LONG).await?;
        Ok(())
    }

    async fn undo(&self, _: &Memory) -> Result<(), StepError> {
        self.0.agent.tell_shortly(self.0.mirror()?, Order::Start).await?;
        Ok(())
    }
}
