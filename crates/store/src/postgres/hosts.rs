//! The hosts of the address, and which of them is the database.
//!
//! That a host takes writes does not make it the right one: an old primary that returns, or is cut off with some of the servers, takes them too.
//! The right one takes writes and is at the highest epoch that this server has heard of ([`super::epochs`]). The others are passed over, and told of.
//!
//! A host that is dead or silent must cost nothing while another is there. So a server watches each by itself ([`super::watch`]), and whoever needs a
//! connection takes it from the one that was found, or waits a moment for one to be. A command, which watches nothing, asks all of them at once.

use super::epochs::Epochs;
use super::error::{away, plain, unavailable};
use super::session::Session;
use crate::{Result, StoreError};
use holdfast_pki::Identity;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Config, Notification, SimpleQueryMessage};

/// For how long a host may take to be reached at all. One whose machine is gone costs this to whoever must hear all.
pub(super) const REACH: Duration = Duration::from_secs(2);
/// For how long one of several may take until it is known what it is.
const PATIENCE: Duration = Duration::from_secs(5);
/// For how long the only one may.
const PATIENCE_WITH_ONE: Duration = Duration::from_secs(10);
/// For how long one that takes writes is waited for where hosts are watched. Whoever wants more asks again.
const MOMENT: Duration = Duration::from_millis(250);

/// All hosts, in the order of the address.
pub(super) struct Hosts {
    all: Vec<Arc<Host>>,
    epochs: Arc<Epochs>,
    /// Which of them was the database last.
    last: AtomicUsize,
    /// Whether one ever was.
    worked: AtomicBool,
    /// Whether each host is watched.
    watched: AtomicBool,
    /// Tells whoever is looking that one was found.
    found: watch::Sender<()>,
    /// Tells whoever watches that one may not be what it was.
    doubted: watch::Sender<()>,
}

/// One of them.
pub(super) struct Host {
    /// Its name and port, as they may be shown.
    pub(super) name: String,
    /// How it alone is reached.
    pub(super) config: Config,
    /// Whom it is shown, and asked to show itself; `None`: without TLS.
    pub(super) identity: Option<Identity>,
    patience: Duration,
    epochs: Arc<Epochs>,
    /// The epoch at which it was when it was asked last.
    epoch: AtomicI64,
    seen: Mutex<Seen>,
    /// Why it did not answer, as it is to be told.
    silence: Mutex<String>,
    found: watch::Sender<()>,
}

/// What a host was when it was asked last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Seen {
    /// It was not asked yet.
    Never,
    /// It did not answer, or let nobody in.
    Gone,
    /// It takes no writes.
    ReadOnly,
    /// It takes writes.
    Writable,
}

/// Why a host is not the database.
#[derive(Debug)]
pub(super) enum Trouble {
    /// No answer in time.
    Silent,
    /// No connection, or none that lasts.
    Refused(tokio_postgres::Error),
    /// It takes no writes.
    ReadOnly,
    /// It takes writes at `there`, and another one has taken its place since, at `highest`.
    Stale { there: i64, highest: i64 },
}

/// Who hears what LISTEN was asked for.
pub(super) type Notified = Option<mpsc::UnboundedSender<Notification>>;

impl Hosts {
    pub(super) fn new(hosts: Vec<(String, Config)>, identity: Option<&Identity>, epochs: Epochs) -> Arc<Hosts> {
        let (epochs, found) = (Arc::new(epochs), watch::Sender::new(()));
        let patience = if hosts.len() == 1 { PATIENCE_WITH_ONE } else { PATIENCE };
        let host = |(name, config)| {
            Arc::new(Host {
                name,
                config,
                identity: identity.cloned(),
                patience,
                epochs: Arc::clone(&epochs),
                epoch: AtomicI64::new(0),
                seen: Mutex::new(Seen::Never),
                silence: Mutex::default(),
                found: found.clone(),
            })
        };
        let all = hosts.into_iter().map(host).collect();
        Arc::new(Hosts {
            all,
            epochs,
            last: AtomicUsize::new(0),
            worked: AtomicBool::new(false),
            watched: AtomicBool::new(false),
            found,
            doubted: watch::Sender::new(()),
        })
    }

