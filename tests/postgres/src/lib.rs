//! A PostgreSQL of a test's own: on a free port of this machine, in a directory of its own, gone when the test is over.
//!
//! The machine's own cluster is never touched. PostgreSQL refuses to run as root, so that for root it runs as the user `postgres`, or `nobody`.
//! A cluster is copied from a template that is made once (see [`template`]), which takes a small part of the time of `initdb`. Should the test
//! be killed, a guard ([`guard`]) ends PostgreSQL and removes the directory.

mod guard;
mod place;
mod postmaster;
mod scratch;
mod template;
mod unprivileged;

pub use scratch::Scratch;
pub use unprivileged::unprivileged;

use guard::Guard;
use place::{Owner, Programs};
use postmaster::Postmaster;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Instant, SystemTime};
use tempfile::TempDir;
use template::Recipe;

/// What is set unless a test asks for something else. `full_page_writes` stays on: a killed process may have written half a page.
const SETTINGS: [(&str, &str); 7] = [
    ("fsync", "off"),
    ("shared_buffers", "32MB"),
    ("max_connections", "100"),
    ("max_wal_size", "256MB"),
    // In the data directory rather than in /dev/shm, where it would stay after a kill.
    ("dynamic_shared_memory_type", "mmap"),
    ("unix_socket_permissions", "0777"),
    ("log_line_prefix", "'%m [%p] %a '"),
];

/// How often another port is tried when somebody else took the one that was free.
const PORTS_TRIED: usize = 20;

/// A PostgreSQL that runs; ended, with everything of it removed, when dropped.
#[derive(Debug)]
pub struct Postgres {
    programs: Programs,
    owner: Owner,
    /// Data, socket and log of this cluster.
    home: PathBuf,
    port: u16,
    postmaster: Option<Postmaster>,
    databases: AtomicUsize,
    // Dropped last, in this order.
    guard: Guard,
    _temporary: Option<TempDir>,
}

impl Postgres {
    /// Starts one with the usual settings.
    ///
    /// # Panics
    /// When this machine has no PostgreSQL 15 or later, or it does not start; the text says which, with its log.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// Starts one with settings of `postgresql.conf`, such as `("wal_level", "replica")`.
    ///
    /// # Panics
    /// As [`Postgres::start`].
    pub fn with(settings: &[(&str, &str)]) -> Self {
        let durable = settings.contains(&("fsync", "on"));
        let made = tempfile::Builder::new().prefix("holdfast-postgres-").tempdir_in(place::for_clusters(durable));
        let dir = made.unwrap_or_else(|e| panic!("no temporary directory for PostgreSQL: {e}"));
        let path = dir.path().to_owned();
        // One that is measured has segments of the usual size; small ones are quicker to make.
        let recipe = if durable { Recipe::Usual } else { Recipe::Small };
        Self::prepare(&path, Some(dir), settings, |programs, owner, data| template::copy(programs, owner, recipe, data))
    }

    /// Starts a standby of this one, which follows it by streaming and may be asked but not written to.
    ///
    /// # Panics
    /// As [`Postgres::start`]; also when this one does not run.
    pub fn standby(&self) -> Self {
        self.copy(&[], |_| {})
    }

    /// As [`Postgres::standby`], with settings, and with what `prepare` does to the data directory before it starts.
    ///
    /// # Panics
    /// As [`Postgres::standby`].
    pub fn copy(&self, settings: &[(&str, &str)], prepare: impl FnOnce(&Path)) -> Self {
        let made = tempfile::Builder::new().prefix("holdfast-postgres-").tempdir_in(place::for_clusters(false));
        let dir = made.unwrap_or_else(|e| panic!("no temporary directory for PostgreSQL: {e}"));
        let path = dir.path().to_owned();
        Self::prepare(&path, Some(dir), settings, |programs, owner, data| {
            let mut backup = programs.command("pg_basebackup", owner, data.parent().unwrap_or(data));
            backup.args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync", "--host=127.0.0.1"]);
            backup.args(["--username=postgres", &format!("--port={}", self.port), "--pgdata"]).arg(data);
            place::finish(&mut backup).unwrap_or_else(|e| panic!("pg_basebackup: {e}"));
            prepare(data);
        })
    }

    /// Makes a standby take writes.
    ///
    /// # Panics
    /// When it is none, or does not within a minute.
    pub fn promote(&self) {
        self.psql("SELECT pg_promote()");
    }

    /// Starts one whose files are in a new directory inside `dir`, such as a small file system of its own. Only that new directory is removed.
    ///
    /// # Panics
    /// As [`Postgres::start`]; also when the unprivileged user cannot reach `dir`.
    pub fn in_dir(dir: &Path, settings: &[(&str, &str)]) -> Self {
        let small = |programs: &_, owner, data: &_| template::copy(programs, owner, Recipe::Small, data);
        Self::prepare(dir, None, settings, small)
    }

    fn prepare(
        dir: &Path,
        temporary: Option<TempDir>,
        settings: &[(&str, &str)],
        make: impl FnOnce(&Programs, Owner, &Path),
    ) -> Self {
        let programs = Programs::find();
        let owner = Owner::of_this_process();
        let home = dir.join("postgres");
        if temporary.is_some() {
            owner.give(dir);
        }
        owner.make_dir(&home);
        // From here on, whatever becomes of this process, nothing stays.
        let guard = Guard::over(&home);
        make(&programs, owner, &home.join("data"));
        let mut postgres = Self {
            programs,
            owner,
            home,
            port: 0,
            postmaster: None,
            databases: AtomicUsize::new(0),
            guard,
            _temporary: temporary,
        };
        let conf = postgres.data().join("postgresql.conf");
        let template = place::read(&conf);
        for _ in 0..PORTS_TRIED {
            postgres.port = free_port();
            place::write(&conf, &(template.clone() + &postgres.configuration(settings)));
            match postgres.run() {
                Ok(()) => return postgres,
                Err(log) if log.contains("Address already in use") => {}
                Err(log) => panic!("PostgreSQL did not start:\n{log}"),
            }
        }
        panic!("no free port for PostgreSQL after {PORTS_TRIED} attempts");
    }

