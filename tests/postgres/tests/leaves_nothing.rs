//! It starts fast, does what it says, and leaves nothing behind, however the test ends.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test that cannot go on has failed")]

use holdfast_private_postgres::Postgres;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What there is of a cluster, and must be gone.
struct Traces {
    pid: u32,
    dir: PathBuf,
    shared_memory: String,
}

impl Traces {
    fn of(postgres: &Postgres) -> Self {
        let data = PathBuf::from(postgres.psql("SHOW data_directory"));
        let file = std::fs::read_to_string(data.join("postmaster.pid")).unwrap();
        let shared_memory = file.lines().nth(6).unwrap().split_whitespace().nth(1).unwrap().to_owned();
        let traces = Self { pid: postgres.pid().unwrap(), dir: data.parent().unwrap().to_owned(), shared_memory };
        assert!(traces.process() && traces.dir.exists() && traces.shared_memory());
        traces
    }

    /// A process of that number that works there: the number alone may have been given anew.
    fn process(&self) -> bool {
        std::fs::read_link(format!("/proc/{}/cwd", self.pid)).is_ok_and(|dir| dir.starts_with(&self.dir))
    }

    fn shared_memory(&self) -> bool {
        let table = std::fs::read_to_string("/proc/sysvipc/shm").unwrap();
        table.lines().any(|line| line.split_whitespace().nth(1) == Some(&self.shared_memory))
    }

    fn any(&self) -> Option<&'static str> {
        let made_for_it =
            self.dir.parent().is_some_and(|p| p.to_string_lossy().contains("holdfast-postgres-") && p.exists());
        let what = [
            (self.process(), "a process"),
            (self.dir.exists() || made_for_it, "a directory"),
            (self.shared_memory(), "shared memory"),
        ];
        what.into_iter().find_map(|(there, name)| there.then_some(name))
    }
}

#[test]
fn it_works_and_is_gone_when_dropped() {
    drop(Postgres::start()); // makes the template if there is none
    let begun = Instant::now();
    let postgres = Postgres::start();
    println!("started in {:?}", begun.elapsed());
    let begun = Instant::now();
    let other = postgres.new_database();
    println!("a new database in {:?}", begun.elapsed());
    assert_ne!(other, postgres.url());
    assert!(postgres.url().contains(&format!(":{}/", postgres.port())));
    assert_eq!(postgres.psql("SELECT rolsuper FROM pg_roles WHERE rolname = 'holdfast'"), "f");
    assert_eq!(
        postgres.psql(
            "SELECT datname, pg_encoding_to_char(encoding), r.rolname FROM pg_database d JOIN pg_roles r ON r.oid = datdba
             WHERE datname LIKE 'holdfast%' ORDER BY 1"
        ),
        "holdfast|UTF8|holdfast\nholdfast_1|UTF8|holdfast"
    );
    assert!(postgres.try_psql("SELECT 1/0").unwrap_err().contains("division by zero"));
    let traces = Traces::of(&postgres);
    let begun = Instant::now();
    drop(postgres);
    println!("gone in {:?}", begun.elapsed());
    assert_eq!(traces.any(), None);
}

#[test]
fn settings_are_taken_and_a_wrong_one_is_told() {
    let postgres = Postgres::with(&[("wal_level", "logical"), ("fsync", "on"), ("max_connections", "17")]);
    assert_eq!(postgres.psql("SHOW wal_level"), "logical");
    assert_eq!(postgres.psql("SHOW fsync"), "on");
    assert_eq!(postgres.psql("SHOW max_connections"), "17");
    let failed = std::panic::catch_unwind(|| Postgres::with(&[("no_such_setting", "1")])).unwrap_err();
    assert!(failed.downcast_ref::<String>().unwrap().contains("no_such_setting"));
}

