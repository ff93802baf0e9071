//! What was measured, in one run and in several: medians, spreads, and ratios that are taken within a run before they are compared.

use comfy_table::{Cell, CellAlignment, Table, presets};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A figure of one run of one server.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    /// The measurement, and what of it.
    pub(crate) what: &'static str,
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    pub(crate) value: f64,
}

impl Figure {
    pub(crate) fn new(what: &'static str, name: impl Into<String>, unit: &'static str, value: f64) -> Self {
        Self { what, name: name.into(), unit, value }
    }
}

/// A count as a figure.
#[allow(clippy::cast_precision_loss, reason = "counts of minutes")]
pub(crate) fn count(number: u64) -> f64 {
    number as f64
}

/// Values of one figure: by server, by run.
type Values = BTreeMap<String, BTreeMap<usize, f64>>;

/// Everything of every run.
#[derive(Debug)]
pub(crate) struct Report {
    servers: Vec<String>,
    /// In the order in which they came first.
    figures: Vec<(Figure, Values)>,
    /// What could not be measured.
    failures: Vec<(usize, String, &'static str, String)>,
}

/// Median, least and most.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Middle {
    median: f64,
    least: f64,
    most: f64,
}

impl Middle {
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let (low, high) = (values.get((values.len() - 1) / 2)?, values.get(values.len() / 2)?);
        Some(Self { median: f64::midpoint(*low, *high), least, most })
    }

    fn shown(self) -> String {
        if (self.least - self.most).abs() < f64::EPSILON {
            return short(self.median);
        }
        format!("{} ({} to {})", short(self.median), short(self.least), short(self.most))
    }

    fn json(self) -> Value {
        json!({"median": self.median, "least": self.least, "most": self.most})
    }
}

/// Three digits, which is more than a shared machine can tell apart.
fn short(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 || v == 0.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

impl Report {
    pub(crate) fn new(servers: Vec<String>) -> Self {
        Self { servers, figures: Vec::new(), failures: Vec::new() }
    }

    pub(crate) fn add(&mut self, run: usize, server: &str, figures: Vec<Figure>) {
        for figure in figures {
            let same = |(known, _): &(Figure, _)| known.what == figure.what && known.name == figure.name;
            let place = self.figures.iter().position(same).unwrap_or_else(|| {
                self.figures.push((figure.clone(), BTreeMap::new()));
                self.figures.len() - 1
            });
            if let Some((_, servers)) = self.figures.get_mut(place) {
                servers.entry(server.to_owned()).or_default().insert(run, figure.value);
            }
        }
    }

    pub(crate) fn failed(&mut self, run: usize, server: &str, what: &'static str, why: String) {
        self.failures.push((run, server.to_owned(), what, why));
    }

    fn ratio(values: &Values, first: &str, other: &str) -> Option<Middle> {
        let (first, other) = (values.get(first)?, values.get(other)?);
        let of_run = |(run, value): (&usize, &f64)| Some(value / other.get(run).filter(|v| **v > 0.0)?);
        Middle::of(first.iter().filter_map(of_run).collect())
    }

    /// Ratios are of the first server to each of the others.
    fn pairs(&self) -> impl Iterator<Item = (&String, &String)> {
        let first = self.servers.first();
        self.servers.iter().skip(1).filter_map(move |other| Some((first?, other)))
    }

    pub(crate) fn table(&self) -> String {
        let mut text = String::new();
        let mut groups: Vec<&str> = Vec::new();
        for (figure, _) in &self.figures {
            if !groups.contains(&figure.what) {
                groups.push(figure.what);
            }
        }
        for group in groups {
            let mut table = Table::new();
            table.load_style(presets::ASCII_MARKDOWN);
            let mut head = vec![group.to_owned(), "unit".to_owned()];
            head.extend(self.servers.clone());
            head.extend(self.pairs().map(|(first, other)| format!("{first}/{other}")));
            table.set_header(head);
            for (figure, values) in self.figures.iter().filter(|(figure, _)| figure.what == group) {
                let mut row = vec![Cell::new(&figure.name), Cell::new(figure.unit)];
                let shown = |middle: Option<Middle>| middle.map_or_else(|| "-".to_owned(), Middle::shown);
                let of = |server| Middle::of(values.get(server)?.values().copied().collect());
                row.extend(self.servers.iter().map(|server| Cell::new(shown(of(server)))));
                let ratio = |(first, other): (&String, &String)| Self::ratio(values, first, other);
                row.extend(self.pairs().map(|pair| Cell::new(shown(ratio(pair)))));
                table.add_row(row);
            }
            for column in table.column_iter_mut().skip(2) {
                column.set_cell_alignment(CellAlignment::Right);
            }
            text.push_str(&format!("\n{table}\n"));
        }
        for (run, server, what, why) in &self.failures {
            text.push_str(&format!("\nrun {run}, {server}, {what}: not measured: {why}\n"));
        }
        text
    }

    pub(crate) fn json(&self) -> Value {
        let figures = self.figures.iter().map(|(figure, values)| {
            let servers: serde_json::Map<String, Value> = values
                .iter()
                .map(|(server, runs)| {
                    let middle = Middle::of(runs.values().copied().collect()).map_or(Value::Null, Middle::json);
                    (server.clone(), json!({"runs": runs, "over_all": middle}))
                })
                .collect();
            let ratios: serde_json::Map<String, Value> = self
                .pairs()
                .filter_map(|(first, other)| {
                    Some((format!("{first}/{other}"), Self::ratio(values, first, other)?.json()))
                })
                .collect();
            json!({"what": figure.what, "name": figure.name, "unit": figure.unit, "servers": servers, "ratios": ratios})
        });
        let failures = self
            .failures
            .iter()
            .map(|(run, server, what, why)| json!({"run": run, "server": server, "what": what, "why": why}));
        json!({"figures": figures.collect::<Vec<_>>(), "failures": failures.collect::<Vec<_>>()})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_taken_within_a_run() {
        let mut report = Report::new(vec!["a".into(), "b".into()]);
        for (run, (a, b)) in [(10.0, 1.0), (300.0, 10.0), (40.0, 2.0)].into_iter().enumerate() {
            report.add(run, "a", vec![Figure::new("posts", "rate", "1/s", a)]);
            report.add(run, "b", vec![Figure::new("posts", "rate", "1/s", b)]);
        }
        let ratio = Report::ratio(&report.figures[0].1, "a", "b").unwrap();
        assert_eq!(ratio, Middle { median: 20.0, least: 10.0, most: 30.0 });
        assert!(report.table().contains("20.0 (10.0 to 30.0)"), "{}", report.table());
        assert_eq!(report.json()["figures"][0]["servers"]["a"]["over_all"]["median"], 40.0);
        assert!(Middle::of(Vec::new()).is_none());
    }
}
