//! A share: where one site's log comes to lie in the other. A folder, mostly one that is mounted; or a bucket at S3, Google or Azure.
//!
//! Two things must never be mixed up: *absent* is an answer, *unreachable* is none. A share that is not mounted looks like an empty folder, and
//! a standby that takes it for an empty one is promoted without its last log. So a share is known by an object in it (the [`Marker`]), and
//! whoever says "absent" has seen that object after he looked. And a share that hangs, as network mounts do, must not make us hang: every call
//! has a deadline, and when too many calls are still out, no further one is made ([`calls`]). Where it lies is for [`place`].

mod calls;
mod clouds;
mod place;
mod words;

pub use clouds::reaches_shares;
pub use place::location_fault;

use calls::Calls;
use place::{Variables, store_at};

use crate::names::MARKER;
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the object says that makes a folder a share.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Marker {
    /// The pool.
    pub pool: String,
    /// The site in which the share lies.
    pub site: String,
    /// When it was made.
    pub created: jiff::Timestamp,
}

/// A share that was there when it was opened.
#[derive(Clone)]
pub struct Share {
    location: String,
    store: Arc<dyn ObjectStore>,
    prefix: ObjectPath,
    marker: Marker,
    calls: Calls,
}

/// What its store says of itself may have more in it than is for a log.
impl std::fmt::Debug for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Share").field("location", &self.location).field("marker", &self.marker).finish_non_exhaustive()
    }
}

/// An object, as a listing shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// Its name, from the top of the share.
    pub name: String,
    /// Its size as it is stored.
    pub size: u64,
    /// When it was written.
    pub modified: jiff::Timestamp,
    /// By what its store knows this content from another one under the name, if it does: what was written anew has another.
    pub tag: Option<String>,
}

/// What became of writing an object once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Put {
    /// It was not there; it is now, on disk.
    Created,
    /// It was there with just this content.
    SameAlready,
}

/// What a share could not do.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ShareError {
    /// It gave no answer, or one that says nothing about what is there.
    #[error("the share {share} cannot be reached: {why}; {}", place::advice(.share))]
    Unreachable {
        /// The share.
        share: String,
        /// Why.
        why: String,
    },
    /// It is there and is somebody else's.
    #[error("{share} is not the share that it should be: {why}")]
    NotOurs {
        /// The share.
        share: String,
        /// Why.
        why: String,
    },
    /// An object of that name is there, with other content. It was left as it is.
    #[error("{object} is on the share {share} already, with other content; it was left as it is")]
    Conflict {
        /// The share.
        share: String,
        /// The object.
        object: String,
    },
    /// It cannot keep what must be kept.
    #[error("the share {share} cannot be used: {why}")]
    Unsuitable {
        /// The share.
        share: String,
        /// Why.
        why: String,
    },
}

impl Share {
    /// Opens the share at a path or URL.
    ///
    /// # Errors
    /// [`ShareError::Unreachable`] also when there is no marker: a share that is not mounted looks just so.
    pub async fn open(location: &str, deadline: Duration) -> Result<Share, ShareError> {
        Share::open_by(location, deadline, &Variables::of_this_process()).await
    }

    async fn open_by(location: &str, deadline: Duration, variables: &Variables) -> Result<Share, ShareError> {
        let calls = Calls::new(location, deadline);
        let (store, prefix) = store_at(location, &calls, variables).await?;
        Share::with_store(store, prefix, calls).await
    }

    /// Opens a share and checks whose it is.
    ///
    /// # Errors
    /// As [`Share::open`]; [`ShareError::NotOurs`].
    pub async fn open_of(pool: &str, location: &str, deadline: Duration) -> Result<Share, ShareError> {
        let share = Share::open(location, deadline).await?;
        if share.marker.pool != pool {
            let why = format!("it is of the pool {}, not of {pool}", share.marker.pool);
            return Err(ShareError::NotOurs { share: share.location, why });
        }
        Ok(share)
    }

    /// Opens a share over a store that the caller made.
    ///
    /// # Errors
    /// As [`Share::open`].
    pub async fn over(store: Arc<dyn ObjectStore>, location: &str, deadline: Duration) -> Result<Share, ShareError> {
        Share::with_store(store, ObjectPath::default(), Calls::new(location, deadline)).await
    }

    async fn with_store(store: Arc<dyn ObjectStore>, prefix: ObjectPath, calls: Calls) -> Result<Share, ShareError> {
        let marker = read_marker(&store, &prefix, &calls).await?;
        Ok(Share { location: calls.share().to_owned(), store, prefix, marker, calls })
    }

    /// Makes a folder or a bucket that is there a share of a pool's site. Once more for the same pool and site changes nothing.
    ///
    /// # Errors
    /// [`ShareError::NotOurs`] when it is another's already.
    pub async fn init(location: &str, pool: &str, site: &str, deadline: Duration) -> Result<Share, ShareError> {
        Share::init_by(location, pool, site, deadline, &Variables::of_this_process()).await
    }

