//! Who is connected: each person's connections by resource, with what others need to know of them. Those to other servers of the pool are among
//! them.

use crate::elsewhere::parcel::{Address, Client, Common, Parcel, Seen};
use crate::elsewhere::post::Post;
use crate::limits::RESOURCES;
use crate::session::orders::{Order, Orders};
use bytes::Bytes;
use holdfast_chat::Teller;
use holdfast_chat::event::Bye;
use holdfast_domain::{PrincipalId, Time};
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Messages that were given out lately, as many as one connection remembers.
const GIVEN: usize = 500;

/// How a connection is reached.
enum Line {
    /// It is to this server.
    Here { teller: Teller, orders: Orders },
    /// It is to another.
    Elsewhere(Address),
}

/// One connection of somebody, as others see it.
pub(crate) struct Resource {
    /// Its number, unique in this process.
    pub(crate) key: u64,
    /// Whose it is.
    pub(crate) user: PrincipalId,
    /// Its full address.
    pub(crate) jid: String,
    /// The last part of it.
    pub(crate) name: String,
    /// Since when it is there.
    pub(crate) since: Time,
    line: Line,
    post: Arc<Post>,
    state: Mutex<State>,
    /// Messages that waited, or came from another server while they did: by their numbers, so that none is given out twice.
    given: Mutex<VecDeque<i64>>,
}

/// What may change about a connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    /// Whether it is becoming available: it takes what comes for its owner, and is not shown yet, because who may see it is being read.
    pub(crate) coming: bool,
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

impl State {
    /// Whether it takes messages for its owner (RFC 6121 section 8.5.2).
    pub(crate) fn takes_messages(&self) -> bool {
        self.is_available() && self.priority >= 0
    }

    fn is_available(&self) -> bool {
        self.coming || self.presence.is_some()
    }
}

impl From<Seen> for State {
    fn from(seen: Seen) -> Self {
        Self {
            coming: seen.coming,
            presence: seen.presence.map(Arc::from),
            priority: seen.priority,
            carbons: seen.carbons,
            interested: seen.interested,
            picture: None,
            blocks: Arc::new(seen.blocks),
            wants: Arc::new(seen.wants),
        }
    }
}

impl Resource {
    /// A connection to this server that has just signed in.
    pub(crate) fn here(
        key: u64,
        (user, jid, name): (PrincipalId, String, String),
        since: Time,
        (teller, orders): (Teller, Orders),
        post: Arc<Post>,
    ) -> Arc<Self> {
        Self::new(key, (user, jid, name), since, Line::Here { teller, orders }, post)
    }

    /// A connection to another server, by that server's run.
    pub(crate) fn elsewhere(key: u64, run: uuid::Uuid, client: Client, post: Arc<Post>) -> Arc<Self> {
        let Client { key: its, user, jid, name, since, seen } = client;
        let resource = Self::new(key, (user, jid, name), since, Line::Elsewhere(Address { run, user, key: its }), post);
        *resource.lock() = seen.into();
        resource
    }

    fn new(
        key: u64,
        (user, jid, name): (PrincipalId, String, String),
        since: Time,
        line: Line,
        post: Arc<Post>,
    ) -> Arc<Self> {
        Arc::new(Self { key, user, jid, name, since, line, post, state: Mutex::default(), given: Mutex::default() })
    }

    /// Whether it is connected to this server.
    pub(crate) fn is_here(&self) -> bool {
        matches!(self.line, Line::Here { .. })
    }

    /// Tells it something.
    pub(crate) fn tell(&self, stanza: Bytes) {
        match &self.line {
            Line::Here { teller, .. } => teller.tell(stanza),
            Line::Elsewhere(to) => self.post_stanza(*to, &stanza, None),
        }
    }

    /// The same with a message that waits in the store, by its number, until it was given out by the server that it goes to.
    pub(crate) fn tell_waiting(&self, stanza: Bytes, number: i64) {
        match &self.line {
            Line::Here { teller, .. } => teller.tell(stanza),
            Line::Elsewhere(to) => self.post_stanza(*to, &stanza, Some(number)),
        }
    }

    fn post_stanza(&self, to: Address, stanza: &[u8], waits: Option<i64>) {
        let stanza = String::from_utf8_lossy(stanza).into_owned();
        self.post.send(&Parcel::Tell { to, stanza, waits });
    }

    /// Has its session do something, if that is here. One that has too much to do already is not waited for.
    pub(crate) fn order(&self, order: Order) {
        if let Line::Here { orders, .. } = &self.line {
            let _ = orders.try_send(Box::new(order));
        }
    }

    /// Ends it.
    pub(crate) fn end(&self) {
        match &self.line {
            Line::Here { teller, .. } => teller.end(Bye::SessionEnded),
            Line::Elsewhere(to) => self.post.send(&Parcel::End(*to)),
        }
    }

    /// What is so now.
    pub(crate) fn state(&self) -> State {
        self.lock().clone()
    }

