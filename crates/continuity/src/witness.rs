//! The witness: a small third voter that keeps the [`Register`] on its disk.
//!
//! Nothing is answered before it is written. An epoch is never granted twice. Its file gone, it does not vote until both instances of a site have told
//! it what they know: see [`Register::tell`].

use crate::durable;
use crate::register::{Protection, Refused, Register};
use crate::topology::Topology;
use crate::wire::{self, Failure, Remote, RemoteError};
use axum::extract::State;
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use holdfast_pki::{Acceptor, Identity, Kind, Peer};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long a witness may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// What an instance asks or tells.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "ask")]
pub enum Ask {
    /// To be granted an epoch.
    Claim {
        /// Which.
        epoch: u64,
        /// For whom.
        holder: String,
        /// Whether it takes over from a primary that may not have agreed.
        promotes: bool,
    },
    /// To have recorded how the pool is protected.
    Protection {
        /// The epoch of who says so.
        epoch: u64,
        /// Who says so.
        holder: String,
        /// How.
        protection: Protection,
    },
    /// What it knows, for a witness that lost its memory.
    Tell {
        /// The newest epoch that it knows.
        epoch: u64,
        /// Its holder.
        holder: String,
        /// How it was protected last, as far as it knows.
        protection: Protection,
    },
}

/// What the witness answers: what it holds now, and why not if it refused.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Answered {
    /// What it holds.
    pub register: Register,
    /// Why it refused.
    pub refused: Option<Refused>,
}

struct Kept {
    topology: Topology,
    path: PathBuf,
    register: Mutex<Register>,
}

/// Runs the witness of a topology with its register in `dir`, until `shutdown`.
///
/// # Errors
/// The register cannot be read or written, or the port cannot be listened on.
pub async fn run(topology: Topology, identity: Identity, dir: &Path, shutdown: CancellationToken) -> io::Result<()> {
    let place = topology.witness.clone().ok_or_else(|| io::Error::other("the topology names no witness"))?;
    if identity.peer().kind != Kind::Witness || identity.peer().name != place.name {
        let what = format!("the certificate is that of {}, not of the witness {}", identity.peer().name, place.name);
        return Err(io::Error::other(what));
    }
    std::fs::create_dir_all(dir)?;
    let path = dir.join("register.json");
    let register = match durable::read(&path)? {
        Some(register) => register,
        None => {
            tracing::warn!("there is no register here: not voting until both instances have said what they know");
            Register::lost()
        }
    };
    let listener = wire::listen(place.address(), place.port).await?;
    tracing::info!(address = place.address(), port = place.port, "the witness listens");
    let kept = Arc::new(Kept { topology, path, register: Mutex::new(register) });
    let router = Router::new().route("/v1/register", get(show)).route("/v1/ask", post(ask)).with_state(kept);
    wire::serve(listener, Acceptor::new(identity), router, shutdown).await;
    Ok(())
}

async fn show(State(kept): State<Arc<Kept>>) -> Json<Register> {
    Json(kept.register.lock().unwrap_or_else(PoisonError::into_inner).clone())
}

async fn ask(
    State(kept): State<Arc<Kept>>,
    Extension(peer): Extension<Peer>,
    Json(ask): Json<Ask>,
) -> Result<Json<Answered>, Failure> {
    if peer.kind != Kind::Instance || kept.topology.instance(&peer.name).is_none() {
        return Err(Failure::forbidden(format!("{} is no instance of this pool", peer.name)));
    }
    let answered = tokio::task::spawn_blocking(move || answer(&kept, &peer.name, ask)).await;
    match answered {
        Ok(Ok(answered)) => Ok(Json(answered)),
        Ok(Err(error)) => Err(Failure::unavailable(format!("the witness cannot write its register: {error}"))),
        Err(error) => Err(Failure::unavailable(format!("the witness failed: {error}"))),
    }
}

/// Decides, writes, and only then answers; one at a time.
fn answer(kept: &Kept, from: &str, ask: Ask) -> io::Result<Answered> {
    let mut register = kept.register.lock().unwrap_or_else(PoisonError::into_inner);
    let mut next = register.clone();
    let outcome = match ask {
        Ask::Claim { epoch, holder, promotes } => next.claim(epoch, &holder, promotes),
        Ask::Protection { epoch, holder, protection } => next.set_protection(epoch, &holder, protection),
        Ask::Tell { epoch, holder, protection } => {
            next.tell(from, epoch, &holder, protection, &who_must_tell(&kept.topology, from));
            Ok(())
        }
    };
    if next != *register {
        durable::write(&kept.path, &next)?;
        tracing::info!(epoch = next.epoch, holder = next.holder, protection = next.protection.word(), "written");
        *register = next;
    }
    Ok(Answered { register: register.clone(), refused: outcome.err() })
}

/// Both instances of the teller's site: the data nodes of a pair know all that was granted to it.
fn who_must_tell(topology: &Topology, teller: &str) -> Vec<String> {
    let site = topology.instance(teller).map(|i| i.site.clone()).unwrap_or_default();
    topology.instances_of(&site).map(|i| i.name.clone()).collect()
}

/// The witness as an instance sees it.
#[derive(Debug)]
pub struct WitnessClient(Remote);

impl WitnessClient {
    /// Of a topology, if it has one.
    pub fn of(topology: &Topology, identity: &Identity) -> Option<WitnessClient> {
        let place = topology.witness.as_ref()?;
        Some(WitnessClient(Remote::new(&place.name, place.address(), place.port, identity.clone())))
    }

    /// What it holds.
    ///
    /// # Errors
    /// [`RemoteError`]
    pub async fn register(&self) -> Result<Register, RemoteError> {
        self.0.get("/v1/register", PATIENCE).await
    }

    /// Asks it, or tells it something.
    ///
    /// # Errors
    /// [`RemoteError`]; a vote that was refused is none.
    pub async fn ask(&self, ask: &Ask) -> Result<Answered, RemoteError> {
        self.0.post("/v1/ask", ask, PATIENCE).await
    }
}
