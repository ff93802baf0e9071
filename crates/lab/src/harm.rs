//! Breaking single parts of a lab, and putting them together again: for tests of faults, and for whoever rehearses them.

use crate::record::Kind;
use crate::{Lab, LoadReport, names, processes};
use anyhow::{Context as _, Result, bail};
use holdfast_continuity::agent::report::Report;
use holdfast_history::Loss;
use holdfast_load::Load;
use rustix::process::Signal;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Between two looks.
const MOMENT: Duration = Duration::from_millis(50);

impl Lab {
    /// Lets clients begin to work, at so many posts a second.
    ///
    /// # Errors
    /// When they do not come to.
    pub async fn begin(&mut self, rate: f64) -> Result<Load> {
        self.begin_load(rate).await
    }

    /// Lets them finish, and checks what they were told and saw: nothing may be lost.
    ///
    /// # Errors
    /// When those who took part do not come to agree at all.
    pub async fn finish(&self, load: Load) -> Result<LoadReport> {
        let (silence, _) = load.longest_silence_after(Duration::ZERO);
        let outcome = load.finish(&self.active_servers().await?, Loss::NONE).await?;
        Ok(LoadReport::of(&outcome, silence, None))
    }

    /// Sends a signal to one process that the lab has started: an agent, a chat server, the witness. What it has started itself goes on.
    ///
    /// # Errors
    /// When it does not run.
    pub fn signal(&self, name: &str, signal: Signal) -> Result<()> {
        let process = self.record().processes.iter().find(|p| p.name == name && p.is_running());
        let process = process.with_context(|| format!("{name} does not run"))?;
        processes::send(process.pid, signal);
        Ok(())
    }

    /// Whether such a process runs.
    pub fn runs(&self, name: &str) -> bool {
        self.record().processes.iter().any(|p| p.name == name && p.is_running())
    }

    /// Starts such a process again, after its end. An agent that is given a failpoint dies there as if its machine had lost power.
    ///
    /// # Errors
    /// When it runs, or cannot be started.
    pub async fn start_again(&mut self, name: &str, failpoint: Option<&str>) -> Result<()> {
        let process = self.record().processes.iter().find(|p| p.name == name).cloned();
        let process = process.with_context(|| format!("there was never a process {name}"))?;
        let gone = Instant::now() + Duration::from_secs(10);
        while process.is_running() {
            if Instant::now() > gone {
                bail!("{name} runs");
            }
            sleep(MOMENT).await;
        }
        match (process.kind, &process.site) {
            (Kind::Agent, Some(site)) => self.start_agent(site, name, failpoint),
            (Kind::Server, Some(site)) => self.start_server(site, name),
            _ => self.start_witness(),
        }
    }

    /// The processes of an instance's PostgreSQL, the postmaster first; none when it does not run.
    pub fn postgres(&self, short: &str) -> Vec<i32> {
        let Some((site, _)) = names::instances().into_iter().find(|(_, name)| name == short) else { return Vec::new() };
        let path = self.place().cluster(site, short).join("postmaster.pid");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let Some(postmaster) = text.lines().next().and_then(|line| line.trim().parse::<i32>().ok()) else {
            return Vec::new();
        };
        if processes::started(postmaster).is_none() {
            return Vec::new();
        }
        let mut all = vec![postmaster];
        all.extend(processes::children_of(postmaster));
        all
    }

    /// Sends a signal to all processes of an instance's PostgreSQL, the postmaster first; how many they were.
    pub fn signal_postgres(&self, short: &str, signal: Signal) -> usize {
        let all = self.postgres(short);
        all.iter().for_each(|pid| processes::send(*pid, signal));
        all.len()
    }

    /// Sends a signal to the process by which an instance receives its stream; whether it has one.
    pub fn signal_receiver(&self, short: &str, signal: Signal) -> bool {
        let receiver = self.postgres_called(short, "walreceiver");
        receiver.iter().for_each(|pid| processes::send(*pid, signal));
        receiver.is_some()
    }

    /// The process of an instance's PostgreSQL that calls itself so.
    pub(crate) fn postgres_called(&self, short: &str, what: &str) -> Option<i32> {
        let calls_itself = |pid: &i32| std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        self.postgres(short).into_iter().find(|pid| String::from_utf8_lossy(&calls_itself(pid)).contains(what))
    }

    /// Ends an instance's PostgreSQL as a power cut would.
    pub fn kill_postgres(&self, short: &str) -> usize {
        self.signal_postgres(short, Signal::STOP);
        self.signal_postgres(short, Signal::KILL)
    }

    /// Asks an instance's PostgreSQL something on its socket, as its agent could.
    ///
    /// # Errors
    /// When it does not answer, or says no.
    pub async fn sql(&self, short: &str, sql: &str) -> Result<String> {
        self.sql_in("postgres", short, sql).await
    }

    /// The same in a database of it, such as the pool's.
    ///
    /// # Errors
    /// As [`Lab::sql`].
    pub async fn sql_in(&self, database: &str, short: &str, sql: &str) -> Result<String> {
        let instances = names::instances();
        let (site, name) = instances.iter().find(|(_, name)| name == short).context("there is no such instance")?;
        self.psql(&((*site).to_owned(), name.clone()), database, sql).await
    }

    /// What an instance's agent says at this moment.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn report(&self, short: &str) -> Result<Report> {
        let full = names::full(short);
        let agents = self.agents()?;
        let (_, agent) = agents
            .iter()
            .find(|(place, _)| place.name == full)
            .with_context(|| format!("there is no instance {short}"))?;
        crate::commands::report(agent).await
    }

    /// Waits until an agent says what is wanted.
    ///
    /// # Errors
    /// When it does not within `limit`; with what it said last.
    pub async fn until(
        &self,
        short: &str,
        what: &str,
        limit: Duration,
        is: impl Fn(&Report) -> bool,
    ) -> Result<Report> {
        let deadline = Instant::now() + limit;
        loop {
            let report = self.report(short).await;
            match report {
                Ok(report) if is(&report) => return Ok(report),
                Ok(report) if Instant::now() > deadline => bail!(
                    "{short} does not come to {what}: place {:?}, protection {:?}, epoch {}, note {:?}, {:?}",
                    report.place,
                    report.protection,
                    report.epoch(),
                    report.note,
                    report.status.phase
                ),
                Err(error) if Instant::now() > deadline => bail!("{short} does not come to {what}: {error:#}"),
                _ => sleep(MOMENT).await,
            }
        }
    }
}
