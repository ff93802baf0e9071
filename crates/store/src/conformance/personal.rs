//! What belongs to one person.

use super::support::*;
use crate::Store;
use crate::personal::{Invitation, Reading};
use holdfast_domain::feed::{Feed, Match};
use holdfast_domain::{EntryBody, RoomId, Seq};
use std::sync::Arc;

pub(crate) async fn unread_is_what_comes_after_the_position(store: Arc<dyn Store>) {
    make_rooms(&*store, &[ROOM, OTHER]).await;
    let bodies = [say("a"), naming("b", &[BO]), edit(Seq(2), "c"), naming("d", &[BO, ANA]), say("e")];
    write(&*store, bodies.into_iter().map(|b| draft(ROOM, ANA, b)).collect()).await;
    let reading = async || {
        let Reading { room, read, unread, mentions } = store.readings(BO, vec![ROOM]).await.unwrap()[0];
        assert_eq!(room, ROOM);
        (read.0, unread, mentions)
    };

    assert_eq!(reading().await, (0, 4, 2));
    store.mark_read(vec![(BO, ROOM, Seq(3)), (ANA, ROOM, Seq(1))]).await.unwrap();
    assert_eq!(reading().await, (3, 2, 1));
    store.mark_read(vec![(BO, ROOM, Seq(2))]).await.unwrap();
    assert_eq!(reading().await, (3, 2, 1));
    // What was removed counts on, so that counts do not jump; it names nobody any more.
    put(&*store, ROOM, ANA, EntryBody::Retraction { of: Seq(5), mark: None }).await;
    assert_eq!(reading().await, (3, 2, 0));
    put(&*store, ROOM, ANA, EntryBody::Purge { through: Seq(5) }).await;
    assert_eq!(reading().await, (3, 2, 0));
    store.mark_read(vec![(BO, ROOM, Seq(i64::MAX))]).await.unwrap();
    assert_eq!(reading().await, (8, 0, 0));
    put(&*store, ROOM, ANA, say("f")).await;
    assert_eq!(reading().await, (8, 1, 0));
    store.mark_read(vec![(BO, RoomId(99), Seq(5)), (BO, ROOM, Seq(-5))]).await.unwrap();

    let rooms = vec![OTHER, ROOM, RoomId(99), OTHER];
    let all = store.readings(BO, rooms.clone()).await.unwrap();
    assert_eq!(all.iter().map(|r| r.room).collect::<Vec<_>>(), rooms);
}

pub(crate) async fn following_keeps_its_order(store: Arc<dyn Store>) {
    let rooms = [3, 1, 2].map(RoomId);
    make_rooms(&*store, &rooms).await;
    for room in rooms {
        put(&*store, room, ANA, say("before")).await;
    }
    store.follow(BO, rooms[..2].to_vec()).await.unwrap();
    store.follow(BO, vec![RoomId(2), RoomId(3)]).await.unwrap();
    store.follow(ANA, vec![RoomId(1)]).await.unwrap();
    assert_eq!(store.followed(BO).await.unwrap(), rooms);
    assert_eq!(store.followers(RoomId(1)).await.unwrap(), [ANA, BO]);

    // Followed for the first time, a room counts as read; after that its position is what was read.
    put(&*store, RoomId(1), ANA, say("after")).await;
    let unread = async || store.readings(BO, vec![RoomId(1)]).await.unwrap()[0].unread;
    assert_eq!(unread().await, 1);
    store.unfollow(BO, vec![RoomId(1), RoomId(99)]).await.unwrap();
    store.follow(BO, vec![RoomId(1)]).await.unwrap();
    assert_eq!(unread().await, 1);
    assert_eq!(store.followed(BO).await.unwrap(), [3, 2, 1].map(RoomId));
}

pub(crate) async fn invitations_come_and_go(store: Arc<dyn Store>) {
    let to = |user, room, ms| Invitation { id: 77, user, room, by: ANA, at: at(ms), seen: false };
    let kept = store.invite(vec![to(BO, ROOM, 1), to(BO, OTHER, 2), to(ANA, ROOM, 3)]).await.unwrap();
    assert_eq!(store.invitations(BO).await.unwrap(), [kept[1].clone(), kept[0].clone()]);
    assert!(store.invitation_seen(BO, kept[0].id).await.unwrap());
    assert!(!store.invitation_seen(ANA, kept[0].id).await.unwrap());
    assert!(store.invitations(BO).await.unwrap()[1].seen);

    let again = store.invite(vec![to(BO, ROOM, 4)]).await.unwrap();
    assert_eq!(store.invitations(BO).await.unwrap(), [again[0].clone(), kept[1].clone()]);
    assert!(!store.end_invitation(ANA, again[0].id).await.unwrap());
    assert!(store.end_invitation(BO, again[0].id).await.unwrap());
    assert!(!store.end_invitation(BO, again[0].id).await.unwrap());
    assert_eq!(store.invitations(BO).await.unwrap(), kept[1..2]);
    assert_eq!(store.invitations(ANA).await.unwrap().len(), 1);
}

pub(crate) async fn feeds_come_and_go(store: Arc<dyn Store>) {
    let feed = |id, name: &str, notify| Feed {
        id,
        name: name.into(),
        words: vec!["ECB".into(), "rate".into()],
        matching: Match::All,
        authors: [ANA].into(),
        rooms: [ROOM, OTHER].into(),
        notify,
    };
    let one = store.put_feed(BO, feed(0, "one", false)).await.unwrap().unwrap();
    let two = store.put_feed(BO, feed(0, "two", true)).await.unwrap().unwrap();
    assert_eq!(store.feeds(BO).await.unwrap(), [feed(one, "one", false), feed(two, "two", true)]);
    assert_eq!(store.announcing_feeds().await.unwrap(), [(BO, feed(two, "two", true))]);

    assert_eq!(store.put_feed(BO, feed(one, "three", true)).await.unwrap(), Some(one));
    assert_eq!(store.put_feed(ANA, feed(one, "mine", true)).await.unwrap(), None);
    assert_eq!(store.feeds(BO).await.unwrap()[0], feed(one, "three", true));
    assert_eq!(store.announcing_feeds().await.unwrap().len(), 2);
    assert!(!store.end_feed(ANA, one).await.unwrap());
    assert!(store.end_feed(BO, two).await.unwrap());
    assert_ne!(store.put_feed(BO, feed(0, "four", false)).await.unwrap(), Some(two));
}

pub(crate) async fn preferences_are_kept_as_they_were_put(store: Arc<dyn Store>) {
    assert_eq!(store.preferences(BO).await.unwrap(), None);
    for json in [r#"{"theme":"dark"}"#, "{}"] {
        store.put_preferences(BO, json.into()).await.unwrap();
        assert_eq!(store.preferences(BO).await.unwrap().as_deref(), Some(json));
    }
    assert_eq!(store.preferences(ANA).await.unwrap(), None);
}
