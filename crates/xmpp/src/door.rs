//! The door: what all connections share, where they come in, and how many may.

use crate::addresses::Domains;
use crate::elsewhere::courier;
use crate::elsewhere::post::Post;
use crate::figures::Counters;
use crate::files::Files;
use crate::muc::occupants::Occupants;
use crate::options::XmppOptions;
use crate::resources::Resources;
use crate::session;
use crate::session::resumption::Parked;
use crate::stream::error::StreamError;
use crate::stream::negotiation::{self, Negotiated};
use crate::stream::transport::Transport;
use crate::tls::{self, Tls, TlsError};
use holdfast_chat::categories::NewCategory;
use holdfast_chat::{Caller, Chat, Mode};
use holdfast_domain::{CategoryId, PrincipalId};
use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Why the door cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A setting is not acceptable.
    #[error("{0}")]
    Setting(String),
    /// There is no TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// The XMPP door of a server. Cheap to clone; all clones are the same door.
#[derive(Clone)]
pub struct Door(Arc<Inner>);

#[doc(hidden)]
pub struct Inner {
    pub(crate) chat: Chat,
    pub(crate) options: XmppOptions,
    pub(crate) domains: Domains,
    pub(crate) resources: Resources,
    pub(crate) occupants: Occupants,
    pub(crate) parked: Parked,
    pub(crate) post: Arc<Post>,
    pub(crate) counters: Counters,
    tls: Arc<tls::Current>,
    keys: AtomicU64,
    open: AtomicUsize,
    by_address: Mutex<HashMap<IpAddr, usize>>,
    stopping: CancellationToken,
    tasks: TaskTracker,
}

impl std::ops::Deref for Door {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

/// A place for one connection; dropping it frees it.
pub(crate) struct Place {
    door: Door,
    address: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.door.open.fetch_sub(1, Ordering::Relaxed);
        let mut by_address = self.door.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(n) = by_address.get_mut(&self.address) {
            *n -= 1;
            if *n == 0 {
                by_address.remove(&self.address);
            }
        }
    }
}

impl Door {
    /// Makes the door ready, within a runtime. `stopping` ends it.
    ///
    /// # Errors
    /// When a setting is not acceptable or a certificate cannot be read.
    pub fn open(chat: Chat, options: XmppOptions, stopping: CancellationToken) -> Result<Door, OpenError> {
        let domains =
            options.domains().map_err(|why| OpenError::Setting(format!("xmpp.domain and xmpp.rooms_domain: {why}")))?;
        let tls = if options.certificate.is_empty() {
            tls::self_signed(&[domains.people.clone(), domains.rooms.clone()])?
        } else {
            tls::from_files(Path::new(&options.certificate), Path::new(&options.key), stopping.clone())?
        };
        let post = Arc::new(Post::new(&chat));
        let door = Door(Arc::new(Inner {
            chat,
            options,
            domains,
            resources: Resources::default(),
            occupants: Occupants::new(Arc::clone(&post)),
            parked: Parked::default(),
            post,
            tls,
            counters: Counters::default(),
            keys: AtomicU64::new(1),
            open: AtomicUsize::new(0),
            by_address: Mutex::default(),
            stopping,
            tasks: TaskTracker::new(),
        }));
        courier::begin(&door);
        Ok(door)
    }

