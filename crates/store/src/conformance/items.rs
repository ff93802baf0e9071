//! What people's clients keep with the server.

use super::support::*;
use crate::Store;
use crate::items::Item;
use std::sync::Arc;

const CARDS: &str = "urn:cards";

fn item(id: &str, ms: i64) -> Item {
    Item { id: id.into(), at: at(ms), payload: format!("<card n='{ms}'>ü</card>") }
}

async fn ids(store: &dyn Store) -> Vec<String> {
    store.items(ANA, CARDS).await.unwrap().into_iter().map(|item| item.id).collect()
}

async fn keep(store: &dyn Store, items: &[Item], most: usize) {
    store.put_items(ANA, CARDS.into(), items.to_vec(), most).await.unwrap();
}

pub(crate) async fn items_stand_in_the_order_of_their_puts(store: Arc<dyn Store>) {
    assert_eq!(store.items(ANA, CARDS).await.unwrap(), []);
    // Neither ids nor times say where an item stands.
    keep(&*store, &[item("c", 3), item("a", 1), item("b", 2)], 10).await;
    assert_eq!(store.items(ANA, CARDS).await.unwrap(), [item("c", 3), item("a", 1), item("b", 2)]);
    keep(&*store, &[item("a", 4)], 10).await;
    assert_eq!(store.items(ANA, CARDS).await.unwrap(), [item("c", 3), item("b", 2), item("a", 4)]);
    // Of one that is put twice at once the last counts.
    keep(&*store, &[item("b", 5), item("d", 6), item("b", 7)], 10).await;
    assert_eq!(store.items(ANA, CARDS).await.unwrap(), [item("c", 3), item("a", 4), item("d", 6), item("b", 7)]);
    // Ids are compared exactly.
    keep(&*store, &[item("A", 8), item("", 9), item("ä", 10)], usize::MAX).await;
    assert_eq!(ids(&*store).await, ["c", "a", "d", "b", "A", "", "ä"]);
    // Several nodes at once, one of them twice.
    store.put_items(ANA, "other".into(), vec![item("z", 1), item("y", 1)], 5).await.unwrap();
    let read = store.items_in(ANA, &["other", "none", CARDS, "other"]).await.unwrap();
    let ids: Vec<Vec<&str>> = read.iter().map(|node| node.iter().map(|item| item.id.as_str()).collect()).collect();
    assert_eq!(ids, [vec!["z", "y"], vec![], vec!["c", "a", "d", "b", "A", "", "ä"], vec!["z", "y"]]);
    assert_eq!(store.items_in(ANA, &[]).await.unwrap(), [[]; 0]);
}

pub(crate) async fn only_the_newest_of_a_node_stay(store: Arc<dyn Store>) {
    keep(&*store, &[item("a", 1), item("b", 2), item("c", 3)], 2).await;
    assert_eq!(ids(&*store).await, ["b", "c"]);
    store.put_items(ANA, "other".into(), vec![item("x", 1), item("y", 1)], 5).await.unwrap();
    store.put_items(BO, CARDS.into(), vec![item("x", 1), item("y", 1)], 5).await.unwrap();
    keep(&*store, &[item("b", 4), item("d", 5)], 2).await;
    assert_eq!(ids(&*store).await, ["b", "d"]);
    keep(&*store, &[], 1).await;
    assert_eq!(ids(&*store).await, ["d"]);
    keep(&*store, &[item("e", 6)], 0).await;
    assert_eq!(ids(&*store).await, [""; 0]);
    assert_eq!(store.items(ANA, "other").await.unwrap().len(), 2);
    assert_eq!(store.items(BO, CARDS).await.unwrap().len(), 2);
}

pub(crate) async fn items_go_one_by_one_or_with_their_node(store: Arc<dyn Store>) {
    for (owner, node) in [(ANA, "b"), (ANA, "a"), (ANA, "Ä"), (ANA, "B"), (BO, "b")] {
        store.put_items(owner, node.into(), vec![item("x", 1), item("y", 2), item("z", 3)], 9).await.unwrap();
    }
    assert_eq!(store.item_nodes(ANA).await.unwrap(), ["B", "a", "b", "Ä"]);
    let gone = vec!["x".into(), "x".into(), "z".into(), "never".into()];
    assert_eq!(store.remove_items(ANA, "b".into(), gone.clone()).await.unwrap(), 2);
    assert_eq!(store.remove_items(ANA, "b".into(), gone).await.unwrap(), 0);
    assert_eq!(store.items(ANA, "b").await.unwrap(), [item("y", 2)]);
    assert_eq!(store.remove_node(ANA, "a".into()).await.unwrap(), 3);
    assert_eq!(store.remove_node(ANA, "a".into()).await.unwrap(), 0);
    assert_eq!(store.remove_items(ANA, "b".into(), vec!["y".into()]).await.unwrap(), 1);
    assert_eq!(store.item_nodes(ANA).await.unwrap(), ["B", "Ä"]);
    assert_eq!(store.items(BO, "b").await.unwrap().len(), 3);
}

pub(crate) async fn a_node_is_read_for_everybody(store: Arc<dyn Store>) {
    store.put_items(BO, CARDS.into(), vec![item("z", 1), item("a", 2)], 9).await.unwrap();
    keep(&*store, &[item("a", 3)], 9).await;
    store.put_items(ANA, "urn:cards:2".into(), vec![item("a", 4)], 9).await.unwrap();
    let all = store.items_everywhere(CARDS).await.unwrap();
    assert_eq!(all, [(ANA, item("a", 3)), (BO, item("z", 1)), (BO, item("a", 2))]);
    assert_eq!(store.items_everywhere("urn").await.unwrap(), []);
}
