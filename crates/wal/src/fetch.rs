//! `holdfast wal fetch`: what PostgreSQL's `restore_command` runs whenever it wants a file.
//!
//! PostgreSQL takes every failure for "there is no such file, the log ends here", unless the exit code is above 125: then it stops. So the
//! answer is chosen with care:
//!
//! | | exit code | PostgreSQL |
//! |---|---|---|
//! | found, verified, on disk | 0 | replays it |
//! | not there; a share that is away, a file that is damaged, while following | 1 | streams, and asks again |
//! | of another cluster; two shares tell two histories; a verified copy is not what it was | 126 | stops |
//!
//! While a failover goes on, only its copy folder is asked, where all is verified; so "not there" is the truth then.

use crate::content::{self, Fault, Of};
use crate::durable;
use crate::lineage::Lineage;
use crate::lineage_store::{self, LineageError};
use crate::manifest::sha256;
use crate::names::Pair;
use crate::segment::WalFile;
use crate::settings::{FetchFrom, SettingsError, WalSettings};
use crate::share::{Share, ShareError};
use crate::staged::Staged;
use std::path::Path;
use std::time::Duration;

/// How often a share is asked for a file that came damaged or not at all.
const ATTEMPTS: u32 = 2;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(200);

/// Why PostgreSQL does not get a file.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// It is not there, and that is known.
    #[error("{name} is not there")]
    NotThere {
        /// The file.
        name: String,
    },
    /// It may be there.
    #[error("{name}: {why}")]
    NotNow {
        /// The file.
        name: String,
        /// Why it cannot be had.
        why: String,
    },
    /// Nothing that comes after could be right.
    #[error("{name}: {why}. Recovery stops here; nothing was changed")]
    Stop {
        /// The file.
        name: String,
        /// Why.
        why: String,
    },
    /// The settings.
    #[error(transparent)]
    Settings(#[from] SettingsError),
}

impl FetchError {
    /// The exit code of `holdfast wal fetch`.
    pub fn exit_code(&self) -> u8 {
        match self {
            FetchError::NotThere { .. } | FetchError::NotNow { .. } | FetchError::Settings(_) => 1,
            FetchError::Stop { .. } => 126,
        }
    }

    /// Whether it belongs into PostgreSQL's log. That a file is not there is told every few seconds of a quiet life.
    pub fn is_worth_a_line(&self) -> bool {
        !matches!(self, FetchError::NotThere { .. })
    }
}

/// Puts the file that PostgreSQL calls `name` at `to`: whole, verified and synced, or not at all.
///
/// # Errors
/// [`FetchError`]
pub async fn fetch(settings_file: &Path, name: &str, to: &Path) -> Result<(), FetchError> {
    let settings = WalSettings::load(settings_file)?;
    let not_now = |why: String| FetchError::NotNow { name: name.to_owned(), why };
    let Ok(file) = WalFile::parse(name, settings.segment_size) else {
        return Err(FetchError::NotThere { name: name.to_owned() });
    };
    let bytes = match &settings.fetch {
        FetchFrom::Closed => return Err(FetchError::NotThere { name: name.to_owned() }),
        FetchFrom::Staging(folder) => from_copy_folder(&settings, folder, name)?,
        FetchFrom::Follow => Follower { settings: &settings, file, name }.fetch().await?,
    };
    let path = to.to_owned();
    let written = tokio::task::spawn_blocking(move || durable::write(&path, &bytes)).await;
    written.map_err(|e| not_now(e.to_string()))?.map_err(|e| not_now(format!("{}: {e}", to.display())))
}

fn from_copy_folder(settings: &WalSettings, folder: &Path, name: &str) -> Result<Vec<u8>, FetchError> {
    let stop = |why: String| FetchError::Stop { name: name.to_owned(), why };
    let not_there = || FetchError::NotThere { name: name.to_owned() };
    let staged = Staged::load(folder).map_err(stop)?.ok_or_else(not_there)?;
    if staged.system_identifier != settings.system_identifier {
        let (there, ours) = (staged.system_identifier, settings.system_identifier);
        return Err(stop(format!("the copy folder {} is of cluster {there}, not of {ours}", folder.display())));
    }
    let listed = staged.file(name).ok_or_else(not_there)?;
    let path = folder.join(name);
    let bytes = std::fs::read(&path).map_err(|e| stop(format!("{}: {e}", path.display())))?;
    if bytes.len() as u64 != listed.size || sha256(&bytes) != listed.sha256 {
        return Err(stop(format!("{} is not what was verified; copy and verify again", path.display())));
    }
    Ok(bytes)
}

