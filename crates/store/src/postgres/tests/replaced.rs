//! The database is replaced by its standby.

use super::options;
use crate::conformance::support::*;
use crate::log::{Appended, From};
use crate::pool::Condition;
use crate::postgres::PostgresStore;
use crate::{Pool as _, RoomLog as _, StoreError};
use holdfast_domain::Seq;
use holdfast_private_postgres::Postgres;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

/// One address with two hosts: the store goes on with whichever takes writes, and needs no restart.
#[tokio::test]
async fn a_promoted_standby_is_found() {
    let (mut primary, standby) = tokio::task::spawn_blocking(|| {
        let primary = Postgres::start();
        let standby = primary.standby();
        (primary, standby)
    })
    .await
    .unwrap();
    // The standby first: it is passed over while it takes no writes.
    let url = format!("postgres://holdfast@127.0.0.1:{},127.0.0.1:{}/holdfast", standby.port(), primary.port());
    let store = PostgresStore::open(options(url)).await.unwrap();
    make_rooms(&store, &[ROOM]).await;
    let sent = draft(ROOM, ANA, say("before"));
    store.append(vec![sent.clone()]).await.unwrap();
    let deadline = Instant::now() + PATIENCE;
    let end = "SELECT coalesce(max(last_seq), 0) FROM holdfast.room_head WHERE room = 1";
    // On a busy machine it may not even have the schema yet.
    while !standby.try_psql(end).is_ok_and(|end| end.trim() == "2") {
        assert!(Instant::now() < deadline, "the standby does not follow");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    primary.kill();
    while store.condition() == Condition::Ready {
        assert!(Instant::now() < deadline, "the loss was not noticed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    while store.condition() != Condition::ReadOnly {
        assert!(Instant::now() < deadline, "the standby was not recognised: {:?}", store.condition());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Until somebody decides to go on there, it is read.
    let page = store.page(ROOM, From::Latest, 10).await.unwrap();
    assert_eq!(page.rows.last().map(|row| row.entry.seq), Some(Seq(2)));
    assert!(matches!(store.append(vec![draft(ROOM, ANA, say("late"))]).await, Err(StoreError::Away { .. })));
    standby.promote();
    while store.condition() != Condition::Ready {
        assert!(Instant::now() < deadline, "the promoted standby was not found: {:?}", store.condition());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let again = store.append(vec![sent, draft(ROOM, ANA, say("after"))]).await.unwrap();
    assert!(matches!(again[..], [Appended::Repeated(_), Appended::New(_)]));
    assert_eq!(store.head(ROOM).await.unwrap().seq, Seq(3));
    assert_eq!(faults(&store, ROOM).await, []);
}
