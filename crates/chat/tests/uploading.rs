//! Files that are uploaded to no room, with a slot, and fetched by their address.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may stop at the first thing that is wrong"
)]

mod support;

use bytes::Bytes;
use holdfast_chat::posting::NewEdit;
use holdfast_chat::slots::SlotPaths;
use holdfast_chat::{Caller, ChatError, Mode, Options, Result};
use holdfast_domain::RoomId;
use holdfast_domain::entry::{EntryBody, FileRef, Stanza};
use holdfast_domain::room::Privacy;
use std::time::Duration;
use support::*;

const BODY: &[u8] = b"twelve bytes";

/// Address and name of a path.
fn parts(path: &str) -> (&str, &str) {
    path.strip_prefix("/files/").unwrap().split_once('/').unwrap()
}

async fn slot(pool: &Pool, who: &Caller) -> SlotPaths {
    pool.chat.upload_slot(who, "plan.txt", BODY.len() as u64, Some("Text/Plain")).await.unwrap()
}

async fn put(pool: &Pool, slot: &SlotPaths) -> Result<FileRef> {
    let (token, name) = parts(&slot.put);
    let length = Some(BODY.len() as u64);
    let mut upload = pool.chat.begin_in_slot(token, name, "text/plain; charset=utf-8", length).await?;
    upload.write(Bytes::from_static(BODY)).await?;
    upload.finish().await
}

/// Uploads a file, and answers its address as it is said.
async fn uploaded(pool: &Pool, who: &Caller) -> String {
    let slot = slot(pool, who).await;
    put(pool, &slot).await.unwrap();
    format!("https://chat.example.org{}", slot.get)
}

async fn is_there(pool: &Pool, url: &str) -> bool {
    let address = parts(url.strip_prefix("https://chat.example.org").unwrap()).0.to_owned();
    pool.chat.file_at(&address).await.is_ok()
}

fn files_of(posted: &holdfast_chat::posting::Posted) -> (String, usize) {
    match &posted.view.entry.body {
        Some(EntryBody::Message(message)) => (message.text.clone(), message.files.len()),
        other => panic!("{other:?}"),
    }
}

async fn desk(pool: &Pool, by: &Caller) -> RoomId {
    pool.room(by, pool.category("All").await, "desk", Privacy::Open).await
}

#[tokio::test]
async fn a_slot_is_good_once_for_one_file_and_a_while() {
    let pool = Pool::new().await;
    let ana = pool.user("ana").await;
    let one = slot(&pool, &ana).await;
    let (token, name) = parts(&one.put);
    for (token, name, media_type, length) in [
        (token, "other.txt", "text/plain", 12),
        (token, name, "text/html", 12),
        (token, name, "", 12),
        (token, name, "text/plain", 11),
        (parts(&one.get).0, name, "text/plain", 12),
        ("invented", name, "text/plain", 12),
    ] {
        let refused = pool.chat.begin_in_slot(token, name, media_type, Some(length)).await;
        assert!(matches!(refused.err(), Some(ChatError::Forbidden(_) | ChatError::Invalid(_))), "{name} {media_type}");
    }
    let address = parts(&one.get).0;
    assert!(pool.chat.file_at(address).await.is_err(), "nothing is there yet");
    let file = put(&pool, &one).await.unwrap();
    assert_eq!((file.name.as_str(), file.bytes, file.media_type.as_str()), ("plan.txt", 12, "text/plain"));
    assert_eq!(pool.chat.file_at(address).await.unwrap().file, file);
    assert!(put(&pool, &one).await.unwrap_err().to_string().contains("has been used"));

    // What comes is as long as was said, whatever is announced.
    let two = slot(&pool, &ana).await;
    let (token, name) = parts(&two.put);
    let mut upload = pool.chat.begin_in_slot(token, name, "text/plain", None).await.unwrap();
    upload.write(Bytes::from_static(b"short")).await.unwrap();
    assert!(matches!(upload.finish().await, Err(ChatError::Invalid(_))));
    let three = slot(&pool, &ana).await;
    let (token, name) = parts(&three.put);
    let mut upload = pool.chat.begin_in_slot(token, name, "text/plain", None).await.unwrap();
    assert!(matches!(upload.write(Bytes::from_static(b"more than twelve")).await, Err(ChatError::Invalid(_))));
    assert!(pool.chat.file_at(parts(&three.get).0).await.is_err());

    let late = slot(&pool, &ana).await;
    pool.pass(Duration::from_secs(301));
    assert!(put(&pool, &late).await.unwrap_err().to_string().contains("has ended"));
}

