//! What does not follow from the logs, row by row: see [`crate::kept`].

use super::error::{Fail, Work, corrupt, taken};
use super::{PostgresStore, read};
use crate::Result;
use crate::kept::{Column, Table, There, Value};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

impl PostgresStore {
    /// Claims an empty database, or one that was being filled from the same source, for being filled.
    pub(crate) async fn begin_filling(&self, source: &str) -> Result<()> {
        const DOING: &str = "beginning to fill the database";
        const STATE: &str =
            "SELECT filling, (SELECT count(*) FROM room_head), (SELECT count(*) FROM server) FROM pool WHERE id = 1";
        const CLAIM: &str = "UPDATE pool SET filling = $1 WHERE id = 1";
        let row = self.inner.sessions.one(DOING, STATE, &[]).await?;
        let row = row.ok_or_else(|| corrupt("the row of the pool is not there"))?;
        let filling: Option<String> = read(row.try_get(0), DOING)?;
        let (logs, servers): (i64, i64) = (read(row.try_get(1), DOING)?, read(row.try_get(2), DOING)?);
        match filling {
            Some(from) if from == source => Ok(()),
            Some(from) => Err(taken(format!("the database, which holds a part of {from},"))),
            None if logs > 0 || servers > 0 => Err(taken("the database, which holds a pool already,")),
            None => {
                self.inner.sessions.execute(DOING, CLAIM, &[&source]).await?;
                Ok(())
            }
        }
    }

    /// Gives a database that is complete to its servers.
    pub(crate) async fn end_filling(&self) -> Result<()> {
        const SQL: &str = "UPDATE pool SET filling = NULL WHERE id = 1";
        self.inner.sessions.execute("completing the database", SQL, &[]).await?;
        Ok(())
    }

    /// How many rows a table has.
    pub(crate) async fn count_kept(&self, table: &'static Table) -> Result<u64> {
        const DOING: &str = "counting rows";
        let session = self.inner.sessions.get().await?;
        let row = session.unprepared(&format!("SELECT count(*) FROM {}", table.name), &[]).await;
        let rows = row.map_err(|e| e.while_doing(DOING))?;
        let count: i64 = rows.first().map(|r| read(r.try_get(0), DOING)).transpose()?.unwrap_or(0);
        Ok(count.unsigned_abs())
    }

    /// The key of the last row.
    pub(crate) async fn last_kept(&self, table: &'static Table) -> Result<Option<Vec<Value>>> {
        const DOING: &str = "asking how far a table was copied";
        let descending = table.key_list().replace(", ", " DESC, ");
        let sql = format!("SELECT {} FROM {} ORDER BY {descending} DESC LIMIT 1", table.key_list(), table.name);
        let session = self.inner.sessions.get().await?;
        let rows = session.unprepared(&sql, &[]).await.map_err(|e| e.while_doing(DOING))?;
        let Some(row) = rows.first() else { return Ok(None) };
        // Tables that are gone on with have numbers for keys.
        (0..table.key).map(|i| read(row.try_get(i), DOING).map(Value::Number)).collect::<Result<_>>().map(Some)
    }

    /// Writes rows.
    pub(crate) async fn write_kept(&self, table: &'static Table, rows: Vec<Vec<Value>>) -> Result<()> {
        const DOING: &str = "writing rows";
        let typed: Vec<String> =
            table.columns.iter().enumerate().map(|(i, (_, c))| format!("${}::{}[]", i + 1, type_of(*c))).collect();
        let there = match table.there {
            There::Stays | There::GoesOn => "DO NOTHING".to_owned(),
            There::Replaced => {
                let rest = table.columns[table.key..].iter();
                let set: Vec<String> = rest.map(|(name, _)| format!("\"{name}\" = excluded.\"{name}\"")).collect();
                format!("({}) DO UPDATE SET {}", table.key_list(), set.join(", "))
            }
        };
        let sql = format!(
            "INSERT INTO {} ({}) SELECT * FROM unnest({}) ON CONFLICT {there}",
            table.name,
            table.column_list(),
            typed.join(", ")
        );
        let columns = columns(table, rows).map_err(|e| e.while_doing(DOING))?;
        let values: Vec<&(dyn ToSql + Sync)> = columns.iter().map(|c| &**c as &(dyn ToSql + Sync)).collect();
        let session = self.inner.sessions.get().await?;
        session.unprepared(&sql, &values).await.map_err(|e| e.at_commit(DOING))?;
        Ok(())
    }

    /// Has numbers that the engine gives go on behind those that are there.
    pub(crate) async fn number_on(&self, table: &'static Table) -> Result<()> {
        const DOING: &str = "setting the next number of a table";
        let Some(column) = table.numbered else { return Ok(()) };
        let sql = format!(
            "SELECT setval(pg_get_serial_sequence('{0}', '{column}'), max({column})) FROM {0} HAVING max({column}) IS NOT NULL",
            table.name
        );
        let session = self.inner.sessions.get().await?;
        session.unprepared(&sql, &[]).await.map_err(|e| e.while_doing(DOING))?;
        Ok(())
    }
}

type AnyColumn = Box<dyn ToSql + Sync + Send>;

/// The rows column by column.
fn columns(table: &Table, rows: Vec<Vec<Value>>) -> Work<Vec<AnyColumn>> {
    let mut by_column: Vec<Vec<Value>> = table.columns.iter().map(|_| Vec::with_capacity(rows.len())).collect();
    for row in rows {
        for (column, value) in by_column.iter_mut().zip(row) {
            column.push(value);
        }
    }
    let typed = by_column.into_iter().zip(table.columns).map(|(values, (name, column))| {
        let wrong = || Fail::from(corrupt(format!("a value of {}.{name} is of another type", table.name)));
        Ok(match column {
            Column::Number => boxed(values, |v| number(&v)).ok_or_else(wrong)?,
            Column::Bool => boxed(values, |v| number(&v).map(|n| n != 0)).ok_or_else(wrong)?,
            Column::Text => boxed(values, text).ok_or_else(wrong)?,
            Column::Bytes => boxed(values, bytes).ok_or_else(wrong)?,
            Column::Uuid => boxed(values, |v| Uuid::from_slice(&bytes(v)?).ok()).ok_or_else(wrong)?,
        })
    });
    typed.collect()
}

/// A column of one type; `None` if a value is of another.
fn boxed<T: ToSql + Sync + Send + 'static>(values: Vec<Value>, of: impl Fn(Value) -> Option<T>) -> Option<AnyColumn> {
    let typed = values.into_iter().map(|value| match value {
        Value::Null => Some(None),
        value => of(value).map(Some),
    });
    Some(Box::new(typed.collect::<Option<Vec<Option<T>>>>()?))
}

fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Number(n) => Some(*n),
        _ => None,
    }
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

fn bytes(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::Bytes(bytes) => Some(bytes),
        _ => None,
    }
}

fn type_of(column: Column) -> &'static str {
    match column {
        Column::Number => "bigint",
        Column::Text => "text",
        Column::Bytes => "bytea",
        Column::Bool => "boolean",
        Column::Uuid => "uuid",
    }
}
