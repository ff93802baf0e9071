//! The service itself: its state, its start and its end, and what follows a commit.

use crate::accounts::guard::Guard;
use crate::addresses::Addresses;
use crate::caller::{Caller, Scope};
use crate::chance;
use crate::clock::Clock;
use crate::error::{ChatError, Result};
use crate::event::Bye;
use crate::handing::{AfterCommit, locks};
use crate::hub::Hub;
use crate::journal::{Counts, Journal};
use crate::notices::Noticed;
use crate::options::Options;
use crate::pool::Pooled;
use crate::pool::signal::Signal;
use crate::reading::Marks;
use holdfast_domain::directory::{Directory, RoomState};
use holdfast_domain::entry::{Act, EntryBody, Put};
use holdfast_domain::feed::Feed;
use holdfast_domain::name::{DisplayName, Login};
use holdfast_domain::rights::{self, Action};
use holdfast_domain::{Entry, Group, Limits, PrincipalId, RoomId, Seq, Time};
use holdfast_store::log::{Appended, Draft, Remember};
use holdfast_store::{Store, StoreError};
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The chat service of one server. Cheap to clone; all clones are the same service.
#[derive(Clone)]
pub struct Chat {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Clock,
    pub(crate) options: Options,
    pub(crate) started_at: Time,
    /// The directory as of the last committed entry. Held for moments, never across an await, and never while taking the hub's lock.
    pub(crate) directory: RwLock<Directory>,
    /// Entries of a log are handed out by one task at a time, in order; see [`Chat::handing`].
    pub(crate) handing: Vec<tokio::sync::Mutex<()>>,
    pub(crate) hub: Hub,
    pub(crate) journal: OnceLock<Journal>,
    /// Changes of the directory are decided and written one after the other, so that each is decided on what is so.
    pub(crate) changing: tokio::sync::Mutex<()>,
    /// Of a pool: how many changes the directory had seen when it was last known to be complete.
    pub(crate) revision: AtomicI64,
    /// Of a pool: what is known of it.
    pub(crate) pooled: Option<Pooled>,
    /// Reading positions that are to be moved.
    pub(crate) marks: Marks,
    pub(crate) guard: Guard,
    pub(crate) addresses: Addresses,
    /// Feeds that announce their matches, by owner.
    pub(crate) announcing: RwLock<HashMap<PrincipalId, Vec<Feed>>>,
    /// The code for making the first user, once somebody asked for it.
    pub(crate) first_user_code: Mutex<Option<String>>,
    /// What is known of an outage.
    pub(crate) noticed: Mutex<Noticed>,
    pub(crate) stopping: CancellationToken,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// What a service begins with.
pub(crate) struct Loaded {
    pub(crate) heads: Vec<(RoomId, Seq)>,
    pub(crate) directory: Directory,
    pub(crate) announcing: HashMap<PrincipalId, Vec<Feed>>,
    /// Of a pool: how many changes the directory had seen; -1 if that is not known.
    revision: i64,
}

/// Reads all that a service keeps in memory.
pub(crate) async fn load(store: &dyn Store) -> std::result::Result<Loaded, StoreError> {
    // While nobody changes the directory. If the turn cannot be had, as where nothing can be written, the ends are still no later than
    // the snapshot, so that what was changed meanwhile is handed out again rather than missed.
    let turn = match store.pool() {
        Some(pool) => pool.turn().await.ok(),
        None => None,
    };
    let heads = store.heads().await?.into_iter().map(|(room, head)| (room, head.seq)).collect();
    let snapshot = store.snapshot().await?;
    let mut directory = Directory::new();
    for group in snapshot.groups {
        directory.apply(RoomId::POOL, &EntryBody::Group(Put::new(group)));
    }
    for user in snapshot.users {
        directory.apply(RoomId::POOL, &EntryBody::User(Put::new(user)));
    }
    for category in snapshot.categories {
        directory.apply(RoomId::POOL, &EntryBody::Category(Put::new(category)));
    }
    for (room, roles) in snapshot.rooms {
        let id = room.id;
        directory.apply(id, &EntryBody::Room(Put::new(room)));
        directory.load_roles(id, roles);
    }
    let mut announcing: HashMap<PrincipalId, Vec<Feed>> = HashMap::new();
    for (owner, feed) in store.announcing_feeds().await? {
        announcing.entry(owner).or_default().push(feed);
    }
    Ok(Loaded { heads, directory, announcing, revision: turn.map_or(-1, |turn| turn.revision) })
}

/// Reads all under one epoch, which it answers; 0 where there is no pool.
async fn first_load(store: &dyn Store) -> std::result::Result<(Loaded, i64), StoreError> {
    let Some(pool) = store.pool() else { return Ok((load(store).await?, 0)) };
    loop {
        let epoch = pool.adopt_epoch().await?;
        let loaded = load(store).await?;
        if pool.state().await?.0.epoch == epoch {
            return Ok((loaded, epoch));
        }
    }
}

/// What the service says of itself.
#[derive(Clone, Debug)]
pub struct Status {
    /// When it started.
    pub started_at: Time,
    /// Rooms.
    pub rooms: usize,
    /// Users, imported ones included.
    pub users: usize,
    /// Live connections.
    pub connections: usize,
    /// Users connected.
    pub people: usize,
    /// Transactions of the journal since the start.
    pub commits: u64,
    /// Entries in them.
    pub entries: u64,
    /// Drafts that were there already.
    pub repeated: u64,
    /// Requests that failed.
    pub failed: u64,
}

impl Chat {
    /// Opens the service on a store: loads the directory, makes what a new pool needs, and starts the journal and the
    /// housekeeping.
    ///
    /// # Errors
    /// When the store cannot be read, or a new pool not be written.
    pub async fn open(store: Arc<dyn Store>, options: Options, clock: Clock) -> Result<Chat> {
        let (loaded, epoch) = first_load(store.as_ref()).await?;
        let addresses = Addresses::new(store.address_key().await?);
        let pooled = store.pool().map(|_| Pooled::new(options.server.joins));
        let teller = pooled.as_ref().map(|pooled| Arc::clone(&pooled.teller));
        let wait = Duration::from_secs(u64::from(options.wait_seconds));
        let inner = Arc::new(Inner {
            hub: Hub::new(options.limits.roster, teller, loaded.heads, epoch),
            guard: Guard::new(options.accounts.attempts_per_minute),
            addresses,
            started_at: clock.now(),
            store: Arc::clone(&store),
            clock,
            options,
            directory: RwLock::new(loaded.directory),
            handing: locks(),
            journal: OnceLock::new(),
            changing: tokio::sync::Mutex::new(()),
            revision: AtomicI64::new(loaded.revision),
            pooled,
            marks: Marks::default(),
            announcing: RwLock::new(loaded.announcing),
            first_user_code: Mutex::new(None),
            noticed: Mutex::default(),
            stopping: CancellationToken::new(),
            tasks: Mutex::new(Vec::new()),
        });
        let (journal, tasks) = Journal::start(store, wait, AfterCommit(Arc::downgrade(&inner)));
        let _ = inner.journal.set(journal);
        let chat = Chat { inner };
        tasks.into_iter().for_each(|task| chat.keep(task));
        let opened = chat.begin().await;
        if opened.is_err() {
            chat.inner.stopping.cancel();
        }
        opened.map(|()| chat)
    }

