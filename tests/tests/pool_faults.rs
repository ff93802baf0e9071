//! Three real servers on one real PostgreSQL under load, and something breaks: whatever was acknowledged is there once, all saw one order, and
//! nothing that was reported as failed appears.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test that cannot go on has failed, and says when it cannot begin"
)]

use holdfast_history::Report;
use holdfast_tests::disk::SmallDisk;
use holdfast_tests::load::{Load, Plan as LoadPlan};
use holdfast_tests::pool::{Plan, Pool};
use holdfast_tests::proxy::{Cut, Way};
use holdfast_tests::wait::{self, until};
use hyper::Method;
use rustix::process::Signal;
use serde_json::json;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::tempdir;
use uuid::Uuid;

/// For some messages to be acknowledged, on a busy machine and with something broken.
const LIMIT: Duration = Duration::from_secs(45);
/// Messages acknowledged between two things that happen.
const SOME: usize = 80;

/// Servers that wait for their database for a few seconds only, so that clients come to hear of it.
const IMPATIENT: &[(&str, &str)] = &[("DATABASE__WAIT_SECONDS", "3")];

fn end(load: Load, pool: &Pool) -> Report {
    let reconnects = load.reconnects();
    let begun = Instant::now();
    let report = load.finish(pool).hold();
    println!("{report}{reconnects} reconnections; settled and checked in {:?}", begun.elapsed());
    let verified = pool.cli(pool.running()[0], &["verify", "--json"]).ended(0).json();
    assert_eq!(verified["holds"], true, "{verified}");
    report
}

/// F18, too: what was committed may not have been acknowledged to the client yet, who sends it again to another server.
#[test]
fn f18_a_server_is_killed() {
    let mut pool = Pool::start(&Plan::default());
    let load = Load::start(&pool, &LoadPlan::default());
    for server in [0, 1] {
        load.wait_for(SOME, LIMIT);
        pool.kill_server(server);
        // Its clients go on at the others.
        load.wait_for(2 * SOME, LIMIT);
        pool.start_server(server);
    }
    load.wait_for(SOME, LIMIT);
    assert!(load.reconnects() >= 2, "nobody was on a server that was killed");
    end(load, &pool);
}

#[test]
fn postgresql_is_killed_and_started_again() {
    let mut pool = Pool::start(&Plan { settings: IMPATIENT, ..Plan::default() });
    let load = Load::start(&pool, &LoadPlan { persistence: Duration::from_secs(6), ..LoadPlan::default() });
    load.wait_for(SOME, LIMIT);
    pool.postgres().kill();
    until("the servers to notice", LIMIT, || (pool.look(0, "/health/ready").unwrap().0 == 503).then_some(()));
    // For long enough that posts are given up.
    let away = Instant::now();
    until("PostgreSQL to have been away for a while", LIMIT, || {
        (away.elapsed() > Duration::from_secs(7)).then_some(())
    });
    pool.postgres().start_again();
    load.wait_for(SOME, LIMIT);
    // And at once, twice: nobody needs to notice.
    for _ in 0..2 {
        pool.postgres().kill();
        pool.postgres().start_again();
        load.wait_for(SOME, LIMIT);
    }
    let report = end(load, &pool);
    assert!(report.counts.failed + report.counts.unknown_absent + report.counts.unknown_found > 0, "{report}");
}

#[test]
fn a_server_is_stopped_for_20_seconds_and_comes_back() {
    let pool = Pool::start(&Plan::default());
    let load = Load::start(&pool, &LoadPlan { patience: Duration::from_secs(3), ..LoadPlan::default() });
    load.wait_for(SOME, LIMIT);
    pool.signal(0, Signal::STOP);
    let stopped = Instant::now();
    // Its clients notice, and go on at the others.
    load.wait_for(2 * SOME, Duration::from_secs(18));
    until("the others to know that it is silent", LIMIT, || (pool.standing_count(1, "silent") == 1).then_some(()));
    until("20 seconds to be over", LIMIT, || (stopped.elapsed() > Duration::from_secs(20)).then_some(()));
    pool.signal(0, Signal::CONT);
    until("it to be known again", LIMIT, || (pool.standing_count(1, "active") == 3).then_some(()));
    load.wait_for(SOME, LIMIT);
    end(load, &pool);
}

