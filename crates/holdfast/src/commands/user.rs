//! `holdfast user`: people, bots, imported authors.

use super::Context;
use super::secret::PasswordFrom;
use super::shared::{Change, Chat, Switch, given, not_empty, some, would_change};
use crate::cli::WhatIf;
use crate::client::{Access, Client, query};
use crate::exit::Exit;
use crate::output::{Column, moment, text};
use crate::resolve::{self, Kind};
use anyhow::Result;
use axum::http::Method;
use clap::Subcommand;
use serde_json::{Value, json};

/// What can be done with users.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Add a person, or a bot that signs in with a token
    #[command(
        after_help = "Example:\n  echo \"$PASSWORD\" | holdfast user add ana.ruiz --display-name \"Ana Ruiz\" --password-stdin"
    )]
    Add {
        /// The name to sign in with: letters, digits, `.`, `_`, `-`
        name: String,
        /// The name shown to others [default: NAME]
        #[arg(long, value_name = "TEXT")]
        display_name: Option<String>,
        /// An administrator, who is bound by no scope
        #[arg(long)]
        admin: bool,
        /// A bot: it has no password; give it a token with `holdfast token add`
        #[arg(long, conflicts_with_all = ["password_stdin", "generate_password"])]
        bot: bool,
        /// Whether the user may use chat
        #[arg(long, value_name = "WHICH")]
        chat: Option<Chat>,
        #[command(flatten)]
        password: PasswordFrom,
        #[command(flatten)]
        what_if: WhatIf,
    },
    /// List users
    #[command(after_help = "Example:\n  holdfast user list --kind bot")]
    List {
        /// Those whose name or displayed name contains this
        #[arg(long, short, value_name = "TEXT")]
        search: Option<String>,
        /// Only `person`, `bot` or `imported`
        #[arg(long, value_parser = ["person", "bot", "imported"])]
        kind: Option<String>,
        /// Only those that are disabled
        #[arg(long)]
        disabled: bool,
        /// At most so many
        #[arg(long, default_value_t = 10_000)]
        limit: usize,
    },
    /// Show one user
    #[command(after_help = "Example:\n  holdfast user show ana.ruiz")]
    Show {
        /// Name or number
        user: String,
    },
    /// Change a user
    #[command(after_help = "Example:\n  holdfast user set ana.ruiz --admin on --chat inherit")]
    Set {
        /// Name or number
        user: String,
        /// A new name to sign in with
        #[arg(long)]
        name: Option<String>,
        /// A new name shown to others
        #[arg(long, value_name = "TEXT")]
        display_name: Option<String>,
        /// Make or unmake an administrator
        #[arg(long, value_name = "ON|OFF")]
        admin: Option<Switch>,
        /// Whether the user may use chat
        #[arg(long, value_name = "WHICH")]
        chat: Option<Chat>,
        #[command(flatten)]
        what_if: WhatIf,
    },
    /// Give a user a new password; ends the user's sign-ins and any lock
    #[command(after_help = "Example:\n  holdfast user password ana.ruiz --generate-password")]
    Password {
        /// Name or number
        user: String,
        #[command(flatten)]
        password: PasswordFrom,
        #[command(flatten)]
        what_if: WhatIf,
    },
    /// Disable a user, who then is nobody: signed out, in no group
    #[command(after_help = "Example:\n  holdfast user disable ana.ruiz --what-if")]
    Disable {
        /// Name or number
        user: String,
        #[command(flatten)]
        what_if: WhatIf,
    },
    /// Enable a disabled user again
    #[command(after_help = "Example:\n  holdfast user enable ana.ruiz")]
    Enable {
        /// Name or number
        user: String,
        #[command(flatten)]
        what_if: WhatIf,
    },
    /// List where a user is signed in
    #[command(after_help = "Example:\n  holdfast user sessions ana.ruiz")]
    Sessions {
        /// Name or number
        user: String,
    },
    /// End all sign-ins of a user
    #[command(name = "sign-out", after_help = "Example:\n  holdfast user sign-out ana.ruiz")]
    SignOut {
        /// Name or number
        user: String,
        #[command(flatten)]
        what_if: WhatIf,
    },
}

const COLUMNS: &[Column] = &[
    ("ID", |u| text(u, "id")),
    ("NAME", |u| text(u, "name")),
    ("SHOWN AS", |u| text(u, "display_name")),
    ("KIND", |u| text(u, "kind")),
    ("ADMIN", |u| if u["admin"] == true { "yes".into() } else { String::new() }),
    ("DISABLED", |u| if u["disabled"] == true { "yes".into() } else { String::new() }),
    ("LAST SEEN", |u| moment(&u["last_seen_at"])),
];

const FIELDS: &[Column] = &[
    ("Number", |u| text(u, "id")),
    ("Name", |u| text(u, "name")),
    ("Shown as", |u| text(u, "display_name")),
    ("Kind", |u| text(u, "kind")),
    ("Administrator", |u| text(u, "admin")),
    ("Disabled", |u| text(u, "disabled")),
    (
        "May chat",
        |u| if u["may_chat"].is_null() { "as the groups and the server say".into() } else { text(u, "may_chat") },
    ),
    ("Made", |u| moment(&u["created_at"])),
    ("Last seen", |u| moment(&u["last_seen_at"])),
    ("Locked until", |u| moment(&u["locked_until"])),
];

