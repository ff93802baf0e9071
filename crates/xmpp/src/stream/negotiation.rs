//! From a connection to a session: stream header, TLS, signing in, binding a resource or going on with a session that broke off
//! (RFC 6120 sections 4 to 7, XEP-0198 section 5).

use super::decoder::{Bounds, Opening, Unit};
use super::error::StreamError;
use super::inline::{Inline, Resume, Wanted};
use super::transport::{Bindings, Out, Transport};
use crate::door::Door;
use crate::limits::RESOURCE_BYTES;
use crate::ns;
use crate::sasl::profile::{Profile, Success, decoded};
use crate::sasl::{self, Circumstances, Exchange, Failure, Mechanism, Step};
use crate::session::resumption::Handle;
use crate::stanza::{Iq, StanzaError};
use crate::xml::{El, child_text, payload};
use holdfast_chat::Caller;
use jid::ResourcePart;
use minidom::Element;
use uuid::Uuid;

/// Wrong passwords after which a connection is ended.
const ATTEMPTS: u32 = 3;

/// What came of it.
pub(crate) enum Negotiated {
    /// A session begins.
    Bound(Box<Bound>),
    /// A session that had broken off goes on with this connection.
    Resumed,
}

/// A session's beginning.
pub(crate) struct Bound {
    /// The connection.
    pub(crate) transport: Transport,
    /// Who.
    pub(crate) caller: Caller,
    /// The last part of the client's address.
    pub(crate) resource: String,
    /// How the client asked for it.
    pub(crate) asked: Asked,
}

/// How a client asks for a session.
pub(crate) enum Asked {
    /// By this iq (RFC 6120 section 7).
    ByIq(String),
    /// Together with its sign-in (XEP-0386), of which it is told now.
    Inline(Box<Wanted>, Success),
}

/// Somebody who has signed in.
struct SignedIn {
    caller: Caller,
    /// What he is to be told of that, and what he asked for besides, if there is room for it.
    pending: Option<(Success, Inline)>,
}

/// Why there is no session.
enum End {
    /// Something ended the stream.
    Stream(StreamError),
    /// The connection is gone, or ended as it should.
    Gone,
}

impl From<StreamError> for End {
    fn from(error: StreamError) -> Self {
        End::Stream(error)
    }
}

impl From<std::io::Error> for End {
    fn from(_: std::io::Error) -> Self {
        End::Gone
    }
}

struct Negotiation<'a> {
    door: &'a Door,
    transport: Transport,
    address: &'a str,
    /// Whether a header of ours has gone out in this stream.
    opened: bool,
}

/// Negotiates until there is a session; `None` if there will be none.
pub(crate) async fn negotiate(door: &Door, transport: Transport, address: &str) -> Option<Negotiated> {
    let mut negotiation = Negotiation { door, transport, address, opened: false };
    let ended = match negotiation.sign_in().await {
        Ok(SignedIn { caller, pending }) => match negotiation.begin(&caller, pending).await {
            Ok(Begun::Bind { resource, asked }) => {
                let Negotiation { transport, .. } = negotiation;
                return Some(Negotiated::Bound(Box::new(Bound { transport, caller, resource, asked })));
            }
            Ok(Begun::Resume(parked, h, success)) => {
                let Negotiation { transport, .. } = negotiation;
                door.counters.resumed.add(1);
                parked.go_on(transport, h, success).await;
                return Some(Negotiated::Resumed);
            }
            Err(end) => end,
        },
        Err(end) => end,
    };
    if let End::Stream(error) = ended {
        tracing::debug!(address, %error, "a stream ended before it was a session");
        negotiation.end(&error).await;
    } else {
        negotiation.transport.close().await;
    }
    None
}

/// How a session begins.
enum Begun {
    Bind { resource: String, asked: Asked },
    Resume(Handle, u32, Option<Success>),
}

