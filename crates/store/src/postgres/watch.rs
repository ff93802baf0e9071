//! Watches the database: whether it can be reached, takes writes, is at the epoch that this server knows, and how long it takes to answer.
//!
//! A connection is to the server that took writes when it was opened; after a switch of roles old ones would stay with the old one. So when
//! the watched server stops taking writes, every connection is let go of.

use super::Inner;
use super::session::Session;
use crate::pool::Condition;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio_postgres::Config;
use tokio_postgres::config::TargetSessionAttrs;

/// How often, when all is well and when it is not.
const EVERY: Duration = Duration::from_secs(1);
const OFTEN: Duration = Duration::from_millis(250);
/// After so long without an answer it counts as gone.
const PATIENCE: Duration = Duration::from_secs(5);
/// Measurements of which the least counts: one alone says more about the load than about the way.
const MEASURED: usize = 10;

/// What was seen last.
pub(super) struct Watched {
    condition: AtomicU8,
    round_trip_us: AtomicU32,
    /// The epoch under which this server writes.
    pub(super) epoch: AtomicI64,
}

impl Watched {
    pub(super) fn new(epoch: i64) -> Watched {
        Watched { condition: AtomicU8::new(0), round_trip_us: AtomicU32::new(u32::MAX), epoch: AtomicI64::new(epoch) }
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
        if matches!(condition, Condition::Gone | Condition::ReadOnly) {
            session = None;
            measured.clear();
            inner.sessions.forget_idle();
        }
        // A full disk shows at a write only, and is over when one succeeds.
        if condition != Condition::Ready || inner.watched.condition() != Condition::Full {
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
    const SQL: &str =
        "SELECT epoch, pg_is_in_recovery() OR current_setting('transaction_read_only')::bool FROM pool WHERE id = 1";
    if session.as_ref().is_none_or(|s| !s.is_usable()) {
        match Session::open(config, None).await {
            Ok(opened) => *session = Some(opened),
            Err(_) => return without_writes(config).await,
        }
        // The first answer includes the preparation.
        if let Some(session) = session {
            let _ = session.prepare(&[SQL]).await;
        }
    }
    let Some(open) = session else { return Condition::Gone };
    let asked = Instant::now();
    let answer = open.one(SQL, &[]).await;
    let took = u32::try_from(asked.elapsed().as_micros()).unwrap_or(u32::MAX - 1);
    let Ok(Some(row)) = answer else {
        *session = None;
        return Condition::Gone;
    };
    measured.push_back(took);
    if measured.len() > MEASURED {
        measured.pop_front();
    }
    inner.watched.round_trip_us.store(measured.iter().copied().min().unwrap_or(took), Ordering::Release);
    let (epoch, read_only) = (row.try_get::<_, i64>(0), row.try_get::<_, bool>(1));
    match (epoch, read_only) {
        (_, Ok(true)) => Condition::ReadOnly,
        (Ok(epoch), _) if epoch != inner.watched.epoch.load(Ordering::Acquire) => Condition::OtherEpoch,
        _ => Condition::Ready,
    }
}
