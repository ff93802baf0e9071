//! Users, for administrators: who there is, their passwords, sign-ins and tokens.

use super::me::{MadeToken, NewToken, Session, Token, make_token};
use super::shapes::{Moment, Principal, Trial, WouldChange, changed, gone, present, words};
use crate::door::Door;
use crate::extract::{By, Json, Path, Query};
use crate::page::{self, List};
use crate::problem::{Refusals, Result};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use holdfast_chat::people::{NewUser as ChatNewUser, UserChange, UserFilter, UserView};
use holdfast_domain::PrincipalId;
use holdfast_domain::principal::UserKind as DomainUserKind;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Users of a page when no number is asked for, and at most.
const PAGE: usize = 50;
const PAGE_MOST: usize = 500;

pub(super) fn routes() -> OpenApiRouter<Door> {
    OpenApiRouter::new()
        .routes(routes!(users, add_user))
        .routes(routes!(user, change_user, disable_user))
        .routes(routes!(reset_password))
        .routes(routes!(user_sessions, end_user_sessions))
        .routes(routes!(user_tokens, add_user_token))
        .routes(routes!(end_user_token))
}

words! {
    /// What kind of user it is.
    UserKind for DomainUserKind {
        /// Somebody who signs in with a password.
        Person,
        /// A program that signs in with a token.
        Bot,
        /// An author of imported messages, who cannot sign in.
        Imported,
    }
}

/// A user as administrators see it.
#[derive(Debug, Serialize, ToSchema)]
struct User {
    #[serde(flatten)]
    person: Principal,
    admin: bool,
    /// A disabled user can do nothing and belongs to no group.
    disabled: bool,
    /// Whether it may use chat; null: as its groups and the server say.
    may_chat: Option<bool>,
    created_at: Moment,
    /// When it last signed in.
    last_seen_at: Option<Moment>,
    /// Until when no password of it is tried.
    locked_until: Option<Moment>,
}

impl From<UserView> for User {
    fn from(view: UserView) -> Self {
        let UserView { user, person, last_seen_at, locked_until } = view;
        Self {
            person: person.into(),
            admin: user.admin,
            disabled: user.disabled,
            may_chat: user.may_chat,
            created_at: user.created_at.into(),
            last_seen_at: last_seen_at.map(Moment),
            locked_until: locked_until.map(Moment),
        }
    }
}

/// Which users; every part must hold.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// A part of the name or displayed name.
    q: Option<String>,
    /// Exactly this name, in any case.
    name: Option<String>,
    #[param(inline)]
    kind: Option<UserKind>,
    disabled: Option<bool>,
    /// The `next` of the page before.
    cursor: Option<String>,
    /// How many at most; 50 if not given.
    limit: Option<usize>,
}

/// Users, in the order of their numbers.
#[utoipa::path(get, path = "/users", tag = "users", params(Filter), responses((status = 200, body = List<User>), Refusals))]
async fn users(State(door): State<Door>, By(caller): By, Query(filter): Query<Filter>) -> Result<Json<List<User>>> {
    let filter = UserFilter {
        name: filter.name,
        q: filter.q,
        kind: filter.kind.map(Into::into),
        disabled: filter.disabled,
        after: page::number(filter.cursor.as_deref())?.map(PrincipalId),
        limit: page::limit(filter.limit, PAGE, PAGE_MOST)?,
    };
    let (users, more) = door.chat.users(&caller, filter).await?;
    let next = page::next(more, users.last().map(|u| u.user.id.0));
    Ok(Json(List { items: users.into_iter().map(User::from).collect(), next }))
}

/// A user to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewUser {
    /// The name to sign in with.
    name: String,
    /// The name that is shown; the other one if not given.
    display_name: Option<String>,
    /// Without one a person cannot sign in until one is set; a bot has none.
    #[schema(format = "password")]
    password: Option<String>,
    #[serde(default)]
    admin: bool,
    /// `person` if not given, or `bot`.
    kind: Option<UserKind>,
    may_chat: Option<bool>,
}

/// Makes a user.
#[utoipa::path(post, path = "/users", tag = "users", params(Trial),
    responses((status = 201, body = User), (status = 200, body = WouldChange), Refusals))]
async fn add_user(
    State(door): State<Door>,
    By(caller): By,
    Query(trial): Query<Trial>,
    Json(new): Json<NewUser>,
) -> Result<Response> {
    let new = ChatNewUser {
        name: new.name,
        display_name: new.display_name,
        password: new.password,
        admin: new.admin,
        kind: new.kind.map_or(DomainUserKind::Person, Into::into),
        may_chat: new.may_chat,
    };
    let outcome = door.chat.add_user(&caller, new, trial.mode()).await?;
    Ok(changed(outcome, StatusCode::CREATED, User::from))
}

/// One user.
#[utoipa::path(get, path = "/users/{user}", tag = "users", responses((status = 200, body = User), Refusals))]
async fn user(State(door): State<Door>, By(caller): By, Path(user): Path<i64>) -> Result<Json<User>> {
    Ok(Json(door.chat.user(&caller, PrincipalId(user)).await?.into()))
}

