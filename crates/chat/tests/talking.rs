//! Saying something, and what becomes of it.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may stop at the first thing that is wrong"
)]

mod support;

use holdfast_chat::posting::{Matching, NewEdit, NewMessage};
use holdfast_chat::{ChatError, Mode, Outcome};
use holdfast_domain::entry::EntryBody;
use holdfast_domain::room::{Privacy, RoomType};
use holdfast_domain::{Seq, Time};
use holdfast_store::log::{From, Gone};
use holdfast_store::search::Words;
use std::time::Duration;
use support::{Pool, client_id, done, message, new_room};

fn edit(text: &str) -> NewEdit {
    let (client_id, text) = (client_id(), text.into());
    NewEdit { client_id, text, title: None, action: None, keeps_files: true, stanza: None }
}

#[tokio::test]
async fn the_same_client_id_yields_the_same_entry() {
    let pool = Pool::new().await;
    let ana = pool.user("ana").await;
    let room = pool.room(&ana, pool.category("All").await, "desk", Privacy::Open).await;
    let draft = message("once");
    let first = pool.chat.post(&ana, room, draft.clone()).await.unwrap();
    let second = pool.chat.post(&ana, room, draft.clone()).await.unwrap();
    assert!(!first.repeated && second.repeated);
    assert_eq!(first.view.entry, second.view.entry);

    let pool = pool.restart().await;
    let third = pool.chat.post(&ana, room, draft).await.unwrap();
    assert!(third.repeated);
    assert_eq!(first.view.entry.hash, third.view.entry.hash);
}

#[tokio::test]
async fn many_at_once_get_numbers_without_gaps_in_few_transactions() {
    let pool = Pool::new().await;
    let ana = pool.user("ana").await;
    let room = pool.room(&ana, pool.category("All").await, "desk", Privacy::Open).await;
    let before = pool.chat.status();
    let posts: Vec<_> = (0..500)
        .map(|i| {
            let (chat, ana) = (pool.chat.clone(), ana.clone());
            tokio::spawn(async move { chat.post(&ana, room, message(&format!("m{i}"))).await.unwrap().view.entry.seq })
        })
        .collect();
    let mut seqs = Vec::new();
    for post in posts {
        seqs.push(post.await.unwrap().0);
    }
    seqs.sort_unstable();
    let first = seqs[0];
    assert_eq!(seqs, (first..first + 500).collect::<Vec<_>>());
    let status = pool.chat.status();
    assert_eq!(status.entries - before.entries, 500);
    let commits = status.commits - before.commits;
    assert!(commits < 250, "{commits} transactions for 500 posts: posts that arrive together commit together");
}

#[tokio::test]
async fn an_author_edits_and_takes_back_within_the_time_for_it() {
    let pool = Pool::new().await;
    let (ana, bo) = (pool.user("ana").await, pool.user("bo").await);
    let room = pool.room(&ana, pool.category("All").await, "desk", Privacy::Open).await;
    let seq = pool.say(&ana, room, "teh price").await.view.entry.seq;

    let refused = pool.chat.edit(&bo, room, seq, edit("mine")).await.unwrap_err();
    assert_eq!(refused.to_string(), "only its author may change a message");
    pool.chat.edit(&ana, room, seq, edit("the price")).await.unwrap();
    let shown = pool.chat.history(&bo, room, From::Latest, 10).await.unwrap();
    let row = shown.entries.iter().find(|e| e.entry.seq == seq).unwrap();
    assert_eq!(row.edited.as_ref().unwrap().text, "the price");
    let versions = pool.chat.versions(&ana, room, seq).await.unwrap();
    assert_eq!(versions.iter().map(|v| v.text.as_str()).collect::<Vec<_>>(), ["teh price", "the price"]);

    pool.pass(Duration::from_secs(3_601));
    let late = pool.chat.edit(&ana, room, seq, edit("too late")).await.unwrap_err();
    assert_eq!(late.to_string(), "the time in which its author may change a message is over");

    let second = pool.say(&bo, room, "oops").await.view.entry.seq;
    pool.chat.retract_or_remove(&bo, room, second, client_id(), None).await.unwrap();
    let shown = pool.chat.history(&ana, room, From::Around(second), 5).await.unwrap();
    let row = shown.entries.iter().find(|e| e.entry.seq == second).unwrap();
    assert_eq!(row.removed.as_ref().unwrap().how, Gone::Retracted);
    assert_eq!(row.entry.body, None, "what is out of sight is not sent to readers");
    let again = pool.chat.edit(&bo, room, second, edit("x")).await.unwrap_err();
    assert!(matches!(again, ChatError::Conflict(_)));
}

