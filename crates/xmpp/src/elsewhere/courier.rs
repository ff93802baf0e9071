//! Gives out what the other servers send, and tells them of the clients here.

use super::parcel::{Client, Common, Parcel};
use crate::door::Door;
use crate::muc::farewell::Farewell;
use crate::resources::{Resource, State};
use crate::session::orders::Order;
use crate::user::direct::WAITING;
use crate::xml::El;
use holdfast_chat::pool::carry::Carried;
use holdfast_domain::{PrincipalId, RoomId};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;
use uuid::Uuid;

/// All clients are told of at most this often, however many ask.
const WHOLE_EVERY: Duration = Duration::from_millis(500);
/// Clients in one parcel.
const IN_ONE: usize = 50;

/// What is known of the clients of other servers, by the run and their number there.
pub(crate) struct Courier {
    door: Door,
    run: Uuid,
    clients: HashMap<Uuid, HashMap<u64, Arc<Resource>>>,
    /// Those of a server that were named since the first piece of all its clients.
    named: Named<u64>,
    /// The same of their seats in rooms.
    seated: Named<(u64, RoomId)>,
    /// When all clients here are to be told of, if that was asked for.
    whole_at: Option<Instant>,
    told_whole: Instant,
}

/// What servers have named since they began to say all, by their runs.
struct Named<K>(HashMap<Uuid, HashSet<K>>);

impl<K: Eq + Hash> Named<K> {
    /// One more piece of all. Answers what was named in them when it is the last and none before it was missed.
    fn piece(&mut self, run: Uuid, (first, last): (bool, bool), some: impl Iterator<Item = K>) -> Option<HashSet<K>> {
        if first {
            self.0.insert(run, HashSet::new());
        }
        self.also(run, some);
        if last { self.0.remove(&run) } else { None }
    }

    /// Said by itself, perhaps between two pieces.
    fn also(&mut self, run: Uuid, some: impl Iterator<Item = K>) {
        if let Some(named) = self.0.get_mut(&run) {
            named.extend(some);
        }
    }
}

/// Begins to take what other servers send, if there is a pool.
pub(crate) fn begin(door: &Door) {
    let (Some(run), Some(carried)) = (door.chat.run(), door.chat.carried()) else { return };
    let told_whole = Instant::now();
    let (clients, named, seated) = (HashMap::new(), Named(HashMap::new()), Named(HashMap::new()));
    let courier = Courier { door: door.clone(), run, clients, named, seated, whole_at: None, told_whole };
    tokio::spawn(courier.go_on(carried));
}

