//! A connection's bytes, whichever way they travel: TCP, TLS over TCP, or a WebSocket's messages.

use super::decoder::{Bounds, Decoder, Framing, Unit};
use super::error::StreamError;
use crate::tls::Tls;
use axum::extract::ws::{Message, WebSocket};
use bytes::{Buf as _, Bytes, BytesMut};
use futures_util::SinkExt as _;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead as _, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// Bytes read at a time.
const READ: usize = 4 * 1024;
/// How long a peer may take none of what is written for it.
const WRITE_PATIENCE: Duration = Duration::from_secs(30);

/// The way the bytes travel.
enum Pipe {
    Tcp(TcpStream),
    Tls(Box<Secured>),
    WebSocket(Box<WebSocket>),
    /// Between two ways.
    Gone,
}

/// A connection over TLS.
struct Secured {
    stream: TlsStream<TcpStream>,
    /// What it can be bound by, by its certificate.
    end_point: Option<Vec<u8>>,
}

impl Secured {
    fn new(stream: TlsStream<TcpStream>, tls: &Tls) -> Box<Secured> {
        Box::new(Secured { stream, end_point: tls.end_point.clone() })
    }
}

/// Something to be sent.
#[derive(Clone, Debug)]
pub(crate) enum Out {
    /// A stanza without the receiver's address, which may be shared with others.
    Stanza(Bytes),
    /// Another element, whole.
    Element(Bytes),
}

/// One client's connection.
pub(crate) struct Transport {
    pipe: Pipe,
    /// Large, and a connection goes through many hands.
    decoder: Box<Decoder>,
    /// What has come and not been read. Holds no memory while the client is silent.
    came: BytesMut,
}

/// What can be bound to a sign-in so that nobody stands between (RFC 5929, RFC 9266).
#[derive(Clone, Debug, Default)]
pub(crate) struct Bindings {
    /// `tls-exporter`; TLS 1.3 alone.
    pub(crate) exporter: Option<Vec<u8>>,
    /// `tls-server-end-point`.
    pub(crate) end_point: Option<Vec<u8>>,
}

/// A way to bind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binding {
    /// By what the two ends of the connection alone can derive (RFC 9266).
    Exporter,
    /// By the server's certificate (RFC 5929 section 4): for clients that have nothing better, and on TLS 1.2.
    EndPoint,
}

impl Binding {
    /// The best first.
    const ALL: [Binding; 2] = [Binding::Exporter, Binding::EndPoint];

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Binding::Exporter => "tls-exporter",
            Binding::EndPoint => "tls-server-end-point",
        }
    }
}

impl Bindings {
    /// What a connection is bound by in this way, if it can be.
    pub(crate) fn of(&self, binding: Binding) -> Option<&[u8]> {
        match binding {
            Binding::Exporter => self.exporter.as_deref(),
            Binding::EndPoint => self.end_point.as_deref(),
        }
    }

    /// The ways in which it can be bound, the best first.
    pub(crate) fn offered(&self) -> impl Iterator<Item = Binding> {
        Binding::ALL.into_iter().filter(|binding| self.of(*binding).is_some())
    }

    /// Whether it can be bound at all.
    pub(crate) fn any(&self) -> bool {
        self.offered().next().is_some()
    }
}

impl Transport {
    /// A connection over plain TCP.
    pub(crate) fn tcp(stream: TcpStream) -> Self {
        Self::new(Pipe::Tcp(stream), Framing::Stream)
    }

    /// A connection over TLS from its first byte (XEP-0368).
    pub(crate) fn tls(stream: TlsStream<TcpStream>, tls: &Tls) -> Self {
        Self::new(Pipe::Tls(Secured::new(stream, tls)), Framing::Stream)
    }

    /// A WebSocket (RFC 7395).
    pub(crate) fn websocket(socket: WebSocket) -> Self {
        Self::new(Pipe::WebSocket(Box::new(socket)), Framing::Documents)
    }

    fn new(pipe: Pipe, framing: Framing) -> Self {
        Self { pipe, decoder: Box::new(Decoder::new(framing, Bounds::STRANGER)), came: BytesMut::new() }
    }

    /// Whether it is a WebSocket.
    pub(crate) fn is_websocket(&self) -> bool {
        matches!(self.pipe, Pipe::WebSocket(_))
    }

    /// Whether nobody on the way can read it, as far as this process sees.
    pub(crate) fn is_encrypted(&self) -> bool {
        matches!(self.pipe, Pipe::Tls(_))
    }

