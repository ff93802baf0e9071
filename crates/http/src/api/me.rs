//! The caller: who it is, its choices, password, sign-ins and tokens.

use super::shapes::{Moment, Principal, words};
use crate::door::Door;
use crate::extract::{By, Json, Path};
use crate::page::List;
use crate::problem::{Refusals, Result};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use holdfast_chat::accounts::NewToken as ChatNewToken;
use holdfast_chat::caller::Means;
use holdfast_chat::{people, preferences};
use holdfast_domain::{PrincipalId, RoomId};
use holdfast_store::accounts;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Door> {
    OpenApiRouter::new()
        .routes(routes!(me, rename))
        .routes(routes!(put_preferences))
        .routes(routes!(change_password))
        .routes(routes!(sessions))
        .routes(routes!(end_session))
        .routes(routes!(tokens, add_token))
        .routes(routes!(end_token))
}

/// The caller.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Me {
    #[serde(flatten)]
    person: Principal,
    /// Whether it is an administrator.
    admin: bool,
    /// Whether policy lets it use chat.
    may_chat: bool,
    /// Whether some category lets it create rooms.
    may_create_rooms: bool,
    preferences: Preferences,
    /// What the token is for that the request was made with; null for a sign-in, which is for everything.
    scopes: Option<Vec<ScopeWord>>,
}

impl From<people::Me> for Me {
    fn from(me: people::Me) -> Self {
        let scopes = (!me.can_sign_out).then(|| me.scopes.into_iter().map(ScopeWord::from).collect());
        Self {
            person: me.person.into(),
            admin: me.admin,
            may_chat: me.may_chat,
            may_create_rooms: me.may_create_rooms,
            preferences: me.preferences.into(),
            scopes,
        }
    }
}

words! {
    /// What a token may be for. Wider ones do not contain narrower ones.
    ScopeWord for holdfast_chat::Scope {
        /// Read rooms, history, people.
        Read,
        /// Say things, upload, mark as read, follow.
        Post,
        /// Make and change rooms and their lists, moderate.
        Manage,
        /// Administrators' work.
        Admin,
    }
}

/// A person's choices. What is not given is as it is for everybody.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
struct Preferences {
    /// `en` or `de`; null: as the browser says.
    language: Option<String>,
    theme: Theme,
    density: Density,
    /// When to call, where a room has no setting of its own.
    notify: Notify,
    /// When to call, by the number of the room.
    rooms: BTreeMap<i64, Notify>,
}

words! {
    /// Colours.
    Theme for preferences::Theme {
        /// As the machine is set.
        System,
        /// Dark on light.
        Light,
        /// Light on dark.
        Dark,
    }
}

impl Default for Theme {
    fn default() -> Self {
        preferences::Theme::default().into()
    }
}

words! {
    /// How close lines stand.
    Density for preferences::Density {
        /// With air.
        Comfortable,
        /// More on a page.
        Compact,
    }
}

impl Default for Density {
    fn default() -> Self {
        preferences::Density::default().into()
    }
}

/// When to call.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
struct Notify {
    messages: NotifyFor,
    /// By a notice on the desktop.
    desktop: bool,
    /// By a sound.
    sound: bool,
}

impl Default for Notify {
    fn default() -> Self {
        preferences::Notify::default().into()
    }
}

words! {
    /// Which messages call.
    NotifyFor for preferences::NotifyFor {
        /// Every one in a followed room.
        All,
        /// Those that name the reader.
        Mentions,
        /// None.
        None,
    }
}

impl From<preferences::Notify> for Notify {
    fn from(notify: preferences::Notify) -> Self {
        let preferences::Notify { messages, desktop, sound } = notify;
        Self { messages: messages.into(), desktop, sound }
    }
}

impl From<Notify> for preferences::Notify {
    fn from(notify: Notify) -> Self {
        let Notify { messages, desktop, sound } = notify;
        Self { messages: messages.into(), desktop, sound }
    }
}

impl From<preferences::Preferences> for Preferences {
    fn from(kept: preferences::Preferences) -> Self {
        Self {
            language: kept.language,
            theme: kept.theme.into(),
            density: kept.density.into(),
            notify: kept.notify.into(),
            rooms: kept.rooms.into_iter().map(|(room, notify)| (room.0, notify.into())).collect(),
        }
    }
}

impl From<Preferences> for preferences::Preferences {
    fn from(given: Preferences) -> Self {
        Self {
            language: given.language,
            theme: given.theme.into(),
            density: given.density.into(),
            notify: given.notify.into(),
            rooms: given.rooms.into_iter().map(|(room, notify)| (RoomId(room), notify.into())).collect(),
        }
    }
}

/// The caller.
#[utoipa::path(get, path = "/me", tag = "me", responses((status = 200, body = Me), Refusals))]
async fn me(State(door): State<Door>, By(caller): By) -> Result<Json<Me>> {
    Ok(Json(door.chat.me(&caller).await?.into()))
}

/// A new displayed name.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Rename {
    display_name: String,
}

/// Changes the caller's displayed name.
#[utoipa::path(patch, path = "/me", tag = "me", responses((status = 200, body = Me), Refusals))]
async fn rename(State(door): State<Door>, By(caller): By, Json(to): Json<Rename>) -> Result<Json<Me>> {
    Ok(Json(door.chat.rename_me(&caller, &to.display_name).await?.into()))
}

