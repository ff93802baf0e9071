//! Bringing a lab up, in the order in which an administrator sets up two sites.

use crate::commands;
use crate::names::full;
use crate::owner::Owner;
use crate::place::Place;
use crate::ports::Ports;
use crate::record::Record;
use crate::{Event, Lab, Watcher, names, stage};
use anyhow::{Context as _, Result, bail, ensure};
use holdfast_load::http::Http;
use hyper::Method;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

/// For a process to be there on a busy machine.
const COMING: Duration = Duration::from_secs(60);
/// Between two looks.
const MOMENT: Duration = Duration::from_millis(50);

/// How a lab is to be.
#[derive(Clone, Debug, Default)]
pub struct UpOptions {
    /// Whether the sites are bound by shipped log alone, without streaming.
    pub shipping_only: bool,
    /// Where the shares lie instead of in the lab, each in a folder of its site: `s3://BUCKET/FOLDER`, `gs://...`, `az://...`. What is written there stays.
    pub shares: Option<String>,
    /// A folder with IRC logs, to have something to read.
    pub corpus: Option<PathBuf>,
    /// The binary, if not the one that runs.
    pub binary: Option<PathBuf>,
}

impl Lab {
    /// Makes a lab in a directory, which is made if it is not there, and waits until everything is in its place: mirror in sync, backup following, chat
    /// servers ready. One that is up already is left as it is.
    ///
    /// # Errors
    /// When something does not come up. What did stays as it is, to be looked at; [`Lab::down`] removes it.
    pub async fn up(dir: &Path, options: &UpOptions, watcher: Watcher<'_>) -> Result<Lab> {
        if let Ok(lab) = Lab::open(dir) {
            ensure!(
                lab.record.complete,
                "{} has a lab that did not come up; remove it with `holdfast lab down --dir {0}`",
                dir.display()
            );
            watcher(Event::Note(format!("the lab in {} is up already", dir.display())));
            return Ok(lab);
        }
        let mut lab = Lab::prepare(dir, options)?;
        stage(watcher, "certificates and topology", lab.write_papers()).await?;
        stage(watcher, "witness and four agents", lab.start_keepers()).await?;
        let first = full(&names::instance(names::FIRST, 1));
        stage(watcher, &format!("{first}: the primary"), lab.holdfast(["instance", "create", &first])).await?;
        stage(watcher, "its mirror", lab.holdfast(["mirror", "install"])).await?;
        stage(watcher, "log shipping to the other site", lab.holdfast(["shipping", "resume"])).await?;
        stage(watcher, "the backup's own mirror", lab.holdfast(["mirror", "install", "--site", names::SECOND])).await?;
        stage(watcher, "four chat servers", lab.start_servers()).await?;
        stage(watcher, "people and rooms", lab.furnish()).await?;
        if let Some(corpus) = &options.corpus {
            stage(watcher, "the corpus", lab.import(corpus)).await?;
        }
        lab.record.complete = true;
        lab.record.save(&lab.place)?;
        Ok(lab)
    }

    /// Makes the directory, chooses ports and a user, and sees to it that this user can run the binary.
    fn prepare(dir: &Path, options: &UpOptions) -> Result<Lab> {
        let owner = Owner::of_this_process()?;
        match std::fs::read_dir(dir) {
            Ok(mut entries) => ensure!(
                entries.next().is_none(),
                "{} is not empty, and no lab; choose a directory that is not there yet",
                dir.display()
            ),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => owner.make_dir(dir)?,
            Err(error) => return Err(error).with_context(|| dir.display().to_string()),
        }
        let place = Place::of(dir)?;
        owner.give(place.dir())?;
        let binary = match &options.binary {
            Some(binary) => binary.clone(),
            None => std::env::current_exe().context("the path of this program")?,
        };
        let binary = reachable(owner, &binary, &place)?;
        let ports = Ports::find(&Lab::all_names(), std::process::id())?;
        let password = Uuid::new_v4().simple().to_string();
        let mut record = Record::new(owner, binary, ports, password, options.shipping_only);
        record.shares.clone_from(&options.shares);
        record.save(&place)?;
        Ok(Lab { place, record })
    }

    async fn write_papers(&self) -> Result<()> {
        self.make_directories()?;
        self.write_topology()?;
        self.holdfast(["topology", "check"]).await?;
        self.make_certificates().await?;
        self.write_settings()
    }

