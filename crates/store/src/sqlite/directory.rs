//! Rooms, lists, categories, users and groups, kept in step with the entries that change them.

use super::error::{Work, corrupt, is_taken, taken, unavailable};
use crate::directory_words::{CATEGORY, GROUP, PEOPLE, PLACES, ROOM, USER, number_word, role_of, role_word};
use crate::projections::{Numbered, Snapshot};
use holdfast_domain::name::{Login, Name};
use holdfast_domain::room::{Role, RoleChange, Roles, Room};
use holdfast_domain::{Category, EntryBody, Group, PrincipalId, RoomId, User};
use rusqlite::{Connection, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// Does what an entry of the log of `room` says to the directory.
pub(super) fn apply(conn: &Connection, room: RoomId, body: &EntryBody) -> Work<()> {
    match body {
        EntryBody::Room(put) => put_room(conn, &put.now),
        EntryBody::Roles(changes) => change_roles(conn, room, changes),
        EntryBody::Category(put) => put_category(conn, &put.now),
        EntryBody::CategoryDeleted { id, .. } => forget(conn, CATEGORY, id.0),
        EntryBody::User(put) => put_user(conn, &put.now),
        EntryBody::Group(put) => put_group(conn, &put.now),
        EntryBody::GroupDeleted { id, .. } => forget(conn, GROUP, id.0),
        EntryBody::RoomDeleted { id, .. } => {
            conn.execute("DELETE FROM role WHERE room = ?1", [id.0])?;
            note_deleted(conn, *id)?;
            forget(conn, ROOM, id.0)
        }
        EntryBody::Message(_)
        | EntryBody::Edit(_)
        | EntryBody::Retraction { .. }
        | EntryBody::Removal(_)
        | EntryBody::Purge { .. }
        | EntryBody::Annotation(_)
        | EntryBody::Act(_) => Ok(()),
    }
}

/// Keeps that a room was deleted, so that it does not begin again.
pub(super) fn note_deleted(conn: &Connection, room: RoomId) -> Work<()> {
    conn.execute("INSERT OR IGNORE INTO deleted_room (room) VALUES (?1)", [room.0])?;
    Ok(())
}

/// Whether a room was deleted.
pub(super) fn was_deleted(conn: &Connection, room: RoomId) -> Work<bool> {
    Ok(conn.prepare_cached("SELECT 1 FROM deleted_room WHERE room = ?1")?.exists([room.0])?)
}

/// All of it.
pub(super) fn snapshot(conn: &Connection) -> Work<Snapshot> {
    let mut roles: BTreeMap<RoomId, Roles> = BTreeMap::new();
    let mut statement = conn.prepare("SELECT room, role, principal FROM role")?;
    let mut rows = statement.query([])?;
    while let Some(r) = rows.next()? {
        let word: String = r.get(1)?;
        let role = role_of(&word)?;
        roles.entry(RoomId(r.get(0)?)).or_default().list_mut(role).insert(PrincipalId(r.get(2)?));
    }
    let rooms: Vec<Room> = all(conn, ROOM)?;
    Ok(Snapshot {
        categories: all(conn, CATEGORY)?,
        rooms: rooms
            .into_iter()
            .map(|room| (roles.remove(&room.id).unwrap_or_default(), room))
            .map(|(l, r)| (r, l))
            .collect(),
        users: all(conn, USER)?,
        groups: all(conn, GROUP)?,
    })
}

/// Empties it, to be filled anew.
pub(super) fn clear(conn: &Connection) -> Work<()> {
    conn.execute_batch("DELETE FROM directory; DELETE FROM role; DELETE FROM deleted_room;")?;
    Ok(())
}

/// Sets a room's lists, where they are known as a whole.
pub(super) fn put_roles(conn: &Connection, room: RoomId, roles: &Roles) -> Work<()> {
    let changes: Vec<RoleChange> = Role::ALL
        .into_iter()
        .map(|role| RoleChange { role, added: roles.list(role).iter().copied().collect(), removed: Vec::new() })
        .collect();
    change_roles(conn, room, &changes)
}

/// Gives the next `count` numbers and never again; answers the first.
pub(super) fn next_numbers(conn: &Connection, what: Numbered, count: u32) -> Work<i64> {
    const SQL: &str = "UPDATE number SET next = next + ?2 WHERE what = ?1 RETURNING next - ?2";
    let first: i64 = conn.prepare_cached(SQL)?.query_row(params![number_word(what), count], |r| r.get(0))?;
    if what == Numbered::Room && first + i64::from(count) - 1 > RoomId::MAX.0 {
        return Err(unavailable("all numbers of rooms have been given").into());
    }
    Ok(first)
}

pub(super) fn put_room(conn: &Connection, room: &Room) -> Work<()> {
    use_number(conn, Numbered::Room, room.id.0)?;
    put_place(conn, ROOM, room.id.0, &room.name, room)
}

pub(super) fn put_category(conn: &Connection, category: &Category) -> Work<()> {
    use_number(conn, Numbered::Category, category.id.0)?;
    put_place(conn, CATEGORY, category.id.0, &category.name, category)
}

pub(super) fn put_user(conn: &Connection, user: &User) -> Work<()> {
    use_number(conn, Numbered::Principal, user.id.0)?;
    put_person(conn, USER, user.id.0, &user.name, user)
}

pub(super) fn put_group(conn: &Connection, group: &Group) -> Work<()> {
    use_number(conn, Numbered::Principal, group.id.0)?;
    put_person(conn, GROUP, group.id.0, &group.name, group)
}

fn put_place<T: Serialize>(conn: &Connection, kind: &str, id: i64, name: &Name, state: &T) -> Work<()> {
    put(conn, kind, id, PLACES, &name.key(), state, || format!("the name “{name}”"))
}

fn put_person<T: Serialize>(conn: &Connection, kind: &str, id: i64, name: &Login, state: &T) -> Work<()> {
    put(conn, kind, id, PEOPLE, &name.key(), state, || format!("the sign-in or group name “{name}”"))
}

fn put<T: Serialize>(
    conn: &Connection,
    kind: &str,
    id: i64,
    space: &str,
    key: &str,
    state: &T,
    what: impl FnOnce() -> String,
) -> Work<()> {
    const SQL: &str = "INSERT INTO directory (kind, id, space, key, state) VALUES (?1, ?2, ?3, ?4, ?5)
                       ON CONFLICT (kind, id) DO UPDATE SET key = excluded.key, state = excluded.state";
    let state = serde_json::to_string(state).map_err(|e| corrupt(format!("{kind} {id}: {e}")))?;
    match conn.prepare_cached(SQL)?.execute(params![kind, id, space, key, state]) {
        Ok(_) => Ok(()),
        Err(e) if is_taken(&e) => Err(taken(what()).into()),
        Err(e) => Err(e.into()),
    }
}

fn forget(conn: &Connection, kind: &str, id: i64) -> Work<()> {
    conn.execute("DELETE FROM directory WHERE kind = ?1 AND id = ?2", params![kind, id])?;
    Ok(())
}

fn change_roles(conn: &Connection, room: RoomId, changes: &[RoleChange]) -> Work<()> {
    const OUT: &str = "DELETE FROM role WHERE room = ?1 AND role = ?2 AND principal = ?3";
    const IN: &str = "INSERT OR IGNORE INTO role (room, role, principal) VALUES (?1, ?2, ?3)";
    for change in changes {
        let word = role_word(change.role);
        for (sql, principals) in [(OUT, &change.removed), (IN, &change.added)] {
            let mut statement = conn.prepare_cached(sql)?;
            for principal in principals {
                statement.execute(params![room.0, word, principal.0])?;
            }
        }
    }
    Ok(())
}

/// Makes sure that a number which is in use is not given again.
fn use_number(conn: &Connection, what: Numbered, number: i64) -> Work<()> {
    const SQL: &str = "UPDATE number SET next = ?2 + 1 WHERE what = ?1 AND next <= ?2";
    conn.prepare_cached(SQL)?.execute(params![number_word(what), number])?;
    Ok(())
}

fn all<T: DeserializeOwned>(conn: &Connection, kind: &str) -> Work<Vec<T>> {
    let mut statement = conn.prepare("SELECT id, state FROM directory WHERE kind = ?1 ORDER BY id")?;
    let mut rows = statement.query([kind])?;
    let mut found = Vec::new();
    while let Some(r) = rows.next()? {
        let (id, state): (i64, String) = (r.get(0)?, r.get(1)?);
        found.push(serde_json::from_str(&state).map_err(|e| corrupt(format!("{kind} {id}: {e}")))?);
    }
    Ok(found)
}