    /// Changes it, and tells the other servers if it is here.
    pub(crate) fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        if self.is_here() {
            self.post.changed(self.user, self.key);
        }
    }

    /// Whether it is available, or becoming so.
    pub(crate) fn is_available(&self) -> bool {
        self.lock().is_available()
    }

    /// Notes that a message is given out by it. Whether it was not before.
    pub(crate) fn note_given(&self, number: i64) -> bool {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        if given.contains(&number) {
            return false;
        }
        if given.len() >= GIVEN {
            given.pop_front();
        }
        given.push_back(number);
        true
    }

    /// What the other servers are told of it.
    pub(crate) fn told(&self) -> Client {
        let state = self.state();
        let seen = Seen {
            coming: state.coming,
            presence: state.presence.as_deref().map(str::to_owned),
            priority: state.priority,
            carbons: state.carbons,
            interested: state.interested,
            blocks: state.blocks.as_ref().clone(),
            wants: state.wants.as_ref().clone(),
        };
        let (jid, name) = (self.jid.clone(), self.name.clone());
        Client { key: self.key, user: self.user, jid, name, since: self.since, seen }
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

    /// Adds a connection to this server. One of the same name gives way to it, since it is most likely dead, and is answered if it was to this
    /// server; another server ends its own when it hears of this. `Err` if there are too many.
    pub(crate) fn add(&self, resource: Arc<Resource>) -> Result<Option<Arc<Resource>>, ()> {
        let mut all = self.lock();
        let own = all.entry(resource.user).or_default();
        let before = own.iter().position(|r| r.name == resource.name).map(|at| own.remove(at));
        if own.iter().filter(|r| r.is_here()).count() >= RESOURCES {
            return Err(());
        }
        resource.post.changed(resource.user, resource.key);
        own.push(resource);
        Ok(before.filter(|before| before.is_here()))
    }

    /// Adds a connection to another server. One to this server of the same name gives way, if it is older.
    pub(crate) fn add_elsewhere(&self, resource: Arc<Resource>) {
        let mut all = self.lock();
        let own = all.entry(resource.user).or_default();
        let same = own.iter().find(|r| r.is_here() && r.name == resource.name);
        if let Some(older) = same.filter(|r| r.since <= resource.since) {
            older.end();
        }
        own.push(resource);
    }

    /// Forgets a connection.
    pub(crate) fn remove(&self, resource: &Resource) {
        let mut all = self.lock();
        if let Some(own) = all.get_mut(&resource.user) {
            own.retain(|r| r.key != resource.key);
            if own.is_empty() {
                all.remove(&resource.user);
            }
        }
        drop(all);
        if resource.is_here() {
            resource.post.changed(resource.user, resource.key);
        }
    }

    /// All connections of somebody.
    pub(crate) fn of(&self, user: PrincipalId) -> Vec<Arc<Resource>> {
        self.lock().get(&user).cloned().unwrap_or_default()
    }

    /// Those of them that are to this server.
    pub(crate) fn here(&self, user: PrincipalId) -> Vec<Arc<Resource>> {
        self.of(user).into_iter().filter(|r| r.is_here()).collect()
    }

    /// All connections to this server.
    pub(crate) fn all_here(&self) -> Vec<Arc<Resource>> {
        self.lock().values().flatten().filter(|r| r.is_here()).cloned().collect()
    }

    /// Somebody's available connections.
    pub(crate) fn available(&self, user: PrincipalId) -> Vec<Arc<Resource>> {
        self.of(user).into_iter().filter(|r| r.is_available()).collect()
    }

    /// One connection by its name.
    pub(crate) fn named(&self, user: PrincipalId, name: &str) -> Option<Arc<Resource>> {
        self.lock().get(&user)?.iter().find(|r| r.name == name).cloned()
    }

    /// A connection to this server by its number.
    pub(crate) fn keyed(&self, user: PrincipalId, key: u64) -> Option<Arc<Resource>> {
        self.lock().get(&user)?.iter().find(|r| r.key == key && r.is_here()).cloned()
    }

    /// Has all connections of somebody's to this server know something.
    pub(crate) fn know(&self, user: PrincipalId, what: &Common) {
        let here = self.here(user);
        match what {
            Common::Blocks(blocks) => {
                let blocks = Arc::new(blocks.clone());
                here.iter().for_each(|r| r.change(|state| state.blocks = Arc::clone(&blocks)));
            }
            Common::Picture(id) => {
                let id: Option<Arc<str>> = id.as_deref().map(Arc::from);
                here.iter().for_each(|r| r.change(|state| state.picture = Some(id.clone())));
            }
        }
    }

    /// Whether anybody is connected to this server.
    pub(crate) fn any_here(&self) -> bool {
        self.lock().values().flatten().any(|r| r.is_here())
    }

    /// How many connections there are to this server.
    pub(crate) fn count(&self) -> usize {
        self.lock().values().flatten().filter(|r| r.is_here()).count()
    }
}
