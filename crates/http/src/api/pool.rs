//! The servers that share the database, and which of them take clients. For administrators, on every server whatever its standing.

use super::shapes::{Moment, WouldChange, changed, mode};
use crate::door::Door;
use crate::extract::{By, Json, Path};
use crate::problem::{Problem, Refusals, Result};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use holdfast_chat::notices::{NewNotice, Notice};
use holdfast_chat::{ActiveChange, ChatError, PoolView, ServerView};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// For how long the database is asked about itself before it is shown without.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) fn routes() -> OpenApiRouter<Door> {
    OpenApiRouter::new()
        .routes(routes!(pool))
        .routes(routes!(change_active))
        .routes(routes!(forget_server))
        .routes(routes!(notice, set_notice, clear_notice))
}

/// The servers that share a database.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ServerPool)]
struct Pool {
    /// Grows whenever another database begins to take writes.
    epoch: i64,
    /// `normal`, or `failed-over` while the pool goes on in the other site.
    state: &'static str,
    /// The site in which the database is; null where there are no sites.
    site: Option<String>,
    /// The instance that took the epoch; null before the first take-over.
    holder: Option<String>,
    /// Whether a person has set the list of active servers; until then servers put themselves on it.
    chosen: bool,
    database: PoolDatabase,
    /// The active ones first, in the order of the list.
    servers: Vec<PoolServer>,
}

/// The database that they share, as this server sees it.
#[derive(Debug, Serialize, ToSchema)]
struct PoolDatabase {
    /// The engine and its version; null while it does not answer.
    engine: Option<String>,
    /// Where it is; null while it does not answer.
    location: Option<String>,
    /// `ready`, `gone`, `read-only`, `other-epoch` or `full`.
    condition: &'static str,
    /// Milliseconds that it takes to answer this server; null before the first measurement.
    round_trip_ms: Option<f64>,
}

/// A server of the pool.
#[derive(Debug, Serialize, ToSchema)]
struct PoolServer {
    name: String,
    /// Where clients reach it.
    address: String,
    /// `active`, `standby`, `draining`, `stopped` or `silent`.
    standing: &'static str,
    /// Whether it is on the list of active servers.
    active: bool,
    /// Whether it is the one that answers this.
    this: bool,
    version: String,
    started_at: Moment,
    /// Milliseconds since it was heard of.
    seen_ms_ago: u64,
    /// Live connections.
    connections: u32,
    /// Users with a live connection.
    people: u32,
    /// Milliseconds that the database takes to answer it.
    round_trip_ms: f64,
}

impl From<ServerView> for PoolServer {
    fn from(view: ServerView) -> Self {
        Self {
            name: view.name,
            address: view.address,
            standing: view.standing,
            active: view.on_list,
            this: view.this,
            version: view.version,
            started_at: view.started_at.into(),
            seen_ms_ago: view.seen_ms_ago,
            connections: view.connections,
            people: view.people,
            round_trip_ms: f64::from(view.round_trip_us) / 1_000.0,
        }
    }
}

impl Pool {
    async fn of(door: &Door, view: PoolView) -> Self {
        let facts = tokio::time::timeout(PATIENCE, door.chat.store_facts()).await.ok().and_then(|facts| facts.ok());
        let (engine, location) = facts.map(|f| (f.engine, f.location)).unzip();
        let database =
            PoolDatabase { engine, location, condition: view.condition.word(), round_trip_ms: round_trip_ms(door) };
        let servers = view.servers.into_iter().map(PoolServer::from).collect();
        Self {
            epoch: view.epoch,
            state: view.state.word(),
            site: view.site,
            holder: view.holder,
            chosen: view.chosen,
            database,
            servers,
        }
    }
}

/// Milliseconds that the database takes to answer this server, as far as that is known.
pub(super) fn round_trip_ms(door: &Door) -> Option<f64> {
    // As exact as it is measured.
    door.chat.database().round_trip.map(|d| d.as_micros() as f64 / 1_000.0)
}

fn demand_pool(door: &Door) -> Result<()> {
    if door.chat.in_pool() {
        Ok(())
    } else {
        Err(Problem::not_found("this server is not in a pool: its database is embedded"))
    }
}

/// The servers of the pool. For administrators.
#[utoipa::path(get, path = "/pool", tag = "pool", responses((status = 200, body = Pool), Refusals))]
async fn pool(State(door): State<Door>, By(caller): By) -> Result<Json<Pool>> {
    super::operate::demand_admin(&door, &caller)?;
    demand_pool(&door)?;
    let view = door.chat.pool(&caller).await?;
    Ok(Json(Pool::of(&door, view).await))
}

/// A change of the list of active servers: one of `set`, `add`, `remove` and `swap`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangeActive {
    /// Exactly these servers, in this order.
    set: Option<Vec<String>>,
    /// These as well.
    add: Option<Vec<String>>,
    /// These no longer: they are drained.
    remove: Option<Vec<String>>,
    swap: Option<Swap>,
    /// Takes also servers to which the database answers more slowly than the settings allow.
    #[serde(default)]
    far: bool,
    /// Changes nothing; answers with what would be changed.
    #[serde(default)]
    what_if: bool,
}

/// One server in the place of another.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Swap {
    /// Who goes.
    out: String,
    /// Who comes.
    #[serde(rename = "in")]
    in_: String,
}

