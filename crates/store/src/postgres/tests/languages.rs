//! Searching in a language that PostgreSQL knows.

use super::{EAGER, new_database, options};
use crate::conformance::search::asking;
use crate::conformance::support::*;
use crate::postgres::{PostgresOptions, PostgresStore};
use crate::search::{Query, Words};
use crate::{Maintenance as _, Search as _, StoreError};

/// Found and marked by their stems, in the index and beside it.
#[tokio::test]
async fn words_are_found_by_their_stems() {
    for connections in [EAGER, 4] {
        let store = in_language("english", connections, new_database().await).await;
        make_rooms(&store, &[ROOM]).await;
        for text in ["The server was restarting again", "restarts of a SERVER", "the restful service", "nothing"] {
            put(&store, ROOM, ANA, say(text)).await;
        }
        assert_eq!(find(&store, "restart", Words::All).await, [2, 3]);
        assert_eq!(find(&store, "restarted servers", Words::All).await, [2, 3]);
        // Words that are everywhere do not count, in a phrase either.
        assert_eq!(find(&store, "the server was restarted", Words::Phrase).await, [2]);
        assert_eq!(find(&store, "the", Words::All).await, [2, 3, 4, 5]);
        let hits = store.search(asking("server restarts")).await.unwrap();
        assert_eq!(hits.found[0].marks, [(4, 10), (15, 25)]);
    }
}

#[tokio::test]
async fn another_language_makes_the_index_anew() {
    let url = new_database().await;
    let store = in_language("simple", EAGER, url.clone()).await;
    make_rooms(&store, &[ROOM]).await;
    put(&store, ROOM, ANA, say("die Häuser und die Katzen")).await;
    assert!(find(&store, "Haus", Words::All).await.is_empty());
    store.close().await.unwrap();
    let store = in_language("german", EAGER, url).await;
    assert_eq!(find(&store, "Katze", Words::All).await, [2]);
    assert_eq!(find(&store, "katzen", Words::Any).await, [2]);
}

#[tokio::test]
async fn a_language_that_is_not_known_is_refused() {
    let options = PostgresOptions { search_language: "klingon".into(), ..options(new_database().await) };
    let refused = PostgresStore::open(options).await.err();
    assert!(matches!(&refused, Some(StoreError::Unavailable { why }) if why.contains("klingon")), "{refused:?}");
}

async fn in_language(language: &str, connections: usize, url: String) -> PostgresStore {
    let options = PostgresOptions { search_language: language.into(), connections, background: false, ..options(url) };
    PostgresStore::open(options).await.unwrap()
}

async fn find(store: &PostgresStore, text: &str, words: Words) -> Vec<i64> {
    let hits = store.search(Query { words, ..asking(text) }).await.unwrap();
    hits.found.iter().map(|f| f.row.entry.seq.0).collect()
}