/// F17.
#[test]
fn f17_connections_to_the_database_are_dropped_also_in_the_middle_of_a_commit() {
    let pool = Pool::start(&Plan { proxies: true, ..Plan::default() });
    let load = Load::start(&pool, &LoadPlan::default());
    for _ in 0..3 {
        load.wait_for(SOME, LIMIT);
        for server in 0..3 {
            pool.proxy(server).drop_all();
        }
    }
    // The commits of posts, whose text is that of the writers.
    for round in 0..6 {
        for cut in [Cut::After, Cut::Before] {
            let proxy = pool.proxy(round % 3);
            let cuts = proxy.cuts();
            proxy.cut_at_commit(cut, " says ");
            until("a commit to be cut", LIMIT, || (proxy.cuts() > cuts).then_some(()));
            load.wait_for(20, LIMIT);
        }
    }
    // For a while one of them does not get to the database at all.
    pool.proxy(1).set(Way::Refusing);
    pool.proxy(1).drop_all();
    load.wait_for(2 * SOME, LIMIT);
    pool.proxy(1).set(Way::Open);
    load.wait_for(SOME, LIMIT);
    end(load, &pool);
}

#[test]
fn the_network_to_the_database_stalls_for_one_server() {
    let pool = Pool::start(&Plan { proxies: true, ..Plan::default() });
    let load = Load::start(&pool, &LoadPlan { patience: Duration::from_secs(3), ..LoadPlan::default() });
    load.wait_for(SOME, LIMIT);
    pool.proxy(0).set(Way::Stalled);
    // What it had begun holds up nobody for long.
    load.wait_for(2 * SOME, LIMIT);
    until("the others to know that it is silent", LIMIT, || (pool.standing_count(1, "silent") == 1).then_some(()));
    pool.proxy(0).set(Way::Open);
    until("it to be known again", LIMIT, || (pool.standing_count(1, "active") == 3).then_some(()));
    load.wait_for(SOME, LIMIT);
    end(load, &pool);
}

#[test]
fn backends_are_terminated_again_and_again() {
    let mut pool = Pool::start(&Plan::default());
    let load = Load::start(&pool, &LoadPlan::default());
    for _ in 0..15 {
        load.wait_for(SOME / 4, LIMIT);
        let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'holdfast'";
        let ended: u32 = pool.postgres().psql(sql).parse().unwrap();
        assert!(ended > 0);
    }
    load.wait_for(SOME, LIMIT);
    end(load, &pool);
}

#[test]
fn the_database_takes_no_writes_for_a_while() {
    let mut pool = Pool::start(&Plan { settings: IMPATIENT, ..Plan::default() });
    let load = Load::start(&pool, &LoadPlan { persistence: Duration::from_secs(4), ..LoadPlan::default() });
    let other = pool.add_room("Other");
    load.wait_for(SOME, LIMIT);
    set_read_only(&mut pool, "on");
    for server in 0..3 {
        until("a server to notice", LIMIT, || (pool.look(server, "/health/ready").unwrap().0 == 503).then_some(()));
        until("its metrics to show it", LIMIT, || {
            let metrics = pool.look(server, "/metrics").unwrap().1;
            metrics.as_str().unwrap().contains("holdfast_database_condition{condition=\"read-only\"} 1").then_some(())
        });
        let (status, page) = pool.ask(server, Method::GET, &format!("/rooms/{other}/entries?limit=5"), None);
        assert_eq!(status, 200, "reading must go on: {page}");
        let (status, rooms) = pool.ask(server, Method::GET, "/rooms", None);
        assert_eq!(status, 200, "reading must go on: {rooms}");
        let (status, hits) = pool.ask(server, Method::GET, "/search?q=says", None);
        assert_eq!(status, 200, "searching must go on: {hits}");
    }
    set_read_only(&mut pool, "off");
    load.wait_for(SOME, LIMIT);
    until_ready(&pool);
    end(load, &pool);
}

