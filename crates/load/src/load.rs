//! Clients that are at work, and what is said of them in the end.

use crate::cast::Cast;
use crate::hosts::Place;
use crate::http::Http;
use crate::listener::Listener;
use crate::plan::Plan;
use crate::read::read_log;
use crate::shared::{BREATH, Shared, lock};
use crate::writer::Writer;
use anyhow::{Context as _, Result, bail, ensure};
use holdfast_history::{FinalLog, History, Loss, Message, Report, View, check_after};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// Clients that are at work.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    writers: Vec<JoinHandle<Vec<Message>>>,
    listeners: Vec<JoinHandle<Vec<View>>>,
    reader: Http,
}

/// How it was.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What the checker says.
    pub report: Report,
    /// What clients were told that no client should be told whatever happens.
    pub surprises: Vec<String>,
    /// How long senders waited for the first answer that their message was taken, from the shortest to the longest.
    pub answered_in: Vec<Duration>,
}

impl Outcome {
    /// Whether everything is as it should be.
    pub fn holds(&self) -> bool {
        self.report.holds() && self.surprises.is_empty()
    }

    /// What a part of the senders waited at most: 0.99 of them, for instance.
    pub fn answered_within(&self, part: f64) -> Option<Duration> {
        let last = self.answered_in.len().checked_sub(1)?;
        self.answered_in.get(((last as f64) * part.clamp(0.0, 1.0)).round() as usize).copied()
    }
}

impl Load {
    /// Lets everybody begin: the listeners first, so that all of it is seen.
    ///
    /// # Errors
    /// When the listeners do not get into their rooms.
    pub async fn start(cast: Cast, plan: &Plan) -> Result<Self> {
        let Cast { rooms, reader, listeners, writers, hosts } = cast;
        let everywhere = rooms.len() * listeners.len();
        let shared = Arc::new(Shared::new(plan.clone(), rooms));
        let listeners = listeners.into_iter().enumerate().map(|(number, http)| {
            let place = Place::new(hosts.clone(), number);
            let listener = Listener { number, place, http, shared: Arc::clone(&shared), views: Vec::new() };
            tokio::spawn(listener.listen())
        });
        let mut load = Self { listeners: listeners.collect(), writers: Vec::new(), reader, shared };
        let deadline = Instant::now() + plan.settling;
        while lock(&load.shared.ends).len() < everywhere {
            if Instant::now() > deadline {
                bail!("listeners do not get into their rooms: {:?}", lock(&load.shared.surprises));
            }
            sleep(BREATH / 5).await;
        }
        load.writers = writers
            .into_iter()
            .enumerate()
            .map(|(number, (author, http))| {
                let place = Place::new(hosts.clone(), number);
                tokio::spawn(Writer { number, author, place, http, shared: Arc::clone(&load.shared), epoch: 0 }.write())
            })
            .collect();
        Ok(load)
    }

    /// The rooms.
    pub fn rooms(&self) -> &[i64] {
        &self.shared.rooms
    }

    /// How many messages have been acknowledged so far.
    pub fn acknowledged(&self) -> usize {
        lock(&self.shared.acknowledged).len()
    }

    /// The time, as it is measured here.
    pub fn now(&self) -> Duration {
        self.shared.now()
    }

    /// When a message was first acknowledged after a moment, if one has been.
    pub fn first_acknowledged_after(&self, moment: Duration) -> Option<Duration> {
        let acknowledged = lock(&self.shared.acknowledged);
        acknowledged.iter().rev().take_while(|at| **at > moment).min().copied()
    }

    /// How many messages were acknowledged in each moment of a length, from the beginning on.
    pub fn acknowledged_by(&self, moment: Duration) -> Vec<u32> {
        let mut counts = Vec::new();
        for at in lock(&self.shared.acknowledged).iter() {
            let i = usize::try_from(at.as_nanos() / moment.as_nanos().max(1)).unwrap_or(usize::MAX - 1);
            if i >= counts.len() {
                counts.resize(i + 1, 0);
            }
            counts[i] += 1;
        }
        counts
    }

    /// The longest time since a moment in which nothing was acknowledged, and when it began.
    pub fn longest_silence_after(&self, moment: Duration) -> (Duration, Duration) {
        let mut times: Vec<Duration> =
            lock(&self.shared.acknowledged).iter().filter(|at| **at > moment).copied().collect();
        times.push(self.now());
        times.sort_unstable();
        let mut last = moment;
        let mut longest = (Duration::ZERO, moment);
        for at in times {
            longest = longest.max((at.saturating_sub(last), last));
            last = at;
        }
        longest
    }

