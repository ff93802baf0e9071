//! What does not follow from the logs, row by row: see [`crate::kept`].

use super::SqliteStore;
use super::error::Work;
use crate::Result;
use crate::kept::{Table, Value};
use rusqlite::types::ValueRef;

impl SqliteStore {
    /// How many rows a table has.
    pub(crate) async fn count_kept(&self, table: &'static Table) -> Result<u64> {
        let sql = format!("SELECT count(*) FROM {}", table.name);
        self.threads
            .read("counting rows", move |tx, _| Ok(tx.query_row(&sql, [], |r| r.get::<_, i64>(0))?.unsigned_abs()))
            .await
    }

    /// The next rows after a key, in the order of keys.
    pub(crate) async fn read_kept(&self, table: &'static Table, after: Option<Vec<Value>>) -> Result<Vec<Vec<Value>>> {
        let places: Vec<String> = (1..=table.key).map(|n| format!("?{n}")).collect();
        let behind = match after {
            Some(_) => format!("WHERE ({}) > ({})", table.key_list(), places.join(", ")),
            None => String::new(),
        };
        let sql = format!(
            "SELECT {} FROM {} {behind} ORDER BY {} LIMIT {}",
            table.column_list(),
            table.name,
            table.key_list(),
            table.at_once
        );
        self.threads
            .read("reading rows", move |tx, _| {
                let mut statement = tx.prepare_cached(&sql)?;
                let key: Vec<rusqlite::types::Value> = after.unwrap_or_default().into_iter().map(bound).collect();
                let mut rows = statement.query(rusqlite::params_from_iter(key))?;
                let mut found = Vec::new();
                while let Some(row) = rows.next()? {
                    let values = (0..table.columns.len()).map(|i| Ok(value(row.get_ref(i)?)));
                    found.push(values.collect::<Work<Vec<Value>>>()?);
                }
                Ok(found)
            })
            .await
    }
}

fn value(stored: ValueRef<'_>) -> Value {
    match stored {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(n) => Value::Number(n),
        // No column of ours is of this type.
        ValueRef::Real(_) => Value::Null,
        ValueRef::Text(bytes) => Value::Text(String::from_utf8_lossy(bytes).into_owned()),
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
    }
}

fn bound(value: Value) -> rusqlite::types::Value {
    match value {
        Value::Null => rusqlite::types::Value::Null,
        Value::Number(n) => rusqlite::types::Value::Integer(n),
        Value::Text(text) => rusqlite::types::Value::Text(text),
        Value::Bytes(bytes) => rusqlite::types::Value::Blob(bytes),
    }
}
