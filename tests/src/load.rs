//! The clients of `holdfast-load` on a pool of the tests, which judge at once: whatever cannot be so ends the test.

use crate::pool::{ADMIN, PASSWORD, Pool, name};
use holdfast_history::{Loss, Report};
use holdfast_load::Cast;
pub use holdfast_load::Plan;
pub use holdfast_load::read::read_log;
use std::time::Duration;
use tokio::runtime::Runtime;

/// Clients that are at work.
#[derive(Debug)]
pub struct Load {
    runtime: Runtime,
    load: holdfast_load::Load,
}

impl Load {
    /// Makes rooms and users, signs everybody in, and lets them begin.
    ///
    /// # Panics
    /// When one of that is refused.
    pub fn start(pool: &Pool, plan: &Plan) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.unwrap_or_else(|e| panic!("no runtime: {e}"));
        let servers = pool.running();
        let at: Vec<String> = servers.iter().map(|i| pool.server(*i).host().to_owned()).collect();
        let load = runtime.block_on(async {
            let mut admin = pool.sign_in(servers[0], ADMIN).await?;
            let cast = Cast::make(&mut admin, plan, &pool.hosts(), &at, PASSWORD).await?;
            holdfast_load::Load::start(cast, plan).await
        });
        let load = load.unwrap_or_else(|e| panic!("the load does not begin: {e:#}"));
        Self { runtime, load }
    }

    /// The rooms.
    pub fn rooms(&self) -> &[i64] {
        self.load.rooms()
    }

    /// How many messages have been acknowledged so far.
    pub fn acknowledged(&self) -> usize {
        self.load.acknowledged()
    }

    /// How often listeners had to connect anew so far.
    pub fn reconnects(&self) -> usize {
        self.load.reconnects()
    }

    /// Waits until `more` messages have been acknowledged from now on.
    ///
    /// # Panics
    /// When they are not in time.
    pub fn wait_for(&self, more: usize, limit: Duration) {
        self.runtime.block_on(self.load.wait_for(more, limit)).unwrap_or_else(|e| panic!("{e:#}"));
    }

    /// Lets the writers finish, waits until every listener has seen everything, reads the rooms from every server, and checks all of it.
    ///
    /// # Panics
    /// When a client was told what it never should be, or somebody does not see everything in time, or the servers do not come to say the same.
    pub fn finish(self, pool: &Pool) -> Report {
        let servers: Vec<(String, String)> =
            pool.running().into_iter().map(|i| (name(i), pool.server(i).host().to_owned())).collect();
        let outcome = self.runtime.block_on(self.load.finish(&servers, Loss::NONE));
        let outcome = outcome.unwrap_or_else(|e| panic!("{e:#}"));
        let (report, surprises) = (outcome.report, outcome.surprises);
        assert!(surprises.is_empty(), "no client should be told this: {surprises:#?}\n{report}");
        report
    }
}
