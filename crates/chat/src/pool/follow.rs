//! Following what the other servers write and tell.
//!
//! A hint says that a log has grown; what is missing is read from the log and handed out as this server's own entries are. A hint may be
//! lost, so the ends of all logs are looked at every second as well, and at once when hearing began anew. An end that is *before* what
//! was handed out means that the database was replaced by one that had not everything; then all is read anew.

use super::Pooled;
use super::carry::Carried;
use super::peers::Told;
use super::signal::{self, By, How, Signal, There};
use crate::caller::Means;
use crate::error::ChatError;
use crate::event::{Bye, Event};
use crate::hub::Published;
use crate::service::{Chat, load};
use crate::view::Person;
use holdfast_domain::{PrincipalId, RoomId, Seq, Time};
use holdfast_store::StoreError;
use holdfast_store::log::From;
use holdfast_store::personal::Invitation;
use holdfast_store::pool::{Condition, Heard, Pool, Preserved};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use uuid::Uuid;

/// Entries read at a time.
const PAGE: usize = 500;
/// Logs read at the same time.
const AT_ONCE: usize = 4;
/// How often the ends of all logs are looked at, if that takes no more than a hundredth of the time.
const SWEEP: Duration = Duration::from_secs(1);
/// But at least this often.
const SWEEP_MOST: Duration = Duration::from_secs(30);
/// Messages taken together.
const HEARD_AT_ONCE: usize = 256;

impl Chat {
    /// Hears the others until the service stops.
    pub(crate) async fn follow_others(self) {
        let (Some(pooled), Some(pool)) = (&self.inner.pooled, self.store().pool()) else { return };
        let mut heard = pool.listen();
        let mut open = true;
        let mut sweep_at = Instant::now() + SWEEP;
        let mut trouble = false;
        loop {
            let mut rooms: BTreeSet<RoomId> = BTreeSet::new();
            let mut sweep = false;
            tokio::select! {
                first = heard.recv(), if open => match first {
                    Some(first) => sweep = self.hear(pooled, first, &mut heard, &mut rooms).await,
                    None => open = false,
                },
                () = pooled.some_behind.notified() => {}
                () = tokio::time::sleep_until(sweep_at) => sweep = true,
                () = self.inner.stopping.cancelled() => return,
            }
            rooms.extend(std::mem::take(&mut *pooled.behind.lock().unwrap_or_else(PoisonError::into_inner)));
            let outcome = if pool.condition() == Condition::OtherEpoch {
                self.begin_anew(pooled, pool, None).await
            } else if sweep {
                self.sweep().await
            } else {
                self.catch_up_with(rooms).await
            };
            if sweep {
                let took = *pooled.sweep_took.lock().unwrap_or_else(PoisonError::into_inner);
                sweep_at = Instant::now() + (took * 100).clamp(SWEEP, SWEEP_MOST);
            }
            match outcome {
                Ok(()) => trouble = false,
                Err(error) => {
                    if !std::mem::replace(&mut trouble, true) {
                        tracing::warn!(%error, "cannot read what the other servers wrote; will try again");
                    }
                    // What was hinted at is not lost: the next look at all ends finds it.
                    sweep_at = sweep_at.min(Instant::now() + SWEEP);
                }
            }
        }
    }

    /// Takes in a message and those that wait behind it: notes which logs have grown, and whether all are to be looked at.
    async fn hear(
        &self,
        pooled: &Pooled,
        first: Heard,
        more: &mut mpsc::Receiver<Heard>,
        rooms: &mut BTreeSet<RoomId>,
    ) -> bool {
        let mut sweep = false;
        let mut ends: BTreeMap<RoomId, Seq> = BTreeMap::new();
        let mut told = Vec::new();
        let mut next = Some(first);
        for _ in 0..HEARD_AT_ONCE {
            match next {
                Some(Heard::Entries(list)) => {
                    for (room, seq) in list {
                        let end = ends.entry(room).or_insert(seq);
                        *end = seq.max(*end);
                    }
                }
                Some(Heard::Signal(run, n, text)) => told.push((run, n, text)),
                Some(Heard::Listening) => {
                    sweep = true;
                    missed(pooled);
                }
                Some(Heard::Deaf) => {
                    tracing::info!("the other servers cannot be heard; the logs are read all the same");
                }
                None => break,
            }
            next = more.try_recv().ok();
        }
        rooms.extend(ends.into_iter().filter(|(room, seq)| self.hub().published(*room) < *seq).map(|(room, _)| room));
        for (run, n, text) in told {
            let told = pooled.peers().hear(run, n, signal::read(&text), Instant::now());
            self.take_in(pooled, run, told).await;
        }
        sweep
    }

