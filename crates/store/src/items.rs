//! What a person's clients keep with the server: small XML documents of his own, such as his contacts, whom he blocks, his card, his
//! bookmarks and pictures, and what a program stores for itself.
//!
//! They are no entries of a log, because nobody but their owner and those whom he lets have a claim to them, and because only how they
//! are now counts. What stands in them is the doors' business.

use crate::Result;
use async_trait::async_trait;
use holdfast_domain::{PrincipalId, Time};

/// A document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    /// Its name within its node.
    pub id: String,
    /// When it was put.
    pub at: Time,
    /// The XML, as it was put.
    pub payload: String,
}

/// The documents of all people. A *node* is a list of one person's documents, and is there while it has any.
///
/// The names of a node and of an item in it have at most 2 000 bytes together, and no text has the character U+0000, which is none of
/// XML either: whoever takes them from a stranger sees to that.
#[async_trait]
pub trait Items: Send + Sync {
    /// The items of a node, the one that was put first first.
    async fn items(&self, owner: PrincipalId, node: &str) -> Result<Vec<Item>> {
        Ok(self.items_in(owner, &[node]).await?.pop().unwrap_or_default())
    }
    /// The same of several nodes, in their order, read at one moment.
    async fn items_in(&self, owner: PrincipalId, nodes: &[&str]) -> Result<Vec<Vec<Item>>>;
    /// The nodes of a person, sorted by their bytes.
    async fn item_nodes(&self, owner: PrincipalId) -> Result<Vec<String>>;
    /// Puts items, all or none, in the given order behind those that are there; one with an id that is there is replaced and moves to the
    /// end. After that only the newest `keep` of the node stay.
    async fn put_items(&self, owner: PrincipalId, node: String, items: Vec<Item>, keep: usize) -> Result<()>;
    /// Deletes items, all or none; answers how many were there.
    async fn remove_items(&self, owner: PrincipalId, node: String, ids: Vec<String>) -> Result<usize>;
    /// Deletes all items of a node; answers how many there were.
    async fn remove_node(&self, owner: PrincipalId, node: String) -> Result<usize>;
    /// The node of this name of everybody who has one, in the order of the owners' numbers, each as [`Items::items`] has it: what a server
    /// keeps in memory.
    async fn items_everywhere(&self, node: &str) -> Result<Vec<(PrincipalId, Item)>>;
}
