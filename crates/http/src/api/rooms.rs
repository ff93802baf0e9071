//! Rooms: the directory of them, their settings, who is in one.

use super::shapes::{Moment, Principal, Trial, WouldChange, changed, gone, ids, present, principals, words};
use crate::door::Door;
use crate::extract::{By, Json, Path, Query};
use crate::page::{self, List};
use crate::problem::{Problem, Refusals, Result};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use holdfast_chat::event;
use holdfast_chat::rooms::{NewRoom as ChatNewRoom, RoomChange, RoomFilter};
use holdfast_chat::view::{MyRoom, RoomView};
use holdfast_domain::rights::Action;
use holdfast_domain::room;
use holdfast_domain::{CategoryId, PrincipalId, RoomId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Rooms of a page when no number is asked for, and at most.
const PAGE: usize = 50;
const PAGE_MOST: usize = 500;

pub(super) fn routes() -> OpenApiRouter<Door> {
    OpenApiRouter::new()
        .routes(routes!(rooms, add_room))
        .routes(routes!(room, change_room, delete_room))
        .routes(routes!(roster))
        .routes(routes!(name_check))
}

/// A room as the caller sees it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Room {
    id: i64,
    category: CategoryName,
    name: String,
    description: String,
    subject: String,
    #[serde(rename = "type")]
    room_type: RoomType,
    privacy: Privacy,
    invitations: Invitations,
    /// A web page to be shown beside the conversation.
    add_in_url: Option<String>,
    /// Out of use, with everything in it kept.
    disabled: bool,
    created_at: Moment,
    /// The number of its last entry.
    head: i64,
    /// How many messages it has.
    messages: i64,
    /// When its last message was said.
    last_message_at: Option<Moment>,
    /// How many people are in it now.
    present: usize,
    me: Mine,
    /// What the caller may do.
    can: Vec<Right>,
}

/// A room's category.
#[derive(Debug, Serialize, ToSchema)]
struct CategoryName {
    id: i64,
    name: String,
}

/// What the caller is to a room.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MyRoom)]
struct Mine {
    /// Of an open room, everybody whom its category admits is a member.
    member: bool,
    manager: bool,
    presenter: bool,
    followed: bool,
    /// Read up to here.
    read: i64,
    /// Messages after that.
    unread: i64,
    /// Messages after that which name the caller.
    mentions: i64,
}

words! {
    /// Who posts in a room.
    RoomType for room::RoomType {
        /// Every member.
        Normal,
        /// Presenters; members read.
        Auditorium,
    }
}

words! {
    /// Who finds and who enters a room.
    Privacy for room::Privacy {
        /// Everybody whom the category admits finds and enters it.
        Open,
        /// Everybody whom the category admits finds it; members enter.
        Closed,
        /// Only members know of it.
        Secret,
    }
}

words! {
    /// Whether people added to a room are told.
    Invitations for room::Invitations {
        /// As the category says.
        Inherit,
        /// Never.
        Off,
    }
}

/// Something that somebody may do in a room.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RoomRight)]
enum Right {
    /// Enter and follow it.
    Join,
    /// Read what is said from now on.
    Read,
    /// Read and search what was said before.
    History,
    /// Say something.
    Post,
    /// Upload files.
    Upload,
    /// Change its settings.
    Configure,
    /// Change its lists.
    Members,
    /// Take it out of use.
    Disable,
    /// Take it back into use.
    Enable,
    /// Move it to another category.
    Move,
    /// Delete it.
    Delete,
    /// Remove others' messages.
    RemoveMessages,
    /// Erase what was said.
    Clear,
}

fn rights(can: &[Action]) -> Vec<Right> {
    let rights = can.iter().flat_map(|action| -> &[Right] {
        match action {
            Action::Find | Action::SeePeople => &[],
            Action::Join => &[Right::Join, Right::Read],
            Action::ReadHistory => &[Right::History],
            Action::Post => &[Right::Post],
            Action::Upload => &[Right::Upload],
            Action::Configure => &[Right::Configure],
            Action::ChangeRoles => &[Right::Members],
            Action::RemoveMessages => &[Right::RemoveMessages],
            Action::Disable => &[Right::Disable],
            Action::Enable => &[Right::Enable],
            Action::Move => &[Right::Move],
            Action::Clear => &[Right::Clear],
            Action::Delete => &[Right::Delete],
        }
    });
    rights.copied().collect()
}