    /// Makes the category of rooms that are made by entering them, if there is none. `anybody`: whether everybody may make rooms there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn make_category(&self, anybody: bool) -> holdfast_chat::Result<()> {
        if self.category().is_some() {
            return Ok(());
        }
        let everyone = vec![PrincipalId::EVERYONE];
        let new = NewCategory {
            name: self.options.category.clone(),
            description: "Rooms that are made by entering them over XMPP".into(),
            allowed: everyone.clone(),
            denied: Vec::new(),
            creators: if anybody { everyone } else { Vec::new() },
            invitations: true,
            file_upload: true,
            history: true,
        };
        match self.chat.add_category(&Caller::operator(), new, Mode::Do).await {
            // Another server of the pool was quicker.
            Err(holdfast_chat::ChatError::Conflict(_)) if self.category().is_some() => Ok(()),
            made => made.map(|_| ()),
        }
    }

    /// The category of rooms that are made by entering them.
    pub(crate) fn category(&self) -> Option<CategoryId> {
        self.chat.directory().category_named(&self.options.category).map(|c| c.id)
    }

    /// The address of the HTTP door for files, if files have addresses here.
    pub(crate) fn files_base(&self) -> Option<&str> {
        let base = self.options.files_url.trim_end_matches('/');
        Some(base).filter(|base| self.options.uploads && !base.is_empty())
    }

    /// Where clients find files.
    pub(crate) fn files(&self) -> Files<'_> {
        Files::new(&self.chat, self.files_base())
    }

    /// A number for a connection.
    pub(crate) fn next_key(&self) -> u64 {
        self.keys.fetch_add(1, Ordering::Relaxed)
    }

    /// What accepts TLS.
    pub(crate) fn tls(&self) -> Arc<Tls> {
        self.tls.now()
    }

    /// How many connections there are, those that have not signed in included.
    pub(crate) fn connections(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Takes connections until the server stops. `direct`: TLS from the first byte.
    ///
    /// # Errors
    /// When the listener is of no use any more.
    pub async fn serve(self, listener: TcpListener, direct: bool) -> io::Result<()> {
        while let Some(accepted) = self.stopping.run_until_cancelled(listener.accept()).await {
            let (stream, peer) = match accepted {
                Ok(connection) => connection,
                Err(error) => {
                    // Out of file handles, most likely: those who have one finish first.
                    tracing::warn!(%error, "cannot take an XMPP connection; trying again in a moment");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let address = peer.ip().to_canonical();
            // Whoever is one too many is let go at once: that costs the least.
            let Some(place) = self.place(address) else { continue };
            let _ = stream.set_nodelay(true);
            let door = self.clone();
            self.tasks.spawn(async move {
                let transport = if direct {
                    let patience = Duration::from_secs(door.options.sign_in_seconds);
                    let tls = door.tls();
                    let handshake = Box::pin(tls.acceptor.accept(stream));
                    match tokio::time::timeout(patience, handshake).await {
                        Ok(Ok(stream)) => Transport::tls(stream, &tls),
                        _ => return,
                    }
                } else {
                    Transport::tcp(stream)
                };
                door.welcome(transport, place).await;
            });
        }
        drop(listener);
        self.chat.say_goodbye();
        self.tasks.close();
        // Each tells its client that the server stops; none waits for its client.
        let _ = tokio::time::timeout(Duration::from_secs(10), self.tasks.wait()).await;
        Ok(())
    }

    /// Runs something that the stopping server waits for.
    pub(crate) fn track<F: Future<Output = ()> + Send + 'static>(&self, work: F) -> tokio::task::JoinHandle<()> {
        self.tasks.spawn(work)
    }

    /// A place for a connection from `address`, if there is one.
    pub(crate) fn place(&self, address: IpAddr) -> Option<Place> {
        let mut by_address = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let own = by_address.entry(address).or_default();
        if *own >= self.options.connections_per_address || self.open.load(Ordering::Relaxed) >= self.options.connections
        {
            if *own == 0 {
                by_address.remove(&address);
            }
            return None;
        }
        *own += 1;
        self.open.fetch_add(1, Ordering::Relaxed);
        Some(Place { door: self.clone(), address })
    }

    /// Has a client sign in and serves it until it goes.
    pub(crate) async fn welcome(&self, transport: Transport, place: Place) {
        let patience = Duration::from_secs(self.options.sign_in_seconds);
        let address = place.address.to_string();
        // What signing in needs is large and soon of no use: it is not kept with the connection.
        let negotiating = Box::pin(negotiation::negotiate(self, transport, &address));
        match tokio::time::timeout(patience, negotiating).await {
            Ok(Some(Negotiated::Bound(bound))) => session::run(self.clone(), bound, place).await,
            Ok(Some(Negotiated::Resumed) | None) => {}
            Err(_) => tracing::debug!(address, "somebody connected and did not sign in in time"),
        }
    }

    /// Cancelled when the server stops.
    pub(crate) fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }

    /// Why nobody can be taken here now, if that is so: another server of the pool takes them.
    pub(crate) fn turned_away(&self, caller: Option<&Caller>) -> Option<StreamError> {
        if self.stopping.is_cancelled() {
            return Some(StreamError::new("system-shutdown", "the server is stopping"));
        }
        match self.chat.admit(caller) {
            Ok(()) => None,
            Err(holdfast_chat::ChatError::Elsewhere { servers }) => Some(self.elsewhere(&servers)),
            Err(error) => Some(StreamError::new("resource-constraint", error.to_string())),
        }
    }

    /// Sends a client to the first of the servers. They are known by their web addresses, and listen for XMPP at the port that this one does.
    pub(crate) fn elsewhere(&self, servers: &[String]) -> StreamError {
        let port = self.options.listen.rsplit_once(':').map_or("5222", |(_, port)| port);
        let host = servers.first().and_then(|server| {
            let rest = server.split_once("://").map_or(server.as_str(), |(_, rest)| rest);
            let authority = rest.split('/').next()?;
            // Without the web's port; an IPv6 address keeps its brackets.
            let host = match authority.rsplit_once(':') {
                Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
                _ => authority,
            };
            (!host.is_empty()).then(|| format!("{host}:{port}"))
        });
        match host {
            Some(host) => StreamError::see_other_host(host),
            None => StreamError::new("resource-constraint", "no server of the pool takes clients now; try again soon"),
        }
    }
}
