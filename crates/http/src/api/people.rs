//! Finding users and groups by name: for mentions and lists.

use super::shapes::{Principal, PrincipalKind, principals};
use crate::door::Door;
use crate::extract::{By, Json, Query};
use crate::page::{self, List};
use crate::problem::{Refusals, Result};
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// People that are offered, and at most.
const OFFERED: usize = 20;
const OFFERED_MOST: usize = 200;

pub(super) fn routes() -> OpenApiRouter<Door> {
    OpenApiRouter::new().routes(routes!(find))
}

/// Whom to look for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Sought {
    /// A part of the name.
    q: String,
    /// Only of this kind.
    #[param(inline)]
    kind: Option<PrincipalKind>,
    /// How many at most; 20 if not given.
    limit: Option<usize>,
}

/// Users and groups whose name has the given part.
#[utoipa::path(get, path = "/principals", tag = "people", params(Sought), responses((status = 200, body = List<Principal>), Refusals))]
async fn find(State(door): State<Door>, By(caller): By, Query(sought): Query<Sought>) -> Result<Json<List<Principal>>> {
    let limit = page::limit(sought.limit, OFFERED, OFFERED_MOST)?;
    let kind = sought.kind.map(PrincipalKind::word);
    Ok(Json(List::whole(principals(door.chat.principals(&caller, &sought.q, kind, limit).await?))))
}
