//! What people's clients keep with the server.

use super::PostgresStore;
use super::error::Work;
use crate::Result;
use crate::items::{Item, Items};
use async_trait::async_trait;
use futures_util::FutureExt as _;
use holdfast_domain::{PrincipalId, Time};
use std::collections::HashSet;
use std::sync::Arc;
use tokio_postgres::Row;

#[async_trait]
impl Items for PostgresStore {
    async fn items_in(&self, owner: PrincipalId, nodes: &[&str]) -> Result<Vec<Vec<Item>>> {
        const DOING: &str = "reading items";
        const SQL: &str = "SELECT i.owner, i.id, i.at, i.payload, u.n FROM unnest($1::text[]) WITH ORDINALITY u (node, n)
            CROSS JOIN LATERAL (SELECT * FROM item i WHERE i.node = u.node AND i.owner = $2) i ORDER BY u.n, i.position";
        let rows = self.inner.sessions.find(DOING, SQL, &[&nodes, &owner.0]).await?;
        let mut all = vec![Vec::new(); nodes.len()];
        let read = |row: &Row| Work::Ok((row.try_get::<_, i64>(4)?, item(row)?.1));
        for row in &rows {
            let (n, item) = read(row).map_err(|e| e.while_doing(DOING))?;
            if let Some(items) = usize::try_from(n - 1).ok().and_then(|at| all.get_mut(at)) {
                items.push(item);
            }
        }
        Ok(all)
    }

    async fn item_nodes(&self, owner: PrincipalId) -> Result<Vec<String>> {
        const DOING: &str = "listing nodes";
        const SQL: &str = "SELECT DISTINCT node FROM item WHERE owner = $1 ORDER BY node";
        let rows = self.inner.sessions.find(DOING, SQL, &[&owner.0]).await?;
        rows.iter().map(|r| Ok(r.try_get(0)?)).collect::<Work<_>>().map_err(|e| e.while_doing(DOING))
    }

    async fn put_items(&self, owner: PrincipalId, node: String, items: Vec<Item>, keep: usize) -> Result<()> {
        // What the owner does on two devices at once must not give two items one place.
        const TURN: &str = "SELECT pg_advisory_xact_lock(hashtextextended('item ' || $1::bigint, 0))";
        const PUT: &str = "INSERT INTO item (owner, node, id, at, payload, position)
            SELECT $1, $2, u.id, u.at, u.payload,
                   u.n + (SELECT coalesce(max(position), 0) FROM item WHERE owner = $1 AND node = $2)
            FROM unnest($3::text[], $4::bigint[], $5::text[]) WITH ORDINALITY u (id, at, payload, n)
            ON CONFLICT (owner, node, id)
            DO UPDATE SET at = excluded.at, payload = excluded.payload, position = excluded.position";
        const TRIM: &str = "DELETE FROM item WHERE owner = $1 AND node = $2 AND position <=
            (SELECT position FROM item WHERE owner = $1 AND node = $2 ORDER BY position DESC LIMIT 1 OFFSET $3)";
        let keep = i64::try_from(keep).unwrap_or(i64::MAX);
        let items = last_of_each(items);
        let ats: Vec<i64> = items.iter().map(|item| item.at.millis()).collect();
        let (ids, payloads): (Vec<String>, Vec<String>) = items.into_iter().map(|i| (i.id, i.payload)).unzip();
        let inner = Arc::clone(&self.inner);
        self.inner
            .sessions
            .write("keeping items", move |s| {
                async move {
                    inner.hold_epoch(s).await?;
                    s.one(TURN, &[&owner.0]).await?;
                    s.execute(PUT, &[&owner.0, &node, &ids, &ats, &payloads]).await?;
                    s.execute(TRIM, &[&owner.0, &node, &keep]).await?;
                    Ok(())
                }
                .boxed()
            })
            .await
    }

    async fn remove_items(&self, owner: PrincipalId, node: String, ids: Vec<String>) -> Result<usize> {
        const SQL: &str = "DELETE FROM item WHERE owner = $1 AND node = $2 AND id = ANY($3)";
        let inner = Arc::clone(&self.inner);
        self.inner
            .sessions
            .write("deleting items", move |s| {
                async move {
                    inner.hold_epoch(s).await?;
                    Ok(count(s.execute(SQL, &[&owner.0, &node, &ids]).await?))
                }
                .boxed()
            })
            .await
    }

    async fn remove_node(&self, owner: PrincipalId, node: String) -> Result<usize> {
        const SQL: &str = "DELETE FROM item WHERE owner = $1 AND node = $2";
        let inner = Arc::clone(&self.inner);
        self.inner
            .sessions
            .write("deleting a node", move |s| {
                async move {
                    inner.hold_epoch(s).await?;
                    Ok(count(s.execute(SQL, &[&owner.0, &node]).await?))
                }
                .boxed()
            })
            .await
    }

    async fn items_everywhere(&self, node: &str) -> Result<Vec<(PrincipalId, Item)>> {
        const DOING: &str = "reading items of everybody";
        const SQL: &str = "SELECT owner, id, at, payload FROM item WHERE node = $1 ORDER BY owner, position";
        let rows = self.inner.sessions.find(DOING, SQL, &[&node]).await?;
        rows.iter().map(item).collect::<Work<_>>().map_err(|e| e.while_doing(DOING))
    }
}

/// One statement puts a row once: of those with the same id the last counts, where it stands.
fn last_of_each(mut items: Vec<Item>) -> Vec<Item> {
    let mut seen = HashSet::new();
    items.reverse();
    items.retain(|item| seen.insert(item.id.clone()));
    items.reverse();
    items
}

fn item(r: &Row) -> Work<(PrincipalId, Item)> {
    let item = Item { id: r.try_get(1)?, at: Time::from_millis(r.try_get(2)?), payload: r.try_get(3)? };
    Ok((PrincipalId(r.try_get(0)?), item))
}

fn count(rows: u64) -> usize {
    usize::try_from(rows).unwrap_or(usize::MAX)
}