    /// Starts witness and agents, and waits until all of them answer.
    async fn start_keepers(&mut self) -> Result<()> {
        self.start_witness()?;
        for (site, short) in names::instances() {
            self.start_agent(site, &short, None)?;
        }
        let agents = self.agents()?;
        let deadline = Instant::now() + COMING;
        for (instance, agent) in &agents {
            let short = names::short(&instance.name);
            while let Err(error) = commands::report(agent).await {
                self.check_runs(short)?;
                ensure!(
                    Instant::now() < deadline,
                    "the agent of {short} does not answer: {error:#}\n{}",
                    self.said(short)
                );
                sleep(MOMENT).await;
            }
        }
        self.check_runs(names::WITNESS)
    }

    /// Starts the chat servers; those of the first site take clients.
    async fn start_servers(&mut self) -> Result<()> {
        for (site, short) in names::servers() {
            self.start_server(site, &short)?;
            // The first one makes the tables.
            if short == names::server(names::FIRST, 1) {
                self.wait_until_ready(&short).await?;
            }
        }
        let first = names::server(names::FIRST, 1);
        let settings = self.place.server_settings(names::FIRST, &first);
        let settings = settings.to_string_lossy();
        let password = format!("{}\n", self.record.password);
        let add = ["user", "add", &self.record.admin, "--admin", "--password-stdin", "--config", &settings];
        self.holdfast_with(add, &password).await?;
        for (site, short) in names::servers() {
            if site == names::FIRST {
                self.wait_until_ready(&short).await?;
            }
        }
        let active: Vec<String> =
            names::servers().iter().filter(|(site, _)| *site == names::FIRST).map(|(_, short)| full(short)).collect();
        let mut set = vec!["pool", "active", "set"];
        set.extend(active.iter().map(String::as_str));
        set.extend(["--config", &settings]);
        self.wait_until_known().await?;
        self.holdfast(set).await.map(drop)
    }

    /// Waits until a chat server has a database.
    async fn wait_until_ready(&self, short: &str) -> Result<()> {
        let mut http = Http::new(&self.record.host(short));
        let deadline = Instant::now() + COMING;
        loop {
            let asked = timeout(COMING, http.send(Method::GET, "/health/ready", None)).await;
            if let Ok(Ok((200, _))) = asked {
                return Ok(());
            }
            self.check_runs(short)?;
            if Instant::now() > deadline {
                bail!("{short} does not become ready ({asked:?}): {}", self.said(short));
            }
            sleep(MOMENT).await;
        }
    }

    /// Waits until all chat servers know of each other: an unknown one cannot be put on the list.
    async fn wait_until_known(&self) -> Result<()> {
        let mut admin = self.administrator(&names::server(names::FIRST, 1)).await?;
        let deadline = Instant::now() + COMING;
        loop {
            let (status, pool) = admin.get("/pool").await?;
            let known = pool["servers"].as_array().map_or(0, Vec::len);
            if status == 200 && known == names::servers().len() {
                return Ok(());
            }
            for (_, short) in names::servers() {
                self.check_runs(&short)?;
            }
            ensure!(Instant::now() < deadline, "the chat servers do not come to know each other: {pool}");
            sleep(MOMENT).await;
        }
    }

    /// The administrator, signed in at a chat server.
    pub(crate) async fn administrator(&self, server: &str) -> Result<Http> {
        holdfast_load::cast::sign_in(&self.record.host(server), &self.record.admin, &self.record.password).await
    }
}

/// The binary where the owner of everything can run it: where it is, or a copy in the lab.
fn reachable(owner: Owner, binary: &Path, place: &Place) -> Result<PathBuf> {
    if owner.can_run(binary, place.dir()) {
        return Ok(binary.to_owned());
    }
    let copy = place.binary();
    if let Some(dir) = copy.parent() {
        owner.make_dir(dir)?;
    }
    std::fs::copy(binary, &copy).with_context(|| format!("copying {} to {}", binary.display(), copy.display()))?;
    owner.give(&copy)?;
    ensure!(
        owner.can_run(&copy, place.dir()),
        "the user with the number {} cannot reach {}; choose a directory that everybody may enter, such as one below /tmp or /srv",
        owner.number(),
        place.dir().display()
    );
    Ok(copy)
}
