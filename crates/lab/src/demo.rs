//! The whole story: both sites under a checked load, the live one is lost, the other one takes over, and the load goes on there.

use crate::commands::{report, reports};
use crate::figures::{Spread, ms};
use crate::loading::LoadReport;
use crate::status::Lag;
use crate::up::UpOptions;
use crate::{Event, Lab, Watcher, names, stage};
use anyhow::{Context as _, Result, bail, ensure};
use holdfast_continuity::agent::report::Report;
use holdfast_continuity::topology::Role;
use holdfast_history::Loss;
use holdfast_load::Load;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Between two looks at how far the other site is.
const SAMPLING: Duration = Duration::from_millis(200);
/// For the load to be at work, and for the first post to be taken in the other site.
const PATIENCE: Duration = Duration::from_secs(120);
/// Posts that are acknowledged before anything is measured.
const SOME: usize = 50;
/// Why the lost site is fenced. It is the truth: there is no process of it.
const FENCE: &str = "attested:every process of site atl was ended by the lab";

/// What a demonstration is to be like.
#[derive(Clone, Debug)]
pub struct DemoOptions {
    /// How the lab is made, if it is not up.
    pub up: UpOptions,
    /// Posts a second.
    pub rate: f64,
    /// For how long all is well before the site is lost, and again afterwards.
    pub steady: Duration,
    /// Bytes of log that the other site has received, or could fetch, and not applied when the site is lost.
    pub backlog_bytes: u64,
    /// Switchovers within the first site before it is lost.
    pub switchovers: usize,
}

impl Default for DemoOptions {
    fn default() -> Self {
        Self {
            up: UpOptions::default(),
            rate: 200.0,
            steady: Duration::from_secs(10),
            backlog_bytes: 0,
            switchovers: 0,
        }
    }
}

/// A step of the failover, as it was taken.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StepTaken {
    /// Its name.
    pub name: String,
    /// How long it took.
    pub ms: u64,
    /// What was observed.
    pub observed: String,
}

/// When what happened, in milliseconds since the clients began.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Timeline {
    /// How long a moment is.
    pub moment_ms: u64,
    /// Posts that were acknowledged in each.
    pub acknowledged: Vec<u32>,
    /// The site was lost.
    pub lost_ms: u64,
    /// The failover was commanded.
    pub commanded_ms: u64,
    /// The first post was accepted in the other site.
    pub accepted_ms: u64,
}

/// A moment of a [`Timeline`].
const MOMENT: Duration = Duration::from_millis(100);

/// How a demonstration went.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Demo {
    /// Messages that were acknowledged.
    pub acknowledged: usize,
    /// Of them lost with the site.
    pub lost: usize,
    /// There more than once.
    pub duplicated: usize,
    /// Not where they belong.
    pub reordered: usize,
    /// What was shown as lost before the failover was confirmed, in entries.
    pub loss_shown: u64,
    /// From the command to the first post that was accepted in the other site.
    pub failover_ms: u64,
    /// The steps of the failover.
    pub steps: Vec<StepTaken>,
    /// Whether nothing is wrong: the history can be so, and no more was lost than was shown.
    pub holds: bool,
    /// From the last post that was accepted before the site was lost to the first one after it.
    pub outage_ms: u64,
    /// Entries that the other site was behind, while all was well.
    pub lag_entries: Spread,
    /// Seconds that it was behind.
    pub lag_seconds: Spread,
    /// Posts a second that were acknowledged while all was well.
    pub rate: f64,
    /// Switchovers within the first site: for how long nothing was accepted, in milliseconds.
    pub switchover_ms: Vec<u64>,
    /// Processes that were killed.
    pub killed: usize,
    /// Bytes of log that were still to be applied when the failover began.
    pub backlog_bytes: u64,
    /// Whether the sites were bound by shipped log alone.
    pub shipping_only: bool,
    /// When what happened.
    pub timeline: Timeline,
    /// What the clients say of it all.
    pub load: LoadReport,
}

