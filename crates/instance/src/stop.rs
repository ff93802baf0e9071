//! Stopping it.

use crate::error::Result;
use crate::files;
use crate::instance::Instance;
use crate::process::{self, MOMENT};
use rustix::process::Signal;
use std::time::Duration;
use tokio::time::Instant;

/// In how much order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// Ends sessions, writes everything, and waits until standbys and the archive have what there is. A commit that waited for its mirror is unknown to
    /// whoever made it.
    Fast,
    /// Ends everything at once; the next start recovers.
    Immediate,
}

impl Instance {
    /// Stops it and waits until it is gone. One that does not run is stopped.
    ///
    /// # Errors
    /// [`crate::Error::TimedOut`], and it goes on stopping.
    pub async fn stop(&self, how: Stop, within: Duration) -> Result<()> {
        let data = self.layout().pgdata();
        let log_from = files::length(&self.layout().log_file());
        let Some(file) = process::postmaster(&data) else { return Ok(()) };
        process::signal(file.pid, if how == Stop::Fast { Signal::INT } else { Signal::QUIT });
        // One that was frozen hears it only now.
        process::signal(file.pid, Signal::CONT);
        let deadline = Instant::now() + within;
        // Its file goes a moment before it does.
        while process::postmaster(&data).is_some() || process::is_alive(file.pid) {
            if Instant::now() > deadline {
                return Err(self.timed_out("the end of PostgreSQL", within, log_from));
            }
            tokio::time::sleep(MOMENT).await;
        }
        Ok(())
    }

    /// Ends every process of it by SIGKILL, as a power cut would, and waits until they are gone.
    ///
    /// # Errors
    /// [`crate::Error::Unkillable`]
    pub async fn kill(&self, within: Duration) -> Result<()> {
        process::kill_all(&self.layout().pgdata(), within).await.map(|_| ())
    }
}
