//! The two tables: what stands in them is whole, and every file of theirs stands in them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot play has failed")]

mod world;

use holdfast_shell::{Ending, Options, Session, cmdlets, sql};
use world::World;

fn files(dir: &str) -> usize {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(dir);
    let names = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    names.filter(|n| !matches!(n.as_str(), "mod.rs" | "words.rs")).count()
}

#[test]
fn every_file_is_in_its_table() {
    assert_eq!(cmdlets::TABLE.len(), files("cmdlets"));
    assert_eq!(sql::TABLE.len(), files("sql"));
}

#[tokio::test]
async fn every_example_can_be_typed_and_every_name_has_help() {
    let cmdlets = cmdlets::TABLE.iter().map(|c| (c.about().name.to_owned(), c.about().example));
    let lines = sql::TABLE.iter().map(|v| (format!("\"{}\"", v.about().name), v.about().example));
    for (name, example) in cmdlets.chain(lines) {
        let world = World::new(&["open"]);
        let session = Session::new(&world, Options::default());
        let mut out = Vec::new();
        let ending = session.run_file("example", example, &mut out).await.unwrap();
        let shown = String::from_utf8_lossy(&out).into_owned();
        assert_ne!(ending, Ending::Usage, "{shown}");
        let help = format!("Get-Help {name}");
        let mut out = Vec::new();
        assert_eq!(session.run_file("help", &help, &mut out).await.unwrap(), Ending::Done);
        let shown = String::from_utf8_lossy(&out).into_owned();
        assert!(shown.contains(&format!("EXAMPLE\n    {example}")), "{shown}");
    }
}

#[test]
fn every_cmdlet_and_line_says_what_it_is_for() {
    for about in cmdlets::TABLE.iter().map(|c| c.about()) {
        assert!(
            about.synopsis.ends_with('.') && (about.here.is_empty() || about.here.ends_with('.')),
            "{}",
            about.name
        );
        assert!(about.example.starts_with(about.name), "{}", about.name);
        let names: Vec<_> = about.parameters().map(|p| p.name.to_ascii_lowercase()).collect();
        let mut once = names.clone();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), names.len(), "{}", about.name);
    }
    for about in sql::TABLE.iter().map(|v| v.about()) {
        assert!(about.synopsis.ends_with('.') && about.form.starts_with(about.name), "{}", about.name);
    }
}
