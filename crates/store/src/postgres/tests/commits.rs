//! What a commit is worth: kept, refused, or not known.

use super::{new_database, open, options};
use crate::conformance::search::asking;
use crate::conformance::support::*;
use crate::log::{Appended, Draft, From};
use crate::pool::Condition;
use crate::postgres::PostgresStore;
use crate::{Maintenance as _, Personal as _, Pool as _, RoomLog as _, Search as _, Store, StoreError};
use holdfast_domain::{RoomId, Seq};
use holdfast_private_postgres::Postgres;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

/// F16. A wait for a mirror that is ended (here: by `pg_cancel_backend`, the mirror never having been there) is answered by PostgreSQL with success and a warning.
#[tokio::test]
async fn f16_a_commit_whose_wait_for_the_mirror_is_ended_is_unknown() {
    let postgres = tokio::task::spawn_blocking(Postgres::start).await.unwrap();
    let store = Arc::new(open(&postgres.url()).await);
    make_rooms(&*store, &[ROOM]).await;
    postgres.psql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    postgres.psql("SELECT pg_reload_conf()");
    wait("the setting", || async { postgres.psql("SHOW synchronous_standby_names").contains("nobody") }).await;

    let sent = draft(ROOM, ANA, say("in doubt"));
    let posting = {
        let (store, sent) = (Arc::clone(&store), sent.clone());
        tokio::spawn(async move { store.append(vec![sent]).await })
    };
    const WAITING: &str = "FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND application_name = 'holdfast'";
    wait("the commit to wait", || async { postgres.psql(&format!("SELECT count(*) {WAITING}")).trim() != "0" }).await;
    assert!(!posting.is_finished());
    postgres.psql(&format!("SELECT pg_cancel_backend(pid) {WAITING}"));
    let outcome = posting.await.unwrap();
    assert!(matches!(outcome, Err(StoreError::Unknown { .. })), "{outcome:?}");

    postgres.psql("ALTER SYSTEM RESET synchronous_standby_names");
    postgres.psql("SELECT pg_reload_conf()");
    wait("the setting", || async { postgres.psql("SHOW synchronous_standby_names").trim().is_empty() }).await;
    let again = store.append(vec![sent]).await.unwrap();
    assert!(matches!(again[..], [Appended::Repeated(_)]));
    assert_eq!(store.head(ROOM).await.unwrap().seq, Seq(2));
}

/// F19. Somebody tells the whole server, the database and the role that commits need not wait for the mirror: posts wait for it all the same.
#[tokio::test]
async fn f19_a_weak_setting_of_the_database_acknowledges_nothing() {
    let postgres = tokio::task::spawn_blocking(Postgres::start).await.unwrap();
    postgres.psql("ALTER SYSTEM SET synchronous_commit = 'local'");
    postgres.psql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    postgres.psql("SELECT pg_reload_conf()");
    wait("the setting", || async { postgres.psql("SHOW synchronous_standby_names").contains("nobody") }).await;
    for of in ["ROLE CURRENT_USER", "DATABASE holdfast"] {
        postgres.psql(&format!("SET synchronous_commit = 'local'; ALTER {of} SET synchronous_commit = 'local'"));
    }
    assert!(postgres.psql("SHOW synchronous_commit").contains("local"));
    let opening = PostgresStore::open(options(postgres.url()));
    let opened = tokio::time::timeout(Duration::from_secs(3), opening).await;
    assert!(opened.is_err(), "the schema was acknowledged by nobody");
    postgres.psql("ALTER SYSTEM RESET synchronous_standby_names");
    postgres.psql("SELECT pg_reload_conf()");
    let store = Arc::new(open(&postgres.url()).await);
    make_rooms(&*store, &[ROOM]).await;
    postgres.psql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    postgres.psql("SELECT pg_reload_conf()");
    wait("the setting", || async { postgres.psql("SHOW synchronous_standby_names").contains("nobody") }).await;
    let posting = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.append(vec![draft(ROOM, ANA, say("for both machines"))]).await })
    };
    const WAITING: &str = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    wait("the post to wait", || async { postgres.psql(WAITING).trim() != "0" }).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!posting.is_finished(), "acknowledged without the mirror");
    postgres.psql("ALTER SYSTEM RESET synchronous_standby_names");
    postgres.psql("SELECT pg_reload_conf()");
    posting.await.unwrap().unwrap();
}

