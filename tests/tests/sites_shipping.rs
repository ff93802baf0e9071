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
use holdfast_lab::Lab;
use holdfast_tests::lab::{FENCE, LIMIT, fail_over, in_lab, in_sync, objects, under_load};
use rustix::process::Signal;
use serde_json::Value;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

const MOMENT: Duration = Duration::from_millis(200);
/// What `initdb` makes.
const SEGMENT: u64 = 16 << 20;
/// Some segments before the oldest that is needed stay as well, so there have to be more.
const ENOUGH: u64 = 21;
/// So many before the oldest that is needed.
const MARGIN: u64 = 16;

#[test]
fn what_lies_on_the_share_is_looked_after() {
    in_lab(async |lab| {
        let begun = Instant::now();
        f28_what_changes_or_goes_on_the_share_is_mended(lab).await?;
        println!("f28: {:.1} s", begun.elapsed().as_secs_f64());
        f25_the_share_is_away(lab).await?;
        println!("f25: {:.1} s", begun.elapsed().as_secs_f64());
        Ok(())
    });
}

#[test]
fn old_log_goes_and_what_was_proven_stays_known() {
    in_lab(async |lab| {
        let begun = Instant::now();
        switch(lab, ENOUGH).await?;
        an_agent_that_is_started_again_goes_on_where_it_was(lab).await?;
        println!("restart: {:.1} s", begun.elapsed().as_secs_f64());
        f36_old_log_goes_only_when_nobody_may_need_it(lab).await?;
        println!("f36: {:.1} s", begun.elapsed().as_secs_f64());
        f36_by_itself_it_goes_too_and_a_failover_lacks_nothing(lab).await?;
        println!("retention: {:.1} s", begun.elapsed().as_secs_f64());
        Ok(())
    });
}

/// What was proven is proven again: a byte that changes later, an object that is gone, what vouches for it that is gone, are found, named, and mended.
async fn f28_what_changes_or_goes_on_the_share_is_mended(lab: &Lab) -> Result<()> {
    let ruins = lab.place().share("bos").join("quarantine/ruins");
    type Harm = fn(&Path) -> Result<()>;
    let harms: [(&str, Harm); 3] = [
        ("a byte changes", flip_a_byte),
        ("the data is gone", |data| Ok(fs::remove_file(data)?)),
        ("the manifest is gone", |data| Ok(fs::remove_file(data.with_extension("json"))?)),
    ];
    for (what, harm) in harms {
        let (name, object, good) = harm_the_last(lab, harm).await?;
        // The primary has the segment still, and its agent ships it once more.
        let seen = until(lab, "see it mended", |v| bad(v).is_empty()).await?;
        ensure!(fs::read(&object)? == good && object.with_extension("json").exists(), "{what}: {seen:#}");
        let logged = fs::read_to_string(lab.place().log("bos-db-1"))?;
        ensure!(logged.contains(&format!("on the share, {name}")), "{what}: nothing was logged");
    }
    ensure!(fs::read_dir(&ruins)?.count() == 1, "what was changed is kept");
    // What the primary has no more, nobody mends: it stays named, and nothing is made up.
    let aside = lab.place().site("atl").join("aside");
    let theirs = |name: &str| lab.place().cluster("atl", "atl-db-1").join("pg_wal").join(name);
    let (name, object, good) = harm_the_last(lab, |data| {
        fs::rename(theirs(&data.file_stem().unwrap().to_string_lossy()), &aside)?;
        flip_a_byte(data)
    })
    .await?;
    let changed = fs::read(&object)?;
    // Longer than the primary's agent takes between two attempts.
    let deadline = Instant::now() + Duration::from_secs(12);
    while Instant::now() < deadline {
        let seen = until(lab, "look", |_| true).await?;
        ensure!(bad(&seen) == [name.clone()] && fs::read(&object)? == changed, "{seen:#}");
        tokio::time::sleep(MOMENT).await;
    }
    fs::rename(&aside, theirs(&name))?;
    until(lab, "see it mended", |v| bad(v).is_empty()).await?;
    ensure!(fs::read(&object)? == good);
    Ok(())
}

/// Harms the last segment that was proven, and waits until it is named: the next one is proven in one chain with it. Answers its name, where its data lies,
/// and what was in it.
async fn harm_the_last(lab: &Lab, harm: impl Fn(&Path) -> Result<()>) -> Result<(String, PathBuf, Vec<u8>)> {
    let found = |v: &Value| !v["share"]["verified"]["to"].is_null() && bad(v).is_empty();
    let seen = until(lab, "have verified something", found).await?;
    let last = position(&seen["share"]["verified"]["to"])? / SEGMENT - 1;
    let name = format!("00000001{:08X}{:08X}", last / 256, last % 256);
    let object = objects(lab)?.into_iter().find(|path| path.ends_with(format!("{name}.zst"))).context("the segment")?;
    let good = fs::read(&object)?;
    harm(&object)?;
    switch(lab, 1).await?;
    // It may have come to the next one already; then it comes to this one again in its turn.
    let is_named = |v: &Value| v["alarms"].as_array().is_some_and(|alarms| alarms.iter().any(|a| a["about"] == *name));
    let seen = until_within(lab, "name the segment", 3 * LIMIT, is_named).await?;
    ensure!(bad(&seen) == [name.clone()], "{seen:#}");
    println!("{name} {}", seen["share"]["verified"]["bad"][0]["why"]);
    Ok((name, object, good))
}

