//! A standby: copied over TLS, streaming, waited for, and not.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may stop at the first thing that is not as it says"
)]

mod common;

use common::{LONG, Place, numbers, run, serve, session, signal, until, waiting, write};
use holdfast_instance::{Access, Barrier, Boot, Dynamic, Error, Stop, Sync, silent};
use holdfast_pki::Kind;
use rustix::process::Signal;
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(300);

#[test]
fn a_mirror_has_what_is_acknowledged() {
    run("a_mirror_has_what_is_acknowledged", async {
        let place = Place::new(&["a", "b"]);
        let a = place.primary("a").await;
        write(&a, "INSERT INTO t VALUES (1)").await.unwrap();
        // Another's data that is there is not lost.
        let b = place.instance("b");
        b.init(1).await.unwrap();
        let old = b.control().await.unwrap().system_identifier;
        let told = Mutex::new(Vec::new());
        let upstream = place.upstream("b", &a);
        let cloned = b.base_backup_from(&upstream, LONG, &|p| told.lock().unwrap().push(p)).await.unwrap();
        assert!(told.lock().unwrap().iter().any(|p| p.done.is_some_and(|done| done > 0)), "{told:?}");
        assert!(cloned.moved_aside.unwrap().join("PG_VERSION").exists());
        assert_ne!(b.control().await.unwrap().system_identifier, old);
        assert!(b.starts_as_standby());
        serve(&b, Some(upstream), Sync::None, Access::Open).await;
        b.wait_streaming(LONG).await.unwrap();
        assert!(b.in_recovery().await.unwrap());

        assert!(matches!(a.barrier(LONG).await.unwrap(), Barrier::Exposed(_)));
        a.set(&Dynamic { upstream: None, sync: Sync::Named("b".to_owned()) }, LONG).await.unwrap();
        let Barrier::Acknowledged(at) = a.barrier(LONG).await.unwrap() else { panic!("the mirror does not answer") };
        b.wait_replayed(at, LONG).await.unwrap();
        assert_eq!(numbers(&b).await, [1]);
        let status = b.status().await.server.unwrap();
        let standby = status.standby.clone().unwrap();
        let receiver = standby.receiver.unwrap();
        assert_eq!((receiver.status.as_str(), receiver.port), ("streaming", Some(a.settings().port)));
        assert!(standby.received.unwrap() >= at && standby.replayed.unwrap() >= at && standby.last_commit.is_some());
        assert!(status.in_recovery() && status.timeline == 1 && status.primary.is_none());
        let followers = a.status().await.server.unwrap().followers;
        assert_eq!((followers[0].name.as_str(), followers[0].sync_state.as_str(), followers.len()), ("b", "sync", 1));

        // Frozen, it acknowledges nothing; what waited goes on afterwards.
        let receiver = session(&b).await.query_one("SELECT pid FROM pg_stat_wal_receiver", &[]).await.unwrap();
        let receiver = receiver.get::<_, i32>(0).cast_unsigned();
        signal(receiver, Signal::STOP);
        let commit = tokio::spawn({
            let a = a.clone();
            async move { write(&a, "INSERT INTO t VALUES (2)").await }
        });
        until("the commit waits", async || waiting(&a).await == 1).await;
        assert!(matches!(a.barrier(SHORT).await.unwrap(), Barrier::NotAcknowledged(_)));
        signal(receiver, Signal::CONT);
        commit.await.unwrap().unwrap();
        assert!(a.barrier(LONG).await.unwrap().is_acknowledged());

        // Fenced while it runs, not even a mirror that has everything lets a commit pass.
        a.set(&Dynamic::fenced(), LONG).await.unwrap();
        let commit = tokio::spawn({
            let a = a.clone();
            async move { write(&a, "INSERT INTO t VALUES (3)").await }
        });
        until("the commit waits", async || waiting(&a).await == 1).await;
        a.set(&Dynamic { upstream: None, sync: Sync::None }, LONG).await.unwrap();
        commit.await.unwrap().unwrap();

        // The receiver off: what it has stands still.
        b.receiver_off(LONG).await.unwrap();
        write(&a, "INSERT INTO t VALUES (4)").await.unwrap();
        assert!(b.wait_streaming(SHORT).await.unwrap_err().is_timeout());
        assert!(b.status().await.server.unwrap().standby.unwrap().receiver.is_none());
        b.set(&Dynamic { upstream: Some(place.upstream("b", &a)), sync: Sync::None }, LONG).await.unwrap();
        a.wait_followed_by("b", LONG).await.unwrap();
        until("it has caught up", async || numbers(&b).await == [1, 2, 3, 4]).await;

        // Stopped in order, the primary leaves nothing that its mirror lacks.
        a.stop(Stop::Fast, LONG).await.unwrap();
        let end = a.control().await.unwrap().checkpoint;
        b.wait_replayed_past(end, LONG).await.unwrap();
    });
}

