//! Making, starting, adopting, stopping and killing one instance.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may stop at the first thing that is not as it says"
)]

mod common;

use common::{LONG, Place, numbers, run, serve, session, signal, until, waiting, write};
use holdfast_instance::status::Phase;
use holdfast_instance::{Access, Boot, ClusterState, Error, Stop, Sync, silent};
use rustix::process::Signal;
use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

#[test]
fn it_is_made_started_asked_and_stopped() {
    run("it_is_made_started_asked_and_stopped", async {
        let place = Place::new(&["a"]);
        let a = place.instance("a");
        assert_eq!(a.status().await.phase, Phase::Empty);
        assert!(matches!(a.start(Boot::Serving, LONG, &silent).await, Err(Error::NoData(_))));
        a.init(1).await.unwrap();
        assert!(matches!(a.init(1).await, Err(Error::DataIsThere(_))));
        let control = a.control().await.unwrap();
        assert_eq!(
            (control.state, control.segment_size.bytes(), control.checksums),
            (ClusterState::ShutDown, 1 << 20, true)
        );
        assert_eq!(a.status().await.phase, Phase::Down);
        assert!(matches!(a.timeline().await, Err(Error::NotRunning)));

        serve(&a, None, Sync::None, Access::Open).await;
        write(&a, "CREATE TABLE t(n int); INSERT INTO t VALUES (1)").await.unwrap();
        let status = a.status().await;
        let server = status.server.unwrap();
        assert_eq!((status.phase, server.boot), (Phase::Up, Some(Boot::Serving)));
        assert_eq!((server.system_identifier, server.timeline), (control.system_identifier, 1));
        let primary = server.primary.unwrap();
        assert!(primary.flushed <= primary.written && primary.written.0 > 0);
        assert!(status.disk.unwrap().free > 0);
        assert_eq!(a.timeline().await.unwrap(), 1);
        assert_eq!(a.control().await.unwrap().state, ClusterState::InProduction);
        assert!(!a.was_shut_down_cleanly().await.unwrap());

        // What ends a segment is archived.
        a.switch_wal().await.unwrap();
        until("the archive", async || {
            let status = a.status().await;
            status.unarchived.files == 0 && status.server.unwrap().archiver.last_archived.is_some()
        })
        .await;

        a.stop(Stop::Fast, LONG).await.unwrap();
        assert!(a.was_shut_down_cleanly().await.unwrap());
        assert!(!a.is_running() && a.status().await.phase == Phase::Down);
        // Once more: it is stopped.
        a.stop(Stop::Fast, LONG).await.unwrap();
        serve(&a, None, Sync::None, Access::Open).await;
        assert_eq!(numbers(&a).await, [1]);
        a.stop(Stop::Immediate, LONG).await.unwrap();
        assert!(!a.was_shut_down_cleanly().await.unwrap());
    });
}

/// The boot fence: F20, a deposed primary that comes back by itself.
#[test]
fn fenced_it_listens_nowhere_acknowledges_nothing_and_archives_nothing() {
    run("fenced_it_listens_nowhere_acknowledges_nothing_and_archives_nothing", async {
        let place = Place::new(&["a"]);
        let a = place.primary("a").await;
        let port = a.settings().port;
        assert!(TcpStream::connect(("127.0.0.1", port)).is_ok());
        a.stop(Stop::Immediate, LONG).await.unwrap();
        let archived = || std::fs::read_dir(place.path().join("share")).unwrap().count();
        let before = archived();

        // Whatever it was told before. Not even certificates are needed for that.
        std::fs::rename(place.identity("a"), place.path().join("elsewhere")).unwrap();
        let started = a.start(Boot::Fenced, LONG, &silent).await.unwrap();
        assert_eq!((started.adopted, started.boot), (false, Some(Boot::Fenced)));
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
        assert_eq!((a.access().unwrap(), a.dynamic().unwrap().sync), (Access::Closed, Sync::Fenced));
        let commit = tokio::spawn({
            let a = a.clone();
            async move { write(&a, "INSERT INTO t VALUES (1)").await }
        });
        until("the commit waits", async || waiting(&a).await == 1).await;
        a.switch_wal().await.unwrap();
        assert!(!a.barrier(Duration::from_millis(100)).await.unwrap().is_acknowledged());
        assert!(!commit.is_finished());
        let status = a.status().await;
        assert!(status.unarchived.files > 0 && archived() == before, "{status:?}");
        a.stop(Stop::Fast, LONG).await.unwrap();
        assert_eq!(archived(), before);
        // Its own connection broke: unknown, not refused.
        assert!(commit.await.unwrap().unwrap_err().as_db_error().is_none_or(|e| e.code().code() == "57P01"));

        // It stays so until somebody says otherwise.
        std::fs::rename(place.path().join("elsewhere"), place.identity("a")).unwrap();
        a.start(Boot::Serving, LONG, &silent).await.unwrap();
        assert!(TcpStream::connect(("127.0.0.1", port)).is_ok());
        assert_eq!(a.status().await.server.unwrap().synchronous_standby_names, "__fenced__");
    });
}

