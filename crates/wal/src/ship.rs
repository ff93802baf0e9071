//! `holdfast wal ship`: what PostgreSQL's `archive_command` runs for every file that is full.
//!
//! A file goes onto all shares that it must go to, or counts as not shipped, and PostgreSQL tries again. In this order: who is not the holder of
//! the newest epoch is refused; a file that is not the pool's history goes into quarantine; a segment waits at the [gate](crate::gate); then its
//! bytes are written, and last its [`Manifest`]. Each object is written once, so that doing it again after a crash changes nothing, and another
//! content under the same name is refused.

use crate::content::{self, Of};
use crate::gate::{self, Closed};
use crate::lineage::Lineage;
use crate::lineage_store::{self, LineageError};
use crate::lsn::Lsn;
use crate::manifest::{Manifest, sha256};
use crate::names::Pair;
use crate::segment::{Segment, WalFile};
use crate::settings::{SettingsError, WalSettings};
use crate::share::{Share, ShareError};
use bytes::Bytes;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// For the share of our own site, where that is only asked whether somebody else has claimed a newer epoch.
const GLANCE: Duration = Duration::from_secs(2);

/// What became of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shipped {
    /// It is on all shares now.
    Done,
    /// It was on all shares before.
    Already,
    /// It is not the pool's history, and is kept in quarantine.
    Quarantined,
}

/// Why a file was not shipped. PostgreSQL keeps it and tries again.
#[derive(Debug, thiserror::Error)]
pub enum ShipError {
    /// It may go by itself: a share is away, the mirror is behind, the new timeline is not on record yet.
    #[error("{why}")]
    NotNow {
        /// A sentence.
        why: String,
    },
    /// Somebody else holds a newer epoch: this instance's log is not the pool's any more.
    #[error("{why}; this instance must not ship until its agent has made it a standby again")]
    Fenced {
        /// A sentence.
        why: String,
    },
    /// Another content under the same name is on a share.
    #[error("{what}. Two instances have written the same file: look at both before anything else")]
    Conflict {
        /// Which, and where.
        what: String,
    },
    /// What we were given is not what it should be.
    #[error("{what}")]
    Unusable {
        /// What.
        what: String,
    },
    /// The settings.
    #[error(transparent)]
    Settings(#[from] SettingsError),
}

impl ShipError {
    /// The exit code of `holdfast wal ship`. Never above 125: that would end PostgreSQL's archiver, which would not count it as a failure.
    pub fn exit_code(&self) -> u8 {
        match self {
            ShipError::NotNow { .. } => 1,
            ShipError::Conflict { .. } => 3,
            ShipError::Fenced { .. } => 4,
            ShipError::Unusable { .. } | ShipError::Settings(_) => 5,
        }
    }
}

/// Ships the file at `path`, which PostgreSQL calls `name`.
///
/// # Errors
/// [`ShipError`]
pub async fn ship(settings_file: &Path, path: &Path, name: &str) -> Result<Shipped, ShipError> {
    Shipment::prepare(settings_file, path, name, false).await?.send().await
}

/// As [`ship`], and looks at what lies on the shares already: what is damaged there, or gone, is replaced by what is here. What was damaged is
/// kept beside the quarantine.
///
/// # Errors
/// [`ShipError`]
pub async fn mend(settings_file: &Path, path: &Path, name: &str) -> Result<Shipped, ShipError> {
    Shipment::prepare(settings_file, path, name, true).await?.send().await
}

/// Keeps a file of an instance that must not ship any more, on one share, in quarantine: its log is what is left of entries that only it has.
///
/// # Errors
/// [`ShipError`]
pub async fn quarantine(settings_file: &Path, location: &str, path: &Path, name: &str) -> Result<(), ShipError> {
    let shipment = Shipment::prepare(settings_file, path, name, false).await?;
    let share = shipment.open(location, shipment.settings.deadlines.share()).await?;
    shipment.keep_in_quarantine(&share).await.map(drop)
}

/// One file on its way.
struct Shipment {
    settings_file: PathBuf,
    settings: WalSettings,
    file: WalFile,
    name: String,
    bytes: Bytes,
    packed: Bytes,
    sha256: String,
    /// Looks at what lies there, instead of trusting it.
    thorough: bool,
}

/// Where a file belongs on a share.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Log,
    Quarantine,
}

