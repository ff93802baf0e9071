//! One-to-one messages and items, where several servers and a mirror are in play.

use super::{new_database, open};
use crate::conformance::direct::{CY, all_of, misses_nothing, whisper};
use crate::conformance::support::*;
use crate::direct::{DirectAppended, DirectQuery};
use crate::items::Item;
use crate::postgres::direct::*;
use crate::{DirectMessages as _, Items as _, Pool as _, Store, StoreError};
use holdfast_domain::PrincipalId;
use holdfast_private_postgres::Postgres;
use std::sync::Arc;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn who_reads_on_misses_nothing_that_several_servers_write() {
    let url = new_database().await;
    let mut stores: Vec<Arc<dyn Store>> = Vec::new();
    for _ in 0..3 {
        stores.push(Arc::new(open(&url).await));
    }
    misses_nothing(stores).await;
}

#[tokio::test]
async fn the_same_message_by_two_servers_is_kept_once() {
    let url = new_database().await;
    let (one, two) = (open(&url).await, open(&url).await);
    for n in 0..20 {
        let new = vec![whisper(ANA, BO, "x", n)];
        let (a, b) = tokio::join!(one.add_direct(new.clone()), two.add_direct(new));
        let (a, b) = (a.unwrap().remove(0), b.unwrap().remove(0));
        assert_eq!(a.direct(), b.direct());
        assert!(matches!(a, DirectAppended::New(_)) != matches!(b, DirectAppended::New(_)), "{a:?} {b:?}");
    }
    assert_eq!(all_of(&one, BO).await.len(), 20);
}

#[tokio::test]
async fn items_put_by_two_servers_at_once_all_find_a_place() {
    let url = new_database().await;
    let (one, two) = (open(&url).await, open(&url).await);
    for n in 0..20 {
        let put = |id: String| vec![item(&id)];
        let (a, b) = tokio::join!(
            one.put_items(ANA, "n".into(), put(format!("a{n}")), 100),
            two.put_items(ANA, "n".into(), put(format!("b{n}")), 100)
        );
        a.unwrap();
        b.unwrap();
    }
    assert_eq!(one.items(ANA, "n").await.unwrap().len(), 40);
}

#[tokio::test]
async fn nothing_is_kept_under_an_epoch_that_is_over() {
    let url = new_database().await;
    let (ours, other) = (open(&url).await, open(&url).await);
    ours.put_items(ANA, "n".into(), vec![item("a")], 9).await.unwrap();
    other.inner.sessions.execute("a test", "UPDATE pool SET epoch = epoch + 1", &[]).await.unwrap();
    let refused = [
        ours.add_direct(vec![whisper(ANA, BO, "late", 1)]).await.map(|_| 0),
        ours.put_items(ANA, "n".into(), vec![item("b")], 9).await.map(|()| 0),
        ours.remove_items(ANA, "n".into(), vec!["a".into()]).await,
        ours.remove_node(ANA, "n".into()).await,
    ];
    for outcome in refused {
        assert!(matches!(outcome, Err(StoreError::Away { .. })), "{outcome:?}");
    }
    assert_eq!(all_of(&ours, ANA).await, []);
    assert_eq!(ours.items(ANA, "n").await.unwrap(), [item("a")]);
    ours.adopt_epoch().await.unwrap();
    ours.add_direct(vec![whisper(ANA, BO, "in time", 1)]).await.unwrap();
}

/// What is acknowledged is on the mirror, also when it had been kept before: then the first commit may still be waiting.
#[tokio::test]
async fn messages_wait_for_the_mirror_new_or_not_and_an_ended_wait_is_unknown() {
    let postgres = tokio::task::spawn_blocking(Postgres::start).await.unwrap();
    let store = Arc::new(open(&postgres.url()).await);
    let (old, new) = (whisper(ANA, BO, "old", 1), whisper(ANA, BO, "new", 2));
    store.add_direct(vec![old.clone()]).await.unwrap();
    postgres.psql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    postgres.psql("SELECT pg_reload_conf()");
    wait("the setting", || postgres.psql("SHOW synchronous_standby_names").contains("nobody")).await;
    const WAITING: &str = "FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND application_name = 'holdfast'";
    for sent in [old, new.clone()] {
        let adding = {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.add_direct(vec![sent]).await })
        };
        wait("the commit to wait", || postgres.psql(&format!("SELECT count(*) {WAITING}")).trim() != "0").await;
        assert!(!adding.is_finished());
        postgres.psql(&format!("SELECT pg_cancel_backend(pid) {WAITING}"));
        let outcome = adding.await.unwrap();
        assert!(matches!(outcome, Err(StoreError::Unknown { .. })), "{outcome:?}");
    }
    postgres.psql("ALTER SYSTEM RESET synchronous_standby_names");
    postgres.psql("SELECT pg_reload_conf()");
    wait("the setting", || postgres.psql("SHOW synchronous_standby_names").trim().is_empty()).await;
    let again = store.add_direct(vec![new]).await.unwrap();
    assert!(matches!(again[..], [DirectAppended::Repeated(_)]));
}