struct Follower<'a> {
    settings: &'a WalSettings,
    file: WalFile,
    name: &'a str,
}

/// Why one share did not help.
enum Passed {
    /// It answered, and the answer is no.
    No,
    /// It may have it.
    Perhaps(String),
    Stop(String),
}

impl Follower<'_> {
    async fn fetch(&self) -> Result<Vec<u8>, FetchError> {
        let (mut known, mut perhaps) = (Lineage::default(), Vec::new());
        for location in &self.settings.shares_to_fetch {
            match self.ask_share(location, &mut known).await {
                Ok(bytes) => return Ok(bytes),
                Err(Passed::No) => {}
                Err(Passed::Perhaps(why)) => perhaps.push(why),
                Err(Passed::Stop(why)) => return Err(FetchError::Stop { name: self.name.to_owned(), why }),
            }
        }
        let name = self.name.to_owned();
        if perhaps.is_empty() {
            Err(FetchError::NotThere { name })
        } else {
            Err(FetchError::NotNow { name, why: perhaps.join("; ") })
        }
    }

    async fn ask_share(&self, location: &str, known: &mut Lineage) -> Result<Vec<u8>, Passed> {
        let deadline = self.settings.deadlines.share();
        let share = Share::open_of(&self.settings.pool, location, deadline).await.map_err(of_share)?;
        let here = lineage_store::read(&share).await.map_err(of_lineage)?;
        *known = known.merged(&here).map_err(|e| Passed::Stop(e.to_string()))?;
        // A share that has not heard of the newest claim may hold log that is the pool's no more.
        let newest = known.newest_claim().map_or(0, |c| c.epoch);
        if newest < self.settings.epoch {
            let epoch = self.settings.epoch;
            return Err(Passed::Perhaps(format!(
                "the share {location} knows of epoch {newest} only, and this is {epoch}"
            )));
        }
        if !known.has(self.file, self.settings.segment_size) {
            return if self.was_passed_over(known) { Ok(content::RESERVED.to_vec()) } else { Err(Passed::No) };
        }
        let mut attempt = 1;
        loop {
            match self.verified(&share, known).await {
                Err(Passed::Perhaps(_)) if attempt < ATTEMPTS => {
                    attempt += 1;
                    tokio::time::sleep(BETWEEN_ATTEMPTS).await;
                }
                other => return other,
            }
        }
    }

    /// Whether it would be the history of a number between two timelines of the pool.
    fn was_passed_over(&self, known: &Lineage) -> bool {
        let newest = known.newest_opening().map_or(0, |o| o.timeline);
        matches!(self.file, WalFile::History(timeline) if timeline > 1 && timeline < newest)
    }

    async fn verified(&self, share: &Share, lineage: &Lineage) -> Result<Vec<u8>, Passed> {
        let (system, size) = (self.settings.system_identifier, self.settings.segment_size);
        let pair = Pair::of(system, self.file, size);
        // Bytes without a manifest are still on their way.
        let Some(manifest) = share.get(&pair.manifest()).await.map_err(of_share)? else { return Err(Passed::No) };
        let of = Of { system, size, lineage };
        let damaged = |fault: &Fault| format!("{} on the share {} {fault}", pair.data(), share.location());
        let manifest = of.manifest(&manifest, self.name).map_err(|f| Passed::Perhaps(damaged(&f)))?;
        let Some(packed) = share.get(&pair.data()).await.map_err(of_share)? else {
            return Err(Passed::Perhaps(damaged(&Fault::ManifestWithoutData)));
        };
        let checked = match self.file {
            WalFile::Segment(segment) => of.segment(&packed, &manifest, segment),
            WalFile::History(timeline) => {
                content::check_file(&packed, &manifest).and_then(|bytes| of.history(&bytes, timeline).map(|()| bytes))
            }
            WalFile::Partial(_) | WalFile::Backup(..) => content::check_file(&packed, &manifest),
        };
        checked.map_err(|fault| match &fault {
            // Its manifest vouches for it: it was shipped so.
            Fault::OtherCluster { .. } => Passed::Stop(damaged(&fault)),
            _ => Passed::Perhaps(damaged(&fault)),
        })
    }
}

fn of_share(error: ShareError) -> Passed {
    match error {
        ShareError::NotOurs { .. } => Passed::Stop(error.to_string()),
        other => Passed::Perhaps(other.to_string()),
    }
}

fn of_lineage(error: LineageError) -> Passed {
    match error {
        LineageError::Share(error) => of_share(error),
        other => Passed::Perhaps(other.to_string()),
    }
}
