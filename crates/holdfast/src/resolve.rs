//! Names to numbers: a person types `ops`, the API wants 12. A number is taken as a number.

use crate::client::{Client, encode};
use crate::exit::missing;
use anyhow::Result;
use holdfast_domain::name::key;
use serde_json::Value;

/// What kind of thing is looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// A person, a bot, or an imported author.
    User,
    /// A group.
    Group,
    /// A user or a group.
    Principal,
    /// A category.
    Category,
    /// A room.
    Room,
}

impl Kind {
    fn noun(self) -> &'static str {
        match self {
            Kind::User => "user",
            Kind::Group => "group",
            Kind::Principal => "user or group",
            Kind::Category => "category",
            Kind::Room => "room",
        }
    }

    fn list_command(self) -> &'static str {
        match self {
            Kind::User => "holdfast user list",
            Kind::Group => "holdfast group list",
            Kind::Principal => "holdfast user list` and `holdfast group list",
            Kind::Category => "holdfast category list",
            Kind::Room => "holdfast room list",
        }
    }
}

/// The number of the `kind` named or numbered `who`.
///
/// # Errors
/// When there is none: exit code 4, with the command that lists those there are.
pub(crate) async fn id(client: &Client, kind: Kind, who: &str) -> Result<i64> {
    if let Some(id) = find(client, kind, who).await? {
        return Ok(id);
    }
    Err(missing(format!("there is no {} `{who}`; `{}` shows those there are", kind.noun(), kind.list_command())))
}

/// The numbers of several, in their order.
///
/// # Errors
/// As [`id`], for the first that is not there.
pub(crate) async fn ids(client: &Client, kind: Kind, names: &[String]) -> Result<Vec<i64>> {
    let mut out = Vec::with_capacity(names.len());
    for name in names {
        out.push(id(client, kind, name).await?);
    }
    Ok(out)
}

/// The number of the `kind` named or numbered `who`, if there is one. Of a bare number that is also a name, the name wins.
pub(crate) async fn find(client: &Client, kind: Kind, who: &str) -> Result<Option<i64>> {
    if let Some(id) = named(client, kind, who).await? {
        return Ok(Some(id));
    }
    Ok(who.parse().ok().filter(|id| *id >= 0))
}

async fn named(client: &Client, kind: Kind, who: &str) -> Result<Option<i64>> {
    let paths: &[&str] = match kind {
        Kind::User => &["/users"],
        Kind::Group => &["/groups"],
        Kind::Principal => &["/users", "/groups"],
        Kind::Category => &["/categories"],
        Kind::Room => &["/rooms"],
    };
    let wanted = key(who.trim());
    for path in paths {
        // Categories and groups are few, and listed whole; users and rooms are searched by what was typed.
        let searched = matches!(*path, "/users" | "/rooms");
        let path = if searched { format!("{path}?q={}&limit=200", encode(who.trim())) } else { (*path).to_owned() };
        let items = client.list(&path, usize::MAX).await?;
        if let Some(found) = items.iter().find(|item| has_name(item, &wanted)) {
            return Ok(found["id"].as_i64());
        }
    }
    Ok(None)
}

fn has_name(item: &Value, wanted: &str) -> bool {
    item["name"].as_str().is_some_and(|name| key(name) == wanted)
}