impl Courier {
    async fn go_on(mut self, mut carried: UnboundedReceiver<Carried>) {
        let door = self.door.clone();
        loop {
            let whole = async {
                match self.whole_at {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                came = carried.recv() => match came {
                    Some(came) => self.take(came).await,
                    None => return,
                },
                changed = door.post.what_changed() => self.tell_of(changed),
                () = whole => self.tell_of_all(),
                () = door.stopping().cancelled() => return,
            }
        }
    }

    /// Tells the others what is so of some clients here.
    fn tell_of(&self, changed: impl IntoIterator<Item = (PrincipalId, u64)>) {
        for (user, key) in changed {
            self.door.post.send(&match self.door.resources.keyed(user, key) {
                Some(there) => Parcel::Client(there.told()),
                None => Parcel::Left(key),
            });
        }
    }

    fn tell_of_all(&mut self) {
        (self.whole_at, self.told_whole) = (None, Instant::now());
        let all: Vec<Client> = self.door.resources.all_here().iter().map(|there| there.told()).collect();
        let mut pieces: Vec<&[Client]> = all.chunks(IN_ONE).collect();
        if pieces.is_empty() {
            pieces.push(&[]);
        }
        let end = pieces.len() - 1;
        for (i, some) in pieces.into_iter().enumerate() {
            self.door.post.send(&Parcel::Clients { first: i == 0, last: i == end, some: some.to_vec() });
        }
        self.door.occupants.tell_of_all();
    }

    async fn take(&mut self, came: Carried) {
        match came {
            Carried::Said { run, text } => match serde_json::from_str(&text) {
                Ok(parcel) => self.give_out(run, parcel).await,
                // Of a newer version, which says more than this one understands.
                Err(error) => tracing::debug!(%error, "another server said something that is not understood here"),
            },
            Carried::Asked => {
                let at = (self.told_whole + WHOLE_EVERY).max(Instant::now());
                self.whole_at.get_or_insert(at);
            }
            Carried::Missed => {
                let here: BTreeSet<PrincipalId> = self.door.resources.all_here().iter().map(|r| r.user).collect();
                here.into_iter().for_each(|user| self.door.give_what_waits(user));
            }
            Carried::Gone { run } => {
                self.named.0.remove(&run);
                self.seated.0.remove(&run);
                self.unseat_all_but(run, &HashSet::new());
                self.door.occupants.forget(run);
                for (_, gone) in self.clients.remove(&run).unwrap_or_default() {
                    self.forget(&gone).await;
                }
            }
        }
    }

    async fn give_out(&mut self, run: Uuid, parcel: Parcel) {
        match parcel {
            Parcel::Client(client) => self.learn(run, client).await,
            Parcel::Left(key) => {
                if let Some(gone) = self.clients.get_mut(&run).and_then(|clients| clients.remove(&key)) {
                    self.forget(&gone).await;
                }
            }
            Parcel::Clients { first, last, some } => {
                let all = self.named.piece(run, (first, last), some.iter().map(|client| client.key));
                for client in some {
                    self.learn(run, client).await;
                }
                if let Some(named) = all {
                    let clients = self.clients.entry(run).or_default();
                    let gone: Vec<_> = clients.extract_if(|key, _| !named.contains(key)).collect();
                    for (_, gone) in gone {
                        self.forget(&gone).await;
                    }
                }
            }
            Parcel::Tell { to, stanza, waits } if to.run == self.run => {
                let Some(resource) = self.door.resources.keyed(to.user, to.key) else { return };
                match waits {
                    None => resource.tell(stanza.into()),
                    Some(number) => {
                        if resource.note_given(number) {
                            resource.tell(stanza.into());
                        }
                        self.waits_no_more(to.user, number).await;
                    }
                }
            }
            Parcel::End(to) if to.run == self.run => {
                if let Some(resource) = self.door.resources.keyed(to.user, to.key) {
                    resource.end();
                }
            }
            Parcel::Tell { .. } | Parcel::End(_) => {}
            Parcel::All { user, stanza } => self.door.tell_all_here(user, &stanza),
            Parcel::Common(user, what) => self.door.resources.know(user, &what),
            Parcel::Waiting(user) => self.door.give_what_waits(user),
            Parcel::Seat(seated) => {
                self.seated.also(run, std::iter::once((seated.key, seated.room)));
                self.door.seat_elsewhere(run, seated);
            }
            Parcel::Unseat { key, room, farewell } => {
                self.door.unseat_elsewhere(run, key, room, farewell.as_ref());
            }
            Parcel::Seats { first, last, some } => {
                let all = self.seated.piece(run, (first, last), some.iter().map(|seated| (seated.key, seated.room)));
                some.into_iter().for_each(|seated| self.door.seat_elsewhere(run, seated));
                if let Some(named) = all {
                    self.unseat_all_but(run, &named);
                }
            }
            Parcel::Passing { room, stanza } => self.door.tell_here(room, stanza, true),
            Parcel::Kick { to, room, by, reason } if to.run == self.run => {
                if let Some(resource) = self.door.resources.keyed(to.user, to.key) {
                    resource.order(Order::Kicked { room, by, reason });
                }
            }
            Parcel::Kick { .. } => {}
        }
    }

    /// Of a server's seats only these are taken.
    fn unseat_all_but(&self, run: Uuid, taken: &HashSet<(u64, RoomId)>) {
        for (key, room) in self.door.occupants.all_of(run).difference(taken) {
            self.door.unseat_elsewhere(run, *key, *room, Some(&Farewell::default()));
        }
    }

    /// Another server has a client, or something about it has changed.
    async fn learn(&mut self, run: Uuid, client: Client) {
        let known = self.clients.entry(run).or_default();
        let (resource, before) = match known.get(&client.key) {
            Some(resource) => {
                let before = resource.state();
                resource.change(|state| *state = State::from(client.seen));
                (Arc::clone(resource), before.presence)
            }
            None => {
                let key = self.door.next_key();
                let resource = Resource::elsewhere(key, run, client.clone(), Arc::clone(&self.door.post));
                known.insert(client.key, Arc::clone(&resource));
                self.door.resources.add_elsewhere(Arc::clone(&resource));
                (resource, None)
            }
        };
        let now = resource.state().presence;
        if now != before {
            self.show(&resource, now.as_deref()).await;
        }
    }

    /// A client of another server is not there any more.
    async fn forget(&self, gone: &Resource) {
        self.door.resources.remove(gone);
        if gone.is_available() {
            self.show(gone, None).await;
        }
    }

    /// Shows those who see a client that it is available, with this content of its presence, or that it is not.
    async fn show(&self, client: &Resource, presence: Option<&str>) {
        if !self.door.resources.any_here() {
            return;
        }
        let contacts = self.door.contacts_of(client.user).await;
        match presence {
            Some(content) => {
                let presence = El::new("presence").attr("from", &client.jid).raw(content);
                self.door.show_here(client, &contacts, &presence);
            }
            None => self.door.show_gone_here(client, &contacts, ""),
        }
    }

    async fn waits_no_more(&self, user: PrincipalId, number: i64) {
        if let Err(error) = self.door.chat.drop_items(user, WAITING, vec![number.to_string()]).await {
            tracing::debug!(%error, "a message that was given out will be given out again");
        }
    }
}

impl Door {
    /// Has all clients of a person's know something, wherever they are connected.
    pub(crate) fn let_know(&self, user: PrincipalId, what: Common) {
        self.resources.know(user, &what);
        self.post.send(&Parcel::Common(user, what));
    }
}