#[test]
fn alter_system_is_undone_by_the_next_start() {
    run("alter_system_is_undone_by_the_next_start", async {
        let place = Place::new(&["a"]);
        let a = place.primary("a").await;
        write(&a, "ALTER SYSTEM SET synchronous_standby_names = ''").await.unwrap();
        a.stop(Stop::Fast, LONG).await.unwrap();
        a.start(Boot::Fenced, LONG, &silent).await.unwrap();
        assert_eq!(a.status().await.server.unwrap().synchronous_standby_names, "__fenced__");
    });
}

#[test]
fn what_cannot_start_says_why() {
    run("what_cannot_start_says_why", async {
        let place = Place::new(&["a"]);
        let a = place.primary("a").await;
        a.stop(Stop::Fast, LONG).await.unwrap();
        let mut settings = a.settings();
        settings.more.push(("shared_preload_libraries".to_owned(), "nonsense".to_owned()));
        a.configure(settings.clone(), LONG).await.unwrap();
        let error = a.start(Boot::Serving, LONG, &silent).await.unwrap_err();
        assert!(matches!(&error, Error::NotStarted { log } if log.contains("nonsense")), "{error}");
        settings.more.pop();
        a.configure(settings, LONG).await.unwrap();
        a.start(Boot::Serving, LONG, &silent).await.unwrap();
    });
}

/// The agent ends, in whatever way; PostgreSQL does not.
#[test]
fn it_outlives_its_agent_and_the_next_one_adopts_it() {
    run("it_outlives_its_agent_and_the_next_one_adopts_it", async {
        let place = Place::new(&["a"]);
        let a = place.instance("a");
        a.init(1).await.unwrap();
        let mut agent = Command::new("/proc/self/exe")
            .args(["--exact", "only_an_agent_to_be_killed", "--ignored", "--nocapture"])
            .env("HOLDFAST_TEST_PLACE", place.path())
            .env("HOLDFAST_TEST_PORT", a.settings().port.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(agent.stdout.take().unwrap()).lines().map(Result::unwrap);
        let said = lines.into_iter().find(|line| line.contains("STARTED ")).unwrap();
        let pid = said.split("STARTED ").nth(1).unwrap().trim().parse().unwrap();
        agent.kill().unwrap();
        agent.wait().unwrap();

        let started = a.start(Boot::Fenced, LONG, &silent).await.unwrap();
        assert_eq!((started.pid, started.adopted, started.boot), (pid, true, Some(Boot::Serving)));
        assert!(matches!(a.base_backup_from(&place.upstream("a", &a), LONG, &silent).await, Err(Error::Running(_))));
        a.stop(Stop::Fast, LONG).await.unwrap();
        assert!(a.was_shut_down_cleanly().await.unwrap());
    });
}

#[test]
#[ignore = "only run by it_outlives_its_agent_and_the_next_one_adopts_it"]
fn only_an_agent_to_be_killed() {
    let Some(place) = std::env::var_os("HOLDFAST_TEST_PLACE") else { return };
    let root = std::path::PathBuf::from(place).join("a");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let port = std::env::var("HOLDFAST_TEST_PORT").unwrap().parse().unwrap();
        let mut settings = holdfast_instance::Settings::new("a", port, root.join("identity"));
        settings.listen = "127.0.0.1".to_owned();
        let layout = holdfast_instance::Layout::new(root).unwrap();
        let programs = holdfast_instance::Programs::find().unwrap();
        let a = holdfast_instance::Instance::open(programs, layout, settings).unwrap();
        println!("STARTED {}", a.start(Boot::Serving, LONG, &silent).await.unwrap().pid);
        std::future::pending::<()>().await;
    });
}