    /// What a sign-in can be bound to.
    pub(crate) fn bindings(&self) -> Bindings {
        let Pipe::Tls(secured) = &self.pipe else { return Bindings::default() };
        let connection = secured.stream.get_ref().1;
        // On TLS 1.2 it would be sound only with the extended master secret (RFC 9266 section 4.2).
        let sound = connection.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3);
        let export = || connection.export_keying_material(vec![0; 32], b"EXPORTER-Channel-Binding", Some(b"")).ok();
        Bindings { exporter: if sound { export() } else { None }, end_point: secured.end_point.clone() }
    }

    /// Takes the connection to TLS (RFC 6120 section 5). What came before it is forgotten: it could have come from anybody.
    ///
    /// # Errors
    /// When the client breaks off.
    pub(crate) async fn start_tls(&mut self, tls: &Tls) -> io::Result<()> {
        let Pipe::Tcp(stream) = std::mem::replace(&mut self.pipe, Pipe::Gone) else {
            return Err(io::Error::other("TLS begins on plain TCP"));
        };
        self.came.clear();
        // A handshake's state is large and soon of no use: it is kept apart.
        let stream = Box::pin(tls.acceptor.accept(stream)).await?;
        self.pipe = Pipe::Tls(Secured::new(stream, tls));
        self.decoder.restart();
        Ok(())
    }

    /// Begins to read a stream anew, as after signing in.
    pub(crate) fn restart(&mut self) {
        self.decoder.restart();
    }

    /// What the client may send from now on.
    pub(crate) fn set_bounds(&mut self, bounds: Bounds) {
        self.decoder.set_bounds(bounds);
    }

    /// Waits for the next unit; `None` when the connection has ended. Nothing is lost when the wait is given up.
    ///
    /// # Errors
    /// What the client did wrong.
    pub(crate) async fn next(&mut self) -> Result<Option<Unit>, StreamError> {
        loop {
            let mut rest = &self.came[..];
            let unit = self.decoder.next(&mut rest);
            let taken = self.came.len() - rest.len();
            self.came.advance(taken);
            if self.came.is_empty() {
                // An idle client costs no buffer.
                self.came = BytesMut::new();
            }
            if let Some(unit) = unit? {
                return Ok(Some(unit));
            }
            match self.read().await {
                Ok(true) => {}
                // A connection that breaks has ended; what it meant is what it said until then.
                Ok(false) | Err(_) => return Ok(None),
            }
        }
    }

    /// Reads more; whether there was any.
    async fn read(&mut self) -> io::Result<bool> {
        match &mut self.pipe {
            Pipe::Tcp(stream) => {
                // Memory is taken only when there is something to put into it.
                stream.readable().await?;
                self.came.reserve(READ);
                match stream.try_read_buf(&mut self.came) {
                    Ok(n) => Ok(n > 0),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
                    Err(error) => Err(error),
                }
            }
            Pipe::Tls(secured) => {
                let came = &mut self.came;
                // The room to read into is taken for no longer than reading takes: it is not for an idle client to keep.
                poll_fn(|context| {
                    let mut some = [0; READ];
                    let mut read = ReadBuf::new(&mut some);
                    ready!(Pin::new(&mut secured.stream).poll_read(context, &mut read))?;
                    came.extend_from_slice(read.filled());
                    Poll::Ready(Ok(!read.filled().is_empty()))
                })
                .await
            }
            Pipe::WebSocket(socket) => match socket.recv().await {
                Some(Ok(Message::Text(text))) => {
                    self.came.extend_from_slice(text.as_bytes());
                    Ok(true)
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(true),
                Some(Ok(Message::Binary(_) | Message::Close(_)) | Err(_)) | None => Ok(false),
            },
            Pipe::Gone => Ok(false),
        }
    }

    /// Sends all of it, in as few writes as can be.
    ///
    /// # Errors
    /// When the client is gone, or takes nothing for too long.
    pub(crate) async fn send(&mut self, to: &str, what: &[Out]) -> io::Result<()> {
        if what.is_empty() {
            return Ok(());
        }
        let websocket = self.is_websocket();
        if websocket {
            for out in what {
                let mut bytes = Vec::with_capacity(out.len() + to.len() + 40);
                out.write(to, true, &mut bytes);
                self.send_document(bytes).await?;
            }
            return self.flush().await;
        }
        let size = what.iter().map(|out| out.len() + to.len() + 8).sum();
        let mut bytes = Vec::with_capacity(size);
        for out in what {
            out.write(to, false, &mut bytes);
        }
        self.send_bytes(&bytes).await
    }

    /// Sends bytes as they are: a stream's own beginning and end.
    ///
    /// # Errors
    /// As [`Transport::send`].
    pub(crate) async fn send_text(&mut self, text: String) -> io::Result<()> {
        if self.is_websocket() {
            self.send_document(text.into_bytes()).await?;
            return self.flush().await;
        }
        self.send_bytes(text.as_bytes()).await
    }

    async fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = async {
            match &mut self.pipe {
                Pipe::Tcp(stream) => stream.write_all(bytes).await,
                Pipe::Tls(secured) => {
                    secured.stream.write_all(bytes).await?;
                    secured.stream.flush().await
                }
                Pipe::WebSocket(_) | Pipe::Gone => Err(io::ErrorKind::NotConnected.into()),
            }
        };
        patiently(written).await
    }

    async fn send_document(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        let Pipe::WebSocket(socket) = &mut self.pipe else { return Err(io::ErrorKind::NotConnected.into()) };
        let text = String::from_utf8(bytes).map_err(io::Error::other)?;
        patiently(async { socket.feed(Message::Text(text.into())).await.map_err(io::Error::other) }).await
    }

    async fn flush(&mut self) -> io::Result<()> {
        let Pipe::WebSocket(socket) = &mut self.pipe else { return Ok(()) };
        patiently(async { socket.flush().await.map_err(io::Error::other) }).await
    }

    /// Ends the connection.
    pub(crate) async fn close(&mut self) {
        let closing = async {
            match &mut self.pipe {
                Pipe::Tcp(stream) => stream.shutdown().await,
                Pipe::Tls(secured) => secured.stream.shutdown().await,
                Pipe::WebSocket(socket) => socket.send(Message::Close(None)).await.map_err(io::Error::other),
                Pipe::Gone => Ok(()),
            }
        };
        // Whoever does not take the end is gone anyway.
        let _ = tokio::time::timeout(Duration::from_secs(2), closing).await;
        self.pipe = Pipe::Gone;
    }
}

