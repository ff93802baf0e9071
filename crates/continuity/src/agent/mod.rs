//! The agent: the only one that starts its PostgreSQL, on behalf of a pool.
//!
//! What the instance is to be stands in a file ([`state`]); the keeper ([`keep`]) brings PostgreSQL to it, again and again, after whatever happened.
//! Orders ([`order`], carried out in [`obey`]) come from procedures, which run in an agent as well ([`operations`]), and from operators. The agents ask
//! each other several times a second ([`hear`]): who hears of a higher epoch than his own fences himself.
//!
//! **Invariants:** what was a primary serves only after this agent has confirmed that it holds the newest epoch, and after a commit of its own has been
//! acknowledged. Commits stop waiting for the mirror only after that was put on record. An order is written down before it is carried out.

pub mod alarms;
pub mod api;
mod claims;
mod hear;
pub mod heard;
mod keep;
mod mending;
mod obey;
pub mod operations;
pub mod order;
mod protect;
pub mod report;
pub mod retain;
pub mod state;
pub mod verified;
mod verifier;
mod walfile;

use crate::register::Protection;
use crate::roles::Roles;
use crate::topology::{InstancePlace, Topology};
use crate::wire::{self, Remote};
use crate::witness::WitnessClient;
use alarms::Alarm;
use heard::Others;
use holdfast_instance::{Instance, Layout, Programs, Settings, Status, Upstream};
use holdfast_pki::{Acceptor, Identity, Kind};
use operations::Operations;
use report::{Holds, Report, ShareReport};
use retain::Retained;
use state::{Memory, Place, Remembered};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use verified::Verified;

/// For PostgreSQL to take over changed settings.
const RELOAD: Duration = Duration::from_secs(20);
/// For PostgreSQL to stop in order.
const STOPPING: Duration = Duration::from_secs(60);
/// For PostgreSQL to start, with what it has to recover.
const STARTING: Duration = Duration::from_secs(600);

/// An agent that runs, or is about to.
pub struct Agent {
    topology: Topology,
    me: InstancePlace,
    identity: Identity,
    instance: Instance,
    memory: Memory,
    remotes: HashMap<String, Arc<Remote>>,
    witness: Option<WitnessClient>,
    others: Mutex<Others>,
    own: Mutex<Own>,
    /// Held by whoever changes something about PostgreSQL.
    turn: tokio::sync::Mutex<()>,
    operations: Operations,
    /// Held by whoever lets old log go.
    pruning: tokio::sync::Mutex<()>,
    shutdown: CancellationToken,
}

/// What was observed last of the own instance.
#[derive(Clone, Debug, Default)]
struct Own {
    status: Option<Status>,
    holds: Option<Holds>,
    share: Option<ShareReport>,
    verified: Option<Verified>,
    /// What is known to hold, of which cluster, on which share.
    whole: Option<(holdfast_wal::SystemIdentifier, String, verified::Whole)>,
    alarms: Vec<Alarm>,
    retained: Option<Retained>,
    note: String,
    /// Since when the mirror has been away.
    mirror_away: Option<Instant>,
    /// Cluster and segment size, once known.
    cluster: Option<(u64, holdfast_wal::SegmentSize)>,
}

/// Why something could not be done, as a sentence.
pub type Told<T> = Result<T, String>;

