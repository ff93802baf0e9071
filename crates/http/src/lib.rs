//! The HTTP door: the JSON API under `/api/v1` with its OpenAPI document, live events over WebSocket, incoming webhooks, the
//! embedded web client, health and metrics.
//!
//! The door parses, authenticates, encodes, and decides nothing: every right is judged in `holdfast_chat`. Read it in this
//! order: [`options`] is what a stranger may send at most; `serve` takes connections; `door` is what every handler
//! has; `extract` turns requests into checked values, `admission` sends clients to other servers of a pool, and `problem` turns
//! refusals into RFC 9457 documents; `api` has a file for each resource, the WebSocket (`api::live`) among them; the rest stands
//! beside the API.
//!
//! **Invariant:** a route exists only with its description (`utoipa_axum::routes!` makes both at once), so the document cannot
//! lack or invent one.

mod addressed;
mod admission;
mod api;
mod assets;
mod cors;
mod door;
mod extract;
mod guard;
mod health;
mod metrics;
pub mod options;
mod origin;
mod page;
mod peer;
mod problem;
mod router;
mod serve;
mod waiting;

pub use metrics::{Figure, Figures};
pub use options::{HttpLimits, HttpOptions};
pub use peer::address_of;
pub use router::{openapi, operator, router};
pub use serve::{Listener, serve};
pub use waiting::{Why, waiting};