#[tokio::test]
async fn a_moderator_removes_with_a_reason_and_it_stays_in_the_records() {
    let pool = Pool::new().await;
    let (ana, bo) = (pool.user("ana").await, pool.user("bo").await);
    let room = pool.room(&ana, pool.category("All").await, "desk", Privacy::Open).await;
    let seq = pool.say(&bo, room, "something rude").await.view.entry.seq;
    let refused = pool.chat.retract_or_remove(&ana, room, seq, client_id(), None).await.unwrap_err();
    assert_eq!(refused.to_string(), "reason: is needed to remove a message as a moderator");
    pool.chat.retract_or_remove(&ana, room, seq, client_id(), Some("rude".into())).await.unwrap();
    let shown = pool.chat.history(&bo, room, From::Latest, 10).await.unwrap();
    let removed = shown.entries.iter().find(|e| e.entry.seq == seq).unwrap().removed.clone().unwrap();
    assert_eq!(
        (removed.how, removed.by.name.as_str(), removed.reason.as_deref()),
        (Gone::Removed, "ana", Some("rude"))
    );
    let kept = pool.chat.versions(&ana, room, seq).await.unwrap();
    assert_eq!(kept[0].text, "something rude", "whoever moderates still sees the original");
    assert!(pool.chat.versions(&bo, room, seq).await.is_err());
}

#[tokio::test]
async fn messages_are_removed_by_author_dates_and_words() {
    let pool = Pool::new().await;
    let (root, ana, bo) = (pool.admin("root").await, pool.user("ana").await, pool.user("bo").await);
    let room = pool.room(&ana, pool.category("All").await, "desk", Privacy::Open).await;
    let password = pool.say(&bo, room, "the Password is swordfish").await.view.entry.seq;
    pool.say(&bo, room, "the password is secret").await;
    pool.say(&ana, room, "which password").await;
    let what = |erase| Matching {
        author: Some(bo.user),
        from: None,
        to: None,
        words: Some("Password is".into()),
        matching: Words::Phrase,
        case_sensitive: true,
        replace_with: Some("[removed]".into()),
        reason: "a password".into(),
        erase,
    };
    assert!(pool.chat.remove_matching(&ana, room, what(true), Mode::Do).await.is_err(), "administrators' work");
    let Outcome::Would(changes) = pool.chat.remove_matching(&root, room, what(true), Mode::WhatIf).await.unwrap()
    else {
        panic!("changed something");
    };
    assert!(changes[0].starts_with("1 messages would be removed and erased"), "{changes:?}");
    let removed = done(pool.chat.remove_matching(&root, room, what(true), Mode::Do).await.unwrap());
    assert_eq!(removed, [password]);
    let shown = pool.chat.history(&ana, room, From::Latest, 10).await.unwrap();
    let row = shown.entries.iter().find(|e| e.entry.seq == password).unwrap();
    assert_eq!(row.removed.as_ref().unwrap().replacement.as_deref(), Some("[removed]"));
    assert!(pool.chat.versions(&root, room, password).await.is_err(), "erased means erased");
    let verified = pool.chat.verify(&root, None, |_| {}).await.unwrap();
    assert_eq!(verified.faults, 0);
}

#[tokio::test]
async fn a_room_is_cleared_up_to_a_date_and_still_verifies() {
    let pool = Pool::new().await;
    let (root, ana) = (pool.admin("root").await, pool.user("ana").await);
    let room = pool.room(&ana, pool.category("All").await, "desk", Privacy::Open).await;
    for i in 0..20 {
        pool.say(&ana, room, &format!("old {i}")).await;
    }
    let middle = pool.chat.now();
    pool.say(&ana, room, "new").await;
    let through = done(pool.chat.clear(&root, room, middle, Mode::Do).await.unwrap());
    assert!(through > Seq(20));
    let shown = pool.chat.history(&ana, room, From::Latest, 100).await.unwrap();
    let texts: Vec<_> = shown.entries.iter().filter_map(|e| e.entry.body.as_ref()).filter_map(text).collect();
    assert_eq!(texts, ["new"]);
    assert_eq!(pool.chat.verify(&root, Some(room), |_| {}).await.unwrap().faults, 0);
    assert_eq!(done(pool.chat.clear(&root, room, Time::EPOCH, Mode::Do).await.unwrap()), Seq::ZERO);
}