impl Negotiation<'_> {
    /// Waits for the beginning of a stream and answers it with what can be done now.
    async fn open(&mut self, features: impl FnOnce(&Self) -> El) -> Result<(), End> {
        // A refusal sends the header by itself.
        self.opened = false;
        let opening = match self.transport.next().await? {
            Some(Unit::Open(opening)) => opening,
            Some(_) => return Err(StreamError::new("bad-format", "a stream begins with its header").into()),
            None => return Err(End::Gone),
        };
        check(self.door, &opening)?;
        let first = [Out::element(self.header()), Out::element(features(self))];
        self.opened = true;
        self.transport.send("", &first).await?;
        Ok(())
    }

    fn header(&self) -> String {
        let (id, from) = (Uuid::new_v4(), &self.door.domains.people);
        if self.transport.is_websocket() {
            let open = El::of(ns::FRAMING, "open").attr("from", from).attr("id", id);
            return open.attr("version", "1.0").attr("xml:lang", "en").to_string();
        }
        format!(
            "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='{}' from='{from}' id='{id}' \
             version='1.0' xml:lang='en'>",
            ns::XMPP_STREAM
        )
    }

    async fn stanza(&mut self) -> Result<Element, End> {
        match self.transport.next().await? {
            Some(Unit::Stanza(element)) => Ok(element),
            Some(Unit::Open(_)) => Err(StreamError::new("bad-format", "a stream begins once").into()),
            Some(Unit::Close) | None => Err(End::Gone),
        }
    }

    async fn send(&mut self, element: El) -> Result<(), End> {
        Ok(self.transport.send("", &[Out::element(element)]).await?)
    }

    /// Whether a password may be sent as it is.
    fn plain_allowed(&self) -> bool {
        self.transport.is_encrypted() || self.transport.is_websocket() || self.door.options.plaintext
    }

    /// Whether TLS must come first.
    fn must_encrypt(&self) -> bool {
        !(self.transport.is_encrypted() || self.transport.is_websocket() || self.door.options.plaintext)
    }

    async fn sign_in(&mut self) -> Result<SignedIn, End> {
        let mut failures = 0;
        let mut under_way: Option<(Profile, Exchange)> = None;
        let mut inline = Inline::default();
        let mut bindings = self.transport.bindings();
        self.open(|n| n.first_features(&bindings)).await?;
        if let Some(error) = self.door.turned_away(None) {
            return Err(error.into());
        }
        loop {
            let element = self.stanza().await?;
            let ns = element.ns();
            let profile = Profile::of(&ns).unwrap_or(Profile::Core);
            let outcome = match (element.name(), ns.as_str()) {
                ("starttls", ns::TLS) if !self.transport.is_encrypted() && !self.transport.is_websocket() => {
                    self.send(El::of(ns::TLS, "proceed")).await?;
                    self.transport.start_tls(&self.door.tls()).await?;
                    bindings = self.transport.bindings();
                    self.open(|n| n.first_features(&bindings)).await?;
                    continue;
                }
                ("auth", ns::SASL) | ("authenticate", ns::SASL2) if self.must_encrypt() => {
                    Err(Failure::new("encryption-required"))
                }
                ("auth", ns::SASL) | ("authenticate", ns::SASL2) => {
                    inline = Inline::read(&element);
                    let (door, address) = (self.door, self.address);
                    let with = Circumstances { chat: &door.chat, address, bindings: &bindings };
                    let offered = Mechanism::offered(&bindings, self.plain_allowed(), door.options.scram_sha1);
                    let wanted = offered.into_iter().find(|m| Some(m.name()) == element.attr("mechanism"));
                    // Nothing is offered to upgrade to (XEP-0388 section 2.3).
                    let wanted = wanted.filter(|_| profile == Profile::Core || element.attr("upgrade").is_none());
                    match (wanted, profile.first_words(&element)) {
                        (None, _) => Err(Failure::new("invalid-mechanism")),
                        (_, None) => Err(Failure::new("incorrect-encoding")),
                        (Some(mechanism), Some(words)) => sasl::begin(&with, mechanism, &words).await,
                    }
                }
                ("response", ns::SASL | ns::SASL2) => {
                    let with = Circumstances { chat: &self.door.chat, address: self.address, bindings: &bindings };
                    match (under_way.take(), decoded(&element)) {
                        (Some((of, exchange)), Some(words)) if of == profile => {
                            sasl::go_on(&with, exchange, &words).await
                        }
                        (Some(_), None) => Err(Failure::new("incorrect-encoding")),
                        _ => Err(Failure::new("malformed-request")),
                    }
                }
                ("abort", ns::SASL | ns::SASL2) => Err(Failure::new("aborted")),
                ("iq", ns::CLIENT) if payload(&element).is_some_and(|p| p.is("query", ns::IQ_REGISTER)) => {
                    failures += 1;
                    self.refuse_registration(&element).await?;
                    if failures >= ATTEMPTS {
                        return Err(StreamError::new("policy-violation", "sign in, or go").into());
                    }
                    continue;
                }
                _ => return Err(StreamError::new("not-authorized", "sign in first").into()),
            };
            under_way = None;
            match outcome {
                Ok(Step::Challenge(words, exchange)) => {
                    under_way = Some((profile, *exchange));
                    self.send(profile.challenge(&words)).await?;
                }
                Ok(Step::Success(words, caller)) => {
                    self.door.counters.sign_ins.add(1);
                    let pending = match profile {
                        Profile::Core => {
                            self.send(profile.success(&words)).await?;
                            None
                        }
                        Profile::Extensible => Some((Success::new(words), inline)),
                    };
                    return Ok(SignedIn { caller, pending });
                }
                Err(failure) => {
                    failures += 1;
                    self.door.counters.refused.add(1);
                    self.send(profile.failure(failure)).await?;
                    if failures >= ATTEMPTS {
                        return Err(StreamError::new("policy-violation", "too many attempts to sign in").into());
                    }
                }
            }
        }
    }

    /// Nobody makes an account for himself (XEP-0077 section 3.1.1).
    async fn refuse_registration(&mut self, element: &Element) -> Result<(), End> {
        let (Some(id), Some(payload)) = (element.attr("id"), payload(element)) else {
            return Err(StreamError::new("not-authorized", "sign in first").into());
        };
        let iq = Iq { id, set: element.attr("type") == Some("set"), to: None, payload };
        let why = "accounts are made by administrators";
        let error = if iq.set { StanzaError::cancel("not-allowed") } else { StanzaError::unavailable() };
        self.send(iq.error(&error.because(why))).await
    }

    fn first_features(&self, bindings: &Bindings) -> El {
        let mut features = features();
        if !self.transport.is_encrypted() && !self.transport.is_websocket() {
            let tls = El::of(ns::TLS, "starttls");
            features = features.child(if self.must_encrypt() { tls.child(El::new("required")) } else { tls });
        }
        if !self.must_encrypt() {
            let offered = Mechanism::offered(bindings, self.plain_allowed(), self.door.options.scram_sha1);
            let names = || offered.iter().map(|m| El::new("mechanism").text(m.name()));
            features = features.child(El::of(ns::SASL, "mechanisms").children(names()));
            features = features.child(El::of(ns::SASL2, "authentication").children(names()).child(Inline::offered()));
            if bindings.any() {
                let types = bindings.offered().map(|b| El::new("channel-binding").attr("type", b.name()));
                features = features.child(El::of(ns::SASL_CB_TYPES, "sasl-channel-binding").children(types));
            }
        }
        features.child(limits(Bounds::STRANGER.bytes))
    }

    /// Has a session begin or go on for somebody who has signed in.
    async fn begin(&mut self, caller: &Caller, pending: Option<(Success, Inline)>) -> Result<Begun, End> {
        let bytes = self.door.options.stanza_bytes;
        let bounds = Bounds { bytes, depth: 32, elements: 2_048, attributes: 64 };
        let Some((mut success, Inline { resume, begin })) = pending else {
            self.transport.restart();
            self.transport.set_bounds(bounds);
            self.open(|_| features_before(bytes)).await?;
            return self.begin_when_asked(caller).await;
        };
        self.transport.set_bounds(bounds);
        if let Some(resume) = resume {
            match self.parked(&resume, caller) {
                Ok((parked, h)) => return Ok(Begun::Resume(parked, h, Some(success))),
                Err(why) => success = success.without_session(why),
            }
        }
        if let Some(wanted) = begin {
            let (resource, asked) = (wanted.resource(caller.user), Asked::Inline(Box::new(wanted), success));
            return Ok(Begun::Bind { resource, asked });
        }
        let as_whom = {
            let directory = self.door.chat.directory();
            self.door.domains.of(&directory, caller.user)
        };
        let told = [Out::element(success.told(&as_whom, [])), Out::element(features_before(bytes))];
        self.transport.send("", &told).await?;
        self.begin_when_asked(caller).await
    }

    /// The session that somebody wants to go on with, and how many stanzas have arrived.
    ///
    /// # Errors
    /// Why it does not (XEP-0198 section 5).
    fn parked(&self, resume: &Resume, caller: &Caller) -> Result<(Handle, u32), &'static str> {
        let parked = self.door.parked.find(&resume.previous, caller.user).ok_or("item-not-found")?;
        Ok((parked, resume.h.ok_or("bad-request")?))
    }

    /// Waits until the client asks for a session by itself.
    async fn begin_when_asked(&mut self, caller: &Caller) -> Result<Begun, End> {
        loop {
            let element = self.stanza().await?;
            if element.is("resume", ns::SM_3) {
                match self.parked(&Resume::read(&element), caller) {
                    Ok((parked, h)) => return Ok(Begun::Resume(parked, h, None)),
                    Err(why) => self.send(El::of(ns::SM_3, "failed").child(El::of(ns::XMPP_STANZAS, why))).await?,
                }
                continue;
            }
            let bind = payload(&element).filter(|p| p.is("bind", ns::BIND));
            let (true, Some(bind), Some(id)) = (element.is("iq", ns::CLIENT), bind, element.attr("id")) else {
                return Err(StreamError::new("not-authorized", "bind a resource first").into());
            };
            match resource(child_text(bind, "resource", ns::BIND)) {
                Ok(resource) => return Ok(Begun::Bind { resource, asked: Asked::ByIq(id.to_owned()) }),
                Err(error) => {
                    let iq = Iq { id, set: true, to: None, payload: bind };
                    self.send(iq.error(&error)).await?;
                }
            }
        }
    }

    /// Says why, and ends the stream.
    async fn end(&mut self, error: &StreamError) {
        if !self.opened {
            let _ = self.transport.send_text(self.header()).await;
        }
        end(&mut self.transport, Some(error)).await;
    }
}

