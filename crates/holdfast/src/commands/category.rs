//! `holdfast category`: categories, which bound who may be in their rooms.

use super::Context;
use super::shared::{Change, Switch, confirm, given, not_empty, some};
use crate::cli::WhatIf;
use crate::client::{Access, Client};
use crate::exit::Exit;
use crate::output::{Column, text};
use crate::resolve::{self, Kind};
use anyhow::Result;
use axum::http::Method;
use clap::Subcommand;
use serde_json::{Value, json};

/// What can be done with categories.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Add a category
    #[command(after_help = "Example:\n  holdfast category add Operations --allow ops --creator ana.ruiz --files off")]
    Add {
        /// Its name; no room has the same
        name: String,
        #[command(flatten)]
        settings: CategorySettings,
        #[command(flatten)]
        what_if: WhatIf,
    },
    /// List categories
    #[command(after_help = "Example:\n  holdfast category list")]
    List,
    /// Show one category with its lists
    #[command(after_help = "Example:\n  holdfast category show Operations")]
    Show {
        /// Name or number
        category: String,
    },
    /// Change a category; a list that is given replaces the one there is
    #[command(after_help = "Example:\n  holdfast category set Operations --allow ops --deny bo.lind --what-if")]
    Set {
        /// Name or number
        category: String,
        /// A new name
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        settings: CategorySettings,
        #[command(flatten)]
        what_if: WhatIf,
    },
    /// Remove a category that has no rooms
    #[command(after_help = "Example:\n  holdfast category remove Operations --yes")]
    Remove {
        /// Name or number
        category: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        what_if: WhatIf,
    },
}

/// What a category can be given.
#[derive(Debug, clap::Args)]
pub(crate) struct CategorySettings {
    /// One line for administrators
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// A user or group that may be in its rooms; may be repeated [default: everyone]
    #[arg(long = "allow", value_name = "NAME")]
    allowed: Vec<String>,
    /// A user or group that may not, whatever else allows it; may be repeated
    #[arg(long = "deny", value_name = "NAME")]
    denied: Vec<String>,
    /// A user or group that may create rooms in it; may be repeated
    #[arg(long = "creator", value_name = "NAME")]
    creators: Vec<String>,
    /// Make a list empty; may be repeated
    #[arg(long = "clear", value_name = "LIST", value_parser = ["allowed", "denied", "creators"])]
    clear: Vec<String>,
    /// Whether people added to a room are told
    #[arg(long, value_name = "ON|OFF")]
    invitations: Option<Switch>,
    /// Whether files may be uploaded
    #[arg(long, value_name = "ON|OFF")]
    files: Option<Switch>,
    /// Whether members may read what was said before
    #[arg(long, value_name = "ON|OFF")]
    history: Option<Switch>,
}

impl CategorySettings {
    async fn body(&self, client: &Client, name: Option<&String>) -> Result<Value> {
        Ok(given([
            ("name", some(name)),
            ("description", some(self.description.as_ref())),
            ("allowed", self.list(client, "allowed", &self.allowed).await?),
            ("denied", self.list(client, "denied", &self.denied).await?),
            ("creators", self.list(client, "creators", &self.creators).await?),
            ("invitations", self.invitations.map(Switch::value)),
            ("file_upload", self.files.map(Switch::value)),
            ("history", self.history.map(Switch::value)),
        ]))
    }

    async fn list(&self, client: &Client, list: &str, names: &[String]) -> Result<Option<Value>> {
        if names.is_empty() {
            return Ok(self.clear.iter().any(|c| c == list).then(|| json!([])));
        }
        Ok(Some(json!(resolve::ids(client, Kind::Principal, names).await?)))
    }
}

const COLUMNS: &[Column] = &[
    ("ID", |c| text(c, "id")),
    ("NAME", |c| text(c, "name")),
    ("ROOMS", |c| text(c, "rooms")),
    ("DESCRIPTION", |c| text(c, "description")),
];

const FIELDS: &[Column] = &[
    ("Number", |c| text(c, "id")),
    ("Name", |c| text(c, "name")),
    ("Description", |c| text(c, "description")),
    ("Allowed", |c| text(c, "allowed")),
    ("Denied", |c| text(c, "denied")),
    ("Creators", |c| text(c, "creators")),
    ("Invitations", |c| text(c, "invitations")),
    ("Files", |c| text(c, "file_upload")),
    ("History", |c| text(c, "history")),
    ("Rooms", |c| text(c, "rooms")),
];

/// Does what was asked.
pub(crate) async fn run(verb: Verb, context: &Context) -> Result<Exit> {
    let out = context.out;
    context
        .with(Access::Existing, async |client| match verb {
            Verb::Add { name, settings, what_if } => {
                let body = settings.body(client, Some(&name)).await?;
                let path = "/categories".into();
                let change = Change { method: Method::POST, path, body: Some(&body), what_if: what_if.what_if };
                change.run(client, out, |c| said("Added", c)).await
            }
            Verb::List => {
                let categories = client.list("/categories", usize::MAX).await?;
                out.list(&categories, "There are no categories; `holdfast category add` makes one.", COLUMNS);
                Ok(Exit::Done)
            }
            Verb::Show { category } => {
                let id = resolve::id(client, Kind::Category, &category).await?;
                out.record(&client.get(&format!("/categories/{id}")).await?, FIELDS);
                Ok(Exit::Done)
            }
            Verb::Set { category, name, settings, what_if } => {
                let body = settings.body(client, name.as_ref()).await?;
                not_empty(&body)?;
                let id = resolve::id(client, Kind::Category, &category).await?;
                let path = format!("/categories/{id}");
                let change = Change { method: Method::PATCH, path, body: Some(&body), what_if: what_if.what_if };
                change.run(client, out, |c| said("Changed", c)).await
            }
            Verb::Remove { category, yes, what_if } => {
                let id = resolve::id(client, Kind::Category, &category).await?;
                if !what_if.what_if {
                    confirm(yes, &format!("The category {category} will be removed."))?;
                }
                let path = format!("/categories/{id}");
                let change = Change { method: Method::DELETE, path, body: None, what_if: what_if.what_if };
                change.run(client, out, |_| format!("Removed the category {category}.")).await
            }
        })
        .await
}

fn said(done: &str, category: &Value) -> String {
    format!("{done} {} (number {}).", text(category, "name"), text(category, "id"))
}
