//! A connection between two processes of the pool: TLS 1.3, in which each has shown the other who it is.

use crate::error::{PkiError, Result};
use crate::identity::{Identity, client_config, server_config};
use crate::peer::Peer;
use crate::{refusal, verify};
use rustls_pki_types::ServerName;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// For how long the other side is waited for until both know each other.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// For how long one who was refused may take to hear why.
const FAREWELL: Duration = Duration::from_secs(1);

/// A connection to somebody of the pool.
#[derive(Debug)]
pub struct TlsStream {
    stream: tokio_rustls::TlsStream<TcpStream>,
    peer: Peer,
}

impl TlsStream {
    /// Who is at the other end.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The connection below, for its addresses and options.
    pub fn tcp(&self) -> &TcpStream {
        self.stream.get_ref().0
    }
}

/// Takes connections from processes and operators of the pool.
#[derive(Clone, Debug)]
pub struct Acceptor(Identity);

impl Acceptor {
    /// One that shows itself as `identity`.
    pub fn new(identity: Identity) -> Acceptor {
        Acceptor(identity)
    }

    /// Learns who has connected. To be run in a task of its own, since the other side may take its time.
    ///
    /// # Errors
    /// [`PkiError::Refused`], with what is to be logged.
    pub async fn accept(&self, tcp: TcpStream) -> Result<(TlsStream, Peer)> {
        let who = tcp.peer_addr().map_or_else(|_| "somebody".to_owned(), |a| a.to_string());
        let refused = |why| PkiError::Refused { who: who.clone(), why };
        // Answers are short, and waited for.
        let _ = tcp.set_nodelay(true);
        let handshake = TlsAcceptor::from(server_config(&self.0)).accept(tcp).into_fallible();
        let stream = match tokio::time::timeout(PATIENCE, handshake).await {
            Ok(Ok(stream)) => stream,
            Ok(Err((error, tcp))) => {
                say_farewell(tcp).await;
                return Err(refused(refusal::why(&error, self.0.dir())));
            }
            Err(_) => return Err(refused(refusal::why(&io::ErrorKind::TimedOut.into(), self.0.dir()))),
        };
        let peer = who_is(stream.get_ref().1.peer_certificates()).map_err(refused)?;
        Ok((TlsStream { stream: stream.into(), peer: peer.clone() }, peer))
    }
}

/// Connects to the process called `expected_name`, which listens at an address; returns when it has taken our certificate.
///
/// # Errors
/// [`PkiError::Unreachable`] if nobody answers there; [`PkiError::Refused`] if it is not who was expected, or does not want us.
pub async fn connect(address: &str, port: u16, expected_name: &str, identity: &Identity) -> Result<TlsStream> {
    let who = if address == expected_name {
        format!("{address}:{port}")
    } else {
        format!("{expected_name} ({address}:{port})")
    };
    let refused = |why| PkiError::Refused { who: who.clone(), why };
    let unreachable = |source| PkiError::Unreachable { address: who.clone(), source };
    let connecting = tokio::time::timeout(PATIENCE, TcpStream::connect((address, port)));
    let tcp = connecting.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(unreachable)?;
    let _ = tcp.set_nodelay(true);
    let name = ServerName::try_from(expected_name.to_owned())
        .map_err(|_| refused(format!("`{expected_name}` is no name of a host")))?;
    let handshake = async {
        let mut stream = TlsConnector::from(client_config(identity)).connect(name, tcp).await?;
        be_taken(&mut stream).await?;
        io::Result::Ok(stream)
    };
    let stream = match tokio::time::timeout(PATIENCE, handshake).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(refused(refusal::why(&error, identity.dir()))),
        Err(_) => return Err(refused(refusal::why(&io::ErrorKind::TimedOut.into(), identity.dir()))),
    };
    let peer = who_is(stream.get_ref().1.peer_certificates()).map_err(refused)?;
    // Every certificate is for `localhost` as well, and one may be for several hosts; whom we want has one name.
    if peer.name != expected_name {
        return Err(refused(format!("it is {peer}")));
    }
    Ok(TlsStream { stream: stream.into(), peer })
}

/// Why a connection that another library made with [`client_config`] failed, in words.
pub fn why_refused(error: &io::Error, identity: &Identity) -> String {
    refusal::why(error, identity.dir())
}

/// In TLS 1.3 the client is through before the server has looked at its certificate. The server's ticket is the first thing to come when it has.
async fn be_taken(stream: &mut tokio_rustls::client::TlsStream<TcpStream>) -> io::Result<()> {
    let (tcp, tls) = stream.get_mut();
    let mut bytes = [0; 4_096];
    while tls.tls13_tickets_received() == 0 {
        let read = tcp.read(&mut bytes).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut rest = bytes.get(..read).unwrap_or_default();
        while !rest.is_empty() {
            tls.read_tls(&mut rest)?;
            tls.process_new_packets().map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
        }
    }
    Ok(())
}

/// Lets the other side hear why it was refused: closing with something unread would take even that from it.
async fn say_farewell(mut tcp: TcpStream) {
    let hear = async {
        tcp.shutdown().await?;
        let mut bytes = [0; 1_024];
        while tcp.read(&mut bytes).await? > 0 {}
        io::Result::Ok(())
    };
    // Whether it heard is its own affair.
    let _ = tokio::time::timeout(FAREWELL, hear).await;
}

fn who_is(certificates: Option<&[rustls_pki_types::CertificateDer<'_>]>) -> std::result::Result<Peer, String> {
    let certificate = certificates.and_then(|c| c.first()).ok_or("it showed no certificate")?;
    verify::peer_of(certificate).map_err(|why| format!("its certificate {why}"))
}

impl AsyncRead for TlsStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
