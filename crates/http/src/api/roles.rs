//! A room's three lists, and who could come in.

use super::shapes::{Principal, Trial, WouldChange, changed, ids, principals};
use crate::door::Door;
use crate::extract::{By, Json, Path, Query};
use crate::page::{self, List};
use crate::problem::{Refusals, Result};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use holdfast_chat::rooms::RolesView;
use holdfast_domain::RoomId;
use holdfast_domain::room::{Role, RoleChange};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// People that are offered, and at most.
const OFFERED: usize = 20;
const OFFERED_MOST: usize = 200;

pub(super) fn routes() -> OpenApiRouter<Door> {
    OpenApiRouter::new().routes(routes!(roles, change_roles)).routes(routes!(eligible))
}

/// A room's lists of users and groups.
#[derive(Debug, Serialize, ToSchema)]
struct Roles {
    members: Vec<Principal>,
    managers: Vec<Principal>,
    presenters: Vec<Principal>,
}

impl From<RolesView> for Roles {
    fn from(roles: RolesView) -> Self {
        Self {
            members: principals(roles.members),
            managers: principals(roles.managers),
            presenters: principals(roles.presenters),
        }
    }
}

/// A room's lists.
#[utoipa::path(get, path = "/rooms/{room}/roles", tag = "rooms", responses((status = 200, body = Roles), Refusals))]
async fn roles(State(door): State<Door>, By(caller): By, Path(room): Path<i64>) -> Result<Json<Roles>> {
    Ok(Json(door.chat.roles(&caller, RoomId(room)).await?.into()))
}

/// What is to change.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangeRoles {
    members: Option<Come>,
    managers: Option<Come>,
    presenters: Option<Come>,
}

/// Numbers of users and groups that come into a list and go out of it.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = ListChange)]
pub(crate) struct Come {
    pub(super) add: Vec<i64>,
    pub(super) remove: Vec<i64>,
}

/// The lists as they are now, or what would change.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "describes the two answers")]
enum RolesOrWould {
    Roles(Roles),
    Would(WouldChange),
}

/// Changes a room's lists.
#[utoipa::path(patch, path = "/rooms/{room}/roles", tag = "rooms", params(Trial),
    responses((status = 200, body = RolesOrWould), Refusals))]
async fn change_roles(
    State(door): State<Door>,
    By(caller): By,
    Path(room): Path<i64>,
    Query(trial): Query<Trial>,
    Json(change): Json<ChangeRoles>,
) -> Result<Response> {
    let lists =
        [(Role::Member, change.members), (Role::Manager, change.managers), (Role::Presenter, change.presenters)];
    let changes = lists
        .into_iter()
        .filter_map(|(role, come)| come.map(|c| RoleChange { role, added: ids(c.add), removed: ids(c.remove) }))
        .collect();
    let outcome = door.chat.change_roles(&caller, RoomId(room), changes, trial.mode()).await?;
    Ok(changed(outcome, StatusCode::OK, Roles::from))
}

/// Whom to look for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Sought {
    /// A part of the name.
    q: String,
    /// How many at most; 20 if not given.
    limit: Option<usize>,
}

/// Users and groups that the room's category admits to its lists.
#[utoipa::path(get, path = "/rooms/{room}/eligible", tag = "rooms", params(Sought),
    responses((status = 200, body = List<Principal>), Refusals))]
async fn eligible(
    State(door): State<Door>,
    By(caller): By,
    Path(room): Path<i64>,
    Query(sought): Query<Sought>,
) -> Result<Json<List<Principal>>> {
    let limit = page::limit(sought.limit, OFFERED, OFFERED_MOST)?;
    let people = door.chat.eligible(&caller, RoomId(room), &sought.q, limit).await?;
    Ok(Json(List::whole(principals(people))))
}
