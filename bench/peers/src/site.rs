//! One server with a PostgreSQL of its own, in a directory of its own: brought up for a run, counted, killed, started again, and gone afterwards.

use crate::link::{Account, Link};
use crate::process::{self, Process, pin};
use crate::sasl::Way;
use crate::servers::Kind;
use anyhow::{Context as _, Result, anyhow, bail};
use holdfast_private_postgres::{Postgres, free_port};
use std::fmt::Display;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The domain of people.
pub(crate) const DOMAIN: &str = "chat.example";
/// The domain of rooms.
pub(crate) const ROOMS: &str = "rooms.chat.example";
/// Everybody's.
pub(crate) const PASSWORD: &str = "a-password-of-everybody";
/// Rounds of PBKDF2 behind every password, at every server.
pub(crate) const ROUNDS: u32 = 4096;

const DATABASE: &str = include_str!("../settings/postgresql.conf");
/// All settings, by the names of their files.
pub(crate) const SETTINGS: [(&str, &str); 4] = [
    ("holdfast.toml", include_str!("../settings/holdfast.toml")),
    ("ejabberd.yml", include_str!("../settings/ejabberd.yml")),
    ("prosody.cfg.lua", include_str!("../settings/prosody.cfg.lua")),
    ("postgresql.conf", DATABASE),
];
/// For a start, with what a crash left to recover.
const PATIENCE: Duration = Duration::from_secs(120);

/// How servers are found and where they run.
#[derive(Clone, Debug)]
pub(crate) struct Ways {
    /// Holdfast's binary.
    pub(crate) holdfast: PathBuf,
    /// The processors of servers and databases, as `taskset` names them; empty: all.
    pub(crate) cpus: String,
}

/// What a server stands on.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) ways: Ways,
    pub(crate) home: PathBuf,
    pub(crate) port: u16,
    pub(crate) http_port: u16,
    pub(crate) users: usize,
    pub(crate) postgres: Postgres,
}

impl Ground {
    /// A template with everything that it names filled in.
    pub(crate) fn fill(&self, template: &str) -> String {
        let values = [
            ("@HOME@", self.home.display().to_string()),
            ("@PORT@", self.port.to_string()),
            ("@HTTP_PORT@", self.http_port.to_string()),
            ("@DOMAIN@", DOMAIN.to_owned()),
            ("@ROOMS@", ROOMS.to_owned()),
            ("@ITERATIONS@", ROUNDS.to_string()),
            ("@POSTGRES_PORT@", self.postgres.port().to_string()),
            ("@DATABASE@", "holdfast".to_owned()),
            ("@DATABASE_USER@", "holdfast".to_owned()),
            ("@DATABASE_URL@", self.postgres.url()),
        ];
        values.iter().fold(template.to_owned(), |text, (name, value)| text.replace(name, value))
    }

    /// Runs SQL and answers what it printed.
    pub(crate) fn sql(&self, sql: &str) -> Result<String> {
        self.postgres.try_psql(sql).map_err(|e| anyhow!("psql: {e}"))
    }
}

/// The name of a user.
pub(crate) fn user(number: impl Display) -> String {
    format!("u{number}")
}

/// The address of a room.
pub(crate) fn room(name: impl Display) -> String {
    format!("{name}@{ROOMS}")
}

/// A server that runs.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) kind: Kind,
    process: Option<Process>,
    pub(crate) ground: Ground,
    /// From its start to the first stream that it answered.
    pub(crate) ready_after: Duration,
    _home: TempDir,
}

/// What was used up to a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    server: Duration,
    postgres: Duration,
    generator: Duration,
    at: Instant,
}

/// What was used between two moments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Used {
    pub(crate) server: Duration,
    pub(crate) postgres: Duration,
    pub(crate) generator: Duration,
    pub(crate) took: Duration,
}

