//! Users' secrets.

use super::PostgresStore;
use super::error::{Fail, Work, corrupt, taken};
use crate::Result;
use crate::accounts::{Accounts, Credentials, ScramKeys, Sha1Keys, SignIn, Token, Webhook};
use async_trait::async_trait;
use holdfast_domain::chain::Digest;
use holdfast_domain::{PrincipalId, RoomId, Time};
use tokio_postgres::Row;

macro_rules! sign_in_columns {
    () => {
        "SELECT id, secret, \"user\", created_at, last_seen_at, expires_at, agent, address FROM sign_in "
    };
}
macro_rules! token_columns {
    () => {
        "SELECT id, secret, \"user\", label, scopes, created_at, expires_at, last_used_at FROM token "
    };
}
macro_rules! webhook_columns {
    () => {
        "SELECT id, secret, room, author, label, created_at FROM webhook "
    };
}

#[async_trait]
impl Accounts for PostgresStore {
    async fn credentials(&self, user: PrincipalId) -> Result<Credentials> {
        const DOING: &str = "reading an account";
        const SQL: &str = "SELECT salt, iterations, stored_key, server_key, failures, locked_until, last_seen_at
                           FROM account WHERE \"user\" = $1";
        let row = self.inner.sessions.find_one(DOING, SQL, &[&user.0]).await?;
        Ok(read_one(row.as_ref(), DOING, read_credentials)?.unwrap_or_default())
    }

    async fn set_password(&self, user: PrincipalId, keys: Option<ScramKeys>) -> Result<()> {
        const SQL: &str =
            "INSERT INTO account (\"user\", salt, iterations, stored_key, server_key) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (\"user\") DO UPDATE SET salt = excluded.salt, iterations = excluded.iterations,
                 stored_key = excluded.stored_key, server_key = excluded.server_key, failures = 0, locked_until = NULL";
        let keys = keys.as_ref();
        let salt = keys.map(|k| k.salt.as_slice());
        let iterations = keys.map(|k| i64::from(k.iterations));
        let (stored, server) = (keys.map(|k| &k.stored_key[..]), keys.map(|k| &k.server_key[..]));
        self.inner
            .sessions
            .execute("setting a password", SQL, &[&user.0, &salt, &iterations, &stored, &server])
            .await?;
        Ok(())
    }

    async fn sha1_keys(&self, user: PrincipalId) -> Result<Option<Sha1Keys>> {
        const DOING: &str = "reading keys for SCRAM-SHA-1";
        const SQL: &str = "SELECT s.salt, s.iterations, s.stored_key, s.server_key FROM account_sha1 s
                           JOIN account a ON a.\"user\" = s.\"user\" AND a.stored_key = s.made_with WHERE s.\"user\" = $1";
        let row = self.inner.sessions.find_one(DOING, SQL, &[&user.0]).await?;
        read_one(row.as_ref(), DOING, read_keys)
    }

    async fn put_sha1_keys(&self, user: PrincipalId, made_with: [u8; 32], keys: Sha1Keys) -> Result<()> {
        const SQL: &str =
            "INSERT INTO account_sha1 (\"user\", made_with, salt, iterations, stored_key, server_key) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (\"user\") DO UPDATE SET made_with = excluded.made_with, salt = excluded.salt,
                 iterations = excluded.iterations, stored_key = excluded.stored_key, server_key = excluded.server_key";
        let iterations = i64::from(keys.iterations);
        let (made_with, salt) = (&made_with[..], keys.salt.as_slice());
        let (stored, server) = (&keys.stored_key[..], &keys.server_key[..]);
        self.inner
            .sessions
            .execute("keeping keys for SCRAM-SHA-1", SQL, &[&user.0, &made_with, &salt, &iterations, &stored, &server])
            .await?;
        Ok(())
    }

