//! Finding messages by what they say, and those that name the caller.

use super::entries::Entry;
use super::shapes::Moment;
use crate::door::Door;
use crate::extract::{By, Json, Query};
use crate::page;
use crate::problem::{Refusals, Result};
use axum::extract::State;
use holdfast_chat::searching::{Hit as ChatHit, HitPage, SearchRequest};
use holdfast_domain::{PrincipalId, RoomId};
use holdfast_store::search::{Order as StoreOrder, Words};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Hits of a page when no number is asked for.
pub(super) const PAGE: usize = 50;

pub(super) fn routes() -> OpenApiRouter<Door> {
    OpenApiRouter::new().routes(routes!(search)).routes(routes!(mentions))
}

/// Messages that were found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Hits {
    items: Vec<Hit>,
    /// The `cursor` of the next page; null when this is the last.
    next: Option<String>,
    /// Whether there are more than this page holds.
    exceeded: bool,
}

/// A message that was found.
#[derive(Debug, Serialize, ToSchema)]
struct Hit {
    room: RoomName,
    /// The message as it reads now.
    entry: Entry,
    /// A stretch of its text, in pieces that match and pieces that do not.
    fragments: Vec<Fragment>,
}

/// A room by name.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RoomName {
    pub(super) id: i64,
    pub(super) name: String,
}

/// A piece of text.
#[derive(Debug, Serialize, ToSchema)]
struct Fragment {
    text: String,
    /// Whether it is one of the words looked for.
    #[serde(rename = "match")]
    is_match: bool,
}

impl From<HitPage> for Hits {
    fn from(page: HitPage) -> Self {
        let next = page.next.map(page::cursor_of_place);
        Self { items: page.hits.into_iter().map(Hit::from).collect(), exceeded: next.is_some(), next }
    }
}

impl From<ChatHit> for Hit {
    fn from(hit: ChatHit) -> Self {
        let room = RoomName { id: hit.view.entry.room.0, name: hit.room_name };
        let fragments = hit.fragments.into_iter().map(|f| Fragment { text: f.text, is_match: f.is_match });
        Self { room, fragments: fragments.collect(), entry: hit.view.into() }
    }
}

/// How words combine.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Match {
    /// All of them, anywhere.
    #[default]
    All,
    /// At least one of them.
    Any,
    /// One after the other.
    Phrase,
}

/// In which order hits come.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Order {
    /// Latest first.
    #[default]
    Newest,
    /// Earliest first.
    Oldest,
}

/// What to look for; every part must hold.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Sought {
    /// Words; may be empty where an author or a date is given.
    q: String,
    #[serde(rename = "match")]
    #[param(inline)]
    matching: Match,
    /// In this room; not given: in all that the caller may read.
    room: Option<i64>,
    /// By this author.
    author: Option<i64>,
    /// Said at this time or later.
    from: Option<Moment>,
    /// Said before this time.
    to: Option<Moment>,
    #[param(inline)]
    order: Order,
    /// The `next` of the page before.
    cursor: Option<String>,
    /// How many at most; 50 if not given.
    limit: Option<usize>,
}

/// Searches messages as they read now.
#[utoipa::path(get, path = "/search", tag = "search", params(Sought), responses((status = 200, body = Hits), Refusals))]
async fn search(State(door): State<Door>, By(caller): By, Query(sought): Query<Sought>) -> Result<Json<Hits>> {
    let request = SearchRequest {
        words: match sought.matching {
            Match::All => Words::All,
            Match::Any => Words::Any,
            Match::Phrase => Words::Phrase,
        },
        room: sought.room.map(RoomId),
        author: sought.author.map(PrincipalId),
        from: sought.from.map(|m| m.0),
        until: sought.to.map(|m| m.0),
        order: match sought.order {
            Order::Newest => StoreOrder::Newest,
            Order::Oldest => StoreOrder::Oldest,
        },
        after: page::place(sought.cursor.as_deref())?,
        limit: page::limit(sought.limit, PAGE, door.chat.limits().search_page)?,
        text: sought.q,
    };
    Ok(Json(door.chat.search(&caller, request).await?.into()))
}

/// Which page.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct HitsWanted {
    /// The `next` of the page before.
    pub(super) cursor: Option<String>,
    /// How many at most; 50 if not given.
    pub(super) limit: Option<usize>,
}

/// The messages that name the caller, latest first.
#[utoipa::path(get, path = "/me/mentions", tag = "search", params(HitsWanted), responses((status = 200, body = Hits), Refusals))]
async fn mentions(State(door): State<Door>, By(caller): By, Query(wanted): Query<HitsWanted>) -> Result<Json<Hits>> {
    let after = page::place(wanted.cursor.as_deref())?;
    let limit = page::limit(wanted.limit, PAGE, door.chat.limits().search_page)?;
    Ok(Json(door.chat.mentions(&caller, after, limit).await?.into()))
}
