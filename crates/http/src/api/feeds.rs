//! Topic feeds: saved filters over the rooms that the caller follows.

use super::search::{Hits, HitsWanted, PAGE};
use super::shapes::{Principal, ids, words};
use crate::door::Door;
use crate::extract::{By, Json, Path, Query};
use crate::page::{self, List};
use crate::problem::{Refusals, Result};
use axum::extract::State;
use axum::http::StatusCode;
use holdfast_chat::view::Person;
use holdfast_domain::{RoomId, feed};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Door> {
    OpenApiRouter::new()
        .routes(routes!(feeds, add_feed))
        .routes(routes!(put_feed, end_feed))
        .routes(routes!(feed_entries))
}

words! {
    /// How a feed's words combine.
    FeedMatch for feed::Match {
        /// One of them is enough.
        Any,
        /// All are needed.
        All,
    }
}

/// A saved filter.
#[derive(Debug, Serialize, ToSchema)]
struct Feed {
    id: i64,
    name: String,
    /// Words to look for.
    words: Vec<String>,
    #[serde(rename = "match")]
    matching: FeedMatch,
    /// Whose messages; empty: anybody's.
    authors: Vec<Principal>,
    /// In which rooms; empty: all that the caller follows.
    rooms: Vec<i64>,
    /// Whether a match is announced to live connections.
    notify: bool,
}

/// A filter to be saved. It needs words or authors.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewFeed {
    name: String,
    #[serde(default)]
    words: Vec<String>,
    /// `any` if not given.
    #[serde(rename = "match")]
    matching: Option<FeedMatch>,
    /// Numbers of authors.
    #[serde(default)]
    authors: Vec<i64>,
    /// Numbers of rooms.
    #[serde(default)]
    rooms: Vec<i64>,
    #[serde(default)]
    notify: bool,
}

impl NewFeed {
    fn with_id(self, id: i64) -> feed::Feed {
        feed::Feed {
            id,
            name: self.name,
            words: self.words,
            matching: self.matching.map(Into::into).unwrap_or_default(),
            authors: ids(self.authors).into_iter().collect(),
            rooms: self.rooms.into_iter().map(RoomId).collect(),
            notify: self.notify,
        }
    }
}

fn shown(door: &Door, feed: feed::Feed) -> Feed {
    let authors = Person::list(&door.chat.directory(), &feed.authors);
    Feed {
        id: feed.id,
        name: feed.name,
        words: feed.words,
        matching: feed.matching.into(),
        authors: authors.into_iter().map(Principal::from).collect(),
        rooms: feed.rooms.into_iter().map(|r| r.0).collect(),
        notify: feed.notify,
    }
}

/// The caller's feeds.
#[utoipa::path(get, path = "/me/feeds", tag = "feeds", responses((status = 200, body = List<Feed>), Refusals))]
async fn feeds(State(door): State<Door>, By(caller): By) -> Result<Json<List<Feed>>> {
    let feeds = door.chat.feeds(&caller).await?;
    Ok(Json(List::whole(feeds.into_iter().map(|f| shown(&door, f)).collect())))
}

/// Saves a feed.
#[utoipa::path(post, path = "/me/feeds", tag = "feeds", responses((status = 201, body = Feed), Refusals))]
async fn add_feed(
    State(door): State<Door>,
    By(caller): By,
    Json(new): Json<NewFeed>,
) -> Result<(StatusCode, Json<Feed>)> {
    let feed = door.chat.put_feed(&caller, new.with_id(0)).await?;
    Ok((StatusCode::CREATED, Json(shown(&door, feed))))
}

/// Replaces a feed.
#[utoipa::path(put, path = "/me/feeds/{feed}", tag = "feeds", responses((status = 200, body = Feed), Refusals))]
async fn put_feed(
    State(door): State<Door>,
    By(caller): By,
    Path(feed): Path<i64>,
    Json(new): Json<NewFeed>,
) -> Result<Json<Feed>> {
    if feed == 0 {
        return Err(holdfast_chat::ChatError::Unknown("this feed").into());
    }
    let feed = door.chat.put_feed(&caller, new.with_id(feed)).await?;
    Ok(Json(shown(&door, feed)))
}

/// Deletes a feed.
#[utoipa::path(delete, path = "/me/feeds/{feed}", tag = "feeds", responses((status = 204), Refusals))]
async fn end_feed(State(door): State<Door>, By(caller): By, Path(feed): Path<i64>) -> Result<StatusCode> {
    door.chat.end_feed(&caller, feed).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The messages that match a feed, latest first.
#[utoipa::path(get, path = "/me/feeds/{feed}/entries", tag = "feeds", params(HitsWanted),
    responses((status = 200, body = Hits), Refusals))]
async fn feed_entries(
    State(door): State<Door>,
    By(caller): By,
    Path(feed): Path<i64>,
    Query(wanted): Query<HitsWanted>,
) -> Result<Json<Hits>> {
    let after = page::place(wanted.cursor.as_deref())?;
    let limit = page::limit(wanted.limit, PAGE, door.chat.limits().search_page)?;
    Ok(Json(door.chat.feed_entries(&caller, feed, after, limit).await?.into()))
}
