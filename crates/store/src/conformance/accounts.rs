//! Users' secrets.

use super::support::*;
use crate::accounts::{ScramKeys, Sha1Keys, SignIn, Token, Webhook};
use crate::{Store, StoreError};
use holdfast_domain::chain::Digest;
use std::sync::Arc;

pub(crate) async fn passwords_and_failures(store: Arc<dyn Store>) {
    let none = store.credentials(ANA).await.unwrap();
    assert!(none.scram.is_none() && none.failures == 0 && none.locked_until.is_none() && none.last_seen_at.is_none());

    store.note_sign_in(ANA, 3, Some(at(60)), None).await.unwrap();
    let locked = store.credentials(ANA).await.unwrap();
    assert_eq!((locked.failures, locked.locked_until, locked.last_seen_at), (3, Some(at(60)), None));

    let keys = ScramKeys { salt: vec![1, 2, 3], iterations: 4096, stored_key: [4; 32], server_key: [5; 32] };
    store.set_password(ANA, Some(keys.clone())).await.unwrap();
    let set = store.credentials(ANA).await.unwrap();
    assert!(set.scram == Some(keys) && set.failures == 0 && set.locked_until.is_none());

    store.note_sign_in(ANA, 0, None, Some(at(70))).await.unwrap();
    store.note_sign_in(ANA, 1, None, None).await.unwrap();
    let seen = store.credentials(ANA).await.unwrap();
    assert_eq!((seen.failures, seen.last_seen_at), (1, Some(at(70))));
    store.set_password(ANA, None).await.unwrap();
    let unset = store.credentials(ANA).await.unwrap();
    assert!(unset.scram.is_none() && unset.last_seen_at == Some(at(70)));
    assert!(store.credentials(BO).await.unwrap().scram.is_none());
}

pub(crate) async fn keys_for_old_clients(store: Arc<dyn Store>) {
    let keys = |n| ScramKeys { salt: vec![1], iterations: 4096, stored_key: [n; 32], server_key: [5; 32] };
    let old = |n| Sha1Keys { salt: vec![2, 3], iterations: 4096, stored_key: [n; 20], server_key: [7; 20] };
    assert!(store.sha1_keys(ANA).await.unwrap().is_none());
    store.put_sha1_keys(ANA, [1; 32], old(1)).await.unwrap();
    assert!(store.sha1_keys(ANA).await.unwrap().is_none(), "there is no such password");
    store.set_password(ANA, Some(keys(1))).await.unwrap();
    assert!(store.sha1_keys(ANA).await.unwrap() == Some(old(1)));
    store.set_password(ANA, Some(keys(2))).await.unwrap();
    assert!(store.sha1_keys(ANA).await.unwrap().is_none(), "another password ends them");
    store.put_sha1_keys(ANA, [2; 32], old(2)).await.unwrap();
    assert!(store.sha1_keys(ANA).await.unwrap() == Some(old(2)));
    store.set_password(ANA, None).await.unwrap();
    assert!(store.sha1_keys(ANA).await.unwrap().is_none() && store.sha1_keys(BO).await.unwrap().is_none());
}

