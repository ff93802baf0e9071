//! Checks answers against an OpenAPI document: the status must be described, and the body must be exactly what the schema says.
//! Only those parts of JSON Schema that the document uses are understood; another one fails the test.

use super::Answer;
use axum::http::Method;
use serde_json::Value;
use std::collections::BTreeSet;

/// A document.
pub struct Document(pub Value);

impl Document {
    pub fn parse(text: &str) -> Document {
        Document(serde_json::from_str(text).unwrap())
    }

    /// All operations, as `GET /path/{template}`.
    pub fn operations(&self) -> BTreeSet<String> {
        let paths = self.0["paths"].as_object().unwrap();
        let operations = paths.iter().flat_map(|(path, item)| {
            item.as_object().unwrap().keys().map(move |method| format!("{} {path}", method.to_uppercase()))
        });
        operations.collect()
    }

    /// Checks an answer and tells which operation it is of; nothing, if the path is not described.
    #[track_caller]
    pub fn check(&self, method: &Method, path: &str, answer: &Answer) -> Option<String> {
        let path = path.split('?').next().unwrap();
        let (template, item) = self.0["paths"].as_object().unwrap().iter().filter(|(t, _)| fits(t, path)).max_by_key(
            // `/messages/remove` before `/messages/{seq}`.
            |(t, _)| std::cmp::Reverse(t.matches('{').count()),
        )?;
        let operation = item.get(method.as_str().to_lowercase())?;
        let name = format!("{method} {template}");
        let status = answer.status.as_u16().to_string();
        let described = operation["responses"]
            .get(&status)
            .unwrap_or_else(|| panic!("{name} does not describe its answer {status}: {answer:?}"));
        let described = match described.get("$ref").and_then(Value::as_str) {
            Some(reference) => self.0.pointer(&reference[1..]).unwrap(),
            None => described,
        };
        let media_type = answer.header("content-type").split(';').next().unwrap();
        let Some(content) = described.get("content") else {
            assert!(answer.body.is_empty(), "{name} describes no body for {status}");
            return Some(name);
        };
        if answer.headers.get("content-encoding").is_some() {
            return Some(name);
        }
        let Some(schema) = content.get(media_type).and_then(|c| c.get("schema")) else {
            // Files have the type of what they hold.
            assert!(
                content.get("application/octet-stream").is_some(),
                "{name} does not describe {media_type} for {status}"
            );
            return Some(name);
        };
        match media_type {
            "application/json" | "application/problem+json" => self.must_fit(&name, schema, &answer.json()),
            "application/x-ndjson" => {
                for line in answer.body.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
                    self.must_fit(&name, schema, &serde_json::from_slice(line).unwrap());
                }
            }
            _ => {}
        }
        Some(name)
    }

    /// Checks a value against the schema with a name.
    #[track_caller]
    pub fn must_be(&self, name: &str, value: &Value) {
        self.must_fit(name, &self.0["components"]["schemas"][name], value);
    }

    #[track_caller]
    fn must_fit(&self, name: &str, schema: &Value, value: &Value) {
        if let Err(why) = self.fits(schema, value, "$", true) {
            panic!("{name}: the answer is not as described: {why}\n{value:#}");
        }
    }

    /// `closed`: properties that are not described are faults, which they are not while only a part of a whole is looked at.
    fn fits(&self, schema: &Value, value: &Value, at: &str, closed: bool) -> Result<(), String> {
        let schema = self.resolved(schema);
        let fields = schema.as_object().ok_or_else(|| format!("{at}: no schema"))?;
        for keyword in fields.keys() {
            const KNOWN: [&str; 22] = [
                "type",
                "properties",
                "required",
                "items",
                "prefixItems",
                "enum",
                "const",
                "oneOf",
                "anyOf",
                "allOf",
                "additionalProperties",
                "propertyNames",
                "format",
                "description",
                "title",
                "examples",
                "minimum",
                "maximum",
                "default",
                "contentEncoding",
                "contentMediaType",
                "deprecated",
            ];
            assert!(KNOWN.contains(&keyword.as_str()), "{at}: the checker does not understand `{keyword}`");
        }
        if let Some(types) = schema.get("type") {
            let is = |t: &Value| is_of_type(value, t.as_str().unwrap());
            if !types.as_array().map_or_else(|| is(types), |types| types.iter().any(is)) {
                return Err(format!("{at}: {value} is not {types}"));
            }
        }
        if let Some(words) = schema.get("enum").and_then(Value::as_array)
            && !words.contains(value)
        {
            return Err(format!("{at}: {value} is none of {words:?}"));
        }
        if let Some(constant) = schema.get("const")
            && constant != value
        {
            return Err(format!("{at}: {value} is not {constant}"));
        }
        if let Some(minimum) = schema.get("minimum").and_then(Value::as_f64)
            && value.as_f64().is_some_and(|n| n < minimum)
        {
            return Err(format!("{at}: {value} is less than {minimum}"));
        }
        for part in list(schema, "allOf") {
            self.fits(part, value, at, false)?;
        }
        for keyword in ["oneOf", "anyOf"] {
            let choices = list(schema, keyword);
            if !choices.is_empty() {
                let tried: Vec<String> = choices.iter().filter_map(|c| self.fits(c, value, at, closed).err()).collect();
                if tried.len() == choices.len() {
                    return Err(format!("{at}: fits none of {keyword}:\n  {}", tried.join("\n  ")));
                }
            }
        }
        if let Some(object) = value.as_object() {
            self.fits_object(schema, object, at, closed)?;
        }
        if let Some(items) = value.as_array() {
            for (i, item) in items.iter().enumerate() {
                let schema = list(schema, "prefixItems").get(i).or(schema.get("items").filter(|s| s.is_object()));
                if let Some(schema) = schema {
                    self.fits(schema, item, &format!("{at}[{i}]"), true)?;
                }
            }
        }
        Ok(())
    }

    fn fits_object(
        &self,
        schema: &Value,
        object: &serde_json::Map<String, Value>,
        at: &str,
        closed: bool,
    ) -> Result<(), String> {
        for name in list(schema, "required") {
            let name = name.as_str().unwrap();
            if !object.contains_key(name) {
                return Err(format!("{at}: `{name}` is missing"));
            }
        }
        for (name, schema) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            if let Some(value) = object.get(name) {
                self.fits(schema, value, &format!("{at}.{name}"), true)?;
            }
        }
        if let Some(schema) = schema.get("additionalProperties").filter(|s| s.is_object()) {
            for (name, value) in object {
                self.fits(schema, value, &format!("{at}.{name}"), true)?;
            }
        }
        // Where nothing is said of the properties, any will do.
        let mut known = BTreeSet::new();
        if closed && self.names(schema, &mut known) {
            for name in object.keys() {
                if !known.contains(name) {
                    return Err(format!("{at}: `{name}` is not described"));
                }
            }
        }
        Ok(())
    }

    /// Collects the properties that are described; whether there are no others.
    fn names(&self, schema: &Value, known: &mut BTreeSet<String>) -> bool {
        let schema = self.resolved(schema);
        let mut closed = schema.get("properties").is_some();
        known.extend(schema.get("properties").and_then(Value::as_object).into_iter().flatten().map(|(n, _)| n.clone()));
        for keyword in ["allOf", "oneOf", "anyOf"] {
            for part in list(schema, keyword) {
                closed |= self.names(part, known);
            }
        }
        closed && !schema.get("additionalProperties").is_some_and(Value::is_object)
    }

    fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        match schema.get("$ref").and_then(Value::as_str) {
            Some(reference) => {
                let name = reference.strip_prefix("#/components/schemas/").unwrap();
                let found = &self.0["components"]["schemas"][name];
                assert!(found.is_object(), "the document refers to {reference}, which is not there");
                found
            }
            None => schema,
        }
    }
}

fn list<'a>(schema: &'a Value, keyword: &str) -> &'a [Value] {
    schema.get(keyword).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn is_of_type(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("no such type: {other}"),
    }
}

/// Whether a path is one of a template's.
fn fits(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len() && template.iter().zip(path).all(|(t, p)| t.starts_with('{') || *t == p)
}