/// How far the share was proven is remembered: the next agent begins behind that, and proves what is new.
async fn an_agent_that_is_started_again_goes_on_where_it_was(lab: &mut Lab) -> Result<()> {
    let proven = |v: &Value| position(&v["share"]["verified"]["to"]).ok();
    // More than is read at one look from the beginning on.
    let before =
        proven(&until(lab, "have verified much", |v| proven(v) >= Some(16 * SEGMENT)).await?).context("how far")?;
    lab.signal("bos-db-1", Signal::KILL)?;
    switch(lab, 2).await?;
    let last = lab.report("atl-db-1").await?.position().context("a position")?.0 / SEGMENT * SEGMENT;
    lab.start_again("bos-db-1", None).await?;
    let file = lab.place().machine("bos", "bos-db-1").join("verified.json");
    ensure!(file.exists(), "nothing is remembered");
    // Whatever it says first was read in one look.
    let deadline = Instant::now() + LIMIT;
    let first = loop {
        let told = lab.report("bos-db-1").await.ok().and_then(|r| r.share?.verified?.to);
        if let Some(to) = told {
            break to.0;
        }
        ensure!(Instant::now() < deadline, "it verifies nothing");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    ensure!(first >= before, "it began anew: {first:X} after {before:X}");
    let seen = until(lab, "verify what is new", |v| proven(v) >= Some(last)).await?;
    ensure!(bad(&seen).is_empty(), "{seen:#}");
    // It reads on from there once more what was read before: what rots meanwhile is found also after a restart.
    let looked = looked_at(&seen);
    until(lab, "look again", |v| looked_at(v) > looked).await?;
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
    lab.holdfast(["failover", "step", "1", "--fence", FENCE]).await?;
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

/// The primary's agent lets old log go by itself, once a day, of which the first time comes soon here. Young log stays however little it is needed, what is
/// needed stays however old it is, and a site that is lost afterwards is replaced with nothing missing.
async fn f36_by_itself_it_goes_too_and_a_failover_lacks_nothing(lab: &mut Lab) -> Result<()> {
    let begin = lab.report("atl-db-1").await?.position().context("a position")?.0 / SEGMENT;
    switch(lab, ENOUGH + 4).await?;
    until(lab, "have shipped everything", |v| v["primary"]["waiting_files"].as_u64() <= Some(1)).await?;
    let deadline = Instant::now() + LIMIT;
    let needed = loop {
        for instance in ["atl-db-1", "atl-db-2", "bos-db-1", "bos-db-2"] {
            lab.sql(instance, "CHECKPOINT").await?;
        }
        let would = lab.holdfast(["shipping", "prune", "--what-if"]).await?;
        let needed = position(&would["needed_from"])? / SEGMENT;
        if needed >= begin + ENOUGH {
            break needed;
        }
        ensure!(Instant::now() < deadline, "somebody is far behind: {would:#}");
        tokio::time::sleep(MOMENT).await;
    };
    let number = |object: &Path| {
        let name = object.file_name().and_then(|n| n.to_str()).filter(|n| n.len() == 28 || n.len() == 29)?;
        Some(u64::from_str_radix(name.get(8..16)?, 16).ok()? * 256 + u64::from_str_radix(name.get(16..24)?, 16).ok()?)
    };
    // Of what nobody needs, these two are young.
    let from = needed.saturating_sub(MARGIN);
    let (young, all) = (from.saturating_sub(2)..from, objects(lab)?);
    let long_ago = SystemTime::now() - Duration::from_secs(40 * 24 * 3_600);
    for object in all.iter().filter(|object| number(object).is_none_or(|n| !young.contains(&n))) {
        File::options().write(true).open(object)?.set_modified(long_ago)?;
    }
    lab.signal("atl-db-1", Signal::KILL)?;
    lab.start_again("atl-db-1", Some("retain.soon")).await?;
    let did = |r: &Report| r.retention.as_ref().is_some_and(|r| r.deleted > 0);
    let retained =
        lab.until("atl-db-1", "let old log go by itself", LIMIT, did).await?.retention.context("what went")?;
    ensure!(retained.kept.is_none(), "{retained:?}");
    let may_go = |object: &&PathBuf| number(object).is_some_and(|n| n < young.start);
    let (old, rest): (Vec<&PathBuf>, Vec<&PathBuf>) = all.iter().partition(may_go);
    println!("{} of {} objects went by themselves", retained.deleted, all.len());
    ensure!(!old.is_empty() && retained.deleted == old.len(), "{retained:?}: {old:?}");
    ensure!(old.iter().all(|object| !object.exists()), "some stayed of {old:?}");
    ensure!(rest.iter().all(|object| object.exists()), "some went of {rest:?}");
    ensure!(lab.holdfast(["shipping", "verify"]).await?["holds"] == true);
    // They were ended with the site before.
    for server in ["atl-cs-001", "atl-cs-002"] {
        lab.start_again(server, None).await?;
    }
    in_sync(lab, "atl-db-1").await?;
    under_load(lab, "a site is lost after its old log went", async |lab| {
        lab.kill("atl")?;
        fail_over(lab, 1_000).await?;
        in_sync(lab, "bos-db-1").await
    })
    .await
}

/// When the verifier looked last, as it is written: later ones sort behind.
fn looked_at(status: &Value) -> String {
    status["share"]["verified"]["at"].as_str().unwrap_or_default().to_owned()
}

async fn until(lab: &Lab, what: &str, is: impl Fn(&Value) -> bool) -> Result<Value> {
    until_within(lab, what, LIMIT, is).await
}

async fn until_within(lab: &Lab, what: &str, limit: Duration, is: impl Fn(&Value) -> bool) -> Result<Value> {
    let deadline = Instant::now() + limit;
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

/// As a disk does that rots.
fn flip_a_byte(path: &Path) -> Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let (at, mut byte) = (file.metadata()?.len() / 2, [0]);
    file.read_exact_at(&mut byte, at)?;
    file.write_all_at(&[byte[0] ^ 1], at)?;
    Ok(())
}
