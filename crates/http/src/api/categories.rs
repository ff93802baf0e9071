//! Categories: what rooms are grouped by, and who may ever get into them.

use super::shapes::{Principal, Trial, WouldChange, changed, gone, ids, principals};
use crate::door::Door;
use crate::extract::{By, Json, Path, Query};
use crate::page::List;
use crate::problem::{Refusals, Result};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use holdfast_chat::categories::{CategoryAction, CategoryChange, CategoryView, NewCategory as ChatNewCategory};
use holdfast_domain::name::key;
use holdfast_domain::{CategoryId, PrincipalId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Door> {
    OpenApiRouter::new().routes(routes!(categories, add_category)).routes(routes!(
        category,
        change_category,
        delete_category
    ))
}

/// A category as the caller sees it.
#[derive(Debug, Serialize, ToSchema)]
struct Category {
    id: i64,
    name: String,
    description: String,
    /// Who may become a member of its rooms. For administrators only.
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed: Option<Vec<Principal>>,
    /// Exceptions from `allowed`; they win. For administrators only.
    #[serde(skip_serializing_if = "Option::is_none")]
    denied: Option<Vec<Principal>>,
    /// Who may create rooms in it. For administrators only.
    #[serde(skip_serializing_if = "Option::is_none")]
    creators: Option<Vec<Principal>>,
    /// Whether people added to a room are told.
    invitations: bool,
    /// Whether files may be uploaded.
    file_upload: bool,
    /// Whether members may read what was said before.
    history: bool,
    /// How many rooms in it the caller may find.
    rooms: usize,
    /// What the caller may do.
    can: Vec<CategoryRight>,
}

/// Something that somebody may do to a category.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum CategoryRight {
    /// Change its settings.
    Edit,
    /// Delete it: only while no room is in it.
    Delete,
    /// Create rooms in it.
    CreateRoom,
}

impl From<CategoryView> for Category {
    fn from(view: CategoryView) -> Self {
        let CategoryView { category, rooms, allowed, denied, creators, detailed, can } = view;
        let shown = |list| detailed.then(|| principals(list));
        let right = |action| match action {
            CategoryAction::Edit => CategoryRight::Edit,
            CategoryAction::Delete => CategoryRight::Delete,
            CategoryAction::CreateRoom => CategoryRight::CreateRoom,
        };
        Self {
            id: category.id.0,
            name: category.name.to_string(),
            description: category.description,
            allowed: shown(allowed),
            denied: shown(denied),
            creators: shown(creators),
            invitations: category.invitations,
            file_upload: category.file_upload,
            history: category.history,
            rooms,
            can: can.into_iter().map(right).collect(),
        }
    }
}

/// Which categories.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Exactly this name, in any case.
    name: Option<String>,
}

/// The categories that the caller may know of.
#[utoipa::path(get, path = "/categories", tag = "categories", params(Filter),
    responses((status = 200, body = List<Category>), Refusals))]
async fn categories(
    State(door): State<Door>,
    By(caller): By,
    Query(filter): Query<Filter>,
) -> Result<Json<List<Category>>> {
    let name = filter.name.as_deref().map(key);
    let mut categories = door.chat.categories(&caller).await?;
    categories.retain(|c| name.as_ref().is_none_or(|n| c.category.name.key() == *n));
    Ok(Json(List::whole(categories.into_iter().map(Category::from).collect())))
}

/// A category to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewCategory {
    /// Unique among rooms and categories, in any case.
    name: String,
    #[serde(default)]
    description: String,
    /// Numbers of users and groups; everyone if not given.
    allowed: Option<Vec<i64>>,
    #[serde(default)]
    denied: Vec<i64>,
    #[serde(default)]
    creators: Vec<i64>,
    /// On if not given.
    invitations: Option<bool>,
    /// On if not given.
    file_upload: Option<bool>,
    /// On if not given.
    history: Option<bool>,
}

/// Makes a category. For administrators.
#[utoipa::path(post, path = "/categories", tag = "categories", params(Trial),
    responses((status = 201, body = Category), (status = 200, body = WouldChange), Refusals))]
async fn add_category(
    State(door): State<Door>,
    By(caller): By,
    Query(trial): Query<Trial>,
    Json(new): Json<NewCategory>,
) -> Result<Response> {
    let new = ChatNewCategory {
        name: new.name,
        description: new.description,
        allowed: new.allowed.map_or_else(|| vec![PrincipalId::EVERYONE], ids),
        denied: ids(new.denied),
        creators: ids(new.creators),
        invitations: new.invitations.unwrap_or(true),
        file_upload: new.file_upload.unwrap_or(true),
        history: new.history.unwrap_or(true),
    };
    let outcome = door.chat.add_category(&caller, new, trial.mode()).await?;
    Ok(changed(outcome, StatusCode::CREATED, Category::from))
}

/// One category.
#[utoipa::path(get, path = "/categories/{category}", tag = "categories", responses((status = 200, body = Category), Refusals))]
async fn category(State(door): State<Door>, By(caller): By, Path(category): Path<i64>) -> Result<Json<Category>> {
    Ok(Json(door.chat.category(&caller, CategoryId(category)).await?.into()))
}

/// What is to change; what is not given stays. A list replaces the one that is there.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangeCategory {
    name: Option<String>,
    description: Option<String>,
    allowed: Option<Vec<i64>>,
    denied: Option<Vec<i64>>,
    creators: Option<Vec<i64>>,
    invitations: Option<bool>,
    file_upload: Option<bool>,
    history: Option<bool>,
}

/// The category as it is now, or what would change.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "describes the two answers")]
enum CategoryOrWould {
    Category(Category),
    Would(WouldChange),
}

/// Changes a category. For administrators. Whom it no longer admits is out of its rooms at once.
#[utoipa::path(patch, path = "/categories/{category}", tag = "categories", params(Trial),
    responses((status = 200, body = CategoryOrWould), Refusals))]
async fn change_category(
    State(door): State<Door>,
    By(caller): By,
    Path(category): Path<i64>,
    Query(trial): Query<Trial>,
    Json(change): Json<ChangeCategory>,
) -> Result<Response> {
    let change = CategoryChange {
        name: change.name,
        description: change.description,
        allowed: change.allowed.map(ids),
        denied: change.denied.map(ids),
        creators: change.creators.map(ids),
        invitations: change.invitations,
        file_upload: change.file_upload,
        history: change.history,
    };
    let outcome = door.chat.change_category(&caller, CategoryId(category), change, trial.mode()).await?;
    Ok(changed(outcome, StatusCode::OK, Category::from))
}

/// Deletes a category that has no rooms. For administrators.
#[utoipa::path(delete, path = "/categories/{category}", tag = "categories", params(Trial),
    responses((status = 204), (status = 200, body = WouldChange), Refusals))]
async fn delete_category(
    State(door): State<Door>,
    By(caller): By,
    Path(category): Path<i64>,
    Query(trial): Query<Trial>,
) -> Result<Response> {
    Ok(gone(door.chat.delete_category(&caller, CategoryId(category), trial.mode()).await?))
}