    /// Looks up what can be known otherwise of what the others told, whenever something of it was missed, until the service stops.
    pub(crate) async fn make_up_for_missed(self) {
        let Some(pooled) = &self.inner.pooled else { return };
        loop {
            tokio::select! {
                () = pooled.some_missed.notified() => {}
                () = self.inner.stopping.cancelled() => return,
            }
            let outcome = match self.reload_all_announcing().await {
                Ok(()) => self.recheck_means().await.map_err(ChatError::from),
                Err(error) => Err(error),
            };
            if let Err(error) = outcome {
                tracing::debug!(%error, "cannot look what the other servers may have told; will try again");
                tokio::time::sleep(SWEEP).await;
                pooled.some_missed.notify_one();
            }
        }
    }

    async fn take_in(&self, pooled: &Pooled, run: Uuid, told: Told) {
        pooled.teller.set_others(true);
        if told.missed {
            missed(pooled);
        }
        let mut places: Vec<(RoomId, PrincipalId)> = told.whole.iter().flatten().map(|t| (t.room, t.user)).collect();
        for told in &told.signals {
            if let Signal::Presence { came, over_xmpp, .. } = told {
                places.extend(came.iter().chain(over_xmpp));
            }
        }
        let people = self.people_at(&places).await;
        let known = |list: Vec<There>| -> Vec<(RoomId, Person, How)> {
            let known = |There { room, user, how }| Some((room, people.get(&user)?.clone(), how));
            list.into_iter().filter_map(known).collect()
        };
        if let Some(whole) = told.whole {
            self.hub().all_elsewhere(run, known(whole));
        }
        for told in told.signals {
            match told {
                Signal::Presence { came, over_xmpp, went } => {
                    self.hub().elsewhere(run, known(There::all(&came, &over_xmpp)), &went);
                }
                Signal::Gone => {
                    self.hub().all_elsewhere(run, Vec::new());
                    pooled.peers().forget(run);
                    pooled.hand(Carried::Gone { run });
                    pooled.beat_now.notify_one();
                }
                Signal::Hello => {
                    pooled.teller.tell_all();
                    pooled.hand(Carried::Asked);
                }
                Signal::Carried(text, _) => pooled.hand(Carried::Said { run, text }),
                Signal::Active => pooled.beat_now.notify_one(),
                other => self.pass_on(other).await,
            }
        }
    }

    /// Those of these people who can be in these rooms, with their names.
    async fn people_at(&self, places: &[(RoomId, PrincipalId)]) -> HashMap<PrincipalId, Person> {
        let unknown = |chat: &Chat| {
            let directory = chat.directory();
            let is_known = |(room, user): &(RoomId, PrincipalId)| {
                directory.room(*room).is_some() && directory.user(*user).is_some()
            };
            !places.iter().all(is_known)
        };
        // Somebody whom this server has not heard of yet was told of before the entry that made him.
        if unknown(self)
            && let Err(error) = self.sweep().await
        {
            tracing::debug!(%error, "cannot read who it is that came into a room on another server");
        }
        let directory = self.directory();
        let there = places.iter().filter(|(room, _)| directory.room(*room).is_some());
        there.map(|(_, user)| (*user, Person::of(&directory, *user))).collect()
    }

    /// Tells those who are connected here what another server told.
    async fn pass_on(&self, told: Signal) {
        match told {
            Signal::Typing(people) => {
                for (room, user) in people {
                    let person = Person::of(&self.directory(), user);
                    self.hub().tell_room(room, Event::Typing { room, person }, None);
                }
            }
            Signal::Read(user, room, seq, unread, mentions) => {
                self.hub().tell_user(user, Event::Read { room, seq, unread, mentions });
            }
            Signal::Rooms(users) => users.into_iter().for_each(|user| self.hub().tell_user(user, Event::RoomsChanged)),
            Signal::Invited(id, user, room, by, at) => self.tell_invited(id, user, room, by, at),
            Signal::Feeds(users) => {
                for user in users {
                    if let Err(error) = self.reload_announcing(user).await {
                        tracing::warn!(%error, %user, "cannot read feeds that were changed on another server");
                    }
                }
            }
            Signal::Said(text) => self.say_to_all(text),
            Signal::Ended(user, means, but) => self.hub().end(user, means.map(Means::from), but.map(Means::from)),
            Signal::Hello
            | Signal::Gone
            | Signal::Active
            | Signal::Presence { .. }
            | Signal::Whole { .. }
            | Signal::Carried(..) => {}
        }
    }

