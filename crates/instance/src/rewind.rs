//! Taking back what an old primary wrote that nobody else has, so that it can follow the new one without being copied anew.

use crate::dynamic::Upstream;
use crate::error::{Error, Result};
use crate::instance::Instance;
use crate::programs::finish;
use crate::progress::Progress;
use crate::start::Boot;
use crate::stop::Stop;
use std::time::Duration;
use tokio::time::Instant;

/// What became of a rewind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rewound {
    /// Its pages have nothing that the other one lacks. Its log may have: see [`Instance::move_wal_out`].
    NotRequired,
    /// It was.
    Done,
}

impl Instance {
    /// Makes the data that is here a standby of `upstream`, from where the two part. It does not run afterwards; whom it follows is said by
    /// [`Instance::set`]. What it has that the other one lacks is gone then: save it before.
    ///
    /// If it was not stopped in order, it is first started alone and stopped.
    ///
    /// # Errors
    /// [`Error::Running`]; `pg_rewind` fails: then the data directory may be broken, starts no more, and is to be cloned; it says so.
    pub async fn rewind_from(
        &self,
        upstream: &Upstream,
        within: Duration,
        progress: &(dyn Fn(Progress) + Send + std::marker::Sync),
    ) -> Result<Rewound> {
        let deadline = Instant::now() + within;
        let left = || deadline.saturating_duration_since(Instant::now());
        self.layout().has_data()?;
        self.clear_leftovers().await?;
        self.mend().await?;
        // PostgreSQL 15 is for ever about to start over without knowing where the timelines part, if the other one has made no checkpoint on its own.
        progress(Progress::says("a checkpoint on the other instance"));
        let source = format!("{} dbname=postgres", upstream.conninfo());
        let mut command = self.command("psql");
        command.args(["-X", "-q", "-w", "-c", "CHECKPOINT", "-d", &source]);
        let checkpoint = tokio::time::timeout_at(deadline, finish("psql", &mut command)).await;
        checkpoint.map_err(|_| self.timed_out("a checkpoint on the other instance", within, u64::MAX))??;
        if !self.was_shut_down_cleanly().await? {
            progress(Progress::says("recovering, to be stopped in order"));
            self.start(Boot::Alone, left(), progress).await?;
            self.stop(Stop::Fast, left()).await?;
        }
        let mut command = self.command_that_reaches_shares("pg_rewind");
        command.arg("-D").arg(self.layout().pgdata()).arg("--progress");
        command.arg(format!("--config-file={}", self.layout().postgresql_conf().display()));
        command.arg(format!("--source-server={source}"));
        if !self.settings().restore_command.is_empty() {
            command.arg("--restore-target-wal");
        }
        self.rewind_is_under_way()?;
        let said = self.follow("pg_rewind", &mut command, "rewinding", deadline, within, progress).await;
        let outcome = match said {
            Ok(said) if said.contains("no rewind required") => Rewound::NotRequired,
            Ok(_) => Rewound::Done,
            Err(e) => {
                // It had not come to changing anything.
                let untouched = matches!(&e, Error::Program { said, .. } if !said.contains("rewinding from last common checkpoint"));
                if untouched {
                    self.is_whole()?;
                }
                return Err(e);
            }
        };
        self.undo_alter_system()?;
        self.make_standby()?;
        self.is_whole()?;
        Ok(outcome)
    }
}
