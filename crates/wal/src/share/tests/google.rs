//! A share in a bucket at Google. There is no emulator of its XML interface to be had that knows the condition on which everything rests; so what is shown
//! here is that the variables are heeded, and that a server that speaks like it and takes no notice of that condition is refused.

use super::*;
use holdfast_private_buckets::S3;

#[tokio::test]
async fn a_server_that_writes_over_what_is_there_is_refused() {
    let careless = S3::start_careless();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let variables = Variables::of([
        pair("GOOGLE_BASE_URL", &careless.address()),
        pair("GOOGLE_ALLOW_HTTP", "true"),
        pair("GOOGLE_BEARER_TOKEN", "any"),
    ]);
    let share = Share::init_by("gs://pool/bos", "chat.litwareinc.com", "bos", LONG, &variables).await.unwrap();
    assert!(careless.file("bos", MARKER).is_file(), "it lies where it is looked for");
    assert_eq!(share.list("").await.unwrap().len(), 1);
    let said = share.probe().await.unwrap_err();
    assert!(matches!(said, ShareError::Unsuitable { .. }), "{said}");
    assert!(said.to_string().contains("two writers would not notice each other"), "{said}");
}