    fn configuration(&self, settings: &[(&str, &str)]) -> String {
        let mut text = format!(
            "\nlisten_addresses = '127.0.0.1'\nport = {}\nunix_socket_directories = '{}'\n",
            self.port,
            self.home.display()
        );
        for (key, value) in SETTINGS.iter().chain(settings) {
            let value = if value.starts_with('\'') { (*value).to_owned() } else { format!("'{value}'") };
            text.push_str(&format!("{key} = {value}\n"));
        }
        text
    }

    fn run(&mut self) -> Result<(), String> {
        self.postmaster = Some(Postmaster::start(&self.programs, self.owner, &self.data(), &self.log_file())?);
        Ok(())
    }

    fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    fn log_file(&self) -> PathBuf {
        self.home.join("log")
    }

    /// Where it listens, on 127.0.0.1. Stays the same through [`Postgres::start_again`].
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process id of the postmaster; `None` while it does not run.
    pub fn pid(&self) -> Option<u32> {
        self.postmaster.as_ref().map(Postmaster::pid)
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        place::read(&self.log_file())
    }

    /// The database `holdfast`, empty at first, as its owner `holdfast`, who is no superuser.
    pub fn url(&self) -> String {
        self.url_of("holdfast", "holdfast")
    }

    /// The database `holdfast` as the superuser `postgres`.
    pub fn superuser_url(&self) -> String {
        self.url_of("postgres", "holdfast")
    }

    fn url_of(&self, user: &str, database: &str) -> String {
        format!("postgres://{user}@127.0.0.1:{}/{database}", self.port)
    }

    /// Makes an empty database owned by `holdfast` and answers its address.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn new_database(&self) -> String {
        let name = format!("holdfast_{}", self.databases.fetch_add(1, Ordering::Relaxed) + 1);
        self.psql(&format!("CREATE DATABASE {name} OWNER holdfast"));
        self.url_of("holdfast", &name)
    }

    /// Gives a file, or a directory with all files in it, to the user that PostgreSQL runs as, who is to read what others may not.
    ///
    /// # Panics
    /// When that cannot be.
    pub fn hand_over(path: &Path) {
        let owner = Owner::of_this_process();
        owner.give(path);
        if path.is_dir() {
            let entries = std::fs::read_dir(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            entries.flatten().for_each(|entry| Self::hand_over(&entry.path()));
        }
    }

    /// Runs SQL as superuser in the database `holdfast` and answers what `psql` prints: a line a row, values separated by `|`.
    ///
    /// # Panics
    /// When it fails.
    #[track_caller]
    pub fn psql(&self, sql: &str) -> String {
        self.try_psql(sql).unwrap_or_else(|e| panic!("psql: {e}\n{sql}"))
    }

    /// As [`Postgres::psql`].
    ///
    /// # Errors
    /// What `psql` said.
    pub fn try_psql(&self, sql: &str) -> Result<String, String> {
        let mut psql = self.programs.command("psql", self.owner, &self.home);
        psql.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d", &self.superuser_url(), "-c", sql]);
        place::finish(&mut psql)
    }

    /// Whether it runs: it may have ended by itself, for want of room for its log. Then [`Postgres::stop`] comes before [`Postgres::start_again`].
    pub fn is_running(&mut self) -> bool {
        self.postmaster.as_mut().is_some_and(Postmaster::is_running)
    }

    /// Ends it as a power cut would: every process of it at once, by SIGKILL.
    pub fn kill(&mut self) {
        if let Some(postmaster) = self.postmaster.take() {
            postmaster.kill();
        }
    }

    /// Stops it in order, ending its connections.
    ///
    /// # Panics
    /// When it does not stop in time.
    pub fn stop(&mut self) {
        if let Some(postmaster) = self.postmaster.take() {
            postmaster.stop();
        }
    }

    /// Starts it again after [`Postgres::kill`] or [`Postgres::stop`], on the same port with the same data.
    ///
    /// # Panics
    /// When it runs, or does not start.
    pub fn start_again(&mut self) {
        assert!(self.postmaster.is_none(), "PostgreSQL runs already");
        self.run().unwrap_or_else(|log| panic!("PostgreSQL did not start again:\n{log}"));
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(postmaster) = self.postmaster.take() {
            postmaster.end_at_once();
        }
        postmaster::remove_shared_memory(&self.data());
        let _ = std::fs::remove_dir_all(&self.home);
        self.guard.dismiss();
    }
}

/// A port of 127.0.0.1 that nobody listens on, below those which the system gives to outgoing connections: so it is still free after a while in
/// which whoever has it did not run, and no client that tries to reach it then meets itself. Also below those of labs, which find theirs free and
/// listen at them only some seconds later.
///
/// # Panics
/// When none is found.
pub fn free_port() -> u16 {
    static TURN: AtomicUsize = AtomicUsize::new(0);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.subsec_nanos() as usize);
    let mut number = now.wrapping_mul(31).wrapping_add(std::process::id() as usize * 7_919);
    let begun = Instant::now();
    loop {
        number = number.wrapping_add(TURN.fetch_add(1, Ordering::Relaxed) * 104_729 + 13);
        let port = u16::try_from(10_000 + number % 10_000).unwrap_or(10_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
        assert!(begun.elapsed().as_secs() < 10, "no free port on 127.0.0.1");
    }
}