impl Lab {
    /// Tells the whole story in a lab, which is made if it is not up. It is still there afterwards, with its first site lost; whoever wants it away says
    /// [`Lab::down`].
    ///
    /// # Errors
    /// When something does not come as it should, other than that the checker finds faults: those are in what is answered.
    pub async fn demo(dir: &Path, options: &DemoOptions, watcher: Watcher<'_>) -> Result<Demo> {
        let mut lab = Lab::up(dir, &options.up, watcher).await?;
        let (load, begun_with) = stage(watcher, "clients", async {
            let load = lab.begin_load(options.rate).await?;
            load.wait_for(SOME, PATIENCE).await?;
            Ok((load, lab.entries_of(Role::Primary).await?))
        })
        .await?;
        let switchover_ms = lab.switch_over_and_back(&load, options.switchovers, watcher).await?;
        let calm = stage(watcher, "all is well for a while", Box::pin(lab.sample(&load, options.steady))).await?;
        if lab.record.shipping_only {
            // Log that is shipped comes in files: the clients' sign-ins have to be in one that has arrived, or nobody can go on as himself.
            stage(watcher, "the other site has what the clients began with", lab.wait_until_backup_has(begun_with))
                .await?;
        }
        let held = lab.hold_back(options.backlog_bytes, watcher).await?;

        let killed =
            stage(watcher, &format!("site {} is lost", names::FIRST), async { lab.kill(names::FIRST) }).await?;
        let last = load.now();
        watcher(Event::Note(format!(
            "{killed} processes were killed; {} posts had been acknowledged",
            load.acknowledged()
        )));
        let shown = stage(watcher, "what would be lost", lab.shown_loss()).await?;
        watcher(Event::Note(shown.told.clone()));

        // Nobody of the old epoch is left to say anything.
        load.is_in_epoch(shown.next_epoch);
        let commanded = load.now();
        held.release();
        let (steps, first) = stage(watcher, &format!("failover to site {}", names::SECOND), async {
            let accepted = shown.entries.to_string();
            let command = ["failover", "run", "--yes", "--fence", FENCE, "--accept-loss", &accepted];
            let (ran, first) = tokio::join!(lab.holdfast(command), first_after(&load, commanded));
            let ran = ran?;
            Ok((steps_of(&ran), first.context("no post was accepted after the failover")?))
        })
        .await?;
        stage(watcher, &format!("the load goes on in site {}", names::SECOND), async {
            sleep(options.steady).await;
            load.wait_for(SOME, PATIENCE).await
        })
        .await?;

        let timeline = Timeline {
            moment_ms: ms(MOMENT),
            acknowledged: load.acknowledged_by(MOMENT),
            lost_ms: ms(last),
            commanded_ms: ms(commanded),
            accepted_ms: ms(first),
        };
        let (silence, _) = load.longest_silence_after(last.saturating_sub(Duration::from_secs(1)));
        let loss = Loss { epoch: shown.next_epoch - 1, at_most: usize::try_from(shown.entries).unwrap_or(usize::MAX) };
        let outcome =
            stage(watcher, "what the clients say", async { load.finish(&lab.active_servers().await?, loss).await })
                .await?;
        let said = LoadReport::of(&outcome, silence, Some(shown.entries));
        Ok(Demo {
            acknowledged: said.acknowledged,
            lost: said.lost,
            duplicated: said.duplicated,
            reordered: said.reordered,
            loss_shown: shown.entries,
            failover_ms: ms(first.saturating_sub(commanded)),
            steps,
            holds: said.holds && said.lost as u64 <= shown.entries,
            outage_ms: ms(silence),
            lag_entries: calm.entries,
            lag_seconds: calm.seconds,
            rate: calm.rate,
            switchover_ms,
            killed,
            backlog_bytes: options.backlog_bytes,
            shipping_only: lab.record.shipping_only,
            timeline,
            load: said,
        })
    }

    /// Switches over within the first site, to and fro, under the load; answers for how long nothing was accepted each time.
    async fn switch_over_and_back(&self, load: &Load, times: usize, watcher: Watcher<'_>) -> Result<Vec<u64>> {
        let mut silences = Vec::new();
        for number in 1..=times {
            let begun = load.now();
            stage(watcher, &format!("switchover {number} within site {}", names::FIRST), async {
                self.holdfast(["switchover"]).await?;
                load.wait_for(SOME, PATIENCE).await
            })
            .await?;
            silences.push(ms(load.longest_silence_after(begun).0));
        }
        Ok(silences)
    }

    /// The number of entries that the instance of a role has.
    async fn entries_of(&self, role: Role) -> Result<i64> {
        let holds = self.instance_of(role).await?.1.holds;
        let holds = holds.with_context(|| format!("the {} does not say what it has", role.word()))?;
        Ok(holds.entries)
    }

