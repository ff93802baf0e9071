//! Faults of two sites, by their numbers in the catalogue of the handbook's authors, each on the real thing under a load whose history is checked.
//!
//! One lab serves several faults of a site, one after the other: what they break they must be able to mend by themselves. Those that lose a site have a lab
//! of their own.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed, and says how it went"
)]

use anyhow::{Context as _, Result, ensure};
use holdfast_continuity::agent::report::Report;
use holdfast_continuity::agent::state::Place;
use holdfast_continuity::procedure::OperationState;
use holdfast_continuity::register::Protection;
use holdfast_lab::{Lab, UpOptions};
use holdfast_tests::lab::{FENCE, LIMIT, RATE, fail_over, in_lab, in_lab_with, in_sync, segments, under_load};
use rustix::process::Signal;
use std::time::{Duration, Instant};

#[test]
fn f1_f3_f4_f6_f7_f8_f9_f46_what_breaks_within_a_site_mends_itself_and_loses_nothing() {
    in_lab(async |lab| {
        // F1: the primary's postmaster and all its processes are killed; its agent starts it again, and it serves after a commit of its own was acknowledged.
        under_load(lab, "f1_the_primary_is_killed", async |lab| {
            ensure!(lab.kill_postgres("atl-db-1") > 1);
            in_sync(lab, "atl-db-1").await
        })
        .await?;
        // F3: the primary's agent is killed, PostgreSQL goes on; the next agent adopts it.
        under_load(lab, "f3_the_primarys_agent_is_killed", async |lab| {
            let before = lab.postgres("atl-db-1");
            lab.signal("atl-db-1", Signal::KILL)?;
            lab.start_again("atl-db-1", None).await?;
            in_sync(lab, "atl-db-1").await?;
            ensure!(before.first() == lab.postgres("atl-db-1").first(), "PostgreSQL was started anew");
            Ok(())
        })
        .await?;
        // F4: PostgreSQL of the primary is frozen and goes on; nothing that it acknowledges is lost.
        under_load(lab, "f4_the_primary_is_frozen_for_a_while", async |lab| {
            lab.signal_postgres("atl-db-1", Signal::STOP);
            tokio::time::sleep(Duration::from_secs(8)).await;
            lab.signal_postgres("atl-db-1", Signal::CONT);
            in_sync(lab, "atl-db-1").await
        })
        .await?;
        // F7: the mirror is killed with its agent and stays away: the pool goes on, exposed, on record; back, it is waited for again.
        under_load(lab, "f7_the_mirror_is_lost_and_comes_back", async |lab| {
            lab.signal("atl-db-2", Signal::KILL)?;
            lab.kill_postgres("atl-db-2");
            lab.until("atl-db-1", "go on exposed", LIMIT, |r| r.protection == Protection::Exposed && r.serves())
                .await?;
            lab.start_again("atl-db-2", None).await?;
            in_sync(lab, "atl-db-1").await
        })
        .await?;
        // F10: the witness dies: the service does not notice.
        under_load(lab, "f10_the_witness_dies", async |lab| {
            lab.signal("witness", Signal::KILL)?;
            lab.start_again("witness", None).await
        })
        .await?;
        // F8: primary and mirror are killed together; the right one comes back as primary.
        under_load(lab, "f8_primary_and_mirror_are_killed_together", async |lab| {
            lab.kill_postgres("atl-db-1");
            lab.kill_postgres("atl-db-2");
            in_sync(lab, "atl-db-1").await
        })
        .await?;
        // F2: the primary's machine is lost with its agent. A person lets the mirror take its place: nothing is lost. The old one is fenced when it comes back,
        // and becomes the mirror.
        under_load(lab, "f2_the_primarys_machine_is_lost", async |lab| {
            let alive = lab.holdfast(["switchover", "--primary-is-lost"]).await;
            ensure!(alive.is_err_and(|e| format!("{e:#}").contains("it is not lost")), "one that lives was left");
            lab.signal("atl-db-1", Signal::KILL)?;
            lab.kill_postgres("atl-db-1");
            lab.holdfast(["switchover", "--primary-is-lost"]).await?;
            lab.until("atl-db-2", "serve alone", LIMIT, |r| r.serves() && r.protection == Protection::Exposed).await?;
            lab.start_again("atl-db-1", None).await?;
            lab.until("atl-db-1", "be fenced", LIMIT, |r| matches!(r.place, Place::Fenced { held: 1, .. })).await?;
            lab.holdfast(["mirror", "install"]).await?;
            in_sync(lab, "atl-db-2").await
        })
        .await?;
        Ok(())
    });
}