/// Ends a stream, with the reason if there is one.
pub(crate) async fn end(transport: &mut Transport, error: Option<&StreamError>) {
    let websocket = transport.is_websocket();
    let mut last = String::new();
    if let Some(error) = error {
        let mut element = error.element();
        if websocket {
            element = element.attr("xmlns:stream", ns::XMPP_STREAM);
        }
        let text = element.to_string();
        if websocket {
            let _ = transport.send_text(text).await;
        } else {
            last.push_str(&text);
        }
    }
    last.push_str(&if websocket { El::of(ns::FRAMING, "close").to_string() } else { "</stream:stream>".to_owned() });
    let _ = transport.send_text(last).await;
    transport.close().await;
}

fn features() -> El {
    El::new("stream:features").attr("xmlns:stream", ns::XMPP_STREAM)
}

/// What somebody can do who has signed in and has no session yet.
fn features_before(bytes: usize) -> El {
    let optional = El::of(ns::IQ_SESSION, "session").child(El::new("optional"));
    let session = features().child(El::of(ns::BIND, "bind")).child(optional).child(El::of(ns::SM_3, "sm"));
    always(session, bytes)
}

/// What can be done in a session that has begun. `manageable`: whether stream management can still begin.
pub(crate) fn features_inside(bytes: usize, manageable: bool) -> El {
    let managing = manageable.then(|| El::of(ns::SM_3, "sm"));
    always(features().children(managing), bytes)
}