    /// Comes into the pool, makes what a new one needs, and starts what runs until the service stops.
    async fn begin(&self) -> Result<()> {
        let joins = self.inner.options.server.joins;
        if joins {
            self.join_pool().await?;
        }
        self.make_everyone().await?;
        self.keep(tokio::spawn(self.clone().write_marks_often()));
        if joins {
            self.keep(tokio::spawn(crate::housekeeping::run(self.clone())));
            self.keep(tokio::spawn(self.clone().watch_notice()));
        }
        if self.in_pool() {
            self.keep(tokio::spawn(self.clone().tell_often()));
            if joins {
                self.keep(tokio::spawn(self.clone().beat_often()));
                self.keep(tokio::spawn(self.clone().follow_others()));
                self.keep(tokio::spawn(self.clone().make_up_for_missed()));
                self.signal(Signal::Active);
            }
        }
        Ok(())
    }

    /// Ends the service: tells every connection, finishes what was accepted, closes the store.
    ///
    /// # Errors
    /// When the store cannot be closed cleanly.
    pub async fn shutdown(&self) -> Result<()> {
        self.inner.stopping.cancel();
        self.inner.hub.end_all(&Bye::ShuttingDown);
        // What is queued in the journal was accepted, so it is written; the store closes after the writer's queue.
        self.flush().await;
        if let Err(error) = self.flush_marks().await {
            tracing::warn!(%error, "cannot move the last reading positions");
        }
        if self.inner.options.server.joins {
            crate::housekeeping::hand_over(self).await;
        }
        self.leave_pool().await;
        self.inner.store.close().await?;
        for task in self.inner.tasks.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            task.abort();
        }
        Ok(())
    }