#[test]
fn the_database_is_replaced_by_its_standby() {
    let mut pool = Pool::start(&Plan { standby: true, settings: IMPATIENT, ..Plan::default() });
    let load = Load::start(&pool, &LoadPlan::default());
    load.wait_for(2 * SOME, LIMIT);
    pool.postgres().kill();
    until("the servers to notice", LIMIT, || (pool.look(0, "/health/ready").unwrap().0 == 503).then_some(()));
    pool.standby().promote();
    // Nothing is started again: they find it among the hosts.
    load.wait_for(2 * SOME, LIMIT);
    until_ready(&pool);
    end(load, &pool);
}

fn set_read_only(pool: &mut Pool, value: &str) {
    pool.postgres().psql(&format!("ALTER ROLE holdfast SET default_transaction_read_only = {value}"));
    // For those that are connected it is so when they connect anew.
    pool.postgres().psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'holdfast'");
}

#[test]
fn the_databases_disk_is_full_and_then_has_room_again() {
    let dir = tempdir().unwrap();
    let Some((disk, mut pool)) = on_a_small_disk(dir.path()) else { return };
    // Without room for its log PostgreSQL ends itself; what it does then is the next test's affair.
    move_the_log_elsewhere(&mut pool, &dir.path().join("postgres/data"));
    let load = Load::start(&pool, &LoadPlan { persistence: Duration::from_secs(4), ..LoadPlan::default() });
    let other = pool.add_room("Other");
    load.wait_for(SOME, LIMIT);
    disk.fill();
    // In a room of its own, and in large pieces: what was extended before has room for a few small ones.
    let text = "x".repeat(7_000);
    for server in 0..3 {
        let refused = until("a server to say that it is full", LIMIT, || {
            let body = json!({ "client_id": Uuid::new_v4(), "text": text });
            let (status, answer) = pool.ask(server, Method::POST, &format!("/rooms/{other}/messages"), Some(&body));
            (status != 201).then_some((status, answer))
        });
        assert_eq!((refused.0, &refused.1["code"]), (507, &"storage-full".into()), "{refused:?}");
        let ready = pool.look(server, "/health/ready").unwrap();
        assert_eq!(
            (ready.0, &ready.1["code"]),
            (507, &"storage-full".into()),
            "ready while posts are refused: {ready:?}"
        );
        let (status, page) = pool.ask(server, Method::GET, &format!("/rooms/{other}/entries?limit=5"), None);
        assert_eq!(status, 200, "reading must go on: {page}");
    }
    disk.make_room();
    load.wait_for(SOME, LIMIT);
    until_ready(&pool);
    let report = end(load, &pool);
    assert!(report.counts.failed > 0, "nobody was told that it was full: {report}");
}

#[test]
fn f37_the_disk_of_the_databases_log_is_full_and_postgresql_ends() {
    let dir = tempdir().unwrap();
    let Some((disk, mut pool)) = on_a_small_disk(dir.path()) else { return };
    let load = Load::start(&pool, &LoadPlan { persistence: Duration::from_secs(6), ..LoadPlan::default() });
    load.wait_for(SOME, LIMIT);
    disk.fill();
    // Enough is written for the segments of the log that are there already to be used up.
    let grown =
        "SELECT count(pg_logical_emit_message(true, 'holdfast', repeat('x', 1000000))) FROM generate_series(1, 40)";
    until("PostgreSQL to find no room for its log", LIMIT, || {
        let written = pool.postgres().try_psql(grown);
        written.is_err().then_some(())
    });
    until("a server to notice", LIMIT, || (pool.look(0, "/health/ready").unwrap().0 != 200).then_some(()));
    disk.make_room();
    // Whoever watches over services starts it again if it could not do so itself.
    until("PostgreSQL to run", LIMIT, || {
        if !pool.postgres().is_running() {
            pool.postgres().stop();
            pool.postgres().start_again();
        }
        pool.postgres().try_psql("SELECT 1").is_ok().then_some(())
    });
    load.wait_for(SOME, LIMIT);
    until_ready(&pool);
    end(load, &pool);
}

