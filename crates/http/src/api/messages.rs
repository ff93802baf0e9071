//! Saying something, changing it, taking it back, and what moderators do.

use super::entries::Entry;
use super::shapes::{Moment, Trial, WouldChange, changed};
use crate::door::Door;
use crate::extract::{By, Json, Path, Query};
use crate::problem::{Refusals, Result};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use holdfast_chat::posting::{Matching, NewEdit, NewMessage, Posted};
use holdfast_domain::{ClientId, FileId, PrincipalId, RoomId, Seq};
use holdfast_store::search::Words;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

pub(super) fn routes() -> OpenApiRouter<Door> {
    OpenApiRouter::new()
        .routes(routes!(post))
        .routes(routes!(edit, remove))
        .routes(routes!(remove_matching))
        .routes(routes!(clear))
}

/// Something to say.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewMessage)]
struct Draft {
    /// The sender's own name for it. Sending the same again yields the same entry, so a client whose connection broke simply
    /// sends again.
    client_id: Uuid,
    /// Plain text; of a story, its body.
    text: String,
    /// Makes it a story.
    title: Option<String>,
    /// High importance.
    #[serde(default)]
    alert: bool,
    /// Tells what the author does rather than says.
    #[serde(default)]
    action: bool,
    /// Files uploaded to the same room before.
    #[serde(default)]
    files: Vec<Uuid>,
    /// The latest epoch of the pool that the sender has heard of. A server that was left behind at an earlier one takes nothing then.
    #[serde(default)]
    epoch: Option<i64>,
}

/// What was written.
#[derive(Serialize, ToSchema)]
#[schema(as = PostedEntry)]
struct Written {
    #[serde(flatten)]
    entry: Entry,
    /// The epoch under which it was written, or an earlier one. Should the pool move to another site before this entry is there, it is among those that
    /// were not preserved.
    epoch: i64,
}

/// Answers 201 with what was written, or 200 with what had been written before.
fn written(posted: Posted, epoch: i64) -> (StatusCode, Json<Written>) {
    let status = if posted.repeated { StatusCode::OK } else { StatusCode::CREATED };
    (status, Json(Written { entry: posted.view.into(), epoch }))
}

/// Says something in a room. The answer comes when it is on disk.
#[utoipa::path(post, path = "/rooms/{room}/messages", tag = "messages",
    responses((status = 201, body = Written), (status = 200, body = Written, description = "The client id was written before as this entry"), Refusals))]
async fn post(
    State(door): State<Door>,
    By(caller): By,
    Path(room): Path<i64>,
    Json(draft): Json<Draft>,
) -> Result<impl IntoResponse> {
    let Draft { client_id, text, title, alert, action, files, epoch: heard } = draft;
    let epoch = door.chat.epoch();
    door.chat.demand_epoch(heard)?;
    let files = files.into_iter().map(FileId).collect();
    let message = NewMessage { client_id: ClientId(client_id), text, title, alert, action, files, stanza: None };
    Ok(written(door.chat.post(&caller, RoomId(room), message).await?, epoch))
}

/// A new text for a message.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewEdit)]
struct Change {
    /// The sender's own name for this change.
    client_id: Uuid,
    text: String,
    /// Of a story, and only there.
    title: Option<String>,
}

/// Changes a message of one's own, while its room's pool lets it be changed. The answer is the entry of the change.
#[utoipa::path(patch, path = "/rooms/{room}/messages/{seq}", tag = "messages",
    responses((status = 200, body = Entry), Refusals))]
async fn edit(
    State(door): State<Door>,
    By(caller): By,
    Path((room, seq)): Path<(i64, i64)>,
    Json(change): Json<Change>,
) -> Result<Json<Entry>> {
    let Change { client_id, text, title } = change;
    let edit = NewEdit { client_id: ClientId(client_id), text, title, action: None, keeps_files: true, stanza: None };
    Ok(Json(door.chat.edit(&caller, RoomId(room), Seq(seq), edit).await?.view.into()))
}

/// Why, and the sender's own name for it.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Reason {
    /// Why, for all to read. Needed by whoever removes another's message.
    reason: Option<String>,
    /// The sender's own name for this; a new one if not given.
    client_id: Option<Uuid>,
}

