//! The OpenAPI document is checked in, so that a change of the API shows in its diff.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may stop at the first thing that is wrong"
)]

use std::{env, fs};

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
