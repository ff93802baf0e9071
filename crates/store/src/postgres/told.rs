//! What this server tells the others: hints that there is something to read, and signals of the moment.
//!
//! NOTIFY makes every commit of the whole instance wait its turn while one is pending, so it is sent by itself, after the commit that it is about,
//! in a transaction that waits for no disk; and one carries what many commits have to say.

use super::hosts::Hosts;
use super::session::Session;
use crate::pool::MOST_SIGNAL_BYTES;
use holdfast_domain::{RoomId, Seq};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The channel.
pub(super) const CHANNEL: &str = "holdfast";

/// Bytes of one notification; PostgreSQL takes less than 8,000.
const MOST_BYTES: usize = 7_900;
/// Signals that wait while the database is away; older ones are of no use any more.
const MOST_WAITING: usize = 1_000;

/// A notification, as it is written and read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Notice {
    Entries(Vec<(RoomId, Seq)>),
    Signal(u64, String),
}

/// What is to be told.
pub(super) struct Told {
    run: Uuid,
    waiting: Mutex<Waiting>,
    wake: Notify,
}

#[derive(Default)]
struct Waiting {
    entries: HashMap<RoomId, Seq>,
    signals: VecDeque<(u64, String)>,
    number: u64,
}

impl Told {
    pub(super) fn new(run: Uuid) -> Arc<Told> {
        Arc::new(Told { run, waiting: Mutex::default(), wake: Notify::new() })
    }

    /// Has the ends of logs told.
    pub(super) fn entries(&self, entries: impl IntoIterator<Item = (RoomId, Seq)>) {
        {
            let mut waiting = self.lock();
            for (room, seq) in entries {
                let end = waiting.entries.entry(room).or_insert(seq);
                *end = seq.max(*end);
            }
        }
        self.wake.notify_one();
    }

    /// Has a signal told.
    pub(super) fn signal(&self, text: String) {
        if text.len() > MOST_SIGNAL_BYTES {
            tracing::error!(bytes = text.len(), "a signal is too long to be told");
            return;
        }
        {
            let mut waiting = self.lock();
            waiting.number += 1;
            let number = waiting.number;
            waiting.signals.push_back((number, text));
            if waiting.signals.len() > MOST_WAITING {
                waiting.signals.pop_front();
            }
        }
        self.wake.notify_one();
    }

    /// Tells until `stopping`, and then what is left.
    pub(super) async fn run(self: Arc<Self>, hosts: Arc<Hosts>, stopping: CancellationToken) {
        let mut session: Option<Session> = None;
        loop {
            let last = tokio::select! {
                () = self.wake.notified() => false,
                () = stopping.cancelled() => true,
            };
            while !self.send(&hosts, &mut session).await && !last {
                tokio::select! {
                    () = tokio::time::sleep(Duration::from_millis(250)) => {}
                    () = stopping.cancelled() => return,
                }
            }
            if last {
                return;
            }
        }
    }

    /// Sends what waits; whether that is done.
    async fn send(&self, hosts: &Hosts, session: &mut Option<Session>) -> bool {
        const SQL: &str = "SELECT pg_notify('holdfast', p) FROM unnest($1::text[]) p";
        let (entries, notices) = self.take();
        if notices.is_empty() {
            return true;
        }
        if session.as_ref().is_none_or(|s| !s.is_usable()) {
            *session = open(hosts).await;
        }
        let sent = match session {
            Some(session) => session.query(SQL, &[&notices]).await.is_ok(),
            None => false,
        };
        if !sent {
            *session = None;
            // The ends of logs are told when that is possible again; lost signals show by their numbers.
            self.entries(entries);
        }
        sent
    }

    fn take(&self) -> (HashMap<RoomId, Seq>, Vec<String>) {
        let Waiting { entries, signals, .. } = {
            let mut waiting = self.lock();
            let number = waiting.number;
            std::mem::replace(&mut *waiting, Waiting { number, ..Waiting::default() })
        };
        let mut notices = Vec::new();
        let mut text = String::new();
        for (room, seq) in &entries {
            let one = format!(" {room}:{seq}");
            if text.len() + one.len() + 40 > MOST_BYTES {
                notices.push(format!("E{}{text}", self.run.simple()));
                text.clear();
            }
            text += &one;
        }
        if !text.is_empty() {
            notices.push(format!("E{}{text}", self.run.simple()));
        }
        notices.extend(signals.into_iter().map(|(n, text)| format!("S{} {n} {text}", self.run.simple())));
        (entries, notices)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is only a hint waits for no disk.
async fn open(hosts: &Hosts) -> Option<Session> {
    let session = hosts.open(&None).await.ok()?;
    session.batch("SET synchronous_commit = off").await.ok()?;
    Some(session)
}

/// Reads a notification: who sent it, and what it says. `None` if it is none of ours.
pub(super) fn read(payload: &str) -> Option<(Uuid, Notice)> {
    let kind = payload.get(..1)?;
    let (run, rest) = payload.get(1..)?.split_once(' ')?;
    let run = Uuid::try_parse(run).ok()?;
    match kind {
        "E" => {
            let one = |pair: &str| {
                let (room, seq) = pair.split_once(':')?;
                Some((RoomId(room.parse().ok()?), Seq(seq.parse().ok()?)))
            };
            Some((run, Notice::Entries(rest.split(' ').map(one).collect::<Option<_>>()?)))
        }
        "S" => {
            let (number, text) = rest.split_once(' ')?;
            Some((run, Notice::Signal(number.parse().ok()?, text.to_owned())))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_read() {
        let told = Told::new(Uuid::from_u128(7));
        told.entries((1..=2_000).map(|n| (RoomId(n), Seq(n))));
        told.entries([(RoomId(5), Seq(99)), (RoomId(6), Seq(1))]);
        told.signal("one two".into());
        told.signal("{}".into());
        let (_, notices) = told.take();
        assert!(notices.len() > 3 && notices.iter().all(|n| n.len() < 8_000));
        let mut ends = HashMap::new();
        let mut signals = Vec::new();
        for notice in &notices {
            match read(notice).unwrap() {
                (run, Notice::Entries(entries)) if run == Uuid::from_u128(7) => ends.extend(entries),
                (_, Notice::Signal(n, text)) => signals.push((n, text)),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(ends.len(), 2_000);
        assert_eq!((ends[&RoomId(5)], ends[&RoomId(6)]), (Seq(99), Seq(6)));
        assert_eq!(signals, [(1, "one two".into()), (2, "{}".into())]);
        assert!(told.take().1.is_empty());
        for odd in ["", "E", "Ex 1:2", "S 1 x", "É", "E00000000000000000000000000000007 1:x"] {
            assert_eq!(read(odd), None);
        }
    }
}