/// Does what was asked.
pub(crate) async fn run(verb: Verb, context: &Context) -> Result<Exit> {
    let out = context.out;
    let access = if matches!(verb, Verb::Add { .. }) { Access::MayCreate } else { Access::Existing };
    match verb {
        Verb::Add { name, display_name, admin, bot, chat, password, what_if } => {
            // Asked for before anything is opened, so that nobody waits for somebody who types.
            let password = if bot || what_if.what_if { None } else { Some(password.get()?) };
            let body = given([
                ("name", Some(json!(name))),
                ("display_name", some(display_name.as_ref())),
                ("password", password.as_ref().map(|p| json!(p.text))),
                ("admin", admin.then_some(json!(true))),
                ("kind", bot.then(|| json!("bot"))),
                ("may_chat", chat.map(Chat::value)),
            ]);
            context
                .with(access, async |client| {
                    if what_if.what_if {
                        return change(Method::POST, "/users".into(), Some(&body), true).run(client, out, added).await;
                    }
                    let mut user = client.json(Method::POST, "/users", Some(&body)).await?;
                    let made = password.as_ref().filter(|p| p.made).map(|p| p.text.as_str());
                    if let Some(made) = made {
                        user["password"] = json!(made);
                    }
                    out.value(&user, |u| format!("{}{}", added(u), shown_once(made)));
                    Ok(Exit::Done)
                })
                .await
        }
        Verb::List { search, kind, disabled, limit } => {
            let query = query(&[("q", search), ("kind", kind), ("disabled", disabled.then(|| "true".into()))]);
            context
                .with(access, async |client| {
                    let users = client.list(&format!("/users{query}"), limit).await?;
                    out.list(&users, "There is no such user; `holdfast user add` makes one.", COLUMNS);
                    Ok(Exit::Done)
                })
                .await
        }
        Verb::Show { user } => {
            context
                .with(access, async |client| {
                    let id = resolve::id(client, Kind::User, &user).await?;
                    out.record(&client.get(&format!("/users/{id}")).await?, FIELDS);
                    Ok(Exit::Done)
                })
                .await
        }
        Verb::Set { user, name, display_name, admin, chat, what_if } => {
            let body = given([
                ("name", some(name.as_ref())),
                ("display_name", some(display_name.as_ref())),
                ("admin", admin.map(Switch::value)),
                ("may_chat", chat.map(Chat::value)),
            ]);
            not_empty(&body)?;
            context.with(access, async |client| set(client, context, &user, &body, what_if, "Changed").await).await
        }
        Verb::Disable { user, what_if } => {
            let body = json!({ "disabled": true });
            context.with(access, async |client| set(client, context, &user, &body, what_if, "Disabled").await).await
        }
        Verb::Enable { user, what_if } => {
            let body = json!({ "disabled": false });
            context.with(access, async |client| set(client, context, &user, &body, what_if, "Enabled").await).await
        }
        Verb::Password { user, password, what_if } => {
            let password = if what_if.what_if { None } else { Some(password.get()?) };
            context
                .with(access, async |client| {
                    let id = resolve::id(client, Kind::User, &user).await?;
                    let Some(password) = password else {
                        let change = format!("{user} would get a new password, and all sign-ins of {user} would end");
                        return Ok(would_change(out, &[change]));
                    };
                    client
                        .json(Method::POST, &format!("/users/{id}/password"), Some(&json!({ "new": password.text })))
                        .await?;
                    let made = password.made.then_some(password.text.as_str());
                    let answer = given([("done", Some(json!(true))), ("password", made.map(|p| json!(p)))]);
                    out.value(&answer, |_| format!("{user} has a new password.{}", shown_once(made)));
                    Ok(Exit::Done)
                })
                .await
        }
        Verb::Sessions { user } => {
            context
                .with(access, async |client| {
                    let id = resolve::id(client, Kind::User, &user).await?;
                    let sessions = client.list(&format!("/users/{id}/sessions"), usize::MAX).await?;
                    out.list(&sessions, "Not signed in anywhere.", SESSIONS);
                    Ok(Exit::Done)
                })
                .await
        }
        Verb::SignOut { user, what_if } => {
            context
                .with(access, async |client| {
                    let id = resolve::id(client, Kind::User, &user).await?;
                    if what_if.what_if {
                        return Ok(would_change(out, &[format!("All sign-ins of {user} would end")]));
                    }
                    change(Method::DELETE, format!("/users/{id}/sessions"), None, false)
                        .run(client, out, |_| format!("{user} is signed out everywhere."))
                        .await
                })
                .await
        }
    }
}

const SESSIONS: &[Column] = &[
    ("ID", |s| text(s, "id")),
    ("SINCE", |s| moment(&s["created_at"])),
    ("LAST SEEN", |s| moment(&s["last_seen_at"])),
    ("ENDS", |s| moment(&s["expires_at"])),
    ("ADDRESS", |s| text(s, "address")),
    ("WITH", |s| text(s, "agent")),
];

async fn set(
    client: &Client,
    context: &Context,
    user: &str,
    body: &Value,
    what_if: WhatIf,
    done: &str,
) -> Result<Exit> {
    let id = resolve::id(client, Kind::User, user).await?;
    change(Method::PATCH, format!("/users/{id}"), Some(body), what_if.what_if)
        .run(client, context.out, |u| format!("{done} {} (number {}).", text(u, "name"), text(u, "id")))
        .await
}

fn change(method: Method, path: String, body: Option<&Value>, what_if: bool) -> Change<'_> {
    Change { method, path, body, what_if }
}

fn added(user: &Value) -> String {
    format!("Added {} (number {}).", text(user, "name"), text(user, "id"))
}

fn shown_once(password: Option<&str>) -> String {
    password.map_or_else(String::new, |p| format!("\nThe password, shown only now: {p}"))
}
