//! What the control file of a data directory says, also while nothing runs.

use crate::error::{Error, Result};
use crate::instance::Instance;
use crate::programs::finish;
use holdfast_wal::{Lsn, SegmentSize};
use serde::{Deserialize, Serialize};

/// How a data directory was left, or is used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClusterState {
    /// A primary that was stopped in order.
    ShutDown,
    /// A standby that was stopped in order.
    ShutDownInRecovery,
    /// A primary at work, or one that was killed.
    InProduction,
    /// A standby at work, or one that was killed.
    InRecovery,
    /// It is starting, or was killed when it did.
    Starting,
    /// It is stopping, or was killed when it did.
    ShuttingDown,
}

/// The control file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ControlData {
    /// Given when the cluster was made; copies have the same.
    pub system_identifier: u64,
    /// How it was left.
    pub state: ClusterState,
    /// Where the last checkpoint's record is.
    pub checkpoint: Lsn,
    /// Where recovery would begin.
    pub redo: Lsn,
    /// The timeline of the last checkpoint: after a promotion still the old one, for a while.
    pub timeline: u32,
    /// How far a standby must replay before it can be asked anything.
    pub minimum_recovery: Lsn,
    /// The timeline of that; 0 when it is none. After a promotion the new one, at once.
    pub minimum_recovery_timeline: u32,
    /// The size of segments.
    pub segment_size: SegmentSize,
    /// Whether pages have checksums.
    pub checksums: bool,
}

impl Instance {
    /// The control file of the data directory.
    ///
    /// # Errors
    /// [`Error::NoData`], or it cannot be read.
    pub async fn control(&self) -> Result<ControlData> {
        self.layout().has_data()?;
        let mut command = self.command("pg_controldata");
        command.arg("-D").arg(self.layout().pgdata());
        let text = finish("pg_controldata", &mut command).await?;
        // It warns, and goes on, when the checksum of the file is wrong.
        if text.contains("WARNING") {
            return Err(Error::Refused(format!(
                "the control file is damaged: {}",
                text.lines().next().unwrap_or_default()
            )));
        }
        ControlData::read(&text)
            .ok_or_else(|| Error::Refused("pg_controldata prints something else than it used to".to_owned()))
    }

    /// Whether it was stopped in order, and does not run.
    ///
    /// # Errors
    /// As [`Instance::control`].
    pub async fn was_shut_down_cleanly(&self) -> Result<bool> {
        let state = self.control().await?.state;
        Ok(!self.is_running() && matches!(state, ClusterState::ShutDown | ClusterState::ShutDownInRecovery))
    }
}

impl ControlData {
    fn read(text: &str) -> Option<ControlData> {
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.map(str::trim)
        };
        Some(ControlData {
            system_identifier: value("Database system identifier")?.parse().ok()?,
            state: match value("Database cluster state")? {
                "shut down" => ClusterState::ShutDown,
                "shut down in recovery" => ClusterState::ShutDownInRecovery,
                "in production" => ClusterState::InProduction,
                "in archive recovery" => ClusterState::InRecovery,
                "starting up" | "in crash recovery" => ClusterState::Starting,
                "shutting down" => ClusterState::ShuttingDown,
                _ => return None,
            },
            checkpoint: value("Latest checkpoint location")?.parse().ok()?,
            redo: value("Latest checkpoint's REDO location")?.parse().ok()?,
            timeline: value("Latest checkpoint's TimeLineID")?.parse().ok()?,
            minimum_recovery: value("Minimum recovery ending location")?.parse().ok()?,
            minimum_recovery_timeline: value("Min recovery ending loc's timeline")?.parse().ok()?,
            segment_size: SegmentSize::try_from(value("Bytes per WAL segment")?.parse::<u64>().ok()?).ok()?,
            checksums: value("Data page checksum version")? != "0",
        })
    }
}
