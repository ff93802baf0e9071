//! The procedures that this agent carries out: one at a time, and one at a time in the whole pool.
//!
//! A terminal only watches. After a restart of the agent an operation that was at work is *stopped*: a person resumes or aborts it.

use super::{Agent, Told, lock, said};
use crate::agent::order::Order;
use crate::failover::evidence::FenceSpec;
use crate::failover::{Failover, FailoverOptions};
use crate::mirror::{InstallMirror, MirrorOptions, RemoveMirror};
use crate::procedure::run::Copies;
use crate::procedure::{Answer, Journal, Operation, OperationView, Procedure};
use crate::switchover::{Switchover, SwitchoverOptions};
use holdfast_domain::Time;
use holdfast_store::notice::Notice;
use holdfast_wal::{Share, names};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// For the locks of an operation that is over to go off the shares, each of which may be out of reach.
const RELEASING: Duration = Duration::from_secs(30);

/// For having users told.
const TELLING: Duration = Duration::from_secs(3);
/// How long a planned outage is said to last at most; less, as a rule.
const OUTAGE_MS: i64 = 10 * 60_000;

/// What is to be carried out.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "procedure")]
pub enum Spec {
    /// Fail over to this agent's site.
    Failover(FailoverOptions),
    /// Change the roles of the two instances of this agent's site.
    Switchover(SwitchoverOptions),
    /// Build the mirror of this agent's instance, which is primary.
    Mirror(MirrorOptions),
    /// Go on without the mirror of this agent's instance, which is primary, and stop it.
    RemoveMirror,
}

/// What an operation is begun with.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Begin {
    /// What.
    pub spec: Spec,
    /// The last step of the runbook to do now; `None`: all.
    pub through: Option<u8>,
    /// Why another operation's lock is to be taken over, if it is.
    pub steal: Option<String>,
}

/// How one goes on.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Go {
    /// The last step of the runbook to do now; `None`: all.
    pub through: Option<u8>,
    /// What was asked, answered.
    #[serde(default)]
    pub answers: Answer,
}

/// Who holds the lock on the shares.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Active {
    operation: String,
    kind: String,
    instance: String,
    by: String,
    at: Timestamp,
}

/// The operations of one agent.
pub(crate) struct Operations {
    dir: PathBuf,
    /// Held by whoever carries it on.
    current: Arc<tokio::sync::Mutex<Option<Operation>>>,
    watched: Mutex<Option<watch::Receiver<OperationView>>>,
    /// Those that are over, and whose lock may still be on a share: one that was away, or because the agent died just then.
    locked: Mutex<BTreeSet<String>>,
}

impl Operations {
    pub(super) fn in_dir(dir: PathBuf) -> Operations {
        Operations { dir, current: Arc::default(), watched: Mutex::new(None), locked: Mutex::default() }
    }

    /// What is carried out, or was last.
    pub(crate) fn view(&self) -> Option<OperationView> {
        lock(&self.watched).as_ref().map(|w| w.borrow().clone())
    }

    /// Takes up what was there before the agent was restarted.
    pub(super) fn recall(&self, agent: &Arc<Agent>) -> Told<()> {
        let Ok(entries) = std::fs::read_dir(&self.dir) else { return Ok(()) };
        let mut dirs: Vec<PathBuf> = entries.flatten().map(|e| e.path()).filter(|p| p.is_dir()).collect();
        dirs.sort();
        let Some(last) = dirs.last() else { return Ok(()) };
        let journal = Journal::load(last).map_err(said)?;
        let Some(opened) = journal.records().first() else { return Ok(()) };
        let spec: Spec = serde_json::from_value(opened.evidence.clone()).map_err(said)?;
        let id = opened.operation.clone();
        let procedure = procedure(&spec, agent);
        if let Some(operation) = Operation::resume(procedure, journal, Some(copy_to_share(agent, &id))) {
            let watch = operation.watch();
            if watch.borrow().state.is_over() {
                lock(&self.locked).insert(id);
            }
            *lock(&self.watched) = Some(watch);
            if let Ok(mut current) = self.current.try_lock() {
                *current = Some(operation);
            }
        }
        Ok(())
    }
}

impl Agent {
    /// Begins an operation and lets it go. Answers at once; what becomes of it is seen in its view.
    ///
    /// # Errors
    /// Another one is not over, here or elsewhere in the pool.
    pub(crate) async fn begin(self: &Arc<Self>, begin: Begin, by: &str) -> Told<OperationView> {
        let mut current = self.rest().await?;
        if let Some(view) = self.operations.view().filter(|v| !v.state.is_over())
            && current.is_some()
        {
            return Err(not_over(&view));
        }
        let id = format!("{}-{}", Timestamp::now().strftime("%Y%m%dT%H%M%S%3f"), kind(&begin.spec));
        self.take_pool_lock(&id, &begin, by).await?;
        let procedure = procedure(&begin.spec, self);
        let options = serde_json::to_value(&begin.spec).map_err(said)?;
        let dir = self.operations.dir.join(&id);
        let copies = copy_to_share(self, &id);
        let begun = Operation::begin(procedure, &dir, &id, &self.me.name, by, options, Some(copies));
        let operation = match begun {
            Ok(operation) => operation,
            Err(error) => {
                self.release_pool_lock(&id).await;
                return Err(error.to_string());
            }
        };
        *lock(&self.operations.watched) = Some(operation.watch());
        *current = Some(operation);
        drop(current);
        self.tell_users_of(&begin.spec).await;
        self.carry_on(begin.through, Answer::new(), by.to_owned());
        self.operations.view().ok_or_else(|| "it is over already".to_owned())
    }

