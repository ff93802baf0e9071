//! The rules of the house, as tests: what is built on what, on whose work, and under which licences.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot read the house has failed")]

use holdfast_tests::cli::workspace;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The crates and their floors. A crate uses only crates of lower floors.
const FLOORS: [(&str, u8); 19] = [
    ("holdfast-domain", 1),
    ("holdfast-pki", 1),
    ("holdfast-private-postgres", 1),
    ("holdfast-private-buckets", 1),
    ("holdfast-history", 1),
    ("holdfast-load", 2),
    ("holdfast-wal", 2),
    ("holdfast-store", 2),
    ("holdfast-instance", 3),
    ("holdfast-chat", 3),
    ("holdfast-http", 4),
    ("holdfast-xmpp", 4),
    ("holdfast-continuity", 4),
    ("holdfast-shell", 5),
    ("holdfast-lab", 5),
    ("holdfast", 6),
    ("holdfast-tests", 7),
    ("holdfast-bench", 7),
    ("holdfast-peers", 7),
];

/// What the pure crate may use: nothing that reads a clock, draws chance, or does I/O.
const DOMAIN_USES: [&str; 6] = ["serde", "serde_json", "sha2", "thiserror", "unicode-normalization", "uuid"];

/// Crates that must not come in, by whatever way, and why.
const BANNED: [(&str, &str); 8] = [
    ("openssl-sys", "TLS is rustls; a second TLS library is a second list of advisories"),
    ("native-tls", "see openssl-sys"),
    ("async-std", "the runtime is tokio; two runtimes are two thread pools"),
    ("failure", "unmaintained; errors are thiserror and anyhow"),
    ("serde_yaml", "unmaintained; settings are TOML"),
    ("ring", "rustls computes with aws-lc-rs; a second library of ciphers is a second list of advisories"),
    ("diesel", "SQL stands as SQL in the store"),
    ("sqlx", "see diesel"),
];

/// Crates that come with others, but that none of ours may use, and why.
const NOT_OURS: [(&str, &str); 3] = [
    ("chrono", "times are `jiff`; two calendars would disagree one day"),
    ("time", "see chrono; only certificates are dated with it"),
    (
        "reqwest",
        "it came with object_store, to which it is the client for buckets; ours speak HTTP/1 to servers that they know, with hyper",
    ),
];

/// Licences under which others' work may be in the binary. Of `A OR B` one is enough; of `A AND B` both are needed.
const LICENCES: [&str; 11] = [
    "MIT",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "Zlib",
    "Unlicense",
    "Unicode-3.0",
    "ISC",
    // Of aws-lc, which has OpenSSL's code in it.
    "OpenSSL",
    // Binds changed files of the library itself, which we do not change.
    "MPL-2.0",
];

#[test]
fn a_crate_uses_only_crates_below_it() {
    let floors: BTreeMap<&str, u8> = FLOORS.into();
    let metadata = metadata();
    let members = members(&metadata);
    assert_eq!(
        members.keys().map(String::as_str).collect::<BTreeSet<_>>(),
        floors.keys().copied().collect::<BTreeSet<_>>(),
        "a new crate needs a floor here"
    );
    for (name, package) in &members {
        for dependency in package["dependencies"].as_array().unwrap() {
            let used = dependency["name"].as_str().unwrap();
            // A crate may test itself with its own features.
            if let Some(floor) = floors.get(used).filter(|_| used != name) {
                assert!(*floor < floors[name.as_str()], "{name} uses {used}, which is not below it");
            }
        }
    }
}

#[test]
fn the_domain_is_pure() {
    let metadata = metadata();
    let members = members(&metadata);
    let uses = members["holdfast-domain"]["dependencies"].as_array().unwrap();
    // jiff writes times; that it is built without a clock is what its features say.
    for dependency in uses.iter().filter(|d| d["kind"].is_null() && d["name"] != "jiff") {
        let name = dependency["name"].as_str().unwrap();
        assert!(DOMAIN_USES.contains(&name), "holdfast-domain uses {name}; it must stay pure");
    }
    for path in sources("crates/domain").into_iter().filter(|p| !p.ends_with("tests.rs")) {
        let text = std::fs::read_to_string(&path).unwrap();
        for impure in [
            "std::time::",
            "SystemTime",
            "Instant::now",
            "std::fs",
            "std::net",
            "std::env",
            "Uuid::new_v4",
            "Uuid::now_v7",
            "async fn",
        ] {
            assert!(!text.contains(impure), "{} uses {impure}", path.display());
        }
    }
}

#[test]
fn no_banned_crate_comes_in() {
    let metadata = metadata();
    let there: BTreeSet<&str> = packages(&metadata).map(|p| p["name"].as_str().unwrap()).collect();
    for (name, why) in BANNED.into_iter().filter(|(name, _)| there.contains(name)) {
        // What is listed may be an optional part of another crate that nobody has asked for.
        let tree = Command::new(env!("CARGO"))
            .args(["tree", "--workspace", "--locked", "--invert", name])
            .current_dir(workspace())
            .output()
            .unwrap();
        assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
        assert!(tree.stdout.is_empty(), "{name} came in: {why}\n{}", String::from_utf8_lossy(&tree.stdout));
    }
}

#[test]
fn crates_that_come_with_others_are_not_used_by_ours() {
    let metadata = metadata();
    for (name, package) in members(&metadata) {
        for (other, why) in NOT_OURS.iter().filter(|(other, _)| (*other, name.as_str()) != ("time", "holdfast-pki")) {
            let uses = package["dependencies"].as_array().unwrap().iter().any(|d| d["name"] == *other);
            assert!(!uses, "{name} uses {other}: {why}");
        }
    }
}

