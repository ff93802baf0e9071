//! What a server says of itself, and what its files say.
//!
//! One call has all that is shown and decided on, and answers in time also when the server does not: then it says so.

use crate::error::{Result, sql};
use crate::instance::Instance;
use crate::process;
use crate::start::Boot;
use holdfast_wal::Lsn;
use jiff::Timestamp;
use rustix::fs::statvfs;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::{Duration, SystemTime};
use tokio_postgres::{Client, Row};

/// How long a server may take to say how it is.
const PATIENCE: Duration = Duration::from_secs(2);

/// An instance at a moment.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Status {
    /// When this was asked.
    pub at: Timestamp,
    /// Whether it runs.
    pub phase: Phase,
    /// What the server said; `None` unless it is up.
    pub server: Option<Server>,
    /// The disk with its data; the fuller one, when its log has one of its own.
    pub disk: Option<Disk>,
    /// Segments that wait to be archived.
    pub unarchived: Unarchived,
}

/// Whether it runs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// There is no data directory.
    Empty,
    /// It does not run.
    Down,
    /// It does not take connections yet; with the last thing that it logged.
    Starting(String),
    /// It answers.
    Up,
    /// It is stopping.
    Stopping,
    /// It runs, and does not answer in time; with why.
    Silent(String),
}

/// What a server says of itself.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Server {
    /// As what it was started; `None`: somebody else started it.
    pub boot: Option<Boot>,
    /// Given when the cluster was made.
    pub system_identifier: u64,
    /// The timeline it writes or follows.
    pub timeline: u32,
    /// Where it is, as a primary.
    pub primary: Option<Primary>,
    /// Where it is, as a standby.
    pub standby: Option<Standby>,
    /// Who follows it.
    pub followers: Vec<Follower>,
    /// How archiving goes.
    pub archiver: Archiver,
    /// Sessions of others than its agent.
    pub clients: u32,
    /// Whom commits wait for, as in force now.
    pub synchronous_standby_names: String,
    /// Pages that were not as they were written, ever.
    pub checksum_failures: u64,
}

impl Server {
    /// Whether it is a standby.
    pub fn in_recovery(&self) -> bool {
        self.standby.is_some()
    }
}

/// A primary's positions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Primary {
    /// Written so far.
    pub written: Lsn,
    /// On disk.
    pub flushed: Lsn,
    /// Where the next record goes.
    pub inserted: Lsn,
}

/// A standby's positions, and from whom it has them.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Standby {
    /// Received by streaming and on disk; `None`: nothing since it started.
    pub received: Option<Lsn>,
    /// Applied.
    pub replayed: Option<Lsn>,
    /// Whether applying was paused.
    pub paused: bool,
    /// When the last transaction that was applied was committed, by the clock of whoever wrote it.
    pub last_commit: Option<Timestamp>,
    /// The stream.
    pub receiver: Option<Receiver>,
}

/// The stream that a standby receives.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Receiver {
    /// `streaming`, or what it does instead.
    pub status: String,
    /// Whom it is connected to.
    pub host: Option<String>,
    /// At which port.
    pub port: Option<u16>,
    /// The timeline that it receives.
    pub timeline: Option<u32>,
}

/// Somebody who follows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Follower {
    /// What it calls itself.
    pub name: String,
    /// `streaming`, `catchup`, `backup`, ...
    pub state: String,
    /// `sync` if commits wait for it, else `async` or `potential`.
    pub sync_state: String,
    /// What it was sent.
    pub sent: Option<Lsn>,
    /// What it has on disk.
    pub flushed: Option<Lsn>,
    /// What it has applied.
    pub replayed: Option<Lsn>,
}

/// How archiving goes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Archiver {
    /// The last file that was archived.
    pub last_archived: Option<String>,
    /// When.
    pub last_archived_at: Option<Timestamp>,
    /// The last file that was not.
    pub last_failed: Option<String>,
    /// When.
    pub last_failed_at: Option<Timestamp>,
    /// How often it failed since statistics began.
    pub failures: u64,
}

/// A file system.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Disk {
    /// Bytes that are free for its user.
    pub free: u64,
    /// Bytes in all, without what is kept for the system's own user.
    pub total: u64,
}

impl Disk {
    /// How much of it is free, in percent; `None`: it has no size.
    pub fn free_percent(&self) -> Option<u64> {
        self.free.saturating_mul(100).checked_div(self.total)
    }
}

/// Files of the write-ahead log that are not archived yet.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Unarchived {
    /// How many.
    pub files: u32,
    /// For how long the oldest has been waiting, in seconds.
    pub oldest_seconds: Option<u64>,
}