    /// Waits until what the journal had accepted when called is written.
    async fn flush(&self) {
        // An empty request goes through the queue behind all others.
        let patience = Duration::from_secs(u64::from(self.options().wait_seconds)) + Duration::from_secs(10);
        let _ = tokio::time::timeout(patience, self.journal().write(Vec::new())).await;
    }

    /// Ends live connections, because the server stops: the first step of draining.
    pub fn say_goodbye(&self) {
        self.inner.hub.end_all(&Bye::ShuttingDown);
    }

    /// The limits in force.
    pub fn limits(&self) -> &Limits {
        &self.inner.options.limits
    }

    /// The settings in force.
    pub fn options(&self) -> &Options {
        &self.inner.options
    }

    /// The time now.
    pub fn now(&self) -> Time {
        self.inner.clock.now()
    }

    /// What the service says of itself.
    pub fn status(&self) -> Status {
        use std::sync::atomic::Ordering::Relaxed;
        let (rooms, users) = {
            let directory = self.directory();
            (directory.rooms().count(), directory.users().count())
        };
        let counts = self.counts();
        Status {
            started_at: self.inner.started_at,
            rooms,
            users,
            connections: self.inner.hub.connections(),
            people: self.inner.hub.connected_users().len(),
            commits: counts.commits.load(Relaxed),
            entries: counts.entries.load(Relaxed),
            repeated: counts.repeated.load(Relaxed),
            failed: counts.failed.load(Relaxed),
        }
    }

    /// Whether what is posted now would be kept: what readiness asks.
    ///
    /// # Errors
    /// Says why not.
    pub async fn check_ready(&self) -> Result<()> {
        if self.inner.stopping.is_cancelled() {
            return Err(ChatError::Unavailable("the server is stopping".into()));
        }
        Ok(self.inner.store.check_writable().await?)
    }

