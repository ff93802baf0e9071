//! What the server says of itself to everybody: `GET /server`.

use super::shapes::Moment;
use crate::door::Door;
use crate::extract::Json;
use axum::extract::State;
use holdfast_domain::Limits;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Door> {
    OpenApiRouter::new().routes(routes!(server))
}

/// The server, to whoever asks.
#[derive(Debug, Serialize, ToSchema)]
struct Server {
    /// What its people call it.
    name: String,
    /// The version of Holdfast.
    version: &'static str,
    /// Its clock.
    time: Moment,
    /// Whether nobody can sign in yet, because there is no user.
    needs_first_user: bool,
    /// What this server is to its pool.
    #[schema(value_type = ServerStanding)]
    standing: &'static str,
    /// The epoch of what it hands out. A client does not go to a server of an earlier epoch than it has seen. 0 of a server alone.
    epoch: i64,
    /// `normal`, or `failed-over` while the pool goes on in the other site. Null of a server alone.
    state: Option<&'static str>,
    /// The site in which the pool goes on; null where there are no sites.
    site: Option<String>,
    /// Where clients reach the servers of the pool that take them, in the order in which to try. None of a server alone.
    servers: Vec<String>,
    /// Where clients reach the pool's other servers: they take none now, and may be the ones that do when those above are gone.
    others: Vec<String>,
    limits: ServerLimits,
}

/// What a server is to its pool.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[allow(dead_code, reason = "describes the words of `Standing::word`")]
pub(super) enum ServerStanding {
    /// There is no pool.
    Alone,
    /// It takes clients.
    Active,
    /// It takes none.
    Standby,
    /// It takes no new ones; those who are connected go on for a while.
    Draining,
}

/// What may be sent.
#[derive(Debug, Serialize, ToSchema)]
struct ServerLimits {
    /// Characters of a message.
    message_chars: usize,
    /// Characters of a story's title.
    story_title_chars: usize,
    /// Characters of a story's body.
    story_chars: usize,
    /// Bytes of one file.
    file_bytes: u64,
    /// Files of one message.
    files_per_message: usize,
    /// Entries that a room gives on entering it.
    history_default: usize,
    /// Entries of one page of history at most.
    history_max: usize,
    /// People in a room above whose number coming and going is no longer told.
    roster: usize,
    /// Seconds for which an author may edit or retract a message; 0: not at all.
    edit_window_seconds: u64,
    /// Hits of one page of a search at most.
    search_page: usize,
}

impl From<&Limits> for ServerLimits {
    fn from(limits: &Limits) -> Self {
        Self {
            message_chars: limits.message_chars,
            story_title_chars: limits.story_title_chars,
            story_chars: limits.story_chars,
            file_bytes: limits.file_bytes,
            files_per_message: limits.files_per_message,
            history_default: limits.history_default,
            history_max: limits.history_max,
            roster: limits.roster,
            edit_window_seconds: limits.edit_window_seconds,
            search_page: limits.search_page,
        }
    }
}

/// The server's name, version, clock and limits, and where else the pool takes clients. Needs no sign-in; every server of a pool answers it.
#[utoipa::path(get, path = "/server", tag = "server", security(()), responses((status = 200, body = Server)))]
async fn server(State(door): State<Door>) -> Json<Server> {
    let servers = door.chat.active_addresses();
    let others = door.chat.pool_addresses().into_iter().filter(|address| !servers.contains(address)).collect();
    let (state, site) = door.chat.place().map(|place| (place.state.word(), place.site)).unzip();
    Json(Server {
        epoch: door.chat.epoch(),
        state,
        site: site.flatten(),
        name: door.chat.options().name.clone(),
        version: env!("CARGO_PKG_VERSION"),
        time: door.chat.now().into(),
        needs_first_user: door.chat.needs_first_user(),
        standing: door.chat.standing().word(),
        servers,
        others,
        limits: door.chat.limits().into(),
    })
}