    /// All of them.
    pub(super) fn all(&self) -> &[Arc<Host>] {
        &self.all
    }

    /// What was heard of epochs.
    pub(super) fn epochs(&self) -> &Epochs {
        &self.epochs
    }

    /// The one that is the database, as far as is known without asking.
    pub(super) fn current(&self) -> Option<&Arc<Host>> {
        let last = self.all.get(self.last.load(Ordering::Acquire));
        let right = |host: &&Arc<Host>| host.seen() == Seen::Writable && !host.is_stale();
        last.filter(right).or_else(|| self.all.iter().find(right))
    }

    /// Hosts that take writes but must not, with why.
    pub(super) fn stale(&self) -> Vec<String> {
        let stale = self.all.iter().filter(|host| host.seen() == Seen::Writable && host.is_stale());
        let said = |host: &Arc<Host>| {
            let (there, highest) = (host.epoch(), self.epochs.highest());
            format!("{} takes writes at epoch {there}, but epoch {highest} has begun", host.name)
        };
        stale.map(said).collect()
    }

    /// Says that each host is watched from now on, or no longer.
    pub(super) fn set_watched(&self, watched: bool) {
        self.watched.store(watched, Ordering::Release);
    }

    /// Wakes whoever watches when a host may not be what it was.
    pub(super) fn doubts(&self) -> watch::Receiver<()> {
        self.doubted.subscribe()
    }

    /// Connects to the database.
    ///
    /// # Errors
    /// [`StoreError::Away`] with what each host said; [`StoreError::Unavailable`] where trying again would be of no use.
    pub(super) async fn open(&self, notified: &Notified) -> Result<Session> {
        if self.watched.load(Ordering::Acquire) {
            return self.open_found(notified).await;
        }
        if let Some(host) = self.current()
            && let Ok(session) = host.open_writable(notified.clone()).await
        {
            return Ok(session);
        }
        self.open_any(notified).await
    }

    /// Connects to the one that was found by watching.
    async fn open_found(&self, notified: &Notified) -> Result<Session> {
        let mut found = self.found.subscribe();
        let until = Instant::now() + MOMENT;
        loop {
            found.mark_unchanged();
            let Some(host) = self.current() else {
                tokio::select! {
                    _ = found.changed() => continue,
                    () = tokio::time::sleep_until(until) => return Err(self.as_seen()),
                }
            };
            tokio::select! {
                opened = host.open_writable(notified.clone()) => match opened {
                    Ok(session) => {
                        self.last.store(self.index(host), Ordering::Release);
                        return Ok(session);
                    }
                    Err(trouble) => {
                        self.doubted.send_replace(());
                        return Err(self.nowhere(&BTreeMap::from([(self.index(host), trouble)])));
                    }
                },
                // Maybe in its place, while it says nothing.
                _ = found.changed() => {}
            }
        }
    }

    /// Asks all, and hears them all before one is believed: nothing else is known.
    async fn open_any(&self, notified: &Notified) -> Result<Session> {
        let asked = self.all.iter().map(|host| host.open_writable(notified.clone()));
        let answers = futures_util::future::join_all(asked).await;
        let mut troubles = BTreeMap::new();
        for (i, answer) in answers.into_iter().enumerate() {
            match answer {
                // Another one may have told of a higher epoch since.
                Ok(session) if session.host().is_stale() => {
                    troubles.insert(i, session.host().as_stale());
                }
                Ok(session) => {
                    self.last.store(i, Ordering::Release);
                    self.worked.store(true, Ordering::Release);
                    return Ok(session);
                }
                Err(trouble) => {
                    troubles.insert(i, trouble);
                }
            }
        }
        Err(self.nowhere(&troubles))
    }

