//! Rooms that the caller was added to.

use super::search::RoomName;
use super::shapes::{Moment, Principal};
use crate::door::Door;
use crate::extract::{By, Json, Path};
use crate::page::List;
use crate::problem::{Refusals, Result};
use axum::extract::State;
use axum::http::StatusCode;
use holdfast_chat::view::Person;
use holdfast_store::personal::Invitation as KeptInvitation;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Door> {
    OpenApiRouter::new().routes(routes!(invitations)).routes(routes!(seen)).routes(routes!(end_invitation))
}

/// Somebody added the caller to a room.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Invitation {
    id: i64,
    room: RoomName,
    by: Principal,
    at: Moment,
    seen: bool,
}

impl Invitation {
    pub(crate) fn of(kept: &KeptInvitation, room_name: String, by: Person) -> Self {
        let room = RoomName { id: kept.room.0, name: room_name };
        Self { id: kept.id, room, by: by.into(), at: kept.at.into(), seen: kept.seen }
    }
}

/// The caller's invitations, newest first.
#[utoipa::path(get, path = "/me/invitations", tag = "my rooms", responses((status = 200, body = List<Invitation>), Refusals))]
async fn invitations(State(door): State<Door>, By(caller): By) -> Result<Json<List<Invitation>>> {
    let kept = door.chat.invitations(&caller).await?;
    Ok(Json(List::whole(kept.into_iter().map(|i| Invitation::of(&i.invitation, i.room_name, i.by)).collect())))
}

/// Marks an invitation as seen.
#[utoipa::path(post, path = "/me/invitations/{invitation}/seen", tag = "my rooms", responses((status = 204), Refusals))]
async fn seen(State(door): State<Door>, By(caller): By, Path(invitation): Path<i64>) -> Result<StatusCode> {
    door.chat.invitation_seen(&caller, invitation).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Deletes an invitation. The caller stays in the room's list.
#[utoipa::path(delete, path = "/me/invitations/{invitation}", tag = "my rooms", responses((status = 204), Refusals))]
async fn end_invitation(State(door): State<Door>, By(caller): By, Path(invitation): Path<i64>) -> Result<StatusCode> {
    door.chat.end_invitation(&caller, invitation).await?;
    Ok(StatusCode::NO_CONTENT)
}
