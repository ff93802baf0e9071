//! What a step is.

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// For how long what gives no answer is asked again, at most. A step that waits a day for its outcome does not wait a day for a machine that is gone.
pub const MOST_SILENCE: Duration = Duration::from_secs(300);

/// What a look at the world shows of a step's outcome.
#[derive(Clone, PartialEq, Debug)]
pub enum Observed {
    /// It is there: in words, and for later steps.
    Done(String, Value),
    /// It is not there (yet), and what is instead.
    NotYet(String),
}

impl Observed {
    /// Done, with nothing for later steps.
    pub fn done(told: impl Into<String>) -> Observed {
        Observed::Done(told.into(), Value::Null)
    }

    /// Done, with evidence.
    pub fn done_with(told: impl Into<String>, evidence: &impl Serialize) -> Observed {
        Observed::Done(told.into(), serde_json::to_value(evidence).unwrap_or(Value::Null))
    }
}

/// Why a step stopped.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// It cannot be done as things are: what was observed, and what to do next.
    #[error("{0}")]
    Refused(String),
    /// What has to be known, or is to do it, gives no answer just now, as on a machine that is busy. Nothing is known to be wrong: it is asked again, within the
    /// step's own time.
    #[error("{0}")]
    NoAnswer(String),
    /// A person has to decide.
    #[error("{0}")]
    Asks(Box<Question>),
}

impl StepError {
    /// A refusal.
    pub fn refused(why: impl Into<String>) -> StepError {
        StepError::Refused(why.into())
    }

    /// No answer: who did not answer, and why.
    pub fn no_answer(why: impl Into<String>) -> StepError {
        StepError::NoAnswer(why.into())
    }
}

/// What a person is asked before the step can be done.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, thiserror::Error)]
#[error("{text}")]
pub struct Question {
    /// In words.
    pub text: String,
    /// For whoever asks on behalf of the procedure.
    pub details: Value,
}

/// What earlier steps left, and what persons answered.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    evidence: BTreeMap<String, Value>,
    answers: BTreeMap<String, Value>,
}

impl Memory {
    /// What a step left when it was done.
    pub fn of<T: DeserializeOwned>(&self, step: &str) -> Option<T> {
        self.evidence.get(step).and_then(|v| serde_json::from_value(v.clone()).ok())
    }

    /// What was answered under a name.
    pub fn answer<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        self.answers.get(name).and_then(|v| serde_json::from_value(v.clone()).ok())
    }

    pub(super) fn keep(&mut self, step: &str, evidence: Value) {
        self.evidence.insert(step.to_owned(), evidence);
    }

    pub(super) fn forget(&mut self, step: &str) {
        self.evidence.remove(step);
    }

    pub(super) fn keep_answers(&mut self, answers: BTreeMap<String, Value>) {
        self.answers.extend(answers);
    }
}

/// One step of a procedure.
#[async_trait]
pub trait Step: Send + Sync {
    /// Its name in the journal: `copy`.
    fn name(&self) -> &'static str;

    /// What it does, for people: `Copy what is only on the share`.
    fn title(&self) -> String;

    /// The step of the runbook that it is a part of; 0 for what comes before the first.
    fn number(&self) -> u8;

    /// Whether there is no way back once it has acted.
    fn is_point_of_no_return(&self) -> bool {
        false
    }

    /// For how long its outcome is waited for after it has acted; and for how long what gives no answer is asked again, up to [`MOST_SILENCE`].
    fn patience(&self) -> Duration {
        Duration::from_secs(60)
    }

    /// Looks whether its outcome is there.
    ///
    /// # Errors
    /// When that cannot be found out: *unknown* is never taken for a yes or a no. What may be found out when it is asked again is
    /// [`StepError::NoAnswer`].
    async fn observe(&self, memory: &Memory) -> Result<Observed, StepError>;

    /// Does what brings its outcome about. Asked again after a crash, it must come to the same.
    ///
    /// # Errors
    /// When it cannot be done, or a person has to decide. After [`StepError::NoAnswer`] its outcome is looked at, and it is done again.
    async fn act(&self, memory: &Memory) -> Result<(), StepError>;

    /// Takes it back, when the procedure is aborted before its point of no return.
    ///
    /// # Errors
    /// When that cannot be done.
    async fn undo(&self, _memory: &Memory) -> Result<(), StepError> {
        Ok(())
    }
}

/// A procedure: its steps, in order.
pub trait Procedure: Send + Sync {
    /// `failover`, `switchover`, `mirror`.
    fn kind(&self) -> &'static str;

    /// For people: `Fail over to bos`.
    fn title(&self) -> String;

    /// The steps.
    fn steps(&self) -> &[Box<dyn Step>];

    /// A sentence on what has not been changed while the steps before `next` are done.
    fn unchanged(&self, next: usize) -> String;
}
