//! Failing over to this agent's site: the runbook, step by step, each with its proof before the next.
//!
//! [`plan`] says beforehand what would happen; [`evidence`] why the other site cannot take writes any more; [`copy`] and [`loss`] what there is and
//! what is lost; `probe` whether clients can work; [`steps`] are the steps themselves; [`outcome`] is what is reported at the end.

pub mod copy;
pub mod evidence;
pub mod loss;
pub mod outcome;
pub mod plan;
mod probe;
mod steps;

use crate::agent::Agent;
use crate::procedure::{Procedure, Step};
use evidence::FenceSpec;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Epochs of different sites are never the same: a change of site goes on to the next thousand.
pub const EPOCHS_OF_A_SITE: u64 = 1_000;
/// Numbers of timelines that are left to the other site, which may promote too while it is cut off.
pub const RESERVED_TIMELINES: u32 = 16;

/// With what a failover is begun.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FailoverOptions {
    /// Why the other site cannot take writes.
    pub fence: Option<FenceSpec>,
    /// How many acknowledged entries may be lost; asked for if not given.
    pub accept_loss: Option<u64>,
    /// Go on although the log on the share has a fault: up to it, and no further.
    pub accept_gap: bool,
    /// Go on without the share, with what was received by streaming alone.
    pub without_share: bool,
    /// The servers that take clients afterwards; empty: those of this site.
    pub servers: Vec<String>,
    /// Let a server take clients although the database is far from it.
    pub far: bool,
    /// One step of the runbook after the other, in its order: then clients come in last, after the mirror.
    pub in_order: bool,
    /// Red checks that are passed over, by name.
    pub accept: Vec<String>,
}

/// A failover.
pub(crate) struct Failover {
    steps: Vec<Box<dyn Step>>,
    title: String,
}

impl Failover {
    pub(crate) fn new(agent: Arc<Agent>, options: FailoverOptions) -> Failover {
        let title = format!("Fail over to {}", agent.site());
        let of = steps::Of { agent, options: Arc::new(options) };
        Failover { steps: steps::all(&of), title }
    }
}

impl Procedure for Failover {
    fn kind(&self) -> &'static str {
        "failover"
    }

    fn title(&self) -> String {
        self.title.clone()
    }

    fn steps(&self) -> &[Box<dyn Step>] {
        &self.steps
    }

    fn unchanged(&self, next: usize) -> String {
        let name = self.steps.get(next).map_or("", |s| s.name());
        let past = self.steps.iter().take(next).any(|s| s.is_point_of_no_return());
        match name {
            "check" | "fence" => "Nothing has been changed.".into(),
            "end-shipping" => {
                "Nothing has been changed in this site; the other one has been fenced as was said.".into()
            }
            "copy" | "apply" | "confirm" | "close" | "claim" => {
                "The backup is a standby still, and nothing of it is lost: aborting lets it follow again.".into()
            }
            "" => String::new(),
            _ if past => {
                "The new epoch is claimed: the other site cannot take a message any more, and this one goes on.".into()
            }
            _ => String::new(),
        }
    }
}
