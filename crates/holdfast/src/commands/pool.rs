//! `holdfast pool`: the servers that share a database, and which of them take clients.

use super::Context;
use super::shared::{print_would, would_change};
use crate::cli::WhatIf;
use crate::client::{Access, Client, encode};
use crate::exit::{Exit, missing, naming};
use crate::output::{Column, Output, moment, table, text};
use anyhow::Result;
use axum::http::Method;
use clap::Subcommand;
use serde_json::{Value, json};

/// What can be done with the pool.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Show the servers, which of them take clients, and how the database is
    #[command(
        after_help = "STANDING is active (takes clients), standby (takes none), draining (was taken off the list; those who are connected go on for a while), stopped, or silent (not heard of for 10 s).\n\nExample:\n  holdfast pool status"
    )]
    Status,
    /// Choose which servers take clients
    #[command(subcommand)]
    Active(Active),
    /// Tell users of an outage that is coming, or that they are in
    #[command(subcommand)]
    Notice(Notice),
    /// Say something to everybody who is connected now
    #[command(
        after_help = "It is said once, by the web and over XMPP, at all servers of the pool, and recorded; who comes later does not hear it. What is to stand for a while is an outage's notice (`holdfast pool notice set`) or a message in a room.\n\nExample:\n  holdfast pool announce \"The new printer is on the second floor\""
    )]
    Announce {
        /// What is said
        text: String,
        #[command(flatten)]
        what_if: WhatIf,
    },
    /// Forget a server that is gone for good
    #[command(
        after_help = "It must not be on the list of active servers, and have stopped or been silent for 10 s. One that comes back is known again.\n\nExample:\n  holdfast pool forget chat-3 --what-if"
    )]
    Forget {
        /// The server's name
        name: String,
        #[command(flatten)]
        what_if: WhatIf,
    },
}

/// What users are told of an outage.
#[derive(Debug, Subcommand)]
pub(crate) enum Notice {
    /// Show what they are told
    #[command(after_help = "Example:\n  holdfast pool notice show")]
    Show,
    /// Tell them, in place of what they were told before
    #[command(
        after_help = "Clients that are connected over XMPP are told at once, and whoever comes while it stands; those that cannot sign in find it at /xmpp-status.json (XEP-0455). It stands until it is cleared.\n\nExample:\n  holdfast pool notice set --message \"New disks\" --begins 2026-05-12T20:00:00Z --ends 2026-05-12T21:00:00Z"
    )]
    Set {
        /// A sentence for people
        #[arg(long)]
        message: String,
        /// When it begins, RFC 3339 [default: now]
        #[arg(long, value_name = "TIME")]
        begins: Option<String>,
        /// When it should be over, RFC 3339
        #[arg(long, value_name = "TIME")]
        ends: Option<String>,
        /// It was not meant to be
        #[arg(long)]
        unplanned: bool,
        #[command(flatten)]
        what_if: WhatIf,
    },
    /// It is over, or will not be
    #[command(after_help = "Example:\n  holdfast pool notice clear")]
    Clear,
}

/// The list of servers that take clients.
#[derive(Debug, Subcommand)]
pub(crate) enum Active {
    /// Exactly these servers, in this order; up to 4
    #[command(
        after_help = "Clients try the servers in the order of the list. From the first such command on, servers no longer put themselves on it.\n\nExample:\n  holdfast pool active set chat-1 chat-2"
    )]
    Set {
        /// Names of servers
        #[arg(required_unless_present = "none")]
        names: Vec<String>,
        /// No server: nobody is taken, until somebody sets another list
        #[arg(long, conflicts_with = "names")]
        none: bool,
        #[command(flatten)]
        how: How,
    },
    /// These servers as well
    #[command(after_help = "Example:\n  holdfast pool active add chat-3 --what-if")]
    Add {
        /// Names of servers
        #[arg(required = true)]
        names: Vec<String>,
        #[command(flatten)]
        how: How,
    },
    /// These servers no longer: they are drained
    #[command(
        after_help = "Nobody new gets in; those who are connected go on until they leave or `pool.drain_minutes` are over.\n\nExample:\n  holdfast pool active remove chat-3"
    )]
    Remove {
        /// Names of servers
        #[arg(required = true)]
        names: Vec<String>,
        #[command(flatten)]
        how: How,
    },
    /// One server in the place of another, which is drained
    #[command(after_help = "Example:\n  holdfast pool active swap chat-1 chat-4")]
    Swap {
        /// The server that goes
        out: String,
        /// The server that comes
        #[arg(value_name = "IN")]
        in_: String,
        #[command(flatten)]
        how: How,
    },
}

