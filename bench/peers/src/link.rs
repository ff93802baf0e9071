//! A connection to an XMPP server: signs in, joins rooms, asks. Written for how little it costs, and for any server that keeps to RFC 6120 and XEP-0045.

use crate::sasl::{Hash, Scram, Way, plain};
use crate::scan::{Splitter, attribute, has, refuse_end, text};
use crate::secure;
use anyhow::{Context as _, Result, bail, ensure};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

/// Longer than any answer of a server that still works, even one in which thousands join.
const PATIENCE: Duration = Duration::from_secs(120);

/// Numbers nonces and resources of this process.
static TURN: AtomicU64 = AtomicU64::new(0);

/// Where to sign in, and as whom.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) address: SocketAddr,
    pub(crate) domain: String,
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) way: Way,
    /// Over TLS.
    pub(crate) secure: bool,
}

/// The half of a connection that reads, whatever the bytes travel by.
type From = Box<dyn AsyncRead + Send + Sync + Unpin>;
/// The half that writes.
type To = Box<dyn AsyncWrite + Send + Sync + Unpin>;

/// The half that sends; several may have it.
#[derive(Clone)]
pub(crate) struct Writer(Arc<Mutex<To>>);

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Writer")
    }
}

impl Writer {
    pub(crate) async fn send(&self, text: &str) -> Result<()> {
        let mut to = self.0.lock().await;
        to.write_all(text.as_bytes()).await?;
        Ok(to.flush().await?)
    }
}

/// A session.
pub(crate) struct Link {
    from: From,
    splitter: Splitter,
    pub(crate) writer: Writer,
    /// Bytes that came so far.
    pub(crate) bytes: u64,
    asked: u64,
}

/// What entering a room took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entered {
    pub(crate) took: Duration,
    pub(crate) bytes: u64,
}

impl Link {
    /// Connects, signs in, takes a name for this session and says that it is there.
    pub(crate) async fn open(account: &Account) -> Result<Self> {
        let opening = async {
            let mut link = Self::connect(account).await?;
            let offered = link.head(&account.domain).await?;
            link.sign_in(account, &offered).await?;
            link.head(&account.domain).await?;
            let resource = TURN.fetch_add(1, Ordering::Relaxed);
            let bind =
                format!("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>r{resource}</resource></bind>");
            link.ask("", "set", &bind, |_| {}).await?;
            link.writer.send("<presence/>").await?;
            anyhow::Ok(link)
        };
        let opened = tokio::time::timeout(PATIENCE, opening).await.context("no answer in two minutes")?;
        opened.with_context(|| format!("signing {} in", account.user))
    }

    /// Whether a server answers there.
    pub(crate) async fn reach(address: SocketAddr, domain: &str) -> Result<()> {
        let reaching = async { Self::plain(connect(address).await?).head(domain).await };
        tokio::time::timeout(Duration::from_secs(5), reaching).await??;
        Ok(())
    }

    async fn connect(account: &Account) -> Result<Self> {
        let stream = connect(account.address).await?;
        if !account.secure {
            return Ok(Self::plain(stream));
        }
        let (from, to) = tokio::io::split(secure::start(stream, &head(&account.domain), &account.domain).await?);
        Ok(Self::over(Box::new(from), Box::new(to)))
    }

    fn plain(stream: TcpStream) -> Self {
        let (from, to) = stream.into_split();
        Self::over(Box::new(from), Box::new(to))
    }

    fn over(from: From, to: To) -> Self {
        Self { from, splitter: Splitter::default(), writer: Writer(Arc::new(Mutex::new(to))), bytes: 0, asked: 0 }
    }

    /// Begins a stream and answers the features that are offered.
    async fn head(&mut self, domain: &str) -> Result<Vec<u8>> {
        self.writer.send(&head(domain)).await?;
        loop {
            let stanza = self.next().await?;
            refuse_end(stanza)?;
            if stanza.starts_with(b"<stream:features") {
                return Ok(stanza.to_vec());
            }
        }
    }

    async fn sign_in(&mut self, account: &Account, offered: &[u8]) -> Result<()> {
        let offers = |name: &str| has(offered, &format!(">{name}<"));
        let (mut scram, mechanism, first) = match account.way {
            Way::Plain => (None, "PLAIN", plain(&account.user, &account.password)),
            Way::Scram => {
                let hash = if offers(Hash::Sha256.mechanism()) { Hash::Sha256 } else { Hash::Sha1 };
                let nonce = format!("hf{}x{}", std::process::id(), TURN.fetch_add(1, Ordering::Relaxed));
                let scram = Scram::new(hash, &account.user, &nonce);
                let first = scram.first();
                (Some(scram), hash.mechanism(), first)
            }
        };
        ensure!(offers(mechanism), "{mechanism} is not offered: {}", String::from_utf8_lossy(offered));
        let auth = format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='{mechanism}'>{first}</auth>");
        self.writer.send(&auth).await?;
        loop {
            let stanza = self.next().await?;
            refuse_end(stanza)?;
            if stanza.starts_with(b"<success") {
                if let Some(scram) = scram {
                    scram.check(text(stanza, "success").context("success without proof")?)?;
                }
                return Ok(());
            }
            let challenge = stanza.starts_with(b"<challenge").then(|| text(stanza, "challenge")).flatten();
            let (Some(challenge), Some(scram)) = (challenge, scram.as_mut()) else {
                bail!("refused: {}", String::from_utf8_lossy(stanza));
            };
            let answer = scram.answer(challenge, &account.password)?;
            let response = format!("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{answer}</response>");
            self.writer.send(&response).await?;
        }
    }