/// Any of this, one after the other, in an order that is another one each time.
#[test]
#[ignore = "takes as long as HOLDFAST_SOAK_SECONDS says"]
fn whatever_happens() {
    let number = |name: &str, usual| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual);
    let mut seed = number("HOLDFAST_SOAK_SEED", u64::from(std::process::id()));
    println!("HOLDFAST_SOAK_SEED={seed}");
    let until = Instant::now() + Duration::from_secs(number("HOLDFAST_SOAK_SECONDS", 120));
    // SplitMix64: all that is wanted is another order with another seed.
    let mut random = move |below: u64| {
        seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        usize::try_from((mixed ^ (mixed >> 27)) % below).unwrap()
    };
    let mut pool = Pool::start(&Plan { proxies: true, settings: IMPATIENT, ..Plan::default() });
    let plan = LoadPlan { rooms: 3, listeners: 6, patience: Duration::from_secs(4), ..LoadPlan::default() };
    let load = Load::start(&pool, &plan);
    while Instant::now() < until {
        let (what, server, some) = (random(9), random(3), 10 + random(60));
        println!("{what} at {server} after {} acknowledged", load.acknowledged());
        match what {
            0 => {
                pool.kill_server(server);
                load.wait_for(some, LIMIT);
                pool.start_server(server);
            }
            1 => {
                pool.stop_server(server);
                load.wait_for(some, LIMIT);
                pool.start_server(server);
            }
            2 => {
                pool.signal(server, Signal::STOP);
                let stopped = Instant::now();
                let length = Duration::from_millis(100 + 200 * random(70) as u64);
                wait::until("it to have been stopped", LIMIT, || (stopped.elapsed() > length).then_some(()));
                pool.signal(server, Signal::CONT);
            }
            3 => {
                pool.postgres().kill();
                pool.postgres().start_again();
            }
            4 => pool.proxy(server).drop_all(),
            5 => pool.proxy(server).cut_at_commit(Cut::After, " says "),
            6 => pool.proxy(server).cut_at_commit(Cut::Before, " says "),
            7 => {
                let way = [Way::Stalled, Way::Refusing][random(2)];
                pool.proxy(server).set(way);
                load.wait_for(some, LIMIT);
                pool.proxy(server).set(Way::Open);
            }
            _ => {
                let one = "SELECT pid FROM pg_stat_activity WHERE usename = 'holdfast' ORDER BY random() LIMIT 4";
                pool.postgres().psql(&format!("SELECT pg_terminate_backend(pid) FROM ({one}) AS few"));
            }
        }
        load.wait_for(some, LIMIT);
    }
    end(load, &pool);
}

/// A pool whose database is on a disk of its own. `None`, and it says so, where that cannot be had.
fn on_a_small_disk(dir: &Path) -> Option<(SmallDisk, Pool)> {
    let Some(disk) = SmallDisk::mount(dir, 160) else {
        eprintln!("skipped: this process may not mount a small file system (run as root to include this test)");
        return None;
    };
    // Checkpoints keep the log short.
    let postgres = [("max_wal_size", "16MB"), ("min_wal_size", "16MB")];
    let plan = Plan { postgres_in: Some(dir), postgres: &postgres, settings: IMPATIENT, ..Plan::default() };
    Some((disk, Pool::start(&plan)))
}

/// The write-ahead log goes to a disk that has room.
fn move_the_log_elsewhere(pool: &mut Pool, data: &Path) {
    let elsewhere = pool.data(0).with_file_name("pg_wal");
    pool.postgres().stop();
    let (from, to) = (data.join("pg_wal"), elsewhere);
    let parent = to.parent().unwrap();
    std::fs::set_permissions(parent, std::fs::Permissions::from_mode(0o755)).unwrap();
    assert!(Command::new("cp").arg("-a").arg(&from).arg(&to).status().unwrap().success());
    std::fs::remove_dir_all(&from).unwrap();
    std::os::unix::fs::symlink(&to, &from).unwrap();
    pool.postgres().start_again();
    until_ready(pool);
}

fn until_ready(pool: &Pool) {
    until("the servers to be ready", LIMIT, || {
        (0..3).all(|server| pool.look(server, "/health/ready").is_ok_and(|(status, _)| status == 200)).then_some(())
    });
}
