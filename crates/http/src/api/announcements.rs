//! What administrators say to everybody who is connected, by whichever door and at whichever server of the pool. It is said once: nobody is told later.

use super::shapes::{WouldChange, gone, mode};
use crate::door::Door;
use crate::extract::{By, Json};
use crate::problem::{Refusals, Result};
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Door> {
    OpenApiRouter::new().routes(routes!(announce))
}

/// Something to be said to everybody.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Announce {
    /// What.
    announcement: String,
    /// Says nothing; answers with what would be said.
    #[serde(default)]
    what_if: bool,
}

/// Says something to everybody who is connected now, by the web and over XMPP. For administrators; also of a server alone.
#[utoipa::path(post, path = "/pool/announcements", tag = "pool",
    responses((status = 204), (status = 200, description = "With `what_if`", body = WouldChange), Refusals))]
async fn announce(State(door): State<Door>, By(caller): By, Json(said): Json<Announce>) -> Result<Response> {
    super::operate::demand_admin(&door, &caller)?;
    Ok(gone(door.chat.announce_to_all(&caller, &said.announcement, mode(said.what_if)).await?))
}