pub(crate) async fn sign_ins(store: Arc<dyn Store>) {
    let sign_in = |n: u8, user| SignIn {
        id: 0,
        secret: Digest([n; 32]),
        user,
        created_at: at(n.into()),
        last_seen_at: at(n.into()),
        expires_at: at(1000 + i64::from(n)),
        agent: "Browser".into(),
        address: "::1".into(),
    };
    let mut ids = Vec::new();
    for (n, user) in [(1, ANA), (2, ANA), (3, BO), (4, ANA)] {
        ids.push(store.add_sign_in(sign_in(n, user)).await.unwrap());
    }
    let first = SignIn { id: ids[0], ..sign_in(1, ANA) };
    assert_eq!(store.sign_in(first.secret, at(1000)).await.unwrap(), Some(first.clone()));
    assert_eq!(store.sign_in(first.secret, at(1001)).await.unwrap(), None);
    assert_eq!(store.sign_in(Digest([9; 32]), at(0)).await.unwrap(), None);
    let taken = store.add_sign_in(sign_in(1, BO)).await;
    assert!(matches!(taken, Err(StoreError::Taken { .. })));

    let listed = async |now| store.sign_ins(ANA, at(now)).await.unwrap().iter().map(|s| s.id).collect::<Vec<_>>();
    assert_eq!(listed(1000).await, [ids[3], ids[1], ids[0]]);
    assert_eq!(listed(1002).await, [ids[3]]);

    store.touch(vec![(ids[0], at(500)), (ids[0], at(400)), (999, at(1))], vec![]).await.unwrap();
    assert_eq!(store.sign_in(first.secret, at(1000)).await.unwrap().unwrap().last_seen_at, at(500));

    assert!(!store.end_sign_in(BO, ids[0]).await.unwrap());
    assert!(store.end_sign_in(ANA, ids[0]).await.unwrap());
    assert!(!store.end_sign_in(ANA, ids[0]).await.unwrap());
    assert_eq!(store.sign_in(first.secret, at(0)).await.unwrap(), None);
    assert_eq!(store.end_sign_ins(ANA, Some(ids[1])).await.unwrap(), 1);
    assert_eq!(listed(0).await, [ids[1]]);
    assert_eq!(store.end_sign_ins(ANA, None).await.unwrap(), 1);
    assert_eq!(store.sign_ins(BO, at(0)).await.unwrap().len(), 1);
}

pub(crate) async fn tokens(store: Arc<dyn Store>) {
    let token = |n: u8, user, expires_at| Token {
        id: 0,
        secret: Digest([n; 32]),
        user,
        label: "a \"label\"".into(),
        scopes: vec!["read".into(), "post".into()],
        created_at: at(0),
        expires_at,
        last_used_at: None,
    };
    let forever = store.add_token(token(1, ANA, None)).await.unwrap();
    let short = store.add_token(token(2, ANA, Some(at(100)))).await.unwrap();
    let theirs = store.add_token(token(3, BO, None)).await.unwrap();
    assert!(matches!(store.add_token(token(3, ANA, None)).await, Err(StoreError::Taken { .. })));

    let kept = Token { id: forever, ..token(1, ANA, None) };
    assert_eq!(store.token(Digest([1; 32]), at(i64::MAX / 2)).await.unwrap(), Some(kept));
    assert!(store.token(Digest([2; 32]), at(99)).await.unwrap().is_some());
    assert!(store.token(Digest([2; 32]), at(100)).await.unwrap().is_none());
    let listed: Vec<i64> = store.tokens(ANA).await.unwrap().iter().map(|t| t.id).collect();
    assert_eq!(listed, [short, forever]);

    store.touch(vec![], vec![(theirs, at(7)), (theirs, at(5))]).await.unwrap();
    assert_eq!(store.tokens(BO).await.unwrap()[0].last_used_at, Some(at(7)));
    assert!(!store.end_token(ANA, theirs).await.unwrap());
    assert!(store.end_token(BO, theirs).await.unwrap());
    assert_eq!(store.end_tokens(ANA).await.unwrap(), 2);
    assert!(store.token(Digest([1; 32]), at(0)).await.unwrap().is_none());
}

pub(crate) async fn webhooks(store: Arc<dyn Store>) {
    let hook = |n: u8, room| Webhook {
        id: 0,
        secret: Digest([n; 32]),
        room,
        author: BO,
        label: "builds".into(),
        created_at: at(n.into()),
    };
    let one = store.add_webhook(hook(1, ROOM)).await.unwrap();
    let two = store.add_webhook(hook(2, ROOM)).await.unwrap();
    store.add_webhook(hook(3, OTHER)).await.unwrap();
    assert!(matches!(store.add_webhook(hook(3, ROOM)).await, Err(StoreError::Taken { .. })));
    assert_eq!(store.webhook(Digest([1; 32])).await.unwrap(), Some(Webhook { id: one, ..hook(1, ROOM) }));
    assert_eq!(store.webhooks(ROOM).await.unwrap().iter().map(|w| w.id).collect::<Vec<_>>(), [two, one]);
    assert!(!store.end_webhook(OTHER, one).await.unwrap());
    assert!(store.end_webhook(ROOM, one).await.unwrap());
    assert!(store.webhook(Digest([1; 32])).await.unwrap().is_none());
}
