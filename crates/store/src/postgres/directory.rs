//! Rooms, lists, categories, users and groups, kept in step with the entries that change them.

use super::amend;
use super::error::{Fail, Work, corrupt, taken, unavailable};
use super::session::Session;
use crate::directory_words::{CATEGORY, GROUP, PEOPLE, PLACES, ROOM, USER, number_word, role_of, role_word};
use crate::projections::{Numbered, Snapshot};
use holdfast_domain::room::{Role, RoleChange, Roles, Room};
use holdfast_domain::{EntryBody, PrincipalId, RoomId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// Rooms, categories, users and groups as they are to be, gathered so that many are written at once: an import makes a thousand authors in a
/// batch.
#[derive(Debug, Default)]
pub(super) struct Puts {
    puts: Vec<Put>,
}

#[derive(Debug)]
struct Put {
    kind: &'static str,
    id: i64,
    space: &'static str,
    key: String,
    state: String,
    /// The name, as people write it.
    name: String,
    numbered: Numbered,
}

impl Puts {
    /// Adds what an entry says is so now, if it does.
    pub(super) fn add(&mut self, body: &EntryBody) -> Work<()> {
        match body {
            EntryBody::Room(p) => {
                self.push(ROOM, p.now.id.0, PLACES, p.now.name.key(), &p.now.name, Numbered::Room, &p.now)
            }
            EntryBody::Category(p) => {
                self.push(CATEGORY, p.now.id.0, PLACES, p.now.name.key(), &p.now.name, Numbered::Category, &p.now)
            }
            EntryBody::User(p) => {
                self.push(USER, p.now.id.0, PEOPLE, p.now.name.key(), &p.now.name, Numbered::Principal, &p.now)
            }
            EntryBody::Group(p) => {
                self.push(GROUP, p.now.id.0, PEOPLE, p.now.name.key(), &p.now.name, Numbered::Principal, &p.now)
            }
            _ => Ok(()),
        }
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "the columns of a row, written out once for each of the four kinds above"
    )]
    fn push<T: Serialize>(
        &mut self,
        kind: &'static str,
        id: i64,
        space: &'static str,
        key: String,
        name: &impl ToString,
        numbered: Numbered,
        state: &T,
    ) -> Work<()> {
        let state = serde_json::to_string(state).map_err(|e| corrupt(format!("{kind} {id}: {e}")))?;
        self.puts.push(Put { kind, id, space, key, state, name: name.to_string(), numbered });
        Ok(())
    }

    /// Writes them, in portions in which nothing stands twice.
    pub(super) async fn write(&mut self, s: &Session) -> Work<()> {
        let mut portion: Vec<Put> = Vec::new();
        for put in std::mem::take(&mut self.puts) {
            if portion.len() >= 1_000 || portion.iter().any(|p| (p.kind, p.id) == (put.kind, put.id)) {
                write_portion(s, &portion).await?;
                portion.clear();
            }
            portion.push(put);
        }
        write_portion(s, &portion).await
    }
}

async fn write_portion(s: &Session, puts: &[Put]) -> Work<()> {
    const SQL: &str = "INSERT INTO directory (kind, id, space, key, state)
        SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[])
        ON CONFLICT (kind, id) DO UPDATE SET key = excluded.key, state = excluded.state";
    // A number that is in use is not given again.
    const USED: &str = "UPDATE number SET next = $2 WHERE what = $1 AND next < $2";
    let mut used: BTreeMap<&str, i64> = BTreeMap::new();
    for put in puts {
        let next = used.entry(number_word(put.numbered)).or_default();
        *next = (*next).max(put.id + 1);
    }
    if puts.is_empty() {
        return Ok(());
    }
    let kinds: Vec<&str> = puts.iter().map(|p| p.kind).collect();
    let ids: Vec<i64> = puts.iter().map(|p| p.id).collect();
    let spaces: Vec<&str> = puts.iter().map(|p| p.space).collect();
    let keys: Vec<&str> = puts.iter().map(|p| p.key.as_str()).collect();
    let states: Vec<&str> = puts.iter().map(|p| p.state.as_str()).collect();
    match s.execute(SQL, &[&kinds, &ids, &spaces, &keys, &states]).await {
        Ok(_) => {}
        Err(e) if e.is_taken() => return Err(name_taken(&e, puts)),
        Err(e) => return Err(e),
    }
    for (what, next) in used {
        s.execute(USED, &[&what, &next]).await?;
    }
    Ok(())
}

/// Which name it was that is taken: PostgreSQL tells the key.
fn name_taken(e: &Fail, puts: &[Put]) -> Fail {
    let detail = match e {
        Fail::Sql(e) => e.as_db_error().and_then(|d| d.detail()).unwrap_or_default(),
        Fail::Store(_) => "",
    };
    let named = |put: &&Put| detail.contains(&format!("({}, {})", put.space, put.key));
    let put = puts.iter().find(named).or(puts.first());
    let what = match put {
        Some(put) if put.space == PEOPLE => format!("the sign-in or group name “{}”", put.name),
        Some(put) => format!("the name “{}”", put.name),
        None => "a name".to_owned(),
    };
    taken(what).into()
}