impl Shipment {
    async fn prepare(settings_file: &Path, path: &Path, name: &str, thorough: bool) -> Result<Shipment, ShipError> {
        let settings = WalSettings::load(settings_file)?;
        let unusable = |what: String| ShipError::Unusable { what };
        let file = WalFile::parse(name, settings.segment_size).map_err(|e| unusable(e.to_string()))?;
        let (from, whole) = (path.to_owned(), matches!(file, WalFile::Segment(_) | WalFile::Partial(_)));
        let size = settings.segment_size.bytes();
        let read = tokio::task::spawn_blocking(move || {
            let bytes = std::fs::read(&from).map_err(|e| format!("{}: {e}", from.display()))?;
            if whole && bytes.len() as u64 != size {
                return Err(format!("{} has {} bytes instead of {size}", from.display(), bytes.len()));
            }
            let packed = content::pack(&bytes).map_err(|e| format!("compressing {}: {e}", from.display()))?;
            let sha256 = sha256(&bytes);
            Ok((bytes, packed, sha256))
        });
        let (bytes, packed, sha256) = read.await.map_err(|e| unusable(e.to_string()))?.map_err(unusable)?;
        Ok(Shipment {
            settings_file: settings_file.to_owned(),
            settings,
            file,
            name: name.to_owned(),
            bytes: bytes.into(),
            packed: packed.into(),
            sha256,
            thorough,
        })
    }

    async fn send(&self) -> Result<Shipped, ShipError> {
        if !self.settings.holder {
            return Err(not_holder(&self.settings));
        }
        if self.settings.shares_to_ship.is_empty() {
            return Err(ShipError::NotNow {
                why: "no share is named to ship to; `holdfast shipping status` shows why".into(),
            });
        }
        self.glance_at_own_share().await?;
        // Whoever is fenced on one share is fenced, also while another one is away: so all are asked first.
        let (mut shares, mut away) = (Vec::new(), None);
        for location in &self.settings.shares_to_ship {
            match self.look(location).await {
                Ok(found) => shares.push(found),
                Err(error @ ShipError::NotNow { .. }) => away = Some(error),
                Err(error) => return Err(error),
            }
        }
        let mut places = Vec::new();
        for (share, lineage) in shares {
            match self.place(&lineage) {
                Ok(place) => places.push((share, lineage, place)),
                Err(error) => away = Some(error),
            }
        }
        if places.iter().any(|(_, _, place)| *place == Place::Log) {
            self.pass_the_gate().await?;
        }
        let counted = if self.segment().is_some() { gate::count(&self.settings.local).await } else { None };
        let mut became = Shipped::Already;
        for (share, lineage, place) in &places {
            if *place == Place::Quarantine {
                self.keep_in_quarantine(share).await?;
                became = Shipped::Quarantined;
            } else if self.put_in_the_log(share, lineage, counted).await? && became == Shipped::Already {
                became = Shipped::Done;
            }
        }
        away.map_or(Ok(became), Err)
    }

    fn segment(&self) -> Option<Segment> {
        if let WalFile::Segment(segment) = self.file { Some(segment) } else { None }
    }

    /// The share of our own site may know of a newer epoch first. That it does not answer is no reason not to ship.
    async fn glance_at_own_share(&self) -> Result<(), ShipError> {
        let own = &self.settings.own_share;
        if self.settings.shares_to_ship.contains(own) {
            return Ok(());
        }
        let Ok(share) = self.open(own, GLANCE).await else { return Ok(()) };
        let Ok(lineage) = lineage_store::read(&share).await else { return Ok(()) };
        self.not_fenced(&lineage, own)
    }

    async fn open(&self, location: &str, deadline: Duration) -> Result<Share, ShipError> {
        Ok(Share::open_of(&self.settings.pool, location, deadline).await?)
    }

    async fn look(&self, location: &str) -> Result<(Share, Lineage), ShipError> {
        let share = self.open(location, self.settings.deadlines.share()).await?;
        let lineage = self.lineage(&share).await?;
        Ok((share, lineage))
    }