    async fn note_sign_in(
        &self,
        user: PrincipalId,
        failures: u32,
        locked_until: Option<Time>,
        seen: Option<Time>,
    ) -> Result<()> {
        const SQL: &str = "INSERT INTO account (\"user\", failures, locked_until, last_seen_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (\"user\") DO UPDATE SET failures = excluded.failures, locked_until = excluded.locked_until,
                 last_seen_at = coalesce(excluded.last_seen_at, account.last_seen_at)";
        let (locked, seen) = (locked_until.map(Time::millis), seen.map(Time::millis));
        self.inner.sessions.execute("noting a sign-in", SQL, &[&user.0, &i64::from(failures), &locked, &seen]).await?;
        Ok(())
    }

    async fn add_sign_in(&self, s: SignIn) -> Result<i64> {
        const EXPIRED: &str = "DELETE FROM sign_in WHERE expires_at <= $1";
        const SQL: &str = "INSERT INTO sign_in (secret, \"user\", created_at, last_seen_at, expires_at, agent, address)
             VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id";
        const DOING: &str = "keeping a sign-in";
        let (created, seen, expires) = (s.created_at.millis(), s.last_seen_at.millis(), s.expires_at.millis());
        // What has expired is of no use to anybody; here is where it goes.
        self.inner.sessions.execute(DOING, EXPIRED, &[&created]).await?;
        let secret = &s.secret.0[..];
        let values: super::session::Params<'_> = &[&secret, &s.user.0, &created, &seen, &expires, &s.agent, &s.address];
        inserted(self.inner.sessions.write_one(DOING, SQL, values).await?, "the secret of the sign-in")
    }

    async fn sign_in(&self, secret: Digest, now: Time) -> Result<Option<SignIn>> {
        const DOING: &str = "looking up a sign-in";
        const SQL: &str = concat!(sign_in_columns!(), "WHERE secret = $1 AND expires_at > $2");
        let row = self.inner.sessions.find_one(DOING, SQL, &[&&secret.0[..], &now.millis()]).await?;
        read_one(row.as_ref(), DOING, read_sign_in)
    }

    async fn sign_ins(&self, user: PrincipalId, now: Time) -> Result<Vec<SignIn>> {
        const DOING: &str = "listing sign-ins";
        const SQL: &str = concat!(sign_in_columns!(), "WHERE \"user\" = $1 AND expires_at > $2 ORDER BY id DESC");
        let rows = self.inner.sessions.query(DOING, SQL, &[&user.0, &now.millis()]).await?;
        read_many(&rows, DOING, read_sign_in)
    }

    async fn end_sign_in(&self, user: PrincipalId, id: i64) -> Result<bool> {
        const SQL: &str = "DELETE FROM sign_in WHERE \"user\" = $1 AND id = $2";
        Ok(self.inner.sessions.execute("ending a sign-in", SQL, &[&user.0, &id]).await? > 0)
    }

    async fn end_sign_ins(&self, user: PrincipalId, but: Option<i64>) -> Result<u64> {
        const SQL: &str = "DELETE FROM sign_in WHERE \"user\" = $1 AND id IS DISTINCT FROM $2";
        self.inner.sessions.execute("ending sign-ins", SQL, &[&user.0, &but]).await
    }

    async fn touch(&self, sign_ins: Vec<(i64, Time)>, tokens: Vec<(i64, Time)>) -> Result<()> {
        const DOING: &str = "noting that sign-ins were used";
        const SIGN_IN: &str = "UPDATE sign_in s SET last_seen_at = greatest(s.last_seen_at, u.at)
                               FROM (SELECT id, max(at) FROM unnest($1::bigint[], $2::bigint[]) v (id, at) GROUP BY id) u (id, at)
                               WHERE s.id = u.id";
        const TOKEN: &str = "UPDATE token t SET last_used_at = greatest(t.last_used_at, u.at)
                             FROM (SELECT id, max(at) FROM unnest($1::bigint[], $2::bigint[]) v (id, at) GROUP BY id) u (id, at)
                             WHERE t.id = u.id";
        for (sql, used) in [(SIGN_IN, sign_ins), (TOKEN, tokens)] {
            if !used.is_empty() {
                let (ids, ats): (Vec<i64>, Vec<i64>) = used.into_iter().map(|(id, at)| (id, at.millis())).unzip();
                self.inner.sessions.execute(DOING, sql, &[&ids, &ats]).await?;
            }
        }
        Ok(())
    }

