//! The list of active servers: what a change makes of it, and which changes are refused.

use super::standing::is_alive;
use super::view::ActiveChange;
use crate::error::{ChatError, Result};
use holdfast_store::pool::{MOST_ACTIVE, PoolState, Server};
use std::collections::HashSet;
use std::time::Duration;

/// The list after a change. `most`: the longest round trip to the database that an active server may have; `None`: any.
pub(crate) fn changed(
    state: &PoolState,
    servers: &[Server],
    change: &ActiveChange,
    most: Option<Duration>,
) -> Result<Vec<String>> {
    let now = &state.active;
    let listed = |name: &String| now.contains(name);
    let wanted: Vec<String> = match change {
        ActiveChange::Set(names) => {
            check_names("set", names, servers)?;
            names.clone()
        }
        ActiveChange::Add(names) => {
            check_some("add", names)?;
            check_names("add", names, servers)?;
            now.iter().chain(names.iter().filter(|name| !listed(name))).cloned().collect()
        }
        ActiveChange::Remove(names) => {
            check_some("remove", names)?;
            // A server that was forgotten is not known, but may still stand on the list.
            let unknown: Vec<String> = names.iter().filter(|name| !listed(name)).cloned().collect();
            check_names("remove", &unknown, servers)?;
            now.iter().filter(|name| !names.contains(name)).cloned().collect()
        }
        ActiveChange::Swap { out, in_ } => {
            if !listed(out) {
                return Err(ChatError::Conflict(format!("{out} is not on the list of active servers ({})", said(now))));
            }
            check_names("swap.in", std::slice::from_ref(in_), servers)?;
            if listed(in_) {
                return Err(ChatError::Conflict(format!("{in_} is on the list of active servers already")));
            }
            now.iter().map(|name| if name == out { in_ } else { name }).cloned().collect()
        }
    };
    if wanted.len() > MOST_ACTIVE {
        let (n, most) = (wanted.len(), MOST_ACTIVE);
        return Err(ChatError::Conflict(format!("at most {most} servers are active; with this there would be {n}")));
    }
    for new in wanted.iter().filter(|name| !listed(name)) {
        let Some(server) = servers.iter().find(|s| s.beat.name == *new) else { continue };
        if !is_alive(server) {
            let how = if server.stopped { "has stopped" } else { "has not been heard of" };
            let since = server.seen_ago.as_secs();
            return Err(ChatError::Conflict(format!("{new} {how} since {since} s; start it first")));
        }
        let takes = Duration::from_micros(u64::from(server.beat.round_trip_us));
        if let Some(most) = most.filter(|most| takes > *most) {
            return Err(ChatError::Conflict(format!(
                "{new} is too far from the database: it takes {} ms to answer, and {} ms are allowed; if it is to be active all \
                 the same, say that it may be far",
                takes.as_millis(),
                most.as_millis()
            )));
        }
    }
    let on_purpose = matches!(change, ActiveChange::Set(names) if names.is_empty());
    let answers = |name: &String| servers.iter().any(|s| s.beat.name == *name && is_alive(s));
    let (before, after) = (now.iter().any(answers), wanted.iter().any(answers));
    if wanted.is_empty() && !on_purpose {
        return Err(ChatError::Conflict("no server would take clients; to want that, set an empty list".into()));
    }
    if before && !after && !on_purpose {
        return Err(ChatError::Conflict(format!(
            "no server that answers would take clients: of {} none has been heard of lately",
            said(&wanted)
        )));
    }
    Ok(wanted)
}

/// What a new list changes, a sentence each.
pub(crate) fn sentences(state: &PoolState, wanted: &[String]) -> Vec<String> {
    let now = &state.active;
    let new = wanted.iter().filter(|name| !now.contains(name)).map(|name| format!("{name} would take clients"));
    let gone = now.iter().filter(|name| !wanted.contains(name));
    let gone =
        gone.map(|name| format!("{name} would take no more clients; those who are connected to it may stay a while"));
    let mut sentences: Vec<String> = new.chain(gone).collect();
    if sentences.is_empty() && now != wanted {
        sentences.push(format!("The order would be {}", said(wanted)));
    }
    if !state.chosen {
        sentences.push("Servers would no longer put themselves on the list".into());
    }
    sentences
}

