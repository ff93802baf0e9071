//! Several servers of the real binary that share a private PostgreSQL; or one on an embedded database, to compare with.

use crate::cli::{self, Ran};
use crate::http::Http;
use crate::proxy::Proxy;
use crate::server::Server;
use holdfast_load::{Hosts, cast};
use holdfast_private_postgres::{Postgres, free_port};
use hyper::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Everybody's.
pub const PASSWORD: &str = "correct horse battery";
/// The administrator.
pub const ADMIN: &str = "admin";
/// For a server's place in the pool to be as it should.
const SETTLING: Duration = Duration::from_secs(30);

/// What the servers are told unless the plan says otherwise: passwords are made and asked for often here and are no secrets, and on a machine that
/// is busy with other tests the database may take a while to answer.
const USUAL: [(&str, &str); 2] = [("ACCOUNTS__PASSWORD_ITERATIONS", "4096"), ("POOL__MOST_ROUND_TRIP_MS", "5000")];

/// What a pool is to be like.
#[derive(Debug)]
pub struct Plan<'a> {
    /// How many servers are started.
    pub servers: usize,
    /// Whether each server reaches PostgreSQL through a proxy of its own.
    pub proxies: bool,
    /// Where PostgreSQL keeps its files, if not where it likes.
    pub postgres_in: Option<&'a Path>,
    /// Whether PostgreSQL has a standby, without which nothing is acknowledged.
    pub standby: bool,
    /// Settings of PostgreSQL.
    pub postgres: &'a [(&'a str, &'a str)],
    /// Settings of every server, as `SECTION__KEY`.
    pub settings: &'a [(&'a str, &'a str)],
}

impl Default for Plan<'_> {
    fn default() -> Self {
        Self { servers: 3, proxies: false, postgres_in: None, standby: false, postgres: &[], settings: &[] }
    }
}

/// Servers `chat-1`, `chat-2` ... counted from 0 here.
#[derive(Debug)]
pub struct Pool {
    // The servers end before what they stand on.
    servers: Vec<Option<Server>>,
    ports: Vec<u16>,
    proxies: Vec<Proxy>,
    settings: Vec<(String, String)>,
    hosts: Hosts,
    /// `None`: the database is embedded.
    postgres: Option<Postgres>,
    standby: Option<Postgres>,
    dir: TempDir,
    admin: Mutex<Option<Http>>,
    runtime: Runtime,
}

impl Pool {
    /// Starts PostgreSQL, the servers on it, and waits until all of them know each other. There is an administrator then.
    ///
    /// # Panics
    /// When something of it does not come up.
    pub fn start(plan: &Plan) -> Self {
        let postgres = match plan.postgres_in {
            Some(dir) => Postgres::in_dir(dir, plan.postgres),
            None => Postgres::with(plan.postgres),
        };
        let proxies = (0..plan.servers).filter(|_| plan.proxies).map(|_| Proxy::to(postgres.port())).collect();
        let standby = plan.standby.then(|| synchronous_standby(&postgres));
        let mut pool = Self { standby, ..Self::new(plan.settings, Some(postgres), proxies) };
        for server in 0..plan.servers {
            pool.start_server(server);
            if server == 0 {
                pool.add_admin();
            }
        }
        pool.wait_for_active(plan.servers.min(4));
        pool
    }

    /// One server on an embedded database.
    ///
    /// # Panics
    /// As [`Pool::start`].
    pub fn embedded() -> Self {
        let mut pool = Self::new(&[], None, Vec::new());
        pool.start_server(0);
        pool.add_admin();
        pool
    }