#[tokio::test]
async fn who_may_not_is_given_no_slot() {
    let mut options = Options::default();
    options.limits.file_bytes = 100;
    options.limits.unsent_bytes = 120;
    let pool = Pool::with(options).await;
    let (root, ana) = (pool.admin("root").await, pool.user("ana").await);
    let ask = async |name: &str, bytes| pool.chat.upload_slot(&ana, name, bytes, None).await.err();
    assert!(matches!(ask("a", 101).await, Some(ChatError::TooLarge { most: 100, .. })));
    assert!(matches!(ask("a", 0).await, Some(ChatError::Invalid(_))));
    for name in ["", "..", "x\u{202e}gpj.exe", "a\0b"] {
        assert!(matches!(ask(name, 1).await, Some(ChatError::Invalid(_))), "{name:?}");
    }
    // What was uploaded and not sent counts, for the web's uploads as well.
    let held = slot(&pool, &ana).await;
    let room = desk(&pool, &ana).await;
    pool.chat.begin_upload(&ana, room, "web.txt", Some(100)).await.unwrap();
    assert!(pool.chat.begin_upload(&ana, room, "more.txt", Some(30)).await.is_err());
    assert!(matches!(ask("a", 30).await, Some(ChatError::TooMany { .. })));
    assert!(ask("a", 20).await.is_none());
    // A slot is of no use to somebody who may not use chat any more.
    let change = holdfast_chat::people::UserChange { disabled: Some(true), ..Default::default() };
    done(pool.chat.change_user(&root, ana.user, change, Mode::Do).await.unwrap());
    assert!(matches!(put(&pool, &held).await, Err(ChatError::ChatNotAllowed)));
    assert!(matches!(ask("a", 1).await, Some(ChatError::ChatNotAllowed)));
}

#[tokio::test]
async fn said_in_a_room_a_file_is_an_attachment() {
    let pool = Pool::new().await;
    let (ana, bo) = (pool.user("ana").await, pool.user("bo").await);
    let room = desk(&pool, &ana).await;
    let url = uploaded(&pool, &ana).await;
    // Somebody else's word is a word, and takes nothing.
    assert_eq!(files_of(&pool.say(&bo, room, &url).await), (url.clone(), 0));
    let new = message(&url);
    let posted = pool.chat.post(&ana, room, new.clone()).await.unwrap();
    assert_eq!(files_of(&posted), (String::new(), 1));
    let again = pool.chat.post(&ana, room, new).await.unwrap();
    assert!(again.repeated && again.view.entry.seq == posted.view.entry.seq);
    assert_eq!(pool.chat.files_in(&bo, room, None, 10).await.unwrap().len(), 1);
    assert_eq!(files_of(&pool.say(&ana, room, &url).await), (url.clone(), 0), "it went with another");
    assert!(is_there(&pool, &url).await);
    pool.chat.retract_or_remove(&ana, room, posted.view.entry.seq, client_id(), None).await.unwrap();
    assert!(!is_there(&pool, &url).await, "it went out of sight with its message");

    // With words around it, and beside the text.
    let (one, two) = (uploaded(&pool, &ana).await, uploaded(&pool, &ana).await);
    let mut both = message(&format!("see {one} there"));
    let elements = format!("<x xmlns='jabber:x:oob'><url>{two}</url></x>");
    both.stanza = Some(Stanza { elements, ..Stanza::default() });
    let posted = pool.chat.post(&ana, room, both).await.unwrap();
    assert_eq!(files_of(&posted), (format!("see {one} there"), 2));
}

