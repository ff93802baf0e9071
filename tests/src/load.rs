//! Many clients at once, who go on through whatever happens and record what they are told and see.
//!
//! A writer posts one message after the other, each with the same client id however often it takes and on whatever server. A
//! listener has a live connection, and when that ends another one, on any server, from where it stopped.

use crate::http::Http;
use crate::live::Live;
use crate::pool::{Hosts, Pool, name};
use anyhow::{Context as _, Result};
use holdfast_history::{Digest, Fate, FinalLog, History, Logged, Message, Report, Seen, View, check};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

/// For a connection to be made, and for one that is silent.
const REACH: Duration = Duration::from_secs(3);
/// Between two attempts.
const BREATH: Duration = Duration::from_millis(50);
/// For everybody to have seen everything, and all servers to say the same, when nothing is sent any more.
const SETTLING: Duration = Duration::from_secs(30);
/// Every so many messages a writer sends one again that was acknowledged, as if the answer had been lost.
const REPEATED: usize = 7;
/// Every so many writers one gives a message up after the first answer that is none.
const CARELESS: usize = 4;

/// Who does what.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How many rooms.
    pub rooms: usize,
    /// How many writers.
    pub writers: usize,
    /// How many listeners, each in all rooms.
    pub listeners: usize,
    /// Between two messages of a writer.
    pub pause: Duration,
    /// For the answer to one attempt; then it is taken for lost.
    pub patience: Duration,
    /// For one message, with all attempts; then it is given up.
    pub persistence: Duration,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            rooms: 2,
            writers: 8,
            listeners: 4,
            pause: Duration::from_millis(20),
            patience: Duration::from_secs(5),
            persistence: Duration::from_secs(20),
        }
    }
}

/// What all clients share.
#[derive(Debug)]
struct Shared {
    plan: Plan,
    rooms: Vec<i64>,
    origin: Instant,
    /// The writers are to finish what they do.
    enough: AtomicBool,
    /// The listeners are to finish.
    seen_all: AtomicBool,
    acknowledged: AtomicUsize,
    /// How far each listener has seen each room.
    ends: Mutex<HashMap<(usize, i64), i64>>,
    /// How often listeners had to connect anew.
    reconnects: AtomicUsize,
    /// What no client should be told whatever happens.
    surprises: Mutex<Vec<String>>,
}

