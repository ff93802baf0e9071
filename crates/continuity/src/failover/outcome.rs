//! What is reported when a failover is over.

use super::evidence::Evidence;
use super::loss::Loss;
use crate::procedure::{OperationView, StepState};
use serde::{Deserialize, Serialize};

/// One step, as it was.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StepOutcome {
    /// The runbook's number.
    pub number: u8,
    /// Its name.
    pub name: String,
    /// What it does.
    pub title: String,
    /// How long it took.
    pub ms: u64,
    /// What was observed.
    pub observed: String,
}

/// The report.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// The site that was left.
    pub from_site: String,
    /// The site that is live.
    pub to_site: String,
    /// The instance that takes writes.
    pub primary: String,
    /// Its epoch.
    pub epoch: u64,
    /// Its timeline.
    pub timeline: u32,
    /// Where that branches off.
    pub fork: String,
    /// What was lost, as it was shown and accepted.
    pub loss: Loss,
    /// In words.
    pub loss_told: String,
    /// Who accepted it.
    pub accepted_by: String,
    /// The evidence that the other site is fenced.
    pub fence: Option<Evidence>,
    /// How the pool is protected now.
    pub protection: String,
    /// The servers that take clients.
    pub active: Vec<String>,
    /// When it was over.
    pub at: jiff::Timestamp,
}

/// The steps that were done, from what is shown of an operation.
pub fn steps_of(view: &OperationView) -> Vec<StepOutcome> {
    let done = view.steps.iter().filter(|s| s.state == StepState::Done);
    done.map(|s| StepOutcome {
        number: s.number,
        name: s.name.clone(),
        title: s.title.clone(),
        ms: s.ms.unwrap_or(0),
        observed: s.observed.clone(),
    })
    .collect()
}
