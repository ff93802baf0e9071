//! Faults of the log's way to the other site, by their numbers in the catalogue of the handbook's authors, each on the real thing: a share that is away, one on
//! which a byte changes, and old log that must not go while a failover may need it.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed, and says how it went"
)]

use anyhow::{Context as _, Result, ensure};
use holdfast_continuity::agent::report::Report;
use holdfast_continuity::agent::state::Place;
use holdfast_lab::{Lab, UpOptions};
use rustix::process::Signal;
use serde_json::Value;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

const LIMIT: Duration = Duration::from_secs(90);
const MOMENT: Duration = Duration::from_millis(200);
/// What `initdb` makes.
const SEGMENT: u64 = 16 << 20;
/// Some segments before the oldest that is needed stay as well, so there have to be more.
const ENOUGH: u64 = 21;

#[test]
fn what_lies_on_the_share_is_looked_after() {
    let dir = tempfile::Builder::new().prefix("hf-").tempdir_in("/tmp").unwrap();
    let path = dir.path().join("lab");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let done = runtime.block_on(async {
        let binary = Some(holdfast_tests::cli::binary().to_owned());
        let mut lab = Lab::up(&path, &UpOptions { binary, ..UpOptions::default() }, &|_| {}).await?;
        let begun = Instant::now();
        f28_a_byte_changes_on_the_share(&lab).await?;
        println!("f28: {:.1} s", begun.elapsed().as_secs_f64());
        f25_the_share_is_away(&mut lab).await?;
        println!("f25: {:.1} s", begun.elapsed().as_secs_f64());
        f36_old_log_goes_only_when_nobody_may_need_it(&mut lab).await?;
        println!("f36: {:.1} s", begun.elapsed().as_secs_f64());
        anyhow::Ok(())
    });
    if done.is_err() {
        let said = |name: &str| fs::read_to_string(path.join("log").join(name)).unwrap_or_default();
        println!("== bos-db-1\n{}\n== atl-db-1\n{}", said("bos-db-1.log"), said("atl-db-1.log"));
    }
    let down = Lab::down(&path);
    done.unwrap();
    down.unwrap();
}

/// What was proven is proven again: a byte that changes later is found, named, and mended.
async fn f28_a_byte_changes_on_the_share(lab: &Lab) -> Result<()> {
    let seen = until(lab, "verify something", |v| !v["share"]["verified"]["to"].is_null()).await?;
    ensure!(bad(&seen).is_empty(), "{seen:#}");
    let last = position(&seen["share"]["verified"]["to"])? / SEGMENT - 1;
    let name = format!("00000001{:08X}{:08X}", last / 256, last % 256);
    let object = objects(lab)?.into_iter().find(|path| path.ends_with(format!("{name}.zst"))).context("the segment")?;
    flip_a_byte(&object)?;
    // The next segment is proven in one chain with it.
    switch(lab, 1).await?;
    let seen = until(lab, "name the segment", |v| {
        v["alarms"].as_array().is_some_and(|alarms| alarms.iter().any(|a| a["about"] == *name))
    })
    .await?;
    ensure!(bad(&seen) == [name.clone()], "{seen:#}");
    println!("{}", seen["share"]["verified"]["bad"][0]["why"]);
    let logged = fs::read_to_string(lab.place().log("bos-db-1"))?;
    ensure!(logged.contains(&format!("on the share, {name}")), "nothing was logged");
    // The primary has the segment still, and its agent ships it once more.
    until(lab, "see it mended", |v| bad(v).is_empty()).await?;
    let ruins = fs::read_dir(lab.place().share("bos").join("quarantine/ruins"))?.count();
    ensure!(ruins == 1, "{ruins} ruins were kept");
    Ok(())
}

/// The share and the backup are away: the pool goes on, says what waits, and afterwards the other site has everything.
async fn f25_the_share_is_away(lab: &mut Lab) -> Result<()> {
    let (share, away) = (lab.place().share("bos"), lab.place().site("bos").join("share-away"));
    let load = lab.begin(20.0).await?;
    load.wait_for(20, LIMIT).await?;
    fs::rename(&share, &away)?;
    lab.signal("bos-db-1", Signal::KILL)?;
    ensure!(lab.kill_postgres("bos-db-1") > 1);
    let at = lab.report("atl-db-1").await?.position().context("a position")?.0 / SEGMENT;
    switch(lab, ENOUGH.saturating_sub(at).max(8)).await?;
    load.wait_for(100, LIMIT).await?;
    until(lab, "say what waits", |v| {
        let alarms = v["alarms"].as_array().into_iter().flatten();
        let told = alarms.clone().any(|a| a["about"] == "backlog" && a["instance"] == "atl-db-1.litwareinc.com");
        told && v["primary"]["waiting_files"].as_u64() > Some(5)
    })
    .await?;
    ensure!(lab.report("atl-db-1").await?.serves(), "the pool does not go on");
    let why = refused(lab, &["shipping", "prune", "--days", "1"]).await?;
    ensure!(why.contains("bos-db-1.litwareinc.com cannot be asked"), "{why}");

    fs::rename(&away, &share)?;
    lab.start_again("bos-db-1", None).await?;
    load.wait_for(20, LIMIT).await?;
    let there = lab.report("atl-db-1").await?.position().context("a position")?;
    until(lab, "have shipped everything", |v| v["primary"]["waiting_files"].as_u64() <= Some(1)).await?;
    let caught_up = |r: &Report| r.status.server.as_ref().and_then(|s| s.standby.as_ref()?.replayed) >= Some(there);
    lab.until("bos-db-1", "have applied everything", LIMIT, caught_up).await?;
    let report = lab.finish(load).await?;
    ensure!(report.holds, "{report:#?}");
    let seen = until(lab, "have verified what came", |v| {
        position(&v["share"]["verified"]["to"]).is_ok_and(|to| to >= there.0 / SEGMENT * SEGMENT)
    })
    .await?;
    ensure!(bad(&seen).is_empty(), "{seen:#}");
    Ok(())
}

