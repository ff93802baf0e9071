//! Taking in messages that were said elsewhere.

use super::shapes::Moment;
use crate::door::Door;
use crate::extract::{By, Import, Json};
use crate::problem::{Refusals, Result};
use axum::extract::State;
use holdfast_chat::importing::{Imported as ChatImported, ImportedMessage};
use holdfast_domain::RoomId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

pub(super) fn routes() -> OpenApiRouter<Door> {
    OpenApiRouter::new().routes(routes!(import))
}

/// Messages for a room, in the order in which they were said.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ImportBatch {
    /// The number of the room.
    room: i64,
    batch: Vec<OldMessage>,
}

/// A message that was said elsewhere.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OldMessage {
    /// When it was said.
    at: Moment,
    /// By whom, as he was called there.
    author: String,
    text: String,
    /// Tells what the author did rather than said.
    #[serde(default)]
    action: bool,
    /// The same whenever this message is imported, so that it is taken in once.
    key: Uuid,
}

/// What became of a batch.
#[derive(Debug, Serialize, ToSchema)]
struct Imported {
    /// New messages.
    imported: usize,
    /// Messages that were there already.
    repeated: usize,
    /// Authors met for the first time.
    authors_created: usize,
}

/// Takes in a batch of messages, all of it or nothing. For administrators.
#[utoipa::path(post, path = "/admin/import", tag = "operate", request_body = ImportBatch,
    responses((status = 200, body = Imported), Refusals))]
async fn import(
    State(door): State<Door>,
    By(caller): By,
    Import(batch): Import<ImportBatch>,
) -> Result<Json<Imported>> {
    let messages = batch.batch.into_iter().map(|old| {
        let OldMessage { at, author, text, action, key } = old;
        ImportedMessage { at: at.0, author, text, action, key }
    });
    let done = door.chat.import(&caller, RoomId(batch.room), messages.collect()).await?;
    let ChatImported { imported, repeated, authors_created } = done;
    Ok(Json(Imported { imported, repeated, authors_created }))
}
