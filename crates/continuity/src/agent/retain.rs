//! Old log goes from the shares: when, how much, and who lets it go.
//!
//! The agent of the primary does, and nobody else: by itself once a day, and when it is told to. Log that was deleted is missed only when it is needed, so
//! every doubt keeps it: every other instance is asked from where on it would need log again, and the one that gives no answer may need all of it; so may
//! one that was left behind by a failover. While a procedure is not over nothing goes, and on a share that knows of a newer epoch neither.
//! [`holdfast_wal::retention`] says which objects.

use super::claims::Confirmed;
use super::state::Place;
use super::{Agent, Told, lock, said};
use crate::procedure::failpoint;
use crate::wire::Remote;
use futures_util::future::join_all;
use holdfast_wal::Lsn;
use holdfast_wal::retention::{self, Keep};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// From the agent's start to the first attempt: the others are to be there, and clients first.
const FIRST: Duration = Duration::from_secs(600);
/// The same where a test cannot wait.
const SOON: Duration = Duration::from_secs(2);
/// Between two attempts that went well.
const EVERY: Duration = Duration::from_secs(24 * 3_600);
/// After one at which something kept everything, or while somebody else is primary.
const AGAIN: Duration = Duration::from_secs(3_600);
/// For an agent to say what its instance needs.
const ASKING: Duration = Duration::from_secs(10);

/// From where on an instance needs log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "needs")]
pub enum Need {
    /// It has no data yet, and will be copied whole.
    Nothing,
    /// From this position, where it would begin if it were started again.
    From {
        /// The position.
        at: Lsn,
    },
    /// Nobody can tell: perhaps all of it.
    Unknown {
        /// Why.
        why: String,
    },
}

/// What an agent answers when it is asked for what must stay.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Needs {
    /// Of its instance.
    pub log: Need,
    /// The procedure that it carries out and that is not over.
    pub operation: Option<String>,
}

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct PruneOptions {
    /// Keep what is younger than so many days; `None`: as many as the topology says.
    pub days: Option<u32>,
    /// Only say what would be done.
    pub what_if: bool,
}

/// What was done, or would be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Pruned {
    /// Whether nothing was done.
    pub what_if: bool,
    /// Younger than so many days stays.
    pub days: u32,
    /// From the segment of this position on, and some before it, everything stays: somebody needs it.
    pub needed_from: Lsn,
    /// The shares.
    pub shares: Vec<PrunedShare>,
}

/// What was done on one share.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PrunedShare {
    /// Which.
    pub share: String,
    /// The objects that were to go, oldest first.
    pub objects: Vec<String>,
    /// Their size as stored, in bytes.
    pub bytes: u64,
    /// So many of them went.
    pub deleted: usize,
    /// Why none of them, or no more of them, went.
    pub kept: Option<String>,
}

/// What became of the last attempt that the agent made by itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Retained {
    /// When.
    pub at: Timestamp,
    /// So many objects went.
    pub deleted: usize,
    /// Why nothing, or not everything, went.
    pub kept: Option<String>,
}

/// From where on an instance needs log, by what it is to be and by its control file. What does not hold the newest epoch and was a primary has log that
/// nobody else has, and what it will need when it follows again is known only then.
fn need_of(place: &Place, holds: bool, redo: Told<Lsn>) -> Need {
    match place {
        Place::Empty => Need::Nothing,
        Place::Fenced { .. } => Need::Unknown { why: "it was left behind as a primary: make it follow again".into() },
        place if place.is_primary() && !holds => {
            Need::Unknown { why: "it was a primary and does not hold the newest epoch".into() }
        }
        _ => match redo {
            Ok(at) => Need::From { at },
            Err(why) => Need::Unknown { why },
        },
    }
}

/// From where on everything has to stay, by what each instance said; or why nothing may go.
fn needed_from(said: &[(String, Told<Needs>)]) -> Told<Lsn> {
    let mut from = None;
    for (name, needs) in said {
        let needs = needs.as_ref().map_err(|why| format!("{name} cannot be asked what it needs: {why}"))?;
        if let Some(operation) = &needs.operation {
            return Err(format!("{operation} is not over on {name}: resume or abort it"));
        }
        match &needs.log {
            Need::Nothing => {}
            Need::From { at } => from = Some(from.map_or(*at, |from: Lsn| from.min(*at))),
            Need::Unknown { why } => return Err(format!("{name} may need all of it: {why}")),
        }
    }
    from.ok_or_else(|| "nobody has data, so nobody can say from where on the log is needed".to_owned())
}