    fn tell_invited(&self, id: i64, user: PrincipalId, room: RoomId, by: PrincipalId, at: Time) {
        let (room_name, by_whom) = {
            let directory = self.directory();
            let Some(state) = directory.room(room) else { return };
            (state.room.name.to_string(), Person::of(&directory, by))
        };
        let invitation = Invitation { id, user, room, by, at, seen: false };
        self.hub().tell_user(user, Event::Invited { invitation, room_name, by: by_whom });
    }

    /// Ends connections whose sign-in or token is not there any more: that it was ended may have been told while nobody here heard it.
    async fn recheck_means(&self) -> Result<(), StoreError> {
        for (user, means) in self.hub().means() {
            // Numbers of the store begin at 1.
            let (mut sign_ins, mut tokens) = (BTreeSet::new(), BTreeSet::new());
            for means in means {
                match means {
                    Means::SignIn(id) if id > 0 => drop(sign_ins.insert(id)),
                    Means::Token(id) if id > 0 => drop(tokens.insert(id)),
                    _ => {}
                }
            }
            if !sign_ins.is_empty() {
                let there = self.store().sign_ins(user, self.now()).await?;
                sign_ins.retain(|id| !there.iter().any(|s| s.id == *id));
            }
            if !tokens.is_empty() {
                let there = self.store().tokens(user).await?;
                tokens.retain(|id| !there.iter().any(|t| t.id == *id));
            }
            for gone in sign_ins.into_iter().map(Means::SignIn).chain(tokens.into_iter().map(Means::Token)) {
                self.hub().end(user, Some(gone), None);
            }
        }
        Ok(())
    }

    /// Looks at the ends of all logs, and hands out what is missing.
    pub(crate) async fn sweep(&self) -> Result<(), StoreError> {
        let began = Instant::now();
        let heads: Vec<(RoomId, Seq)> =
            self.store().heads().await?.into_iter().map(|(room, head)| (room, head.seq)).collect();
        let (behind, ahead) = self.hub().compare(&heads);
        if let Some(pooled) = &self.inner.pooled {
            *pooled.sweep_took.lock().unwrap_or_else(PoisonError::into_inner) = began.elapsed();
        }
        self.catch_up_with(behind).await?;
        for room in ahead {
            // What was handed out meanwhile may be later than what was looked at before; looked at in this order it cannot.
            let published = self.hub().published(room);
            let head = self.store().head(room).await?.seq;
            let deleted = head == Seq::ZERO && self.directory().room(room).is_none() && room != RoomId::POOL;
            if head >= published || deleted {
                continue;
            }
            return match (&self.inner.pooled, self.store().pool()) {
                (Some(pooled), Some(pool)) => self.begin_anew(pooled, pool, Some(room)).await,
                _ => Ok(()),
            };
        }
        Ok(())
    }

    /// Hands out what is missing of some logs: that of the pool first, since it says who may do what in the others.
    async fn catch_up_with(&self, rooms: impl IntoIterator<Item = RoomId>) -> Result<(), StoreError> {
        let mut reading: JoinSet<Result<(), StoreError>> = JoinSet::new();
        let mut outcome = Ok(());
        for room in rooms {
            if room == RoomId::POOL {
                self.catch_up(room).await?;
                continue;
            }
            while reading.len() >= AT_ONCE
                && let Some(read) = reading.join_next().await
            {
                outcome = outcome.and(read.unwrap_or(Ok(())));
            }
            let chat = self.clone();
            reading.spawn(async move { chat.catch_up(room).await });
        }
        while let Some(read) = reading.join_next().await {
            outcome = outcome.and(read.unwrap_or(Ok(())));
        }
        outcome
    }

    /// Hands out what is missing of a log.
    pub(crate) async fn catch_up(&self, room: RoomId) -> Result<(), StoreError> {
        let _order = self.handing(room).await;
        loop {
            let last = self.hub().published(room);
            let page = self.store().page(room, From::After(last), PAGE).await?;
            if page.rows.is_empty() {
                return Ok(());
            }
            // Looked at after the page: what another database has under these numbers does not follow what was handed out.
            self.same_epoch().await?;
            for row in page.rows {
                if let Published::MissingAfter(last) = self.hand_out_next(row) {
                    tracing::error!(%room, %last, "entries are missing in the log");
                    return Ok(());
                }
            }
            if !page.more_after {
                return Ok(());
            }
        }
    }