#[tokio::test]
async fn while_nothing_can_be_written_messages_and_items_are_read() {
    let postgres = tokio::task::spawn_blocking(Postgres::start).await.unwrap();
    let store = open(&postgres.url()).await;
    store.add_direct(vec![whisper(ANA, BO, "x", 1)]).await.unwrap();
    store.put_items(ANA, "n".into(), vec![item("a")], 9).await.unwrap();
    postgres.psql("ALTER SYSTEM SET default_transaction_read_only = on");
    postgres.psql("SELECT pg_reload_conf()");
    wait("it to be noticed", || store.condition() == crate::pool::Condition::ReadOnly).await;
    let refused = store.add_direct(vec![whisper(ANA, BO, "y", 1)]).await;
    assert!(matches!(refused, Err(StoreError::Away { .. })), "{refused:?}");
    let refused = store.put_items(ANA, "n".into(), vec![item("b")], 9).await;
    assert!(matches!(refused, Err(StoreError::Away { .. })), "{refused:?}");
    let query = DirectQuery { since: Some(at(0)), until: Some(at(9)), ..DirectQuery::all(BO, 9) };
    let page = store.direct_page(query).await.unwrap();
    assert_eq!(store.direct(BO, vec![page.rows[0].id]).await.unwrap(), page.rows);
    assert_eq!(store.direct_partners(BO).await.unwrap(), [(ANA, page.rows[0].id)]);
    assert_eq!(
        store.items(ANA, "n").await.unwrap(),
        store.items_everywhere("n").await.unwrap().into_iter().map(|i| i.1).collect::<Vec<_>>()
    );
    assert_eq!(store.item_nodes(ANA).await.unwrap(), ["n"]);
}

/// As the sessions make their plans: once, for any values, whatever was known of the table then.
#[tokio::test]
async fn an_archive_of_messages_is_read_from_its_indexes() {
    let store = open(&new_database().await).await;
    let session = store.inner.sessions.get().await.unwrap();
    // Each half ends after as many as a page has, so it does not matter how they are put together.
    const HALVES: &[&str] = &[
        "Limit -> Index Scan",
        "using direct_pkey on direct d Index Cond: ((sender = $1) AND (id > $2) AND (id < $3))",
        "using direct_recipient on direct d_1 Index Cond: ((recipient = $1) AND (id > $2) AND (id < $3))",
    ];
    // There are two indexes of two people, and either will do.
    const PAIR: &[&str] = &["Limit -> Index Scan", "(high = $5)", "(low = $1)", "(id > $2) AND (id < $3))"];
    let statements: [(&str, &str, usize, &[&str]); 7] = [
        (OLDEST, "(1, 0, 99, 10)", 2, HALVES),
        (NEWEST, "(1, 0, 99, 10)", 2, HALVES),
        (OLDEST_OF_TWO, "(1, 0, 99, 10, 2)", 1, PAIR),
        (NEWEST_OF_TWO, "(1, 0, 99, 10, 2)", 1, PAIR),
        (FIRST_AT, "(5)", 1, &["Limit -> Index Only Scan using direct_at"]),
        (
            BEFORE,
            "('{1}', '{2}', '{00000000-0000-0000-0000-000000000001}')",
            1,
            &["Index Scan using direct_sender_recipient_client_id_key on direct d Index Cond: ((sender = u.sender)
               AND (recipient = u.recipient) AND (client_id = u.client_id))"],
        ),
        // There are two more, of what comes back again and again, which PostgreSQL shows only of a statement that it carries out.
        (PARTNERS, "(1)", 4, &["direct_pair", "direct_turned"]),
    ];
    for filled in [false, true] {
        if filled {
            let people: Vec<PrincipalId> = (0..30).map(PrincipalId).collect();
            for round in 0..100 {
                let new = people.iter().map(|who| whisper(*who, [ANA, BO, CY][round % 3], "some words", 1));
                store.add_direct(new.collect()).await.unwrap();
            }
            session.batch("ANALYZE direct").await.unwrap();
            session.batch(&format!("PREPARE carried_out AS {PARTNERS}")).await.unwrap();
            let carried_out = "EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) EXECUTE carried_out(1)";
            let rows = session.unprepared(carried_out, &[]).await.unwrap();
            let plan = rows.iter().map(|r| r.get::<_, String>(0)).collect::<Vec<_>>().join("\n");
            assert!(!plan.contains("Seq Scan") && plan.matches("Index Only Scan").count() == 6, "{plan}");
        }
        for (n, (sql, values, scans, parts)) in statements.iter().enumerate() {
            session.batch(&format!("PREPARE s{n}{filled} AS {sql}")).await.unwrap();
            let explain = format!("EXPLAIN (COSTS off) EXECUTE s{n}{filled}{values}");
            let rows = session.unprepared(&explain, &[]).await.unwrap();
            let plan = rows.iter().map(|r| r.get::<_, String>(0)).collect::<Vec<_>>().join("\n");
            let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(!plan.contains("Seq Scan"), "{sql}\n{plan}");
            assert_eq!(
                plan.matches("Index Scan").count() + plan.matches("Index Only Scan").count(),
                *scans,
                "{sql}\n{plan}"
            );
            for part in *parts {
                assert!(plain(&plan).contains(&plain(part)), "{part}\n{sql}\n{plan}");
            }
        }
    }
}

fn item(id: &str) -> Item {
    Item { id: id.into(), at: at(1), payload: "<a/>".into() }
}

async fn wait(what: &str, so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < deadline, "{what} did not come in {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