/// What is to change; what is not given stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangeUser {
    name: Option<String>,
    display_name: Option<String>,
    admin: Option<bool>,
    disabled: Option<bool>,
    /// Null: as its groups and the server say.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<bool>)]
    may_chat: Option<Option<bool>>,
}

/// The user as it is now, or what would change.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "describes the two answers")]
enum UserOrWould {
    User(User),
    Would(WouldChange),
}

/// Changes a user.
#[utoipa::path(patch, path = "/users/{user}", tag = "users", params(Trial),
    responses((status = 200, body = UserOrWould), Refusals))]
async fn change_user(
    State(door): State<Door>,
    By(caller): By,
    Path(user): Path<i64>,
    Query(trial): Query<Trial>,
    Json(change): Json<ChangeUser>,
) -> Result<Response> {
    let ChangeUser { name, display_name, admin, disabled, may_chat } = change;
    let change = UserChange { name, display_name, admin, disabled, may_chat };
    let outcome = door.chat.change_user(&caller, PrincipalId(user), change, trial.mode()).await?;
    Ok(changed(outcome, StatusCode::OK, User::from))
}

/// Disables a user and ends its sign-ins. What it said stays and names it, so users are never deleted.
#[utoipa::path(delete, path = "/users/{user}", tag = "users", params(Trial),
    responses((status = 204), (status = 200, body = WouldChange), Refusals))]
async fn disable_user(
    State(door): State<Door>,
    By(caller): By,
    Path(user): Path<i64>,
    Query(trial): Query<Trial>,
) -> Result<Response> {
    let change = UserChange { disabled: Some(true), ..UserChange::default() };
    Ok(gone(door.chat.change_user(&caller, PrincipalId(user), change, trial.mode()).await?.map(|_| ())))
}

/// A new password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ResetPassword {
    #[schema(format = "password")]
    new: String,
}

/// Sets a user's password. Its sign-ins end.
#[utoipa::path(post, path = "/users/{user}/password", tag = "users", responses((status = 204), Refusals))]
async fn reset_password(
    State(door): State<Door>,
    By(caller): By,
    Path(user): Path<i64>,
    Json(reset): Json<ResetPassword>,
) -> Result<StatusCode> {
    door.chat.reset_password(&caller, PrincipalId(user), &reset.new).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Where a user is signed in, newest first.
#[utoipa::path(get, path = "/users/{user}/sessions", tag = "users", responses((status = 200, body = List<Session>), Refusals))]
async fn user_sessions(State(door): State<Door>, By(caller): By, Path(user): Path<i64>) -> Result<Json<List<Session>>> {
    let sign_ins = door.chat.sign_ins(&caller, PrincipalId(user)).await?;
    Ok(Json(List::whole(sign_ins.into_iter().map(|s| Session::of(s, caller.by)).collect())))
}

/// How many sign-ins were ended.
#[derive(Debug, Serialize, ToSchema)]
struct Ended {
    ended: u64,
}

/// Ends all sign-ins of a user.
#[utoipa::path(delete, path = "/users/{user}/sessions", tag = "users", responses((status = 200, body = Ended), Refusals))]
async fn end_user_sessions(State(door): State<Door>, By(caller): By, Path(user): Path<i64>) -> Result<Json<Ended>> {
    Ok(Json(Ended { ended: door.chat.end_sign_ins(&caller, PrincipalId(user)).await? }))
}

/// A user's tokens, newest first.
#[utoipa::path(get, path = "/users/{user}/tokens", tag = "users", responses((status = 200, body = List<Token>), Refusals))]
async fn user_tokens(State(door): State<Door>, By(caller): By, Path(user): Path<i64>) -> Result<Json<List<Token>>> {
    let tokens = door.chat.tokens(&caller, PrincipalId(user)).await?;
    Ok(Json(List::whole(tokens.into_iter().map(Token::from).collect())))
}

/// Makes a token for a user, as bots need. Its secret is shown this once.
#[utoipa::path(post, path = "/users/{user}/tokens", tag = "users", responses((status = 201, body = MadeToken), Refusals))]
async fn add_user_token(
    State(door): State<Door>,
    By(caller): By,
    Path(user): Path<i64>,
    Json(new): Json<NewToken>,
) -> Result<impl IntoResponse> {
    make_token(&door, &caller, PrincipalId(user), new).await
}

/// Ends one of a user's tokens.
#[utoipa::path(delete, path = "/users/{user}/tokens/{token}", tag = "users", responses((status = 204), Refusals))]
async fn end_user_token(
    State(door): State<Door>,
    By(caller): By,
    Path((user, token)): Path<(i64, i64)>,
) -> Result<StatusCode> {
    door.chat.end_token(&caller, PrincipalId(user), token).await?;
    Ok(StatusCode::NO_CONTENT)
}