    /// What the store says of itself.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub async fn store_facts(&self) -> Result<holdfast_store::maintenance::Facts> {
        Ok(self.inner.store.facts().await?)
    }

    pub(crate) fn counts(&self) -> &Counts {
        self.journal().counts()
    }

    pub(crate) fn journal(&self) -> &Journal {
        // Set once in `open`, before anybody else has the service.
        static NONE: &str = "the journal is set when the service opens";
        #[allow(clippy::expect_used, reason = "set in `open` before the service is handed to anybody")]
        self.inner.journal.get().expect(NONE)
    }

    /// The directory as it is now. Not to be held across an await.
    pub fn directory(&self) -> RwLockReadGuard<'_, Directory> {
        self.inner.directory.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn store(&self) -> &dyn Store {
        self.inner.store.as_ref()
    }

    pub(crate) fn hub(&self) -> &Hub {
        &self.inner.hub
    }

    fn keep(&self, task: JoinHandle<()>) {
        self.inner.tasks.lock().unwrap_or_else(PoisonError::into_inner).push(task);
    }

    /// Decides whether the caller may do `action` in a room, and answers a copy of it.
    pub(crate) fn allow(&self, caller: &Caller, room: RoomId, action: Action) -> Result<RoomState> {
        let directory = self.directory();
        self.allow_in(&directory, caller, room, action).cloned()
    }

    /// As [`Chat::allow`], with the directory already at hand and without a copy.
    pub(crate) fn allow_in<'d>(
        &self,
        directory: &'d Directory,
        caller: &Caller,
        room: RoomId,
        action: Action,
    ) -> Result<&'d RoomState> {
        caller.need(scope_of(action))?;
        self.allow_chat(directory, caller)?;
        rights::may(directory, caller.user, room, action).map_err(|d| ChatError::denied(d, "this room"))
    }

    /// Demands that the caller may use chat at all.
    pub(crate) fn allow_chat(&self, directory: &Directory, caller: &Caller) -> Result<()> {
        if rights::may_chat(directory, caller.user, self.inner.options.accounts.chat_by_default) {
            Ok(())
        } else {
            Err(ChatError::ChatNotAllowed)
        }
    }

    /// Demands an administrator.
    pub(crate) fn allow_admin(&self, caller: &Caller) -> Result<()> {
        caller.need(Scope::Admin)?;
        if rights::is_admin(&self.directory(), caller.user) {
            Ok(())
        } else {
            Err(ChatError::Forbidden("only administrators may".into()))
        }
    }

    /// A draft of something that the server itself writes; its client id tells what became of it should the database go away meanwhile.
    pub(crate) fn draft(&self, room: RoomId, author: PrincipalId, body: EntryBody) -> Draft {
        Draft {
            room,
            author,
            client_id: chance::client_id(),
            remember: Remember::UntilForgotten,
            decided_on: None,
            at: self.now(),
            body,
        }
    }

    /// Records an administrator's act that changes nothing in the directory.
    pub(crate) async fn record(&self, caller: &Caller, action: &str, summary: String) -> Result<()> {
        let act = EntryBody::Act(Act { action: action.to_owned(), summary });
        self.journal().write_one(self.draft(RoomId::POOL, caller.user, act)).await?;
        Ok(())
    }

    /// Writes one change and answers its entry.
    pub(crate) async fn write(&self, draft: Draft) -> Result<Entry> {
        Ok(match self.journal().write_one(draft).await? {
            Appended::New(entry) | Appended::Repeated(entry) => entry,
        })
    }

    /// The built-in group of everybody stands in every pool from its first start on.
    async fn make_everyone(&self) -> Result<()> {
        let is_there = || self.directory().group(PrincipalId::EVERYONE).is_some();
        if is_there() {
            return Ok(());
        }
        let turn = self.changing().await?;
        // Another server that started at the same time may have made it.
        if is_there() {
            return Ok(());
        }
        let group = Group {
            id: PrincipalId::EVERYONE,
            name: Login::parse("name", "everyone")?,
            display_name: DisplayName::parse("display_name", "Everyone")?,
            members: BTreeSet::new(),
            may_chat: None,
            created_at: self.now(),
        };
        let body = EntryBody::Group(Put::new(group));
        self.journal().write_one(turn.draft(RoomId::POOL, PrincipalId::SYSTEM, body)).await?;
        Ok(())
    }
}

/// The scope that an action needs.
fn scope_of(action: Action) -> Scope {
    match action {
        Action::Find | Action::SeePeople | Action::Join | Action::ReadHistory => Scope::Read,
        Action::Post | Action::Upload => Scope::Post,
        Action::Configure
        | Action::ChangeRoles
        | Action::RemoveMessages
        | Action::Disable
        | Action::Enable
        | Action::Move => Scope::Manage,
        Action::Clear | Action::Delete => Scope::Admin,
    }
}
