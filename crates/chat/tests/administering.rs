//! Accounts, and what administrators and managers may do to whom.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may stop at the first thing that is wrong"
)]

mod support;

use holdfast_chat::accounts::NewToken;
use holdfast_chat::event::{Bye, Event};
use holdfast_chat::importing::ImportedMessage;
use holdfast_chat::people::{GroupChange, NewGroup, UserChange};
use holdfast_chat::rooms::{RoomChange, RoomFilter};
use holdfast_chat::{AccountOptions, Caller, ChatError, Mode, Options, Outcome};
use holdfast_domain::room::{Privacy, Role, RoleChange};
use holdfast_domain::{PrincipalId, Time};
use holdfast_store::log::From;
use std::time::Duration;
use support::{Pool, client_id, done, message, new_room, password, until};
use uuid::Uuid;

#[tokio::test]
async fn signing_in_works_by_the_right_password_only_and_locks_after_too_many_wrong_ones() {
    let accounts = AccountOptions { lock_after: 3, attempts_per_minute: 1_000, ..AccountOptions::default() };
    let pool = Pool::with(Options { accounts, ..Options::default() }).await;
    pool.user("ana").await;
    assert!(matches!(pool.sign_in("nobody", "x").await, Err(ChatError::BadCredentials)));
    let signed_in = pool.sign_in("ANA", &password("ana")).await.unwrap();
    let caller = pool.chat.caller_of_sign_in(&signed_in.secret).await.unwrap();
    assert_eq!(caller.user, signed_in.user);

    for _ in 0..3 {
        assert!(matches!(pool.sign_in("ana", "wrong").await, Err(ChatError::BadCredentials)));
    }
    assert!(matches!(pool.sign_in("ana", &password("ana")).await, Err(ChatError::LockedOut { .. })));
    pool.pass(Duration::from_secs(15 * 60 + 1));
    pool.sign_in("ana", &password("ana")).await.unwrap();
}

#[tokio::test]
async fn an_ended_sign_in_is_worth_nothing_and_ends_live_connections() {
    let pool = Pool::new().await;
    pool.user("ana").await;
    let secret = pool.sign_in("ana", &password("ana")).await.unwrap().secret;
    let caller = pool.chat.caller_of_sign_in(&secret).await.unwrap();
    let live = pool.chat.connect(&caller).unwrap();
    pool.chat.sign_out(&caller).await.unwrap();
    until(&live, |event| matches!(event, Event::Bye(Bye::SessionEnded)).then_some(())).await;
    assert!(matches!(pool.chat.caller_of_sign_in(&secret).await, Err(ChatError::NotSignedIn)));
    let expiring = pool.sign_in("ana", &password("ana")).await.unwrap().secret;
    pool.pass(Duration::from_secs(31 * 86_400));
    assert!(matches!(pool.chat.caller_of_sign_in(&expiring).await, Err(ChatError::NotSignedIn)));
}

#[tokio::test]
async fn a_changed_password_ends_the_other_sign_ins() {
    let pool = Pool::new().await;
    pool.user("ana").await;
    let here = pool.sign_in("ana", &password("ana")).await.unwrap().secret;
    let there = pool.sign_in("ana", &password("ana")).await.unwrap().secret;
    let caller = pool.chat.caller_of_sign_in(&here).await.unwrap();
    let refused = pool.chat.change_password(&caller, "wrong", "a new password").await.unwrap_err();
    assert_eq!(refused.to_string(), "current: is not your password");
    pool.chat.change_password(&caller, &password("ana"), "a new password").await.unwrap();
    assert!(pool.chat.caller_of_sign_in(&here).await.is_ok());
    assert!(pool.chat.caller_of_sign_in(&there).await.is_err());
    assert!(pool.sign_in("ana", "a new password").await.is_ok());
}

#[tokio::test]
async fn a_token_does_what_its_scopes_say_and_no_more() {
    let pool = Pool::new().await;
    let ana = pool.admin("ana").await;
    let room = pool.room(&ana, pool.category("All").await, "desk", Privacy::Open).await;
    let new = |scopes: &[&str]| NewToken {
        label: "reader".into(),
        scopes: scopes.iter().map(|s| (*s).to_owned()).collect(),
        expires_at: None,
    };
    let (token, secret) = pool.chat.add_token(&ana, ana.user, new(&["read"])).await.unwrap();
    let reader = pool.chat.caller_of_token(&secret).await.unwrap();
    pool.chat.history(&reader, room, From::Latest, 10).await.unwrap();
    let refused = pool.chat.post(&reader, room, message("x")).await.unwrap_err();
    assert_eq!(refused.to_string(), "this token is not for that; it would need the scope `post`");
    let refused = pool.chat.add_token(&reader, ana.user, new(&["admin"])).await.unwrap_err();
    assert!(matches!(refused, ChatError::Forbidden(_)), "a token that leaked cannot make another");
    assert!(
        pool.chat
            .add_token(&ana, ana.user, new(&["everything"]))
            .await
            .unwrap_err()
            .to_string()
            .starts_with("scopes[0]")
    );
    pool.chat.end_token(&ana, ana.user, token.id).await.unwrap();
    assert!(pool.chat.caller_of_token(&secret).await.is_err());
}

