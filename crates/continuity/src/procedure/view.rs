//! What a terminal or a page sees of an operation.

use super::step::Question;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How a step is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepState {
    /// Not begun.
    Waiting,
    /// At work.
    Running,
    /// Its outcome was observed.
    Done,
    /// It stopped; it may be resumed.
    Failed,
    /// It was taken back.
    Undone,
}

/// A step as it is shown.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct StepView {
    /// The runbook's step that it is part of; 0: before the first.
    pub number: u8,
    /// In the journal.
    pub name: String,
    /// For people.
    pub title: String,
    /// How it is.
    pub state: StepState,
    /// What was observed, or why it stopped.
    pub observed: String,
    /// Milliseconds that it took.
    pub ms: Option<u64>,
    /// Whether there is no way back once it has acted.
    pub point_of_no_return: bool,
}

/// How an operation is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OperationState {
    /// At work.
    Running,
    /// All that was asked for was done; more steps are left.
    Paused,
    /// A person has to decide.
    Asks,
    /// A step failed, or the agent was restarted: resume or abort.
    Stopped,
    /// Over, successfully.
    Done,
    /// Over, everything undone.
    Aborted,
}

impl OperationState {
    /// Whether nothing of it is left to do.
    pub fn is_over(self) -> bool {
        matches!(self, OperationState::Done | OperationState::Aborted)
    }

    /// Whether it does something now.
    pub fn is_running(self) -> bool {
        self == OperationState::Running
    }
}

/// An operation as it is shown.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct OperationView {
    /// Its id.
    pub id: String,
    /// `failover`, ...
    pub kind: String,
    /// For people.
    pub title: String,
    /// The instance whose agent carries it out.
    pub instance: String,
    /// Who began it.
    pub by: String,
    /// When it was begun.
    pub begun: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// How it is.
    pub state: OperationState,
    /// Its steps.
    pub steps: Vec<StepView>,
    /// What is asked.
    pub asks: Option<Question>,
    /// What has not been changed so far.
    pub unchanged: String,
    /// The options with which it was begun.
    pub options: Value,
    /// What it leaves at the end.
    pub result: Value,
}
