//! Watches the database: whether it can be reached, takes writes, is at the epoch that this server knows, and how long it takes to answer.
//!
//! A connection is to the server that took writes when it was opened; after a switch of roles old ones would stay with the old one. So when
//! the watched server stops taking writes, every connection is let go of.

use super::Inner;
use super::error::Work;
use super::session::Session;
use crate::pool::Condition;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres::{Config, Row};

/// How often, when all is well and when it is not.
const EVERY: Duration = Duration::from_secs(1);
const OFTEN: Duration = Duration::from_millis(250);
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
    condition: AtomicU8,
    round_trip_us: AtomicU32,
    /// When something was last refused because the disk is full.
    refused: Mutex<Option<Instant>>,
    /// The epoch under which this server writes.
    pub(super) epoch: Arc<AtomicI64>,
}

impl Watched {
    pub(super) fn new(epoch: Arc<AtomicI64>) -> Watched {
        Watched {
            condition: AtomicU8::new(0),
            round_trip_us: AtomicU32::new(u32::MAX),
            refused: Mutex::default(),
            epoch,
        }
    }

    pub(super) fn condition(&self) -> Condition {
        let i = usize::from(self.condition.load(Ordering::Acquire));
        Condition::ALL.get(i).copied().unwrap_or(Condition::Gone)
    }

    pub(super) fn round_trip(&self) -> Option<Duration> {
        match self.round_trip_us.load(Ordering::Acquire) {
            u32::MAX => None,
            us => Some(Duration::from_micros(us.into())),
        }
    }

    /// Measures how long it takes to answer, before this server says to others how far it is.
    pub(super) async fn measure(&self, session: &Session) -> Work<()> {
        self.measured(&mut VecDeque::new(), session, MEASURED_FIRST).await.map(drop)
    }

    /// Asks so many times, and notes the least of the last measurements; what was answered last.
    async fn measured(&self, measured: &mut VecDeque<u32>, session: &Session, times: usize) -> Work<Option<Row>> {
        // The preparation is not part of it.
        session.prepare(&[LOOK]).await?;
        let mut answer = None;
        for _ in 0..times {
            let asked = Instant::now();
            answer = session.one(LOOK, &[]).await?;
            measured.push_back(u32::try_from(asked.elapsed().as_micros()).unwrap_or(u32::MAX - 1));
            if measured.len() > MEASURED {
                measured.pop_front();
            }
        }
        if let Some(least) = measured.iter().min() {
            self.round_trip_us.store(*least, Ordering::Release);
        }
        Ok(answer)
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
        let i = Condition::ALL.iter().position(|c| *c == now).unwrap_or_default();
        let before = self.condition.swap(u8::try_from(i).unwrap_or_default(), Ordering::AcqRel);
        if usize::from(before) != i {
            if now == Condition::Ready {
                tracing::info!("the database takes writes again");
            } else {
                tracing::warn!(condition = now.word(), "the database does not take writes");
            }
        }
    }
}

/// Watches until the store is closed.
pub(super) async fn run(inner: Arc<Inner>, config: Config) {
    let mut session: Option<Session> = None;
    let mut measured = VecDeque::new();
    loop {
        let looked = tokio::time::timeout(PATIENCE, look(&inner, &config, &mut session, &mut measured)).await;
        let condition = looked.unwrap_or(Condition::Gone);
        inner.sessions.note_read_only(condition == Condition::ReadOnly);
        if matches!(condition, Condition::Gone | Condition::ReadOnly) {
            session = None;
            measured.clear();
            inner.sessions.forget_idle();
        }
        // A full disk shows at a write only.
        if condition == Condition::Ready && inner.watched.condition() == Condition::Full {
            inner.watched.note_room_after(AFTER_SILENCE);
        } else {
            inner.watched.note(condition);
        }
        let pause = if condition == Condition::Ready { EVERY } else { OFTEN };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = inner.stopping.cancelled() => return,
        }
    }
}

/// Whether none of the hosts answers, or only those that take no writes. Of several hosts the error is that of the last one tried.
async fn without_writes(config: &Config) -> Condition {
    let mut any = config.clone();
    any.target_session_attrs(TargetSessionAttrs::Any);
    if Session::open(&any, None).await.is_ok() { Condition::ReadOnly } else { Condition::Gone }
}

async fn look(
    inner: &Inner,
    config: &Config,
    session: &mut Option<Session>,
    measured: &mut VecDeque<u32>,
) -> Condition {
    if session.as_ref().is_none_or(|s| !s.is_usable()) {
        measured.clear();
        match Session::open(config, None).await {
            Ok(opened) => *session = Some(opened),
            Err(_) => return without_writes(config).await,
        }
    }
    let Some(open) = session else { return Condition::Gone };
    let times = if measured.is_empty() { MEASURED_FIRST } else { 1 };
    let Ok(Some(row)) = inner.watched.measured(measured, open, times).await else {
        *session = None;
        return Condition::Gone;
    };
    let (epoch, read_only) = (row.try_get::<_, i64>(0), row.try_get::<_, bool>(1));
    match (epoch, read_only) {
        (_, Ok(true)) => Condition::ReadOnly,
        (Ok(epoch), _) if epoch != inner.watched.epoch.load(Ordering::Acquire) => Condition::OtherEpoch,
        _ => Condition::Ready,
    }
}