/// How the list is changed.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct How {
    /// Take servers too to which the database answers more slowly than `pool.most_round_trip_ms` allows
    #[arg(long)]
    far: bool,
    #[command(flatten)]
    what_if: WhatIf,
}

/// Fields of the API that are options here.
const OPTIONS: &[(&str, &str)] =
    &[("message", "--message"), ("beginning", "--begins"), ("expected_end", "--ends"), ("announcement", "TEXT")];

const COLUMNS: &[Column] = &[
    // The one that answers is marked.
    ("NAME", |s| if s["this"] == true { format!("{} *", text(s, "name")) } else { text(s, "name") }),
    ("STANDING", |s| text(s, "standing")),
    ("ADDRESS", |s| text(s, "address")),
    ("PEOPLE", |s| text(s, "people")),
    ("CONNECTIONS", |s| text(s, "connections")),
    ("ROUND TRIP", |s| milliseconds(&s["round_trip_ms"])),
    ("HEARD OF", |s| ago(&s["seen_ms_ago"])),
    ("SINCE", |s| moment(&s["started_at"])),
    ("VERSION", |s| text(s, "version")),
];

/// Does what was asked.
pub(crate) async fn run(verb: Verb, context: &Context) -> Result<Exit> {
    let out = context.out;
    context
        .with(Access::Existing, async |client| match verb {
            Verb::Status => {
                out.value(&client.get("/pool").await?, status);
                Ok(Exit::Done)
            }
            Verb::Active(Active::Set { names, how, none: _ }) => {
                change(client, out, json!({ "set": names }), how).await
            }
            Verb::Active(Active::Add { names, how }) => change(client, out, json!({ "add": names }), how).await,
            Verb::Active(Active::Remove { names, how }) => change(client, out, json!({ "remove": names }), how).await,
            Verb::Active(Active::Swap { out: goes, in_, how }) => {
                change(client, out, json!({ "swap": { "out": goes, "in": in_ } }), how).await
            }
            Verb::Notice(Notice::Show) => {
                out.value(&client.get("/pool/notice").await?, told);
                Ok(Exit::Done)
            }
            Verb::Notice(Notice::Set { message, begins, ends, unplanned, what_if }) => {
                let body = json!({ "message": message, "beginning": begins, "expected_end": ends,
                    "planned": !unplanned, "what_if": what_if.what_if });
                let answer = client.json(Method::PUT, "/pool/notice", Some(&body)).await;
                let answer = answer.map_err(|error| naming(error, OPTIONS))?;
                if what_if.what_if {
                    print_would(out, &answer);
                } else {
                    out.value(&answer, told);
                }
                Ok(Exit::Done)
            }
            Verb::Notice(Notice::Clear) => {
                client.json(Method::DELETE, "/pool/notice", None).await?;
                out.value(&json!({ "done": true }), |_| "Users are told of no outage any more.".to_owned());
                Ok(Exit::Done)
            }
            Verb::Announce { text, what_if } => {
                let body = json!({ "announcement": text, "what_if": what_if.what_if });
                let answer = client.json(Method::POST, "/pool/announcements", Some(&body)).await;
                let answer = answer.map_err(|error| naming(error, OPTIONS))?;
                if what_if.what_if {
                    print_would(out, &answer);
                } else {
                    out.value(&json!({ "done": true }), |_| "Everybody who is connected was told.".to_owned());
                }
                Ok(Exit::Done)
            }
            Verb::Forget { name, what_if } => {
                if what_if.what_if {
                    return would_forget(client, out, &name).await;
                }
                client.json(Method::DELETE, &format!("/pool/servers/{}", encode(&name)), None).await?;
                out.value(&json!({ "done": true }), |_| format!("Forgot the server {name}."));
                Ok(Exit::Done)
            }
        })
        .await
}

