//! A share that is a container of Azure, or rather of Microsoft's emulator.

use super::*;
use holdfast_private_buckets::Azure;

const POOL: &str = "chat.litwareinc.com";

#[tokio::test]
#[ignore = "needs Azurite: `make test-faults`"]
async fn azure_keeps_what_is_written_once_and_tells_no_secret() {
    let azure = Azure::start();
    let variables = Variables::of(azure.variables());
    let at = azure.location("bos/share");
    let share = Share::init_by(&at, POOL, "bos", LONG, &variables).await.unwrap();
    keeps_what_is_written_once(&share).await;
    // Its other folders are other shares.
    let other = Share::init_by(&azure.location("atl"), POOL, "atl", LONG, &variables).await.unwrap();
    share.put_once("wal/x", "a".into()).await.unwrap();
    assert_eq!((other.get("wal/x").await, other.list("wal").await), (Ok(None), Ok(vec![])));
    let wrong = Share::init_by(&at, POOL, "atl", LONG, &variables).await.unwrap_err();
    assert!(wrong.to_string().contains("site bos"), "{wrong}");
    // What is written anew has another tag.
    let tag = async || share.list("wal").await.unwrap()[0].tag.clone().unwrap();
    let before = tag().await;
    share.delete("wal/x").await.unwrap();
    share.put_once("wal/x", "b".into()).await.unwrap();
    assert_ne!(before, tag().await);

    let with = |name: &str, value: &str| {
        let others = azure.variables().into_iter().filter(|(n, _)| n != name);
        Variables::of(others.chain([(name.to_owned(), value.to_owned())]))
    };
    let closed = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    for (location, name, value, words) in [
        (
            at.as_str(),
            "AZURE_STORAGE_ACCOUNT_KEY",
            "d3JvbmctYW5kLXNlY3JldA==",
            "is not that of AZURE_STORAGE_ACCOUNT_NAME",
        ),
        ("az://elsewhere/bos", "AZURE_ALLOW_HTTP", "true", "there is no such bucket"),
        (&at, "AZURE_STORAGE_ENDPOINT", &format!("http://{closed}/holdfasttest"), "onnection refused"),
        (&at, "AZURE_ALLOW_HTTP", "false", "http"),
    ] {
        let said = Share::open_by(location, LONG, &with(name, value)).await.unwrap_err();
        let told = format!("{said} {said:?}");
        assert!(matches!(said, ShareError::Unreachable { .. }) && told.contains(words), "{name}: {told}");
        assert!(!told.contains(&azure.secret()) && !told.contains("d3Jvbmct"), "{told}");
    }
}
