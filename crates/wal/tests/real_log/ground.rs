//! What the tests stand on: a PostgreSQL that writes log, two shares, and the settings of an instance.

use holdfast_private_postgres::Postgres;
use holdfast_wal::segment::SegmentSize;
use holdfast_wal::settings::{Deadlines, FetchFrom, Local, MirrorAt, WalSettings};
use holdfast_wal::{
    Claim, Inventory, Lineage, Lsn, Opening, Report, Segment, Share, ShipError, Shipped, Start, SystemIdentifier,
    WalFile, lineage_store,
};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub(crate) const POOL: &str = "chat.litwareinc.com";
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Two shares, which everybody may write to.
pub(crate) struct Ground {
    pub(crate) dir: TempDir,
    pub(crate) atl: PathBuf,
    pub(crate) bos: PathBuf,
}

impl Ground {
    pub(crate) async fn new() -> Ground {
        // In memory where there is such a thing: what the share syncs is not what is tested.
        let memory = Path::new("/dev/shm");
        let dir = tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir()).unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let ground = Ground { atl: dir.path().join("atl-share"), bos: dir.path().join("bos-share"), dir };
        for (path, site) in [(&ground.atl, "atl"), (&ground.bos, "bos")] {
            std::fs::create_dir(path).unwrap();
            Share::init(path.to_str().unwrap(), POOL, site, LONG).await.unwrap();
        }
        ground
    }

    /// Everything here belongs to the user who runs this PostgreSQL.
    pub(crate) fn give_to(&self, postgres: &Postgres) {
        let (uid, gid) = owner_of(postgres);
        give(self.dir.path(), uid, gid);
    }
}

fn give(path: &Path, uid: u32, gid: u32) {
    chown(path, Some(uid), Some(gid)).unwrap();
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            give(&entry.unwrap().path(), uid, gid);
        }
    }
}

pub(crate) fn owner_of(postgres: &Postgres) -> (u32, u32) {
    let data = std::fs::metadata(postgres.psql("SHOW data_directory")).unwrap();
    (data.uid(), data.gid())
}

/// An instance of the pool: a PostgreSQL and its `wal.json`.
pub(crate) struct Instance {
    pub(crate) postgres: Postgres,
    pub(crate) pg_wal: PathBuf,
    pub(crate) file: PathBuf,
    pub(crate) settings: WalSettings,
}

pub(crate) fn size() -> SegmentSize {
    SegmentSize::try_from(1 << 20).unwrap()
}

impl Instance {
    /// With settings of somebody who ships to the share in bos, and says that he has no mirror.
    pub(crate) fn new(ground: &Ground, name: &str, postgres: Postgres) -> Instance {
        let data = PathBuf::from(postgres.psql("SHOW data_directory"));
        let settings = WalSettings {
            pool: POOL.into(),
            instance: name.into(),
            system_identifier: SystemIdentifier(
                postgres.psql("SELECT system_identifier FROM pg_control_system()").parse().unwrap(),
            ),
            segment_size: size(),
            epoch: 1,
            holder: true,
            exposed: true,
            local: Local {
                socket: data.parent().unwrap().to_owned(),
                port: postgres.port(),
                user: "postgres".into(),
                database: "holdfast".into(),
                count: Some("SELECT count(*) FROM entry".into()),
            },
            mirror: None,
            own_share: ground.atl.to_str().unwrap().into(),
            shares_to_ship: vec![ground.bos.to_str().unwrap().into()],
            shares_to_fetch: vec![ground.bos.to_str().unwrap().into()],
            fetch: FetchFrom::Follow,
            deadlines: Deadlines { share_seconds: 60, gate_seconds: 60, stopping_seconds: 2 },
            identity: None,
        };
        let file = ground.dir.path().join(format!("{name}.wal.json"));
        let instance = Instance { postgres, pg_wal: data.join("pg_wal"), file, settings };
        instance.settings.save(&instance.file).unwrap();
        instance
    }

    /// The first primary, with the first epoch.
    pub(crate) async fn first(ground: &Ground, settings: &[(&str, &str)]) -> Instance {
        let keep = [("wal_level", "replica"), ("wal_keep_size", "256MB"), ("checkpoint_timeout", "1h")];
        let postgres = Postgres::with(&[&keep, settings].concat());
        postgres.psql("CREATE TABLE entry (n bigint PRIMARY KEY, body text)");
        let instance = Instance::new(ground, "atl-db-1", postgres);
        ground.claim(1, "atl-db-1").await;
        ground.open(1, "atl-db-1", 1, Lsn(0)).await;
        instance
    }

