//! What the others said last, and what follows from their silence.

use super::report::Report;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// How far back the rate of writing is remembered.
const MEASURED: Duration = Duration::from_secs(60);
/// The shortest that a rate is measured over.
const A_SECOND: Duration = Duration::from_secs(1);

/// What one other agent said.
#[derive(Clone, Debug)]
pub struct Heard {
    /// Its last report.
    pub report: Report,
    /// When that was asked for: what it says is not older.
    pub asked: Instant,
    /// The same for people.
    pub at: Timestamp,
    /// When it did not answer for the first time since; `None`: it answers.
    pub silent_since: Option<Instant>,
    /// Why it does not answer.
    pub why: String,
    /// Entries by when they were counted.
    counted: VecDeque<(Instant, i64)>,
}

impl Heard {
    /// Entries a second at the busiest second of the last minute.
    pub fn busiest_rate(&self) -> f64 {
        busiest_rate(&self.counted)
    }
}

/// Measured over a second at least: two looks that are close to each other catch a batch of writers, or none, and say nothing of the rate.
fn busiest_rate(counted: &VecDeque<(Instant, i64)>) -> f64 {
    let from = |(i, (begun, before)): (usize, &(Instant, i64))| {
        let mut later = counted.iter().skip(i + 1);
        let long_enough = later.find(|(at, _)| at.duration_since(*begun) >= A_SECOND).or_else(|| counted.back());
        let (ended, after) = long_enough.filter(|(at, _)| at > begun)?;
        #[allow(clippy::cast_precision_loss, reason = "entries of a second are few")]
        let more = (after - before).max(0) as f64;
        Some(more / ended.duration_since(*begun).as_secs_f64())
    };
    // The last second has too few looks left to begin at any but the first of them.
    let whole = counted.iter().enumerate().take_while(|(i, (at, _))| {
        *i == 0 || counted.back().is_some_and(|(last, _)| last.duration_since(*at) >= A_SECOND)
    });
    whole.filter_map(from).fold(0.0, f64::max)
}

/// A report that is kept over a restart.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Kept {
    /// The report.
    pub report: Report,
    /// When it came.
    pub at: Timestamp,
    /// Entries a second at the busiest of the minute before.
    pub rate: f64,
}

/// All others.
#[derive(Debug, Default)]
pub struct Others {
    heard: HashMap<String, Heard>,
    /// What was heard before this agent was restarted.
    kept: HashMap<String, Kept>,
}

impl Others {
    /// Begins with what was kept.
    pub fn with(kept: HashMap<String, Kept>) -> Others {
        Others { heard: HashMap::new(), kept }
    }

    /// Notes an answer to a question that was asked then.
    pub fn note(&mut self, name: &str, report: Report, asked: Instant) {
        let mut counted = self.heard.remove(name).map(|h| h.counted).unwrap_or_default();
        if let Some(holds) = &report.holds {
            // Looks that are very close to each other measure nothing.
            if counted.back().is_none_or(|(at, _)| asked.duration_since(*at) > Duration::from_millis(200)) {
                counted.push_back((asked, holds.entries));
            }
        }
        while counted.front().is_some_and(|(at, _)| asked.duration_since(*at) > MEASURED) {
            counted.pop_front();
        }
        let at = Timestamp::now();
        let heard = Heard { report, asked, at, silent_since: None, why: String::new(), counted };
        self.heard.insert(name.to_owned(), heard);
    }

    /// Notes that one does not answer.
    pub fn note_silence(&mut self, name: &str, why: String, now: Instant) {
        if let Some(heard) = self.heard.get_mut(name) {
            heard.silent_since.get_or_insert(now);
            heard.why = why;
        }
    }

    /// What one said last.
    pub fn get(&self, name: &str) -> Option<&Heard> {
        self.heard.get(name)
    }

    /// What one said last if it answers now.
    pub fn answering(&self, name: &str) -> Option<&Heard> {
        self.heard.get(name).filter(|h| h.silent_since.is_none())
    }

    /// What was heard of one before a restart of this agent, if nothing was since.
    pub fn before(&self, name: &str) -> Option<&Kept> {
        if self.heard.contains_key(name) { None } else { self.kept.get(name) }
    }

    /// What is to be kept.
    pub fn to_keep(&self) -> HashMap<String, Kept> {
        let mut kept = self.kept.clone();
        for (name, heard) in &self.heard {
            let rate = heard.busiest_rate();
            kept.insert(name.clone(), Kept { report: heard.report.clone(), at: heard.at, rate });
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_between_two_looks_is_no_rate() {
        let begun = Instant::now();
        let looks = |all: &[(u64, i64)]| all.iter().map(|(ms, n)| (begun + Duration::from_millis(*ms), *n)).collect();
        let rate = |all: &[(u64, i64)]| busiest_rate(&looks(all)).round();
        assert_eq!(rate(&[]), 0.0);
        assert_eq!(rate(&[(0, 10)]), 0.0);
        assert_eq!(rate(&[(0, 0), (250, 100), (500, 100), (750, 100), (1_000, 200)]), 200.0, "two batches in a second");
        assert_eq!(rate(&[(0, 0), (1_000, 50), (2_000, 350), (3_000, 350)]), 300.0, "the busiest one counts");
        assert_eq!(rate(&[(0, 0), (500, 100)]), 200.0, "what is known of less than a second");
    }
}