#[test]
fn every_licence_is_allowed() {
    let metadata = metadata();
    for package in packages(&metadata) {
        let licence = package["license"].as_str().unwrap_or("(none)");
        assert!(allowed(licence), "{} {} is under {licence}", package["name"], package["version"]);
    }
}

#[test]
fn every_crate_has_the_lints_of_the_house() {
    let root = std::fs::read_to_string(workspace().join("Cargo.toml")).unwrap();
    assert!(root.contains("unsafe_code = \"forbid\""));
    for (name, package) in members(&metadata()) {
        let manifest = std::fs::read_to_string(package["manifest_path"].as_str().unwrap()).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true"), "{name} does not take the workspace's lints");
    }
}

#[test]
fn every_file_begins_with_its_story_and_every_exception_gives_its_reason() {
    for path in ["crates", "tests", "bench"].iter().flat_map(|dir| sources(dir)) {
        let text = std::fs::read_to_string(&path).unwrap();
        let shown = path.display();
        let in_tests =
            path.components().any(|c| matches!(c.as_os_str().to_str(), Some("tests" | "tests.rs" | "conformance")));
        let stub = text.trim() == "fn main() {}";
        assert!(in_tests || stub || text.starts_with("//!"), "{shown} does not begin with what it is");
        for (i, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or(line);
            let is_word = |w: &str| code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|p| p == w);
            assert!(path.ends_with("tests/house.rs") || !is_word("unsafe"), "{shown}:{}: unsafe", i + 1);
        }
        for (i, attribute) in text.match_indices("#[allow(").chain(text.match_indices("#![allow(")) {
            let end = text[i..].find(")]").map_or(text.len(), |e| i + e);
            let test_only = text[..i].contains("#[cfg(test)]");
            assert!(
                test_only || in_tests || text[i..end].contains("reason ="),
                "{shown}: {attribute}...: an exception without a reason"
            );
        }
    }
}

#[test]
fn the_handbook_states_every_fixed_limit() {
    let code = std::fs::read_to_string(workspace().join("crates/domain/src/limits.rs")).unwrap();
    let page = std::fs::read_to_string(workspace().join("docs/src/limits.md")).unwrap();
    let lines: Vec<&str> = code.lines().collect();
    let mut found = 0;
    for pair in lines.windows(2) {
        let Some(value) = pair[1].strip_prefix("pub const ").and_then(|l| l.split_once(" = ")) else { continue };
        let what = pair[0].trim_start_matches("/// ").trim_end_matches('.');
        let number = value.1.trim_end_matches(';').replace('_', ",");
        let row = format!("| {what} | {number} |");
        assert!(page.contains(&row), "docs/src/limits.md lacks the row: {row}");
        found += 1;
    }
    assert!(found > 10);
}

#[test]
fn every_page_of_the_handbook_is_in_its_contents_and_every_link_leads_somewhere() {
    let dir = workspace().join("docs/src");
    let contents = std::fs::read_to_string(dir.join("SUMMARY.md")).unwrap();
    for entry in std::fs::read_dir(&dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(name == "SUMMARY.md" || contents.contains(&format!("({name})")), "{name} is not in SUMMARY.md");
        let text = std::fs::read_to_string(&path).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
            let file = link.split('#').next().unwrap_or(link);
            assert!(link.starts_with("http") || dir.join(file).exists(), "{name} links to {link}, which is not there");
        }
    }
}

#[test]
fn the_licence_rule_understands_expressions() {
    for good in [
        "MIT OR Apache-2.0",
        "MIT/Apache-2.0",
        "(MIT OR GPL-3.0) AND Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception OR GPL-2.0",
    ] {
        assert!(allowed(good), "{good}");
    }
    for bad in ["GPL-3.0", "MIT AND GPL-3.0", "(none)", "SSPL-1.0 OR AGPL-3.0"] {
        assert!(!allowed(bad), "{bad}");
    }
}

/// `A AND B` needs all of its parts, `A OR B` one; parentheses appear around an OR only.
fn allowed(expression: &str) -> bool {
    let normal = expression.replace(" / ", " OR ").replace('/', " OR ");
    let parts: Vec<&str> = normal.split(" AND ").collect();
    parts.iter().all(|part| {
        let part = part.trim().trim_start_matches('(').trim_end_matches(')');
        part.split(" OR ").any(|one| LICENCES.contains(&one.trim()))
    })
}

fn metadata() -> Value {
    let version = Command::new("rustc").arg("-vV").output().unwrap();
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let host = version.lines().find_map(|l| l.strip_prefix("host: ")).unwrap();
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", host])
        .current_dir(workspace())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn packages(metadata: &Value) -> impl Iterator<Item = &Value> {
    metadata["packages"].as_array().unwrap().iter()
}

fn members(metadata: &Value) -> BTreeMap<String, &Value> {
    let ids: BTreeSet<&str> =
        metadata["workspace_members"].as_array().unwrap().iter().map(|m| m.as_str().unwrap()).collect();
    packages(metadata)
        .filter(|p| ids.contains(p["id"].as_str().unwrap()))
        .map(|p| (p["name"].as_str().unwrap().to_owned(), p))
        .collect()
}

/// The Rust files below a directory of the workspace.
fn sources(dir: &str) -> Vec<PathBuf> {
    fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && !matches!(name.as_str(), "target" | "node_modules") {
                walk(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&workspace().join(dir), &mut found);
    found.sort();
    found
}
