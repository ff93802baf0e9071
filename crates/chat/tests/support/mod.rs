//! A real service on a real database in a folder of its own, with a clock that the test moves.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may stop at the first thing that is wrong"
)]

use holdfast_chat::accounts::Origin;
use holdfast_chat::categories::NewCategory;
use holdfast_chat::event::Event;
use holdfast_chat::people::NewUser;
use holdfast_chat::posting::{NewMessage, Posted};
use holdfast_chat::rooms::NewRoom;
use holdfast_chat::{Caller, Chat, Clock, Live, Means, Mode, Options, Outcome, Scope, ServerOptions};
use holdfast_domain::principal::UserKind;
use holdfast_domain::room::{Invitations, Privacy, RoomType};
use holdfast_domain::{CategoryId, ClientId, PrincipalId, RoomId, Seq, Time};
use holdfast_store::postgres::{PostgresOptions, PostgresStore};
use holdfast_store::sqlite::{SqliteOptions, SqliteStore};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use uuid::Uuid;

pub struct Pool {
    pub chat: Chat,
    pub folder: tempfile::TempDir,
    pub now: Arc<AtomicI64>,
}

/// 2026-01-01.
const START: i64 = 1_767_225_600_000;

impl Pool {
    pub async fn new() -> Pool {
        Pool::with(Options::default()).await
    }

    pub async fn with(mut options: Options) -> Pool {
        // Keys are derived in no time; what is tested is that they are asked for.
        options.accounts.password_iterations = 10;
        let folder = tempfile::tempdir().unwrap();
        let now = Arc::new(AtomicI64::new(START));
        let chat = open(folder.path().to_owned(), options, &now).await;
        Pool { chat, folder, now }
    }

    /// A server of a pool that shares a PostgreSQL database.
    pub async fn server(url: &str, name: &str) -> Pool {
        Pool::try_server(url, name).await.unwrap()
    }

    pub async fn try_server(url: &str, name: &str) -> holdfast_chat::Result<Pool> {
        Pool::server_with(url, ServerOptions { name: name.into(), ..ServerOptions::default() }, 10).await
    }

    pub async fn server_with(url: &str, mut server: ServerOptions, wait_seconds: u32) -> holdfast_chat::Result<Pool> {
        let options = PostgresOptions { url: url.into(), ..PostgresOptions::default() };
        let store = PostgresStore::open(options).await.unwrap();
        server.address = format!("https://{}.example.org", server.name);
        // A busy machine that tests run on is no reason not to join.
        server.most_round_trip_ms = 5_000;
        let mut options = Options { server, wait_seconds, client_ids_days: 14, ..Options::default() };
        options.accounts.password_iterations = 10;
        let now = Arc::new(AtomicI64::new(START));
        let chat = Chat::open(Arc::new(store), options, clock(&now)).await?;
        Ok(Pool { chat, folder: tempfile::tempdir().unwrap(), now })
    }

    /// Ends the service and starts it again on the same data.
    pub async fn restart(self) -> Pool {
        let Pool { chat, folder, now } = self;
        let options = chat.options().clone();
        chat.shutdown().await.unwrap();
        let chat = open(folder.path().to_owned(), options, &now).await;
        Pool { chat, folder, now }
    }

    pub fn pass(&self, duration: Duration) {
        self.now.fetch_add(i64::try_from(duration.as_millis()).unwrap(), Ordering::SeqCst);
    }

    pub async fn user(&self, name: &str) -> Caller {
        self.make_user(name, false).await
    }

    pub async fn admin(&self, name: &str) -> Caller {
        self.make_user(name, true).await
    }

    async fn make_user(&self, name: &str, admin: bool) -> Caller {
        let new = NewUser {
            name: name.into(),
            display_name: None,
            password: Some(password(name)),
            admin,
            kind: UserKind::Person,
            may_chat: None,
        };
        let user = done(self.chat.add_user(&Caller::operator(), new, Mode::Do).await.unwrap()).user.id;
        Caller { user, scopes: Scope::ALL.to_vec(), by: Means::SignIn(-user.0) }
    }

