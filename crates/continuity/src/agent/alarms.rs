//! What a person should know before it becomes worse: a disk that fills, log that waits to be shipped, a share on which something does not hold.
//!
//! A PostgreSQL whose disk is full stops, and while the other site's share is away its log stays here and grows. So the alarm comes long before. Each is
//! logged when it begins, when it becomes worse, and when it is over; in between it is in the report.

use super::verified::Verified;
use super::{Agent, lock};
use holdfast_instance::{Disk, Status};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// Between two looks at what there is to be alarmed about.
const EVERY: Duration = Duration::from_secs(1);
/// A disk with less free than this, in percent, is worth a word.
const WARN_FREE: u64 = 20;
/// With less than this, somebody has to do something now.
const ALARM_FREE: u64 = 10;
/// So many times the time after which a segment is shipped though it is not full, the oldest may wait before that is worth a word.
const WAITS: u64 = 4;
/// That much it may wait in any case, in seconds: the mirror or the share may be busy for a moment.
const WAITS_LEAST: u64 = 20;

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Something is on its way to become bad.
    Warning,
    /// Somebody has to do something.
    Alarm,
}

impl Level {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Level::Warning => "warning",
            Level::Alarm => "alarm",
        }
    }
}

/// Something to be alarmed about.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Alarm {
    /// What it is about: `disk`, `backlog`, `verifier`, or the file on the share that does not hold. The same as long as it is the same matter.
    pub about: String,
    /// How bad it is.
    pub level: Level,
    /// A sentence: what is so, and what to do.
    pub what: String,
}

/// Everything there is to be alarmed about. `archive_timeout`: the seconds after which a segment is shipped though it is not full.
pub fn of(status: &Status, verified: Option<&Verified>, archive_timeout: u64) -> Vec<Alarm> {
    let mut alarms = Vec::new();
    alarms.extend(status.disk.and_then(|disk| disk_alarm(disk, status.unarchived.files)));
    alarms.extend(backlog_alarm(status, archive_timeout));
    let verified = verified.into_iter();
    for verified in verified {
        alarms.extend(verified.bad.iter().map(|bad| Alarm {
            about: bad.file.clone(),
            level: Level::Alarm,
            what: format!("on the share, {} {}: a failover to here would end before it", bad.file, bad.why),
        }));
        let note = verified.note.iter();
        alarms.extend(note.map(|why| Alarm {
            about: "verifier".to_owned(),
            level: Level::Warning,
            what: format!("what comes to the share is not verified: {why}"),
        }));
    }
    alarms
}

fn disk_alarm(disk: Disk, waiting: u32) -> Option<Alarm> {
    let percent = disk.free_percent()?;
    let level = match percent {
        p if p < ALARM_FREE => Level::Alarm,
        p if p < WARN_FREE => Level::Warning,
        _ => return None,
    };
    let log = if waiting > 1 { format!("; {waiting} files of log wait there to be shipped") } else { String::new() };
    let what = format!(
        "the disk with its data has {percent} % free ({} MiB){log}: PostgreSQL stops when it is full, so make room",
        disk.free >> 20
    );
    Some(Alarm { about: "disk".to_owned(), level, what })
}

/// Only a primary ships; what an earlier one left waiting is nobody's affair.
fn backlog_alarm(status: &Status, archive_timeout: u64) -> Option<Alarm> {
    status.server.as_ref()?.primary?;
    let oldest = status.unarchived.oldest_seconds?;
    if oldest < (archive_timeout.saturating_mul(WAITS)).max(WAITS_LEAST) {
        return None;
    }
    let what = format!(
        "{} files of log wait to be shipped, the oldest for {oldest} s: see whether the share answers; they stay on this disk until they are shipped",
        status.unarchived.files
    );
    Some(Alarm { about: "backlog".to_owned(), level: Level::Warning, what })
}

/// Those of `now` that were not so before, or not so bad; and the matters of `before` that are over.
fn news<'a>(before: &'a [Alarm], now: &'a [Alarm]) -> (Vec<&'a Alarm>, Vec<&'a str>) {
    let known = |alarm: &Alarm| before.iter().any(|b| b.about == alarm.about && b.level >= alarm.level);
    let over = before.iter().filter(|b| !now.iter().any(|n| n.about == b.about));
    (now.iter().filter(|alarm| !known(alarm)).collect(), over.map(|b| b.about.as_str()).collect())
}