fn always(features: El, bytes: usize) -> El {
    features.child(El::of(ns::CSI_0, "csi")).child(El::of(ns::ROSTER_VERSIONS, "ver")).child(limits(bytes))
}

/// How large a stanza may be (XEP-0478).
fn limits(bytes: usize) -> El {
    El::of(ns::LIMITS, "limits").field("max-bytes", bytes)
}

fn check(door: &Door, opening: &Opening) -> Result<(), StreamError> {
    let domains = &door.domains;
    match opening.to.as_deref().map(str::to_lowercase) {
        Some(to) if to == domains.people => {}
        Some(to) => {
            let why = format!("`{to}` is not served here; `{}` is", domains.people);
            return Err(StreamError::new("host-unknown", why));
        }
        None => return Err(StreamError::new("host-unknown", format!("say to=`{}`", domains.people))),
    }
    match opening.version.as_deref().and_then(|v| v.split('.').next()).and_then(|major| major.parse::<u32>().ok()) {
        Some(major) if major >= 1 => Ok(()),
        _ => Err(StreamError::new("unsupported-version", "version 1.0 of XMPP is spoken here")),
    }
}

/// The resource that a client wants, or one of our making.
fn resource(wanted: Option<String>) -> Result<String, StanzaError> {
    let Some(wanted) = wanted.filter(|w| !w.is_empty()) else { return Ok(Uuid::new_v4().simple().to_string()) };
    if wanted.len() > RESOURCE_BYTES {
        return Err(StanzaError::bad(format!("a resource has at most {RESOURCE_BYTES} bytes")));
    }
    match ResourcePart::new(&wanted) {
        Ok(resource) => Ok(resource.into_owned().to_string()),
        Err(error) => Err(StanzaError::bad(format!("the resource: {error}"))),
    }
}