#[tokio::test]
async fn the_first_user_needs_the_code_that_the_server_printed() {
    let pool = Pool::new().await;
    let code = pool.chat.first_user_code().unwrap().unwrap();
    let make = async |code: &str| pool.chat.make_first_user(code, "root", "long enough password", None).await;
    assert!(make("wrong").await.unwrap_err().to_string().starts_with("code: is not the one"));
    make(&code.to_uppercase().replace('-', " ")).await.unwrap();
    assert!(matches!(make(&code).await, Err(ChatError::Conflict(_))));
    assert_eq!(pool.chat.first_user_code().unwrap(), None);
}

#[tokio::test]
async fn the_last_administrator_stays_one() {
    let pool = Pool::new().await;
    let root = pool.admin("root").await;
    let change = UserChange { disabled: Some(true), ..UserChange::default() };
    let refused = pool.chat.change_user(&root, root.user, change.clone(), Mode::Do).await.unwrap_err();
    assert!(refused.to_string().starts_with("this is the last administrator"));
    pool.admin("second").await;
    pool.chat.change_user(&root, root.user, change, Mode::Do).await.unwrap();
}

#[tokio::test]
async fn the_wall_between_traders_and_analysts_holds() {
    let pool = Pool::new().await;
    let (ana, bo) = (pool.user("ana").await, pool.user("bo").await);
    let operator = Caller::operator();
    let group = async |name: &str, who: &Caller| {
        let new = NewGroup { name: name.into(), display_name: None, members: vec![who.user] };
        done(pool.chat.add_group(&operator, new, Mode::Do).await.unwrap()).group.id
    };
    let traders = group("traders", &ana).await;
    let analysts = group("analysts", &bo).await;
    let trading = pool.category_of("Trading", vec![traders], vec![analysts], vec![traders]).await;
    let research = pool.category_of("Research", vec![analysts], vec![], vec![analysts]).await;

    let mut new = new_room(trading, "block trades", Privacy::Closed);
    new.members = vec![bo.user];
    let refused = pool.chat.add_room(&ana, new, Mode::Do).await.unwrap_err();
    assert_eq!(refused.to_string(), "members[0]: bo is not admitted by the category Trading");
    let refused = pool.chat.add_room(&ana, new_room(research, "x", Privacy::Open), Mode::Do).await.unwrap_err();
    assert!(matches!(refused, ChatError::Unknown("this category")));
    let room = pool.room(&ana, trading, "block trades", Privacy::Open).await;
    assert!(pool.chat.history(&bo, room, From::Latest, 1).await.is_err());

    // Denied wins: even a trader who joins the analysts is out.
    let join = GroupChange { add: vec![ana.user], ..GroupChange::default() };
    pool.chat.change_group(&operator, analysts, join, Mode::Do).await.unwrap();
    assert!(matches!(pool.chat.post(&ana, room, message("x")).await, Err(ChatError::Unknown(_))));
}

#[tokio::test]
async fn a_moved_room_loses_those_whom_the_new_category_does_not_admit() {
    let pool = Pool::new().await;
    let (root, ana, bo) = (pool.admin("root").await, pool.user("ana").await, pool.user("bo").await);
    let room = pool.room(&ana, pool.category("All").await, "desk", Privacy::Closed).await;
    let add = RoleChange { role: Role::Member, added: vec![bo.user], removed: vec![] };
    pool.chat.change_roles(&ana, room, vec![add], Mode::Do).await.unwrap();
    let narrow = pool.category_of("Narrow", vec![ana.user], vec![], vec![]).await;
    let change = RoomChange { category: Some(narrow), ..RoomChange::default() };
    assert!(pool.chat.change_room(&ana, room, change.clone(), Mode::Do).await.is_err(), "she may not create there");
    let Outcome::Would(changes) = pool.chat.change_room(&root, room, change.clone(), Mode::WhatIf).await.unwrap()
    else {
        panic!("changed something");
    };
    assert_eq!(changes, ["Room desk: category is now Narrow", "Removed from the members: bo"]);
    pool.chat.change_room(&root, room, change, Mode::Do).await.unwrap();
    let roles = pool.chat.roles(&ana, room).await.unwrap();
    assert_eq!(roles.members.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["ana"]);
}

#[tokio::test]
async fn managers_disable_and_only_administrators_enable_and_delete() {
    let pool = Pool::new().await;
    let (root, ana) = (pool.admin("root").await, pool.user("ana").await);
    let room = pool.room(&ana, pool.category("All").await, "desk", Privacy::Closed).await;
    let set = |disabled| RoomChange { disabled: Some(disabled), ..RoomChange::default() };
    pool.chat.change_room(&ana, room, set(true), Mode::Do).await.unwrap();
    let refused = pool.chat.change_room(&ana, room, set(false), Mode::Do).await.unwrap_err();
    assert_eq!(refused.to_string(), "only administrators may");
    pool.chat.change_room(&root, room, set(false), Mode::Do).await.unwrap();
    assert!(pool.chat.delete_room(&ana, room, Mode::Do).await.is_err());
    pool.chat.delete_room(&root, room, Mode::Do).await.unwrap();
    assert!(matches!(pool.chat.room(&ana, room).await, Err(ChatError::Unknown(_))));
    let (audit, _) = pool.chat.audit(&root, None, 10).await.unwrap();
    assert!(audit[0].changes[0].starts_with("Room desk was deleted"), "{:?}", audit[0].changes);
}