    async fn add_token(&self, token: Token) -> Result<i64> {
        const SQL: &str = "INSERT INTO token (secret, \"user\", label, scopes, created_at, expires_at, last_used_at)
                           VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id";
        let scopes = serde_json::to_string(&token.scopes).map_err(|e| corrupt(format!("scopes: {e}")))?;
        let secret = &token.secret.0[..];
        let (expires, used) = (token.expires_at.map(Time::millis), token.last_used_at.map(Time::millis));
        let created = token.created_at.millis();
        let values: super::session::Params<'_> =
            &[&secret, &token.user.0, &token.label, &scopes, &created, &expires, &used];
        inserted(self.inner.sessions.write_one("keeping a token", SQL, values).await?, "the secret of the token")
    }

    async fn token(&self, secret: Digest, now: Time) -> Result<Option<Token>> {
        const DOING: &str = "looking up a token";
        const SQL: &str = concat!(token_columns!(), "WHERE secret = $1 AND (expires_at IS NULL OR expires_at > $2)");
        let row = self.inner.sessions.find_one(DOING, SQL, &[&&secret.0[..], &now.millis()]).await?;
        read_one(row.as_ref(), DOING, read_token)
    }

    async fn tokens(&self, user: PrincipalId) -> Result<Vec<Token>> {
        const DOING: &str = "listing tokens";
        const SQL: &str = concat!(token_columns!(), "WHERE \"user\" = $1 ORDER BY id DESC");
        read_many(&self.inner.sessions.query(DOING, SQL, &[&user.0]).await?, DOING, read_token)
    }

    async fn end_token(&self, user: PrincipalId, id: i64) -> Result<bool> {
        const SQL: &str = "DELETE FROM token WHERE \"user\" = $1 AND id = $2";
        Ok(self.inner.sessions.execute("ending a token", SQL, &[&user.0, &id]).await? > 0)
    }

    async fn end_tokens(&self, user: PrincipalId) -> Result<u64> {
        const SQL: &str = "DELETE FROM token WHERE \"user\" = $1";
        self.inner.sessions.execute("ending tokens", SQL, &[&user.0]).await
    }

    async fn add_webhook(&self, hook: Webhook) -> Result<i64> {
        const SQL: &str =
            "INSERT INTO webhook (secret, room, author, label, created_at) VALUES ($1, $2, $3, $4, $5) RETURNING id";
        let secret = &hook.secret.0[..];
        let created = hook.created_at.millis();
        let values: super::session::Params<'_> = &[&secret, &hook.room.0, &hook.author.0, &hook.label, &created];
        inserted(self.inner.sessions.write_one("keeping a webhook", SQL, values).await?, "the secret of the webhook")
    }

    async fn webhook(&self, secret: Digest) -> Result<Option<Webhook>> {
        const DOING: &str = "looking up a webhook";
        const SQL: &str = concat!(webhook_columns!(), "WHERE secret = $1");
        read_one(self.inner.sessions.one(DOING, SQL, &[&&secret.0[..]]).await?.as_ref(), DOING, read_webhook)
    }

    async fn webhooks(&self, room: RoomId) -> Result<Vec<Webhook>> {
        const DOING: &str = "listing webhooks";
        const SQL: &str = concat!(webhook_columns!(), "WHERE room = $1 ORDER BY id DESC");
        read_many(&self.inner.sessions.query(DOING, SQL, &[&room.0]).await?, DOING, read_webhook)
    }

    async fn end_webhook(&self, room: RoomId, id: i64) -> Result<bool> {
        const SQL: &str = "DELETE FROM webhook WHERE room = $1 AND id = $2";
        Ok(self.inner.sessions.execute("ending a webhook", SQL, &[&room.0, &id]).await? > 0)
    }
}

