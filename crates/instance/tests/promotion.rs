//! Promotion, interrupted and repeated, and the way back for who was the primary before.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may stop at the first thing that is not as it says"
)]

mod common;

use common::{LONG, Place, numbers, run, serve, until, write};
use holdfast_instance::{Access, Boot, Dynamic, Error, Promotion, Rewound, Stop, Sync, silent};
use holdfast_pki::Kind;
use holdfast_wal::WalFile;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

#[test]
fn promoted_twice_is_promoted_once() {
    run("promoted_twice_is_promoted_once", async {
        let place = Place::new(&["a", "b"]);
        let a = place.primary("a").await;
        let b = place.standby("b", &a).await;
        write(&a, "INSERT INTO t VALUES (1)").await.unwrap();
        a.stop(Stop::Fast, LONG).await.unwrap();
        b.wait_replayed_past(a.control().await.unwrap().checkpoint, LONG).await.unwrap();
        assert_eq!((b.timeline().await.unwrap(), b.fork(1).unwrap()), (1, None));
        assert!(b.fork(2).is_err());
        assert_eq!(b.promote(LONG).await.unwrap(), Promotion::Promoted);
        assert_eq!(b.promote(LONG).await.unwrap(), Promotion::WasPrimary);
        assert_eq!(b.timeline().await.unwrap(), 2);
        let fork = b.fork(2).unwrap().unwrap();
        assert!(fork.parent == 1 && fork.at > a.control().await.unwrap().checkpoint);
        write(&b, "INSERT INTO t VALUES (2)").await.unwrap();
        assert_eq!(b.known_timelines().unwrap(), [2]);

        // Stopped in order as it was, the old primary follows without being rewound.
        a.make_standby().unwrap();
        serve(&a, Some(place.upstream("a", &b)), Sync::None, Access::Open).await;
        a.wait_streaming(LONG).await.unwrap();
        let at = match b.barrier(LONG).await.unwrap() {
            holdfast_instance::Barrier::Exposed(at) => at,
            other => panic!("{other:?}"),
        };
        a.wait_replayed(at, LONG).await.unwrap();
        assert_eq!((numbers(&a).await, a.timeline().await.unwrap()), (vec![1, 2], 2));
    });
}

