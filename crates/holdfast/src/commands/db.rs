//! `holdfast db`: the PostgreSQL database itself, whether a server runs or not.

use super::Context;
use crate::compose;
use crate::config::{Database, DatabaseUrl};
use crate::exit::{Exit, refused, usage};
use crate::output::{Column, table, text, visible};
use anyhow::Result;
use clap::Subcommand;
use holdfast_store::postgres::{self, Finding, Outcome};
use serde_json::{Value, json};
use std::path::PathBuf;

/// What can be done with the database.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Say whether the database can be used, and if not, what is wrong and what to do
    #[command(
        after_help = "Changes nothing. A line for each check: `good`, `odd` (works, but look at it) or `BAD` (cannot be used so).\nExits with 0 when nothing is bad, else with 1. The password may be in HOLDFAST_DATABASE__URL or in database.password_file.\n\nExamples:\n  holdfast db check\n  holdfast db check --url postgres://holdfast@db-1:5432/holdfast"
    )]
    Check {
        /// The database; over `database.url` of the settings
        #[arg(long, value_name = "URL")]
        url: Option<String>,
    },
}

const COLUMNS: &[Column] = &[
    ("", |c| match c["outcome"].as_str() {
        Some("bad") => "BAD".into(),
        _ => text(c, "outcome"),
    }),
    ("CHECK", |c| text(c, "what")),
    ("FOUND", |c| text(c, "found")),
];

/// Does what was asked.
pub(crate) async fn run(verb: Verb, context: &Context) -> Result<Exit> {
    let Verb::Check { url } = verb;
    if context.reach.server.is_some() {
        return Err(usage("the database is checked from this machine; leave --server away"));
    }
    let database = match url {
        Some(url) => named("--url", url, context)?,
        None => context.config().database.clone(),
    };
    if !database.is_shared() {
        return Err(refused(format!(
            "database.url is empty, so the data is in the embedded database in {}, which `holdfast verify` checks; to check a PostgreSQL \
             database, set database.url or give --url",
            context.config().server.data.display()
        )));
    }
    let findings = postgres::check(&compose::postgres_options(&database, None)?).await;
    let checks: Vec<Value> = findings.iter().map(shown).collect();
    let holds = !checks.iter().any(|c| c["outcome"] == "bad");
    let report = json!({ "holds": holds, "database": database.url, "checks": checks });
    context.out.value(&report, |_| {
        let verdict = match (holds, checks.iter().any(|c| c["outcome"] == "odd")) {
            (false, _) => "It cannot be used so.",
            (true, true) => "It can be used; look at what is odd.",
            (true, false) => "It can be used.",
        };
        format!("{}\n\n{}\n\n{verdict}", database.url, table(&checks, COLUMNS))
    });
    Ok(if holds { Exit::Done } else { Exit::Refused })
}

/// The database that the command line names, for the rest as the settings have it. Nothing is repeated that could be a password.
pub(super) fn named(flag: &str, url: String, context: &Context) -> Result<Database> {
    let url = DatabaseUrl::new(url);
    url.check().map_err(|why| usage(format!("{flag} {why}")))?;
    let settings = context.config().database.clone();
    let password_file = if url.has_password() { PathBuf::new() } else { settings.password_file.clone() };
    Ok(Database { url, password_file, ..settings })
}

fn shown(finding: &Finding) -> Value {
    let (outcome, found) = match &finding.outcome {
        Outcome::Good(found) => ("good", found),
        Outcome::Odd(found) => ("odd", found),
        Outcome::Bad(found) => ("bad", found),
    };
    json!({ "what": finding.what, "outcome": outcome, "found": visible(found) })
}