    /// The lineage of a share on which the newest claim is ours.
    async fn lineage(&self, share: &Share) -> Result<Lineage, ShipError> {
        let lineage = lineage_store::read(share).await?;
        self.not_fenced(&lineage, share.location())?;
        let ours = lineage.newest_claim().is_some_and(|c| c.epoch == self.settings.epoch);
        if !ours {
            let (epoch, at) = (self.settings.epoch, share.location());
            let why = format!("epoch {epoch} is not claimed on the share {at} yet; the agent does that");
            return Err(ShipError::NotNow { why });
        }
        Ok(lineage)
    }

    fn not_fenced(&self, lineage: &Lineage, location: &str) -> Result<(), ShipError> {
        let (instance, epoch) = (&self.settings.instance, self.settings.epoch);
        match lineage.newest_claim() {
            Some(c) if c.epoch > epoch || (c.epoch == epoch && c.holder != *instance) => Err(ShipError::Fenced {
                why: format!("the share {location} says that {} holds epoch {} since {}", c.holder, c.epoch, c.at),
            }),
            _ => Ok(()),
        }
    }

    fn place(&self, lineage: &Lineage) -> Result<Place, ShipError> {
        let timeline = self.file.timeline();
        if lineage.has(self.file, self.settings.segment_size) {
            return Ok(Place::Log);
        }
        let newest = lineage.newest_opening().map_or(0, |o| o.timeline);
        if timeline > newest {
            let why = format!("timeline {timeline} is not on record yet; the agent does that after a promotion");
            return Err(ShipError::NotNow { why });
        }
        // The end of a timeline, from whoever was promoted: a note beside the segment that counts.
        let partial = matches!(self.file, WalFile::Partial(_)) && lineage.opening_of(timeline).is_some();
        Ok(if partial { Place::Log } else { Place::Quarantine })
    }

    async fn pass_the_gate(&self) -> Result<(), ShipError> {
        let Some(segment) = self.segment() else { return Ok(()) };
        let end = self.settings.segment_size.end_of(segment.number);
        gate::wait(&self.settings_file, end).await.map_err(|closed| match closed {
            Closed::Behind(why) => ShipError::NotNow { why },
            Closed::NotHolder => not_holder(&self.settings),
            Closed::Settings(error) => error.into(),
        })
    }

    /// Answers whether it was not there before.
    async fn put_in_the_log(
        &self,
        share: &Share,
        lineage: &Lineage,
        counted: Option<(u64, Lsn)>,
    ) -> Result<bool, ShipError> {
        let (system, size) = (self.settings.system_identifier, self.settings.segment_size);
        let pair = Pair::of(system, self.file, size);
        let mut manifest = self.manifest(counted);
        if let Some(segment) = self.segment() {
            let of = Of { system, size, lineage };
            of.header(&self.bytes, segment)
                .map_err(|fault| ShipError::Unusable { what: format!("{} {fault}", self.name) })?;
            manifest.previous_sha256 = self.previous(share, lineage, segment).await?;
        }
        self.put_pair(share, &pair, &manifest, true).await
    }

    async fn keep_in_quarantine(&self, share: &Share) -> Result<bool, ShipError> {
        let (system, size) = (self.settings.system_identifier, self.settings.segment_size);
        let pair = Pair::in_quarantine(&self.settings.instance, system, self.file, size);
        let manifest = self.manifest(None);
        match self.put_pair(share, &pair, &manifest, false).await {
            // The same name again from another timeline's life. Both are kept.
            Err(ShipError::Conflict { .. }) => {
                let another = pair.with_suffix(self.sha256.get(..8).unwrap_or_default());
                self.put_pair(share, &another, &manifest, false).await
            }
            put => put,
        }
    }