impl Instance {
    /// How it is. It takes two seconds at most, and never fails.
    pub async fn status(&self) -> Status {
        self.status_within(PATIENCE).await
    }

    /// As [`Instance::status`], for whoever needs an answer more than a quick one: on a busy machine it may take longer than two seconds.
    pub async fn status_within(&self, within: Duration) -> Status {
        let at = Timestamp::now();
        let (phase, server) = self.phase(within).await;
        Status { at, phase, server, disk: self.disk(), unarchived: self.unarchived() }
    }

    async fn phase(&self, within: Duration) -> (Phase, Option<Server>) {
        let data = self.layout().pgdata();
        let Some(file) = process::postmaster(&data) else {
            let phase = if self.layout().has_data().is_ok() { Phase::Down } else { Phase::Empty };
            return (phase, None);
        };
        match file.status.as_str() {
            "ready" | "standby" => {}
            "stopping" => return (Phase::Stopping, None),
            _ => return (Phase::Starting(self.log_since(0).lines().last().unwrap_or_default().to_owned()), None),
        }
        match tokio::time::timeout(within, self.ask()).await {
            Ok(Ok(server)) => (Phase::Up, Some(server)),
            // It may have ended, or begun to, since.
            Ok(Err(e)) => match process::postmaster(&data).map(|file| file.status) {
                None => (Phase::Down, None),
                Some(status) if status == "stopping" => (Phase::Stopping, None),
                Some(_) => (Phase::Silent(e.to_string()), None),
            },
            Err(_) => {
                self.kept().forget();
                (Phase::Silent(format!("no answer in {} s", within.as_secs())), None)
            }
        }
    }

    async fn ask(&self) -> Result<Server> {
        match Server::ask(self.look("postgres").await?.as_ref()).await {
            Ok(server) => Ok(server),
            // The connection broke since it was used last; or it was promoted between two parts of a question, some of which only one or the other may
            // be asked.
            Err(_) => Server::ask(self.look("postgres").await?.as_ref()).await.map_err(sql("asking how it is")),
        }
    }

    /// Its log may lie on another disk than the rest; the fuller one counts.
    fn disk(&self) -> Option<Disk> {
        let of = |path: &Path| {
            let fs = statvfs(path).ok()?;
            let of = |blocks: u64| blocks.saturating_mul(fs.f_frsize);
            let used = fs.f_blocks.saturating_sub(fs.f_bfree);
            Some(Disk { free: of(fs.f_bavail), total: of(used.saturating_add(fs.f_bavail)) })
        };
        let disks = [of(self.layout().root()), of(&self.layout().pg_wal())];
        disks
            .into_iter()
            .flatten()
            .filter(|disk| disk.total > 0)
            .min_by_key(|disk| disk.free.saturating_mul(1_000).checked_div(disk.total))
    }

    fn unarchived(&self) -> Unarchived {
        let entries = std::fs::read_dir(self.layout().pg_wal().join("archive_status")).into_iter().flatten().flatten();
        let ready = entries.filter(|entry| entry.path().extension().is_some_and(|e| e == "ready"));
        // One may be archived while we look.
        let since: Vec<SystemTime> = ready.filter_map(|entry| entry.metadata().ok()?.modified().ok()).collect();
        let oldest = since.iter().min().and_then(|time| time.elapsed().ok());
        Unarchived {
            files: u32::try_from(since.len()).unwrap_or(u32::MAX),
            oldest_seconds: oldest.map(|d| d.as_secs()),
        }
    }
}

/// The timeline that a primary writes, and else the newest that a standby receives, or has applied something of. Of a primary the control file
/// says it too late.
pub(crate) const TIMELINE: &str = "CASE WHEN pg_is_in_recovery() THEN
    (SELECT greatest(
        (SELECT received_tli FROM pg_stat_wal_receiver),
        (SELECT min_recovery_end_timeline FROM pg_control_recovery()),
        (SELECT timeline_id FROM pg_control_checkpoint())))
    ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END";