/// Old log goes when nobody needs it, and not while a failover is open.
async fn f36_old_log_goes_only_when_nobody_may_need_it(lab: &mut Lab) -> Result<()> {
    // A standby begins where the last checkpoint was that it has applied.
    let (prune, deadline) = (["shipping", "prune"], Instant::now() + LIMIT);
    lab.sql("atl-db-1", "CHECKPOINT").await?;
    let would = loop {
        for standby in ["atl-db-2", "bos-db-1", "bos-db-2"] {
            lab.sql(standby, "CHECKPOINT").await?;
        }
        let would = lab.holdfast(["shipping", "prune", "--what-if"]).await?;
        if position(&would["needed_from"])? / SEGMENT >= ENOUGH {
            break would;
        }
        ensure!(Instant::now() < deadline, "somebody is far behind: {would:#}");
        tokio::time::sleep(MOMENT).await;
    };
    ensure!(would["shares"].as_array().is_some_and(|s| s.iter().all(|s| s["objects"] == Value::Array(vec![]))));
    let before = objects(lab)?;
    let long_ago = SystemTime::now() - Duration::from_secs(40 * 24 * 3_600);
    for object in &before {
        File::options().write(true).open(object)?.set_modified(long_ago)?;
    }
    lab.kill("atl")?;
    lab.holdfast(["failover", "step", "1", "--fence", "attested:every process of the site was ended"]).await?;
    let lock = lab.place().share("bos").join("ops/ACTIVE");
    ensure!(lock.exists(), "no lock is on the share");
    // The old site is there again before anybody has claimed anything: it serves, and lets nothing go.
    for short in ["atl-db-1", "atl-db-2"] {
        lab.start_again(short, None).await?;
    }
    lab.until("atl-db-1", "serve again", LIMIT, Report::serves).await?;
    let why = refused(lab, &prune).await?;
    ensure!(why.contains("is not over on bos-db-1.litwareinc.com"), "{why}");
    lab.holdfast(["failover", "abort"]).await?;
    ensure!(!lock.exists(), "the lock stays");
    lab.until("bos-db-1", "follow again", LIMIT, |r| matches!(&r.place, Place::Standby { upstream: Some(_), .. }))
        .await?;
    // Nor while there is only a lock on a share, whoever left it.
    fs::write(&lock, "somebody")?;
    let why = refused(lab, &prune).await?;
    ensure!(why.contains("ops/ACTIVE is there"), "{why}");
    fs::remove_file(&lock)?;
    ensure!(before.iter().all(|object| object.exists()), "something went");

    let went = lab.holdfast(prune).await?;
    let gone = before.iter().filter(|object| !object.exists()).count();
    println!("{gone} of {} objects went, needed from {} on", before.len(), went["needed_from"]);
    ensure!(gone > 0 && gone < before.len(), "{went:#}");
    ensure!(before.last().is_some_and(|newest| newest.exists()));
    // What is left is whole, and what went is no hole.
    ensure!(lab.holdfast(["shipping", "verify"]).await?["holds"] == true);
    let looked = looked_at(&until(lab, "look", |_| true).await?);
    let seen = until(lab, "look again", |v| looked_at(v) > looked).await?;
    ensure!(bad(&seen).is_empty(), "{seen:#}");
    Ok(())
}

/// When the verifier looked last, as it is written: later ones sort behind.
fn looked_at(status: &Value) -> String {
    status["share"]["verified"]["at"].as_str().unwrap_or_default().to_owned()
}

async fn until(lab: &Lab, what: &str, is: impl Fn(&Value) -> bool) -> Result<Value> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let seen = lab.holdfast(["shipping", "status"]).await?;
        if is(&seen) {
            return Ok(seen);
        }
        ensure!(Instant::now() < deadline, "it does not come to {what}: {seen:#}");
        tokio::time::sleep(MOMENT).await;
    }
}

async fn refused(lab: &Lab, args: &[&str]) -> Result<String> {
    let refused = lab.holdfast(args).await;
    Ok(format!("{:#}", refused.err().context("it was not refused")?))
}

/// The files on the share that do not hold.
fn bad(status: &Value) -> Vec<String> {
    let bad = status["share"]["verified"]["bad"].as_array().into_iter().flatten();
    bad.filter_map(|b| b["file"].as_str().map(str::to_owned)).collect()
}

fn position(lsn: &Value) -> Result<u64> {
    let (high, low) = lsn.as_str().and_then(|text| text.split_once('/')).context("a position")?;
    Ok((u64::from_str_radix(high, 16)? << 32) | u64::from_str_radix(low, 16)?)
}

/// Ends so many segments.
async fn switch(lab: &Lab, count: u64) -> Result<()> {
    if count > 0 {
        let sql = format!(
            "SELECT pg_logical_emit_message(false, 'test', 'x'), pg_switch_wal() FROM generate_series(1, {count})"
        );
        lab.sql("atl-db-1", &sql).await?;
    }
    Ok(())
}

/// What lies on the share of the log, oldest first.
fn objects(lab: &Lab) -> Result<Vec<PathBuf>> {
    let (mut found, mut folders) = (Vec::new(), vec![lab.place().share("bos").join("wal")]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    Ok(found)
}

/// As a disk does that rots.
fn flip_a_byte(path: &Path) -> Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let (at, mut byte) = (file.metadata()?.len() / 2, [0]);
    file.read_exact_at(&mut byte, at)?;
    file.write_all_at(&[byte[0] ^ 1], at)?;
    Ok(())
}
