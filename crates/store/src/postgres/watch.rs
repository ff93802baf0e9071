//! Watches the database: whether it can be reached, takes writes, is at the epoch that this server knows, and how long it takes to answer.
//!
//! Each host is watched by itself, on a connection that stays, so that one which is dead or silent delays nothing. By that a new database is known as soon as it takes
//! writes, whether the old one is gone, silent, or believes that it is still it: who hears of a higher epoch leaves what is at a lower one.
//!
//! A connection is to the host that took writes when it was opened; after a switch of roles old ones would stay with the old one. So when
//! the database stops taking writes, every connection is let go of.

use super::Inner;
use super::error::{Work, corrupt};
use super::hosts::{Host, Seen, Trouble};
use super::session::Session;
use crate::pool::{Condition, Heard};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

/// How often, when all is well and when it is not.
const EVERY: Duration = Duration::from_secs(1);
const OFTEN: Duration = Duration::from_millis(250);
/// And when all is well, but this host lets us not in: a new connection costs both sides more than a question.
const RARELY: Duration = Duration::from_secs(2);
/// After so long without an answer it counts as gone.
const PATIENCE: Duration = Duration::from_secs(5);
/// Measurements of which the least counts: one alone says more about the load than about the way.
const MEASURED: usize = 10;
/// Of a new connection so many at once: what it says first is what a server that has just begun is judged by.
const MEASURED_FIRST: usize = 5;
/// What is small still finds a place on a disk that is full: a post that was kept says that it has room only this long after the last that was not.
const AFTER_REFUSAL: Duration = Duration::from_secs(2);
/// Where nobody posts, it is taken to have room again after this long without a refusal.
const AFTER_SILENCE: Duration = Duration::from_secs(30);
const LOOK: &str =
    "SELECT epoch, pg_is_in_recovery() OR current_setting('transaction_read_only')::bool FROM pool WHERE id = 1";

/// What was seen last.
pub(super) struct Watched {
    condition: watch::Sender<Condition>,
    round_trip_us: AtomicU32,
    /// When something was last refused because the disk is full.
    refused: Mutex<Option<Instant>>,
    /// The epoch under which this server writes.
    pub(super) epoch: AtomicI64,
    /// Who is to read anew when the epoch is another.
    reader: OnceLock<mpsc::WeakSender<Heard>>,
}

impl Watched {
    pub(super) fn new(epoch: i64) -> Watched {
        Watched {
            condition: watch::Sender::new(Condition::Ready),
            round_trip_us: AtomicU32::new(u32::MAX),
            refused: Mutex::default(),
            epoch: AtomicI64::new(epoch),
            reader: OnceLock::new(),
        }
    }

    pub(super) fn condition(&self) -> Condition {
        *self.condition.borrow()
    }

    pub(super) fn round_trip(&self) -> Option<Duration> {
        match self.round_trip_us.load(Ordering::Acquire) {
            u32::MAX => None,
            us => Some(Duration::from_micros(us.into())),
        }
    }

    /// Measures how long it takes to answer, before this server says to others how far it is.
    pub(super) async fn measure(&self, session: &Session) -> Work<()> {
        let (least, ..) = ask(session, MEASURED_FIRST).await?;
        self.round_trip_us.store(least, Ordering::Release);
        Ok(())
    }

    /// Notes that something was refused because the disk is full.
    pub(super) fn note_refusal(&self) {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        self.note(Condition::Full);
    }

    /// Notes that a post was kept.
    pub(super) fn note_post(&self) {
        self.note_room_after(AFTER_REFUSAL);
    }

    /// A full disk has room again if nothing was refused for so long.
    fn note_room_after(&self, length: Duration) {
        if self.condition() != Condition::Full {
            return;
        }
        let refused = *self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.is_none_or(|at| at.elapsed() >= length) {
            self.note(Condition::Ready);
        }
    }

    /// Notes how the database is; says so when that is news.
    pub(super) fn note(&self, now: Condition) {
        let changed = self.condition.send_if_modified(|condition| std::mem::replace(condition, now) != now);
        if !changed {
            return;
        }
        if now == Condition::Ready {
            tracing::info!("the database takes writes again");
        } else {
            tracing::warn!(condition = now.word(), "the database does not take writes");
        }
        if now == Condition::OtherEpoch {
            self.wake_reader();
        }
    }

    /// Has whoever follows the logs look at once: it may have missed anything.
    fn wake_reader(&self) {
        if let Some(reader) = self.reader.get().and_then(mpsc::WeakSender::upgrade) {
            // Full, it has enough to wake up for.
            let _ = reader.try_send(Heard::Listening);
        }
    }
}