#[test]
fn what_was_committed_outlives_a_kill() {
    let mut postgres = Postgres::start();
    postgres.psql("CREATE TABLE t (n int)");
    for n in 0..3 {
        postgres.psql(&format!("INSERT INTO t VALUES ({n})"));
        let traces = Traces::of(&postgres);
        let port = postgres.port();
        if n < 2 {
            postgres.kill();
        } else {
            postgres.stop();
        }
        assert!(!traces.process());
        assert!(postgres.try_psql("SELECT 1").is_err());
        postgres.start_again();
        assert_eq!(postgres.port(), port);
        assert_eq!(postgres.psql("SELECT count(*) FROM t"), (n + 1).to_string());
    }
    let traces = Traces::of(&postgres);
    postgres.kill();
    drop(postgres);
    assert_eq!(traces.any(), None);
}

#[test]
fn a_test_that_panics_leaves_nothing() {
    let (told, heard) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let postgres = Postgres::start();
        told.send(Traces::of(&postgres)).unwrap();
        panic!("as tests do");
    })
    .join()
    .unwrap_err();
    assert_eq!(heard.recv().unwrap().any(), None);
}

#[test]
fn a_given_directory_stays_and_what_was_made_in_it_goes() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let postgres = Postgres::in_dir(dir.path(), &[]);
    let traces = Traces::of(&postgres);
    assert!(traces.dir.starts_with(dir.path()));
    drop(postgres);
    assert_eq!(traces.any(), None);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

/// Runs one of the tests below, which are for this alone, in a process of its own, in a group of its own.
fn in_another_process(test: &str) -> Command {
    use std::os::unix::process::CommandExt as _;
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--ignored", "--nocapture"]).process_group(0);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

#[test]
fn a_test_that_is_killed_leaves_nothing() {
    for signal in ["-TERM", "-KILL"] {
        let mut child = in_another_process("only_to_be_killed").spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let said = lines.into_iter().find(|line| line.contains("TRACES ")).unwrap();
        let mut words = said.split("TRACES ").nth(1).unwrap().split(' ');
        let mut word = || words.next().unwrap().to_owned();
        let traces = Traces { pid: word().parse().unwrap(), dir: word().into(), shared_memory: word() };
        assert!(traces.process(), "{signal}");
        // The whole group, as a runner does.
        assert!(Command::new("kill").args([signal, "--", &format!("-{}", child.id())]).status().unwrap().success());
        child.wait().unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while let Some(left) = traces.any() {
            assert!(Instant::now() < deadline, "{signal}: {left} is left");
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }
}

#[test]
#[ignore = "only run by a_test_that_is_killed_leaves_nothing"]
fn only_to_be_killed() {
    let postgres = Postgres::start();
    let traces = Traces::of(&postgres);
    println!("TRACES {} {} {} ", traces.pid, traces.dir.display(), traces.shared_memory);
    std::thread::park_timeout(Duration::from_secs(60));
}

#[test]
fn several_processes_at_once_do_not_get_into_each_others_way() {
    // A copy of this program beside a target directory of its own: so there is no template yet.
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("CACHEDIR.TAG"), "").unwrap();
    let program = dir.path().join("test");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let start = |_| {
        let mut command = Command::new(&program);
        command.args(["--exact", "only_one_of_several", "--ignored", "--nocapture"]).stdout(Stdio::piped());
        command.spawn().unwrap()
    };
    let children: Vec<_> = (0..6).map(start).collect();
    let mut ports = std::collections::BTreeSet::new();
    for child in children {
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}");
        let port = text.split("PORT ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
        ports.insert(port);
    }
    assert_eq!(ports.len(), 6);
    assert!(made_templates(dir.path()) == 1);
}

fn made_templates(target: &Path) -> usize {
    let entries = std::fs::read_dir(target.join("tmp")).unwrap().map(Result::unwrap);
    entries.filter(|e| e.path().is_dir()).count()
}

#[test]
#[ignore = "only run by several_processes_at_once_do_not_get_into_each_others_way"]
fn only_one_of_several() {
    let postgres = Postgres::start();
    println!("PORT {} ", postgres.port());
    // Until all of them have theirs, or nearly so.
    std::thread::park_timeout(Duration::from_millis(500));
    assert_eq!(postgres.psql("SELECT 1"), "1");
}