    async fn init_by(
        location: &str,
        pool: &str,
        site: &str,
        deadline: Duration,
        variables: &Variables,
    ) -> Result<Share, ShareError> {
        let calls = Calls::new(location, deadline);
        let (store, prefix) = store_at(location, &calls, variables).await?;
        let marker = Marker { pool: pool.to_owned(), site: site.to_owned(), created: jiff::Timestamp::now() };
        let bytes = serde_json::to_vec(&marker).unwrap_or_default();
        match create(&store, &child(&prefix, MARKER), bytes.into(), &calls).await? {
            Ok(()) | Err(object_store::Error::AlreadyExists { .. }) => {}
            Err(error) => return Err(calls.failed(&error)),
        }
        let share = Share::with_store(store, prefix, calls).await?;
        if share.marker.pool != pool || share.marker.site != site {
            let why = format!("it is that of the site {} of the pool {}", share.marker.site, share.marker.pool);
            return Err(ShareError::NotOurs { share: share.location, why });
        }
        Ok(share)
    }

    /// Where it is, as it was named.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// Whose it is.
    pub fn marker(&self) -> &Marker {
        &self.marker
    }

    /// An object's bytes; `None` says that it is not there, of a share that is.
    ///
    /// # Errors
    /// [`ShareError::Unreachable`]
    pub async fn get(&self, object: &str) -> Result<Option<Bytes>, ShareError> {
        let (store, path) = (Arc::clone(&self.store), child(&self.prefix, object));
        match self.calls.make(async move { store.get(&path).await?.bytes().await }).await? {
            Ok(bytes) => Ok(Some(bytes)),
            Err(object_store::Error::NotFound { .. }) => self.confirm().await.map(|()| None),
            Err(error) => Err(self.calls.failed(&error)),
        }
    }

    /// Whether an object is there, and how large it is as stored.
    ///
    /// # Errors
    /// [`ShareError::Unreachable`]
    pub async fn size_of(&self, object: &str) -> Result<Option<u64>, ShareError> {
        let (store, path) = (Arc::clone(&self.store), child(&self.prefix, object));
        match self.calls.make(async move { store.head(&path).await }).await? {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => self.confirm().await.map(|()| None),
            Err(error) => Err(self.calls.failed(&error)),
        }
    }

    /// All objects below a folder of the share, in the order of their names. The share was there before and after.
    ///
    /// # Errors
    /// [`ShareError::Unreachable`]
    pub async fn list(&self, folder: &str) -> Result<Vec<Listed>, ShareError> {
        self.confirm().await?;
        let (store, path) = (Arc::clone(&self.store), child(&self.prefix, folder));
        let found = self.calls.make(async move { store.list(Some(&path)).try_collect::<Vec<_>>().await }).await?;
        let found = found.map_err(|e| self.calls.failed(&e))?;
        self.confirm().await?;
        let top = if self.prefix.as_ref().is_empty() { 0 } else { self.prefix.as_ref().len() + 1 };
        let listed = found.into_iter().map(|meta| Listed {
            name: meta.location.as_ref().get(top..).unwrap_or_default().to_owned(),
            size: meta.size,
            modified: jiff::Timestamp::from_second(meta.last_modified.timestamp()).unwrap_or_default(),
            tag: meta.e_tag,
        });
        let mut listed: Vec<_> = listed.collect();
        listed.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(listed)
    }

    /// Writes an object unless one of that name is there. What is there is never changed.
    ///
    /// # Errors
    /// [`ShareError::Conflict`] when it is there with other content; [`ShareError::Unreachable`], after which it may be there.
    pub async fn put_once(&self, object: &str, bytes: Bytes) -> Result<Put, ShareError> {
        // Where nothing is mounted, a folder would take it all the same, and nobody would ever see it.
        self.confirm().await?;
        match create(&self.store, &child(&self.prefix, object), bytes.clone(), &self.calls).await? {
            // It may have been unmounted in between, and then it is in the folder behind it: that is no place where it counts as written.
            Ok(()) => self.confirm().await.map(|()| Put::Created),
            Err(object_store::Error::AlreadyExists { .. }) => match self.get(object).await? {
                Some(there) if there == bytes => Ok(Put::SameAlready),
                Some(_) => Err(ShareError::Conflict { share: self.location.clone(), object: object.to_owned() }),
                // S3 refuses one of two that write at once, perhaps before the other one is done, or fails.
                None => Err(self
                    .calls
                    .unreachable(format!("{object} was just being written by another one; do this again"))),
            },
            Err(error) => Err(self.calls.failed(&error)),
        }
    }

