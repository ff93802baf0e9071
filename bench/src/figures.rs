//! Durations turned into percentiles, and the table they are printed in.

use serde_json::{Map, Value, json};
use std::time::Duration;

/// Durations of one kind.
#[derive(Default)]
pub(crate) struct Durations(Vec<Duration>);

impl Durations {
    pub(crate) fn add(&mut self, duration: Duration) {
        self.0.push(duration);
    }

    pub(crate) fn extend(&mut self, other: &Durations) {
        self.0.extend(&other.0);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Median, 99th percentile and maximum, in milliseconds.
    pub(crate) fn row(mut self, name: impl Into<String>) -> Row {
        self.0.sort_unstable();
        let at = |share: f64| {
            #[allow(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a place in a list"
            )]
            let place = ((self.0.len() as f64 * share) as usize).min(self.0.len().saturating_sub(1));
            self.0.get(place).map_or(0.0, |d| d.as_secs_f64() * 1_000.0)
        };
        let count = self.0.len();
        Row {
            name: name.into(),
            values: vec![
                ("count", json!(count)),
                ("p50_ms", round(at(0.5))),
                ("p99_ms", round(at(0.99))),
                ("max_ms", round(at(1.0))),
            ],
        }
    }
}

/// A line of the table: a name and named values.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) values: Vec<(&'static str, Value)>,
}

impl Row {
    pub(crate) fn new(name: impl Into<String>, values: Vec<(&'static str, Value)>) -> Self {
        Self { name: name.into(), values }
    }

    pub(crate) fn with(mut self, name: &'static str, value: Value) -> Self {
        self.values.push((name, value));
        self
    }
}

/// Two decimals are more than a shared machine can tell apart.
pub(crate) fn round(value: f64) -> Value {
    json!((value * 100.0).round() / 100.0)
}

/// All that was measured.
pub(crate) struct Report {
    json: bool,
    all: Map<String, Value>,
}

impl Report {
    pub(crate) fn new(json: bool) -> Self {
        Self { json, all: Map::new() }
    }

    pub(crate) fn add(&mut self, scenario: &str, rows: Vec<Row>) {
        if !self.json {
            println!("\n{scenario}");
            for row in &rows {
                let values: Vec<String> = row.values.iter().map(|(name, value)| format!("{name} {value}")).collect();
                println!("  {:<42} {}", row.name, values.join("  "));
            }
        }
        let rows = rows.into_iter().map(|row| {
            let values: Map<String, Value> = row.values.into_iter().map(|(n, v)| (n.to_owned(), v)).collect();
            (row.name, Value::Object(values))
        });
        self.all.insert(scenario.to_owned(), Value::Object(rows.collect()));
    }

    pub(crate) fn finish(self) {
        if self.json {
            println!("{}", Value::Object(self.all));
        }
    }
}