    /// Reads everything anew, because the database is not the one from which it was read, and only then writes to it. That shows by its
    /// epoch, or by the log of a room that has not all that was handed out.
    async fn begin_anew(&self, pooled: &Pooled, pool: &dyn Pool, lost: Option<RoomId>) -> Result<(), StoreError> {
        let mut order = Vec::new();
        for handing in &self.inner.handing {
            order.push(handing.lock().await);
        }
        // Looked at once more, since it may have been done by somebody else meanwhile.
        let needed = match lost {
            Some(room) => {
                let published = self.hub().published(room);
                // Of all ends together, since those are read from the server that takes writes; a standby that is read meanwhile may be behind.
                let heads = self.store().heads().await?;
                let head = heads.iter().find(|(id, _)| *id == room).map_or(Seq::ZERO, |(_, head)| head.seq);
                if head < published {
                    tracing::error!(%room, %published, %head, "the database has lost entries that were handed out");
                }
                head < published
            }
            None => pool.state().await?.0.epoch != self.hub().epoch(),
        };
        if !needed {
            return Ok(());
        }
        loop {
            let epoch = pool.state().await?.0.epoch;
            if epoch < self.hub().epoch() {
                // Says so; what was read from a later one stays in hand.
                pool.adopt_epoch().await?;
            }
            let loaded = load(self.store()).await?;
            let servers = pooled.known().active_addresses();
            *self.inner.directory.write().unwrap_or_else(PoisonError::into_inner) = loaded.directory;
            *self.inner.announcing.write().unwrap_or_else(PoisonError::into_inner) = loaded.announcing;
            self.inner.revision.store(-1, Ordering::Release);
            self.hub().begin_anew(loaded.heads, epoch, &Bye::Moved { servers });
            // Should it have been replaced once more meanwhile, what was read may be of both.
            if pool.adopt_epoch().await? == epoch {
                tracing::warn!(epoch, "everything was read anew from another database; all connections begin anew");
                return Ok(());
            }
        }
    }

    /// Demands that the database is still the one from which everything was read.
    pub(crate) async fn same_epoch(&self) -> Result<(), StoreError> {
        let Some(pool) = self.store().pool() else { return Ok(()) };
        let ((there, _), here) = (pool.preserved(Vec::new()).await?, self.hub().epoch());
        if there == here {
            return Ok(());
        }
        Err(StoreError::Away { why: format!("it is at epoch {there}, and what this server has read is of {here}") })
    }

    /// What is still so of what somebody has read of logs, with the epoch under which; and the present epoch, 0 without a pool.
    pub(crate) async fn preserved(&self, read: &[(RoomId, i64)]) -> Result<(i64, Vec<Preserved>), StoreError> {
        let Some(pool) = self.store().pool() else {
            let kept = |(_, epoch): &(RoomId, i64)| if *epoch == 0 { Preserved::All } else { Preserved::Unknown };
            return Ok((0, read.iter().map(kept).collect()));
        };
        let (there, kept) = pool.preserved(read.to_vec()).await?;
        // Until everything is read anew, what is handed out is not what the answer speaks of.
        if there != self.hub().epoch() {
            let why = format!("it is at epoch {there}, and this server is still reading it anew");
            return Err(StoreError::Away { why });
        }
        Ok((there, kept))
    }

    /// Has an entry handed out by the task that follows the others, because it comes after some that this server has not read yet. Whether
    /// there is such a task.
    pub(crate) fn hand_out_later(&self, room: RoomId) -> bool {
        let Some(pooled) = self.inner.pooled.as_ref().filter(|pooled| pooled.joins) else { return false };
        pooled.behind.lock().unwrap_or_else(PoisonError::into_inner).insert(room);
        pooled.some_behind.notify_one();
        true
    }

    /// Makes sure that this server has handed out a room's log as far as somebody who comes from another server has it.
    pub(crate) async fn reach(&self, room: RoomId, seq: Seq) -> Result<(), StoreError> {
        if self.in_pool() && self.hub().published(room) < seq {
            self.catch_up(room).await?;
        }
        Ok(())
    }
}

/// Something that the others told was missed.
fn missed(pooled: &Pooled) {
    pooled.teller.tell(Signal::Hello);
    pooled.teller.tell_all();
    pooled.some_missed.notify_one();
    // What was said here may have been missed as well.
    pooled.hand(Carried::Missed);
    pooled.hand(Carried::Asked);
}

impl std::convert::From<By> for Means {
    fn from(by: By) -> Means {
        match by {
            By::SignIn(id) => Means::SignIn(id),
            By::Token(id) => Means::Token(id),
        }
    }
}

impl By {
    /// What the others are told of it; the operator of a machine is connected to that machine only.
    pub(crate) fn of(means: Means) -> Option<By> {
        match means {
            Means::SignIn(id) => Some(By::SignIn(id)),
            Means::Token(id) => Some(By::Token(id)),
            Means::Password(_) | Means::Operator => None,
        }
    }
}