/// Takes back a message of one's own, or removes another's as a moderator. The answer is the entry of that.
#[utoipa::path(delete, path = "/rooms/{room}/messages/{seq}", tag = "messages", params(Reason),
    responses((status = 200, body = Entry), Refusals))]
async fn remove(
    State(door): State<Door>,
    By(caller): By,
    Path((room, seq)): Path<(i64, i64)>,
    Query(Reason { reason, client_id }): Query<Reason>,
) -> Result<Json<Entry>> {
    let client_id = ClientId(client_id.unwrap_or_else(Uuid::new_v4));
    Ok(Json(door.chat.retract_or_remove(&caller, RoomId(room), Seq(seq), client_id, reason).await?.view.into()))
}

/// Which messages to remove: those for which every part holds. At least one part must be given.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RemoveMatching {
    /// By this author.
    author: Option<i64>,
    /// Said at this time or later.
    from: Option<Moment>,
    /// Said before this time.
    to: Option<Moment>,
    /// With these words.
    words: Option<String>,
    /// How the words combine.
    #[serde(rename = "match", default)]
    matching: WordMatch,
    /// Whether case counts.
    #[serde(default)]
    case_sensitive: bool,
    /// What is shown in their place.
    replace_with: Option<String>,
    /// Why, for the records.
    reason: String,
    /// Erases their content from the log as well. There is no way back.
    #[serde(default)]
    erase: bool,
}

/// How words combine.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum WordMatch {
    /// All of them, anywhere.
    #[default]
    All,
    /// At least one of them.
    Any,
    /// One after the other.
    Exact,
}

/// What was removed.
#[derive(Debug, Serialize, ToSchema)]
struct RemovedMessages {
    /// How many messages matched.
    matched: usize,
    /// How many were removed now.
    removed: usize,
    /// Their numbers.
    seqs: Vec<i64>,
}

/// Removes all messages of a room that match. For administrators.
#[utoipa::path(post, path = "/rooms/{room}/messages/remove", tag = "messages", params(Trial),
    responses((status = 200, body = RemovedOrWould), Refusals))]
async fn remove_matching(
    State(door): State<Door>,
    By(caller): By,
    Path(room): Path<i64>,
    Query(trial): Query<Trial>,
    Json(what): Json<RemoveMatching>,
) -> Result<Response> {
    let what = Matching {
        author: what.author.map(PrincipalId),
        from: what.from.map(|m| m.0),
        to: what.to.map(|m| m.0),
        words: what.words,
        matching: match what.matching {
            WordMatch::All => Words::All,
            WordMatch::Any => Words::Any,
            WordMatch::Exact => Words::Phrase,
        },
        case_sensitive: what.case_sensitive,
        replace_with: what.replace_with,
        reason: what.reason,
        erase: what.erase,
    };
    let outcome = door.chat.remove_matching(&caller, RoomId(room), what, trial.mode()).await?;
    Ok(changed(outcome, StatusCode::OK, |seqs| RemovedMessages {
        matched: seqs.len(),
        removed: seqs.len(),
        seqs: seqs.into_iter().map(|s| s.0).collect(),
    }))
}

/// What was removed, or would be.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "describes the two answers")]
enum RemovedOrWould {
    Removed(RemovedMessages),
    Would(WouldChange),
}

/// Up to when.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Clear {
    /// Everything said at this time or earlier is erased.
    through: Moment,
}

/// How far the room was cleared.
#[derive(Debug, Serialize, ToSchema)]
struct Cleared {
    /// The last entry that was erased; 0: there was nothing to erase.
    cleared: i64,
}

/// How far the room was cleared, or would be.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "describes the two answers")]
enum ClearedOrWould {
    Cleared(Cleared),
    Would(WouldChange),
}

/// Erases everything that was said in a room up to a time. For administrators; there is no way back.
#[utoipa::path(post, path = "/rooms/{room}/clear", tag = "messages", params(Trial),
    responses((status = 200, body = ClearedOrWould), Refusals))]
async fn clear(
    State(door): State<Door>,
    By(caller): By,
    Path(room): Path<i64>,
    Query(trial): Query<Trial>,
    Json(clear): Json<Clear>,
) -> Result<Response> {
    let outcome = door.chat.clear(&caller, RoomId(room), clear.through.0, trial.mode()).await?;
    Ok(changed(outcome, StatusCode::OK, |through| Cleared { cleared: through.0 }))
}
