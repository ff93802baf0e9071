//! Where the servers are, and at which of them a client is.

use crate::shared::lock;
use serde_json::Value;
use std::sync::{Arc, Mutex};

/// Where each server is now, as `host:port`; `None` while it is known to be nowhere. Shared by whoever starts servers and their clients.
#[derive(Clone, Debug, Default)]
pub struct Hosts(Arc<Mutex<Vec<Option<String>>>>);

impl Hosts {
    /// Servers that are all there.
    pub fn of(hosts: impl IntoIterator<Item = String>) -> Self {
        Self(Arc::new(Mutex::new(hosts.into_iter().map(Some).collect())))
    }

    /// All of them, by the number of the server.
    pub fn all(&self) -> Vec<Option<String>> {
        lock(&self.0).clone()
    }

    /// From now on a server is there, or nowhere.
    pub fn set(&self, server: usize, host: Option<&str>) {
        let mut hosts = lock(&self.0);
        if hosts.len() <= server {
            hosts.resize(server + 1, None);
        }
        hosts[server] = host.map(str::to_owned);
    }
}

/// Where a client is.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    hosts: Hosts,
    server: usize,
}

impl Place {
    pub(crate) fn new(hosts: Hosts, server: usize) -> Self {
        Self { hosts, server }
    }

    /// Where its server is; the next one's if it is nowhere.
    pub(crate) fn host(&self) -> Option<String> {
        let hosts = self.hosts.all();
        (0..hosts.len()).find_map(|i| hosts[(self.server + i) % hosts.len()].clone())
    }

    /// From now on at another one: one of `addresses` if given.
    pub(crate) fn move_on(&mut self, addresses: &Value) {
        let hosts = self.hosts.all();
        let others = (1..=hosts.len()).map(|i| (self.server + i) % hosts.len());
        let mut others = others.filter(|i| hosts[*i].is_some());
        let named = |i: &usize| {
            let address = format!("http://{}", hosts[*i].as_deref().unwrap_or_default());
            addresses
                .as_array()
                .is_none_or(|all| all.is_empty() || all.iter().any(|a| a == &Value::String(address.clone())))
        };
        self.server = others.clone().find(named).or_else(|| others.next()).unwrap_or(self.server);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_client_goes_where_it_is_sent_or_to_the_next() {
        let hosts = Hosts::of(["a:1", "b:2", "c:3"].map(str::to_owned));
        let mut place = Place::new(hosts.clone(), 0);
        assert_eq!(place.host().as_deref(), Some("a:1"));
        place.move_on(&json!(["http://c:3"]));
        assert_eq!(place.host().as_deref(), Some("c:3"));
        place.move_on(&Value::Null);
        assert_eq!(place.host().as_deref(), Some("a:1"));
        hosts.set(1, None);
        place.move_on(&json!([]));
        assert_eq!(place.host().as_deref(), Some("c:3"));
        // Those that it is sent to are nowhere: somewhere else is better than here.
        place.move_on(&json!(["http://b:2"]));
        assert_eq!(place.host().as_deref(), Some("a:1"));
    }
}
