//! The steps of a failover. Their numbers are the runbook's; 0 is what comes before its first, 8 what comes after its last.

mod before;
mod log;
mod service;
mod takeover;

use super::FailoverOptions;
use crate::agent::Agent;
use crate::procedure::{Memory, Step, StepError};
use before::{Fence, LookAtPool};
use log::{Apply, Copy, EndShipping};
use serde::{Deserialize, Serialize};
use service::{BuildMirror, Prove, ReportIt, Seal, SetActive, SetState};
use std::sync::Arc;
use takeover::{CloseDoor, Confirm, MakeClaim, Promote, WriteEpoch};
use uuid::Uuid;

/// Whose steps.
#[derive(Clone)]
pub(super) struct Of {
    pub(super) agent: Arc<Agent>,
    pub(super) options: Arc<FailoverOptions>,
}

/// All of them. Unless they are done one by one, clients come in before the mirror is built.
pub(super) fn all(of: &Of) -> Vec<Box<dyn Step>> {
    let mut steps: Vec<Box<dyn Step>> = vec![
        Box::new(LookAtPool(of.clone())),
        Box::new(Fence(of.clone())),
        Box::new(EndShipping(of.clone())),
        Box::new(Copy(of.clone())),
        Box::new(Apply(of.clone())),
        Box::new(Confirm(of.clone())),
        Box::new(CloseDoor(of.clone())),
        Box::new(MakeClaim(of.clone())),
        Box::new(Promote(of.clone())),
        Box::new(WriteEpoch(of.clone())),
        Box::new(SetState(of.clone())),
    ];
    let mirror: Box<dyn Step> = Box::new(BuildMirror(of.clone()));
    let servers: Box<dyn Step> = Box::new(SetActive(of.clone()));
    if of.options.in_order {
        steps.extend([mirror, servers]);
    } else {
        steps.extend([servers, mirror]);
    }
    steps.extend([
        Box::new(Prove { of: of.clone(), client_id: Uuid::new_v4() }) as Box<dyn Step>,
        Box::new(Seal(of.clone())),
        Box::new(ReportIt(of.clone())),
    ]);
    steps
}

/// What the first step found.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Found {
    from_site: String,
    primary: String,
    epoch: u64,
    state: String,
    upstream: Option<String>,
    backup_mirror: Option<String>,
}

fn memory_of<T: serde::de::DeserializeOwned>(memory: &Memory, step: &str) -> Result<T, StepError> {
    memory.of(step).ok_or_else(|| StepError::refused(format!("the proof of the step `{step}` is missing")))
}

fn found(memory: &Memory) -> Result<Found, StepError> {
    memory_of(memory, "check")
}