impl From<RoomView> for Room {
    fn from(view: RoomView) -> Self {
        let RoomView { room, category, head, messages, last_message_at, present, me, can } = view;
        let MyRoom { member, manager, presenter, followed, read, unread, mentions } = me;
        Self {
            id: room.id.0,
            category: CategoryName { id: room.category.0, name: category },
            name: room.name.to_string(),
            description: room.description,
            subject: room.subject,
            room_type: room.room_type.into(),
            privacy: room.privacy.into(),
            invitations: room.invitations.into(),
            add_in_url: room.add_in_url,
            disabled: room.disabled,
            created_at: room.created_at.into(),
            head: head.0,
            messages,
            last_message_at: last_message_at.map(Moment),
            present,
            me: Mine { member, manager, presenter, followed, read: read.0, unread, mentions },
            can: rights(&can),
        }
    }
}

/// Which rooms; every part must hold.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// A part of the name or description.
    q: Option<String>,
    /// Exactly this name, in any case.
    name: Option<String>,
    /// In this category.
    category: Option<i64>,
    /// With this user or group on its member list.
    member: Option<i64>,
    /// With this user or group on its manager list.
    manager: Option<i64>,
    #[param(inline)]
    privacy: Option<Privacy>,
    #[serde(rename = "type")]
    #[param(inline)]
    room_type: Option<RoomType>,
    disabled: Option<bool>,
    /// The `next` of the page before.
    cursor: Option<String>,
    /// How many at most; 50 if not given.
    limit: Option<usize>,
}

/// Rooms that the caller may find, in the order of their numbers.
#[utoipa::path(get, path = "/rooms", tag = "rooms", params(Filter), responses((status = 200, body = List<Room>), Refusals))]
async fn rooms(State(door): State<Door>, By(caller): By, Query(filter): Query<Filter>) -> Result<Json<List<Room>>> {
    let filter = RoomFilter {
        q: filter.q,
        name: filter.name,
        category: filter.category.map(CategoryId),
        member: filter.member.map(PrincipalId),
        manager: filter.manager.map(PrincipalId),
        privacy: filter.privacy.map(Into::into),
        room_type: filter.room_type.map(Into::into),
        disabled: filter.disabled,
        after: page::number(filter.cursor.as_deref())?.map(RoomId),
        limit: page::limit(filter.limit, PAGE, PAGE_MOST)?,
    };
    let (rooms, more) = door.chat.rooms(&caller, filter).await?;
    let next = page::next(more, rooms.last().map(|r| r.room.id.0));
    Ok(Json(List { items: rooms.into_iter().map(Room::from).collect(), next }))
}

/// A room to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewRoom {
    /// The number of its category.
    category: i64,
    /// Unique among rooms and categories, in any case.
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    subject: String,
    /// `normal` if not given.
    #[serde(rename = "type")]
    room_type: Option<RoomType>,
    /// `closed` if not given.
    privacy: Option<Privacy>,
    /// `inherit` if not given.
    invitations: Option<Invitations>,
    add_in_url: Option<String>,
    /// Numbers of users and groups.
    #[serde(default)]
    members: Vec<i64>,
    /// Numbers of users and groups; nobody: the caller.
    #[serde(default)]
    managers: Vec<i64>,
    /// Numbers of users and groups.
    #[serde(default)]
    presenters: Vec<i64>,
}

/// Makes a room.
#[utoipa::path(post, path = "/rooms", tag = "rooms", params(Trial),
    responses((status = 201, body = Room), (status = 200, body = WouldChange), Refusals))]
async fn add_room(
    State(door): State<Door>,
    By(caller): By,
    Query(trial): Query<Trial>,
    Json(new): Json<NewRoom>,
) -> Result<Response> {
    let new = ChatNewRoom {
        category: CategoryId(new.category),
        name: new.name,
        description: new.description,
        subject: new.subject,
        room_type: new.room_type.map(Into::into).unwrap_or_default(),
        privacy: new.privacy.map(Into::into).unwrap_or_default(),
        invitations: new.invitations.map(Into::into).unwrap_or_default(),
        add_in_url: new.add_in_url,
        members: ids(new.members),
        managers: ids(new.managers),
        presenters: ids(new.presenters),
    };
    let outcome = door.chat.add_room(&caller, new, trial.mode()).await?;
    Ok(changed(outcome, StatusCode::CREATED, Room::from))
}