    /// A category that admits everybody, in which everybody may create rooms.
    pub async fn category(&self, name: &str) -> CategoryId {
        let everyone = vec![PrincipalId::EVERYONE];
        self.category_of(name, everyone.clone(), vec![], everyone).await
    }

    pub async fn category_of(
        &self,
        name: &str,
        allowed: Vec<PrincipalId>,
        denied: Vec<PrincipalId>,
        creators: Vec<PrincipalId>,
    ) -> CategoryId {
        let new = NewCategory {
            name: name.into(),
            description: String::new(),
            allowed,
            denied,
            creators,
            invitations: true,
            file_upload: true,
            history: true,
        };
        done(self.chat.add_category(&Caller::operator(), new, Mode::Do).await.unwrap()).category.id
    }

    pub async fn room(&self, by: &Caller, category: CategoryId, name: &str, privacy: Privacy) -> RoomId {
        done(self.chat.add_room(by, new_room(category, name, privacy), Mode::Do).await.unwrap()).room.id
    }

    pub async fn say(&self, who: &Caller, room: RoomId, text: &str) -> Posted {
        self.chat.post(who, room, message(text)).await.unwrap()
    }

    pub async fn sign_in(
        &self,
        name: &str,
        password: &str,
    ) -> holdfast_chat::Result<holdfast_chat::accounts::SignedIn> {
        self.chat.sign_in(name, password, Origin { agent: "test".into(), address: "127.0.0.1".into() }).await
    }
}

async fn open(folder: PathBuf, mut options: Options, now: &Arc<AtomicI64>) -> Chat {
    options.client_ids_days = options.client_ids_days.max(14);
    let store = SqliteStore::open(&folder, SqliteOptions::default()).unwrap();
    Chat::open(Arc::new(store), options, clock(now)).await.unwrap()
}

fn clock(now: &Arc<AtomicI64>) -> Clock {
    let now = Arc::clone(now);
    // Every look at the clock is a millisecond later, so that times tell what came first.
    Clock::from_fn(move || Time::from_millis(now.fetch_add(1, Ordering::SeqCst)))
}

/// Waits until `so` is; fails after twenty seconds.
pub async fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while !so() {
        assert!(std::time::Instant::now() < deadline, "not in twenty seconds: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub fn password(name: &str) -> String {
    format!("the password of {name}")
}

pub fn new_room(category: CategoryId, name: &str, privacy: Privacy) -> NewRoom {
    NewRoom {
        category,
        name: name.into(),
        description: String::new(),
        subject: String::new(),
        room_type: RoomType::Normal,
        privacy,
        invitations: Invitations::Inherit,
        add_in_url: None,
        members: vec![],
        managers: vec![],
        presenters: vec![],
    }
}

pub fn client_id() -> ClientId {
    ClientId(Uuid::new_v4())
}

pub fn message(text: &str) -> NewMessage {
    NewMessage {
        client_id: client_id(),
        text: text.into(),
        title: None,
        alert: false,
        action: false,
        files: vec![],
        stanza: None,
    }
}

pub fn done<T>(outcome: Outcome<T>) -> T {
    match outcome {
        Outcome::Done(t) => t,
        Outcome::Would(changes) => panic!("only asked: {changes:?}"),
    }
}

/// Takes events until `wanted` finds what it looks for; fails after ten seconds.
pub async fn until<T>(live: &Live, mut wanted: impl FnMut(&Event) -> Option<T>) -> T {
    let wait = async {
        loop {
            let events = live.next(1).await;
            let event = events.first().expect("the connection ended");
            if let Some(found) = wanted(event.event()) {
                return found;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.expect("the event did not come")
}

/// The numbers of the next `n` entries of a room.
pub async fn entries(live: &Live, room: RoomId, n: usize) -> Vec<Seq> {
    let mut seqs = Vec::new();
    while seqs.len() < n {
        let seq = until(live, |event| match event {
            Event::Entry(view) if view.entry.room == room => Some(view.entry.seq),
            _ => None,
        })
        .await;
        seqs.push(seq);
    }
    seqs
}