#[tokio::test]
async fn an_edit_gives_and_takes_files() {
    let pool = Pool::new().await;
    let (ana, bo) = (pool.user("ana").await, pool.user("bo").await);
    let room = desk(&pool, &ana).await;
    let seq = pool.say(&ana, room, "see").await.view.entry.seq;
    let edit = async |text: &str, keeps_files, elements: &str| {
        let stanza = (!elements.is_empty()).then(|| Stanza { elements: elements.into(), ..Stanza::default() });
        let new = NewEdit { client_id: client_id(), text: text.into(), title: None, action: None, keeps_files, stanza };
        match pool.chat.edit(&ana, room, seq, new).await?.view.entry.body {
            Some(EntryBody::Edit(edit)) => Ok((edit.text, edit.files.map(|files| files.len()))),
            other => panic!("{other:?}"),
        }
    };
    let text = |text: &str| text.to_owned();
    assert_eq!(edit("look", false, "").await.unwrap(), (text("look"), None));
    let (one, two) = (uploaded(&pool, &ana).await, uploaded(&pool, &ana).await);
    let others = uploaded(&pool, &bo).await;

    // Addresses at the end are told beside the text, those of others are words.
    assert_eq!(edit(&format!("look\n{one}\n"), false, "").await.unwrap(), (text("look"), Some(1)));
    assert_eq!(edit("look here", true, "").await.unwrap(), (text("look here"), Some(1)));
    assert_eq!(edit(&format!("{one}\n{two}"), false, "").await.unwrap(), (String::new(), Some(2)));
    assert_eq!(edit(&others, true, "").await.unwrap(), (others.clone(), Some(2)));
    let oob = format!("<x xmlns='jabber:x:oob'><url>{two}</url></x>");
    let beside = format!("look\n{two}");
    assert_eq!(edit(&beside, false, &oob).await.unwrap(), (beside.clone(), Some(1)));
    // What has no files any more says so, and may have them again.
    assert_eq!(edit("nothing", false, "").await.unwrap(), (text("nothing"), Some(0)));
    assert!(matches!(edit("", false, "").await, Err(ChatError::Invalid(_))), "it must say something");
    assert!(is_there(&pool, &one).await, "the records have it");
    assert_eq!(edit(&one, false, "").await.unwrap(), (String::new(), Some(1)));
    assert_eq!(files_of(&pool.say(&ana, room, &two).await), (two.clone(), 0), "it is that message's");
    let versions = pool.chat.versions(&ana, room, seq).await.unwrap();
    assert_eq!(versions.iter().map(|v| v.files.len()).collect::<Vec<_>>(), [0, 0, 1, 1, 2, 2, 1, 0, 1]);
}

#[tokio::test]
async fn said_to_one_a_file_stays_and_is_nobodys_attachment() {
    let pool = Pool::new().await;
    let (ana, bo) = (pool.user("ana").await, pool.user("bo").await);
    let room = desk(&pool, &ana).await;
    let url = uploaded(&pool, &ana).await;
    let payload = format!("<message><body>{url}</body></message>");
    pool.chat.send_direct(&ana, bo.user, client_id(), url.clone(), payload).await.unwrap();
    assert_eq!(files_of(&pool.say(&ana, room, &url).await), (url.clone(), 0));
    assert!(is_there(&pool, &url).await);
    let address = parts(url.strip_prefix("https://chat.example.org").unwrap()).0;
    let id = pool.chat.file_at(address).await.unwrap().file.id;
    // By its number alone it is its uploader's; by its address, everybody's who knows that.
    assert!(pool.chat.file(&ana, id).await.is_ok() && pool.chat.file(&bo, id).await.is_err());
}
