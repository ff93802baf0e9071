//! Several servers as one service, on a PostgreSQL of the test's own.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may stop at the first thing that is wrong"
)]

mod support;

use holdfast_chat::event::{Bye, Event};
use holdfast_chat::people::{GroupChange, NewGroup, UserChange};
use holdfast_chat::rooms::RoomChange;
use holdfast_chat::{ActiveChange, Caller, ChatError, Live, Means, Mode, Outcome, Scope, ServerOptions, Standing};
use holdfast_domain::entry::EntryBody;
use holdfast_domain::feed::{Feed, Match};
use holdfast_domain::room::{Privacy, Role, RoleChange};
use holdfast_domain::{PrincipalId, RoomId, Seq};
use holdfast_private_postgres::Postgres;
use holdfast_store::log::From;
use holdfast_store::postgres::{PostgresOptions, PostgresStore};
use holdfast_store::{Maintenance, StoreError};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use support::{Pool, done, entries, eventually, message, new_room, password, until};

/// Two servers on one database, a room, and who is in it.
struct Two {
    postgres: Postgres,
    a: Pool,
    b: Pool,
    ana: Caller,
    bo: Caller,
    room: RoomId,
}

async fn two() -> Two {
    let postgres = Postgres::start();
    let (a, b) = (Pool::server(&postgres.url(), "a").await, Pool::server(&postgres.url(), "b").await);
    let (ana, bo) = (a.user("ana").await, a.user("bo").await);
    let room = a.room(&ana, a.category("All").await, "desk", Privacy::Open).await;
    eventually("the room is known to the other server", || b.chat.directory().room(room).is_some()).await;
    eventually("both take clients", || {
        [&a, &b].iter().all(|s| s.chat.standing() == Standing::Active && s.chat.active_addresses().len() == 2)
    })
    .await;
    Two { postgres, a, b, ana, bo, room }
}

impl Two {
    async fn close(self) {
        self.a.chat.shutdown().await.unwrap();
        self.b.chat.shutdown().await.unwrap();
    }
}

async fn in_room(pool: &Pool, who: &Caller, room: RoomId) -> Live {
    let live = pool.chat.connect(who).unwrap();
    assert!(live.join(vec![(room, None)]).await.is_empty());
    live
}

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|n| (*n).to_owned()).collect()
}