impl Shared {
    fn surprise(&self, what: String) {
        let mut surprises = lock(&self.surprises);
        if surprises.len() < 50 {
            surprises.push(what);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Clients that are at work.
#[derive(Debug)]
pub struct Load {
    runtime: Runtime,
    shared: Arc<Shared>,
    writers: Vec<JoinHandle<Vec<Message>>>,
    listeners: Vec<JoinHandle<Vec<View>>>,
    reader: Http,
}

impl Load {
    /// Makes rooms and users, signs everybody in, and lets them begin.
    ///
    /// # Panics
    /// When one of that is refused.
    pub fn start(pool: &Pool, plan: &Plan) -> Self {
        let rooms = (0..plan.rooms).map(|i| pool.add_room(&format!("Room {i}"))).collect();
        let shared = Arc::new(Shared {
            plan: plan.clone(),
            rooms,
            origin: Instant::now(),
            enough: AtomicBool::new(false),
            seen_all: AtomicBool::new(false),
            acknowledged: AtomicUsize::new(0),
            ends: Mutex::default(),
            reconnects: AtomicUsize::new(0),
            surprises: Mutex::default(),
        });
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.unwrap_or_else(|e| panic!("no runtime: {e}"));
        let client = |person: &str, i: usize| {
            pool.add_user(person);
            let place = Place { hosts: pool.hosts(), server: i };
            let server = i % pool.running().len();
            let http = runtime.block_on(pool.sign_in(pool.running()[server], person));
            let http = http.unwrap_or_else(|e| panic!("{person}: {e}"));
            (place, http)
        };
        let (_, reader) = client("reader", 0);
        let listeners = (0..plan.listeners).map(|i| {
            let (place, http) = client(&format!("listener{i}"), i);
            Listener { number: i, place, http, shared: Arc::clone(&shared), views: Vec::new() }
        });
        let listeners: Vec<Listener> = listeners.collect();
        let writers = (0..plan.writers).map(|i| {
            let author = format!("writer{i}");
            let (place, http) = client(&author, i);
            Writer { number: i, author, place, http, shared: Arc::clone(&shared) }
        });
        let writers: Vec<Writer> = writers.collect();
        let listeners = listeners.into_iter().map(|l| runtime.spawn(l.listen())).collect();
        let load = Self { listeners, writers: Vec::new(), reader, shared, runtime };
        // Everybody is there before the first word, so that all of it is seen.
        crate::wait::until("all listeners to be in all rooms", SETTLING, || {
            (lock(&load.shared.ends).len() == plan.listeners * plan.rooms).then_some(())
        });
        let writers = writers.into_iter().map(|w| load.runtime.spawn(w.write())).collect();
        Self { writers, ..load }
    }

    /// The rooms.
    pub fn rooms(&self) -> &[i64] {
        &self.shared.rooms
    }

    /// How many messages have been acknowledged so far.
    pub fn acknowledged(&self) -> usize {
        self.shared.acknowledged.load(Ordering::Acquire)
    }

    /// How often listeners had to connect anew so far.
    pub fn reconnects(&self) -> usize {
        self.shared.reconnects.load(Ordering::Acquire)
    }

    /// Waits until `more` messages have been acknowledged from now on.
    ///
    /// # Panics
    /// When they are not in time.
    pub fn wait_for(&self, more: usize, limit: Duration) {
        let goal = self.acknowledged() + more;
        crate::wait::until(&format!("{more} more messages to be acknowledged"), limit, || {
            (self.acknowledged() >= goal).then_some(())
        });
    }

    /// Lets the writers finish, waits until every listener has seen everything, reads the rooms from every server, and checks all of it.
    ///
    /// # Panics
    /// When a client was told what it never should be, or somebody does not see everything in time, or the servers do not come to say the same.
    pub fn finish(mut self, pool: &Pool) -> Report {
        self.shared.enough.store(true, Ordering::Release);
        let limit = self.shared.plan.persistence + self.shared.plan.patience * 2 + SETTLING;
        let clients = self.writers.drain(..).map(|writer| {
            let ended = self.runtime.block_on(async { timeout(limit, writer).await });
            ended.unwrap_or_else(|_| panic!("a writer does not end")).unwrap_or_else(|e| panic!("a writer: {e}"))
        });
        let clients = clients.collect();
        let logs = self.settle(pool);
        self.shared.seen_all.store(true, Ordering::Release);
        let views = self.listeners.drain(..).flat_map(|listener| {
            let ended = self.runtime.block_on(async { timeout(SETTLING, listener).await });
            ended.unwrap_or_else(|_| panic!("a listener does not end")).unwrap_or_else(|e| panic!("a listener: {e}"))
        });
        let history = History { clients, views: views.collect() };
        let report = check(&history, &logs);
        let surprises = lock(&self.shared.surprises);
        assert!(surprises.is_empty(), "no client should be told this: {surprises:#?}\n{report}");
        report
    }

    /// The logs, once all servers say the same and all listeners have seen it.
    fn settle(&mut self, pool: &Pool) -> Vec<FinalLog> {
        let deadline = Instant::now() + SETTLING;
        loop {
            let mut logs = Vec::new();
            let mut missing = Vec::new();
            for server in pool.running() {
                for room in self.shared.rooms.clone() {
                    self.reader.move_to(pool.server(server).host());
                    match self.runtime.block_on(async { timeout(SETTLING, read_log(&mut self.reader, room)).await }) {
                        Ok(Ok(entries)) => logs.push(FinalLog { server: name(server), room, entries }),
                        other => missing.push(format!("{} does not show room {room}: {other:?}", name(server))),
                    }
                }
            }
            for room in &self.shared.rooms {
                let lengths: Vec<usize> = logs.iter().filter(|l| l.room == *room).map(|l| l.entries.len()).collect();
                let end = lengths.iter().copied().max().unwrap_or_default();
                if lengths.iter().any(|length| *length != end) {
                    missing.push(format!("of room {room}, servers show {lengths:?} entries"));
                }
                for ((listener, _), seen) in lock(&self.shared.ends).iter().filter(|((_, of), _)| of == room) {
                    if usize::try_from(*seen).unwrap_or_default() < end {
                        missing.push(format!("listener{listener} has seen room {room} up to {seen} of {end}"));
                    }
                }
            }
            if missing.is_empty() {
                return logs;
            }
            assert!(Instant::now() < deadline, "after {SETTLING:?}: {missing:#?}");
            std::thread::park_timeout(BREATH * 2);
        }
    }
}

/// Where a client is.
#[derive(Debug)]
struct Place {
    hosts: Hosts,
    server: usize,
}

impl Place {
    /// Where its server is; the next one's if it is nowhere.
    fn host(&self) -> Option<String> {
        let hosts = self.hosts.all();
        (0..hosts.len()).find_map(|i| hosts[(self.server + i) % hosts.len()].clone())
    }

    /// From now on at another one: one of `addresses` if given.
    fn move_on(&mut self, addresses: &Value) {
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

/// What came of one attempt to post.
enum Attempt {
    Taken(i64),
    /// Not taken, certainly.
    Refused(String),
    /// Nobody was there, or whoever was takes no clients: certainly not taken either, and no reason to give up.
    Elsewhere,
    /// Nobody knows.
    Unknown,
}

struct Writer {
    number: usize,
    author: String,
    place: Place,
    http: Http,
    shared: Arc<Shared>,
}

impl Writer {
    async fn write(mut self) -> Vec<Message> {
        let mut sent = Vec::new();
        while !self.shared.enough.load(Ordering::Acquire) {
            sent.push(self.send(sent.len()).await);
            sleep(self.shared.plan.pause).await;
        }
        sent
    }

    async fn send(&mut self, number: usize) -> Message {
        let room = self.shared.rooms[(self.number + number) % self.shared.rooms.len()];
        let client_id = Uuid::new_v4();
        let text = format!("{} says {number} in {room}", self.author);
        let body = json!({ "client_id": client_id, "text": text });
        let begun = self.shared.origin.elapsed();
        let careless = self.number % CARELESS == CARELESS - 1;
        let (mut taken, mut unknown, mut refused) = (Vec::new(), false, None);
        while taken.is_empty() {
            match self.attempt(room, &body).await {
                Attempt::Taken(seq) => taken.push(seq),
                Attempt::Refused(why) => refused = Some(why),
                Attempt::Elsewhere => {}
                Attempt::Unknown => unknown = true,
            }
            let tired = self.shared.origin.elapsed() > begun + self.shared.plan.persistence;
            if taken.is_empty() && (tired || (careless && (unknown || refused.is_some()))) {
                break;
            }
            if taken.is_empty() {
                sleep(BREATH).await;
            }
        }
        if !taken.is_empty()
            && number % REPEATED == 3
            && let Attempt::Taken(again) = self.attempt(room, &body).await
        {
            taken.push(again);
        }
        let fate = if !taken.is_empty() {
            self.shared.acknowledged.fetch_add(1, Ordering::AcqRel);
            Fate::Acknowledged(taken)
        } else if unknown {
            Fate::Unknown
        } else {
            Fate::Failed(refused.unwrap_or_else(|| "nobody was there".to_owned()))
        };
        let ended = self.shared.origin.elapsed();
        Message { room, author: self.author.clone(), client_id, content: Digest::of(&text), begun, ended, fate }
    }

    async fn attempt(&mut self, room: i64, body: &Value) -> Attempt {
        let Some(host) = self.place.host() else { return Attempt::Elsewhere };
        self.http.move_to(&host);
        if !matches!(timeout(REACH, self.http.reach()).await, Ok(Ok(()))) {
            self.http.hang_up();
            self.place.move_on(&Value::Null);
            return Attempt::Elsewhere;
        }
        let path = format!("/rooms/{room}/messages");
        let answer = timeout(self.shared.plan.patience, self.http.post(&path, body)).await;
        let Ok(Ok((status, answer))) = answer else {
            self.http.hang_up();
            self.place.move_on(&Value::Null);
            return Attempt::Unknown;
        };
        match (status, answer["code"].as_str().unwrap_or_default()) {
            (200 | 201, _) => {
                if let Some(seq) = answer["seq"].as_i64() {
                    return Attempt::Taken(seq);
                }
                self.shared.surprise(format!("{} was answered {status} {answer}", self.author));
                Attempt::Unknown
            }
            (503, "standby") => {
                self.place.move_on(&answer["servers"]);
                Attempt::Elsewhere
            }
            (503, "outcome-unknown") => Attempt::Unknown,
            (503, "unavailable") | (507, "storage-full") | (429, _) => Attempt::Refused(answer["code"].to_string()),
            _ => {
                self.shared.surprise(format!("{} on {host} was answered {status} {answer}", self.author));
                Attempt::Unknown
            }
        }
    }
}

struct Listener {
    number: usize,
    place: Place,
    http: Http,
    shared: Arc<Shared>,
    views: Vec<View>,
}

impl Listener {
    async fn listen(mut self) -> Vec<View> {
        while !self.is_over() {
            let Some(host) = self.place.host() else {
                sleep(BREATH).await;
                continue;
            };
            self.http.move_to(&host);
            let servers = match timeout(REACH, Live::connect(&host, &self.http)).await {
                Ok(Ok(live)) => self.stay(live).await.unwrap_or_default(),
                Ok(Err(refused)) => {
                    let text = refused.to_string();
                    // While the database is away nobody can be signed in, and a standby says who else there is.
                    if text.starts_with('4') || text.starts_with("500") {
                        self.shared.surprise(format!("listener{} on {host} was answered {text}", self.number));
                    }
                    let body = text.split_once('{').map(|(_, rest)| format!("{{{rest}")).unwrap_or_default();
                    serde_json::from_str::<Value>(&body).map(|problem| problem["servers"].clone()).unwrap_or_default()
                }
                Err(_) => Value::Null,
            };
            if !self.is_over() {
                self.shared.reconnects.fetch_add(1, Ordering::AcqRel);
                self.place.move_on(&servers);
                sleep(BREATH).await;
            }
        }
        self.views
    }

    fn is_over(&self) -> bool {
        self.shared.seen_all.load(Ordering::Acquire)
    }

    fn name(&self) -> String {
        format!("listener{}", self.number)
    }

    /// Listens until the connection or everything is over; answers which servers it was told to go to.
    ///
    /// # Errors
    /// When the connection breaks.
    async fn stay(&mut self, mut live: Live) -> Result<Value> {
        let known = |room: &i64| lock(&self.shared.ends).get(&(self.number, *room)).copied();
        let rooms: Vec<_> = self.shared.rooms.iter().map(|room| (*room, known(room))).collect();
        live.join(&rooms).await?;
        // Of each room, which of the views is open.
        let mut open: HashMap<i64, usize> = HashMap::new();
        while !self.is_over() {
            anyhow::ensure!(live.silence() < REACH, "the server is silent");
            let Some(frame) = live.next(Duration::from_millis(200)).await? else { continue };
            let room = frame["room"].as_i64().or(frame["entry"]["room"].as_i64()).unwrap_or_default();
            match frame["type"].as_str().unwrap_or_default() {
                "joined" => {
                    let head = frame["head"].as_i64().context("a head")?;
                    let after = rooms.iter().find(|(r, _)| *r == room).and_then(|(_, after)| *after);
                    open.insert(room, self.begin(live.host(), room, after.unwrap_or(head), after.is_some()));
                }
                "entry" => {
                    let seen = seen(&frame["entry"])?;
                    let Some(view) = open.get(&room).map(|i| &mut self.views[*i]) else {
                        self.shared.surprise(format!("{} saw an entry before it had joined: {frame}", self.name()));
                        continue;
                    };
                    view.entries.push(seen);
                    lock(&self.shared.ends).insert((self.number, room), seen.seq);
                }
                "gap" => {
                    let (after, head) =
                        (frame["after"].as_i64().context("after")?, frame["head"].as_i64().context("a head")?);
                    let view = self.begin(live.host(), room, after, true);
                    for entry in read(&mut self.http, room, after, Some(head)).await? {
                        self.views[view].entries.push(seen(&entry)?);
                    }
                    let end = self.views[view].end();
                    lock(&self.shared.ends).insert((self.number, room), end);
                    open.insert(room, self.begin(live.host(), room, head, true));
                }
                "refused" => {
                    let code = frame["problem"]["code"].as_str().unwrap_or_default().to_owned();
                    if !matches!(code.as_str(), "unavailable" | "standby") {
                        self.shared.surprise(format!("{} was refused: {frame}", self.name()));
                    }
                    return Ok(frame["problem"]["servers"].clone());
                }
                "bye" => {
                    if frame["reason"] == "session-ended" {
                        self.shared.surprise(format!("{}: {frame}", self.name()));
                    }
                    return Ok(frame["servers"].clone());
                }
                "kicked" | "problem" => self.shared.surprise(format!("{}: {frame}", self.name())),
                _ => {}
            }
        }
        Ok(Value::Null)
    }

    /// A new view, and where it is.
    fn begin(&mut self, host: &str, room: i64, after: i64, continues: bool) -> usize {
        lock(&self.shared.ends).entry((self.number, room)).or_insert(after);
        let (observer, server) = (self.name(), host.to_owned());
        self.views.push(View { observer, server, room, after, continues, entries: Vec::new() });
        self.views.len() - 1
    }
}

/// The room's whole log at the server that `http` speaks to.
///
/// # Errors
/// When it does not answer, or not as it should.
pub async fn read_log(http: &mut Http, room: i64) -> Result<Vec<Logged>> {
    let entries = read(http, room, 0, None).await?;
    let logged = |entry: &Value| -> Result<Logged> {
        let Seen { seq, client_id, content } = seen(entry)?;
        let author = entry["author"]["name"].as_str().context("an author")?.to_owned();
        Ok(Logged { seq, is_message: entry["kind"] == "message", author, client_id, content })
    };
    entries.iter().map(logged).collect()
}

/// Entries after `after`, up to `through` or the last.
async fn read(http: &mut Http, room: i64, mut after: i64, through: Option<i64>) -> Result<Vec<Value>> {
    let mut entries = Vec::new();
    loop {
        let (status, mut page) = http.get(&format!("/rooms/{room}/entries?after={after}&limit=500")).await?;
        anyhow::ensure!(status == 200, "{status} {page}");
        let Value::Array(found) = page["entries"].take() else { anyhow::bail!("no entries: {page}") };
        for entry in found {
            after = entry["seq"].as_i64().context("a number")?;
            if through.is_none_or(|through| after <= through) {
                entries.push(entry);
            }
        }
        if page["more_after"] != true || through.is_some_and(|through| after >= through) {
            return Ok(entries);
        }
    }
}

/// An entry as it is recorded: of a message the text counts, of others the kind.
fn seen(entry: &Value) -> Result<Seen> {
    let text = entry["message"]["text"].as_str().or(entry["kind"].as_str()).context("a kind")?;
    Ok(Seen {
        seq: entry["seq"].as_i64().context("a number")?,
        client_id: entry["client_id"].as_str().context("a client id")?.parse()?,
        content: Digest::of(text),
    })
}
