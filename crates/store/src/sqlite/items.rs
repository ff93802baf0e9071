//! What people's clients keep with the server.

use super::SqliteStore;
use crate::Result;
use crate::items::{Item, Items};
use async_trait::async_trait;
use holdfast_domain::{PrincipalId, Time};
use rusqlite::params;

#[async_trait]
impl Items for SqliteStore {
    async fn items_in(&self, owner: PrincipalId, nodes: &[&str]) -> Result<Vec<Vec<Item>>> {
        const SQL: &str = "SELECT id, at, payload FROM item WHERE node = ?1 AND owner = ?2 ORDER BY position";
        let nodes: Vec<String> = nodes.iter().map(|node| (*node).to_owned()).collect();
        self.threads
            .read("reading items", move |tx, _| {
                let mut statement = tx.prepare_cached(SQL)?;
                let mut all = Vec::with_capacity(nodes.len());
                for node in nodes {
                    let rows = statement.query_map(params![node, owner.0], |r| {
                        Ok(Item { id: r.get(0)?, at: Time::from_millis(r.get(1)?), payload: r.get(2)? })
                    })?;
                    all.push(rows.collect::<rusqlite::Result<_>>()?);
                }
                Ok(all)
            })
            .await
    }

    async fn item_nodes(&self, owner: PrincipalId) -> Result<Vec<String>> {
        const SQL: &str = "SELECT DISTINCT node FROM item WHERE owner = ?1 ORDER BY node";
        self.threads
            .read("listing nodes", move |tx, _| {
                let mut statement = tx.prepare_cached(SQL)?;
                let rows = statement.query_map([owner.0], |r| r.get(0))?;
                Ok(rows.collect::<rusqlite::Result<_>>()?)
            })
            .await
    }

    async fn put_items(&self, owner: PrincipalId, node: String, items: Vec<Item>, keep: usize) -> Result<()> {
        const PUT: &str = "INSERT INTO item (owner, node, id, at, payload, position)
            SELECT ?1, ?2, ?3, ?4, ?5, coalesce(max(position), 0) + 1 FROM item WHERE owner = ?1 AND node = ?2
            ON CONFLICT (owner, node, id)
            DO UPDATE SET at = excluded.at, payload = excluded.payload, position = excluded.position";
        const TRIM: &str = "DELETE FROM item WHERE owner = ?1 AND node = ?2 AND position <=
            (SELECT position FROM item WHERE owner = ?1 AND node = ?2 ORDER BY position DESC LIMIT 1 OFFSET ?3)";
        let keep = i64::try_from(keep).unwrap_or(i64::MAX);
        self.threads
            .write("keeping items", move |tx| {
                let mut put = tx.prepare_cached(PUT)?;
                for item in items {
                    put.execute(params![owner.0, node, item.id, item.at.millis(), item.payload])?;
                }
                tx.prepare_cached(TRIM)?.execute(params![owner.0, node, keep])?;
                Ok(())
            })
            .await
    }

    async fn remove_items(&self, owner: PrincipalId, node: String, ids: Vec<String>) -> Result<usize> {
        const SQL: &str = "DELETE FROM item WHERE owner = ?1 AND node = ?2 AND id = ?3";
        self.threads
            .write("deleting items", move |tx| {
                let mut statement = tx.prepare_cached(SQL)?;
                let mut there = 0;
                for id in ids {
                    there += statement.execute(params![owner.0, node, id])?;
                }
                Ok(there)
            })
            .await
    }

    async fn remove_node(&self, owner: PrincipalId, node: String) -> Result<usize> {
        const SQL: &str = "DELETE FROM item WHERE owner = ?1 AND node = ?2";
        self.threads
            .write("deleting a node", move |tx| Ok(tx.prepare_cached(SQL)?.execute(params![owner.0, node])?))
            .await
    }

    async fn items_everywhere(&self, node: &str) -> Result<Vec<(PrincipalId, Item)>> {
        const SQL: &str = "SELECT owner, id, at, payload FROM item WHERE node = ?1 ORDER BY owner, position";
        let node = node.to_owned();
        self.threads
            .read("reading items of everybody", move |tx, _| {
                let mut statement = tx.prepare_cached(SQL)?;
                let rows = statement.query_map([node], |r| {
                    let item = Item { id: r.get(1)?, at: Time::from_millis(r.get(2)?), payload: r.get(3)? };
                    Ok((PrincipalId(r.get(0)?), item))
                })?;
                Ok(rows.collect::<rusqlite::Result<_>>()?)
            })
            .await
    }
}
