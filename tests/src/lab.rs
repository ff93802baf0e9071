//! A lab of a test's own: both sites on this machine, by the real binary, taken down whatever becomes of the test.
//!
//! [`in_lab`] is for a test that works on the lab itself, [`OwnLab`] for one that types commands, as a person would.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed, and says how it went"
)]

use crate::cli::{self, Ran};
use anyhow::{Context as _, Result, ensure};
use holdfast_continuity::agent::report::Report;
use holdfast_continuity::register::Protection;
use holdfast_lab::{Event, Lab, UpOptions};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// For something to come about, on a busy machine.
pub const LIMIT: Duration = Duration::from_secs(90);
/// The busiest that a small machine is with a whole pool on it and tests beside it.
pub const RATE: f64 = 40.0;
/// The evidence that the first site is gone.
pub const FENCE: &str = "attested:every process of the site was ended";

/// Runs a test on a lab of its own.
///
/// # Panics
/// When the lab does not come up, the test fails, or something of the lab does not go.
pub fn in_lab(work: impl AsyncFnOnce(&mut Lab) -> Result<()>) {
    in_lab_with(UpOptions::default(), work);
}

/// The same, of a lab that is as the options say.
///
/// # Panics
/// As [`in_lab`].
pub fn in_lab_with(options: UpOptions, work: impl AsyncFnOnce(&mut Lab) -> Result<()>) {
    let dir = tempfile::Builder::new().prefix("hf-").tempdir_in("/tmp").unwrap();
    let path = dir.path().join("lab");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let done = runtime.block_on(async {
        let binary = Some(cli::binary().to_owned());
        let mut lab = Lab::up(&path, &UpOptions { binary, ..options }, &said).await?;
        let worked = work(&mut lab).await;
        if worked.is_err() {
            tell_logs(&path);
        }
        worked
    });
    let down = Lab::down(&path);
    done.unwrap();
    down.unwrap();
}

fn said(event: Event) {
    match event {
        Event::Begun(what) => println!("... {what}"),
        Event::Done(what, took) => println!("    {what}: {:.1} s", took.as_secs_f64()),
        Event::Note(what) => println!("    {what}"),
    }
}

fn tell_logs(dir: &Path) {
    for entry in std::fs::read_dir(dir.join("log")).into_iter().flatten().flatten() {
        let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        println!("== {}\n{}", entry.path().display(), lines[lines.len().saturating_sub(12)..].join("\n"));
    }
}

/// Waits until an instance serves as primary, with a mirror that has everything.
///
/// # Errors
/// When it does not come to that.
pub async fn in_sync(lab: &Lab, primary: &str) -> Result<()> {
    lab.until(primary, "serve in sync", LIMIT, |r: &Report| r.serves() && r.protection == Protection::InSync).await?;
    Ok(())
}

/// Lets clients work while something happens, and checks what they were told and saw.
///
/// # Errors
/// When that fails, or the history cannot be so.
pub async fn under_load(lab: &mut Lab, what: &str, work: impl AsyncFnOnce(&mut Lab) -> Result<()>) -> Result<()> {
    println!("=== {what}");
    let begun = Instant::now();
    let load = loop {
        match lab.begin(RATE).await {
            // The servers may just be about to take clients.
            Err(_) if begun.elapsed() < LIMIT => tokio::time::sleep(Duration::from_millis(200)).await,
            begun => break begun?,
        }
    };
    load.wait_for(20, LIMIT).await?;
    work(lab).await?;
    load.wait_for(20, LIMIT).await?;
    let report = lab.finish(load).await?;
    ensure!(report.holds, "{what}: {report:#?}");
    println!(
        "    {} acknowledged, longest silence {} ms, {:.1} s in all",
        report.acknowledged,
        report.longest_silence_ms,
        begun.elapsed().as_secs_f64()
    );
    Ok(())
}

/// Fails over to the second site, whose first one was ended.
///
/// # Errors
/// When it is refused.
pub async fn fail_over(lab: &Lab, accept: u64) -> Result<Value> {
    let accept = accept.to_string();
    lab.holdfast(["failover", "run", "--yes", "--fence", FENCE, "--accept-loss", &accept]).await
}

/// Everything of the log that lies on the share of the second site, the oldest first.
///
/// # Errors
/// When it cannot be listed.
pub fn objects(lab: &Lab) -> Result<Vec<PathBuf>> {
    let (mut found, mut folders) = (Vec::new(), vec![lab.place().share("bos").join("wal")]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    Ok(found)
}

/// The data of the segments among them.
///
/// # Errors
/// As [`objects`].
pub fn segments(lab: &Lab) -> Result<Vec<PathBuf>> {
    let is_segment = |path: &PathBuf| {
        path.extension().is_some_and(|e| e == "zst") && path.file_stem().is_some_and(|name| name.len() == 24)
    };
    Ok(objects(lab)?.into_iter().filter(is_segment).collect())
}

/// A lab that is worked on by commands; not there until it is brought up.
#[derive(Debug)]
pub struct OwnLab(TempDir);

impl OwnLab {
    /// Its place.
    ///
    /// # Panics
    /// When it cannot be made.
    #[allow(clippy::new_without_default, reason = "it makes a directory")]
    pub fn new() -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = TempDir::with_prefix("holdfast-lab-").unwrap();
        // PostgreSQL does not run as root: what root makes here, another user has to reach.
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        Self(dir)
    }

    /// Where the lab is.
    pub fn dir(&self) -> String {
        self.0.path().join("lab").display().to_string()
    }

    /// `holdfast lab`.
    pub fn run(&self, verb: &[&str]) -> Ran {
        self.run_with(verb, &[])
    }

    /// The same, with variables in its environment.
    pub fn run_with(&self, verb: &[&str], variables: &[(String, String)]) -> Ran {
        let dir = self.dir();
        let words = [&["lab"], verb, &["--dir", &dir, "--json"]].concat();
        cli::finish(cli::command(words).envs(variables.iter().cloned()))
    }
}

impl Drop for OwnLab {
    fn drop(&mut self) {
        if Path::new(&self.dir()).exists() {
            self.run(&["down"]);
        }
    }
}