    /// Lets the operation go on.
    ///
    /// # Errors
    /// There is none, or it is at work, or over.
    pub(crate) fn go(self: &Arc<Self>, go: Go, by: &str) -> Told<OperationView> {
        let view = self.operations.view().ok_or("nothing is to be resumed here")?;
        if view.state.is_over() {
            return Err(format!("{} is over", view.title));
        }
        if self.operations.current.try_lock().is_err() {
            return Err(self.busy());
        }
        self.carry_on(go.through, go.answers, by.to_owned());
        Ok(view)
    }

    /// Gives the operation up, undoing what was done.
    ///
    /// # Errors
    /// There is none, it is at work, or its point of no return lies behind it.
    pub(crate) async fn abort(self: &Arc<Self>, by: &str) -> Told<OperationView> {
        let mut current = self.operations.current.try_lock().map_err(|_| self.busy())?;
        let operation = current.as_mut().ok_or("nothing is to be aborted here")?;
        let view = operation.watch().borrow().clone();
        if view.state.is_over() {
            return Err(format!("{} is over", view.title));
        }
        if operation.is_past_return() {
            return Err(format!("{} is past its point of no return: it can only be resumed", view.title));
        }
        operation.abort(by).await;
        let view = operation.watch().borrow().clone();
        self.let_go_if_over(&view).await;
        Ok(view)
    }

    /// Takes the place of the one operation. Of one that is over the lock may still be on its way off the shares; that is waited for.
    async fn rest(&self) -> Told<tokio::sync::MutexGuard<'_, Option<Operation>>> {
        let current = &self.operations.current;
        match self.operations.view() {
            Some(view) if view.state.is_over() => {
                tokio::time::timeout(RELEASING, current.lock()).await.map_err(|_| self.busy())
            }
            _ => current.try_lock().map_err(|_| self.busy()),
        }
    }

    fn busy(&self) -> String {
        match self.operations.view() {
            Some(view) => format!("{} is being carried out, begun by {} at {}", view.title, view.by, view.begun),
            None => "an operation is being begun".to_owned(),
        }
    }

    fn carry_on(self: &Arc<Self>, through: Option<u8>, answers: Answer, by: String) {
        let agent = Arc::clone(self);
        let current = Arc::clone(&self.operations.current);
        let Ok(mut held) = current.try_lock_owned() else { return };
        if let Some(operation) = held.as_ref() {
            operation.mark_running();
        }
        tokio::spawn(async move {
            let Some(operation) = held.as_mut() else { return };
            if let Err(error) = operation.answer(&by, answers) {
                tracing::error!(%error, "an answer cannot be kept");
                return;
            }
            operation.go(through).await;
            let view = operation.watch().borrow().clone();
            agent.let_go_if_over(&view).await;
        });
    }

    /// An operation that is over leaves no notice, and no lock.
    async fn let_go_if_over(&self, view: &OperationView) {
        if !view.state.is_over() {
            return;
        }
        if serde_json::from_value(view.options.clone()).is_ok_and(|spec| planned_outage(&spec).is_some()) {
            self.order_notice(None).await;
        }
        self.release_pool_lock(&view.id).await;
    }

    /// Has the primary tell users before a planned outage begins. Nothing is held up by it for long: what is told late, or not, is no reason to leave
    /// undone what was asked for.
    async fn tell_users_of(&self, spec: &Spec) {
        let Some(what) = planned_outage(spec) else { return };
        let beginning = Time::from_millis(Timestamp::now().as_millisecond());
        let notice = Notice {
            planned: true,
            beginning,
            expected_end: Some(beginning.plus_millis(OUTAGE_MS)),
            message: format!("{what}; nothing can be sent for a moment, and clients come back by themselves"),
            own: true,
        };
        self.order_notice(Some(notice)).await;
    }

    async fn order_notice(&self, notice: Option<Notice>) {
        let Some(primary) = self.roles().map(|roles| roles.primary.name.clone()) else { return };
        let told = self.tell_shortly(&primary, Order::Notice { notice });
        match tokio::time::timeout(TELLING, told).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::debug!(%error, "users are not told"),
            Err(_) => tracing::debug!("users are not told: the primary does not answer in time"),
        }
    }

    /// One operation in the pool at a time: an object that is created once, on every share that answers.
    async fn take_pool_lock(&self, id: &str, begin: &Begin, by: &str) -> Told<()> {
        let active = Active {
            operation: id.to_owned(),
            kind: kind(&begin.spec).to_owned(),
            instance: self.me.name.clone(),
            by: by.to_owned(),
            at: Timestamp::now(),
        };
        let bytes = serde_json::to_vec_pretty(&active).map_err(said)?;
        for site in &self.topology.sites {
            let Ok(share) = self.share(&site.share).await else { continue };
            let left = match begin.steal {
                Some(_) => true,
                None => self.is_over(read_active(&share).await.ok().flatten().as_ref()),
            };
            if left {
                share.delete(names::ACTIVE).await.map_err(said)?;
            }
            match share.put_once(names::ACTIVE, bytes.clone().into()).await {
                Ok(_) => {}
                Err(holdfast_wal::ShareError::Conflict { .. }) => {
                    let there = read_active(&share).await.ok().flatten();
                    self.release_pool_lock(id).await;
                    return Err(match there {
                        Some(a) => format!(
                            "the {} {} is not over: {} began it on {} at {}; resume or abort it there, or say why it is to be passed over",
                            a.kind, a.operation, a.by, a.instance, a.at
                        ),
                        None => format!(
                            "another operation is not over: see {} on the share of {}",
                            names::ACTIVE,
                            site.name
                        ),
                    });
                }
                Err(error) => tracing::warn!(%error, "the lock is not on this share"),
            }
        }
        Ok(())
    }

    /// Whether what a lock stands for was ours and is over: the share was out of reach when it should have been removed, or this agent died before it was.
    fn is_over(&self, active: Option<&Active>) -> bool {
        let open = self.operations.view().filter(|view| !view.state.is_over()).map(|view| view.id);
        active.is_some_and(|a| a.instance == self.me.name && Some(&a.operation) != open.as_ref())
    }

    /// Takes the lock of an operation off all shares; off those that do not answer, later.
    async fn release_pool_lock(&self, id: &str) {
        lock(&self.operations.locked).insert(id.to_owned());
        self.let_go_of_what_is_over().await;
    }

    /// Takes off the shares what an operation that is over left there: nothing may be deleted, and no other operation begun, while it is there.
    pub(super) async fn let_go_of_what_is_over(&self) {
        let over = lock(&self.operations.locked).clone();
        for id in over {
            let mut all = true;
            for site in &self.topology.sites {
                if let Err(error) = self.unlock(&site.share, &id).await {
                    all = false;
                    tracing::debug!(error, site = site.name, "the lock stays on this share until it answers");
                }
            }
            if all {
                lock(&self.operations.locked).remove(&id);
            }
        }
    }

    async fn unlock(&self, location: &str, id: &str) -> Told<()> {
        let share = self.share(location).await.map_err(said)?;
        match read_active(&share).await? {
            Some(active) if active.operation == id => share.delete(names::ACTIVE).await.map_err(said),
            _ => Ok(()),
        }
    }
}

