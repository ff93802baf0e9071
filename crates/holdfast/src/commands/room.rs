//! `holdfast room`: rooms, their lists of people, and their end.

use super::Context;
use super::shared::{Change, confirm, given, not_empty, some, time};
use crate::cli::WhatIf;
use crate::client::{Access, Client, query};
use crate::exit::{Exit, usage};
use crate::output::{Column, moment, text};
use crate::resolve::{self, Kind};
use anyhow::Result;
use axum::http::Method;
use clap::Subcommand;
use serde_json::{Map, Value, json};

/// What can be done with rooms.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Add a room
    #[command(
        after_help = "Example:\n  holdfast room add \"Night shift\" --category Operations --privacy closed --member ops --manager ana.ruiz"
    )]
    Add {
        /// Its name; no other room or category has the same
        name: String,
        /// The category it is in: name or number
        #[arg(long)]
        category: String,
        #[command(flatten)]
        settings: RoomSettings,
        /// A user or group that is a member; may be repeated
        #[arg(long = "member", value_name = "NAME")]
        members: Vec<String>,
        /// A user or group that manages it; may be repeated
        #[arg(long = "manager", value_name = "NAME")]
        managers: Vec<String>,
        /// A user or group that presents in it, if it is an auditorium; may be repeated
        #[arg(long = "presenter", value_name = "NAME")]
        presenters: Vec<String>,
        #[command(flatten)]
        what_if: WhatIf,
    },
    /// List rooms
    #[command(after_help = "Example:\n  holdfast room list --category Operations --privacy secret")]
    List {
        /// Those whose name, description or subject contains this
        #[arg(long, short, value_name = "TEXT")]
        search: Option<String>,
        /// Only those of this category
        #[arg(long)]
        category: Option<String>,
        /// Only those that name this user or group as a member
        #[arg(long, value_name = "NAME")]
        member: Option<String>,
        /// Only those that name this user or group as a manager
        #[arg(long, value_name = "NAME")]
        manager: Option<String>,
        /// Only rooms of this privacy
        #[arg(long, value_parser = ["open", "closed", "secret"])]
        privacy: Option<String>,
        /// Only those that are disabled
        #[arg(long)]
        disabled: bool,
        /// At most so many
        #[arg(long, default_value_t = 10_000)]
        limit: usize,
    },
    /// Show one room
    #[command(after_help = "Example:\n  holdfast room show \"Night shift\"")]
    Show {
        /// Name or number
        room: String,
    },
    /// Change a room
    #[command(after_help = "Example:\n  holdfast room set \"Night shift\" --privacy secret --what-if")]
    Set {
        /// Name or number
        room: String,
        /// A new name
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        settings: RoomSettings,
        #[command(flatten)]
        what_if: WhatIf,
    },
    /// Move a room to another category; people whom that does not admit drop out of its lists
    #[command(after_help = "Example:\n  holdfast room move \"Night shift\" --to Archive --what-if")]
    Move {
        /// Name or number
        room: String,
        /// The category: name or number
        #[arg(long, value_name = "CATEGORY")]
        to: String,
        #[command(flatten)]
        what_if: WhatIf,
    },
    /// Take a room out of use; everything in it stays
    #[command(after_help = "Example:\n  holdfast room disable \"Night shift\"")]
    Disable {
        /// Name or number
        room: String,
        #[command(flatten)]
        what_if: WhatIf,
    },
    /// Put a disabled room into use again
    #[command(after_help = "Example:\n  holdfast room enable \"Night shift\"")]
    Enable {
        /// Name or number
        room: String,
        #[command(flatten)]
        what_if: WhatIf,
    },
    /// Show a room's members, managers and presenters, or change them
    #[command(
        after_help = "Examples:\n  holdfast room roles \"Night shift\"\n  holdfast room roles \"Night shift\" --add-member bo.lind --remove-manager ana.ruiz"
    )]
    Roles {
        /// Name or number
        room: String,
        #[command(flatten)]
        roles: RoleChanges,
        #[command(flatten)]
        what_if: WhatIf,
    },
    /// Delete a room with everything that was ever said in it
    #[command(after_help = "Example:\n  holdfast room delete \"Night shift\" --what-if")]
    Delete {
        /// Name or number
        room: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        what_if: WhatIf,
    },
    /// Erase what was said in a room up to a moment
    #[command(after_help = "Example:\n  holdfast room clear \"Night shift\" --through 2025-12-31 --what-if")]
    Clear {
        /// Name or number
        room: String,
        /// The last moment that is erased: 2025-12-31 (its beginning, UTC) or 2025-12-31T23:59:59Z
        #[arg(long, value_name = "TIME", value_parser = time)]
        through: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        what_if: WhatIf,
    },
}