/// Does what an entry of the log of `room` says to lists and to what is deleted.
pub(super) async fn apply(s: &Session, room: RoomId, body: &EntryBody) -> Work<()> {
    match body {
        EntryBody::Roles(changes) => change_roles(s, room, changes).await,
        EntryBody::CategoryDeleted { id, .. } => forget(s, CATEGORY, id.0).await,
        EntryBody::GroupDeleted { id, .. } => forget(s, GROUP, id.0).await,
        EntryBody::RoomDeleted { id, .. } => {
            s.execute("DELETE FROM role WHERE room = $1", &[&id.0]).await?;
            note_deleted(s, *id).await?;
            forget(s, ROOM, id.0).await?;
            amend::delete_room(s, *id).await
        }
        _ => Ok(()),
    }
}

/// Keeps that a room was deleted, so that it does not begin again.
pub(super) async fn note_deleted(s: &Session, room: RoomId) -> Work<()> {
    s.execute("INSERT INTO deleted_room (room) VALUES ($1) ON CONFLICT DO NOTHING", &[&room.0]).await?;
    Ok(())
}

/// Whether a room was deleted.
pub(super) async fn was_deleted(s: &Session, room: RoomId) -> Work<bool> {
    Ok(s.one("SELECT 1 FROM deleted_room WHERE room = $1", &[&room.0]).await?.is_some())
}

/// All of it.
pub(super) async fn snapshot(s: &Session) -> Work<Snapshot> {
    let mut roles: BTreeMap<RoomId, Roles> = BTreeMap::new();
    for r in s.query("SELECT room, role, principal FROM role", &[]).await? {
        let word: &str = r.try_get(1)?;
        let role = role_of(word)?;
        roles.entry(RoomId(r.try_get(0)?)).or_default().list_mut(role).insert(PrincipalId(r.try_get(2)?));
    }
    let rooms: Vec<Room> = all(s, ROOM).await?;
    let with_roles = |room: Room| {
        let lists = roles.remove(&room.id).unwrap_or_default();
        (room, lists)
    };
    Ok(Snapshot {
        rooms: rooms.into_iter().map(with_roles).collect(),
        categories: all(s, CATEGORY).await?,
        users: all(s, USER).await?,
        groups: all(s, GROUP).await?,
    })
}

/// Empties it, to be filled anew.
pub(super) async fn clear(s: &Session) -> Work<()> {
    s.batch("DELETE FROM directory; DELETE FROM role; DELETE FROM deleted_room;").await
}

/// Sets a room's lists, where they are known as a whole.
pub(super) async fn put_roles(s: &Session, room: RoomId, roles: &Roles) -> Work<()> {
    let changes: Vec<RoleChange> = Role::ALL
        .into_iter()
        .map(|role| RoleChange { role, added: roles.list(role).iter().copied().collect(), removed: Vec::new() })
        .collect();
    change_roles(s, room, &changes).await
}

/// The statement that gives the next numbers and never again; answers the first.
pub(super) const NEXT_NUMBERS: &str = "UPDATE number SET next = next + $2 WHERE what = $1 RETURNING next - $2";

/// Checks that numbers given by [`NEXT_NUMBERS`] can be used.
pub(super) fn check_numbers(what: Numbered, first: i64, count: u32) -> crate::Result<i64> {
    if what == Numbered::Room && first + i64::from(count) - 1 > RoomId::MAX.0 {
        return Err(unavailable("all numbers of rooms have been given"));
    }
    Ok(first)
}

async fn forget(s: &Session, kind: &str, id: i64) -> Work<()> {
    s.execute("DELETE FROM directory WHERE kind = $1 AND id = $2", &[&kind, &id]).await?;
    Ok(())
}

async fn change_roles(s: &Session, room: RoomId, changes: &[RoleChange]) -> Work<()> {
    const OUT: &str = "DELETE FROM role WHERE room = $1 AND role = $2 AND principal = ANY($3)";
    const IN: &str =
        "INSERT INTO role (room, role, principal) SELECT $1, $2, p FROM unnest($3::bigint[]) p ON CONFLICT DO NOTHING";
    for change in changes {
        let word = role_word(change.role);
        for (sql, principals) in [(OUT, &change.removed), (IN, &change.added)] {
            if !principals.is_empty() {
                s.execute(sql, &[&room.0, &word, &amend::numbers(principals)]).await?;
            }
        }
    }
    Ok(())
}

async fn all<T: DeserializeOwned>(s: &Session, kind: &str) -> Work<Vec<T>> {
    const SQL: &str = "SELECT id, state FROM directory WHERE kind = $1 ORDER BY id";
    let rows = s.query(SQL, &[&kind]).await?;
    rows.iter()
        .map(|r| {
            let (id, state): (i64, &str) = (r.try_get(0)?, r.try_get(1)?);
            Ok(serde_json::from_str(state).map_err(|e| corrupt(format!("{kind} {id}: {e}")))?)
        })
        .collect()
}
