//! The caller's own rooms: which they are, following, and how far each is read.

use super::rooms::Room;
use crate::door::Door;
use crate::extract::{By, Json, Path};
use crate::page::List;
use crate::problem::{Document, Problem, Refusals, Result};
use axum::extract::State;
use axum::http::StatusCode;
use holdfast_domain::{RoomId, Seq};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Rooms that can be followed with one request.
const FOLLOW_MOST: usize = 5_000;

pub(super) fn routes() -> OpenApiRouter<Door> {
    OpenApiRouter::new()
        .routes(routes!(my_rooms))
        .routes(routes!(follow_many))
        .routes(routes!(follow, unfollow))
        .routes(routes!(mark_read))
}

/// How far it was read.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MarkRead {
    /// The last entry read.
    seq: i64,
}

/// How far the caller has read a room.
#[derive(Debug, Serialize, ToSchema)]
struct Reading {
    /// The last entry read.
    seq: i64,
    /// Messages after it.
    unread: i64,
    /// Messages after it that name the caller.
    mentions: i64,
}

/// Marks a room as read up to an entry. The position moves forward only.
#[utoipa::path(put, path = "/rooms/{room}/read", tag = "my rooms", responses((status = 200, body = Reading), Refusals))]
async fn mark_read(
    State(door): State<Door>,
    By(caller): By,
    Path(room): Path<i64>,
    Json(mark): Json<MarkRead>,
) -> Result<Json<Reading>> {
    let reading = door.chat.mark_read(&caller, RoomId(room), Seq(mark.seq)).await?;
    Ok(Json(Reading { seq: reading.read.0, unread: reading.unread, mentions: reading.mentions }))
}

/// The rooms that the caller follows, or is a member or manager of by name.
#[utoipa::path(get, path = "/me/rooms", tag = "my rooms", responses((status = 200, body = List<Room>), Refusals))]
async fn my_rooms(State(door): State<Door>, By(caller): By) -> Result<Json<List<Room>>> {
    let rooms = door.chat.my_rooms(&caller).await?;
    Ok(Json(List::whole(rooms.into_iter().map(Room::from).collect())))
}

/// Rooms to follow.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct FollowMany {
    /// Their numbers.
    rooms: Vec<i64>,
}

/// Whether a room is followed now.
#[derive(Debug, Serialize, ToSchema)]
struct Followed {
    room: i64,
    followed: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Document>,
}

/// Follows rooms; each is answered by itself.
#[utoipa::path(post, path = "/me/followed", tag = "my rooms", responses((status = 200, body = List<Followed>), Refusals))]
async fn follow_many(
    State(door): State<Door>,
    By(caller): By,
    Json(follow): Json<FollowMany>,
) -> Result<Json<List<Followed>>> {
    if follow.rooms.len() > FOLLOW_MOST {
        return Err(Problem::invalid("rooms", format!("has more than {FOLLOW_MOST} rooms")));
    }
    let answers = door.chat.follow(&caller, follow.rooms.into_iter().map(RoomId).collect()).await?;
    let items = answers.into_iter().map(|(room, answer)| Followed {
        room: room.0,
        followed: answer.is_ok(),
        problem: answer.err().map(|error| Problem::from(error).document()),
    });
    Ok(Json(List::whole(items.collect())))
}

/// Follows a room.
#[utoipa::path(put, path = "/me/followed/{room}", tag = "my rooms", responses((status = 204), Refusals))]
async fn follow(State(door): State<Door>, By(caller): By, Path(room): Path<i64>) -> Result<StatusCode> {
    for (_, answer) in door.chat.follow(&caller, vec![RoomId(room)]).await? {
        answer?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Ends following a room.
#[utoipa::path(delete, path = "/me/followed/{room}", tag = "my rooms", responses((status = 204), Refusals))]
async fn unfollow(State(door): State<Door>, By(caller): By, Path(room): Path<i64>) -> Result<StatusCode> {
    door.chat.unfollow(&caller, RoomId(room)).await?;
    Ok(StatusCode::NO_CONTENT)
}