/// Looks until the end.
pub(super) async fn watch_for_ever(agent: Arc<Agent>) {
    while !agent.shutdown.is_cancelled() {
        agent.look_for_alarms();
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = agent.shutdown.cancelled() => return,
        }
    }
}

impl Agent {
    fn look_for_alarms(&self) {
        let (status, verified, before) = {
            let own = lock(&self.own);
            (own.status.clone(), own.verified.clone(), own.alarms.clone())
        };
        let Some(status) = status else { return };
        let now = of(&status, verified.as_ref(), self.topology.pool.archive_timeout_seconds);
        let (new, over) = news(&before, &now);
        for alarm in new {
            tracing::warn!(about = alarm.about, level = alarm.level.word(), "{}", alarm.what);
        }
        for about in over {
            tracing::info!(about, "this is over");
        }
        lock(&self.own).alarms = now;
    }
}

#[cfg(test)]
mod tests {
    use super::super::verified::Bad;
    use super::*;
    use holdfast_instance::{Archiver, Phase, Primary, Server, Unarchived};
    use holdfast_wal::Lsn;
    use jiff::Timestamp;

    fn status(free: u64, waiting: Option<(u32, u64)>) -> Status {
        let primary = Primary { written: Lsn(1), flushed: Lsn(1), inserted: Lsn(1) };
        let archiver = Archiver {
            last_archived: None,
            last_archived_at: None,
            last_failed: None,
            last_failed_at: None,
            failures: 0,
        };
        let server = Server {
            boot: None,
            system_identifier: 7,
            timeline: 1,
            primary: Some(primary),
            standby: None,
            followers: Vec::new(),
            archiver,
            clients: 0,
            synchronous_standby_names: String::new(),
            checksum_failures: 0,
        };
        let (files, oldest) = waiting.map_or((0, None), |(files, oldest)| (files, Some(oldest)));
        Status {
            at: Timestamp::UNIX_EPOCH,
            phase: Phase::Up,
            server: Some(server),
            disk: Some(Disk { free, total: 1_000 }),
            unarchived: Unarchived { files, oldest_seconds: oldest },
        }
    }

    /// F37: the alarm comes before PostgreSQL stops.
    #[test]
    fn f37_a_disk_that_fills_is_told_twice_before_it_is_full() {
        let level = |free| of(&status(free, None), None, 30).first().map(|a| a.level);
        assert_eq!((level(500), level(200)), (None, None));
        assert_eq!((level(199), level(100)), (Some(Level::Warning), Some(Level::Warning)));
        assert_eq!((level(99), level(0)), (Some(Level::Alarm), Some(Level::Alarm)));
    }

    /// F25: the line to the other site is down for hours.
    #[test]
    fn f25_log_that_waits_for_long_is_told_and_a_moment_is_not() {
        let told = |seconds| of(&status(900, Some((7, seconds))), None, 30).first().map(|a| a.what.clone());
        assert_eq!((told(0), told(119)), (None, None));
        assert!(told(120).unwrap().starts_with("7 files of log wait to be shipped, the oldest for 120 s"));
        let mut standby = status(900, Some((7, 9_000)));
        standby.server.as_mut().unwrap().primary = None;
        assert!(of(&standby, None, 30).is_empty(), "what an earlier primary left");
    }

    #[test]
    fn each_is_logged_when_it_begins_when_it_becomes_worse_and_when_it_is_over() {
        let bad = Bad { file: "F".into(), number: 3, why: "is missing".into(), since: Timestamp::UNIX_EPOCH };
        let verified = Verified { bad: vec![bad], ..Verified::default() };
        let (fine, low, lower) = (
            of(&status(900, None), Some(&verified), 30),
            of(&status(150, None), None, 30),
            of(&status(50, None), Some(&verified), 30),
        );
        let abouts = |(new, over): (Vec<&Alarm>, Vec<&str>)| {
            (new.iter().map(|a| a.about.clone()).collect::<Vec<_>>(), over.join(" "))
        };
        assert_eq!(abouts(news(&[], &fine)), (vec!["F".to_owned()], String::new()));
        assert_eq!(abouts(news(&fine, &low)), (vec!["disk".to_owned()], "F".to_owned()));
        assert_eq!(abouts(news(&low, &lower)), (vec!["disk".to_owned(), "F".to_owned()], String::new()));
        assert_eq!(abouts(news(&lower, &lower)), (vec![], String::new()));
    }
}
