//! Several hosts take writes, or say nothing: which of them is the database.

use super::options;
use crate::conformance::support::*;
use crate::log::Appended;
use crate::pool::Condition;
use crate::postgres::{Outcome, PostgresOptions, PostgresStore, check};
use crate::{Maintenance as _, Pool as _, RoomLog as _, StoreError};
use holdfast_domain::Seq;
use holdfast_private_postgres::Postgres;
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);
const NEW_EPOCH: i64 = 1_001;

/// Two databases of one pool, of which the second follows the first; the first holds an entry.
struct Two {
    old: Postgres,
    new: Postgres,
}

impl Two {
    async fn start() -> Two {
        let two = tokio::task::spawn_blocking(|| {
            // That nobody but those who are tested writes.
            let old = Postgres::with(&[("autovacuum", "off")]);
            let new = old.standby();
            Two { old, new }
        });
        let two = two.await.unwrap();
        let store = PostgresStore::open(options(two.old.url())).await.unwrap();
        make_rooms(&store, &[ROOM]).await;
        store.append(vec![draft(ROOM, ANA, say("before"))]).await.unwrap();
        store.close().await.unwrap();
        until("the standby follows", || two.entries_of(&two.new) == "2").await;
        two
    }

    /// The old one first, so that whoever takes what comes first takes the wrong one.
    fn url(&self) -> String {
        format!("postgres://holdfast@127.0.0.1:{},127.0.0.1:{}/holdfast", self.old.port(), self.new.port())
    }

    /// The new one takes over, while the old one goes on as if nothing had happened.
    fn take_over(&self) {
        self.new.promote();
        self.new.psql(&format!("UPDATE holdfast.pool SET epoch = {NEW_EPOCH}"));
    }

    fn entries_of(&self, postgres: &Postgres) -> String {
        let entries = postgres.try_psql("SELECT max(last_seq) FROM holdfast.room_head WHERE room = 1");
        entries.unwrap_or_default().trim().to_owned()
    }