/// A list in words.
pub(crate) fn said(names: &[String]) -> String {
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

fn check_some(field: &str, names: &[String]) -> Result<()> {
    if names.is_empty() { Err(ChatError::invalid(field, "must name at least one server")) } else { Ok(()) }
}

fn check_names(field: &str, names: &[String], servers: &[Server]) -> Result<()> {
    let mut met = HashSet::new();
    for (i, name) in names.iter().enumerate() {
        let field = if field.contains('.') { field.to_owned() } else { format!("{field}[{i}]") };
        if !servers.iter().any(|s| s.beat.name == *name) {
            let known: Vec<String> = servers.iter().map(|s| s.beat.name.clone()).collect();
            let why = format!("names no server of the pool; there are: {}", said(&known));
            return Err(ChatError::invalid(field, why));
        }
        if !met.insert(name) {
            return Err(ChatError::invalid(field, format!("names {name} twice")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_domain::Time;
    use holdfast_store::pool::Beat;
    use uuid::Uuid;

    fn server(name: &str, seen_ago: u64, round_trip_us: u32) -> Server {
        let beat = Beat {
            name: name.into(),
            run: Uuid::new_v4(),
            address: format!("https://{name}"),
            version: "0".into(),
            started_at: Time::EPOCH,
            connections: 0,
            people: 0,
            round_trip_us,
        };
        Server { beat, seen_ago: Duration::from_secs(seen_ago), stopped: false }
    }

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|n| (*n).to_owned()).collect()
    }

    /// Of a pool with a and b active, f far, s silent.
    fn ask(change: &ActiveChange) -> std::result::Result<String, String> {
        let state =
            PoolState { epoch: 1, revision: 1, active: names(&["a", "b"]), chosen: true, ..PoolState::default() };
        let mut servers: Vec<Server> = ["a", "b", "c", "d", "e"].iter().map(|n| server(n, 1, 500)).collect();
        servers.extend([server("f", 1, 30_000), server("s", 60, 500)]);
        let changed = changed(&state, &servers, change, Some(Duration::from_millis(10)));
        changed.map(|list| list.join(" ")).map_err(|e| e.to_string())
    }

    #[test]
    fn the_list_becomes_what_was_asked_for() {
        let ok = |change| ask(&change).unwrap();
        assert_eq!(ok(ActiveChange::Set(names(&["b", "c"]))), "b c");
        assert_eq!(ok(ActiveChange::Set(vec![])), "");
        assert_eq!(ok(ActiveChange::Add(names(&["c", "a"]))), "a b c");
        assert_eq!(ok(ActiveChange::Remove(names(&["a", "c"]))), "b");
        assert_eq!(ok(ActiveChange::Swap { out: "a".into(), in_: "c".into() }), "c b");
    }

    #[test]
    fn what_would_not_do_is_refused_with_the_reason() {
        let no = |change| ask(&change).unwrap_err();
        let begins = |change, with: &str| {
            let text = no(change);
            assert!(text.starts_with(with), "{text}");
        };
        begins(ActiveChange::Add(names(&["x"])), "add[0]: names no server of the pool; there are: a, b,");
        begins(ActiveChange::Set(names(&["a", "a"])), "set[1]: names a twice");
        begins(ActiveChange::Add(names(&["c", "d", "e"])), "at most 4");
        begins(ActiveChange::Add(names(&["f"])), "f is too far from the database: it takes 30 ms");
        begins(ActiveChange::Add(names(&["s"])), "s has not been heard of since 60 s");
        begins(ActiveChange::Remove(names(&["a", "b"])), "no server would take clients");
        begins(ActiveChange::Remove(vec![]), "remove: must name");
        begins(ActiveChange::Swap { out: "c".into(), in_: "d".into() }, "c is not on the list");
        begins(ActiveChange::Swap { out: "a".into(), in_: "b".into() }, "b is on the list");
    }

    #[test]
    fn far_ones_may_be_insisted_on_and_those_on_the_list_stay() {
        let state = PoolState { epoch: 1, revision: 1, active: names(&["f", "s"]), ..PoolState::default() };
        let servers = [server("a", 1, 1), server("f", 1, 30_000), server("g", 1, 30_000), server("s", 60, 1)];
        let most = Some(Duration::from_millis(10));
        let add = |name| ActiveChange::Add(names(&[name]));
        assert!(changed(&state, &servers, &add("a"), most).is_ok());
        assert!(changed(&state, &servers, &add("g"), most).is_err());
        assert!(changed(&state, &servers, &add("g"), None).is_ok());
        let only_silent = changed(&state, &servers, &ActiveChange::Remove(names(&["f"])), most).unwrap_err();
        assert!(only_silent.to_string().starts_with("no server that answers"));
        assert_eq!(
            sentences(&state, &names(&["s", "a"])),
            [
                "a would take clients",
                "f would take no more clients; those who are connected to it may stay a while",
                "Servers would no longer put themselves on the list"
            ]
        );
    }
}
