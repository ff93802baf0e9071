//! `holdfast token`: tokens, with which programs sign in.

use super::Context;
use super::shared::{given, time, would_change};
use crate::cli::WhatIf;
use crate::client::Access;
use crate::exit::Exit;
use crate::output::{Column, moment, text};
use crate::resolve::{self, Kind};
use anyhow::Result;
use axum::http::Method;
use clap::Subcommand;
use serde_json::json;

/// What can be done with tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Make a token for a user or bot and print its secret, once
    #[command(
        after_help = "Example:\n  holdfast token add watch-bot --label \"alerts from the monitoring\" --scope post --expires 2027-01-01"
    )]
    Add {
        /// Whose: name or number
        user: String,
        /// What it is for
        #[arg(long, value_name = "TEXT")]
        label: String,
        /// What it may be used for; may be repeated [default: read, post]
        #[arg(long = "scope", value_parser = ["read", "post", "manage", "admin"])]
        scopes: Vec<String>,
        /// When it ends by itself [default: never]
        #[arg(long, value_name = "TIME", value_parser = time)]
        expires: Option<String>,
        #[command(flatten)]
        what_if: WhatIf,
    },
    /// List a user's tokens
    #[command(after_help = "Example:\n  holdfast token list watch-bot")]
    List {
        /// Whose: name or number
        user: String,
    },
    /// End a token
    #[command(after_help = "Example:\n  holdfast token end watch-bot 3")]
    End {
        /// Whose: name or number
        user: String,
        /// The token's number, as `token list` shows it
        token: i64,
        #[command(flatten)]
        what_if: WhatIf,
    },
}

const COLUMNS: &[Column] = &[
    ("ID", |t| text(t, "id")),
    ("LABEL", |t| text(t, "label")),
    ("SCOPES", |t| text(t, "scopes")),
    ("SINCE", |t| moment(&t["created_at"])),
    ("LAST USED", |t| moment(&t["last_used_at"])),
    ("ENDS", |t| moment(&t["expires_at"])),
];

/// Does what was asked.
pub(crate) async fn run(verb: Verb, context: &Context) -> Result<Exit> {
    let out = context.out;
    context
        .with(Access::Existing, async |client| match verb {
            Verb::Add { user, label, scopes, expires, what_if } => {
                let id = resolve::id(client, Kind::User, &user).await?;
                let scopes = if scopes.is_empty() { vec!["read".to_owned(), "post".to_owned()] } else { scopes };
                if what_if.what_if {
                    return Ok(would_change(
                        out,
                        &[format!("{user} would get a token `{label}` for {}", scopes.join(", "))],
                    ));
                }
                let body = given([
                    ("label", Some(json!(label))),
                    ("scopes", Some(json!(scopes))),
                    ("expires_at", expires.map(|e| json!(e))),
                ]);
                let token = client.json(Method::POST, &format!("/users/{id}/tokens"), Some(&body)).await?;
                out.value(&token, |t| {
                    format!(
                        "Made token {} of {user}. Its secret, shown only now:\n{}",
                        text(t, "id"),
                        text(t, "secret")
                    )
                });
                Ok(Exit::Done)
            }
            Verb::List { user } => {
                let id = resolve::id(client, Kind::User, &user).await?;
                let tokens = client.list(&format!("/users/{id}/tokens"), usize::MAX).await?;
                out.list(&tokens, "No tokens; `holdfast token add` makes one.", COLUMNS);
                Ok(Exit::Done)
            }
            Verb::End { user, token, what_if } => {
                let id = resolve::id(client, Kind::User, &user).await?;
                if what_if.what_if {
                    return Ok(would_change(out, &[format!("Token {token} of {user} would end")]));
                }
                client.json(Method::DELETE, &format!("/users/{id}/tokens/{token}"), None).await?;
                out.value(&json!({ "done": true }), |_| format!("Ended token {token} of {user}."));
                Ok(Exit::Done)
            }
        })
        .await
}