    /// Connects to any that can be read and is not at an older epoch than is known, while none takes writes.
    ///
    /// # Errors
    /// [`StoreError::Away`] with what each host said.
    pub(super) async fn open_readable(&self) -> Result<Session> {
        let mut troubles = BTreeMap::new();
        // Those that answered last time first: one that is silent costs two seconds.
        let mut hosts: Vec<(usize, &Arc<Host>)> = self.all.iter().enumerate().collect();
        hosts.sort_by_key(|(_, host)| host.is_stale() || matches!(host.seen(), Seen::Gone | Seen::Never));
        for (i, host) in hosts {
            match host.open(None).await {
                Ok(_) if host.is_stale() => troubles.insert(i, host.as_stale()),
                Ok((session, _)) => return Ok(session),
                Err(trouble) => troubles.insert(i, trouble),
            };
        }
        Err(self.nowhere(&troubles))
    }

    fn index(&self, host: &Arc<Host>) -> usize {
        self.all.iter().position(|h| Arc::ptr_eq(h, host)).unwrap_or(0)
    }

    /// What is to be said when none is the database. A host that once was may be so again, whatever it says now: a fence lets nobody in.
    fn nowhere(&self, troubles: &BTreeMap<usize, Trouble>) -> StoreError {
        let alone = self.all.len() == 1;
        let last = !self.worked.load(Ordering::Acquire) && troubles.values().all(|t| t.is_final(alone));
        let said = troubles.iter().filter_map(|(i, trouble)| {
            let host = self.all.get(*i)?;
            let why = self.why(host, trouble);
            Some(if alone { format!("it {why}") } else { format!("{} {why}", host.name) })
        });
        let said = said.collect::<Vec<_>>().join("; ");
        if last { unavailable(format!("{said}; see `holdfast db check`")) } else { away(said) }
    }

    /// The same from what was seen of each.
    fn as_seen(&self) -> StoreError {
        let said = self.all.iter().map(|host| {
            let why = match host.seen() {
                Seen::Writable if host.is_stale() => self.why(host, &host.as_stale()),
                Seen::Writable => "takes writes again".to_owned(),
                Seen::ReadOnly => self.why(host, &Trouble::ReadOnly),
                Seen::Gone => host.silence.lock().unwrap_or_else(PoisonError::into_inner).clone(),
                Seen::Never => "was not asked yet".into(),
            };
            if self.all.len() == 1 { format!("it {why}") } else { format!("{} {why}", host.name) }
        });
        away(said.collect::<Vec<_>>().join("; "))
    }

    /// Notes that a host did not answer.
    pub(super) fn note_silence(&self, host: &Host, trouble: Option<&Trouble>) {
        let why = trouble.map_or_else(|| "does not answer any more".to_owned(), |trouble| self.why(host, trouble));
        *host.silence.lock().unwrap_or_else(PoisonError::into_inner) = why;
        host.note(Seen::Gone);
    }

    /// Why a host is not the database, completing "it ...".
    pub(super) fn why(&self, host: &Host, trouble: &Trouble) -> String {
        match trouble {
            Trouble::Silent => format!("does not answer within {} s", host.patience.as_secs()),
            Trouble::Refused(error) if error.as_db_error().is_some() => format!("lets us not in ({})", plain(error)),
            Trouble::Refused(error) => format!("cannot be reached ({})", host.said(error)),
            Trouble::ReadOnly => "takes no writes: it is a standby, or was made read-only".into(),
            Trouble::Stale { there, highest } => {
                let file = self.epochs.place().map(|file| file.display().to_string());
                let file = file.map_or(String::new(), |file| format!(" (as {file} says)"));
                format!(
                    "takes writes at epoch {there}, but epoch {highest} has begun{file}: it is an old primary, which must be stopped, and nothing is written to it"
                )
            }
        }
    }
}