/// The pool as it is now, or what would change.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "describes the two answers")]
enum PoolOrWould {
    Pool(Pool),
    Would(WouldChange),
}

/// Changes which servers take clients. Those that are taken off the list are drained. For administrators.
#[utoipa::path(post, path = "/pool/active", tag = "pool", responses((status = 200, body = PoolOrWould), Refusals))]
async fn change_active(State(door): State<Door>, By(caller): By, Json(change): Json<ChangeActive>) -> Result<Response> {
    super::operate::demand_admin(&door, &caller)?;
    demand_pool(&door)?;
    let ChangeActive { set, add, remove, swap, far, what_if } = change;
    let mut asked = [
        set.map(ActiveChange::Set),
        add.map(ActiveChange::Add),
        remove.map(ActiveChange::Remove),
        swap.map(|Swap { out, in_ }| ActiveChange::Swap { out, in_ }),
    ]
    .into_iter()
    .flatten();
    let (Some(change), None) = (asked.next(), asked.next()) else {
        return Err(
            ChatError::invalid("set", "or one of `add`, `remove`, `swap` is needed, and only one of them").into()
        );
    };
    let outcome = door.chat.change_active(&caller, change, far, mode(what_if)).await?;
    let outcome = match outcome {
        holdfast_chat::Outcome::Done(view) => holdfast_chat::Outcome::Done(Pool::of(&door, view).await),
        holdfast_chat::Outcome::Would(changes) => holdfast_chat::Outcome::Would(changes),
    };
    Ok(changed(outcome, StatusCode::OK, |pool| pool))
}

/// Forgets a server that is not on the list of active ones and has been silent for a while. For administrators.
#[utoipa::path(delete, path = "/pool/servers/{name}", tag = "pool", responses((status = 204), Refusals))]
async fn forget_server(State(door): State<Door>, By(caller): By, Path(name): Path<String>) -> Result<StatusCode> {
    super::operate::demand_admin(&door, &caller)?;
    demand_pool(&door)?;
    door.chat.forget_server(&caller, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What users are told of an outage.
#[derive(Serialize, ToSchema)]
#[schema(as = OutageNotice)]
pub(crate) struct OutageNotice {
    /// Whether it is meant.
    planned: bool,
    /// When it begins, or began.
    beginning: Moment,
    /// When it should be over; null if that is not known.
    expected_end: Option<Moment>,
    /// A sentence for people.
    message: String,
    /// Whether a procedure said so, such as a switchover, rather than a person.
    own: bool,
}

impl From<Notice> for OutageNotice {
    fn from(n: Notice) -> Self {
        let (beginning, expected_end) = (n.beginning.into(), n.expected_end.map(Moment::from));
        Self { planned: n.planned, beginning, expected_end, message: n.message, own: n.own }
    }
}

/// The notice that stands.
#[derive(Serialize, ToSchema)]
struct StandingNotice {
    /// Null while there is none.
    notice: Option<OutageNotice>,
}

impl StandingNotice {
    fn of(notice: Option<Notice>) -> Self {
        Self { notice: notice.map(OutageNotice::from) }
    }
}

/// A notice to be set.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SetNotice {
    /// Whether the outage is meant; if it is not said, it is.
    planned: Option<bool>,
    /// When it begins; now, if that is not said.
    beginning: Option<Moment>,
    /// When it should be over.
    expected_end: Option<Moment>,
    /// A sentence for people.
    message: String,
    /// Changes nothing; answers with what would be changed.
    #[serde(default)]
    what_if: bool,
}

/// The notice, or what would change.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "describes the two answers")]
enum NoticeOrWould {
    Notice(StandingNotice),
    Would(WouldChange),
}

/// What users are told of an outage. For administrators; also of a server alone.
#[utoipa::path(get, path = "/pool/notice", tag = "pool", responses((status = 200, body = StandingNotice), Refusals))]
async fn notice(State(door): State<Door>, By(caller): By) -> Result<Json<StandingNotice>> {
    super::operate::demand_admin(&door, &caller)?;
    Ok(Json(StandingNotice::of(door.chat.notice(&caller).await?)))
}

/// Tells users of an outage, in place of what they were told before. For administrators.
#[utoipa::path(put, path = "/pool/notice", tag = "pool", responses((status = 200, body = NoticeOrWould), Refusals))]
async fn set_notice(State(door): State<Door>, By(caller): By, Json(set): Json<SetNotice>) -> Result<Response> {
    super::operate::demand_admin(&door, &caller)?;
    let new = NewNotice {
        planned: set.planned.unwrap_or(true),
        beginning: set.beginning.map(|m| m.0),
        expected_end: set.expected_end.map(|m| m.0),
        message: set.message,
    };
    let outcome = door.chat.set_notice(&caller, Some(new), mode(set.what_if)).await?;
    Ok(changed(outcome, StatusCode::OK, StandingNotice::of))
}

/// Tells users of no outage any more. For administrators.
#[utoipa::path(delete, path = "/pool/notice", tag = "pool", responses((status = 204), Refusals))]
async fn clear_notice(State(door): State<Door>, By(caller): By) -> Result<StatusCode> {
    super::operate::demand_admin(&door, &caller)?;
    door.chat.set_notice(&caller, None, holdfast_chat::Mode::Do).await?;
    Ok(StatusCode::NO_CONTENT)
}