fn texts(live: &Live) -> impl Future<Output = String> + '_ {
    until(live, |event| match event {
        Event::Entry(view) => match &view.entry.body {
            Some(EntryBody::Message(message)) => Some(message.text.clone()),
            _ => None,
        },
        _ => None,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_through_any_server_is_heard_on_all_in_one_order() {
    const EACH: usize = 300;
    let pool = two().await;
    let at_a = in_room(&pool.a, &pool.ana, pool.room).await;
    let at_b = in_room(&pool.b, &pool.bo, pool.room).await;
    let mut posts = tokio::task::JoinSet::new();
    for i in 0..EACH {
        for (server, who) in [(&pool.a, &pool.ana), (&pool.b, &pool.bo)] {
            let (chat, who, room) = (server.chat.clone(), who.clone(), pool.room);
            posts.spawn(async move { chat.post(&who, room, message(&format!("m{i}"))).await.unwrap() });
        }
    }
    let (heard_a, heard_b) = tokio::join!(entries(&at_a, pool.room, EACH * 2), entries(&at_b, pool.room, EACH * 2));
    while let Some(posted) = posts.join_next().await {
        posted.unwrap();
    }
    let first = heard_a[0].0;
    assert_eq!(heard_a, (first..first + 2 * i64::try_from(EACH).unwrap()).map(Seq).collect::<Vec<_>>());
    assert_eq!(heard_a, heard_b);
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_moves_to_another_server_goes_on_where_he_was() {
    let pool = two().await;
    let mut cursor = pool.a.say(&pool.ana, pool.room, "begin").await.view.entry.seq;
    let talking = {
        let (a, b, ana, room) = (pool.a.chat.clone(), pool.b.chat.clone(), pool.ana.clone(), pool.room);
        tokio::spawn(async move {
            for i in 0..400 {
                let chat = if i % 2 == 0 { &a } else { &b };
                chat.post(&ana, room, message(&format!("m{i}"))).await.unwrap();
            }
        })
    };
    let mut heard = Vec::new();
    let mut turn = 0;
    while heard.len() < 400 {
        turn += 1;
        let chat = if turn % 2 == 0 { &pool.a.chat } else { &pool.b.chat };
        let live = chat.connect(&pool.bo).unwrap();
        let n = 10.min(400 - heard.len());
        let (refused, seqs) = tokio::join!(live.join(vec![(pool.room, Some(cursor))]), entries(&live, pool.room, n));
        assert!(refused.is_empty());
        cursor = *seqs.last().unwrap();
        heard.extend(seqs);
    }
    talking.await.unwrap();
    let first = heard[0].0;
    assert_eq!(heard, (first..first + 400).map(Seq).collect::<Vec<_>>());
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn presence_and_typing_are_the_pools() {
    let pool = two().await;
    let at_b = in_room(&pool.b, &pool.bo, pool.room).await;
    let at_a = in_room(&pool.a, &pool.ana, pool.room).await;
    let came = until(&at_b, |event| match event {
        Event::Presence { joined, count, .. } if !joined.is_empty() => Some((joined[0].name.clone(), *count)),
        _ => None,
    })
    .await;
    assert_eq!(came, ("ana".into(), 2));
    eventually("a knows who is on b", || {
        let (a, b) = (pool.a.chat.status(), pool.b.chat.status());
        (a.connections, b.connections) == (1, 1)
    })
    .await;
    let roster = async || pool.a.chat.roster(&pool.ana, pool.room).await.unwrap().count;
    let deadline = Instant::now() + Duration::from_secs(10);
    while roster().await != 2 {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    at_a.typing(pool.room);
    let who = until(&at_b, |event| match event {
        Event::Typing { person, .. } => Some(person.name.clone()),
        _ => None,
    })
    .await;
    assert_eq!(who, "ana");

    // A second device on the other server, and the first goes: nobody came or went.
    let second = in_room(&pool.b, &pool.ana, pool.room).await;
    drop(at_a);
    pool.a.say(&pool.ana, pool.room, "still there").await;
    let quiet = until(&at_b, |event| match event {
        Event::Presence { .. } => Some(false),
        Event::Entry(_) => Some(true),
        _ => None,
    })
    .await;
    assert!(quiet);
    drop(second);
    let left = until(&at_b, |event| match event {
        Event::Presence { left, .. } => Some(left[0].name.clone()),
        _ => None,
    })
    .await;
    assert_eq!(left, "ana");

    // A server that comes later learns who is there, and one that stops takes its people along.
    let at_a = in_room(&pool.a, &pool.ana, pool.room).await;
    let c = Pool::server(&pool.postgres.url(), "c").await;
    let present = async || c.chat.roster(&pool.ana, pool.room).await.unwrap().count;
    let deadline = Instant::now() + Duration::from_secs(10);
    while present().await != 2 {
        assert!(Instant::now() < deadline, "{}", present().await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(at_a);
    pool.a.chat.shutdown().await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while present().await != 1 {
        assert!(Instant::now() < deadline, "{}", present().await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    c.chat.shutdown().await.unwrap();
    pool.b.chat.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_taken_away_on_one_server_is_gone_on_the_other() {
    let pool = two().await;
    let operator = Caller::operator();
    let closed = pool.a.room(&pool.ana, pool.a.category("Behind doors").await, "closed", Privacy::Closed).await;
    let add = RoleChange { role: Role::Member, added: vec![pool.bo.user], removed: vec![] };
    let at_b = in_room(&pool.b, &pool.bo, pool.room).await;
    pool.a.chat.change_roles(&pool.ana, closed, vec![add], Mode::Do).await.unwrap();
    // Told of the room on the other server, by name.
    let (mut invited, mut changed) = (false, false);
    until(&at_b, |event| {
        match event {
            Event::Invited { room_name, by, .. } => {
                invited |= (room_name.as_str(), by.name.as_str()) == ("closed", "ana");
            }
            Event::RoomsChanged => changed = true,
            _ => {}
        }
        (invited && changed).then_some(())
    })
    .await;
    assert!(at_b.join(vec![(closed, None)]).await.is_empty());
    let kicked =
        |room: RoomId| move |event: &Event| matches!(event, Event::Kicked { room: r, .. } if *r == room).then_some(());
    let remove = RoleChange { role: Role::Member, added: vec![], removed: vec![pool.bo.user] };
    pool.a.chat.change_roles(&pool.ana, closed, vec![remove], Mode::Do).await.unwrap();
    until(&at_b, kicked(closed)).await;
    assert!(pool.b.chat.post(&pool.bo, closed, message("x")).await.is_err());

    let disable = RoomChange { disabled: Some(true), ..RoomChange::default() };
    pool.a.chat.change_room(&pool.ana, pool.room, disable, Mode::Do).await.unwrap();
    until(&at_b, kicked(pool.room)).await;

    // A sign-in that is ended there, a token, and a user who is disabled.
    let secret = pool.b.sign_in("bo", &password("bo")).await.unwrap().secret;
    let bo = pool.b.chat.caller_of_sign_in(&secret).await.unwrap();
    let live = pool.b.chat.connect(&bo).unwrap();
    pool.a.chat.sign_out(&pool.a.chat.caller_of_sign_in(&secret).await.unwrap()).await.unwrap();
    until(&live, |event| matches!(event, Event::Bye(Bye::SessionEnded)).then_some(())).await;
    let ended = UserChange { disabled: Some(true), ..UserChange::default() };
    pool.a.chat.change_user(&operator, pool.bo.user, ended, Mode::Do).await.unwrap();
    until(&at_b, |event| matches!(event, Event::Bye(Bye::SessionEnded)).then_some(())).await;

    let open = pool.a.room(&pool.ana, pool.a.category("For all").await, "open", Privacy::Open).await;
    eventually("b knows the room", || pool.b.chat.directory().room(open).is_some()).await;
    let ana_at_b = in_room(&pool.b, &pool.ana, open).await;
    done(pool.a.chat.delete_room(&operator, open, Mode::Do).await.unwrap());
    until(&ana_at_b, kicked(open)).await;
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_positions_and_feeds_reach_the_other_server() {
    let pool = two().await;
    let at_b = in_room(&pool.b, &pool.bo, pool.room).await;
    let said = pool.a.say(&pool.ana, pool.room, "one").await.view.entry.seq;
    entries(&at_b, pool.room, 1).await;
    pool.a.chat.mark_read(&pool.bo, pool.room, said).await.unwrap();
    let read = until(&at_b, |event| match event {
        Event::Read { seq, unread, .. } => Some((*seq, *unread)),
        _ => None,
    })
    .await;
    assert_eq!(read, (said, 0));
    // Who speaks has read what he said: at once on the server that took it, and a moment later on the other.
    let own = pool.a.say(&pool.ana, pool.room, "two").await.view.entry.seq;
    assert_eq!(pool.a.chat.room(&pool.ana, pool.room).await.unwrap().me.read, own);
    let deadline = Instant::now() + Duration::from_secs(10);
    while pool.b.chat.room(&pool.ana, pool.room).await.unwrap().me.read != own {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let feed = Feed {
        id: 0,
        name: "ECB".into(),
        words: vec!["ecb".into()],
        matching: Match::Any,
        authors: BTreeSet::new(),
        rooms: BTreeSet::new(),
        notify: true,
    };
    let id = pool.a.chat.put_feed(&pool.bo, feed).await.unwrap().id;
    // The signal is on its way for a moment.
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        pool.a.say(&pool.ana, pool.room, "The ECB speaks").await;
        let told = tokio::time::timeout(Duration::from_millis(200), async {
            until(&at_b, |event| if let Event::Feed { feed, .. } = event { Some(*feed) } else { None }).await
        });
        if let Ok(feed) = told.await {
            assert_eq!(feed, id);
            break;
        }
        assert!(Instant::now() < deadline);
    }
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_could_not_hear_for_a_while_misses_nothing() {
    let pool = two().await;
    let at_b = in_room(&pool.b, &pool.bo, pool.room).await;
    let secret = pool.b.sign_in("bo", &password("bo")).await.unwrap().secret;
    let bo = pool.b.chat.caller_of_sign_in(&secret).await.unwrap();
    let signed_in = pool.b.chat.connect(&bo).unwrap();
    // Nobody can listen for a while: every connection that does is ended, again and again. One that listens is asked for nothing else.
    let deaf = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE usename = 'holdfast' AND state = 'idle' AND (query ILIKE 'listen%' OR query = '')";
    let mut said = Vec::new();
    let mut ended = 0;
    for i in 0..20 {
        ended += pool.postgres.psql(deaf).lines().count();
        said.push(pool.a.say(&pool.ana, pool.room, &format!("m{i}")).await.view.entry.seq);
    }
    pool.a.chat.sign_out(&pool.a.chat.caller_of_sign_in(&secret).await.unwrap()).await.unwrap();
    pool.postgres.psql(deaf);
    assert!(ended > 1, "nobody listened: the test tests nothing");
    assert_eq!(entries(&at_b, pool.room, 20).await, said);
    until(&signed_in, |event| matches!(event, Event::Bye(Bye::SessionEnded)).then_some(())).await;
    let at_a = in_room(&pool.a, &pool.ana, pool.room).await;
    let roster = async || pool.b.chat.roster(&pool.ana, pool.room).await.unwrap().count;
    let deadline = Instant::now() + Duration::from_secs(10);
    while roster().await != 2 {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(at_a);
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_who_change_the_same_thing_at_once_do_not_undo_each_other() {
    let pool = two().await;
    let operator = Caller::operator();
    let category = pool.a.category("Names").await;
    eventually("b knows the category", || pool.b.chat.directory().category(category).is_some()).await;
    // Two rooms of one name: one of them is refused.
    for i in 0..5 {
        let new = || new_room(category, &format!("room {i}"), Privacy::Open);
        let (at_a, at_b) = tokio::join!(
            pool.a.chat.add_room(&pool.ana, new(), Mode::Do),
            pool.b.chat.add_room(&pool.bo, new(), Mode::Do)
        );
        assert_eq!(at_a.is_ok(), at_b.is_err(), "{at_a:?} {at_b:?}");
    }
    // Twenty are put into one group and on one list, half of them by each server: all of them are in it.
    let mut users = Vec::new();
    for i in 0..20 {
        users.push(pool.a.user(&format!("u{i}")).await.user);
    }
    let new = NewGroup { name: "desk".into(), display_name: None, members: vec![] };
    let group = done(pool.a.chat.add_group(&operator, new, Mode::Do).await.unwrap()).group.id;
    let mut changes = tokio::task::JoinSet::new();
    for (i, user) in users.iter().copied().enumerate() {
        let chat = if i % 2 == 0 { &pool.a.chat } else { &pool.b.chat }.clone();
        let (ana, room) = (pool.ana.clone(), pool.room);
        changes.spawn(async move {
            let join = GroupChange { add: vec![user], ..GroupChange::default() };
            chat.change_group(&Caller::operator(), group, join, Mode::Do).await.unwrap();
            let add = RoleChange { role: Role::Manager, added: vec![user], removed: vec![] };
            chat.change_roles(&ana, room, vec![add], Mode::Do).await.unwrap();
        });
    }
    while let Some(change) = changes.join_next().await {
        change.unwrap();
    }
    let all: BTreeSet<PrincipalId> = users.into_iter().collect();
    for server in [&pool.a, &pool.b] {
        eventually("both servers know all members and managers", || {
            let directory = server.chat.directory();
            let members = &directory.group(group).unwrap().members;
            let managers = &directory.room(pool.room).unwrap().roles.managers;
            *members == all && managers.is_superset(&all)
        })
        .await;
    }
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_start_at_once_on_an_empty_database_agree() {
    let postgres = Postgres::start();
    let url = postgres.url();
    let (a, b, c) = tokio::join!(Pool::server(&url, "a"), Pool::server(&url, "b"), Pool::server(&url, "c"));
    let root = a.admin("root").await;
    let (audit, _) = a.chat.audit(&root, None, 100).await.unwrap();
    let made = audit.iter().filter(|e| e.changes.iter().any(|c| c == "Group everyone was created")).count();
    assert_eq!(made, 1);
    for server in [&a, &b, &c] {
        eventually("all three take clients", || {
            server.chat.standing() == Standing::Active && server.chat.active_addresses().len() == 3
        })
        .await;
    }
    let view = b.chat.pool(&Caller::operator()).await.unwrap();
    assert!(!view.chosen && view.servers.iter().all(|s| s.standing == "active" && s.on_list));
    assert_eq!(view.servers.iter().filter(|s| s.this).map(|s| s.name.as_str()).collect::<Vec<_>>(), ["b"]);

    let refused = Pool::try_server(&url, "a").await.err().unwrap().to_string();
    assert!(refused.contains("has the name a and is running"), "{refused}");
    let refused = Pool::try_server(&url, "A b").await.err().unwrap().to_string();
    assert!(refused.starts_with("pool.server: must be"), "{refused}");
    for server in [a, b, c] {
        server.chat.shutdown().await.unwrap();
    }
    // The name of a server that has stopped is free at once.
    Pool::server(&url, "a").await.chat.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_taken_off_the_list_drains_and_sends_the_rest_away() {
    let postgres = Postgres::start();
    let url = postgres.url();
    let a = Pool::server(&url, "a").await;
    let drains = ServerOptions { name: "b".into(), drain_minutes: 0, ..ServerOptions::default() };
    let (ana, bo) = (a.user("ana").await, a.user("bo").await);
    let operator = Caller::operator();
    let b = Pool::server(&url, "b").await;
    eventually("b takes clients", || b.chat.standing() == Standing::Active).await;
    let live = b.chat.connect(&bo).unwrap();

    let change = ActiveChange::Remove(names(&["b"]));
    let Outcome::Would(would) = a.chat.change_active(&operator, change.clone(), false, Mode::WhatIf).await.unwrap()
    else {
        panic!("did it");
    };
    assert!(would[0].starts_with("b would take no more clients"), "{would:?}");
    let refused = a.chat.change_active(&operator, ActiveChange::Remove(names(&["a", "b"])), false, Mode::Do).await;
    assert!(refused.unwrap_err().to_string().starts_with("no server would take clients"));
    assert!(a.chat.change_active(&ana, change.clone(), false, Mode::Do).await.is_err(), "administrators only");
    a.chat.change_active(&operator, change, false, Mode::Do).await.unwrap();
    eventually("b drains", || b.chat.standing() == Standing::Draining).await;
    assert!(b.chat.admit(Some(&bo)).is_ok(), "who is there goes on");
    let Err(ChatError::Elsewhere { servers }) = b.chat.admit(Some(&ana)) else { panic!("took her") };
    assert_eq!(servers, ["https://a.example.org"]);
    assert!(b.chat.connect(&ana).is_err() && b.chat.admit(None).is_err());
    assert!(b.chat.admit(Some(&operator)).is_ok());
    drop(live);
    eventually("b stands by", || b.chat.standing() == Standing::Standby).await;
    assert!(b.chat.admit(Some(&bo)).is_err());
    b.chat.shutdown().await.unwrap();

    // With no time to drain, those who are there are sent away at once.
    let b = Pool::server_with(&url, drains, 10).await.unwrap();
    assert_eq!(b.chat.standing(), Standing::Standby, "a person has chosen");
    let view = done(a.chat.change_active(&operator, ActiveChange::Add(names(&["b"])), false, Mode::Do).await.unwrap());
    assert!(view.chosen);
    eventually("b takes clients", || b.chat.standing() == Standing::Active).await;
    let live = b.chat.connect(&bo).unwrap();
    let swap = ActiveChange::Set(names(&["a"]));
    a.chat.change_active(&operator, swap, false, Mode::Do).await.unwrap();
    let servers = until(&live, |event| match event {
        Event::Bye(Bye::Moved { servers }) => Some(servers.clone()),
        _ => None,
    })
    .await;
    assert_eq!(servers, ["https://a.example.org"]);
    let (audit, _) = a.chat.audit(&operator, None, 1).await.unwrap();
    assert_eq!(audit[0].changes, ["The active servers of the pool are now: a"]);
    b.chat.shutdown().await.unwrap();
    assert!(a.chat.forget_server(&operator, "a").await.is_err());
    let view = a.chat.forget_server(&operator, "b").await.unwrap();
    assert_eq!(view.servers.len(), 1);
    a.chat.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_waits_for_another_servers_and_goes_on_when_that_one_is_gone() {
    let pool = two().await;
    let gone = PostgresStore::open(PostgresOptions { url: pool.postgres.url(), ..PostgresOptions::default() });
    let gone = gone.await.unwrap();
    let length = Duration::from_secs(2);
    gone.pool().unwrap().lease("import", length).await.unwrap().unwrap();
    let began = Instant::now();
    let batch = vec![holdfast_chat::importing::ImportedMessage {
        at: holdfast_domain::Time::from_millis(1_100_000_000_000),
        author: "trey".into(),
        text: "long ago".into(),
        action: false,
        key: uuid::Uuid::from_u128(7),
    }];
    let root = pool.a.admin("root").await;
    let imported = pool.a.chat.import(&root, pool.room, batch.clone()).await.unwrap();
    assert_eq!((imported.imported, imported.authors_created), (1, 1));
    assert!(began.elapsed() >= length / 2, "it waited until the lease ended");
    let again = pool.b.chat.import(&root, pool.room, batch).await.unwrap();
    assert_eq!((again.repeated, again.authors_created), (1, 0));
    gone.close().await.unwrap();
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_server_does_for_all_moves_when_that_one_is_gone() {
    let postgres = Postgres::start();
    let gone = PostgresStore::open(PostgresOptions { url: postgres.url(), ..PostgresOptions::default() });
    let gone = gone.await.unwrap();
    let length = Duration::from_secs(3);
    gone.pool().unwrap().lease("clean-up", length).await.unwrap().unwrap();
    let options = ServerOptions { name: "a".into(), lease_seconds: 3, ..ServerOptions::default() };
    let a = Pool::server_with(&postgres.url(), options, 10).await.unwrap();
    // What a server that was killed held is taken by another when it ends, and renewed before it would end again.
    let mine = format!(
        "SELECT count(*) FROM holdfast.lease WHERE name = 'clean-up' AND until > now() AND run <> '{}'",
        gone.pool().unwrap().run()
    );
    eventually("the lease to move", || postgres.psql(&mine).trim() == "1").await;
    let began = Instant::now();
    while began.elapsed() < 2 * length {
        let left = gone.pool().unwrap().lease("clean-up", length).await.unwrap().unwrap_err();
        assert!(left <= length, "{left:?}");
        tokio::time::sleep(length / 10).await;
    }
    a.chat.shutdown().await.unwrap();
    // A server that stops gives it back.
    gone.pool().unwrap().lease("clean-up", length).await.unwrap().unwrap();
    gone.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn posts_wait_while_the_database_starts_again_and_none_is_lost_or_doubled() {
    let mut pool = two().await;
    let at_b = in_room(&pool.b, &pool.bo, pool.room).await;
    let first = pool.a.say(&pool.ana, pool.room, "before").await.view.entry.seq;
    entries(&at_b, pool.room, 1).await;
    // Heard as it comes: whoever lets too much wait is let go.
    let heard = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let listening = tokio::spawn({
        let (heard, room) = (std::sync::Arc::clone(&heard), pool.room);
        async move {
            loop {
                let seqs = entries(&at_b, room, 1).await;
                heard.lock().unwrap().extend(seqs);
            }
        }
    });
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mut posts = tokio::task::JoinSet::new();
    for poster in 0..10 {
        let chat = if poster % 2 == 0 { &pool.a.chat } else { &pool.b.chat }.clone();
        let (ana, room, stop) = (pool.ana.clone(), pool.room, std::sync::Arc::clone(&stop));
        posts.spawn(async move {
            let mut acknowledged = Vec::new();
            for i in 0.. {
                if stop.load(std::sync::atomic::Ordering::Relaxed) {
                    break;
                }
                let said = message(&format!("{poster} {i}"));
                let seq = chat.post(&ana, room, said.clone()).await.unwrap().view.entry.seq;
                acknowledged.push((seq, said.text));
            }
            acknowledged
        });
    }
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        pool.postgres.kill();
        tokio::time::sleep(Duration::from_millis(500)).await;
        pool.postgres.start_again();
    }
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let mut acknowledged = Vec::new();
    while let Some(posted) = posts.join_next().await {
        acknowledged.extend(posted.unwrap());
    }
    acknowledged.sort();
    let deadline = Instant::now() + Duration::from_secs(10);
    while heard.lock().unwrap().len() < acknowledged.len() {
        assert!(!listening.is_finished() && Instant::now() < deadline, "not all is heard");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    listening.abort();
    let heard = heard.lock().unwrap().clone();
    let seqs: Vec<Seq> = acknowledged.iter().map(|(seq, _)| *seq).collect();
    assert_eq!(heard, seqs, "what was acknowledged is what was heard, once, in order");
    assert_eq!(seqs, (1..=i64::try_from(seqs.len()).unwrap()).map(|i| Seq(first.0 + i)).collect::<Vec<_>>());
    assert!(acknowledged.len() > 20, "{}", acknowledged.len());
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_for_too_long_is_told_and_nothing_is_written_behind_his_back() {
    let mut postgres = Postgres::start();
    let options = ServerOptions { name: "a".into(), ..ServerOptions::default() };
    let a = Pool::server_with(&postgres.url(), options, 2).await.unwrap();
    let ana = a.user("ana").await;
    let room = a.room(&ana, a.category("All").await, "desk", Privacy::Open).await;
    postgres.kill();
    // The first finds out that the database is gone, perhaps in the middle; the others find it so.
    let mut refused = Vec::new();
    for i in 0..3 {
        let began = Instant::now();
        let said = message(&format!("m{i}"));
        let error = a.chat.post(&ana, room, said.clone()).await.unwrap_err();
        assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
        refused.push((said, matches!(error, ChatError::Unavailable(_))));
        assert!(matches!(error, ChatError::Unavailable(_) | ChatError::OutcomeUnknown), "{error}");
    }
    assert!(refused[2].1, "long after it was gone it was not even tried");
    postgres.start_again();
    let marker = loop {
        match a.chat.post(&ana, room, message("marker")).await {
            Ok(posted) => break posted.view.entry.seq,
            Err(ChatError::Unavailable(_)) => {}
            Err(other) => panic!("{other}"),
        }
    };
    let page = a.chat.history(&ana, room, From::Latest, 50).await.unwrap();
    assert_eq!(page.head, marker);
    for (said, not_kept) in &refused {
        let there =
            page.entries.iter().any(|e| matches!(&e.entry.body, Some(EntryBody::Message(m)) if m.text == said.text));
        assert!(!(*not_kept && there), "{} was called not kept", said.text);
    }
    a.chat.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_lost_something_is_read_anew() {
    let pool = two().await;
    let at_b = in_room(&pool.b, &pool.bo, pool.room).await;
    pool.a.say(&pool.ana, pool.room, "kept").await;
    let lost = pool.a.say(&pool.ana, pool.room, "lost").await.view.entry.seq;
    entries(&at_b, pool.room, 2).await;
    // As if a copy that was one entry behind had taken over.
    let room = pool.room;
    pool.postgres.psql(&format!(
        "SET search_path = holdfast; BEGIN; DELETE FROM sent WHERE room = {room} AND seq = {lost}; DELETE FROM entry WHERE room = {room} AND seq = {lost};
         UPDATE room_head h SET last_seq = e.seq, last_hash = e.hash, last_at = e.at, messages = h.messages - 1
             FROM entry e WHERE h.room = {room} AND e.room = h.room AND e.seq = {lost} - 1;
         UPDATE pool SET epoch = epoch + 1; COMMIT"
    ));
    until(&at_b, |event| matches!(event, Event::Bye(Bye::Moved { .. })).then_some(())).await;
    let at_b = pool.b.chat.connect(&pool.bo).unwrap();
    at_b.join(vec![(room, Some(lost))]).await;
    let seq = pool.a.say(&pool.ana, pool.room, "instead").await.view.entry.seq;
    assert_eq!(seq, lost, "the number is given again");
    assert_eq!(texts(&at_b).await, "instead");
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_beside_running_servers_is_no_server() {
    let pool = two().await;
    let options = ServerOptions { name: String::new(), joins: false, ..ServerOptions::default() };
    let command = Pool::server_with(&pool.postgres.url(), options, 10).await.unwrap();
    assert_eq!(command.chat.standing(), Standing::Alone);
    assert_eq!(command.chat.pool(&Caller::operator()).await.unwrap().servers.len(), 2);
    let secret = pool.b.sign_in("bo", &password("bo")).await.unwrap().secret;
    let bo = pool.b.chat.caller_of_sign_in(&secret).await.unwrap();
    let live = pool.b.chat.connect(&bo).unwrap();
    command.chat.reset_password(&Caller::operator(), bo.user, "another password").await.unwrap();
    let cleo = command.user("cleo").await;
    command.chat.shutdown().await.unwrap();
    until(&live, |event| matches!(event, Event::Bye(Bye::SessionEnded)).then_some(())).await;
    eventually("the servers know the new user", || pool.b.chat.directory().user(cleo.user).is_some()).await;
    let reader = Caller { user: cleo.user, scopes: vec![Scope::Read], by: Means::Token(-1) };
    assert!(pool.b.chat.room(&reader, pool.room).await.is_ok());
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_decided_on_an_older_state_is_refused() {
    let pool = two().await;
    let other = PostgresStore::open(PostgresOptions { url: pool.postgres.url(), ..PostgresOptions::default() });
    let other = other.await.unwrap();
    let stale = other.pool().unwrap().turn().await.unwrap().revision;
    pool.a.user("cleo").await;
    let body =
        EntryBody::User(holdfast_domain::entry::Put::new(pool.a.chat.directory().user(pool.ana.user).unwrap().clone()));
    let draft = holdfast_store::log::Draft {
        room: RoomId::POOL,
        author: PrincipalId::SYSTEM,
        client_id: support::client_id(),
        remember: holdfast_store::log::Remember::UntilForgotten,
        decided_on: Some(stale),
        at: pool.a.chat.now(),
        body,
    };
    let refused = holdfast_store::RoomLog::append(&other, vec![draft]).await;
    assert!(matches!(refused, Err(StoreError::Stale)), "{refused:?}");
    other.close().await.unwrap();
    pool.close().await;
}
