//! Users' secrets.

use super::SqliteStore;
use super::error::{Work, corrupt, is_taken, taken};
use crate::Result;
use crate::accounts::{Accounts, Credentials, ScramKeys, Sha1Keys, SignIn, Token, Webhook};
use async_trait::async_trait;
use holdfast_domain::chain::Digest;
use holdfast_domain::{PrincipalId, RoomId, Time};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Params, params};

macro_rules! sign_in_columns {
    () => {
        "SELECT id, secret, user, created_at, last_seen_at, expires_at, agent, address FROM sign_in "
    };
}
macro_rules! token_columns {
    () => {
        "SELECT id, secret, user, label, scopes, created_at, expires_at, last_used_at FROM token "
    };
}
macro_rules! webhook_columns {
    () => {
        "SELECT id, secret, room, author, label, created_at FROM webhook "
    };
}

#[async_trait]
impl Accounts for SqliteStore {
    async fn credentials(&self, user: PrincipalId) -> Result<Credentials> {
        const SQL: &str = "SELECT salt, iterations, stored_key, server_key, failures, locked_until, last_seen_at
                           FROM account WHERE user = ?1";
        self.threads
            .read("reading an account", move |tx, _| Ok(one(tx, SQL, [user.0], read_credentials)?.unwrap_or_default()))
            .await
    }

    async fn set_password(&self, user: PrincipalId, keys: Option<ScramKeys>) -> Result<()> {
        const SQL: &str = "INSERT INTO account (user, salt, iterations, stored_key, server_key) VALUES (?1, ?2, ?3, ?4, ?5)
            ON CONFLICT (user) DO UPDATE SET salt = excluded.salt, iterations = excluded.iterations, stored_key = excluded.stored_key,
                server_key = excluded.server_key, failures = 0, locked_until = NULL";
        self.threads
            .write("setting a password", move |tx| {
                let keys = keys.as_ref();
                tx.prepare_cached(SQL)?.execute(params![
                    user.0,
                    keys.map(|k| &k.salt),
                    keys.map(|k| k.iterations),
                    keys.map(|k| k.stored_key),
                    keys.map(|k| k.server_key),
                ])?;
                Ok(())
            })
            .await
    }

    async fn sha1_keys(&self, user: PrincipalId) -> Result<Option<Sha1Keys>> {
        const SQL: &str = "SELECT s.salt, s.iterations, s.stored_key, s.server_key FROM account_sha1 s
                           JOIN account a ON a.user = s.user AND a.stored_key = s.made_with WHERE s.user = ?1";
        self.threads.read("reading keys for SCRAM-SHA-1", move |tx, _| one(tx, SQL, [user.0], read_keys)).await
    }

    async fn put_sha1_keys(&self, user: PrincipalId, made_with: [u8; 32], keys: Sha1Keys) -> Result<()> {
        const SQL: &str =
            "INSERT OR REPLACE INTO account_sha1 (user, made_with, salt, iterations, stored_key, server_key)
                           VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        self.threads
            .write("keeping keys for SCRAM-SHA-1", move |tx| {
                let Sha1Keys { salt, iterations, stored_key, server_key } = &keys;
                tx.prepare_cached(SQL)?
                    .execute(params![user.0, made_with, salt, iterations, stored_key, server_key])?;
                Ok(())
            })
            .await
    }

    async fn note_sign_in(
        &self,
        user: PrincipalId,
        failures: u32,
        locked_until: Option<Time>,
        seen: Option<Time>,
    ) -> Result<()> {
        const SQL: &str = "INSERT INTO account (user, failures, locked_until, last_seen_at) VALUES (?1, ?2, ?3, ?4)
            ON CONFLICT (user) DO UPDATE SET failures = excluded.failures, locked_until = excluded.locked_until,
                last_seen_at = coalesce(excluded.last_seen_at, last_seen_at)";
        self.threads
            .write("noting a sign-in", move |tx| {
                tx.prepare_cached(SQL)?.execute(params![
                    user.0,
                    failures,
                    locked_until.map(Time::millis),
                    seen.map(Time::millis),
                ])?;
                Ok(())
            })
            .await
    }

    async fn add_sign_in(&self, s: SignIn) -> Result<i64> {
        const SQL: &str = "INSERT INTO sign_in (secret, user, created_at, last_seen_at, expires_at, agent, address)
                           VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        self.threads
            .write("keeping a sign-in", move |tx| {
                // What has expired is of no use to anybody; here is where it goes.
                tx.prepare_cached("DELETE FROM sign_in WHERE expires_at <= ?1")?.execute([s.created_at.millis()])?;
                let row = params![
                    s.secret.0,
                    s.user.0,
                    s.created_at.millis(),
                    s.last_seen_at.millis(),
                    s.expires_at.millis(),
                    s.agent,
                    s.address,
                ];
                insert(tx, SQL, row, "the secret of the sign-in")
            })
            .await
    }