/// An entry that is there already may not be on the mirror yet, so that a resend waits as a first send does.
#[tokio::test]
async fn a_resend_waits_for_the_mirror_too() {
    let postgres = tokio::task::spawn_blocking(Postgres::start).await.unwrap();
    let store = Arc::new(open(&postgres.url()).await);
    make_rooms(&*store, &[ROOM]).await;
    let sent = draft(ROOM, ANA, say("once"));
    store.append(vec![sent.clone()]).await.unwrap();
    postgres.psql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    postgres.psql("SELECT pg_reload_conf()");
    wait("the setting", || async { postgres.psql("SHOW synchronous_standby_names").contains("nobody") }).await;
    let posting = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.append(vec![sent]).await })
    };
    const WAITING: &str = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    wait("the resend to wait", || async { postgres.psql(WAITING).trim() != "0" }).await;
    assert!(!posting.is_finished());
    postgres.psql("ALTER SYSTEM RESET synchronous_standby_names");
    postgres.psql("SELECT pg_reload_conf()");
    assert!(matches!(posting.await.unwrap().unwrap()[..], [Appended::Repeated(_)]));
}

/// Killed in the middle of many commits: none is reported as failed that is there, and all resolve by their client ids.
#[tokio::test]
async fn nothing_that_was_killed_is_called_failed_though_it_is_there() {
    let mut postgres = tokio::task::spawn_blocking(Postgres::start).await.unwrap();
    let store = Arc::new(open(&postgres.url()).await);
    make_rooms(&*store, &[ROOM]).await;
    let mut posting = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let store = Arc::clone(&store);
        posting.spawn(async move {
            let mut told = Vec::new();
            loop {
                let sent = draft(ROOM, ANA, say("under fire"));
                let outcome = store.append(vec![sent.clone()]).await;
                let over = outcome.is_err();
                told.push((sent, outcome));
                if over {
                    return told;
                }
            }
        });
    }
    wait("some posts", || async { store.head(ROOM).await.is_ok_and(|h| h.seq > Seq(50)) }).await;
    postgres = tokio::task::spawn_blocking(move || {
        postgres.kill();
        postgres
    })
    .await
    .unwrap();
    let told: Vec<(Draft, crate::Result<Vec<Appended>>)> = posting.join_all().await.into_iter().flatten().collect();
    wait("the loss to be noticed", || async { store.condition() == Condition::Gone }).await;
    let away = store.append(vec![draft(ROOM, ANA, say("x"))]).await;
    assert!(matches!(away, Err(StoreError::Away { .. })), "{away:?}");

    let _postgres = tokio::task::spawn_blocking(move || {
        postgres.start_again();
        postgres
    })
    .await
    .unwrap();
    wait("it to be back", || async { store.condition() == Condition::Ready }).await;
    for (sent, outcome) in told {
        let there = store.find_sent(ROOM, ANA, sent.client_id).await.unwrap();
        match outcome {
            Ok(_) => assert!(there.is_some(), "acknowledged and lost"),
            Err(StoreError::Unknown { .. }) => {}
            Err(e @ StoreError::Away { .. }) => assert!(there.is_none(), "called failed and there: {e}"),
            Err(e) => panic!("{e}"),
        }
    }
    assert_eq!(faults(&*store, ROOM).await, []);
}