    /// The next stanza. Pings are answered on the way.
    pub(crate) async fn next(&mut self) -> Result<&[u8]> {
        let range = loop {
            let Some(range) = self.splitter.cut() else {
                let read = self.splitter.fill(&mut self.from).await?;
                ensure!(read > 0, "the server closed the connection");
                self.bytes += read as u64;
                continue;
            };
            let stanza = self.splitter.bytes(range.clone());
            if let Some(pong) = pong(stanza) {
                self.writer.send(&pong).await?;
                continue;
            }
            break range;
        };
        Ok(self.splitter.bytes(range))
    }

    /// Enters a room without history, as a client does that reads the archive. One that is made by it gets the server's usual settings.
    pub(crate) async fn enter(&mut self, room: &str, nick: &str) -> Result<Entered> {
        let entering = async {
            let (begun, before) = (Instant::now(), self.bytes);
            let presence = format!(
                "<presence to='{room}/{nick}'><x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='0'/></x></presence>"
            );
            self.writer.send(&presence).await?;
            let new = loop {
                let stanza = self.next().await?;
                refuse_end(stanza)?;
                if !stanza.starts_with(b"<presence") || !is_from_room(stanza, room) {
                    continue;
                }
                if attribute(stanza, "presence", "type") == Some("error") {
                    bail!("refused: {}", String::from_utf8_lossy(stanza));
                }
                if has_status(stanza, "110") {
                    break has_status(stanza, "201");
                }
            };
            let entered = Entered { took: begun.elapsed(), bytes: self.bytes - before };
            if new {
                let usual = "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'/></query>";
                // Refused where somebody else made it in the same moment.
                let _ = self.ask(room, "set", usual, |_| {}).await;
            }
            anyhow::Ok(entered)
        };
        let entered = tokio::time::timeout(PATIENCE, entering).await.context("no answer in two minutes")?;
        entered.with_context(|| format!("entering {room}"))
    }

    /// Asks `to` and waits for the answer, which is given back; what else comes meanwhile is shown to `other`.
    pub(crate) async fn ask(
        &mut self,
        to: &str,
        kind: &str,
        what: &str,
        mut other: impl FnMut(&[u8]),
    ) -> Result<Vec<u8>> {
        self.asked += 1;
        let id = format!("ask{}", self.asked);
        let to = if to.is_empty() { String::new() } else { format!(" to='{to}'") };
        self.writer.send(&format!("<iq type='{kind}' id='{id}'{to}>{what}</iq>")).await?;
        let answering = async {
            loop {
                let stanza = self.next().await?;
                refuse_end(stanza)?;
                if stanza.starts_with(b"<iq") && attribute(stanza, "iq", "id") == Some(&id) {
                    if attribute(stanza, "iq", "type") == Some("error") {
                        bail!("refused: {}", String::from_utf8_lossy(stanza));
                    }
                    return Ok(stanza.to_vec());
                }
                other(stanza);
            }
        };
        tokio::time::timeout(PATIENCE, answering).await.context("no answer in two minutes")?
    }

    /// Ends the session in order.
    pub(crate) async fn close(mut self) {
        if self.writer.send("</stream:stream>").await.is_ok() {
            let ending = async { while self.next().await.is_ok_and(|stanza| refuse_end(stanza).is_ok()) {} };
            let _ = tokio::time::timeout(Duration::from_secs(5), ending).await;
        }
    }
}

async fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// With what a stream begins.
fn head(domain: &str) -> String {
    format!(
        "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='{domain}' version='1.0'>"
    )
}

fn is_from_room(stanza: &[u8], room: &str) -> bool {
    attribute(stanza, "presence", "from")
        .is_some_and(|from| from.strip_prefix(room).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

fn has_status(stanza: &[u8], code: &str) -> bool {
    has(stanza, &format!("code='{code}'")) || has(stanza, &format!("code=\"{code}\""))
}

/// The answer to a ping.
fn pong(stanza: &[u8]) -> Option<String> {
    let ping = stanza.starts_with(b"<iq") && has(stanza, "urn:xmpp:ping");
    if !ping || attribute(stanza, "iq", "type") != Some("get") {
        return None;
    }
    let id = attribute(stanza, "iq", "id")?;
    let to = attribute(stanza, "iq", "from").map(|from| format!(" to='{from}'")).unwrap_or_default();
    Some(format!("<iq type='result' id='{id}'{to}/>"))
}