/// A kill in the midst of a promotion leaves a standby or a primary; said again, there is one new timeline, not two, and nothing is lost.
#[test]
fn f41_killed_while_it_is_promoted_there_is_never_a_second_timeline() {
    run("f41_killed_while_it_is_promoted_there_is_never_a_second_timeline", async {
        let place = Place::new(&["a", "b"]);
        let a = place.primary("a").await;
        let b = place.standby("b", &a).await;
        write(&a, "INSERT INTO t SELECT generate_series(1, 100)").await.unwrap();
        a.stop(Stop::Fast, LONG).await.unwrap();
        b.wait_replayed_past(a.control().await.unwrap().checkpoint, LONG).await.unwrap();
        b.set(&Dynamic { upstream: None, sync: Sync::None }, LONG).await.unwrap();
        b.stop(Stop::Fast, LONG).await.unwrap();
        let (data, kept) = (b.layout().pgdata(), place.path().join("kept"));
        copy(&data, &kept);
        let (log, wal) = (b.layout().log_file(), b.layout().pg_wal());
        let logged = |text: &str| std::fs::read_to_string(&log).unwrap().contains(text);
        // How far it has come when it is killed: told; it knows its new timeline; that is written down; it is no standby any more; it takes writes.
        let stages: [(&str, &dyn Fn() -> bool); 7] = [
            ("told", &|| true),
            ("heard", &|| logged("received promote request")),
            ("the timeline chosen", &|| logged("selected new timeline ID: 2")),
            // From here on, for a moment, PostgreSQL would start as a primary on the old timeline.
            ("the signal removed", &|| !data.join("standby.signal").exists()),
            ("the history written", &|| wal.join("00000002.history").exists()),
            ("recovery complete", &|| logged("archive recovery complete")),
            ("ready", &|| logged("database system is ready to accept connections")),
        ];
        let mut primaries = 0;
        for (stage, is_there) in stages {
            std::fs::remove_dir_all(&data).unwrap();
            copy(&kept, &data);
            std::fs::write(&log, "").unwrap();
            // What an earlier round archived: the pool's own shipper does not before a timeline is opened.
            for entry in std::fs::read_dir(place.path().join("share")).unwrap().map(Result::unwrap) {
                if entry.file_name().to_string_lossy().starts_with("00000002") {
                    std::fs::remove_file(entry.path()).unwrap();
                }
            }
            b.start(Boot::Serving, LONG, &silent).await.unwrap();
            let client = b.sql("postgres").await.unwrap();
            let row = client.query_one("SELECT pid FROM pg_stat_activity WHERE backend_type = 'startup'", &[]).await;
            let startup = row.unwrap().get::<_, i32>(0).cast_unsigned();
            let promoting = tokio::spawn({
                let b = b.clone();
                async move { b.promote(LONG).await }
            });
            until(stage, async || {
                // Looked at as often as can be: some stages are short.
                (0..1_000).any(|_| is_there())
            })
            .await;
            // The process that is being killed next goes no further meanwhile; at the last stage it has ended.
            let pid = rustix::process::Pid::from_raw(startup.cast_signed()).unwrap();
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::STOP);
            b.kill(LONG).await.unwrap();
            let _ = promoting.await.unwrap();
            b.start(Boot::Fenced, LONG, &silent).await.unwrap();
            let was = if b.in_recovery().await.unwrap() { Promotion::Promoted } else { Promotion::WasPrimary };
            println!("killed at \"{stage}\": {was:?} by the next attempt");
            assert_eq!(b.promote(LONG).await.unwrap(), was, "{stage}");
            primaries += usize::from(was == Promotion::WasPrimary);
            assert_eq!((b.timeline().await.unwrap(), b.known_timelines().unwrap()), (2, vec![2]), "{stage}");
            assert_eq!(numbers(&b).await.len(), 100, "{stage}");
            b.stop(Stop::Immediate, LONG).await.unwrap();
        }
        assert!((1..stages.len()).contains(&primaries), "the kills came all too early, or all too late: {primaries}");
    });
}

