//! Where a share lies: a folder, or a bucket of a server of one of the sorts in [`super::clouds`].
//!
//! A bucket is named `s3://BUCKET` or `s3://BUCKET/FOLDER`, and `gs://` or `az://` likewise. Which server it is and by which key it is reached stands in the
//! environment, in the variables that other tools for it read too, and never in the name, since names are shown and logged.

use super::calls::Calls;
use super::clouds::{Cloud, forms, reaches_shares};
use super::words::with_causes;
use super::{ObjectPath, ShareError};
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use std::path::PathBuf;
use std::sync::Arc;

/// A location that has the form of one.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Place {
    Folder(PathBuf),
    Bucket { cloud: Cloud, url: String, folder: ObjectPath },
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
        Variables(all.into_iter().filter(|(name, _)| reaches_shares(name.as_ref())).collect())
    }

    /// Those that begin so.
    pub(super) fn of_beginning<'a>(&'a self, beginning: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0
            .iter()
            .filter(move |(name, _)| name.starts_with(beginning))
            .map(|(name, value)| (name.as_str(), value.as_str()))
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
            Some((scheme, _)) => {
                return match Cloud::of_scheme(scheme) {
                    Some(cloud) => Place::bucket(cloud, location),
                    None if matches!(scheme, "http" | "https") => Err(format!(
                        "a share is a folder or one of {}, and nothing that begins with {scheme}://: WebDAV has no way to write an object only where none is, which keeps two from being primary",
                        forms()
                    )),
                    None => Err(format!(
                        "a share is a folder or one of {}, and nothing that begins with {scheme}://",
                        forms()
                    )),
                };
            }
        };
        if folder.is_absolute() {
            Ok(Place::Folder(folder))
        } else {
            Err("a folder is named by its whole path, from / on".to_owned())
        }
    }

    fn bucket(cloud: Cloud, location: &str) -> Result<Place, String> {
        let url: url::Url = location.parse().map_err(|e| format!("it is no address: {e}"))?;
        let has_more = url.port().is_some() || url.query().is_some() || url.fragment().is_some();
        if !url.username().is_empty() || url.password().is_some() || has_more {
            return Err(format!(
                "it is {} and nothing more: server and key are in {}",
                cloud.form(),
                cloud.elsewhere()
            ));
        }
        let bucket = url.host_str().filter(|host| !host.is_empty());
        let bucket = bucket.ok_or_else(|| format!("it names no bucket: {}", cloud.form()))?;
        let folder = ObjectPath::from_url_path(url.path()).map_err(|e| format!("its folder: {e}"))?;
        Ok(Place::Bucket { cloud, url: format!("{}://{bucket}", cloud.scheme()), folder })
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
        Place::Bucket { cloud, url, folder } => {
            let store = cloud.bucket(&url, calls.deadline(), variables).map_err(|e| unsuitable(with_causes(&e)))?;
            Ok((store, folder))
        }
    }
}

/// What may help, behind what went wrong.
pub(super) fn advice(location: &str) -> &'static str {
    match location.split_once("://").and_then(|(scheme, _)| Cloud::of_scheme(scheme)) {
        None => "is it mounted, and does its machine answer?",
        Some(cloud) => cloud.advice(&Variables::of_this_process()),
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
        for (cloud, name) in [(Cloud::S3, "s3://bucket"), (Cloud::Google, "gs://bucket"), (Cloud::Azure, "az://bucket")]
        {
            let bucket = Place::Bucket { cloud, url: name.into(), folder: ObjectPath::from("a/b") };
            assert_eq!(Place::parse(&format!("{name}/a/b/")), Ok(bucket));
        }
        for (bad, why) in [
            ("share", "whole path"),
            ("file://share", "whole path"),
            ("", "whole path"),
            ("s3://", "no bucket"),
            ("s3:///a", "no bucket"),
            ("s3://key:secret@bucket/a", "nothing more"),
            ("s3://bucket/a?x=1", "nothing more"),
            ("gs:///a", "no bucket: gs://BUCKET/FOLDER"),
            ("az://account:secret@container/a", "AZURE_STORAGE_ACCOUNT_KEY"),
            ("gs://bucket:8000/a", "GOOGLE_SERVICE_ACCOUNT"),
            ("https://bucket.example/a", "WebDAV has no way to write an object only where none is"),
            ("ftp://bucket/a", "one of s3://BUCKET/FOLDER, gs://BUCKET/FOLDER, az://CONTAINER/FOLDER"),
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
        assert!(Cloud::S3.advice(&variables).starts_with("no key"));
        for (cloud, name) in [
            (Cloud::S3, "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
            (Cloud::Google, "GOOGLE_SERVICE_ACCOUNT"),
            (Cloud::Azure, "AZURE_STORAGE_ACCOUNT_KEY"),
        ] {
            let variables = Variables::of([pair(name, "x")]);
            assert!(cloud.advice(&variables).starts_with("does its server answer"), "{name}");
            let of_others = [Cloud::S3, Cloud::Google, Cloud::Azure].into_iter().filter(|other| *other != cloud);
            assert!(of_others.into_iter().all(|other| other.advice(&variables).starts_with("no key")), "{name}");
        }
    }
}
