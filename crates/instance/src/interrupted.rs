//! What may be interrupted halfway, and what is then to be done before the data is used.
//!
//! Both leave a note beside the data directory while they are under way. A rewind that was interrupted leaves data that starts, and is wrong. A
//! promotion removes `standby.signal` *before* the control file knows of the new timeline: killed in between, the data would start as a primary on the
//! **old** timeline, the same one that the old primary writes, and nothing would tell the two apart ever after.

use crate::error::{Error, Result, file};
use crate::files;
use crate::instance::Instance;
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// A promotion that was begun.
#[derive(PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Begun {
    /// The timeline that it is to leave.
    from: u32,
    /// The timelines that were known then.
    known: Vec<u32>,
}

impl Instance {
    /// Sees to what was interrupted: a promotion that was not completed is undone, so that the data is a standby's, which may be promoted again. Every
    /// start does this; whoever wants to know beforehand what the data is does it too. Not while it runs.
    ///
    /// # Errors
    /// A rewind was interrupted: the instance is to be cloned. The files cannot be read or written.
    pub async fn mend(&self) -> Result<()> {
        if let Some(pid) = self.pid() {
            return Err(Error::Running(pid));
        }
        if self.rewind_note().exists() {
            let data = self.layout().pgdata();
            let text = format!(
                "a rewind of {} was interrupted, so that its data is of no use: clone the instance",
                data.display()
            );
            return Err(Error::Refused(text));
        }
        let Some(begun) = self.begun()? else { return Ok(()) };
        // As long as this is there, it is a standby.
        if self.starts_as_standby() {
            return Ok(());
        }
        let control = self.control().await?;
        if control.timeline.max(control.minimum_recovery_timeline) > begun.from {
            return self.no_promotion_is_under_way();
        }
        tracing::warn!(
            "a promotion on timeline {} was interrupted; it is a standby again, and may be promoted again",
            begun.from
        );
        // Its number is free again: nothing was written on it, and nobody was told of it.
        let aside = self.layout().root().join("unfinished");
        for timeline in self.known_timelines()?.into_iter().filter(|timeline| !begun.known.contains(timeline)) {
            let name = format!("{timeline:08X}.history");
            files::private_dir(&aside)?;
            files::rename(&self.layout().pg_wal().join(&name), &aside.join(&name))?;
        }
        self.make_standby()
    }

    pub(crate) fn promotion_is_under_way(&self, from: u32) -> Result<()> {
        let begun = Begun { from, known: self.known_timelines()? };
        let text = serde_json::to_string(&begun).map_err(|e| Error::Refused(e.to_string()))?;
        files::replace(&self.promotion_note(), &text)
    }

    pub(crate) fn no_promotion_is_under_way(&self) -> Result<()> {
        remove(&self.promotion_note())
    }

    pub(crate) fn rewind_is_under_way(&self) -> Result<()> {
        files::replace(&self.rewind_note(), "A rewind is under way.\n")
    }

    /// The data directory is whole: nothing is under way, or what was has no meaning for it.
    pub(crate) fn is_whole(&self) -> Result<()> {
        self.no_promotion_is_under_way()?;
        remove(&self.rewind_note())
    }

    fn begun(&self) -> Result<Option<Begun>> {
        let path = self.promotion_note();
        let text = match std::fs::read_to_string(&path) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            text => text.map_err(file("read", &path))?,
        };
        let odd = |e| Error::Refused(format!("{} was changed by somebody else: {e}", path.display()));
        serde_json::from_str(&text).map(Some).map_err(odd)
    }

    fn promotion_note(&self) -> PathBuf {
        self.layout().root().join("pgdata.promoting")
    }

    fn rewind_note(&self) -> PathBuf {
        self.layout().root().join("pgdata.rewinding")
    }
}

fn remove(note: &Path) -> Result<()> {
    match std::fs::remove_file(note) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        Err(e) => Err(file("remove", note)(e)),
        Ok(()) => files::sync_parent(note),
    }
}
