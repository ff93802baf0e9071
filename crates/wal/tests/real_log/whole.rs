//! PostgreSQL itself runs the two commands: log shipping alone, a failover from the share, and a recovery by hand.

use crate::ground::{Ground, Instance, owner_of, size, staged, until};
use holdfast_private_postgres::Postgres;
use holdfast_wal::{FetchFrom, Start};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// This program, where the user who runs PostgreSQL can reach it.
fn program(ground: &Ground) -> PathBuf {
    let program = ground.dir.path().join("program");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    program
}

fn archive_command(program: &Path, settings: &Path) -> String {
    let run = format!("{} --exact shipping::only_ship --ignored --nocapture", program.display());
    format!("SETTINGS={} FROM=%p NAME=%f {run}", settings.display())
}

fn restore_command(program: &Path, settings: &Path) -> String {
    let run = format!("{} --exact whole::only_fetch --ignored --nocapture", program.display());
    format!("SETTINGS={} TO=%p NAME=%f {run}", settings.display())
}

/// What `holdfast wal fetch` does.
#[tokio::test]
#[ignore = "only run by other tests"]
async fn only_fetch() {
    let of = |name: &str| std::env::var(name).unwrap();
    match holdfast_wal::fetch(&PathBuf::from(of("SETTINGS")), &of("NAME"), &PathBuf::from(of("TO"))).await {
        Ok(()) => std::process::exit(0),
        Err(error) => {
            println!("fetch {}: {error}", of("NAME"));
            std::process::exit(error.exit_code().into());
        }
    }
}

/// Log shipping alone, and the other site takes over from what lies on the share: all that was shipped, and not an entry less.
#[tokio::test]
async fn the_other_site_has_all_that_was_shipped() {
    let ground = Ground::new().await;
    let program = program(&ground);
    let file = ground.dir.path().join("atl-db-1.wal.json");
    let archive = format!("'{}'", archive_command(&program, &file));
    let primary = Instance::first(&ground, &[("archive_mode", "on"), ("archive_command", &archive)]).await;
    ground.give_to(&primary.postgres);
    primary.write();
    let restore = format!("'{}'", restore_command(&program, &ground.dir.path().join("bos-db-1.wal.json")));
    let settings =
        [("restore_command", restore.as_str()), ("wal_retrieve_retry_interval", "100ms"), ("primary_conninfo", "''")];
    let backup = primary.postgres.copy(&settings, |data| {
        // The backup's own settings, not those that the base backup wrote: it does not stream.
        std::fs::write(data.join("postgresql.auto.conf"), "").unwrap();
        let mut settings = primary.settings.clone();
        settings.instance = "bos-db-1".into();
        settings.holder = false;
        settings.save(&ground.dir.path().join("bos-db-1.wal.json")).unwrap();
        ground.give_to(&primary.postgres);
    });
    let mut backup = Instance::new_beside(&ground, "bos-db-1", backup, &primary);
    ground.give_to(&primary.postgres);
    primary.write();
    primary.write();
    let shipped = primary.full().pop().unwrap().1;
    until("the last whole segment is on the share", || primary.object(&ground, &shipped, "json").exists());
    until("the backup has it", || backup.entries() == 4_500);

    // More is shipped while the backup does not look; then the primary is gone.
    backup.change(|s| s.fetch = FetchFrom::Staging(ground.dir.path().join("copy")));
    ground.give_to(&backup.postgres);
    primary.write();
    let shipped = primary.full().pop().unwrap().1;
    until("it is on the share", || primary.object(&ground, &shipped, "json").exists());
    let mut primary = primary;
    primary.postgres.kill();

    let replayed = backup.postgres.psql("SELECT pg_last_wal_replay_lsn()").parse().unwrap();
    let start = Start { lsn: replayed, timeline: 1 };
    let report = staged(&ground.share().await, &backup, start, &ground.dir.path().join("copy")).await;
    let target = report.target.clone().unwrap();
    assert!(report.holds(), "{:?}", report.lines());
    ground.give_to(&backup.postgres);
    until("all of it is applied", || {
        backup.postgres.psql(&format!("SELECT pg_last_wal_replay_lsn() > '{}'", target.record)) == "t"
    });
    assert_eq!(backup.entries(), 6_000);
    backup.postgres.promote();
    assert_eq!(backup.postgres.psql("SELECT count(*), max(n) FROM entry"), "6000|6000");
}

/// The handbook's page, literally: a recovery with nothing but a base backup, `zstd -d`, `cp` and PostgreSQL.
#[tokio::test]
async fn the_page_recovers_with_zstd_and_cp_alone() {
    let page = include_str!("../../../../docs/src/log-shipping.md");
    let block = page.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).expect("the page has its block");
    let ground = Ground::new().await;
    let primary = Instance::first(&ground, &[]).await;
    primary.write();
    let recovered = primary.postgres.copy(&[], |data| {
        // Since the base backup was made:
        for _ in 0..3 {
            primary.write();
        }
        for (_, name) in primary.full() {
            block_on(primary.ship(&name)).unwrap();
        }
        std::fs::remove_file(data.join("standby.signal")).unwrap();
        std::fs::write(data.join("postgresql.auto.conf"), "").unwrap();
        let done = Command::new("sh")
            .args(["-e", "-u", "-c", block])
            .env("SHARE", &ground.bos)
            .env("DATA", data)
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let (uid, gid) = owner_of(&primary.postgres);
        let owner = format!("{uid}:{gid}");
        assert!(Command::new("chown").args(["-R", &owner]).arg(data).status().unwrap().success());
    });
    until("it takes writes", || recovered.psql("SELECT pg_is_in_recovery()") == "f");
    assert_eq!(recovered.psql("SELECT count(*), max(n) FROM entry"), "6000|6000");
    let end = size().end_of(primary.full().pop().unwrap().0.number);
    assert_eq!(recovered.psql(&format!("SELECT pg_current_wal_lsn() > '{end}'")), "t");
}

/// The tests run in a runtime already, and `copy` is not async.
fn block_on<T: Send>(work: impl Future<Output = T> + Send) -> T {
    std::thread::scope(|scope| {
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work);
        scope.spawn(runtime).join().unwrap()
    })
}

impl Instance {
    /// Of one that may not be asked for its position, since it is a standby.
    fn new_beside(ground: &Ground, name: &str, postgres: Postgres, primary: &Instance) -> Instance {
        let mut instance = Instance::new(ground, name, postgres);
        let system = primary.settings.system_identifier;
        instance.change(|s| (s.holder, s.system_identifier) = (false, system));
        instance
    }
}