#[tokio::test]
async fn a_database_that_may_only_be_read_is_told_from_one_that_is_gone() {
    let postgres = tokio::task::spawn_blocking(Postgres::start).await.unwrap();
    let store = open(&postgres.url()).await;
    make_rooms(&store, &[ROOM]).await;
    postgres.psql("ALTER SYSTEM SET default_transaction_read_only = on");
    postgres.psql("SELECT pg_reload_conf()");
    wait("it to be noticed", || async { store.condition() == Condition::ReadOnly }).await;
    let refused = store.append(vec![draft(ROOM, ANA, say("x"))]).await;
    assert!(matches!(refused, Err(StoreError::Away { .. })), "{refused:?}");
    assert!(matches!(store.check_writable().await, Err(StoreError::Away { .. })));
    // What was written is read all the same.
    assert_eq!(store.page(ROOM, From::Latest, 10).await.unwrap().rows.len(), 1);
    assert_eq!(store.head(ROOM).await.unwrap().seq, Seq(1));
    assert!(store.search(asking("x")).await.is_ok());
    assert!(store.state().await.is_ok());
    postgres.psql("ALTER SYSTEM RESET default_transaction_read_only");
    postgres.psql("SELECT pg_reload_conf()");
    wait("it to take writes", || async { store.condition() == Condition::Ready }).await;
    put(&store, ROOM, ANA, say("goes on")).await;
    // But not from a database of an older epoch than is known.
    postgres.psql("ALTER SYSTEM SET default_transaction_read_only = on");
    postgres.psql("SELECT pg_reload_conf()");
    wait("it to be noticed", || async { store.condition() == Condition::ReadOnly }).await;
    store.inner.hosts.epochs().hear(store.inner.watched.epoch.load(Ordering::Acquire) + 1);
    assert!(matches!(store.page(ROOM, From::Latest, 10).await, Err(StoreError::Away { .. })));
}

#[tokio::test]
async fn nothing_is_written_under_an_epoch_that_is_over() {
    let url = new_database().await;
    let (ours, other) = (open(&url).await, open(&url).await);
    make_rooms(&ours, &[ROOM]).await;
    other.inner.sessions.execute("a test", "UPDATE pool SET epoch = epoch + 1", &[]).await.unwrap();
    let refused = ours.append(vec![draft(ROOM, ANA, say("late"))]).await;
    assert!(matches!(refused, Err(StoreError::Away { .. })), "{refused:?}");
    wait("the condition", || async { ours.condition() == Condition::OtherEpoch }).await;
    assert_eq!(ours.head(ROOM).await.unwrap().seq, Seq(1));
    ours.adopt_epoch().await.unwrap();
    put(&ours, ROOM, ANA, say("in time")).await;
    wait("the condition", || async { ours.condition() == Condition::Ready }).await;
}

/// A row that is changed where it stands needs no space: that this works says nothing of a disk that has refused posts.
#[tokio::test]
async fn a_disk_that_was_full_has_room_when_posts_say_so() {
    let store = open(&new_database().await).await;
    make_rooms(&store, &[ROOM]).await;
    store.inner.watched.note_refusal();
    assert!(matches!(store.check_writable().await, Err(StoreError::Full)));
    // The one that was refused was larger than this one.
    put(&store, ROOM, ANA, say("small")).await;
    assert_eq!(store.condition(), Condition::Full);
    wait("posts to be kept for a while", || async {
        put(&store, ROOM, ANA, say("small")).await;
        store.condition() == Condition::Ready
    })
    .await;
    store.check_writable().await.unwrap();
}

/// A server is judged by its distance as soon as it comes.
#[tokio::test]
async fn how_far_the_database_is_is_known_from_the_start() {
    let store = open(&new_database().await).await;
    let first = store.round_trip().unwrap();
    assert!(first < Duration::from_secs(1), "{first:?}");
}