/// Replaces the caller's choices.
#[utoipa::path(put, path = "/me/preferences", tag = "me", responses((status = 200, body = Preferences), Refusals))]
async fn put_preferences(
    State(door): State<Door>,
    By(caller): By,
    Json(choices): Json<Preferences>,
) -> Result<Json<Preferences>> {
    Ok(Json(door.chat.put_preferences(&caller, choices.into()).await?.into()))
}

/// The old password and a new one.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangePassword {
    #[schema(format = "password")]
    current: String,
    #[schema(format = "password")]
    new: String,
}

/// Changes the caller's password. Its other sign-ins end.
#[utoipa::path(post, path = "/me/password", tag = "me", responses((status = 204), Refusals))]
async fn change_password(
    State(door): State<Door>,
    By(caller): By,
    Json(to): Json<ChangePassword>,
) -> Result<StatusCode> {
    door.chat.change_password(&caller, &to.current, &to.new).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A place where somebody is signed in.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Session {
    id: i64,
    created_at: Moment,
    /// To the minute or so.
    last_seen_at: Moment,
    expires_at: Moment,
    /// What the browser calls itself.
    agent: String,
    /// The address it signed in from.
    address: String,
    /// Whether this request was made with it.
    current: bool,
}

impl Session {
    /// What is shown of `sign_in` to somebody authenticated by `means`.
    pub(super) fn of(sign_in: accounts::SignIn, means: Means) -> Self {
        Self {
            current: means == Means::SignIn(sign_in.id),
            id: sign_in.id,
            created_at: sign_in.created_at.into(),
            last_seen_at: sign_in.last_seen_at.into(),
            expires_at: sign_in.expires_at.into(),
            agent: sign_in.agent,
            address: sign_in.address,
        }
    }
}

/// Where the caller is signed in, newest first.
#[utoipa::path(get, path = "/me/sessions", tag = "me", responses((status = 200, body = List<Session>), Refusals))]
async fn sessions(State(door): State<Door>, By(caller): By) -> Result<Json<List<Session>>> {
    let sign_ins = door.chat.sign_ins(&caller, caller.user).await?;
    Ok(Json(List::whole(sign_ins.into_iter().map(|s| Session::of(s, caller.by)).collect())))
}

/// Ends one of the caller's sign-ins.
#[utoipa::path(delete, path = "/me/sessions/{session}", tag = "me", responses((status = 204), Refusals))]
async fn end_session(State(door): State<Door>, By(caller): By, Path(session): Path<i64>) -> Result<StatusCode> {
    door.chat.end_sign_in(&caller, caller.user, session).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A token, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Token {
    id: i64,
    /// Its owner's name for it.
    label: String,
    /// What it is for.
    #[schema(value_type = Vec<ScopeWord>)]
    scopes: Vec<String>,
    created_at: Moment,
    /// When it ends by itself; null: never.
    expires_at: Option<Moment>,
    /// To the minute or so; null: never.
    last_used_at: Option<Moment>,
}

impl From<accounts::Token> for Token {
    fn from(token: accounts::Token) -> Self {
        Self {
            id: token.id,
            label: token.label,
            scopes: token.scopes,
            created_at: token.created_at.into(),
            expires_at: token.expires_at.map(Moment),
            last_used_at: token.last_used_at.map(Moment),
        }
    }
}

/// A token to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewToken {
    /// A name for it.
    label: String,
    /// What it shall be for.
    #[schema(value_type = Vec<ScopeWord>)]
    scopes: Vec<String>,
    /// When it shall end by itself.
    expires_at: Option<Moment>,
}

/// A new token with its secret, which is shown only here.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MadeToken {
    #[serde(flatten)]
    token: Token,
    /// To be sent as `Authorization: Bearer ...`.
    secret: String,
}

/// Makes a token for `of`.
pub(super) async fn make_token(
    door: &Door,
    caller: &holdfast_chat::Caller,
    of: PrincipalId,
    new: NewToken,
) -> Result<(StatusCode, Json<MadeToken>)> {
    let NewToken { label, scopes, expires_at } = new;
    let new = ChatNewToken { label, scopes, expires_at: expires_at.map(|m| m.0) };
    let (token, secret) = door.chat.add_token(caller, of, new).await?;
    Ok((StatusCode::CREATED, Json(MadeToken { token: token.into(), secret })))
}

/// The caller's tokens, newest first.
#[utoipa::path(get, path = "/me/tokens", tag = "me", responses((status = 200, body = List<Token>), Refusals))]
async fn tokens(State(door): State<Door>, By(caller): By) -> Result<Json<List<Token>>> {
    let tokens = door.chat.tokens(&caller, caller.user).await?;
    Ok(Json(List::whole(tokens.into_iter().map(Token::from).collect())))
}

/// Makes a token for the caller. Its secret is shown this once.
#[utoipa::path(post, path = "/me/tokens", tag = "me", responses((status = 201, body = MadeToken), Refusals))]
async fn add_token(State(door): State<Door>, By(caller): By, Json(new): Json<NewToken>) -> Result<impl IntoResponse> {
    make_token(&door, &caller, caller.user, new).await
}

/// Ends one of the caller's tokens.
#[utoipa::path(delete, path = "/me/tokens/{token}", tag = "me", responses((status = 204), Refusals))]
async fn end_token(State(door): State<Door>, By(caller): By, Path(token): Path<i64>) -> Result<StatusCode> {
    door.chat.end_token(&caller, caller.user, token).await?;
    Ok(StatusCode::NO_CONTENT)
}