/// F1: kill -9, of everything and of the postmaster alone.
#[test]
fn f1_killed_it_starts_again_with_all_that_was_committed() {
    run("f1_killed_it_starts_again_with_all_that_was_committed", async {
        let place = Place::new(&["a"]);
        let a = place.primary("a").await;
        for round in 0..4 {
            write(&a, &format!("INSERT INTO t VALUES ({round})")).await.unwrap();
            let pid = a.pid().unwrap();
            let somebody = session(&a).await;
            let backend: i32 = somebody.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
            match round {
                0 => a.kill(LONG).await.unwrap(),
                1 => signal(pid, Signal::KILL),
                // A backend that is frozen does not notice that the postmaster is gone, and holds on to its memory.
                2 => {
                    signal(backend.cast_unsigned(), Signal::STOP);
                    signal(pid, Signal::KILL);
                }
                // A number that somebody else has by now: PostgreSQL would take him for its postmaster.
                _ => {
                    a.kill(LONG).await.unwrap();
                    let file = a.layout().pgdata().join("postmaster.pid");
                    let text = std::fs::read_to_string(&file).unwrap();
                    let other = std::process::id().to_string();
                    std::fs::write(&file, text.replacen(&pid.to_string(), &other, 1)).unwrap();
                }
            }
            until("it is gone", async || !a.is_running()).await;
            assert_eq!(a.status().await.phase, Phase::Down);
            let started = a.start(Boot::Serving, LONG, &silent).await.unwrap();
            assert!(!started.adopted && started.pid != pid);
            assert_eq!(numbers(&a).await, (0..=round).collect::<Vec<_>>());
            if round == 2 {
                // Gone, or a zombie that whoever inherited it has not looked at yet.
                let stat = std::fs::read_to_string(format!("/proc/{backend}/stat")).unwrap_or_default();
                assert!(stat.is_empty() || stat.contains(") Z "), "{stat}");
            }
        }
    });
}

#[test]
fn frozen_it_says_nothing_and_can_still_be_stopped() {
    run("frozen_it_says_nothing_and_can_still_be_stopped", async {
        let place = Place::new(&["a"]);
        let a = place.primary("a").await;
        signal(a.pid().unwrap(), Signal::STOP);
        let status = a.status().await;
        assert!(matches!(status.phase, Phase::Silent(_)), "{status:?}");
        a.stop(Stop::Immediate, LONG).await.unwrap();
        assert!(!a.is_running());
    });
}

#[test]
fn sessions_are_seen_and_ended_but_for_the_agents_own() {
    run("sessions_are_seen_and_ended_but_for_the_agents_own", async {
        let place = Place::new(&["a"]);
        let a = place.primary("a").await;
        let own = a.sql("mgc").await.unwrap();
        let others = [session(&a).await, session(&a).await, session(&a).await];
        // One that has connected and says nothing, so that it is no session yet.
        let silent_one = TcpStream::connect(("127.0.0.1", a.settings().port)).unwrap();
        let sessions = a.client_sessions().await.unwrap();
        assert_eq!(sessions.len(), 3);
        assert!(sessions.iter().all(|s| s.application == "somebody" && s.database == "mgc" && s.state == "idle"));
        assert!(a.nobody_is_connected().await.is_err());
        assert!(a.terminate(sessions[0].pid, LONG).await.unwrap());
        assert!(!a.terminate(sessions[0].pid, LONG).await.unwrap());
        a.set_access(Access::Closed, LONG).await.unwrap();
        assert_eq!(a.terminate_clients(LONG).await.unwrap(), 2);
        a.nobody_is_connected().await.unwrap();
        for other in others {
            assert!(other.batch_execute("SELECT 1").await.is_err());
        }
        let mut nothing = [0; 1];
        silent_one.set_read_timeout(Some(LONG)).unwrap();
        assert!(!matches!(std::io::Read::read(&mut &silent_one, &mut nothing), Ok(1..)));
        own.batch_execute("SELECT 1").await.unwrap();
    });
}
