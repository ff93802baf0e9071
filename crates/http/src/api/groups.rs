//! Groups of users, for administrators.

use super::roles::Come;
use super::shapes::{Principal, Trial, WouldChange, changed, gone, ids, present, principals};
use crate::door::Door;
use crate::extract::{By, Json, Path, Query};
use crate::page::List;
use crate::problem::{Refusals, Result};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use holdfast_chat::people::{GroupChange, GroupView, NewGroup as ChatNewGroup};
use holdfast_domain::PrincipalId;
use holdfast_domain::name::key;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Door> {
    OpenApiRouter::new().routes(routes!(groups, add_group)).routes(routes!(group, change_group, delete_group))
}

/// A group as administrators see it.
#[derive(Debug, Serialize, ToSchema)]
struct Group {
    #[serde(flatten)]
    person: Principal,
    /// Users and groups in it. The group of everyone has no list.
    members: Vec<Principal>,
    /// Whether its members may use chat, where the user itself says nothing.
    may_chat: Option<bool>,
}

impl From<GroupView> for Group {
    fn from(view: GroupView) -> Self {
        Self { person: view.person.into(), members: principals(view.members), may_chat: view.group.may_chat }
    }
}

/// Which groups.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Exactly this name, in any case.
    name: Option<String>,
}

/// All groups.
#[utoipa::path(get, path = "/groups", tag = "groups", params(Filter), responses((status = 200, body = List<Group>), Refusals))]
async fn groups(State(door): State<Door>, By(caller): By, Query(filter): Query<Filter>) -> Result<Json<List<Group>>> {
    let name = filter.name.as_deref().map(key);
    let mut groups = door.chat.groups(&caller).await?;
    groups.retain(|g| name.as_ref().is_none_or(|n| g.group.name.key() == *n));
    Ok(Json(List::whole(groups.into_iter().map(Group::from).collect())))
}

/// A group to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewGroup {
    /// Unique among users and groups.
    name: String,
    /// The name that is shown; the other one if not given.
    display_name: Option<String>,
    /// Numbers of users and groups.
    #[serde(default)]
    members: Vec<i64>,
}

/// Makes a group.
#[utoipa::path(post, path = "/groups", tag = "groups", params(Trial),
    responses((status = 201, body = Group), (status = 200, body = WouldChange), Refusals))]
async fn add_group(
    State(door): State<Door>,
    By(caller): By,
    Query(trial): Query<Trial>,
    Json(new): Json<NewGroup>,
) -> Result<Response> {
    let NewGroup { name, display_name, members } = new;
    let new = ChatNewGroup { name, display_name, members: ids(members) };
    let outcome = door.chat.add_group(&caller, new, trial.mode()).await?;
    Ok(changed(outcome, StatusCode::CREATED, Group::from))
}

/// One group.
#[utoipa::path(get, path = "/groups/{group}", tag = "groups", responses((status = 200, body = Group), Refusals))]
async fn group(State(door): State<Door>, By(caller): By, Path(group): Path<i64>) -> Result<Json<Group>> {
    Ok(Json(door.chat.group(&caller, PrincipalId(group)).await?.into()))
}

/// What is to change; what is not given stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangeGroup {
    name: Option<String>,
    display_name: Option<String>,
    /// Null: it says nothing about it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<bool>)]
    may_chat: Option<Option<bool>>,
    members: Option<Come>,
}

/// The group as it is now, or what would change.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "describes the two answers")]
enum GroupOrWould {
    Group(Group),
    Would(WouldChange),
}

/// Changes a group.
#[utoipa::path(patch, path = "/groups/{group}", tag = "groups", params(Trial),
    responses((status = 200, body = GroupOrWould), Refusals))]
async fn change_group(
    State(door): State<Door>,
    By(caller): By,
    Path(group): Path<i64>,
    Query(trial): Query<Trial>,
    Json(change): Json<ChangeGroup>,
) -> Result<Response> {
    let ChangeGroup { name, display_name, may_chat, members } = change;
    let Come { add, remove } = members.unwrap_or_default();
    let change = GroupChange { name, display_name, may_chat, add: ids(add), remove: ids(remove) };
    let outcome = door.chat.change_group(&caller, PrincipalId(group), change, trial.mode()).await?;
    Ok(changed(outcome, StatusCode::OK, Group::from))
}

/// Deletes a group that is in no list.
#[utoipa::path(delete, path = "/groups/{group}", tag = "groups", params(Trial),
    responses((status = 204), (status = 200, body = WouldChange), Refusals))]
async fn delete_group(
    State(door): State<Door>,
    By(caller): By,
    Path(group): Path<i64>,
    Query(trial): Query<Trial>,
) -> Result<Response> {
    Ok(gone(door.chat.delete_group(&caller, PrincipalId(group), trial.mode()).await?))
}