    async fn sign_in(&self, secret: Digest, now: Time) -> Result<Option<SignIn>> {
        const SQL: &str = concat!(sign_in_columns!(), "WHERE secret = ?1 AND expires_at > ?2");
        self.threads
            .read("looking up a sign-in", move |tx, _| one(tx, SQL, params![secret.0, now.millis()], read_sign_in))
            .await
    }

    async fn sign_ins(&self, user: PrincipalId, now: Time) -> Result<Vec<SignIn>> {
        const SQL: &str = concat!(sign_in_columns!(), "WHERE user = ?1 AND expires_at > ?2 ORDER BY id DESC");
        self.threads.read("listing sign-ins", move |tx, _| many(tx, SQL, [user.0, now.millis()], read_sign_in)).await
    }

    async fn end_sign_in(&self, user: PrincipalId, id: i64) -> Result<bool> {
        const SQL: &str = "DELETE FROM sign_in WHERE user = ?1 AND id = ?2";
        self.threads.write("ending a sign-in", move |tx| Ok(tx.execute(SQL, [user.0, id])? > 0)).await
    }

    async fn end_sign_ins(&self, user: PrincipalId, but: Option<i64>) -> Result<u64> {
        const SQL: &str = "DELETE FROM sign_in WHERE user = ?1 AND id IS NOT ?2";
        self.threads.write("ending sign-ins", move |tx| Ok(tx.execute(SQL, params![user.0, but])? as u64)).await
    }

    async fn touch(&self, sign_ins: Vec<(i64, Time)>, tokens: Vec<(i64, Time)>) -> Result<()> {
        const SIGN_IN: &str = "UPDATE sign_in SET last_seen_at = max(last_seen_at, ?2) WHERE id = ?1";
        const TOKEN: &str = "UPDATE token SET last_used_at = max(coalesce(last_used_at, ?2), ?2) WHERE id = ?1";
        self.threads
            .write("noting that sign-ins were used", move |tx| {
                for (sql, used) in [(SIGN_IN, &sign_ins), (TOKEN, &tokens)] {
                    let mut statement = tx.prepare_cached(sql)?;
                    for (id, at) in used {
                        statement.execute([*id, at.millis()])?;
                    }
                }
                Ok(())
            })
            .await
    }

    async fn add_token(&self, token: Token) -> Result<i64> {
        const SQL: &str = "INSERT INTO token (secret, user, label, scopes, created_at, expires_at, last_used_at)
                           VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        self.threads
            .write("keeping a token", move |tx| {
                let scopes = serde_json::to_string(&token.scopes).map_err(|e| corrupt(format!("scopes: {e}")))?;
                let row = params![
                    token.secret.0,
                    token.user.0,
                    token.label,
                    scopes,
                    token.created_at.millis(),
                    token.expires_at.map(Time::millis),
                    token.last_used_at.map(Time::millis),
                ];
                insert(tx, SQL, row, "the secret of the token")
            })
            .await
    }

    async fn token(&self, secret: Digest, now: Time) -> Result<Option<Token>> {
        const SQL: &str = concat!(token_columns!(), "WHERE secret = ?1 AND (expires_at IS NULL OR expires_at > ?2)");
        self.threads
            .read("looking up a token", move |tx, _| one(tx, SQL, params![secret.0, now.millis()], read_token))
            .await
    }

    async fn tokens(&self, user: PrincipalId) -> Result<Vec<Token>> {
        const SQL: &str = concat!(token_columns!(), "WHERE user = ?1 ORDER BY id DESC");
        self.threads.read("listing tokens", move |tx, _| many(tx, SQL, [user.0], read_token)).await
    }

    async fn end_token(&self, user: PrincipalId, id: i64) -> Result<bool> {
        const SQL: &str = "DELETE FROM token WHERE user = ?1 AND id = ?2";
        self.threads.write("ending a token", move |tx| Ok(tx.execute(SQL, [user.0, id])? > 0)).await
    }

    async fn end_tokens(&self, user: PrincipalId) -> Result<u64> {
        const SQL: &str = "DELETE FROM token WHERE user = ?1";
        self.threads.write("ending tokens", move |tx| Ok(tx.execute(SQL, [user.0])? as u64)).await
    }

