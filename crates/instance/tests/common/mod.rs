//! Instances of a test's own, with certificates, on free ports of this machine.
#![allow(dead_code, reason = "each test file uses its part")]

use holdfast_instance::{Access, Boot, Dynamic, Instance, Layout, Programs, Settings, Sync, Upstream, silent};
use holdfast_pki::{Authority, Kind, Wanted};
use holdfast_private_postgres::{Scratch, free_port, unprivileged};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;
use tokio_postgres::{Client, NoTls};

/// How long anything may take on a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Runs a test, as somebody who is not root.
pub(crate) fn run(test: &str, body: impl Future<Output = ()>) {
    if unprivileged(test) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(body);
    }
}

/// Everything of a test: dropped, nothing is left of it.
pub(crate) struct Place {
    scratch: Scratch,
    authority: Authority,
    names: Vec<String>,
}

impl Place {
    pub(crate) fn new(names: &[&str]) -> Place {
        let scratch = Scratch::new();
        let authority = Authority::init(&scratch.path().join("ca"), "test", jiff::Timestamp::now()).unwrap();
        std::fs::create_dir(scratch.path().join("share")).unwrap();
        let place = Place { scratch, authority, names: names.iter().map(|n| (*n).to_owned()).collect() };
        for name in names {
            place.issue(Kind::Instance, name);
        }
        place
    }

    pub(crate) fn path(&self) -> &Path {
        self.scratch.path()
    }

    pub(crate) fn issue(&self, kind: Kind, name: &str) -> PathBuf {
        let to = self.identity(name);
        let wanted = Wanted {
            kind,
            name: name.to_owned(),
            addresses: vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
            days: 2,
        };
        self.authority.issue(&wanted, jiff::Timestamp::now(), &to).unwrap();
        to
    }

    pub(crate) fn identity(&self, name: &str) -> PathBuf {
        self.path().join(name).join("identity")
    }

    /// One that does not exist yet.
    pub(crate) fn instance(&self, name: &str) -> Instance {
        let mut settings = Settings::new(name, free_port(), self.identity(name));
        settings.listen = "127.0.0.1".to_owned();
        settings.replicators = self.names.iter().filter(|other| *other != name).cloned().collect();
        settings.clients = vec!["cs-1".to_owned()];
        let share = self.path().join("share");
        settings.archive_command = format!("test -e {0}/%f || cp %p {0}/%f", share.display());
        settings.restore_command = format!("cp {}/%f %p", share.display());
        settings.shared_buffers_mib = 16;
        settings.max_connections = 30;
        settings.max_wal_size_mib = 64;
        settings.wal_keep_size_mib = 64;
        // Processes are killed here, never the machine.
        settings.more = vec![("fsync".to_owned(), "off".to_owned())];
        self.with(name, settings)
    }

    pub(crate) fn with(&self, name: &str, settings: Settings) -> Instance {
        let layout = Layout::new(self.path().join(name)).unwrap();
        Instance::open(Programs::find().unwrap(), layout, settings).unwrap()
    }

    /// A primary that runs and waits for nobody, with a table of numbers.
    pub(crate) async fn primary(&self, name: &str) -> Instance {
        let instance = self.instance(name);
        instance.init(1).await.unwrap();
        serve(&instance, None, Sync::None, Access::Open).await;
        write(&instance, "CREATE TABLE t(n int PRIMARY KEY)").await.unwrap();
        instance
    }

    /// A copy of another one that follows it.
    pub(crate) async fn standby(&self, name: &str, of: &Instance) -> Instance {
        let instance = self.instance(name);
        instance.base_backup_from(&self.upstream(name, of), LONG, &silent).await.unwrap();
        serve(&instance, Some(self.upstream(name, of)), Sync::None, Access::Open).await;
        instance.wait_streaming(LONG).await.unwrap();
        instance
    }

    /// `of` as `name` connects to it.
    pub(crate) fn upstream(&self, name: &str, of: &Instance) -> Upstream {
        let settings = of.settings();
        Upstream {
            host: settings.name,
            address: Some("127.0.0.1".to_owned()),
            port: settings.port,
            application_name: name.to_owned(),
            identity: self.identity(name),
        }
    }
}

pub(crate) async fn serve(instance: &Instance, upstream: Option<Upstream>, sync: Sync, access: Access) {
    instance.set(&Dynamic { upstream, sync }, LONG).await.unwrap();
    instance.set_access(access, LONG).await.unwrap();
    let started = instance.start(Boot::Serving, LONG, &silent).await.unwrap();
    assert!(!started.adopted);
}

/// A session as others than the agent have it.
pub(crate) async fn session(instance: &Instance) -> Client {
    let mut config = tokio_postgres::Config::new();
    config.host_path(instance.layout().run()).port(instance.settings().port);
    config.user("postgres").dbname("mgc").application_name("somebody");
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

pub(crate) async fn write(instance: &Instance, sql: &str) -> Result<(), tokio_postgres::Error> {
    session(instance).await.batch_execute(sql).await
}

pub(crate) async fn numbers(instance: &Instance) -> Vec<i32> {
    let rows = session(instance).await.query("SELECT n FROM t ORDER BY n", &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < LONG, "{what}: not within {LONG:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// How many sessions wait for the mirror.
pub(crate) async fn waiting(instance: &Instance) -> usize {
    let sessions = instance.client_sessions().await.unwrap();
    sessions.iter().filter(|session| session.waits_for.as_deref() == Some("SyncRep")).count()
}

pub(crate) fn signal(pid: u32, signal: rustix::process::Signal) {
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid.cast_signed()).unwrap(), signal).unwrap();
}
