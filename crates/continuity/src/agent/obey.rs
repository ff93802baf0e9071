//! Carrying out orders: what is to be is written down first, then done.

use super::order::{Obeyed, Order};
use super::state::{Fetch, Place};
use super::{Agent, RELOAD, STOPPING, Told, said};
use crate::procedure::StepError;
use crate::register::Protection;
use holdfast_instance::{Access, Progress, Stop};
use holdfast_wal::{Claim, Lineage, Lsn, Opening, Share};
use serde_json::json;
use std::time::Duration;

/// For sessions to end.
const ENDING: Duration = Duration::from_secs(20);
/// For a copy of another instance.
const COPYING: Duration = Duration::from_secs(24 * 3_600);

impl Agent {
    /// Carries out one order. One at a time; the keeper rests meanwhile.
    ///
    /// # Errors
    /// Why it could not be done; [`StepError::NoAnswer`] if PostgreSQL did not answer, so that it may go well when it is given again.
    pub(crate) async fn obey(&self, order: Order, by: &str) -> Result<Obeyed, StepError> {
        tracing::info!(by, ?order, "an order");
        // Hearing changes what is remembered, and must not wait for what it may be meant to stop.
        if let Order::Hear { claims, openings, protection } = order {
            return self.obey_hear(claims, openings, protection);
        }
        let _turn = self.turn.lock().await;
        let obeyed = match order {
            Order::Create { segment_mib } => self.obey_create(segment_mib, by).await,
            Order::Clone { from, upstream, fetch } => self.obey_clone(&from, upstream, fetch).await,
            Order::Follow { upstream, fetch } => self.obey_follow(upstream, fetch).await,
            Order::Access { to } => self.obey_access(to).await,
            Order::EndSessions => {
                let ended = self.instance.terminate_clients(ENDING).await?;
                Ok(Obeyed { told: format!("{ended} session(s) ended"), details: json!({ "ended": ended }) })
            }
            Order::EndSession { pid } => match self.instance.terminate(pid, ENDING).await? {
                true => Ok(Obeyed::says(format!("session {pid} ended"))),
                false => Err(format!("there is no session {pid}").into()),
            },
            Order::Stop => self.obey_stop().await,
            Order::Start => self.obey_start(),
            Order::Checkpoint => {
                self.instance.checkpoint(STOPPING).await?;
                Ok(Obeyed::says("a checkpoint was made"))
            }
            Order::Servers { active, far } => {
                if !self.is_holder(&self.memory.now()) {
                    return Err(format!("{} does not hold the newest epoch", self.me.name).into());
                }
                crate::doing::set_active(self, &active, far).await?;
                Ok(Obeyed::says(if active.is_empty() {
                    "no server takes clients".into()
                } else {
                    format!("active: {}", active.join(", "))
                }))
            }
            Order::Notice { notice } => {
                if !self.is_holder(&self.memory.now()) {
                    return Err(format!("{} does not hold the newest epoch", self.me.name).into());
                }
                crate::doing::put_notice(self, notice.as_ref()).await?;
                Ok(Obeyed::says(if notice.is_some() {
                    "users are told"
                } else {
                    "users are told of no outage any more"
                }))
            }
            Order::Hear { .. } => Ok(Obeyed::says("heard")),
        };
        self.look().await;
        obeyed
    }

    fn obey_hear(
        &self,
        claims: Vec<Claim>,
        openings: Vec<Opening>,
        protection: Option<Protection>,
    ) -> Result<Obeyed, StepError> {
        self.remember(|m| {
            m.learn(&Lineage::new(claims, openings));
            if let Some(protection) = protection {
                m.protection = protection;
            }
        })?;
        Ok(Obeyed::says(format!("the newest epoch known here is {}", self.memory.now().epoch())))
    }

