//! Live connections: nothing missed, nothing twice, and nobody hears what he may not.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may stop at the first thing that is wrong"
)]

mod support;

use holdfast_chat::event::{Bye, Event};
use holdfast_chat::rooms::RoomChange;
use holdfast_chat::{Mode, Options};
use holdfast_domain::feed::{Feed, Match};
use holdfast_domain::room::{Privacy, Role, RoleChange};
use holdfast_domain::{Limits, PrincipalId, RoomId, Seq};
use std::collections::BTreeSet;
use std::sync::Arc;
use support::{Pool, done, entries, message, until};

#[tokio::test]
async fn a_connection_resumes_where_it_was_while_others_go_on_talking() {
    let pool = Pool::new().await;
    let (ana, bo) = (pool.user("ana").await, pool.user("bo").await);
    let room = pool.room(&ana, pool.category("All").await, "desk", Privacy::Open).await;
    let mut cursor = pool.say(&ana, room, "begin").await.view.entry.seq;

    let talking = {
        let (chat, ana) = (pool.chat.clone(), ana.clone());
        tokio::spawn(async move {
            for i in 0..600 {
                chat.post(&ana, room, message(&format!("m{i}"))).await.unwrap();
            }
        })
    };
    let mut heard = Vec::new();
    // A connection that breaks again and again, and each time says what it has.
    while heard.len() < 600 {
        let live = Arc::new(pool.chat.connect(&bo).unwrap());
        let joining = {
            let live = Arc::clone(&live);
            tokio::spawn(async move { live.join(vec![(room, Some(cursor))]).await.is_empty() })
        };
        let n = 50.min(600 - heard.len());
        let seqs = entries(&live, room, n).await;
        cursor = *seqs.last().unwrap();
        heard.extend(seqs);
        joining.abort();
    }
    talking.await.unwrap();
    let first = heard[0].0;
    assert_eq!(heard, (first..first + 600).map(Seq).collect::<Vec<_>>());
}

#[tokio::test]
async fn too_much_missed_is_told_as_a_gap() {
    let pool = Pool::new().await;
    let ana = pool.user("ana").await;
    let room = pool.room(&ana, pool.category("All").await, "desk", Privacy::Open).await;
    let mut posts = tokio::task::JoinSet::new();
    for i in 0..1_100 {
        let (chat, ana) = (pool.chat.clone(), ana.clone());
        posts.spawn(async move { chat.post(&ana, room, message(&format!("m{i}"))).await.unwrap() });
    }
    while posts.join_next().await.is_some() {}
    let live = pool.chat.connect(&ana).unwrap();
    assert!(live.join(vec![(room, Some(Seq(1)))]).await.is_empty());
    let (after, head) = until(&live, |event| match event {
        Event::Gap { after, head, .. } => Some((*after, *head)),
        _ => None,
    })
    .await;
    assert_eq!(after, Seq(1));
    assert!(head > Seq(1_100));
    pool.say(&ana, room, "next").await;
    assert_eq!(entries(&live, room, 1).await, [head.next()]);
}

#[tokio::test]
async fn whoever_loses_membership_is_put_out_at_once() {
    let pool = Pool::new().await;
    let (ana, bo) = (pool.user("ana").await, pool.user("bo").await);
    let room = pool.room(&ana, pool.category("All").await, "desk", Privacy::Closed).await;
    let add = RoleChange { role: Role::Member, added: vec![bo.user], removed: vec![] };
    let live = pool.chat.connect(&bo).unwrap();
    assert_eq!(live.join(vec![(room, None)]).await.len(), 1, "not a member yet");
    pool.chat.change_roles(&ana, room, vec![add], Mode::Do).await.unwrap();
    let invited = until(&live, |event| match event {
        Event::Invited { room_name, by, .. } => Some((room_name.clone(), by.name.clone())),
        _ => None,
    })
    .await;
    assert_eq!(invited, ("desk".into(), "ana".into()));
    assert!(live.join(vec![(room, None)]).await.is_empty());
    pool.say(&ana, room, "hello").await;
    entries(&live, room, 1).await;

    let remove = RoleChange { role: Role::Member, added: vec![], removed: vec![bo.user] };
    pool.chat.change_roles(&ana, room, vec![remove], Mode::Do).await.unwrap();
    until(&live, |event| matches!(event, Event::Kicked { room: r, .. } if *r == room).then_some(())).await;
    pool.say(&ana, room, "without bo").await;
    assert!(pool.chat.post(&bo, room, message("still here")).await.is_err());
    live.leave(room);
    let open = pool.room(&ana, pool.category("Other").await, "open", Privacy::Open).await;
    live.join(vec![(open, None)]).await;
    pool.say(&ana, open, "marker").await;
    let next = until(&live, |event| match event {
        Event::Entry(view) => Some(view.entry.room),
        _ => None,
    })
    .await;
    assert_eq!(next, open, "nothing of the room he was put out of came after");
}

#[tokio::test]
async fn a_disabled_room_empties_and_a_category_that_denies_puts_out() {
    let pool = Pool::new().await;
    let (root, ana, bo) = (pool.admin("root").await, pool.user("ana").await, pool.user("bo").await);
    let category = pool.category("All").await;
    let first = pool.room(&ana, category, "first", Privacy::Open).await;
    let second = pool.room(&ana, category, "second", Privacy::Open).await;
    let live = pool.chat.connect(&bo).unwrap();
    live.join(vec![(first, None), (second, None)]).await;
    let disable = RoomChange { disabled: Some(true), ..RoomChange::default() };
    pool.chat.change_room(&ana, first, disable, Mode::Do).await.unwrap();
    let kicked =
        |room: RoomId| move |event: &Event| matches!(event, Event::Kicked { room: r, .. } if *r == room).then_some(());
    until(&live, kicked(first)).await;
    assert!(
        pool.chat.room(&bo, first).await.is_err(),
        "a disabled room is found by nobody but those who look after it"
    );

    let deny = holdfast_chat::categories::CategoryChange { denied: Some(vec![bo.user]), ..Default::default() };
    pool.chat.change_category(&root, category, deny, Mode::Do).await.unwrap();
    until(&live, kicked(second)).await;
}

