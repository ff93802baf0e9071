//! What an agent can be asked over the network, and by whom.

use super::Agent;
use super::operations::{Begin, Go};
use super::order::{Obeyed, Order};
use super::report::Report;
use super::retain::{Needs, PruneOptions, Pruned};
use crate::failover::plan::{Plan, PlanOptions};
use crate::procedure::{OperationView, StepError};
use crate::wire::Failure;
use axum::extract::{Query, State};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use holdfast_instance::Session;
use holdfast_pki::{Kind, Peer};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

type Shared = State<Arc<Agent>>;
type Answer<T> = Result<Json<T>, Failure>;

/// All paths.
pub(super) fn router(agent: Arc<Agent>) -> Router {
    Router::new()
        .route("/v1/report", get(report))
        .route("/v1/others", get(others))
        .route("/v1/sessions", get(sessions))
        .route("/v1/operation", get(operation))
        .route("/v1/order", post(order))
        .route("/v1/operation/begin", post(begin))
        .route("/v1/operation/go", post(go))
        .route("/v1/operation/abort", post(abort))
        .route("/v1/failover/plan", post(plan))
        .route("/v1/shipping/verify", post(verify))
        .route("/v1/shipping/needs", get(needs))
        .route("/v1/shipping/prune", post(prune))
        .with_state(agent)
}

/// Orders come from operators and from other agents.
fn may_order(peer: &Peer) -> Result<(), Failure> {
    match peer.kind {
        Kind::Operator | Kind::Instance => Ok(()),
        other => Err(Failure::forbidden(format!(
            "{} has a certificate of the kind {other}: it may look, not order",
            peer.name
        ))),
    }
}

#[derive(Deserialize)]
struct Fresh {
    /// Whether to look now instead of telling what was seen last.
    #[serde(default)]
    fresh: bool,
}

async fn report(State(agent): Shared, Query(query): Query<Fresh>) -> Json<Report> {
    if query.fresh {
        agent.look().await;
    }
    Json(agent.report())
}

/// What an agent heard of another one.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct OtherSeen {
    /// Its last report.
    pub report: Report,
    /// When that came.
    pub at: jiff::Timestamp,
    /// Why it does not answer, if it does not.
    pub silent: Option<String>,
}

async fn others(State(agent): Shared) -> Json<Vec<OtherSeen>> {
    let names = agent.topology().instances.iter().map(|i| i.name.as_str());
    let seen = names.filter_map(|name| agent.heard_of(name)).map(|h| OtherSeen {
        silent: h.silent_since.map(|_| h.why.clone()),
        report: h.report,
        at: h.at,
    });
    Json(seen.collect())
}

async fn sessions(State(agent): Shared) -> Answer<Vec<Session>> {
    agent.instance().client_sessions().await.map(Json).map_err(|e| Failure::unavailable(e.to_string()))
}

async fn operation(State(agent): Shared) -> Json<Option<OperationView>> {
    Json(agent.operations.view())
}

async fn order(State(agent): Shared, Extension(peer): Extension<Peer>, Json(order): Json<Order>) -> Answer<Obeyed> {
    may_order(&peer)?;
    agent.obey(order, &peer.name).await.map(Json).map_err(|error| match error {
        StepError::NoAnswer(why) => Failure::unavailable(why),
        error => Failure::refused(error.to_string()),
    })
}

async fn begin(
    State(agent): Shared,
    Extension(peer): Extension<Peer>,
    Json(begin): Json<Begin>,
) -> Answer<OperationView> {
    may_order(&peer)?;
    agent.begin(begin, &peer.name).await.map(Json).map_err(Failure::refused)
}

async fn go(State(agent): Shared, Extension(peer): Extension<Peer>, Json(go): Json<Go>) -> Answer<OperationView> {
    may_order(&peer)?;
    agent.go(go, &peer.name).map(Json).map_err(Failure::refused)
}

async fn abort(State(agent): Shared, Extension(peer): Extension<Peer>) -> Answer<OperationView> {
    may_order(&peer)?;
    agent.abort(&peer.name).await.map(Json).map_err(Failure::refused)
}

async fn plan(State(agent): Shared, Json(options): Json<PlanOptions>) -> Answer<Plan> {
    crate::failover::plan::plan(&agent, &options).await.map(Json).map_err(Failure::refused)
}

async fn needs(State(agent): Shared) -> Json<Needs> {
    Json(agent.needs().await)
}

async fn prune(
    State(agent): Shared,
    Extension(peer): Extension<Peer>,
    Json(options): Json<PruneOptions>,
) -> Answer<Pruned> {
    may_order(&peer)?;
    agent.prune(options).await.map(Json).map_err(Failure::refused)
}

async fn verify(State(agent): Shared) -> Answer<holdfast_wal::Report> {
    crate::failover::copy::verify_share(&agent).await.map(Json).map_err(|e| Failure::unavailable(e.to_string()))
}
