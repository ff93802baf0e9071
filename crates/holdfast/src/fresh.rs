//! A data directory in the making: built beside its place and moved there when it is whole, so that a power cut leaves either
//! nothing or all of it.

use crate::data::DataDir;
use crate::exit::refused;
use anyhow::{Context as _, Result};
use std::fs::File;
use std::path::{Path, PathBuf};

/// The directory in the making. Dropped without [`FreshDir::publish`], it disappears.
#[derive(Debug)]
pub(crate) struct FreshDir {
    target: PathBuf,
    making: tempfile::TempDir,
}

impl FreshDir {
    /// Begins the directory that will be at `target`.
    ///
    /// # Errors
    /// When something is there already.
    pub(crate) fn begin(target: &Path) -> Result<Self> {
        check_free(target)?;
        let target = std::path::absolute(target).context("finding the directory we are in")?;
        let parent = target.parent().with_context(|| format!("{} has no directory above it", target.display()))?;
        std::fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
        let making = tempfile::Builder::new()
            .prefix(".holdfast-making-")
            .tempdir_in(parent)
            .with_context(|| format!("making a directory in {}", parent.display()))?;
        Ok(Self { target, making })
    }

    /// The directory while it is made.
    pub(crate) fn dir(&self) -> DataDir {
        DataDir::new(self.making.path())
    }

    /// Makes everything in it durable and moves it to its place.
    pub(crate) fn publish(self) -> Result<()> {
        let Self { target, making } = self;
        for entry in std::fs::read_dir(making.path()).context("reading the new directory")? {
            let path = entry.context("reading the new directory")?.path();
            if path.is_file() {
                File::open(&path)
                    .and_then(|f| f.sync_all())
                    .with_context(|| format!("writing {} to disk", path.display()))?;
            }
        }
        sync(making.path())?;
        // An empty directory may be there (a mount point made by hand); anything else was refused, and is now again.
        if target.is_dir() {
            std::fs::remove_dir(&target)
                .with_context(|| format!("replacing the empty directory {}", target.display()))?;
        }
        let made = making.keep();
        std::fs::rename(&made, &target)
            .with_context(|| format!("moving {} to {}", made.display(), target.display()))?;
        target.parent().map_or(Ok(()), sync)
    }
}

/// Fails unless `target` is not there or empty.
pub(crate) fn check_free(target: &Path) -> Result<()> {
    let shown = target.display();
    match std::fs::read_dir(target).map(|mut entries| entries.next()) {
        Ok(None) => Ok(()),
        Ok(_) if DataDir::new(target).holds_a_pool() => Err(refused(format!(
            "{shown} holds a pool already, and nothing of it is overwritten; name another directory with --data"
        ))),
        Ok(_) => Err(refused(format!("{shown} is not empty; name a new directory with --data"))),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e).with_context(|| format!("looking into {shown}")),
    }
}

fn sync(dir: &Path) -> Result<()> {
    File::open(dir).and_then(|f| f.sync_all()).with_context(|| format!("writing {} to disk", dir.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_there_whole_or_not_at_all() {
        let tmp = tempfile::tempdir().unwrap();
        let target = tmp.path().join("pool");
        let fresh = FreshDir::begin(&target).unwrap();
        std::fs::write(fresh.dir().database(), "x").unwrap();
        drop(fresh);
        assert_eq!(std::fs::read_dir(tmp.path()).unwrap().count(), 0);

        let fresh = FreshDir::begin(&target).unwrap();
        std::fs::write(fresh.dir().database(), "x").unwrap();
        fresh.publish().unwrap();
        assert!(DataDir::new(&target).holds_a_pool());
        assert!(FreshDir::begin(&target).unwrap_err().to_string().contains("holds a pool already"));
    }
}
