//! One client's session: what it sends is done in its order, and what happens elsewhere reaches it.
//!
//! A session outlives its connection for a while if the client asked for that (XEP-0198): it goes on gathering what is for the client until a new
//! connection takes it up or the time is over.

mod beginning;
pub(crate) mod events;
pub(crate) mod orders;
pub(crate) mod outgoing;
mod pace;
pub(crate) mod resumption;
mod routing;

use crate::door::{Door, Place};
use crate::limits::POSTING;
use crate::ns;
use crate::resources::Resource;
use crate::stanza::StanzaError;
use crate::stream::decoder::Unit;
use crate::stream::error::StreamError;
use crate::stream::negotiation::{self, Bound};
use crate::stream::transport::{Out, Transport};
use crate::xml::El;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesOrdered;
use holdfast_chat::event::Wire;
use holdfast_chat::{Caller, Live};
use holdfast_domain::{ClientId, PrincipalId, RoomId};
use jid::{BareJid, FullJid};
use minidom::Element;
use orders::{Order, Orders};
use outgoing::Managed;
use pace::Pace;
use resumption::{Handle, Taken};
use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;

/// Events taken at a time.
const EVENTS: usize = 512;
/// For so many stanzas a session keeps room between two writes. More is given back: an idle client needs none.
const KEPT_OUT: usize = 4;
/// How long a session goes on when the server stops, if nobody tells it anything.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// One client's session.
pub(crate) struct Session {
    pub(crate) door: Door,
    pub(crate) caller: Arc<Caller>,
    /// The name that he signs in with, and the one that is shown.
    pub(crate) login: String,
    pub(crate) shown: String,
    pub(crate) full: FullJid,
    pub(crate) bare: BareJid,
    pub(crate) resource: Arc<Resource>,
    pub(crate) live: Arc<Live>,
    /// The rooms that it is in, with its nick there.
    pub(crate) inside: HashMap<RoomId, Inside>,
    /// What is to be sent when what is under way is done.
    out: Vec<Out>,
    transport: Option<Transport>,
    pub(crate) managed: Option<Managed>,
    /// Ids of messages that were sent lately and are not unique beyond this stream.
    pub(crate) sent: VecDeque<(RoomId, String, ClientId)>,
    /// Messages being written; each ends with what its sender is told.
    posting: FuturesOrdered<BoxFuture<'static, Vec<Out>>>,
    orders: mpsc::Receiver<Box<Order>>,
    order: Orders,
    alarms: Alarms,
    pace: Pace,
    heard: Instant,
    asked: bool,
    /// When it ends unless it is taken up again.
    until: Option<Instant>,
    /// Stanzas that it may send at once, and since when that is so.
    allowance: (f64, Instant),
    /// What the client said of what it can deal with.
    pub(crate) said_caps: Option<String>,
    /// Nodes of which it is to be told the newest.
    pub(crate) news_of: Vec<String>,
    /// Whether the client said that nobody looks at it (XEP-0352).
    pub(crate) inactive: bool,
    _place: Place,
}

/// Being in a room.
#[derive(Clone, Debug)]
pub(crate) struct Inside {
    /// Under this name.
    pub(crate) nick: String,
    /// The room's address when it came in.
    pub(crate) jid: String,
    /// What it was told to be there.
    pub(crate) standing: crate::muc::standing::Standing,
}

/// Why a session ends.
pub(crate) enum End {
    /// The client said so.
    Left,
    /// The client is gone.
    Lost,
    /// We end it.
    Error(StreamError),
}

impl From<StreamError> for End {
    fn from(error: StreamError) -> Self {
        End::Error(error)
    }
}

/// What a session waits for beside what is said. They stay from one wait to the next: setting them anew each time costs more than a delivery.
struct Alarms {
    /// Rings when something may be due, or too early.
    wake: Pin<Box<Sleep>>,
    /// The server stops. Live connections are told by the service; this is for one that hears nothing more.
    stop: BoxFuture<'static, ()>,
}

impl Alarms {
    fn new(stopping: CancellationToken) -> Self {
        let stop = async move {
            stopping.cancelled_owned().await;
            tokio::time::sleep(LAST_WORDS).await;
        };
        Self { wake: Box::pin(tokio::time::sleep_until(Instant::now())), stop: Box::pin(stop) }
    }

    /// Rings at `at` or before.
    fn set(&mut self, at: Instant) {
        if self.wake.is_elapsed() || at < self.wake.deadline() {
            self.wake.as_mut().reset(at);
        }
    }
}

enum Step {
    Unit(Result<Option<Unit>, StreamError>),
    Events(Vec<Arc<holdfast_chat::event::Shared>>),
    Posted(Vec<Out>),
    Order(Box<Order>),
    Tick,
    Stopping,
}