impl Agent {
    /// What must stay for this instance.
    pub(crate) async fn needs(&self) -> Needs {
        let remembered = self.memory.now();
        let redo = self.instance.control().await.map(|c| c.redo).map_err(said);
        let open = self.operations.view().filter(|v| !v.state.is_over());
        Needs {
            log: need_of(&remembered.place, self.is_holder(&remembered), redo),
            operation: open.map(|v| format!("{} (begun by {} at {})", v.title, v.by, v.begun)),
        }
    }

    /// Lets old log go from the shares, or says what would.
    ///
    /// # Errors
    /// Why nothing goes, as a sentence.
    pub(crate) async fn prune(&self, options: PruneOptions) -> Told<Pruned> {
        let Ok(_only) = self.pruning.try_lock() else {
            return Err("old log is being let go just now: wait until that is done".to_owned());
        };
        let days = options.days.unwrap_or(self.topology.pool.retention_days);
        if days == 0 {
            return Err("the topology keeps everything (`retention_days = 0`); say --days to let some go".to_owned());
        }
        let kept = |why: String| format!("nothing goes: {why}");
        if !self.is_holder(&self.memory.now()) {
            return Err(kept(format!("{} does not hold the newest epoch", self.me.name)));
        }
        match self.confirm_epoch().await {
            Confirmed::Ours(_) => {}
            Confirmed::Theirs(claim) => {
                return Err(kept(format!("{} holds epoch {}", claim.holder, claim.epoch)));
            }
            Confirmed::NobodySays(troubles) => {
                return Err(kept(format!("nobody confirms that {} holds the newest epoch: {troubles}", self.me.name)));
            }
        }
        let epoch = self.memory.now().epoch();
        let from = needed_from(&self.ask_needs().await).map_err(kept)?;
        let keep = Keep { from: Some(from), days, ..Keep::default() };
        let mut shares = Vec::new();
        for site in &self.topology.sites {
            let pruned = self.prune_share(&site.share, &keep, epoch, options.what_if).await;
            shares.push(pruned.unwrap_or_else(|why| PrunedShare {
                share: site.share.clone(),
                objects: Vec::new(),
                bytes: 0,
                deleted: 0,
                kept: Some(why),
            }));
        }
        Ok(Pruned { what_if: options.what_if, days, needed_from: from, shares })
    }

    async fn ask_needs(&self) -> Vec<(String, Told<Needs>)> {
        let ask = |remote: Arc<Remote>| async move {
            let needs = remote.get("/v1/shipping/needs", ASKING).await.map_err(said);
            (remote.name().to_owned(), needs)
        };
        let mut all = join_all(self.remotes.values().map(|remote| ask(Arc::clone(remote)))).await;
        all.push((self.me.name.clone(), Ok(self.needs().await)));
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }

    async fn prune_share(&self, location: &str, keep: &Keep, epoch: u64, what_if: bool) -> Told<PrunedShare> {
        let (system, size) = self.cluster()?;
        let share = self.share(location).await.map_err(said)?;
        let listed = retention::look(&share).await.map_err(said)?;
        let plan = retention::plan(&listed, system, size, keep, Timestamp::now());
        let forbidden = retention::forbidden(&share, epoch).await.map_err(said)?;
        let mut pruned = PrunedShare {
            share: location.to_owned(),
            objects: plan.delete.clone(),
            bytes: plan.bytes,
            deleted: 0,
            kept: plan.blocked.clone().or(forbidden),
        };
        if what_if || pruned.kept.is_some() || plan.delete.is_empty() {
            return Ok(pruned);
        }
        match retention::apply(&share, &plan, epoch).await {
            Ok(applied) => (pruned.deleted, pruned.kept) = (applied.deleted, applied.stopped),
            // Some of it may have gone; the next attempt sees what is there then.
            Err(error) => pruned.kept = Some(said(error)),
        }
        tracing::info!(share = location, objects = pruned.deleted, days = keep.days, "old log was let go");
        Ok(pruned)
    }
}

/// What the agent remembers of an attempt.
fn outcome(pruned: &Told<Pruned>, at: Timestamp) -> Retained {
    match pruned {
        Ok(pruned) => Retained {
            at,
            deleted: pruned.shares.iter().map(|s| s.deleted).sum(),
            kept: pruned.shares.iter().find_map(|s| Some(format!("{}: {}", s.share, s.kept.as_ref()?))),
        },
        Err(why) => Retained { at, deleted: 0, kept: Some(why.clone()) },
    }
}