/// Only those of the pool, each as what it is, and only while the door is open for them.
#[test]
fn who_may_connect_is_who_has_a_certificate_and_is_let_in() {
    run("who_may_connect_is_who_has_a_certificate_and_is_let_in", async {
        let place = Place::new(&["a", "b", "c"]);
        let server = place.issue(Kind::Server, "cs-1");
        let a = place.primary("a").await;
        let (port, programs) = (a.settings().port, a.programs().clone());
        let connects = |identity: &std::path::Path, host: &str, user: &str, database: &str| {
            let file = |name: &str| identity.join(name).display().to_string();
            let conninfo = format!(
                "host={host} hostaddr=127.0.0.1 port={port} user={user} dbname={database} sslmode=verify-full sslrootcert={} sslcert={} sslkey={}",
                file("ca.pem"),
                file("cert.pem"),
                file("key.pem")
            );
            let mut psql = Command::new(programs.dir().join("psql"));
            psql.args(["-X", "-w", "-A", "-t", "-q", "-d", &conninfo, "-c", "SELECT current_user"]);
            let output = psql.env("LC_ALL", "C").output().unwrap();
            if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
        };
        let b = place.identity("b");
        connects(&server, "a", "holdfast", "mgc").unwrap();
        connects(&b, "a", "replicator", "postgres").unwrap();
        for (identity, host, user, database) in [
            // Not as somebody else, not under a wrong name of the server's, not into another database, and never as the superuser.
            (&server, "a", "replicator", "postgres"),
            (&b, "a", "holdfast", "mgc"),
            (&server, "c", "holdfast", "mgc"),
            (&server, "a", "holdfast", "postgres"),
            (&server, "a", "postgres", "mgc"),
            (&b, "a", "postgres", "postgres"),
        ] {
            assert!(connects(identity, host, user, database).is_err(), "{identity:?} {host} {user} {database}");
        }
        let plain = format!("host=127.0.0.1 port={port} user=holdfast dbname=mgc sslmode=disable");
        assert!(tokio_postgres::connect(&plain, tokio_postgres::NoTls).await.is_err());

        a.set_access(Access::Replication, LONG).await.unwrap();
        assert!(connects(&server, "a", "holdfast", "mgc").unwrap_err().contains("no pg_hba.conf entry"));
        connects(&b, "a", "replicator", "postgres").unwrap();
        a.set_access(Access::Closed, LONG).await.unwrap();
        assert!(connects(&b, "a", "replicator", "postgres").unwrap_err().contains("no pg_hba.conf entry"));
        let clone = place.instance("b");
        let error = clone.base_backup_from(&place.upstream("b", &a), LONG, &silent).await.unwrap_err();
        assert!(matches!(&error, Error::Program { said, .. } if said.contains("no pg_hba.conf entry")), "{error}");
        assert!(!clone.layout().pgdata().exists());
        a.set_access(Access::Open, LONG).await.unwrap();
        connects(&server, "a", "holdfast", "mgc").unwrap();
    });
}

/// The setting alone makes no commit wait: the checkpointer does, when it comes to it. Frozen, it does not, and nobody is told that commits wait.
#[test]
fn commits_wait_when_it_is_said_that_they_do() {
    run("commits_wait_when_it_is_said_that_they_do", async {
        let place = Place::new(&["a"]);
        let a = place.primary("a").await;
        let asked = session(&a).await;
        let row = asked.query_one("SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'", &[]).await;
        let checkpointer = row.unwrap().get::<_, i32>(0).cast_unsigned();
        signal(checkpointer, Signal::STOP);
        let within = Duration::from_secs(2);
        assert!(a.set(&Dynamic::fenced(), within).await.unwrap_err().is_timeout());
        // Which is as well, because:
        write(&a, "INSERT INTO t VALUES (1)").await.unwrap();
        signal(checkpointer, Signal::CONT);
        for n in 2..12 {
            a.set(&Dynamic { upstream: None, sync: Sync::None }, LONG).await.unwrap();
            a.set(&Dynamic::fenced(), LONG).await.unwrap();
            let commit = tokio::spawn({
                let a = a.clone();
                async move { write(&a, &format!("INSERT INTO t VALUES ({n})")).await }
            });
            until("the commit waits", async || commit.is_finished() || waiting(&a).await > 0).await;
            assert!(!commit.is_finished(), "it did not wait: {:?}", commit.await);
            a.terminate_clients(LONG).await.unwrap();
        }
    });
}

#[test]
fn what_is_said_while_it_does_not_run_holds_when_it_does() {
    run("what_is_said_while_it_does_not_run_holds_when_it_does", async {
        let place = Place::new(&["a"]);
        let a = place.instance("a");
        a.init(1).await.unwrap();
        assert_eq!(a.dynamic().unwrap(), Dynamic::fenced());
        assert_eq!(a.access().unwrap(), Access::Closed);
        let dynamic = Dynamic { upstream: None, sync: Sync::Named("b".to_owned()) };
        a.set(&dynamic, LONG).await.unwrap();
        a.start(Boot::Serving, LONG, &silent).await.unwrap();
        assert_eq!(a.status().await.server.unwrap().synchronous_standby_names, "FIRST 1 (\"b\")");
        // Another agent reads the same.
        let again = place.with("a", a.settings());
        assert_eq!(again.dynamic().unwrap(), dynamic);
        std::fs::write(a.layout().dynamic_conf(), "synchronous_standby_names = ''\n").unwrap();
        assert!(a.set(&dynamic, LONG).await.unwrap_err().to_string().contains("changed by somebody else"));
    });
}
