//! A load of real clients on a lab, whose history is checked.

use crate::figures::ms;
use crate::{Event, Lab, Watcher, names};
use anyhow::{Result, ensure};
use holdfast_history::{Kind, Loss};
use holdfast_load::http::Http;
use holdfast_load::{Cast, Hosts, Load, Outcome, Plan};
use hyper::Method;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// For a chat server to say how it is.
const ANSWER: Duration = Duration::from_secs(3);
/// How often it is said how far a load is.
const TELLING: Duration = Duration::from_secs(5);
/// Faults that are told one by one.
const TOLD: usize = 20;

/// A load.
#[derive(Clone, Copy, Debug)]
pub struct LoadOptions {
    /// Posts a second.
    pub rate: f64,
    /// For so long.
    pub length: Duration,
}

/// How a load was.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct LoadReport {
    /// Whether nothing is wrong.
    pub holds: bool,
    /// Messages that were sent.
    pub sent: usize,
    /// Of them acknowledged.
    pub acknowledged: usize,
    /// Acknowledged, and not there in the end.
    pub lost: usize,
    /// There more than once.
    pub duplicated: usize,
    /// Not where they belong.
    pub reordered: usize,
    /// Acknowledged by a site that was lost with them, and sent again.
    pub sent_again: usize,
    /// Messages whose senders were told that they were not taken.
    pub failed: usize,
    /// Messages whose senders never came to know.
    pub unknown: usize,
    /// Entries that listeners saw, each as often as it was seen.
    pub seen: usize,
    /// What was announced as lost, in entries; `None` when nothing was.
    pub loss_shown: Option<u64>,
    /// Half of the senders had their answer within so many milliseconds.
    pub answer_p50_ms: f64,
    /// All but one in a hundred had.
    pub answer_p99_ms: f64,
    /// The longest time in which nothing was acknowledged, in milliseconds.
    pub longest_silence_ms: u64,
    /// What is wrong, each as a sentence.
    pub faults: Vec<String>,
}

impl LoadReport {
    pub(crate) fn of(outcome: &Outcome, longest_silence: Duration, loss: Option<u64>) -> LoadReport {
        let (report, counts) = (&outcome.report, outcome.report.counts);
        let count = |kinds: &[Kind]| report.faults.iter().filter(|fault| kinds.contains(&fault.kind)).count();
        let told = report.faults.iter().map(|f| format!("{}: room {}: {}", f.kind.meaning(), f.room, f.what));
        let surprises = outcome.surprises.iter().map(|what| format!("no client should be told this: {what}"));
        let within = |part| outcome.answered_within(part).map_or(0.0, |waited| waited.as_secs_f64() * 1e3);
        LoadReport {
            holds: outcome.holds(),
            sent: counts.sent,
            acknowledged: counts.acknowledged,
            lost: counts.lost + count(&[Kind::Lost]),
            duplicated: count(&[Kind::Doubled]),
            reordered: count(&[Kind::OutOfTurn, Kind::OutOfTime, Kind::Moved]),
            sent_again: counts.sent_again,
            failed: counts.failed,
            unknown: counts.unknown_found + counts.unknown_absent,
            seen: counts.seen,
            loss_shown: loss,
            answer_p50_ms: within(0.5),
            answer_p99_ms: within(0.99),
            longest_silence_ms: ms(longest_silence),
            faults: told.chain(surprises).take(TOLD).collect(),
        }
    }
}

impl Lab {
    /// Lets clients work for a while, whatever happens meanwhile, and checks what they were told and saw. Should a site be failed over while they do, the
    /// loss that was accepted then is allowed.
    ///
    /// # Errors
    /// When it does not begin, or those who took part do not come to agree at all.
    pub async fn load(&mut self, options: &LoadOptions, watcher: Watcher<'_>) -> Result<LoadReport> {
        let before = self.newest_epoch().await;
        let load = self.begin_load(options.rate).await?;
        let begun = load.now();
        let until = Instant::now() + options.length;
        while Instant::now() < until {
            sleep(TELLING.min(until.saturating_duration_since(Instant::now()))).await;
            watcher(Event::Note(format!("{} messages acknowledged", load.acknowledged())));
        }
        let (silence, _) = load.longest_silence_after(begun);
        let loss = self.loss_since(before).await;
        let outcome = load.finish(&self.active_servers().await?, loss.unwrap_or(Loss::NONE)).await?;
        Ok(LoadReport::of(&outcome, silence, loss.map(|loss| loss.at_most as u64)))
    }

    /// Makes people and rooms of their own, and lets them begin.
    pub(crate) async fn begin_load(&mut self, rate: f64) -> Result<Load> {
        self.record.loads += 1;
        self.record.save(&self.place)?;
        let plan = Plan { tag: format!("load{}-", self.record.loads), rooms: 3, ..Plan::at_rate(rate) };
        let active = self.active_servers().await?;
        ensure!(
            !active.is_empty(),
            "no chat server takes clients; see `holdfast lab status --dir {}`",
            self.place.dir().display()
        );
        let at: Vec<String> = active.iter().map(|(_, host)| host.clone()).collect();
        let mut admin = holdfast_load::cast::sign_in(&at[0], &self.record.admin, &self.record.password).await?;
        let hosts = Hosts::of(names::servers().iter().map(|(_, short)| self.record.host(short)));
        let cast = Cast::make(&mut admin, &plan, &hosts, &at, &self.record.password).await?;
        Load::start(cast, &plan).await
    }

    /// The chat servers that take clients now, with where they are.
    pub(crate) async fn active_servers(&self) -> Result<Vec<(String, String)>> {
        let mut active = Vec::new();
        for (_, short) in names::servers() {
            let host = self.record.host(&short);
            let mut http = Http::new(&host);
            let asked = timeout(ANSWER, http.send(Method::GET, "/api/v1/server", None)).await;
            if let Ok(Ok((200, server))) = asked
                && server["standing"] == "active"
            {
                active.push((short, host));
            }
        }
        Ok(active)
    }

    /// The newest epoch that any agent knows.
    async fn newest_epoch(&self) -> u64 {
        let Ok(agents) = self.agents() else { return 0 };
        let reports = crate::commands::reports(&agents).await;
        reports.iter().flatten().map(holdfast_continuity::agent::report::Report::epoch).max().unwrap_or(0)
    }

    /// What was accepted as lost by a failover since an epoch, as the agents tell.
    async fn loss_since(&self, before: u64) -> Option<Loss> {
        let agents = self.agents().ok()?;
        let reports = crate::commands::reports(&agents).await;
        let outcomes = reports.iter().flatten().filter_map(|report| {
            let operation = report.operation.as_ref().filter(|operation| operation.kind == "failover")?;
            serde_json::from_value::<holdfast_continuity::failover::outcome::Outcome>(operation.result.clone()).ok()
        });
        let outcome = outcomes.filter(|outcome| outcome.epoch > before).max_by_key(|outcome| outcome.epoch)?;
        let at_most = usize::try_from(outcome.loss.at_most).unwrap_or(usize::MAX);
        Some(Loss { epoch: i64::try_from(outcome.epoch).ok()? - 1, at_most })
    }
}