/// The number that an inserted row was given.
fn inserted(row: std::result::Result<Option<Row>, Fail>, secret: &str) -> Result<i64> {
    const DOING: &str = "keeping a secret";
    match row {
        Ok(Some(row)) => row.try_get(0).map_err(|e| Fail::Sql(e).while_doing(DOING)),
        Ok(None) => Err(corrupt("a row that was inserted has no number")),
        Err(_) => Err(taken(secret)),
    }
}

fn read_one<T>(row: Option<&Row>, doing: &'static str, read: impl Fn(&Row) -> Work<T>) -> Result<Option<T>> {
    row.map(read).transpose().map_err(|e| e.while_doing(doing))
}

fn read_many<T>(rows: &[Row], doing: &'static str, read: impl Fn(&Row) -> Work<T>) -> Result<Vec<T>> {
    rows.iter().map(read).collect::<Work<_>>().map_err(|e| e.while_doing(doing))
}

fn read_credentials(r: &Row) -> Work<Credentials> {
    let has_password = r.try_get::<_, Option<&[u8]>>(0)?.is_some();
    let failures: i64 = r.try_get(4)?;
    Ok(Credentials {
        scram: if has_password { Some(read_keys(r)?) } else { None },
        failures: u32::try_from(failures).unwrap_or(u32::MAX),
        locked_until: time_or_none(r, 5)?,
        last_seen_at: time_or_none(r, 6)?,
    })
}

/// Salt, rounds and both keys, from the first four columns.
fn read_keys<const N: usize>(r: &Row) -> Work<ScramKeys<N>> {
    let key = |i: usize| -> Work<[u8; N]> {
        let bytes: &[u8] = r.try_get(i)?;
        Ok(bytes.try_into().map_err(|_| corrupt(format!("a password's key has {} bytes, not {N}", bytes.len())))?)
    };
    let iterations: i64 = r.try_get(1)?;
    Ok(ScramKeys {
        salt: r.try_get(0)?,
        iterations: u32::try_from(iterations).map_err(|e| corrupt(format!("a password's rounds: {e}")))?,
        stored_key: key(2)?,
        server_key: key(3)?,
    })
}

fn read_sign_in(r: &Row) -> Work<SignIn> {
    Ok(SignIn {
        id: r.try_get(0)?,
        secret: digest(r, 1)?,
        user: PrincipalId(r.try_get(2)?),
        created_at: time(r, 3)?,
        last_seen_at: time(r, 4)?,
        expires_at: time(r, 5)?,
        agent: r.try_get(6)?,
        address: r.try_get(7)?,
    })
}

fn read_token(r: &Row) -> Work<Token> {
    let scopes: &str = r.try_get(4)?;
    Ok(Token {
        id: r.try_get(0)?,
        secret: digest(r, 1)?,
        user: PrincipalId(r.try_get(2)?),
        label: r.try_get(3)?,
        scopes: serde_json::from_str(scopes).map_err(|e| corrupt(format!("scopes: {e}")))?,
        created_at: time(r, 5)?,
        expires_at: time_or_none(r, 6)?,
        last_used_at: time_or_none(r, 7)?,
    })
}

fn read_webhook(r: &Row) -> Work<Webhook> {
    Ok(Webhook {
        id: r.try_get(0)?,
        secret: digest(r, 1)?,
        room: RoomId(r.try_get(2)?),
        author: PrincipalId(r.try_get(3)?),
        label: r.try_get(4)?,
        created_at: time(r, 5)?,
    })
}

fn digest(r: &Row, i: usize) -> Work<Digest> {
    let bytes: &[u8] = r.try_get(i)?;
    Ok(Digest::from_bytes(bytes).ok_or_else(|| corrupt(format!("a secret has {} bytes", bytes.len())))?)
}

fn time(r: &Row, i: usize) -> Work<Time> {
    Ok(Time::from_millis(r.try_get(i)?))
}

fn time_or_none(r: &Row, i: usize) -> Work<Option<Time>> {
    Ok(r.try_get::<_, Option<i64>>(i)?.map(Time::from_millis))
}