#[test]
#[ignore = "a minute and a half: `make test-faults`"]
fn what_happens_to_the_mirror_and_to_the_witness_mends_itself_and_loses_nothing() {
    in_lab(async |lab| {
        // F6: the mirror's PostgreSQL lives and its receiver does nothing: commits wait, then the pool goes on, on record; and it is waited for again.
        under_load(lab, "f6_the_mirror_receives_nothing_more", async |lab| {
            ensure!(lab.signal_receiver("atl-db-2", Signal::STOP), "the mirror has no receiver");
            lab.until("atl-db-1", "go on exposed", LIMIT, |r| r.protection == Protection::Exposed && r.serves())
                .await?;
            lab.signal_receiver("atl-db-2", Signal::CONT);
            in_sync(lab, "atl-db-1").await
        })
        .await?;
        // F9: the mirror is lost, clients wait for their commits, the primary is lost before it goes on alone, and only the mirror comes back. It lacks
        // nothing that was acknowledged, and does not know that: it stays what it is. What clients waited for is there when the primary is.
        under_load(lab, "f9_only_the_mirror_comes_back", async |lab| {
            for short in ["atl-db-2", "atl-db-1"] {
                lab.signal(short, Signal::KILL)?;
                lab.kill_postgres(short);
                tokio::time::sleep(Duration::from_millis(700)).await;
            }
            lab.start_again("atl-db-2", None).await?;
            lab.until("atl-db-2", "run", LIMIT, |r| r.is_up()).await?;
            for _ in 0..25 {
                let report = lab.report("atl-db-2").await?;
                ensure!(matches!(report.place, Place::Standby { .. }) && !report.open, "{report:#?}");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            lab.start_again("atl-db-1", None).await?;
            in_sync(lab, "atl-db-1").await
        })
        .await?;
        // F46: the copy for a new mirror fails: the service does not notice, nothing waits for a mirror that is none, and it can be tried again.
        under_load(lab, "f46_the_copy_for_a_new_mirror_fails", async |lab| {
            lab.holdfast(["mirror", "remove"]).await?;
            lab.until("atl-db-1", "go on exposed", LIMIT, |r| r.protection == Protection::Exposed).await?;
            let machine = lab.place().machine("atl", "atl-db-2");
            let writable = std::fs::metadata(&machine)?.permissions();
            std::fs::set_permissions(&machine, std::os::unix::fs::PermissionsExt::from_mode(0o500))?;
            let failed = lab.holdfast(["mirror", "install"]).await;
            std::fs::set_permissions(&machine, writable)?;
            let why = format!("{:#}", failed.err().context("it was copied into a folder that takes nothing")?);
            println!("    {why}");
            let report = lab.report("atl-db-1").await?;
            ensure!(report.serves() && report.protection == Protection::Exposed, "{report:#?}");
            lab.holdfast(["failover", "resume"]).await?;
            in_sync(lab, "atl-db-1").await?;
            // A whole copy in place of one that follows: the pool counts on the new one as soon as it has everything.
            let before = lab.report("atl-db-2").await?.copied_at;
            lab.holdfast(["mirror", "install", "--anew"]).await?;
            ensure!(lab.report("atl-db-2").await?.copied_at > before, "it was not copied");
            in_sync(lab, "atl-db-1").await
        })
        .await?;
        // The witness loses its memory: it votes again when both instances have told it what they know, and knows the epoch.
        under_load(lab, "the_witness_loses_its_memory", async |lab| {
            lab.signal("witness", Signal::KILL)?;
            std::fs::remove_file(lab.place().witness().join("data/register.json"))?;
            lab.start_again("witness", None).await?;
            lab.holdfast(["switchover"]).await?;
            in_sync(lab, "atl-db-2").await?;
            ensure!(lab.report("atl-db-2").await?.epoch() == 2);
            Ok(())
        })
        .await?;
        Ok(())
    });
}

#[test]
fn f20_a_lost_site_that_comes_back_is_fenced() {
    in_lab(async |lab| {
        lab.kill("atl")?;
        fail_over(lab, 1_000).await?;
        // Its agents come back; its primary holds an older epoch.
        for short in ["atl-db-1", "atl-db-2"] {
            lab.start_again(short, None).await?;
        }
        lab.until("atl-db-1", "be fenced", LIMIT, |r| matches!(r.place, Place::Fenced { held: 1, .. }) && !r.is_up())
            .await?;
        ensure!(lab.postgres("atl-db-1").is_empty(), "PostgreSQL of the old primary runs");
        // By hand it does not come to serve either: nobody is let in, and nothing is acknowledged.
        let refused = lab.holdfast(["instance", "start", "atl-db-1.litwareinc.com"]).await;
        ensure!(refused.is_err_and(|e| format!("{e:#}").contains("holds epoch")), "it was started");
        in_sync(lab, "bos-db-1").await
    });
}

#[test]
fn f42_two_operators_cannot_fail_over_at_once_and_nothing_is_begun_without_evidence() {
    in_lab(async |lab| {
        // The site is alive: the plan is red, and the run refused with nothing changed.
        let refused = lab
            .holdfast([
                "failover",
                "run",
                "--yes",
                "--fence",
                "attested:the site is said to be gone",
                "--accept-loss",
                "1000",
            ])
            .await;
        let why = format!("{:#}", refused.err().context("a site that is alive was failed over from")?);
        ensure!(why.contains("other-site-is-gone"), "{why}");
        in_sync(lab, "atl-db-1").await?;
        lab.kill("atl")?;
        // Step 1 is done and the operation stays open: another one is refused, with who and when.
        lab.holdfast(["failover", "step", "1", "--fence", FENCE]).await?;
        let second = lab.holdfast(["failover", "run", "--yes", "--fence", FENCE, "--accept-loss", "1000"]).await;
        let why = format!("{:#}", second.err().context("two failovers run")?);
        ensure!(why.contains("is not over"), "{why}");
        // Step 4 before 2 and 3 is refused.
        let early = lab.holdfast(["failover", "step", "4"]).await;
        ensure!(early.is_err_and(|e| format!("{e:#}").contains("comes first")), "a step was done before its time");
        // F43: given up, the backup follows again as before.
        lab.holdfast(["failover", "abort"]).await?;
        lab.until("bos-db-1", "follow again", LIMIT, |r| matches!(&r.place, Place::Standby { upstream: Some(_), .. }))
            .await?;
        // More would be lost than is accepted: it stops before the point of no return, and says so.
        let refused = lab.holdfast(["failover", "run", "--yes", "--fence", FENCE, "--accept-loss", "0"]).await;
        if refused.is_err() {
            let view = lab.report("bos-db-1").await?.operation.context("an operation")?;
            ensure!(view.state == OperationState::Asks && view.unchanged.contains("standby still"), "{view:#?}");
            lab.holdfast(["failover", "resume", "--accept-loss", "1000"]).await?;
        }
        in_sync(lab, "bos-db-1").await
    });
}

/// The log that only the share has is missing in its middle, cut, empty, has a bit flipped, or cannot be reached: PostgreSQL would take any of these for the
/// end of the log and be promoted. Here each is refused before anything is applied, by the file's name; and when it is whole, all of it is applied.
#[test]
fn f26_f28_f29_f31_nothing_is_promoted_over_a_damaged_log() {
    in_lab_with(UpOptions { shipping_only: true, ..UpOptions::default() }, async |lab| {
        // Segments come that the backup does not take: one every five seconds at least.
        let has_pool = |r: &Report| r.holds.as_ref().is_some_and(|h| h.entries > 0);
        lab.until("bos-db-1", "have applied the pool's first messages", LIMIT, has_pool).await?;
        lab.holdfast(["shipping", "cancel"]).await?;
        let load = lab.begin(RATE).await?;
        let before = segments(lab)?.len();
        let deadline = Instant::now() + LIMIT;
        while segments(lab)?.len() < before + 4 {
            ensure!(Instant::now() < deadline, "the primary ships nothing");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let all = segments(lab)?;
        let report = lab.finish(load).await?;
        ensure!(report.holds, "{report:#?}");
        lab.kill("atl")?;
        lab.until("bos-db-1", "miss the other site", LIMIT, |r| r.is_up()).await?;

        let damaged = &all[before + 1];
        let name = damaged.file_stem().unwrap().to_string_lossy().into_owned();
        let whole = std::fs::read(damaged)?;
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 0x10;
        for (what, bytes) in [
            ("missing", None),
            ("cut", Some(&whole[..whole.len() / 2])),
            ("empty", Some(&[][..])),
            ("flipped", Some(&flipped[..])),
        ] {
            match bytes {
                Some(bytes) => std::fs::write(damaged, bytes)?,
                None => std::fs::remove_file(damaged)?,
            }
            let refused = fail_over(lab, 1_000_000).await;
            let why = format!("{:#}", refused.err().with_context(|| format!("promoted over a {what} segment"))?);
            println!("{what}: {}", why.lines().next().unwrap_or_default());
            ensure!(why.contains(&name) && why.contains("log-is-whole"), "{what}: {why}");
            std::fs::write(damaged, &whole)?;
        }
        // A bit that flips after the look, without anybody's writing: what was proven before counts for the look alone, and what is copied to be applied is
        // read and proven anew.
        lab.holdfast(["failover", "step", "1", "--fence", FENCE]).await?;
        let written = std::fs::metadata(damaged)?.modified()?;
        std::fs::write(damaged, &flipped)?;
        std::fs::File::options().write(true).open(damaged)?.set_modified(written)?;
        let refused = lab.holdfast(["failover", "step", "2"]).await;
        let why = format!("{:#}", refused.err().context("a bit that flipped was copied")?);
        println!("flipped silently: {}", why.lines().next().unwrap_or_default());
        ensure!(why.contains(&name) && why.contains("is not whole"), "{why}");
        std::fs::write(damaged, &whole)?;
        lab.holdfast(["failover", "abort"]).await?;

        let share = lab.place().share("bos");
        let away = share.with_extension("away");
        std::fs::rename(&share, &away)?;
        let refused = fail_over(lab, 1_000_000).await;
        // What was just being written when it went lies in its place now, and was not acknowledged.
        if share.exists() {
            ensure!(!share.join("holdfast-share.json").exists(), "a share was made where none was mounted");
            std::fs::remove_dir_all(&share)?;
        }
        std::fs::rename(&away, &share)?;
        let why = format!("{:#}", refused.err().context("promoted without the share")?);
        ensure!(why.contains("share-answers") && why.contains("--without-share"), "{why}");
        // It is a standby still, and nothing of it was changed.
        let report = lab.report("bos-db-1").await?;
        ensure!(matches!(report.place, Place::Standby { .. }) && report.epoch() == 1, "{report:#?}");

        let plan = lab.holdfast(["failover", "plan"]).await;
        fail_over(lab, 1_000_000).await.with_context(|| format!("{plan:?}"))?;
        in_sync(lab, "bos-db-1").await
    });
}

/// Where an agent may die, in the order in which it comes there.
const ALL_PLACES: [&str; 5] = ["before-intent", "intent-written", "acted", "observed", "done-written"];

/// Steps in their order, and whether they have to act: of some the outcome is there, or only has to be looked at.
type Steps = [(&'static str, bool)];

const FAILOVER: [(&str, bool); 16] = [
    ("check", false),
    ("fence", false),
    ("end-shipping", true),
    ("copy", false),
    ("apply", true),
    ("confirm", false),
    ("close", false),
    ("claim", true),
    ("promote", true),
    ("epoch", true),
    ("state", true),
    ("servers", true),
    ("mirror", true),
    ("prove", false),
    ("seal", false),
    ("report", false),
];

const SWITCHOVER: [(&str, bool); 10] = [
    ("check", false),
    ("release-backup", true),
    ("stop-old", true),
    ("catch-up", false),
    ("claim", true),
    ("old-follows", true),
    ("promote", true),
    ("open", true),
    // The new primary's own shipping comes first, in one of the lives before.
    ("seal", false),
    ("reattach-backup", true),
];

const REMOVAL: [(&str, bool); 3] = [("check", false), ("go-on-alone", true), ("stop", true)];

/// That it streams the copy itself sees to: whoever copied it lets it follow.
const MIRROR: [(&str, bool); 4] = [("check", false), ("copy", true), ("attach", false), ("wait-for-it", true)];

/// Begins a procedure and has the agent that carries it out die at each place where it can, one after the other; each next life resumes it. Answers how many
/// deaths there were. `late`: steps that may have come about by themselves in one of the earlier lives.
async fn die_everywhere(
    lab: &mut Lab,
    (kind, short): (&str, &str),
    steps: &Steps,
    late: &[&str],
    begin: &[&str],
    resume: &[&str],
) -> Result<usize> {
    let mut deaths = 0;
    for (step, acts) in steps {
        let places = if *acts { &ALL_PLACES[..] } else { &ALL_PLACES[3..] };
        for place in places {
            let failpoint = format!("{kind}.{step}.{place}");
            let _ = lab.signal(short, Signal::KILL);
            lab.start_again(short, Some(&failpoint)).await?;
            lab.until(short, "answer", LIMIT, |_| true).await?;
            let command = if deaths == 0 { begin } else { resume };
            // The command waits for an agent that does not come back; whoever watches has no part in it.
            let dead = async {
                while lab.runs(short) {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            tokio::select! {
                ran = lab.holdfast(command) => {
                    let ran = ran.with_context(|| failpoint.clone())?;
                    ensure!(ran["state"] == "done" && late.contains(step), "{failpoint} was not reached: {ran}");
                    println!("over before {failpoint}, after {deaths} deaths");
                    return Ok(deaths);
                }
                () = dead => deaths += 1,
            }
        }
    }
    let _ = lab.signal(short, Signal::KILL);
    lab.start_again(short, None).await?;
    lab.until(short, "answer", LIMIT, |_| true).await?;
    if lab.report(short).await?.operation.is_some_and(|o| !o.state.is_over()) {
        lab.holdfast(["failover", "resume"]).await?;
    }
    println!("{deaths} deaths");
    Ok(deaths)
}

#[test]
#[ignore = "some fifty lives of an agent: `make test-faults`"]
fn f40_the_agent_dies_before_and_after_everything_that_a_failover_writes_or_does() {
    in_lab(async |lab| {
        lab.kill("atl")?;
        let begin = ["failover", "run", "--yes", "--fence", FENCE, "--accept-loss", "1000"];
        let resume = ["failover", "resume", "--accept-loss", "1000"];
        let late = ["mirror", "prove", "seal", "report"];
        let deaths = die_everywhere(lab, ("failover", "bos-db-1"), &FAILOVER, &late, &begin, &resume).await?;
        ensure!(deaths > 40, "only {deaths} places were reached");
        check_outcome(lab, "bos-db-1", 1_000).await
    });
}

/// The same for a switchover, with clients at work: they wait longer, and lose nothing.
#[test]
#[ignore = "some forty lives of an agent: `make test-faults`"]
fn f40_the_agent_dies_before_and_after_everything_that_a_switchover_writes_or_does() {
    in_lab(async |lab| {
        under_load(lab, "f40_switchover", async |lab| {
            let (begin, resume) = (["switchover"], ["failover", "resume"]);
            let deaths = die_everywhere(lab, ("switchover", "atl-db-2"), &SWITCHOVER, &[], &begin, &resume).await?;
            ensure!(deaths > 35, "only {deaths} places were reached");
            check_outcome(lab, "atl-db-2", 2).await
        })
        .await?;
        // The pool is as it was before, with the roles changed: everybody follows, and it can be changed back.
        let follows =
            |r: &Report| matches!(&r.place, Place::Standby { upstream: Some(u), .. } if u == "atl-db-1.litwareinc.com");
        lab.until("bos-db-1", "follow the new mirror", LIMIT, follows).await?;
        lab.holdfast(["switchover"]).await?;
        in_sync(lab, "atl-db-1").await
    });
}

/// The same for the mirror, which is taken away and built anew, with clients at work. The primary's agent dies; what it asked of the mirror's may be under way.
#[test]
#[ignore = "some thirty lives of an agent: `make test-faults`"]
fn f40_the_agent_dies_before_and_after_everything_that_a_mirrors_removal_and_its_set_up_write_or_do() {
    in_lab(async |lab| {
        under_load(lab, "f40_mirror", async |lab| {
            let (short, resume) = ("atl-db-1", ["failover", "resume"]);
            let deaths =
                die_everywhere(lab, ("remove-mirror", short), &REMOVAL, &[], &["mirror", "remove"], &resume).await?;
            ensure!(deaths == 12, "{deaths} places were reached");
            lab.until(short, "serve exposed", LIMIT, |r| r.serves() && r.protection == Protection::Exposed).await?;
            let stopped = lab.report("atl-db-2").await?;
            ensure!(matches!(stopped.place, Place::Stopped { .. }) && !stopped.is_up(), "{stopped:#?}");
            let view = lab.report(short).await?.operation.context("an operation")?;
            ensure!(view.state == OperationState::Done && view.kind == "remove-mirror", "{view:#?}");

            let begin = ["mirror", "install", "--anew"];
            let deaths = die_everywhere(lab, ("mirror", short), &MIRROR, &[], &begin, &resume).await?;
            ensure!(deaths == 14, "{deaths} places were reached");
            ensure!(lab.report("atl-db-2").await?.copied_at > stopped.copied_at, "it was not copied");
            check_outcome(lab, short, 1).await
        })
        .await
    });
}

async fn check_outcome(lab: &Lab, primary: &str, epoch: u64) -> Result<()> {
    in_sync(lab, primary).await?;
    let report = lab.report(primary).await?;
    // Promoted once: one opening for its epoch, and the next timeline after those that were reserved.
    let ours: Vec<_> = report.openings.iter().filter(|o| o.holder == report.instance).collect();
    ensure!(ours.len() == 1 && report.epoch() == epoch, "{:?}", report.openings);
    let view = report.operation.context("an operation")?;
    ensure!(view.state == OperationState::Done, "{view:#?}");
    Ok(())
}
