//! Who is asked, and what their answers come to: the agents as all commands about sites have them, with what an administrator says beside his lines.

use crate::commands::sites;
use crate::exit::{Exit, code_of};
use holdfast_continuity::agent::operations::{Begin, Go, Spec};
use holdfast_continuity::agent::order::{Obeyed, Order};
use holdfast_continuity::failover::evidence::FenceSpec;
use holdfast_continuity::procedure::{OperationState, OperationView, StepState, StepView};
use holdfast_continuity::topology::Topology;
use holdfast_shell::{Refusal, RefusalKind, Told};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::IsTerminal as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Between two looks at what is being carried out.
const MOMENT: Duration = Duration::from_millis(50);
/// For how long an agent that carries something out may be silent, as when it is restarted.
const SILENCE: Duration = Duration::from_secs(60);

pub(super) type Answer<T> = Result<T, Refusal>;

/// The pool, for one session.
pub(super) struct Agents {
    agents: sites::Agents,
    fence: Option<FenceSpec>,
    accept_loss: Option<u64>,
    /// The most that was shown to be lost.
    shown: Mutex<Option<u64>>,
}

/// The pool as its agents see it now.
pub(super) type Pool<'a> = sites::Seen<'a>;

/// A failover that was begun and is not over.
pub(super) fn failover<'a>(pool: &'a Pool<'_>) -> Option<&'a OperationView> {
    let operations = pool.reports.iter().filter_map(|(_, r)| r.as_ref().ok()?.operation.as_ref());
    operations.filter(|o| o.kind == "failover" && !o.state.is_over()).max_by_key(|o| o.begun)
}

/// The instance that lines are about: the one that is being failed over to; else the primary; else, when that is gone, the backup.
pub(super) fn subject<'a>(pool: &'a Pool<'_>) -> &'a str {
    if let Some(failover) = failover(pool) {
        return &failover.instance;
    }
    match (pool.primary(), pool.roles.backup) {
        (None, Some(backup)) => &backup.name,
        _ => &pool.roles.primary.name,
    }
}

impl Agents {
    /// A session with `agents`, and what is said beside all of its lines.
    pub(super) fn new(agents: sites::Agents, fence: Option<FenceSpec>, accept_loss: Option<u64>) -> Agents {
        Agents { agents, fence, accept_loss, shown: Mutex::default() }
    }

    /// What describes the pool.
    pub(super) fn topology(&self) -> &Topology {
        &self.agents.topology
    }

    /// The evidence: of the line, or of the session.
    pub(super) fn fence(&self, said: Option<&str>) -> Answer<Option<FenceSpec>> {
        match said {
            Some(said) => said.parse().map(Some).map_err(|why: String| Refusal::refused(sentence(&why))),
            None => Ok(self.fence.clone()),
        }
    }

    /// How many entries may be lost: as the line says, or the session, or as many as were shown.
    pub(super) fn limit(&self, said: Option<u64>) -> Option<u64> {
        said.or(self.accept_loss).or(*self.shown.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// So many were shown to be lost.
    pub(super) fn shows(&self, entries: u64) {
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(entries);
    }

    /// Asks all agents how things are.
    pub(super) async fn look(&self) -> Answer<Pool<'_>> {
        self.agents.look().await.map_err(|e| refusal(&e))
    }

    /// Asks an agent for something.
    pub(super) async fn get<T: DeserializeOwned>(&self, instance: &str, path: &str) -> Answer<T> {
        self.agents.get(instance, path).await.map_err(|e| refusal(&e))
    }

    /// Has an agent do something.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        instance: &str,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> Answer<T> {
        self.agents.post(instance, path, body).await.map_err(|e| refusal(&e))
    }

    /// Gives an order.
    pub(super) async fn order(&self, instance: &str, order: &Order) -> Answer<Obeyed> {
        self.agents.order(instance, order).await.map_err(|e| refusal(&e))
    }

    /// Begins an operation and waits until it rests.
    pub(super) async fn begin(&self, instance: &str, spec: Spec, through: Option<u8>) -> Answer<OperationView> {
        let begun: OperationView =
            self.post(instance, "/v1/operation/begin", &Begin { spec, through, steal: None }).await?;
        self.watch(instance, &begun).await
    }

    /// Lets an operation go on, and waits until it rests again.
    pub(super) async fn go(&self, operation: &OperationView, go: Go) -> Answer<OperationView> {
        let gone: OperationView = self.post(&operation.instance, "/v1/operation/go", &go).await?;
        self.watch(&operation.instance, &gone).await
    }