/// Watches until the store is closed.
pub(super) async fn run(inner: Arc<Inner>, reader: mpsc::WeakSender<Heard>) {
    let _ = inner.watched.reader.set(reader);
    let each = inner.hosts.all().iter().map(|host| watch_host(&inner, host));
    inner.hosts.set_watched(true);
    tokio::select! {
        _ = futures_util::future::join_all(each) => {}
        () = inner.stopping.cancelled() => {}
    }
    inner.hosts.set_watched(false);
}

/// Watches one host.
async fn watch_host(inner: &Inner, host: &Arc<Host>) {
    let mut session: Option<Session> = None;
    let mut measured = VecDeque::new();
    let (mut condition, mut heard) = (inner.watched.condition.subscribe(), host.epochs().subscribe());
    let mut doubts = inner.hosts.doubts();
    let mut told_stale = false;
    loop {
        condition.mark_unchanged();
        heard.mark_unchanged();
        doubts.mark_unchanged();
        let looked = tokio::time::timeout(PATIENCE, look(host, &mut session)).await;
        match looked.unwrap_or(Err(Some(Trouble::Silent))) {
            Ok(took) if is_current(inner, host) => {
                measured.push_back(took);
                if measured.len() > MEASURED {
                    measured.pop_front();
                }
                let least = measured.iter().copied().min().unwrap_or(took);
                inner.watched.round_trip_us.store(least, Ordering::Release);
            }
            Ok(_) => measured.clear(),
            Err(trouble) => {
                inner.hosts.note_silence(host, trouble.as_ref());
                session = None;
                measured.clear();
            }
        }
        let stale = host.seen() == Seen::Writable && host.is_stale();
        if stale && !told_stale {
            tracing::error!(
                host = host.name,
                epoch = host.epoch(),
                highest = host.epochs().highest(),
                "an old primary takes writes; it must be stopped, and is passed over"
            );
        }
        told_stale = stale;
        reckon(inner);
        let pause = match inner.watched.condition() {
            Condition::Ready | Condition::Full if session.is_none() => RARELY,
            Condition::Ready | Condition::Full => EVERY,
            _ => OFTEN,
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = condition.changed() => {}
            _ = heard.changed() => {}
            // One that is doubted again and again is not asked more often for that.
            _ = doubts.changed() => tokio::time::sleep(OFTEN.min(pause)).await,
        }
    }
}

fn is_current(inner: &Inner, host: &Arc<Host>) -> bool {
    inner.hosts.current().is_some_and(|current| Arc::ptr_eq(current, host))
}

/// What follows from what is known of all hosts.
fn reckon(inner: &Inner) {
    let condition = match inner.hosts.current() {
        Some(host) if host.epoch() != inner.watched.epoch.load(Ordering::Acquire) => Condition::OtherEpoch,
        Some(_) => Condition::Ready,
        None => {
            let answers = inner.hosts.all().iter().any(|h| matches!(h.seen(), Seen::ReadOnly | Seen::Writable));
            if answers { Condition::ReadOnly } else { Condition::Gone }
        }
    };
    if matches!(condition, Condition::Gone | Condition::ReadOnly) && inner.watched.condition() != condition {
        inner.sessions.forget_idle();
    }
    inner.sessions.note_read_only(condition == Condition::ReadOnly);
    // A full disk shows at a write only.
    if condition == Condition::Ready && inner.watched.condition() == Condition::Full {
        inner.watched.note_room_after(AFTER_SILENCE);
    } else {
        inner.watched.note(condition);
    }
}

/// Asks a host what it is, and notes that. How long it took to answer, in microseconds.
///
/// # Errors
/// Why it did not; `None` if a connection that was there broke.
async fn look(host: &Arc<Host>, session: &mut Option<Session>) -> Result<u32, Option<Trouble>> {
    let mut times = 1;
    if session.as_ref().is_none_or(Session::is_closed) {
        let (opened, _) = host.open(None).await.map_err(Some)?;
        *session = Some(opened);
        times = MEASURED_FIRST;
    }
    let Some(session) = session.as_ref() else { return Err(None) };
    let Ok((took, epoch, read_only)) = ask(session, times).await else { return Err(None) };
    host.note_epoch(epoch);
    host.note(if read_only { Seen::ReadOnly } else { Seen::Writable });
    Ok(took)
}

/// Asks so many times at what epoch the database is, and whether it takes no writes. The least time that it took to answer, in microseconds.
async fn ask(session: &Session, times: usize) -> Work<(u32, i64, bool)> {
    // The first answer would include the preparation.
    session.prepare(&[LOOK]).await?;
    let (mut least, mut said) = (u32::MAX - 1, None);
    for _ in 0..times {
        let asked = Instant::now();
        said = session.one(LOOK, &[]).await?;
        least = least.min(u32::try_from(asked.elapsed().as_micros()).unwrap_or(u32::MAX - 1));
    }
    let row = said.ok_or_else(|| corrupt("the row of the pool is not there"))?;
    Ok((least, row.try_get(0)?, row.try_get(1)?))
}
