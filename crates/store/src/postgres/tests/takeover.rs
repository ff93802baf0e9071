//! Another database begins to take writes.

use super::{new_database, open};
use crate::conformance::direct::whisper;
use crate::conformance::support::*;
use crate::items::Item;
use crate::notice::{ID, NODE, Notice, OWNER};
use crate::pool::{Condition, PoolPhase, Preserved};
use crate::postgres::takeover::{TakeOver, TakeOverError, active, put_notice, set_active, set_phase, take_over, tally};
use crate::{DirectMessages as _, Items as _, Pool as _, RoomLog as _, StoreError};
use holdfast_domain::{RoomId, Seq, Time};
use holdfast_private_postgres::Postgres;
use std::time::{Duration, Instant};
use tokio_postgres::{Client, NoTls};

const PATIENCE: Duration = Duration::from_secs(30);

async fn client(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

fn by(epoch: i64, holder: &str) -> TakeOver {
    TakeOver { epoch, state: PoolPhase::FailedOver, site: Some("bos".into()), holder: holder.into() }
}

#[tokio::test]
async fn a_take_over_notes_where_each_log_was_and_the_store_says_what_of_it_is_still_so() {
    let url = new_database().await;
    let store = open(&url).await;
    make_rooms(&store, &[ROOM]).await;
    store.append(vec![draft(ROOM, ANA, say("one")), draft(ROOM, ANA, say("two"))]).await.unwrap();
    let heads = store.heads().await.unwrap();
    let client = client(&url).await;
    let before = tally(&client).await.unwrap().unwrap();
    assert_eq!((before.epoch, before.state, before.site, before.holder), (1, PoolPhase::Normal, None, None));
    assert_eq!(before.entries, heads.iter().map(|(_, head)| head.seq.0).sum::<i64>());
    assert!(before.newest_at.is_some());

    let end = |room: RoomId| heads.iter().find(|(r, _)| *r == room).map_or(Seq::ZERO, |(_, head)| head.seq);
    take_over(&client, &by(1_000, "bos-db-1")).await.unwrap();
    let after = tally(&client).await.unwrap().unwrap();
    assert_eq!((after.epoch, after.entries), (1_000, before.entries));
    assert_eq!(after.holder.as_deref(), Some("bos-db-1"));
    let (state, _) = store.state().await.unwrap();
    assert_eq!((state.epoch, state.state, state.site.as_deref()), (1_000, PoolPhase::FailedOver, Some("bos")));
    assert_eq!(state.holder.as_deref(), Some("bos-db-1"));

    // What is written under the new epoch is not what somebody from before holds under the same numbers.
    let refused = store.append(vec![draft(ROOM, ANA, say("three"))]).await;
    assert!(matches!(refused, Err(StoreError::Away { .. })), "{refused:?}");
    assert_eq!(store.adopt_epoch().await.unwrap(), 1_000);
    store.append(vec![draft(ROOM, ANA, say("three"))]).await.unwrap();
    let other = RoomId(77);
    let (epoch, kept) =
        store.preserved(vec![(ROOM, 1), (RoomId::POOL, 1), (other, 1), (ROOM, 1_000), (ROOM, 1_001)]).await.unwrap();
    assert_eq!(epoch, 1_000);
    let through = |seq: Seq| Preserved::Through(seq);
    let expected = [through(end(ROOM)), through(end(RoomId::POOL)), through(Seq(0)), Preserved::All, Preserved::Behind];
    assert_eq!(kept, expected, "a room that was not there has lost everything");

    // Of several epochs in between the smallest end counts, whatever was written since.
    take_over(&client, &by(1_001, "bos-db-2")).await.unwrap();
    store.adopt_epoch().await.unwrap();
    let kept = store.preserved(vec![(ROOM, 1), (ROOM, 1_000), (ROOM, 1_001)]).await.unwrap().1;
    assert_eq!(kept, [through(end(ROOM)), through(end(ROOM).next()), Preserved::All]);
    assert_eq!(store.preserved(vec![]).await.unwrap(), (1_001, vec![]));
}

#[tokio::test]
async fn a_take_over_can_be_repeated_and_an_earlier_epoch_is_refused() {
    let url = new_database().await;
    let store = open(&url).await;
    let client = client(&url).await;
    take_over(&client, &by(7, "a")).await.unwrap();
    store.adopt_epoch().await.unwrap();
    make_rooms(&store, &[ROOM]).await;
    let ends = "SELECT room, after_seq FROM holdfast.room_epoch WHERE epoch = 7";
    let first = client.query(ends, &[]).await.unwrap().len();
    take_over(&client, &TakeOver { state: PoolPhase::Normal, ..by(7, "a") }).await.unwrap();
    assert_eq!(client.query(ends, &[]).await.unwrap().len(), first, "what was written since does not count");
    assert_eq!(tally(&client).await.unwrap().unwrap().state, PoolPhase::Normal);
    for earlier in [by(7, "b"), by(6, "a")] {
        let refused = take_over(&client, &earlier).await.unwrap_err();
        assert!(matches!(&refused, TakeOverError::Behind { there: 7, holder: Some(h), .. } if h == "a"), "{refused}");
    }
    // The connection goes on to be of use.
    set_phase(&client, PoolPhase::FailedOver).await.unwrap();
    assert_eq!(store.state().await.unwrap().0.state, PoolPhase::FailedOver);
    set_active(&client, &["x".into(), "y".into()]).await.unwrap();
    assert_eq!(active(&client).await.unwrap(), ["x", "y"]);
    let state = store.state().await.unwrap().0;
    assert_eq!((state.active, state.chosen, state.revision), (vec!["x".into(), "y".into()], true, 1));
    for bad in [vec!["x"; 2], vec!["a", "b", "c", "d", "e"]] {
        let bad: Vec<String> = bad.into_iter().map(str::to_owned).collect();
        assert!(matches!(set_active(&client, &bad).await, Err(TakeOverError::List(_))));
    }
}

#[tokio::test]
async fn a_take_over_waits_for_whoever_writes() {
    let url = new_database().await;
    let store = open(&url).await;
    make_rooms(&store, &[ROOM]).await;
    let writer = client(&url).await;
    writer.batch_execute("BEGIN; SELECT epoch FROM holdfast.pool WHERE id = 1 FOR SHARE").await.unwrap();
    writer.batch_execute("UPDATE holdfast.room_head SET last_seq = 40 WHERE room = 1").await.unwrap();
    let taker = client(&url).await;
    let taking = tokio::spawn(async move { take_over(&taker, &by(2, "a")).await });
    let deadline = Instant::now() + PATIENCE;
    let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid IN
        (SELECT pid FROM pg_stat_activity WHERE datname = current_database())";
    while writer.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) == 0 {
        assert!(Instant::now() < deadline, "it does not wait");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    writer.batch_execute("COMMIT").await.unwrap();
    taking.await.unwrap().unwrap();
    let ends = "SELECT after_seq FROM holdfast.room_epoch WHERE epoch = 2 AND room = 1";
    assert_eq!(writer.query_one(ends, &[]).await.unwrap().get::<_, i64>(0), 40);
}

#[tokio::test]
async fn an_epoch_of_which_nothing_was_noted_is_told_as_unknown() {
    let url = new_database().await;
    let store = open(&url).await;
    make_rooms(&store, &[ROOM]).await;
    client(&url).await.batch_execute("UPDATE holdfast.pool SET epoch = 2").await.unwrap();
    let (epoch, kept) = store.preserved(vec![(ROOM, 1), (ROOM, 2)]).await.unwrap();
    assert_eq!((epoch, kept), (2, vec![Preserved::Unknown, Preserved::All]));
}

#[tokio::test]
async fn a_database_without_a_pool_has_no_tally_and_is_not_taken_over() {
    let client = client(&new_database().await).await;
    assert_eq!(tally(&client).await.unwrap(), None);
    assert!(matches!(take_over(&client, &by(2, "a")).await, Err(TakeOverError::NoPool)));
    assert!(matches!(set_active(&client, &[]).await, Err(TakeOverError::NoPool)));
}

/// The numbers of messages that were lost may be in somebody's hands: what comes instead comes after all of them.
#[tokio::test]
async fn a_take_over_gives_no_number_of_a_message_again() {
    let url = new_database().await;
    let store = open(&url).await;
    let before = store.add_direct(vec![whisper(ANA, BO, "x", 1)]).await.unwrap().remove(0);
    let client = client(&url).await;
    for _ in 0..2 {
        // Repeated, it changes nothing.
        take_over(&client, &by(7, "a")).await.unwrap();
    }
    store.adopt_epoch().await.unwrap();
    let after = store.add_direct(vec![whisper(ANA, BO, "x", 1)]).await.unwrap().remove(0);
    assert_eq!(after.direct().id, before.direct().id + (1 << 32) + 1);
    // A database that a version before it has made has nothing to skip.
    client.batch_execute("ALTER TABLE holdfast.direct_head RENAME TO elsewhere").await.unwrap();
    take_over(&client, &by(8, "a")).await.unwrap();
}

/// What a failover to a copy that is behind does: counted while it follows, promoted, taken over.
#[tokio::test]
async fn a_standby_is_counted_and_taken_over_after_its_promotion() {
    let (mut primary, standby) = tokio::task::spawn_blocking(|| {
        let primary = Postgres::start();
        let standby = primary.standby();
        (primary, standby)
    })
    .await
    .unwrap();
    let url = format!("postgres://holdfast@127.0.0.1:{},127.0.0.1:{}/holdfast", primary.port(), standby.port());
    let store = open(&url).await;
    make_rooms(&store, &[ROOM]).await;
    let (here, there) = (client(&primary.superuser_url()).await, client(&standby.superuser_url()).await);
    let whole = tally(&here).await.unwrap();
    let deadline = Instant::now() + PATIENCE;
    while tally(&there).await.unwrap() != whole {
        assert!(Instant::now() < deadline, "the standby does not follow");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Nothing reaches it any more.
    standby.psql("ALTER SYSTEM SET primary_conninfo = ''");
    standby.psql("SELECT pg_reload_conf()");
    while standby.psql("SELECT count(*) FROM pg_stat_wal_receiver").trim() != "0" {
        assert!(Instant::now() < deadline, "the standby still follows");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    store.append(vec![draft(ROOM, ANA, say("lost"))]).await.unwrap();
    let (a, b) = (tally(&here).await.unwrap().unwrap(), tally(&there).await.unwrap().unwrap());
    assert_eq!(a.entries - b.entries, 1);
    let refused = take_over(&there, &by(1_000, "bos-db-1")).await;
    assert!(matches!(refused, Err(TakeOverError::Database { .. })), "a standby takes no writes: {refused:?}");

    primary.kill();
    standby.promote();
    take_over(&there, &by(1_000, "bos-db-1")).await.unwrap();
    while store.condition() != Condition::OtherEpoch {
        assert!(Instant::now() < deadline, "the other epoch was not noticed: {:?}", store.condition());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    store.adopt_epoch().await.unwrap();
    let through = store.head(ROOM).await.unwrap().seq;
    assert_eq!(store.preserved(vec![(ROOM, 1)]).await.unwrap().1, [Preserved::Through(through)]);
    store.append(vec![draft(ROOM, ANA, say("instead"))]).await.unwrap();
    assert_eq!(faults(&store, ROOM).await, []);
}

/// What a procedure says goes where every server reads it, in place of what another said; a person's notice stays, whether one is put or taken away.
#[tokio::test]
async fn a_procedure_says_what_is_coming_unless_a_person_has_said_something() {
    let url = new_database().await;
    let bare = client(&url).await;
    let notice = |message: &str, own| Notice {
        planned: true,
        beginning: Time::from_millis(1_000),
        expected_end: Some(Time::from_millis(61_000)),
        message: message.into(),
        own,
    };
    // In a database without tables nobody is told, and nothing fails.
    put_notice(&bare, Some(&notice("a switchover", true))).await.unwrap();
    put_notice(&bare, None).await.unwrap();

    let store = open(&url).await;
    let read = async || {
        let items = store.items(OWNER, NODE).await.unwrap();
        assert!(items.len() <= 1, "one stands at a time: {items:?}");
        items.first().map(|item| (item.id.clone(), item.at.millis(), Notice::read(&item.payload).unwrap()))
    };
    let stands = |notice: Notice| Some((ID.to_owned(), 1_000, notice));
    for said in ["a switchover", "another switchover"] {
        put_notice(&bare, Some(&notice(said, true))).await.unwrap();
        assert_eq!(read().await, stands(notice(said, true)));
    }
    put_notice(&bare, None).await.unwrap();
    assert_eq!(read().await, None);

    let persons = notice("New disks", false);
    let item = Item { id: ID.into(), at: Time::from_millis(1_000), payload: persons.kept() };
    store.put_items(OWNER, NODE.to_owned(), vec![item], 1).await.unwrap();
    put_notice(&bare, Some(&notice("a switchover", true))).await.unwrap();
    assert_eq!(read().await, stands(persons.clone()));
    put_notice(&bare, None).await.unwrap();
    assert_eq!(read().await, stands(persons));
}