#[tokio::test]
async fn whoever_policy_keeps_out_of_chat_gets_nothing() {
    let accounts = AccountOptions { chat_by_default: false, attempts_per_minute: 1_000, ..AccountOptions::default() };
    let pool = Pool::with(Options { accounts, ..Options::default() }).await;
    let (root, ana) = (pool.admin("root").await, pool.user("ana").await);
    assert!(matches!(pool.chat.rooms(&ana, RoomFilter::default()).await, Err(ChatError::ChatNotAllowed)));
    assert!(matches!(pool.chat.connect(&ana), Err(ChatError::ChatNotAllowed)));
    let may = GroupChange { may_chat: Some(Some(true)), ..GroupChange::default() };
    pool.chat.change_group(&root, PrincipalId::EVERYONE, may, Mode::Do).await.unwrap();
    assert!(pool.chat.rooms(&ana, RoomFilter::default()).await.is_ok());
}

#[tokio::test]
async fn an_import_run_again_doubles_nothing() {
    let pool = Pool::new().await;
    let (root, ana) = (pool.admin("root").await, pool.user("ana").await);
    let room = pool.room(&ana, pool.category("All").await, "ubuntu", Privacy::Open).await;
    let batch: Vec<ImportedMessage> = (0..100)
        .map(|i| ImportedMessage {
            at: Time::from_millis(1_100_000_000_000 + i * 60_000),
            author: ["|trey|", "[trey]", "bob2"][usize::try_from(i % 3).unwrap()].into(),
            text: format!("line {i}"),
            action: false,
            key: Uuid::from_u128(u128::try_from(i).unwrap()),
        })
        .collect();
    let first = pool.chat.import(&root, room, batch.clone()).await.unwrap();
    assert_eq!((first.imported, first.repeated, first.authors_created), (100, 0, 3));
    let pool = pool.restart().await;
    let second = pool.chat.import(&root, room, batch).await.unwrap();
    assert_eq!((second.imported, second.repeated, second.authors_created), (0, 100, 0));
    let page = pool.chat.history(&ana, room, From::At(Time::from_millis(1_100_000_000_000)), 10).await.unwrap();
    let focus = page.focus.unwrap();
    let shown = page.entries.iter().find(|e| e.entry.seq == focus).unwrap();
    assert_eq!(shown.entry.shown_at(), Time::from_millis(1_100_000_000_000));
    assert_eq!(shown.author.display_name, "|trey|");
    let removed = pool.chat.retract_or_remove(&ana, room, focus, client_id(), Some("spam".into())).await;
    assert!(removed.is_ok());
}

#[tokio::test]
async fn files_go_with_one_message_and_out_of_sight_with_it() {
    let pool = Pool::new().await;
    let (ana, bo) = (pool.user("ana").await, pool.user("bo").await);
    let room = pool.room(&ana, pool.category("All").await, "desk", Privacy::Open).await;
    let mut upload = pool.chat.begin_upload(&ana, room, "../notes.txt", None).await.unwrap();
    for _ in 0..10 {
        upload.write(bytes::Bytes::from(vec![b'x'; 100_000])).await.unwrap();
    }
    let file = upload.finish().await.unwrap();
    assert_eq!((file.name.as_str(), file.bytes, file.media_type.as_str()), ("notes.txt", 1_000_000, "text/plain"));
    assert!(pool.chat.file(&bo, file.id).await.is_err(), "not sent yet");
    let mut with_file = message("");
    with_file.files = vec![file.id];
    let posted = pool.chat.post(&ana, room, with_file.clone()).await.unwrap();
    assert!(pool.chat.post(&ana, room, with_file).await.unwrap().repeated);
    pool.chat.file(&bo, file.id).await.unwrap();
    let mut length = 0;
    for index in 0.. {
        match pool.chat.file_chunk(file.id, index).await.unwrap() {
            Some(chunk) => length += chunk.len(),
            None => break,
        }
    }
    assert_eq!(length, 1_000_000);
    let mut again = message("again");
    again.files = vec![file.id];
    assert!(pool.chat.post(&ana, room, again).await.unwrap_err().to_string().starts_with("files[0]"));
    pool.chat.retract_or_remove(&ana, room, posted.view.entry.seq, client_id(), None).await.unwrap();
    assert!(pool.chat.file(&bo, file.id).await.is_err());

    let too_large = pool.chat.begin_upload(&ana, room, "x", Some(u64::MAX)).await;
    assert!(matches!(too_large.err(), Some(ChatError::TooLarge { .. })));
}