const SELF: &str = "WITH me AS (SELECT pg_is_in_recovery() AS standby)
    SELECT standby,
        (SELECT system_identifier FROM pg_control_system()),
        CASE WHEN NOT standby THEN pg_current_wal_lsn()::text END,
        CASE WHEN NOT standby THEN pg_current_wal_flush_lsn()::text END,
        CASE WHEN NOT standby THEN pg_current_wal_insert_lsn()::text END,
        CASE WHEN standby THEN pg_last_wal_receive_lsn()::text END,
        CASE WHEN standby THEN pg_last_wal_replay_lsn()::text END,
        CASE WHEN standby THEN pg_get_wal_replay_pause_state() = 'paused' END,
        CASE WHEN standby THEN (extract(epoch FROM pg_last_xact_replay_timestamp()) * 1000000)::bigint END,
        (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND application_name <> 'holdfast-agent'),
        current_setting('synchronous_standby_names'),
        (SELECT coalesce(sum(checksum_failures), 0)::bigint FROM pg_stat_database),
        current_setting('holdfast.boot', true)
    FROM me";

const RECEIVER: &str =
    "SELECT status, sender_host, sender_port, received_tli FROM pg_stat_wal_receiver WHERE status IS NOT NULL";

const FOLLOWERS: &str = "SELECT application_name, state, sync_state, sent_lsn::text, flush_lsn::text, replay_lsn::text
    FROM pg_stat_replication ORDER BY application_name, pid";

const ARCHIVER: &str = "SELECT last_archived_wal, (extract(epoch FROM last_archived_time) * 1000000)::bigint,
    last_failed_wal, (extract(epoch FROM last_failed_time) * 1000000)::bigint, failed_count FROM pg_stat_archiver";

type Asked<T> = std::result::Result<T, tokio_postgres::Error>;

impl Server {
    async fn ask(client: &Client) -> Asked<Server> {
        let row = client.query_one(SELF, &[]).await?;
        let standby: bool = row.try_get(0)?;
        let timeline: i32 = client.query_one(&format!("SELECT {TIMELINE}"), &[]).await?.try_get(0)?;
        let receiver = match client.query_opt(RECEIVER, &[]).await? {
            Some(row) => Some(Receiver {
                status: row.try_get(0)?,
                host: row.try_get(1)?,
                port: row.try_get::<_, Option<i32>>(2)?.and_then(|port| u16::try_from(port).ok()),
                timeline: row.try_get::<_, Option<i32>>(3)?.and_then(|timeline| u32::try_from(timeline).ok()),
            }),
            None => None,
        };
        let mut followers = Vec::new();
        for row in client.query(FOLLOWERS, &[]).await? {
            followers.push(Follower {
                name: row.try_get(0)?,
                state: row.try_get::<_, Option<String>>(1)?.unwrap_or_default(),
                sync_state: row.try_get::<_, Option<String>>(2)?.unwrap_or_default(),
                sent: lsn(&row, 3)?,
                flushed: lsn(&row, 4)?,
                replayed: lsn(&row, 5)?,
            });
        }
        let archiver = client.query_one(ARCHIVER, &[]).await?;
        let archiver = Archiver {
            last_archived: archiver.try_get(0)?,
            last_archived_at: time(archiver.try_get(1)?),
            last_failed: archiver.try_get(2)?,
            last_failed_at: time(archiver.try_get(3)?),
            failures: archiver.try_get::<_, i64>(4)?.unsigned_abs(),
        };
        let primary = match (lsn(&row, 2)?, lsn(&row, 3)?, lsn(&row, 4)?) {
            (Some(written), Some(flushed), Some(inserted)) => Some(Primary { written, flushed, inserted }),
            _ => None,
        };
        let standby = if standby {
            let (received, replayed) = (lsn(&row, 5)?, lsn(&row, 6)?);
            let paused = row.try_get::<_, Option<bool>>(7)?.unwrap_or(false);
            Some(Standby { received, replayed, paused, last_commit: time(row.try_get(8)?), receiver })
        } else {
            None
        };
        Ok(Server {
            boot: row.try_get::<_, Option<String>>(12)?.and_then(|word| Boot::read(&word)),
            // PostgreSQL shows all of its bits as a signed number.
            system_identifier: row.try_get::<_, i64>(1)?.cast_unsigned(),
            timeline: u32::try_from(timeline).unwrap_or_default(),
            primary,
            standby,
            followers,
            archiver,
            clients: u32::try_from(row.try_get::<_, i64>(9)?).unwrap_or(u32::MAX),
            synchronous_standby_names: row.try_get(10)?,
            checksum_failures: row.try_get::<_, i64>(11)?.unsigned_abs(),
        })
    }
}

/// PostgreSQL writes no position that is none.
pub(crate) fn lsn(row: &Row, column: usize) -> Asked<Option<Lsn>> {
    Ok(row.try_get::<_, Option<String>>(column)?.and_then(|text| text.parse().ok()))
}

pub(crate) fn time(microseconds: Option<i64>) -> Option<Timestamp> {
    Timestamp::from_microsecond(microseconds?).ok()
}