    async fn add_webhook(&self, hook: Webhook) -> Result<i64> {
        const SQL: &str = "INSERT INTO webhook (secret, room, author, label, created_at) VALUES (?1, ?2, ?3, ?4, ?5)";
        self.threads
            .write("keeping a webhook", move |tx| {
                let row = params![hook.secret.0, hook.room.0, hook.author.0, hook.label, hook.created_at.millis()];
                insert(tx, SQL, row, "the secret of the webhook")
            })
            .await
    }

    async fn webhook(&self, secret: Digest) -> Result<Option<Webhook>> {
        const SQL: &str = concat!(webhook_columns!(), "WHERE secret = ?1");
        self.threads.read("looking up a webhook", move |tx, _| one(tx, SQL, [secret.0], read_webhook)).await
    }

    async fn webhooks(&self, room: RoomId) -> Result<Vec<Webhook>> {
        const SQL: &str = concat!(webhook_columns!(), "WHERE room = ?1 ORDER BY id DESC");
        self.threads.read("listing webhooks", move |tx, _| many(tx, SQL, [room.0], read_webhook)).await
    }

    async fn end_webhook(&self, room: RoomId, id: i64) -> Result<bool> {
        const SQL: &str = "DELETE FROM webhook WHERE room = ?1 AND id = ?2";
        self.threads.write("ending a webhook", move |tx| Ok(tx.execute(SQL, [room.0, id])? > 0)).await
    }
}

/// Inserts a row and answers its number.
fn insert(conn: &Connection, sql: &str, row: impl Params, secret: &str) -> Work<i64> {
    match conn.prepare_cached(sql)?.insert(row) {
        Ok(id) => Ok(id),
        Err(e) if is_taken(&e) => Err(taken(secret).into()),
        Err(e) => Err(e.into()),
    }
}

fn one<T>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    read: impl Fn(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> Work<Option<T>> {
    Ok(conn.prepare_cached(sql)?.query_row(params, read).optional()?)
}

fn many<T>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    read: impl Fn(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> Work<Vec<T>> {
    Ok(conn.prepare_cached(sql)?.query_map(params, read)?.collect::<rusqlite::Result<_>>()?)
}

fn read_credentials(r: &rusqlite::Row<'_>) -> rusqlite::Result<Credentials> {
    let has_password = r.get_ref(0)? != ValueRef::Null;
    let scram = if has_password { Some(read_keys(r)?) } else { None };
    Ok(Credentials { scram, failures: r.get(4)?, locked_until: time_or_none(r, 5)?, last_seen_at: time_or_none(r, 6)? })
}

/// Salt, rounds and both keys, from the first four columns.
fn read_keys<const N: usize>(r: &rusqlite::Row<'_>) -> rusqlite::Result<ScramKeys<N>> {
    Ok(ScramKeys { salt: r.get(0)?, iterations: r.get(1)?, stored_key: r.get(2)?, server_key: r.get(3)? })
}

fn read_sign_in(r: &rusqlite::Row<'_>) -> rusqlite::Result<SignIn> {
    Ok(SignIn {
        id: r.get(0)?,
        secret: Digest(r.get(1)?),
        user: PrincipalId(r.get(2)?),
        created_at: time(r, 3)?,
        last_seen_at: time(r, 4)?,
        expires_at: time(r, 5)?,
        agent: r.get(6)?,
        address: r.get(7)?,
    })
}

fn read_token(r: &rusqlite::Row<'_>) -> rusqlite::Result<Token> {
    let scopes: String = r.get(4)?;
    let scopes = serde_json::from_str(&scopes)
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(4, rusqlite::types::Type::Text, Box::new(e)))?;
    Ok(Token {
        id: r.get(0)?,
        secret: Digest(r.get(1)?),
        user: PrincipalId(r.get(2)?),
        label: r.get(3)?,
        scopes,
        created_at: time(r, 5)?,
        expires_at: time_or_none(r, 6)?,
        last_used_at: time_or_none(r, 7)?,
    })
}

fn read_webhook(r: &rusqlite::Row<'_>) -> rusqlite::Result<Webhook> {
    Ok(Webhook {
        id: r.get(0)?,
        secret: Digest(r.get(1)?),
        room: RoomId(r.get(2)?),
        author: PrincipalId(r.get(3)?),
        label: r.get(4)?,
        created_at: time(r, 5)?,
    })
}

fn time(r: &rusqlite::Row<'_>, i: usize) -> rusqlite::Result<Time> {
    Ok(Time::from_millis(r.get(i)?))
}

fn time_or_none(r: &rusqlite::Row<'_>, i: usize) -> rusqlite::Result<Option<Time>> {
    Ok(r.get::<_, Option<i64>>(i)?.map(Time::from_millis))
}