/// For `map_err`.
fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs the agent of the instance called `name` until `shutdown`. PostgreSQL goes on when it ends; the next agent adopts it.
///
/// # Errors
/// What keeps it from beginning, as a sentence.
pub async fn run(
    topology: Topology,
    name: &str,
    identity: Identity,
    binary: &Path,
    shutdown: CancellationToken,
) -> Told<()> {
    let agent = Arc::new(Agent::open(topology, name, identity, binary, shutdown.clone())?);
    let address = (agent.me.address().to_owned(), agent.me.agent_port);
    let listener = wire::listen(&address.0, address.1)
        .await
        .map_err(|e| format!("the agent cannot listen on {}:{}: {e}", address.0, address.1))?;
    tracing::info!(instance = name, address = address.0, port = address.1, "the agent listens");
    agent.operations.recall(&agent)?;
    verifier::sweep(&agent.me.data);
    for other in agent.remotes.values() {
        tokio::spawn(hear::ask_for_ever(Arc::clone(&agent), Arc::clone(other)));
    }
    tokio::spawn(hear::keep_what_was_heard(Arc::clone(&agent)));
    tokio::spawn(claims::follow_shares(Arc::clone(&agent)));
    tokio::spawn(alarms::watch_for_ever(Arc::clone(&agent)));
    tokio::spawn(retain::retain_for_ever(Arc::clone(&agent)));
    tokio::spawn(mending::mend_for_ever(Arc::clone(&agent)));
    tokio::spawn(verifier::verify_for_ever(Arc::clone(&agent)));
    tokio::spawn(keep::look_for_ever(Arc::clone(&agent)));
    tokio::spawn(keep::keep_for_ever(Arc::clone(&agent)));
    let router = api::router(Arc::clone(&agent));
    wire::serve(listener, Acceptor::new(agent.identity.clone()), router, shutdown).await;
    Ok(())
}

impl Agent {
    fn open(
        topology: Topology,
        name: &str,
        identity: Identity,
        binary: &Path,
        shutdown: CancellationToken,
    ) -> Told<Agent> {
        let me = topology.instance(name).cloned();
        let me = me.ok_or_else(|| format!("the topology names no instance {name}; it has {}", names(&topology)))?;
        if identity.peer().kind != Kind::Instance || identity.peer().name != name {
            let who = identity.peer();
            return Err(format!(
                "the certificate in {} is that of {}, not of the instance {name}",
                identity.dir().display(),
                who.name
            ));
        }
        let layout = Layout::new(&me.data).map_err(said)?;
        let settings = settings(&topology, &me, identity.dir(), binary, &layout);
        let instance = Instance::open(Programs::find().map_err(said)?, layout, settings).map_err(said)?;
        let memory = Memory::open(&me.data).map_err(said)?;
        let remotes = topology.instances.iter().filter(|i| i.name != name).map(|i| {
            let remote = Remote::new(&i.name, i.address(), i.agent_port, identity.clone());
            (i.name.clone(), Arc::new(remote))
        });
        let kept = crate::durable::read(&me.data.join("heard.json")).unwrap_or_else(|error| {
            tracing::warn!(%error, "what was heard before is lost");
            None
        });
        Ok(Agent {
            remotes: remotes.collect(),
            witness: WitnessClient::of(&topology, &identity),
            others: Mutex::new(Others::with(kept.unwrap_or_default())),
            own: Mutex::default(),
            turn: tokio::sync::Mutex::new(()),
            operations: Operations::in_dir(me.data.join("ops")),
            pruning: tokio::sync::Mutex::new(()),
            topology,
            me,
            identity,
            instance,
            memory,
            shutdown,
        })
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.me.name
    }

    /// The site that it is in.
    pub(crate) fn site(&self) -> &str {
        &self.me.site
    }

    /// The topology.
    pub(crate) fn topology(&self) -> &Topology {
        &self.topology
    }

    /// Its PostgreSQL.
    pub(crate) fn instance(&self) -> &Instance {
        &self.instance
    }

    /// What it remembers.
    pub(crate) fn remembered(&self) -> Remembered {
        self.memory.now()
    }

    /// Another agent.
    pub(crate) fn remote(&self, name: &str) -> Told<&Arc<Remote>> {
        self.remotes.get(name).ok_or_else(|| format!("there is no other instance {name}"))
    }

    /// What another one said last, if it answers now.
    pub(crate) fn answering(&self, name: &str) -> Option<Report> {
        lock(&self.others).answering(name).map(|h| h.report.clone())
    }

    /// What all others said.
    pub(crate) fn others<T>(&self, look: impl FnOnce(&Others) -> T) -> T {
        look(&lock(&self.others))
    }

    /// For how many days its certificate is valid still.
    pub(crate) fn certificate_days(&self) -> i64 {
        self.identity.certificate().days_left(jiff::Timestamp::now())
    }

    /// Who holds the newest epoch.
    pub(crate) fn holder(&self) -> Option<String> {
        self.memory.now().newest().map(|c| c.holder.clone())
    }