    fn new(settings: &[(&str, &str)], postgres: Option<Postgres>, proxies: Vec<Proxy>) -> Self {
        let settings = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let dir = TempDir::with_prefix("holdfast-pool-").unwrap_or_else(|e| panic!("no temporary directory: {e}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.unwrap_or_else(|e| panic!("no runtime: {e}"));
        let (servers, ports, hosts, admin) = (Vec::new(), Vec::new(), Hosts::default(), Mutex::default());
        Self { servers, ports, proxies, settings, hosts, postgres, standby: None, dir, admin, runtime }
    }

    /// Starts a server: a new one, or again one that was killed or stopped. It waits until it serves.
    ///
    /// # Panics
    /// When it does not come up, or runs.
    pub fn start_server(&mut self, server: usize) {
        assert!(self.servers.get(server).is_none_or(Option::is_none), "{} runs", name(server));
        let settings = self.settings_of(server);
        let settings: Vec<(&str, &str)> = settings.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        while self.servers.len() <= server {
            self.servers.push(None);
            self.ports.push(free_port());
        }
        // One that comes back comes back to where it was, as it would on a machine of its own.
        let host = format!("127.0.0.1:{}", self.ports[server]);
        let started = Server::try_start_at(&host, &self.data(server), &settings);
        let started = started.unwrap_or_else(|log| panic!("{} did not start: {log}", name(server)));
        self.hosts.set(server, Some(started.host()));
        self.servers[server] = Some(started);
    }

    fn settings_of(&self, server: usize) -> Vec<(String, String)> {
        let mut settings: Vec<(String, String)> = USUAL.map(|(key, value)| (key.into(), value.into())).into();
        if let Some(postgres) = &self.postgres {
            let own = postgres.port();
            let port = self.proxies.get(server).map_or(own, Proxy::port);
            let other = self.standby.as_ref().map(|standby| format!(",127.0.0.1:{}", standby.port()));
            let hosts = format!(":{port}{}/", other.unwrap_or_default());
            settings.push(("DATABASE__URL".into(), postgres.url().replace(&format!(":{own}/"), &hosts)));
            settings.push(("POOL__SERVER".into(), name(server)));
        }
        settings.extend(self.settings.iter().cloned());
        settings
    }

    /// Where a server keeps its lock and its control socket.
    pub fn data(&self, server: usize) -> PathBuf {
        self.dir.path().join(name(server))
    }

    /// A server that runs.
    ///
    /// # Panics
    /// When it does not.
    pub fn server(&self, server: usize) -> &Server {
        self.servers.get(server).and_then(Option::as_ref).unwrap_or_else(|| panic!("{} does not run", name(server)))
    }

    /// The numbers of those that run.
    pub fn running(&self) -> Vec<usize> {
        (0..self.servers.len()).filter(|i| self.servers[*i].is_some()).collect()
    }

    /// What a server answers to a `GET` of somebody who is not signed in, at any path.
    ///
    /// # Errors
    /// When no answer comes.
    pub fn look(&self, server: usize, path: &str) -> anyhow::Result<(u16, Value)> {
        let mut nobody = Http::new(self.server(server).host());
        self.runtime.block_on(async { tokio::time::timeout(SETTLING, nobody.send(Method::GET, path, None)).await })?
    }

    /// Lets something of clients run.
    pub fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Where the servers are, for clients.
    pub fn hosts(&self) -> Hosts {
        self.hosts.clone()
    }

    /// Their database.
    ///
    /// # Panics
    /// When it is embedded.
    pub fn postgres(&mut self) -> &mut Postgres {
        self.postgres.as_mut().unwrap_or_else(|| panic!("the database is embedded"))
    }

    /// The database's standby.
    ///
    /// # Panics
    /// When the plan had none.
    pub fn standby(&self) -> &Postgres {
        self.standby.as_ref().unwrap_or_else(|| panic!("the database has no standby"))
    }

    /// What is between a server and the database.
    ///
    /// # Panics
    /// When the plan had no proxies.
    pub fn proxy(&self, server: usize) -> &Proxy {
        self.proxies.get(server).unwrap_or_else(|| panic!("{} has no proxy", name(server)))
    }

    /// Ends a server as a power cut would.
    ///
    /// # Panics
    /// When it does not run.
    pub fn kill_server(&mut self, server: usize) {
        let Some(killed) = self.servers.get_mut(server).and_then(Option::take) else {
            panic!("{} does not run", name(server))
        };
        killed.kill();
        self.hosts.set(server, None);
    }

    /// Stops a server in order.
    ///
    /// # Panics
    /// When it does not run, or does not stop well.
    pub fn stop_server(&mut self, server: usize) {
        let Some(stopped) = self.servers.get_mut(server).and_then(Option::take) else {
            panic!("{} does not run", name(server))
        };
        self.hosts.set(server, None);
        let ended = stopped.stop();
        assert!(ended.success(), "{} ended with {ended}", name(server));
    }

    /// Sends a signal to a server.
    pub fn signal(&self, server: usize, signal: Signal) {
        self.server(server).signal(signal);
    }

    /// Runs the command line for a server's data, over its control socket if it runs.
    pub fn cli(&self, server: usize, args: &[&str]) -> Ran {
        cli::finish(&mut self.command(server, args))
    }

    fn command(&self, server: usize, args: &[&str]) -> std::process::Command {
        let mut command = cli::command(args);
        command.arg("--data").arg(self.data(server));
        for (key, value) in self.settings_of(server) {
            command.env(format!("HOLDFAST_{key}"), value);
        }
        command
    }

    /// Adds a user with [`PASSWORD`] and answers his number.
    ///
    /// # Panics
    /// When that is refused.
    pub fn add_user(&self, name: &str) -> i64 {
        self.made("/users", &json!({ "name": name, "password": PASSWORD }))
    }

    /// Adds an administrator with [`PASSWORD`].
    ///
    /// # Panics
    /// When that is refused.
    pub fn add_administrator(&self, name: &str) -> i64 {
        self.made("/users", &json!({ "name": name, "password": PASSWORD, "admin": true }))
    }

    /// Adds an open room, in a category of its own, and answers its number.
    ///
    /// # Panics
    /// When that is refused.
    pub fn add_room(&self, name: &str) -> i64 {
        let category = self.made("/categories", &json!({ "name": format!("{name}, a category") }));
        self.made("/rooms", &json!({ "name": name, "category": category, "privacy": "open" }))
    }

    fn made(&self, path: &str, body: &Value) -> i64 {
        let (status, answer) = self.ask(self.running()[0], Method::POST, path, Some(body));
        assert_eq!(status, 201, "{path} {body}: {answer}");
        answer["id"].as_i64().unwrap_or_else(|| panic!("{path} {body}: {answer}"))
    }

    /// Asks a server something as administrator: a path below `/api/v1`.
    ///
    /// # Panics
    /// When no answer comes.
    pub fn ask(&self, server: usize, method: Method, path: &str, body: Option<&Value>) -> (u16, Value) {
        let mut admin = self.admin.lock().unwrap_or_else(PoisonError::into_inner);
        let host = self.server(server).host();
        let answer = self.runtime.block_on(async {
            let admin = match &mut *admin {
                Some(admin) => admin,
                none => none.insert(self.sign_in(server, ADMIN).await?),
            };
            admin.move_to(host);
            admin.send(method, &format!("/api/v1{path}"), body).await
        });
        answer.unwrap_or_else(|e| panic!("{path} at {}: {e}", name(server)))
    }

    fn add_admin(&self) {
        let mut command = self.command(0, &["user", "add", ADMIN, "--admin", "--password-stdin"]);
        cli::finish_with_input(&mut command, &(PASSWORD.to_owned() + "\n")).ended(0);
    }

    /// Somebody who is signed in at a server. A user who was made a moment ago at another server may not be known there yet.
    ///
    /// # Errors
    /// When the server does not let him in within a second.
    pub async fn sign_in(&self, server: usize, name: &str) -> anyhow::Result<Http> {
        cast::sign_in(self.server(server).host(), name, PASSWORD).await
    }

    /// What a server says of the pool.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn status(&self, server: usize) -> Value {
        let (status, pool) = self.ask(server, Method::GET, "/pool", None);
        assert_eq!(status, 200, "{pool}");
        pool
    }

    /// Waits until every running server sees that many active ones, itself among them if it is on the list.
    ///
    /// # Panics
    /// When it does not come so.
    pub fn wait_for_active(&self, count: usize) {
        for server in self.running() {
            crate::wait::until(&format!("{} to see {count} active servers", name(server)), SETTLING, || {
                (self.standing_count(server, "active") == count).then_some(())
            });
        }
    }

    /// How many servers of a standing a server sees.
    pub fn standing_count(&self, server: usize, standing: &str) -> usize {
        let pool = self.status(server);
        let servers = pool["servers"].as_array().map(Vec::as_slice).unwrap_or_default();
        servers.iter().filter(|s| s["standing"] == standing).count()
    }
}

/// A standby that every commit waits for.
fn synchronous_standby(postgres: &Postgres) -> Postgres {
    let standby = postgres.standby();
    postgres.psql("ALTER SYSTEM SET synchronous_standby_names = '*'");
    postgres.psql("SELECT pg_reload_conf()");
    crate::wait::until("the standby to be waited for", SETTLING, || {
        (postgres.psql("SELECT sync_state FROM pg_stat_replication") == "sync").then_some(())
    });
    standby
}

/// The name of a server in the pool.
pub fn name(server: usize) -> String {
    format!("chat-{}", server + 1)
}