    async fn obey_create(&self, segment_mib: u32, by: &str) -> Result<Obeyed, StepError> {
        let remembered = self.memory.now();
        if remembered.place != Place::Empty && remembered.place != Place::Primary {
            return Err(format!("{} is a part of a pool already", self.me.name).into());
        }
        if let Some(newest) = remembered.newest().filter(|c| c.holder != self.me.name) {
            return Err(
                format!("the pool has a primary already: {} holds epoch {}", newest.holder, newest.epoch).into()
            );
        }
        for site in &self.topology.sites {
            let made = Share::init(&site.share, &self.topology.pool.fqdn, &site.name, super::claims::SHARE).await;
            let share = made.map_err(said)?;
            share.probe().await.map_err(said)?;
            let known = self.read_share(&site.share).await?;
            if let Some(newest) = known.newest_claim().filter(|c| c.holder != self.me.name) {
                return Err(format!(
                    "the share of {} knows a primary: {} holds epoch {}",
                    site.name, newest.holder, newest.epoch
                )
                .into());
            }
        }
        if !self.instance.layout().pgdata().exists() {
            self.instance.init(segment_mib).await?;
        }
        self.learn_cluster().await?;
        if self.memory.now().epoch() == 0 {
            // A witness that never was before knows as little as one that lost its memory: here is told that there was nothing.
            self.remind_witness().await;
            for remote in self.remotes.values() {
                let _ = super::hear::ask_once(self, remote).await;
            }
            let claim = Claim {
                epoch: 1,
                holder: self.me.name.clone(),
                by: format!("created by {by}"),
                at: jiff::Timestamp::now(),
            };
            self.claim_first(&claim).await?;
        }
        let opening = Opening { epoch: 1, holder: self.me.name.clone(), timeline: 1, start: Lsn(0) };
        self.remember(|m| m.place = Place::Primary)?;
        self.open_timeline(&opening).await?;
        self.serve_now().await?;
        Ok(Obeyed::says(format!("{} is the primary of {}, under epoch 1", self.me.name, self.topology.pool.fqdn)))
    }