#[tokio::test]
async fn what_was_said_before_a_date_is_cleared_in_its_later_words_too() {
    let pool = Pool::new().await;
    let (root, ana) = (pool.admin("root").await, pool.user("ana").await);
    let room = pool.room(&ana, pool.category("All").await, "desk", Privacy::Open).await;
    let seq = pool.say(&ana, room, "first words").await.view.entry.seq;
    let date = pool.chat.now();
    let later = pool.say(&ana, room, "later").await.view.entry.seq;
    let edited = pool.chat.edit(&ana, room, seq, edit("other words")).await.unwrap().view.entry.seq;
    let kept = pool.chat.edit(&ana, room, later, edit("later still")).await.unwrap().view.entry.seq;
    done(pool.chat.clear(&root, room, date, Mode::Do).await.unwrap());
    let shown = pool.chat.history(&ana, room, From::Latest, 100).await.unwrap();
    let body = |seq| shown.entries.iter().find(|e| e.entry.seq == seq).unwrap().entry.body.clone();
    assert_eq!(body(edited), None, "the edit's words are gone");
    assert!(body(kept).is_some(), "the edit of what was said after the date stays");
    assert_eq!(pool.chat.verify(&root, Some(room), |_| {}).await.unwrap().faults, 0);
}

fn text(body: &EntryBody) -> Option<&str> {
    match body {
        EntryBody::Message(m) => Some(&m.text),
        _ => None,
    }
}

#[tokio::test]
async fn only_presenters_post_in_an_auditorium() {
    let pool = Pool::new().await;
    let (ana, bo) = (pool.user("ana").await, pool.user("bo").await);
    let mut new = new_room(pool.category("All").await, "town hall", Privacy::Open);
    new.room_type = RoomType::Auditorium;
    new.presenters = vec![bo.user];
    let room = done(pool.chat.add_room(&ana, new, Mode::Do).await.unwrap()).room.id;
    let refused = pool.chat.post(&ana, room, message("hello")).await.unwrap_err();
    assert_eq!(refused.to_string(), "only presenters post in an auditorium");
    pool.say(&bo, room, "hello").await;
}

#[tokio::test]
async fn what_is_wrong_with_a_message_is_named() {
    let pool = Pool::new().await;
    let ana = pool.user("ana").await;
    let room = pool.room(&ana, pool.category("All").await, "desk", Privacy::Open).await;
    let why = async |m: NewMessage| pool.chat.post(&ana, room, m).await.unwrap_err().to_string();
    assert_eq!(why(message(" \n ")).await, "text: must not be empty");
    assert_eq!(why(message(&"x".repeat(8_001))).await, "text: has 8001 characters; at most 8000 are allowed");
    assert_eq!(
        why(NewMessage { title: Some(" ".into()), ..message("x") }).await,
        "title: a story needs a title; leave it out for a message"
    );
    assert!(why(message("a\u{0}b")).await.contains("U+0000 at position 2"));
    let story = NewMessage { title: Some("Long read".into()), alert: true, ..message(&"x".repeat(9_000)) };
    pool.chat.post(&ana, room, story).await.unwrap();
}

#[tokio::test]
async fn a_clock_that_runs_backwards_does_not_turn_the_log_around() {
    let pool = Pool::new().await;
    let ana = pool.user("ana").await;
    let room = pool.room(&ana, pool.category("All").await, "desk", Privacy::Open).await;
    let first = pool.say(&ana, room, "one").await.view.entry;
    pool.now.fetch_sub(86_400_000, std::sync::atomic::Ordering::SeqCst);
    let second = pool.say(&ana, room, "two").await.view.entry;
    assert!(second.at >= first.at && second.seq > first.seq);
    assert_eq!(pool.chat.verify(&holdfast_chat::Caller::operator(), None, |_| {}).await.unwrap().faults, 0);
}
