//! The OpenAPI document is checked in, so that a change of the API shows in its diff.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may stop at the first thing that is wrong"
)]

use serde_json::Value;
use std::collections::BTreeSet;
use std::{env, fs};

#[test]
fn operations_have_names_of_their_own() {
    let document: Value = serde_json::from_str(&holdfast_http::openapi()).unwrap();
    let mut seen = BTreeSet::new();
    for item in document["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            let name = operation["operationId"].as_str().unwrap();
            assert!(seen.insert(name.to_owned()), "two operations are called {name}");
            assert!(operation["summary"].is_string(), "{name} has no summary");
        }
    }
}

#[test]
fn the_document_that_is_checked_in_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    let current = holdfast_http::openapi();
    if env::var_os("UPDATE_TABLES").is_some() {
        fs::write(path, &current).unwrap();
    }
    let kept = fs::read_to_string(path).unwrap_or_default();
    assert!(
        kept == current,
        "docs/openapi.json is not current; run the tests with UPDATE_TABLES=1 and look at the difference"
    );
}
