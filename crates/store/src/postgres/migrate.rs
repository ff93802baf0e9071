//! Brings the schema up to date, or says why it cannot, while older servers of the pool may be at work.
//!
//! **Rule:** a migration expands (adds a table, a column that may be null, an index), so that the servers that were there before it go on; what
//! it replaces is taken away by a later one, of a version whose servers no longer use it (`breaks`). So servers are replaced one by one.
//! One session at a time migrates (an advisory lock); none waits for a lock longer than some seconds, since others would queue up behind it.

use super::error::{Fail, Work, unavailable};
use super::session::Session;
use holdfast_domain::chain::Digest;

/// A step of the schema.
#[derive(Clone, Copy, Debug)]
pub(super) struct Migration {
    pub(super) number: i64,
    pub(super) name: &'static str,
    pub(super) sql: &'static str,
    /// Whether a program that does not know it must not use the database any more.
    pub(super) breaks: bool,
}

/// All of them, in order. Never change one that was released: add another.
pub(super) const MIGRATIONS: &[Migration] = &[
    Migration { number: 1, name: "first", sql: include_str!("migrations/0001_first.sql"), breaks: false },
    Migration { number: 2, name: "sites", sql: include_str!("migrations/0002_sites.sql"), breaks: false },
    Migration { number: 3, name: "direct", sql: include_str!("migrations/0003_direct.sql"), breaks: false },
    Migration { number: 4, name: "uploads", sql: include_str!("migrations/0004_uploads.sql"), breaks: false },
    Migration { number: 5, name: "sha1", sql: include_str!("migrations/0005_sha1.sql"), breaks: false },
];

/// The schema that everything is in.
pub(super) const SCHEMA: &str = "holdfast";

/// Held by whoever migrates: "Hold" and "fast".
const LOCK: &str = "SELECT pg_advisory_lock(x'486f6c64'::int, x'66617374'::int)";
const UNLOCK: &str = "SELECT pg_advisory_unlock(x'486f6c64'::int, x'66617374'::int)";

/// A migration that was applied.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Applied {
    number: i64,
    name: String,
    sha256: String,
    breaks: bool,
}

/// Where the schema stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    /// There is none yet.
    None,
    /// These are missing, by name.
    Behind(Vec<&'static str>),
    /// All is there; a newer version may have added to it.
    Current,
}

/// Whether there is a schema of ours.
pub(super) async fn is_there(session: &Session) -> Work<bool> {
    const SQL: &str = "SELECT to_regclass('holdfast.migration') IS NOT NULL";
    Ok(session.one(SQL, &[]).await?.is_some_and(|r| r.get(0)))
}

/// Says where the schema stands, and changes nothing.
pub(super) async fn standing(session: &Session, migrations: &[Migration]) -> Work<Standing> {
    if !is_there(session).await? {
        return Ok(Standing::None);
    }
    let applied = applied(session).await?;
    check(&applied, migrations)?;
    let missing: Vec<&str> = migrations.iter().skip(applied.len()).map(|m| m.name).collect();
    Ok(if missing.is_empty() { Standing::Current } else { Standing::Behind(missing) })
}

/// Applies what is missing, each in a transaction of its own.
pub(super) async fn migrate(session: &Session, migrations: &[Migration]) -> Work<()> {
    if standing(session, migrations).await? == Standing::Current {
        return Ok(());
    }
    session.batch("SET lock_timeout = 0").await?;
    session.query(LOCK, &[]).await?;
    let done = migrate_locked(session, migrations).await;
    session.query(UNLOCK, &[]).await?;
    session.batch("RESET lock_timeout").await?;
    done
}

async fn migrate_locked(session: &Session, migrations: &[Migration]) -> Work<()> {
    const TABLE: &str = "
        CREATE SCHEMA IF NOT EXISTS holdfast;
        CREATE TABLE IF NOT EXISTS holdfast.migration (
            number     bigint PRIMARY KEY,
            name       text NOT NULL,
            sha256     text NOT NULL,
            breaks     boolean NOT NULL,
            applied_at timestamptz NOT NULL DEFAULT now()
        );";
    const NOTE: &str = "INSERT INTO holdfast.migration (number, name, sha256, breaks) VALUES ($1, $2, $3, $4)";
    if !is_there(session).await? {
        session.batch(TABLE).await?;
    }
    let applied = applied(session).await?;
    check(&applied, migrations)?;
    for migration in migrations.iter().skip(applied.len()) {
        session.batch("BEGIN; SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = 0").await?;
        let done = async {
            session.batch(migration.sql).await?;
            let values: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
                [&migration.number, &migration.name, &digest(migration), &migration.breaks];
            session.execute(NOTE, &values).await?;
            session.batch("COMMIT").await
        };
        let done: Work<()> = done.await;
        if let Err(e) = done {
            // The failure that is told is the first one.
            let _ = session.batch("ROLLBACK").await;
            return Err(e);
        }
    }
    Ok(())
}

async fn applied(session: &Session) -> Work<Vec<Applied>> {
    const SQL: &str = "SELECT number, name, sha256, breaks FROM holdfast.migration ORDER BY number";
    let rows = session.query(SQL, &[]).await?;
    rows.iter()
        .map(|r| {
            Ok(Applied { number: r.try_get(0)?, name: r.try_get(1)?, sha256: r.try_get(2)?, breaks: r.try_get(3)? })
        })
        .collect()
}

fn check(applied: &[Applied], migrations: &[Migration]) -> Work<()> {
    for (i, there) in applied.iter().enumerate() {
        let Some(known) = migrations.get(i) else {
            if there.breaks {
                return Err(refused(format!(
                    "a newer Holdfast has changed it (migration {} {}); start that version",
                    there.number, there.name
                )));
            }
            continue;
        };
        if known.number != there.number || digest(known) != there.sha256 {
            return Err(refused(format!(
                "its migration {} {} is not the one that this version knows as {} {}; start the version that made it",
                there.number, there.name, known.number, known.name
            )));
        }
    }
    Ok(())
}

fn refused(why: String) -> Fail {
    unavailable(why).into()
}

fn digest(migration: &Migration) -> String {
    Digest::of(migration.sql.as_bytes()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn as_applied(migration: &Migration) -> Applied {
        Applied {
            number: migration.number,
            name: migration.name.to_owned(),
            sha256: digest(migration),
            breaks: migration.breaks,
        }
    }

    #[test]
    fn an_older_program_goes_on_after_an_expansion_and_not_after_a_break() {
        let known: Vec<Applied> = MIGRATIONS.iter().map(as_applied).collect();
        assert!(check(&known, MIGRATIONS).is_ok());
        let next = |breaks| Applied { number: 99, name: "later".into(), sha256: "x".into(), breaks };
        let with = |breaks| [known.clone(), vec![next(breaks)]].concat();
        assert!(check(&with(false), MIGRATIONS).is_ok());
        assert!(check(&with(true), MIGRATIONS).is_err());
        let mut changed = known;
        changed[0].sha256 = "another".into();
        assert!(check(&changed, MIGRATIONS).is_err());
    }
}