impl Site {
    /// Brings a server up on an empty database, with `users`.
    pub(crate) async fn up(kind: Kind, ways: &Ways, users: usize) -> Result<Self> {
        let home = tempfile::Builder::new().prefix(&format!("holdfast-peers-{}-", kind.name())).tempdir()?;
        let lines = DATABASE.lines().filter_map(|line| line.split('#').next()?.split_once('='));
        let settings: Vec<(&str, &str)> = lines.map(|(key, value)| (key.trim(), value.trim())).collect();
        let starting = tokio::task::spawn_blocking(move || Postgres::with(&settings));
        let postgres = starting.await.map_err(|_| anyhow!("PostgreSQL did not start; see above"))?;
        pin(&ways.cpus, postgres.pid().context("PostgreSQL ended by itself")?)?;
        let ground = Ground {
            ways: ways.clone(),
            home: home.path().to_owned(),
            port: free_port(),
            http_port: free_port(),
            users,
            postgres,
        };
        kind.prepare(&ground)?;
        let mut site = Self { kind, process: None, ground, ready_after: Duration::ZERO, _home: home };
        site.start().await?;
        kind.populate(&site.ground).await.context("making the users")?;
        // As they are in a database that has been in use.
        site.ground.sql("VACUUM ANALYZE")?;
        Ok(site)
    }

    /// Starts the server and waits until it answers.
    pub(crate) async fn start(&mut self) -> Result<()> {
        let begun = Instant::now();
        let log = self.ground.home.join("output.log");
        let address = self.address();
        let process = self.process.insert(Process::start(self.kind.command(&self.ground), &log)?);
        while Link::reach(address, DOMAIN).await.is_err() {
            if !process.is_running() || begun.elapsed() > PATIENCE {
                let said = std::fs::read_to_string(&log).unwrap_or_default();
                bail!("{} does not answer. It said:\n{said}", self.kind.name());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.ready_after = begun.elapsed();
        Ok(())
    }

    /// Ends the server's processes as a power cut would.
    pub(crate) fn kill(&mut self) {
        drop(self.process.take());
    }

    /// Ends the server in order.
    pub(crate) fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            process.stop();
        }
    }

    /// Ends PostgreSQL's processes as a power cut would.
    pub(crate) fn kill_database(&mut self) {
        self.ground.postgres.kill();
    }

    pub(crate) fn start_database(&mut self) -> Result<()> {
        self.ground.postgres.start_again();
        pin(&self.ground.ways.cpus, self.ground.postgres.pid().context("PostgreSQL ended by itself")?)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.ground.port))
    }

    /// How user `number` signs in.
    pub(crate) fn account(&self, number: usize, way: Way) -> Account {
        let number = number % self.ground.users;
        let (domain, password) = (DOMAIN.to_owned(), PASSWORD.to_owned());
        Account { address: self.address(), domain, user: user(number), password, way, secure: false }
    }

    /// What was used so far.
    pub(crate) fn usage(&self) -> Usage {
        Usage {
            server: self.process.as_ref().map(|process| process::cpu(process.pid())).unwrap_or_default(),
            postgres: self.ground.postgres.pid().map(process::cpu).unwrap_or_default(),
            generator: process::own_cpu(),
            at: Instant::now(),
        }
    }

    /// What was used since.
    pub(crate) fn used(&self, since: Usage) -> Used {
        let now = self.usage();
        Used {
            server: now.server.saturating_sub(since.server),
            postgres: now.postgres.saturating_sub(since.postgres),
            generator: now.generator.saturating_sub(since.generator),
            took: now.at - since.at,
        }
    }

    /// The server's memory in KiB, and PostgreSQL's.
    pub(crate) fn memory(&self) -> (u64, u64) {
        let server = self.process.as_ref().map(|process| process::memory(process.pid())).unwrap_or_default();
        (server, self.ground.postgres.pid().map(process::memory).unwrap_or_default())
    }

    /// Bytes of write-ahead log since the database was made.
    pub(crate) fn wal(&self) -> Result<u64> {
        Ok(self.ground.sql("SELECT (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint")?.trim().parse()?)
    }

    /// Waits until the server has little to do: what a measurement leaves behind must not be counted to the next.
    pub(crate) async fn settle(&self) {
        const LOOK: Duration = Duration::from_millis(300);
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let before = self.usage();
            tokio::time::sleep(LOOK).await;
            if self.used(before).server < LOOK / 15 || Instant::now() > deadline {
                return;
            }
        }
    }
}

impl Drop for Site {
    /// The server first, which would complain that its database goes.
    fn drop(&mut self) {
        self.stop();
    }
}
