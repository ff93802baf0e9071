//! Who is connected: each person's connections by resource, with what others need to know of them.

use crate::limits::RESOURCES;
use crate::session::orders::Order;
use holdfast_chat::Teller;
use holdfast_domain::PrincipalId;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// One connection of somebody, as others see it.
pub(crate) struct Resource {
    /// Its number, unique in this process.
    pub(crate) key: u64,
    /// Its full address.
    pub(crate) jid: String,
    /// The last part of it.
    pub(crate) name: String,
    /// Tells it something.
    pub(crate) teller: Teller,
    orders: mpsc::Sender<Order>,
    state: Mutex<State>,
}

/// What may change about a connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    /// Its presence's content while it is available.
    pub(crate) presence: Option<Arc<str>>,
    /// Its priority.
    pub(crate) priority: i8,
    /// Whether it gets copies of what its owner's other connections send and get (XEP-0280).
    pub(crate) carbons: bool,
    /// Whether it asked for the roster, and so is told of its changes.
    pub(crate) interested: bool,
    /// The picture of its owner (XEP-0153), by its hash; `None` while nobody has looked.
    pub(crate) picture: Option<Option<Arc<str>>>,
    /// Whom its owner blocks (XEP-0191): bare addresses and domains.
    pub(crate) blocks: Arc<HashSet<String>>,
    /// The nodes of which it wants to be told (XEP-0163 section 4.3.2).
    pub(crate) wants: Arc<HashSet<String>>,
}

impl Resource {
    /// A connection that has just signed in.
    pub(crate) fn new(key: u64, jid: String, name: String, teller: Teller, orders: mpsc::Sender<Order>) -> Arc<Self> {
        Arc::new(Self { key, jid, name, teller, orders, state: Mutex::default() })
    }

    /// Has its session do something. One that has too much to do already is not waited for.
    pub(crate) fn order(&self, order: Order) {
        let _ = self.orders.try_send(order);
    }

    /// What is so now.
    pub(crate) fn state(&self) -> State {
        self.lock().clone()
    }

    /// Changes it.
    pub(crate) fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
    }

    /// Whether it is available.
    pub(crate) fn is_available(&self) -> bool {
        self.lock().presence.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Everybody's connections.
#[derive(Default)]
pub(crate) struct Resources(Mutex<HashMap<PrincipalId, Vec<Arc<Resource>>>>);

impl Resources {
    fn lock(&self) -> MutexGuard<'_, HashMap<PrincipalId, Vec<Arc<Resource>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a connection. One of the same name gives way to it, since it is most likely dead, and is answered; `Err` if there are too many.
    pub(crate) fn add(&self, user: PrincipalId, resource: Arc<Resource>) -> Result<Option<Arc<Resource>>, ()> {
        let mut all = self.lock();
        let own = all.entry(user).or_default();
        let before = own.iter().position(|r| r.name == resource.name).map(|at| own.remove(at));
        if own.len() >= RESOURCES {
            return Err(());
        }
        own.push(resource);
        Ok(before)
    }

    /// Forgets a connection.
    pub(crate) fn remove(&self, user: PrincipalId, key: u64) {
        let mut all = self.lock();
        if let Some(own) = all.get_mut(&user) {
            own.retain(|r| r.key != key);
            if own.is_empty() {
                all.remove(&user);
            }
        }
    }

    /// All connections of somebody.
    pub(crate) fn of(&self, user: PrincipalId) -> Vec<Arc<Resource>> {
        self.lock().get(&user).cloned().unwrap_or_default()
    }

    /// His available connections.
    pub(crate) fn available(&self, user: PrincipalId) -> Vec<Arc<Resource>> {
        self.of(user).into_iter().filter(|r| r.is_available()).collect()
    }

    /// One connection by its name.
    pub(crate) fn named(&self, user: PrincipalId, name: &str) -> Option<Arc<Resource>> {
        self.lock().get(&user)?.iter().find(|r| r.name == name).cloned()
    }

    /// How many connections there are.
    pub(crate) fn count(&self) -> usize {
        self.lock().values().map(Vec::len).sum()
    }
}