    /// The witness, if the pool has one.
    pub(crate) fn witness(&self) -> Option<&WitnessClient> {
        self.witness.as_ref()
    }

    /// The roles now; before the first claim those of the topology.
    pub(crate) fn roles(&self) -> Option<Roles<'_>> {
        let holder = self.holder().or_else(|| self.topology.first_primary().map(|i| i.name.clone()))?;
        Roles::of(&self.topology, &holder)
    }

    /// Another instance, as PostgreSQL connects to it.
    pub(crate) fn upstream(&self, name: &str) -> Told<Upstream> {
        let place = self.topology.instance(name).ok_or_else(|| format!("there is no instance {name}"))?;
        Ok(Upstream {
            host: place.name.clone(),
            address: place.address.clone(),
            port: place.port,
            application_name: self.me.name.clone(),
            identity: self.identity.dir().to_owned(),
        })
    }

    /// What it tells of itself.
    pub(crate) fn report(&self) -> Report {
        let remembered = self.memory.now();
        let own = lock(&self.own).clone();
        let status = own.status.unwrap_or_else(|| Status {
            at: jiff::Timestamp::now(),
            phase: holdfast_instance::Phase::Silent("not looked at yet".to_owned()),
            server: None,
            disk: None,
            unarchived: holdfast_instance::Unarchived::default(),
        });
        Report {
            instance: self.me.name.clone(),
            site: self.me.site.clone(),
            role: self.roles().and_then(|r| r.role_of(&self.me.name)),
            place: remembered.place,
            open: self.instance.access().is_ok_and(|a| a == holdfast_instance::Access::Open),
            status,
            holds: own.holds,
            claims: remembered.claims,
            openings: remembered.openings,
            protection: remembered.protection,
            copied_at: remembered.copied_at,
            note: own.note,
            operation: self.operations.view(),
            share: own.share.map(|share| ShareReport { verified: own.verified, ..share }),
            alarms: own.alarms,
            retention: own.retained,
        }
    }

    fn note(&self, note: impl Into<String>) {
        let note = note.into();
        let mut own = lock(&self.own);
        if own.note != note && !note.is_empty() {
            tracing::warn!("{note}");
        }
        own.note = note;
    }

    /// Changes what is remembered, and what PostgreSQL's helpers are told with it.
    pub(crate) fn remember(&self, change: impl FnOnce(&mut Remembered)) -> Told<()> {
        if self.memory.change(change).map_err(said)? {
            self.write_wal_file()?;
        }
        Ok(())
    }

    /// Remembers claims and openings.
    pub(crate) fn learn(&self, lineage: &holdfast_wal::Lineage) -> Told<()> {
        self.remember(|m| {
            m.learn(lineage);
        })
    }

    /// Whether this instance holds the newest epoch and is to be the primary.
    fn is_holder(&self, remembered: &Remembered) -> bool {
        remembered.place == Place::Primary && remembered.newest().is_some_and(|c| c.holder == self.me.name)
    }

    /// How the pool is protected, as the primary said it last, or as is remembered.
    pub(crate) fn protection(&self) -> Protection {
        self.memory.now().protection
    }
}

fn names(topology: &Topology) -> String {
    topology.instances.iter().map(|i| i.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// What PostgreSQL is started with.
fn settings(topology: &Topology, me: &InstancePlace, identity: &Path, binary: &Path, layout: &Layout) -> Settings {
    let wal = walfile::path(layout.root());
    let quoted = |path: &Path| format!("\"{}\"", path.display());
    let settings = quoted(&wal);
    let binary: PathBuf = binary.to_owned();
    let binary = quoted(&binary);
    let mut made = Settings::new(&me.name, me.port, identity);
    me.address().clone_into(&mut made.listen);
    made.replicators = topology.instances.iter().map(|i| i.name.clone()).collect();
    made.clients = topology.servers.iter().map(|s| s.name.clone()).collect();
    made.archive_command = format!("{binary} wal ship --settings {settings} \"%p\" %f");
    made.restore_command = format!("{binary} wal fetch --settings {settings} %f \"%p\"");
    made.archive_timeout = Duration::from_secs(topology.pool.archive_timeout_seconds);
    made.more = me.settings.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    made
}