/// Serves a client that has signed in until it goes. What is held here is held for every idle client, so large things are behind pointers.
pub(crate) async fn run(door: Door, bound: Box<Bound>, place: Place) {
    let Bound { mut transport, caller, resource, asked } = *bound;
    let begun = match door.turned_away(Some(&caller)) {
        Some(error) => Err(error),
        None => Session::begin(&door, caller, resource, place),
    };
    let mut session = match begun {
        Ok(session) => session,
        Err(error) => return negotiation::end(&mut transport, Some(&error)).await,
    };
    session.transport = Some(transport);
    Box::pin(session.begin_with(asked)).await;
    let ended = session.serve().await;
    Box::pin(session.finish(ended)).await;
}

impl Session {
    fn begin(door: &Door, caller: Caller, resource: String, place: Place) -> Result<Box<Session>, StreamError> {
        let refused = |error: holdfast_chat::ChatError| StreamError::new("policy-violation", error.to_string());
        let live = door.chat.connect_by(&caller, Wire::Xmpp).map_err(refused)?;
        let person = live.person().clone();
        let broken = |error: jid::Error| StreamError::new("internal-server-error", error.to_string());
        let bare = BareJid::new(&door.domains.of_person(&person.name)).map_err(broken)?;
        let full = bare.with_resource_str(&resource).map_err(broken)?;
        let key = door.next_key();
        let (order, orders) = mpsc::channel(16);
        let whose = (caller.user, full.to_string(), resource);
        let line = (live.teller(), order.clone());
        let seen = Resource::here(key, whose, door.chat.now(), line, Arc::clone(&door.post));
        match door.resources.add(Arc::clone(&seen)) {
            Ok(Some(before)) => before.end(),
            Ok(None) => {}
            Err(()) => return Err(StreamError::new("resource-constraint", "you have too many connections")),
        }
        let now = Instant::now();
        Ok(Box::new(Session {
            caller: Arc::new(caller),
            shown: person.distinct_name().into_owned(),
            login: person.name,
            full,
            bare,
            resource: seen,
            live: Arc::new(live),
            inside: HashMap::new(),
            out: Vec::new(),
            transport: None,
            managed: None,
            sent: VecDeque::new(),
            posting: FuturesOrdered::new(),
            orders,
            order,
            alarms: Alarms::new(door.stopping().clone()),
            pace: Pace::new(now),
            heard: now,
            asked: false,
            until: None,
            allowance: (f64::from(door.options.stanzas_per_second) * 10.0, now),
            said_caps: None,
            news_of: Vec::new(),
            inactive: false,
            _place: place,
            door: door.clone(),
        }))
    }

    /// Who it is.
    pub(crate) fn user(&self) -> PrincipalId {
        self.caller.user
    }

    /// The number of this connection.
    pub(crate) fn key(&self) -> u64 {
        self.resource.key
    }

    /// Sends a stanza, once what is under way is done.
    pub(crate) fn tell(&mut self, stanza: El) {
        self.out.push(Out::stanza(stanza));
    }

    /// Sends another element.
    pub(crate) fn tell_element(&mut self, element: El) {
        self.out.push(Out::element(element));
    }

    /// Sends what is made already.
    pub(crate) fn push(&mut self, out: Out) {
        self.out.push(out);
    }

    async fn serve(&mut self) -> End {
        loop {
            if let Err(end) = self.flush().await {
                return end;
            }
            let step = self.wait().await;
            // What handling needs is large and not for an idle client to keep.
            let done = match step {
                Step::Unit(unit) => Box::pin(self.take(unit)).await,
                Step::Events(events) if events.is_empty() => Err(End::Lost),
                Step::Events(events) => {
                    self.pace.written(Instant::now());
                    self.hear(events)
                }
                Step::Posted(answers) => {
                    self.posted(answers);
                    Ok(())
                }
                Step::Order(order) => Box::pin(self.obey(*order)).await,
                Step::Tick => self.look_after(),
                Step::Stopping => Err(StreamError::new("system-shutdown", "the server is stopping").into()),
            };
            match done {
                Ok(()) => {}
                // What was said before the end is done, and its sender is told.
                Err(end) => {
                    self.finish_posting().await;
                    return end;
                }
            }
        }
    }

    async fn obey(&mut self, order: Order) -> Result<(), End> {
        match order {
            Order::TakeUp(taken) => return self.taken_up(taken).await,
            Order::GiveWhatWaits => self.give_what_waited().await,
            Order::Kicked { room, by, reason } => self.kicked_out(room, &by, &reason),
        }
        Ok(())
    }

