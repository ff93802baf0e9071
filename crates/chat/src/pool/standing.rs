//! What a server is to its pool, and how that follows from the list of active servers.

use super::view::Standing;
use holdfast_store::pool::{PoolState, Server};
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

/// How often a server says that it is there.
pub(crate) const BEAT: Duration = Duration::from_secs(2);
/// A server that has not been heard of for this long is silent: nobody is on it, and another may have its name.
pub(crate) const STALE: Duration = Duration::from_secs(10);

/// What this server is to the pool.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Post {
    pub(crate) standing: Standing,
    /// While it drains: until when those who are connected may stay.
    pub(crate) until: Option<Instant>,
}

impl Post {
    /// Of a server that takes no clients.
    pub(crate) const STANDBY: Post = Post { standing: Standing::Standby, until: None };

    /// What it is now: `listed` among the active servers or not, somebody `connected` or not, having `drain` time for those who are.
    pub(crate) fn next(self, listed: bool, connected: bool, now: Instant, drain: Duration) -> Post {
        if listed {
            return Post { standing: Standing::Active, until: None };
        }
        if !connected {
            return Post::STANDBY;
        }
        match (self.standing, self.until) {
            (Standing::Active, _) => Post { standing: Standing::Draining, until: Some(now + drain) },
            (Standing::Draining, Some(until)) if until > now => self,
            _ => Post::STANDBY,
        }
    }
}

/// The pool as it was last heard of.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) post: Post,
    pub(crate) state: PoolState,
    pub(crate) servers: Vec<Server>,
}

impl Known {
    pub(crate) fn nothing() -> Known {
        Known { post: Post::STANDBY, state: PoolState::default(), servers: Vec::new() }
    }

    /// Where clients reach the active servers that answer, in the order of the list.
    pub(crate) fn active_addresses(&self) -> Vec<String> {
        let alive = self.state.active.iter().filter_map(|name| self.servers.iter().find(|s| s.beat.name == *name));
        alive.filter(|s| is_alive(s)).map(|s| s.beat.address.clone()).collect()
    }

    /// Where clients reach any server.
    pub(crate) fn addresses(&self) -> Vec<String> {
        self.servers.iter().map(|s| s.beat.address.clone()).collect()
    }

    /// The runs that are there.
    pub(crate) fn alive(&self) -> impl Iterator<Item = Uuid> + '_ {
        self.servers.iter().filter(|s| is_alive(s)).map(|s| s.beat.run)
    }
}

/// Whether a server has been heard of lately and has not said that it stops.
pub(crate) fn is_alive(server: &Server) -> bool {
    !server.stopped && server.seen_ago <= STALE
}

/// The word for what a server is, as others see it.
pub(crate) fn standing_of(server: &Server, listed: bool) -> &'static str {
    if server.stopped {
        "stopped"
    } else if server.seen_ago > STALE {
        "silent"
    } else if listed {
        Standing::Active.word()
    } else if server.beat.connections > 0 {
        Standing::Draining.word()
    } else {
        Standing::Standby.word()
    }
}

/// Whether a name is one that a server can have.
pub(crate) fn is_name(name: &str) -> bool {
    (1..=63).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-'))
}

/// A duration in whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAIN: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_server_taken_off_the_list_keeps_those_who_are_there_for_a_while() {
        let now = Instant::now();
        let active = Post::STANDBY.next(true, false, now, DRAIN);
        assert_eq!(active.standing, Standing::Active);
        assert_eq!(active.next(false, false, now, DRAIN), Post::STANDBY, "nobody to wait for");
        let draining = active.next(false, true, now, DRAIN);
        assert_eq!(draining.standing, Standing::Draining);
        let later = draining.next(false, true, now + DRAIN / 2, DRAIN);
        assert_eq!(later, draining, "the deadline stays where it is");
        assert_eq!(later.next(false, true, now + DRAIN, DRAIN), Post::STANDBY);
        assert_eq!(later.next(false, false, now, DRAIN), Post::STANDBY);
        assert_eq!(later.next(true, true, now, DRAIN).standing, Standing::Active);
        assert_eq!(Post::STANDBY.next(false, true, now, DRAIN), Post::STANDBY);
    }

    #[test]
    fn names_are_those_that_machines_have() {
        for good in ["a", "chat-1.example.org", "0"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "A", "a b", "a_b", &"a".repeat(64)] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
