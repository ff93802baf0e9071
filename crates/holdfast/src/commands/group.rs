//! `holdfast group`: groups of users, which may hold other groups.

use super::Context;
use super::shared::{Change, Chat, confirm, given, not_empty, some};
use crate::cli::WhatIf;
use crate::client::Access;
use crate::exit::Exit;
use crate::output::{Column, text};
use crate::resolve::{self, Kind};
use anyhow::Result;
use axum::http::Method;
use clap::Subcommand;
use holdfast_domain::PrincipalId;
use serde_json::{Value, json};

/// What can be done with groups.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Add a group
    #[command(
        after_help = "Example:\n  holdfast group add ops --display-name Operations --member ana.ruiz --member bo.lind"
    )]
    Add {
        /// Its name: letters, digits, `.`, `_`, `-`; no user has the same
        name: String,
        /// The name shown to others [default: NAME]
        #[arg(long, value_name = "TEXT")]
        display_name: Option<String>,
        /// A user or group in it; may be repeated
        #[arg(long = "member", value_name = "NAME")]
        members: Vec<String>,
        /// Whether its members may use chat
        #[arg(long, value_name = "WHICH")]
        chat: Option<Chat>,
        #[command(flatten)]
        what_if: WhatIf,
    },
    /// List groups
    #[command(after_help = "Example:\n  holdfast group list --json")]
    List,
    /// Show one group with its members
    #[command(after_help = "Example:\n  holdfast group show ops")]
    Show {
        /// Name or number
        group: String,
    },
    /// Change a group
    #[command(after_help = "Example:\n  holdfast group set ops --display-name \"Operations, night\"")]
    Set {
        /// Name or number
        group: String,
        /// A new name
        #[arg(long)]
        name: Option<String>,
        /// A new name shown to others
        #[arg(long, value_name = "TEXT")]
        display_name: Option<String>,
        /// Whether its members may use chat
        #[arg(long, value_name = "WHICH")]
        chat: Option<Chat>,
        #[command(flatten)]
        what_if: WhatIf,
    },
    /// Remove a group that no list names any more
    #[command(after_help = "Example:\n  holdfast group remove ops --what-if")]
    Remove {
        /// Name or number
        group: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        what_if: WhatIf,
    },
    /// Who is in a group
    #[command(subcommand)]
    Members(Members),
}

/// Who is in a group.
#[derive(Debug, Subcommand)]
pub(crate) enum Members {
    /// Put users or groups into a group
    #[command(after_help = "Example:\n  holdfast group members add ops ana.ruiz bo.lind")]
    Add {
        /// Name or number of the group
        group: String,
        /// Users or groups
        #[arg(required = true)]
        members: Vec<String>,
        #[command(flatten)]
        what_if: WhatIf,
    },
    /// Take users or groups out of a group
    #[command(after_help = "Example:\n  holdfast group members remove ops bo.lind")]
    Remove {
        /// Name or number of the group
        group: String,
        /// Users or groups
        #[arg(required = true)]
        members: Vec<String>,
        #[command(flatten)]
        what_if: WhatIf,
    },
}

const COLUMNS: &[Column] = &[
    ("ID", |g| text(g, "id")),
    ("NAME", |g| text(g, "name")),
    ("SHOWN AS", |g| text(g, "display_name")),
    // The built-in group has no list: it is everyone.
    ("MEMBERS", |g| match g["members"].as_array() {
        _ if g["id"] == PrincipalId::EVERYONE.0 => "all".into(),
        members => members.map_or_else(String::new, |m| m.len().to_string()),
    }),
];

const FIELDS: &[Column] = &[
    ("Number", |g| text(g, "id")),
    ("Name", |g| text(g, "name")),
    ("Shown as", |g| text(g, "display_name")),
    ("May chat", |g| text(g, "may_chat")),
    ("Members", |g| text(g, "members")),
];

/// Does what was asked.
pub(crate) async fn run(verb: Verb, context: &Context) -> Result<Exit> {
    let out = context.out;
    context
        .with(Access::Existing, async |client| match verb {
            Verb::Add { name, display_name, members, chat, what_if } => {
                let members = resolve::ids(client, Kind::Principal, &members).await?;
                let body = given([
                    ("name", Some(json!(name))),
                    ("display_name", some(display_name.as_ref())),
                    ("members", Some(json!(members))),
                    ("may_chat", chat.map(Chat::value)),
                ]);
                let change = Change {
                    method: Method::POST,
                    path: "/groups".into(),
                    body: Some(&body),
                    what_if: what_if.what_if,
                };
                change.run(client, out, |g| said("Added", g)).await
            }
            Verb::List => {
                let groups = client.list("/groups", usize::MAX).await?;
                out.list(&groups, "There are no groups; `holdfast group add` makes one.", COLUMNS);
                Ok(Exit::Done)
            }
            Verb::Show { group } => {
                let id = resolve::id(client, Kind::Group, &group).await?;
                out.record(&client.get(&format!("/groups/{id}")).await?, FIELDS);
                Ok(Exit::Done)
            }
            Verb::Set { group, name, display_name, chat, what_if } => {
                let body = given([
                    ("name", some(name.as_ref())),
                    ("display_name", some(display_name.as_ref())),
                    ("may_chat", chat.map(Chat::value)),
                ]);
                not_empty(&body)?;
                let id = resolve::id(client, Kind::Group, &group).await?;
                patch(id, &body, what_if).run(client, out, |g| said("Changed", g)).await
            }
            Verb::Remove { group, yes, what_if } => {
                let id = resolve::id(client, Kind::Group, &group).await?;
                if !what_if.what_if {
                    confirm(yes, &format!("The group {group} will be removed."))?;
                }
                let path = format!("/groups/{id}");
                let change = Change { method: Method::DELETE, path, body: None, what_if: what_if.what_if };
                change.run(client, out, |_| format!("Removed the group {group}.")).await
            }
            Verb::Members(Members::Add { group, members, what_if }) => {
                let id = resolve::id(client, Kind::Group, &group).await?;
                let body = json!({ "members": { "add": resolve::ids(client, Kind::Principal, &members).await? } });
                patch(id, &body, what_if).run(client, out, |g| said("Changed", g)).await
            }
            Verb::Members(Members::Remove { group, members, what_if }) => {
                let id = resolve::id(client, Kind::Group, &group).await?;
                let body = json!({ "members": { "remove": resolve::ids(client, Kind::Principal, &members).await? } });
                patch(id, &body, what_if).run(client, out, |g| said("Changed", g)).await
            }
        })
        .await
}

fn patch(id: i64, body: &Value, what_if: WhatIf) -> Change<'_> {
    Change { method: Method::PATCH, path: format!("/groups/{id}"), body: Some(body), what_if: what_if.what_if }
}

fn said(done: &str, group: &Value) -> String {
    let members = group["members"].as_array().map_or(0, Vec::len);
    format!("{done} {} (number {}, {members} members).", text(group, "name"), text(group, "id"))
}