    /// Does the keeper's strokes now, with the turn already taken, until clients are let in.
    async fn serve_now(&self) -> Told<()> {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        loop {
            let note = self.keep_primary().await?;
            if self.instance.access().is_ok_and(|a| a == Access::Open) {
                return Ok(());
            }
            if tokio::time::Instant::now() > deadline {
                return Err(format!("it does not come to serve: {note}"));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The first claim of a pool. The witness needs to have heard of both instances of the site before it votes, so that it may take a moment.
    async fn claim_first(&self, claim: &Claim) -> Told<()> {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        loop {
            match self.claim(claim, false, false).await {
                Ok(_) => return Ok(()),
                Err(why) if tokio::time::Instant::now() > deadline => return Err(why),
                Err(_) => {
                    self.remind_witness().await;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    async fn obey_clone(&self, from: &str, upstream: Option<String>, fetch: Fetch) -> Result<Obeyed, StepError> {
        let remembered = self.memory.now();
        if self.is_holder(&remembered) {
            return Err(format!(
                "{} holds the newest epoch: its data is the pool's, and is not replaced",
                self.me.name
            )
            .into());
        }
        let source = self.upstream(from)?;
        let place = Place::Standby { upstream: upstream.clone(), fetch };
        // Not kept while it is copied: it has nothing to run with.
        self.remember(|m| m.place = Place::Empty)?;
        if self.instance.is_running() {
            self.instance.stop(Stop::Fast, STOPPING).await?;
        }
        let progress = |p: Progress| super::lock(&self.own).note = progress_note(&p);
        let cloned = self.instance.base_backup_from(&source, COPYING, &progress).await?;
        super::lock(&self.own).cluster = None;
        self.remember(|m| {
            m.place = place;
            m.copied_at = Some(jiff::Timestamp::now());
        })?;
        self.learn_cluster().await?;
        self.write_wal_file()?;
        self.keep_now().await?;
        let aside = cloned.moved_aside.map(|p| format!("; what was there before is in {}", p.display()));
        Ok(Obeyed::says(format!("copied from {from} and verified{}", aside.unwrap_or_default())))
    }

    async fn obey_follow(&self, upstream: Option<String>, fetch: Fetch) -> Result<Obeyed, StepError> {
        let remembered = self.memory.now();
        if remembered.place == Place::Empty {
            return Err(format!("{} has no data yet: clone it first", self.me.name).into());
        }
        if self.is_holder(&remembered) {
            return Err(format!("{} holds the newest epoch: it follows nobody", self.me.name).into());
        }
        if remembered.place == Place::Primary && self.instance.is_running() {
            return Err(format!("{} is a primary that runs: stop it first", self.me.name).into());
        }
        if remembered.place.is_primary()
            && !self.instance.starts_as_standby()
            && !self.instance.was_shut_down_cleanly().await?
        {
            return Err(format!("{} was a primary and was not stopped in order: rewind it first", self.me.name).into());
        }
        self.remember(|m| m.place = Place::Standby { upstream: upstream.clone(), fetch })?;
        self.write_wal_file()?;
        self.keep_now().await?;
        if upstream.is_none() {
            self.instance.receiver_off(ENDING).await?;
            return Ok(Obeyed::says("no stream is received"));
        }
        Ok(Obeyed::says(format!("following {}", upstream.unwrap_or_default())))
    }

    /// Does the keeper's next stroke now, with the turn already taken.
    pub(super) async fn keep_now(&self) -> Told<()> {
        if let Place::Standby { upstream, fetch } = self.memory.now().place {
            self.keep_standby(upstream.as_deref(), fetch).await?;
        }
        Ok(())
    }

    async fn obey_access(&self, to: Access) -> Result<Obeyed, StepError> {
        if to == Access::Open && !self.is_holder(&self.memory.now()) {
            return Err(format!("{} does not hold the newest epoch: clients are not let in", self.me.name).into());
        }
        self.instance.set_access(to, RELOAD).await?;
        Ok(Obeyed::says(format!("access is {to:?}").to_lowercase()))
    }

    async fn obey_stop(&self) -> Result<Obeyed, StepError> {
        let place = self.memory.now().place;
        match place {
            Place::Empty => return Err(format!("{} has no data yet", self.me.name).into()),
            Place::Stopped { .. } | Place::Fenced { .. } => {}
            other => self.remember(|m| m.place = Place::Stopped { was: Box::new(other) })?,
        }
        if self.instance.is_running() {
            if self.instance.access()? == Access::Open {
                self.instance.set_access(Access::Replication, RELOAD).await?;
            }
            self.instance.stop(Stop::Fast, STOPPING).await?;
        }
        let control = self.instance.control().await?;
        let details = json!({ "state": control.state, "checkpoint": control.checkpoint, "timeline": control.timeline });
        Ok(Obeyed { told: format!("stopped; its last checkpoint is at {}", control.checkpoint), details })
    }

    fn obey_start(&self) -> Result<Obeyed, StepError> {
        match self.memory.now().place {
            Place::Stopped { was } => {
                self.remember(|m| m.place = *was)?;
                Ok(Obeyed::says("it starts as what it was"))
            }
            Place::Fenced { why, .. } => Err(format!("it is {why}").into()),
            Place::Empty => Err(format!("{} has no data yet", self.me.name).into()),
            Place::Primary | Place::Standby { .. } => Ok(Obeyed::says("it runs, or is about to")),
        }
    }

    /// Ends the sessions of clients and answers how many there were; the door is closed before.
    pub(crate) async fn close_door(&self) -> Result<usize, StepError> {
        let _turn = self.turn.lock().await;
        self.instance.set_access(Access::Replication, RELOAD).await?;
        Ok(self.instance.terminate_clients(ENDING).await?)
    }

    /// Holds the turn while `work` changes PostgreSQL, so that the keeper does not at the same time.
    pub(crate) async fn with_turn<T, E>(&self, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let _turn = self.turn.lock().await;
        let done = work.await;
        self.look().await;
        done
    }
}

fn progress_note(progress: &Progress) -> String {
    match (progress.done, progress.total) {
        (Some(done), Some(total)) if total > 0 => {
            format!("{}: {} of {} MiB", progress.what, done >> 20, total >> 20)
        }
        (Some(done), _) => format!("{}: {} MiB", progress.what, done >> 20),
        _ => progress.what.clone(),
    }
}