    pub(crate) fn change(&mut self, change: impl FnOnce(&mut WalSettings)) {
        change(&mut self.settings);
        self.settings.save(&self.file).unwrap();
    }

    /// Entries of about a segment and a half, none like another, and the end of a segment behind them.
    pub(crate) fn write(&self) {
        let from: u64 = self.entries();
        let sql = format!(
            "SET synchronous_commit = local; INSERT INTO entry SELECT n, (SELECT string_agg(md5(n || ' ' || i), '') FROM generate_series(1, 22) i)
             FROM generate_series({}, {}) n",
            from + 1,
            from + 1_500
        );
        self.postgres.psql(&sql);
        // Not in the same breath, which would be one transaction, with its end in the next segment.
        self.postgres.psql("SELECT pg_switch_wal()");
    }

    pub(crate) fn entries(&self) -> u64 {
        self.postgres.psql("SELECT count(*) FROM entry").parse().unwrap()
    }

    pub(crate) fn position(&self) -> Lsn {
        self.postgres.psql("SELECT pg_current_wal_lsn()").parse().unwrap()
    }

    /// The whole segments in `pg_wal`, oldest first.
    pub(crate) fn full(&self) -> Vec<(Segment, String)> {
        let at = size().number_of(self.position());
        let mut full: Vec<_> = std::fs::read_dir(&self.pg_wal)
            .unwrap()
            .filter_map(|entry| {
                let name = entry.unwrap().file_name().into_string().unwrap();
                match WalFile::parse(&name, size()) {
                    Ok(WalFile::Segment(segment)) if segment.number < at => Some((segment, name)),
                    _ => None,
                }
            })
            .collect();
        full.sort_by_key(|(segment, _)| (segment.number, segment.timeline));
        full
    }

    pub(crate) async fn ship(&self, name: &str) -> Result<Shipped, ShipError> {
        holdfast_wal::ship(&self.file, &self.pg_wal.join(name), name).await
    }

    /// Ships all whole segments, and answers their names.
    pub(crate) async fn ship_all(&self) -> Vec<String> {
        let full = self.full();
        for (_, name) in &full {
            self.ship(name).await.unwrap();
        }
        full.into_iter().map(|(_, name)| name).collect()
    }

    /// The path of an object of the log on the share in bos.
    pub(crate) fn object(&self, ground: &Ground, name: &str, ending: &str) -> PathBuf {
        self.object_on(&ground.bos, name, ending)
    }

    pub(crate) fn object_on(&self, share: &Path, name: &str, ending: &str) -> PathBuf {
        let folder = share.join("wal").join(self.settings.system_identifier.to_string()).join(&name[..8]);
        folder.join(format!("{name}.{ending}"))
    }
}

impl Ground {
    pub(crate) async fn share(&self) -> Share {
        open(&self.bos).await
    }

    pub(crate) async fn claim(&self, epoch: u64, holder: &str) {
        let claim = Claim { epoch, holder: holder.into(), by: "test".into(), at: jiff::Timestamp::now() };
        lineage_store::claim(&self.share().await, &claim).await.unwrap();
    }

    pub(crate) async fn open(&self, epoch: u64, holder: &str, timeline: u32, start: Lsn) {
        let opening = Opening { epoch, holder: holder.into(), timeline, start };
        lineage_store::open_timeline(&self.share().await, &opening).await.unwrap();
    }
}

pub(crate) async fn open(path: &Path) -> Share {
    Share::open_of(POOL, path.to_str().unwrap(), LONG).await.unwrap()
}

pub(crate) async fn lineage_of(share: &Share) -> Lineage {
    lineage_store::read(share).await.unwrap()
}

pub(crate) async fn inventory(share: &Share, instance: &Instance, start: Start) -> Inventory {
    let lineage = lineage_of(share).await;
    Inventory::take(share, instance.settings.system_identifier, size(), &lineage, start).await.unwrap()
}

/// Stages into a new folder, and answers what was found.
pub(crate) async fn staged(share: &Share, instance: &Instance, start: Start, into: &Path) -> Report {
    let inventory = inventory(share, instance, start).await;
    holdfast_wal::stage(share, &inventory, into, None, &|_| {}).await.unwrap()
}

pub(crate) fn until(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !so() {
        assert!(Instant::now() < deadline, "it never came to be that {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

pub(crate) fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), &to).unwrap();
        }
    }
}

pub(crate) fn mirror_at(postgres: &Postgres) -> MirrorAt {
    MirrorAt {
        name: "atl-db-2".into(),
        address: "127.0.0.1".into(),
        port: postgres.port(),
        user: "postgres".into(),
        database: "holdfast".into(),
    }
}
