//! The engine that carries a procedure out.

use super::failpoint;
use super::journal::{Journal, JournalError, Phase, Record};
use super::step::{MOST_SILENCE, Memory, Observed, Procedure, Step, StepError};
use super::view::{OperationState, OperationView, StepState, StepView};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

/// Between two looks at an outcome that is waited for.
const MOMENT: Duration = Duration::from_millis(20);
/// Before what gave no answer is asked again.
const AGAIN: Duration = Duration::from_millis(500);

/// Answers to what was asked, by name, with which an operation goes on.
pub type Answer = BTreeMap<String, Value>;

/// Where copies of the journal's records go beside the agent's own disk; best effort.
pub type Copies = mpsc::UnboundedSender<(String, Vec<u8>)>;

/// An operation: a procedure with its journal.
pub struct Operation {
    procedure: Arc<dyn Procedure>,
    journal: Journal,
    memory: Memory,
    view: watch::Sender<OperationView>,
    copies: Option<Copies>,
}

impl Operation {
    /// Begins one, with `options` kept for a resume.
    ///
    /// # Errors
    /// When the journal cannot be written: then nothing was begun.
    pub fn begin(
        procedure: Arc<dyn Procedure>,
        dir: &Path,
        id: &str,
        instance: &str,
        by: &str,
        options: Value,
        copies: Option<Copies>,
    ) -> Result<Operation, JournalError> {
        let journal = Journal::create(dir)?;
        let view = OperationView {
            id: id.to_owned(),
            kind: procedure.kind().to_owned(),
            title: procedure.title(),
            instance: instance.to_owned(),
            by: by.to_owned(),
            begun: Timestamp::now(),
            ended: None,
            state: OperationState::Paused,
            steps: procedure.steps().iter().map(|s| waiting(s.as_ref())).collect(),
            asks: None,
            unchanged: procedure.unchanged(0),
            options: options.clone(),
            result: Value::Null,
        };
        let mut operation =
            Operation { procedure, journal, memory: Memory::default(), view: watch::Sender::new(view), copies };
        let title = operation.procedure.title();
        operation.record("", Phase::Opened, &title, None, options)?;
        Ok(operation)
    }

    /// Takes up one that was begun before the agent was restarted.
    pub fn resume(procedure: Arc<dyn Procedure>, journal: Journal, copies: Option<Copies>) -> Option<Operation> {
        let opened = journal.records().first()?.clone();
        let mut steps: Vec<StepView> = procedure.steps().iter().map(|s| waiting(s.as_ref())).collect();
        let mut memory = Memory::default();
        for record in journal.records() {
            if record.phase == Phase::Answered
                && let Ok(answers) = serde_json::from_value(record.evidence.clone())
            {
                memory.keep_answers(answers);
            }
            let Some(step) = steps.iter_mut().find(|s| s.name == record.step) else { continue };
            step.observed.clone_from(&record.told);
            step.state = match record.phase {
                Phase::Done => StepState::Done,
                Phase::Undone => StepState::Undone,
                Phase::Intent | Phase::Failed => StepState::Failed,
                _ => continue,
            };
            if record.phase == Phase::Done {
                step.ms = record.ms;
                memory.keep(&record.step, record.evidence.clone());
            } else if record.phase == Phase::Undone {
                memory.forget(&record.step);
            }
        }
        let last = journal.records().last().map(|r| (r.phase, r.at, r.evidence.clone()));
        let (state, ended, result) = match last {
            Some((Phase::Closed, at, result)) => (OperationState::Done, Some(at), result),
            Some((Phase::Aborted, at, _)) => (OperationState::Aborted, Some(at), Value::Null),
            _ => (OperationState::Stopped, None, Value::Null),
        };
        let next = steps.iter().position(|s| s.state != StepState::Done).unwrap_or(steps.len());
        let view = OperationView {
            id: opened.operation,
            kind: procedure.kind().to_owned(),
            title: procedure.title(),
            instance: opened.instance,
            by: opened.by,
            begun: opened.at,
            ended,
            state,
            steps,
            asks: None,
            unchanged: procedure.unchanged(next),
            options: opened.evidence,
            result,
        };
        Some(Operation { procedure, journal, memory, view: watch::Sender::new(view), copies })
    }

    /// What is to be seen of it, now and later.
    pub fn watch(&self) -> watch::Receiver<OperationView> {
        self.view.subscribe()
    }

