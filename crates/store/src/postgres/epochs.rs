//! The highest epoch that this server has ever heard of. It never goes back: not when an old primary returns, and not when the server is started
//! anew, since it is kept in a file.
//!
//! Whoever is at a lower one is *stale*: another database has taken its place, and what it takes is lost.

use super::error::unavailable;
use crate::Result;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;
use tokio::sync::watch;

/// What was heard.
pub(super) struct Epochs {
    highest: watch::Sender<i64>,
    /// Where it is kept; held while it is written, so that an older one is never written over a newer.
    file: Option<Mutex<PathBuf>>,
}

impl Epochs {
    /// Reads what was heard before.
    pub(super) fn open(file: Option<PathBuf>) -> Result<Epochs> {
        let before = match &file {
            Some(path) => read(path).map_err(|why| {
                unavailable(format!(
                    "{} does not tell the highest epoch that this server has heard of ({why}); write into it the epoch that `holdfast pool status` \
                     of another server shows, or remove it if there is none",
                    path.display()
                ))
            })?,
            None => 0,
        };
        Ok(Epochs { highest: watch::Sender::new(before), file: file.map(Mutex::new) })
    }

    /// The highest so far; 0 before the first.
    pub(super) fn highest(&self) -> i64 {
        *self.highest.borrow()
    }

    /// Wakes whoever waits for a higher one.
    pub(super) fn subscribe(&self) -> watch::Receiver<i64> {
        self.highest.subscribe()
    }

    /// Where it is kept, to be told.
    pub(super) fn place(&self) -> Option<PathBuf> {
        self.file.as_ref().map(|file| file.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// Takes note of an epoch. On disk, if it is news, before anybody acts upon it.
    pub(super) fn hear(&self, epoch: i64) {
        if epoch <= self.highest() {
            return;
        }
        let file = self.file.as_ref().map(|file| file.lock().unwrap_or_else(PoisonError::into_inner));
        if epoch <= self.highest() {
            return;
        }
        if let Some(path) = &file
            && let Err(error) = write(path, epoch)
        {
            tracing::warn!(%error, epoch, path = %path.display(), "the epoch cannot be kept; after a restart it would have to be heard of again");
        }
        self.highest.send_if_modified(|highest| std::mem::replace(highest, epoch.max(*highest)) < epoch);
    }
}

fn read(path: &Path) -> std::result::Result<i64, String> {
    match std::fs::read_to_string(path) {
        Ok(text) => match text.trim().parse() {
            Ok(epoch) if epoch >= 0 => Ok(epoch),
            _ => Err("it holds no number".into()),
        },
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(e) => Err(e.to_string()),
    }
}

fn write(path: &Path, epoch: i64) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    writeln!(file, "{epoch}")?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    // A path of one part has an empty parent.
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_goes_back_and_outlives_the_process() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("epoch");
        let epochs = Epochs::open(Some(file.clone())).unwrap();
        let mut heard = epochs.subscribe();
        assert_eq!(epochs.highest(), 0);
        for (heard_of, highest) in [(3, 3), (2, 3), (3, 3), (1_001, 1_001), (4, 1_001)] {
            epochs.hear(heard_of);
            assert_eq!(epochs.highest(), highest);
        }
        assert!(heard.has_changed().unwrap() && *heard.borrow_and_update() == 1_001);
        epochs.hear(1_000);
        assert!(!heard.has_changed().unwrap());
        assert_eq!(Epochs::open(Some(file.clone())).unwrap().highest(), 1_001);
        for odd in ["", "many", "-1", "1 2"] {
            std::fs::write(&file, odd).unwrap();
            let why = Epochs::open(Some(file.clone())).err().unwrap().to_string();
            assert!(why.contains("epoch does not tell the highest epoch"), "{why}");
        }
        // A directory that is full or gone takes nothing from what is known now.
        let nowhere = Epochs::open(Some(dir.path().join("x/epoch"))).unwrap();
        nowhere.hear(7);
        assert_eq!(nowhere.highest(), 7);
    }
}
