//! The API, a file for each resource: its routes, its shapes, and what they ask of the service.

mod announcements;
mod categories;
mod entries;
mod feeds;
pub(crate) mod files;
mod groups;
mod import;
mod invitations;
pub(crate) mod live;
mod me;
mod messages;
mod my_rooms;
mod operate;
mod people;
mod pool;
mod roles;
mod rooms;
mod search;
mod server;
mod session;
mod shapes;
mod users;
pub(crate) mod webhooks;

use crate::door::Door;
use utoipa_axum::router::OpenApiRouter;

/// Everything under `/api/v1`.
pub(crate) fn routes() -> OpenApiRouter<Door> {
    OpenApiRouter::new()
        .merge(server::routes())
        .merge(session::routes())
        .merge(me::routes())
        .merge(rooms::routes())
        .merge(my_rooms::routes())
        .merge(roles::routes())
        .merge(entries::routes())
        .merge(messages::routes())
        .merge(search::routes())
        .merge(feeds::routes())
        .merge(invitations::routes())
        .merge(files::routes())
        .merge(categories::routes())
        .merge(people::routes())
        .merge(users::routes())
        .merge(groups::routes())
        .merge(webhooks::routes())
        .merge(import::routes())
        .merge(operate::routes())
        .merge(pool::routes())
        .merge(announcements::routes())
        .merge(live::routes())
}