    /// What it left so far.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Keeps what a person answered.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn answer(&mut self, by: &str, answers: Answer) -> Result<(), JournalError> {
        if answers.is_empty() {
            return Ok(());
        }
        let evidence = serde_json::to_value(&answers).unwrap_or(Value::Null);
        self.record_by(by, "", Phase::Answered, "answered", None, evidence)?;
        self.memory.keep_answers(answers);
        Ok(())
    }

    /// Seen as at work from now on: whoever asked for it must not take it for over before it has begun.
    pub fn mark_running(&self) {
        self.show(|v| {
            v.state = OperationState::Running;
            v.asks = None;
        });
    }

    /// Carries on, through the runbook's step `through` or to the end; returns when it has stopped for whatever reason, which the view says.
    pub async fn go(&mut self, through: Option<u8>) {
        self.mark_running();
        let procedure = Arc::clone(&self.procedure);
        for (i, step) in procedure.steps().iter().enumerate() {
            if through.is_some_and(|last| step.number() > last) {
                self.show(|v| v.state = OperationState::Paused);
                return;
            }
            if self.journal.evidence_of(step.name()).is_some() {
                continue;
            }
            let unchanged = procedure.unchanged(i);
            self.show(|v| v.unchanged = unchanged);
            if !self.take(i, step.as_ref()).await {
                return;
            }
        }
        let result = self.memory.of::<Value>("report").unwrap_or(Value::Null);
        if let Err(error) = self.record("", Phase::Closed, "done", None, result.clone()) {
            return self.stop(None, &error.to_string());
        }
        let unchanged = procedure.unchanged(procedure.steps().len());
        self.show(|v| {
            v.state = OperationState::Done;
            v.ended = Some(Timestamp::now());
            v.result = result;
            v.unchanged = unchanged;
        });
    }

    /// Whether the point of no return lies behind, or may.
    pub fn is_past_return(&self) -> bool {
        let crossed = |step: &dyn Step| {
            step.is_point_of_no_return()
                && self.journal.last_of(step.name()).is_some_and(|r| !matches!(r.phase, Phase::Undone))
        };
        self.procedure.steps().iter().any(|step| crossed(step.as_ref()))
    }

    /// Undoes what was done, last first.
    pub async fn abort(&mut self, by: &str) {
        let procedure = Arc::clone(&self.procedure);
        self.mark_running();
        for (i, step) in procedure.steps().iter().enumerate().rev() {
            let name = step.name();
            // What was only intended may have happened.
            if !self
                .journal
                .last_of(name)
                .is_some_and(|r| matches!(r.phase, Phase::Done | Phase::Intent | Phase::Failed))
            {
                continue;
            }
            failpoint::reach(procedure.kind(), name, "undo");
            if let Err(error) = self.undo(i, step.as_ref()).await {
                return self.stop(Some(i), &format!("it cannot be undone: {error}"));
            }
            self.memory.forget(name);
            if let Err(error) = self.record_by(by, name, Phase::Undone, "undone", None, Value::Null) {
                return self.stop(Some(i), &error.to_string());
            }
            self.show_step(i, |s| s.state = StepState::Undone);
        }
        if let Err(error) = self.record_by(by, "", Phase::Aborted, "aborted", None, Value::Null) {
            return self.stop(None, &error.to_string());
        }
        let unchanged = procedure.unchanged(0);
        self.show(|v| {
            v.state = OperationState::Aborted;
            v.ended = Some(Timestamp::now());
            v.unchanged = unchanged;
        });
    }

    /// Does one step; whether its outcome was observed and written down.
    async fn take(&mut self, i: usize, step: &dyn Step) -> bool {
        let (kind, name) = (self.procedure.kind(), step.name());
        let begun = Instant::now();
        self.show_step(i, |s| {
            s.state = StepState::Running;
            s.observed.clear();
        });
        match self.bring_about(i, step).await {
            Ok((told, evidence)) => {
                let ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
                failpoint::reach(kind, name, "observed");
                if let Err(error) = self.record(name, Phase::Done, &told, Some(ms), evidence.clone()) {
                    self.stop(Some(i), &error.to_string());
                    return false;
                }
                failpoint::reach(kind, name, "done-written");
                self.memory.keep(name, evidence);
                self.show_step(i, |s| {
                    s.state = StepState::Done;
                    s.observed = told;
                    s.ms = Some(ms);
                });
                true
            }
            Err(StepError::Asks(question)) => {
                self.show_step(i, |s| {
                    s.state = StepState::Waiting;
                    s.observed.clone_from(&question.text);
                });
                self.show(|v| {
                    v.state = OperationState::Asks;
                    v.asks = Some(*question);
                });
                false
            }
            Err(StepError::Refused(why) | StepError::NoAnswer(why)) => {
                // That it failed is of less weight than that it is said.
                let _ = self.record(name, Phase::Failed, &why, None, Value::Null);
                self.stop(Some(i), &why);
                if i == 0 {
                    self.give_up_unbegun();
                }
                false
            }
        }
    }

    async fn bring_about(&mut self, i: usize, step: &dyn Step) -> Result<(String, Value), StepError> {
        let (kind, name) = (self.procedure.kind(), step.name());
        if let Observed::Done(told, evidence) = self.observe(i, step).await? {
            return Ok((told, evidence));
        }
        failpoint::reach(kind, name, "before-intent");
        self.record(name, Phase::Intent, &step.title(), None, Value::Null)
            .map_err(|e| StepError::refused(e.to_string()))?;
        failpoint::reach(kind, name, "intent-written");
        self.act(i, step).await?;
        failpoint::reach(kind, name, "acted");
        let deadline = Instant::now() + step.patience();
        loop {
            let seen = match self.observe(i, step).await? {
                Observed::Done(told, evidence) => return Ok((told, evidence)),
                Observed::NotYet(seen) => seen,
            };
            if Instant::now() > deadline {
                let waited = step.patience().as_secs();
                return Err(StepError::refused(format!("after {waited} s its outcome is not there: {seen}")));
            }
            tokio::time::sleep(MOMENT).await;
        }
    }

    /// Looks at a step's outcome; asks again what gives no answer.
    async fn observe(&self, i: usize, step: &dyn Step) -> Result<Observed, StepError> {
        let mut silent = None;
        loop {
            match step.observe(&self.memory).await {
                Err(StepError::NoAnswer(why)) => self.silence(i, step, &why, &mut silent).await?,
                answered => {
                    if silent.is_some() {
                        self.show_step(i, |s| s.observed.clear());
                    }
                    return answered;
                }
            }
        }
    }

    /// Acts. When there was no answer, it may have been done all the same; else it is done again.
    async fn act(&self, i: usize, step: &dyn Step) -> Result<(), StepError> {
        let mut silent = None;
        loop {
            match step.act(&self.memory).await {
                Err(StepError::NoAnswer(why)) => self.silence(i, step, &why, &mut silent).await?,
                acted => return acted,
            }
            if let Observed::Done(..) = self.observe(i, step).await? {
                return Ok(());
            }
        }
    }

    async fn undo(&self, i: usize, step: &dyn Step) -> Result<(), StepError> {
        let mut silent = None;
        loop {
            match step.undo(&self.memory).await {
                Err(StepError::NoAnswer(why)) => self.silence(i, step, &why, &mut silent).await?,
                undone => return undone,
            }
        }
    }

    /// Says that there was no answer, and waits a moment; not for longer than the step has. `since`: when there was none for the first time.
    async fn silence(
        &self,
        i: usize,
        step: &dyn Step,
        why: &str,
        since: &mut Option<Instant>,
    ) -> Result<(), StepError> {
        let most = step.patience().min(MOST_SILENCE);
        let begun = *since.get_or_insert_with(|| {
            tracing::warn!(step = step.name(), why, "no answer; it is asked again");
            Instant::now()
        });
        if begun.elapsed() > most {
            return Err(StepError::refused(format!("{why}; it was asked again for {} s", most.as_secs())));
        }
        self.show_step(i, |s| s.observed = format!("{why}; it is asked again"));
        tokio::time::sleep(AGAIN.min(most)).await;
        Ok(())
    }

    /// The first step only looks. What is refused there has changed nothing, and leaves nothing that would have to be aborted.
    fn give_up_unbegun(&mut self) {
        if self.record("", Phase::Aborted, "refused", None, Value::Null).is_ok() {
            self.show(|v| {
                v.state = OperationState::Aborted;
                v.ended = Some(Timestamp::now());
            });
        }
    }

    fn stop(&self, i: Option<usize>, why: &str) {
        if let Some(i) = i {
            self.show_step(i, |s| {
                s.state = StepState::Failed;
                why.clone_into(&mut s.observed);
            });
        }
        self.show(|v| v.state = OperationState::Stopped);
        tracing::warn!(why, "a procedure stopped");
    }

    fn show(&self, change: impl FnOnce(&mut OperationView)) {
        self.view.send_modify(change);
    }

    fn show_step(&self, i: usize, change: impl FnOnce(&mut StepView)) {
        self.view.send_modify(|v| {
            if let Some(step) = v.steps.get_mut(i) {
                change(step);
            }
        });
    }

    fn record(
        &mut self,
        step: &str,
        phase: Phase,
        told: &str,
        ms: Option<u64>,
        evidence: Value,
    ) -> Result<(), JournalError> {
        let by = self.view.borrow().by.clone();
        self.record_by(&by, step, phase, told, ms, evidence)
    }

    fn record_by(
        &mut self,
        by: &str,
        step: &str,
        phase: Phase,
        told: &str,
        ms: Option<u64>,
        evidence: Value,
    ) -> Result<(), JournalError> {
        let (operation, instance) = {
            let view = self.view.borrow();
            (view.id.clone(), view.instance.clone())
        };
        let record = Record {
            number: 0,
            operation,
            step: step.to_owned(),
            phase,
            at: Timestamp::now(),
            by: by.to_owned(),
            instance,
            told: told.to_owned(),
            ms,
            evidence,
            previous: String::new(),
        };
        let copy = self.journal.write(record)?;
        if let Some(copies) = &self.copies {
            // Nobody takes them when the agent ends.
            let _ = copies.send(copy);
        }
        Ok(())
    }
}

fn waiting(step: &dyn Step) -> StepView {
    StepView {
        number: step.number(),
        name: step.name().to_owned(),
        title: step.title(),
        state: StepState::Waiting,
        observed: String::new(),
        ms: None,
        point_of_no_return: step.is_point_of_no_return(),
    }
}

#[cfg(test)]
mod tests;
