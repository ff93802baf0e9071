//! The agents ask each other how they are, several times a second, and pass on what they hear of claims.

use super::heard::Heard;
use super::report::Report;
use super::{Agent, lock};
use crate::durable;
use crate::register::Protection;
use crate::wire::{Remote, RemoteError};
use crate::witness::Ask;
use holdfast_wal::Lineage;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Between two questions.
const EVERY: Duration = Duration::from_millis(250);
/// For an answer. Longer than PostgreSQL may take to say how it is.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often what was heard is kept for after a restart.
const KEPT_EVERY: Duration = Duration::from_secs(1);

/// Asks one other agent until the end.
pub(super) async fn ask_for_ever(agent: Arc<Agent>, other: Arc<Remote>) {
    while !agent.shutdown.is_cancelled() {
        ask_once(&agent, &other).await;
        tokio::time::sleep(EVERY).await;
    }
}

/// Asks one other agent.
pub(super) async fn ask_once(agent: &Agent, other: &Remote) -> Option<Report> {
    let asked = Instant::now();
    let answer: Result<Report, RemoteError> = other.get("/v1/report", PATIENCE).await;
    match answer {
        Ok(report) => {
            take_over(agent, &report);
            lock(&agent.others).note(other.name(), report.clone(), asked);
            Some(report)
        }
        Err(error) => {
            lock(&agent.others).note_silence(other.name(), error.to_string(), Instant::now());
            None
        }
    }
}

/// What another one knows is known here from then on. How the pool is protected is said by its primary.
fn take_over(agent: &Agent, report: &Report) {
    let remembered = agent.memory.now();
    let lineage = Lineage::new(report.claims.clone(), report.openings.clone());
    let learned = remembered.clone().learn(&lineage);
    let newest = report.claims.last();
    let primary = newest.is_some_and(|c| c.holder == report.instance) && report.epoch() >= remembered.epoch();
    let other_protection = primary && report.protection != remembered.protection;
    if learned || other_protection {
        let kept = agent.remember(|m| {
            m.learn(&lineage);
            if primary {
                m.protection = report.protection;
            }
        });
        if let Err(error) = kept {
            tracing::error!(error, "what was heard cannot be written down");
        }
    }
}

/// Writes down now and then what the others said: should this agent be restarted after they have gone, it is what is known of them.
pub(super) async fn keep_what_was_heard(agent: Arc<Agent>) {
    let path = agent.me.data.join("heard.json");
    while !agent.shutdown.is_cancelled() {
        tokio::time::sleep(KEPT_EVERY).await;
        let kept = lock(&agent.others).to_keep();
        let path = path.clone();
        let written = tokio::task::spawn_blocking(move || durable::write(&path, &kept)).await;
        if let Ok(Err(error)) = written {
            tracing::warn!(%error, "what was heard cannot be kept");
        }
    }
}

impl Agent {
    /// What another one said last.
    pub(crate) fn heard_of(&self, name: &str) -> Option<Heard> {
        lock(&self.others).get(name).cloned()
    }

    /// A witness that lost its memory is told what is known here.
    pub(super) async fn remind_witness(&self) {
        let Some(witness) = &self.witness else { return };
        let Ok(register) = witness.register().await else { return };
        if register.relearning.is_none() {
            return;
        }
        let remembered = self.memory.now();
        let (epoch, holder) = remembered.newest().map_or((0, String::new()), |c| (c.epoch, c.holder.clone()));
        let protection = if epoch == 0 { Protection::Exposed } else { remembered.protection };
        let _ = witness.ask(&Ask::Tell { epoch, holder, protection }).await;
    }
}