    async fn wait(&mut self) -> Step {
        self.alarms.set(self.wakes_at());
        let held = self.pace.held(Instant::now());
        let Self { transport, orders, live, posting, alarms: Alarms { wake, stop }, .. } = self;
        let room = posting.len() < POSTING;
        let unit = async {
            match transport {
                Some(transport) if room => transport.next().await,
                _ => std::future::pending().await,
            }
        };
        let events = async {
            if let Some(until) = held {
                tokio::time::sleep_until(until).await;
            }
            live.next(EVENTS).await
        };
        tokio::select! {
            Some(order) = orders.recv() => Step::Order(order),
            unit = unit => Step::Unit(unit),
            events = events => Step::Events(events),
            Some(answers) = posting.next(), if !posting.is_empty() => Step::Posted(answers),
            () = wake.as_mut() => Step::Tick,
            () = stop => Step::Stopping,
        }
    }

    fn wakes_at(&self) -> Instant {
        let silence = Duration::from_secs(self.door.options.silence_seconds.max(1));
        self.until.unwrap_or(self.heard + if self.asked { silence * 2 } else { silence })
    }

    /// Something is due: the time for taking up is over, or the client is silent.
    fn look_after(&mut self) -> Result<(), End> {
        if Instant::now() < self.wakes_at() {
            return Ok(());
        }
        if self.until.is_some() {
            return Err(End::Lost);
        }
        if self.asked {
            return self.lost();
        }
        self.asked = true;
        if self.managed.is_some() {
            self.tell_element(El::of(ns::SM_3, "r"));
        } else {
            let id = format!("ping-{}", uuid::Uuid::new_v4().simple());
            let from = self.door.domains.people.clone();
            self.tell(
                El::new("iq").attr("type", "get").attr("id", id).attr("from", from).child(El::of(ns::PING, "ping")),
            );
        }
        Ok(())
    }

    /// The connection is gone: the session ends, or waits to be taken up.
    fn lost(&mut self) -> Result<(), End> {
        self.transport = None;
        let resumable = self.managed.as_ref().is_some_and(|m| m.id.is_some());
        if !resumable || self.door.stopping().is_cancelled() {
            return Err(End::Lost);
        }
        self.asked = false;
        self.until = Some(Instant::now() + Duration::from_secs(self.door.options.resume_seconds));
        Ok(())
    }

    async fn take(&mut self, unit: Result<Option<Unit>, StreamError>) -> Result<(), End> {
        self.heard = Instant::now();
        self.asked = false;
        match unit {
            Ok(Some(Unit::Stanza(element))) => {
                self.door.counters.received.add(1);
                self.slow_down().await;
                self.handle(element).await
            }
            Ok(Some(Unit::Close)) => Err(End::Left),
            Ok(Some(Unit::Open(_))) => Err(StreamError::new("bad-format", "a stream begins once").into()),
            Ok(None) => self.lost(),
            Err(error) => Err(error.into()),
        }
    }

    /// Whoever sends too much waits, and whoever waits is not read from.
    async fn slow_down(&mut self) {
        let rate = f64::from(self.door.options.stanzas_per_second.max(1));
        let (left, since) = self.allowance;
        let now = Instant::now();
        let left = (left + now.duration_since(since).as_secs_f64() * rate).min(rate * 10.0) - 1.0;
        self.allowance = (left, now);
        if left < 0.0 {
            tokio::time::sleep(Duration::from_secs_f64(-left / rate)).await;
        }
    }

    /// Takes a stanza or another element in its turn.
    async fn handle(&mut self, element: Element) -> Result<(), End> {
        let ns = element.ns();
        match (element.name(), ns.as_str()) {
            ("message", ns::CLIENT) => {
                // Room messages are written together; all else waits for them, so that order is what the client meant.
                match self.message(element).await {
                    Some(posting) => self.posting.push_back(posting),
                    None => self.handled(),
                }
                return Ok(());
            }
            _ => self.finish_posting().await,
        }
        match (element.name(), ns.as_str()) {
            ("presence", ns::CLIENT) => {
                self.presence(&element).await;
                self.handled();
            }
            ("iq", ns::CLIENT) => {
                self.iq(&element).await;
                self.handled();
            }
            ("enable", ns::SM_3) => self.enable(&element),
            ("r", ns::SM_3) => self.acknowledge(),
            ("a", ns::SM_3) => self.acknowledged(&element)?,
            ("resume", ns::SM_3) => self.refuse_resumption(),
            ("active", ns::CSI_0) => self.inactive = false,
            ("inactive", ns::CSI_0) => self.inactive = true,
            _ => {
                let what = format!("`{}` is no stanza", element.name());
                return Err(StreamError::new("unsupported-stanza-type", what).into());
            }
        }
        Ok(())
    }

