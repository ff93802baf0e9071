//! Health for whoever starts, stops and balances servers: `/health/live` and `/health/ready`.

use crate::door::Door;
use crate::extract::Json;
use crate::problem::{Code, Problem, Result};
use axum::extract::State;
use holdfast_chat::{ChatError, Standing};
use holdfast_store::pool::Condition;
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Seconds for which readiness waits for the database.
const PATIENCE: Duration = Duration::from_secs(5);
/// Seconds after which to look again.
const SOON: u64 = 2;

pub(crate) fn routes() -> OpenApiRouter<Door> {
    OpenApiRouter::new().routes(routes!(is_live)).routes(routes!(is_ready))
}

/// How the server is.
#[derive(Debug, Serialize, ToSchema)]
struct Health {
    /// `live` or `ready`.
    status: &'static str,
    /// Of `ready`: what the server is to its pool, `alone` or `active`.
    #[serde(skip_serializing_if = "Option::is_none")]
    standing: Option<&'static str>,
    /// Of `ready`, in a pool: the epoch of what the server hands out.
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<i64>,
    /// Of `ready`, in a pool: `normal` or `failed-over`.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    /// Of `ready`, in a pool of two sites: the site in which it goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    site: Option<String>,
    /// Of `ready`, in a pool: hosts of the database that take writes though another has taken their place, each with why. They must be stopped;
    /// nothing is written to them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    passed_over: Vec<String>,
}

/// Whether the process answers at all. Needs no sign-in.
#[utoipa::path(get, path = "/health/live", tag = "health", security(()), responses((status = 200, body = Health)))]
async fn is_live() -> Json<Health> {
    Json(Health { status: "live", standing: None, epoch: None, state: None, site: None, passed_over: Vec::new() })
}

/// What is wrong with the database, if anything is; a full disk has a code of its own.
fn of_database(door: &Door) -> Option<Problem> {
    let condition = door.chat.database().condition;
    let what = match condition {
        Condition::Ready | Condition::Full => return None,
        Condition::Gone => "it cannot be reached",
        Condition::ReadOnly => "it takes no writes: it is a standby, or was made read-only",
        Condition::OtherEpoch => "it was replaced by another, and everything is being read anew",
    };
    let old = door.chat.passed_over();
    let old =
        if old.is_empty() { String::new() } else { format!("; old primaries are passed over: {}", old.join(", ")) };
    let detail =
        format!("the database is {}: {what}{old}; this server goes on by itself when that is over", condition.word());
    Some(Problem::new(Code::Unavailable, detail).after(SOON))
}

/// Whether clients are to be sent here: a message sent now would be kept, and the server takes clients. Needs no sign-in.
#[utoipa::path(get, path = "/health/ready", tag = "health", security(()),
    responses(
        (status = 200, body = Health),
        (status = 503, body = crate::problem::Document, content_type = "application/problem+json"),
        (status = 507, body = crate::problem::Document, content_type = "application/problem+json"),
    ))]
async fn is_ready(State(door): State<Door>) -> Result<Json<Health>> {
    match tokio::time::timeout(PATIENCE, door.chat.check_ready()).await {
        Ok(Ok(())) => {}
        Ok(Err(error @ (ChatError::Unavailable(_) | ChatError::StorageFull | ChatError::Elsewhere { .. }))) => {
            return Err(of_database(&door).unwrap_or_else(|| error.into()));
        }
        Ok(Err(error)) => return Err(Problem::new(Code::Unavailable, error.to_string()).after(SOON)),
        Err(_) => {
            let detail = format!("the database did not answer within {} s", PATIENCE.as_secs());
            return Err(Problem::new(Code::Unavailable, detail));
        }
    }
    // It may answer and yet be another one than this server knows.
    if let Some(problem) = of_database(&door) {
        return Err(problem);
    }
    let standing = door.chat.standing();
    let why_not = match standing {
        Standing::Alone | Standing::Active => {
            let place = door.chat.place();
            let (epoch, state) = (place.as_ref().map(|_| door.chat.epoch()), place.as_ref().map(|p| p.state.word()));
            let site = place.and_then(|p| p.site);
            let passed_over = door.chat.passed_over();
            let standing = Some(standing.word());
            return Ok(Json(Health { status: "ready", standing, epoch, state, site, passed_over }));
        }
        Standing::Standby => "this server is a standby of its pool and takes no clients",
        Standing::Draining => {
            "this server is draining: those who are connected go on for a while, nobody else is taken"
        }
    };
    Err(Problem::standby(why_not, door.chat.active_addresses()))
}