#[tokio::test]
async fn a_room_that_is_too_large_tells_its_roster_no_longer() {
    let limits = Limits { roster: 4, ..Limits::default() };
    let pool = Pool::with(Options { limits, ..Options::default() }).await;
    let ana = pool.user("ana").await;
    let room = pool.room(&ana, pool.category("All").await, "desk", Privacy::Open).await;
    let mut lives = Vec::new();
    for i in 0..5 {
        let user = pool.user(&format!("u{i}")).await;
        let live = pool.chat.connect(&user).unwrap();
        live.join(vec![(room, None)]).await;
        lives.push(live);
    }
    let roster = pool.chat.roster(&ana, room).await.unwrap();
    assert_eq!((roster.count, roster.limited, roster.people.len()), (5, true, 0));
    let told = |limited: bool| {
        move |event: &Event| matches!(event, Event::Presence { limited: l, .. } if *l == limited).then_some(())
    };
    until(&lives[0], told(true)).await;
    lives.pop();
    lives.pop();
    until(&lives[0], told(false)).await;
    let roster = pool.chat.roster(&ana, room).await.unwrap();
    assert_eq!((roster.count, roster.limited, roster.people.len()), (3, false, 3));
}

#[tokio::test]
async fn a_reader_who_does_not_keep_up_is_put_out_and_the_others_are_not_held_up() {
    let pool = Pool::new().await;
    let (ana, bo) = (pool.user("ana").await, pool.user("bo").await);
    let room = pool.room(&ana, pool.category("All").await, "desk", Privacy::Open).await;
    let slow = pool.chat.connect(&bo).unwrap();
    slow.join(vec![(room, None)]).await;
    let mut posts = tokio::task::JoinSet::new();
    for i in 0..2_100 {
        let (chat, ana) = (pool.chat.clone(), ana.clone());
        posts.spawn(async move { chat.post(&ana, room, message(&format!("m{i}"))).await.unwrap() });
    }
    while posts.join_next().await.is_some() {}
    let events = slow.next(10).await;
    assert!(matches!(events[0].event(), Event::Bye(Bye::TooSlow)));
    assert!(slow.next(10).await.is_empty());
}

#[tokio::test]
async fn feeds_announce_what_matches_and_only_to_those_who_may_read_it() {
    let pool = Pool::new().await;
    let (ana, bo, eve) = (pool.user("ana").await, pool.user("bo").await, pool.user("eve").await);
    let category = pool.category("All").await;
    let room = pool.room(&ana, category, "rates", Privacy::Closed).await;
    let add = RoleChange { role: Role::Member, added: vec![bo.user], removed: vec![] };
    pool.chat.change_roles(&ana, room, vec![add], Mode::Do).await.unwrap();
    let feed = Feed {
        id: 0,
        name: "ECB".into(),
        words: vec!["ecb".into()],
        matching: Match::Any,
        authors: BTreeSet::<PrincipalId>::new(),
        rooms: BTreeSet::new(),
        notify: true,
    };
    let id = pool.chat.put_feed(&bo, feed.clone()).await.unwrap().id;
    pool.chat.put_feed(&eve, feed).await.unwrap();
    let (for_bo, for_eve) = (pool.chat.connect(&bo).unwrap(), pool.chat.connect(&eve).unwrap());
    let said = pool.say(&ana, room, "The ECB speaks").await.view.entry.seq;
    let told = until(&for_bo, |event| match event {
        Event::Feed { feed, seq, .. } => Some((*feed, *seq)),
        _ => None,
    })
    .await;
    assert_eq!(told, (id, said));
    let open = pool.room(&ana, category, "open", Privacy::Open).await;
    pool.say(&ana, open, "ECB again").await;
    let told = until(&for_eve, |event| match event {
        Event::Feed { room, .. } => Some(*room),
        _ => None,
    })
    .await;
    assert_eq!(told, open, "the closed room's message was not announced");
    pool.chat.follow(&bo, vec![room]).await.unwrap();
    let found = pool.chat.feed_entries(&bo, id, None, 10).await.unwrap();
    assert_eq!(found.hits.len(), 1);
}

#[tokio::test]
async fn what_a_room_says_to_a_stranger_is_what_no_room_says() {
    let pool = Pool::new().await;
    let (ana, eve) = (pool.user("ana").await, pool.user("eve").await);
    let secret = pool.room(&ana, pool.category("All").await, "secret", Privacy::Secret).await;
    let answer = async |room| pool.chat.room(&eve, room).await.unwrap_err().to_string();
    assert_eq!(answer(secret).await, answer(RoomId(999_999)).await);
    let live = pool.chat.connect(&eve).unwrap();
    let refused = live.join(vec![(secret, None), (RoomId(999_999), None)]).await;
    assert_eq!(refused[0].1.to_string(), refused[1].1.to_string());
    let all =
        pool.chat.rooms(&eve, holdfast_chat::rooms::RoomFilter { limit: 50, ..Default::default() }).await.unwrap();
    assert!(all.0.is_empty());
    done(pool.chat.delete_room(&holdfast_chat::Caller::operator(), secret, Mode::Do).await.unwrap());
}