/// What a room can be given.
#[derive(Debug, clap::Args)]
pub(crate) struct RoomSettings {
    /// One line: what it is for
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// One line: what it is about just now
    #[arg(long, value_name = "TEXT")]
    subject: Option<String>,
    /// In an auditorium only presenters post
    #[arg(long = "type", value_name = "TYPE", value_parser = ["normal", "auditorium"])]
    room_type: Option<String>,
    /// open: all of the category enter; closed: they find it, members enter; secret: only members know of it
    #[arg(long, value_parser = ["open", "closed", "secret"])]
    privacy: Option<String>,
    /// Whether people added to it are told: as the category says, or never
    #[arg(long, value_parser = ["inherit", "off"])]
    invitations: Option<String>,
    /// A web page shown beside the conversation; empty for none
    #[arg(long, value_name = "URL")]
    add_in_url: Option<String>,
}

impl RoomSettings {
    fn fields(&self) -> [(&'static str, Option<Value>); 6] {
        let add_in = self.add_in_url.as_ref().map(|u| if u.is_empty() { Value::Null } else { json!(u) });
        [
            ("description", some(self.description.as_ref())),
            ("subject", some(self.subject.as_ref())),
            ("type", some(self.room_type.as_ref())),
            ("privacy", some(self.privacy.as_ref())),
            ("invitations", some(self.invitations.as_ref())),
            ("add_in_url", add_in),
        ]
    }
}

/// Changes of a room's lists.
#[derive(Debug, clap::Args)]
pub(crate) struct RoleChanges {
    /// A user or group to make a member; may be repeated
    #[arg(long, value_name = "NAME")]
    add_member: Vec<String>,
    /// A member to drop; may be repeated
    #[arg(long, value_name = "NAME")]
    remove_member: Vec<String>,
    /// A user or group to make a manager; may be repeated
    #[arg(long, value_name = "NAME")]
    add_manager: Vec<String>,
    /// A manager to drop; may be repeated
    #[arg(long, value_name = "NAME")]
    remove_manager: Vec<String>,
    /// A user or group to make a presenter; may be repeated
    #[arg(long, value_name = "NAME")]
    add_presenter: Vec<String>,
    /// A presenter to drop; may be repeated
    #[arg(long, value_name = "NAME")]
    remove_presenter: Vec<String>,
}

impl RoleChanges {
    async fn body(&self, client: &Client) -> Result<Value> {
        let mut body = Map::new();
        for (list, add, remove) in [
            ("members", &self.add_member, &self.remove_member),
            ("managers", &self.add_manager, &self.remove_manager),
            ("presenters", &self.add_presenter, &self.remove_presenter),
        ] {
            if add.is_empty() && remove.is_empty() {
                continue;
            }
            let add = resolve::ids(client, Kind::Principal, add).await?;
            let remove = resolve::ids(client, Kind::Principal, remove).await?;
            body.insert(list.to_owned(), json!({ "add": add, "remove": remove }));
        }
        Ok(Value::Object(body))
    }
}

const COLUMNS: &[Column] = &[
    ("ID", |r| text(r, "id")),
    ("NAME", |r| text(r, "name")),
    ("CATEGORY", |r| text(r, "category")),
    ("PRIVACY", |r| text(r, "privacy")),
    ("TYPE", |r| text(r, "type")),
    ("MESSAGES", |r| text(r, "messages")),
    ("LAST", |r| moment(&r["last_message_at"])),
    ("", |r| if r["disabled"] == true { "disabled".into() } else { String::new() }),
];

const FIELDS: &[Column] = &[
    ("Number", |r| text(r, "id")),
    ("Name", |r| text(r, "name")),
    ("Category", |r| text(r, "category")),
    ("Description", |r| text(r, "description")),
    ("Subject", |r| text(r, "subject")),
    ("Type", |r| text(r, "type")),
    ("Privacy", |r| text(r, "privacy")),
    ("Invitations", |r| text(r, "invitations")),
    ("Add-in", |r| text(r, "add_in_url")),
    ("Disabled", |r| text(r, "disabled")),
    ("Made", |r| moment(&r["created_at"])),
    ("Entries", |r| text(r, "head")),
    ("Messages", |r| text(r, "messages")),
    ("Last message", |r| moment(&r["last_message_at"])),
    ("Present now", |r| text(r, "present")),
];

const ROLES: &[Column] = &[
    ("Members", |r| text(r, "members")),
    ("Managers", |r| text(r, "managers")),
    ("Presenters", |r| text(r, "presenters")),
];

/// Does what was asked.
pub(crate) async fn run(verb: Verb, context: &Context) -> Result<Exit> {
    context.with(Access::Existing, async |client| act(verb, context, client).await).await
}

async fn act(verb: Verb, context: &Context, client: &Client) -> Result<Exit> {
    let out = context.out;
    match verb {
        Verb::Add { name, category, settings, members, managers, presenters, what_if } => {
            let mut body = given(settings.fields());
            body["name"] = json!(name);
            body["category"] = json!(resolve::id(client, Kind::Category, &category).await?);
            for (list, names) in [("members", members), ("managers", managers), ("presenters", presenters)] {
                if !names.is_empty() {
                    body[list] = json!(resolve::ids(client, Kind::Principal, &names).await?);
                }
            }
            let path = "/rooms".into();
            let change = Change { method: Method::POST, path, body: Some(&body), what_if: what_if.what_if };
            change.run(client, out, |r| said("Added", r)).await
        }
        Verb::List { search, category, member, manager, privacy, disabled, limit } => {
            let category = number(client, Kind::Category, category).await?;
            let member = number(client, Kind::Principal, member).await?;
            let manager = number(client, Kind::Principal, manager).await?;
            let query = query(&[
                ("q", search),
                ("category", category),
                ("member", member),
                ("manager", manager),
                ("privacy", privacy),
                ("disabled", disabled.then(|| "true".into())),
            ]);
            let rooms = client.list(&format!("/rooms{query}"), limit).await?;
            out.list(&rooms, "There is no such room; `holdfast room add` makes one.", COLUMNS);
            Ok(Exit::Done)
        }
        Verb::Show { room } => {
            let id = resolve::id(client, Kind::Room, &room).await?;
            out.record(&client.get(&format!("/rooms/{id}")).await?, FIELDS);
            Ok(Exit::Done)
        }
        Verb::Set { room, name, settings, what_if } => {
            let mut body = given(settings.fields());
            if let Some(name) = name {
                body["name"] = json!(name);
            }
            not_empty(&body)?;
            patch(context, client, &room, &body, what_if, "Changed").await
        }
        Verb::Move { room, to, what_if } => {
            let body = json!({ "category": resolve::id(client, Kind::Category, &to).await? });
            patch(context, client, &room, &body, what_if, "Moved").await
        }
        Verb::Disable { room, what_if } => {
            patch(context, client, &room, &json!({ "disabled": true }), what_if, "Disabled").await
        }
        Verb::Enable { room, what_if } => {
            patch(context, client, &room, &json!({ "disabled": false }), what_if, "Enabled").await
        }
        Verb::Roles { room, roles, what_if } => {
            let id = resolve::id(client, Kind::Room, &room).await?;
            let path = format!("/rooms/{id}/roles");
            let body = roles.body(client).await?;
            if body.as_object().is_some_and(Map::is_empty) {
                if what_if.what_if {
                    return Err(usage("--what-if needs a change, such as --add-member NAME"));
                }
                out.record(&client.get(&path).await?, ROLES);
                return Ok(Exit::Done);
            }
            let change = Change { method: Method::PATCH, path, body: Some(&body), what_if: what_if.what_if };
            change.run(client, out, |_| format!("Changed the lists of {room}.")).await
        }
        Verb::Delete { room, yes, what_if } => {
            let id = resolve::id(client, Kind::Room, &room).await?;
            if !what_if.what_if {
                confirm(yes, &format!("The room {room} will be deleted with everything that was ever said in it."))?;
            }
            let path = format!("/rooms/{id}");
            let change = Change { method: Method::DELETE, path, body: None, what_if: what_if.what_if };
            change.run(client, out, |_| format!("Deleted the room {room}.")).await
        }
        Verb::Clear { room, through, yes, what_if } => {
            let id = resolve::id(client, Kind::Room, &room).await?;
            if !what_if.what_if {
                confirm(yes, &format!("What was said in {room} up to {through} will be erased."))?;
            }
            let body = json!({ "through": through });
            let path = format!("/rooms/{id}/clear");
            let change = Change { method: Method::POST, path, body: Some(&body), what_if: what_if.what_if };
            let said = |a: &Value| match a["cleared"].as_i64() {
                Some(0) | None => format!("There was nothing to erase in {room}."),
                Some(seq) => format!("Erased what was said in {room} up to entry {seq}."),
            };
            change.run(client, out, said).await
        }
    }
}

async fn patch(
    context: &Context,
    client: &Client,
    room: &str,
    body: &Value,
    what_if: WhatIf,
    done: &str,
) -> Result<Exit> {
    let id = resolve::id(client, Kind::Room, room).await?;
    let path = format!("/rooms/{id}");
    let change = Change { method: Method::PATCH, path, body: Some(body), what_if: what_if.what_if };
    change.run(client, context.out, |r| said(done, r)).await
}

async fn number(client: &Client, kind: Kind, name: Option<String>) -> Result<Option<String>> {
    match name {
        Some(name) => Ok(Some(resolve::id(client, kind, &name).await?.to_string())),
        None => Ok(None),
    }
}

fn said(done: &str, room: &Value) -> String {
    format!("{done} {} (number {}).", text(room, "name"), text(room, "id"))
}