/// A server that is stopped in the middle of a transaction holds its rooms for some seconds, and then no more.
#[tokio::test]
async fn a_silent_transaction_does_not_hold_a_room_for_ever() {
    let url = new_database().await;
    let (silent, other) = (open(&url).await, open(&url).await);
    make_rooms(&other, &[ROOM]).await;
    let session = silent.inner.sessions.get().await.unwrap();
    session.batch("BEGIN; SELECT 1 FROM room_head WHERE room = 1 FOR UPDATE").await.unwrap();
    let began = Instant::now();
    let mut outcome = other.append(vec![draft(ROOM, ANA, say("x"))]).await;
    while matches!(outcome, Err(StoreError::Away { .. })) && began.elapsed() < PATIENCE {
        outcome = other.append(vec![draft(ROOM, ANA, say("x"))]).await;
    }
    assert!(outcome.is_ok(), "{outcome:?}");
    assert!(session.batch("COMMIT").await.is_err());
}

#[tokio::test]
async fn a_caller_who_goes_away_leaves_nothing_half_done() {
    let store = Arc::new(open(&new_database().await).await);
    make_rooms(&*store, &[ROOM]).await;
    let mut sent = Vec::new();
    for n in 0..60 {
        let one = draft(ROOM, ANA, say("abandoned"));
        sent.push(one.clone());
        // Left at another moment each time.
        let _ = tokio::time::timeout(Duration::from_micros(n * 50), store.append(vec![one])).await;
        let _ = tokio::time::timeout(Duration::from_micros(n * 50), store.follow(BO, vec![ROOM])).await;
    }
    let done = store.append(sent).await.unwrap();
    assert_eq!(done.len(), 60);
    assert_eq!(store.head(ROOM).await.unwrap().seq, Seq(61));
    assert_eq!(faults(&*store, ROOM).await, []);
}

#[tokio::test]
async fn servers_write_one_log_side_by_side() {
    let url = new_database().await;
    let stores: Vec<Arc<PostgresStore>> = vec![Arc::new(open(&url).await), Arc::new(open(&url).await)];
    make_rooms(&*stores[0], &[ROOM, OTHER]).await;
    let mut writing = tokio::task::JoinSet::new();
    for writer in 0..6 {
        let store = Arc::clone(&stores[writer % 2]);
        writing.spawn(async move {
            for n in 0..20 {
                // In another order each: the store locks them in its own.
                let rooms: [RoomId; 2] = if (writer + n) % 2 == 0 { [ROOM, OTHER] } else { [OTHER, ROOM] };
                let drafts = rooms.map(|room| draft(room, ANA, say("side by side")));
                store.append(drafts.to_vec()).await.unwrap();
            }
        });
    }
    writing.join_all().await;
    for room in [ROOM, OTHER] {
        assert_eq!(stores[1].head(room).await.unwrap().seq, Seq(121));
        assert_eq!(faults(&*stores[0] as &dyn Store, room).await, []);
    }
}

#[tokio::test]
async fn erased_words_leave_the_index_whatever_fills_it_meanwhile() {
    let url = new_database().await;
    let mut eager = options(url);
    eager.background = false;
    let store = PostgresStore::open(eager).await.unwrap();
    make_rooms(&store, &[ROOM]).await;
    let of = put(&store, ROOM, ANA, say("Zugangswort")).await;
    put(&store, ROOM, ANA, say("harmless")).await;
    let words = || async {
        let sql = "SELECT coalesce(string_agg(words::text, ' '), '') FROM search_block";
        let row = store.inner.sessions.one("a test", sql, &[]).await.unwrap().unwrap();
        row.get::<_, String>(0)
    };
    let now = -1_000_000_000_000_000;
    super::super::index::fill(&store.inner, now).await.unwrap();
    assert!(words().await.contains("zugangswort"));
    put(&store, ROOM, BO, remove(&[of], true)).await;
    assert!(!words().await.contains("zugangswort"));
    while super::super::index::fill(&store.inner, now).await.unwrap() > 0 {}
    assert!(!words().await.contains("zugangswort") && words().await.contains("harmless"));
}

async fn wait<F: Future<Output = bool>>(what: &str, so: impl Fn() -> F) {
    let deadline = Instant::now() + PATIENCE;
    while !so().await {
        assert!(Instant::now() < deadline, "{what} did not come in {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