    /// Waits until everything that is being written is.
    pub(crate) async fn finish_posting(&mut self) {
        while let Some(answers) = self.posting.next().await {
            self.posted(answers);
        }
    }

    fn posted(&mut self, answers: Vec<Out>) {
        self.out.extend(answers);
        self.handled();
    }

    /// Counts a stanza as done.
    fn handled(&mut self) {
        if let Some(managed) = &mut self.managed {
            managed.handled = managed.handled.wrapping_add(1);
        }
    }

    /// Sends what is to be sent.
    async fn flush(&mut self) -> Result<(), End> {
        if self.out.is_empty() {
            return Ok(());
        }
        let mut out = std::mem::take(&mut self.out);
        if let Some(managed) = &mut self.managed {
            managed.note(&mut out).map_err(|()| {
                StreamError::new(
                    "policy-violation",
                    "too much has not been acknowledged; come back through the archive",
                )
            })?;
        }
        let to = self.full.as_str();
        let sent = match &mut self.transport {
            Some(transport) => transport.send(to, &out).await,
            None => Ok(()),
        };
        if sent.is_ok() && self.transport.is_some() {
            self.door.counters.sent.add(out.iter().filter(|o| matches!(o, Out::Stanza(_))).count());
        }
        out.clear();
        if self.transport.is_some() && out.capacity() <= KEPT_OUT {
            self.out = out;
        }
        match sent {
            Ok(()) => Ok(()),
            Err(_) => self.lost(),
        }
    }

    /// Ends: leaves all rooms, tells those who see its presence, and the client if it is there.
    async fn finish(&mut self, end: End) {
        if let Some(Managed { id: Some(id), .. }) = &self.managed {
            self.door.parked.remove(id);
        }
        let shutting_down =
            matches!(&end, End::Error(e) if matches!(e.condition, "system-shutdown" | "see-other-host"));
        self.leave_all(shutting_down).await;
        self.unavailable_everywhere(None).await;
        if !matches!(end, End::Left) {
            self.give_back().await;
        }
        self.door.resources.remove(&self.resource);
        let _ = self.flush().await;
        if let Some(mut transport) = self.transport.take() {
            if let (Some(managed), End::Left) = (&self.managed, &end) {
                // XEP-0198 section 4: a last word on what arrived.
                let a = El::of(ns::SM_3, "a").attr("h", managed.handled);
                let _ = transport.send("", &[Out::element(a)]).await;
            }
            let error = match &end {
                End::Error(error) => Some(error),
                End::Left | End::Lost => None,
            };
            negotiation::end(&mut transport, error).await;
        }
    }

    /// A new connection takes the session up.
    async fn taken_up(&mut self, taken: Taken) -> Result<(), End> {
        let Taken { mut transport, h, success } = taken;
        if let Some(mut old) = self.transport.take() {
            negotiation::end(&mut old, Some(&StreamError::new("conflict", "the session goes on elsewhere"))).await;
        }
        let Some(managed) = &mut self.managed else { return Ok(()) };
        let Some(id) = managed.id.clone() else { return Ok(()) };
        if let Err(error) = managed.settle(h) {
            // What the client holds is not what it was sent, so nothing can be made good: both ends begin anew.
            negotiation::end(&mut transport, Some(&error)).await;
            return Err(error.into());
        }
        let again = managed.waiting();
        let resumed = El::of(ns::SM_3, "resumed").attr("previd", id).attr("h", managed.handled);
        self.heard = Instant::now();
        (self.until, self.asked) = (None, false);
        let to = self.full.to_string();
        let mut first = match success {
            Some(success) => vec![
                Out::element(success.told(&to, [resumed])),
                Out::element(negotiation::features_inside(self.door.options.stanza_bytes, false)),
            ],
            None => vec![Out::element(resumed)],
        };
        first.extend(again);
        let sent = transport.send(&to, &first).await;
        self.transport = Some(transport);
        if sent.is_err() { self.lost() } else { Ok(()) }
    }

    /// A way by which a new connection can take this session up.
    fn handle_for_resumption(&self) -> Handle {
        Handle::new(self.user(), self.order.clone())
    }

    /// An error's answer to a stanza.
    pub(crate) fn refuse(&mut self, name: &'static str, stanza: &Element, error: &StanzaError) {
        self.refuse_with(name, stanza, error, None);
    }

    /// The same, with what was asked.
    pub(crate) fn refuse_with(&mut self, name: &'static str, stanza: &Element, error: &StanzaError, more: Option<El>) {
        // Nobody answers an error with an error (RFC 6120 section 8.3.1).
        if stanza.attr("type") != Some("error") {
            self.tell(crate::stanza::refuse(name, stanza, error, more));
        }
    }
}
