//! Places for connections: so many in all, so many from one address. A connection holds its place for as long as its socket is
//! open, also after it has become a WebSocket.

use super::Stream;
use crate::options::HttpOptions;
use crate::peer::Peer;
use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv6Addr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// All places of a listener.
pub(super) struct Places {
    free: Arc<Semaphore>,
    all: u32,
    from_one: usize,
    proxies: Vec<IpAddr>,
    by_address: Mutex<HashMap<IpAddr, usize>>,
}

/// A place that is kept for whoever comes next.
pub(super) struct Place {
    places: Arc<Places>,
    _permit: OwnedSemaphorePermit,
}

/// A socket with its place.
pub(super) struct Held {
    stream: Box<dyn Stream>,
    address: Option<IpAddr>,
    place: Place,
}

impl Places {
    pub(super) fn new(options: &HttpOptions) -> Arc<Places> {
        let all = u32::try_from(options.limits.connections.clamp(1, 1_000_000)).unwrap_or(1_000_000);
        Arc::new(Places {
            free: Arc::new(Semaphore::new(all as usize)),
            all,
            from_one: options.limits.connections_per_address,
            proxies: options.trusted_proxies.clone(),
            by_address: Mutex::new(HashMap::new()),
        })
    }

    /// Waits for a free place.
    pub(super) async fn wait(self: &Arc<Self>) -> Place {
        loop {
            // Nobody closes the semaphore, so this is the way it always goes.
            if let Ok(permit) = Arc::clone(&self.free).acquire_owned().await {
                return Place { places: Arc::clone(self), _permit: permit };
            }
        }
    }

    /// Waits until every place is free.
    pub(super) async fn all_free(&self) {
        let _ = self.free.acquire_many(self.all).await;
    }

    /// How many are taken.
    pub(super) fn taken(&self) -> usize {
        (self.all as usize).saturating_sub(self.free.available_permits())
    }
}

impl Place {
    /// Gives the place to a connection; `None`, and the connection is closed, if its address has too many.
    pub(super) fn hold(self, stream: Box<dyn Stream>, peer: Peer) -> Option<Held> {
        let address = match peer {
            Peer::Net(address) if !self.places.proxies.contains(&address) => Some(network(address)),
            _ => None,
        };
        if let Some(address) = address {
            let mut by_address = self.places.by_address.lock().unwrap_or_else(PoisonError::into_inner);
            let open = by_address.entry(address).or_insert(0);
            if *open >= self.places.from_one {
                tracing::debug!(%address, "too many connections from one address");
                return None;
            }
            *open += 1;
        }
        Some(Held { stream, address, place: self })
    }
}

/// Who has one IPv6 address commonly has all of its /64.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(address) = self.address else { return };
        let mut by_address = self.place.places.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = by_address.get_mut(&address) {
            *open -= 1;
            if *open == 0 {
                by_address.remove(&address);
            }
        }
    }
}

impl AsyncRead for Held {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Held {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
