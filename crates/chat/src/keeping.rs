//! What a person's clients keep with the server: small documents that nobody else reads unless a door lets him. Doors decide what stands in them and who
//! sees it; here it is only kept.

use crate::error::Result;
use crate::service::Chat;
use holdfast_domain::{PrincipalId, Time};

pub use holdfast_store::items::Item;

impl Chat {
    /// Items of a node of `owner`, the newest last.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn kept_items(&self, owner: PrincipalId, node: &str) -> Result<Vec<Item>> {
        Ok(self.patiently(|| self.store().items(owner, node)).await?)
    }

    /// The same of several nodes, read at one moment.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn kept_in<const N: usize>(&self, owner: PrincipalId, nodes: [&str; N]) -> Result<[Vec<Item>; N]> {
        let mut read = self.patiently(|| self.store().items_in(owner, &nodes)).await?.into_iter();
        Ok(std::array::from_fn(|_| read.next().unwrap_or_default()))
    }

    /// Keeps items, each with its id and time; then only the newest `most` of the node stay.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn keep_items(
        &self,
        owner: PrincipalId,
        node: &str,
        items: Vec<(String, Time, String)>,
        most: usize,
    ) -> Result<()> {
        let items = items.into_iter().map(|(id, at, payload)| Item { id, at, payload }).collect();
        Ok(self.store().put_items(owner, node.to_owned(), items, most).await?)
    }

    /// Takes items out; how many there were.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn drop_items(&self, owner: PrincipalId, node: &str, ids: Vec<String>) -> Result<usize> {
        Ok(self.store().remove_items(owner, node.to_owned(), ids).await?)
    }

    /// Takes all items of a node out; how many there were.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn drop_node(&self, owner: PrincipalId, node: &str) -> Result<usize> {
        Ok(self.store().remove_node(owner, node.to_owned()).await?)
    }
}