/// The lock on a share; one that cannot be read as one is none.
async fn read_active(share: &Share) -> Told<Option<Active>> {
    let there = share.get(names::ACTIVE).await.map_err(said)?;
    Ok(there.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

fn not_over(view: &OperationView) -> String {
    format!("{} is not over (begun by {} at {}): resume or abort it", view.title, view.by, view.begun)
}

/// What users are told before it, where it is a planned outage: a switchover, or a failover for which the other site is stood down, as in a drill.
fn planned_outage(spec: &Spec) -> Option<&'static str> {
    match spec {
        Spec::Switchover(options) if !options.primary_is_lost => Some("The database changes places"),
        Spec::Failover(options) if options.fence == Some(FenceSpec::StandDown) => {
            Some("The service moves to its other site")
        }
        _ => None,
    }
}

fn kind(spec: &Spec) -> &'static str {
    match spec {
        Spec::Failover(_) => "failover",
        Spec::Switchover(_) => "switchover",
        Spec::Mirror(_) => "mirror",
        Spec::RemoveMirror => "remove-mirror",
    }
}

fn procedure(spec: &Spec, agent: &Arc<Agent>) -> Arc<dyn Procedure> {
    match spec {
        Spec::Failover(options) => Arc::new(Failover::new(Arc::clone(agent), options.clone())),
        Spec::Switchover(options) => Arc::new(Switchover::new(Arc::clone(agent), options.clone())),
        Spec::Mirror(options) => Arc::new(InstallMirror::new(Arc::clone(agent), *options)),
        Spec::RemoveMirror => Arc::new(RemoveMirror::new(Arc::clone(agent))),
    }
}

/// Copies of the journal go to the share of this site, so that they are there when this machine is not.
fn copy_to_share(agent: &Arc<Agent>, id: &str) -> Copies {
    let (send, mut records) = mpsc::unbounded_channel::<(String, Vec<u8>)>();
    let (agent, id) = (Arc::clone(agent), id.to_owned());
    tokio::spawn(async move {
        while let Some((name, bytes)) = records.recv().await {
            let Some(site) = agent.topology.site(&agent.me.site) else { return };
            let Ok(share) = agent.share(&site.share).await else { continue };
            if let Err(error) = share.put_once(&format!("ops/{id}/{name}"), bytes.into()).await {
                tracing::warn!(%error, "a record is not on the share");
            }
        }
    });
    send
}