    /// Waits until an operation rests. It is carried out by the agent: that we watch makes no difference to it. What was observed is the line's answer;
    /// meanwhile a person at a terminal sees what is at work.
    async fn watch(&self, instance: &str, begun: &OperationView) -> Answer<OperationView> {
        let remote = self.agents.remote(instance).map_err(|e| refusal(&e))?;
        let next = "holdfast failover status";
        let mut heard = Instant::now();
        let mut at = String::new();
        loop {
            match remote.get::<Option<OperationView>>("/v1/operation", sites::ASKING).await {
                Ok(Some(view)) if view.id == begun.id => {
                    heard = Instant::now();
                    let running = view.steps.iter().find(|s| s.state == StepState::Running);
                    if let Some(step) = running.filter(|s| s.name != at) {
                        at.clone_from(&step.name);
                        if std::io::stderr().is_terminal() {
                            self.agents.out.hint(&format!("  {} ...", step.title));
                        }
                    }
                    if !view.state.is_running() {
                        return Ok(view);
                    }
                }
                Ok(_) => {
                    let why = format!("{} is not what {instance} carries out any more.", begun.title);
                    return Err(Refusal::new(RefusalKind::Unknown, why).next(next));
                }
                Err(error) if heard.elapsed() > SILENCE => {
                    let why =
                        format!("{} goes on, or waits, on {instance}, which does not answer: {error}.", begun.title);
                    return Err(Refusal::new(RefusalKind::Unknown, why).next(next));
                }
                Err(_) => {}
            }
            tokio::time::sleep(MOMENT).await;
        }
    }
}

/// What an agent's no comes to.
pub(super) fn refusal(error: &anyhow::Error) -> Refusal {
    let kind = match code_of(error) {
        Exit::Unavailable => RefusalKind::Unavailable,
        Exit::Missing => RefusalKind::Missing,
        Exit::Unknown => RefusalKind::Unknown,
        Exit::Done | Exit::Refused | Exit::Usage => RefusalKind::Refused,
    };
    let said = error.to_string();
    // The command line writes what happened and what to do next as one sentence.
    match said.split_once("; ") {
        Some((what, next)) if !next.contains("; ") => Refusal::new(kind, sentence(what)).next(next),
        _ => Refusal::new(kind, sentence(&said)),
    }
}

/// An operation that was to be over.
pub(super) fn over(view: &OperationView) -> Answer<()> {
    match view.state {
        OperationState::Done => Ok(()),
        _ => Err(stopped(view)),
    }
}

/// Why an operation stopped, and how it goes on.
pub(super) fn stopped(view: &OperationView) -> Refusal {
    if let Some(question) = &view.asks {
        return Refusal::refused(sentence(&question.text)).next("holdfast failover resume, which asks for an answer");
    }
    let failed = view.steps.iter().find(|s| s.state == StepState::Failed);
    let why = failed.map_or_else(|| format!("{} has stopped", view.title), |s| format!("{}: {}", s.title, s.observed));
    let why = if view.unchanged.is_empty() { sentence(&why) } else { format!("{} {}", sentence(&why), view.unchanged) };
    Refusal::refused(why).next(
        "when the reason is gone, the same line again; or `holdfast failover abort`, as long as there is a way back",
    )
}

/// A step of an operation, if it was done.
pub(super) fn done<'a>(view: &'a OperationView, name: &str) -> Option<&'a StepView> {
    view.steps.iter().find(|s| s.name == name && s.state == StepState::Done)
}

/// What was observed of the steps that were done now.
pub(super) fn tell(before: Option<&OperationView>, now: &OperationView) -> Told {
    let news = now.steps.iter().filter(|s| s.state == StepState::Done);
    let news = news.filter(|s| before.is_none_or(|b| done(b, &s.name).is_none()));
    news.fold(Told::nothing(), |told, step| told.and_line(sentence(&format!("{}: {}", step.title, step.observed))))
}

/// With a full stop, and a capital letter where a word begins it.
pub(super) fn sentence(text: &str) -> String {
    let text = text.trim();
    let stop = if text.ends_with(['.', '?', '!']) { "" } else { "." };
    let first = text.split([' ', ',', ':']).next().unwrap_or_default();
    // Names of hosts stay as they are.
    if first.chars().all(|c| c.is_ascii_lowercase()) {
        let mut chars = text.chars();
        let capital = chars.next().map(|c| c.to_ascii_uppercase());
        return format!("{}{}{stop}", capital.map(String::from).unwrap_or_default(), chars.as_str());
    }
    format!("{text}{stop}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_continuity::wire::RemoteError;

    #[test]
    fn sentences_are_sentences() {
        assert_eq!(sentence("nothing would be lost"), "Nothing would be lost.");
        assert_eq!(sentence("bos-db-1.litwareinc.com is there."), "bos-db-1.litwareinc.com is there.");
        assert_eq!(sentence("Why?"), "Why?");
        assert_eq!(sentence(""), ".");
    }

    #[test]
    fn what_is_not_known_is_told_from_what_is_refused() {
        let refused = |status| refusal(&sites::failure(RemoteError::Refused { status, why: "it is busy".into() }));
        assert_eq!(refused(409), Refusal::refused("It is busy."));
        assert_eq!(refused(503).kind, RefusalKind::Unavailable);
        let unknown = RemoteError::Unknown { who: "bos-db-1".into(), why: "it ended".into() };
        assert_eq!(refusal(&sites::failure(unknown)).kind, RefusalKind::Unknown);
        let away = RemoteError::Unreachable { who: "bos-db-1".into(), why: "refused".into() };
        assert_eq!(refusal(&sites::failure(away)).kind, RefusalKind::Unavailable);
        let said = refusal(&crate::exit::missing("there is no x; use y"));
        assert_eq!((said.reason.as_str(), said.next.as_deref()), ("There is no x.", Some("use y")));
    }
}