    /// The number of the next transaction that writes, of the old one.
    fn writes_of_old(&self) -> String {
        self.old.psql("SELECT pg_snapshot_xmax(pg_current_snapshot())")
    }
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Posts as a server does: reads anew when the epoch is another, and tries again while the database is away.
async fn post(store: &PostgresStore, text: &str) -> Seq {
    let deadline = Instant::now() + PATIENCE;
    let draft = draft(ROOM, ANA, say(text));
    loop {
        if store.condition() == Condition::OtherEpoch {
            // It may be away again by then.
            let _ = store.adopt_epoch().await;
        }
        match store.append(vec![draft.clone()]).await.as_deref() {
            Ok([Appended::New(row) | Appended::Repeated(row)]) => return row.seq,
            Ok(odd) => panic!("{odd:?}"),
            Err(StoreError::Away { .. } | StoreError::Unknown { .. }) => {}
            Err(odd) => panic!("{odd}"),
        }
        assert!(Instant::now() < deadline, "the database was not found: {:?}", store.condition());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn with_file(url: String, file: &Path) -> PostgresOptions {
    PostgresOptions { epoch_file: Some(file.to_owned()), ..options(url) }
}

/// A server works on a primary; another one is promoted, while the first still takes writes, as it does when it is cut off from everybody
/// but this server.
#[tokio::test]
async fn an_old_primary_that_takes_writes_is_left_and_never_gone_back_to() {
    let (two, dir) = (Two::start().await, tempfile::tempdir().unwrap());
    let file = dir.path().join("epoch");
    let store = PostgresStore::open(with_file(two.url(), &file)).await.unwrap();
    assert_eq!(post(&store, "to the old one").await, Seq(3));
    assert!(store.passed_over().is_empty());
    until("the standby follows", || two.entries_of(&two.new) == "3").await;

    two.take_over();
    until("the new one is noticed", || store.condition() == Condition::OtherEpoch).await;
    assert_eq!(store.adopt_epoch().await.unwrap(), NEW_EPOCH);
    let before = two.writes_of_old();
    for n in 4..10 {
        assert_eq!(post(&store, "to the new one").await, Seq(n));
    }
    assert!(store.check_writable().await.is_ok());
    assert_eq!((two.entries_of(&two.old), two.entries_of(&two.new)), ("3".into(), "9".into()));
    until("the old one is told of", || !store.passed_over().is_empty()).await;
    let told = store.passed_over().join("; ");
    assert!(
        told.starts_with(&format!(
            "127.0.0.1:{} takes writes at epoch 1, but epoch {NEW_EPOCH} has begun",
            two.old.port()
        )),
        "{told}"
    );

    // The new one goes away: rather nothing than the old one.
    let Two { old, mut new } = two;
    new.kill();
    until("the loss is noticed", || store.condition() != Condition::Ready).await;
    let refused = store.append(vec![draft(ROOM, ANA, say("nowhere"))]).await.unwrap_err();
    assert!(matches!(&refused, StoreError::Away { why } if why.contains("it is an old primary")), "{refused}");
    store.close().await.unwrap();

    // Started anew, it still knows; also if only the old one is named.
    for url in [format!("postgres://holdfast@127.0.0.1:{},127.0.0.1:{}/holdfast", old.port(), new.port()), old.url()] {
        let refused = PostgresStore::open(with_file(url, &file)).await.err().unwrap();
        assert!(
            matches!(&refused, StoreError::Away { why } if why.contains("an old primary") && why.contains("epoch says")),
            "{refused}"
        );
    }
    new.start_again();
    let two = Two { old, new };
    let store = PostgresStore::open(with_file(two.url(), &file)).await.unwrap();
    assert_eq!(post(&store, "back").await, Seq(10));
    assert_eq!(two.writes_of_old(), before, "the old one was written to");
    store.close().await.unwrap();
}

/// A server that has heard of nothing yet asks all before it believes one.
#[tokio::test]
async fn a_new_server_finds_the_newest_of_those_that_take_writes() {
    let two = Two::start().await;
    two.take_over();
    let before = two.writes_of_old();
    let store = PostgresStore::open(PostgresOptions { background: false, ..options(two.url()) }).await.unwrap();
    assert_eq!(store.adopt_epoch().await.unwrap(), NEW_EPOCH);
    assert_eq!(post(&store, "to the new one").await, Seq(3));
    assert_eq!(two.writes_of_old(), before);
    store.close().await.unwrap();

    let findings = check(&options(two.url())).await;
    let hosts: Vec<&Outcome> = findings.iter().filter(|f| f.what == "host").map(|f| &f.outcome).collect();
    let [Outcome::Bad(old), Outcome::Good(new)] = hosts[..] else { panic!("{hosts:?}") };
    assert!(old.contains("it is an old primary, which must be stopped"), "{old}");
    assert!(new.ends_with("takes writes, at epoch 1001"), "{new}");
}

/// A site is lost: one of its hosts is silent, the other refuses. Neither costs anything when the second site takes writes.
#[tokio::test]
async fn dead_and_silent_hosts_do_not_delay_the_one_that_takes_over() {
    let two = Two::start().await;
    // Takes connections, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap().port();
    let hosts = format!("127.0.0.1:{silent},127.0.0.1:{},127.0.0.1:{}", two.old.port(), two.new.port());
    let store = PostgresStore::open(options(format!("postgres://holdfast@{hosts}/holdfast"))).await.unwrap();
    assert_eq!(post(&store, "before").await, Seq(3));
    until("the standby follows", || two.entries_of(&two.new) == "3").await;

    let Two { mut old, new } = two;
    old.kill();
    until("the loss is noticed", || store.condition() == Condition::ReadOnly).await;
    let posting = async {
        let seq = post(&store, "after").await;
        (seq, Instant::now())
    };
    let taking_over = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        tokio::task::spawn_blocking(move || {
            new.promote();
            new.psql(&format!("UPDATE holdfast.pool SET epoch = {NEW_EPOCH}"));
            (new, Instant::now())
        })
        .await
        .unwrap()
    };
    let ((seq, posted), (_new, took_writes)) = tokio::join!(posting, taking_over);
    assert_eq!(seq, Seq(4));
    let took = posted.saturating_duration_since(took_writes);
    println!("{} ms from taking writes to the first post", took.as_millis());
    // A silent host costs five seconds to whoever waits for it.
    assert!(took < Duration::from_millis(1_900), "{took:?}");
    store.close().await.unwrap();
}