    /// Waits until the other site has as many entries.
    async fn wait_until_backup_has(&self, entries: i64) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let there = self.entries_of(Role::Backup).await;
            if there.as_ref().is_ok_and(|there| *there >= entries) {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("the other site did not get {entries} entries within {PATIENCE:?}; it has {there:?}");
            }
            sleep(SAMPLING).await;
        }
    }

    /// The instance of a role: which of the agents' it is, and what its agent says.
    async fn instance_of(&self, role: Role) -> Result<(usize, Report)> {
        let mut all = reports(&self.agents()?).await.into_iter().enumerate();
        let has_role = |(place, report): (usize, Result<Report>)| {
            Some((place, report.ok().filter(|report| report.role == Some(role))?))
        };
        let found = all.find_map(has_role);
        found.with_context(|| format!("no agent says that its instance is the {}", role.word()))
    }

    /// Looks again and again how far the other site is.
    async fn sample(&self, load: &Load, length: Duration) -> Result<Calm> {
        let agents = self.agents()?;
        let (primary, backup) = (self.instance_of(Role::Primary).await?.0, self.instance_of(Role::Backup).await?.0);
        let (mut entries, mut seconds) = (Vec::new(), Vec::new());
        let (begun, before) = (Instant::now(), load.acknowledged());
        while begun.elapsed() < length {
            let asked = Instant::now();
            let (theirs, own) = tokio::join!(report(&agents[primary].1), report(&agents[backup].1));
            if let (Ok(theirs), Ok(own)) = (&theirs, &own)
                && let Some(lag) = Lag::between(theirs, own)
            {
                entries.push(lag.entries as f64);
                seconds.push(lag.seconds);
            }
            sleep(SAMPLING.saturating_sub(asked.elapsed())).await;
        }
        let acknowledged = load.acknowledged() - before;
        let rate = acknowledged as f64 / begun.elapsed().as_secs_f64().max(0.001);
        Ok(Calm { entries: Spread::of(entries), seconds: Spread::of(seconds), rate })
    }

    /// What a failover would lose, as a person is shown it before he confirms: when nothing hinders it any more.
    async fn shown_loss(&self) -> Result<Shown> {
        let deadline = Instant::now() + PATIENCE;
        let plan = loop {
            match self.holdfast(["failover", "plan", "--fence", FENCE]).await {
                Ok(plan) => break plan,
                // It is not certain at once that nobody answers in the other site.
                Err(refused) if Instant::now() > deadline => return Err(refused),
                Err(_) => sleep(SAMPLING).await,
            }
        };
        let entries = plan["loss"]["at_most"].as_u64().with_context(|| format!("the plan shows no loss: {plan}"))?;
        ensure!(plan["loss"]["known"] == true, "the plan does not know what would be lost: {plan}");
        let next_epoch = plan["next_epoch"].as_i64().with_context(|| format!("the plan shows no epoch: {plan}"))?;
        let told = plan["loss_told"].as_str().unwrap_or_default().to_owned();
        Ok(Shown { entries, next_epoch, told })
    }
}

/// What there was to see while all was well.
struct Calm {
    entries: Spread,
    seconds: Spread,
    rate: f64,
}

/// What is shown before a failover is confirmed.
struct Shown {
    entries: u64,
    next_epoch: i64,
    told: String,
}

/// When a post was first accepted after a moment.
async fn first_after(load: &Load, moment: Duration) -> Result<Duration> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(first) = load.first_acknowledged_after(moment) {
            return Ok(first);
        }
        if Instant::now() > deadline {
            bail!("nothing was accepted within {PATIENCE:?}");
        }
        sleep(Duration::from_millis(5)).await;
    }
}

/// The steps, from what the command prints at its end.
fn steps_of(printed: &Value) -> Vec<StepTaken> {
    let steps = printed["steps"].as_array().map(Vec::as_slice).unwrap_or_default();
    let taken = |step: &Value| StepTaken {
        name: step["name"].as_str().unwrap_or_default().to_owned(),
        ms: step["ms"].as_u64().unwrap_or(0),
        observed: step["observed"].as_str().unwrap_or_default().to_owned(),
    };
    steps.iter().map(taken).collect()
}
