//! A share that is a bucket of a real S3 server.

use super::*;
use holdfast_private_buckets::{S3, SECRET};

const POOL: &str = "chat.litwareinc.com";

fn variables(s3: &S3) -> Variables {
    Variables::of(s3.variables())
}

fn with(s3: &S3, name: &str, value: &str) -> Variables {
    Variables::of(s3.variables().into_iter().filter(|(n, _)| n != name).chain([(name.to_owned(), value.to_owned())]))
}

async fn share_in(s3: &S3, folder: &str) -> Share {
    Share::init_by(&s3.location(folder), POOL, "bos", LONG, &variables(s3)).await.unwrap()
}

#[tokio::test]
async fn a_bucket_keeps_what_is_written_once() {
    let s3 = S3::start();
    let share = share_in(&s3, "bos/share").await;
    keeps_what_is_written_once(&share).await;
    // Its other folders are other shares.
    let other = Share::init_by(&s3.location("atl"), POOL, "atl", LONG, &variables(&s3)).await.unwrap();
    share.put_once("wal/x", "a".into()).await.unwrap();
    assert_eq!((other.get("wal/x").await, other.list("wal").await), (Ok(None), Ok(vec![])));
    assert!(s3.file("bos/share", "wal/x").is_file(), "it lies where it is looked for");
    // More than one page of a listing.
    for n in 0..1_005 {
        let path = s3.file("atl", &format!("many/{n:04}"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "x").unwrap();
    }
    let many = other.list("many").await.unwrap();
    assert_eq!((many.len(), many[1_004].name.as_str()), (1_005, "many/1004"));
}

#[tokio::test]
async fn a_bucket_is_a_share_of_one_pool_and_site() {
    let s3 = S3::start();
    share_in(&s3, "bos").await;
    share_in(&s3, "bos").await;
    let at = s3.location("bos");
    let other = Share::init_by(&at, POOL, "atl", LONG, &variables(&s3)).await.unwrap_err();
    assert!(other.to_string().contains("site bos"), "{other}");
    let share = Share::open_by(&at, LONG, &variables(&s3)).await.unwrap();
    // F26: emptied, it is no empty share.
    std::fs::remove_file(s3.file("bos", MARKER)).unwrap();
    for said in [share.get("none").await.unwrap_err(), share.put_once("wal/x", "a".into()).await.unwrap_err()] {
        assert!(matches!(said, ShareError::Unreachable { .. }) && said.to_string().contains(MARKER), "{said}");
    }
    assert!(!s3.file("bos", "wal/x").exists());
}

#[tokio::test]
async fn what_is_wrong_with_it_is_told_in_words_and_no_secret_is() {
    let s3 = S3::start();
    let share = share_in(&s3, "bos").await;
    let at = s3.location("bos");
    let closed = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let nobody = format!("http://{closed}");
    for (location, name, value, words) in [
        (at.as_str(), "AWS_ACCESS_KEY_ID", "SOMEBODY", "does not know the key that AWS_ACCESS_KEY_ID names"),
        (
            &at,
            "AWS_SECRET_ACCESS_KEY",
            "wrong-and-secret",
            "AWS_SECRET_ACCESS_KEY does not belong to AWS_ACCESS_KEY_ID",
        ),
        ("s3://elsewhere/bos", "AWS_REGION", "us-east-1", "there is no such bucket"),
        (&at, "AWS_ENDPOINT", &nobody, "onnection refused"),
        (&at, "AWS_ALLOW_HTTP", "false", "http"),
    ] {
        let variables = with(&s3, name, value);
        for said in [
            Share::open_by(location, LONG, &variables).await.unwrap_err(),
            Share::init_by(location, POOL, "bos", LONG, &variables).await.unwrap_err(),
        ] {
            let told = format!("{said} {said:?}");
            assert!(matches!(said, ShareError::Unreachable { .. }) && told.contains(words), "{name}: {told}");
            assert!(told.contains(location), "{told}");
            for secret in [SECRET, "wrong-and-secret", "StringToSign"] {
                assert!(!told.contains(secret), "{told}");
            }
        }
    }
    assert!(!format!("{share:?}").contains(SECRET));
}

#[tokio::test]
async fn a_server_that_is_killed_is_unreachable_and_is_back_when_it_is() {
    let mut s3 = S3::start();
    let share = share_in(&s3, "bos").await;
    share.put_once("wal/x", "a".into()).await.unwrap();
    s3.stop();
    let begun = Instant::now();
    for said in [
        share.get("wal/x").await.unwrap_err(),
        share.get("none").await.unwrap_err(),
        share.list("wal").await.unwrap_err(),
        share.put_once("wal/y", "a".into()).await.unwrap_err(),
        share.delete("wal/x").await.unwrap_err(),
        share.confirm().await.unwrap_err(),
    ] {
        assert!(matches!(said, ShareError::Unreachable { .. }), "{said}");
    }
    assert!(begun.elapsed() < LONG, "{:?}", begun.elapsed());
    s3.start_again();
    assert_eq!(share.get("wal/x").await.unwrap().unwrap(), "a");
    assert_eq!(share.get("wal/y").await, Ok(None));
}

/// F27: a server that takes the call and never answers.
#[tokio::test]
async fn f27_a_server_that_hangs_is_unreachable_after_the_deadline() {
    let s3 = S3::start();
    share_in(&s3, "bos").await;
    let mute = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let variables = with(&s3, "AWS_ENDPOINT", &format!("http://{}", mute.local_addr().unwrap()));
    let begun = Instant::now();
    let said = Share::open_by(&s3.location("bos"), SHORT, &variables).await.unwrap_err();
    assert!(matches!(said, ShareError::Unreachable { .. }), "{said}");
    assert!(begun.elapsed() < LONG, "{:?}", begun.elapsed());
}