    /// Bytes first, manifest last.
    async fn put_pair(&self, share: &Share, pair: &Pair, manifest: &Manifest, counts: bool) -> Result<bool, ShipError> {
        let conflict = |with: &str| ShipError::Conflict {
            what: format!("{} is on the share {} with other content{with}", pair.data(), share.location()),
        };
        if let Some(there) = share.get(&pair.manifest()).await? {
            let there = Manifest::parse(&there).map_err(|_| conflict(": its manifest is damaged"))?;
            if there.sha256 != self.sha256 {
                return Err(conflict(&format!(", shipped by {} in epoch {}", there.node, there.epoch)));
            }
            let intact = if self.thorough {
                let data = share.get(&pair.data()).await?;
                data.is_some_and(|data| content::check_file(&data, &there).is_ok())
            } else {
                share.size_of(&pair.data()).await?.is_some()
            };
            if intact {
                return Ok(false);
            }
        }
        self.put_data(share, pair, manifest).await?;
        if counts {
            // While the bytes were on their way, somebody may have claimed a newer epoch.
            self.lineage(share).await?;
        }
        match share.put_once(&pair.manifest(), manifest.to_bytes().into()).await {
            Ok(_) => Ok(true),
            Err(ShareError::Conflict { .. }) => {
                let there = share.get(&pair.manifest()).await?;
                let same = there.and_then(|t| Manifest::parse(&t).ok()).is_some_and(|t| t.sha256 == self.sha256);
                if same { Ok(true) } else { Err(conflict("")) }
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What lies there without a manifest is ours from before a crash, or somebody else's, or a ruin.
    async fn put_data(&self, share: &Share, pair: &Pair, manifest: &Manifest) -> Result<(), ShipError> {
        for _ in 0..2 {
            match share.put_once(&pair.data(), self.packed.clone()).await {
                Ok(_) => return Ok(()),
                Err(ShareError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
            let Some(there) = share.get(&pair.data()).await? else { continue };
            if content::check_file(&there, manifest).is_ok() {
                return Ok(());
            }
            let vouched = share.size_of(&pair.manifest()).await?.is_some();
            let whole = content::unpack(&there, manifest.size).is_ok_and(|b| b.len() as u64 == manifest.size);
            if whole && !vouched {
                let what =
                    format!("{} is on the share {} with other content and no manifest", pair.data(), share.location());
                return Err(ShipError::Conflict { what });
            }
            let ruin = format!("{}/ruins/{}-{}", crate::names::QUARANTINE, self.name, uuid::Uuid::new_v4());
            share.set_aside(&pair.data(), &ruin).await?;
        }
        Err(ShipError::NotNow { why: format!("{} comes and goes on the share {}", pair.data(), share.location()) })
    }

    async fn previous(&self, share: &Share, lineage: &Lineage, of: Segment) -> Result<Option<String>, ShipError> {
        let size = self.settings.segment_size;
        let before = of.number.checked_sub(1);
        let before = before.and_then(|number| Some(Segment { timeline: lineage.owner(number, size)?, number }));
        let Some(before) = before else { return Ok(None) };
        let pair = Pair::of(self.settings.system_identifier, WalFile::Segment(before), size);
        let manifest = share.get(&pair.manifest()).await?;
        Ok(manifest.and_then(|bytes| Manifest::parse(&bytes).ok()).map(|m| m.sha256))
    }

    fn manifest(&self, counted: Option<(u64, Lsn)>) -> Manifest {
        let size = self.settings.segment_size;
        let segment = match self.file {
            WalFile::Segment(segment) | WalFile::Partial(segment) => Some(segment),
            WalFile::History(_) | WalFile::Backup(..) => None,
        };
        Manifest {
            file: self.name.clone(),
            size: self.bytes.len() as u64,
            sha256: self.sha256.clone(),
            system_identifier: self.settings.system_identifier,
            epoch: self.settings.epoch,
            node: self.settings.instance.clone(),
            timeline: self.file.timeline(),
            start: segment.map(|s| size.start_of(s.number)),
            end: segment.map(|s| size.end_of(s.number)),
            previous_sha256: None,
            shipped_at: jiff::Timestamp::now(),
            entries: counted.map(|(entries, _)| entries),
            counted_at: counted.map(|(_, at)| at),
        }
    }
}

fn not_holder(settings: &WalSettings) -> ShipError {
    ShipError::Fenced { why: format!("{} does not hold epoch {}", settings.instance, settings.epoch) }
}

impl From<ShareError> for ShipError {
    fn from(error: ShareError) -> ShipError {
        match error {
            ShareError::Conflict { .. } => ShipError::Conflict { what: error.to_string() },
            ShareError::NotOurs { .. } | ShareError::Unsuitable { .. } => {
                ShipError::Unusable { what: error.to_string() }
            }
            ShareError::Unreachable { .. } => ShipError::NotNow { why: error.to_string() },
        }
    }
}

impl From<LineageError> for ShipError {
    fn from(error: LineageError) -> ShipError {
        match error {
            LineageError::Share(error) => error.into(),
            other => ShipError::Unusable { what: other.to_string() },
        }
    }
}
