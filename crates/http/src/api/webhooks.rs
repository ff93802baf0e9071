//! Incoming webhooks: an address that posts into one room, for programs that can do no more than send JSON.

use super::entries::Entry;
use super::shapes::Moment;
use crate::door::Door;
use crate::extract::{By, Json, Path};
use crate::page::List;
use crate::problem::{Refusals, Result};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use holdfast_chat::posting::NewMessage;
use holdfast_domain::{ClientId, RoomId};
use holdfast_store::accounts;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

/// What is under `/api/v1`.
pub(super) fn routes() -> OpenApiRouter<Door> {
    OpenApiRouter::new().routes(routes!(webhooks, add_webhook)).routes(routes!(end_webhook))
}

/// What stands beside it, since its address is itself the secret.
pub(crate) fn hooks() -> OpenApiRouter<Door> {
    OpenApiRouter::new().routes(routes!(post_by_webhook))
}

/// A webhook of a room, without its secret.
#[derive(Debug, Serialize, ToSchema)]
struct Webhook {
    id: i64,
    /// What it is called; its messages are by a bot of this name.
    label: String,
    created_at: Moment,
}

impl From<accounts::Webhook> for Webhook {
    fn from(webhook: accounts::Webhook) -> Self {
        Self { id: webhook.id, label: webhook.label, created_at: webhook.created_at.into() }
    }
}

/// The webhooks of a room, newest first. For its managers.
#[utoipa::path(get, path = "/rooms/{room}/webhooks", tag = "webhooks", responses((status = 200, body = List<Webhook>), Refusals))]
async fn webhooks(State(door): State<Door>, By(caller): By, Path(room): Path<i64>) -> Result<Json<List<Webhook>>> {
    let webhooks = door.chat.webhooks(&caller, RoomId(room)).await?;
    Ok(Json(List::whole(webhooks.into_iter().map(Webhook::from).collect())))
}

/// A webhook to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewWebhook {
    /// What it shall be called.
    label: String,
}

/// A new webhook with its address, which is shown only here.
#[derive(Debug, Serialize, ToSchema)]
struct MadeWebhook {
    #[serde(flatten)]
    webhook: Webhook,
    /// Where to post; whoever knows it may.
    url: String,
    /// The secret part of it.
    secret: String,
}

/// Makes a webhook. Its address is shown this once.
#[utoipa::path(post, path = "/rooms/{room}/webhooks", tag = "webhooks", responses((status = 201, body = MadeWebhook), Refusals))]
async fn add_webhook(
    State(door): State<Door>,
    By(caller): By,
    Path(room): Path<i64>,
    Json(new): Json<NewWebhook>,
) -> Result<(StatusCode, Json<MadeWebhook>)> {
    let (webhook, secret) = door.chat.add_webhook(&caller, RoomId(room), &new.label).await?;
    let base = door.options.public_url.as_deref().unwrap_or_default().trim_end_matches('/');
    let url = format!("{base}/hooks/{secret}");
    Ok((StatusCode::CREATED, Json(MadeWebhook { webhook: webhook.into(), url, secret })))
}

/// Ends a webhook.
#[utoipa::path(delete, path = "/rooms/{room}/webhooks/{webhook}", tag = "webhooks", responses((status = 204), Refusals))]
async fn end_webhook(
    State(door): State<Door>,
    By(caller): By,
    Path((room, webhook)): Path<(i64, i64)>,
) -> Result<StatusCode> {
    door.chat.end_webhook(&caller, RoomId(room), webhook).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Something to say.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct HookMessage {
    /// Plain text; of a story, its body.
    text: String,
    /// Makes it a story.
    title: Option<String>,
    /// High importance.
    #[serde(default)]
    alert: bool,
    /// The sender's own name for it: sent again, it is not said again.
    client_id: Option<Uuid>,
}

/// Says something in the webhook's room. Needs no sign-in: the address is the secret.
#[utoipa::path(post, path = "/hooks/{secret}", tag = "webhooks", security(()),
    responses((status = 201, body = Entry), (status = 200, body = Entry, description = "The client id was written before as this entry"), Refusals))]
async fn post_by_webhook(
    State(door): State<Door>,
    Path(secret): Path<String>,
    Json(message): Json<HookMessage>,
) -> Result<impl IntoResponse> {
    let HookMessage { text, title, alert, client_id } = message;
    let client_id = ClientId(client_id.unwrap_or_else(Uuid::new_v4));
    let message = NewMessage { client_id, text, title, alert, action: false, files: Vec::new(), stanza: None };
    let posted = door.chat.post_by_webhook(&secret, message).await?;
    let status = if posted.repeated { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(Entry::from(posted.view))))
}
