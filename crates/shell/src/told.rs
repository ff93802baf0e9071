//! What an administration answers: lines, records and tables for people, and the same as JSON for programs.

use serde_json::{Map, Value, json};

/// An answer.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Told {
    parts: Vec<Part>,
    json: Option<Value>,
}

/// A part of an answer.
#[derive(Clone, PartialEq, Debug)]
pub enum Part {
    /// A sentence.
    Line(String),
    /// One thing, as lines `Name : value`.
    Record(Vec<(String, String)>),
    /// Several things of one kind.
    Table {
        /// What stands over the columns.
        headings: Vec<String>,
        /// A row for each thing, as long as the headings.
        rows: Vec<Vec<String>>,
    },
}

impl Told {
    /// Nothing to say.
    pub fn nothing() -> Told {
        Told::default()
    }

    /// One sentence.
    pub fn line(line: impl Into<String>) -> Told {
        Told::nothing().and_line(line)
    }

    /// And another sentence.
    #[must_use]
    pub fn and_line(mut self, line: impl Into<String>) -> Told {
        self.parts.push(Part::Line(line.into()));
        self
    }

    /// And one thing with its fields.
    #[must_use]
    pub fn and_record<N: Into<String>, V: Into<String>>(mut self, fields: impl IntoIterator<Item = (N, V)>) -> Told {
        self.parts.push(Part::Record(fields.into_iter().map(|(n, v)| (n.into(), v.into())).collect()));
        self
    }

    /// And several things of one kind.
    #[must_use]
    pub fn and_table(mut self, headings: &[&str], rows: Vec<Vec<String>>) -> Told {
        let headings = headings.iter().map(|h| (*h).to_owned()).collect();
        self.parts.push(Part::Table { headings, rows });
        self
    }

    /// With what programs get instead of a translation of what people see.
    #[must_use]
    pub fn with_json(mut self, json: Value) -> Told {
        self.json = Some(json);
        self
    }

    /// Its parts, in their order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// For programs: what was given for them, or what people see: sentences under `lines`, records and rows under `items`.
    pub fn json(&self) -> Value {
        if let Some(json) = &self.json {
            return json.clone();
        }
        let (mut lines, mut items) = (Vec::new(), Vec::new());
        for part in &self.parts {
            match part {
                Part::Line(line) => lines.push(Value::from(line.as_str())),
                Part::Record(fields) => items.push(object(fields.iter().map(|(n, v)| (n, v)))),
                Part::Table { headings, rows } => {
                    items.extend(rows.iter().map(|row| object(headings.iter().zip(row))));
                }
            }
        }
        let mut json = json!({});
        for (name, values) in [("lines", lines), ("items", items)] {
            if !values.is_empty() {
                json[name] = Value::from(values);
            }
        }
        json
    }
}

fn object<'a>(fields: impl Iterator<Item = (&'a String, &'a String)>) -> Value {
    Value::Object(fields.map(|(n, v)| (n.clone(), Value::from(v.as_str()))).collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_get_what_people_see() {
        let told = Told::line("Done.").and_record([("A", "1")]).and_table(&["B"], vec![vec!["2".into()]]);
        assert_eq!(told.json(), json!({ "lines": ["Done."], "items": [{ "A": "1" }, { "B": "2" }] }));
        assert_eq!(told.with_json(json!([1])).json(), json!([1]));
        assert_eq!(Told::nothing().json(), json!({}));
    }
}
