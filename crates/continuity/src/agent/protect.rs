//! The primary and its mirror: when commits wait for it, when the pool goes on without it, and when it counts again.
//!
//! The order is what makes it safe. To go on without the mirror: first it is put on record that the mirror must not be promoted, then commits stop
//! waiting. To count on it again: first commits wait for it, then a barrier is acknowledged, then it is put on record.

use super::{Agent, RELOAD, Told, lock, said};
use crate::register::Protection;
use crate::topology::MirrorLost;
use crate::witness::Ask;
use holdfast_instance::{Access, Dynamic, Server, Sync};
use std::time::{Duration, Instant};

/// For a mirror that has caught up to acknowledge a barrier.
const BARRIER: Duration = Duration::from_secs(5);
/// A mirror that is no further behind than this is close enough to be waited for.
const NEAR: u64 = 16 << 20;

/// What to do about a mirror.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Move {
    /// Nothing.
    Stay,
    /// Go on without it.
    Expose,
    /// Count on it again.
    Rejoin,
}

/// Decides, from what is on record, whether a mirror is wanted, whether it streams and is near, and for how long it has been away.
fn decide(protection: Protection, wanted: bool, near: bool, away: Duration, patience: Duration) -> Move {
    match protection {
        Protection::InSync if !wanted => Move::Expose,
        Protection::InSync if !near && away >= patience => Move::Expose,
        Protection::Exposed if wanted && near => Move::Rejoin,
        _ => Move::Stay,
    }
}

impl Agent {
    /// One stroke of the primary's keeper: the mirror, the door.
    pub(super) async fn protect(&self) -> Told<String> {
        let Some(server) = self.instance.status().await.server else {
            return Ok("PostgreSQL does not answer".to_owned());
        };
        let Some(primary) = server.primary else {
            return Ok("it is a standby although it holds the epoch: resume the procedure that promotes it".to_owned());
        };
        let remembered = self.memory.now();
        let mirror = self.roles().and_then(|r| r.mirror).map(|m| m.name.clone());
        let wanted = remembered.mirrored && mirror.is_some();
        let name = mirror.unwrap_or_default();
        let follower = server.followers.iter().find(|f| f.name == name && f.state == "streaming");
        let near = follower.is_some_and(|f| primary.written.since(f.flushed.unwrap_or_default()) < NEAR);
        let away = self.mirror_away(near);
        let patience = Duration::from_secs(self.topology.pool.expose_after_seconds);
        match decide(remembered.protection, wanted, near, away, patience) {
            Move::Stay => {}
            Move::Expose => {
                if let Err(why) = self.expose().await {
                    return Ok(format!("commits wait for the mirror {name}: {why}"));
                }
            }
            Move::Rejoin => self.rejoin(&name).await?,
        }
        self.open_if_acknowledged(&server).await?;
        Ok(match self.memory.now().protection {
            Protection::InSync if !near => format!("the mirror {name} is away; commits wait for it"),
            Protection::Exposed if wanted => {
                format!("exposed: the mirror {name} is away, and what is acknowledged is on one machine only")
            }
            Protection::Exposed => "exposed: there is no mirror".to_owned(),
            Protection::InSync => String::new(),
        })
    }

    fn mirror_away(&self, near: bool) -> Duration {
        let mut own = lock(&self.own);
        if near {
            own.mirror_away = None;
            return Duration::ZERO;
        }
        own.mirror_away.get_or_insert_with(Instant::now).elapsed()
    }

    /// Puts it on record that the pool goes on without its mirror, and only then does.
    pub(crate) async fn expose(&self) -> Told<()> {
        self.record(Protection::Exposed).await?;
        self.instance.set(&Dynamic { upstream: None, sync: Sync::None }, RELOAD).await.map_err(said)?;
        tracing::warn!("exposed: commits wait for no mirror");
        Ok(())
    }

    /// Makes commits wait for the mirror, and counts on it when it has everything.
    pub(crate) async fn rejoin(&self, mirror: &str) -> Told<()> {
        let wanted = Dynamic { upstream: None, sync: Sync::Named(mirror.to_owned()) };
        self.instance.set(&wanted, RELOAD).await.map_err(said)?;
        let barrier = self.instance.barrier(BARRIER).await.map_err(said)?;
        if !barrier.is_acknowledged() {
            self.instance.set(&Dynamic { upstream: None, sync: Sync::None }, RELOAD).await.map_err(said)?;
            return Err(format!("the mirror {mirror} did not acknowledge a barrier within {} s", BARRIER.as_secs()));
        }
        self.record(Protection::InSync).await?;
        tracing::info!(mirror, "in sync: commits wait for the mirror");
        Ok(())
    }

    /// Puts the protection on record: with the witness, if there is one, and here.
    async fn record(&self, protection: Protection) -> Told<()> {
        let (epoch, holder) = (self.memory.now().epoch(), self.me.name.clone());
        match &self.witness {
            Some(witness) => {
                let ask = Ask::Protection { epoch, holder, protection };
                let answered =
                    witness.ask(&ask).await.map_err(|e| format!("the witness has to record it first: {e}"))?;
                if let Some(refused) = answered.refused {
                    return Err(format!("the witness refuses to record it: {refused}"));
                }
            }
            None if protection == Protection::Exposed
                && self.topology.pool.mirror_lost == MirrorLost::Wait
                && self.memory.now().mirrored =>
            {
                return Err(
                    "the pool is set to wait for it, and there is no witness to record that it goes on".to_owned()
                );
            }
            None => {}
        }
        self.remember(|m| m.protection = protection)
    }

    /// Lets clients in once a commit of this primary's own has been acknowledged.
    async fn open_if_acknowledged(&self, server: &Server) -> Told<()> {
        if self.instance.access().map_err(said)? == Access::Open || server.primary.is_none() {
            return Ok(());
        }
        let barrier = self.instance.barrier(Duration::from_millis(500)).await.map_err(said)?;
        let exposed = self.memory.now().protection == Protection::Exposed;
        if barrier.is_acknowledged() || (exposed && matches!(barrier, holdfast_instance::Barrier::Exposed(_))) {
            self.instance.set_access(Access::Open, RELOAD).await.map_err(said)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN: Duration = Duration::from_secs(10);

    #[test]
    fn a_lost_mirror_is_waited_for_before_the_pool_goes_on_without_it() {
        let lost = |away| decide(Protection::InSync, true, false, Duration::from_secs(away), TEN);
        assert_eq!((lost(0), lost(9), lost(10)), (Move::Stay, Move::Stay, Move::Expose));
        assert_eq!(decide(Protection::InSync, true, true, Duration::ZERO, TEN), Move::Stay);
        assert_eq!(decide(Protection::Exposed, true, true, Duration::ZERO, TEN), Move::Rejoin);
        assert_eq!(decide(Protection::Exposed, true, false, TEN, TEN), Move::Stay);
        assert_eq!(decide(Protection::Exposed, false, true, TEN, TEN), Move::Stay, "nobody asked for a mirror");
        assert_eq!(decide(Protection::InSync, false, true, TEN, TEN), Move::Expose, "it was removed");
    }
}