fn told(answer: &Value) -> String {
    let notice = &answer["notice"];
    if notice.is_null() {
        return "Users are told of no outage.".to_owned();
    }
    let kind = if notice["planned"] == true { "a planned outage" } else { "an outage" };
    let end = if notice["expected_end"].is_null() {
        String::new()
    } else {
        format!(" until {}", moment(&notice["expected_end"]))
    };
    let by = if notice["own"] == true { " (said by a procedure; ends by itself)" } else { "" };
    format!("Users are told of {kind} from {}{end}{by}: {}", moment(&notice["beginning"]), text(notice, "message"))
}

async fn change(client: &Client, out: Output, mut body: Value, how: How) -> Result<Exit> {
    let what_if = how.what_if.what_if;
    body["far"] = json!(how.far);
    body["what_if"] = json!(what_if);
    let answer = client.json(Method::POST, "/pool/active", Some(&body)).await?;
    if what_if {
        print_would(out, &answer);
    } else {
        out.value(&answer, chosen);
    }
    Ok(Exit::Done)
}

async fn would_forget(client: &Client, out: Output, name: &str) -> Result<Exit> {
    let pool = client.get("/pool").await?;
    let Some(server) = servers(&pool).iter().find(|s| s["name"] == name) else {
        return Err(missing(format!("there is no server `{name}`; `holdfast pool status` shows those there are")));
    };
    let standing = text(server, "standing");
    let change = format!("{name} would be forgotten, if it is on no list and silent: it is {standing}");
    Ok(would_change(out, &[format!("{change}, heard of {}", ago(&server["seen_ms_ago"]))]))
}

/// The pool, for people.
fn status(pool: &Value) -> String {
    let database = &pool["database"];
    let engine = match (text(database, "engine"), text(database, "location")) {
        (engine, _) if engine.is_empty() => "it does not answer".to_owned(),
        (engine, location) => format!("{engine}, {location}"),
    };
    let list =
        if pool["chosen"] == true { "set by an administrator" } else { "servers put themselves on it as they come" };
    let condition = text(database, "condition");
    let answers = match milliseconds(&database["round_trip_ms"]) {
        known if known.is_empty() => String::new(),
        known => format!(", answers in {known}"),
    };
    format!(
        "Pool         {}\nDatabase     {condition}: {engine}{answers}\nActive list  {list}\nEpoch        {}{}\n\n{}",
        place(pool),
        text(pool, "epoch"),
        match text(pool, "holder") {
            holder if holder.is_empty() => holder,
            holder => format!(", taken by {holder}"),
        },
        if servers(pool).is_empty() { "No server was ever here.".into() } else { table(servers(pool), COLUMNS) }
    )
}

/// Where the pool goes on.
fn place(pool: &Value) -> String {
    match (text(pool, "state").as_str(), text(pool, "site")) {
        ("failed-over", site) if site.is_empty() => "failed over to its other site".into(),
        ("failed-over", site) => format!("failed over to site {site}"),
        (_, site) if site.is_empty() => "normal".into(),
        (_, site) => format!("normal, in site {site}"),
    }
}