/// The moment in between, made by hand because it is short: `standby.signal` is gone and the history written, and the control file knows of nothing.
/// Left alone, it starts as a second primary on timeline 1.
#[test]
fn a_promotion_that_was_not_completed_is_undone() {
    run("a_promotion_that_was_not_completed_is_undone", async {
        let place = Place::new(&["a", "b"]);
        let a = place.primary("a").await;
        let b = place.standby("b", &a).await;
        b.set(&Dynamic { upstream: None, sync: Sync::None }, LONG).await.unwrap();
        b.stop(Stop::Fast, LONG).await.unwrap();
        let (data, history) = (b.layout().pgdata(), b.layout().pg_wal().join("00000002.history"));
        let between = || {
            std::fs::remove_file(data.join("standby.signal")).unwrap();
            std::fs::write(&history, "1\t0/3000000\tno recovery target specified\n").unwrap();
        };
        between();
        std::fs::write(b.layout().root().join("pgdata.promoting"), r#"{"from":1,"known":[]}"#).unwrap();
        b.mend().await.unwrap();
        assert!(b.starts_as_standby() && !history.exists());
        // Seen to again, it is as it was.
        b.mend().await.unwrap();
        b.start(Boot::Serving, LONG, &silent).await.unwrap();
        assert!(b.in_recovery().await.unwrap());
        assert_eq!(b.promote(LONG).await.unwrap(), Promotion::Promoted);
        assert_eq!((b.timeline().await.unwrap(), b.known_timelines().unwrap()), (2, vec![2]));
        // It was completed, and killed after that: nothing is undone.
        std::fs::write(b.layout().root().join("pgdata.promoting"), r#"{"from":1,"known":[]}"#).unwrap();
        b.kill(LONG).await.unwrap();
        b.start(Boot::Serving, LONG, &silent).await.unwrap();
        assert!(!b.in_recovery().await.unwrap() && b.timeline().await.unwrap() == 2);
        assert!(!b.layout().root().join("pgdata.promoting").exists());
    });
}

/// Numbers that the other site may take meanwhile are passed over, by standbys too.
/// F45. A session of before the promotion, through which somebody could only read, must not find itself writing after it.
#[test]
fn f45_a_session_from_before_a_promotion_writes_nothing_after_it() {
    run("f45_a_session_from_before_a_promotion_writes_nothing_after_it", async {
        let place = Place::new(&["a", "b"]);
        let server = place.issue(Kind::Server, "cs-1");
        let a = place.primary("a").await;
        let b = place.standby("b", &a).await;
        b.set_access(Access::Open, LONG).await.unwrap();
        let file = |name: &str| server.join(name).display().to_string();
        let conninfo = format!(
            "host=b hostaddr=127.0.0.1 port={} user=holdfast dbname=mgc sslmode=verify-full sslrootcert={} sslcert={} sslkey={}",
            b.settings().port,
            file("ca.pem"),
            file("cert.pem"),
            file("key.pem")
        );
        let psql = |command: &[&str]| {
            let mut psql = Command::new(b.programs().dir().join("psql"));
            psql.args(["-X", "-w", "-A", "-t", "-q", "-d", &conninfo]).args(command).env("LC_ALL", "C");
            psql.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            psql
        };
        let mut session = psql(&[]).spawn().unwrap();
        let mut says = session.stdin.take().unwrap();
        writeln!(says, "SELECT 'in';").unwrap();
        let mut told = String::new();
        let mut hears = BufReader::new(session.stdout.take().unwrap());
        hears.read_line(&mut told).unwrap();
        assert_eq!(told.trim(), "in");

        // As a failover does it: the door is closed, who is in is put out, and only then it is promoted.
        b.set_access(Access::Replication, LONG).await.unwrap();
        assert_eq!(b.terminate_clients(LONG).await.unwrap(), 1);
        a.stop(Stop::Fast, LONG).await.unwrap();
        b.wait_replayed_past(a.control().await.unwrap().checkpoint, LONG).await.unwrap();
        assert_eq!(b.promote(LONG).await.unwrap(), Promotion::Promoted);
        // It may have gone away by itself already.
        let _ = writeln!(says, "CREATE TABLE late (n int); SELECT 'written';");
        drop(says);
        let ended = session.wait_with_output().unwrap();
        let error = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(!ended.status.success() && error.contains("terminating connection"), "{error}");
        told.clear();
        hears.read_line(&mut told).unwrap();
        assert_eq!(told, "");
        // Nor does a new one come in before the epoch is written and the door opened.
        let refused = psql(&["-c", "CREATE TABLE late (n int)"]).output().unwrap();
        assert!(String::from_utf8_lossy(&refused.stderr).contains("no pg_hba.conf entry"));
        let client = b.sql("mgc").await.unwrap();
        let row = client.query_one("SELECT count(*) FROM pg_class WHERE relname = 'late'", &[]).await.unwrap();
        assert_eq!(row.get::<_, i64>(0), 0);
    });
}

#[test]
fn reserved_timelines_are_passed_over() {
    run("reserved_timelines_are_passed_over", async {
        let place = Place::new(&["a", "b", "c"]);
        let a = place.primary("a").await;
        let b = place.standby("b", &a).await;
        let c = place.standby("c", &b).await;
        a.stop(Stop::Fast, LONG).await.unwrap();
        assert_eq!(b.reserve_timelines(2..=9).unwrap(), 8);
        assert_eq!(b.reserve_timelines(2..=10).unwrap(), 1);
        assert_eq!(b.fork(5).unwrap(), None);
        b.promote(LONG).await.unwrap();
        assert_eq!(b.timeline().await.unwrap(), 11);
        assert_eq!(b.fork(11).unwrap().unwrap().parent, 1);
        write(&b, "INSERT INTO t VALUES (1)").await.unwrap();
        until("its standby follows", async || c.timeline().await.unwrap() == 11 && numbers(&c).await == [1]).await;
    });
}

/// F1 and then the way back: an old primary that has what nobody else has becomes a standby without it.
#[test]
fn an_old_primary_is_rewound_and_so_is_a_killed_standby() {
    run("an_old_primary_is_rewound_and_so_is_a_killed_standby", async {
        let place = Place::new(&["a", "b", "c"]);
        let a = place.primary("a").await;
        let b = place.standby("b", &a).await;
        let c = place.standby("c", &a).await;
        write(&a, "INSERT INTO t VALUES (1)").await.unwrap();
        until("both have it", async || numbers(&b).await == [1] && numbers(&c).await == [1]).await;
        b.set(&Dynamic { upstream: None, sync: Sync::None }, LONG).await.unwrap();
        b.promote(LONG).await.unwrap();
        let fork = b.fork(2).unwrap().unwrap();
        // The two part: the old primary goes on for itself, with a standby that follows it.
        write(&a, "INSERT INTO t VALUES (2); DELETE FROM t WHERE n = 1").await.unwrap();
        write(&b, "INSERT INTO t VALUES (3)").await.unwrap();
        until("its standby follows it", async || numbers(&c).await == [2]).await;
        c.kill(LONG).await.unwrap();
        a.kill(LONG).await.unwrap();

        // Not while its data is in use; and a source that cannot be reached changes nothing.
        let mut nobody = place.upstream("a", &b);
        nobody.port = holdfast_private_postgres::free_port();
        assert!(matches!(a.rewind_from(&nobody, LONG, &silent).await, Err(Error::Program { .. })));
        for (name, old) in [("a", &a), ("c", &c)] {
            let rewound = old.rewind_from(&place.upstream(name, &b), LONG, &silent).await.unwrap();
            // The standby may have been stopped before it came to where the two part.
            assert!(rewound == Rewound::Done || name == "c");
            assert!(!old.is_running() && old.starts_as_standby());
            // Its own log, beyond where the two part, is not the pool's.
            let first = old.control().await.unwrap().segment_size.number_of(fork.at);
            let is_off = |file| matches!(file, WalFile::Segment(s) if s.timeline == 1 && s.number >= first);
            let aside = old.layout().root().join("off");
            let moved = old.move_wal_out(&is_off, &aside).await.unwrap();
            assert_eq!(std::fs::read_dir(&aside).map_or(0, |dir| dir.count()), moved.len());
            serve(old, Some(place.upstream(name, &b)), Sync::None, Access::Open).await;
            old.wait_streaming(LONG).await.unwrap();
            until("it has what the other has", async || numbers(old).await == [1, 3]).await;
            assert_eq!(old.timeline().await.unwrap(), 2);
        }
        assert!(matches!(a.rewind_from(&place.upstream("a", &b), LONG, &silent).await, Err(Error::Running(_))));
    });
}

/// Data that a rewind was interrupted on would start, and be wrong.
#[test]
fn what_is_half_rewound_does_not_start_and_is_cloned() {
    run("what_is_half_rewound_does_not_start_and_is_cloned", async {
        let place = Place::new(&["a", "b"]);
        let a = place.primary("a").await;
        let b = place.instance("b");
        b.init(1).await.unwrap();
        std::fs::write(b.layout().root().join("pgdata.rewinding"), "").unwrap();
        for boot in [Boot::Fenced, Boot::Alone, Boot::Serving] {
            let error = b.start(boot, LONG, &silent).await.unwrap_err();
            assert!(error.to_string().contains("clone"), "{error}");
        }
        let upstream = place.upstream("b", &a);
        assert!(b.rewind_from(&upstream, LONG, &silent).await.is_err());
        b.base_backup_from(&upstream, LONG, &silent).await.unwrap();
        serve(&b, Some(upstream), Sync::None, Access::Open).await;
    });
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}