/// Lets old log go by itself, while this instance is the primary.
pub(super) async fn retain_for_ever(agent: Arc<Agent>) {
    if agent.topology.pool.retention_days == 0 {
        return;
    }
    let soon = failpoint::is_wanted("retain.soon");
    let mut wait = if soon { SOON } else { FIRST };
    loop {
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = agent.shutdown.cancelled() => return,
        }
        wait = if soon { SOON } else { AGAIN };
        if !agent.is_holder(&agent.memory.now()) {
            lock(&agent.own).retained = None;
            continue;
        }
        // One object goes at a time: whatever is dropped at the end is whole.
        let pruned = tokio::select! {
            pruned = agent.prune(PruneOptions::default()) => pruned,
            () = agent.shutdown.cancelled() => return,
        };
        let retained = outcome(&pruned, Timestamp::now());
        match &retained.kept {
            Some(why) => tracing::warn!("old log stays on the shares: {why}"),
            None => wait = EVERY,
        }
        lock(&agent.own).retained = Some(retained);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(log: Need) -> Told<Needs> {
        Ok(Needs { log, operation: None })
    }

    fn from(said: Vec<(&str, Told<Needs>)>) -> Told<Lsn> {
        needed_from(&said.into_iter().map(|(name, needs)| (name.to_owned(), needs)).collect::<Vec<_>>())
    }

    #[test]
    fn the_farthest_behind_decides() {
        let at = |n| needs(Need::From { at: Lsn(n) });
        assert_eq!(
            from(vec![("a1", at(90)), ("a2", at(80)), ("b1", at(40)), ("b2", needs(Need::Nothing))]),
            Ok(Lsn(40))
        );
        assert!(from(vec![("b2", needs(Need::Nothing))]).is_err());
    }

    /// F36, and whoever is away: what is not known counts as needed.
    #[test]
    fn f36_every_doubt_keeps_everything_and_is_said() {
        let at = |n| needs(Need::From { at: Lsn(n) });
        let silent = from(vec![("a1", at(90)), ("b1", Err("no answer".into()))]).unwrap_err();
        assert!(silent.contains("b1 cannot be asked") && silent.contains("no answer"), "{silent}");
        let unknown = from(vec![("a1", at(90)), ("b1", needs(Need::Unknown { why: "it is torn".into() }))]);
        assert!(unknown.unwrap_err().contains("b1 may need all of it: it is torn"));
        let busy = Ok(Needs { log: Need::From { at: Lsn(90) }, operation: Some("failover to bos".into()) });
        assert!(from(vec![("a1", at(90)), ("b1", busy)]).unwrap_err().contains("failover to bos is not over on b1"));
    }

    #[test]
    fn what_was_a_primary_and_was_left_behind_may_need_everything() {
        let fenced = Place::Fenced { held: 1, why: "x".into() };
        let stopped = |was| Place::Stopped { was: Box::new(was) };
        let standby = Place::Standby { upstream: None, fetch: super::super::state::Fetch::Follow };
        let need = |place: &Place, holds| need_of(place, holds, Ok(Lsn(7)));
        assert_eq!(need(&Place::Empty, false), Need::Nothing);
        assert_eq!(need(&standby, false), Need::From { at: Lsn(7) });
        assert_eq!(need(&stopped(standby.clone()), false), Need::From { at: Lsn(7) });
        assert_eq!(need(&Place::Primary, true), Need::From { at: Lsn(7) });
        for left in [fenced, Place::Primary, stopped(Place::Primary)] {
            assert!(matches!(need(&left, false), Need::Unknown { .. }), "{left:?}");
        }
        assert!(matches!(need_of(&standby, false, Err("torn".into())), Need::Unknown { .. }));
    }

    #[test]
    fn an_attempt_is_remembered_with_what_kept_it() {
        let share = |kept: Option<&str>| PrunedShare {
            share: "/srv/bos".into(),
            objects: vec!["a".into(), "b".into()],
            bytes: 2,
            deleted: 1,
            kept: kept.map(str::to_owned),
        };
        let pruned =
            |kept| Ok(Pruned { what_if: false, days: 30, needed_from: Lsn(1), shares: vec![share(None), share(kept)] });
        let at = Timestamp::UNIX_EPOCH;
        assert_eq!(outcome(&pruned(None), at), Retained { at, deleted: 2, kept: None });
        assert_eq!(outcome(&pruned(Some("away")), at).kept.unwrap(), "/srv/bos: away");
        assert_eq!(outcome(&Err("no".into()), at), Retained { at, deleted: 0, kept: Some("no".into()) });
    }
}