/// One room.
#[utoipa::path(get, path = "/rooms/{room}", tag = "rooms", responses((status = 200, body = Room), Refusals))]
async fn room(State(door): State<Door>, By(caller): By, Path(room): Path<i64>) -> Result<Json<Room>> {
    Ok(Json(door.chat.room(&caller, RoomId(room)).await?.into()))
}

/// What is to change; what is not given stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangeRoom {
    name: Option<String>,
    description: Option<String>,
    subject: Option<String>,
    #[serde(rename = "type")]
    room_type: Option<RoomType>,
    privacy: Option<Privacy>,
    invitations: Option<Invitations>,
    /// Null takes it away.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    add_in_url: Option<Option<String>>,
    disabled: Option<bool>,
    /// Moves the room to the category with this number.
    category: Option<i64>,
}

/// Changes a room's settings.
#[utoipa::path(patch, path = "/rooms/{room}", tag = "rooms", params(Trial), responses((status = 200, body = RoomOrWould), Refusals))]
async fn change_room(
    State(door): State<Door>,
    By(caller): By,
    Path(room): Path<i64>,
    Query(trial): Query<Trial>,
    Json(change): Json<ChangeRoom>,
) -> Result<Response> {
    let change = RoomChange {
        name: change.name,
        description: change.description,
        subject: change.subject,
        room_type: change.room_type.map(Into::into),
        privacy: change.privacy.map(Into::into),
        invitations: change.invitations.map(Into::into),
        add_in_url: change.add_in_url,
        disabled: change.disabled,
        category: change.category.map(CategoryId),
    };
    let outcome = door.chat.change_room(&caller, RoomId(room), change, trial.mode()).await?;
    Ok(changed(outcome, StatusCode::OK, Room::from))
}

/// The room as it is now, or what would change.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[allow(dead_code, clippy::large_enum_variant, reason = "describes the two answers")]
enum RoomOrWould {
    Room(Room),
    Would(WouldChange),
}

/// Deletes a room for good, with everything said in it. For administrators.
#[utoipa::path(delete, path = "/rooms/{room}", tag = "rooms", params(Trial),
    responses((status = 204), (status = 200, body = WouldChange), Refusals))]
async fn delete_room(
    State(door): State<Door>,
    By(caller): By,
    Path(room): Path<i64>,
    Query(trial): Query<Trial>,
) -> Result<Response> {
    Ok(gone(door.chat.delete_room(&caller, RoomId(room), trial.mode()).await?))
}

/// Who is in a room now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Roster {
    count: usize,
    /// Whether there are too many to tell; then `people` is empty.
    limited: bool,
    people: Vec<Principal>,
}

impl From<event::Roster> for Roster {
    fn from(roster: event::Roster) -> Self {
        Self { count: roster.count, limited: roster.limited, people: principals(roster.people) }
    }
}

/// Who is in a room now.
#[utoipa::path(get, path = "/rooms/{room}/roster", tag = "rooms", responses((status = 200, body = Roster), Refusals))]
async fn roster(State(door): State<Door>, By(caller): By, Path(room): Path<i64>) -> Result<Json<Roster>> {
    Ok(Json(door.chat.roster(&caller, RoomId(room)).await?.into()))
}

/// Which name: one of the two.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct NameCheck {
    /// For a room.
    room: Option<String>,
    /// For a category.
    category: Option<String>,
}

/// Whether a name is free.
#[derive(Debug, Serialize, ToSchema)]
struct NameIs {
    free: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Whether a name could be given to a room or category.
#[utoipa::path(get, path = "/name-check", tag = "rooms", params(NameCheck), responses((status = 200, body = NameIs), Refusals))]
async fn name_check(State(door): State<Door>, By(caller): By, Query(check): Query<NameCheck>) -> Result<Json<NameIs>> {
    let ((Some(name), None) | (None, Some(name))) = (check.room, check.category) else {
        return Err(Problem::invalid("room", "or `category` must be given, one of the two"));
    };
    let reason = door.chat.name_is_free(&caller, &name)?;
    Ok(Json(NameIs { free: reason.is_none(), reason }))
}