    /// How often listeners had to connect anew so far.
    pub fn reconnects(&self) -> usize {
        self.shared.reconnects.load(Ordering::Acquire)
    }

    /// From now on whatever is told is of this epoch or a later one, where an answer does not say so itself: whoever was of an earlier one is dead.
    pub fn is_in_epoch(&self, epoch: i64) {
        self.shared.epoch.fetch_max(epoch, Ordering::AcqRel);
    }

    /// Waits until `more` messages have been acknowledged from now on.
    ///
    /// # Errors
    /// When they are not in time.
    pub async fn wait_for(&self, more: usize, limit: Duration) -> Result<()> {
        let goal = self.acknowledged() + more;
        let deadline = Instant::now() + limit;
        while self.acknowledged() < goal {
            let missing = goal - self.acknowledged();
            ensure!(
                Instant::now() < deadline,
                "waited {limit:?} for {more} more messages to be acknowledged; {missing} are missing"
            );
            sleep(BREATH / 5).await;
        }
        Ok(())
    }

    /// Lets the writers finish, waits until every listener has seen everything, reads the rooms from every server of `servers` (name and
    /// `host:port`), and checks all of it; what was announced as lost may be missing.
    ///
    /// # Errors
    /// When somebody does not see everything in time, or the servers do not come to say the same.
    pub async fn finish(mut self, servers: &[(String, String)], loss: Loss) -> Result<Outcome> {
        self.shared.enough.store(true, Ordering::Release);
        let plan = &self.shared.plan;
        let (settling, limit) = (plan.settling, plan.persistence + plan.patience * 2 + plan.settling);
        let mut clients = Vec::new();
        for writer in std::mem::take(&mut self.writers) {
            clients.push(timeout(limit, writer).await.context("a writer does not end")?.context("a writer")?);
        }
        let logs = self.settle(servers, settling).await?;
        self.shared.seen_all.store(true, Ordering::Release);
        let mut views = Vec::new();
        for listener in std::mem::take(&mut self.listeners) {
            views.extend(timeout(settling, listener).await.context("a listener does not end")?.context("a listener")?);
        }
        let history = History { clients, views };
        let report = check_after(&history, &logs, loss);
        let mut answered_in: Vec<Duration> = history.clients.iter().flatten().filter_map(answered_in).collect();
        answered_in.sort_unstable();
        let surprises = lock(&self.shared.surprises).clone();
        Ok(Outcome { report, surprises, answered_in })
    }

    /// The logs, once all servers say the same and all listeners have seen it.
    async fn settle(&mut self, servers: &[(String, String)], settling: Duration) -> Result<Vec<FinalLog>> {
        let deadline = Instant::now() + settling;
        loop {
            let (logs, missing) = self.look(servers, settling).await;
            if missing.is_empty() {
                return Ok(logs);
            }
            ensure!(Instant::now() < deadline, "after {settling:?}: {missing:#?}");
            sleep(BREATH * 2).await;
        }
    }

    /// What all servers say, and what is missing for them and the listeners to agree.
    async fn look(&mut self, servers: &[(String, String)], limit: Duration) -> (Vec<FinalLog>, Vec<String>) {
        let (mut logs, mut missing) = (Vec::new(), Vec::new());
        for (name, host) in servers {
            for room in self.shared.rooms.clone() {
                self.reader.move_to(host);
                match timeout(limit, read_log(&mut self.reader, room)).await {
                    Ok(Ok(entries)) => logs.push(FinalLog { server: name.clone(), room, entries }),
                    other => missing.push(format!("{name} does not show room {room}: {other:?}")),
                }
            }
        }
        for room in &self.shared.rooms {
            let lengths: Vec<usize> = logs.iter().filter(|l| l.room == *room).map(|l| l.entries.len()).collect();
            let end = lengths.iter().copied().max().unwrap_or_default();
            if lengths.iter().any(|length| *length != end) {
                missing.push(format!("of room {room}, servers show {lengths:?} entries"));
            }
            for ((listener, _), seen) in lock(&self.shared.ends).iter().filter(|((_, of), _)| of == room) {
                if usize::try_from(seen.seq) != Ok(end) {
                    missing.push(format!("listener{listener} has seen room {room} up to {} of {end}", seen.seq));
                }
            }
        }
        (logs, missing)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.writers.iter().for_each(JoinHandle::abort);
        self.listeners.iter().for_each(JoinHandle::abort);
    }
}

/// How long its sender waited for the first answer that it was taken.
fn answered_in(message: &Message) -> Option<Duration> {
    let holdfast_history::Fate::Acknowledged(told) = &message.fate else { return None };
    Some(told.first()?.at.saturating_sub(message.begun))
}
