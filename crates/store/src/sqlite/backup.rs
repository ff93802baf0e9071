//! A copy of everything as of one moment, made while the database is used.

use super::connection::Connections;
use super::error::{Fail, taken, unavailable};
use crate::{Result, StoreError};
use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

const DOING: &str = "backing up";

/// Pages that are copied before progress is told.
const STEP: i32 = 2_000;

/// Copies the database to the new file `to` and answers its bytes. It is on disk, whole, or not there at all.
pub(super) fn backup(connections: &Connections, to: &Path, progress: &dyn Fn(u64, u64)) -> Result<u64> {
    let there = || taken(format!("the file {}", to.display()));
    if to.try_exists().map_err(disk)? {
        return Err(there());
    }
    let part = part_of(to)?;
    let done = copy(connections, &part, progress).and_then(|()| publish(&part, to, &there));
    if done.is_err() {
        // What went wrong is told already; the next try would find the same file in its way.
        let _ = fs::remove_file(&part);
    }
    done
}

/// An incomplete backup does not carry the name of a whole one.
fn part_of(to: &Path) -> Result<PathBuf> {
    let mut name = to.file_name().ok_or_else(|| unavailable(format!("{} names no file", to.display())))?.to_owned();
    name.push(".part");
    Ok(to.with_file_name(name))
}

fn copy(connections: &Connections, part: &Path, progress: &dyn Fn(u64, u64)) -> Result<()> {
    // A part that is left of a crash is worth nothing.
    match fs::remove_file(part) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(disk(e)),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(part).map_err(disk)?;

    let from = connections.reading()?;
    copy_pages(&from, part, progress).map_err(|e| Fail::Sql(e).while_doing(DOING))
}

fn copy_pages(from: &Connection, part: &Path, progress: &dyn Fn(u64, u64)) -> rusqlite::Result<()> {
    // Held over all steps, a read transaction makes them copy one moment; without it every commit would begin the copy anew.
    let snapshot = from.unchecked_transaction()?;
    snapshot.query_row("SELECT count(*) FROM migration", [], |_| Ok(()))?;
    let mut to = Connection::open(part)?;
    {
        let backup = Backup::new(&snapshot, &mut to)?;
        loop {
            let step = backup.step(STEP)?;
            let pages = backup.progress();
            let (all, left) = (pages.pagecount.unsigned_abs().into(), pages.remaining.unsigned_abs().into());
            progress(u64::saturating_sub(all, left), all);
            match step {
                StepResult::Done => break,
                StepResult::More => {}
                _ => std::thread::sleep(std::time::Duration::from_millis(50)),
            }
        }
    }
    to.close().map_err(|(_, e)| e)
}

/// Puts the part on disk and gives it its name, unless somebody has taken that meanwhile.
fn publish(part: &Path, to: &Path, there: &dyn Fn() -> StoreError) -> Result<u64> {
    let file = File::open(part).map_err(disk)?;
    file.sync_all().map_err(disk)?;
    let bytes = file.metadata().map_err(disk)?.len();
    match fs::hard_link(part, to) {
        Ok(()) => fs::remove_file(part).map_err(disk)?,
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Err(there()),
        // Some network and memory-card file systems know no links.
        Err(_) if !to.exists() => fs::rename(part, to).map_err(disk)?,
        Err(e) => return Err(disk(e)),
    }
    if let Some(dir) = to.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(disk)?;
    }
    Ok(bytes)
}

fn disk(e: io::Error) -> StoreError {
    if e.kind() == io::ErrorKind::StorageFull {
        StoreError::Full
    } else {
        StoreError::Engine { doing: DOING, source: Box::new(e) }
    }
}