impl Host {
    /// What it was when it was asked last.
    pub(super) fn seen(&self) -> Seen {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what it is.
    pub(super) fn note(&self, seen: Seen) {
        let before = std::mem::replace(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner), seen);
        if seen == Seen::Writable && before != Seen::Writable {
            self.found.send_replace(());
        }
    }

    /// Notes its epoch, which may be news to all.
    pub(super) fn note_epoch(&self, epoch: i64) {
        // In this order: it is never stale for its own news.
        self.epoch.store(epoch, Ordering::Release);
        self.epochs.hear(epoch);
    }

    /// Its epoch when it was asked last.
    pub(super) fn epoch(&self) -> i64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Whether another database has taken its place.
    pub(super) fn is_stale(&self) -> bool {
        self.epoch() < self.epochs.highest()
    }

    /// What was heard of epochs.
    pub(super) fn epochs(&self) -> &Epochs {
        &self.epochs
    }

    fn as_stale(&self) -> Trouble {
        Trouble::Stale { there: self.epoch(), highest: self.epochs.highest() }
    }

    /// Connects, if it is the database.
    pub(super) async fn open_writable(self: &Arc<Self>, notified: Notified) -> std::result::Result<Session, Trouble> {
        let (session, seen) = self.open(notified).await?;
        match seen {
            Seen::Writable if self.is_stale() => Err(self.as_stale()),
            Seen::Writable => Ok(session),
            Seen::ReadOnly | Seen::Gone | Seen::Never => Err(Trouble::ReadOnly),
        }
    }

    /// Connects, whatever it is, and notes what that is. That it did not work is for whoever watches to note: one connection may fail where others do not.
    pub(super) async fn open(self: &Arc<Self>, notified: Notified) -> std::result::Result<(Session, Seen), Trouble> {
        let opening = async {
            let session = Session::open(self, notified).await?;
            let (epoch, read_only) = session.standing().await?;
            Ok((session, epoch, read_only))
        };
        let opened = tokio::time::timeout(self.patience, opening).await;
        let (session, epoch, read_only) = opened.map_err(|_| Trouble::Silent)?.map_err(Trouble::Refused)?;
        let seen = if read_only { Seen::ReadOnly } else { Seen::Writable };
        self.note_epoch(epoch);
        self.note(seen);
        Ok((session, seen))
    }

    /// What a connection that failed is to be told as.
    pub(super) fn said(&self, error: &tokio_postgres::Error) -> String {
        use std::error::Error as _;
        let tls = error.source().and_then(|s| s.downcast_ref::<std::io::Error>()).zip(self.identity.as_ref());
        match tls {
            Some((error, identity)) => holdfast_pki::why_refused(error, identity),
            None => plain(error),
        }
    }
}

impl Trouble {
    /// Whether trying again is of no use as long as nobody does something about it. That a host lets nobody in is its fence, if there are others.
    fn is_final(&self, alone: bool) -> bool {
        let Trouble::Refused(error) = self else { return false };
        let Some(code) = error.code() else { return false };
        [SqlState::INVALID_PASSWORD, SqlState::INVALID_CATALOG_NAME, SqlState::INSUFFICIENT_PRIVILEGE].contains(code)
            || (alone && *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION)
    }
}

/// Reads what a host answers to [`STANDING`].
pub(super) fn read_standing(answer: &[SimpleQueryMessage]) -> (Option<i64>, bool) {
    let mut rows = answer.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    let read_only = rows.next() == Some("on");
    (rows.next().and_then(|epoch| epoch.parse().ok()), read_only)
}

/// Whether it takes writes: a standby says so too. One round trip, since a new connection has had several already.
pub(super) const READ_ONLY: &str = "SHOW transaction_read_only";
/// That and its epoch.
pub(super) const STANDING: &str = "SHOW transaction_read_only; SELECT epoch FROM holdfast.pool WHERE id = 1";
