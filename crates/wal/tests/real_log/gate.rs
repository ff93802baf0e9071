//! Nothing gets onto the share that the mirror has not; and the pool is not kept from stopping.

use crate::ground::{Ground, Instance, mirror_at, owner_of, until};
use holdfast_pki::{Authority, Kind, Wanted};
use holdfast_private_postgres::Postgres;
use holdfast_wal::Shipped;
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

fn signal(signal: &str, pid: &str) {
    assert!(Command::new("kill").args([signal, pid]).status().unwrap().success());
}

async fn mirrored(ground: &Ground) -> (Instance, Postgres) {
    let mut primary = Instance::first(ground, &[]).await;
    let mirror = primary.postgres.standby();
    primary.postgres.psql("ALTER SYSTEM SET synchronous_standby_names = 'FIRST 1 (walreceiver)'");
    primary.postgres.psql("SELECT pg_reload_conf()");
    until("the mirror is synchronous", || {
        primary.postgres.psql("SELECT coalesce(string_agg(sync_state, ''), '') FROM pg_stat_replication") == "sync"
    });
    primary.change(|s| {
        s.exposed = false;
        s.mirror = Some(mirror_at(&mirror));
    });
    (primary, mirror)
}

#[tokio::test]
async fn what_the_mirror_has_not_flushed_is_not_shipped() {
    let ground = Ground::new().await;
    let (mut primary, mirror) = mirrored(&ground).await;
    primary.write();
    let name = primary.full().pop().unwrap().1;
    assert_eq!(primary.ship(&name).await.unwrap(), Shipped::Done, "the mirror has it, or will in a moment");

    // The mirror takes no more; this site goes on writing all the same.
    let receiver = mirror.psql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'walreceiver'");
    signal("-STOP", &receiver);
    primary.write();
    let name = primary.full().pop().unwrap().1;
    primary.change(|s| s.deadlines.gate_seconds = 1);
    let begun = Instant::now();
    let error = primary.ship(&name).await.unwrap_err();
    assert!(error.exit_code() == 1 && error.to_string().contains("has not flushed"), "{error}");
    assert!(begun.elapsed() >= Duration::from_millis(700));
    assert!(!primary.object(&ground, &name, "zst").exists());

    // It is put on record that the pool goes on alone: whoever waits at the gate hears of it.
    primary.change(|s| s.deadlines.gate_seconds = 60);
    let (settings, file) = (primary.settings.clone(), primary.file.clone());
    let shipping = primary.ship(&name);
    let recording = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let mut exposed = settings;
        exposed.exposed = true;
        exposed.save(&file).unwrap();
    };
    let (shipped, ()) = tokio::join!(shipping, recording);
    assert_eq!(shipped.unwrap(), Shipped::Done);

    // It takes again, and the gate opens by itself.
    primary.write();
    let name = primary.full().pop().unwrap().1;
    primary.change(|s| s.exposed = false);
    let continuing = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        signal("-CONT", &receiver);
    };
    let (shipped, ()) = tokio::join!(primary.ship(&name), continuing);
    assert_eq!(shipped.unwrap(), Shipped::Done);
}

/// The archiver works last of all when PostgreSQL stops: nobody can connect any more, and each file that waits holds the stop up.
#[tokio::test]
async fn a_stop_is_not_held_up() {
    let ground = Ground::new().await;
    let (mut primary, mut mirror) = mirrored(&ground).await;
    primary.write();
    primary.write();
    let full = primary.full();
    primary.postgres.stop();
    let [.., (_, one), (_, other)] = full.as_slice() else { panic!("{full:?}") };
    assert_eq!(primary.ship(one).await.unwrap(), Shipped::Done, "the mirror itself was asked");
    mirror.stop();
    let begun = Instant::now();
    let error = primary.ship(other).await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(30), "60 s are the gate's usual patience");
    assert!(error.exit_code() == 1 && error.to_string().contains("not known"), "{error}");
    assert!(!primary.object(&ground, other, "zst").exists());
    // One that was promoted is nobody's mirror.
    mirror.start_again();
    mirror.promote();
    primary.change(|s| s.deadlines.stopping_seconds = 1);
    assert!(primary.ship(other).await.is_err());
}

fn identity(authority: &Authority, name: &str, to: &Path) {
    let wanted = Wanted { kind: Kind::Instance, name: name.into(), addresses: vec![], days: 9 };
    authority.issue(&wanted, jiff::Timestamp::now(), to).unwrap();
}

/// The mirror is asked over a connection in which both sides are known, and never over another one.
#[tokio::test]
async fn the_mirror_is_known_by_its_certificate() {
    let ground = Ground::new().await;
    let mut primary = Instance::first(&ground, &[]).await;
    let dir = ground.dir.path();
    let (ours, theirs) = (dir.join("atl-db-1"), dir.join("atl-db-2"));
    let authority = Authority::init(&dir.join("authority"), "chat.litwareinc.com", jiff::Timestamp::now()).unwrap();
    identity(&authority, "atl-db-1", &ours);
    identity(&authority, "atl-db-2", &theirs);
    let (uid, gid) = owner_of(&primary.postgres);
    for file in ["", "cert.pem", "key.pem", "ca.pem"] {
        chown(theirs.join(file), Some(uid), Some(gid)).unwrap();
    }
    let file = |name: &str| format!("{}/{name}", theirs.display());
    let (cert, key, ca) = (file("cert.pem"), file("key.pem"), file("ca.pem"));
    let settings = [("ssl", "on"), ("ssl_cert_file", &cert), ("ssl_key_file", &key), ("ssl_ca_file", &ca)];
    let mirror = primary.postgres.copy(&settings, |data| {
        let hba =
            "local all all trust\nhostssl all postgres 127.0.0.1/32 cert map=pool\nhost all all 127.0.0.1/32 trust\n";
        std::fs::write(data.join("pg_hba.conf"), hba).unwrap();
        std::fs::write(data.join("pg_ident.conf"), "pool atl-db-1 postgres\n").unwrap();
    });
    primary.write();
    let name = primary.full().pop().unwrap().1;
    let end = primary.position();
    until("the mirror has it", || {
        primary
            .postgres
            .psql(&format!("SELECT coalesce(bool_or(flush_lsn >= '{end}'), false) FROM pg_stat_replication"))
            == "t"
    });
    primary.change(|s| {
        s.exposed = false;
        s.deadlines.stopping_seconds = 0;
        s.mirror = Some(mirror_at(&mirror));
        s.identity = Some(ours);
    });
    primary.postgres.stop();
    // Its certificate bears another name than we ask for.
    primary.change(|s| s.mirror.as_mut().unwrap().name = "atl-db-9".into());
    assert!(primary.ship(&name).await.unwrap_err().to_string().contains("not known"));
    primary.change(|s| s.mirror.as_mut().unwrap().name = "atl-db-2".into());
    assert_eq!(primary.ship(&name).await.unwrap(), Shipped::Done);
}
