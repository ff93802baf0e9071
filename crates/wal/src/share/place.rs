//! Where a share lies: a folder, or a bucket of a server that speaks S3.
//!
//! A bucket is named `s3://BUCKET` or `s3://BUCKET/FOLDER`. Which server it is and by which key it is reached stands in the environment, in the `AWS_...`
//! variables that every other tool for S3 reads too, and never in the name, since names are shown and logged. What is asked of the server beside the
//! usual: that it refuses to write over an object when it is told so (`If-None-Match: *`), which [`super::Share::probe`] tries.

use super::calls::Calls;
use super::words::with_causes;
use super::{ObjectPath, ShareError};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::client::ClientConfigKey;
use object_store::local::LocalFileSystem;
use object_store::{BackoffConfig, ObjectStore, RetryConfig};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What the name of a bucket begins with.
pub(super) const S3: &str = "s3://";

/// The beginning of the variables that say how a bucket is reached.
pub const S3_VARIABLES: &str = "AWS_";

/// A location that has the form of one.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Place {
    Folder(PathBuf),
    Bucket { url: String, folder: ObjectPath },
}

/// How buckets are reached: the variables of this process. A test gives its own.
#[derive(Clone)]
pub(super) struct Variables(Vec<(String, String)>);

impl Variables {
    pub(super) fn of_this_process() -> Variables {
        let all =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Variables::of(all)
    }

    pub(super) fn of(all: impl IntoIterator<Item = (String, String)>) -> Variables {
        Variables(all.into_iter().filter(|(name, _)| name.starts_with(S3_VARIABLES)).collect())
    }

    /// Whether they say who we are. Else the server is asked that a rented machine has beside it, which elsewhere does not answer.
    fn name_a_key(&self) -> bool {
        let ways = ["AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS"];
        self.0.iter().any(|(name, value)| ways.iter().any(|way| name.starts_with(way)) && !value.is_empty())
    }
}

/// What is wrong with the name of a share, if it can be seen from the name alone.
pub fn location_fault(location: &str) -> Option<String> {
    Place::parse(location).err()
}

impl Place {
    fn parse(location: &str) -> Result<Place, String> {
        let folder = match location.split_once("://") {
            None => PathBuf::from(location),
            Some(("file", path)) => PathBuf::from(path),
            Some(("s3", _)) => return Place::bucket(location),
            Some((other, _)) => {
                return Err(format!(
                    "a share is a folder or s3://BUCKET/FOLDER, and nothing that begins with {other}://"
                ));
            }
        };
        if folder.is_absolute() {
            Ok(Place::Folder(folder))
        } else {
            Err("a folder is named by its whole path, from / on".to_owned())
        }
    }

    fn bucket(location: &str) -> Result<Place, String> {
        let url: url::Url = location.parse().map_err(|e| format!("it is no address: {e}"))?;
        let has_more = url.port().is_some() || url.query().is_some() || url.fragment().is_some();
        if !url.username().is_empty() || url.password().is_some() || has_more {
            let text = "it is s3://BUCKET/FOLDER and nothing more: server and key are in AWS_ENDPOINT, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
            return Err(text.to_owned());
        }
        let bucket = url.host_str().filter(|host| !host.is_empty()).ok_or("it names no bucket: s3://BUCKET/FOLDER")?;
        let folder = ObjectPath::from_url_path(url.path()).map_err(|e| format!("its folder: {e}"))?;
        Ok(Place::Bucket { url: format!("{S3}{bucket}"), folder })
    }
}