async fn patiently(work: impl Future<Output = io::Result<()>>) -> io::Result<()> {
    match tokio::time::timeout(WRITE_PATIENCE, work).await {
        Ok(done) => done,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

impl Out {
    /// A stanza.
    pub(crate) fn stanza(stanza: impl Into<Bytes>) -> Out {
        Out::Stanza(stanza.into())
    }

    /// Another element.
    pub(crate) fn element(element: impl Into<Bytes>) -> Out {
        Out::Element(element.into())
    }

    fn len(&self) -> usize {
        match self {
            Out::Stanza(bytes) | Out::Element(bytes) => bytes.len(),
        }
    }

    /// Writes it for `to`. A stanza that names its receiver already keeps him; in a document of its own it names its namespace too.
    fn write(&self, to: &str, alone: bool, out: &mut Vec<u8>) {
        let Out::Stanza(bytes) = self else {
            return out.extend_from_slice(match self {
                Out::Stanza(bytes) | Out::Element(bytes) => bytes,
            });
        };
        let name = match bytes.get(1) {
            Some(b'm') => "<message".len(),
            Some(b'p') => "<presence".len(),
            _ => "<iq".len(),
        };
        let (begin, rest) = bytes.split_at(name.min(bytes.len()));
        out.extend_from_slice(begin);
        if alone {
            out.extend_from_slice(b" xmlns='jabber:client'");
        }
        if !rest.starts_with(b" to='") {
            out.extend_from_slice(b" to='");
            // A full address: its last part may hold anything.
            for byte in to.bytes() {
                match byte {
                    b'\'' => out.extend_from_slice(b"&apos;"),
                    b'<' => out.extend_from_slice(b"&lt;"),
                    b'&' => out.extend_from_slice(b"&amp;"),
                    byte => out.push(byte),
                }
            }
            out.push(b'\'');
        }
        out.extend_from_slice(rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_stanza_is_addressed_to_each() {
        let written = |stanza: &'static str, alone: bool| {
            let mut out = Vec::new();
            Out::stanza(stanza).write("a@b/c'd", alone, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(written("<message from='r'/>", false), "<message to='a@b/c&apos;d' from='r'/>");
        assert_eq!(written("<iq/>", true), "<iq xmlns='jabber:client' to='a@b/c&apos;d'/>");
        assert_eq!(written("<presence to='x@y'/>", false), "<presence to='x@y'/>");
    }
}