/// What a changed list means.
fn chosen(pool: &Value) -> String {
    let names = |is: &dyn Fn(&Value) -> bool| {
        servers(pool).iter().filter(|s| is(s)).map(|s| text(s, "name")).collect::<Vec<_>>().join(", ")
    };
    let active = names(&|s| s["active"] == true);
    let mut lines = if active.is_empty() {
        vec!["No server takes clients now.".to_owned()]
    } else {
        vec![format!("Active now: {active}.")]
    };
    // A server learns of the list with its next beat, so that its own word for itself may be of before.
    let drains = |s: &&Value| s["active"] != true && (s["standing"] == "draining" || is_there(s) && s["people"] != 0);
    for server in servers(pool).iter().filter(drains) {
        lines.push(format!("Draining: {} (people connected: {}).", text(server, "name"), text(server, "people")));
    }
    let silent = names(&|s| s["active"] == true && !is_there(s));
    if !silent.is_empty() {
        lines.push(format!("Not there now: {silent}."));
    }
    lines.join("\n")
}

fn is_there(server: &Value) -> bool {
    server["standing"] != "silent" && server["standing"] != "stopped"
}

fn servers(pool: &Value) -> &[Value] {
    pool["servers"].as_array().map_or(&[], Vec::as_slice)
}

/// `0.4 ms`; empty when it is not known.
pub(super) fn milliseconds(value: &Value) -> String {
    match value.as_f64() {
        Some(ms) if ms >= 100.0 => format!("{ms:.0} ms"),
        Some(ms) => format!("{ms:.1} ms"),
        None => String::new(),
    }
}

/// `3 s ago`.
fn ago(value: &Value) -> String {
    let seconds = value.as_u64().unwrap_or_default() / 1_000;
    match seconds {
        0 => "now".into(),
        1..120 => format!("{seconds} s ago"),
        120..7_200 => format!("{} min ago", seconds / 60),
        7_200..172_800 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(name: &str, standing: &str, active: bool) -> Value {
        json!({ "name": name, "address": format!("http://{name}:8080"), "standing": standing, "active": active,
            "this": name == "chat-1", "version": "0.1.0", "started_at": "2026-05-12T09:31:00.000Z",
            "seen_ms_ago": 1_400, "connections": 3, "people": 2, "round_trip_ms": 0.42 })
    }

    fn pool() -> Value {
        let database = json!({ "engine": "PostgreSQL 15.6", "location": "db:5432/holdfast", "condition": "ready", "round_trip_ms": 0.4 });
        json!({ "epoch": 1, "chosen": true, "database": database,
            "servers": [server("chat-1", "active", true), server("chat-2", "silent", true), server("chat-3", "draining", false)] })
    }

    #[test]
    fn the_pool_is_shown_with_a_line_for_each_server() {
        let shown = status(&pool());
        assert!(
            shown.starts_with(
                "Pool         normal\nDatabase     ready: PostgreSQL 15.6, db:5432/holdfast, answers in 0.4 ms\n"
            ),
            "{shown}"
        );
        let line = shown.lines().find(|l| l.contains("chat-1")).unwrap();
        assert!(line.contains("chat-1 *") && line.contains("1 s ago") && line.contains("0.4 ms"), "{shown}");
        let mut gone = pool();
        gone["database"] = json!({ "engine": null, "location": null, "condition": "gone", "round_trip_ms": null });
        assert!(status(&gone).contains("\nDatabase     gone: it does not answer\n"), "{}", status(&gone));
        let mut over = pool();
        (over["state"], over["site"], over["holder"]) = (json!("failed-over"), json!("bos"), json!("bos-db-1"));
        let shown = status(&over);
        assert!(shown.starts_with("Pool         failed over to site bos\n"), "{shown}");
        assert!(shown.contains("\nEpoch        1, taken by bos-db-1\n"), "{shown}");
    }

    #[test]
    fn a_change_says_who_takes_clients_who_drains_and_who_is_not_there() {
        let said = chosen(&pool());
        assert_eq!(
            said,
            "Active now: chat-1, chat-2.\nDraining: chat-3 (people connected: 2).\nNot there now: chat-2."
        );
    }
}