/// The store at a location, and the folder in it.
pub(super) async fn store_at(
    location: &str,
    calls: &Calls,
    variables: &Variables,
) -> Result<(Arc<dyn ObjectStore>, ObjectPath), ShareError> {
    let unsuitable = |why: String| ShareError::Unsuitable { share: location.to_owned(), why };
    match Place::parse(location).map_err(unsuitable)? {
        Place::Folder(folder) => {
            // Even looking whether the folder is there may hang.
            let opening = tokio::task::spawn_blocking(move || {
                std::fs::read_dir(&folder).map_err(|e| format!("its folder: {e}"))?;
                LocalFileSystem::new_with_prefix(folder).map_err(|e| with_causes(&e))
            });
            let opened = calls.make(opening).await?.map_err(|panicked| calls.unreachable(panicked.to_string()))?;
            let store = opened.map_err(|why| calls.unreachable(why))?;
            Ok((Arc::new(store.with_fsync(true)), ObjectPath::default()))
        }
        Place::Bucket { url, folder } => {
            let store = bucket(&url, calls.deadline(), variables).map_err(|e| unsuitable(with_causes(&e)))?;
            Ok((store, folder))
        }
    }
}

fn bucket(url: &str, deadline: Duration, variables: &Variables) -> Result<Arc<dyn ObjectStore>, object_store::Error> {
    let mut builder = AmazonS3Builder::new();
    for (name, value) in &variables.0 {
        // There are more of them than concern us.
        if let Ok(key) = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>() {
            builder = builder.with_config(key, value);
        }
    }
    // A call that nobody waits for any more must not try for minutes: too many of those, and no further one is made.
    let retry = RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(2),
            base: 2.,
        },
        max_retries: 3,
        retry_timeout: deadline,
    };
    let within = |time: Duration| format!("{}ms", time.as_millis());
    let builder = builder
        .with_url(url)
        .with_retry(retry)
        // One by one: not every server knows how to delete many at once.
        .with_config(AmazonS3ConfigKey::DisableBulkDelete, "true")
        .with_config(AmazonS3ConfigKey::Client(ClientConfigKey::Timeout), within(deadline))
        .with_config(
            AmazonS3ConfigKey::Client(ClientConfigKey::ConnectTimeout),
            within(deadline.min(Duration::from_secs(5))),
        );
    Ok(Arc::new(builder.build()?))
}

/// What may help, behind what went wrong.
pub(super) fn advice(location: &str) -> &'static str {
    if !location.starts_with(S3) {
        "is it mounted, and does its machine answer?"
    } else if Variables::of_this_process().name_a_key() {
        "does its server answer, and are AWS_ENDPOINT, AWS_REGION and the key in AWS_ACCESS_KEY_ID right?"
    } else {
        "no key is in the environment: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_a_whole_path_or_a_bucket_and_says_no_secret() {
        for good in ["/srv/share", "file:///srv/share", "s3://bucket", "s3://bucket/", "s3://bucket.of.us/a/b c"] {
            assert_eq!(location_fault(good), None, "{good}");
        }
        let bucket = Place::Bucket { url: "s3://bucket".into(), folder: ObjectPath::from("a/b") };
        assert_eq!(Place::parse("s3://bucket/a/b/"), Ok(bucket));
        for (bad, why) in [
            ("share", "whole path"),
            ("file://share", "whole path"),
            ("", "whole path"),
            ("s3://", "no bucket"),
            ("s3:///a", "no bucket"),
            ("s3://key:secret@bucket/a", "nothing more"),
            ("s3://bucket/a?x=1", "nothing more"),
            ("https://bucket.example/a", "begins with https"),
            ("gs://bucket/a", "begins with gs"),
        ] {
            let said = location_fault(bad).unwrap_or_else(|| panic!("{bad} was taken"));
            assert!(said.contains(why) && !said.contains("secret@"), "{bad}: {said}");
        }
    }

    #[test]
    fn only_what_says_how_a_bucket_is_reached_is_taken_from_the_environment() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let variables =
            Variables::of([pair("HOME", "/root"), pair("AWS_REGION", "bos"), pair("AWS_ACCESS_KEY_ID", "")]);
        assert_eq!(variables.0.len(), 2);
        assert!(!variables.name_a_key());
        assert!(Variables::of([pair("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://x")]).name_a_key());
    }
}
