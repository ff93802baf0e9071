//! Whom this server takes. A server of a pool that is not on the list of active ones sends clients to those that are; the decision is the
//! service's ([`holdfast_chat::Chat::admit`]), and it is asked here for every request, so that no route is forgotten.
//!
//! It is asked twice: before anything else without knowing who asks, which is enough unless the server is draining; and then, for those who
//! may go on there because they are connected, as soon as it is known who asks.

use crate::door::Door;
use crate::extract::Operator;
use crate::problem::Problem;
use axum::extract::MatchedPath;
use axum::http::{Extensions, Method};
use holdfast_chat::{Caller, Standing};
use std::collections::HashSet;
use utoipa::openapi::OpenApi;
use utoipa::openapi::path::Operation;

/// What every server answers, whatever its standing: below these, and what is no API at all (pages, health, metrics).
const EVERYWHERE: [&str; 4] = ["/api/v1/server", "/api/v1/openapi.json", "/api/v1/pool", "/api/v1/pool/"];

/// Operations that need no sign-in, so that nobody can be known to be connected who asks for them.
pub(crate) struct Admission {
    open: HashSet<(Method, String)>,
}

impl Admission {
    /// For the operations of `document`.
    pub(crate) fn new(document: &OpenApi) -> Self {
        let needs_none =
            |operation: &Operation| operation.security.as_ref().is_some_and(|s| *s == [Default::default()]);
        let mut open = HashSet::new();
        for (path, item) in &document.paths.paths {
            let operations = [
                (Method::GET, &item.get),
                (Method::HEAD, &item.head),
                (Method::POST, &item.post),
                (Method::PUT, &item.put),
                (Method::PATCH, &item.patch),
                (Method::DELETE, &item.delete),
            ];
            let unguarded = operations.into_iter().filter(|(_, o)| o.as_ref().is_some_and(needs_none));
            open.extend(unguarded.map(|(method, _)| (method, path.clone())));
        }
        Self { open }
    }

    /// Refuses a request that this server takes from nobody now.
    pub(crate) fn before_anything(
        &self,
        door: &Door,
        kind: &(Method, String),
        extensions: &Extensions,
    ) -> Result<(), Problem> {
        if is_for_everybody(&kind.1, extensions) {
            return Ok(());
        }
        match door.chat.admit(None) {
            // Who is connected goes on, and is known in a moment.
            Err(_) if door.chat.standing() == Standing::Draining && !self.open.contains(kind) => Ok(()),
            admitted => Ok(admitted?),
        }
    }
}

/// Refuses a request of somebody whom this server does not take.
pub(crate) fn of_caller(door: &Door, caller: &Caller, extensions: &Extensions) -> Result<(), Problem> {
    let route = extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    if is_for_everybody(route, extensions) { Ok(()) } else { Ok(door.chat.admit(Some(caller))?) }
}

/// Whether every server answers this.
fn is_for_everybody(route: &str, extensions: &Extensions) -> bool {
    let is_api = route.starts_with("/api/") || route.starts_with("/hooks/");
    let is_everywhere = EVERYWHERE.iter().any(|e| route == *e || (e.ends_with('/') && route.starts_with(e)));
    !is_api || is_everywhere || extensions.get::<Operator>().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_server_answers_is_little() {
        let nobody = Extensions::new();
        for route in ["/health/ready", "/metrics", "(none)", "/api/v1/server", "/api/v1/pool", "/api/v1/pool/active"] {
            assert!(is_for_everybody(route, &nobody), "{route}");
        }
        for route in ["/api/v1/session", "/api/v1/live", "/hooks/{secret}", "/api/v1/admin/status", "/api/v1/poolside"]
        {
            assert!(!is_for_everybody(route, &nobody), "{route}");
        }
        let mut operators = Extensions::new();
        operators.insert(Operator);
        assert!(is_for_everybody("/api/v1/session", &operators));
    }
}