    /// Gives an object another name, unless that is taken. For what does not count: nothing that has a manifest is moved.
    ///
    /// # Errors
    /// [`ShareError::Conflict`] when the other name is taken.
    pub async fn set_aside(&self, object: &str, to: &str) -> Result<(), ShareError> {
        let (store, from, target) = (Arc::clone(&self.store), child(&self.prefix, object), child(&self.prefix, to));
        match self.calls.make(async move { store.rename_if_not_exists(&from, &target).await }).await? {
            Ok(()) => Ok(()),
            Err(object_store::Error::AlreadyExists { .. }) => {
                Err(ShareError::Conflict { share: self.location.clone(), object: to.to_owned() })
            }
            // S3 has no other names for what it holds.
            Err(object_store::Error::NotImplemented { .. } | object_store::Error::NotSupported { .. }) => {
                let Some(bytes) = self.get(object).await? else {
                    return Err(self.calls.unreachable(format!("{object} is not there any more")));
                };
                self.put_once(to, bytes).await?;
                self.delete(object).await
            }
            Err(error) => Err(self.calls.failed(&error)),
        }
    }

    /// Removes an object; that it is not there is well. For locks that are over and for what retention has planned.
    ///
    /// # Errors
    /// [`ShareError::Unreachable`]
    pub async fn delete(&self, object: &str) -> Result<(), ShareError> {
        let (store, path) = (Arc::clone(&self.store), child(&self.prefix, object));
        match self.calls.make(async move { store.delete(&path).await }).await? {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.calls.failed(&error)),
        }
    }

    /// Whether the share is still there.
    ///
    /// # Errors
    /// [`ShareError::Unreachable`]; [`ShareError::NotOurs`] when another one is there now.
    pub async fn confirm(&self) -> Result<(), ShareError> {
        let marker = read_marker(&self.store, &self.prefix, &self.calls).await?;
        if marker != self.marker {
            let why = format!("another one is there now, of the site {} of the pool {}", marker.site, marker.pool);
            return Err(ShareError::NotOurs { share: self.location.clone(), why });
        }
        Ok(())
    }

    /// Tries what all else relies on: an object can be created, a second one of its name cannot, it is read and listed as it was written.
    /// Answers how long that took. Some mounts of Windows shares have no hard links and fail here; some servers of buckets take no notice of
    /// `If-None-Match` and fail here too.
    ///
    /// # Errors
    /// [`ShareError::Unsuitable`]
    pub async fn probe(&self) -> Result<Duration, ShareError> {
        let begun = Instant::now();
        let object = format!("probe/{}", uuid::Uuid::new_v4());
        let unsuitable = |why: &str| ShareError::Unsuitable { share: self.location.clone(), why: why.to_owned() };
        self.put_once(&object, Bytes::from_static(b"first")).await?;
        let second = self.put_once(&object, Bytes::from_static(b"second")).await;
        let read = self.get(&object).await;
        let listed = self.list("probe").await;
        self.delete(&object).await?;
        if !matches!(second, Err(ShareError::Conflict { .. })) {
            return Err(unsuitable(
                "a second object of a name can be created, so that two writers would not notice each other",
            ));
        }
        if read? != Some(Bytes::from_static(b"first")) {
            return Err(unsuitable("what was written is not what is read"));
        }
        if !listed?.iter().any(|l| l.name == object && l.size == 5) {
            return Err(unsuitable("what was written is not listed"));
        }
        Ok(begun.elapsed())
    }
}

async fn read_marker(store: &Arc<dyn ObjectStore>, prefix: &ObjectPath, calls: &Calls) -> Result<Marker, ShareError> {
    let (store, path) = (Arc::clone(store), child(prefix, MARKER));
    match calls.make(async move { store.get(&path).await?.bytes().await }).await? {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map_err(|e| ShareError::NotOurs { share: calls.share().to_owned(), why: format!("its {MARKER}: {e}") }),
        // Of a bucket that is not there, a server says the same as of an object that is not.
        Err(error @ object_store::Error::NotFound { .. }) => {
            let said = words::with_causes(&error);
            let is_of_the_bucket = said.contains("NoSuchBucket") || said.contains("ContainerNotFound");
            let nothing = || calls.unreachable(format!("there is no {MARKER} in it, which every share has"));
            Err(if is_of_the_bucket { calls.failed(&error) } else { nothing() })
        }
        Err(error) => Err(calls.failed(&error)),
    }
}

async fn create(
    store: &Arc<dyn ObjectStore>,
    path: &ObjectPath,
    bytes: Bytes,
    calls: &Calls,
) -> Result<Result<(), object_store::Error>, ShareError> {
    let (store, path) = (Arc::clone(store), path.clone());
    let once = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
    calls.make(async move { store.put_opts(&path, PutPayload::from_bytes(bytes), once).await.map(drop) }).await
}

fn child(prefix: &ObjectPath, name: &str) -> ObjectPath {
    let parts = name.split('/').filter(|part| !part.is_empty());
    parts.fold(prefix.clone(), |path, part| path.join(part))
}

#[cfg(test)]
mod tests;
